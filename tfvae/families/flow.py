"""Flow posteriors: a Gaussian that an invertible map turns into q (Rezende & Mohamed 2015; Rezende & Viola 2018)."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import LatentFamily
from tfvae.families.gaussian import DiagonalGaussian
from tfvae.nets.real_nvp import RealNvp

tfd = tfp.distributions


class Flowed(tfd.Distribution):
  """The distribution of z = f(z0), z0 ~ base, f invertible: log q(z) = log base(f^-1(z)) + log |det df^-1/dz|.

  It has no mean, variance or entropy in closed form, and does not offer any.

  Args:
    base: of z0, with its batch shape.
    flow: what has f as `forward` and `inverse`.
    contexts: what these take beside z.
  """

  def __init__(self, base: tfd.Distribution, flow: keras.layers.Layer, contexts: list[tf.Tensor]):
    self.base, self.flow, self.contexts = base, flow, contexts
    super().__init__(
      dtype=base.dtype,
      reparameterization_type=tfd.FULLY_REPARAMETERIZED,
      validate_args=False,
      allow_nan_stats=False,
      parameters={'base': base, 'flow': flow, 'contexts': contexts},
      name='Flowed',
    )

  def forward(self, z0: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(f(z0), log |det df/dz0|)."""
    return self.flow.forward(z0, self.contexts)

  def _log_prob(self, z):
    z0, log_determinant = self.flow.inverse(z, self.contexts)
    return self.base.log_prob(z0) + log_determinant

  def _batch_shape_tensor(self):
    return self.base.batch_shape_tensor()

  def _batch_shape(self):
    return self.base.batch_shape

  def _event_shape_tensor(self):
    return self.base.event_shape_tensor()

  def _event_shape(self):
    return self.base.event_shape


class FlowPosterior(LatentFamily):
  """q is that of another family, moved by a flow that is conditioned on the same features; p stays that family's own.

  In a ladder it is the merged Gaussian that is moved, by the features of x.

  Its q has no closed form but its density: KLs and entropies are from samples (None here). Its `location` is the image
  of the base's, which is no mean, and as a rule no mode.

  Args:
    base: the family of p, and of q before the flow.
    flow: (features, batch_shape) -> contexts, `forward` and `inverse`.
  """

  def __init__(self, base: LatentFamily, flow: keras.layers.Layer, name: str | None = None):
    super().__init__(base.shape, name=name)
    self.base, self.flow = base, flow
    self.built = True  # it has no weights of its own

  @property
  def head(self) -> keras.layers.Layer:
    """The base's."""
    return self.base.head

  def call(self, features, batch_shape):
    return self._moved(self.base(features, batch_shape=batch_shape), features, batch_shape)

  def _moved(self, base, features, batch_shape):
    return Flowed(base, self.flow, self.flow(features, batch_shape=batch_shape))

  def evidence(self, features):
    with keras.name_scope(self.name):  # as calling the layer would do
      return self.base.evidence(features)

  def combine(self, evidence, prior, features):
    with keras.name_scope(self.name):
      return self._moved(self.base.combine(evidence, prior, features), features, (1, -1))

  def sample(self, distribution, noise, name, lead, estimator=None):
    return self.sample_and_log_prob(distribution, noise, name, lead, estimator)[0]

  def sample_and_log_prob(self, distribution, noise, name, lead, estimator=None):
    """As of any family; log q(z) = log base(z0) - log |det dz/dz0|, without going back from z."""
    if not isinstance(distribution, Flowed):
      return self.base.sample_and_log_prob(distribution, noise, name, lead, estimator)
    z0, log_base = self.base.sample_and_log_prob(distribution.base, noise, name, lead, estimator)
    z, log_determinant = distribution.forward(z0)
    return z, log_base - log_determinant

  def location(self, distribution):
    if not isinstance(distribution, Flowed):
      return self.base.location(distribution)
    return distribution.forward(self.base.location(distribution.base))[0]

  def parameters(self, distribution):
    """location, and those of the base as base_<name>; of p, the base's own."""
    if not isinstance(distribution, Flowed):
      return self.base.parameters(distribution)
    base = {f'base_{name}': value for name, value in self.base.parameters(distribution.base).items()}
    return {'location': self.location(distribution), **base}

  def kl(self, q, p):
    return None if isinstance(q, Flowed) else self.base.kl(q, p)

  def unit_kl(self, q, p):
    return None if isinstance(q, Flowed) else self.base.unit_kl(q, p)

  def entropy(self, distribution):
    return None if isinstance(distribution, Flowed) else self.base.entropy(distribution)

  def unit_entropy(self, distribution):
    return None if isinstance(distribution, Flowed) else self.base.unit_entropy(distribution)

  def moments(self, distribution):
    return None if isinstance(distribution, Flowed) else self.base.moments(distribution)

  def standardize(self, distribution, z):
    return self.base.standardize(distribution, z)

  def at(self, distribution, eps):
    return self.base.at(distribution, eps)


class RealNvpPosterior(FlowPosterior):
  """A diagonal Gaussian moved by real NVP: VAE+NVP (Rezende & Viola 2018)."""

  @classmethod
  def from_section(cls, section, shape, kernel: int, name: str):
    base = DiagonalGaussian.from_section(section, shape, kernel, 'base')
    flow = RealNvp(*shape, section.flow_steps, section.flow_hidden, name='flow')
    return cls(base, flow, name=name)
