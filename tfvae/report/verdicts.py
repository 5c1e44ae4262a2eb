"""Whether a constraint is met, and why not: functions of arrays, which know no run.

The arrays are of the lines of metrics.jsonl with the split train, each of which stands for the steps since the line
before it. c is what `constraint/<name>` holds in units of `threshold/<name>`: the value minus the threshold or, where
more is better, the threshold minus the value, so that c <= 0 holds. The rules are those of docs/constraints.md.
"""

import math
from typing import NamedTuple

import numpy as np

MET = 0.02  # how far c may be from 0
NEAR = 0.05  # c is near 0; and the share of an end of spec.constraint.range, within which a multiplier is there
TENTH, FIFTH = 0.1, 0.2  # of training: what is judged, and where trends are sought
FEWEST = 4  # lines that show a trend
SURE = 0.975  # a trend is one beyond this quantile of Student's t
# Over the last fifth, at least: of what is asked, in the logarithm of a multiplier, and there where nothing follows it.
MOVES, GROWS, IN_VAIN = 0.005, 0.02, 0.4

WARM_UP = 'not reached yet within the warm-up'
END = 'at the end of its range'
MOVING = 'still moving'
BEYOND = 'below what the model reaches'
SWINGS = 'swings'


class Kind(NamedTuple):
  """A kind of constraint, in a user's words.

  Attributes:
    what: is constrained.
    unit: of the number that a user gives.
    power: of the value that c is made of, to which what a user asks for is proportional: 1/2 of a squared error.
    sign: +1 where the value must not be larger than the threshold, -1 where it must not be smaller.
    equality: whether it must be neither.
    sampled: whether two standard errors count as met, too.
  """

  what: str
  unit: str = ''
  power: float = 1.0
  sign: int = 1
  equality: bool = False
  sampled: bool = False

  def reached(self, asked: float, c):
    """What is reached where `asked` is asked for, in the user's units; of an array or a number c."""
    return asked * np.maximum(1 + self.sign * np.asarray(c, float), 0) ** self.power

  def tolerance(self, standard_error: float = 0.0) -> float:
    """How far c may be from 0 where it counts as met."""
    return max(MET, 2 * standard_error if self.sampled and np.isfinite(standard_error) else 0.0)


KINDS = {
  're': Kind('RMS error per dimension', 'units of x', power=0.5),
  'fre': Kind('RMS feature error', 'units of the features', power=0.5),
  'cla': Kind('mean probability of the true label', sign=-1, sampled=True),
  'pncc': Kind('mean correlation of patches', sign=-1, sampled=True),
  'rate': Kind('rate', 'nats', equality=True),
}


class Series(NamedTuple):
  """A constraint over training: arrays of one element a line.

  Attributes:
    begin: how many steps had been taken before those that a line stands for.
    step: the last of these.
    c: its mean over them.
    multiplier: the mean of the multiplier.
    total: the steps of the whole training.
  """

  begin: np.ndarray
  step: np.ndarray
  c: np.ndarray
  multiplier: np.ndarray
  total: int

  @classmethod
  def of(cls, step, c, multiplier, total: int) -> 'Series':
    """Of the columns of metrics.jsonl; lines that have not all are left out."""
    columns = np.array([np.concatenate([[0], step[:-1]]), step, c, multiplier], float)
    return cls(*columns[:, np.isfinite(columns).all(axis=0)], total)

  def last(self, share: float, fewest: int = 1) -> 'Series':
    """The lines that lie in the last `share` of training, but at least the `fewest` last ones."""
    first = np.searchsorted(self.begin, self.step[-1] - share * self.total - 1e-6)
    first = max(0, min(first, len(self.step) - fewest))
    return Series(*(values[first:] for values in self[:4]), self.total)


class Mean(NamedTuple):
  """Of c over lines, with its standard error by their spread (nan: of a single line)."""

  c: float
  standard_error: float


def mean(series: Series, share: float = TENTH) -> Mean:
  """Of c over the last `share` of training, each line weighted by the steps that it stands for."""
  own = series.last(share)
  weights = (own.step - own.begin) / np.sum(own.step - own.begin)
  value = float(weights @ own.c)
  if len(own.c) < 2:
    return Mean(value, math.nan)
  spread = weights @ np.square(own.c - value) * len(own.c) / (len(own.c) - 1)
  return Mean(value, float(np.sqrt(spread * np.square(weights).sum())))


class Trend(NamedTuple):
  """A straight line through values over steps.

  Attributes:
    slope: a step.
    change: over all the steps.
    sure: whether the slope is not that of noise.
  """

  slope: float
  change: float
  sure: bool


def trend(begin: np.ndarray, step: np.ndarray, values: np.ndarray) -> Trend:
  """Of means over the steps begin + 1 to step, by least squares.

  Sure where the slope is beyond Student's t of its error. Of fewer than three values there is none.
  """
  from scipy.special import stdtrit

  if len(step) < 3:
    return Trend(0.0, 0.0, False)
  middle = (begin + step) / 2
  centered = middle - middle.mean()
  squares = np.square(centered).sum()
  slope = float(centered @ values / squares)
  rest = values - values.mean() - slope * centered
  freedom = len(step) - 2
  error = math.sqrt(np.square(rest).sum() / freedom / squares)
  return Trend(slope, slope * float(step[-1] - begin[0]), bool(abs(slope) > stdtrit(freedom, SURE) * error))


def at_end(multiplier: float, limits: tuple[float, float]) -> int:
  """-1 at the lower end of the range of multipliers, 1 at the upper end, else 0."""
  low, high = limits
  return -1 if multiplier <= (1 + NEAR) * low else int(multiplier >= (1 - NEAR) * high)


def is_met(kind: Kind, c: float, end: int, standard_error: float = 0.0) -> bool:
  """Whether a mean of c counts as met.

  |c| is at most 2% (cla and pncc: or two standard errors). Of an inequality that is not active, whose multiplier is at
  the lower end of its range (`end` is -1), c <= 0 is enough.
  """
  return bool(abs(c) <= kind.tolerance(standard_error) or (end < 0 and not kind.equality and c <= 0))


def settled(step: np.ndarray, c: np.ndarray, share: float = NEAR) -> int | None:
  """The first step from which on |c| stays within `share`, by the lines; None: it is not within at the end.

  Of an error c is that of its square, 5% of which are 2.5% of the error.
  """
  outside = np.flatnonzero(~(np.abs(c) <= share))
  first = outside[-1] + 1 if len(outside) else 0
  return int(step[first]) if first < len(step) else None


class Reason(NamedTuple):
  """Why a constraint is not met.

  Attributes:
    why: WARM_UP, END, MOVING, BEYOND or SWINGS.
    pushes: 1 where the multiplier is to grow for c to fall, -1 where it is to fall.
    speed: of what is reached, in the user's units, per 1,000 steps; 0: it has no trend.
    growth: the factor of the multiplier per 1,000 steps; 1: it has no trend.
    missing: steps until what was asked is reached, if it goes on so; None: it does not come nearer.
    best: that was reached in the last fifth, the nearest to what was asked, in the user's units.
    worst: the furthest from it.
  """

  why: str
  pushes: int
  speed: float
  growth: float
  missing: int | None
  best: float
  worst: float


def why_not(kind: Kind, asked: float, series: Series, limits: tuple[float, float], warm_up: float = 0.0) -> Reason:
  """Why a constraint that is not met is not, by the last fifth of training.

  Args:
    kind: of the constraint.
    asked: in the user's units.
    series: its course.
    limits: of its multiplier.
    warm_up: the step until which multipliers hold.
  """
  c, own = mean(series).c, series.last(FIFTH, FEWEST)
  reached = kind.reached(asked, own.c)
  pushes = 1 if c > 0 else -1
  moves, grows = (trend(own.begin, own.step, values) for values in (reached, np.log(own.multiplier)))
  is_moving = moves.sure and abs(moves.change) >= MOVES * abs(asked)
  is_growing = grows.sure and abs(grows.change) >= GROWS
  missing = None
  if is_moving and moves.slope * pushes * kind.sign < 0:  # from where it is: a line through a curve ends elsewhere
    missing = max(0, math.ceil((asked - reached[-1]) / moves.slope))
  # A straight line is kind: what would take longer than all the steps so far is not on its way.
  arrives = missing is not None and missing <= series.step[-1]
  if series.step[-1] <= warm_up:
    why = WARM_UP
  elif at_end(own.multiplier[-1], limits) == pushes:
    why = END
  elif grows.sure and grows.change * pushes >= IN_VAIN and not arrives and (kind.equality or c > 0):
    why = BEYOND
  else:
    why = MOVING if is_moving or is_growing else SWINGS
  order = np.argsort(np.abs(reached - asked))
  return Reason(
    why,
    pushes,
    1000 * moves.slope if is_moving else 0.0,
    math.exp(min(700, 1000 * grows.slope)) if is_growing else 1.0,
    missing,
    float(reached[order[0]]),
    float(reached[order[-1]]),
  )
