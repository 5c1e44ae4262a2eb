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

from tfvae.nets import torch_weights
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
