"""Which latent units are used, and how the aggregate posterior compares with the prior."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Found, TraceEvaluator, masked_sum
from tfvae.errors import UserError
from tfvae.models.trace import section, sections
from tfvae.noise import stateless

# Burda et al. 2016, section 5: a unit is active if Var_x E[z|x] > 0.01, here in units of the prior's variance.
BURDA_THRESHOLD = 0.01
# FORMULAS.md (Damm et al. 2023): a unit is collapsed if its encoder entropy is within this of the prior's, in nats.
ENTROPY_THRESHOLD = 0.4189
# Layers of more units have no covariances: these would take longer than everything else. Nor have those of a section
# whose steps have more numbers in theirs, together, than one layer of so many units.
MOST_UNITS = 1024
# The entropies of more units of a section than these are kept in the arrays only.
MOST_ENTROPIES = 128


class Latents(TraceEvaluator):
  """Active units of each layer, by two definitions; the aggregate posterior against the prior; statistics of units.

  active_units/<layer>: Var_x E[z_h | x] > 0.01 alpha_h^2 (Burda et al. 2016), alpha_h^2 the prior's variance.
  active_units_entropy/<layer>: mean encoder entropy more than 0.4189 nats below the prior's (Damm et al. 2023).
  Without a layer: the sums over the layers, where all have it; of a section that repeats also .../<section>.
  encoder_entropy/<layer>/<unit>: E H[q(z_h | x)], nats; up to 128 units a section.
  For a layer that is not inferred from x alone, E[z | x] is over the layers before it; its square is estimated without
  bias by the products of different samples (so at least two are needed, `UserError` otherwise; of samples that are
  taken in parts, by the mean of the parts' estimates, each without bias). The prior of a layer
  below the top is p(z_l | z_>l) averaged over z_>l ~ q: its variance is E Var + Var E, its entropy E H.

  Of a model that is told something (c) a unit is active by what it tells beyond c: all above is of z - E[z | c],
  E[z | c] the mean of p(z_l | c), below the top estimated from as many ancestral samples as there are of q (the squares
  remain without bias). So a unit whose q is p(z_l | c) is not active, however both follow c, and with one c for all the
  definition is the one above. The aggregate posterior, and the prior it is compared with, are over the contexts, too.

  Where q has no moments in closed form (that of a flow) these are from samples: E[z | x]^2 as above, for any layer, and
  E z z^T below; then encoder_entropy and active_units_entropy are left out. The first is noisy on few examples: of a
  unit that tells nothing it has the standard deviation sqrt(2 / (S (S - 1) N)), which should be far below 0.01.

  The aggregate posterior q(z_l) = E_x q(z_l | x) has mean m = E mu and covariance C = E diag(tau^2) + Cov mu:
  aggregate_kl/<layer>: KL(N(m, C) || N(m_p, C_p)) in nats to the Gaussian with the prior's moments: where the prior is
  Gaussian, no more than KL(q(z_l) || p(z_l)).
  correlation/<layer>, correlation_max/<layer>: root mean square and largest magnitude of the correlations of two
  different units under q(z_l). Up to 1,024 units a layer; of T steps up to 1,024 / sqrt(T) units each.

  Arrays, [H] for each layer: encoder_entropy, prior_entropy, collapsed_above (the entropy from which a unit counts as
  collapsed), mean (m), prior_mean, variance_of_mean (Var_x E[z | x], of z - E[z | c] where c is told) and active_above
  (the variance from which it counts as active);
  [H, H]: covariance (C), prior_covariance, correlation; and z, samples of q for the first examples.
  """

  name = 'latents'

  def sums(self, model, trace, split, batch):
    sums, mask, told = {}, batch['mask'], self._told(model, trace, split, batch)
    steps = sections(trace.z)
    for layer in trace.z:
      q, p, family = trace.q[layer], trace.p[layer], model.families[layer]
      rows = lambda value, family=family: _rows(value, family.shape, trace.x.shape[0])
      closed_form, entropy = family.moments(q), family.unit_entropy(q)
      # Where q has no moments in closed form, those of a sample given itself: their means over the samples are q's.
      mean, variance = map(rows, closed_form or (trace.z[layer], tf.zeros_like(trace.z[layer])))
      prior_mean, prior_variance = map(rows, family.moments(p))
      of_x = closed_form is not None and layer == next(iter(trace.q))
      moments = {
        'mean': mean,
        **({'encoder_entropy': rows(entropy)} if entropy is not None else {}),
        'prior_entropy': rows(family.unit_entropy(p)),
        'variance': variance,
        'prior_mean': prior_mean,
        'prior_variance': prior_variance,
      }
      if layer in told:
        moments |= _beyond(rows(told[layer]), layer == model.layer_names[0], of_x, mean, prior_mean)
      else:
        moments |= {'mean_squared': _square_of_mean(of_x, mean)[None], 'prior_mean_squared': tf.square(prior_mean)}
      sums |= {f'{layer}.{key}': masked_sum(tf.reduce_mean(value, 0), mask) for key, value in moments.items()}
      if len(steps[section(layer)]) * mean.shape[-1] ** 2 <= MOST_UNITS**2:
        sums |= {f'{layer}.outer': _outer(mean, mask), f'{layer}.prior_outer': _outer(prior_mean, mask)}
    return sums

  @staticmethod
  def _told(model, trace, split, batch):
    """{layer: the means of p(z_l | z_>l, c) at ancestral samples z_>l, [S, B, ...]}; {} where nothing is told."""
    if model.told is None:
      return {}
    noise, lead = split.noise(batch['index'][0], 'eval/latents'), trace.z[model.layer_names[0]].shape[:2]
    _, p = model.descend(lambda one, p: one.family.sample(p, noise, f'p/{one.name}', lead), batch['context'])
    return {layer: model.families[layer].moments(p[layer])[0] for layer in trace.z}

  def finish(self, means, model, split):
    counts, numbers, arrays = {'active_units': {}, 'active_units_entropy': {}}, {}, {}
    of, steps = '' if model.told is None else 'beyond_', sections(model.layer_names)
    for layer in model.layer_names:
      m = {name.partition('.')[2]: value for name, value in means.items() if name.startswith(f'{layer}.')}
      variance = m['mean_squared'] - m[f'{of}mean'] ** 2
      prior = m['prior_variance'] + m['prior_mean_squared'] - m[f'{of}prior_mean'] ** 2
      counts['active_units'][layer] = float(np.sum(variance > BURDA_THRESHOLD * prior))
      if 'encoder_entropy' in m:
        below = m['prior_entropy'] - m['encoder_entropy'] > ENTROPY_THRESHOLD
        counts['active_units_entropy'][layer] = float(np.sum(below))
        if len(steps[section(layer)]) * len(variance) <= MOST_ENTROPIES:
          numbers |= {f'encoder_entropy/{layer}/{unit}': float(h) for unit, h in enumerate(m['encoder_entropy'])}
      kept = {name: m[name] for name in ('mean', 'prior_mean', 'encoder_entropy', 'prior_entropy') if name in m}
      kept |= {'variance_of_mean': variance, 'active_above': BURDA_THRESHOLD * prior}
      kept |= {'collapsed_above': m['prior_entropy'] - ENTROPY_THRESHOLD}
      if 'outer' in m:
        found, matrices = _aggregate(m)
        numbers |= {f'{name}/{layer}': value for name, value in found.items()}
        kept |= matrices
      arrays |= {f'{layer}.{name}': value for name, value in kept.items()}
    for name, found in counts.items():
      whole = {of: layers for of, layers in steps.items() if all(layer in found for layer in layers)}
      of_sections = {of: sum(found[layer] for layer in layers) for of, layers in whole.items()}
      numbers |= {f'{name}/{of}': count for of, count in (of_sections | found).items()}
      if len(found) == len(model.layer_names):
        numbers[name] = sum(found.values())
    batch = split.source.first(split.name, min(split.size, self.spec.eval.batch_size))
    trace = model.infer(batch, stateless(self.spec.seed, 0).scope('eval/latents'), 1)
    arrays |= {f'{layer}.z': sample[0].numpy() for layer, sample in trace.z.items()}
    return Found(numbers, arrays)


def _rows(value, event_shape, batch):
  """[S, B, *event] (S or both may be missing) -> [S, B, H]."""
  value = tf.reshape(value, [-1, *value.shape[1:]] if value.shape.rank > len(event_shape) else [1, 1, *event_shape])
  samples = value.shape[0]
  return tf.reshape(tf.broadcast_to(value, [samples, batch, *event_shape]), [samples, batch, -1])


def _square_of_mean(first, values):
  """E[z | x]^2, [B, H] from [S, B, H]. With S > 1 samples, ((sum_s m_s)^2 - sum_s m_s^2) / (S (S - 1))."""
  if first:  # of x alone
    return tf.square(tf.reduce_mean(values, 0))
  samples = values.shape[0]
  if samples < 2:
    raise UserError(
      'spec.eval.num_samples: got 1; the evaluator latents needs at least 2 where there are two layers, or a flow'
    )
  return (samples * tf.square(tf.reduce_mean(values, 0)) - tf.reduce_mean(tf.square(values), 0)) / (samples - 1)


def _beyond(told, is_top, of_x, mean, prior_mean):
  """Means of q and p less E[z | c], [S or 1, B, H], and the squares of these, those of what is estimated without bias.

  told: of the top layer E[z | c] itself, else samples whose mean it is, independent of those of q.
  """
  beyond, prior = mean - told, prior_mean - told
  if is_top:
    squared = tf.square(prior)
  else:
    both = tf.reduce_mean(prior_mean, 0) * tf.reduce_mean(told, 0)
    squared = (tf.reduce_mean(tf.square(prior_mean), 0) - 2 * both + _square_of_mean(False, told))[None]
  return {
    'beyond_mean': beyond,
    'mean_squared': _square_of_mean(of_x and is_top, beyond)[None],
    'beyond_prior_mean': prior,
    'prior_mean_squared': squared,
  }


def _outer(values, mask):
  """Sum over the examples of the mean over the samples of v v^T: [H, H] from [S, B, H]."""
  weights = tf.cast(mask, values.dtype)[:, None] / values.shape[0]
  return tf.einsum('sbi,sbj->ij', values * weights, values)


def _aggregate(m):
  """Moments of q(z_l) against the prior's."""
  covariance = m['outer'] - np.outer(m['mean'], m['mean']) + np.diag(m['variance'])
  prior = m['prior_outer'] - np.outer(m['prior_mean'], m['prior_mean']) + np.diag(m['prior_variance'])
  scale = np.sqrt(np.diag(covariance))
  correlation = covariance / np.outer(scale, scale)
  others = correlation[~np.eye(len(scale), dtype=bool)]
  distance = m['mean'] - m['prior_mean']
  kl = np.trace(np.linalg.solve(prior, covariance)) + distance @ np.linalg.solve(prior, distance) - len(scale)
  kl = 0.5 * (kl + np.linalg.slogdet(prior)[1] - np.linalg.slogdet(covariance)[1])
  numbers = {'aggregate_kl': float(kl)}
  if len(others):
    numbers |= {
      'correlation': float(np.sqrt(np.mean(others**2))),
      'correlation_max': float(np.max(np.abs(others))),
    }
  return numbers, {'covariance': covariance, 'prior_covariance': prior, 'correlation': correlation}
