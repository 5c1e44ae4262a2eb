"""The plane of rate and error of convolutional DRAW, told nothing and told labels, and of VAE+NVP (Taming VAEs).

    python benchmarks/drawing.py [--data digits] [--seeds 3] [--jobs 2] [--pictures docs/images]
    python benchmarks/drawing.py --data cifar10 --nets convdraw --ways 'ELBO;re' --kappas 0.1,0.13 --steps 1000

Trains what is not there yet below --runs (runs/drawing), each run by a command `python launch.py` of its own, and
prints what all of them came to on the test split, in Markdown. --list prints the commands that are missing, in place of
both. Of each kind of net and each data set: the ELBO with a learned sigma; a sigma that falls during the first half of
training, from 0.7 to the smallest kappa; the constraint re at three kappas; and, if --ways asks for it, the ELBO of a
mixture of logistics. Equal steps. --seeds 3: seeds 0, 1, 2. `bits per dimension` are those of the 256 (or 17) values,
by the probability of each under the mixture or the discretised Gaussian. `the ELBO passes this error at`: the rate that
the ELBO's run of the same seed has where its training passes the error of this one.

--pictures: drawing-plane-<data>.png, where they end; drawing-curves-<data>.png, how they come there (seed 0); of each
kind of net drawing-images-<data>-<net>.png, data, reconstructions and samples of each way (seed 0); and
drawing-canvases-<data>.png, what a constrained ConvDRAW has on its canvas after each step.
"""

import argparse
import pathlib
import shlex
import shutil
import sys
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]

from grid import Cell, Way, draw_plane, plane, slug, train, ways  # noqa: E402

from tfvae.run.directory import Directory  # noqa: E402

STEPS = {'digits': 2000, 'mnist': 1000, 'cifar10': 1000}
MIXTURE = 'ELBO, mixture'
DEFAULT = ('ELBO', 'annealed sigma', 're')
KAPPAS = {'digits': (0.075, 0.1, 0.15), 'mnist': (0.11, 0.14, 0.18), 'cifar10': (0.1, 0.13, 0.16)}
NETS = {  # words of specs/geco.py and fields
  'convdraw': ('convdraw', {}),
  'convdraw, told labels': ('convdraw', {'data.context': 'label'}),
  'nvp': ('nvp', {}),
}
COLUMNS = {
  'rate': ('rate', '.1f'),
  'error': ('mse', '.4f', lambda mse: mse**0.5),
  'elbo': ('elbo', '.1f'),
  'bits per dimension': ('bits', '.3f'),
  'the ELBO passes this error at': ('passed', '.1f'),
}


class Plan(NamedTuple):
  """What is trained of a data set."""

  data: str
  nets: list[str]
  ways: list[str]
  kappas: tuple[float, ...]
  steps: int
  seeds: int


def cells(plan: Plan) -> dict[tuple[str, str], list[Cell]]:
  """{(net, way): its runs}."""
  mixture = {MIXTURE: Way('none', {'decoder.likelihood': 'logistic_mixture'})}
  kinds = {way: how for way, how in (ways(plan.kappas, min(plan.kappas)) | mixture).items() if is_in(way, plan.ways)}
  evaluators = 'bounds,reconstruction,latents,samples,bits_per_dim'
  found = {}
  for net in plan.nets:
    words, own = NETS[net]
    for way, (word, fields) in kinds.items():
      name = '-'.join([plan.data, slug(net), slug(way), str(plan.steps)])
      fields = {'train.steps': plan.steps, 'eval.every': 0, 'train.log_every': 20, **own, **fields}
      fields |= {'eval.also': (), 'eval.num_samples': 2}
      fields['eval.evaluators'] = evaluators + (',canvases' if words == 'convdraw' else '')
      found[net, way] = [
        Cell(f'{name}-{seed}', f'{plan.data},{words},{word}', {'seed': seed, **fields}) for seed in range(plan.seeds)
      ]
  return found


def is_in(way: str, kinds: list[str]) -> bool:
  """Whether it is one of them; 're' stands for all kappas."""
  return way.split(', kappa')[0] in kinds


def numbers(cell: Cell, runs: pathlib.Path) -> dict[str, float]:
  """What a run came to, with the bits of its own likelihood."""
  found = cell.found(runs)
  return found | {'bits': found.get('bits_per_dim', found.get('bits_per_dim/discretized'))}


def passed(elbo: Cell, cell: Cell, runs: pathlib.Path) -> float | None:
  """The rate, in nats, at which training by the ELBO passes the error that another run has in the last tenth of its
  own; None where it does not come so far.
  """
  found, own = (Directory(runs / one.name).metrics['train'] for one in (elbo, cell))
  error = np.mean(own['mse'][-(len(own['mse']) // 10) :])
  below = np.flatnonzero(found['mse'] <= error)
  return float(found['rate'][below[0]]) if len(below) else None


def draw_curves(runs: pathlib.Path, own: dict[tuple[str, str], list[Cell]], path: str) -> None:
  """Rate and error over training, of the first seed of each of these that are done."""
  from matplotlib.figure import Figure

  nets = list(dict.fromkeys(net for net, _ in own))
  drawn = Figure((10, 3 * len(nets)), layout='constrained')
  for net, (left, right) in zip(nets, drawn.subplots(len(nets), 2, squeeze=False), strict=True):
    for (of_net, way), group in own.items():
      if of_net == net:
        found = Directory(runs / group[0].name).metrics['train']
        left.plot(found['step'], found['mse'] ** 0.5, label=way)
        right.plot(found['step'], found['rate'], label=way)
    left.set(title=net, ylabel='RMS error per dimension', xlabel='step', yscale='log')
    right.set(title=net, ylabel='rate (nats)', xlabel='step', yscale='log')
    for axis in (left, right):
      axis.grid(alpha=0.3)
    right.legend(fontsize=8)
  drawn.savefig(path, dpi=90)


def draw_images(runs: pathlib.Path, own: dict[str, Cell], path: str, columns: int = 16) -> None:
  """Images of the test split; below them, of each way, the reconstructions, and samples."""
  from matplotlib.figure import Figure

  arrays = {way: Directory(runs / cell.name).arrays('samples', 'test') for way, cell in own.items()}
  rows = {'data': next(iter(arrays.values()))['x']}
  for way, found in arrays.items():
    rows |= {f'{way}\nreconstructions': found['reconstruction'], f'{way}\nsamples': found['prior']}
  low, high = next(iter(arrays.values()))['value_range']
  drawn = Figure((0.62 * columns + 1.8, 0.66 * len(rows)), layout='constrained')
  for (title, images), axes in zip(rows.items(), drawn.subplots(len(rows), columns), strict=True):
    axes[0].set_ylabel(title, rotation=0, ha='right', va='center', fontsize=8)
    for axis, image in zip(axes, images, strict=False):
      axis.imshow(np.clip((image - low) / (high - low), 0, 1).squeeze(), cmap='gray', vmin=0, vmax=1)
      axis.set(xticks=[], yticks=[])
  drawn.savefig(path, dpi=90)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--data', default='digits', help=f'separated by commas: {", ".join(STEPS)}')
  parser.add_argument('--nets', default=';'.join(NETS), help='separated by ;')
  parser.add_argument('--ways', default=';'.join(DEFAULT), help=f'separated by ;, and there is "{MIXTURE}"')
  parser.add_argument('--kappas', default='', help='of re, separated by commas, in place of the three of the data set')
  parser.add_argument('--steps', type=int, default=0, help='in place of those of the data set')
  parser.add_argument('--runs', type=pathlib.Path, default=pathlib.Path('runs/drawing'))
  parser.add_argument('--seeds', type=int, default=1, help='how many')
  parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
  parser.add_argument('--list', action='store_true', help='print the commands of what is missing, and stop')
  parser.add_argument('--show', action='store_true', help='print and draw what is there, and train nothing')
  parser.add_argument('--pictures', default='', help='the directory for figures')
  args = parser.parse_args()
  own = tuple(float(kappa) for kappa in args.kappas.split(',') if kappa)
  plans = [
    Plan(data, args.nets.split(';'), args.ways.split(';'), own or KAPPAS[data], args.steps or STEPS[data], args.seeds)
    for data in args.data.split(',')
  ]
  of_plan = {plan.data: cells(plan) for plan in plans}
  every = [one for own in of_plan.values() for group in own.values() for one in group]
  missing = sorted((one for one in every if not one.is_done(args.runs)), key=lambda one: one.fields['seed'])
  if args.list:
    print('\n'.join(shlex.join(one.command(args.runs)) for one in missing))
    return
  if not args.show:
    train(missing, args.runs, args.jobs)
  for plan in plans:
    done = {key: [one for one in group if one.is_done(args.runs)] for key, group in of_plan[plan.data].items()}
    done = {key: group for key, group in done.items() if group}
    groups = {key: [numbers(one, args.runs) for one in group] for key, group in done.items()}
    for (net, way), found in groups.items():
      elbos = {one.fields['seed']: one for one in done.get((net, 'ELBO'), ())}
      pairs = [(elbos.get(one.fields['seed']), one) for one in done[net, way] if way != 'ELBO']
      rates = [passed(elbo, one, args.runs) for elbo, one in pairs if elbo]
      if len(rates) == len(found) and None not in rates:
        for numbers_, rate in zip(found, rates, strict=True):
          numbers_['passed'] = rate
    print(f'{plan.data}, {plan.steps:,} steps:\n\n{plane(groups, COLUMNS, "nets")}\n')
    if args.pictures:
      begin = f'{args.pictures}/drawing'
      draw_plane(groups, f'{begin}-plane-{plan.data}.png')
      draw_curves(args.runs, done, f'{begin}-curves-{plan.data}.png')
      for net in dict.fromkeys(net for net, _ in done):
        first = {way: group[0] for (of_net, way), group in done.items() if of_net == net}
        draw_images(args.runs, first, f'{begin}-images-{plan.data}-{slug(net)}.png')
      constrained = (group[0] for (net, way), group in done.items() if net == 'convdraw' and is_in(way, ['re']))
      for one in list(constrained)[-1:]:
        shutil.copy(args.runs / one.name / 'figures/canvases.png', f'{begin}-canvases-{plan.data}.png')


if __name__ == '__main__':
  main()
