"""Fixtures: small specs, and the launcher as a user calls it."""

import os
import pathlib
import subprocess
import sys

import pytest

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from tfvae import spec as spec_lib

ROOT = pathlib.Path(__file__).parents[1]
DAMAGES = ('truncated', 'emptied', 'no index', 'index emptied')


def pytest_collection_modifyitems(items):
  """The longest tests first, so that no worker is left with one at the end."""
  longest = ('test_killed_twice', 'test_a_whole_session', 'test_trains_on', 'test_betas', 'test_the_run_directory')
  items.sort(key=lambda item: not item.name.startswith(longest))


def pytest_sessionstart(session):
  """Three logical CPUs in each process that runs tests, before TensorFlow has made its devices."""
  if hasattr(session.config, 'workerinput') or not session.config.getoption('numprocesses', None):
    import tensorflow as tf

    cpu = tf.config.list_physical_devices('CPU')[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)


@pytest.fixture
def tiny():
  """A single-layer spec that trains in a second; its fields can be assigned."""
  return tiny_spec()


def tiny_spec():
  spec = spec_lib.base(('z1',))
  spec.model.z1.dim = 3
  spec.model.z1.encoder.hidden = (8,)
  spec.decoder.net.hidden = (8,)
  spec.data.batch_size = 50
  spec.train.steps = 40
  spec.train.compile = 'graph'
  spec.train.log_every = 10
  spec.train.checkpoint_every = 10
  spec.eval.every = 20
  spec.eval.num_samples = 2
  spec.eval.evaluators = ('bounds',)
  return spec


@pytest.fixture
def launch(tmp_path):
  """Runs launch.py in an empty directory, as `command` does: launch('--spec', 'hit', ...) -> CompletedProcess."""

  def call(*args, **kwargs):
    return subprocess.run(command(*args), cwd=tmp_path, capture_output=True, text=True, timeout=120, **kwargs)

  return call


def command(*args):
  """The command line of launch.py; a bare `hit` or `aevb` stands for the spec file."""
  files = {
    name: str(ROOT / 'specs' / f'{name}.py')
    for name in ('hit', 'aevb', 'table', 'iwae', 'linear', 'entropies', 'streaming', 'symmetric')
  }
  full = []
  for arg in args:
    name, colon, variant = str(arg).partition(':')
    full.append(files[name] + colon + variant if name in files else str(arg))
  return [sys.executable, str(ROOT / 'launch.py'), *full]


@pytest.fixture(scope='session')
def classifier_run(tmp_path_factory):
  """The workdir of a classifier of the digits with 16 features, trained for two seconds."""
  from tfvae import commands

  spec = spec_lib.load(ROOT / 'specs/classifier.py', {'train.steps': 300, 'model.classifier.dense': (16,)})
  return commands.train(spec, tmp_path_factory.mktemp('classifier') / 'run').workdir


@pytest.fixture(scope='session')
def tfds_dir():
  """A directory with the real data sets in TFDS' form."""
  path = os.environ.get('TFDS_DATA_DIR', '')
  if not pathlib.Path(path, 'mnist').is_dir():
    pytest.skip('TFDS_DATA_DIR does not name a directory that holds mnist')
  return path


@pytest.fixture
def small_disk(tmp_path):
  """A disk of 8 MiB, where it may be mounted."""
  disk = tmp_path / 'disk'
  disk.mkdir()
  if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk], capture_output=True).returncode:
    pytest.skip('a tmpfs cannot be mounted here')
  yield disk
  subprocess.run(['umount', '-l', disk], check=True)


def damage(checkpoints, step, how):
  """Breaks one checkpoint, in one of the `DAMAGES`."""
  data = checkpoints / f'ckpt-{step}.data-00000-of-00001'
  if how == 'truncated':
    data.write_bytes(data.read_bytes()[:-200])
  elif how == 'emptied':
    data.write_bytes(b'')
  elif how == 'no index':
    (checkpoints / f'ckpt-{step}.index').unlink()
  elif how == 'index emptied':
    (checkpoints / f'ckpt-{step}.index').write_bytes(b'')
