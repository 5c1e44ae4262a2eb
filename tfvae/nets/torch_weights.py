"""Tensors of a file of PyTorch, read without PyTorch and without doing what a pickle asks for."""

import io
import pathlib
import zipfile

import numpy as np

from tfvae.errors import cut
from tfvae.nets import pickled

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
MOST_AXES = 64
MOST_BYTES = 2**26  # of a pickle: that of a network with 10,000 tensors has 1 MB


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The tensors of a state_dict that torch.save wrote, by name, in its zip format or the one before it.

  A pickle inside may name tensors, their storages and ordered dicts; anything else it names is refused, not imported.

  Raises:
    ValueError: the file is no such file, is damaged, or holds something else.
  """
  try:
    found = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    if type(found) is not dict or not all(type(value) in (_Tensor, dict) for value in found.values()):
      raise ValueError('it holds something else than the tensors of a state_dict')
    return {str(name): tensor.array() for name, tensor in found.items() if type(tensor) is _Tensor}
  except Exception as error:  # of a file made to be broken: all kinds, those of zipfile and zlib among them
    what = cut(str(error), 200) if isinstance(error, ValueError) else cut(f'{type(error).__name__}: {error}', 200)
    raise ValueError(f'it is no state_dict of torch.save, or damaged: {what}') from None


class _Storage:
  """Numbers that tensors are views of; `values` is set when they have been read."""

  def __init__(self, dtype: str, size: int):
    self.dtype, self.size, self.values = np.dtype(dtype), size, None

  def fill(self, content: bytes):
    self.values = np.frombuffer(content, self.dtype, self.size)

  @property
  def num_bytes(self):
    return self.size * self.dtype.itemsize


class _Tensor:
  """A view of a storage."""

  def __init__(self, storage, offset, shape, strides):
    numbers = (offset, *shape, *strides)
    if type(storage) is not _Storage or any(type(n) is not int for n in numbers) or len(numbers) > 2 * MOST_AXES:
      raise ValueError('a tensor that is none')
    if len(shape) != len(strides) or min(numbers) < 0 or max(numbers) >= 2**63:
      raise ValueError(f'a tensor of shape {shape} and strides {strides}')
    self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)

  def array(self) -> np.ndarray:
    values, shape, strides = self.storage.values, self.shape, self.strides
    if values is None:
      raise ValueError('a tensor without numbers')
    if 0 in shape:
      return np.zeros(shape, values.dtype)
    last = self.offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if last >= len(values):
      raise ValueError(f'a tensor of shape {shape} lies beyond its storage of {len(values)}')
    strides = [stride * values.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(values[self.offset :], shape, strides, writeable=False)


def _rebuild_tensor(storage, offset, shape, strides, *rest):
  del rest  # whether it needs a gradient, and hooks
  return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor, *rest):
  del rest
  return tensor


ALLOWED = {
  ('collections', 'OrderedDict'): pickled.dictionary,
  ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
  ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
  ('torch._utils', '_rebuild_parameter'): _rebuild_parameter,
  **{('torch', name): dtype for name, dtype in DTYPES.items()},
}


def _load(file, storages=None):
  """The next pickle; the storages that it speaks of go into `storages`, by their keys."""

  def saved(parts):
    if type(parts) is not tuple or len(parts) not in (5, 6) or parts[0] != 'storage' or parts[5:] not in ((), (None,)):
      raise ValueError('it holds something else than whole storages of tensors')
    dtype, key, size = parts[1], parts[2], parts[4]
    is_right = type(dtype) is pickled.Name and dtype.value in DTYPES.values()
    if storages is None or not is_right or type(key) is not str or type(size) is not int or not 0 <= size < 2**60:
      raise ValueError('it has a storage of no known type, key or size')
    return storages.setdefault(key, _Storage(dtype.value, size))

  return pickled.load(file, ALLOWED, saved)


def _read_zip(path):
  storages = {}
  with zipfile.ZipFile(path) as archive:
    names = archive.namelist()
    roots = [name.removesuffix('data.pkl') for name in names if name.count('/') <= 1 and name.endswith('data.pkl')]
    if len(roots) != 1:
      raise ValueError('it has not one data.pkl')
    root = roots[0]
    if f'{root}byteorder' in names and _content(archive, f'{root}byteorder', MOST_BYTES) != b'little':
      raise ValueError('its numbers are not in little-endian order')
    found = _load(io.BytesIO(_content(archive, f'{root}data.pkl', MOST_BYTES)), storages)
    for key, storage in storages.items():
      storage.fill(_content(archive, f'{root}data/{key}', storage.num_bytes))
  return found


def _content(archive, name, most):
  """Not more than `most` bytes of a member, as a small file may hold a very large one."""
  with archive.open(name) as file:
    return file.read(most)


def _read_legacy(path):
  storages, file = {}, io.BytesIO(path.read_bytes())
  if _load(file) != MAGIC:
    raise ValueError('it does not begin as such a file does')
  for _ in range(2):  # the version of the format, and sizes of C's types
    _load(file)
  found, keys = _load(file, storages), _load(file)
  if type(keys) is not list or any(type(key) is not str or key not in storages for key in keys):
    raise ValueError('its storages are not those of its tensors')
  for key in keys:
    size = int.from_bytes(file.read(8), 'little')
    if size != storages[key].size:
      raise ValueError(f'a storage of {size} numbers, not {storages[key].size}')
    storages[key].fill(file.read(storages[key].num_bytes))
  return found
