"""Training on a folder of photographs' size: images a second, and whether memory grows with the steps or the files.

    python benchmarks/folder256.py [--files 500 2000] [--steps 100]

Writes JPEG files of differing sizes, 257 to 400 pixels a side, seeded: smooth noise that compresses like photographs.
Then specs/hit.py:folder256 as it is: random crops of 256 x 256 read by tf.data when they are needed, batches of 32. For
each number of files, in a process of its own, prints

- reading: images a second of the input alone, over as many batches as there are steps,
- training: milliseconds a step and images a second, the median of the last nine tenths of the steps,
- the resident memory (MiB, of /proc) after reading, after a tenth of the steps and after all of them, its growth from
  the one to the other, and the most that there was after any step.

Run it on an idle machine; the files are in the page cache, as they have just been written.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from input import write_folder  # noqa: E402

from tfvae import spec as spec_lib  # noqa: E402

SIDES = 257, 400


def resident():
  """MiB of this process now."""
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  return pages * resource.getpagesize() / 2**20


def reading(source, steps):
  """Images a second of the batches of so many steps, but the first."""
  import numpy as np

  feed = source.feed(0, steps, np.arange(source.batch_size))
  source.examples(feed, 0)
  begun = time.perf_counter()
  for step in range(1, steps):
    source.examples(feed, step)
  return (steps - 1) * source.batch_size / (time.perf_counter() - begun)


def measure(folder, steps):
  """One folder, in this process: prints a line of reading, and one of training."""
  from tfvae import build
  from tfvae.quiet import import_tensorflow

  import_tensorflow()
  import tensorflow as tf

  from tfvae.training.step import Stepper, compile_mode

  tf.config.experimental.enable_op_determinism()  # as in training
  spec = spec_lib.load(f'{ROOT}/specs/hit.py:folder256', {'data.path': folder})
  data = build.dataset(spec)
  source, size = build.source(spec, data), spec.data.batch_size
  rate = reading(source, steps)
  print(f'  reading:  {rate:7,.0f} images/s   resident {resident():,.0f} MiB', flush=True)

  model = build.model(spec, data.observation)
  objective = build.objective(spec, model)
  groups = build.optimizers(spec, model, objective)
  strategy = tf.distribute.OneDeviceStrategy('/gpu:0' if tf.config.list_logical_devices('GPU') else '/cpu:0')
  mode = compile_mode(spec.train.compile, model, 0)
  stepper = Stepper(strategy, model, objective, source, groups, None, 0, 0.0, mode)
  number, took, held = lambda n: tf.constant(n, tf.int64), [], []
  for step in range(steps):
    begun = time.perf_counter()
    stepper.run(source.feed(step, 1, stepper.rows), number(step), number(1), tf.constant(stepper.zeros()))
    took.append(time.perf_counter() - begun)
    held.append(resident())
  first, second = held[steps // 10 - 1], statistics.median(took[steps // 10 :])
  print(
    f'  training: {size / second:7,.0f} images/s, {1e3 * second:,.0f} ms a step   resident {first:,.0f} MiB after '
    f'{steps // 10} steps, {held[-1]:,.0f} after {steps}: {held[-1] - first:+.0f} MiB; at most {max(held):,.0f}',
    flush=True,
  )


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--files', type=int, nargs='*', default=(500, 2000))
  parser.add_argument('--steps', type=int, default=100, help='a multiple of 10')
  parser.add_argument('--one', help=argparse.SUPPRESS)  # a folder, in a process of its own
  args = parser.parse_args()
  if args.one:
    return measure(args.one, args.steps)
  if os.getloadavg()[0] > 0.5:
    print(f'warning: the load is {os.getloadavg()[0]:.2f}; the machine is not idle')
  for files in args.files:
    with tempfile.TemporaryDirectory() as folder:
      begun = time.perf_counter()
      write_folder(pathlib.Path(folder), files, *SIDES)
      print(f'{files:,} JPEG files, written in {time.perf_counter() - begun:.0f} s', flush=True)
      subprocess.run([sys.executable, __file__, '--one', folder, '--steps', str(args.steps)], check=True)


if __name__ == '__main__':
  main()
