"""Runs a minute of `--sweep.executor=stacked` beside `local`, and the steps alone, of a stack and of one run.

    python benchmarks/stacked.py [--what steps sweeps] [--steps 1000] [--only linear circle ...] [--workdir DIR]

Cases, each with 20 betas and 3 seeds:

    circle         specs/entropies.py: nets of 128-128, 4 samples of batches of 1,024
    circle_small   the same with nets of 16-16 and one sample of batches of 128
    linear         specs/linear.py: 10 to 2 dimensions, batches of 2,000
    linear_small   the same in batches of 100
    dense          784-400-20 on made points, batches of 128: too large to pay

steps: in one process with all threads, milliseconds a step of one run as it is trained alone (`Stepper`), and of a
stack of 60 members divided by 60, both ways of compiling and the one that is chosen; the best of three stretches.
Compiling is told apart.

sweeps: the command with all that a run is, start-up, compiling, evaluations and figures; runs a minute of both
executors with their default workers. --steps of training, evaluations in mid-training as the spec has them, at the same
fractions.

Prints Markdown. On an idle machine.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np  # noqa: E402

from tfvae import build  # noqa: E402
from tfvae import spec as spec_lib  # noqa: E402

BETAS, SEEDS = np.geomspace(0.1, 10, 20).round(4).tolist(), (0, 1, 2)
NETS = ('model.z1.encoder.hidden', 'decoder.net.hidden')
CASES = {
  'circle': ('specs/entropies.py', {}),
  'circle_small': (
    'specs/entropies.py',
    {'data.batch_size': 128, 'objective.num_samples': 1} | dict.fromkeys(NETS, (16, 16)),
  ),
  'linear': ('specs/linear.py', {}),
  'linear_small': ('specs/linear.py', {'data.batch_size': 100}),
  'dense': (
    'specs/entropies.py',
    {'data.name': 'manifold', 'data.dims': 784, 'data.latents': 10, 'data.examples': 2000, 'data.batch_size': 128}
    | {'model.z1.dim': 20, 'objective.num_samples': 1, 'train.learning_rate': 1e-4, **dict.fromkeys(NETS, (400,))},
  ),
}
SECONDS = 1.0  # of a stretch, about


def fields_of(case: str, steps: int) -> dict:
  """Of the spec, beside beta and seed."""
  path, fields = CASES[case]
  every = spec_lib.load(path).eval.every * steps // spec_lib.load(path).train.steps
  return fields | {'train.steps': steps, 'eval.every': every}


def steps_of(case: str) -> dict[str, float]:
  """Milliseconds: 'alone', and of a stack by way of compiling; 'chosen' names the way."""
  import tensorflow as tf

  from tfvae.training.machinery import Machinery
  from tfvae.training.stacked import StackedStepper
  from tfvae.training.stacks import chosen_mode
  from tfvae.training.workers import one_device

  path, fields = CASES[case]
  specs = [spec_lib.load(path, fields | {'objective.beta.z1': b, 'seed': s}) for b in BETAS for s in SEEDS]
  machinery = Machinery(specs[0], build.dataset(specs[0]), one_device())
  number, step = lambda value: tf.constant(value, tf.int64), machinery.stepper
  begin = machinery.values()

  def alone(first, count):
    sums = tf.constant(step.zeros())
    return step.run(machinery.source.feed(first, count, step.rows), number(first), number(count), sums)

  found = {'alone': timed(alone)}
  machinery.belong(specs[0], begin)
  for mode in ('graph', 'xla'):
    stack = StackedStepper(step, [spec.seed for spec in specs], mode)
    for place, spec in enumerate(specs):
      machinery.belong(spec, begin)
      machinery.objective.terms[0].betas['z1'].assign(spec.objective.beta.z1)
      stack.read(tf.constant(place))

    def together(first, count, stack=stack):
      everyone = tf.ones([stack.size], tf.bool)
      return stack.run(stack.feeds(first, count), number(first), number(count), tf.constant(stack.zeros()), everyone)

    found[mode] = timed(together) / len(specs)
  found['chosen'] = chosen_mode(specs[0], machinery)
  return found


def timed(run) -> float:
  """Milliseconds a step, at the best of three stretches."""
  first = count = 2
  run(0, count).last.numpy()
  begun = time.perf_counter()
  run(first, count).last.numpy()
  first, count = 4, max(2, int(SECONDS * count / (time.perf_counter() - begun)))
  best = float('inf')
  for _ in range(3):
    begun = time.perf_counter()
    taken = run(first, count).taken.numpy()
    best, first = min(best, time.perf_counter() - begun), first + count
    if np.min(taken) < count:
      sys.exit('a run was not finite')
  return 1e3 * best / count


def sweep(case: str, executor: str, steps: int, workdir: pathlib.Path) -> float:
  """The seconds of the command."""
  flags = [f'--spec.{name}={spec_lib.to_text(value)}' for name, value in fields_of(case, steps).items()]
  flags += [f'--sweep.objective.beta.z1={",".join(map(str, BETAS))}', f'--sweep.seed={",".join(map(str, SEEDS))}']
  command = [sys.executable, 'launch.py', '--mode=sweep', '--spec', CASES[case][0], *flags]
  begun = time.monotonic()
  done = subprocess.run(
    [*command, f'--sweep.executor={executor}', '--workdir', str(workdir / case / executor)],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  if done.returncode:
    sys.exit(f'{case}, {executor}:\n{done.stdout[-2000:]}')
  return time.monotonic() - begun


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--what', nargs='+', choices=('steps', 'sweeps'), default=['steps', 'sweeps'])
  parser.add_argument('--only', nargs='+', choices=tuple(CASES), default=list(CASES))
  parser.add_argument('--steps', type=int, default=1000)
  parser.add_argument('--workdir', type=pathlib.Path, help='a new one; kept. Else a temporary one')
  args = parser.parse_args()
  if 'steps' in args.what:
    print('\n| ms a step of a run | alone | stack, graph | stack, XLA | chosen | pays |\n|---|---|---|---|---|---|')
    for case in args.only:
      took = steps_of(case)
      numbers = ' | '.join(f'{took[name]:.3f}' for name in ('alone', 'graph', 'xla'))
      print(f'| {case} | {numbers} | {took["chosen"]} | {took["alone"] / took[took["chosen"]]:.1f} |', flush=True)
  if 'sweeps' in args.what:
    runs = len(BETAS) * len(SEEDS)
    print(f'\n| {runs} runs of {args.steps} steps, runs a minute | local | stacked | pays |\n|---|---|---|---|')
    with tempfile.TemporaryDirectory() as temporary:
      for case in args.only:
        base = args.workdir or pathlib.Path(temporary)
        took = {executor: sweep(case, executor, args.steps, base) for executor in ('local', 'stacked')}
        rates = ' | '.join(f'{60 * runs / seconds:.1f}' for seconds in took.values())
        print(f'| {case} | {rates} | {took["local"] / took["stacked"]:.2f} |', flush=True)


if __name__ == '__main__':
  main()
