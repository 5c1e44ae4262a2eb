"""Runs side by side, as text: the fields that differ, and the test numbers with their standard errors."""

import math
import os
import pathlib

from tfvae import spec as spec_lib
from tfvae.errors import RunError, cut
from tfvae.run import metrics
from tfvae.run.collection import SEEDS, Entry, collect, differing, tells_apart

MOST = 8  # runs; more are a grid
AT_ONCE = 3  # beside the first
MOST_NUMBERS = 40
LETTERS = 'abcdefgh'
VALUE = 24  # characters of a column


def runs_of(text: str | os.PathLike) -> list[Entry]:
  """The runs that 'a,b' names, two or more: directories, of the others than the first also by their names beside it.

  Names of directories may have commas themselves (runs/hit,seed=1).

  Raises RunError: a name stands for no run, or for several; fewer than two, or more than `MOST` are named.
  """
  text = os.fspath(text)
  paths = _paths(text.split(','), None)
  if paths is None:
    unknown = next((part for part in text.split(',') if not pathlib.Path(part).expanduser().is_dir()), text)
    raise RunError(
      f'--workdir: {cut(unknown)} of {cut(text, 100)} is no directory, neither from here nor beside the first one; '
      'give two runs or more, separated by commas: --workdir runs/a,runs/b'
    )
  if len(paths) < 2:
    found = collect(paths[0])
    what = 'is one run' if found.alone else f'holds {len(found.runs)} run{"s" * (len(found.runs) != 1)}'
    raise RunError(
      f'--workdir {cut(text, 160)}: {what}; --mode=compare takes two runs or more, separated by commas '
      f'(--workdir runs/a,runs/b). --mode=report shows all runs of a directory'
    )
  if len(paths) > MOST:
    raise RunError(
      f'--workdir: got {len(paths)} runs; allowed: 2 to {MOST}. --mode=report shows all runs of a directory'
    )
  return [_run(path) for path in paths]


def _paths(parts, first):
  """Directories whose names, joined by commas, are the parts; the longest names first. None: there are none such."""
  if not parts:
    return []
  for end in range(len(parts), 0, -1):
    path = pathlib.Path(','.join(parts[:end])).expanduser()
    beside = [first.parent / path] if first else []
    for own in (path, *beside):
      if ','.join(parts[:end]) and own.is_dir():
        rest = _paths(parts[end:], first or own)
        if rest is not None:
          return [own, *rest]
  return None


def _run(path):
  found = collect(path)
  if not found.alone:
    names = [run.name for run in found.runs[:3]] + ['...'] * (len(found.runs) > 3)
    raise RunError(
      f'--workdir {cut(str(path))}: is no run, but holds {len(found.runs)} ({cut(", ".join(names))}); name the runs '
      'that are to be compared'
    )
  return found.runs[0]


def lines(runs: list[Entry]) -> list[str]:
  """What there is to say of runs beside each other, a line each, of at most 120 columns.

  Of each number both have: the values, +- a standard error where one is kept, and the difference from the first run,
  whose standard error sqrt(s_a^2 + s_b^2) takes the evaluations as independent (on the same examples they are not: the
  error of the difference is smaller then, but cannot be told from means). Numbers that one lacks are a -.

  Raises RunError: none of them has been evaluated.
  """
  if not any(run.numbers for run in runs):
    raise RunError(
      f'--workdir: none of the {len(runs)} runs has been evaluated; run --mode=evaluate on them, or train on'
    )
  return [*_heads(runs), *_told(runs), *_fields(runs), *_numbers(runs)]


def _heads(runs):
  found = []
  for letter, run in zip(LETTERS, runs, strict=False):
    seed = ', '.join(f'{name} {run.fields[name]}' for name in SEEDS if run.fields[name])
    state = f'{run.status}, step {run.step:,} of {run.steps:,}' if run.steps else run.status
    found.append(f'{letter}  {cut(str(run.directory.workdir), 70)}: {state}{f", {seed}" if seed else ""}')
    if run.message:
      found.append(f'   {cut(run.message, 110)}')
  return found


def _told(runs):
  """What should be known before numbers are compared."""
  found = []
  if len({_data(run) for run in runs}) > 1:
    found.append('other data: their numbers are of different examples')
  for split in _splits(runs):
    steps = {run.evaluated[split] for run in runs if split in run.evaluated}
    if len(steps) > 1:
      of = ', '.join(
        f'{a} {run.evaluated[split]:,}' for a, run in zip(LETTERS, runs, strict=False) if split in run.evaluated
      )
      found.append(f'{split} split: evaluated at other steps: {of}')
    if missing := [a for a, run in zip(LETTERS, runs, strict=False) if split not in run.evaluated]:
      found.append(f'{split} split: not evaluated in {", ".join(missing)}')
  if not differing(run.settings for run in runs):
    found.append('the same spec, seeds and all')
  return ['', *found] if found else []


def _data(run):
  """What tells data apart: a checksum of some examples, where data.json has it."""
  try:
    kept = run.directory.data or {}
  except RunError:
    kept = {}
  return kept.get('fingerprint', run.fields['data.name']), str(kept.get('scaling'))


def _fields(runs):
  names = differing(run.fields for run in runs)
  rest = [name for name in names if not tells_apart(name)]
  names = [name for name in names if name not in rest]
  if not names and not rest:
    return ['', 'fields: all alike']
  found = (
    ['', *_table('field', names, [[_value(run, name) for run in runs] for name in names], len(runs))] if names else []
  )
  if rest:
    found += ['', f'and, on which their training does not depend: {cut(", ".join(rest), 200)}']
  return found


def _value(run, name):
  value = run.fields.get(name)
  return '-' if value is None else cut(spec_lib.to_text(value), VALUE - 2) or "''"


def _numbers(runs):
  found = []
  for split in _splits(runs):
    own = [run.numbers.get(split, {}) for run in runs]
    names = metrics.main(dict.fromkeys(name for numbers in own for name in numbers))
    shown = list(names)[:MOST_NUMBERS]
    for first in range(1, len(runs), AT_ONCE):
      block = [0, *range(first, min(first + AT_ONCE, len(runs)))]
      cells = [[_number(own[i], name) for i in block] for name in shown]
      others = [i for i in block if i and split in runs[i].numbers and split in runs[0].numbers]
      both = len(block) == 2
      if both:
        cells = [
          row + [_difference(own[0], own[i], name) for i in others] for row, name in zip(cells, shown, strict=True)
        ]
      heads = [LETTERS[i] for i in block] + [f'{LETTERS[i]} - a' for i in others if both]
      found += ['', *_table(f'{split} split', shown, cells, len(block), heads)]
      if not both and others:
        cells = [[_difference(own[0], own[i], name) for i in others] for name in shown]
        found += ['', *_table(f'{split} split', shown, cells, len(others), [f'{LETTERS[i]} - a' for i in others])]
    known = {name for numbers in own for name in numbers} - set(shown)
    if rest := len(known - {metrics.standard_error(name) for name in shown}):
      found.append(f'  and {rest} more numbers in their evaluation files')
  note = '+- one standard error over the examples, where it is kept; of a difference sqrt(s_a^2 + s_b^2), as if the'
  return [*found, '', note, 'evaluations were independent. -: it has none.']


def _number(numbers, name):
  if name not in numbers:
    return '-'
  return f'{numbers[name]:.6g}{_error(numbers.get(metrics.standard_error(name)))}'


def _difference(a, b, name):
  """b - a, with its standard error where both have one."""
  if name not in a or name not in b:
    return '-'
  errors = [numbers.get(metrics.standard_error(name)) for numbers in (a, b)]
  error = None if None in errors else math.hypot(*errors)
  value = b[name] - a[name]
  if abs(value) < 1e-9 * abs(a[name]):  # rounding
    value = 0.0
  return f'{value:+.4g}{_error(error)}'


def _error(error):
  return '' if error is None else f' +- {error:.2g}'


def _splits(runs):
  """The splits that any has numbers of, those that all have first."""
  splits = dict.fromkeys(split for run in runs for split in run.numbers)
  return sorted(splits, key=lambda split: -sum(split in run.numbers for run in runs))


def _table(title, names, cells, columns, heads=None):
  """Rows of text under heads, as wide as they must be."""
  heads = heads or list(LETTERS[:columns])
  first = min(max(len(name) for name in (title, *names)), 34)
  widths = [max(len(row[i]) for row in (heads, *cells)) for i in range(len(heads))]
  rows = [(title, heads), *zip(names, cells, strict=True)]
  return [
    '  '.join([cut(name, first).ljust(first), *(text.rjust(width) for text, width in zip(row, widths, strict=True))])
    for name, row in rows
  ]
