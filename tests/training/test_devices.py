"""One device, logical devices and workers train the same, and resume to the bit after kill -9; faults of workers.

The cases are those of `CASES`: convolutions (a batch that three devices cannot share evenly), dense nets compiled by
XLA with clipping and a moving average, and an objective of two players.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from conftest import ROOT
from runs import assert_same_numbers, assert_same_run, rows_of
from test_meeting import has_ipv6, old_greeting, ports, visited

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import RunError
from tfvae.run.directory import checksum
from tfvae.training import workers
from tfvae.training.cluster import Cluster

COMMON = {'train.steps': 100, 'train.log_every': 10, 'train.checkpoint_every': 20, 'eval.every': 0}
COMMON |= {'eval.evaluators': 'bounds', 'eval.num_samples': 1}
CASES = {
  'hit': ('specs/hit.py', {}),
  'clipping and ema': (
    'specs/aevb.py',
    {'train.clip_norm': 5.0, 'train.ema': 0.9, 'train.compile': 'xla', 'decoder.variance': 'optimal'}
    | {'decoder.likelihood': 'gaussian', 'data.binarize': 'dynamic', 'objective.num_samples': 2}
    | {'train.optimizer': 'sgd', 'train.learning_rate': 0.01},  # Adam would not feel a gradient twice as long
  ),
  'two players': ('specs/symmetric.py', {'train.learning_rate': 3e-4, 'data.pool': 'train'}),
}


def train(case, workdir, devices=0, **fields):
  path, own = CASES[case]
  fields = COMMON | own | fields
  if devices:
    fields |= {'train.strategy': 'mirrored', 'train.logical_devices': devices}
  return commands.train(spec_lib.load(ROOT / path, fields), workdir)


@pytest.fixture(scope='session')
def one_device(tmp_path_factory):
  """case -> the rows that one device logs."""
  found = {}

  def rows(case):
    if case not in found:
      with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, '_draw', lambda *of: [])
        folder = tmp_path_factory.mktemp('one')
        train(case, folder / 'run')
        found[case] = rows_of(folder / 'run')
    return found[case]

  return rows


SLOW = pytest.mark.slow


@pytest.mark.parametrize('case', [case if case == 'hit' else pytest.param(case, marks=SLOW) for case in CASES])
def test_three_devices_train_as_one(case, tmp_path, monkeypatch, one_device):
  """Two do in tests/test_conformance.py, and as workers of their own below."""
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  train(case, tmp_path / 'run', 3)
  assert_same_numbers(rows_of(tmp_path / 'run'), one_device(case))


class Launched:
  """A process of launch.py, with the objective of two players."""

  def __init__(self, case, workdir, *flags, addresses=(), index=0, signals=''):
    path, own = CASES[case]
    fields = COMMON | own
    args = [f'--spec.{name}={value}' for name, value in fields.items()]
    env = dict(os.environ, TEST_SIGNAL=signals)
    if addresses:
      env['TF_CONFIG'] = json.dumps({'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}})
      args.append('--spec.train.strategy=multi_worker')
    self.log = pathlib.Path(f'{workdir}.{index}.log')
    with open(self.log, 'a') as log:
      command = [sys.executable, str(ROOT / 'tests/launcher.py'), '--spec', str(ROOT / path), '--workdir', str(workdir)]
      self.process = subprocess.Popen([*command, *args, *flags], env=env, stdout=log, stderr=subprocess.STDOUT)

  def wait(self, timeout=240):
    """(exit status, all that it and its predecessors said)."""
    return self.process.wait(timeout), self.log.read_text()


def pair(case, workdir, *flags, signals=None, host='localhost'):
  """Two workers; `signals` are those that they send themselves, {index: 'KILL@step'}."""
  addresses, signals = [f'{host}:{port}' for port in ports(2)], signals or {}
  return [Launched(case, workdir, *flags, addresses=addresses, index=i, signals=signals.get(i, '')) for i in (0, 1)]


READ = '--spec.data.memory_limit=0'  # through tf.data, which starts TensorFlow before training does


# 'clipping and ema' is in CI by a disk that is full (below).
PAIRS = [case if case == 'hit' else pytest.param(case, marks=SLOW) for case in CASES]


@pytest.mark.parametrize('case', PAIRS)
def test_two_workers_train_as_one_and_resume_to_the_bit(case, tmp_path, one_device):
  """Uninterrupted; and with SIGTERM at step 30 to the one that is not the chief, which saves and ends both, one killed
  (kill -9) at step 50, which ends the other, and each time both started again.
  """
  whole = pair(case, tmp_path / 'whole')
  assert [each.wait()[0] for each in whole] == [0, 0], whole[0].log.read_text()
  assert_same_numbers(rows_of(tmp_path / 'whole'), one_device(case))
  both = pair(case, tmp_path / 'run', READ, signals={1: 'TERM@30'}, host='[::1]' if has_ipv6() else 'localhost')
  (first, said), (second, said_too) = (each.wait() for each in both)
  assert (first, second) == (143, 143), said + said_too
  assert 'Worker 1 was told to stop: saved step 3' in said and 'SIGTERM: saved step 3' in said_too
  gone = list(CASES).index(case) % 2
  begun = pair(case, tmp_path / 'run', signals={gone: 'KILL@50'})
  assert begun[gone].wait()[0] == -signal.SIGKILL
  status, said = begun[1 - gone].wait()
  assert status == 1 and 'Traceback' not in said
  assert f'error: worker {gone}{" (the chief)" if gone == 0 else ""} at localhost:' in said.splitlines()[-1]
  assert 'ckpt-40' in said.splitlines()[-1] and 'the same command' in said.splitlines()[-1]
  for each in (again := pair(case, tmp_path / 'run')):
    assert each.wait()[0] == 0, each.log.read_text()
  assert 'at step 40' in again[0].log.read_text()
  assert_same_run(tmp_path / 'run', tmp_path / 'whole')


@SLOW  # in CI one device is killed in test_training.py, and a worker above; two devices are in test_conformance.py
@pytest.mark.parametrize('devices', [0, 2])
def test_devices_resume_to_the_bit_after_kill(devices, tmp_path, monkeypatch):
  """Both players' optimizers and running averages included."""
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  mirrored = ['--spec.train.strategy=mirrored', '--spec.train.logical_devices=2', READ] if devices else []
  status, said = Launched('two players', tmp_path / 'run', *mirrored, signals='KILL@50').wait()
  assert status == -signal.SIGKILL, said
  train('two players', tmp_path / 'run', devices)
  train('two players', tmp_path / 'whole', devices)
  assert_same_run(tmp_path / 'run', tmp_path / 'whole')


@SLOW
def test_a_worker_that_hangs_is_noticed(tmp_path):
  """SIGSTOP to the one that is not the chief."""
  case, run = 'clipping and ema', tmp_path / 'run'
  both = pair(case, run, signals={1: 'STOP@50'})
  status, said = both[0].wait()
  last = said.splitlines()[-1]
  assert status == 1 and 'error: worker 1 at localhost:' in last and 'ckpt-40' in last and 'Traceback' not in said
  both[1].process.send_signal(signal.SIGCONT)
  status, said = both[1].wait()
  assert status != 0 and 'Traceback' not in said
  for name in ('run', 'whole'):
    assert [each.wait()[0] for each in pair(case, tmp_path / name)] == [0, 0]
  assert_same_run(run, tmp_path / 'whole')


def test_a_worker_that_never_comes(tmp_path):
  addresses = [f'localhost:{port}' for port in ports(2)]
  alone = Launched('hit', tmp_path / 'run', '--spec.train.startup_timeout=4', addresses=addresses)
  with visited(old_greeting, int(addresses[0].rpartition(':')[2])):  # which says that it is worker 1
    status, said = alone.wait()
  assert status == 1 and 'Traceback' not in said and 'EVIL' not in said
  assert f'Worker 0 waits for worker 1 at {addresses[1]}' in said
  assert 'gave up after 4 s (spec.train.startup_timeout)' in said
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('what', ['logging', 'checkpointing'])
def test_the_disk_is_full(what, small_disk, tmp_path, monkeypatch, capsys):
  """From step 50 on, to the last byte."""
  from tfvae.training.loop import Trainer

  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  fields = {'train.log_every': 1 if what == 'logging' else 50}
  own, case = Trainer._log, 'clipping and ema'

  def log(self, *args):
    sums = own(self, *args)
    if self.step == 50:
      with open(small_disk / 'ballast', 'wb', buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
          ballast.write(bytes(512))
    return sums

  with (
    monkeypatch.context() as patch,
    pytest.raises(RunError, match=r'(?s)/disk/run.*No space left.*same command'),
  ):
    patch.setattr(Trainer, '_log', log)
    train(case, small_disk / 'run', **fields)
  before = {path.name: path.read_bytes() for path in (small_disk / 'run/checkpoints').glob('ckpt-40.*')}
  assert len(before) == 2
  (small_disk / 'ballast').unlink()
  capsys.readouterr()
  train(case, small_disk / 'run', **fields)
  assert 'at step 40' in capsys.readouterr().out
  train(case, tmp_path / 'whole', **fields)
  assert_same_run(small_disk / 'run', tmp_path / 'whole')


@pytest.mark.parametrize('chief_job', [False, True])
def test_which_worker_was_lost(chief_job):
  """TensorFlow counts the tasks of each job."""
  import tensorflow as tf

  group = workers.Workers(Cluster(('a:1', 'b:1', 'c:1'), 0, chief_job=chief_job), None)
  error = tf.errors.UnavailableError(None, None, 'from remote target /job:worker/replica:0/task:1:')
  assert group._lost(error) == ('worker 2 at c:1' if chief_job else 'worker 1 at b:1')


def test_the_protocol_is_ours(monkeypatch):
  import tensorflow as tf

  found = []
  monkeypatch.setenv('TF_CONFIG', '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}, "rpc_layer": 5}')
  monkeypatch.setattr(
    tf.distribute, 'MultiWorkerMirroredStrategy', lambda cluster_resolver: found.append(cluster_resolver)
  )
  workers._multi_worker(Cluster(('a:1',), 0), 60)
  assert found[0].rpc_layer == 'grpc' and found[0].cluster_spec().as_dict() == {'worker': ['a:1']}


def test_what_all_workers_must_have_in_common():
  spec = spec_lib.load(ROOT / 'specs/hit.py')
  same = spec_lib.resolve(spec, {'data.data_dir': '/elsewhere', 'train.startup_timeout': 5.0})
  assert checksum(spec) == checksum(same) != checksum(spec_lib.resolve(spec, {'seed': 1}))
