"""The contract of families, and the KL between two distributions of one."""

import abc

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.estimators import Estimator
from tfvae.noise import Noise

tfd = tfp.distributions


class Family(keras.layers.Layer, abc.ABC):
  """features [N, ...] -> a TFP distribution with batch shape `batch_shape` (whose product is N; -1: of any size).

  A family owns the heads that turn features into the distribution's parameters. It rebuilds the distribution on each
  call and never keeps it. `shape` is the event shape.
  """

  def __init__(self, shape: tuple[int, ...], name: str | None = None):
    super().__init__(name=name)
    self.shape = tuple(shape)

  @abc.abstractmethod
  def call(self, features: tf.Tensor, batch_shape: tuple[int, ...]) -> tfd.Distribution:
    """The distribution whose parameters the heads make of the features."""

  @abc.abstractmethod
  def sample(self, distribution: tfd.Distribution, noise: Noise, name: str, lead: tuple[int, ...]) -> tf.Tensor:
    """A sample [*lead, *shape] made from `noise`, differentiable in the parameters where that is possible.

    `lead` is [S, B], to which the distribution's batch shape is broadcast.
    """

  @abc.abstractmethod
  def parameters(self, distribution: tfd.Distribution) -> dict[str, tf.Tensor]:
    """Its parameters under TFP's names, each [*batch_shape, *shape]; of a likelihood, those beside the mean.

    This is what encoding and decoding show of it.
    """

  def unfold(self, tensor: tf.Tensor, batch_shape: tuple[int, ...]) -> tf.Tensor:
    """[N, ...] -> [*batch_shape, ...]."""
    return tf.reshape(tensor, [*batch_shape, *tensor.shape[1:]])


class LatentFamily(Family):
  """A family of latent layers.

  Attributes:
    discrete: whether samples have no path for gradients of their own.
  """

  discrete = False

  @abc.abstractmethod
  def sample(
    self,
    distribution: tfd.Distribution,
    noise: Noise,
    name: str,
    lead: tuple[int, ...],
    estimator: Estimator | None = None,
  ) -> tf.Tensor:
    """As `Family.sample`. `estimator`: of the gradient, where the family is discrete. None: it lets none through."""

  def location(self, distribution: tfd.Distribution) -> tf.Tensor:
    """The one value that stands for the distribution: its mean; of bits, the most probable state."""
    return distribution.mean()

  def evidence(self, features: tf.Tensor) -> tf.Tensor:
    """In a ladder: what features of x add to the natural parameters, as the head gives it, [N, ...]."""
    with keras.name_scope(self.name):  # as calling the layer would do
      if not self.built:
        self.build(features.shape)
      return self.head(features)

  @abc.abstractmethod
  def combine(self, evidence: tf.Tensor, prior: tfd.Distribution) -> tfd.Distribution:
    """q(z_l | z_>l, x) of a ladder: `evidence` [B, ...] and the prior's natural parameters, added. Batch shape [S, B].

    prior: p(z_l | z_>l), batch shape [S, B], or [] at the top (then [1, B]).
    """


def kl(q: tfd.Distribution, p: tfd.Distribution, log_q: tf.Tensor, log_p: tf.Tensor) -> tf.Tensor:
  """KL(q || p) in nats: analytic where TFP knows it, else the one-sample estimate log q - log p."""
  try:
    return tfd.kl_divergence(q, p)
  except NotImplementedError:
    return log_q - log_p
