"""Nets: the shapes they lead to, and what they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvae.errors import UserError
from tfvae.nets.conv import Conv
from tfvae.nets.heads import Head, Join
from tfvae.nets.mlp import Linear, Mlp
from tfvae.spec.sides import first_side, plan


@pytest.mark.parametrize(
  ('size', 'grid', 'num_layers', 'kernel', 'want'),
  [
    (8, 4, 1, 3, 'halve 4'),
    (8, 2, 3, 3, 'halve 4, halve 2, keep 2'),
    (32, 4, 3, 4, 'halve 16, halve 8, halve 4'),
    (28, 7, 2, 4, 'halve 14, halve 7'),
    (28, 4, 3, 4, 'halve 14, halve 7, narrow 4'),
    (28, 3, 4, 3, 'halve 14, halve 7, narrow 5, narrow 3'),
    (8, 0, 5, 3, 'halve 4, halve 2, halve 1, keep 1, keep 1'),
    (28, 0, 3, 4, 'halve 14, halve 7, narrow 4'),
    (6, 0, 3, 3, 'halve 3, keep 3, keep 3'),  # 3 is not larger than the kernel
    (7, 0, 2, 1, 'keep 7, keep 7'),
    (4, 4, 2, 3, 'keep 4, keep 4'),
    # The head does the last doubling.
    (4, 8, 2, 3, 'keep 4, keep 4'),
    (4, 32, 2, 3, 'double 8, double 16'),
    (4, 28, 2, 4, 'widen 7, double 14'),
    (4, 28, 3, 4, 'keep 4, widen 7, double 14'),
    (4, 7, 1, 4, 'widen 7'),
  ],
)
def test_plan(size, grid, num_layers, kernel, want):
  steps = plan(size, grid, num_layers, kernel)
  assert ', '.join(f'{step.kind} {step.side}' for step in steps) == want


def test_plan_without_a_head():
  assert [step.side for step in plan(4, 32, 3, 4, head=False)] == [8, 16, 32]
  assert [step.side for step in plan(4, 28, 3, 4, head=False)] == [7, 14, 28]
  assert plan(32, 4, 3, 4, head=False) == plan(32, 4, 3, 4)


@pytest.mark.parametrize('grid', [1, 4, 7, 8, 28, 32])
@pytest.mark.parametrize('head', [True, False])
def test_the_way_up_from_a_vector(grid, head):
  """The first side is the one from which all other layers are needed."""
  for num_layers in range(1, 9):
    try:
      side = first_side(grid, num_layers, 4, head)
    except ValueError as error:
      assert num_layers > 1 or (head and grid == 1), error
      break
    steps = plan(side, grid, num_layers - 1, 4, head)
    assert len(steps) == num_layers - 1 and all(step.kind in ('double', 'widen') for step in steps)
    reached = steps[-1].side if steps else side
    assert reached == (grid // 2 if head and grid % 2 == 0 else grid)
  assert num_layers > 1


@pytest.mark.parametrize(
  ('args', 'text'),
  [
    ((8, 3, 2, 3), 'a side of 8 is reduced to 4, 2, 1'),
    ((28, 4, 9, 3), 'a side of 28 is reduced to 14, 7, 5, 3'),
    ((4, 30, 9, 4), 'a side of 30 is reduced to 15, 12, 6, 3'),
    ((3, 5, 9, 1), 'a side of 5 is reduced to nothing smaller'),
    ((8, 1, 2, 3), '3 layers are needed'),
    ((28, 4, 2, 4), '3 layers are needed'),
    ((4, 32, 1, 3), '2 layers are needed'),
  ],
)
def test_plan_says_what_would_fit(args, text):
  with pytest.raises(ValueError, match=text):
    plan(*args)


@pytest.mark.parametrize(
  ('shape', 'hidden', 'kernel', 'grid', 'features'),
  [
    ((8, 8, 1), (4, 6), 3, 0, (2 * 2 * 6,)),
    ((8, 8, 1), (4,), 3, 4, (4, 4, 4)),
    ((4, 4, 2), (4, 6), 3, 8, (4, 4, 6)),
    ((5,), (4, 6), 3, 8, (4, 4, 6)),
    ((4, 4, 2), (4, 6), 3, 4, (4, 4, 6)),
    ((28, 28, 1), (4, 5, 6), 4, 0, (4 * 4 * 6,)),
    ((28, 28, 1), (4, 5, 6), 4, 4, (4, 4, 6)),
    ((4, 4, 2), (4, 6), 4, 28, (14, 14, 6)),
    ((4, 4, 2), (4, 6), 4, 7, (7, 7, 6)),
    ((5,), (4, 6), 4, 28, (14, 14, 6)),
    ((5,), (4, 6), 4, 7, (7, 7, 6)),
  ],
)
def test_conv_shapes_and_heads(shape, hidden, kernel, grid, features):
  out = Conv(hidden, kernel=kernel, grid=grid)(tf.ones([3, *shape]))
  assert out.shape == (3, *features)
  target = (grid, grid, 3) if grid else (7,)
  assert Head(target)(out).shape == (3, *target)


@pytest.mark.parametrize(('shape', 'grid'), [((5,), 8), ((5,), 7), ((4, 4, 2), 8), ((4, 4, 2), 7)])
def test_conv_without_a_head_reaches_the_grid(shape, grid):
  net = Conv((4, 6), kernel=4, grid=grid, head=False)
  assert net(tf.ones([3, *shape])).shape == (3, grid, grid, 6)
  if len(shape) == 1:
    assert net.stem(tf.ones([3, 5])).shape == (3, 4, 4, 4)


def test_a_head_that_keeps_the_side_has_its_own_kernel():
  for kernel in (1, 3):
    head = Head((4, 4, 2), 5, kernel)
    assert head(tf.ones([3, 4, 4, 6])).shape == (3, 4, 4, 2) and head.map.kernel.shape == (kernel, kernel, 6, 2)


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
    ((8, 8, 1), (4,), 3, r'z1_encoder \(kind=conv, hidden=\(4,\)\): no way leads from 8 x 8 to 3 x 3'),
    ((8, 8, 1), (4,), 2, 'needed'),
    ((5,), (4, 4, 4, 4), 8, 'too many from a vector to 8 x 8 with kernel=3: at most 3'),
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
