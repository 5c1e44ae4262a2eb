"""The contract of families: what is asked about a distribution is asked of its family, never of what it is made of."""

import abc

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.estimators import Estimator
from tfvae.making import Make
from tfvae.noise import Noise
from tfvae.observation import Observation

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
  def parameters(self, distribution: tfd.Distribution) -> dict[str, tf.Tensor]:
    """Its parameters under TFP's names, each [*batch_shape, *shape]; of a likelihood, those beside the mean.

    This is what encoding and decoding show of it.
    """

  def unfold(self, tensor: tf.Tensor, batch_shape: tuple[int, ...]) -> tf.Tensor:
    """[N, ...] -> [*batch_shape, ...]."""
    return tf.reshape(tensor, [*batch_shape, *tensor.shape[1:]])


class LatentFamily(Family):
  """A family of latent layers: it answers for the q and for the p of its layer, q(z_l | .) and p(z_l | .).

  An answer that has no closed form is None; whoever asked leaves it out, or estimates it from samples and says so.
  Below, `units` is what a unit's own numbers have for a shape: that of z, or of z without its last axis where a unit is
  one-hot.

  Attributes:
    space: of z: 'real', 'bits' (0.0 or 1.0) or 'one-hot'.
  """

  space = 'real'

  @classmethod
  def event_shape(cls, section) -> tuple[int, ...]:
    """Of z, by the section of a layer: [H], or [G, G, H] of a feature map."""
    return (section.grid, section.grid, section.dim) if section.grid else (section.dim,)

  @classmethod
  @abc.abstractmethod
  def from_section(cls, section, shape: tuple[int, ...], kernel: int, name: str) -> 'LatentFamily':
    """The family of a latent layer. `kernel`: of a head that doubles the net's feature map."""

  @property
  def pathwise(self) -> bool:
    """Whether samples carry gradients to the parameters of what they were drawn from."""
    return self.space == 'real'

  @abc.abstractmethod
  def sample(
    self,
    distribution: tfd.Distribution,
    noise: Noise,
    name: str,
    lead: tuple[int, ...],
    estimator: Estimator | None = None,
  ) -> tf.Tensor:
    """A sample [*lead, *shape] made from `noise`, differentiable in the parameters where it is pathwise.

    `lead` is [S, B], to which the distribution's batch shape is broadcast. `estimator`: of the gradient, where it is
    not pathwise. None: it lets none through.
    """

  def sample_and_log_prob(
    self,
    distribution: tfd.Distribution,
    noise: Noise,
    name: str,
    lead: tuple[int, ...],
    estimator: Estimator | None = None,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """A sample, and its log-density in nats, [S, B]."""
    z = self.sample(distribution, noise, name, lead, estimator)
    return z, distribution.log_prob(z)

  def pairwise_log_prob(self, distribution: tfd.Distribution, z: tf.Tensor) -> tf.Tensor:
    """Of each z_a [A, *shape] at each distribution, batch shape [1, B]: [A, B] nats, in float64."""
    pairs = tf.repeat(z[:, None], distribution.batch_shape[1] or distribution.batch_shape_tensor()[1], 1)
    return tf.cast(distribution.log_prob(pairs), tf.float64)

  def kl(self, q: tfd.Distribution, p: tfd.Distribution) -> tf.Tensor | None:
    """KL(q || p) in nats, [*batch]."""
    return tfd.kl_divergence(q, p)

  def unit_kl(self, q: tfd.Distribution, p: tfd.Distribution) -> tf.Tensor | None:
    """The part of each unit in KL(q || p), nats, [*batch, *units]."""
    return tfd.kl_divergence(q.distribution, p.distribution)

  def entropy(self, distribution: tfd.Distribution) -> tf.Tensor | None:
    """In nats, [*batch]."""
    return distribution.entropy()

  def unit_entropy(self, distribution: tfd.Distribution) -> tf.Tensor | None:
    """Of each unit, nats, [*batch, *units]."""
    return distribution.distribution.entropy()

  def moments(self, distribution: tfd.Distribution) -> tuple[tf.Tensor, tf.Tensor] | None:
    """Mean and variance of z, [*batch, *shape] each."""
    return distribution.mean(), distribution.variance()

  def location(self, distribution: tfd.Distribution) -> tf.Tensor:
    """The one value that stands for the distribution, [*batch, *shape]: its mean, or the most probable state."""
    return distribution.mean()

  def standardize(self, distribution: tfd.Distribution, z: tf.Tensor) -> tf.Tensor:
    """What `at` turns into z: of a real layer its standardised noise; else z itself."""
    del distribution
    return z

  def at(self, distribution: tfd.Distribution, eps: tf.Tensor) -> tf.Tensor:
    """z [*batch, *shape] of its standardised noise, mean + standard deviation * eps; else `eps` itself."""
    del distribution
    return eps

  def offsets(self, reach: float, steps: int) -> np.ndarray:
    """Where `moved` takes a unit in turn, [T]: up to `reach` either way, in so many steps; of states, all."""
    return np.linspace(-reach, reach, steps)

  def moved(self, eps: np.ndarray, units: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """`eps` [R, *shape] with one unit of each row moved: units, offsets [R]."""
    moved = eps.copy()
    moved[np.arange(len(eps)), ..., units] += offsets.reshape(-1, *[1] * (eps.ndim - 2))
    return moved

  @property
  def origin(self) -> np.ndarray:
    """The z at which chains may begin, `shape`."""
    return np.zeros(self.shape, np.float32)

  # Of what has states, to tell how much a unit knows of its parents.

  @property
  def information_shape(self) -> tuple[int, ...]:
    """Of the statistics of one example."""
    raise TypeError(f'units of {type(self).__name__} have no states')

  def information_statistics(self, distribution: tfd.Distribution) -> tf.Tensor:
    """What `information` follows from, averaged over the parents: [*batch, *information_shape]."""
    raise TypeError(f'units of {type(self).__name__} have no states')

  def information(self, means: tf.Tensor) -> tf.Tensor:
    """H(E pi) - E H(pi) of each unit, pi being the probabilities of its states: nats, [*units]."""
    raise TypeError(f'units of {type(self).__name__} have no states')

  @property
  def unit_states(self) -> int:
    """That a unit has."""
    raise TypeError(f'units of {type(self).__name__} have no states')

  @property
  def number_of_states(self) -> int:
    """That z has."""
    raise TypeError(f'units of {type(self).__name__} have no states')

  def states(self) -> np.ndarray:
    """All of them, [M, *shape]."""
    raise TypeError(f'units of {type(self).__name__} have no states')

  # Of a ladder.

  def evidence(self, features: tf.Tensor) -> tf.Tensor:
    """In a ladder: what features of x add to the natural parameters, as the head gives it, [N, ...]."""
    with keras.name_scope(self.name):  # as calling the layer would do
      if not self.built:
        self.build(features.shape)
      return self.head(features)

  @abc.abstractmethod
  def combine(self, evidence: tf.Tensor, prior: tfd.Distribution | None, features: tf.Tensor) -> tfd.Distribution:
    """q(z_l | z_>l, x) of a ladder: `evidence` [B, ...] and the prior's natural parameters, added. Batch shape [S, B].

    prior: p(z_l | z_>l), batch shape [S, B], or [] at the top (then [1, B]). None: q of the evidence alone.
    features: of x, [B, ...], which gave the evidence.
    """


class Likelihood(Family):
  """p(x | z) of a decoder's features.

  Attributes:
    observation: what is known of x.
    mass: whether its density is the probability of the levels that x may have.
    closed_form: whether `update` sets a variance.
    variance_variables: the trainable variables that an optimizer of their own may move.
  """

  mass = False
  closed_form = False
  variance_variables: list | tuple = ()

  def __init__(self, observation: Observation, name: str | None = None):
    super().__init__(observation.shape, name=name)
    self.observation = observation

  @classmethod
  @abc.abstractmethod
  def from_section(cls, section, observation: Observation, make: Make, name: str) -> 'Likelihood':
    """The likelihood of spec.decoder. `make` builds by name what it needs."""

  @abc.abstractmethod
  def sample(self, px: tfd.Distribution, noise: Noise, name: str, lead: tuple[int, ...]) -> tf.Tensor:
    """A sample [*lead, *shape] made from `noise`; `lead` is [S, B]."""

  def mean(self, px: tfd.Distribution) -> tf.Tensor:
    """E[x | z], [S, B, *shape]."""
    return px.mean()

  def mode(self, px: tfd.Distribution) -> tf.Tensor:
    """The most probable x, [S, B, *shape]."""
    return px.mode()

  def image(self, px: tfd.Distribution) -> tf.Tensor:
    """x as a picture to be scored, [S, B, *shape]: the mean, or what is more probable where that is no picture."""
    return self.mean(px)

  def log_mass(self, px: tfd.Distribution, x: tf.Tensor) -> tf.Tensor | None:
    """log P(x | z) in nats, [S, B], of x [B, *shape] of `observation.levels`; None where no probability is meant."""
    return px.log_prob(x) if self.mass else None

  def entropy(self, px: tfd.Distribution) -> tf.Tensor | None:
    """In nats, [S, B]; None where there is no closed form."""
    return px.entropy()

  def diagnostics(self, px: tfd.Distribution) -> dict[str, tf.Tensor]:
    """Numbers of this likelihood beside what every model reports, [S, B] each."""
    del px
    return {}

  def update(self, means: dict[str, tf.Tensor]) -> None:
    """Sets a closed-form variance, given what `Hierarchy.statistics` tells; nothing to do for the others."""
