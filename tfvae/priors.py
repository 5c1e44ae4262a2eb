"""Priors of the latent layers: standard at the top, conditional below."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import Family
from tfvae.nets.heads import Join, density_dtype

tfd = tfp.distributions


class StandardPrior(keras.layers.Layer):
  """N(0, I) over `shape`; no weights, batch shape []."""

  def __init__(self, shape: tuple[int, ...], name: str | None = None):
    super().__init__(name=name, dtype=density_dtype())
    self.shape = tuple(shape)

  def call(self, above, batch_shape):
    del above, batch_shape
    loc = tf.zeros(self.shape, self.dtype)
    return tfd.Independent(tfd.Normal(loc, tf.ones_like(loc)), len(self.shape))


class ConditionalPrior(keras.layers.Layer):
  """p(z_l | above): the layers above, joined, through a net, to a family.

  Call: above, a list of [N, ...] -> a distribution with batch shape `batch_shape`.
  """

  def __init__(self, join: Join, net: keras.layers.Layer, family: Family, name: str | None = None):
    super().__init__(name=name)
    self.join, self.net, self.family = join, net, family

  def call(self, above, batch_shape):
    return self.family(self.net(self.join(above)), batch_shape=batch_shape)
