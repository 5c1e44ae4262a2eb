"""The negative log-likelihood with the sigma that the model's own errors tell, whatever it was trained with."""

import math

import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found, masked_sum
from tfvae.families.gaussian import quantized_log_mass
from tfvae.making import Make

SMALLEST = 1e-6  # sigma is at least so many levels: of a perfect reconstruction there is no density


class NllPerDimension(Evaluator):
  """nll_per_dimension: -E_q log P(x | z) / D of discrete data in nats, beta-independent (Rezende & Viola 2018, app. D).

  P is the mass of x's level (half a level below it to half a level above, the outer ones with the tails) under
  N(E[x | z], sigma^2), z ~ q(z | x). sigma is one number for all of x, found on the training split: sigma^2 is the mean
  of (x - E[x | z])^2 over examples, samples of q and dimensions. So models are compared whatever sigma, likelihood or
  betas they were trained with: the decoder's own sigma has no part in it, nor have the rates.

  nll_per_dimension_sigma: that sigma, in the units of x.
  """

  name = 'nll_per_dimension'

  def __init__(self, spec, observation):
    super().__init__(spec)
    self._observation = observation
    self._errors = tf.function(self._squared_errors, autograph=False)
    self._masses = tf.function(self._log_masses, autograph=False)

  @classmethod
  def from_spec(cls, spec, observation, make: Make, run=None, name: str = ''):
    del make, run, name
    return cls(spec, observation)

  def evaluate(self, model, split):
    training = split.other(split.source, 'train')
    error = training.sampled_means(model, lambda *batch: self._errors(model, training, *batch))['error']
    sigma = max(math.sqrt(error), SMALLEST * self._observation.step)
    scale = tf.constant(sigma, split.source.dtype)
    mass = split.sampled_means(model, lambda *batch: self._masses(model, split, scale, *batch))['mass']
    numbers = {'nll_per_dimension': -mass / math.prod(self._observation.shape), 'nll_per_dimension_sigma': sigma}
    return Found({name: float(value) for name, value in numbers.items()}, {})

  @staticmethod
  def _infer(model, split, number, stored, samples):
    batch = split.batch(stored)
    return batch, model.infer(batch, split.sample_noise(number, samples), samples.size)

  def _squared_errors(self, model, split, number, stored, samples):
    batch, trace = self._infer(model, split, number, stored, samples)
    return {'error': masked_sum(trace.squared_error(), batch['mask'])}

  def _log_masses(self, model, split, scale, number, stored, samples):
    batch, trace = self._infer(model, split, number, stored, samples)
    mass = quantized_log_mass(trace.mean, scale, trace.target, self._observation)
    return {'mass': masked_sum(tf.reduce_mean(mass, 0), batch['mask'])}
