"""The controller of constraints: moving averages, and Lagrange multipliers that they move."""

import math
from collections.abc import Sequence

import tensorflow as tf

from tfvae.objectives.terms import number


class Multipliers:
  """lambda of each of K constraints E[C] <= 0 (Rezende & Viola 2018, Algorithm 1), moved once after each step.

  C_avg <- alpha C_avg + (1 - alpha) C_hat, C_hat being the mean of C over the global batch (in the first step: C_hat).
  published: log lambda <- log lambda + rate C_avg. relative: log lambda <- log lambda + rate clip(C_avg / threshold,
  -1, 1), which moves as fast downwards as upwards, and alike whatever the units of C. Both are then clipped to
  `limits`.

  Its state is in float64: the steps of a multiplier that is nearly right are smaller than float32 resolves. It is two
  vectors [K], as a small step is bound by the number of its operations.

  Args:
    size: K.
    update: 'relative' or 'published'.
    alpha, rate, limits: as above.
    hold: steps during which lambda stays where it starts.
  """

  def __init__(
    self,
    size: int,
    update: str = 'relative',
    alpha: float = 0.9,
    rate: float = 0.01,
    limits: tuple[float, float] = (1e-6, 1e12),
    hold: int = 0,
  ):
    self._alpha, self._relative, self._rate, self._hold = alpha, update == 'relative', rate, hold
    self._low, self._high = (math.log(limit) for limit in limits)
    self.average = number([0.0] * size, 'average', 'float64')
    self.log_multiplier = number([0.0] * size, 'log_multiplier', 'float64')

  @property
  def variables(self) -> dict:
    """Its state."""
    return {'average': self.average, 'log_multiplier': self.log_multiplier}

  def value(self) -> tf.Tensor:
    """lambda: [K]."""
    return tf.exp(tf.convert_to_tensor(self.log_multiplier))

  def begin(self, values: Sequence) -> None:
    """Sets lambda before the first step."""
    values = tf.stack([tf.convert_to_tensor(value, tf.float64) for value in values])
    self.log_multiplier.assign(self._clipped(tf.math.log(values)))

  def _clipped(self, log_multiplier):
    return tf.clip_by_value(log_multiplier, self._low, self._high)

  def memory(self, step: tf.Tensor) -> tf.Tensor:
    """The part of the averages that is of steps before this one."""
    return tf.where(tf.equal(step, 0), tf.zeros([], tf.float64), self._alpha)

  def update(self, means: tf.Tensor, thresholds: tf.Tensor, step: tf.Tensor) -> None:
    """Moves the averages and lambda, given C_hat [K] and thresholds [K]; `step` counts from 0."""
    means = tf.cast(means, tf.float64)
    average = means + self.memory(step) * (tf.convert_to_tensor(self.average) - means)
    self.average.assign(average)
    move = tf.clip_by_value(average / thresholds, -1.0, 1.0) if self._relative else average
    log_multiplier = tf.convert_to_tensor(self.log_multiplier)
    moved = self._clipped(log_multiplier + self._rate * move)
    if self._hold:
      moved = tf.where(step < self._hold, log_multiplier, moved)
    self.log_multiplier.assign(moved)
