"""Convolutional nets from an image or a latent variable to a vector, a feature map or an image."""

import itertools
from typing import NamedTuple

import keras

from tfvae.errors import UserError


class Step(NamedTuple):
  """What one layer does to the side of the feature map."""

  kind: str  # one of KINDS
  side: int  # after it


KINDS = {  # the layer, its stride and its padding
  'keep': (keras.layers.Conv2D, 1, 'same'),
  'halve': (keras.layers.Conv2D, 2, 'same'),
  'double': (keras.layers.Conv2DTranspose, 2, 'same'),
  'narrow': (keras.layers.Conv2D, 1, 'valid'),
  'widen': (keras.layers.Conv2DTranspose, 1, 'valid'),
}


def descent(side: int, kernel: int) -> list[int]:
  """`side` and the smaller ones that it leads to: halved where even; where odd, less by kernel - 1 (no padding)."""
  sides = [side]
  while sides[-1] % 2 == 0 or sides[-1] > kernel > 1:
    sides.append(sides[-1] // 2 if sides[-1] % 2 == 0 else sides[-1] - kernel + 1)
  return sides


def plan(size: int, grid: int, num_layers: int, kernel: int, head: bool = True) -> list[Step]:
  """What a net's layers do from a `size` x `size` input to a `grid` x `grid` output (grid 0: a vector).

  Going down, an even side is halved and an odd one narrowed by a convolution without padding: 28, 14, 7, 4 for kernel
  4. Going up is the same way back. Layers that are not needed keep the side: the last ones, or the first on the way
  up. To a vector, each layer reduces the side as long as that goes.

  Args:
    head: whether a `Head` follows. Going up, the last doubling is then the head's, and not here.

  Raises:
    ValueError: where the layers are too few, or no such way leads from one to the other.
  """
  if not grid:
    sides = descent(size, kernel)[: num_layers + 1]
  else:
    sides = descent(max(size, grid), kernel)
    if min(size, grid) not in sides:
      raise ValueError(
        f'no way leads from {size} x {size} to {grid} x {grid}: with kernel={kernel}, a side of {sides[0]} is reduced '
        f'to {", ".join(map(str, sides[1:])) or "nothing smaller"}'
      )
    sides = sides[: sides.index(min(size, grid)) + 1]
  up = grid > size
  steps = [Step(_kind(*pair), pair[1]) for pair in itertools.pairwise(sides[::-1] if up else sides)]
  if up and head and steps[-1].kind == 'double':
    steps.pop()
  if num_layers < len(steps):
    raise ValueError(f'{len(steps)} layers are needed from {size} x {size} to {grid} x {grid}')
  spare = num_layers - len(steps)
  return [Step('keep', size)] * spare + steps if up else steps + [Step('keep', sides[-1])] * spare


def _kind(before, after):
  if after > before:
    return 'double' if after == 2 * before else 'widen'
  return 'halve' if before == 2 * after else 'narrow'


def first_side(grid: int, num_layers: int, kernel: int, head: bool = True) -> int:
  """The side of the first of `num_layers` feature maps on the way up from a vector to grid x grid. See `plan`.

  Raises:
    ValueError: where the layers are too many.
  """
  sides = descent(grid, kernel)
  heads = int(head and grid % 2 == 0)  # the head doubles
  if num_layers + heads > len(sides):
    raise ValueError(
      f'{num_layers} layers are too many from a vector to {grid} x {grid} with kernel={kernel}: '
      f'at most {len(sides) - heads}'
    )
  return sides[num_layers - 1 + heads]


class Conv(keras.layers.Layer):
  """Convolutions: [N, H, H, C] or [N, F] -> [N, F'] or [N, G, G, hidden[-1]]; `plan` says which.

  G is `grid`, or, where a `Head` follows and does the last doubling, half of it. A vector input first becomes a
  feature map with hidden[0] channels (a Dense layer with the activation): 4 x 4 on the way to 8 x 8 by two layers.

  Raises:
    UserError: at build, where the sizes do not fit together.
  """

  skip, split = False, 0

  def __init__(
    self,
    hidden: tuple[int, ...],
    activation: str = 'relu',
    kernel: int = 3,
    grid: int = 0,
    head: bool = True,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.hidden, self.activation, self.kernel, self.grid, self.head = tuple(hidden), activation, kernel, grid, head
    self.stem = self.flatten = None

  def build(self, input_shape):
    try:
      steps = self._plan(tuple(input_shape[1:]))
    except ValueError as error:
      raise UserError(f'the net {self.name} (kind=conv, hidden={self.hidden}): {error}') from None
    self.convolutions = []
    widths = self.hidden[1:] if self.stem else self.hidden
    for i, (width, step) in enumerate(zip(widths, steps, strict=True)):
      layer, stride, padding = KINDS[step.kind]
      kernel = max(self.kernel, stride)  # a smaller one would leave pixels out
      self.convolutions.append(
        layer(width, kernel, stride, padding=padding, activation=self.activation, name=f'conv_{i}')
      )
    if not self.grid:
      self.flatten = keras.layers.Flatten(name='flatten')
    self.built = True

  def _plan(self, shape):
    """The steps of the convolutions; makes what stands before them."""
    if len(shape) == 3:
      if shape[0] != shape[1]:
        raise ValueError(f'convolutions need square images, got {shape[0]} x {shape[1]}')
      return plan(shape[0], self.grid, len(self.hidden), self.kernel, self.head)
    if len(shape) != 1:
      raise ValueError(f'convolutions need images [height, width, channels] or vectors, got {shape}')
    if not self.grid:
      raise ValueError('it leads from a vector to a vector; use kind=mlp')
    side = first_side(self.grid, len(self.hidden), self.kernel, self.head)
    self.stem = keras.Sequential(
      [
        keras.layers.Dense(side * side * self.hidden[0], activation=self.activation, name='dense'),
        keras.layers.Reshape((side, side, self.hidden[0]), name='map'),
      ],
      name='stem',
    )
    return plan(side, self.grid, len(self.hidden) - 1, self.kernel, self.head)

  def call(self, x):
    if self.stem:
      x = self.stem(x)
    for convolution in self.convolutions:
      x = convolution(x)
    return self.flatten(x) if self.flatten else x

  @classmethod
  def from_section(cls, section, grid: int, head: bool, name: str):
    """The net of a spec's section."""
    return cls(section.hidden, section.activation, section.kernel, grid, head, name=name)
