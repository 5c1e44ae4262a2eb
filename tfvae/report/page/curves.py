"""Curves of a run, thinned to few points, as a page keeps them."""

import math

import numpy as np

# Of metrics.jsonl what is drawn, the first ones first; a * stands for the rest of a name.
DRAWN = (
  'elbo',
  'log_likelihood',
  'rate',
  'rate/*',
  'mse',
  'sigma',
  'psnr',
  'loss',
  'loss/*',
  'accuracy',
  'cross_entropy',
  'beta/*',
  'constraint_average/*',
  'constraint/*',
  'multiplier/*',
  'threshold/*',
  'entropy/*',
  'entropy_sum',
  'elbo_minus_entropies',
  'active_units',
  'active_units/*',
  'log_evidence',
  'nll_per_dimension',
  'iwae',
  'relaxed/*',
  'gradient_norm',
  'gradient_norm/*',
)
MOST_SERIES = 48  # of a split


def curves(metrics: dict[str, dict[str, np.ndarray]], points: int, digits: int) -> dict[str, dict]:
  """{split: {'step': [...], 'series': {name: [...]}}} of metrics.jsonl, at most `points` each; null: not finite.

  Kept are the first and the last line, others evenly between, the same ones of runs that are equally long, and those
  where a series is highest or lowest, the first names of `DRAWN` first.

  Args:
    metrics: {split: {name: values}} of a run, as `Directory.metrics`.
    points: the most lines of a split that are kept.
    digits: that are kept of a number.
  """
  found = {}
  for split, own in metrics.items():
    names = sorted(drawn(own), key=lambda name: name.count('/') > 1)[:MOST_SERIES]  # not single steps of a layer first
    if not names:
      continue
    rows = thinned([own[name] for name in names], points)
    found[split] = {
      'step': [int(step) for step in own['step'][rows]],
      'series': {name: numbers(own[name][rows], digits) for name in names},
    }
  return found


def drawn(names) -> list[str]:
  """Those that are drawn, in the order of `DRAWN`."""
  found = {}
  for pattern in DRAWN:
    begin = pattern.removesuffix('*')
    found |= {name: None for name in names if name == pattern or (begin != pattern and name.startswith(begin))}
  return list(found)


def thinned(series: list[np.ndarray], points: int) -> np.ndarray:
  """The rows of equally long series that are kept, at most `points`: the first, the last, as many in all as are half of
  `points` evenly, so that runs of one length share them and have means; then extremes, and others evenly.
  """
  count = len(series[0])
  if count <= points:
    return np.arange(count)
  kept = {0, count - 1, *np.linspace(0, count - 1, points // 2).round().astype(int).tolist()}
  for values in series:
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite):
      extremes = {int(finite[np.argmin(values[finite])]), int(finite[np.argmax(values[finite])])}
      if len(kept | extremes) <= points:
        kept |= extremes
  even = np.linspace(0, count - 1, points).round().astype(int)
  others = [row for row in even if row not in kept]
  room = points - len(kept)
  if room and others:
    kept.update(others[i] for i in np.linspace(0, len(others) - 1, min(room, len(others))).round().astype(int))
  return np.array(sorted(kept))


def numbers(values, digits: int) -> list[float | int | None]:
  """As JSON has them: with so many digits, and None in place of what is not finite."""
  return [number(value, digits) for value in values]


def number(value, digits: int = 17) -> float | int | None:
  """One of `numbers`."""
  value = float(value)
  if not math.isfinite(value):
    return None
  value = float(f'{value:.{digits}g}')
  return int(value) if value == int(value) and abs(value) < 2**53 else value
