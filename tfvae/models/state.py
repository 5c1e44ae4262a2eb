"""What a layer's turn begins with: all that has been decided before it."""

from typing import NamedTuple

import tensorflow as tf


def fold(tensor: tf.Tensor) -> tf.Tensor:
  """[S, B, ...] -> [S B, ...]: nets see one batch axis."""
  samples, batch = tensor.shape[:2]
  return tf.reshape(tensor, [-1 if None in (samples, batch) else samples * batch, *tensor.shape[2:]])


def sizes(tensor: tf.Tensor, axes: int) -> tuple[int, ...]:
  """The first sizes of a tensor, to reshape another to: -1 for a batch of any size, as exported functions take it."""
  return tuple(-1 if size is None else size for size in tensor.shape[:axes])


def spread(tensor: tf.Tensor, samples: int) -> tf.Tensor:
  """[B, ...] -> [S B, ...]: the same for each of the samples."""
  return tensor if samples == 1 else fold(tf.repeat(tensor[None], samples, axis=0))


class State(NamedTuple):
  """h: the context, and the samples of the layers so far."""

  told: tf.Tensor | None  # features of the context, [B, C]; None where a model is told nothing
  samples: tuple[tf.Tensor, ...] = ()  # [S, B, ...], the nearest first
  markov: bool = True  # whether only the nearest is looked at

  def advance(self, z: tf.Tensor) -> 'State':
    """After a layer's sample z [S, B, ...]."""
    return self._replace(samples=(z,) if self.markov else (z, *self.samples))

  @property
  def lead(self) -> tuple[int, ...]:
    """(S, B), (1, B) where there is a context alone, or () where there is nothing."""
    if self.samples:
      return sizes(self.samples[0], 2)
    return () if self.told is None else (1, *sizes(self.told, 1))

  def inputs(self) -> list[tf.Tensor]:
    """What nets take, [S B, ...] each: the samples, the nearest first, and then the context's features."""
    told = [] if self.told is None else [spread(self.told, self.lead[0])]
    return [*(fold(z) for z in self.samples), *told]
