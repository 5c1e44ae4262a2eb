"""Reading examples through tf.data: into memory, or a batch at a time."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfvae.data.stored import Part, Reader
from tfvae.errors import UserError

FETCHED = 64  # examples fetched and decoded in one call, whose cost would exceed that of decoding a small image
CHUNK = 2**24  # bytes: fewer are where examples are large, as one chunk is held for each core


class ArrayReader(Reader):
  """Rows of arrays in the memory of the host."""

  def __init__(self, arrays: dict[str, np.ndarray]):
    self._arrays = arrays
    x = arrays['x']
    self.size, self.shape, self.dtype = len(x), x.shape[1:], x.dtype
    self.labels = arrays.get('label')

  def fetch(self, positions):
    names = list(self._arrays)
    rows = tf.numpy_function(
      lambda at: [self._arrays[name][at] for name in names], [positions], [self._arrays[name].dtype for name in names]
    )
    for name, row in zip(names, rows, strict=True):
      row.set_shape([positions.shape[0], *self._arrays[name].shape[1:]])
    return dict(zip(names, rows, strict=True))

  def decode(self, stored, seed=None):
    return stored


class Fields(Reader):
  """The examples of another reader without some of their fields, and with their contexts scaled.

  Args:
    reader: the other.
    scaling: {'center', 'width'} of contexts, as `scaling.fit_columns` finds them. None: contexts are left as they are.
    without: the names of what is left out.
  """

  def __init__(self, reader: Reader, scaling: dict | None = None, without: tuple[str, ...] = ()):
    self.size, self.shape, self.dtype = reader.size, reader.shape, reader.dtype
    self.labels, self.classes = reader.labels, reader.classes
    self._reader, self._without, self._scaling = reader, without, None
    if scaling:
      with tf.device('CPU'):  # no constants of the graph, where a division by them would become a product: other bits
        self._scaling = {name: tf.constant(values, tf.float64) for name, values in scaling.items()}

  def fetch(self, positions):
    return self._reader.fetch(positions)

  def decode(self, stored, seed=None):
    decoded = self._reader.decode(stored, seed)
    decoded = {name: value for name, value in decoded.items() if name not in self._without}
    if self._scaling:
      context = tf.cast(decoded['context'], tf.float64)
      decoded['context'] = tf.cast((context - self._scaling['center']) / self._scaling['width'], tf.float32)
    return decoded

  def explain(self, error):
    return self._reader.explain(error)


class Labelled(Reader):
  """The examples of another reader, of labels 0, ..., classes - 1: another one is an error where it is read.

  problem: what is then told, a line without brackets.

  Attributes:
    reader: the other one.
  """

  def __init__(self, reader: Reader, classes: int, problem: str):
    self.size, self.shape, self.dtype = reader.size, reader.shape, reader.dtype
    self.labels, self.classes = reader.labels, reader.classes
    self.reader, self._allowed, self._problem = reader, classes, problem

  def fetch(self, positions):
    return self.reader.fetch(positions)

  def decode(self, stored, seed=None):
    decoded = self.reader.decode(stored, seed)
    label = decoded['label']
    is_one = tf.logical_and(label >= 0, label < tf.cast(self._allowed, label.dtype))
    with tf.control_dependencies([tf.debugging.Assert(is_one, [self._problem, label])]):
      return decoded | {'label': tf.identity(label)}

  def explain(self, error):
    return self._problem if self._problem in str(error) else self.reader.explain(error)


def specs(reader: Reader) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
  """Shape and type of each field of an example."""
  found = examples(Part(reader, np.arange(1)), tf.data.Dataset.range(1)).element_spec
  return {name: (tuple(of.shape), np.dtype(of.dtype.as_numpy_dtype)) for name, of in found.items() if name != 'index'}


def contexts(part: Part) -> np.ndarray:
  """Those of all examples of a split, in memory."""
  return read(part, lambda example: {name: example[name] for name in ('context', 'index')})['context']


def examples(part: Part, numbers: tf.data.Dataset, transform: Callable = lambda example: example) -> tf.data.Dataset:
  """The examples of a split whose numbers are the elements of `numbers` (int64 []), in that order, decoded in parallel.

  An element is what the reader's `decode` gives and 'index', through `transform`. Elements (number, seed: int32 [2]) of
  `numbers` also say what `decode` draws from.
  """
  positions, reader = tf.constant(part.positions), part.reader

  def fetch(index, *seed):
    return index, reader.fetch(tf.gather(positions, index)), *seed

  def decode(index, stored, *seed):
    return transform(reader.decode(stored, *seed) | {'index': index})

  size = math.prod(reader.shape) * np.dtype(reader.dtype).itemsize
  chunks = numbers.batch(max(1, min(FETCHED, CHUNK // max(size, 1)))).map(fetch, num_parallel_calls=2)
  element = chunks.unbatch().map(decode).element_spec

  def decode_all(*chunk):
    return tf.map_fn(lambda one: decode(*one), chunk, fn_output_signature=element, parallel_iterations=1)

  return chunks.map(decode_all, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).unbatch()


def iterator(dataset: tf.data.Dataset) -> Iterator:
  """iter(dataset) whose stages remain parallel where TensorFlow's op determinism is on.

  With it, TensorFlow makes every stage of a pipeline wait for the others, and prefetches nothing, as soon as one calls
  Python (`make_deterministic`, which is done when an iterator is made and which no option of tf.data turns off). The
  stages here call Python only to look rows up, and keep their order.
  """
  from tensorflow.python.framework import config

  if not config.is_op_determinism_enabled():
    return iter(dataset)
  config.disable_op_determinism()
  try:
    return iter(dataset)
  finally:
    config.enable_op_determinism()


def read(part: Part, transform: Callable = lambda example: example) -> dict[str, np.ndarray]:
  """All examples of a split, in memory."""
  n, arrays = len(part.positions), {}
  first = 0
  for batch in _batches(part, transform):
    for name, value in batch.items():
      if name != 'index':
        if name not in arrays:
          arrays[name] = np.empty((n, *value.shape[1:]), value.dtype)
        arrays[name][first : first + len(value)] = value
    first += len(batch['index'])
  return arrays


def moments(part: Part, change: Callable | None = None) -> tuple[float, float]:
  """Mean and standard deviation of all values of a split, or of what `change` makes of them, in one pass over it."""
  count, total, squares = 0, 0.0, 0.0
  for batch in _batches(part):
    x = batch['x'].astype(np.float64)
    x = change(x) if change else x
    count, total, squares = count + x.size, total + x.sum(), squares + np.square(x).sum()
  mean = total / count
  return mean, float(np.sqrt(max(squares / count - mean**2, 0.0)))


def _batches(part, transform=lambda example: example) -> Iterator[dict]:
  numbers = tf.data.Dataset.range(len(part.positions))
  try:
    for batch in iterator(examples(part, numbers, transform).batch(256).prefetch(2)):
      yield {name: value.numpy() for name, value in batch.items()}
  except tf.errors.OpError as error:
    raise UserError(part.reader.explain(error)) from None
