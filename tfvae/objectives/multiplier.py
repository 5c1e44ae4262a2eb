"""The controller of a constraint: a moving average, and a Lagrange multiplier that it moves."""

import math

import tensorflow as tf

from tfvae.objectives.terms import number


class Multiplier:
  """lambda of a constraint E[C] <= 0 (Rezende & Viola 2018, Algorithm 1), moved once after each step.

  C_avg <- alpha C_avg + (1 - alpha) C_hat, C_hat being the mean of C over the global batch (in the first step: C_hat).
  published: log lambda <- log lambda + rate C_avg. relative: log lambda <- log lambda + rate clip(C_avg / threshold,
  -1, 1), which moves as fast downwards as upwards, and alike whatever the units of C. Both are then clipped to
  `limits`.

  Its state is in float64: the steps of a multiplier that is nearly right are smaller than float32 resolves.

  Args:
    name: of the constraint.
    update: 'relative' or 'published'.
    alpha, rate, limits: as above.
    hold: steps during which lambda stays where it starts.
  """

  def __init__(
    self,
    name: str,
    update: str = 'relative',
    alpha: float = 0.9,
    rate: float = 0.01,
    limits: tuple[float, float] = (1e-6, 1e12),
    hold: int = 0,
  ):
    self.name, self.alpha = name, alpha
    self._relative, self._rate, self._hold = update == 'relative', rate, hold
    self._low, self._high = (math.log(limit) for limit in limits)
    self.average = number(0.0, f'average_{name}', 'float64')
    self.log_multiplier = number(0.0, f'log_multiplier_{name}', 'float64')

  @property
  def variables(self) -> dict:
    """Its state."""
    return {f'average/{self.name}': self.average, f'log_multiplier/{self.name}': self.log_multiplier}

  def value(self, dtype='float64') -> tf.Tensor:
    """lambda."""
    return tf.cast(tf.exp(tf.convert_to_tensor(self.log_multiplier)), dtype)

  def begin(self, value) -> None:
    """Sets lambda before the first step."""
    self.log_multiplier.assign(
      tf.clip_by_value(tf.math.log(tf.convert_to_tensor(value, tf.float64)), self._low, self._high)
    )

  def memory(self, step: tf.Tensor) -> tf.Tensor:
    """The part of the average that is of steps before this one."""
    return tf.where(tf.equal(step, 0), tf.zeros([], tf.float64), self.alpha)

  def update(self, mean: tf.Tensor, threshold: tf.Tensor, step: tf.Tensor) -> None:
    """Moves the average and lambda, given C_hat; `step` counts from 0."""
    mean = tf.cast(mean, tf.float64)
    average = mean + self.memory(step) * (tf.convert_to_tensor(self.average) - mean)
    self.average.assign(average)
    move = tf.clip_by_value(average / threshold, -1.0, 1.0) if self._relative else average
    log_multiplier = tf.convert_to_tensor(self.log_multiplier)
    moved = tf.clip_by_value(log_multiplier + self._rate * move, self._low, self._high)
    if self._hold:
      moved = tf.where(step < self._hold, log_multiplier, moved)
    self.log_multiplier.assign(moved)
