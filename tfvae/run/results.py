"""The runs of a collection as a table: results.csv, and pandas' data frames. Imports no TensorFlow."""

import csv
import io
import os
import pathlib
from typing import Any

import numpy as np

from tfvae import spec as spec_lib
from tfvae.errors import RunError, cut
from tfvae.run import metrics
from tfvae.run.collection import Collection, collect
from tfvae.run.files import atomic, writing

OWN = ('run', 'status', 'message', 'step')
NAME = 'results.csv'


def table(collection: Collection, every: bool = False) -> tuple[list[str], list[dict[str, Any]]]:
  """(The columns, a row for each run): `OWN`, the fields in which the runs differ, then <split>/<name> of each number,
  <split>/step among them where numbers of a run are of another step than its last one.

  Points of a grid without a run have a row, too. What a row lacks, it has not.

  Args:
    every: with the numbers of single latent units.
  """
  fields, numbers, rows = collection.differing, {}, []
  earlier = {s for run in collection.runs for s, step in run.evaluated.items() if step != run.step}
  numbers |= dict.fromkeys(f'{split}/step' for split in collection.splits if split in earlier)
  for run in collection.runs:
    own = {
      f'{split}/{name}': value
      for split, of in run.numbers.items()
      for name, value in of.items()
      if every or not _is_single(name)
    }
    numbers |= dict.fromkeys(own)
    own |= {f'{split}/step': step for split, step in run.evaluated.items() if split in earlier}
    head = {'run': run.name, 'status': run.status, 'message': _line(run.message), 'step': run.step}
    rows.append(head | {name: run.fields[name] for name in fields if name in run.fields} | own)
  for point in collection.absent:
    head = {'run': point.name, 'status': point.status, 'message': _line(point.message), 'step': 0}
    rows.append(head | {name: value for name, value in point.fields.items() if name in fields})
  order = {f'{split}/': place for place, split in enumerate(_splits(collection))}
  names = sorted(numbers, key=lambda name: order[f'{name.partition("/")[0]}/'])
  return [*OWN, *fields, *names], rows


def write(collection: Collection, path: pathlib.Path | None = None, every: bool = False) -> pathlib.Path:
  """Writes `table` as CSV (UTF-8, whole or not at all), by default results.csv in the directory; returns its path.

  Raises RunError: it cannot be written.
  """
  path = path or collection.directory / NAME
  columns, rows = table(collection, every)
  write_csv(path, columns, ([row.get(name) for name in columns] for row in rows))
  return path


def write_csv(path: pathlib.Path, columns, rows) -> None:
  """Writes a CSV file whole or not at all. Raises RunError."""
  text = io.StringIO(newline='')
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(columns)
  writer.writerows([_cell(value) for value in row] for row in rows)
  with writing(path.parent), atomic(path, 'wb') as file:
    file.write(text.getvalue().encode('utf-8', 'backslashreplace'))


def load_runs(directory: str | os.PathLike, curves: bool = False):
  """The runs at or below a directory as a pandas DataFrame, from their files alone: one row a run.

      runs = tfvae.load_runs('runs/grid')
      runs.groupby('objective.beta.z2')[['test/elbo', 'test/rate/z2']].agg(['mean', 'std'])

  Args:
    directory: of a run, or one that holds runs: a grid, say.
    curves: a row for each line of metrics.jsonl in place of one for each run.

  Returns:
    Index `run`: the path of each run below the directory. Columns as in results.csv: `status` (finished, running,
    interrupted, failed, begun, waiting), `message`, `step`, the fields of their specs in which the runs differ
    ('objective.beta.z2'), and the numbers of their last evaluations as <split>/<name> ('test/elbo'), without those of
    single latent units; <split>/step where some are not of their run's last step. Numbers are int64 or float64, NaN
    where a run has none; tuples are text as flags write them.
    Fields that all runs share are in tfvae.load(path).spec.

    With `curves` the columns are `split` ('train', 'test', ...; 'train (evaluated)' for evaluations of the training
    split), `step`, the fields that differ, and the metrics by their names ('elbo').

    `.attrs['problems']`: what was left out and why, which is printed, too.

  Raises RunError: there is no run at or below the directory.
  """
  import pandas

  collection = collect(directory)
  problems = list(collection.problems)
  columns, rows = _curves(collection, problems) if curves else table(collection)
  for problem in problems:
    print(problem, flush=True)
  frame = pandas.DataFrame({name: _column([row.get(name) for row in rows]) for name in columns}).set_index('run')
  frame.attrs['problems'] = problems
  return frame


def _curves(collection, problems):
  names, rows = {}, []
  for run in collection.runs:
    fields = {name: run.fields[name] for name in collection.differing if name in run.fields}
    try:
      series = run.metrics
    except RunError as error:
      problems.append(f'left out: {error}')
      continue
    for split, of in series.items():
      names |= dict.fromkeys(of)
      for values in zip(*of.values(), strict=True):
        rows.append({'run': run.name, 'split': split} | fields | dict(zip(of, values, strict=True)))
  names.pop('step', None)
  return ['run', 'split', 'step', *collection.differing, *names], rows


def _column(values):
  """Values as an array of the type that they have: numbers, else text; None is NaN among numbers."""
  there = [value for value in values if value is not None]
  if there and all(isinstance(value, (bool, np.bool_)) for value in values):
    return np.array(values, bool)
  if all(isinstance(value, (int, float, np.number)) and not isinstance(value, bool) for value in there):
    whole = len(there) == len(values) and all(float(value).is_integer() for value in there)
    exact = whole and all(isinstance(value, (int, np.integer)) for value in there)
    return np.array([np.nan if value is None else value for value in values], np.int64 if exact else np.float64)
  return [value if value is None or isinstance(value, str) else spec_lib.to_text(value) for value in values]


def _cell(value):
  if value is None:
    return ''
  if isinstance(value, (float, np.floating)):
    return repr(float(value))
  return value if isinstance(value, (str, int)) and not isinstance(value, bool) else spec_lib.to_text(value)


def _line(text):
  return cut(' '.join(text.split()), 400)


def _is_single(name):
  return bool(metrics.by_layer([name]))


def _splits(collection):
  """The splits, those that specs evaluate first."""
  own = [run.split for run in collection.runs]
  return sorted(collection.splits, key=lambda split: -own.count(split))
