"""A trained classifier as constraints and evaluators of other runs use it: not trained, and in none of their files."""

import hashlib
import zlib
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.models.classifier import Classifier
from tfvae.observation import Observation


class Trained(NamedTuple):
  """A classifier of a run, as it was trained."""

  model: Classifier
  spec: Any  # the run's
  scaling: dict  # its x is (value - center) / width of the values that are stored
  range: tuple[float, float]  # black and white in its units, before binarisation
  accuracy: float  # in the run's evaluation,
  split: str  # of this split
  hash: str  # SHA-256 of the spec and the data's summary, without the fields that training does not depend on


class Frozen:
  """A classifier of another run, on examples in the units of the run that uses it.

  They are turned to those of the classifier's data, black to black and white to white, whatever the two scalings are;
  where the classifier learned binary images of a threshold, that comes after it. Differentiable in x, but for such a
  threshold; no gradient reaches its weights, which no tape watches. Under a strategy it is built inside its scope.

  Args:
    trained: what `classifiers.load` gives.
    observation: of the examples of the run that uses it.

  Attributes:
    name: the section of the spec that names it.
    classes: M, its labels are 0, ..., M - 1.
    num_features: F.
    is_alike: whether both runs have the same scaling, of black and white.
    hash, weights, accuracy, split: which classifier it is: a hash of its spec and data, a checksum of its weights, and
      how good it was in its own evaluation.
  """

  name = 'classifier'

  def __init__(self, trained: Trained, observation: Observation):
    self._model, self._section = trained.model, trained.spec.data
    self.classes, self.num_features = self._model.classes, self._model.head.map.kernel.shape[0]
    self._scale, self._shift, self.is_alike = observation.turned(trained.range)
    self.hash, self.accuracy, self.split = trained.hash, trained.accuracy, trained.split
    self.weights = f'{_checksum(self._model.variables):08x}'

  @property
  def identity(self) -> str:
    """A text that tells this classifier from all others, wherever it is: of its spec, its data and its weights."""
    return hashlib.sha256(f'{self.hash} {self.weights}'.encode()).hexdigest()

  def features(self, x: tf.Tensor) -> tf.Tensor:
    """The activations before its last linear map: [N, ...] -> [N, F], in the dtype of x."""
    return tf.cast(self._model.features(self._own(x)), x.dtype)

  def logits(self, x: tf.Tensor) -> tf.Tensor:
    """Unnormalised log p(label | x): [N, ...] -> [N, M], in the dtype of x."""
    return tf.cast(self._model.logits(self._own(x)), x.dtype)

  def probabilities(self, x: tf.Tensor) -> tf.Tensor:
    """p(label | x) of each label: [N, ...] -> [N, M], in the dtype of x."""
    return tf.nn.softmax(self.logits(x))

  def _own(self, x):
    """x as the classifier takes it."""
    if not self.is_alike:  # else to the bit
      x = self._scale * x + self._shift
    x = tf.cast(x, self._model.head.dtype)
    return tf.cast(x > self._section.threshold, x.dtype) if self._section.binarize == 'threshold' else x


def _checksum(variables):
  found = 0
  for variable in variables:
    found = zlib.crc32(np.ascontiguousarray(variable.numpy()), found)
  return found
