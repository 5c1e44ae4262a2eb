"""Residual nets: by hand, their sides, their normalisation, in all precisions, and where they have no place."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from scipy.signal import correlate2d

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.errors import UserError
from tfvae.nets.heads import Head
from tfvae.nets.initial import as_torch
from tfvae.nets.residual import Residual
from tfvae.observation import Observation


def images(*shape):
  return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def group_norm(x, groups, epsilon=1e-3):
  """Of one example [H, W, C], the scale 1 and the shift 0."""
  parts = x.reshape(*x.shape[:2], groups, -1)
  mean, variance = (of(parts, axis=(0, 1, 3), keepdims=True) for of in (np.mean, np.var))
  return ((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)


def convolved(x, layer, stride=1):
  """Of one example with zeros around it, by SciPy; at a stride of 2 TensorFlow begins a pixel later on an even side."""
  kernel, inputs = layer.kernel.numpy(), range(x.shape[-1])
  one = lambda output: sum(correlate2d(x[..., i], kernel[..., i, output], 'same') for i in inputs)
  full = np.stack([one(output) for output in range(kernel.shape[-1])], axis=-1)
  first = [(side + 1) % 2 if kernel.shape[0] > 1 else 0 for side in x.shape[:2]] if stride > 1 else (0, 0)
  return full[first[0] :: stride, first[1] :: stride] + (0 if layer.bias is None else layer.bias.numpy())


def by_hand(net, x):
  """He et al. 2016, figure 4e: the shortcut is clean; where it changes shape, a linear map of the first activation."""
  relu = lambda value: np.maximum(value, 0)
  x = convolved(x, net.stem)
  for block in net.stages:
    stride = block.conv_0.strides[0]
    active = relu(group_norm(x, block.norm_0.groups))
    past = convolved(active, block.past, stride) if block.past else x
    inside = convolved(active, block.conv_0, stride)
    x = past + convolved(relu(group_norm(inside, block.norm_1.groups)), block.conv_1)
  return relu(group_norm(x, net.norm.groups))


@pytest.mark.parametrize('side', [8, 7])
def test_by_hand(side):
  """Two stages of two blocks, on even and odd sides; a vector is the mean over the map."""
  net = Residual((4, 8), blocks=2)
  x = images(2, side, side, 3)
  out = net(x)
  np.testing.assert_allclose(out, [by_hand(net, one).mean((0, 1)) for one in x], rtol=1e-3, atol=1e-4)
  assert out.shape == (2, 8)
  assert [block.past is not None for block in net.stages] == [False, False, True, False]
  assert [block.norm_1.groups for block in net.stages] == [1, 1, 2, 2]


def test_no_convolution_of_one_pixel_has_a_stride():
  """Its gradient would spoil the memory of the process (see `Block.call`)."""
  net = Residual((4, 8, 8), blocks=1, kernel=1)
  net(images(1, 8, 8, 1))
  strides = [(layer.kernel_size[0], layer.strides[0]) for layer in net._flatten_layers() if hasattr(layer, 'strides')]
  assert (2, 2) in strides and (1, 2) not in strides


@pytest.mark.parametrize(('hidden', 'groups'), [((3,), 1), ((6,), 1), ((16,), 4), ((24,), 6), ((64,), 8), ((100,), 5)])
def test_groups_of_channels(hidden, groups):
  """Eight of them, or as many as have at least four channels and share them evenly."""
  net = Residual(hidden, blocks=1)
  net(tf.zeros([1, 4, 4, 1]))
  assert net.norm.groups == groups


def test_training_and_evaluation_do_the_same():
  """Nothing but gradients moves it, and no example depends on the others of its batch."""
  net, x = Residual((4, 8), blocks=1), images(5, 8, 8, 1)
  alone = np.concatenate([net(x[i : i + 1]) for i in range(5)])
  np.testing.assert_allclose(net(x, training=True), alone, rtol=1e-4, atol=1e-5)
  assert net.non_trainable_variables == []


@pytest.mark.parametrize(
  ('shape', 'stages', 'grid'), [((8, 8, 1), 2, 4), ((7, 7, 2), 2, 4), ((28, 28, 1), 4, 4), ((5, 5, 1), 1, 5)]
)
def test_it_leads_to_a_grid(shape, stages, grid):
  """As an encoder: a head of a feature map follows."""
  out = Residual((4,) * stages, blocks=1, grid=grid)(tf.ones([3, *shape]))
  assert out.shape == (3, grid, grid, 4) and Head((grid, grid, 2))(out).shape == (3, grid, grid, 2)


@pytest.mark.parametrize(
  ('shape', 'grid', 'text'),
  [
    ((8, 8, 1), 2, r'z1_encoder \(kind=residual, hidden=\(4, 4\)\): it leads down .* to 2 x 2 features'),
    ((4, 4, 1), 8, 'to 8 x 8 features'),
    ((8, 6, 1), 4, r'not from \(8, 6, 1\) to 4 x 4'),
    ((5,), 0, r'not from \(5,\) to a vector'),
  ],
)
def test_it_refuses_what_it_does_not_lead_to(shape, grid, text):
  with pytest.raises(UserError, match=text):
    Residual((4, 4), grid=grid, name='z1_encoder')(tf.ones([1, *shape]))


def test_precisions():
  """bfloat16 outside its normalisation, whose moments are in float32; weights in float32."""
  before, x = keras.config.dtype_policy(), images(2, 8, 8, 1)
  plain = Residual((4, 8), blocks=1, name='net')
  want = plain(x)
  try:
    for policy, dtype, rtol in (('mixed_bfloat16', tf.bfloat16, 0.1), ('float64', tf.float64, 1e-3)):
      keras.config.set_dtype_policy(policy)
      net = Residual((4, 8), blocks=1, name='net')
      net(x)
      for own, other in zip(net.variables, plain.variables, strict=True):
        own.assign(other.numpy())
      assert net(x).dtype == dtype
      np.testing.assert_allclose(tf.cast(net(x), tf.float32), want, rtol=rtol, atol=rtol / 2)
  finally:
    keras.config.set_dtype_policy(before)


def test_the_initializer_of_pytorch():
  """All its convolutions are drawn; scales and shifts of the normalisation stay at 1 and 0."""
  model = keras.Sequential([keras.Input((8, 8, 3)), Residual((4, 8), blocks=1, name='net')])
  as_torch(model, 0)
  for variable in model.variables:
    value = variable.numpy()
    if variable.name == 'kernel':
      bound = np.prod(value.shape[:-1]) ** -0.5
      assert 0.8 * bound < np.abs(value).max() <= bound, variable.path
    elif variable.name in ('gamma', 'beta'):
      assert np.all(value == (variable.name == 'gamma')), variable.path


def test_as_the_encoders_of_hierarchies():
  """To a map, to a vector, from where features and layers meet, and up a ladder."""
  for inference in ('generic', 'ladder', 'lvae'):
    spec = spec_lib.load(ROOT / 'specs/hit.py', {'model.inference': inference})
    fields = {'model.z1.encoder.kind': 'residual', 'model.z1.encoder.hidden': '4,4', 'model.z1.encoder.blocks': 1}
    fields |= {'model.z2.encoder.kind': 'residual', 'model.z2.encoder.hidden': '4', 'model.z2.encoder.blocks': 1}
    fields |= {'model.z1.posterior.kind': 'residual', 'model.z1.posterior.hidden': '4'}
    spec = spec_lib.resolve(spec, fields)
    build.check(spec)
    model = build.model(spec, Observation((8, 8, 1)))
    assert sum('block' in variable.path for variable in model.trainable_variables) > 20
