"""The tasks of Taming VAEs: is what is drawn for a context right, and what does it cost in nats.

    python launch.py --spec specs/classifier.py:mnist
    python launch.py --spec specs/classifier.py:mnist,turns
    python benchmarks/tasks.py each [--jobs 2] [--pictures docs/images]
    python benchmarks/tasks.py plane [--jobs 2] [--picture docs/images/tasks-plane.png]

Trains what is not there yet below --runs (runs/tasks), each run by a command `python launch.py` of its own, and prints
what all of them came to, in Markdown. --list prints the commands that are missing, in place of both. --digits: of
digits in place of MNIST, whose classifiers are runs/classifier and runs/classifier-turns.

each: every task by specs/geco.py as it is, three seeds, as many steps as take up to five minutes on two idle cores. For
each a figure: contexts, targets, samples.

plane: mnist_sum and color_mnist by the ELBO (a learned sigma), by a sigma that falls during the first half of training
(from 0.7 to 0.14 and 0.1), and by the constraint re at two kappas; three seeds, equal steps.
"""

import argparse
import math
import pathlib
import shlex
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]

from grid import Cell, draw_plane, of, plane, slug, table, train, ways  # noqa: E402

from tfvae.report.task import task as draw_task  # noqa: E402
from tfvae.trained import Run  # noqa: E402

SEEDS = (0, 1, 2)
STEPS = {  # of `each`, of MNIST and of digits
  'mnist_sum': (20_000, 12_000),
  'mnist_sum_hard': (15_000, 12_000),
  'mnist_rotate': (20_000, 12_000),
  'mnist_triplets': (15_000, 12_000),
  'color_mnist': (15_000, 12_000),
}
PLANE_STEPS = 8000
KAPPAS = {'mnist_sum': (0.14, 0.18), 'color_mnist': (0.11, 0.14)}
SIGMAS = {'mnist_sum': 0.14, 'color_mnist': 0.1}  # at the end of a falling one


def cell(name: str, task: str, word: str, seed: int, steps: int, args, **fields) -> Cell:
  """A run of a task."""
  fields = {'seed': seed, 'train.steps': steps, 'eval.every': 0, 'classifier.path': args.classifier, **fields}
  if task == 'mnist_rotate':
    fields['classifier.turns'] = args.turns
  data = 'digits' if args.digits else 'mnist'
  return Cell(f'{data}-{name}-{steps}-{seed}', f'{task},{data},{word}', fields)


def cells_of_each(args) -> dict[str, list[Cell]]:
  """{task: its runs}."""
  return {
    task: [cell(task, task, 're', seed, steps[args.digits], args) for seed in SEEDS] for task, steps in STEPS.items()
  }


def cells_of_plane(args) -> dict[tuple[str, str], list[Cell]]:
  """{(task, way): its runs}."""
  return {
    (task, way): [cell(f'{task}-{slug(way)}', task, word, seed, PLANE_STEPS, args, **fields) for seed in SEEDS]
    for task, kappas in KAPPAS.items()
    for way, (word, fields) in ways(kappas, SIGMAS[task]).items()
  }


def show_each(runs: pathlib.Path, cells: dict[str, list[Cell]], pictures: str) -> None:
  """The first table, and a figure of each task, of runs that are there."""
  rows = []
  for task, own in cells.items():
    done = [one for one in own if one.is_done(runs)]
    if not done:
      continue
    found = [one.found(runs) for one in done]
    for suffix, what in (('', 'digits'), ('_turns', 'turns')):
      if f'task/accuracy{suffix}' in found[0]:
        parts = ('', '_reconstruction', '_real')
        rows.append([task, what, f'{done[0].fields["train.steps"]:,}', str(len(done))])
        rows[-1] += [of(found, f'task/accuracy{suffix}{part}') for part in parts]
        rows[-1] += [
          of(found[:1], f'task/chance{suffix}'),
          of(found, 'mse', '.4f', math.sqrt),
          of(found, 'rate', '.1f'),
        ]
    if pictures:
      drawn = draw_task(Run(runs / done[0].name), 'test')
      drawn.savefig(f'{pictures}/task-{task}.png', dpi=64, pil_kwargs={'optimize': True})
  head = ['task', 'of', 'steps', 'seeds', 'samples', 'reconstructions', 'real images', 'chance', 'error', 'rate']
  print(table(head, rows))


COLUMNS = {
  'rate': ('rate', '.1f'),
  'error': ('mse', '.4f', math.sqrt),
  'elbo': ('elbo', '.1f'),
  'samples': ('task/accuracy',),
  'reconstructions': ('task/accuracy_reconstruction',),
  'real images': ('task/accuracy_real',),
}


def show_plane(runs: pathlib.Path, cells: dict[tuple[str, str], list[Cell]], picture: str) -> None:
  """The second table, and a figure of it, of runs that are there."""
  groups = {key: [one.found(runs) for one in own if one.is_done(runs)] for key, own in cells.items()}
  groups = {key: found for key, found in groups.items() if found}
  print(plane(groups, COLUMNS, 'task'))
  if picture:
    draw_plane(groups, picture, 'task/accuracy')


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('what', choices=('each', 'plane'))
  parser.add_argument('--runs', type=pathlib.Path, default=pathlib.Path('runs/tasks'))
  parser.add_argument('--classifier', help='runs/classifier-mnist, of digits runs/classifier')
  parser.add_argument('--turns', help='runs/classifier-mnist,turns, of digits runs/classifier-turns')
  parser.add_argument('--digits', action='store_true', help='of digits, not of MNIST')
  parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
  parser.add_argument('--list', action='store_true', help='print the commands of what is missing, and stop')
  parser.add_argument('--pictures', default='', help='each: the directory for figures')
  parser.add_argument('--picture', default='', help='plane: the figure')
  args = parser.parse_args()
  args.classifier = args.classifier or f'runs/classifier{"" if args.digits else "-mnist"}'
  args.turns = args.turns or f'runs/classifier-{"" if args.digits else "mnist,"}turns'
  cells = cells_of_each(args) if args.what == 'each' else cells_of_plane(args)
  missing = [one for own in cells.values() for one in own if not one.is_done(args.runs)]
  missing.sort(key=lambda one: one.fields['seed'])
  if args.list:
    print('\n'.join(shlex.join(one.command(args.runs)) for one in missing))
    return
  train(missing, args.runs, args.jobs)
  if args.what == 'each':
    show_each(args.runs, cells, args.pictures)
  else:
    show_plane(args.runs, cells, args.picture)


if __name__ == '__main__':
  main()
