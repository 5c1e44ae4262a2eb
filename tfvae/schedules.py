"""Schedules over training: of the betas, a sigma, a temperature, the learning rate. All in fractions of training."""

import keras
import tensorflow as tf


def annealing(kind: str, start: float, begin: float, end: float, cycles: int, steps: int):
  """step -> the factor on the betas, a float32 scalar.

  none: 1. linear: from `start` to 1 between the fractions `begin` and `end` of `steps` (Sonderby et al. 2016).
  cyclical: the span is divided into `cycles`; in each the factor rises over the first half and stays 1 over the
  second (Fu et al. 2019). Before the span the factor is `start`, after it 1.
  """
  if kind == 'none':
    return lambda step: tf.ones([], tf.float32)

  def factor(step):
    position = (tf.cast(step, tf.float32) / steps - begin) / (
      end - begin
    )  # 0 at the beginning of the span, 1 at its end
    ramp = position
    if kind == 'cyclical':
      cycle = position * cycles
      ramp = tf.where(position >= 1, 1.0, 2 * (cycle - tf.floor(cycle)))
      ramp = tf.where(position < 0, 0.0, ramp)
    return start + (1 - start) * tf.clip_by_value(ramp, 0.0, 1.0)

  return factor


def falling(start: float, end: float, until: float, steps: int):
  """step -> what falls linearly from `start` to `end` over the first fraction `until` of `steps`, a float64 scalar."""

  def value(step):
    done = tf.minimum(tf.cast(step, tf.float64) / (until * steps), 1.0)
    return (1 - done) * start + done * end  # `end` itself when it is done

  return value


def tempering(start: float, decay: float, floor: float, steps: int):
  """step -> max(start exp(-decay t), floor), t the fraction of `steps` that is done: a temperature, a float32 scalar.

  (Jang et al. 2017, section 4.)
  """
  if not decay:
    return lambda step: tf.constant(max(start, floor), tf.float32)
  return lambda step: tf.maximum(start * tf.exp(-decay * (tf.cast(step, tf.float32) / steps)), floor)


def learning_rate(train, rate: float):
  """Keras' learning-rate schedule `train.schedule` that starts at `rate`, or `rate` itself where it is constant.

  The rates in it are variables, as a constant one is in the optimizer: a compiled step takes them as values.
  """
  schedules, steps, final = keras.optimizers.schedules, train.steps, train.schedule_final
  if train.schedule == 'constant':
    return rate
  value = lambda rate: keras.Variable(rate, trainable=False, dtype='float32', name='learning_rate')
  if train.schedule == 'cosine':
    warmup = round(train.warmup * steps)
    if warmup:
      return schedules.CosineDecay(0.0, max(steps - warmup, 1), final, warmup_target=value(rate), warmup_steps=warmup)
    return schedules.CosineDecay(value(rate), steps, final)
  if train.schedule == 'exponential':
    return schedules.ExponentialDecay(value(rate), steps, final)
  if train.schedule == 'polynomial':
    return schedules.PolynomialDecay(value(rate), steps, value(rate * final), train.schedule_power)
  if train.schedule == 'inverse_time':
    return schedules.InverseTimeDecay(value(rate), steps, 1 / final - 1)
  boundaries = [round(fraction * steps) for fraction in train.schedule_boundaries]
  return schedules.PiecewiseConstantDecay(boundaries, [value(rate * final**i) for i in range(len(boundaries) + 1)])
