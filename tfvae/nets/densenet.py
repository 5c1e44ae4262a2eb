"""Densely connected convolutional nets from images, or feature maps, to a vector."""

import keras

from tfvae.errors import UserError
from tfvae.nets.residual import norm
from tfvae.spec.sides import added

WIDER = 4  # growths that a convolution of one pixel leads to, before the one that looks around
STEM = 2  # growths of the first convolution


class Densenet(keras.layers.Layer):
  """Stages in which each layer sees all maps before it and adds some to them: [N, H, W, C] -> [N, hidden[-1]].

  After Huang et al. 2017 (Densely Connected Convolutional Networks, the bottleneck and compression variant, BC): a
  convolution to 2 k channels, then stages of layers that add k channels each, k being the growth, until there are as
  many as `hidden` says; between two stages half as many channels at half the side (an odd side n becomes
  (n + 1) / 2), then a normalisation, the activation and the mean over the map. Channels are normalised in groups
  within each example, as in `Residual`, so that training and evaluation do the same, for any batch.

  Args:
    hidden: channels at the end of each stage.
    growth: k.
    activation, kernel: of every layer.

  Raises:
    UserError: at build, where it is given a vector, or `hidden` is not reached by such steps. `tfvae.spec` says so of a
      spec before it is built.
  """

  skip, split = False, 0

  def __init__(
    self,
    hidden: tuple[int, ...],
    growth: int,
    activation: str = 'relu',
    kernel: int = 3,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.hidden, self.growth, self.activation, self.kernel = tuple(hidden), growth, activation, kernel

  def build(self, input_shape):
    what = f'the net {self.name} (kind=densenet, hidden={self.hidden}, growth={self.growth})'
    if len(input_shape) != 4:
      raise UserError(
        f'{what}: it leads from images or feature maps to a vector, but not from {tuple(input_shape[1:])}'
      )
    try:
      layers = added(self.hidden, self.growth, STEM)
    except ValueError as error:
      raise UserError(f'{what}: {error}') from None
    self.stem = keras.layers.Conv2D(STEM * self.growth, self.kernel, padding='same', use_bias=False, name='stem')
    self.stages = [
      [Adding(self.growth, self.kernel, self.activation, f'layer_{i}_{j}') for j in range(count)]
      for i, count in enumerate(layers)
    ]
    self.between = [Transition(width // 2, self.activation, f'between_{i}') for i, width in enumerate(self.hidden[:-1])]
    self.norm = norm(self.hidden[-1], 'norm')
    self.activate = keras.layers.Activation(self.activation, name='activate')
    self.pool = keras.layers.GlobalAveragePooling2D(name='pool')
    self.built = True

  def call(self, x):
    x = self.stem(x)
    for i, stage in enumerate(self.stages):
      x = self.between[i - 1](x) if i else x
      for layer in stage:
        x = layer(x)
    return self.pool(self.activate(self.norm(x)))

  @classmethod
  def from_section(cls, section, grid: int, head: bool, name: str):
    """The net of a spec's section."""
    del grid, head
    return cls(section.hidden, section.growth, section.activation, section.kernel, name)


class Adding(keras.layers.Layer):
  """x, and k channels more: [N, H, W, C] -> [N, H, W, C + k], by a convolution of one pixel to 4 k channels and one of
  `kernel` to k, each after a normalisation and the activation.
  """

  def __init__(self, growth: int, kernel: int, activation: str, name: str):
    super().__init__(name=name)
    self.growth = growth
    self.activate = keras.layers.Activation(activation, name='activate')
    self.conv_0 = keras.layers.Conv2D(WIDER * growth, 1, use_bias=False, name='conv_0')
    self.conv_1 = keras.layers.Conv2D(growth, kernel, padding='same', use_bias=False, name='conv_1')

  def build(self, input_shape):
    self.norm_0, self.norm_1 = norm(input_shape[-1], 'norm_0'), norm(WIDER * self.growth, 'norm_1')
    self.built = True

  def call(self, x):
    inside = self.conv_0(self.activate(self.norm_0(x)))
    return keras.ops.concatenate([x, self.conv_1(self.activate(self.norm_1(inside)))], -1)


class Transition(keras.layers.Layer):
  """[N, H, W, C] -> [N, H / 2, W / 2, channels]: a linear map of each pixel after a normalisation and the activation,
  and the mean of four pixels, at an odd edge of those that are there.
  """

  def __init__(self, channels: int, activation: str, name: str):
    super().__init__(name=name)
    self.activate = keras.layers.Activation(activation, name='activate')
    self.conv = keras.layers.Conv2D(channels, 1, use_bias=False, name='conv')
    self.pool = keras.layers.AveragePooling2D(2, padding='same', name='pool')

  def build(self, input_shape):
    self.norm = norm(input_shape[-1], 'norm')
    self.built = True

  def call(self, x):
    return self.pool(self.conv(self.activate(self.norm(x))))
