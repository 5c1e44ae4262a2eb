"""Initial weights of kernels and biases, drawn from (seed, path): no weight depends on which others there are.

A layer's weights are multiplied by its attribute `gain`, where it has one. Other variables (a decoder's log sigma, a
prior's log alpha or logits, a shared scale) start where their layers say.
"""

import math
import zlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from tfvae.noise import purpose_seed


def as_keras(model: keras.Model, seed: int) -> None:
  """Keras' defaults: kernels Glorot uniform, U(-b, b) with b = sqrt(6 / (fan in + fan out)); biases 0."""
  for layer, name, variable in _weights(model):
    initializer = getattr(layer, f'{name}_initializer')
    config = initializer.get_config()
    if 'seed' in config:
      config['seed'] = (seed * 1_000_003 + zlib.crc32(variable.path.encode())) % 2**31
      _assign(layer, variable, type(initializer).from_config(config)(variable.shape, variable.dtype))


def as_torch(model: keras.Model, seed: int) -> None:
  """PyTorch's defaults for Linear, Conv2d and ConvTranspose2d: kernels and biases U(-b, b), b = 1 / sqrt(fan in).

  (kaiming_uniform with a = sqrt(5), and what reset_parameters does with the bias.) See `fan_in`.
  """
  for layer, name, variable in _weights(model):
    parts = fan_in(layer)
    bound = np.concatenate([np.full(rows, fan**-0.5) for rows, fan in parts])[:, None]
    drawn = tf.random.stateless_uniform(variable.shape, purpose_seed(seed, variable.path, 0), -1, 1, variable.dtype)
    _assign(layer, variable, drawn * tf.constant(bound if name == 'kernel' else bound[0], variable.dtype))


def fan_in(layer: keras.layers.Layer) -> tuple[tuple[int, int], ...]:
  """((rows, fan in), ...) of the blocks of rows (the axis before the last) of a layer's kernel.

  One block, unless the layer says otherwise in an attribute `fan_in`: as where one Dense layer does what PyTorch code
  has several layers, or a transposed convolution, for. The bias belongs to the first.

  PyTorch takes the second axis of the weight times the kernel's size: the inputs of a Linear [out, in] or a Conv2d
  [out, in, k, k], but the outputs of a ConvTranspose2d [in, out, k, k]. Keras' kernels are [in, out], [k, k, in, out]
  and [k, k, out, in]: in each case it is the product of all axes but the last.
  """
  shape = layer.kernel.shape
  return getattr(layer, 'fan_in', ((shape[-2], math.prod(shape[:-1])),))


def _weights(model) -> Iterator:
  """(layer, 'kernel' or 'bias', variable) of each layer that has such."""
  for layer in model._flatten_layers():
    for name in ('kernel', 'bias'):
      if getattr(layer, name, None) is not None and getattr(layer, f'{name}_initializer', None) is not None:
        yield layer, name, getattr(layer, name)


def _assign(layer, variable, value):
  value *= getattr(layer, 'gain', 1.0)
  variable.assign(value if variable.constraint is None else variable.constraint(value))
