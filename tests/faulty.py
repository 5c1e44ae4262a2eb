"""launch.py many times over, each in a process forked from this one, which has imported all and has no threads yet.

Loaded with the layer of faults.c. Reads a JSON object a line: args; log, where what is said goes; operations, where
they are listed; draw, whether figures are drawn; below, pattern, n and code of `faults_arm`. Answers with the status.
"""

import ctypes
import importlib
import json
import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from absl import app

import launch
from tfvae import commands
from tfvae.quiet import import_tensorflow

import_tensorflow()
for name in ('sklearn.datasets', 'tfvae.data.digits', 'tfvae.report.figures', 'tfvae.training.loop'):
  importlib.import_module(name)
layer = ctypes.CDLL(os.environ['LD_PRELOAD'])
layer.faults_arm.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_int]


def run(job):
  """In a process of its own: never returns."""
  log = os.open(job['log'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
  os.dup2(log, 1)
  os.dup2(log, 2)
  status = 1
  try:
    if not job['draw']:
      commands._draw = lambda *of: []
    layer.faults_log(job['operations'].encode())
    layer.faults_arm(job['below'].encode(), job['pattern'].encode(), job['n'], job['code'])
    sys.argv = ['launch.py', *job['args']]
    app.run(launch.main, flags_parser=launch.parse)
  except SystemExit as end:
    status = end.code or 0
    if not isinstance(status, int):
      print(end.code, file=sys.stderr)
      status = 1
  except BaseException:
    sys.excepthook(*sys.exc_info())
  finally:
    sys.stdout.flush()
    os._exit(status)


for line in sys.stdin:
  assert threading.active_count() == 1
  if not (pid := os.fork()):
    run(json.loads(line))
  print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
