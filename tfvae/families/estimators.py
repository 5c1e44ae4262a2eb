"""The gradient that samples of layers give which have none of their own: bits, and one-hot categories."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfvae.schedules import tempering


class Draw(NamedTuple):
  """A sample of a discrete layer, and what it was made of: [S, B, ...] each, but for the last.

  The probabilities, the mean of the sample, are differentiable in the logits, and so is the softened sample.
  """

  value: tf.Tensor  # the sample, which has no gradient
  logits: tf.Tensor
  probabilities: tf.Tensor
  relaxed: Callable[[tf.Tensor], tf.Tensor]  # temperature -> the sample, softened, at the noise that gave `value`


class Estimator(abc.ABC):
  """What gradient the logits of a discrete layer get through a sample. It knows nothing of kinds of layers but a Draw.

  Attributes:
    by_density: whether objectives move q by its density as well, as samples let nothing through.
    relaxed: whether what stands for a sample is none: of what follows from it, nothing is a bound or a probability.
    doubly: whether the importance-weighted bound moves its encoder in another way (`Iwae`).
  """

  by_density = False
  relaxed = False
  doubly = False

  def temperature(self, step) -> tf.Tensor | None:
    """The temperature after so many steps, a scalar; None: it has none."""
    del step
    return None

  def at(self, step) -> 'Estimator':
    """The estimator as it is after so many steps."""
    del step
    return self

  @abc.abstractmethod
  def through(self, draw: Draw) -> tf.Tensor:
    """What stands for the sample, [S, B, ...], and lets gradients through to its logits."""

  @classmethod
  def from_spec(cls, section, steps: int) -> 'Estimator':
    """That of spec.objective, in a training of so many steps."""
    del section, steps
    return cls()


class Reparameterized(Estimator):
  """Samples are functions of noise and parameters, with a gradient of their own. No discrete layer has such."""

  def through(self, draw):
    raise TypeError('a discrete sample has no gradient of its own')


class DoublyReparameterized(Reparameterized):
  """That of the importance-weighted bound in `Iwae` (Tucker et al. 2019)."""

  doubly = True


class Zgr(Estimator):
  """f' (b (1 - p) + (1 - b) p) / 2 on the logits of a bit b of probability p, f' being the gradient that arrives at it.

  Unbiased for quadratic f (DARN(1/2), Gregor et al. 2014; Shekhovtsov 2023).
  """

  def through(self, draw):
    bits, probs = draw.value, draw.probabilities
    slope = tf.stop_gradient(bits * (1 - probs) + (1 - bits) * probs) / 2
    return bits + slope * (draw.logits - tf.stop_gradient(draw.logits))


class StraightThrough(Estimator):
  """The gradient of the probabilities, f' dp/dl: unbiased for linear f (Bengio et al. 2013)."""

  def through(self, draw):
    return draw.value + draw.probabilities - tf.stop_gradient(draw.probabilities)


class ScoreFunction(Estimator):
  """None through samples; by the density of q instead: unbiased."""

  by_density = True

  def through(self, draw):
    return tf.stop_gradient(draw.value)


class GumbelSoftmax(Estimator):
  """The softened sample in place of the hard one (Jang et al. 2017; Maddison et al. 2017), its own gradient.

  softmax((l + Gumbel noise) / T), T being the temperature; it tends to the hard sample as T falls, and its gradient's
  variance grows.

  Args:
    tempering: step -> T > 0.
    step: of `through`.
  """

  relaxed = True

  def __init__(self, tempering: Callable, step=0):
    self._tempering, self._step = tempering, step

  def temperature(self, step):
    return self._tempering(step)

  def at(self, step):
    return type(self)(self._tempering, step)

  def through(self, draw):
    return draw.relaxed(tf.cast(self.temperature(self._step), draw.logits.dtype))

  @classmethod
  def from_spec(cls, section, steps):
    return cls(tempering(section.temperature, section.temperature_decay, section.temperature_floor, steps))


class StraightThroughGumbel(GumbelSoftmax):
  """The hard sample, with the gradient of the softened one at the same noise (Jang et al. 2017, section 2.2).

  For bits the softened sample is sigmoid((l + logistic noise) / T).
  """

  relaxed = False

  def through(self, draw):
    softened = super().through(draw)
    return draw.value + softened - tf.stop_gradient(softened)
