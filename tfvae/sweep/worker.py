"""A worker process of a grid: trains the runs that it is told to, one after the other, and says what became of each.

Jobs come on standard input, a line each; answers go to what was standard output when it began. What training prints is
in the log of the job. When nobody is left at the other end of its input it is told to stop, as by SIGTERM, and ends.
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
from collections.abc import Callable

from tfvae import memory
from tfvae.errors import UserError, cut
from tfvae.quiet import import_tensorflow
from tfvae.sweep.jobs import Job
from tfvae.training.signals import Stopped

GROWN = 2  # times the memory after its first run, from which on a process ends
GRACE = 60.0  # seconds in which a worker that was left alone must have saved


def perform(job: Job, train: Callable) -> dict:
  """Trains the run of a job by train(spec, workdir): {'status', 'message', 'seconds', 'broken'}.

  broken: whether this process should not be given another run.
  """
  begun, broken = time.monotonic(), False
  status, message = 'finished', ''
  with _into(job.log):
    print(f'--- {time.strftime("%Y-%m-%d %H:%M:%S")}, process {os.getpid()}', flush=True)
    sys.orig_argv = list(job.command)  # environment.json says how to make this run, not how this process began
    try:
      os.chdir(job.cwd)
      train(job.load(), job.workdir)
    except Stopped as error:
      status, message = 'interrupted', str(error)
    except UserError as error:
      status, message = 'failed', str(error)
    except Exception as error:
      traceback.print_exc()
      first = next(iter(str(error).splitlines()), '')
      status, message, broken = 'failed', f'{type(error).__name__}: {cut(first, 300)} (see {job.log})', True
    if message:
      print(message, flush=True)
  return {'status': status, 'message': message, 'seconds': time.monotonic() - begun, 'broken': broken}


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
  answers = os.fdopen(os.dup(1), 'w')
  os.dup2(2, 1)
  jobs, fresh = queue.SimpleQueue(), 0
  threading.Thread(target=_listen, args=[jobs], daemon=True).start()
  while (line := jobs.get()) is not None:
    outcome = perform(Job.from_json(line), train)
    fresh = fresh or memory.resident()
    outcome['broken'] |= memory.resident() > GROWN * fresh
    with contextlib.suppress(BrokenPipeError):
      print(json.dumps(outcome), file=answers, flush=True)
    if outcome['broken'] or outcome['status'] == 'interrupted':
      break


def _listen(jobs):
  """Hands on the lines of the input; at its end, stops what is going on."""
  for line in sys.stdin:
    jobs.put(line)
  jobs.put(None)
  os.kill(os.getpid(), signal.SIGTERM)
  time.sleep(GRACE)
  os._exit(1)


def train(spec, workdir) -> None:
  """As `python launch.py --spec ... --workdir ...` does; the data and the compiled step are kept for the next run."""
  from tfvae import commands

  commands.train(spec, workdir, kept=_kept())


@functools.cache
def _kept():
  """Of this process."""
  import_tensorflow()
  from tfvae.training.machinery import Kept

  return Kept()


if __name__ == '__main__':
  serve(train)
