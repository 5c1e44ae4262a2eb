"""What one evaluation of a model produced, and the quantities that follow from it alone."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.run.metrics import RELAXED

tfd = tfp.distributions


def section(layer: str) -> str:
  """The section of a spec that a layer has its fields of: z1's own, of the steps z/1, z/2, ... of one, z's."""
  return layer.partition('/')[0]


def sections(layers: Iterable[str]) -> dict[str, list[str]]:
  """{section: its layers, in their order}: one, or the steps of one that repeats."""
  found = {}
  for layer in layers:
    found.setdefault(section(layer), []).append(layer)
  return found


def by_section(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
  """{section: the sum over its layers} of {layer: [...]}."""
  parts = {name: [values[layer] for layer in layers] for name, layers in sections(values).items()}
  return {name: own[0] if len(own) == 1 else tf.add_n(own) for name, own in parts.items()}


def together(values: dict[str, tf.Tensor], stack: Callable = tf.stack) -> dict[str, tf.Tensor]:
  """{section: [B, ...], of one that repeats [B, T, ...]} of {layer: [B, ...]}; `stack`: np.stack of arrays."""
  return {
    name: values[name] if layers == [name] else stack([values[layer] for layer in layers], 1)
    for name, layers in sections(values).items()
  }


class Trace(NamedTuple):
  """S latent samples of B examples. Densities and KLs in nats."""

  x: tf.Tensor  # what was encoded: [B, ...]
  target: tf.Tensor  # what p(x | z) scores: x, unless a batch has another: [B, ...]
  z: dict[str, tf.Tensor]  # layer: [S, B, ...]
  mean: tf.Tensor  # E[x | z]: [S, B, ...]
  log_px: tf.Tensor  # log p(target | z), summed over its dimensions: [S, B]
  log_p: dict[str, tf.Tensor]  # layer: log p(z_l | z_>l): [S, B]
  log_q: dict[str, tf.Tensor]  # layer: log q(z_l | ., x): [S, B]
  kl: dict[str, tf.Tensor]  # layer: KL(q || p), analytic where it exists, else log_q - log_p: [S, B]
  # The distributions themselves. What is asked about them is asked of their families.
  q: dict[str, tfd.Distribution]  # in the order of inference: q(z_l | ., x); batch shape [S, B], of the first [1, B]
  p: dict[str, tfd.Distribution]  # layer: p(z_l | z_>l); batch shape [S, B], or [] for the top
  px: tfd.Distribution  # p(x | z), batch shape [S, B]
  relaxed: tuple[str, ...] = ()  # layers where softened samples, of no probability, take the place of samples

  def rates(self) -> dict[str, tf.Tensor]:
    """layer: KL_l averaged over the samples, [B] nats."""
    return {layer: tf.reduce_mean(kl, 0) for layer, kl in self.kl.items()}

  def section_kl(self, how: str) -> dict[str, tf.Tensor]:
    """section: the sum over its layers of `kl` ('exact') or of `sampled_kl` ('sampled'), [S, B] nats."""
    return by_section(self.kl if how == 'exact' else self.sampled_kl())

  def sampled_kl(self) -> dict[str, tf.Tensor]:
    """layer: log q(z_l | ., x) - log p(z_l | z_>l) at the samples, whose expectation is KL_l: [S, B] nats."""
    self._require_samples()
    return {layer: self.log_q[layer] - self.log_p[layer] for layer in self.kl}

  def log_likelihood(self) -> tf.Tensor:
    """E_q log p(x | z), the negative distortion: [B] nats."""
    return tf.reduce_mean(self.log_px, 0)

  def log_weights(self) -> tf.Tensor:
    """log p(x, z) - log q(z | x) of each sample: [S, B] nats."""
    self._require_samples()
    return self.log_px + tf.add_n(list(self.log_p.values())) - tf.add_n(list(self.log_q.values()))

  def importance_bound(self) -> tf.Tensor:
    """log (1/S) sum_s p(x, z_s) / q(z_s | x): [B] nats (Burda et al. 2016, eq. 8)."""
    weights = self.log_weights()
    return tf.reduce_logsumexp(weights, 0) - math.log(weights.shape[0])

  def squared_error(self) -> tf.Tensor:
    """Mean over samples and dimensions of (target - E[x | z])^2: [B]."""
    # Summed as a Gaussian density sums it, which lets compilers do it once.
    squares = tf.reduce_sum(tf.square(self.target - self.mean), axis=list(range(1 - self.target.shape.rank, 0)))
    return tf.reduce_mean(squares, 0) / math.prod(self.target.shape[1:])

  def terms(self) -> dict[str, tf.Tensor]:
    """What is reported of every model, each [B]: elbo (beta 1), log_likelihood, rate, rate/<layer>, mse; of layers that
    are steps of one section also rate/<section>, their sum.

    What follows from softened samples goes by the name relaxed/...: all but the rates of the highest layer that has
    them and of those above it.
    """
    rates, log_likelihood = self.rates(), self.log_likelihood()
    rate = tf.add_n(list(rates.values()))
    found = {
      'elbo': log_likelihood - rate,
      'log_likelihood': log_likelihood,
      'rate': rate,
      **{f'rate/{layer}': value for layer, value in (by_section(rates) | rates).items()},
      'mse': self.squared_error(),
    }
    return {self.named(name): value for name, value in found.items()}

  def named(self, name: str, of: str = '') -> str:
    """What goes by `name` with samples; `of`: the one of `terms` that it follows from, where it is not one of them."""
    if not self.relaxed:
      return name
    layers = list(self.z)
    first = min(layers.index(layer) for layer in self.relaxed)
    exact = {f'rate/{layer}' for layer in layers[: first + 1]}
    return name if (of or name) in exact else f'{RELAXED}{name}'

  def _require_samples(self):
    if self.relaxed:
      raise ValueError(f'a softened sample of {", ".join(self.relaxed)} has no probability')
