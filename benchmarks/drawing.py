"""The plane of rate and error of convolutional DRAW, told nothing and told labels, and of VAE+NVP (Taming VAEs).

    python benchmarks/drawing.py [--data mnist,cifar10] [--jobs 2] [--pictures docs/images]

Trains what is not there yet below --runs (runs/drawing), each run by a command `python launch.py` of its own, and
prints what all of them came to on the test split, in Markdown. --list prints the commands that are missing, in place of
both. Of each kind of net and each data set: the ELBO with a learned sigma; a sigma that falls during the first half of
training, from 0.7 to the smallest kappa; and the constraint re at three kappas. Equal steps. --seeds 3: seeds 0, 1, 2.

--pictures: drawing-plane-<data>.png, where they end; drawing-curves-<data>.png, how they come there (seed 0); and
drawing-canvases-<data>.png, what a constrained ConvDRAW has on its canvas after each step.
"""

import argparse
import math
import pathlib
import shlex
import shutil
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]

from grid import Cell, draw_plane, plane, slug, train, ways  # noqa: E402

STEPS = {'digits': 3000, 'mnist': 2000, 'cifar10': 2000}
KAPPAS = {'digits': (0.075, 0.1, 0.15), 'mnist': (0.11, 0.14, 0.18), 'cifar10': (0.1, 0.13, 0.16)}
NETS = {  # words of specs/geco.py and fields
  'convdraw': ('convdraw', {}),
  'convdraw, told labels': ('convdraw', {'data.context': 'label'}),
  'nvp': ('nvp', {}),
}
COLUMNS = {
  'rate': ('rate', '.1f'),
  'error': ('mse', '.4f', math.sqrt),
  'elbo': ('elbo', '.1f'),
  'bits per dimension': ('nll_per_dimension', '.3f', lambda nats: nats / math.log(2)),
}


def cells(data: str, nets: list[str], seeds: int) -> dict[tuple[str, str], list[Cell]]:
  """{(net, way): its runs}."""
  found = {}
  for net in nets:
    words, own = NETS[net]
    for way, (word, fields) in ways(KAPPAS[data], min(KAPPAS[data])).items():
      name = f'{data}-{net.replace(", ", "-").replace(" ", "-")}-{slug(way)}'
      fields = {'train.steps': STEPS[data], 'eval.every': 0, 'train.log_every': 20, **own, **fields}
      found[net, way] = [
        Cell(f'{name}-{STEPS[data]}-{seed}', f'{data},{words},{word}', {'seed': seed, **fields})
        for seed in range(seeds)
      ]
  return found


def draw_curves(runs: pathlib.Path, own: dict[tuple[str, str], list[Cell]], path: str) -> None:
  """Rate and error over training, of the first seed of each."""
  from matplotlib.figure import Figure

  from tfvae.run import Run

  nets = list(dict.fromkeys(net for net, _ in own))
  drawn = Figure((10, 3 * len(nets)), layout='constrained')
  for net, (left, right) in zip(nets, drawn.subplots(len(nets), 2, squeeze=False), strict=True):
    for (of_net, way), group in own.items():
      if of_net == net and group[0].is_done(runs):
        found = Run(runs / group[0].name).metrics['train']
        left.plot(found['step'], found['mse'] ** 0.5, label=way)
        right.plot(found['step'], found['rate'], label=way)
    left.set(title=net, ylabel='RMS error per dimension', xlabel='step', yscale='log')
    right.set(title=net, ylabel='rate (nats)', xlabel='step', yscale='log')
    for axis in (left, right):
      axis.grid(alpha=0.3)
    right.legend(fontsize=8)
  drawn.savefig(path, dpi=90)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--data', default='mnist,cifar10', help=', '.join(STEPS))
  parser.add_argument('--nets', default='convdraw;convdraw, told labels;nvp', help='separated by ;')
  parser.add_argument('--runs', type=pathlib.Path, default=pathlib.Path('runs/drawing'))
  parser.add_argument('--seeds', type=int, default=1, help='how many')
  parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
  parser.add_argument('--list', action='store_true', help='print the commands of what is missing, and stop')
  parser.add_argument('--show', action='store_true', help='print and draw what is there, and train nothing')
  parser.add_argument('--pictures', default='', help='the directory for figures')
  args = parser.parse_args()
  of_data = {data: cells(data, args.nets.split(';'), args.seeds) for data in args.data.split(',')}
  every = [one for own in of_data.values() for group in own.values() for one in group]
  missing = sorted((one for one in every if not one.is_done(args.runs)), key=lambda one: one.fields['seed'])
  if args.list:
    print('\n'.join(shlex.join(one.command(args.runs)) for one in missing))
    return
  if not args.show:
    train(missing, args.runs, args.jobs)
  for data, own in of_data.items():
    groups = {key: [one.found(args.runs) for one in group if one.is_done(args.runs)] for key, group in own.items()}
    groups = {key: found for key, found in groups.items() if found}
    print(f'{data}, {STEPS[data]:,} steps:\n\n{plane(groups, COLUMNS, "nets")}\n')
    if args.pictures:
      draw_plane(groups, f'{args.pictures}/drawing-plane-{data}.png')
      draw_curves(args.runs, own, f'{args.pictures}/drawing-curves-{data}.png')
      for one in own.get(('convdraw', f're, kappa = {KAPPAS[data][1]:g}'), [])[:1]:
        if (canvases := args.runs / one.name / 'figures/canvases.png').is_file():
          shutil.copy(canvases, f'{args.pictures}/drawing-canvases-{data}.png')


if __name__ == '__main__':
  main()
