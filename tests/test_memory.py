"""Memory that is short: what is free, which errors say so, and the fields that a line names."""

import resource
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, command

from tfvae import build, commands, memory
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation
from tfvae.data import digits
from tfvae.data.dataset import Reader, Stored
from tfvae.errors import UserError


def test_what_is_free(tmp_path, monkeypatch):
  assert 2**20 < memory.available() < 2**50
  for name, text in (
    ('memory.max', '9000'),
    ('memory.current', '8000'),
    ('memory.stat', 'file 70\ninactive_file 500\n'),
  ):
    (tmp_path / name).write_text(text)
  assert memory._of_group(tmp_path) == 1500
  (tmp_path / 'memory.max').write_text('max\n')
  assert memory._of_group(tmp_path) is None
  monkeypatch.setattr(resource, 'getrlimit', lambda which: (2**45, 2**45))
  assert 2**44 < memory._address_space() < 2**45


@pytest.mark.parametrize(
  ('error', 'short'),
  [
    (MemoryError(), True),
    (np._core._exceptions._ArrayMemoryError((2**40,), np.dtype(float)), True),
    (tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor with shape[1,2]'), True),
    (tf.errors.UnknownError(None, None, 'MemoryError: Unable to allocate 7 TiB'), True),
    (tf.errors.ResourceExhaustedError(None, None, 'a/b; No space left on device'), False),
    (tf.errors.InvalidArgumentError(None, None, 'no image'), False),
    (ValueError('a shape'), False),
  ],
)
def test_errors_that_say_so(error, short):
  with pytest.raises(UserError if short else type(error)) as raised, memory.short('lower spec.a'):
    raise error
  assert not short or 'lower spec.a' in str(raised.value)


class Large(Reader):
  size, shape, dtype = 8000, (10_000, 10_000, 1), np.uint8

  def fetch(self, positions):
    raise AssertionError('it is not read')

  decode = fetch


def test_data_within_the_limit_and_beyond_memory(monkeypatch):
  """show, train, evaluate and sample begin with them."""
  monkeypatch.setattr(digits, 'load', lambda section: Stored('large', {'train': Large()}, (0.0, 255.0)))
  monkeypatch.setattr(memory, 'available', lambda: 2**30)
  spec = spec_lib.resolve(spec_lib.base(('z1',)), {'data.memory_limit': 10**6})
  with pytest.raises(UserError, match=r'the examples of large: 762,940 MiB.*lower spec\.data\.memory_limit'):
    commands.show(spec)


@pytest.mark.parametrize('name', ['mine.csv', 'mine.npz'])
def test_a_table_beyond_memory(name, tmp_path, monkeypatch):
  """Of an NPZ file, by what it is unpacked."""
  table = np.zeros((3000, 4))
  np.savetxt(tmp_path / name, table) if name.endswith('csv') else np.savez_compressed(tmp_path / name, x=table)
  spec = spec_lib.resolve(spec_lib.base(('z1',)), {'data.name': 'table', 'data.path': str(tmp_path / name)})
  monkeypatch.setattr(memory, 'available', lambda: 90_000)
  with pytest.raises(UserError, match=rf'memory is not enough: spec\.data\.path: .*{name}.*fewer rows'):
    build.dataset(spec)


@pytest.mark.parametrize(
  ('mode', 'fields'),
  [
    ('train', r'spec\.data\.batch_size, spec\.objective\.num_samples'),
    ('evaluate', r'spec\.eval\.batch_size .* spec\.eval\.num_samples'),
    ('sample', r'spec\.sample\.num'),
    ('show', r'widths in spec\.model'),
  ],
)
def test_each_mode_names_its_fields(mode, fields, tiny, tmp_path, monkeypatch):
  tiny.train.steps = 1
  tiny.eval.every = 0
  monkeypatch.setattr(commands, '_draw', lambda *of: [])

  def short(*args, **kwargs):
    raise MemoryError

  if mode in ('evaluate', 'sample'):
    commands.train(tiny, tmp_path / 'run')
  if mode == 'evaluate':
    monkeypatch.setattr(Evaluation, '_trace_sums', short)
    call = lambda: commands.evaluate(tmp_path / 'run', {'eval.num_samples': 3})
  elif mode == 'sample':
    monkeypatch.setattr('tfvae.analysis.sampling.Sampler.run', short)
    call = lambda: commands.sample(tmp_path / 'run')
  else:
    monkeypatch.setattr(build, 'model', short)
    call = lambda: commands.show(tiny) if mode == 'show' else commands.train(tiny, tmp_path / 'run')
  with pytest.raises(UserError, match=f'memory is not enough .*lower .*{fields}'):
    call()


@pytest.mark.slow
def test_many_samples_under_a_limit(tmp_path):
  """100,000 samples in 6 GiB of addresses, where one trace of all would take 64 GB a tensor: SIGTERM is heard."""
  limited = lambda: resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
  fields = ('--spec.train.steps=20', '--spec.eval.evaluators=bounds', '--spec.eval.every=0')
  trained = subprocess.run(command('--spec', 'aevb', '--workdir', tmp_path / 'run', *fields), capture_output=True)
  assert trained.returncode == 0
  code = f"""
import os, runpy, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from tfvae.analysis.evaluator import Split
own = Split.sample_noise
def after(self, number, samples):
  signal.setitimer(signal.ITIMER_REAL, 3.0)
  return own(self, number, samples)
Split.sample_noise = after
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
sys.argv = {[str(word) for word in command('--mode=evaluate', '--workdir', tmp_path / 'run')[1:]]!r}
sys.argv += ['--spec.eval.num_samples=100000']
runpy.run_path(sys.argv[0], run_name='__main__')
"""
  ended = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=300, preexec_fn=limited)
  assert ended.returncode == 143, ended.stderr[-2000:]
  assert 'SIGTERM' in ended.stdout + ended.stderr
