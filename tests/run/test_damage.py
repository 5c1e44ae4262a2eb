"""Run directories that are damaged, or from a stranger: each file is named, or mended aloud; no link is followed."""

import io
import shutil
import struct
import zipfile

import numpy as np
import pytest
from conftest import DAMAGES, damage

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.errors import UserError
from tfvae.observation import Observation
from tfvae.trained import Run

JSON = {
  'empty': b'',
  'cut short': None,  # the first half of what is there
  'not UTF-8': b'{"step": 1, "split": "\xff\xfe"}\n',
  'null': b'null\n',
  'a list': b'[]\n',
  'an object': b'{}\n',
  'a number': b'7\n',
  'a text': b'"step"\n',
  'too deep': b'[' * 200_000 + b']' * 200_000 + b'\n',
  'a huge number': b'{"step": ' + b'9' * 5000 + b'}\n',
  'other types': b'{"step": "1", "split": 3, "name": [], "shape": "x", "sizes": 3, "scaling": null, "bounds": [1]}\n',
  'NaN': b'{"step": NaN, "split": "test", "elbo": Infinity, "shape": [NaN], "bounds": {"settings": 1}}\n',
  'nested': b'{"step": 1, "split": "test", "elbo": {"elbo": [[1]]}, "bounds": {"settings": {}, "numbers": {"a": 0}}}\n',
}
TEXTS = ('spec.json', 'data.json', 'metrics.jsonl', 'evaluation.json', 'evaluations/test-40.json', 'environment.json')
TEXTS += ('saved.json',)
ARCHIVES = (
  'arrays/samples-test-40.npz',
  'samples/prior.npz',
  'reference/fid-0.npz',
  'arrays/frames/points-test-20.npz',
)


def npz(**arrays):
  file = io.BytesIO()
  np.savez_compressed(file, **arrays)
  return file.getvalue()


def member(content, method=zipfile.ZIP_DEFLATED):
  """An archive with one member of these bytes."""
  file = io.BytesIO()
  with zipfile.ZipFile(file, 'w', method) as archive:
    archive.writestr('x.npy', content)
  return file.getvalue()


def patched(content, at, value):
  """The same with other bytes in the local and the central header of the first member."""
  for signature, offset in ((b'PK\3\4', at), (b'PK\1\2', at + 2)):
    begin = content.index(signature) + offset
    content = content[:begin] + value + content[begin + len(value) :]
  return content


def flipped(content):
  """The same with other bytes in the compressed data of the first member."""
  begin = content.index(b'PK\3\4')
  names, extra = struct.unpack('<HH', content[begin + 26 : begin + 30])
  at = begin + 30 + names + extra
  return content[:at] + b'\xff\xff\xff\xff' + content[at + 4 :]


def corruptions(path):
  """name: what stands in a file's place."""
  if path.suffix != '.npz':
    return {name: path.read_bytes()[: path.stat().st_size // 2] if new is None else new for name, new in JSON.items()}
  x = np.zeros((3, 4, 4, 1))
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(header, {'descr': '<f8', 'fortran_order': False, 'shape': (10**15,)})
  whole = path.read_bytes()
  return {
    'empty': b'',
    'cut short': whole[: len(whole) // 2],
    'no archive': b'x' * 1000,
    'a bare array': header.getvalue(),
    'zlib': flipped(whole),
    'unknown compression': patched(whole, 8, b'\x63\x00'),
    'encrypted': patched(whole, 6, b'\x01\x00'),
    'objects': npz(x=np.array([{}, None], object), mean=np.array(None, object)),
    'no array': member(b'not an array'),
    'larger than memory': member(header.getvalue()),
    'other arrays': npz(y=x),
    'no arrays': npz(),
    'texts': npz(
      **{name: np.array('text') for name in ('x', 'mean', 'prior', 'reconstruction', 'value_range', 'z', 'key')}
    ),
    'other shapes': npz(
      **{name: np.zeros((2,)) for name in ('x', 'mean', 'prior', 'reconstruction', 'value_range', 'z')}
    ),
    'NaN': npz(**{name: x * np.nan for name in ('x', 'mean', 'prior', 'reconstruction', 'value_range', 'z', 'draw')}),
  }


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A run that was trained, evaluated and sampled, and its spec."""
  spec = spec_lib.base(('z1',))
  spec.model.z1.update({'dim': 2, 'encoder': {'hidden': (8,)}})
  spec.decoder.net.hidden = (8,)
  spec.train.update({'steps': 40, 'compile': 'graph', 'checkpoint_every': 20, 'log_every': 10})
  spec.eval.update({'every': 20, 'num_samples': 2, 'evaluators': ('bounds', 'samples'), 'during': ('bounds',)})
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(commands, '_draw', lambda *of: [])
    patch.setattr(commands, '_draw_samples', lambda run, names=None, kinds=(): [])
    run = commands.train(spec, tmp_path_factory.mktemp('whole') / 'run')
    commands.sample(run.workdir, {'sample.what': 'prior', 'sample.num': 4})
  run.write_reference(
    'fid-0', {'key': np.array('a'), 'count': np.array(3), 'mean': np.zeros(2), 'covariance': np.eye(2)}
  )
  run.write_frame('points', 'test', 20, {'z': np.zeros((3, 2)), 'label': np.zeros(3), 'entropy': np.zeros(2)})
  return run.workdir, spec


@pytest.fixture
def copied(whole, tmp_path, monkeypatch):
  """A copy of the run, whose figures are laid out but not rendered."""
  monkeypatch.setattr('matplotlib.figure.Figure.savefig', lambda figure, file, **_: file.write(bytes(32)))
  shutil.copytree(whole[0], tmp_path / 'run')
  return tmp_path / 'run'


def attempt(function, *args):
  """What it gives, or the UserError that it raises."""
  try:
    return function(*args)
  except UserError as error:
    return error


@pytest.mark.parametrize('name', [*TEXTS, *ARCHIVES])
def test_damaged_files_are_named_or_mended_aloud(name, copied, capsys):
  """Every file in every way, through everything that reads it."""
  kept = (copied / name).read_bytes()
  for how, content in corruptions(copied / name).items():
    (copied / name).write_bytes(content)
    run = Run(copied)
    found = [
      attempt(lambda of=of, run=run: getattr(run, of)) for of in ('spec', 'data', 'metrics', 'evaluation', 'starts')
    ]
    if not isinstance(found[0], UserError):
      found += [
        attempt(run.found, 40, 'test'),
        attempt(lambda run=run: run.saved),
        attempt(run.arrays, 'samples', 'test'),
      ]
      found += [attempt(run.frames, 'points', 'test'), attempt(run.read_samples, 'prior'), run.read_reference('fid-0')]
    told = capsys.readouterr().out + '\n'.join(str(value) for value in found if isinstance(value, UserError))
    valid = how in ('other arrays', 'no arrays', 'texts', 'other shapes', 'NaN') and name.endswith('.npz')
    valid |= (name, how) in (
      ('metrics.jsonl', 'empty'),
      ('evaluations/test-40.json', 'an object'),
      ('environment.json', 'an object'),
      ('saved.json', 'nested'),
      ('metrics.jsonl', 'cut short'),  # as a crash leaves its last line
    )
    assert valid or str(copied / name) in told, (how, told)
    (copied / name).write_bytes(kept)


def modes(spec):
  return {
    'report': lambda path: commands.report(path),
    'evaluate': lambda path: commands.evaluate(path),
    'train': lambda path: commands.train(spec, path),
  }


MENDED = {
  'report': (),
  'evaluate': ('evaluation.json', 'evaluations/test-40.json', 'arrays/samples-test-40.npz'),
  'train': (*TEXTS, 'arrays/samples-test-40.npz'),
}
SOME = {
  'spec.json': ('too deep',),
  'data.json': ('an object',),
  'metrics.jsonl': ('not UTF-8', 'other types'),
  'evaluation.json': ('null',),
  'evaluations/test-40.json': ('nested',),
  'arrays/samples-test-40.npz': ('zlib', 'other arrays'),
  'samples/prior.npz': ('unknown compression', 'texts'),
}


@pytest.mark.parametrize('mode', ['report', 'evaluate', 'train'])
@pytest.mark.parametrize('files', [SOME, pytest.param(None, marks=pytest.mark.slow)], ids=['some', 'all'])
def test_commands_on_a_damaged_run(mode, files, whole, tmp_path, monkeypatch, capsys):
  """They end as they should, or with a line; a UserError names what is damaged."""
  monkeypatch.setattr('matplotlib.figure.Figure.savefig', lambda figure, file, **_: file.write(bytes(32)))
  if mode == 'train':
    monkeypatch.setattr(commands, '_draw', lambda *of: [])
  for name in files or (*TEXTS, *ARCHIVES):
    for how, content in corruptions(whole[0] / name).items():
      if files and (how not in files[name] or (mode == 'evaluate' and name.startswith('samples'))):
        continue
      path = tmp_path / 'run'
      shutil.copytree(whole[0], path)
      (path / name).write_bytes(content)
      found = attempt(modes(whole[1])[mode], path)
      if isinstance(found, UserError):
        assert name in str(found) or 'has another spec' in str(found), (name, how, found)
      elif name in MENDED[mode]:
        assert (path / name).read_bytes() != content or how == 'empty', (name, how)  # mended
      shutil.rmtree(path)
  capsys.readouterr()


@pytest.mark.parametrize('how', DAMAGES)
def test_weights_from_the_checkpoint_before_a_broken_one(how, copied, whole, capsys):
  """As train.init_from takes them."""
  damage(copied / 'checkpoints', 40, how)
  shape = tuple(Run(copied).data['shape'])
  model, older = build.model(whole[1], Observation(shape)), build.model(whole[1], Observation(shape))
  Run(copied).initialize(model)
  assert 'Broken and passed over: ckpt-40' in capsys.readouterr().out
  assert Run(copied).restore(older, step=20)[1] == 20
  for one, other in zip(model.variables, older.variables, strict=True):
    np.testing.assert_array_equal(one.numpy(), other.numpy())
