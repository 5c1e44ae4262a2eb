"""All the randomness that a model sees: stateless in (seed, step, name), the same for any number of replicas.

Numbers are drawn for the global batch and sliced for the replica. As stateless draws differ inside and outside XLA,
compiled regions are given theirs: `record` finds out what a function asks for, `draw` draws it outside, `replay` hands
it over.
"""

import math
import zlib
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Request(NamedTuple):
  """One tensor of noise: its distribution, name, the replica's shape, the axis of the batch, and dtype."""

  kind: str
  name: str
  shape: tuple[int, ...]
  batch_axis: int
  dtype: str


class Noise:
  """Named noise of one step. Asking twice for one name gives the same numbers, so each use has a name of its own."""

  def __init__(self, answer: Callable[[Request], tf.Tensor], prefix: str = ''):
    self._answer, self._prefix = answer, prefix

  def normal(self, name: str, shape, batch_axis: int = 0, dtype='float32') -> tf.Tensor:
    """Standard normal numbers of the replica's `shape`."""
    return self._ask('normal', name, shape, batch_axis, dtype)

  def uniform(self, name: str, shape, batch_axis: int = 0, dtype='float32') -> tf.Tensor:
    """Uniform numbers in [0, 1) of the replica's `shape`."""
    return self._ask('uniform', name, shape, batch_axis, dtype)

  def scope(self, prefix: str) -> 'Noise':
    """The same noise with names inside `prefix`: independent of that of any other prefix."""
    return Noise(self._answer, f'{self._prefix}{prefix}/')

  def _ask(self, kind, name, shape, batch_axis, dtype):
    shape = tuple(size if tf.is_tensor(size) else int(size) for size in shape)  # tensors: of any size, for export
    return self._answer(Request(kind, self._prefix + name, shape, batch_axis, tf.as_dtype(dtype).name))


def cubature(name: str, units: int) -> Noise:
  """In place of a standard normal vector 'z/<name>', the points +-sqrt(H) e_h, as 2 H samples alike for all examples.

  Averages over them are the Gaussian's for polynomials up to the third degree (McNamee & Stenger 1967).
  """

  def answer(request):
    if request.kind != 'normal' or request.name != f'z/{name}':
      raise ValueError(f'a cubature has no noise {request.name!r}')
    axes = math.sqrt(units) * tf.eye(units, dtype=request.dtype)
    return tf.broadcast_to(tf.concat([axes, -axes], axis=0)[:, None], request.shape)

  return Noise(answer)


def purpose_seed(seed, name: str, step) -> tf.Tensor:
  """The stateless seed int32[2] of a purpose `name` at a step. Seed and step may be tensors."""
  seed = seed if isinstance(seed, int) else tf.cast(seed, tf.int32)
  return tf.random.experimental.stateless_fold_in(
    tf.convert_to_tensor([seed, zlib.crc32(name.encode()) & 0x7FFFFFFF], tf.int32), step
  )


def host_seed(seed: int, name: str, step: int = 0) -> int:
  """The seed of a purpose for what draws outside TensorFlow (NumPy, scikit-learn), below 2^31."""
  return int(purpose_seed(seed, name, step)[0]) & 0x7FFFFFFF


class Share(NamedTuple):
  """The examples of a global batch that one replica works on; the last one again where they are not enough."""

  begin: tf.Tensor | int  # its first
  size: int
  total: int  # of the global batch

  def of(self, value: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """The share of a tensor of the global batch."""
    return tf.gather(value, tf.minimum(self.begin + tf.range(self.size), self.total - 1), axis=axis)

  def mask(self) -> tf.Tensor:
    """Whether an example counts: [size]."""
    return self.begin + tf.range(self.size) < self.total


def stateless(seed, step, share: Share | None = None) -> Noise:
  """Noise that is drawn when it is asked for. Seed and step may be tensors; not for use inside XLA."""
  return Noise(lambda request: _draw(request, seed, step, share))


def _draw(request, seed, step, share):
  shape = list(request.shape)
  if share and shape:
    if shape[request.batch_axis] != share.size:
      raise ValueError(f'{request}: axis {request.batch_axis} is not that of the {share.size} examples of a replica')
    shape[request.batch_axis] = share.total
  function = {'normal': tf.random.stateless_normal, 'uniform': tf.random.stateless_uniform}[request.kind]
  value = function(shape, purpose_seed(seed, request.name, step), dtype=request.dtype)
  return share.of(value, request.batch_axis) if share and shape else value


def record(function: Callable[[Noise], object]) -> list[Request]:
  """What `function` asks of its noise, found by tracing it once without running it."""
  requests: dict[str, Request] = {}

  def answer(request):
    if requests.setdefault(request.name, request) != request:
      raise ValueError(f'two uses of the noise {request.name!r} differ: {request} and {requests[request.name]}')
    return tf.zeros(request.shape, request.dtype)

  def trace():
    function(Noise(answer))

  tf.function(trace, autograph=False).get_concrete_function()
  return list(requests.values())


def draw(requests: list[Request], seed: int, step, share: Share | None = None) -> dict[str, tf.Tensor]:
  """The numbers of `requests` at a step: the same as `stateless` gives."""
  return {r.name: _draw(r, seed, step, share) for r in requests}


def replay(values: dict[str, tf.Tensor]) -> Noise:
  """Noise that hands over what `draw` drew."""
  return Noise(lambda request: values[request.name])
