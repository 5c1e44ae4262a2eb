"""Rates that are asked for, beside fixed betas equal to those that were found.

    python benchmarks/rates.py [--only digits-8-16,bits] [--runs runs/rates] [--read] [--picture FILE]

For each case, in processes of `python launch.py`, one after the other (half a minute each for digits, minutes for
cifar10):

- asked: the spec with its targets, spec.constraint.names=rate;
- fixed: the same spec without, its betas those that `asked` had in the mean over the last tenth of training, seed by
  seed. With re, whose loss has lambda re in place of -log p(x | z), these are times D / (2 sigma^2 lambda), that of the
  free layer too, sigma^2 being the error that was reached: the same loss but for a factor, as a beta-VAE has it;
- beta 1: the spec as it is;
- for some, controls of what makes the difference. warm-up, long warm-up: the fixed betas rise from 0 over the first
  fifth of training, or over the first three fifths. continued: from the weights of `asked`, as many steps again at the
  fixed betas. twice: twice as many steps at the fixed betas, from random weights.

Runs that are complete are not run again. Prints tables for docs/constraints.md, medians (and ranges) over the seeds.
--read prints those of the runs that are there, and starts none. --picture draws a case over training (`drawn`).
"""

import argparse
import math
import pathlib
import statistics
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tfvae.report.verdicts import MET, Series, mean  # noqa: E402

WARM_UPS = {'warm-up': 0.2, 'long warm-up': 0.6}  # fractions of training
CONTROLS = (*WARM_UPS, 'continued', 'twice')
KINDS = ('asked', 'fixed', *CONTROLS, 'beta 1')


class Case(NamedTuple):
  """A spec and what is asked of it.

  Attributes:
    spec, variant: specs/<spec>.py:<variant>.
    layers: top first.
    targets: layer -> nats.
    steps: of training.
    fields: of all its runs.
    kappa: of re, 0: not asked for.
    control: fields of the controller.
    seeds: how many.
    controls: whether with those.
  """

  spec: str
  variant: str
  layers: tuple[str, ...]
  targets: dict[str, float]
  steps: int
  fields: dict[str, str] = {}
  kappa: float = 0.0
  control: dict[str, str] = {}
  seeds: int = 3
  controls: bool = False

  @property
  def kinds(self):
    return [kind for kind in KINDS if self.controls or kind not in CONTROLS]


TWO, THREE = ('z2', 'z1'), ('z3', 'z2', 'z1')
ONCE = {'eval.every': '0', 'eval.also': 'train'}
DIGITS = {**ONCE, 'eval.evaluators': 'bounds,latents', 'eval.during': 'bounds,latents'}
OFTEN = {**DIGITS, 'eval.every': '150'}  # for `drawn`
OPTIMAL = {**DIGITS, 'decoder.variance': 'optimal'}
BITS = {**ONCE, 'eval.evaluators': 'bounds', 'eval.during': 'bounds'}
CIFAR = {**ONCE, 'eval.evaluators': 'bounds', 'eval.num_samples': '1'}
CASES = {
  'digits-8-16': Case('hit', '', TWO, {'z2': 8, 'z1': 16}, 3000, OFTEN, controls=True),
  'digits-4-20': Case('hit', '', TWO, {'z2': 4, 'z1': 20}, 3000, DIGITS),
  'digits-20-4': Case('hit', '', TWO, {'z2': 20, 'z1': 4}, 3000, DIGITS),
  'three-layers': Case('hit', 'three_layers', THREE, {'z3': 4, 'z2': 8, 'z1': 12}, 3000, DIGITS),
  'bits': Case('symmetric', 'digits,elbo', TWO, {'z2': 4, 'z1': 8}, 30_000, BITS),
  're-z2-4': Case('hit', '', TWO, {'z2': 4}, 3000, OPTIMAL, kappa=0.1, seeds=1),
  're-z2-12': Case('hit', '', TWO, {'z2': 12}, 3000, OPTIMAL, kappa=0.1, seeds=1),
  'cifar10': Case(
    'hit', 'cifar10', TWO, {'z2': 16, 'z1': 5}, 2000, CIFAR, control={'constraint.multiplier_rate': '0.03'}, seeds=1
  ),
  'cifar10-slow': Case('hit', 'cifar10', TWO, {'z2': 16, 'z1': 5}, 2000, CIFAR, seeds=1),
}


def workdir(runs: pathlib.Path, name: str, kind: str, seed: int) -> pathlib.Path:
  """Where a run of a case goes; those at beta 1 are of all cases of a spec."""
  case = CASES[name]
  if kind == 'beta 1':
    own = '-'.join(f'{key.rpartition(".")[2]}-{value}' for key, value in case.fields.items() if key[:4] != 'eval')
    name = '-'.join(part for part in ('beta-1', case.spec, case.variant.replace(',', '-'), own) if part)
  return runs / name / f'{kind.replace(" ", "-")}-{seed}'


def fields(runs: pathlib.Path, name: str, kind: str, seed: int) -> dict[str, str]:
  """Of a run, beyond the spec's own."""
  case = CASES[name]
  found = {**case.fields, 'seed': seed, 'train.steps': case.steps * (2 if kind == 'twice' else 1)}
  if kind == 'asked':
    found |= {'constraint.names': 're,rate' if case.kappa else 'rate', **case.control}
    found |= {f'constraint.rate.{layer}': f'{target:g}' for layer, target in case.targets.items()}
    found |= {'constraint.re.kappa': f'{case.kappa:g}'} if case.kappa else {}
  elif kind != 'beta 1':
    asked = workdir(runs, name, 'asked', seed)
    found |= {f'objective.beta.{layer}': f'{beta:.6g}' for layer, beta in Run(asked).betas(case).items()}
    if kind in WARM_UPS:
      found |= {'objective.anneal': 'linear', 'objective.anneal_end': WARM_UPS[kind]}
    if kind == 'continued':
      found |= {'train.init_from': asked}
  return found


def command(runs: pathlib.Path, name: str, kind: str, seed: int) -> list[str]:
  """What starts a run."""
  case = CASES[name]
  spec = f'specs/{case.spec}.py' + (f':{case.variant}' if case.variant else '')
  given = [f'--spec.{field}={value}' for field, value in fields(runs, name, kind, seed).items()]
  return [sys.executable, 'launch.py', '--spec', spec, '--workdir', str(workdir(runs, name, kind, seed)), *given]


class Run:
  """Numbers of a run directory."""

  def __init__(self, path: pathlib.Path):
    from tfvae.run.records import Records

    self.records = Records(path)

  @property
  def complete(self) -> bool:
    """Whether it was trained, and evaluated on both splits."""
    if not self.records.exists():
      return False
    steps = self.records.spec.train.steps
    return all(self.records.found(steps, split) for split in ('train', 'test'))

  def last(self, metric: str) -> float:
    """The mean over the last tenth of training."""
    series, steps = self.records.metrics['train'], self.records.spec.train.steps
    return mean(Series.of(series['step'], series[metric], series[metric], steps)).c

  def evaluated(self, metric: str, split: str) -> float:
    """Of the last evaluation of a split; nan where there is none."""
    return self.records.read_evaluation(self.records.evaluation_path(split)).get(metric, math.nan)

  def betas(self, case: Case) -> dict[str, float]:
    """Layer -> the fixed beta that stands for what was found."""
    betas = {layer: self.last(f'beta/{layer}') for layer in case.layers}
    if not case.kappa:
      return betas
    size = math.prod(self.records.data['shape'])
    unit = size / (2 * self.last('mse') * self.last('multiplier/re'))
    return {layer: unit * beta for layer, beta in betas.items()}


def over_seeds(values: list[float], digits: int) -> str:
  """The median, and the range where there are several."""
  shown = f'{statistics.median(values):.{digits}f}'
  return shown if len(values) == 1 else f'{shown} ({min(values):.{digits}f} to {max(values):.{digits}f})'


def runs_of(runs: pathlib.Path, name: str, kind: str) -> list[Run]:
  """Those of all seeds that are complete."""
  found = [Run(workdir(runs, name, kind, seed)) for seed in range(CASES[name].seeds)]
  return [run for run in found if run.complete]


def print_reached(runs: pathlib.Path, names: list[str]) -> None:
  """What was asked for and reached, and the betas that were found: a line for each constraint."""
  print(
    '\n| case | asked | last tenth of training | training split | test split | within 2% | found: beta (re: lambda) |'
  )
  print('|---|---|---|---|---|---|---|')
  for name in names:
    case, found = CASES[name], runs_of(runs, name, 'asked')
    if not found:
      continue
    asked = [
      (f'rate/{layer}', target, f'{layer} {target:g}', f'beta/{layer}') for layer, target in case.targets.items()
    ]
    if case.kappa:
      asked.append(('mse', case.kappa**2, f're {case.kappa:g}^2', 'multiplier/re'))
    for metric, target, told, beta in asked:
      digits = 2 if target > 1 else 5
      last = [run.last(metric) for run in found]
      met = sum(abs(value - target) <= MET * target for value in last)
      splits = [over_seeds([run.evaluated(metric, split) for run in found], digits) for split in ('train', 'test')]
      cells = [name, told, over_seeds(last, digits), *splits, f'{met} of {len(found)}']
      print('|', ' | '.join([*cells, over_seeds([run.last(beta) for run in found], 3 if target > 1 else 0)]), '|')


def print_beside(runs: pathlib.Path, names: list[str]) -> None:
  """Each kind of run of a case: its rates and ELBO."""
  print('\n| case | run | test ELBO | training ELBO | rates on the test split, top first | active units (by entropy) |')
  print('|---|---|---|---|---|---|')
  told = set()
  for name in names:
    case = CASES[name]
    for kind in case.kinds:
      if (first := workdir(runs, name, kind, 0)) not in told and (found := runs_of(runs, name, kind)):
        told.add(first)
        of = lambda metric, split='test', found=found: [run.evaluated(metric, split) for run in found]
        rates = ', '.join(over_seeds(of(f'rate/{layer}'), 2) for layer in case.layers)
        active = [of(f'active_units_entropy/{layer}') for layer in case.layers]
        units = ', '.join(over_seeds(values, 0) for values in active) if not math.isnan(active[0][0]) else ''
        elbos = (over_seeds(of('elbo', split), 2) for split in ('test', 'train'))
        print('|', ' | '.join([name, kind, *elbos, rates, units]), '|')


def drawn(runs: pathlib.Path, name: str, path: str, seed: int = 0) -> None:
  """The runs of a case over training: the rates of all layers, of the top one the beta, the active units (of the test
  split), and what a nat of it costs in units of squared error, 2 beta sigma^2; and the ELBO of the test split.

  `continued` stands after `asked`, whose weights it begins with.
  """
  from tfvae.report.axes import figure

  case, picture = CASES[name], figure(11, 6.2)
  top = case.layers[0]
  panels = {f'rate/{layer}': (f'rate/{layer}, nats', 'train') for layer in case.layers}
  panels |= {f'beta/{top}': (f'beta/{top}', 'train'), 'price': (f'2 beta/{top} sigma^2', 'train')}
  panels |= {f'active_units_entropy/{top}': (f'active units of {top} (entropy), test split', 'test')}
  panels |= {'elbo': ('elbo, test split, nats', 'test')}
  axes = picture.subplots(2, math.ceil(len(panels) / 2)).ravel()
  for kind in case.kinds:
    metrics = Run(workdir(runs, name, kind, seed)).records.metrics
    metrics['train']['price'] = 2 * metrics['train'][f'beta/{top}'] * metrics['train']['sigma'] ** 2
    style = {'label': kind, 'color': f'C{KINDS.index(kind)}', 'linestyle': ':' if kind == 'beta 1' else '-'}
    style |= {'linewidth': 2.5 if kind in ('asked', 'fixed') else 1.3}
    for axis, (metric, (_, split)) in zip(axes, panels.items(), strict=False):
      steps = metrics[split]['step'] + (case.steps if kind == 'continued' else 0)
      axis.plot(steps, metrics[split][metric], **style)
  for axis, (metric, (title, _)) in zip(axes, panels.items(), strict=False):
    axis.set(xlabel='step', title=title)
    if metric == 'elbo':
      axis.set_ylim(0, None)
    elif metric == 'price':
      axis.set_yscale('log')
    elif target := metric.startswith('rate') and case.targets.get(metric.removeprefix('rate/')):
      axis.axhline(target, color='k', linewidth=0.8)
      axis.set_ylim(0, 2 * target)
  axes[-1].legend(fontsize=8, loc='lower right')
  picture.savefig(path, dpi=90)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--only', default=','.join(CASES), help=f'cases, of {", ".join(CASES)}')
  parser.add_argument('--runs', default='runs/rates', help='where the runs are')
  parser.add_argument('--read', action='store_true', help='start no run')
  parser.add_argument('--picture', default='', help='where to draw the first case, seed 0')
  args = parser.parse_args()
  runs, names = pathlib.Path(args.runs).absolute(), args.only.split(',')
  for name in () if args.read else names:
    for kind in CASES[name].kinds:
      for seed in range(CASES[name].seeds):
        if not Run(workdir(runs, name, kind, seed)).complete:
          print(f'{name}: {kind}, seed {seed}', flush=True, file=sys.stderr)
          subprocess.run(command(runs, name, kind, seed), cwd=ROOT, check=True, stdout=sys.stderr)
  print_reached(runs, names)
  print_beside(runs, names)
  if args.picture:
    drawn(runs, names[0], args.picture)


if __name__ == '__main__':
  main()
