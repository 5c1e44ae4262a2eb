"""Tensors of a file of PyTorch, read without PyTorch and without running what a pickle asks for."""

import collections
import pathlib
import pickle
import zipfile

import numpy as np

DTYPES = {
  'FloatStorage': '<f4',
  'DoubleStorage': '<f8',
  'HalfStorage': '<f2',
  'LongStorage': '<i8',
  'IntStorage': '<i4',
  'ShortStorage': '<i2',
  'CharStorage': '<i1',
  'ByteStorage': '<u1',
  'BoolStorage': '<?',
}
MAGIC = 0x1950A86A20F9469CFC6C  # of torch.save before version 1.6
MISMATCHES = (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, MemoryError)


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The tensors of a state_dict that torch.save wrote, by name, in its zip format or the one before it.

  A pickle inside may name tensors, their storages and ordered dicts; anything else it names is refused, not imported.

  Raises:
    ValueError: the file is no such file, is damaged, or holds something else.
  """
  try:
    found = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
  except pickle.UnpicklingError as error:
    raise ValueError(f'it is no state_dict of torch.save, or damaged: {error}') from None
  except (zipfile.BadZipFile, *MISMATCHES) as error:
    raise ValueError(f'it is damaged, or no file of torch.save ({type(error).__name__}: {error})') from None
  if not isinstance(found, dict) or not all(isinstance(v, (_Tensor, dict)) for v in found.values()):
    raise ValueError('it holds something else than the tensors of a state_dict')
  try:
    return {str(name): tensor.array() for name, tensor in found.items() if isinstance(tensor, _Tensor)}
  except MISMATCHES as error:
    raise ValueError(f'it is damaged ({error})') from None


class _Storage:
  """Numbers that tensors are views of; `values` is set when they have been read."""

  def __init__(self, dtype: str, size: int):
    self.dtype, self.size, self.values = np.dtype(dtype), size, None


class _Tensor:
  """A view of a storage."""

  def __init__(self, storage, offset, shape, strides):
    self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)

  def array(self) -> np.ndarray:
    values, shape, strides = self.storage.values, self.shape, self.strides
    numbers = (self.offset, *shape, *strides)
    if len(shape) != len(strides) or any(not isinstance(n, int) or n < 0 for n in numbers):
      raise ValueError(f'a tensor of shape {shape} and strides {strides}')
    last = self.offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= len(values):
      raise ValueError(f'a tensor of shape {shape} lies beyond its storage of {len(values)}')
    if 0 in shape:
      return np.zeros(shape, values.dtype)
    strides = [stride * values.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(values[self.offset :], shape, strides, writeable=False)


def _rebuild_tensor(storage, offset, shape, strides, *rest):
  del rest  # whether it needs a gradient, and hooks
  return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor, *rest):
  del rest
  return tensor


ALLOWED = {
  ('collections', 'OrderedDict'): collections.OrderedDict,
  ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
  ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
  ('torch._utils', '_rebuild_parameter'): _rebuild_parameter,
  **{('torch', name): dtype for name, dtype in DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
  def __init__(self, file, storages: dict[str, _Storage]):
    super().__init__(file, encoding='utf-8')
    self._storages = storages

  def find_class(self, module, name):
    if (module, name) not in ALLOWED:
      raise pickle.UnpicklingError(f'it asks for {module}.{name}, which no tensor needs; it was not executed')
    return ALLOWED[module, name]

  def persistent_load(self, saved):
    kind, dtype, key, _, size, *view = saved
    if kind != 'storage' or any(part is not None for part in view):
      raise pickle.UnpicklingError('it holds something else than whole storages of tensors')
    return self._storages.setdefault(str(key), _Storage(dtype, size))


def _read_zip(path):
  storages = {}
  with zipfile.ZipFile(path) as archive:
    names = archive.namelist()
    (root,) = (name.removesuffix('data.pkl') for name in names if name.count('/') <= 1 and name.endswith('data.pkl'))
    if f'{root}byteorder' in names and archive.read(f'{root}byteorder') != b'little':
      raise ValueError('its numbers are not in little-endian order')
    with archive.open(f'{root}data.pkl') as file:
      found = _Unpickler(file, storages).load()
    for key, storage in storages.items():
      storage.values = np.frombuffer(archive.read(f'{root}data/{key}'), storage.dtype, storage.size)
  return found


def _read_legacy(path):
  storages = {}
  with open(path, 'rb') as file:
    if _Unpickler(file, {}).load() != MAGIC:
      raise ValueError('it does not begin as such a file does')
    for _ in range(2):  # the version of the format, and sizes of C's types
      _Unpickler(file, {}).load()
    found = _Unpickler(file, storages).load()
    for key in _Unpickler(file, {}).load():
      storage = storages[str(key)]
      (size,) = np.frombuffer(file.read(8), '<i8')
      if size != storage.size:
        raise ValueError(f'a storage of {size} numbers, not {storage.size}')
      storage.values = np.frombuffer(file.read(size * storage.dtype.itemsize), storage.dtype, size)
  return found
