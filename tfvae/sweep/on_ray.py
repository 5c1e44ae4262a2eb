"""Ray core tasks, one a run: on this machine, or on a cluster whose machines see the same files.

Ray is imported here alone (`pip install -e ".[sweep]"`).
"""

import contextlib
import importlib.util
import os
import socket
from collections.abc import Iterator, Sequence

from tfvae.errors import UserError, cut
from tfvae.run import environment
from tfvae.sweep import worker
from tfvae.sweep.jobs import ATTEMPTS, Event, Job, package_variables, thread_variables
from tfvae.training.signals import Stopped

ANSWER = 20.0  # seconds in which a cluster must
TICK = 0.5  # seconds after which there is something to show at the latest
MOST_RUNS = 50  # of one process


class OnRay:
  """Trains jobs as tasks of Ray, which finds machines and processes for them, and others where one is lost.

  Args:
    threads: of a task, which are the CPUs that it asks for; 0: one.
    gpus: that a task asks for, 0.25, say; 0: one where the machines have any.

  Entered, it is connected. Raises UserError: Ray is not installed; there, the cluster that RAY_ADDRESS names cannot be
  reached, or no machine of it has what a task asks for.
  """

  def __init__(self, threads: int, gpus: float):
    if importlib.util.find_spec('ray') is None:
      raise UserError(
        '--sweep.executor=ray: Ray is not installed; pip install -e ".[sweep]" brings it, or leave the option out'
      )
    self.threads, self._gpus = threads or 1, gpus
    self._address = os.environ.get('RAY_ADDRESS', '') or 'local'
    self._left, self._told = {}, False

  def __str__(self):
    threads = f'{self.threads} thread{"s" * (self.threads > 1)}'
    return f'ray {self._where()}, {threads}{f" and {self._gpus:g} GPUs" if self._gpus else ""} a run'

  def __enter__(self):
    import ray

    self._connect(ray)
    try:
      self._gpus = self._gpus or min(1, ray.cluster_resources().get('GPU', 0))
      self._require([node['Resources'] for node in ray.nodes() if node['Alive']])
    except BaseException:
      ray.shutdown()
      raise
    return self

  def __exit__(self, kind, *_):
    """Ends what is left; where something went wrong here, tasks save first, but not after a second signal."""
    import ray

    try:
      if self._left and not (kind and issubclass(kind, Stopped)):
        self._tell_all(ray)
        ray.wait(list(self._left), num_returns=len(self._left), timeout=worker.GRACE)
    finally:
      ray.shutdown()

  def run(self, jobs: Sequence[Job], stop) -> Iterator[Event | None]:
    """Trains them; says what becomes of each, and None when nothing did for a moment.

    stop: a StopSignal. When it has heard one, tasks save what they have, and that is all.
    """
    import ray

    task = ray.remote(
      num_cpus=self.threads, num_gpus=self._gpus, max_retries=ATTEMPTS - 1, retry_exceptions=False, max_calls=MOST_RUNS
    )(_perform)
    sizes = {job.name: _size(job.log) for job in jobs}
    self._left = {task.remote(job.to_json()): job for job in jobs}
    running = set()
    while self._left:
      if stop.number:
        self._tell_all(ray)
      done, _ = ray.wait(list(self._left), num_returns=1, timeout=TICK)
      for job in self._left.values():
        if job.name not in running and not self._told and _size(job.log) > sizes[job.name]:
          running.add(job.name)
          yield Event(job.name, 'running')
      for reference in done:
        job = self._left.pop(reference)
        event = _outcome(ray, reference, job)
        if event.status != 'interrupted' or job.name in running:
          yield event
      yield None

  def _tell_all(self, ray):
    """Tells the tasks to save and to stop; once, for a second time would end them at once."""
    if not self._told:
      for reference in self._left:
        ray.cancel(reference, recursive=False)
    self._told = True

  def _require(self, machines):
    """Raises UserError where a task would wait for ever: no machine, {resource: how many}, has what it asks for."""
    wanted = {'CPU': self.threads, 'GPU': self._gpus}
    if not any(all(there.get(what, 0) >= count for what, count in wanted.items()) for there in machines):
      have = ', '.join(sorted({f'{m.get("CPU", 0):g} CPUs and {m.get("GPU", 0):g} GPUs' for m in machines})[:4])
      raise UserError(
        f'--sweep.threads, --sweep.gpus: a run is to have {self.threads} CPUs and {self._gpus:g} GPUs, but no machine '
        f'of Ray {self._where()} has as many (they have {have or "nothing"}); ask for less, or add machines'
      )

  def _where(self):
    return 'on this machine' if self._address == 'local' else f'at {cut(self._address)}'

  def _connect(self, ray):
    variables = thread_variables(self.threads) | package_variables()
    variables |= {
      'TF_CPP_MIN_LOG_LEVEL': '3',
      'TF_FORCE_GPU_ALLOW_GROWTH': 'true',
    }
    if data := os.environ.get('TFDS_DATA_DIR'):  # other machines have one of their own, or none
      variables['TFDS_DATA_DIR'] = data if '://' in data else os.path.abspath(os.path.expanduser(data))
    own = {'num_cpus': environment.cores(), 'include_dashboard': False} if self._address == 'local' else {}
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    try:
      _reach(self._address)
      ray.init(self._address, runtime_env={'env_vars': variables}, log_to_driver=False, logging_level='ERROR', **own)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
      first = next(iter(str(error).splitlines()), type(error).__name__)
      raise UserError(
        f'--sweep.executor=ray: there is no Ray at {cut(self._address)} ({cut(first, 150)}); start it by `ray start '
        '--head`, or unset RAY_ADDRESS, and it runs on this machine'
      ) from None


def _reach(address):
  """Raises OSError where nobody answers at host:port: Ray waits there for many minutes."""
  host, _, port = address.removeprefix('ray://').rpartition(':')
  if host and port.isdecimal():
    socket.create_connection((host.strip('[]'), int(port)), timeout=ANSWER).close()


def _perform(text):
  """In a process of Ray's: `worker.perform`."""
  answer = worker.perform(Job.from_json(text), worker.train)
  if answer['broken']:  # which Ray gives other runs
    worker.forget()
  return answer


def _outcome(ray, reference, job):
  try:
    answer = ray.get(reference)
    return Event(job.name, answer['status'], answer['message'], answer['seconds'])
  except (ray.exceptions.TaskCancelledError, KeyboardInterrupt):
    return Event(job.name, 'interrupted', 'stopped')
  except ray.exceptions.RayTaskError as error:  # what went wrong outside of training
    last = [line for line in str(error).splitlines() if line.strip()][-1:]
    return Event(job.name, 'failed', f'{cut("".join(last), 300)} (see {job.log})')
  except ray.exceptions.RayError as error:
    what = f'{type(error).__name__}: {cut(next(iter(str(error).splitlines()), ""), 150)}'
    return Event(job.name, 'failed', f'its worker was lost, {ATTEMPTS} times ({what}; see {job.log})')


def _size(path):
  with contextlib.suppress(OSError):
    return os.stat(path).st_size
  return 0
