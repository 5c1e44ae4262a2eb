"""What stands between nets and distributions: heads, and the joining of several inputs."""

import math

import keras
import tensorflow as tf


def density_dtype() -> str:
  """The dtype of heads and densities: that of the weights, also where nets compute in bfloat16."""
  return keras.config.dtype_policy().variable_dtype


class Head(keras.layers.Layer):
  """A linear map from features to [N, *shape], in the dtype of densities.

  Features [N, H, W, F] and shape (H, W, C): a convolution. Shape (2H, 2W, C): a transposed convolution with stride 2.
  Anything else: a Dense layer on the flattened features.

  Args:
    shape: of an output.
    kernel: side of the kernel of the transposed convolution.
    keep_kernel: side of the kernel of the convolution, which keeps the side of the feature map.

  Attributes:
    kernel_constraint, kernel_regularizer: Keras', of the Dense layer; to be set before it is built.
    split: how many features come from the last layer of the net before it, where the others were led past it; 0: all.
      Initial weights depend on it. To be set before it is built.
  """

  def __init__(self, shape: tuple[int, ...], kernel: int = 3, keep_kernel: int = 1, name: str | None = None):
    super().__init__(name=name, dtype=density_dtype())
    self.shape, self.kernel, self.keep_kernel = tuple(shape), kernel, keep_kernel
    self.flatten = self.kernel_constraint = self.kernel_regularizer = None
    self.split = 0

  def build(self, input_shape):
    spatial, dtype = tuple(input_shape[1:-1]), self.dtype
    if len(self.shape) == 3 and spatial == self.shape[:2]:
      self.map = keras.layers.Conv2D(self.shape[-1], self.keep_kernel, padding='same', name='conv', dtype=dtype)
    elif len(self.shape) == 3 and tuple(2 * s for s in spatial) == self.shape[:2]:
      kernel = max(self.kernel, 2)  # a smaller one would leave pixels that no feature reaches
      self.map = keras.layers.Conv2DTranspose(self.shape[-1], kernel, 2, padding='same', name='conv', dtype=dtype)
    else:
      self.flatten = keras.layers.Flatten(name='flatten', dtype=dtype)
      weights = {'kernel_constraint': self.kernel_constraint, 'kernel_regularizer': self.kernel_regularizer}
      self.map = keras.layers.Dense(math.prod(self.shape), name='dense', dtype=dtype, **weights)
      if self.split:  # two linear maps in one
        past = math.prod(input_shape[1:]) - self.split
        self.map.fan_in = ((self.split, self.split), (past, past))
    self.built = True

  def call(self, features):
    y = self.map(self.flatten(features) if self.flatten else features)
    return tf.reshape(y, [-1, *self.shape])


class Join(keras.layers.Layer):
  """Several tensors [N, ...] as one: flattened and concatenated, or, with a grid, as one feature map.

  With a grid, what is no grid x grid map becomes one of `width` channels first, by a Dense layer.
  """

  def __init__(self, grid: int = 0, width: int = 32, name: str | None = None):
    super().__init__(name=name)
    self.grid, self.width = grid, width

  def build(self, input_shape):
    self.maps = [self._map(i, tuple(shape[1:])) for i, shape in enumerate(input_shape)]
    self.built = True

  def _map(self, i, shape):
    if not self.grid:
      return keras.layers.Flatten(name=f'flatten_{i}')
    if len(shape) == 3 and shape[:2] == (self.grid, self.grid):
      return keras.layers.Identity(name=f'identity_{i}')
    return keras.Sequential(
      [
        keras.layers.Flatten(name='flatten'),
        keras.layers.Dense(self.grid * self.grid * self.width, name='dense'),
        keras.layers.Reshape((self.grid, self.grid, self.width), name='map'),
      ],
      name=f'map_{i}',
    )

  def call(self, inputs):
    parts = [layer(x) for layer, x in zip(self.maps, inputs, strict=True)]
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=-1)
