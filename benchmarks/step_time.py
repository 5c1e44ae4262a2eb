"""Milliseconds of a training step with the loop around it: tfvae's own loop beside PyTorch, in one run. On Linux.

    pip install -e ".[bench]"
    python benchmarks/step_time.py [--cases aevb_1 hit_cifar10] [--repeats 7] [--steps 1000] [--data_dir DIR]

Cases: specs/aevb.py:mnist with 1 and with 5 latent samples; specs/hit.py:cifar10, :cifar10,mixture, :binary_mnist
and :cifar10,conv_z; specs/entropies.py:circle,vae1 (one hidden layer of 128; two) and :mnist,vae1, in batches of 1024
with one sample;
specs/geco.py:convdraw,none of digits, mnist and cifar10, of whose rates PyTorch logs the sum, tfvae that of each step;
specs/streaming.py, three linear VAEs in one program against three PyTorch modules in one loop;
specs/symmetric.py:mnist, the published ladder in batches of 1024, both players. Real data (TensorFlow Datasets; nothing
is downloaded) or made ones. chain_mnist does not train: a step is one of the limiting distribution's chain z -> x -> z
of that ladder, for 1,000 images, and a stretch is 200 of them at the default --steps. For each case:

- tfvae: `Trainer.train` of the spec as it is: metrics.jsonl, event files, progress, checkpoints and the check for
  values that are not finite, but no evaluations.
- torch: the same networks, objective and optimizer in PyTorch (torch_models.py), as installed: eager, no settings.
- torch, tuned: the same, by the fastest of the `TUNED` ways.

The PyTorch loop has what a plain one has: images as uint8 in memory, shuffled in each epoch, gathered, scaled and
binarised in each step; means of the quantities that tfvae logs (the elbo and its parts, squared error, gradient norm),
summed on the device and written every 100 steps. No event files, no check for values that are not finite: where the two
cannot be alike, PyTorch does less.

Each of these is a process of its own, with its own peak of memory and allocator settings; those of PyTorch never
import TensorFlow. They start, compile and warm up one after the other. Then they are asked in turn for a stretch of
steps, --repeats times, while the others sleep. Printed are medians, and the peak of memory of the whole process,
imports and compilation included (tfvae reads its data from TFDS' files; PyTorch is handed an array). At last, once:
seconds from the command `launch.py` to the first training step in metrics.jsonl, with files in the page cache.

Other load slows PyTorch many times over, and tfvae too: the script refuses to start on a machine that is not idle,
waits for it to be idle again between rounds, and says in how many stretches it was not. --busy: go on all the same.
With all cases it should take about an hour on two cores.
"""

import argparse
import contextlib
import ctypes.util
import importlib.util
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tfvae import spec as spec_lib  # noqa: E402
from tfvae.spec import catalogue  # noqa: E402
from tfvae.spec.entries import SYNTHETIC  # noqa: E402


class Case(NamedTuple):
  """What is trained."""

  spec: str
  fields: dict = {}
  part: float = 1.0  # of --steps
  chain: int = 0  # 0: trains. Else this many chains are run


# The length of training is unknown, so that schedules would stay at their beginning: at a beta of 0.
CONSTANT = {'objective.anneal': 'none', 'train.schedule': 'constant', 'train.learning_rate': 1e-3}
CONSTANT |= {'objective.num_samples': 1, 'train.variance_learning_rate': 0.0}
ONE_HIDDEN = {'model.z1.encoder.hidden': (128,), 'decoder.net.hidden': (128,)}
SYMMETRIC = {'objective.chains': 0, 'objective.information': False}
CASES = {
  'aevb_1': Case('aevb.py:mnist', {'objective.num_samples': 1}),
  'aevb_5': Case('aevb.py:mnist', {'objective.num_samples': 5}, 0.5),
  'hit_cifar10': Case('hit.py:cifar10', {}, 0.1),
  'hit_cifar10_mixture': Case('hit.py:cifar10,mixture', {}, 0.03),
  'hit_binary_mnist': Case('hit.py:binary_mnist', {}, 0.1),
  'hit_conv_z': Case('hit.py:cifar10,conv_z', {}, 0.01),
  'vae1_circle': Case('entropies.py:circle,vae1', CONSTANT | ONE_HIDDEN),
  'vae1_circle_deep': Case('entropies.py:circle,vae1', CONSTANT),
  'vae1_mnist': Case('entropies.py:mnist,vae1', CONSTANT | {'data.batch_size': 1024}),
  'streaming': Case('streaming.py', {}),
  'symmetric_mnist': Case('symmetric.py:mnist', SYMMETRIC, 0.004),
  'convdraw_digits': Case('geco.py:convdraw,none', {}, 0.05),
  'convdraw_mnist': Case('geco.py:mnist,convdraw,none', {}, 0.01),
  'convdraw_cifar10': Case('geco.py:cifar10,convdraw,none', {}, 0.01),
  'chain_mnist': Case('symmetric.py:mnist', SYMMETRIC, 0.2, chain=1000),
}
STARTED = ('aevb.py:mnist', 'hit.py:cifar10')  # specs whose start-up is measured


class Torch(NamedTuple):
  """A way to train by PyTorch."""

  environment: dict = {}
  tuned: bool = True  # Adam in one kernel, no denormal numbers
  channels_last: bool = True
  compile: str = ''  # '', 'loss' (forward and backward pass by autograd) or 'gradients' (both as one function)


# glibc gives large blocks back to the kernel and takes them anew in every step, unless told not to.
GLIBC = {'MALLOC_MMAP_MAX_': '0', 'MALLOC_TRIM_THRESHOLD_': f'{2**40}', 'MALLOC_TOP_PAD_': f'{2**26}'}
ALLOCATORS = {'glibc': GLIBC}
for name in ('jemalloc', 'tcmalloc'):
  if library := ctypes.util.find_library(name):
    ALLOCATORS[name] = {'LD_PRELOAD': library}
TUNED = {
  **{f'eager, {name}': Torch(environment) for name, environment in ALLOCATORS.items()},
  'eager, channels first': Torch(GLIBC, channels_last=False),
  'compiled': Torch(GLIBC, compile='loss'),
  'compiled as one': Torch(GLIBC, compile='gradients'),
}
TORCH = {'torch': Torch(tuned=False, channels_last=False), **TUNED}
WAYS = ('tfvae', *TORCH)
LOG_EVERY = 100  # steps; as in the specs


# The machine.

IDLE = 0.1  # cores that others may use


def busy_seconds() -> float:
  """CPU time that this machine has spent so far, and that was taken from it, over all cores and processes."""
  user, nice, system, _, _, irq, softirq, steal = pathlib.Path('/proc/stat').read_text().split()[1:9]
  return sum(map(int, (user, nice, system, irq, softirq, steal))) / os.sysconf('SC_CLK_TCK')


def used_by_others(seconds: float = 2.0) -> float:
  """Cores in use while this benchmark sleeps."""
  before = busy_seconds()
  time.sleep(seconds)
  return (busy_seconds() - before) / seconds


def await_idle(busy: bool, patience: float = 600.0) -> None:
  """Returns when the machine is idle, or at once with a warning where `busy`; ends the script after `patience` s."""
  begun = time.monotonic()
  while (used := used_by_others()) > IDLE:
    print(f'WARNING: THE MACHINE IS NOT IDLE, others use {used:.2f} cores: these times mean little', flush=True)
    if busy:
      return
    if time.monotonic() - begun > patience:
      sys.exit('error: the machine is not idle; try again later, or go on with --busy')


def peak_memory() -> float:
  """The largest resident memory of this process, MiB (ru_maxrss has that of the process which started it, too)."""
  lines = pathlib.Path('/proc/self/status').read_text().splitlines()
  return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM:')) / 2**10


# The processes that train.


class Stretches:
  """The side of a process that trains: it sleeps between stretches of `steps` steps, which its parent asks for."""

  def __init__(self, steps: int):
    self.steps = steps
    self._replies, sys.stdout = sys.stdout, sys.stderr  # what else is printed is none
    self._begun = 0.0, 0.0

  def reply(self, **values) -> None:
    """Tells the parent."""
    print(json.dumps(values), file=self._replies, flush=True)

  def wait(self, step: int) -> None:
    """Called after `step` steps: where a stretch ends tells how it went, and sleeps until the next is asked for."""
    if step % self.steps:
      return
    if step:
      seconds, cpu = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
      self.reply(seconds=seconds, cpu=cpu, peak=peak_memory())
    if not sys.stdin.readline():  # the parent has ended, or has had enough
      sys.exit()
    self._begun = time.perf_counter(), time.process_time()


def train_tfvae(spec, folder: pathlib.Path, stretches: Stretches) -> None:
  """Trains by tfvae; leaves the training images in `folder` for the others, uint8 [N, C, H, W]."""
  from tfvae import build
  from tfvae.quiet import import_tensorflow
  from tfvae.trained import Run
  from tfvae.training.signals import StopSignal

  import_tensorflow()
  from tfvae.training.loop import Trainer

  spec = spec_lib.resolve(spec, {'train.steps': 10**9, 'train.log_every': LOG_EVERY})
  data, run = build.dataset(spec), Run(folder / 'run')
  x = data.splits['train']['x']
  np.save(folder / 'train.npy', x.transpose(0, 3, 1, 2) if x.ndim == 4 else x)
  run.open(spec)
  trainer = Trainer(spec, run, data)
  stretches.reply(parameters=build.num_parameters(trainer.model.trainable_variables))
  agree, next_stop = trainer._agree, trainer._next_stop

  def wait(*args):  # called before every call of the compiled steps, whose times do not count it
    stretches.wait(trainer.step)
    return agree(*args)

  trainer._agree = wait
  trainer._next_stop = lambda: min(next_stop(), (trainer.step // stretches.steps + 1) * stretches.steps)
  with StopSignal() as stop:
    trainer.train(stop)


def chain_tfvae(spec, chains: int, stretches: Stretches) -> None:
  """Steps of the limiting distribution's chain, with weights as they begin: `models.chain.Chain`."""
  from tfvae import build
  from tfvae.quiet import import_tensorflow

  import_tensorflow()
  from tfvae.models.chain import Chain

  model = build.model(spec, build.dataset(spec).shape)
  stretches.reply(parameters=build.num_parameters(model.trainable_variables))
  chain, z = Chain(model, spec.seed), None
  for step in itertools.count(0, stretches.steps):
    stretches.wait(step)
    z = {name: value.numpy() for name, value in chain.run(chains, stretches.steps, step, z).items()}


def chain_torch(spec, how: Torch, chains: int, stretches: Stretches) -> None:
  """The same by PyTorch."""
  import torch

  torch.manual_seed(spec.seed)
  torch.set_flush_denormal(how.tuned)
  (model,) = torch_models_of(spec, (1, 28, 28)).values()
  model = model.to(memory_format=torch.channels_last if how.channels_last else torch.contiguous_format)
  stretches.reply(parameters=sum(value.numel() for value in model.parameters()))
  move = torch.compile(model.chain) if how.compile else model.chain
  with torch.inference_mode():
    z1 = torch.bernoulli(torch.full((chains, spec.model.z1.dim), 0.5))
    for step in itertools.count():
      stretches.wait(step)
      z1 = move(z1)


class Player:
  """A PyTorch model with its optimizer.

  Args:
    model: maps a batch to log p(x | z), the squared error, and the KL of each layer.
    batch: positions [B] -> what the model takes.
    how: the way it is trained.
    train: spec.train.
  """

  def __init__(self, model, batch, how: Torch, train):
    import torch

    self._torch, self._model, self._batch, self._how = torch, model, batch, how
    self.parameters = dict(model.named_parameters())
    self._optimizer = torch.optim.Adam(
      self.parameters.values(),
      train.learning_rate,
      (train.beta_1, train.beta_2),
      train.epsilon,
      fused=how.tuned or None,
    )
    self._weights = {name: value.detach() for name, value in self.parameters.items()}  # the same memory
    # Not where it is not used: torch.compile imports its compiler, which takes memory.
    self._terms = torch.compile(self._terms_of) if how.compile == 'loss' else self._terms_of
    self._gradients = torch.compile(self._gradients_of) if how.compile == 'gradients' else self._gradients_of

  def _stack(self, log_px, mse, kls):
    rate = sum(kls)
    return self._torch.stack([log_px - rate, log_px, mse, rate, *kls])

  def _terms_of(self, index):
    return self._stack(*self._model(self._batch(index)))

  def _gradients_of(self, weights, index):
    def loss(weights):
      values = self._stack(*self._torch.func.functional_call(self._model, weights, self._batch(index)))
      return -values[0], values

    found, (_, values) = self._torch.func.grad_and_value(loss, has_aux=True)(weights)
    return found, values

  def move(self, index):
    """Takes a step; the elbo, its parts, mse and gradient norm."""
    if self._how.compile == 'gradients':
      found, values = self._gradients(self._weights, index)
      for name, value in found.items():
        self.parameters[name].grad = value
    else:
      values = self._terms(index)
      self._optimizer.zero_grad()
      (-values[0]).backward()
    norm = self._torch.nn.utils.get_total_norm([value.grad for value in self.parameters.values()])
    self._optimizer.step()
    return self._torch.cat([values.detach(), norm[None]])


class Players:
  """A PyTorch model of two players with their optimizers, as `Player`; each moves once in a step.

  torch.compile, by whichever way, compiles their losses.
  """

  def __init__(self, model, batch, how: Torch, train):
    import torch

    self._torch, self._batch = torch, batch
    self.parameters = dict(model.named_parameters())
    self._own = model.players()
    rates = (train.learning_rate, (train.beta_1, train.beta_2), train.epsilon)
    self._optimizers = [torch.optim.Adam(own, *rates, fused=how.tuned or None) for own in self._own]
    compiled = torch.compile if how.compile else lambda function: function
    self._generative, self._inference = compiled(model.generative), compiled(model.inference)

  def _step(self, loss, player):
    self._optimizers[player].zero_grad()
    loss.backward()
    norm = self._torch.nn.utils.get_total_norm([value.grad for value in self._own[player]])
    self._optimizers[player].step()
    return norm

  def move(self, index):
    """Takes a step of both; the elbo, its parts, mse, gradient norms and losses."""
    loss, log_px, mse, kls = self._generative(self._batch(index))
    norm, rate = self._step(loss, 0), sum(kls)
    other = self._inference(len(index))
    values = [log_px - rate, log_px, mse, rate, *kls, norm, loss.detach(), self._step(other, 1), other.detach()]
    return self._torch.stack(values)


def torch_models_of(spec, shape) -> dict:
  """The networks of a spec for examples of this shape: {suffix of their metrics: model}."""
  from torch_models import Aevb, ConvDraw, Gaussian, Hit, HitConv, Ladder, Linear

  if spec.objective.name == 'symmetric':
    return {'': Ladder(spec.model.z2.dim, spec.model.z1.dim)}
  if spec.model.name == 'convdraw':
    z = spec.model.z
    return {'': ConvDraw(shape, z.grid, z.steps, z.dim, z.lstm, z.canvas)}
  if spec.model.name == 'members':
    return {f'/h{units}': Linear(shape[0], units) for units in spec.model.members}
  if len(spec.model.layers) > 1:
    mixture = spec.decoder.likelihood == 'logistic_mixture'
    if spec.model.z2.grid:
      return {'': HitConv(spec.model.z1.dim)}
    return {'': Hit(grey=shape[0] == 1, components=spec.decoder.components if mixture else 0)}
  if spec.decoder.likelihood == 'bernoulli':
    return {'': Aevb(spec.objective.num_samples)}
  return {'': Gaussian(shape, spec.model.z1.encoder.hidden, spec.model.z1.dim)}


def train_torch(spec, how: Torch, folder: pathlib.Path, stretches: Stretches) -> None:
  """Trains by PyTorch on the examples in `folder`."""
  import torch

  torch.manual_seed(spec.seed)
  torch.set_flush_denormal(how.tuned)
  layout = torch.channels_last if how.channels_last else torch.contiguous_format
  data = torch.from_numpy(np.load(folder / 'train.npy'))
  images = data.dim() == 4

  def batch(index):
    if not images:
      return data[index]
    x = data[index].to(torch.float32, memory_format=layout) / 255
    if spec.data.binarize == 'dynamic':
      return (torch.rand_like(x) < x).float()
    x = (x > spec.data.threshold).float() if spec.data.binarize == 'threshold' else x
    return torch.where(torch.rand_like(x) < spec.data.pixel_flip, 1 - x, x) if spec.data.pixel_flip else x

  models = torch_models_of(spec, tuple(data.shape[1:]))
  make = Players if spec.objective.name == 'symmetric' else Player
  players = [
    make(model.to(memory_format=layout) if images else model, batch, how, spec.train) for model in models.values()
  ]

  def epoch():
    order = torch.arange(len(data)) if spec.data.order == 'stream' else torch.randperm(len(data))
    return order.split(spec.data.batch_size)[:-1]

  indices = (index for _ in itertools.count() for index in epoch())
  own = ['elbo', 'log_likelihood', 'mse', 'rate', *(f'rate/{layer}' for layer in spec.model.layers), 'gradient_norm']
  if make is Players:
    own[-1:] = [f'{name}/{player}' for player in ('generative', 'inference') for name in ('gradient_norm', 'loss')]
  names = [f'{name}{suffix}' for suffix in models for name in own]
  sums = torch.zeros(len(names))
  stretches.reply(parameters=sum(value.numel() for player in players for value in player.parameters.values()))
  with open(folder / 'torch.jsonl', 'a') as log:
    for step in itertools.count():
      stretches.wait(step)
      index = next(indices)
      sums += torch.cat([player.move(index) for player in players])
      if (step + 1) % LOG_EVERY == 0:
        means = dict(zip(names, (sums / LOG_EVERY).tolist(), strict=True))
        print(json.dumps({'step': step + 1, **means}), file=log, flush=True)
        sums.zero_()


# Their parent.


class Worker:
  """A process that trains a case in one way, as its parent sees it.

  Attributes:
    parameters: of the model.
    milliseconds: of a step, in each timed stretch.
    others: cores that others used, in each timed stretch.
    peak: MiB.

  Raises:
    RuntimeError: where the process ends by itself, with the last line that it wrote.
  """

  def __init__(self, args, case: str, way: str, folder: pathlib.Path):
    self._steps, self._log = steps_of(args, case), folder / f'{way}.log'
    command = [sys.executable, __file__, '--worker', way, '--folder', str(folder), '--cases', case]
    command += ['--steps', str(args.steps), '--data_dir', args.data_dir]
    environment = os.environ | {'TF_CPP_MIN_LOG_LEVEL': '3'} | (TORCH[way].environment if way in TORCH else {})
    with open(self._log, 'w') as log:
      self._process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
      )
    self.parameters = self._reply()['parameters']
    self.milliseconds, self.others, self.peak = [], [], 0.0

  def _reply(self):
    line = self._process.stdout.readline()
    if not line:
      raise RuntimeError((self._log.read_text().strip().splitlines() or ['it ended without a word'])[-1])
    return json.loads(line)

  def run(self, timed: bool = True) -> None:
    """A stretch of steps."""
    before = busy_seconds()
    with contextlib.suppress(BrokenPipeError):  # it has ended; `_reply` says why
      print(file=self._process.stdin, flush=True)
    done = self._reply()
    self.peak = done['peak']
    if timed:
      self.milliseconds.append(1e3 * done['seconds'] / self._steps)
      self.others.append((busy_seconds() - before - done['cpu']) / done['seconds'])

  @property
  def median(self) -> float:
    """Milliseconds of a step."""
    return statistics.median(self.milliseconds)

  def close(self) -> None:
    """Ends the process."""
    with contextlib.suppress(BrokenPipeError):  # it has ended by itself
      self._process.stdin.close()
    self._process.wait()


def steps_of(args, case: str) -> int:
  """Steps of a timed stretch."""
  return max(1, round(args.steps * CASES[case].part))


def load_spec(args, case: str):
  """The spec of a case."""
  fields = {**CASES[case].fields, 'eval.every': 0, 'data.data_dir': args.data_dir}
  return spec_lib.load(ROOT / 'specs' / CASES[case].spec, fields)


def measure(args, case: str, folder: pathlib.Path) -> dict[str, Worker]:
  """The processes of a case, after they were timed in turn."""
  print(f'{case}: {CASES[case].spec}, stretches of {steps_of(args, case)} steps', flush=True)
  workers = {}
  with contextlib.ExitStack() as stack:
    for way in WAYS:
      begun = time.perf_counter()
      try:
        worker = Worker(args, case, way, folder)
        stack.callback(worker.close)
        worker.run(timed=False)
      except RuntimeError as error:
        if way not in TUNED:
          sys.exit(f'error: {case}, {way}: {error}')
        print(f'  {way:<26}left out: {error}', flush=True)
        continue
      workers[way] = worker
      print(f'  {way:<26}started and warmed up in {time.perf_counter() - begun:.0f} s', flush=True)
    parameters = {way: worker.parameters for way, worker in workers.items()}
    if len(set(parameters.values())) > 1:
      sys.exit(f'error: {case}: the networks differ: parameters {parameters}')
    for _ in range(args.repeats):
      await_idle(args.busy)
      for worker in workers.values():
        worker.run()
  for way, worker in workers.items():
    low, high, disturbed = min(worker.milliseconds), max(worker.milliseconds), sum(o > IDLE for o in worker.others)
    print(
      f'  {way:<26}{worker.median:9.3f} ms ({low:.3f} to {high:.3f})   {worker.parameters:,} parameters   '
      f'peak {worker.peak:,.0f} MiB   {disturbed} of {args.repeats} stretches disturbed',
      flush=True,
    )
  return workers


def row(case: str, workers: dict[str, Worker]) -> str:
  """A line of the table."""
  best = min(set(workers) & set(TUNED), key=lambda way: workers[way].median)
  tfvae, plain, tuned = (workers[way] for way in ('tfvae', 'torch', best))
  return (
    f'| {case} | {tfvae.parameters:,} | {tfvae.median:.2f} | {plain.median:.2f} | {tuned.median:.2f} ({best}) | '
    f'{plain.median / tfvae.median:.2f} | {tuned.median / tfvae.median:.2f} | '
    f'{tfvae.peak:,.0f}, {plain.peak:,.0f}, {tuned.peak:,.0f} |'
  )


HEADER = """
| case | parameters | tfvae ms | torch ms | torch tuned ms (which) | torch / tfvae | tuned / tfvae | peak MiB: three |
|---|---|---|---|---|---|---|---|"""


def start_up(args, spec: str, folder: pathlib.Path) -> float:
  """Seconds from the command to the first training step in metrics.jsonl."""
  metrics = folder / 'run' / 'metrics.jsonl'
  command = [sys.executable, str(ROOT / 'launch.py'), '--spec', str(ROOT / 'specs' / spec)]
  command += ['--workdir', str(metrics.parent), f'--spec.data.data_dir={args.data_dir}']
  begun = time.perf_counter()
  with open(folder / 'launch.log', 'w') as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
    while not (metrics.is_file() and metrics.read_text().endswith('\n')):
      if process.poll() is not None:
        sys.exit(f'error: launch.py ended: {(folder / "launch.log").read_text()}')
      time.sleep(0.01)
    seconds = time.perf_counter() - begun
    process.terminate()
  return seconds


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES), metavar='CASE', help=', '.join(CASES))
  parser.add_argument('--repeats', type=int, default=7, help='timed stretches of each')
  parser.add_argument('--steps', type=int, default=1000, help='of a stretch of aevb_1; of the others a part of it')
  parser.add_argument('--data_dir', default='', help='where TensorFlow Datasets are')
  parser.add_argument('--busy', action='store_true', help='measure on a machine that is not idle, too')
  for name in ('--worker', '--folder'):  # a process that trains
    parser.add_argument(name, help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.worker:
    spec, stretches = load_spec(args, args.cases[0]), Stretches(steps_of(args, args.cases[0]))
    chains, folder, how = CASES[args.cases[0]].chain, pathlib.Path(args.folder), TORCH.get(args.worker)
    if chains:
      chain_torch(spec, how, chains, stretches) if how else chain_tfvae(spec, chains, stretches)
    elif how:
      train_torch(spec, how, folder, stretches)
    else:
      train_tfvae(spec, folder, stretches)
  args.data_dir = str(catalogue.data_dir(args.data_dir))
  if importlib.util.find_spec('torch') is None:
    sys.exit('error: PyTorch is missing: pip install -e ".[bench]"')
  for name in {load_spec(args, case).data.name for case in args.cases} - {'digits', *SYNTHETIC}:
    if not catalogue.find(name, args.data_dir):
      sys.exit(f'error: {name} is not in {args.data_dir}: give --data_dir or TFDS_DATA_DIR, or `tfds build {name}`')
  await_idle(args.busy, patience=0)
  rows = []
  for case in args.cases:
    with tempfile.TemporaryDirectory() as folder:
      try:
        rows.append(row(case, measure(args, case, pathlib.Path(folder))))
      except RuntimeError as error:
        sys.exit(f'error: {case}: a process ended: {error}')
  print(HEADER, *rows, '', sep='\n', flush=True)
  for spec in dict.fromkeys(CASES[case].spec for case in args.cases):
    if spec in STARTED:
      await_idle(args.busy)
      with tempfile.TemporaryDirectory() as folder:
        seconds = start_up(args, spec, pathlib.Path(folder))
      print(f'launch.py --spec specs/{spec}: {seconds:.1f} s to the first step', flush=True)


if __name__ == '__main__':
  main()
