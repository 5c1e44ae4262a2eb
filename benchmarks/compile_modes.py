"""Milliseconds of a training step as a TensorFlow graph and compiled by XLA: what spec.train.compile=auto rests on.

    python benchmarks/compile_modes.py [--repeats 7]

Random data of the sizes named; the compiled step as it is trained (`Stepper.run`), called back to back, the two modes
alternating. Prints medians and the choice of `auto` on this machine. Run it on an idle machine.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfvae import build  # noqa: E402
from tfvae import spec as spec_lib  # noqa: E402
from tfvae.data.dataset import Stored, make  # noqa: E402
from tfvae.training.machinery import mode_of  # noqa: E402
from tfvae.training.step import Stepper  # noqa: E402
from tfvae.training.workers import one_device  # noqa: E402

# name: (spec, shape of an example, steps timed, fields)
MLP = {'model.z1.encoder.activation': 'relu', 'decoder.net.activation': 'relu', 'decoder.variance': 'learned'}
CASES = {
  'digits MLP 64-200-10, batch 100': ('aevb', (8, 8, 1), 1000, {}),
  '2-128-2, batch 1024': ('aevb', (2,), 300, {'data.batch_size': 1024, 'model.z1.dim': 2, 'hidden': 128, **MLP}),
  '784-400-20, batch 128, L=1': ('aevb', (784,), 100, {'data.batch_size': 128, 'model.z1.dim': 20, 'hidden': 400}),
  '784-400-20, batch 128, L=5': (
    'aevb',
    (784,),
    50,
    {'data.batch_size': 128, 'model.z1.dim': 20, 'hidden': 400, 'objective.num_samples': 5},
  ),
  'hit digits, batch 100': ('hit', (8, 8, 1), 100, {}),
}


def stepper(spec, data, mode=None):
  """The compiled step of a spec, on one device. mode: None for spec.train.compile."""
  strategy = one_device()
  with strategy.scope():
    source, model = build.source(spec, data), build.model(spec, data.observation)
    objective = build.objective(spec, model)
    groups = build.optimizers(spec, model, objective)
    mode = mode or mode_of(spec, model, source.batch_size)
    return Stepper(strategy, model, objective, source, groups, None, spec.seed, 0.0, mode)


def seconds(step, count):
  sums, feed = tf.constant(step.zeros()), step.source.feed(0, count, step.rows)
  begun = time.perf_counter()
  step.run(feed, tf.constant(0, tf.int64), tf.constant(count, tf.int64), sums)
  return (time.perf_counter() - begun) / count


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--repeats', type=int, default=7)
  args = parser.parse_args()
  tf.config.experimental.enable_op_determinism()
  if os.getloadavg()[0] > 0.5:
    print(f'warning: the load is {os.getloadavg()[0]:.2f}; the machine is not idle')
  for name, (path, shape, count, fields) in CASES.items():
    fields = {'data.scaling': 'none', **fields}
    if hidden := fields.pop('hidden', None):
      fields |= {'model.z1.encoder.hidden': (hidden,), 'decoder.net.hidden': (hidden,)}
    spec = spec_lib.load(ROOT / f'specs/{path}.py', fields)
    x = np.random.default_rng(0).random((5000, *shape)).astype(np.float32)
    data = make(Stored('random', {'train': {'x': x}, 'test': {'x': x[:10]}}), spec.data, 0)
    steppers = {mode: stepper(spec, data, mode) for mode in ('graph', 'xla')}
    for step in steppers.values():
      seconds(step, 5)
    times = [[1e3 * seconds(step, count) for step in steppers.values()] for _ in range(args.repeats)]
    graph, xla = (statistics.median(column) for column in zip(*times, strict=True))
    choice = mode_of(spec, steppers['graph'].model, spec.data.batch_size)
    print(f'{name:<34} graph {graph:7.3f} ms  xla {xla:7.3f} ms  auto: {choice}', flush=True)


if __name__ == '__main__':
  main()
