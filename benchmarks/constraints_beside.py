"""Runs under different constraints, measured alike: which rate each needs for what it reaches.

    python benchmarks/constraints_beside.py runs/cla runs/re-0.2 runs/re-0.3 --classifier runs/classifier/mnist --at cla
    python benchmarks/constraints_beside.py runs/re runs/pncc runs/fre --names re,pncc --picture beside.png

A run's own evaluation has the constraints that it was trained under; here all runs are evaluated by the same --names,
and by one classifier. Prints a table: runs that differ in their seeds alone are one row, the median and in brackets the
range; after +- the largest standard error of their means. Of cla and pncc the mean, of re and fre the root of the mean
square. --at NAME: then, for each row that is not of re alone, the rate at which re reaches the same NAME, by linear
interpolation between the runs of re with the same seed. --picture: reconstructions of the first examples, a row a run.
"""

import argparse
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np  # noqa: E402

from tfvae.trained import Run  # noqa: E402


def measured(run: Run, names: tuple[str, ...], classifier: str, split: str, samples: int) -> dict[str, float]:
  """Its rate, and of each name what is constrained, with the standard error of its mean as <name>:error."""
  from ml_collections import ConfigDict

  from tfvae import build
  from tfvae.analysis.bounds import Bounds
  from tfvae.analysis.constraints import Constraints
  from tfvae.analysis.evaluation import Evaluation

  spec = ConfigDict(run.spec.to_dict())  # no rule says what a run may be measured by
  spec.constraint.names, spec.eval.num_samples = names, samples
  spec.classifier.path = classifier or spec.classifier.path
  data = build.dataset(spec, run.data)
  model = build.model(spec, data.observation)
  run.restore(model)
  evaluators = [Bounds.from_spec(spec, data.observation, build), Constraints.from_spec(spec, data.observation, build)]
  numbers = {}
  for _, found in Evaluation(model, build.source(spec, data), spec).run(split, evaluators):
    numbers |= found.numbers
  result = {'rate': numbers['rate']}
  for measure in build.constraints(spec, data.observation):
    name = measure.name
    mean = numbers[f'threshold/{name}'] + measure.sign * numbers[f'constraint/{name}']
    error = numbers[f'constraint_standard_error/{name}']
    root = measure.sign > 0 and not name.startswith('rate/')
    result |= {name: mean**0.5 if root else mean, f'{name}:error': error / (2 * mean**0.5) if root else error}
  return result


def asked(spec) -> str:
  """The constraints of a run in words."""
  of = spec.constraint
  words = {name: f'{name} {of[name].kappa:g}' for name in ('re', 'fre', 'cla', 'pncc')}
  words['fre'] += f' of {of.fre.features}'
  words['rate'] = ' '.join(['rate', *(f'{layer}={of.rate[layer]:g}' for layer in spec.model.layers if of.rate[layer])])
  return ', '.join(words[name] for name in of.names) or 'none (ELBO)'


def is_re(what: str) -> bool:
  """Whether it is re alone that was asked for."""
  return what.startswith('re ') and ',' not in what


def spread(values) -> str:
  """The median, and the range of several."""
  text = f'{statistics.median(values):.4g}'
  return text if len(values) == 1 else f'{text} ({min(values):.4g} to {max(values):.4g})'


def needed(rows: dict, name: str, split: str, seed: int, value: float) -> float:
  """The rate at which re reaches a value, interpolated between its runs with this seed; nan where none brackets it."""
  of_re = [found[seed][split] for what, found in rows.items() if is_re(what) and seed in found]
  points = sorted((point[name], point['rate']) for point in of_re)
  if len(points) < 2 or not points[0][0] <= value <= points[-1][0]:
    return float('nan')
  return float(np.interp(value, *zip(*points, strict=True)))


def table(rows: dict, names: tuple[str, ...], splits: list[str]) -> list[str]:
  """rows: {what was asked: {seed: {split: `measured`}}}."""
  heads = [f'{what}, {split}' for split in splits for what in ('rate', *names)]
  lines = ['| asked | runs | ' + ' | '.join(heads) + ' |', '|---' * (len(heads) + 2) + '|']
  for what, found in sorted(rows.items()):
    cells = []
    for split in splits:
      cells.append(spread([of[split]['rate'] for of in found.values()]))
      for name in names:
        error = max(of[split][f'{name}:error'] for of in found.values())
        cells.append(f'{spread([of[split][name] for of in found.values()])} +- {error:.2g}')
    lines.append(f'| {what} | {len(found)} | ' + ' | '.join(cells) + ' |')
  return lines


def picture(path: str, runs: dict[str, Run], split: str, columns: int) -> None:
  """Reconstructions of the first examples, below each other."""
  import matplotlib

  matplotlib.use('Agg')
  from tfvae.report.sheet import DPI, Panel, sheet

  arrays = {what: run.arrays('samples', split) for what, run in runs.items()}
  labels, images = ['x'], [next(iter(arrays.values()))['x'][:columns]]
  for what, run in runs.items():
    found = run.evaluation
    labels.append(f'{what}\n{found["rate"]:.1f} nats\nerror {found["mse"] ** 0.5:.3f}')
    images.append(arrays[what]['reconstruction'][:columns])
  limits = next(iter(arrays.values()))['value_range']
  drawn = sheet(f'E[x | z], {split} split', [(labels, [Panel(np.concatenate(images), columns)])], limits)
  drawn.savefig(path, dpi=DPI)
  print(path)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('runs', nargs='+', help='workdirs of runs of one data set')
  parser.add_argument('--names', default='cla,re', help='the constraints that runs are measured by')
  parser.add_argument('--classifier', default='', help="workdir of a run of specs/classifier.py; empty: the run's own")
  parser.add_argument('--splits', default='test', help='train,test')
  parser.add_argument('--samples', type=int, default=4, help='of q, of each example')
  parser.add_argument('--at', default='', help='the name at whose value the rates of re are interpolated')
  parser.add_argument('--picture', default='', help='a PNG file')
  parser.add_argument('--columns', type=int, default=14, help='of the picture')
  args = parser.parse_args()
  names, splits, rows = tuple(filter(None, args.names.split(','))), args.splits.split(','), {}
  runs = [Run(path) for path in args.runs]
  if args.picture:
    picture(args.picture, {asked(run.spec): run for run in runs}, splits[-1], args.columns)
  for run in runs if names else ():
    found = {split: measured(run, names, args.classifier, split, args.samples) for split in splits}
    rows.setdefault(asked(run.spec), {})[run.spec.seed] = found
    print(run.workdir, {split: {k: round(v, 5) for k, v in of.items()} for split, of in found.items()}, flush=True)
  print('\n'.join(['', *table(rows, names, splits)]) if rows else '')
  for what, found in rows.items() if args.at else ():
    if not is_re(what):
      for split in splits:
        others = [needed(rows, args.at, split, seed, of[split][args.at]) for seed, of in found.items()]
        own = [of[split]['rate'] for of in found.values()]
        print(f'{what}, {split}: {spread(own)} nats; re at the same {args.at}: {spread(others)} nats')


if __name__ == '__main__':
  main()
