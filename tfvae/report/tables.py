"""The numbers of runs as CSV, for other programs: all of each run, and their curves."""

import pathlib

import numpy as np

from tfvae.errors import RunError
from tfvae.report.cohorts import better
from tfvae.run import metrics, results
from tfvae.run.collection import Collection
from tfvae.run.files import writing
from tfvae.run.meanings import meaning

# Of metrics.jsonl beside the main numbers; single steps of a section and units are left out.
CURVES = ('loss', 'gradient_norm', 'beta/*', 'constraint_average/*', 'multiplier/*', 'relaxed/elbo')
MANY, MOST_ROWS = 100, 50  # of more runs than that curves.csv has so many lines of each split, evenly
BETTER = {1: 'more', -1: 'less', 0: ''}


def write(collection: Collection) -> list[pathlib.Path]:
  """Writes report/ of a collection; returns the paths.

  Of several runs runs.csv: a row for each, all numbers (`results.table`). Of one run numbers.csv: a row for each number
  with its standard error, its unit, whether more or less of it is better, and what it is. Of both curves.csv: run,
  split, step, name and value (7 digits) of the main metrics over training; of more than `MANY` runs `MOST_ROWS` lines
  of each split. `tfvae.load_runs(directory, curves=True)` has all.

  Raises RunError: they cannot be written.
  """
  directory = collection.directory / 'report'
  with writing(collection.directory):
    directory.mkdir(exist_ok=True)
  paths = [directory / 'curves.csv']
  if collection.alone:
    paths.insert(0, directory / 'numbers.csv')
    columns = ('split', 'step', 'name', 'value', 'standard_error', 'unit', 'better', 'what')
    results.write_csv(paths[0], columns, _numbers(collection.runs[0]))
  else:
    paths.insert(0, results.write(collection, directory / 'runs.csv', every=True))
  results.write_csv(paths[-1], ('run', 'split', 'step', 'name', 'value'), _curves(collection))
  return paths


def _numbers(run):
  """Of each number but standard errors, which stand beside what they are of."""
  for split, numbers in run.numbers.items():
    units = metrics.main(numbers)
    errors = {metrics.standard_error(name) for name in numbers}
    for name, value in numbers.items():
      if name not in errors:
        error = numbers.get(metrics.standard_error(name))
        text = meaning(name).text
        yield [split, run.evaluated[split], name, value, error, units.get(name), BETTER[better(name)], text]


def _curves(collection):
  for run in collection.runs:
    try:
      series = run.metrics
    except RunError as error:  # the others can be read
      print(f'left out: {error}', flush=True)
      continue
    for split, of in series.items():
      names = [name for name in metrics.main(of) if 'threshold' not in name]
      names += [name for pattern in CURVES for name in of if metrics.fits(name, pattern)]
      rows = np.arange(len(of['step']))
      if len(collection.runs) > MANY:
        rows = np.unique(np.linspace(0, rows[-1], MOST_ROWS).round().astype(int))
      steps = of['step'][rows].astype(int).tolist()
      for name in names:
        for step, value in zip(steps, of[name][rows].tolist(), strict=True):
          if value == value:  # a line that has not this name is NaN
            yield run.name, split, step, name, float(f'{value:.7g}')
