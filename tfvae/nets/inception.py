"""The Inception network of FID: that of 2015-12-05, from which pytorch-fid and all that compare with it take features.

It is torchvision's InceptionV3 but for its pools: the average pools of its branches leave the padding out, and the last
block has a max pool in place of one. Batch normalisation (epsilon 0.001) is folded into the convolutions.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

SIDE, FEATURES = 299, 2048
EPSILON = 1e-3  # of the batch normalisation
NORM = ('weight', 'bias', 'running_mean', 'running_var')


def resized(images: tf.Tensor) -> tf.Tensor:
  """[B, H, W, 1 or 3] in [0, 1] as the network takes them: three channels, 299 x 299, in [-1, 1].

  Bilinear without antialiasing, at half-pixel centres, also where images become smaller: as F.interpolate does.
  """
  if images.shape[-1] == 1:
    images = tf.repeat(images, 3, axis=-1)
  return 2 * tf.image.resize(images, [SIDE, SIDE], 'bilinear', antialias=False) - 1


def network() -> keras.Model:
  """[B, 299, 299, 3] in [-1, 1] -> [B, 2048]: the means over the last feature map. `load` gives it its weights."""
  inputs = keras.Input((SIDE, SIDE, 3))
  x = _conv(inputs, 'Conv2d_1a_3x3', 32, 3, 2)
  x = _conv(x, 'Conv2d_2a_3x3', 32, 3, padding='valid')
  x = _conv(x, 'Conv2d_2b_3x3', 64, 3)
  x = _shrink(x)
  x = _conv(x, 'Conv2d_3b_1x1', 80, 1)
  x = _conv(x, 'Conv2d_4a_3x3', 192, 3, padding='valid')
  x = _shrink(x)
  for name, pooled in (('Mixed_5b', 32), ('Mixed_5c', 64), ('Mixed_5d', 64)):
    x = _block_a(x, name, pooled)
  x = _block_b(x, 'Mixed_6a')
  for name, width in (('Mixed_6b', 128), ('Mixed_6c', 160), ('Mixed_6d', 160), ('Mixed_6e', 192)):
    x = _block_c(x, name, width)
  x = _block_d(x, 'Mixed_7a')
  x = _block_e(x, 'Mixed_7b', _mean_pool)
  x = _block_e(x, 'Mixed_7c', keras.layers.MaxPooling2D(3, 1, 'same'))
  return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name='inception')


def load(model: keras.Model, parameters: Mapping[str, np.ndarray]) -> None:
  """Gives the network the parameters of pytorch-fid's file, by their names there; others are not looked at.

  Raises ValueError, naming the first parameter that is missing, misshapen or not finite.
  """
  for layer in model.layers:
    if not isinstance(layer, keras.layers.Conv2D):
      continue
    kernel = layer.kernel.shape
    weight = _parameter(parameters, f'{layer.name}.conv.weight', (kernel[3], kernel[2], *kernel[:2]))
    scale, shift, mean, variance = (_parameter(parameters, f'{layer.name}.bn.{name}', kernel[3:]) for name in NORM)
    factor = scale / np.sqrt(variance + EPSILON)
    layer.kernel.assign(weight.transpose(2, 3, 1, 0) * factor)
    layer.bias.assign(shift - mean * factor)


def parameter_shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
  """The shapes of what `load` takes."""
  shapes = {}
  for layer in model.layers:
    if isinstance(layer, keras.layers.Conv2D):
      *sides, inputs, outputs = layer.kernel.shape
      shapes[f'{layer.name}.conv.weight'] = (outputs, inputs, *sides)
      shapes |= {f'{layer.name}.bn.{name}': (outputs,) for name in NORM}
  return shapes


def _parameter(parameters, name, shape):
  if name not in parameters:
    raise ValueError(f'the parameter {name} is missing')
  value = np.asarray(parameters[name])
  if value.shape != tuple(shape):
    raise ValueError(f'the parameter {name} has the shape {value.shape}; allowed: {tuple(shape)}')
  value = value.astype(np.float64)
  if not np.isfinite(value).all():
    raise ValueError(f'the parameter {name} is not finite')
  return value


def _conv(x, name, filters, kernel, strides=1, padding=None):
  """Convolution and ReLU; without padding where the stride is 2."""
  padding = padding or ('valid' if strides > 1 else 'same')
  return keras.layers.Conv2D(filters, kernel, strides, padding, activation='relu', name=name)(x)


def _chain(x, name, *steps):
  """Convolutions one after the other: (the end of the name, filters, kernel[, strides])."""
  for end, *how in steps:
    x = _conv(x, f'{name}.{end}', *how)
  return x


def _shrink(x):
  return keras.layers.MaxPooling2D(3, 2)(x)


def _mean_pool(x):
  return keras.layers.AveragePooling2D(3, 1, 'same')(x)  # 'same': the padding does not count


def _join(*branches):
  return keras.layers.Concatenate()(list(branches))


def _block_a(x, name, pooled):
  return _join(
    _chain(x, name, ('branch1x1', 64, 1)),
    _chain(x, name, ('branch5x5_1', 48, 1), ('branch5x5_2', 64, 5)),
    _chain(x, name, ('branch3x3dbl_1', 64, 1), ('branch3x3dbl_2', 96, 3), ('branch3x3dbl_3', 96, 3)),
    _chain(_mean_pool(x), name, ('branch_pool', pooled, 1)),
  )


def _block_b(x, name):
  return _join(
    _chain(x, name, ('branch3x3', 384, 3, 2)),
    _chain(x, name, ('branch3x3dbl_1', 64, 1), ('branch3x3dbl_2', 96, 3), ('branch3x3dbl_3', 96, 3, 2)),
    _shrink(x),
  )


def _block_c(x, name, width):
  row, column = (1, 7), (7, 1)
  long = [('1', width, 1), ('2', width, column), ('3', width, row), ('4', width, column), ('5', 192, row)]
  return _join(
    _chain(x, name, ('branch1x1', 192, 1)),
    _chain(x, name, ('branch7x7_1', width, 1), ('branch7x7_2', width, row), ('branch7x7_3', 192, column)),
    _chain(x, name, *((f'branch7x7dbl_{number}', *how) for number, *how in long)),
    _chain(_mean_pool(x), name, ('branch_pool', 192, 1)),
  )


def _block_d(x, name):
  row, column = (1, 7), (7, 1)
  long = [('1', 192, 1), ('2', 192, row), ('3', 192, column), ('4', 192, 3, 2)]
  return _join(
    _chain(x, name, ('branch3x3_1', 192, 1), ('branch3x3_2', 320, 3, 2)),
    _chain(x, name, *((f'branch7x7x3_{number}', *how) for number, *how in long)),
    _shrink(x),
  )


def _block_e(x, name, pool):
  row, column = (1, 3), (3, 1)
  short = _chain(x, name, ('branch3x3_1', 384, 1))
  double = _chain(x, name, ('branch3x3dbl_1', 448, 1), ('branch3x3dbl_2', 384, 3))
  return _join(
    _chain(x, name, ('branch1x1', 320, 1)),
    _chain(short, name, ('branch3x3_2a', 384, row)),
    _chain(short, name, ('branch3x3_2b', 384, column)),
    _chain(double, name, ('branch3x3dbl_3a', 384, row)),
    _chain(double, name, ('branch3x3dbl_3b', 384, column)),
    _chain(pool(x), name, ('branch_pool', 192, 1)),
  )
