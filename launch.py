"""Trains, evaluates and draws variational autoencoders.

python launch.py --spec specs/hit.py[:variant] [--workdir runs/hit] [--spec.FIELD=VALUE ...]
python launch.py --workdir runs/hit [--spec.train.steps=5000]
python launch.py --mode=evaluate --workdir runs/hit [--spec.eval.split=train]
python launch.py --mode=sample --workdir runs/hit [--spec.sample.num=100]
python launch.py --mode=sweep --spec specs/hit.py --sweep.objective.beta.z2=0.2,1,5 [--sweep.jobs=2]
"""

import os
import sys

from absl import app, flags, logging

from tfvae import commands, spec
from tfvae.errors import SpecError, UserError, cut, nearest, short
from tfvae.spec.schema import not_understood
from tfvae.sweep.command import sweep
from tfvae.training.signals import Stopped

MODES = {
  'train': 'train, evaluate and draw; resumes where the workdir holds the same run',
  'evaluate': 'evaluate the run in --workdir',
  'sample': 'draw samples, reconstructions, traversals and interpolations from the run in --workdir',
  'export': 'write a SavedModel and a file of weights of the run in --workdir',
  'report': 'draw the figures of the run in --workdir again, and report.html of it, or of the runs below --workdir',
  'sweep': 'train a grid of runs, one for each value of --sweep.FIELD=VALUES; goes on where it was stopped',
  'compare': 'print the runs in --workdir a,b beside each other: what differs, and what came out',
  'show': 'print the resolved spec, the data and the model',
}
SPEC = flags.DEFINE_string('spec', None, 'The spec file, with a variant after a colon: specs/aevb.py:bernoulli.')
WORKDIR = flags.DEFINE_string('workdir', None, 'The run directory. Default: runs/<spec>-<variant>[,field=value...].')
MODE = flags.DEFINE_string('mode', 'train', '; '.join(f'{k}: {v}' for k, v in MODES.items()))
OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Set an existing run aside (renamed, not deleted) and start afresh.')
OWN = ('spec', 'workdir', 'mode', 'overwrite')


def main(arguments):
  rest, overrides, swept = arguments
  problems = [not_understood(arg, OWN, MODES) for arg in rest]
  if MODE.value not in MODES:
    problems.append(f'--mode: got {short(MODE.value)}; allowed: {" | ".join(MODES)}.{nearest(MODE.value, MODES)}')
  if swept and MODE.value in MODES and MODE.value != 'sweep':
    problems.append(f'--sweep.{cut(swept[0][0])}: is for --mode=sweep, got --mode={MODE.value}')
  sys.stdout.reconfigure(errors='backslashreplace')  # a file's name may be no text
  try:
    if MODE.value in ('evaluate', 'sample', 'export', 'report', 'compare'):
      on_a_run(problems, overrides)
    elif MODE.value == 'sweep':
      a_grid(problems, overrides, swept)
    else:
      from_a_spec(problems, overrides)
  except UserError as error:
    sys.exit('\n'.join(f'error: {line}' for line in str(error).splitlines()))
  except Stopped as stopped:
    print(stopped, flush=True)
    sys.exit(stopped.status)
  except KeyboardInterrupt:
    sys.exit(130)
  except BrokenPipeError:  # `| head`: nobody reads on, and the interpreter must not try to flush
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(141)


def on_a_run(problems, overrides):
  if not WORKDIR.value or SPEC.value or OVERWRITE.value:
    what = 'the directories of two runs or more, a,b' if MODE.value == 'compare' else "a run's directory"
    problems.append(f'--mode={MODE.value}: give --workdir, {what}, whose own spec is read; no --spec, no --overwrite')
  if MODE.value in ('report', 'compare'):
    problems += [
      f'spec.{field}: --mode={MODE.value} shows what is there; no field changes it' for field, _ in overrides
    ]
  if problems:
    raise SpecError(problems)
  if MODE.value == 'evaluate':
    commands.evaluate(WORKDIR.value, overrides)
  elif MODE.value == 'sample':
    commands.sample(WORKDIR.value, overrides)
  elif MODE.value == 'export':
    commands.export(WORKDIR.value, overrides)
  elif MODE.value == 'compare':
    commands.compare(WORKDIR.value)
  else:
    commands.report(WORKDIR.value)


def a_grid(problems, overrides, swept):
  if not SPEC.value:
    problems.append('--mode=sweep: give --spec, a spec file, such as --spec specs/hit.py')
  if problems:
    raise SpecError(problems)
  sweep(SPEC.value, overrides, swept, WORKDIR.value, OVERWRITE.value)


def from_a_spec(problems, overrides):
  try:
    if SPEC.value:
      source = SPEC.value
    elif WORKDIR.value:
      source = commands.own_spec(WORKDIR.value)
    else:
      raise SpecError(
        [
          '--spec is missing: give a spec file, such as --spec specs/hit.py or --spec specs/aevb.py; or --workdir '
          'alone, the directory of a run, which then goes on'
        ]
      )
    resolved = spec.load(source, overrides)
  except SpecError as error:
    raise SpecError([*problems, *error.problems]) from None
  if problems:
    raise SpecError(problems)
  if MODE.value == 'show':
    commands.show(resolved)
  else:
    commands.train(resolved, WORKDIR.value, OVERWRITE.value)


def parse(argv):
  logging.set_verbosity(logging.WARNING)
  argv, overrides = spec.split_flags(argv)
  argv, swept = spec.split_flags(argv, 'sweep')
  try:
    return flags.FLAGS(argv, known_only=True)[1:], overrides, swept
  except flags.Error as error:
    sys.exit(f'error: {cut(str(error), 400)}')


if __name__ == '__main__':
  app.run(main, flags_parser=parse)
