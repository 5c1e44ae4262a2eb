"""The variance of the Gaussian decoder: five modes, each a layer that gives log sigma."""

import abc
import math

import keras
import tensorflow as tf

from tfvae.nets.heads import Head, density_dtype


def soft_floor(log_sigma: tf.Tensor, floor: float) -> tf.Tensor:
  """m + softplus(log sigma - m) with m = log(floor); log sigma itself where the floor is 0."""
  if not floor:
    return log_sigma
  m = math.log(floor)
  return m + tf.nn.softplus(log_sigma - m)


def before_floor(log_sigma: float, floor: float) -> float:
  """The value that `soft_floor` maps to log_sigma: m + log(exp(log_sigma - m) - 1)."""
  if not floor:
    return log_sigma
  excess = log_sigma - math.log(floor)
  return log_sigma + math.log(-math.expm1(-excess)) if excess > 1e-6 else math.log(floor) + math.log(1e-6)


class Variance(keras.layers.Layer, abc.ABC):
  """features [N, ...] -> log sigma, broadcastable to [*batch_shape, *shape].

  Args:
    shape: event shape of x.
    sigma: the fixed or initial standard deviation.
    floor: lower limit of sigma.
  """

  closed_form = fixed = False

  def __init__(self, shape: tuple[int, ...], sigma: float, floor: float, kernel: int = 3, name: str | None = None):
    super().__init__(name=name, dtype=density_dtype())
    self.shape, self.sigma, self.floor, self.kernel = tuple(shape), sigma, floor, kernel

  @classmethod
  def from_section(cls, section, shape: tuple[int, ...], name: str) -> 'Variance':
    """That of spec.decoder."""
    return cls(shape, section.sigma, section.sigma_floor, section.net.kernel, name=name)

  @abc.abstractmethod
  def call(self, features, batch_shape):
    """log sigma."""

  def update(self, mse: tf.Tensor) -> None:
    """Moves a closed-form sigma; nothing to do for the others."""


class Fixed(Variance):
  """sigma as given."""

  fixed = True

  def call(self, features, batch_shape):
    return tf.constant(math.log(self.sigma), self.dtype)

  @classmethod
  def from_section(cls, section, shape, name):
    if not section.sigma_until:
      return super().from_section(section, shape, name)
    return Falling(shape, section.sigma_from, section.sigma_floor, section.net.kernel, name=name)


class Falling(Variance):
  """sigma as `set` says, which no gradient moves: `sigma` at first."""

  fixed = True

  def build(self, input_shape):
    start = keras.initializers.Constant(math.log(self.sigma))
    self.log_sigma = self.add_weight(shape=(), initializer=start, trainable=False, name='log_sigma')
    self.built = True

  def call(self, features, batch_shape):
    return tf.convert_to_tensor(self.log_sigma)

  def set(self, sigma: tf.Tensor) -> None:
    """Moves it."""
    self.log_sigma.assign(tf.cast(tf.math.log(sigma), self.dtype))


class Learned(Variance):
  """One learned log sigma."""

  @property
  def variable_shape(self):
    return ()

  def build(self, input_shape):
    start = keras.initializers.Constant(before_floor(math.log(self.sigma), self.floor))
    self.log_sigma = self.add_weight(shape=self.variable_shape, initializer=start, name='log_sigma')
    self.built = True

  def call(self, features, batch_shape):
    return soft_floor(tf.convert_to_tensor(self.log_sigma), self.floor)


class PerDimension(Learned):
  """A learned log sigma for each dimension of x."""

  @property
  def variable_shape(self):
    return self.shape


class Latent(Variance):
  """sigma(z): a head of the decoder's features, for each dimension of x. It starts around `sigma`."""

  def build(self, input_shape):
    self.head = Head(self.shape, self.kernel, name='head')
    self.built = True

  def call(self, features, batch_shape):
    start = before_floor(math.log(self.sigma), self.floor)
    return soft_floor(start + tf.reshape(self.head(features), [*batch_shape, *self.shape]), self.floor)


class Optimal(Variance):
  """sigma^2 = the mean of (x - loc)^2 over the global batch, the samples and the dimensions; no gradient.

  Closed form of the learned variance (Damm et al. 2023, section 2; Rybkin et al. 2021). `update` sets it after each
  step; evaluation sets it to the training split's value.
  """

  closed_form = True

  def build(self, input_shape):
    start = keras.initializers.Constant(math.log(max(self.sigma, self.floor)))
    self.log_sigma = self.add_weight(shape=(), initializer=start, trainable=False, name='log_sigma')
    self.built = True

  def call(self, features, batch_shape):
    return tf.convert_to_tensor(self.log_sigma)

  def update(self, mse):
    smallest = max(self.floor**2, 1e-12)  # a perfect reconstruction has no finite density
    self.log_sigma.assign(0.5 * tf.math.log(tf.maximum(tf.cast(mse, self.dtype), smallest)))
