"""Convolutional nets from an image or a latent variable to a vector, a feature map or an image."""

import math

import keras

from tfvae.errors import UserError


def strides(size: int, grid: int, num_layers: int) -> list[int]:
  """Strides of a net's layers from a `size` x `size` input to a `grid` x `grid` output (grid 0: a vector).

  A positive stride s is a convolution of stride s, -2 a transposed one that doubles. Halvings come first, doublings
  last; of the doublings the last is not here: it is the head's. To a vector, the input is halved as often as it goes.

  Raises:
    ValueError: where the layers are too few, or a power of two does not lead from one to the other.
  """
  if not grid:
    plan = []
    for _ in range(num_layers):
      plan.append(2 if size > 1 and size % 2 == 0 else 1)
      size //= plan[-1]
    return plan
  steps = round(math.log2(grid / size))
  if size * 2.0**steps != grid:
    raise ValueError(f'no power of two leads from a {size} x {size} input to {grid} x {grid}')
  if num_layers < max(-steps, steps - 1):
    raise ValueError(f'{max(-steps, steps - 1)} layers are needed from {size} x {size} to {grid} x {grid}')
  if steps <= 0:
    return [2] * -steps + [1] * (num_layers + steps)
  return [1] * (num_layers - steps + 1) + [-2] * (steps - 1)


class Conv(keras.layers.Layer):
  """Convolutions with 'same' padding: [N, H, H, C] or [N, F] -> [N, F'] or [N, G, G, hidden[-1]].

  G is `grid`, or half of it where the net goes up: the `Head` that follows does the last doubling. A vector input
  first becomes a feature map of the right size with hidden[0] channels (a Dense layer).

  Raises:
    UserError: at build, where the sizes do not fit together.
  """

  def __init__(
    self, hidden: tuple[int, ...], activation: str = 'relu', kernel: int = 3, grid: int = 0, name: str | None = None
  ):
    super().__init__(name=name)
    self.hidden, self.activation, self.kernel, self.grid = tuple(hidden), activation, kernel, grid
    self.stem = self.flatten = None

  def build(self, input_shape):
    try:
      if len(input_shape) == 4:
        if input_shape[1] != input_shape[2]:
          raise ValueError(f'convolutions need square images, got {input_shape[1]} x {input_shape[2]}')
        plan, widths = strides(input_shape[1], self.grid, len(self.hidden)), self.hidden
      elif len(input_shape) == 2 and not self.grid:
        raise ValueError('it leads from a vector to a vector; use kind=mlp')
      elif len(input_shape) == 2:
        start = self.grid // 2 ** len(self.hidden)
        if not start or start * 2 ** len(self.hidden) != self.grid:
          raise ValueError(
            f"{len(self.hidden)} layers double a vector's first feature map {len(self.hidden)} times, which does "
            f'not lead to {self.grid} x {self.grid}'
          )
        plan, widths = [-2] * (len(self.hidden) - 1), self.hidden[1:]
        self.stem = keras.Sequential(
          [
            keras.layers.Dense(start * start * self.hidden[0], activation=self.activation, name='dense'),
            keras.layers.Reshape((start, start, self.hidden[0]), name='map'),
          ],
          name='stem',
        )
      else:
        raise ValueError(f'convolutions need images [height, width, channels] or vectors, got {tuple(input_shape[1:])}')
    except ValueError as error:
      raise UserError(f'the net {self.name} (kind=conv, hidden={self.hidden}): {error}') from None
    self.convolutions = [
      (keras.layers.Conv2D if stride > 0 else keras.layers.Conv2DTranspose)(
        # A smaller kernel than the stride would leave pixels out.
        width,
        max(self.kernel, abs(stride)),
        abs(stride),
        padding='same',
        activation=self.activation,
        name=f'conv_{i}',
      )
      for i, (width, stride) in enumerate(zip(widths, plan, strict=True))
    ]
    if not self.grid:
      self.flatten = keras.layers.Flatten(name='flatten')
    self.built = True

  def call(self, x):
    if self.stem:
      x = self.stem(x)
    for convolution in self.convolutions:
      x = convolution(x)
    return self.flatten(x) if self.flatten else x

  @classmethod
  def from_section(cls, section, grid: int, name: str):
    """The net of a spec's section."""
    return cls(section.hidden, section.activation, section.kernel, grid, name=name)
