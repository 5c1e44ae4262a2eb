"""How stored values become observations, (value - center) / width: fitted on the training split, kept in the run."""

import math
from collections.abc import Callable

import numpy as np

from tfvae.errors import RunError, UserError

LARGEST = float(np.finfo(np.float32).max)
LEAST = {'none': 1e-37, 'min_max': 1e-307, 'standard': 1e-146}  # the spread of a column, so that no bits of it are lost


def reduced(x, limits: tuple[float, float], bits: int):
  """Whole numbers x, from limits[0] (black) to limits[1] (white), in 2^bits levels evenly spaced from there to there.

  An array or a tensor of floating point; bits 0: as it is. The levels have equal shares of the numbers, as where the
  last of 8 bits are dropped.
  """
  if not bits:
    return x
  low, high = limits
  level = (x - low) * 2**bits // (high - low + 1)
  return level * ((high - low) / (2**bits - 1)) + low


def fit_columns(x: np.ndarray, names: list[str], train: np.ndarray, kind: str) -> dict[str, list[float]]:
  """{'center', 'width'} of each column of x [N, D], or of all values where an example is no vector.

  Args:
    x: as stored.
    names: what messages call the columns.
    train: the positions of the training split in x.
    kind: spec.data.scaling.

  Raises:
    UserError: a column that cannot be scaled so.
  """
  x = x if x.ndim == 2 else x.reshape(len(x), 1, -1)
  centers, widths = [], []
  for number, name in enumerate(names):
    column = x[train, number].astype(np.float64)
    ends, moments = lambda c=column: (c.min(), c.max()), lambda c=column: (c.mean(), c.std())
    center, width = _fit(kind, ends, moments, name)
    centers.append(center)
    widths.append(width)
  return {'center': centers, 'width': widths}


def fit_images(limits: tuple[float, float], moments: Callable, kind: str) -> dict[str, float]:
  """{'center', 'width'} of images: by their black and white, or by moments(), mean and deviation of all values."""
  center, width = _fit(kind, lambda: limits, moments, 'the data')
  return {'center': center, 'width': width}


def agreed(kept: dict | None, fit: Callable[[], dict], checked: bool = True) -> dict:
  """The scaling of fit(), or, to its bits, the one that a run keeps.

  checked: whether that must be the same as fit() to rounding (RunError).
  """
  if kept is None or not checked:
    return kept or fit()
  fitted = fit()
  width = np.asarray(fitted['width'])
  for name in ('center', 'width'):
    there, now = (np.asarray(of[name]) for of in (kept, fitted))
    if np.any(np.abs(there - now) > 1e-6 * width):
      raise RunError(
        f'spec.data: the data have changed since the run began, or its data.json has: {name} {_short(now)}, the run '
        f'has {_short(there)}. Put back what changed, give another --workdir for a run on these data, or start afresh '
        'with --overwrite (the run is set aside)'
      )
  return kept


def _short(values):
  """The first three of them."""
  values = np.atleast_1d(values)
  return ', '.join(f'{value:.6g}' for value in values[:3]) + (', ...' if len(values) > 3 else '')


def _fit(kind, ends, moments, what):
  """(center, width): the observation is (value - center) / width."""
  low, high = (float(end) for end in ends())
  far = max(low, high, key=abs)
  if kind == 'none':
    center, width, spread = 0.0, 1.0, abs(far)
  elif kind == 'min_max':
    center, width = low, high - low
    spread = width
  else:
    with np.errstate(over='ignore', invalid='ignore'):
      center, width = (float(value) for value in moments())
    spread = high - low
  if not (math.isfinite(width) and math.isfinite(center)) or (kind == 'none' and spread > LARGEST):
    raise UserError(
      f'spec.data.scaling: got {kind}, but {what} has the value {far:g} in the training split, beyond what can be '
      'computed with; divide such a column by a power of ten, or leave it out'
    )
  if 0 < spread < LEAST[kind] or (spread and not width):
    raise UserError(
      f'spec.data.scaling: got {kind}, but {what} has values of {low:g} to {high:g} in the training split, too near '
      'together to be computed with; multiply such a column by a power of ten, or leave it out'
    )
  if kind != 'none' and width <= 1e-12 * abs(center):
    raise UserError(
      f'spec.data.scaling: got {kind}, but {what} has the one value {center:g} in the training split; '
      'use spec.data.scaling=none, or leave such a column out of the file'
    )
  return center, width


def scaled(x: np.ndarray, names: list[str], scaling: dict, kind: str, split: str) -> np.ndarray:
  """The examples x of a split, scaled in float64, as float32. Raises UserError where a value is too large for that."""
  center, width = np.array(scaling['center']), np.array(scaling['width'])
  found = np.empty(x.shape, np.float32)
  for first in range(0, len(x), 8192):  # in blocks: no copy of all in float64
    block = slice(first, first + 8192)
    with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
      found[block] = (x[block] - center) / width  # an example that is no vector has one center
    if not (right := np.isfinite(found[block])).all():
      row, *place = np.unravel_index(int(right.argmin()), right.shape)
      value, what = x[first + row][tuple(place)], names[place[0] if len(names) > 1 else 0]
      raise UserError(
        f'spec.data.scaling: got {kind}, but the value {value:g} of {what} '
        f'(row {first + row} of the stored {split} split, from 0) is beyond {LARGEST:.2g} when it is scaled; leave '
        'its row out, or divide the column by a power of ten'
      )
  return found
