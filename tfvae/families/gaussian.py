"""Diagonal Gaussians: latent layers and the Gaussian decoder."""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import LatentFamily, Likelihood
from tfvae.making import Make
from tfvae.nets.heads import Head, density_dtype
from tfvae.noise import Noise
from tfvae.observation import Observation

tfd = tfp.distributions


def _reparameterize(distribution, shape, noise, name, lead):
  normal = distribution.distribution
  eps = noise.normal(name, (*lead, *shape), batch_axis=1, dtype=normal.dtype)
  return normal.loc + normal.scale * eps


def quantized_log_mass(loc: tf.Tensor, scale: tf.Tensor, x: tf.Tensor, observation: Observation) -> tf.Tensor:
  """log P(x) in nats, [S, B]: the mass of N(loc, scale^2) from half a level below each value to half a level above.

  The two outer levels have the tails (Salimans et al. 2017).

  Args:
    loc, scale: [S, B, ...], or what is broadcast to that, in the units of x.
    x: [B, ...], of the levels of `observation`.
  """
  low, step, levels = observation.low, observation.step, observation.levels
  # TFP's bins are (v - 1, v].
  mass = tfd.QuantizedDistribution(tfd.Normal((loc - low) / step - 0.5, scale / step), 0.0, levels - 1.0)
  return tf.reduce_sum(mass.log_prob(tf.round((x - low) / step)), axis=list(range(-len(observation.shape), 0)))


class Gaussian(tfd.Independent):
  """Independent normal variables: `tfd.Independent` of a `tfd.Normal`, with a density that costs less.

  One scale for all of x divides the sum of squares rather than each of them, so that its gradient needs no sum over
  the dimensions of x. Else x - loc is divided at once, where TFP takes the difference of x / scale and loc / scale.
  """

  def _log_prob(self, x):
    loc, scale = self.distribution.loc, self.distribution.scale
    axes = list(range(-self.event_shape.rank, 0))
    constant = 0.5 * math.log(2 * math.pi) * self.event_shape.num_elements()
    if scale.shape.rank == 0:
      squares = tf.reduce_sum(tf.square(x - loc), axes)
      return -0.5 * squares / tf.square(scale) - self.event_shape.num_elements() * tf.math.log(scale) - constant
    return tf.reduce_sum(-0.5 * tf.square((x - loc) / scale) - tf.math.log(scale), axes) - constant


class DiagonalGaussian(LatentFamily):
  """N(loc, scale^2) with independent units; loc and scale are heads of the features.

  scale_head 'log': scale = exp(output). 'softplus': scale = softplus(output), kept above 1e-6. 'shared': loc alone is
  a head; one learned scale for each unit, the same for all features, 1 at the start (the linear VAE's: Lucas et al.
  2019). The kernels are those of `Head`.
  """

  def __init__(
    self,
    shape: tuple[int, ...],
    scale_head: str = 'log',
    kernel: int = 3,
    head_kernel: int = 1,
    name: str | None = None,
  ):
    super().__init__(shape, name=name)
    self.scale_head = scale_head
    outputs = self.shape if scale_head == 'shared' else (*self.shape[:-1], 2 * self.shape[-1])
    self.head = Head(outputs, kernel, head_kernel, name='head')

  def build(self, input_shape):
    if self.scale_head == 'shared':
      dtype = density_dtype()
      self.log_scale = self.add_weight(shape=self.shape, initializer='zeros', dtype=dtype, name='log_scale')
    self.built = True

  def call(self, features, batch_shape):
    outputs = self.unfold(self.head(features), batch_shape)
    return Gaussian(tfd.Normal(*self._loc_and_scale(outputs)), len(self.shape))

  def _loc_and_scale(self, outputs):
    if self.scale_head == 'shared':
      return outputs, tf.exp(tf.convert_to_tensor(self.log_scale))
    loc, raw = tf.split(outputs, 2, axis=-1)
    return loc, tf.exp(raw) if self.scale_head == 'log' else tf.nn.softplus(raw) + 1e-6

  def combine(self, evidence, prior, features):
    """N(m, s^2) of evidence times the prior: precisions add, and means weighted by them (Sonderby et al. 2016)."""
    del features
    loc, scale = self._loc_and_scale(evidence[None])
    if prior is None:
      return Gaussian(tfd.Normal(loc, scale), len(self.shape))
    precision, prior_precision = 1 / tf.square(scale), 1 / prior.variance()
    total = precision + prior_precision
    return Gaussian(
      tfd.Normal((loc * precision + prior.mean() * prior_precision) / total, tf.math.rsqrt(total)), len(self.shape)
    )

  def sample(self, distribution, noise: Noise, name: str, lead, estimator=None):
    """Reparameterised, whatever the estimator."""
    return _reparameterize(distribution, self.shape, noise, name, lead)

  def pairwise_log_prob(self, distribution, z):
    """(z - m)^2 / s^2 summed over the units, multiplied out: two products of matrices. In float64, as it cancels."""
    loc, scale = (tf.cast(value, tf.float64) for value in (distribution.mean(), distribution.stddev()))
    units = math.prod(self.shape)
    loc, scale = (tf.reshape(value, [-1, units]) for value in (loc, tf.broadcast_to(scale, tf.shape(loc))))
    z, middle = tf.reshape(tf.cast(z, tf.float64), [-1, units]), tf.reduce_mean(loc, 0)
    z, loc, precision = z - middle, loc - middle, tf.square(1 / scale)
    squares = tf.matmul(tf.square(z), precision, transpose_b=True) - 2 * tf.matmul(z, loc * precision, transpose_b=True)
    constant = tf.reduce_sum(tf.square(loc) * precision + 2 * tf.math.log(scale), 1) + units * math.log(2 * math.pi)
    return -0.5 * (squares + constant)

  def standardize(self, distribution, z):
    return (z - distribution.mean()) / distribution.stddev()

  def at(self, distribution, eps):
    return distribution.mean() + distribution.stddev() * eps

  def parameters(self, distribution):
    return {'loc': distribution.mean(), 'scale': distribution.stddev()}

  @classmethod
  def from_section(cls, section, shape, kernel: int, name: str):
    return cls(shape, section.scale_head, kernel, section.head_kernel, name=name)


class GaussianLikelihood(Likelihood):
  """p(x | z) = N(loc(z), sigma^2), sigma by one of the modes of `variance.py`."""

  def __init__(
    self,
    observation: Observation,
    variance: keras.layers.Layer,
    kernel: int = 3,
    head_kernel: int = 1,
    name: str | None = None,
  ):
    super().__init__(observation, name=name)
    self.variance = variance
    self.head = Head(self.shape, kernel, head_kernel, name='head')

  def call(self, features, batch_shape):
    loc = self.unfold(self.head(features), batch_shape)
    sigma = tf.exp(self.variance(features, batch_shape=batch_shape))
    return Gaussian(tfd.Normal(loc, sigma), len(self.shape))

  def sample(self, distribution, noise: Noise, name: str, lead):
    return _reparameterize(distribution, self.shape, noise, name, lead)

  def moved(self, distribution, to):
    """The distribution with other means and standard deviations: to(loc, sigma), sigma a scalar where it is one."""
    normal = distribution.distribution
    return Gaussian(tfd.Normal(*to(normal.loc, normal.scale)), len(self.shape))

  def log_mass(self, px, x):
    """By the mass of the density at each level: `quantized_log_mass`."""
    return quantized_log_mass(px.distribution.loc, px.distribution.scale, x, self.observation)

  def parameters(self, distribution):
    return {'scale': distribution.stddev()}

  @classmethod
  def from_section(cls, section, observation, make: Make, name: str):
    variance = make.variance(section, observation.shape, 'variance')
    return cls(observation, variance, section.net.kernel, section.head_kernel, name=name)

  def diagnostics(self, distribution) -> dict[str, tf.Tensor]:
    """sigma [S, B]: the root of the mean variance over the dimensions of x.

    Where sigma is fixed also log_likelihood_constant, -1/2 sum_d log(2 pi sigma_d^2) nats: the density at x = E[x | z],
    which nothing that is learned moves.
    """
    scale, axes, found = distribution.distribution.scale, list(range(-len(self.shape), 0)), {}
    if self.variance.fixed:
      dims, logs = math.prod(self.shape), tf.math.log(scale)
      logs = tf.reduce_sum(logs, axes) if scale.shape.rank else dims * logs
      found['log_likelihood_constant'] = -logs - 0.5 * math.log(2 * math.pi) * dims
    found['sigma'] = tf.sqrt(tf.reduce_mean(tf.square(scale), axes)) if scale.shape.rank else scale
    return {name: tf.broadcast_to(value, distribution.batch_shape_tensor()) for name, value in found.items()}

  @property
  def variance_variables(self) -> list:
    """The trainable variables that an optimizer of their own may move."""
    return self.variance.trainable_variables

  @property
  def closed_form(self) -> bool:
    """Whether sigma is set in `update` rather than by gradients."""
    return self.variance.closed_form

  def update(self, means: dict[str, tf.Tensor]) -> None:
    """Sets a closed-form sigma from the mean squared error over batch, samples and dimensions."""
    self.variance.update(means['mse'])
