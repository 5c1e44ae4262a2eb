"""A worker process of a grid: trains the runs that it is told to, one after the other, and says what became of each.

Jobs come on standard input, a line each; answers go to what was standard output when it began. What training prints is
in the log of the job. By the line `STOP`, and when nobody is left at the other end of its input, it is told to stop, as
by SIGTERM, and ends.
"""

import contextlib
import functools
import json
import os
import pathlib
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator

from tfvae import memory
from tfvae.errors import UserError, cut
from tfvae.quiet import import_tensorflow
from tfvae.sweep.jobs import STOP, Job, Stack
from tfvae.training.signals import Stopped

GROWN = 2  # times the memory after its first run, from which on a process ends
GRACE = 60.0  # seconds in which a worker that was left alone must have saved


def perform(job: Job, train: Callable) -> dict:
  """Trains the run of a job by train(spec, workdir): {'status', 'message', 'seconds', 'broken'}.

  broken: whether this process should not be given another run.
  """
  begun, error = time.monotonic(), None
  with _for(job):
    print(f'--- {time.strftime("%Y-%m-%d %H:%M:%S")}, process {os.getpid()}', flush=True)
    try:
      os.chdir(job.cwd)
      train(job.load(), job.workdir)
    except (Exception, Stopped) as raised:
      error = raised
    return outcome(job, error, begun)


def perform_stack(stack: Stack, train: Callable) -> Iterator[dict]:
  """Trains the runs of a stack by train([(spec, workdir)], around); says of each what became of it when it ends."""
  begun, left = time.monotonic(), dict(enumerate(stack.jobs))
  for job in stack.jobs:
    with _for(job):
      beside = f', in a stack of {len(stack.jobs)}' if len(stack.jobs) > 1 else ''
      print(f'--- {time.strftime("%Y-%m-%d %H:%M:%S")}, process {os.getpid()}{beside}', flush=True)
  try:
    os.chdir(stack.jobs[0].cwd)
    for ended in train([(job.load(), job.workdir) for job in stack.jobs], lambda number: _for(stack.jobs[number])):
      job = left.pop(ended.number)
      with _for(job):
        told = outcome(job, ended.error, begun)
      yield told
  except (Exception, Stopped) as error:  # of all that are left
    for job in left.values():
      with _for(job):
        told = outcome(job, error, begun)
      yield told


def outcome(job: Job, error: BaseException | None, begun: float) -> dict:
  """The answer for a job that has ended so; what went wrong is printed."""
  status, message, broken = 'finished', '', False
  if isinstance(error, Stopped):
    status, message = 'interrupted', str(error)
  elif isinstance(error, UserError):
    status, message = 'failed', str(error)
  elif error is not None:
    traceback.print_exception(error)
    first = next(iter(str(error).splitlines()), '')
    status, message, broken = 'failed', f'{type(error).__name__}: {cut(first, 300)} (see {job.log})', True
  if message:
    print(message, flush=True)
  seconds = time.monotonic() - begun
  return {'name': job.name, 'status': status, 'message': message, 'seconds': seconds, 'broken': broken}


@contextlib.contextmanager
def _for(job):
  """Inside, what is done is done for a job: printed to its log, and as if by its command."""
  with _into(job.log):
    sys.orig_argv = list(job.command)  # environment.json says how to make this run, not how this process began
    yield


@contextlib.contextmanager
def _into(log):
  """Inside, all that this process and its libraries print is added to a file."""
  pathlib.Path(log).parent.mkdir(parents=True, exist_ok=True)
  before = [os.dup(number) for number in (1, 2)]
  handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
  try:
    for number in (1, 2):
      os.dup2(handle, number)
    yield
  finally:
    for stream in (sys.stdout, sys.stderr):
      with contextlib.suppress(OSError):  # a full disk; what was printed is lost
        stream.flush()
    for number, own in zip((1, 2), before, strict=True):
      os.dup2(own, number)
      os.close(own)
    os.close(handle)


def serve(train: Callable) -> None:
  """Performs jobs until the input ends."""
  _serve(lambda line: [perform(Job.from_json(line), train)])


def serve_stacks(train: Callable) -> None:
  """The same, of stacks."""
  _serve(lambda line: perform_stack(Stack.from_json(line), train))


def _serve(perform_line):
  answers = os.fdopen(os.dup(1), 'w')
  os.dup2(2, 1)
  jobs, worn, fresh = queue.SimpleQueue(), False, 0
  threading.Thread(target=_listen, args=[jobs], daemon=True).start()
  while not worn and (line := jobs.get()) is not None:
    for told in perform_line(line):
      fresh = fresh or memory.resident()
      told['broken'] |= memory.resident() > GROWN * fresh
      with contextlib.suppress(BrokenPipeError):
        print(json.dumps(told), file=answers, flush=True)
      worn |= told['broken'] or told['status'] == 'interrupted'


def _listen(jobs):
  """Hands on the lines of the input; at STOP, or at its end, stops what is going on, which a second signal would end
  without saving.
  """
  told = False
  for line in sys.stdin:
    if line.rstrip() != STOP:
      jobs.put(line)
    elif not told:
      told = True
      os.kill(os.getpid(), signal.SIGTERM)
  jobs.put(None)
  if not told:
    os.kill(os.getpid(), signal.SIGTERM)
  time.sleep(GRACE)
  os._exit(1)


def train(spec, workdir) -> None:
  """As `python launch.py --spec ... --workdir ...` does; the data and the compiled step are kept for the next run."""
  from tfvae import commands

  commands.train(spec, workdir, kept=_kept())


def forget() -> None:
  """Nothing is kept for the next run: who knows in which state a run that broke left it."""
  _kept.cache_clear()


@functools.cache
def _kept():
  """Of this process."""
  import_tensorflow()
  from tfvae.training.machinery import Kept

  return Kept()


def train_stacked(runs, around) -> Iterator:
  """The same of several."""
  from tfvae import commands

  return commands.train_stacked(runs, around)


if __name__ == '__main__':
  if sys.argv[1:] == ['stacked']:
    serve_stacks(train_stacked)
  else:
    serve(train)
