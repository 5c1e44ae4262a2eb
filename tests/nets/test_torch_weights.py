"""Files of PyTorch, made here without it, in both of its formats."""

import collections
import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from tfvae.nets import pickled, torch_weights
from tfvae.nets.torch_weights import MAGIC


class Storage:
  """What a tensor is a view of, to be pickled as torch pickles it."""

  def __init__(self, kind, key, values):
    self.id = ('storage', kind, key, 'cpu', len(values))


@pytest.fixture
def torch(monkeypatch):
  """Modules with the names that torch pickles; pickle looks that they are there."""
  modules = {name: types.ModuleType(name) for name in ('torch', 'torch._utils')}
  for name in ('FloatStorage', 'LongStorage'):
    setattr(modules['torch'], name, type(name, (), {'__module__': 'torch'}))

  def _rebuild_tensor_v2():
    pass

  _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = 'torch._utils', '_rebuild_tensor_v2'
  modules['torch._utils']._rebuild_tensor_v2 = _rebuild_tensor_v2
  for name, module in modules.items():
    monkeypatch.setitem(sys.modules, name, module)
  return modules['torch'], _rebuild_tensor_v2


class Tensor:
  def __init__(self, rebuild, storage, offset, shape, strides):
    self.reduced = rebuild, (storage, offset, shape, strides, False, collections.OrderedDict())

  def __reduce__(self):
    return self.reduced


def dumped(value):
  class Pickler(pickle.Pickler):
    def persistent_id(self, thing):
      return thing.id if isinstance(thing, Storage) else None

  Pickler(buffer := io.BytesIO(), 2).dump(value)
  return buffer.getvalue()


def write(path, state, storages, zipped):
  if zipped:
    with zipfile.ZipFile(path, 'w') as archive:
      archive.writestr('weights/data.pkl', dumped(state))
      archive.writestr('weights/byteorder', b'little')
      for key, values in storages.items():
        archive.writestr(f'weights/data/{key}', values.tobytes())
    return
  parts = [dumped(value) for value in (MAGIC, 1001, {'little_endian': True}, state, list(storages))]
  parts += [np.int64(len(values)).tobytes() + values.tobytes() for values in storages.values()]
  path.write_bytes(b''.join(parts))


def example(torch, shape=(3, 2), offset=0):
  module, rebuild = torch
  storages = {'10': np.arange(12, dtype=np.float32), '11': np.array([7])}
  floats = Storage(module.FloatStorage, '10', storages['10'])
  counts = Storage(module.LongStorage, '11', storages['11'])
  state = collections.OrderedDict(
    whole=Tensor(rebuild, floats, 0, (3, 4), (4, 1)),
    turned=Tensor(rebuild, floats, 0, (4, 3), (1, 4)),
    part=Tensor(rebuild, floats, offset, shape, (4, 1)),
    count=Tensor(rebuild, counts, 0, (), ()),
  )
  state._metadata = collections.OrderedDict(version=1)
  return state, storages


@pytest.mark.parametrize('zipped', [True, False])
def test_tensors_are_read(torch, tmp_path, zipped):
  write(tmp_path / 'weights.pth', *example(torch, offset=1), zipped)
  found = torch_weights.read(tmp_path / 'weights.pth')
  whole = np.arange(12, dtype=np.float32).reshape(3, 4)
  assert list(found) == ['whole', 'turned', 'part', 'count'] and found['count'] == 7
  for name, wanted in (('whole', whole), ('turned', whole.T), ('part', whole[:, 1:3])):
    np.testing.assert_array_equal(found[name], wanted)
    assert found[name].dtype == np.float32


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('view', [{'shape': (3, 9)}, {'offset': 11}, {'offset': -4}, {'shape': (-1, 2)}])
def test_nothing_beyond_a_storage_is_read(torch, tmp_path, zipped, view):
  write(tmp_path / 'weights.pth', *example(torch, **view), zipped)
  with pytest.raises(ValueError, match='a tensor of shape'):
    torch_weights.read(tmp_path / 'weights.pth')


class Harmful:
  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('zipped', [True, False])
def test_nothing_is_executed(torch, tmp_path, zipped):
  state, storages = example(torch)
  state['harm'] = Harmful(tmp_path / 'harmed')
  write(tmp_path / 'weights.pth', state, storages, zipped)
  with pytest.raises(ValueError, match=r'asks for \w+\.mkdir.* not executed'):
    torch_weights.read(tmp_path / 'weights.pth')
  assert not (tmp_path / 'harmed').exists()


@pytest.mark.parametrize('zipped', [True, False])
def test_damaged_files(torch, tmp_path, zipped):
  write(tmp_path / 'weights.pth', *example(torch), zipped)
  content = (tmp_path / 'weights.pth').read_bytes()
  for size in (0, 5, 200, len(content) // 2, len(content) - 30):
    (tmp_path / 'part.pth').write_bytes(content[:size])
    with pytest.raises(ValueError, match='damaged'):
      torch_weights.read(tmp_path / 'part.pth')
  (tmp_path / 'text.pth').write_text('no weights')
  with pytest.raises(ValueError, match='no state_dict'):
    torch_weights.read(tmp_path / 'text.pth')
  write(tmp_path / 'list.pth', [1, 2], {}, zipped)
  with pytest.raises(ValueError, match='something else'):
    torch_weights.read(tmp_path / 'list.pth')


# A pickle made to be read badly. `t = (t, t)` eighty times over is 240 bytes, and 2**80 tuples to whoever walks it.

NESTED = b'K\x01' + b'q\x00h\x00\x86' * 80
STORAGE = b'(X\x07\x00\x00\x00storagectorch\nFloatStorage\n'


def packed(path, content):
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('weights/data.pkl', b'\x80\x02' + content + b'.')
    archive.writestr('weights/data/0', bytes(48))
  return path


@pytest.mark.parametrize(
  'content',
  [
    STORAGE + NESTED + b'X\x03\x00\x00\x00cpuK\x0ctQ',  # the key of a storage
    b'}' + NESTED + b'K\x01s',  # the name of a tensor
    b'}(' + NESTED + b'K\x01u',
    b'(' + NESTED + b'K\x01d',
    b'ccollections\nOrderedDict\n]' + NESTED + b'K\x01\x86a\x85R',
    b'ctorch._utils\n_rebuild_tensor_v2\n('
    + STORAGE
    + b'X\x01\x00\x00\x000NK\x0ctQK\x00'
    + NESTED
    + b'))tR',  # a shape
    NESTED,
    NESTED + b'Q',
    b'ccollections\nOrderedDict\n' + NESTED + b'R',
  ],
)
def test_nested_tuples(tmp_path, content):
  with pytest.raises(ValueError, match='it is no state_dict') as error:
    torch_weights.read(packed(tmp_path / 'weights.pth', content))
  assert len(str(error.value)) < 400


def test_nothing_of_ours_is_changed(torch, tmp_path):
  """Attributes that a pickle sets on what it names: on a function of ours, on a tensor."""
  for content in (
    b'ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__K\x05\x85s\x86b',
    b'ccollections\nOrderedDict\n)R}X\x06\x00\x00\x00valuesK\x05sb',
  ):
    path = packed(tmp_path / 'weights.pth', content)
    try:
      assert torch_weights.read(path) == {}
    except ValueError as error:
      assert 'it is no state_dict' in str(error)
    assert torch_weights._rebuild_tensor.__defaults__ is None
  write(tmp_path / 'weights.pth', *example(torch), True)
  assert torch_weights.read(tmp_path / 'weights.pth')


def test_long_names_are_cut(tmp_path):
  for content in (b'c' + b'm' * 10**5 + b'\nf\n', b'X\xa0\x86\x01\x00' + b'a' * 10**5 + b'Q'):
    with pytest.raises(ValueError, match='it is no state_dict') as error:
      torch_weights.read(packed(tmp_path / 'weights.pth', content))
    assert len(str(error.value)) < 400


def set_field(path, offset, value):
  """Of every member of a zip file: two bytes of its local and of its central header (2 further on)."""
  content = bytearray(path.read_bytes())
  for signature, at in ((b'PK\x03\x04', offset), (b'PK\x01\x02', offset + 2)):
    place = content.find(signature)
    while place >= 0:
      content[place + at : place + at + 2] = value.to_bytes(2, 'little')
      place = content.find(signature, place + 1)
  path.write_bytes(content)


@pytest.mark.parametrize(('offset', 'value', 'text'), [(6, 1, 'encrypted'), (8, 97, 'compression method')])
def test_encryption_and_unknown_compression(torch, tmp_path, offset, value, text):
  write(tmp_path / 'weights.pth', *example(torch), True)
  set_field(tmp_path / 'weights.pth', offset, value)
  with pytest.raises(ValueError, match=text):
    torch_weights.read(tmp_path / 'weights.pth')


def fuzz(torch, tmp_path, zipped, count, seed=0):
  """Weights with bytes changed, removed, repeated: tensors or a ValueError, and nothing is imported or called."""
  rng, path = np.random.default_rng(seed), tmp_path / 'weights.pth'
  write(path, *example(torch), zipped)
  whole, found = path.read_bytes(), 0
  for _ in range(count):
    content = bytearray(whole)
    for _ in range(rng.integers(1, 5)):
      at, size = rng.integers(0, len(content)), int(rng.integers(1, 9))
      kind = rng.integers(0, 4)
      if kind == 0:
        content[at] = rng.integers(0, 256)
      elif kind == 1:
        del content[at : at + size]
      elif kind == 2:
        content[at:at] = content[at : at + size] * int(rng.integers(1, 4))
      else:
        content[at:at] = rng.choice(
          [b'R', b'Q', b'b', b's', b'u', b't', b'0', b'\x93', b'(cos\nmkdir\nX\x01\x00\x00\x00atR']
        )
    path.write_bytes(content)
    try:
      found += all(isinstance(value, np.ndarray) for value in torch_weights.read(path).values())
    except ValueError as error:
      assert len(str(error)) < 400 and '\n' not in str(error)
  return found


@pytest.mark.parametrize('zipped', [True, False])
def test_mutations(torch, tmp_path, monkeypatch, zipped):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(pickle, 'Unpickler', None)
  assert fuzz(torch, tmp_path, zipped, 300) > 3
  assert [path.name for path in tmp_path.iterdir()] == ['weights.pth']


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(5))
def test_many_mutations(torch, tmp_path, seed):
  for zipped in (True, False):
    fuzz(torch, tmp_path, zipped, 20_000, seed)


def test_what_a_pickle_holds():
  """Against Python's own reader, in every protocol."""
  value = {
    'a': [1, -5, 2**40, 1.5, None, True, False, 'ä' * 300],
    3: ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    '': {},
  }
  value['again'] = value['a']
  for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    found = pickled.load(io.BytesIO(pickle.dumps(value, protocol)), {}, None)
    assert found == value and found['again'] is found['a']
