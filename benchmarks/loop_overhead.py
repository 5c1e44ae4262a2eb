"""What the loop costs over the bare compiled step: logging, TensorBoard, checkpoints, progress, metrics, statistics.

    python benchmarks/loop_overhead.py [--steps 4000] [--repeats 9] [--only constraints]

For the digits MLP (specs/aevb.py) and specs/hit.py, in one process, alternating:

- minimal: forward pass, backward pass and optimizer, compiled as the loop compiles them, many steps in one call, on
  batches gathered and noise drawn in the graph as in training. No metrics, no gradient norm, no check for NaN.
- step: the compiled step as it is trained (`Stepper.run`), which also returns the means of all metrics, the gradient
  norm, and whether they are finite; called back to back with nothing on the host.
- loop: `Trainer.train` with the spec's own logging (every 100 steps), event files, checkpoints (every 2,000 steps) and
  progress lines; without the evaluations, which are work of another kind. Start-up is left out, as for the others.

Then the compiled step of specs/symmetric.py:mnist (batches of 1,024; of made images, --steps / 1000 of them in a
stretch) with and without the running averages of mutual information, `spec.objective.information`.

Then the compiled step with constraints (`spec.constraint`) beside the plain one: re and rate together, of specs/hit.py
and of a dense model of two layers (`tfvae.spec.base`); and apart, cla on specs/hit.py, whose
frozen classifier of the digits, trained for it first, has a pass of its own in both directions. --only=constraints:
these alone.

Prints milliseconds a step (medians), their ratios, and, from within the loop, the time beside its compiled calls as a
part of the time in them, which other load on the machine disturbs least. Run it on an idle machine.
"""

import argparse
import contextlib
import io
import os
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from tfvae import build  # noqa: E402
from tfvae import spec as spec_lib  # noqa: E402


class Minimal:
  """Steps of a spec with nothing around them."""

  def __init__(self, spec, data, calls: int = 100):
    import tensorflow as tf

    from tfvae import noise as noise_lib
    from tfvae.training.machinery import mode_of

    source, model = build.source(spec, data), build.model(spec, data.observation)
    objective = build.objective(spec, model)
    ((optimizer, variables),) = build.optimizers(spec, model, objective)['model']
    batch = source.batch_size

    def loss(batch, step, noise):
      return objective.loss('model', model, batch, step, noise)[0]

    def move(batch_, step, values):
      with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(batch_, step, noise_lib.replay(values))) / batch
      optimizer.apply(tape.gradient(total, [v.value for v in variables]), variables)

    zeros = source.batch(source.blank(batch), noise_lib.stateless(0, 0))
    requests = noise_lib.record(lambda noise: loss(zeros, tf.constant(0, tf.int64), noise))
    compiled = mode_of(spec, model, batch) == 'xla'
    move = tf.function(move, autograph=False, jit_compile=True) if compiled else move

    @tf.function(autograph=False)
    def run(feed, first, count):
      def body(i):
        values = noise_lib.draw(requests, spec.seed, first + i)
        move(source.batch(source.examples(feed, i), noise_lib.replay(values)), first + i, values)
        return i + 1

      return tf.while_loop(lambda i: i < count, body, [tf.constant(0, tf.int64)], parallel_iterations=1)

    self._source, self._rows = source, np.arange(batch)
    self._run, self._calls, self._count = run, calls, lambda n: tf.constant(n, tf.int64)
    self.time(calls)

  def time(self, steps: int) -> float:
    """Seconds a step."""
    begun = time.perf_counter()
    for first in range(0, steps, self._calls):
      feed = self._source.feed(first, self._calls, self._rows)
      self._run(feed, self._count(first), self._count(self._calls))
    return (time.perf_counter() - begun) / steps


class Step:
  """A compiled step, back to back."""

  def __init__(self, stepper, calls: int = 100):
    self._stepper, self._calls = stepper, calls

  def time(self, steps: int) -> float:
    """Seconds a step."""
    import tensorflow as tf

    sums = tf.constant(self._stepper.zeros())
    begun = time.perf_counter()
    for first in range(0, steps, self._calls):
      feed = self._stepper.source.feed(first, self._calls, self._stepper.rows)
      done = self._stepper.run(feed, tf.constant(first, tf.int64), tf.constant(self._calls, tf.int64), sums)
      assert bool(done.finite)
    return (time.perf_counter() - begun) / steps


class Loop:
  """The loop with everything on; each `time` trains on from where the last one ended."""

  def __init__(self, spec, data, workdir):
    from tfvae.trained import Run
    from tfvae.training.loop import Trainer

    self._spec = spec
    run = Run(workdir)
    run.open(spec)
    self.trainer = Trainer(spec, run, data)
    self.inside, self.host_share = 0.0, 0.0  # seconds in the compiled calls; time beside them, as a part of them
    self._run, self.trainer.stepper.run = self.trainer.stepper.run, self._timed_run
    self.trainer.spec = self._with_steps(200)
    self._train()

  def _timed_run(self, *args):
    begun = time.perf_counter()
    done = self._run(*args)
    bool(done.finite)  # until the device is done
    self.inside += time.perf_counter() - begun
    return done

  def _with_steps(self, steps):
    return spec_lib.resolve(self._spec, {'train.steps': steps})

  def _train(self):
    from tfvae.training.signals import StopSignal

    with contextlib.redirect_stdout(io.StringIO()), StopSignal() as stop:
      self.trainer.train(stop)

  def time(self, steps: int) -> float:
    """Seconds a step, from the first call to the last checkpoint; reading the old one before that is not counted."""
    before, begun, next_stop = self.trainer.step, [], type(self.trainer)._next_stop

    def note():
      begun.append(time.perf_counter())
      return next_stop(self.trainer)

    self.trainer.spec, self.trainer._next_stop = self._with_steps(before + steps), note
    inside = self.inside
    self._train()
    took = time.perf_counter() - begun[0]
    self.host_share = took / (self.inside - inside) - 1
    return took / (self.trainer.step - before)


def information(steps: int, repeats: int) -> None:
  """Times the published ladder's step with and without running averages, alternating."""
  from compile_modes import stepper

  from tfvae.data.dataset import Stored, make

  pixels = np.random.default_rng(0).integers(0, 256, [10_000, 28, 28, 1], np.uint8)
  kinds = {}
  for name, on in (('without', False), ('with', True)):
    fields = {'objective.information': on, 'objective.chains': 0, 'data.pool': 'train'}
    spec = spec_lib.load(ROOT / 'specs/symmetric.py:mnist', fields)
    stored = Stored('random', {'train': {'x': pixels}, 'test': {'x': pixels[:100]}}, (0.0, 255.0))
    data = make(stored, spec.data, spec.seed)
    kinds[name] = Step(stepper(spec, data), steps)
  compare('information', kinds, steps, repeats)


def compare(title: str, kinds: dict[str, Step], steps: int, repeats: int) -> None:
  """Times steps 'without' and 'with' something, alternating."""
  for kind in kinds.values():
    kind.time(steps)
  times = [[kind.time(steps) for kind in kinds.values()] for _ in range(repeats)]
  without, with_ = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
  ratio = statistics.median(b / a for a, b in times)
  print(f'{title}: without {without:.3f} ms, with {with_:.3f} ms; with/without {ratio:.3f}', flush=True)


def constraints(steps: int, repeats: int) -> None:
  """Times the step with constraints and the plain one."""
  from compile_modes import stepper

  from tfvae import commands

  both = {'constraint.names': ('re', 'rate'), 'constraint.rate.z2': 8.0}
  optimal = {'decoder.variance': 'optimal'}  # of the plain step, too
  hit, dense = spec_lib.load(ROOT / 'specs/hit.py', optimal), spec_lib.resolve(spec_lib.base(('z2', 'z1')), optimal)
  with tempfile.TemporaryDirectory() as folder:
    with contextlib.redirect_stdout(io.StringIO()):
      commands.train(spec_lib.load(ROOT / 'specs/classifier.py', {'train.steps': 300}), f'{folder}/classifier')
    cla = {'constraint.names': ('cla',), 'classifier.path': f'{folder}/classifier'}
    for title, base, own, count in (
      ('re and rate, specs/hit.py', hit, both, steps // 10),
      ('re and rate, dense', dense, both, steps),
      ('cla, specs/hit.py', hit, cla, steps // 10),
    ):
      kinds = {}
      for kind, fields in (('without', {}), ('with', own)):
        spec = spec_lib.resolve(base, fields)
        kinds[kind] = Step(stepper(spec, build.dataset(spec)))
      compare(title, kinds, count, repeats)


def main():
  import tensorflow as tf

  tf.config.experimental.enable_op_determinism()
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--steps', type=int, default=4000)
  parser.add_argument('--repeats', type=int, default=9)
  parser.add_argument('--only', choices=('constraints',))
  args = parser.parse_args()
  if os.getloadavg()[0] > 0.5:
    print(f'warning: the load is {os.getloadavg()[0]:.2f}; the machine is not idle')
  if args.only == 'constraints':
    return constraints(args.steps, args.repeats)
  for name in ('aevb', 'hit'):
    spec = spec_lib.load(ROOT / f'specs/{name}.py', {'eval.every': 0})
    data = build.dataset(spec)
    with tempfile.TemporaryDirectory() as folder:
      minimal, loop = Minimal(spec, data), Loop(spec, data, pathlib.Path(folder) / 'run')
      step = Step(loop.trainer.stepper)
      steps = args.steps if name == 'aevb' else args.steps // 5
      times = [[*(kind.time(steps) for kind in (minimal, step, loop)), loop.host_share] for _ in range(args.repeats)]
    *ms, share = [1e3 * statistics.median(column) for column in zip(*times, strict=True)]
    print(
      f'{name}: minimal {ms[0]:.3f} ms, step {ms[1]:.3f} ms, loop {ms[2]:.3f} ms; '
      f'loop/step {ms[2] / ms[1]:.3f}, loop/minimal {ms[2] / ms[0]:.3f}; '
      f'beside the compiled calls {share / 10:.1f}%',
      flush=True,
    )
  information(max(1, args.steps // 1000), args.repeats)
  constraints(args.steps, args.repeats)


if __name__ == '__main__':
  main()
