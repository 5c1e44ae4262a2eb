"""Categorical variables as one-hot vectors: latent layers."""

import itertools

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.estimators import Draw
from tfvae.families.family import LatentFamily
from tfvae.nets.heads import Head
from tfvae.noise import Noise

tfd = tfp.distributions


class _OneHot(tfd.OneHotCategorical):
  """TFP's, whose log_prob lets gradients through to the event: it is linear there, as estimators need it."""

  def _log_prob(self, event):
    return tf.reduce_sum(event * tf.nn.log_softmax(self.logits_parameter()), -1)


def independent(logits: tf.Tensor) -> tfd.Independent:
  """Independent one-hot vectors, one for each group: logits [..., groups, categories]."""
  return tfd.Independent(_OneHot(logits=logits, dtype=logits.dtype), 1)


class OneHot(LatentFamily):
  """Groups of categories, z [S, B, groups, categories]: of each group one category is 1.0 and the others are 0.0.

  The logits are a head of the features. A unit is a group.
  """

  space = 'one-hot'

  def __init__(self, shape: tuple[int, ...], name: str | None = None):
    super().__init__(shape, name=name)
    self.head = Head(self.shape, name='head')

  @classmethod
  def event_shape(cls, section):
    return (section.groups, section.dim)

  @classmethod
  def from_section(cls, section, shape, kernel: int, name: str):
    del section, kernel
    return cls(shape, name=name)

  def build(self, input_shape):
    self.built = True  # it has no weights of its own

  def call(self, features, batch_shape):
    return independent(self.unfold(self.head(features), batch_shape))

  def offsets(self, reach, steps):
    return np.arange(self.shape[1])

  def moved(self, eps, units, offsets):
    moved = eps.copy()
    moved[np.arange(len(eps)), units] = np.eye(self.shape[1], dtype=eps.dtype)[offsets]
    return moved

  @property
  def origin(self):
    return np.eye(self.shape[1], dtype=np.float32)[np.zeros(self.shape[0], int)]

  @property
  def information_shape(self):
    return (self.shape[0], self.shape[1] + 1)

  def information_statistics(self, distribution):
    """The probabilities of each group and its entropy, [*batch, groups, categories + 1]."""
    categories = distribution.distribution
    return tf.concat([categories.mean(), categories.entropy()[..., None]], -1)

  def information(self, means):
    probs, conditional = tf.split(means, [self.shape[1], 1], -1)
    return -tf.reduce_sum(tf.math.xlogy(probs, probs), -1) - conditional[..., 0]

  @property
  def unit_states(self):
    return self.shape[1]

  @property
  def number_of_states(self):
    return self.shape[1] ** self.shape[0]

  def states(self):
    return np.array(list(itertools.product(np.eye(self.shape[1], dtype=np.float32), repeat=self.shape[0])))

  def combine(self, evidence, prior, features):
    del features
    return independent(self._logits(prior) + evidence[None])

  def sample(self, distribution, noise: Noise, name: str, lead, estimator=None):
    """The largest of logits + Gumbel noise (Gumbel 1954); softened, softmax((logits + noise) / T).

    The softened sample is that of Jang et al. 2017 and Maddison et al. 2017.
    """
    logits = self._logits(distribution)
    uniform = noise.uniform(name, (*lead, *self.shape), batch_axis=1, dtype=logits.dtype)
    smallest = np.finfo(uniform.dtype.as_numpy_dtype).eps / 4  # a uniform number may be 0, but not 1
    perturbed = logits - tf.math.log(-tf.math.log(tf.maximum(uniform, smallest)))
    z = tf.stop_gradient(self._largest(perturbed))
    if estimator is None:
      return z
    draw = Draw(z, logits, tf.nn.softmax(logits), lambda temperature: tf.nn.softmax(perturbed / temperature))
    return estimator.through(draw)

  def location(self, distribution):
    return self._largest(self._logits(distribution))

  def parameters(self, distribution):
    return {'logits': self._logits(distribution)}

  def _logits(self, distribution):
    return distribution.distribution.logits_parameter()

  def _largest(self, scores):
    return tf.one_hot(tf.argmax(scores, -1), self.shape[-1], dtype=scores.dtype)
