"""What an error that is asked for comes to: when it is reached, and what the same error costs at fixed betas.

    python benchmarks/constraints.py kappas [--jobs 2] [--picture docs/images/constraints-controllers.png]
    python benchmarks/constraints.py betas [--jobs 2] [--picture docs/images/constraints-betas.png]

Trains what is not there yet below --runs (runs/constraints), each run by a command `python launch.py` of its own, and
prints tables of what all of them came to, in Markdown. --list prints the commands that are missing, in place of both.

kappas: specs/geco.py of digits and MNIST with nets of three kinds; three kappas of the constraint re each, and one that
is out of reach. A constraint can be met where kappa lies between what the same nets reach that are trained for the
error alone (all betas 0) and the error of the best constant output, the data's standard deviation. The multiplier is
moved as the spec has it, held where it starts for the first 30% of training (`held`); with dense nets also by the
defaults of the fields, from the first step on and a third as fast (`plain`); and by the published update. Verdicts are
those of the table at the end of training (tfvae/report/constraints.py).

betas: MNIST with dense nets. The constraint re, and beta-VAEs at seven betas with the decoder's sigma fixed at
kappa, so that their errors lie about it; three seeds each. Beside them beta = 1 with a learned sigma, and with
what is usually done to betas or to sigma during training.
"""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]

from grid import Cell, spread, table, train  # noqa: E402

from tfvae.report.constraints import judge  # noqa: E402
from tfvae.report.constraints import table as lines_of  # noqa: E402
from tfvae.trained import Run  # noqa: E402

STEPS = {('digits', 'mlp'): 3000, ('digits', 'hit'): 3000, ('digits', 'nvp'): 3000}
STEPS |= {('mnist', 'mlp'): 3000, ('mnist', 'hit'): 2000, ('mnist', 'nvp'): 2000}
BATCH = {('mnist', 'hit'): 50, ('mnist', 'nvp'): 50}  # that differ from those of the spec, for time
KAPPAS = {'digits': (0.15, 0.1, 0.075), 'mnist': (0.18, 0.14, 0.11)}
TOO_SMALL = {'digits': 0.03}  # with the nets mlp
CONTROLLERS = {  # words and fields
  'held': ('', {}),
  'plain': ('', {'constraint.warmup': 0.0, 'constraint.multiplier_rate': 0.01}),
  'published': (',published', {}),
}
SEEDS = {('digits', 'mlp', 'held'): (0, 1, 2), ('digits', 'mlp', 'plain'): (0, 1, 2)}  # the others: 0
NETS = {'mlp': ('z1',), 'hit': ('z2', 'z1'), 'nvp': ('z1',)}  # and their layers
BETAS = tuple(round(4 ** (i / 3), 3) for i in range(-2, 5))
THREE = (0, 1, 2)
MIDDLE = KAPPAS['mnist'][1]  # of `betas`, where sigma is fixed
LONG = 8000  # steps of all in `betas`
BASELINES = {  # of `betas`, all at beta = 1
  'learned sigma': {'decoder.variance': 'learned'},
  'beta from 0 over the first 30% (linear)': {'objective.anneal': 'linear', 'objective.anneal_end': 0.3},
  'beta from 0 in four cycles': {'objective.anneal': 'cyclical', 'objective.anneal_end': 1.0},
  'sigma from 0.4 over the first 30%': {'decoder.sigma_from': 0.4, 'decoder.sigma_until': 0.3},
}
COMMON = {  # the same at the end as by default, but by one sample, and metrics of every 20 steps
  'train.log_every': 20,
  'eval.every': 0,
  'eval.also': 'train',
  'eval.num_samples': 1,
  'eval.evaluators': 'bounds,reconstruction',
}


def constrained(data: str, net: str, kappa: float, seed: int = 0, controller: str = 'held', **fields) -> Cell:
  """A run with an error that is asked for."""
  words, own = CONTROLLERS[controller]
  fields = {'constraint.re.kappa': kappa, **own, **_length(data, net), 'seed': seed, **fields}
  return _cell(_name(data, net, f're-{kappa:g}-{controller}', fields), f'{data},{net},re{words}', fields)


def weighted(data: str, net: str, name: str, beta: float, seed: int = 0, **fields) -> Cell:
  """A run with a beta that is given, the same of all layers."""
  fields = {'decoder.variance': 'fixed', **_length(data, net), 'seed': seed, **fields}
  fields |= {f'objective.beta.{layer}': beta for layer in NETS[net]}
  return _cell(_name(data, net, name, fields), f'{data},{net},none', fields)


def _cell(name, words, fields):
  return Cell(name, words, {**COMMON, **fields}, ('test', 'train'))


def _length(data, net):
  batch = {'data.batch_size': BATCH[data, net]} if (data, net) in BATCH else {}
  return {'train.steps': STEPS[data, net], **batch}


def _name(data, net, name, fields):
  return f'{data}-{net}-{name}-{fields["train.steps"]}-{fields["seed"]}'


def error_alone(data: str, net: str) -> Cell:
  """A run with nothing to pay for rates."""
  return weighted(data, net, 'error', 0.0)


# What the runs came to.


def error_of(run: Run, split: str) -> float:
  """The root mean squared error per dimension."""
  return run.read_evaluation(run.evaluation_path(split))['mse'] ** 0.5


def rate_of(run: Run, split: str) -> float:
  """Of all layers, nats."""
  return run.read_evaluation(run.evaluation_path(split))['rate']


def deviation(data: str) -> float:
  """The error of the best constant output on the training split."""
  from tfvae import build, spec

  own = spec.load(f'specs/geco.py:{data}')
  x = build.dataset(own).splits['train']['x']
  x = (x - x.min()) / float(x.max() - x.min())
  return float(np.sqrt(x.reshape(len(x), -1).var(0).mean()))


def how_many(values: Sequence[bool]) -> str:
  """yes, no, or how many of them."""
  return {0: 'no', len(values): 'yes'}.get(sum(values), f'{sum(values)} of {len(values)}')


def controllers(net: str) -> list[str]:
  """Those that are tried with such nets."""
  return [name for name in CONTROLLERS if name != 'plain' or net == 'mlp']


def cells_of_kappas(data: Sequence[str], nets: Sequence[str]) -> list[Cell]:
  """Those of the first table, the first seeds first."""
  found = []
  for name in data:
    for net in nets:
      found.append(error_alone(name, net))
      for controller in controllers(net):
        seeds = SEEDS.get((name, net, controller), (0,))
        found += [constrained(name, net, kappa, seed, controller) for kappa in KAPPAS[name] for seed in seeds]
    if name in TOO_SMALL and 'mlp' in nets:
      found.append(constrained(name, 'mlp', TOO_SMALL[name]))
  return sorted(found, key=lambda cell: cell.fields['seed'])


def show_kappas(data: Sequence[str], nets: Sequence[str], runs: pathlib.Path) -> None:
  """The first tables, of runs that are there."""
  limits, rows, reasons = [], [], []
  for name in data:
    constant = deviation(name)
    for net in nets:
      if (alone := error_alone(name, net)).is_done(runs):
        errors = [error_of(Run(runs / alone.name), split) for split in ('train', 'test')]
        limits.append([name, net, f'{constant:.4f}', *(f'{error:.4f}' for error in errors)])
      too_small = (TOO_SMALL[name],) if name in TOO_SMALL and net == 'mlp' else ()
      for kappa in (*KAPPAS[name], *too_small):
        for controller in controllers(net):
          seeds = SEEDS.get((name, net, controller), (0,)) if kappa in KAPPAS[name] else (0,)
          cells = [constrained(name, net, kappa, seed, controller) for seed in seeds]
          if own := [Run(runs / cell.name) for cell in cells if cell.is_done(runs)]:
            rows.append([name, net, f'{kappa:g}', controller, *outcome(own)])
            reasons += [f'{run.workdir.name}: {line}' for run in own for line in lines_of(run)[3:] if not is_met(run)]
  print(table(['data', 'nets', 'a constant', 'error alone, train', 'error alone, test'], limits), end='\n\n')
  head = ['data', 'nets', 'kappa', 'controller', 'last tenth', 'train split', 'test split', 'met', 'met, train split']
  head += ['within 5% from step', 'multiplier', 'its largest', 'rate, test']
  print(table(head, rows), end='\n\n')
  print('\n'.join(reasons))


def draw_controllers(runs: pathlib.Path, path: str) -> None:
  """The error, the multiplier and the rate over training, by the way in which the multiplier is moved."""
  from matplotlib.figure import Figure

  kappa, drawn = KAPPAS['digits'][1], Figure((11, 3.4), layout='constrained')
  axes = drawn.subplots(1, 3)
  for controller in CONTROLLERS:
    train = Run(runs / constrained('digits', 'mlp', kappa, 0, controller).name).metrics['train']
    for axis, values in zip(axes, (train['mse'] ** 0.5, train['multiplier/re'], train['rate']), strict=True):
      axis.plot(train['step'], values, label=controller)
  axes[0].axhline(kappa, color='k', linewidth=0.8, linestyle=':')
  for axis, title in zip(axes, ('RMS error per pixel', 'multiplier', 'rate (nats)'), strict=True):
    axis.set(title=title, xlabel='step', yscale='log')
    axis.grid(alpha=0.3)
  axes[0].set_yticks([0.07, 0.1, 0.15, 0.2, 0.3], ['0.07', '0.1', '0.15', '0.2', '0.3'], minor=False)
  axes[0].minorticks_off()
  axes[0].legend(fontsize=8)
  drawn.savefig(path, dpi=90)


def is_met(run: Run) -> bool:
  """Whether its constraint is met at the end of training."""
  return judge(run)[0].training.met


def outcome(own: Sequence[Run]) -> list[str]:
  """What runs that differ in their seeds came to."""
  judged = [judge(run)[0] for run in own]
  return [
    spread([each.training.reached for each in judged]),
    spread([each.splits['train'].reached for each in judged]),
    spread([each.splits['test'].reached for each in judged]),
    how_many([each.training.met for each in judged]),
    how_many([each.splits['train'].met for each in judged]),
    ', '.join('-' if each.settled is None else f'{each.settled:,}' for each in judged),
    spread([each.multiplier for each in judged], '.3g'),
    spread([float(np.nanmax(run.metrics['train']['multiplier/re'])) for run in own], '.2g'),
    spread([rate_of(run, 'test') for run in own], '.1f'),
  ]


class Point(NamedTuple):
  """A model in the plane of rate and error: its mean over seeds, and how far seeds are apart (largest - smallest)."""

  rate: float
  error: float
  rate_spread: float = 0.0
  error_spread: float = 0.0

  @classmethod
  def of(cls, rates: Sequence[float], errors: Sequence[float]) -> 'Point':
    return cls(float(np.mean(rates)), float(np.mean(errors)), float(np.ptp(rates)), float(np.ptp(errors)))


def beats(one: Point, other: Point, share: float = 0.02) -> bool:
  """Whether one has a lower rate and a lower error than the other, both by more than a share and than the spreads."""
  rate = max(share * other.rate, one.rate_spread, other.rate_spread)
  error = max(share * other.error, one.error_spread, other.error_spread)
  return other.rate - one.rate > rate and other.error - one.error > error


def cells_of_betas() -> dict[str, list[Cell]]:
  """Those of the second table, by what is shown together."""
  length, found = {'train.steps': LONG}, {}
  fixed = {'decoder.sigma': MIDDLE, **length}
  for controller in ('held', 'plain'):
    found[f're, {controller}'] = [constrained('mnist', 'mlp', MIDDLE, seed, controller, **length) for seed in THREE]
  for beta in BETAS:
    found[f'beta = {beta:g}'] = [weighted('mnist', 'mlp', f'beta-{beta:g}', beta, seed, **fixed) for seed in THREE]
  for number, (name, fields) in enumerate(BASELINES.items()):
    found[name] = [weighted('mnist', 'mlp', f'baseline-{number}', 1.0, **{**fixed, **fields})]
  return found


def show_betas(runs: pathlib.Path, picture: str) -> None:
  """The second table, and a figure of it, of runs that are there."""
  groups = {
    name: [Run(runs / cell.name) for cell in cells if cell.is_done(runs)] for name, cells in cells_of_betas().items()
  }
  groups = {name: own for name, own in groups.items() if own}
  points = {
    split: {
      name: Point.of([rate_of(run, split) for run in own], [error_of(run, split) for run in own])
      for name, own in groups.items()
    }
    for split in ('train', 'test')
  }
  rows = []
  for name, own in groups.items():
    rows.append([name, str(len(own))])
    for split in ('train', 'test'):
      rows[-1].append(spread([rate_of(run, split) for run in own], '.2f'))
      rows[-1].append(spread([error_of(run, split) for run in own], '.5f'))
    rows[-1].append(_equivalent(own))
  head = ['model', 'seeds', 'rate, train', 'error, train', 'rate, test', 'error, test', 'beta (sigma) it amounts to']
  print(table(head, rows), end='\n\n')
  asked = [name for name in groups if name.startswith('re, ')]
  for split, found in points.items():
    better = [
      f'{name} than {own}' for own in asked for name in found if name not in asked and beats(found[name], found[own])
    ]
    worse = [
      f'{name} than {own}' for own in asked for name in found if name not in asked and beats(found[own], found[name])
    ]
    print(f'{split} split: lower in both: {", ".join(better) or "none"}; higher in both: {", ".join(worse) or "none"}')
  if picture:
    draw(points, picture)


def _equivalent(own):
  if 'beta_vae/beta' not in own[0].metrics['train']:
    return ''
  last = lambda name: [float(run.metrics['train'][f'beta_vae/{name}'][-10:].mean()) for run in own]
  return f'{np.mean(last("beta")):.3f} ({np.mean(last("sigma")):.4f})'


def draw(points: dict[str, dict[str, Point]], path: str) -> None:
  """Rate against error: the betas a curve, the constraints and the rest single points, with the spread of seeds."""
  from matplotlib.figure import Figure

  drawn = Figure((10, 4), layout='constrained')
  for axis, (split, found) in zip(drawn.subplots(1, 2), points.items(), strict=True):
    groups: dict[str, Callable[[str], bool]] = {
      'betas, sigma fixed': lambda name: name.startswith('beta = '),
      're, a constraint': lambda name: name.startswith('re, '),
    }
    shown = {label: [name for name in found if which(name)] for label, which in groups.items()}
    shown |= {name: [name] for name in found if name in BASELINES}
    for number, (label, names) in enumerate(shown.items()):
      own = np.array([found[name] for name in names])
      style = dict(
        fmt='o-' if number == 0 else 's' if number == 1 else 'x', color=f'C{number}', capsize=2, markersize=5
      )
      axis.errorbar(own[:, 0], own[:, 1], own[:, 3] / 2, own[:, 2] / 2, label=label, **style)
    for name, below in zip(shown['re, a constraint'], (-9, 4), strict=False):
      axis.annotate(name.removeprefix('re, '), found[name][:2], (3, below), textcoords='offset points', fontsize=7)
    for name in shown['betas, sigma fixed']:
      axis.annotate(name.removeprefix('beta = '), found[name][:2], (4, 4), textcoords='offset points', fontsize=7)
    axis.axhline(MIDDLE, color='0.5', linewidth=0.7, linestyle=':')
    axis.set(title=f'{split} split', xlabel='rate (nats)', ylabel='RMS error per pixel')
    axis.grid(alpha=0.3)
  axis.legend(fontsize=7)
  drawn.savefig(path, dpi=100)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('what', choices=('kappas', 'betas'))
  parser.add_argument('--data', default=','.join(KAPPAS), help='kappas: digits, mnist, or both')
  parser.add_argument('--nets', default=','.join(NETS), help='kappas: some of mlp, hit, nvp')
  parser.add_argument('--runs', type=pathlib.Path, default=pathlib.Path('runs/constraints'))
  parser.add_argument('--jobs', type=int, choices=(1, 2), default=1, help='runs at a time')
  parser.add_argument('--list', action='store_true', help='the commands that are missing, and nothing else')
  parser.add_argument('--show', action='store_true', help='train nothing; the tables of what is there')
  parser.add_argument('--picture', default='', help='where to draw')
  args = parser.parse_args()
  data, nets = args.data.split(','), args.nets.split(',')
  if args.what == 'kappas':
    cells = cells_of_kappas(data, nets)
  else:
    cells = [cell for own in cells_of_betas().values() for cell in own]
  if args.list:
    print('\n'.join(shlex.join(cell.command(args.runs)) for cell in cells if not cell.is_done(args.runs)))
    return
  if not args.show:
    train(cells, args.runs, args.jobs)
  if args.what == 'kappas':
    show_kappas(data, nets, args.runs)
    if args.picture:
      draw_controllers(args.runs, args.picture)
  else:
    show_betas(args.runs, args.picture)


if __name__ == '__main__':
  main()
