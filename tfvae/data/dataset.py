"""Data sets: as they are stored, and as spec.data asks for them. Importing this imports no TensorFlow."""

import abc
import functools
import math
import re
import zlib
from typing import NamedTuple

import numpy as np

from tfvae import memory
from tfvae.data import scaling as scaling_lib
from tfvae.errors import RunError, UserError, cut
from tfvae.observation import Observation


class Reader(abc.ABC):
  """Examples read by their number, by tf.data: for sets too large for memory, and to fill memory with the others.

  Attributes:
    size: how many there are.
    shape, dtype: of an example.
  """

  size: int
  shape: tuple[int, ...]
  dtype: np.dtype

  @abc.abstractmethod
  def fetch(self, positions):
    """What is stored of examples [K]: a tensor [K, ...], or a dict of them (records, paths, rows). Cheap."""

  @abc.abstractmethod
  def decode(self, stored, seed=None) -> dict:
    """{'x': [*shape], 'label': int32 [] where there is one} of one example; runs in parallel with others.

    seed: int32 [2], of what is drawn afresh in each epoch (where spec.data.crop_at=random crops). None: nothing is.
    """

  def explain(self, error: Exception) -> str:
    """What to tell a user where TensorFlow failed to read an example: what is broken, and what to do."""
    return f'an example cannot be read: {words(error)}'


def words(error: Exception) -> str:
  """What an error of TensorFlow says, without where in a graph it happened."""
  line = next(iter(str(error).splitlines()), '')
  line = re.sub(r'^{{.*?}} |Error in user-defined function .*? iterator: \S+: | \[Op:.*', '', line)
  return line[:200] or type(error).__name__


class Stored(NamedTuple):
  """A data set as it is stored, before it is split and scaled."""

  name: str
  splits: dict[str, dict[str, np.ndarray] | Reader]  # 'train'; 'test' and 'validation' where they are stored
  limits: tuple[float, float] | None = None  # black and white of images; None for other data, scaled by column
  columns: tuple[str, ...] = ()  # the names of a table's columns
  stack: bool = False  # of images: `Observation.stack`


class Part(NamedTuple):
  """A split whose examples are read when they are needed."""

  reader: Reader
  positions: np.ndarray  # [N] int64: of its examples, among the reader's


class Dataset(NamedTuple):
  """Splits of examples, and how a stored value becomes the observation: scale * value + offset."""

  name: str
  splits: dict[str, dict[str, np.ndarray] | Part]  # {'x': [N, ...], 'label': [N] where there is one}, or a Part
  scale: float
  offset: float
  limits: tuple[float, float]  # smallest and largest stored value of the training split
  extremes: tuple[float, float]  # of all splits
  bits: int  # depth that values are reduced to; 0: as stored
  binary: bool  # whether observations are made binary, however they are stored
  summary: dict  # what a run keeps of its data (data.json)
  stack: bool = False  # `Observation.stack`

  @property
  def shape(self) -> tuple[int, ...]:
    """Of one example."""
    return _shape(self.splits['train'])

  @property
  def observation(self) -> Observation:
    """What models know of an example."""
    values = (0.0, 1.0, 2) if self.binary else (*self.range(), self.levels)
    return Observation(self.shape, *values, stack=self.stack)

  def size(self, split: str) -> int:
    """Examples in a split."""
    return _size(self.splits[split])

  @property
  def stored_levels(self) -> int | None:
    """How many values a pixel may have (256, say), where they are whole numbers; None for other data."""
    part = self.splits['train']
    dtype = part.reader.dtype if isinstance(part, Part) else part['x'].dtype
    return int(self.limits[1] - self.limits[0]) + 1 if np.issubdtype(dtype, np.integer) else None

  @property
  def levels(self) -> int | None:
    """How many are left of them."""
    return 2**self.bits if self.bits and self.stored_levels else self.stored_levels

  def reduced(self, x):
    """Stored values, of a tensor of floating point, in so many levels."""
    return scaling_lib.reduced(x, self.limits, self.bits)

  def range(self) -> tuple[float, float]:
    """The smallest and the largest value of the scaled (and not yet binarised) training split."""
    low, high = (self.scale * end + self.offset for end in self.limits)
    return low, high


def _size(part):
  if isinstance(part, Reader):
    return part.size
  return len(part.positions) if isinstance(part, Part) else len(part['x'])


def _shape(part):
  if isinstance(part, (Reader, Part)):
    return tuple((part.reader if isinstance(part, Part) else part).shape)
  return tuple(part['x'].shape[1:])


def make(stored: Stored, section, seed: int, kept: dict | None = None) -> Dataset:
  """The data set that spec.data asks for: splits, scaling, in memory where it fits.

  What is not stored as a split of its own is a part of the training split, drawn from `seed`; scales are fitted on
  what remains. Images are kept as they are stored, and scaled when a batch is made; other data are scaled here, in
  float64, column by column, and kept as float32.

  Args:
    stored: what a loader gives.
    section: spec.data.
    seed: spec.seed.
    kept: the `summary` that a run keeps, whose scaling then holds.

  Raises:
    UserError: a fraction that leaves nothing, values that cannot be scaled, or splits to be pooled that are too large.
    RunError: the data are not those of `kept`.
  """
  positions = _split(stored, section, seed)
  if kept is not None:
    sizes = {split: len(chosen) for split, (_, chosen) in positions.items()}
    sizes['train'] += sizes['test'] if section.pool == 'train+test' else 0
    _compare(kept, {'shape': list(_shape(stored.splits['train'])), 'sizes': sizes})
  splits, scaling, kind = {}, (kept or {}).get('scaling'), section.scaling
  if scaling and isinstance(scaling['center'], list) != (stored.limits is None):
    raise RunError(
      'spec.data: the data have changed since the run began: images are no table; put the data back, '
      'or give another --workdir'
    )
  if stored.limits is None:
    names = _names(stored)
    fit = functools.partial(scaling_lib.fit_columns, stored.splits['train']['x'], names, positions['train'][1], kind)
    scaling, fit = scaling_lib.agreed(scaling, fit), None  # which holds the table as it is stored
    memory.require(
      4 * sum(part['x'].size for part in stored.splits.values()),
      f'the scaled values of {stored.name}',
      'a table must fit into memory: take fewer rows or columns',
    )
    scaled = {
      split: scaling_lib.scaled(part['x'], names, scaling, kind, split) for split, part in stored.splits.items()
    }
    stored = stored._replace(splits={split: {**part, 'x': scaled[split]} for split, part in stored.splits.items()})
  too_large = sum(_bytes(part, _size(part)) for part in stored.splits.values()) > section.memory_limit * 2**20
  # Of images that are cropped anew in each epoch, memory would have to hold all that is around the crops.
  held = {split: not too_large and (split != 'train' or section.crop_at != 'random') for split in positions}
  to_read = [(stored.splits[name], chosen) for split, (name, chosen) in positions.items() if held[split]]
  memory.require(
    sum(_bytes(part, len(chosen)) for part, chosen in to_read if isinstance(part, Reader)),
    f'the examples of {stored.name}',
    f'lower spec.data.memory_limit ({section.memory_limit} MiB), and they are read when they are needed',
  )
  for split, (name, chosen) in positions.items():
    splits[split] = _part(stored.splits[name], chosen, held[split])
  if stored.limits is None:
    scale, offset = 1.0, 0.0
    ends = [(float(part['x'].min()), float(part['x'].max())) for part in stored.splits.values() if len(part['x'])]
    extremes = (min(low for low, _ in ends), max(high for _, high in ends))
    # The part itself where it is in memory: taking it out once more would double a large table.
    train = splits['train']['x'] if not too_large else stored.splits['train']['x'][positions['train'][1]]
    limits = (float(train.min()), float(train.max()))
  else:
    limits = extremes = stored.limits
    # A pass over a large set is made once: data.json has a checksum, too.
    passes = isinstance(splits['train'], Part) and kind == 'standard'
    change = functools.partial(scaling_lib.reduced, limits=limits, bits=section.bits) if section.bits else None
    fit = lambda: scaling_lib.fit_images(limits, lambda: _moments(splits['train'], change), kind)
    scaling = scaling_lib.agreed(scaling, fit, not passes)
    scale, offset = 1 / scaling['width'], -scaling['center'] / scaling['width']
  if section.pool == 'train+test':
    splits['train'] = _joined(splits['train'], splits['test'], stored.name)
  binary = section.binarize != 'none'
  data = Dataset(stored.name, splits, scale, offset, limits, extremes, section.bits, binary, {}, stored.stack)
  data.summary.update(_summary(data, scaling))
  if kept is not None:
    _compare(kept, data.summary)
  return data


def _split(stored, section, seed):
  """split: (the stored split that it is a part of, positions in it)."""
  n = _size(stored.splits['train'])
  fractions = {'validation': section.validation}
  if 'test' not in stored.splits:
    fractions['test'] = section.test
  counts = {split: round(fraction * n) for split, fraction in fractions.items()}
  held_out = sum(counts.values())
  for split, fraction in fractions.items():
    if fraction and not (counts[split] and held_out < n):
      raise UserError(
        f'spec.data.{split}: got {fraction:g}, which is {counts[split]} of the {n} examples of {stored.name}; at least '
        'one must be left on each side'
      )
  order = np.random.default_rng([seed, 0]).permutation(n) if held_out else np.arange(n)
  positions, first = {'train': ('train', np.sort(order[held_out:]))}, 0
  for split, count in counts.items():
    if count:
      positions[split] = ('train', np.sort(order[first : first + count]))
      first += count
  for split, part in stored.splits.items():
    positions.setdefault(split, (split, np.arange(_size(part))))
  return positions


def _joined(first, second, name):
  """The examples of two splits in memory as one."""
  if isinstance(first, Part):
    raise UserError(
      f'spec.data.pool: got train+test, which holds both splits in memory, but {name} is larger than '
      'spec.data.memory_limit; raise that, or use train'
    )
  return {key: np.concatenate([first[key], second[key]]) for key in first if key in second}


def _bytes(part, size):
  dtype = part.dtype if isinstance(part, Reader) else part['x'].dtype
  return size * math.prod(_shape(part)) * np.dtype(dtype).itemsize


def _part(part, positions, held):
  """The examples of a stored split at these positions: held in memory, or read when they are needed."""
  if not isinstance(part, Reader):
    if not held:
      from tfvae.data.reading import ArrayReader

      return Part(ArrayReader(part), positions)
    whole = len(positions) == len(part['x'])
    return {name: array if whole else array[positions] for name, array in part.items()}
  if not held:
    return Part(part, positions)
  from tfvae.data.reading import read

  return read(Part(part, positions))


def _names(stored):
  """What messages call the columns of a table, or the one column of values that images are."""
  x = stored.splits['train']['x']
  if x.ndim != 2:
    return ['the data']
  columns = stored.columns or [None] * x.shape[1]
  return [f'column {number}' if name is None else f'column {cut(name, 60)!r}' for number, name in enumerate(columns)]


def _moments(train, change=None):
  """Mean and standard deviation of all values of a split of images; of what `change` makes of them."""
  if isinstance(train, Part) or change:
    from tfvae.data.reading import ArrayReader, moments

    part = train if isinstance(train, Part) else Part(ArrayReader(train), np.arange(len(train['x'])))
    return moments(part, change)
  return train['x'].mean(dtype=np.float64), train['x'].std(dtype=np.float64)


# What a run keeps.


def _summary(data, scaling):
  return {
    'name': data.name,
    'shape': list(data.shape),
    'sizes': {split: data.size(split) for split in data.splits},
    'scaling': scaling,
    'range': list(data.range()),
    'observation': data.observation.to_keep(),
    'fingerprint': zlib.crc32(
      repr([(split, _fingerprint(data.splits[split])) for split in sorted(data.splits)]).encode()
    ),
  }


def _fingerprint(part):
  """Checksums of up to 64 examples of a split, from the first to the last, and of their labels."""
  return sorted((name, zlib.crc32(np.ascontiguousarray(array))) for name, array in some(part).items())


def some(part):
  """Up to 64 examples of a split, from the first to the last."""
  chosen = np.unique(np.linspace(0, _size(part) - 1, 64).round().astype(np.int64))
  if isinstance(part, Part):
    from tfvae.data.reading import read

    return read(Part(part.reader, part.positions[chosen]))
  return {name: array[chosen] for name, array in part.items()}


def _compare(kept, now):
  for key, what in (
    ('shape', 'examples of shape'),
    ('sizes', 'splits of'),
    ('fingerprint', 'other examples, checksum'),
  ):
    if key in now and kept[key] != now[key]:
      raise RunError(
        f'spec.data: the data have changed since the run began: {what} {_words(now[key])}, the run has '
        f'{_words(kept[key])}. Put the data back, give another --workdir for a run on these, or '
        'start afresh with --overwrite (the run is set aside)'
      )


def _words(value):
  if isinstance(value, dict):
    return ', '.join(f'{count} ({split})' for split, count in value.items())
  return ' x '.join(map(str, value)) if isinstance(value, list) else str(value)
