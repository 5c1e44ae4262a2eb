"""The convolutions between images of 28 x 28 pixels and 1 x 1 of symmetric equilibrium learning's authors."""

import math

import keras

from tfvae.errors import UserError

DOWN = ((3, 1, 'same'), (2, 1, 'valid'), (3, 2, 'valid'), (3, 1, 'valid'), (3, 1, 'valid'), (3, 2, 'valid'))
UP = ((3, 2), (3, 1), (3, 1), (3, 2), (2, 1))


class Conv28(keras.layers.Layer):
  """28 x 28 pixels to a vector by seven layers, or a vector to 28 x 28 features by six (Flach et al. 2024, their code).

  Down: sides 28, 27, 13, 11, 9, 4, 1; up: 4, 9, 11, 13, 27, 28. Kernels and strides are fixed, `hidden` has the
  channels. The layer between 4 x 4 and 1 x 1 is a Dense one, which is the same map and faster.

  Raises:
    UserError: at build, where the input has another size, or `hidden` another length.
  """

  skip, split = False, 0

  def __init__(self, hidden: tuple[int, ...], activation: str = 'relu', name: str | None = None):
    super().__init__(name=name)
    self.hidden, self.activation = tuple(hidden), activation

  def build(self, input_shape):
    down = len(input_shape) == 4
    want = len(DOWN if down else UP) + 1
    if (down and tuple(input_shape[1:3]) != (28, 28)) or len(self.hidden) != want:
      raise UserError(
        f'the net {self.name} (kind=conv28, hidden={self.hidden}): it leads from images of 28 x 28 pixels to a vector, '
        f'with {len(DOWN) + 1} channels in `hidden`, or back, with {len(UP) + 1}; got an input of {input_shape[1:]}'
      )
    style = {'activation': self.activation}
    if down:
      self.steps = [
        keras.layers.Conv2D(width, kernel, stride, padding=padding, name=f'conv_{i}', **style)
        for i, (width, (kernel, stride, padding)) in enumerate(zip(self.hidden, DOWN, strict=False))
      ]
      self.steps += [keras.layers.Flatten(name='flatten'), keras.layers.Dense(self.hidden[-1], name='dense', **style)]
    else:
      outputs = 16 * self.hidden[0]
      first = keras.layers.Dense(outputs, name='dense', **style)
      first.fan_in = ((math.prod(input_shape[1:]), outputs),)  # that of the transposed convolution
      self.steps = [
        first,
        keras.layers.Reshape((4, 4, self.hidden[0]), name='map'),
      ]
      self.steps += [
        keras.layers.Conv2DTranspose(width, kernel, stride, padding='valid', name=f'conv_{i}', **style)
        for i, (width, (kernel, stride)) in enumerate(zip(self.hidden[1:], UP, strict=True))
      ]
    self.built = True

  def call(self, x):
    for layer in self.steps:
      x = layer(x)
    return x

  @classmethod
  def from_section(cls, section, grid: int, head: bool, name: str):
    """The net of a spec's section."""
    del grid, head
    return cls(section.hidden, section.activation, name=name)
