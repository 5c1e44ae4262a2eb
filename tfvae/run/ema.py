"""A moving average of the weights, for evaluation."""

import contextlib

import tensorflow as tf


class Ema:
  """average <- d average + (1 - d) weight, with d = min(decay, (1 + t) / (10 + t)) after t updates.

  The early, smaller d (as in tf.train.ExponentialMovingAverage) lets go of the initial weights.
  """

  def __init__(self, variables: list, decay: float):
    self._weights, self._decay = list(variables), decay
    self.averages = [tf.Variable(v.value, trainable=False) for v in self._weights]
    self.updates = tf.Variable(0, dtype=tf.int64, trainable=False)

  @property
  def variables(self) -> dict[str, tf.Variable]:
    """What checkpoints hold: the averages by the path of their weight, and the number of updates."""
    paths = [weight.path for weight in self._weights]
    return dict(zip(paths, self.averages, strict=True)) | {'updates': self.updates}

  def update(self) -> None:
    """Takes in the current weights, on each device its own. After constraints have been applied to them."""
    rate = self._rate(self.updates)
    move = lambda average, weight: average.assign(_moved(average, weight, rate))
    extended = tf.distribute.get_strategy().extended
    for average, weight in zip(self.averages, self._weights, strict=True):
      extended.update(average, move, args=(weight.value,), group=False)
    self.updates.assign_add(1)

  def moved(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
    """The values of `state` after an update, given those before it; of the weights in a `keras.StatelessScope`."""
    *averages, updates = values
    rate = self._rate(updates)
    pairs = zip(averages, self._weights, strict=True)
    return [*(_moved(average, weight.value, rate) for average, weight in pairs), updates + 1]

  @property
  def state(self) -> list[tf.Variable]:
    """The averages and the number of updates."""
    return [*self.averages, self.updates]

  def _rate(self, updates):
    """1 - d."""
    t = tf.cast(updates, tf.float32)
    return 1 - tf.minimum(self._decay, (1 + t) / (10 + t))

  @contextlib.contextmanager
  def swapped(self):
    """Inside, the model has the averaged weights, with its constraints applied to them."""
    own = [tf.identity(weight.value) for weight in self._weights]
    try:
      self.assign()
      yield
    finally:
      for weight, value in zip(self._weights, own, strict=True):
        weight.assign(value)

  def reset(self) -> None:
    """Begins anew at the current weights."""
    for average, weight in zip(self.averages, self._weights, strict=True):
      average.assign(weight.value)
    self.updates.assign(0)

  def assign(self) -> None:
    """Gives the model the averaged weights for good."""
    for average, weight in zip(self.averages, self._weights, strict=True):
      weight.assign(average if weight.constraint is None else weight.constraint(tf.convert_to_tensor(average)))


def _moved(average, weight, rate):
  return average + tf.cast(rate, weight.dtype) * (weight - average)
