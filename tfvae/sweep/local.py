"""Worker processes of this machine."""

import collections
import contextlib
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from tfvae.run import environment
from tfvae.sweep.jobs import ATTEMPTS, STOP, Event, Job, package_variables, thread_variables
from tfvae.sweep.worker import GRACE
from tfvae.training.signals import Stopped

TICK = 0.5  # seconds after which there is something to show at the latest
MOST_RUNS = 50  # of one process
WORKER = ('-P', '-m', 'tfvae.sweep.worker')  # -P: a folder called tfvae where the command is given is not this package


def gpus() -> list[str]:
  """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
  if (visible := os.environ.get('CUDA_VISIBLE_DEVICES')) is not None:
    return [name.strip() for name in visible.split(',') if name.strip() not in ('', '-1')]
  with contextlib.suppress(OSError, subprocess.SubprocessError):
    said = subprocess.run(['nvidia-smi', '-L'], capture_output=True, text=True, timeout=20, check=True).stdout
    return [str(number) for number in range(sum(line.startswith('GPU ') for line in said.splitlines()))]
  return []


class Queue:
  """Jobs that wait: those that can share a compiled step come to the same worker where possible."""

  def __init__(self, jobs: Sequence[Job]):
    self._waiting = {}
    for job in jobs:
      self._waiting.setdefault(job.step_key, collections.deque()).append(job)

  def __len__(self):
    return sum(map(len, self._waiting.values()))

  def take(self, last: str | None, others: Sequence[str | None]) -> Job:
    """The next one for a worker whose last one had the step key `last`, beside others that have theirs."""
    there = {key: jobs for key, jobs in self._waiting.items() if jobs}
    free = {key: jobs for key, jobs in there.items() if key not in others}
    key = last if last in there else max(free or there, key=lambda key: len(there[key]))
    return there[key].popleft()

  def put_back(self, job: Job) -> None:
    """Of a worker that died: the next one that is taken of its kind."""
    self._waiting[job.step_key].appendleft(job)


class Local:
  """Trains jobs by worker processes, each with so many threads, that take one after the other; entered, for they end
  with it.

  Args:
    jobs: processes; 0: one for each GPU or, without any, for each core, but no more than there are runs.
    threads: of each; 0: the cores shared out.
    logs: a folder for what a worker prints between two runs.
    worker: arguments of Python that start one.
  """

  def __init__(self, jobs: int, threads: int, logs: pathlib.Path, runs: int, worker: Sequence[str] = WORKER):
    self._gpus, self._logs, self._worker = gpus(), logs, worker
    self.jobs = min(jobs or len(self._gpus) or environment.cores(), max(runs, 1))
    self.threads = threads or max(1, environment.cores() // self.jobs)
    self._workers = [None] * self.jobs

  def __str__(self):
    return f'local, {self._workers_in_words()}'

  def _workers_in_words(self):
    on = f' on {len(self._gpus)} GPU{"s" * (len(self._gpus) > 1)}' if self._gpus else ''
    return f'{_count(self.jobs, "worker")} of {_count(self.threads, "thread")}{on}'

  def __enter__(self):
    return self

  def __exit__(self, kind, *_):
    """Ends all; where something went wrong here, those that still train save first, but not after a second signal."""
    there = [worker for worker in self._workers if worker]
    if kind and issubclass(kind, Stopped):
      _kill(there)
    try:
      for worker in there:
        worker.leave()
      for worker in there:
        worker.end()
    except Stopped:
      _kill(there)
      raise

  def run(self, jobs: Sequence[Job], stop) -> Iterator[Event | None]:
    """Trains them; says what becomes of each, and None when nothing did for a moment.

    stop: a StopSignal. When it has heard one, workers save what they have, and that is all.
    """
    queue, deaths, told = Queue(jobs), collections.Counter(), False
    while (queue and not stop.number) or any(worker and worker.job for worker in self._workers):
      if stop.number and not told:
        told = True
        for worker in filter(None, self._workers):
          worker.tell(STOP)
      if not stop.number:
        yield from self._hand_out(queue)
      for worker in self._heard():
        yield from self._answers(worker, queue, deaths, stop.number)
      yield None

  def _hand_out(self, queue):
    for place, worker in enumerate(self._workers):
      if not queue:
        return
      if worker is None or (worker.job is None and worker.is_worn):
        self._dismiss(place)
        worker = self._workers[place] = Worker(self._start(place))
      if worker.job is None:
        others = [other.last for other in self._workers if other and other is not worker]
        job = queue.take(worker.last, others)
        worker.give(job)
        yield from (Event(name, 'running') for name in job.names)

  def _start(self, place):
    self._logs.mkdir(parents=True, exist_ok=True)
    with open(self._logs / 'workers.txt', 'ab') as log:
      # In a session of its own: Ctrl-C is for this process, which tells the workers.
      return subprocess.Popen(
        [sys.executable, *self._worker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=os.environ | self.variables(place),
        start_new_session=True,
      )

  def variables(self, place: int) -> dict[str, str]:
    """What is in the environment of the worker of this number: its threads, its GPUs, and where the package is."""
    found = package_variables() | thread_variables(self.threads)
    if self._gpus:
      mine = self._gpus[place :: self.jobs] or [self._gpus[place % len(self._gpus)]]
      found |= {'CUDA_VISIBLE_DEVICES': ','.join(mine), 'TF_FORCE_GPU_ALLOW_GROWTH': 'true'}
    return found

  def _heard(self):
    """The workers that have said something, or died."""
    if waiting := [worker for worker in filter(None, self._workers) if worker.has_answer]:
      return waiting
    with selectors.DefaultSelector() as selector:
      for worker in filter(None, self._workers):
        selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
      return [key.data for key, _ in selector.select(TICK)]

  def _answers(self, worker, queue, deaths, stopping):
    answer, job = worker.read(), worker.job
    if answer is None:
      return
    if answer:
      worker.job = job.without(answer['name'])
      worker.is_worn |= answer['broken'] or answer['status'] == 'interrupted'
      yield Event(answer['name'], answer['status'], answer['message'], answer['seconds'])
      return
    worker.job = None
    self._workers[self._workers.index(worker)] = None
    how = worker.end()
    if job is None:
      return
    deaths.update(() if stopping else job.names)
    if stopping:
      yield from (Event(name, 'interrupted', how) for name in job.names)
    elif (most := max(deaths[name] for name in job.names)) < ATTEMPTS:
      for part in reversed(job.again(most)):
        queue.put_back(part)
      yield from (Event(name, 'waiting', how) for name in job.names)
    else:
      advice = '; where memory is short, a lower --sweep.jobs helps' if 'SIGKILL' in how else ''
      why = f'its worker {how}, {ATTEMPTS} times{advice} (see {job.log})'
      yield from (Event(name, 'failed', why) for name in job.names)

  def _dismiss(self, place):
    if worker := self._workers[place]:
      worker.end()
    self._workers[place] = None


class Worker:
  """A worker process as it is seen from outside.

  Attributes:
    job: what it trains, or what is left of it, or None.
    last: the step key of its last job.
    is_worn: whether it is to be replaced by a new one.
  """

  def __init__(self, process: subprocess.Popen):
    self.process, self.job, self.last, self.is_worn = process, None, None, False
    self._runs, self._read = 0, b''
    os.set_blocking(process.stdout.fileno(), False)

  def give(self, job: Job) -> None:
    self.job, self.last, self._runs = job, job.step_key, self._runs + len(job.names)
    self.is_worn = self._runs >= MOST_RUNS
    self.tell(job.to_json())

  def tell(self, line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # it has died, as its output will say
      self.process.stdin.write(line.encode() + b'\n')
      self.process.stdin.flush()

  def leave(self) -> None:
    """Leaves it alone: it saves what it trains, and ends."""
    with contextlib.suppress(BrokenPipeError):
      self.process.stdin.close()

  @property
  def has_answer(self) -> bool:
    """Whether it has said more than was read."""
    return b'\n' in self._read

  def read(self) -> dict | None:
    """What it answered, {} where it has died; None: nothing yet."""
    while chunk := self.process.stdout.read(1 << 16):
      self._read += chunk
    if b'\n' in self._read:
      line, self._read = self._read.split(b'\n', 1)
      return json.loads(line)
    return {} if chunk == b'' else None

  def end(self) -> str:
    """Leaves it alone, and waits; says how it ended."""
    self.leave()
    try:
      status = self.process.wait(GRACE + 5 if self.job else 10)
    except subprocess.TimeoutExpired:
      self.process.kill()
      status = self.process.wait()
    self.process.stdout.close()
    if status < 0:
      return f'was killed by {signal.Signals(-status).name}'
    return f'ended with exit status {status}'


def _kill(workers):
  for worker in workers:
    if worker.job:
      worker.process.kill()


def _count(number, what):
  return f'{number} {what}{"s" * (number > 1)}'
