"""Bernoulli variables: latent layers and the Bernoulli decoder."""

import itertools
import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.estimators import Draw
from tfvae.families.family import LatentFamily, Likelihood
from tfvae.making import Make
from tfvae.nets.heads import Head
from tfvae.noise import Noise
from tfvae.observation import Observation

tfd = tfp.distributions


class _Bernoulli(tfd.Bernoulli):
  """TFP's, with the cross-entropy of the logits for log_prob: the same numbers by a third of the operations."""

  def _log_prob(self, event):
    logits = self.logits_parameter()
    event = tf.cast(event, logits.dtype) + tf.zeros_like(logits)
    if logits.shape.as_list() != event.shape.as_list():  # a prior's, or that of many samples
      logits += tf.zeros_like(event)
    return -tf.nn.sigmoid_cross_entropy_with_logits(event, logits)


def independent(logits: tf.Tensor, ndims: int) -> tfd.Independent:
  """Independent bits over the last `ndims` axes."""
  return tfd.Independent(_Bernoulli(logits=logits, dtype=logits.dtype), ndims)


class DiagonalBernoulli(LatentFamily):
  """Independent bits; their logits are a head of the features. Bits are 0.0 or 1.0."""

  space = 'bits'

  def __init__(self, shape: tuple[int, ...], kernel: int = 3, head_kernel: int = 1, name: str | None = None):
    super().__init__(shape, name=name)
    self.head = Head(self.shape, kernel, head_kernel, name='head')

  def build(self, input_shape):
    self.built = True  # it has no weights of its own

  def call(self, features, batch_shape):
    return independent(self.unfold(self.head(features), batch_shape), len(self.shape))

  def location(self, distribution):
    logits = distribution.distribution.logits_parameter()
    return tf.cast(logits > 0, logits.dtype)

  def offsets(self, reach, steps):
    return np.arange(2)

  def moved(self, eps, units, offsets):
    moved = eps.copy()
    moved[np.arange(len(eps)), ..., units] = offsets.reshape(-1, *[1] * (eps.ndim - 2))
    return moved

  @property
  def information_shape(self):
    return (2, *self.shape)

  def information_statistics(self, distribution):
    """The probability of each bit and its entropy, [*batch, 2, *shape]."""
    bits = distribution.distribution
    return tf.stack([bits.mean(), bits.entropy()], axis=-1 - len(self.shape))

  def information(self, means):
    probs, conditional = tf.unstack(means, axis=-1 - len(self.shape))
    # By rounding, the mean of a bit that is always 1 may exceed 1, which has no entropy.
    return tfd.Bernoulli(probs=tf.clip_by_value(probs, 0, 1)).entropy() - conditional

  unit_states = 2

  @property
  def number_of_states(self):
    return 2 ** math.prod(self.shape)

  def states(self):
    table = np.array(list(itertools.product((0, 1), repeat=math.prod(self.shape))), np.float32)
    return table.reshape(-1, *self.shape)

  def combine(self, evidence, prior, features):
    del features
    return independent(prior.distribution.logits_parameter() + evidence[None], len(self.shape))

  def sample(self, distribution, noise: Noise, name: str, lead, estimator=None):
    """Bits drawn by comparing probabilities with uniform noise."""
    logits = distribution.distribution.logits_parameter()
    probs = tf.sigmoid(logits)
    uniform = noise.uniform(name, (*lead, *self.shape), batch_axis=1, dtype=probs.dtype)

    def relaxed(temperature):
      clipped = tf.clip_by_value(uniform, 1e-6, 1 - 1e-6)
      logistic = tf.math.log1p(-clipped) - tf.math.log(clipped)  # u < p where l + logistic > 0
      return tf.sigmoid((logits + logistic) / temperature)

    bits = tf.stop_gradient(tf.cast(uniform < probs, probs.dtype))
    return estimator.through(Draw(bits, logits, probs, relaxed)) if estimator else bits

  def parameters(self, distribution):
    return {'logits': distribution.distribution.logits_parameter()}

  @classmethod
  def from_section(cls, section, shape, kernel: int, name: str):
    return cls(shape, kernel, section.head_kernel, name=name)


class BernoulliLikelihood(Likelihood):
  """p(x | z) = prod_d Bernoulli(x_d; sigmoid(logits_d(z))), for x in [0, 1].

  For x strictly inside, the density is the cross-entropy's exponential, as Kingma & Welling use it on grey values.
  """

  mass = True

  def __init__(self, observation: Observation, kernel: int = 3, head_kernel: int = 1, name: str | None = None):
    super().__init__(observation, name=name)
    self.head = Head(self.shape, kernel, head_kernel, name='head')

  def call(self, features, batch_shape):
    logits = self.unfold(self.head(features), batch_shape)
    return independent(logits, len(self.shape))

  def sample(self, distribution, noise: Noise, name: str, lead):
    probs = distribution.mean()
    uniform = noise.uniform(name, (*lead, *self.shape), batch_axis=1, dtype=probs.dtype)
    return tf.cast(uniform < probs, probs.dtype)

  def image(self, px):
    """Black or white, whichever is more probable."""
    mean = self.mean(px)
    return tf.cast(mean > 0.5, mean.dtype)

  def parameters(self, distribution):
    return {'logits': distribution.distribution.logits_parameter()}

  @classmethod
  def from_section(cls, section, observation, make: Make, name: str):
    del make
    return cls(observation, section.net.kernel, section.head_kernel, name=name)
