"""A convolutional LSTM: a memory on a grid."""

import keras
import numpy as np
import tensorflow as tf


class ConvLstm(keras.layers.Layer):
  """One turn of an LSTM whose state is a pair of feature maps (Shi et al. 2015, without peepholes).

  i, f, o, g are the channels of one convolution of the inputs and the hidden map; cell' = sigmoid(f + 1) cell +
  sigmoid(i) tanh(g), hidden' = sigmoid(o) tanh(cell').

  Args:
    channels: of hidden and cell.
    kernel: side of the convolution's kernel.
  """

  def __init__(self, channels: int, kernel: int = 3, name: str | None = None):
    super().__init__(name=name)
    self.channels, self.kernel = channels, kernel

  def build(self, input_shape):
    del input_shape
    self.gates = keras.layers.Conv2D(4 * self.channels, self.kernel, padding='same', name='gates')
    self.built = True

  def call(self, inputs: list[tf.Tensor], cell: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(hidden', cell'), [N, G, G, channels], of inputs [N, G, G, ...], the last of which is hidden, and of cell.

    Any of them may be [1, G, G, ...]: one for all.
    """
    c = self.channels
    gates, g = tf.split(self._convolved(inputs), [3 * c, c], -1)
    shift = np.repeat(np.array([0, 1, 0], gates.dtype.as_numpy_dtype), c)
    i, f, o = tf.split(tf.sigmoid(gates + shift), 3, -1)
    cell = f * cell + i * tf.tanh(g)
    return o * tf.tanh(cell), cell

  def _convolved(self, inputs):
    """The convolution of the inputs, [N, G, G, 4 channels]."""
    shared = [x.shape[0] == 1 for x in inputs]
    if len(set(shared)) == 1:
      return self.gates(tf.concat(inputs, -1))
    # A convolution is linear: what is one for all, as most is in the first step, has its part computed once.
    channels = [x.shape[-1] for x in inputs]
    if not self.gates.built:
      self.gates.build((*inputs[0].shape[:-1], sum(channels)))
    kernels = tf.split(tf.convert_to_tensor(self.gates.kernel), channels, axis=2)

    def part(of):
      own = [i for i, one in enumerate(shared) if one == of]
      kernel = tf.concat([kernels[i] for i in own], 2)
      return tf.nn.conv2d(tf.concat([inputs[i] for i in own], -1), kernel, 1, 'SAME')

    return part(False) + (part(True) + tf.convert_to_tensor(self.gates.bias))
