"""Bits per dimension of discrete data."""

import math

import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found, masked_sum


class BitsPerDim(Evaluator):
  """-ELBO / (D log 2) of discrete data: an upper bound of the bits that a dimension costs.

  Where the decoder gives probabilities of the values of x (binary data with a Bernoulli decoder): bits_per_dim.
  Images of whole numbers v (8 bits: 0..255) where it gives a density p, in the scaled units:

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
    likelihood = model.decoder.likelihood
    if likelihood.mass:
      found = {'bits_per_dim': elbo}
    else:
      target, step = trace.target, likelihood.observation.step
      mass, uniform = (
        likelihood.log_mass(trace.px, target),
        noise.uniform('dequantize', target.shape, dtype=target.dtype),
      )
      smooth = {'target' if 'target' in batch else 'x': target + step * (uniform - 0.5)}
      smooth = model.infer(batch | smooth, noise.scope('dequantized'), samples.size)
      unit = math.prod(model.shape) * math.log(step)
      found = {
        'bits_per_dim/discretized': elbo - trace.log_likelihood() + tf.reduce_mean(mass, 0),
        'bits_per_dim/dequantized': smooth.terms()['elbo'] + unit,
      }
    return {name: masked_sum(value, batch['mask']) for name, value in found.items()}
