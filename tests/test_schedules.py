"""Annealing and learning rates."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae import schedules
from tfvae import spec as spec_lib


def factors(*args, steps=100):
  factor = schedules.annealing(*args, steps)
  return [float(factor(tf.constant(step, tf.int64))) for step in range(steps + 1)]


def test_linear():
  got = factors('linear', 0.2, 0.1, 0.6, 1)
  assert got == pytest.approx([0.2 + 0.8 * min(max((s / 100 - 0.1) / 0.5, 0), 1) for s in range(101)], abs=1e-6)
  assert factors('none', 0.2, 0.1, 0.6, 1) == [1.0] * 101


def test_cyclical():
  got = factors('cyclical', 0.0, 0.0, 0.8, 2)  # cycles of 40 steps, each rising over 20
  want = [min((s % 40) / 20, 1) if s < 80 else 1.0 for s in range(101)]
  assert got == pytest.approx(want, abs=1e-5)
  got = factors('cyclical', 0.2, 0.1, 0.9, 2)  # the same later, from 0.2
  want = [0.2] * 10 + [0.2 + 0.8 * min((s % 40) / 20, 1) for s in range(80)] + [1.0] * 11
  assert got == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize(
  ('fields', 'want'),
  [
    ({'schedule': 'cosine', 'schedule_final': 0.1}, lambda t: 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * t))),
    ({'schedule': 'exponential', 'schedule_final': 0.01}, lambda t: 0.01**t),
    ({'schedule': 'polynomial', 'schedule_final': 0.2, 'schedule_power': 2.0}, lambda t: 0.2 + 0.8 * (1 - t) ** 2),
    ({'schedule': 'inverse_time', 'schedule_final': 0.25}, lambda t: 1 / (1 + 3 * t)),
    ({'schedule': 'piecewise', 'schedule_final': 0.1}, lambda t: 0.1 ** ((t > 0.5) + (t > 0.75))),
    (
      {'schedule': 'cosine', 'warmup': 0.2, 'schedule_final': 0.1},
      lambda t: t / 0.2 if t < 0.2 else 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * (t - 0.2) / 0.8)),
    ),
  ],
)
def test_learning_rates(fields, want):
  train = spec_lib.base().train
  train.steps = 200
  train.update(fields)
  schedule = schedules.learning_rate(train, 0.5)
  for step in range(0, 201, 10):
    assert float(schedule(step)) == pytest.approx(0.5 * want(step / 200), rel=1e-5, abs=1e-7), step


def test_constant():
  assert schedules.learning_rate(spec_lib.base().train, 0.5) == 0.5


def test_falling():
  """Over the first 40 of 100 steps; then `end` itself."""
  sigma = schedules.falling(2.0, 0.7, 0.4, 100)
  got = [float(sigma(tf.constant(step, tf.int64))) for step in range(101)]
  assert got == pytest.approx([2 - 1.3 * min(step / 40, 1) for step in range(101)], rel=1e-14)
  assert got[0] == 2 and got[20] == pytest.approx(1.35) and set(got[40:]) == {0.7}
