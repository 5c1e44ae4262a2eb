"""Data sets as spec.data asks for them: split and scaled. Importing this imports no TensorFlow."""

import functools
import zlib
from typing import NamedTuple

import numpy as np

from tfvae import memory
from tfvae.data import fields
from tfvae.data import scaling as scaling_lib
from tfvae.data import stored as stored_lib
from tfvae.data.stored import Part, Reader, Stored
from tfvae.errors import RunError, UserError, cut
from tfvae.observation import Observation


class Dataset(NamedTuple):
  """Splits of examples, and how a stored value becomes the observation: scale * value + offset."""

  name: str
  # {'x': [N, ...], 'label', 'context', 'target' and integers [N] of its own, where there are such}, or a Part
  splits: dict[str, dict[str, np.ndarray] | Part]
  scale: float
  offset: float
  limits: tuple[float, float]  # smallest and largest stored value of the training split
  extremes: tuple[float, float]  # of all splits
  bits: int  # depth that values are reduced to; 0: as stored
  binary: bool  # whether observations are made binary, however they are stored
  summary: dict  # what a run keeps of its data (data.json)
  context: tuple[int, ...] | None = None  # the shape of a context, () of a label; None: there is none
  stack: bool = False  # `Observation.stack`
  drawn: bool = False  # whether which examples a split has depends on spec.seed

  @property
  def shape(self) -> tuple[int, ...]:
    """Of one example."""
    return stored_lib.shape(self.splits['train'])

  @property
  def observation(self) -> Observation:
    """What models know of an example."""
    values = (0.0, 1.0, 2) if self.binary else (*self.range(), self.levels)
    return Observation(self.shape, *values, self.context, self.stack)

  def size(self, split: str) -> int:
    """Examples in a split."""
    return stored_lib.size(self.splits[split])

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


def make(stored: Stored, section, seed: int, kept: dict | None = None) -> Dataset:
  """The data set that spec.data asks for: splits, scaling, in memory where it fits.

  What is not stored as a split of its own is a part of the training split, drawn from `seed`; scales are fitted on
  what remains. Images are kept as they are stored, and scaled when a batch is made; other data are scaled here, in
  float64, column by column, and kept as float32: targets by the columns of x, contexts by their own.

  Args:
    stored: what a loader gives.
    section: spec.data.
    seed: spec.seed.
    kept: the `summary` that a run keeps, whose scaling then holds.

  Raises:
    UserError: a context or a target that the set does not provide, a fraction that leaves nothing, values that cannot
      be scaled, or splits to be pooled that are too large.
    RunError: the data are not those of `kept`.
  """
  stored, beside = fields.asked(stored, section), fields.wanted(section)
  positions, context = _split(stored, section, seed), fields.context(stored, section)
  if kept is not None:
    sizes = {split: len(chosen) for split, (_, chosen) in positions.items()}
    sizes['train'] += sizes['test'] if section.pool == 'train+test' else 0
    _compare(kept, {'shape': list(stored_lib.shape(stored.splits['train'])), 'sizes': sizes, 'context': context})
  splits, scaling, kind = {}, dict((kept or {}).get('scaling', {})), section.scaling
  scaling_of_context = scaling.pop('context', None)
  if scaling and isinstance(scaling['center'], list) != (stored.limits is None):
    raise RunError(
      'spec.data: the data have changed since the run began: images are no table; put the data back, '
      'or give another --workdir'
    )
  if stored.limits is None:
    names = _names(stored)
    fit = functools.partial(scaling_lib.fit_columns, stored.splits['train']['x'], names, positions['train'][1], kind)
    scaling, fit = scaling_lib.agreed(scaling or None, fit), None  # which holds the table as it is stored
    memory.require(
      4 * sum(part[name].size for part in stored.splits.values() for name in ('x', 'target') if name in part),
      f'the scaled values of {stored.name}',
      'a table must fit into memory: take fewer rows or columns',
    )
    scaled = {split: _scaled(part, names, scaling, kind, split) for split, part in stored.splits.items()}
    stored = stored._replace(splits={split: part | scaled[split] for split, part in stored.splits.items()})
  if section.context == 'own':
    stored, scaling_of_context = fields.scaled(stored, positions['train'][1], kind, scaling_of_context)
  whole = sum(fields.num_bytes(part, stored_lib.size(part), beside) for part in stored.splits.values())
  too_large = whole > section.memory_limit * 2**20
  # Of images that are cropped anew in each epoch, memory would have to hold all that is around the crops.
  held = {split: not too_large and (split != 'train' or section.crop_at != 'random') for split in positions}
  to_read = [(stored.splits[name], chosen) for split, (name, chosen) in positions.items() if held[split]]
  memory.require(
    sum(fields.num_bytes(part, len(chosen), beside) for part, chosen in to_read if isinstance(part, Reader)),
    f'the examples of {stored.name}',
    f'lower spec.data.memory_limit ({section.memory_limit} MiB), and they are read when they are needed',
  )
  for split, (name, chosen) in positions.items():
    splits[split] = _part(stored.splits[name], chosen, held[split])
  if stored.limits is None:
    scale, offset = 1.0, 0.0
    values = [part[name] for part in stored.splits.values() for name in ('x', 'target') if name in part]
    ends = [(float(of.min()), float(of.max())) for of in values if len(of)]
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
    scaling = scaling_lib.agreed(scaling or None, fit, not passes)
    scale, offset = 1 / scaling['width'], -scaling['center'] / scaling['width']
  if section.pool == 'train+test':
    splits['train'] = _joined(splits['train'], splits['test'], stored.name)
  binary = section.binarize != 'none'
  drawn = len({name for name, _ in positions.values()}) < len(positions)
  numbers = (scale, offset, limits, extremes, section.bits, binary)
  data = Dataset(stored.name, splits, *numbers, {}, context, stored.stack, drawn)
  data.summary.update(_summary(data, scaling | ({'context': scaling_of_context} if scaling_of_context else {})))
  if kept is not None:
    _compare(kept, data.summary)
  return data


def _split(stored, section, seed):
  """split: (the stored split that it is a part of, positions in it)."""
  n = stored_lib.size(stored.splits['train'])
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
    positions.setdefault(split, (split, np.arange(stored_lib.size(part))))
  return positions


def _joined(first, second, name):
  """The examples of two splits in memory as one."""
  if isinstance(first, Part):
    raise UserError(
      f'spec.data.pool: got train+test, which holds both splits in memory, but {name} is larger than '
      'spec.data.memory_limit; raise that, or use train'
    )
  return {key: np.concatenate([first[key], second[key]]) for key in first if key in second}


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


def _scaled(part, names, scaling, kind, split):
  """The x, and the target where there is one, of a split of a table."""
  found = {'x': scaling_lib.scaled(part['x'], names, scaling, kind, split)}
  if 'target' in part:
    named = [f'{name} of the targets' for name in names]
    found['target'] = scaling_lib.scaled(part['target'], named, scaling, kind, split)
  return found


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
  return sorted((name, zlib.crc32(np.ascontiguousarray(array))) for name, array in stored_lib.some(part).items())


def _compare(kept, now):
  kept = kept | {'context': Observation.kept(kept).context}
  for key, what in (
    ('shape', 'examples of shape'),
    ('context', 'contexts of shape'),
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
  return ' x '.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
