"""Time in the input pipeline: how soon data are there, images a second, and whether memory grows.

    python benchmarks/input.py [--data_dir DIR] [--files 20000] [--side 96]

For CIFAR-10 of TensorFlow Datasets (left out where --data_dir, TFDS_DATA_DIR or ~/tensorflow_datasets has none) and for
a folder of JPEG files that are written first, smooth noise that compresses like photographs, both in memory
(spec.data.memory_limit as it is by default) and read when needed (memory_limit=0). Each case is a process of its own,
so that its peak of memory is its own. Prints

- load: seconds of the loader (for a folder the headers of all files) and of `dataset.make`,
- first batch: seconds from there to the first batch of 256 in shuffled order, as numbers of `reading.examples` for
  examples that are read, as rows of the array for those in memory,
- images/s and ms a batch over the rest of two epochs,
- the peak of resident memory after loading, and after one and two epochs,
- milliseconds of a training step of specs/hit.py:cifar10 (images scaled to 32 x 32) with its examples in memory, and
  read when needed: what the input adds to a step, the cores being shared.

Seconds count from when TensorFlow has been imported. Run it on an idle machine; the files are in the page cache, as
they have just been written.
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
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np  # noqa: E402

from tfvae import spec as spec_lib  # noqa: E402
from tfvae.spec import catalogue  # noqa: E402

BATCH = 256
EPOCHS = 2


def write_folder(root, files, least, most):
  """JPEG files of smooth noise in ten directories; their sides are drawn from `least` to `most`."""
  from PIL import Image

  def write(number):
    rng = np.random.default_rng(number)
    height, width = rng.integers(least, most + 1, 2)
    noise = sum(
      np.asarray(
        Image.fromarray(rng.integers(0, 256, (height // s, width // s, 3), np.uint8)).resize((width, height)), float
      )
      for s in (4, 12, 32)
    )
    path = root / f'{number % 10}' / f'{number:06}.jpg'
    Image.fromarray((noise / 3).astype(np.uint8)).save(path, quality=90)

  for label in range(10):
    (root / f'{label}').mkdir()
  with ThreadPoolExecutor() as pool:
    list(pool.map(write, range(files)))


def peak():
  """MiB."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def batches(part):
  """Batches of `EPOCHS` epochs, each in an order of its own, and the number of images in each."""
  import tensorflow as tf

  from tfvae.data import reading
  from tfvae.data.dataset import Part

  n = len(part.positions if isinstance(part, Part) else part['x'])
  order = np.concatenate([np.random.default_rng(epoch).permutation(n) for epoch in range(EPOCHS)])
  if isinstance(part, Part):
    numbers = tf.data.Dataset.from_tensor_slices(order)
    stream = reading.examples(part, numbers).batch(BATCH, drop_remainder=True).prefetch(2)
    for batch in reading.iterator(stream):
      yield {name: value.numpy() for name, value in batch.items()}
  else:
    for first in range(0, len(order) - BATCH + 1, BATCH):
      yield {name: array[order[first : first + BATCH]] for name, array in part.items()}


def measure(section):
  """One case, in this process: a line."""
  from tfvae.quiet import import_tensorflow

  import_tensorflow()
  import tensorflow as tf

  from tfvae.data import dataset, folder, tfds

  tf.config.experimental.enable_op_determinism()  # as in training

  begun = time.perf_counter()
  stored = (folder if section.name == 'folder' else tfds).load(section)
  loaded = time.perf_counter()
  part = dataset.make(stored, section, 0).splits['train']
  made = time.perf_counter()
  peaks, count = [peak()], 0
  n = len(part.positions if isinstance(part, dataset.Part) else part['x'])
  for number, batch in enumerate(batches(part)):
    if not number:
      first = time.perf_counter()
    count += len(batch['x'])
    if count >= n * len(peaks) - BATCH:
      peaks.append(peak())
  seconds, rest = time.perf_counter() - first, count - BATCH
  print(
    f'  load {loaded - begun:6.2f} + {made - loaded:5.2f} s   first batch {first - made:5.2f} s   '
    f'{rest / seconds:9,.0f} images/s   {1e3 * seconds / rest * BATCH:7.2f} ms a batch   '
    f'peak {" -> ".join(f"{value:,.0f}" for value in peaks[: EPOCHS + 1])} MiB',
    flush=True,
  )


def train(section, steps=40, repeats=3):
  """Training steps of specs/hit.py:cifar10 on one case, in this process: seconds a step (the median of `repeats`)."""
  from tfvae import build
  from tfvae.quiet import import_tensorflow

  import_tensorflow()
  import tensorflow as tf

  from tfvae.training.step import Stepper

  tf.config.experimental.enable_op_determinism()
  fields = {f'data.{name}': section[name] for name in ('name', 'path', 'data_dir', 'memory_limit')}
  fields |= {'data.resize': 32} if section.name == 'folder' else {}
  spec = spec_lib.load(f'{ROOT}/specs/hit.py:cifar10', fields)
  data = build.dataset(spec)
  source, model = build.source(spec, data), build.model(spec, data.observation)
  objective = build.objective(spec, model)
  groups = build.optimizers(spec, model, objective)
  strategy = tf.distribute.OneDeviceStrategy('/gpu:0' if tf.config.list_logical_devices('GPU') else '/cpu:0')
  stepper = Stepper(strategy, model, objective, source, groups, None, 0, 0.0, 'graph')
  took, first = [], 0
  for count in (5, *[steps] * repeats):
    begun = time.perf_counter()
    feed = source.feed(first, count, stepper.rows)
    number = lambda n: tf.constant(n, tf.int64)
    stepper.run(feed, number(first), number(count), tf.constant(stepper.zeros()))
    took.append((time.perf_counter() - begun) / count)
    first += count
  return statistics.median(took[1:])


def waiting(seconds):
  """The share of a training step that reading adds to one with all examples in memory."""
  memory, needed = seconds
  print(
    f'  a training step of specs/hit.py:cifar10: {1e3 * memory:.1f} ms in memory, {1e3 * needed:.1f} ms read when '
    f'needed: {100 * (needed / memory - 1):+.0f}%',
    flush=True,
  )


def cases(args):
  """(title, fields of spec.data) of what there is to measure."""
  root = catalogue.data_dir(args.data_dir)
  if catalogue.find('cifar10', root):
    yield 'CIFAR-10 of TensorFlow Datasets', {'name': 'cifar10', 'data_dir': str(root)}
  else:
    print(f'CIFAR-10: left out, not in {root}')
  with tempfile.TemporaryDirectory() as directory:
    begun = time.perf_counter()
    write_folder(pathlib.Path(directory), args.files, args.side, args.side)
    print(f'({args.files:,} files written in {time.perf_counter() - begun:.0f} s)', flush=True)
    yield (
      f'a folder of {args.files:,} JPEG files of {args.side} x {args.side}',
      {'name': 'folder', 'path': directory},
    )


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--data_dir', default='', help='where TensorFlow Datasets are')
  parser.add_argument('--files', type=int, default=20000)
  parser.add_argument('--side', type=int, default=96)
  for name in ('--one', '--train'):  # a case, as a process of its own: field=value ...
    parser.add_argument(name, nargs='*', help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.one or args.train:
    section = spec_lib.base().data
    for field in args.one or args.train:
      name, _, value = field.partition('=')
      section[name] = type(section[name])(value)
    return measure(section) if args.one else print(train(section))
  if os.getloadavg()[0] > 0.5:
    print(f'warning: the load is {os.getloadavg()[0]:.2f}; the machine is not idle')
  for title, fields in cases(args):
    steps = []
    for where, more in (('in memory', {}), ('read when needed', {'memory_limit': 0.0})):
      print(f'{title}, {where}', flush=True)
      words = [f'{name}={value}' for name, value in {**fields, **more}.items()]
      subprocess.run([sys.executable, __file__, '--one', *words], check=True)
      command = [sys.executable, __file__, '--train', *words]
      steps.append(float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()[-1]))
    waiting(steps)


if __name__ == '__main__':
  main()
