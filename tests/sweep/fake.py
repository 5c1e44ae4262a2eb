"""A worker of a grid without TensorFlow: it leaves a run directory, and does on the way what FAKE says of its seed.

As a program of its own: the worker; with `parent WORKDIR FLAG...`: the command that has such workers.
"""

import json
import os
import pathlib
import signal
import sys
import time

from tfvae.errors import UserError
from tfvae.run.directory import Directory
from tfvae.sweep import worker
from tfvae.training.course import Ended
from tfvae.training.signals import StopSignal, stopped

SPEC = 'from tfvae import spec\ndef get_config():\n  s = spec.base(("z1",))\n  s.train.steps = 4\n  return s\n'
DATA = {
  'name': 'digits',
  'shape': [8, 8, 1],
  'sizes': {'train': 9},
  'scaling': {'center': 0.0, 'width': 1.0},
  'fingerprint': 1,
}


def train(spec, workdir):
  """Two steps, what FAKE says, then the others and an evaluation."""
  assert 'tensorflow' not in sys.modules
  run, what = Directory(workdir), json.loads(os.environ.get('FAKE', '{}')).get(str(spec.seed), '')
  with StopSignal() as stop:
    run.open(spec)
    try:
      run.begin(spec, DATA)
      stop.at_once = None
      first = not (run.workdir / 'metrics.jsonl').exists()
      run.append_metrics(2 if first else 3, 'train', {'elbo': -float(spec.seed), 'process': os.getpid()})
      print('said by', spec.seed)
      if what == 'fails':
        raise UserError('spec.seed: this one fails\nand says why')
      if what == 'breaks':
        raise ValueError('broken')
      if what == 'dies' or (what == 'dies once' and first):
        os.kill(os.getpid(), signal.SIGKILL)
      while what == 'waits' and not stop.number:
        time.sleep(0.01)
      if stop.number:
        run.record_saved(2)
        raise stopped(stop.number, f'saved step 2 in {workdir}')
      run.write_found(spec.train.steps, 'test', 'bounds', {}, {'elbo': -float(spec.seed)}, {})
      run.write_evaluation(spec.train.steps, 'test')
      if what == 'draws' and first:
        os.kill(os.getpid(), signal.SIGKILL)
      run.close('finished')
    finally:
      run.close('failed')


def hear_ctrl_c():
  """Processes that a shell starts in the background ignore it."""
  signal.signal(signal.SIGINT, signal.default_int_handler)


def train_stacked(runs, around):
  """One after the other, as far as that goes."""
  for number, (spec, workdir) in enumerate(runs):
    error = None
    try:
      with around(number):
        train(spec, workdir)
    except (UserError, KeyboardInterrupt) as raised:
      error = raised
    yield Ended(number, error)


def sweep(workdir, *flags, jobs=1, overrides=(), stacked=False, **more):
  """A grid of FAKE's runs."""
  from tfvae.sweep import command
  from tfvae.sweep.local import Local
  from tfvae.sweep.stacked import Stacked

  spec = pathlib.Path(workdir).with_name('mine.py')
  spec.write_text(SPEC)
  own = ['-P', __file__, *(['stacked'] if stacked else [])]
  kind = Stacked if stacked else Local
  make = lambda options, home, runs: kind(options.jobs or jobs, 1, home.workdir / 'logs', runs, own)
  pairs = [flag.partition('=')[::2] for flag in flags]
  return command.sweep(str(spec), overrides, pairs, workdir, make_executor=make, **more)


if __name__ == '__main__':
  if sys.argv[1:2] == ['parent']:
    try:
      sweep(*sys.argv[2:])
    except KeyboardInterrupt as error:
      print(error)
      sys.exit(error.status)
  elif sys.argv[1:] == ['stacked']:
    worker.serve_stacks(train_stacked)
  else:
    worker.serve(train)
