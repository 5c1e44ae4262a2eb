"""Nets: the shapes they lead to, and what they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvae.errors import UserError
from tfvae.nets.conv import Conv, strides
from tfvae.nets.heads import Head, Join
from tfvae.nets.mlp import Linear, Mlp


def test_strides():
  assert strides(8, 4, 1) == [2]
  assert strides(8, 2, 3) == [2, 2, 1]
  assert strides(8, 0, 5) == [2, 2, 2, 1, 1]
  assert strides(28, 0, 4) == [2, 2, 1, 1]
  assert strides(4, 4, 2) == [1, 1]
  assert strides(4, 8, 2) == [1, 1]  # the head doubles
  assert strides(4, 32, 2) == [-2, -2]
  for wrong in [(8, 3, 2), (8, 1, 2), (4, 32, 1)]:
    with pytest.raises(ValueError, match=r'lead|needed'):
      strides(*wrong)


@pytest.mark.parametrize(
  ('shape', 'hidden', 'grid', 'features'),
  [
    ((8, 8, 1), (4, 6), 0, (2 * 2 * 6,)),
    ((8, 8, 1), (4,), 4, (4, 4, 4)),
    ((4, 4, 2), (4, 6), 8, (4, 4, 6)),
    ((5,), (4, 6), 8, (4, 4, 6)),
    ((4, 4, 2), (4, 6), 4, (4, 4, 6)),
  ],
)
def test_conv_shapes_and_heads(shape, hidden, grid, features):
  out = Conv(hidden, grid=grid)(tf.ones([3, *shape]))
  assert out.shape == (3, *features)
  target = (grid, grid, 3) if grid else (7,)
  assert Head(target)(out).shape == (3, *target)


def test_every_output_pixel_depends_on_the_input_of_a_transposed_head():
  for kernel in (1, 2, 3, 4):
    head = Head((4, 4, 1), kernel)
    x = tf.ones([1, 2, 2, 1])
    head(x)
    head.map.kernel.assign(tf.ones_like(head.map.kernel))
    assert np.all(head(x).numpy() > 0), kernel


@pytest.mark.parametrize(
  ('shape', 'hidden', 'grid', 'text'),
  [
    ((8, 6, 1), (4,), 4, 'square'),
    ((8, 8, 1), (4,), 3, 'power of two'),
    ((8, 8, 1), (4,), 2, 'needed'),
    ((5,), (4, 4, 4, 4), 8, 'does not lead'),
    ((5,), (4,), 0, 'kind=mlp'),
    ((3, 4), (4,), 4, 'need images'),
  ],
)
def test_conv_refuses_what_does_not_fit(shape, hidden, grid, text):
  with pytest.raises(UserError, match=text):
    Conv(hidden, grid=grid, name='z1_encoder')(tf.ones([1, *shape]))


def test_dense_nets():
  x = tf.constant(np.random.default_rng(0).standard_normal((2, 3, 2)), tf.float32)
  net = Mlp((4, 5), 'tanh')
  want = tf.reshape(x, [2, 6])
  out = net(x)
  for dense in net.dense:
    want = tf.tanh(want @ dense.kernel + dense.bias)
  np.testing.assert_allclose(out, want, rtol=1e-5)
  np.testing.assert_array_equal(Linear()(x), tf.reshape(x, [2, 6]))


def test_join():
  vector, small = tf.ones([2, 3]), tf.ones([2, 4, 4, 2])
  assert Join()([vector, small]).shape == (2, 35)
  assert Join(grid=4, width=5)([vector, small]).shape == (2, 4, 4, 7)


def test_heads_stay_in_float32_under_bfloat16():
  before = keras.config.dtype_policy()
  keras.config.set_dtype_policy('mixed_bfloat16')
  try:
    net, head = Mlp((4,)), Head((3,))
    features = net(tf.ones([2, 5]))
    assert features.dtype == tf.bfloat16
    assert head(features).dtype == tf.float32
  finally:
    keras.config.set_dtype_policy(before)
