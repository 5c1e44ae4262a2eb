"""Convolutional DRAW, specs/geco.py:convdraw: its steps unrolled or in a loop, and a training step beside PyTorch's.

    python benchmarks/convdraw.py loop [--data digits mnist cifar10] [--lengths 1 4 8 16] [--repeats 7]
    python benchmarks/convdraw.py torch [--data digits mnist cifar10] [--repeats 5] [--busy]

loop: the T steps as the model has them, one after the other in the graph, and in a `tf.while_loop` of the same
sub-layers, which is traced once whatever T is. For each T and both, in a process of its own: seconds of the first call
(tracing, and a step), milliseconds of a step (forward and backward pass, Adam; the median of --repeats stretches of
about a second, unrolled and looped in turn), and the largest resident memory. Batches of 100 made images. First, in
another process, both are given the same weights, images and noise: the script ends where their losses or gradients
differ by more than 1e-4 of themselves.

torch: first the same of tfvae's model and the networks in torch_models.py, which get its weights; then
`benchmarks/step_time.py --cases convdraw_digits convdraw_mnist convdraw_cifar10`, which has what is measured and how.

Run it on an idle machine: times mean little on another.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / 'benchmarks'))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np  # noqa: E402
from step_time import await_idle, peak_memory  # noqa: E402

from tfvae import spec as spec_lib  # noqa: E402

SHAPES = {'digits': (8, 8, 1), 'mnist': (28, 28, 1), 'cifar10': (32, 32, 3)}
TOLERANCE = 1e-4  # of losses and of the norm of gradients
WAYS = ('unrolled', 'looped')


# The two ways to compute the steps.


def unrolled(model, x, eps):
  """(log p(x | z), KLs of the steps) of x [B, ...] and the posteriors' noise eps [T, 1, B, ...]: [1, B], [T, 1, B]."""
  import tensorflow as tf

  from tfvae.noise import Noise

  trace = model.infer({'x': x}, Noise(lambda request: eps[model.layer_names.index(request.name.removeprefix('z/'))]))
  return trace.log_px, tf.stack(list(trace.kl.values()))


def looped(model, x, eps):
  """The same, by a loop over a step."""
  import tensorflow as tf

  from tfvae.models.convdraw import Drawing, Reading
  from tfvae.noise import Noise

  lead, step = (1, len(x)), model.latents[0]  # whose weights are those of all
  for_each = lambda state: [tf.broadcast_to(map_, [len(x), *map_.shape[1:]]) for map_ in state[:-1]]
  begin = for_each(model.start(None)), for_each(model.recognition.begin(x))

  def body(t, drawing, memory, kls):
    h, reading = Drawing(*drawing, lead), Reading(*memory, lead)
    p, reading = step.conditional(h), step.read(h, reading, x)
    q = step.posterior(reading)
    z = step.family.sample(q, Noise(lambda request: eps[t]), 'z', lead)
    return t + 1, list(step.advance(h, z)[:3]), list(reading[:2]), kls.write(t, step.family.kl(q, p))

  kls, length = tf.TensorArray(x.dtype, len(eps)), len(eps)
  start = (tf.constant(0), *begin, kls)
  _, drawing, _, kls = tf.while_loop(lambda t, *_: t < length, body, start, maximum_iterations=length)
  px = model.decoder.given(Drawing(*drawing, lead))
  return px.log_prob(x), kls.stack()


def model_of(data: str, length: int | None = None, fields: dict | None = None):
  """The model of specs/geco.py:<data>,convdraw,none with weights that are not those of the beginning, and its spec."""
  import tensorflow as tf

  from tfvae import build
  from tfvae.observation import Observation

  own = {'decoder.sigma_floor': 0.0, **(fields or {})}  # as in torch_models.py
  own |= {'model.z.steps': length} if length else {}
  spec = spec_lib.load(ROOT / f'specs/geco.py:{data},convdraw,none', own)
  tf.keras.utils.set_random_seed(spec.seed)
  model = build.model(spec, Observation(SHAPES[data]))
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:  # biases begin at 0, and with them all is alike at many places
    variable.assign(variable + 0.05 * rng.normal(size=variable.shape))
  return model, spec


def examples(model, batch: int):
  """Made images [B, ...] in [0, 1], and noise for the posteriors [T, 1, B, ...]."""
  rng = np.random.default_rng(1)
  x = rng.random((batch, *model.shape), np.float32)
  return x, rng.normal(size=(len(model.latents), 1, batch, *model.latents[0].shape)).astype(np.float32)


def loss_and_gradients(model, way, x, eps):
  """The negative ELBO, and its gradients."""
  import tensorflow as tf

  with tf.GradientTape() as tape:
    log_px, kls = way(model, x, eps)
    loss = tf.reduce_mean(tf.reduce_sum(kls, 0) - log_px)
  return loss, tape.gradient(loss, [variable.value for variable in model.trainable_variables])


def numbers_of(model, way, x, eps) -> list[float]:
  """The negative ELBO, and the norm of its gradient."""
  import tensorflow as tf

  loss, gradients = loss_and_gradients(model, way, tf.constant(x), tf.constant(eps))
  return [float(loss), float(tf.linalg.global_norm(gradients))]


# A loop, or not.


def run(way: str, data: str, length: int) -> None:
  """A process that takes steps: one, then a stretch for each line that it reads; tells how each went."""
  import keras
  import tensorflow as tf

  tf.config.experimental.enable_op_determinism()
  model, spec = model_of(data, length)
  optimizer = keras.optimizers.Adam(spec.train.learning_rate)
  optimizer.build(model.trainable_variables)
  x, eps = map(tf.constant, examples(model, spec.data.batch_size))

  @tf.function(autograph=False)
  def step():
    loss, gradients = loss_and_gradients(model, globals()[way], x, eps)
    optimizer.apply(gradients, model.trainable_variables)
    return loss

  def seconds(steps):
    begun = time.perf_counter()
    for _ in range(steps):
      loss = step()
    float(loss)  # until it is there
    return time.perf_counter() - begun

  first, steps = seconds(1), max(1, round(1 / seconds(1)))
  print(json.dumps({'first': first}), flush=True)
  for _ in sys.stdin:
    print(json.dumps({'ms': 1e3 * seconds(steps) / steps, 'peak': peak_memory()}), flush=True)


def loop(args) -> None:
  """Prints the table of `loop`."""
  rows = []
  for data in args.data:
    call('check', data)
    for length in args.lengths:
      workers = {way: Worker(way, data, length) for way in WAYS}
      for _ in range(args.repeats):
        await_idle(args.busy)
        for worker in workers.values():
          worker.measure()
      cells = [f'{worker.first:.1f} s, {worker.median:.1f} ms, {worker.peak:,.0f} MiB' for worker in workers.values()]
      ratio = workers['looped'].median / workers['unrolled'].median
      rows.append(f'| {data} | {length} | {" | ".join(cells)} | {ratio:.2f} |')
      print(rows[-1], flush=True)
      for worker in workers.values():
        worker.close()
  print(f'\n| data | T | {" | ".join(f"{way}: first call, a step, peak" for way in WAYS)} | looped / unrolled |')
  print('|---|---|---|---|---|', *rows, sep='\n')


class Worker:
  """A process of `run`, as its parent sees it."""

  def __init__(self, way: str, data: str, length: int):
    self._process = subprocess.Popen(
      command(way, data, '--lengths', str(length)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    self.first, self._ms, self.peak = self._reply()['first'], [], 0.0

  def _reply(self):
    line = self._process.stdout.readline()
    if not line:
      sys.exit('error: a process ended')
    return json.loads(line)

  def measure(self) -> None:
    """A stretch of steps."""
    print(file=self._process.stdin, flush=True)
    done = self._reply()
    self._ms.append(done['ms'])
    self.peak = done['peak']

  @property
  def median(self) -> float:
    """Milliseconds of a step."""
    return statistics.median(self._ms)

  def close(self) -> None:
    """Ends it."""
    self._process.stdin.close()
    self._process.wait()


def command(worker: str, data: str, *others: str) -> list[str]:
  """The command of a process of this script's own."""
  return [sys.executable, __file__, 'loop', '--worker', worker, '--data', data, *others]


def call(worker: str, data: str) -> None:
  """Ends the script where such a process fails."""
  if subprocess.run(command(worker, data)).returncode:
    sys.exit(1)


def compare(title: str, own: list[float], other: list[float]) -> None:
  """Ends the script where these numbers are not those."""
  print(
    f'{title}: loss and norm of the gradient {own[0]:.6f}, {own[1]:.6f}; {other[0]:.6f}, {other[1]:.6f}', flush=True
  )
  if not np.allclose(own, other, rtol=TOLERANCE):
    sys.exit('error: they differ')


# Beside PyTorch.


def mirrored(array):
  """[H, W, C, N] -> [N, C, H, W], mirrored in both sides: kernels, and maps, as torch_models.ConvDraw has them."""
  return np.transpose(array, (3, 2, 0, 1))[..., ::-1, ::-1].copy()


def maps(array):
  """The same of maps [N, H, W, C]."""
  return mirrored(np.moveaxis(array, 0, -1))


def copied(model, spec):
  """A torch_models.ConvDraw with the weights of tfvae's model."""
  import torch
  from step_time import torch_models_of

  (other,) = torch_models_of(spec, (model.shape[2], *model.shape[:2])).values()
  numbered = lambda net, own: {f'{net}.{2 * i}': f'{own}/conv_{i}' for i in range(len(getattr(other, net)) // 2)}
  ends = numbered('encoder', 'z_encoder') | numbered('decoder', 'decoder_net')
  ends |= {f'decoder.{len(other.decoder) - 1}': 'decoder_write/conv', 'head': 'likelihood/head/conv', 'look': 'z_look'}
  ends |= {'encoder_lstm.gates': 'z_encoder_lstm/gates', 'decoder_lstm.gates': 'z_decoder_lstm/gates'}
  ends |= {'posterior': 'z_q/head/conv', 'prior': 'z_p/head/conv'}
  values = {variable.path: variable.numpy() for variable in model.trainable_variables}
  take = lambda end: values.pop(next(path for path in values if path.endswith(f'/{end}')))
  state = {f'{name}.weight': mirrored(take(f'{end}/kernel')) for name, end in ends.items()}
  state |= {f'{name}.bias': take(f'{end}/bias') for name, end in ends.items()}
  state |= {'start': maps(take('start')), 'log_sigma': take('log_sigma')}
  if values:
    sys.exit(f'error: {", ".join(values)}: PyTorch has no such weights')
  other.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in state.items()})
  return other


def numbers_of_torch(other, x, eps) -> list[float]:
  """The negative ELBO, and the norm of its gradient."""
  import torch

  log_px, _, (rate,) = other(torch.from_numpy(maps(x)), [torch.from_numpy(maps(own[0])) for own in eps])
  loss = rate - log_px
  loss.backward()
  norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in other.parameters()])
  return [float(loss.detach()), float(norm)]


def beside_torch(data: str) -> None:
  """Ends the script where tfvae's model and PyTorch's are not the same function."""
  model, spec = model_of(data)
  x, eps = examples(model, 4)
  compare(
    f'{data}: tfvae and PyTorch', numbers_of(model, unrolled, x, eps), numbers_of_torch(copied(model, spec), x, eps)
  )


def check(data: str) -> None:
  """Ends the script where a loop gives other numbers than unrolled steps."""
  model, _ = model_of(data)
  x, eps = examples(model, 4)
  compare(f'{data}: unrolled and looped', *(numbers_of(model, globals()[way], x, eps) for way in WAYS))


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('what', choices=('loop', 'torch'))
  parser.add_argument('--data', nargs='+', choices=SHAPES, default=list(SHAPES))
  parser.add_argument('--lengths', nargs='+', type=int, default=[1, 4, 8, 16], metavar='T')
  parser.add_argument('--repeats', type=int, default=7, help='stretches of each')
  parser.add_argument('--busy', action='store_true', help='measure on a machine that is not idle, too')
  parser.add_argument('--worker', choices=(*WAYS, 'check', 'torch'), help=argparse.SUPPRESS)  # a process of its own
  args = parser.parse_args()
  if args.worker:
    (data,) = args.data
    own = {'check': check, 'torch': beside_torch}
    return own[args.worker](data) if args.worker in own else run(args.worker, data, args.lengths[0])
  await_idle(args.busy, patience=0)
  if args.what == 'loop':
    return loop(args)
  for data in args.data:
    call('torch', data)
  own = [sys.executable, str(ROOT / 'benchmarks/step_time.py'), '--repeats', str(args.repeats)]
  sys.exit(
    subprocess.run([*own, '--cases', *(f'convdraw_{data}' for data in args.data), *['--busy'] * args.busy]).returncode
  )


if __name__ == '__main__':
  main()
