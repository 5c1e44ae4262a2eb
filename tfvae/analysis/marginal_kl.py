"""How far the codes of all examples together are from the prior."""

import math

import numpy as np
import tensorflow as tf

from tfvae.analysis.codes import codes, first_layer, first_layers
from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.noise import host_seed
from tfvae.run.metrics import is_of_examples
from tfvae.theory import density_ratio


class MarginalKl(Evaluator):
  """KL(q(z) || p(z)) in nats, q(z) = (1/N) sum_n q(z | x_n), in two ways; and I_q(x; z), the rest of the rate.

  By Monte Carlo, at a code z_n of each of the N examples: U = log q(z_n | x_n) - log p(z_n), V = log q(z_n | x_n) -
  log q(z_n), so that rate = I_q + marginal KL (Hoffman & Johnson 2016).

  index_code_information/<layers>: I_q(x; z), the mean of V: what z tells of which of the N examples it is the code of,
  at most log N. Of several layers (and of the first at eval.marginal_kl.codes) over a part of the codes.
  marginal_kl/<layers>: the mean of U, over all codes, minus that of V.
  marginal_kl_floor/<layers>: max(0, mean of U - log N), below which it cannot be.
  own_share/<layers>: the mean share of its own posterior in q(z_n) at a code. As log N grows by one nat, I_q is to be
  expected to grow by so many, and the marginal KL to fall: from a tenth on a line at the end says so.
  marginal_kl_examples: N.

  By the density ratio (`theory.density_ratio`), which knows no N, from one code of each example and as many samples of
  the prior: fitted on one half of the examples, judged on the other.

  marginal_kl_ratio/<layers>: where all layers are real by way of a mixture of Gaussians between q(z) and p(z)
  (`by_bridge`, Rhodes et al. 2020); else as the next.
  marginal_kl_ratio_plain/<layers>: by a classifier between q(z) and p(z) alone (Rosca et al. 2018).
  marginal_kl_ratio_lower/<layers>: a lower bound by the same ratio. And of its classifier, on the half that is judged,
  .._log_loss (log 2: it tells nothing), .._accuracy, .._log_normalizer (log E[ratio], 0 where it is right), and
  .._trusted, 0 or 1; where 0, a line at the end says so.

  <layers> is all of them together and, where there are several, the one at the top alone: by Monte Carlo where it is
  inferred first, by the ratio always; I_q also of another that is inferred first. Each has a
  `.._standard_error/<layers>`, as if codes were independent. The ratio sees real layers as the noise of the prior that
  they are made of, (z - m) / s where p(z_l | z_>l) = N(m, s^2), which changes no KL.
  """

  name = 'marginal_kl'

  def evaluate(self, model, split):
    found = split.once('codes', lambda: codes(model, split))
    of_codes = self._scored(model, split, found)
    order, top = list(found.z), model.layer_names[0]
    numbers = {'marginal_kl_examples': float(split.size)}
    for layers in dict.fromkeys([(order[0],), tuple(order)]):
      numbers |= self._by_mixture(model, split, found, of_codes, layers)
    samples = self._samples(model, split)
    for layers in dict.fromkeys([(top,), tuple(order)]):
      numbers |= self._by_ratio(model, split, of_codes, samples, layers)
    return Found(numbers, {})

  # By all posteriors.

  def _by_mixture(self, model, split, found, of_codes, layers):
    """Of the layers inferred first."""
    name, section, total = ','.join(layers), self.section, split.size
    if len(layers) == 1:
      key = f'densities at {section.codes}' if section.codes else 'densities'
      densities = split.once(key, lambda: first_layer(model, split, found, section.codes))
    else:
      key = f'densities of {len(layers)} at {section.examples}'
      densities = split.once(key, lambda: first_layers(model, split, found, len(layers), section.examples))
    v, index = densities.own - densities.mixture, densities.index
    share = float(np.exp(np.minimum(v - math.log(total), 0)).mean())
    numbers = {f'index_code_information/{name}': float(v.mean()), f'own_share/{name}': share}
    numbers[f'index_code_information_standard_error/{name}'] = float(v.std(ddof=1) / math.sqrt(len(v)))
    if set(layers) != set(model.layer_names[: len(layers)]):
      return numbers  # from the bottom up: no prior of the first layer alone
    u = sum(of_codes['log_q'][layer] - of_codes['log_p'][layer] for layer in layers)
    # mean(u) - mean(v), of which the second is over a part of the examples.
    variance = u.var(ddof=1) / total + v.var(ddof=1) / len(v) - 2 * np.cov(u[index], v)[0, 1] / total
    value, floor = float(u.mean() - v.mean()), max(0.0, float(u.mean()) - math.log(total))
    numbers |= {f'marginal_kl/{name}': value, f'marginal_kl_floor/{name}': floor}
    numbers[f'marginal_kl_standard_error/{name}'] = math.sqrt(max(0.0, variance))
    if is_of_examples(share):
      print(
        f'marginal_kl/{name}: {value:.4g} nats depends on N = {total:,}: at a code its own posterior has {share:.0%} '
        f'of the mixture of all, so that twice as many would take about {share * math.log(2):.2g} nats off; it cannot '
        f'be below mean KL - log N, {floor:.4g}. See marginal_kl_ratio/{name}, which has no such floor.',
        flush=True,
      )
    return numbers

  # By the density ratio.

  def _by_ratio(self, model, split, of_codes, samples, layers):
    name, section = ','.join(layers), self.section
    q, p = (np.concatenate([of['noise'][layer] for layer in layers], 1) for of in (of_codes, samples))
    seed = host_seed(self.spec.seed, f'eval/marginal_kl/{split.name}/{name}')
    order = np.random.default_rng(seed).permutation(len(q))
    q, p = density_ratio.parts(q, order), density_ratio.parts(p, order)
    how = (section.hidden, section.passes, seed, split.watched)
    plain = density_ratio.by_classifier(q, p, *how)
    is_real = all(model.families[layer].space == 'real' for layer in layers)
    best = density_ratio.by_bridge(q, *how) if is_real else plain
    what = 'marginal_kl_ratio'
    numbers = {f'{what}/{name}': best.kl, f'{what}_standard_error/{name}': best.standard_error}
    for field in ('lower', 'log_loss', 'accuracy', 'log_normalizer'):
      numbers[f'{what}_{field}/{name}'] = getattr(best, field)
    numbers[f'{what}_trusted/{name}'] = float(best.is_trusted)
    if is_real:
      numbers[f'{what}_plain/{name}'] = plain.kl
      numbers[f'{what}_plain_standard_error/{name}'] = plain.standard_error
    if not best.is_trusted:
      print(
        f'{what}/{name}: {best.kl:.4g} nats is not to be trusted. Its classifier is right in {best.accuracy:.1%} of '
        f'cases, and its ratio comes to exp({best.log_normalizer:.2g}) in place of 1: what it tells apart barely '
        f'overlaps, or it has learned too little. A lower bound is {best.lower:.4g}.',
        flush=True,
      )
    return numbers

  @staticmethod
  def _scored(model, split, found):
    """{log_q, log_p, noise: {layer: [N], noise [N, .]}} at the codes."""

    def run(stored, z):
      trace = model.score(split.batch(stored), z)
      return {'log_q': trace.log_q, 'log_p': trace.log_p, 'noise': _noise(model, trace.p, trace.z)}

    compiled, parts, begin = tf.function(run, autograph=False), [], 0
    for _, stored in split.batches():
      kept = stored['mask'].numpy() > 0
      at = np.minimum(begin + np.arange(len(kept)), split.size - 1)
      part = compiled(stored, {layer: tf.constant(z[at][None]) for layer, z in found.z.items()})
      parts.append(tf.nest.map_structure(lambda value, kept=kept: value.numpy()[0][kept], part))
      begin += kept.sum()
    return _joined(parts)

  def _samples(self, model, split):
    """{noise: {layer: [N, .]}} of as many samples of the prior."""
    size = min(self.spec.eval.batch_size, split.size)

    def run(number):
      noise = split.noise(number, 'eval/marginal_kl')
      z, p = model.descend(lambda layer, p: layer.family.sample(p, noise, f'p/{layer.name}', (1, size)))
      return {'noise': _noise(model, p, z)}

    compiled = tf.function(run, autograph=False)
    parts = [tf.nest.map_structure(lambda value: value.numpy()[0], compiled(number)) for number, _ in split.batches()]
    return tf.nest.map_structure(lambda value: value[: split.size], _joined(parts))


def _noise(model, p, z):
  """{layer: [1, B, .]}: what of z the prior has drawn; of states themselves."""
  found = {layer: model.families[layer].standardize(p[layer], z[layer]) for layer in z}
  return {layer: tf.reshape(value, [1, tf.shape(value)[1], -1]) for layer, value in found.items()}


def _joined(parts):
  return tf.nest.map_structure(lambda *values: np.concatenate(values).astype(np.float64), *parts)
