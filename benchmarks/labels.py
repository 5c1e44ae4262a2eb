"""What codes of HIT tell about labels: probes on samples <= the bound from I_q <= the bound from the rates.

    python benchmarks/labels.py runs/labels/digits runs/labels/mnist [--picture docs/images/hit-labels.png]

Takes runs of specs/hit.py, or directories of them, that differ in betas, seeds and data, and evaluates of each what is
not there yet (bounds, mutual_information, accuracy_bounds, probes), by a command `python launch.py --mode=evaluate` of
its own: what was interrupted goes on where it was. --fields: fields of spec.eval for these, separated by spaces. --show
reads what is there, and evaluates nothing. Of each data set, in Markdown, medians (and ranges) over the seeds.

Then each point is checked: of a run, layers (each, and all), a classifier, and a way of fitting, the accuracy a on n
samples of q against both bounds b. It is a violation where a - b > 3 sqrt(b (1 - b) / n + e^2): the binomial error of a
classifier that is as good as the bound, and e, how much higher the bound is at one standard error more of I_q, or of
the rate. And so is, for each pair of bounds, the one from I_q above the other by more than 3 e. Accuracies on locations
are counted, too: they are no points, as nothing bounds them.

--picture: accuracies over the beta of the top layer, with both bounds. --fit split: those of the 80/20 split there.
"""

import argparse
import math
import pathlib
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]

from grid import of, table  # noqa: E402

from tfvae.report.accuracies import BOUNDS, NAMES, bound  # noqa: E402
from tfvae.run.directory import Directory  # noqa: E402

EVALUATORS = ('bounds', 'mutual_information', 'accuracy_bounds', 'probes')
FITS = {'split': 'probe', 'train': 'probe_train'}
TITLES = {'split': 'fitted on 80% of the split and judged on the rest', 'train': 'fitted on the training split'}
ERRORS = 3


class Point(NamedTuple):
  """The accuracy of a classifier on samples, and a bound of it."""

  where: str
  accuracy: float
  bound: float
  error: float  # of the difference, were the accuracy as high as the bound

  @property
  def is_violated(self) -> bool:
    return self.accuracy - self.bound > ERRORS * self.error

  def __str__(self):
    return f'{self.where}: {self.accuracy:.4f} > {self.bound:.4f}, by {self.over:.1f} standard errors'

  @property
  def over(self) -> float:
    """The difference in standard errors."""
    return (self.accuracy - self.bound) / self.error if self.error else math.inf


def directories(paths: list[pathlib.Path]) -> list[pathlib.Path]:
  """The runs that are, or are in, these."""
  return [run for path in paths for run in ([path] if (path / 'spec.json').is_file() else _inside(path))]


def _inside(path):
  return sorted(spec.parent for spec in path.glob('*/spec.json'))


def evaluate(run: pathlib.Path, fields: list[str]) -> None:
  """Finds what is missing. Raises SystemExit: it failed."""
  flags = [f'--spec.eval.evaluators={",".join(EVALUATORS)}', *(f'--spec.eval.{field}' for field in fields)]
  done = subprocess.run(
    [sys.executable, 'launch.py', '--mode=evaluate', '--workdir', str(run.absolute()), *flags],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  print(f'{run}: {"evaluated" if done.returncode == 0 else "failed"}', file=sys.stderr, flush=True)
  if done.returncode:
    raise SystemExit(done.stdout[-2000:])


def found(run: pathlib.Path) -> dict[str, float]:
  """The numbers of its last evaluation of the test split; none where one of `EVALUATORS` is missing there."""
  directory, path = Directory(run), run / 'evaluation.json'
  numbers = directory.read_evaluation(path)
  return numbers if set(EVALUATORS) <= set(directory.found(numbers['step'], numbers['split'])) else {}


def case(run: pathlib.Path) -> tuple[str, tuple[float, ...]]:
  """(the data, the betas, top first)."""
  directory = Directory(run)
  spec = directory.spec
  binary = 'binary ' if spec.data.binarize != 'none' else ''
  return f'{binary}{directory.data["name"]}', tuple(spec.objective.beta[layer] for layer in spec.model.layers)


def fits(numbers: dict[str, float]) -> list[str]:
  """Those that the probes have."""
  return [fit for fit in FITS if any(name.startswith(f'{FITS[fit]}/') for name in numbers)]


def common(groups: dict) -> list[str]:
  """The fits that all runs of a data set have."""
  return [fit for fit in FITS if all(fit in fits(numbers) for group in groups.values() for numbers in group)]


def slots(numbers: dict[str, float]) -> list[str]:
  """Each layer, and all: as the probes have them."""
  begin = f'{FITS[fits(numbers)[0]]}/logistic/'
  return [name.removeprefix(begin) for name in numbers if name.startswith(begin)]


def points(where: str, numbers: dict[str, float]) -> list[Point]:
  """Of each probe on samples of a run, against each bound."""
  made = []
  for fit in (FITS[name] for name in fits(numbers)):
    for layers in slots(numbers):
      for classifier in NAMES:
        for what in BOUNDS:
          b, upper = bound(numbers, what, layers)
          error = math.sqrt(b * (1 - b) / numbers[f'{fit}_examples/{classifier}'] + (upper - b) ** 2)
          name = f'{fit}/{classifier}/{layers}'
          made.append(Point(f'{where} {name} against {what}', numbers[name], b, error))
  return made


def pairs(where: str, numbers: dict[str, float]) -> list[Point]:
  """Of the bounds from I_q those from the rates."""
  made = []
  for layers in slots(numbers):
    (b, upper), (rate, rate_upper) = (bound(numbers, what, layers) for what in BOUNDS)
    made.append(Point(f'{where} bounds of {layers}', b, rate, math.hypot(upper - b, rate_upper - rate)))
  return made


def exceeding(numbers: dict[str, float]) -> tuple[int, int]:
  """How many probes on locations exceed the bound from I_q, and how many there are."""
  kinds = [f'{FITS[fit]}_location/{classifier}' for fit in fits(numbers) for classifier in NAMES]
  names = [(f'{kind}/{layers}', layers) for kind in kinds for layers in slots(numbers)]
  return sum(numbers[name] > bound(numbers, 'information', own)[0] for name, own in names), len(names)


def information_table(groups: dict) -> str:
  """Rates, I_q and the bounds, by betas."""
  first = next(iter(groups.values()))[0]
  layers = [name.removeprefix('mutual_information/') for name in first if name.startswith('mutual_information/')]
  rates = [f'rate/{layer}' for layer in layers[-1].split(',')]
  columns = {name: (name, '.2f') for name in rates}
  columns |= {f'I_q(label; {own})': (f'mutual_information/{own}', '.3f') for own in layers}
  for what, title in (('information', 'bound, I_q, '), ('rate', 'bound, rates, ')):
    columns |= {f'{title}{own}': (f'accuracy_bound_{what}/{own}', '.3f') for own in layers}
  rows = [[_betas(betas), str(len(own)), *(of(own, *how) for how in columns.values())] for betas, own in groups.items()]
  return table(['betas', 'seeds', *columns], rows)


def probe_table(groups: dict, fit: str) -> str:
  """Accuracies on samples and on locations, by betas and layers, beside the bounds of the former."""
  rows = []
  for betas, own in groups.items():
    for layers in slots(own[0]):
      limits = [{what: bound(numbers, what, layers)[0] for what in BOUNDS} for numbers in own]
      for seen, what in (('samples', fit), ('locations', f'{fit}_location')):
        bounds = [of(limits, name) if seen == 'samples' else '' for name in BOUNDS]
        accuracies = [of(own, f'{what}/{classifier}/{layers}') for classifier in NAMES]
        rows.append([_betas(betas), layers, seen, *accuracies, *bounds])
  return table(['betas', 'codes', 'seen', *NAMES.values(), 'bound, I_q', 'bound, rates'], rows)


def _betas(betas):
  return ', '.join(f'{beta:g}' for beta in betas)


def draw(cases: dict, wanted: str, path: str) -> None:
  """Of each data set and codes: the accuracies over the beta of the top layer, and the bounds.

  Where not all of a data set have the wanted fit, those of the other one.
  """
  from matplotlib.figure import Figure

  rows = {data: slots(next(iter(groups.values()))[0]) for data, groups in cases.items()}
  drawn = Figure((3.1 * max(map(len, rows.values())) + 2, 3 * len(cases)), layout='constrained')
  all_axes = drawn.subplots(len(cases), max(map(len, rows.values())), squeeze=False, sharey='row')
  for (data, groups), axes in zip(cases.items(), all_axes, strict=True):
    betas, known = [key[0] for key in groups], common(groups)
    fit = FITS[wanted if wanted in known else known[0]]
    for axis, layers in zip(axes, rows[data], strict=False):
      _draw_bounds(axis, groups, betas, layers)
      for number, (classifier, title) in enumerate(NAMES.items()):
        for seen, what in (('samples', fit), ('locations', f'{fit}_location')):
          own = [[numbers[f'{what}/{classifier}/{layers}'] for numbers in group] for group in groups.values()]
          filled = seen == 'samples'
          shift = 1.03 ** (2 * number - 3 + (-0.4 if filled else 0.4))
          for beta, values in zip(betas, own, strict=True):
            axis.plot(
              [beta * shift] * len(values),
              values,
              'osD^'[number],
              color=f'C{number}',
              markerfacecolor=f'C{number}' if filled else 'w',
              markersize=4,
              label=f'{title}, {seen}',
            )
      axis.set(title=f'{data}: {layers.replace(",", ", ")}', xlabel='beta of the top layer', xscale='log')
      axis.set_xticks(betas, [f'{beta:g}' for beta in betas])
      axis.minorticks_off()
      axis.margins(x=0.08)
      axis.grid(alpha=0.3)
    axes[0].set_ylabel('accuracy')
  handles = {label: handle for handle, label in zip(*all_axes[0, 0].get_legend_handles_labels(), strict=True)}
  drawn.legend(handles.values(), handles, loc='outside right upper', fontsize=8)
  drawn.savefig(path, dpi=90)


def _draw_bounds(axis, groups, betas, layers):
  """The median over the seeds, and their range."""
  import numpy as np

  for what, (color, style, label) in BOUNDS.items():
    own = [[bound(numbers, what, layers)[0] for numbers in group] for group in groups.values()]
    axis.plot(betas, [np.median(values) for values in own], style, marker='_', color=color, label=label)
    axis.fill_between(betas, [min(v) for v in own], [max(v) for v in own], color=color, alpha=0.15, linewidth=0)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('runs', nargs='+', type=pathlib.Path, help='runs, or directories of runs')
  parser.add_argument('--fields', default='', help='of spec.eval, separated by spaces: probes.fit=split, say')
  parser.add_argument('--show', action='store_true', help='evaluate nothing')
  parser.add_argument('--fit', default='train', choices=list(FITS), help='of the picture')
  parser.add_argument('--picture', default='', help='a file')
  args = parser.parse_args()
  known = {}
  for run in directories(args.runs):
    if not (run / 'evaluation.json').is_file():
      print(f'{run}: left out, as it is not trained to its end', file=sys.stderr)
      continue
    if not args.show and (args.fields or not found(run)):
      evaluate(run, args.fields.split())
    if numbers := found(run):
      known[run] = numbers
    else:
      print(f'{run}: left out, as it is not evaluated', file=sys.stderr)
  cases = {}
  for run, numbers in sorted(known.items(), key=lambda item: case(item[0])):
    data, betas = case(run)
    cases.setdefault(data, {}).setdefault(betas, []).append(numbers)
  for data, groups in cases.items():
    print(f'{data}, test split:\n\n{information_table(groups)}\n')
    for fit in common(groups):
      print(f'Probes, {TITLES[fit]}:\n\n{probe_table(groups, FITS[fit])}\n')
  every = [point for run, numbers in known.items() for point in points(str(run), numbers)]
  between = [pair for run, numbers in known.items() for pair in pairs(str(run), numbers)]
  for what, own in (('points', every), ('pairs of bounds', between)):
    wrong = [point for point in own if point.is_violated]
    most = max((point.over for point in own if point.accuracy > point.bound), default=0)
    print(f'{len(own)} {what}, {len(wrong)} violations; the furthest above is by {most:.1f} standard errors')
    print(*(f'  {point}' for point in wrong), sep='\n', end='\n' if wrong else '')
  counts = [exceeding(numbers) for numbers in known.values()]
  print(f'on locations {sum(over for over, _ in counts)} of {sum(n for _, n in counts)} exceed the bound from I_q')
  if args.picture and cases:
    draw(cases, args.fit, args.picture)


if __name__ == '__main__':
  main()
