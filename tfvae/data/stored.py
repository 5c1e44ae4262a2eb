"""Data sets as loaders give them, before they are split and scaled. Importing this imports no TensorFlow."""

import abc
import functools
import re
from typing import NamedTuple

import numpy as np


class Reader(abc.ABC):
  """Examples read by their number, by tf.data: for sets too large for memory, and to fill memory with the others.

  Attributes:
    size: how many there are.
    shape, dtype: of an example.
    labels: those of the examples, [size], where they are known before examples are read.
    classes: they are 0, ..., classes - 1, where a set declares that.
  """

  size: int
  shape: tuple[int, ...]
  dtype: np.dtype
  labels: np.ndarray | None = None
  classes: int | None = None

  @abc.abstractmethod
  def fetch(self, positions):
    """What is stored of examples [K]: a tensor [K, ...], or a dict of them (records, paths, rows). Cheap."""

  @abc.abstractmethod
  def decode(self, stored, seed=None) -> dict:
    """{'x': [*shape], 'label': int32 [] where there is one} of one example; runs in parallel with others.

    Beside them, where the set provides them, 'context' (uint8 [H, W, C], or numbers [D]), 'target' (as x), and integers
    [] of its own; what spec.data does not ask for may be left out, and is else dropped.

    seed: int32 [2], of what is drawn afresh in each epoch (where spec.data.crop_at=random crops). None: nothing is.
    """

  @functools.cached_property
  def specs(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each field that `decode` gives."""
    from tfvae.data.reading import specs

    return specs(self)

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
  # 'train'; 'test' and 'validation' where they are stored: arrays of what an example has (`Reader.decode`), or a Reader
  splits: dict[str, dict[str, np.ndarray] | Reader]
  limits: tuple[float, float] | None = None  # black and white of images; None for other data, scaled by column
  columns: tuple[str, ...] = ()  # the names of a table's columns
  stack: bool = False  # of images: `Observation.stack`


class Part(NamedTuple):
  """A split whose examples are read when they are needed."""

  reader: Reader
  positions: np.ndarray  # [N] int64: of its examples, among the reader's


def size(part: dict | Reader | Part) -> int:
  """How many examples."""
  if isinstance(part, Reader):
    return part.size
  return len(part.positions) if isinstance(part, Part) else len(part['x'])


def shape(part: dict | Reader | Part) -> tuple[int, ...]:
  """Of the x of one."""
  if isinstance(part, (Reader, Part)):
    return tuple((part.reader if isinstance(part, Part) else part).shape)
  return tuple(part['x'].shape[1:])


def some(part: dict | Part) -> dict[str, np.ndarray]:
  """Up to 64 examples of a split, from the first to the last."""
  chosen = np.unique(np.linspace(0, size(part) - 1, 64).round().astype(np.int64))
  if isinstance(part, Part):
    from tfvae.data.reading import read

    return read(Part(part.reader, part.positions[chosen]))
  return {name: array[chosen] for name, array in part.items()}
