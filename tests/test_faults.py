"""Operations on files that fail, or in which the process is killed: the same command then ends as if nothing had been.

The layer of faults.c lies between the process and its files, so that what TensorFlow writes is seen, too.
"""

import errno
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from runs import assert_same_run

KINDS = {'ENOSPC': errno.ENOSPC, 'EIO': errno.EIO, 'kill': 0}
FIELDS = {'model.z1.dim': 3, 'model.z1.encoder.hidden': 8, 'decoder.net.hidden': 8, 'data.batch_size': 50}
FIELDS |= {'train.steps': 40, 'train.compile': 'graph', 'train.log_every': 10, 'train.checkpoint_every': 10}
FIELDS |= {'train.keep': 2, 'eval.every': 20, 'eval.num_samples': 2, 'eval.evaluators': 'bounds'}


class Faulty:
  """launch.py, trained in `folder`/<name>, with faults."""

  def __init__(self, folder, layer):
    self.folder = folder
    env = dict(os.environ, LD_PRELOAD=str(layer), PYTHONPATH=str(ROOT))
    command = [sys.executable, str(ROOT / 'tests/faulty.py')]
    pipe = subprocess.PIPE
    self._server = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=env)

  def __call__(self, name, pattern='*', n=0, kind='kill', draw=False):
    """(status, what was said, the operations on files of the run) of one start."""
    log, operations = self.folder / f'{name}.log', self.folder / f'{name}.operations'
    operations.unlink(missing_ok=True)
    args = ['--spec', str(ROOT / 'specs/aevb.py'), '--workdir', str(self.folder / name)]
    args += [f'--spec.{field}={value}' for field, value in FIELDS.items()]
    job = {'args': args, 'log': str(log), 'operations': str(operations), 'below': str(self.folder / name)}
    job |= {'draw': draw, 'pattern': pattern, 'n': n, 'code': KINDS[kind]}
    self._server.stdin.write(json.dumps(job) + '\n')
    self._server.stdin.flush()
    status = int(self._server.stdout.readline())
    return status, log.read_text(), operations.read_text().splitlines()

  def close(self):
    self._server.stdin.close()
    self._server.wait()


@pytest.fixture
def faulty(tmp_path):
  if not (compiler := shutil.which('cc')):
    pytest.skip('there is no C compiler (cc)')
  layer = tmp_path / 'faults.so'
  source = pathlib.Path(__file__).with_name('faults.c')
  subprocess.run([compiler, '-shared', '-fPIC', '-O1', '-o', layer, source, '-ldl', '-pthread'], check=True)
  made = Faulty(tmp_path, layer)
  yield made
  made.close()


def assert_ended_well(status, said, kind):
  """As a fault should end: with a line that says what to do, or not at all, or unharmed by it."""
  if kind == 'kill':
    assert status == -9, said
  else:
    assert status in (0, 1) and 'Traceback' not in said, said
    last = said.strip().splitlines()[-1]
    assert status == 0 or (last.startswith('error: ') and ('same command' in last or 'give a directory' in last)), said


CHOSEN = [  # consecutive starts of one run; the first of these operations fails in each
  ('write */.ckpt-10.*/ckpt-10.index', 'kill', 'step 10/40'),
  ('rename /checkpoints/ckpt-10.index', 'kill', 'step 10/40'),
  ('write /metrics.jsonl', 'ENOSPC', 'No space left on device'),
  ('fsync */ckpt-20.data*', 'EIO', 'the checkpoint of step 20 could not be written'),
  ('unlink /checkpoints/ckpt-10.data*', 'kill', 'Resumed'),
  ('rename /evaluation.json', 'EIO', 'cannot be written (Input/output error'),
]


def test_chosen_faults_one_after_another(faulty):
  assert faulty('whole')[0] == 0
  for pattern, kind, says in CHOSEN:
    status, said, _ = faulty('run', pattern, 1, kind)
    assert_ended_well(status, said, kind)
    assert status and says in said, (pattern, said)
  status, said, _ = faulty('run')
  assert status == 0 and 'Broken' not in said, said
  assert_same_run(faulty.folder / 'run', faulty.folder / 'whole')


def chosen(operations):
  """The numbers, from 1, of operations: of those that are alike but for numbers in names the first and the last.

  With FAULTS=all in the environment every one.
  """
  if os.environ.get('FAULTS') == 'all':
    return range(1, len(operations) + 1)
  alike = {}
  for number, operation in enumerate(operations, 1):
    alike.setdefault(re.sub(r'\d+|(?<=\.)[a-z0-9_]{8}(?=\.tmp)', '#', operation), []).append(number)
  return sorted({number for numbers in alike.values() for number in (numbers[0], numbers[-1])})


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_every_fault(kind, faulty, capsys):
  """The n-th operation fails, for each n; then the same command ends as the uninterrupted run, to the bit."""
  status, said, operations = faulty('whole', draw=True)
  assert status == 0, said
  figures = next(i for i, operation in enumerate(operations, 1) if '/figures' in operation)
  numbers, harmed, ended = chosen(operations), [], 0
  for n in numbers:
    shutil.rmtree(faulty.folder / 'run', ignore_errors=True)
    status, said, seen = faulty('run', '*', n, kind, draw=n >= figures)
    told = f'{kind} {n} of {len(operations)}: {seen[n - 1]}'
    try:
      assert_ended_well(status, said, kind)
      ended += status != 0
      status, said, _ = faulty('run')
      assert status == 0, said
      assert_same_run(faulty.folder / 'run', faulty.folder / 'whole')
    except AssertionError as error:
      harmed.append(f'{told}: {error}')
      told += ' HARMED'
    with capsys.disabled():
      print(told, flush=True)
  with capsys.disabled():
    print(f'{kind}: {len(numbers)} faults; {ended} ended the run, {len(harmed)} harmed it', flush=True)
  assert not harmed, '\n'.join(harmed)
