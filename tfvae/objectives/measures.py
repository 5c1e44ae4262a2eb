"""What constraints are put on: numbers of single examples and samples, and the thresholds that they are to meet."""

import abc
import math
from collections.abc import Callable

import tensorflow as tf

from tfvae.errors import SpecError
from tfvae.making import Make
from tfvae.models.sight import Sight, leading
from tfvae.nets.patches import patches
from tfvae.objectives.terms import Seen, number
from tfvae.observation import Observation
from tfvae.spec.rules.constraint import drops


class Measure(abc.ABC):
  """A number of every example and sample, and what its mean is asked to be.

  Attributes:
    name: of the constraint.
    sign: 1: E[value] <= threshold is asked for (of a rate: =), C = value - threshold. -1: E[value] >= threshold,
      C = threshold - value.
    variables: name -> its state, keras.Variables.
    frozen: name -> identity of the trained networks of other runs that it uses.
  """

  sign = 1
  variables: dict = {}
  frozen: dict[str, str] = {}

  def __init__(self, name: str, kappa: float):
    self.name = name
    self.kappa = number(kappa, f'kappa_{name}', 'float64')

  def by(self, sight: Sight) -> 'Measure':
    """The same, which measures by a classifier."""
    self.frozen = {sight.frozen.name: sight.frozen.identity}
    return self

  @abc.abstractmethod
  def value(self, seen: Seen) -> tf.Tensor:
    """[S, B], differentiable in what the model made."""

  def threshold(self) -> tf.Tensor:
    """A scalar, float64, in the units of `value`."""
    return tf.convert_to_tensor(self.kappa)

  def fit(self, moments: Callable) -> None:
    """Finds what a relative threshold is relative to (`Watcher.fit`)."""

  def guess(self) -> tf.Tensor | float:
    """A multiplier that is about right."""
    return 1.0

  def equivalents(self, multiplier: tf.Tensor, average: tf.Tensor, threshold: tf.Tensor) -> dict[str, tf.Tensor]:
    """What the multiplier amounts to, as metrics. `average`: of C."""
    del multiplier, average, threshold
    return {}

  @classmethod
  @abc.abstractmethod
  def from_spec(cls, spec, observation: Observation, make: Make) -> list['Measure']:
    """Those of a spec."""


class SquaredError(Measure):
  """The squared error of n features of x, mean or sum; the threshold is kappa^2, or n kappa^2.

  With `relative` kappa is in units of the root of the mean variance of the features over the training split.
  """

  def __init__(self, name: str, size: int, section, alone: bool = False):
    super().__init__(name, section.kappa)
    self.size, self._relative, self._sum, self._alone = size, section.relative, section.reduce == 'sum', alone
    self._scale = number(1.0, f'scale_{name}', 'float64')
    if self._relative:
      self.variables = {f'scale/{name}': self._scale}

  def features(self, x: tf.Tensor, batch: dict) -> tf.Tensor:
    """Of x [..., B, *shape], made of the examples of a batch: [..., B, ...]."""
    del batch
    return x

  def value(self, seen):
    own, made = (self.features(x, seen.batch) for x in (seen.trace.target, seen.trace.mean))
    squares = tf.square(own - made)
    total = tf.reduce_sum(squares, axis=list(range(2, squares.shape.rank)))
    return total if self._sum else total / self.size

  def threshold(self):
    square = tf.square(tf.convert_to_tensor(self.kappa))
    if self._relative:
      square *= tf.square(tf.convert_to_tensor(self._scale))
    return self.size * square if self._sum else square

  def fit(self, moments):
    if self._relative:
      _, variance = moments(self.features)
      if not (mean := float(variance.mean())) > 0:
        what = f'spec.constraint.{self.name}.relative: got True, but what {self.name} measures'
        raise SpecError([f'{what} does not vary over the training split, so that there is no share of it; use False'])
      self._scale.assign(math.sqrt(mean))

  def guess(self):
    """That of a Gaussian whose variance is the threshold: beta 1 of the beta-VAE that it amounts to."""
    return self.size / (2 * self.threshold())

  def equivalents(self, multiplier, average, threshold):
    """Of an error of x alone, with betas of 1: the beta-VAE with N(E[x | z], sigma^2), sigma^2 the average error, whose
    loss has beta times the gradient.
    """
    if not self._alone:
      return {}
    error = tf.maximum(average + threshold, 1e-30)
    variance = error / self.size if self._sum else error
    beta = (1.0 if self._sum else self.size) / (2 * variance * multiplier)
    return {'beta_vae/sigma': tf.sqrt(variance), 'beta_vae/beta': beta}


class ReconstructionError(SquaredError):
  """re: (x - E[x | z])^2 (Rezende & Viola 2018, table 1)."""

  @classmethod
  def from_spec(cls, spec, observation, make: Make):
    names, given = tuple(spec.constraint.names), spec.objective
    alone = names == ('re',) and drops(names, spec.constraint.likelihood) and given.anneal == 'none'
    alone = alone and all(given.beta[layer] == 1 for layer in spec.model.layers)
    return [cls('re', math.prod(observation.shape), spec.constraint.re, alone)]


class FeatureError(SquaredError):
  """fre: the same of features of x and of E[x | z] (Rezende & Viola 2018, table 1).

  features: of x [..., B, *shape] and the batch: [..., B, F].
  """

  def __init__(self, name: str, size: int, section, features: Callable[[tf.Tensor, dict], tf.Tensor]):
    super().__init__(name, size, section)
    self._features = features

  def features(self, x, batch):
    return self._features(x, batch)

  @classmethod
  def from_spec(cls, spec, observation, make: Make):
    section, one = spec.constraint.fre, tf.zeros([1, *observation.shape])
    if section.features == 'patches':
      tiny = (1e-3 * (observation.high - observation.low)) ** 2

      def statistics(x, batch):
        parts = patches(tf.reshape(x, [-1, *observation.shape]), section.patch, section.stride)
        found = _statistics(parts, tiny)
        return tf.reshape(found, [*leading(x, len(observation.shape)), found.shape[-1]])

      return [cls('fre', statistics(one, {}).shape[-1], section, statistics)]
    sight = make.sight(spec, observation)
    return [cls('fre', sight.num_features, section, sight.features).by(sight)]


def _statistics(parts, tiny):
  """Mean and standard deviation of each channel in each patch: [N, P, K, C] -> [N, 2 P C]; tiny: added to variances."""
  mean = tf.reduce_mean(parts, 2)
  deviation = tf.sqrt(tf.reduce_mean(tf.square(parts - mean[:, :, None]), 2) + tf.cast(tiny, parts.dtype))
  both = tf.stack([mean, deviation], -1)
  return tf.reshape(both, [-1, math.prod(both.shape[1:])])


class LabelProbability(Measure):
  """cla: the probability that a frozen classifier gives the true label of E[x | z] (Rezende & Viola 2018, table 1); on
  tasks as each of them says (`Sight.probability`).
  """

  sign = -1

  def __init__(self, name: str, section, sight: Sight):
    super().__init__(name, section.kappa)
    self._sight = sight

  def value(self, seen):
    mean = seen.trace.mean
    return tf.cast(self._sight.probability(mean, seen.batch), mean.dtype)

  @classmethod
  def from_spec(cls, spec, observation, make: Make):
    sight = make.sight(spec, observation)
    return [cls('cla', spec.constraint.cla, sight).by(sight)]


class PatchCorrelation(Measure):
  """pncc: the mean over patches of psi(x)^T psi(E[x | z]), psi a patch minus its mean, divided by its norm (Rezende &
  Viola 2018, table 1). A patch has all channels. Patches where x is constant are left out; an image of nothing else has
  the threshold for its value.
  """

  sign = -1

  def __init__(self, name: str, section, observation: Observation):
    super().__init__(name, section.kappa)
    self._patch, self._stride, self._range = section.patch, section.stride, observation.high - observation.low

  def value(self, seen):
    mean = seen.trace.mean
    parts = self._parts(seen.trace.target)
    kept = tf.cast(tf.reduce_max(parts, -1) - tf.reduce_min(parts, -1) > 1e-5 * self._range, mean.dtype)  # [B, P]
    own = self._directions(parts, 1e-10)
    made = self._directions(self._parts(tf.reshape(mean, [-1, *mean.shape[2:]])), 1e-6)
    made = tf.reshape(made, [*leading(mean, 3), *own.shape[1:]])
    correlation = tf.reduce_sum(kept * tf.reduce_sum(own * made, -1), -1)
    count = tf.reduce_sum(kept, -1)
    return tf.where(count > 0, correlation / tf.maximum(count, 1), tf.cast(self.threshold(), mean.dtype))

  def _parts(self, images):
    """All patches: [N, H, W, C] -> [N, P, K C]."""
    parts = patches(images, self._patch, self._stride)
    return tf.reshape(parts, [-1, parts.shape[1], math.prod(parts.shape[2:])])

  def _directions(self, parts, tiny):
    """psi of patches [N, P, K C]. tiny: of a square of the range, added to that of the norm, where there is none."""
    parts -= tf.reduce_mean(parts, -1, keepdims=True)
    squares = tf.reduce_sum(tf.square(parts), -1, keepdims=True)
    return parts * tf.math.rsqrt(squares + tiny * self._range**2)

  @classmethod
  def from_spec(cls, spec, observation, make: Make):
    return [cls('pncc', spec.constraint.pncc, observation)]


class Rate(Measure):
  """rate/<layer>: R_l, as what the objective minimises has it (`Rates`); its multiplier is the layer's beta.

  Of a layer that repeats R_l is the sum over its steps.
  """

  def __init__(self, layer: str, target: float, kl: str = 'exact'):
    super().__init__(f'rate/{layer}', target)
    self.layer, self._kl = layer, kl

  def value(self, seen):
    return seen.trace.section_kl(self._kl)[self.layer]

  def equivalents(self, multiplier, average, threshold):
    del average, threshold
    return {f'beta/{self.layer}': multiplier}

  @classmethod
  def from_spec(cls, spec, observation, make: Make):
    targets = spec.constraint.rate
    return [cls(layer, targets[layer], spec.objective.kl) for layer in spec.model.layers if targets[layer]]
