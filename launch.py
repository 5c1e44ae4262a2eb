"""Trains, evaluates and draws variational autoencoders.

python launch.py --spec specs/hit.py[:variant] [--workdir runs/hit] [--spec.FIELD=VALUE ...]
python launch.py --mode=evaluate --workdir runs/hit [--spec.eval.split=train]
"""

import sys

from absl import app, flags, logging

from tfvae import commands, spec
from tfvae.errors import UserError

MODES = {
  'train': 'train, evaluate and draw; resumes where the workdir holds the same run',
  'evaluate': 'evaluate the run in --workdir',
  'report': 'draw the figures of the run in --workdir again',
  'show': 'print the resolved spec, the data and the model',
}
SPEC = flags.DEFINE_string('spec', None, 'The spec file, with a variant after a colon: specs/aevb.py:bernoulli.')
WORKDIR = flags.DEFINE_string('workdir', None, 'The run directory. Default: runs/<spec>-<variant>[,field=value...].')
MODE = flags.DEFINE_enum('mode', 'train', list(MODES), '; '.join(f'{k}: {v}' for k, v in MODES.items()))
OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Set an existing run aside (renamed, not deleted) and start afresh.')


def main(overrides):
  try:
    if MODE.value in ('evaluate', 'report'):
      if not WORKDIR.value or SPEC.value:
        raise UserError(
          f"--mode={MODE.value} takes --workdir, a run's directory, and reads the run's own spec: no --spec"
        )
      if MODE.value == 'evaluate':
        commands.evaluate(WORKDIR.value, overrides)
      else:
        commands.report(WORKDIR.value)
      return
    if not SPEC.value:
      raise UserError('--spec is missing: give a spec file, such as --spec specs/hit.py or --spec specs/aevb.py')
    resolved = spec.load(SPEC.value, overrides)
    if MODE.value == 'show':
      commands.show(resolved)
    else:
      workdir = WORKDIR.value or commands.default_workdir(SPEC.value, overrides)
      commands.train(resolved, workdir, OVERWRITE.value)
  except UserError as error:
    sys.exit('\n'.join(f'error: {line}' for line in str(error).splitlines()))


def parse(argv):
  logging.set_verbosity(logging.WARNING)
  argv, overrides = spec.split_flags(argv)
  if extra := app.parse_flags_with_usage(argv)[1:]:
    sys.exit(f'error: {" ".join(extra)}: not understood; flags are written --name=value, fields --spec.FIELD=VALUE')
  return overrides


if __name__ == '__main__':
  app.run(main, flags_parser=parse)
