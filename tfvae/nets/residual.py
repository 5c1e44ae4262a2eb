"""Residual nets from images, or feature maps, to a vector or a smaller map."""

import keras

from tfvae.errors import UserError
from tfvae.spec.sides import stages

GROUPS = 8  # of channels, that are normalised together; fewer where they would be smaller than this:
LEAST = 4


class Residual(keras.layers.Layer):
  """Stages of pre-activation residual blocks: [N, H, W, C] -> [N, hidden[-1]] or [N, grid, grid, hidden[-1]].

  After He et al. 2016 (Identity Mappings in Deep Residual Networks, figure 4e): a convolution, then stages of `blocks`
  blocks each, of which each stage but the first begins with a stride of 2 (an odd side n then becomes (n + 1) / 2),
  then a normalisation and the activation. A vector is their mean over the map. Channels are normalised in groups within
  each example (Wu & He 2018), so that training and evaluation do the same, for any batch.

  Args:
    hidden: channels of each stage.
    activation, kernel: of every convolution.
    blocks: in each stage.
    grid: side of the map that it leads to. 0: a vector.

  Raises:
    UserError: at build, where the stages do not lead there. `tfvae.spec.fit` says so of a spec before it is built.
  """

  skip, split = False, 0

  def __init__(
    self,
    hidden: tuple[int, ...],
    activation: str = 'relu',
    kernel: int = 3,
    blocks: int = 2,
    grid: int = 0,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.hidden, self.activation, self.kernel, self.blocks, self.grid = tuple(hidden), activation, kernel, blocks, grid

  def build(self, input_shape):
    sides = tuple(input_shape[1:-1])
    if len(sides) != 2 or (self.grid and {stages(side, len(self.hidden))[-1] for side in sides} != {self.grid}):
      to = f'{self.grid} x {self.grid} features' if self.grid else 'a vector'
      raise UserError(
        f'the net {self.name} (kind=residual, hidden={self.hidden}): it leads down from images or feature maps, by '
        f'{len(self.hidden)} stages, but not from {tuple(input_shape[1:])} to {to}'
      )
    self.stem = keras.layers.Conv2D(self.hidden[0], self.kernel, padding='same', name='stem')
    self.stages, width = [], self.hidden[0]
    for i, channels in enumerate(self.hidden):
      for j in range(self.blocks):
        stride = 2 if i and not j else 1
        block = Block(channels, stride, self.kernel, self.activation, stride > 1 or channels != width, f'block_{i}_{j}')
        self.stages.append(block)
        width = channels
    self.norm = norm(width, 'norm')
    self.activate = keras.layers.Activation(self.activation, name='activate')
    self.pool = None if self.grid else keras.layers.GlobalAveragePooling2D(name='pool')
    self.built = True

  def call(self, x):
    x = self.stem(x)
    for block in self.stages:
      x = block(x)
    x = self.activate(self.norm(x))
    return self.pool(x) if self.pool else x

  @classmethod
  def from_section(cls, section, grid: int, head: bool, name: str):
    """The net of a spec's section."""
    del head
    return cls(section.hidden, section.activation, section.kernel, section.blocks, grid, name)


class Block(keras.layers.Layer):
  """x + two convolutions, each after a normalisation and the activation: [N, H, W, C] -> [N, H / stride, ..., C'].

  channels: C'.
  project: whether x is led past them by a linear map of each pixel, from the first activation on; else as it is.
  """

  def __init__(self, channels: int, stride: int, kernel: int, activation: str, project: bool, name: str):
    super().__init__(name=name)
    self.channels, self.stride = channels, stride
    self.activate = keras.layers.Activation(activation, name='activate')
    style = {'padding': 'same'}
    # A smaller kernel than the stride would leave pixels out.
    self.conv_0 = keras.layers.Conv2D(channels, max(kernel, stride), stride, name='conv_0', **style)
    self.conv_1 = keras.layers.Conv2D(channels, kernel, name='conv_1', **style)
    self.past = keras.layers.Conv2D(channels, 1, use_bias=False, name='past') if project else None

  def build(self, input_shape):
    self.norm_0, self.norm_1 = norm(input_shape[-1], 'norm_0'), norm(self.channels, 'norm_1')
    self.built = True

  def call(self, x):
    active = self.activate(self.norm_0(x))
    # What a stride of `past` would take. A stride of a kernel of one pixel is not left to TensorFlow: on a CPU, by
    # oneDNN, its gradient spoils the memory of the process (2.21; 32 x 32 images, 4 to 8 channels, batches of 3).
    past = self.past(active[:, :: self.stride, :: self.stride]) if self.past else x
    return past + self.conv_1(self.activate(self.norm_1(self.conv_0(active))))


def norm(channels: int, name: str) -> keras.layers.Layer:
  """Normalises groups of channels within each example: `GROUPS`, or as many as have at least `LEAST` and are alike."""
  groups = next(n for n in range(GROUPS, 0, -1) if n == 1 or (channels % n == 0 and channels >= LEAST * n))
  return keras.layers.GroupNormalization(groups, name=name)
