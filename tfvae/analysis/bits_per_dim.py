"""Bits per dimension of discrete data."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.analysis.evaluator import Evaluator, Found, masked_sum

tfd = tfp.distributions


class BitsPerDim(Evaluator):
  """-ELBO / (D log 2) of discrete data: an upper bound of the bits that a dimension costs.

  Binary data with a Bernoulli decoder: bits_per_dim.
  Images of whole numbers v (8 bits: 0..255) with a Gaussian decoder, whose density p is in the scaled units:

  bits_per_dim/discretized: by the probability of each value's bin, P(v | z) = the mass of p between v - 1/2 and
  v + 1/2, the two outer bins with the tails (Salimans et al. 2017), z ~ q(z | x).
  bits_per_dim/dequantized: by the density at v + u - 1/2, u uniform in [0, 1), per unit of v, z ~ q(z | that): a bound
  of the log-mass of the bins without the tails (Theis et al. 2016, section 3.1).
  """

  name = 'bits_per_dim'

  def __init__(self, spec):
    super().__init__(spec)
    self._sums = tf.function(self._batch_sums, autograph=False)

  def evaluate(self, model, split):
    means = split.sampled_means(model, lambda *batch: self._sums(model, split, *batch))
    return Found({name: float(-value / (math.prod(model.shape) * math.log(2))) for name, value in means.items()}, {})

  def _batch_sums(self, model, split, number, stored, samples):
    batch, noise = split.batch(stored), split.sample_noise(number, samples)
    trace = model.infer(batch, noise, samples.size)
    elbo = trace.terms()['elbo']
    if split.source.section.binarize != 'none':
      found = {'bits_per_dim': elbo}
    else:
      data = split.source.dataset
      mass = _log_mass(trace.px, tf.cast(stored['x'], trace.x.dtype), data)
      uniform = noise.uniform('dequantize', trace.x.shape, dtype=trace.x.dtype)
      smooth = model.infer(
        batch | {'x': trace.x + data.scale * (uniform - 0.5)}, noise.scope('dequantized'), samples.size
      )
      unit = math.prod(model.shape) * math.log(data.scale)
      found = {
        'bits_per_dim/discretized': elbo - trace.log_likelihood() + tf.reduce_mean(mass, 0),
        'bits_per_dim/dequantized': smooth.terms()['elbo'] + unit,
      }
    return {name: masked_sum(value, batch['mask']) for name, value in found.items()}


def _log_mass(px, values, data):
  """log P(v | z), [S, B], of the whole numbers `values` [B, ...] under a Gaussian p(x | z) of the scaled data."""
  normal = px.distribution  # TFP's bins are (v - 1, v]
  loc = (normal.loc - data.offset) / data.scale - 0.5
  mass = tfd.QuantizedDistribution(tfd.Normal(loc, normal.scale / data.scale), data.limits[0], data.limits[1])
  return tf.reduce_sum(mass.log_prob(values), axis=list(range(2, loc.shape.rank)))
