"""Convolutional nets from an image or a latent variable to a vector, a feature map or an image."""

import keras

from tfvae.errors import UserError
from tfvae.spec.sides import first_side, plan, way, widths

KINDS = {  # of `sides.Step`: the layer, its stride and its padding
  'keep': (keras.layers.Conv2D, 1, 'same'),
  'halve': (keras.layers.Conv2D, 2, 'same'),
  'double': (keras.layers.Conv2DTranspose, 2, 'same'),
  'narrow': (keras.layers.Conv2D, 1, 'valid'),
  'widen': (keras.layers.Conv2DTranspose, 1, 'valid'),
}


class Conv(keras.layers.Layer):
  """Convolutions: [N, H, H, C] or [N, F] -> [N, F'] or [N, G, G, hidden[-1]]; `sides.plan` says which.

  G is `grid`, or, where a `Head` follows and does the last doubling, half of it. A vector input first becomes a
  feature map with hidden[0] channels (a Dense layer with the activation): 4 x 4 on the way to 8 x 8 by two layers.

  Args:
    repeat: whether a way that needs more layers than `hidden` has gets them, with the last channels.

  Raises:
    UserError: at build, where the sizes do not fit together. `tfvae.spec.fit` says so of a spec before it is built.
  """

  skip, split = False, 0

  def __init__(
    self,
    hidden: tuple[int, ...],
    activation: str = 'relu',
    kernel: int = 3,
    grid: int = 0,
    head: bool = True,
    repeat: bool = False,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.repeat = repeat
    self.hidden, self.activation, self.kernel, self.grid, self.head = tuple(hidden), activation, kernel, grid, head
    self.stem = self.flatten = None

  def build(self, input_shape):
    try:
      steps = self._plan(tuple(input_shape[1:]))
    except ValueError as error:
      raise UserError(f'the net {self.name} (kind=conv, hidden={self.hidden}): {error}') from None
    self.convolutions = []
    channels = self.hidden[1:] if self.stem else self.hidden
    for i, (width, step) in enumerate(zip(channels, steps, strict=True)):
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
      if self.repeat and self.grid:
        self.hidden = widths(self.hidden, len(way(shape[0], self.grid, self.kernel, self.head)))
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
    return cls(section.hidden, section.activation, section.kernel, grid, head, section.repeat, name)
