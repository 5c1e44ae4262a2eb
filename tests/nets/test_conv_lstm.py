"""The convolutional LSTM against Keras' and against single numbers."""

import keras
import numpy as np
import tensorflow as tf

from tfvae.nets.conv_lstm import ConvLstm

CHANNELS, INPUTS, SIDE, KERNEL = 3, 4, 5, 3
RNG = np.random.default_rng(0)


def weights():
  """Of one convolution of inputs and hidden, in the order i, f, o, g."""
  kernel = 0.3 * RNG.standard_normal((KERNEL, KERNEL, INPUTS + CHANNELS, 4 * CHANNELS))
  return kernel, 0.3 * RNG.standard_normal(4 * CHANNELS)


def test_as_that_of_keras():
  """ConvLSTM2D has the gates in the order i, f, g, o, a forget bias of 1 in its biases, and a loop over time."""
  kernel, bias = weights()
  own = ConvLstm(CHANNELS, KERNEL)
  own.dtype_policy = keras.DTypePolicy('float64')
  x = tf.constant(RNG.standard_normal((2, 3, SIDE, SIDE, INPUTS)))
  hidden = cell = tf.zeros([2, SIDE, SIDE, CHANNELS], tf.float64)
  found = []
  for t in range(3):
    parts = [x[:, t, ..., :2], x[:, t, ..., 2:], hidden]  # of as many as there are
    if not t:
      own.build(None)
      own.gates.dtype_policy = own.dtype_policy
      own.gates.build((2, SIDE, SIDE, INPUTS + CHANNELS))
      own.gates.set_weights([kernel, bias])
    hidden, cell = own(parts, cell)
    found.append(hidden)
  other = keras.layers.ConvLSTM2D(
    CHANNELS, KERNEL, padding='same', recurrent_activation='sigmoid', return_sequences=True, dtype='float64'
  )
  other.build(x.shape)
  i, f, o, g = np.split(kernel, 4, -1)
  i_bias, f_bias, o_bias, g_bias = np.split(bias, 4)
  ordered = np.concatenate([i, f, g, o], -1)
  other.set_weights([*np.split(ordered, [INPUTS], 2), np.concatenate([i_bias, f_bias + 1, g_bias, o_bias])])
  np.testing.assert_allclose(tf.stack(found, 1), other(x), rtol=1e-6, atol=1e-9)


def test_what_is_remembered_and_what_is_shown():
  """Without weights a cell keeps sigmoid(1) of itself, and half of its tanh is shown."""
  own = ConvLstm(1, 1)
  cell = tf.constant([2.0, -0.5], shape=[1, 1, 2, 1])
  own([tf.zeros([1, 1, 2, 5])], cell)
  own.gates.set_weights([np.zeros((1, 1, 5, 4)), np.zeros(4)])
  hidden, after = own([tf.ones([1, 1, 2, 5])], cell)
  np.testing.assert_allclose(after, cell / (1 + np.exp(-1)), rtol=1e-6)
  np.testing.assert_allclose(hidden, 0.5 * np.tanh(after), rtol=1e-6)


def test_what_is_one_for_all_is_what_it_would_be_for_each():
  """Of one example beside three: a part of the inputs, hidden map and cell. Outputs, and gradients."""
  own = ConvLstm(CHANNELS, KERNEL)
  x, y, hidden, cell = (
    tf.constant(RNG.standard_normal((n, SIDE, SIDE, channels)), tf.float32)
    for n, channels in ((3, 2), (1, INPUTS - 2), (1, CHANNELS), (1, CHANNELS))
  )
  own([x, y, hidden], cell)  # makes the weights
  own.gates.set_weights(weights())
  found = []
  for of in (tf.identity, lambda one: tf.repeat(one, len(x), axis=0)):
    with tf.GradientTape() as tape:
      tape.watch([y, hidden, cell])
      outputs = own([x, of(y), of(hidden)], of(cell))
      loss = tf.reduce_sum(tf.square(outputs[0])) + tf.reduce_sum(outputs[1])
    sources = [y, hidden, cell, *(variable.value for variable in own.gates.trainable_variables)]
    found.append([*outputs, *tape.gradient(loss, sources)])
  assert found[0][0].shape == (len(x), SIDE, SIDE, CHANNELS)
  for one, other in zip(*found, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
