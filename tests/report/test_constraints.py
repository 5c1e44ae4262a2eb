"""What is said of constraints: verdicts on fabricated series, and the table and figures of a fabricated run."""

import numpy as np
import pytest

from tfvae.report import verdicts
from tfvae.report.verdicts import BEYOND, END, KINDS, MOVING, SWINGS, WARM_UP, Series, at_end, is_met, mean, settled

RANGE = (1e-6, 1e12)
STEPS = np.arange(100, 10_001, 100)


def course(c, log_multiplier=0.0, steps=STEPS, total=10_000):
  """A series of c and log multipliers, arrays or functions of the share of training that is done."""
  done = (np.concatenate([[0], steps[:-1]]) + steps) / 2 / total  # lines are means over their steps
  values = [np.broadcast_to(of(done) if callable(of) else of, steps.shape) for of in (c, log_multiplier)]
  return Series.of(steps, values[0], np.exp(values[1]), total)


def noise(scale, seed=0):
  return np.random.default_rng(seed).normal(0, scale, len(STEPS))


def why(kind, asked, series, **more):
  return verdicts.why_not(KINDS[kind], asked, series, RANGE, **more)


def test_the_last_tenth_is_weighted_by_steps():
  """Lines that lie in it; where lines are longer than it is, the last line."""
  steps = np.array([1, 10, 100, 850, 925, 950, 1000])
  series = course(np.arange(7.0), steps=steps, total=1000)
  assert mean(series).c == pytest.approx((25 * 5 + 50 * 6) / 75)  # that of 850 to 925 begins before
  assert mean(course(np.arange(3.0), steps=np.array([1, 500, 1000]), total=1000)) == (
    2.0,
    pytest.approx(np.nan, nan_ok=True),
  )
  known = np.array([1.0, np.nan, 3.0])
  assert list(course(known, steps=np.array([1, 500, 1000]), total=1000).begin) == [0, 500]


def test_the_error_of_the_mean_is_that_of_many_means():
  """Of lines that stand for different numbers of steps."""
  steps, random = np.concatenate([np.arange(100, 9001, 100), np.arange(9010, 9301, 10), [9500, 10_000]]), 300
  found = []
  for seed in range(random):
    values = np.random.default_rng(seed).normal(0, 1, len(steps))
    found.append(mean(course(values, steps=steps)))
  spread, claimed = np.std([m.c for m in found]), np.sqrt(np.mean([m.standard_error**2 for m in found]))
  weights = np.diff(np.concatenate([[9000], steps[90:]])) / 1000
  assert spread == pytest.approx(np.sqrt(np.square(weights).sum()), rel=4 / np.sqrt(2 * random))
  assert 0.3 < claimed / spread < 1.5  # two lines have most of the weight


@pytest.mark.parametrize(
  ('kind', 'c', 'end', 'error', 'met'),
  [
    ('re', 0.019, 0, 0.0, True),
    ('re', 0.021, 0, 0.0, False),
    ('re', -0.019, 0, 0.0, True),
    ('re', -0.3, 0, 0.0, False),  # active, and better than was asked
    ('re', -0.3, -1, 0.0, True),  # slack
    ('re', 0.03, -1, 0.0, False),
    ('re', 0.03, 0, 0.1, False),  # errors count for cla and pncc alone
    ('cla', 0.03, 0, 0.016, True),
    ('cla', 0.03, 0, 0.014, False),
    ('pncc', 0.03, 0, 0.016, True),
    ('cla', 0.03, 0, np.nan, False),
    ('rate', 0.019, -1, 0.0, True),
    ('rate', -0.3, -1, 0.0, False),  # an equality is never slack
    ('rate', np.nan, 0, 0.0, False),
  ],
)
def test_when_a_constraint_counts_as_met(kind, c, end, error, met):
  assert is_met(KINDS[kind], c, end, error) == met


def test_noise_around_the_threshold_is_met():
  for seed in range(20):
    series = course(noise(0.025, seed))
    assert is_met(KINDS['re'], mean(series).c, at_end(series.multiplier[-1], RANGE))


def test_ends_of_the_range():
  assert [at_end(m, RANGE) for m in (1e-6, 1.04e-6, 1.1e-6, 1.0, 0.9e12, 0.96e12, 1e12)] == [-1, -1, 0, 0, 0, 1, 1]


def test_at_the_end_of_its_range():
  up = lambda done: np.minimum(20 + 20 * done, np.log(1e12))
  reason = why('re', 0.1, course(0.44 + noise(0.002), up))
  assert reason.why == END and reason.pushes == 1 and reason.best == pytest.approx(0.12, abs=5e-4)
  down = lambda done: np.maximum(-40 * done, np.log(1e-6))
  assert why('rate', 8, course(-0.5 + noise(0.01), down)).why == END
  # The lower end is no reason where the multiplier is to grow.
  assert why('re', 0.1, course(lambda done: 1.2 - done, down)).why == MOVING


def test_still_moving_and_how_far_it_has_to_go():
  """c falls by 0.1 per 1,000 steps and is 0.1 at the end: the error, by half as much of what is asked, at first."""
  reason = why('rate', 8, course(lambda done: 1.1 - done + noise(0.002), lambda done: done))
  assert reason.why == MOVING and reason.speed == pytest.approx(-0.8, rel=0.02)
  assert reason.missing == pytest.approx(1000, rel=0.05)
  assert reason.growth == pytest.approx(np.exp(0.1))
  reason = why('re', 0.1, course(lambda done: 1.1 - done, 0.0))
  assert reason.why == MOVING and reason.growth == 1
  # sqrt(1 + c) is a little bent: the line through the last fifth, from 0.1140 to 0.1049.
  assert reason.speed == pytest.approx(0.1 * (np.sqrt(1.1) - np.sqrt(1.3)) / 2, rel=0.01)
  assert reason.missing == pytest.approx(1000, rel=0.15)


def test_moving_away_has_nothing_missing():
  reason = why('rate', 8, course(lambda done: 0.1 + 0.2 * done, 0.0))
  assert reason.why == MOVING and reason.missing is None and reason.speed > 0


def test_below_what_the_model_reaches():
  growing = lambda done: 10 + 8 * done
  reason = why('re', 0.1, course(0.44 + noise(0.01), growing))
  assert reason.why == BEYOND and reason.growth == pytest.approx(np.exp(0.8)) and reason.speed == 0
  assert 0.119 < reason.best < 0.12 < reason.worst < 0.121
  # It still falls, so slowly that what is missing would take many times the steps so far.
  reason = why('re', 0.1, course(lambda done: 0.6 - 0.1 * done + noise(1e-4), growing))
  assert reason.why == BEYOND and reason.speed < 0 and reason.missing > 10_000
  assert why('cla', 0.9, course(0.2 + noise(0.001), growing)).best == pytest.approx(0.72, abs=3e-3)
  assert why('rate', 8, course(0.3 + noise(0.001), growing)).why == BEYOND
  assert why('rate', 8, course(-0.3 + noise(0.001), lambda done: -8 * done)).why == BEYOND


def test_a_multiplier_that_follows_a_model_is_no_sign_of_the_end():
  """3% too much while beta grows slowly, as the model still learns: nothing that cannot be held."""
  reason = why('rate', 8, course(0.03 + noise(0.002), lambda done: done))
  assert reason.why == MOVING and reason.speed == 0


def test_a_slack_inequality_that_still_loosens():
  """Its multiplier falls from too high a value: neither met nor out of reach."""
  falling = lambda done: 20 - 8 * done
  for c in (-0.4 + noise(0.005), lambda done: -0.6 + 0.2 * done):
    series = course(c, falling)
    assert not is_met(KINDS['re'], mean(series).c, at_end(series.multiplier[-1], RANGE))
    reason = why('re', 0.1, series)
    assert reason.why == MOVING and reason.pushes == -1 and reason.growth == pytest.approx(np.exp(-0.8))


def test_swinging_and_the_warm_up():
  swings = lambda done: 0.5 + 0.5 * np.sin(80 * np.pi * done)
  reason = why('re', 0.1, course(swings))
  assert reason.why == SWINGS and reason.best < 0.11 and reason.worst > 0.135
  half = course(lambda done: 1 - done, steps=STEPS[:30])
  assert why('re', 0.1, half, warm_up=3000).why == WARM_UP
  assert why('re', 0.1, half, warm_up=2900).why == MOVING


def test_few_lines_show_no_trend():
  reason = why('re', 0.1, course(np.array([0.5, 0.3]), steps=np.array([1, 10]), total=10))
  assert reason.why == SWINGS


def test_steps_until_it_settles():
  steps = np.array([1, 10, 100, 200, 300, 400])
  assert settled(steps, np.array([9.0, 1.0, 0.04, 0.06, -0.05, 0.01])) == 300
  assert settled(steps, np.array([0.01] * 6)) == 1
  assert settled(steps, np.array([9.0, 1.0, 0.04, 0.06, -0.05, 0.06])) is None
  assert settled(steps, np.array([9.0, 1.0, 0.0, 0.0, np.nan, 0.0])) == 400
