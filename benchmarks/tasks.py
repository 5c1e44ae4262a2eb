"""The tasks of Taming VAEs: is what is drawn for a context right, and what does it cost in nats.

    python launch.py --spec specs/classifier.py:mnist
    python launch.py --spec specs/classifier.py:mnist,turns
    python benchmarks/tasks.py each [--jobs 2] [--pictures docs/images]
    python benchmarks/tasks.py plane [--jobs 2] [--picture docs/images/tasks-plane.png]

Trains what is not there yet below --runs (runs/tasks), each run by a command `python launch.py` of its own, and prints
what all of them came to, in Markdown. --list prints the commands that are missing, in place of both. --digits: of
digits in place of MNIST, whose classifiers are runs/classifier and runs/classifier-turns.

each: every task by specs/geco.py as it is, three seeds, as many steps as take about five minutes on two cores. For each
a figure: contexts, targets, samples.

plane: mnist_sum and color_mnist by the ELBO (a learned sigma), by a sigma that falls during the first half of training
(from 0.7 to the smaller kappa), and by the constraint re at two kappas; three seeds, equal steps.
"""

import argparse
import json
import pathlib
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from constraints import spread, table, train

SEEDS = (0, 1, 2)
STEPS = {  # of `each`, of MNIST and of digits
  'mnist_sum': (20_000, 12_000),
  'mnist_sum_hard': (15_000, 12_000),
  'mnist_rotate': (20_000, 12_000),
  'mnist_triplets': (15_000, 12_000),
  'color_mnist': (15_000, 12_000),
}
PLANE_STEPS = 8000
KAPPAS = {'mnist_sum': (0.14, 0.18), 'color_mnist': (0.1, 0.14)}
WAYS = {  # word of specs/geco.py and fields, of the two kappas
  'ELBO': ('none', lambda small, large: {}),
  'annealed sigma': (
    'none',
    lambda small, large: {
      'decoder.variance': 'fixed',
      'decoder.sigma': small,
      'decoder.sigma_from': 0.7,
      'decoder.sigma_until': 0.5,
    },
  ),
  're, small': ('re', lambda small, large: {'constraint.re.kappa': small}),
  're, large': ('re', lambda small, large: {'constraint.re.kappa': large}),
}


class Cell(NamedTuple):
  """A run: its directory's name, the words of specs/geco.py, and fields that differ from theirs."""

  name: str
  words: str
  fields: dict

  def command(self, runs: pathlib.Path) -> list[str]:
    """What trains it."""
    flags = [f'--spec.{field}={value}' for field, value in self.fields.items()]
    return ['python', 'launch.py', '--spec', f'specs/geco.py:{self.words}', '--workdir', str(runs / self.name), *flags]

  def is_done(self, runs: pathlib.Path) -> bool:
    """Whether it is trained to its end, and evaluated."""
    path = runs / self.name / 'evaluation.json'
    return path.is_file() and json.loads(path.read_text())['step'] == self.fields['train.steps']

  def found(self, runs: pathlib.Path) -> dict[str, float]:
    """The numbers of its evaluation, of the test split."""
    return json.loads((runs / self.name / 'evaluation.json').read_text())


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
  found = {}
  for task, kappas in KAPPAS.items():
    for way, (word, fields) in WAYS.items():
      name = f'{task}-{way.replace(", ", "-").replace(" ", "-").lower()}'
      found[task, way] = [cell(name, task, word, seed, PLANE_STEPS, args, **fields(*kappas)) for seed in SEEDS]
  return found


def of(own: Sequence[dict], name: str, form: str = '.3f', power: float = 1.0) -> str:
  """The median over seeds of a number, and its range; empty where there is none."""
  return spread([found[name] ** power for found in own], form) if name in own[0] else ''


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
        rows[-1] += [of(found[:1], f'task/chance{suffix}'), of(found, 'mse', '.4f', 0.5), of(found, 'rate', '.1f')]
    if pictures:
      shutil.copy(runs / done[0].name / 'figures/task.png', pathlib.Path(pictures, f'task-{task}.png'))
  head = ['task', 'of', 'steps', 'seeds', 'samples', 'reconstructions', 'real images', 'chance', 'error', 'rate']
  print(table(head, rows))


def show_plane(runs: pathlib.Path, cells: dict[tuple[str, str], list[Cell]], picture: str) -> None:
  """The second table, and a figure of it, of runs that are there."""
  found = {
    key: values for key, own in cells.items() if (values := [one.found(runs) for one in own if one.is_done(runs)])
  }
  rows = []
  for (task, way), own in found.items():
    kappa = dict(zip(('re, small', 're, large'), KAPPAS[task], strict=True)).get(way)
    name = way if kappa is None else f're, kappa = {kappa:g}'
    parts = ('', '_reconstruction', '_real')
    numbers = [of(own, 'rate', '.1f'), of(own, 'mse', '.4f', 0.5), of(own, 'elbo', '.1f')]
    rows.append([task, name, str(len(own)), *numbers, *(of(own, f'task/accuracy{part}') for part in parts)])
  head = ['task', 'model', 'seeds', 'rate', 'error', 'elbo', 'samples', 'reconstructions', 'real images']
  print(table(head, rows))
  if picture:
    draw(found, picture)


def draw(found: dict, path: str) -> None:
  """The information plane: rate and error of each run, and the accuracy of its samples."""
  from matplotlib.figure import Figure

  tasks = [task for task in KAPPAS if any(key[0] == task for key in found)]
  drawn = Figure((5.2 * len(tasks), 3.8), layout='constrained')
  for axis, task in zip(drawn.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
    for number, way in enumerate(WAYS):
      own = found.get((task, way), [])
      kappa = dict(zip(('re, small', 're, large'), KAPPAS[task], strict=True)).get(way)
      label = way if kappa is None else f're, kappa = {kappa:g}'
      rates, errors = [each['rate'] for each in own], [each['mse'] ** 0.5 for each in own]
      axis.scatter(rates, errors, color=f'C{number}', marker='osD^'[number], label=label)
      for each, rate, error in zip(own[:1], rates, errors, strict=False):
        text = f'{each["task/accuracy"]:.2f}'
        axis.annotate(text, (rate, error), xytext=(6, 4), textcoords='offset points', fontsize=8)
    axis.set(title=task, xlabel='rate (nats)', ylabel='RMS error per dimension')
    axis.margins(0.12)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
  drawn.savefig(path, dpi=90)


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
    print('\n'.join(' '.join(one.command(args.runs)) for one in missing))
    return
  train(missing, args.runs, args.jobs)
  if args.what == 'each':
    show_each(args.runs, cells, args.pictures)
  else:
    show_plane(args.runs, cells, args.picture)


if __name__ == '__main__':
  main()
