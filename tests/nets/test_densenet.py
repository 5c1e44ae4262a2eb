"""Densely connected nets: by hand, their widths, their normalisation, and where they have no place."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from scipy.signal import correlate2d

from tfvae import spec as spec_lib
from tfvae.errors import SpecError, UserError
from tfvae.nets.densenet import Densenet
from tfvae.spec import fit
from tfvae.spec.fields.field import flatten
from tfvae.spec.sides import added


def normed(x, layer, epsilon=1e-3):
  """Of one example [H, W, C], the scale 1 and the shift 0, and ReLU."""
  parts = x.reshape(*x.shape[:2], layer.groups, -1)
  mean, variance = (of(parts, axis=(0, 1, 3), keepdims=True) for of in (np.mean, np.var))
  return np.maximum(((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape), 0)


def convolved(x, layer):
  kernel = layer.kernel.numpy()
  one = lambda output: sum(correlate2d(x[..., i], kernel[..., i, output], 'same') for i in range(x.shape[-1]))
  return np.stack([one(output) for output in range(kernel.shape[-1])], -1)


def halved(x):
  """The mean of four pixels; at an odd edge of those that are there."""
  rows, columns = ((side + 1) // 2 for side in x.shape[:2])
  return np.array([[x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((0, 1)) for j in range(columns)] for i in range(rows)])


def by_hand(net, x):
  """Huang et al. 2017: what each layer makes follows all that was there."""
  x = convolved(x, net.stem)
  for i, stage in enumerate(net.stages):
    if i:
      between = net.between[i - 1]
      x = halved(convolved(normed(x, between.norm), between.conv))
    for layer in stage:
      inside = convolved(normed(x, layer.norm_0), layer.conv_0)
      x = np.concatenate([x, convolved(normed(inside, layer.norm_1), layer.conv_1)], -1)
  return normed(x, net.norm).mean((0, 1))


@pytest.mark.parametrize('side', [6, 5])
def test_by_hand(side):
  """Two stages of two layers and of one, on even and odd sides."""
  net, x = Densenet((16, 12), growth=4), np.random.default_rng(0).normal(size=(2, side, side, 3)).astype(np.float32)
  np.testing.assert_allclose(net(x), [by_hand(net, one) for one in x], rtol=1e-3, atol=1e-4)
  assert [len(stage) for stage in net.stages] == [2, 1] and net(x).shape == (2, 12)
  assert net.non_trainable_variables == []


def test_how_many_layers():
  """The published ones: DenseNet-121 and that of the spec."""
  assert added((256, 512, 1024, 1024), 32) == [6, 12, 24, 16]
  own = spec_lib.load(ROOT / 'specs/classifier.py:dense').model.classifier
  assert added(own.hidden, own.growth) == [2, 4, 8, 6]
  for hidden in ((16,), (8,), (25,), (32, 20)):
    with pytest.raises(ValueError, match=r'has .* at its end, not'):
      added(hidden, 8)


def test_where_it_has_no_place():
  with pytest.raises(SpecError, match=r'spec\.model\.classifier\.hidden: got 32,50,.*the nearest is 48'):
    spec_lib.load(ROOT / 'specs/classifier.py:dense', {'model.classifier.hidden': '32,50,88,92'})
  for shape, fields, text in (
    ((30,), {'model.z2.encoder.kind': 'densenet'}, 'but this net gets a vector'),
    ((8, 8, 1), {'model.z1.encoder.kind': 'densenet', 'model.z1.encoder.hidden': '24'}, 'this net leads to 4 x 4'),
    ((8, 8, 1), {'decoder.net.kind': 'densenet', 'decoder.net.hidden': '24'}, 'but this net gets a vector'),
  ):
    fields = {'model.z2.encoder.hidden': '24'} | fields
    spec = spec_lib.load(ROOT / 'specs/hit.py', fields)
    found = fit.problems(flatten(spec.to_dict()), shape)
    assert any(text in problem for problem in found), found
  with pytest.raises(UserError, match='it leads from images or feature maps to a vector'):
    Densenet((24,), 8)(tf.ones([1, 5]))
  with pytest.raises(UserError, match='the nearest is 24'):
    Densenet((25,), 8)(tf.ones([1, 8, 8, 1]))


def test_words_of_classifiers():
  """The usual nets, and each of the three for all data; the defaults are what they were."""
  of = lambda words: spec_lib.load(f'{ROOT}/specs/classifier.py:{words}')
  assert of('') == of('conv') == of('digits, conv') and of('mnist') == of('mnist,conv')
  assert of('cifar10') == of('cifar10,residual') and of('svhn') == of('svhn,residual')
  kinds = {'conv': 'conv', 'residual': 'residual', 'dense': 'densenet'}
  for data in ('fashion_mnist', 'svhn'):
    for word, kind in kinds.items():
      assert of(f'{data},{word}').model.classifier.kind == kind
  assert of('cifar10').train.learning_rate == of('dense').train.learning_rate == 2e-3
  with pytest.raises(SpecError, match='only one of conv, residual, dense'):
    of('dense,residual')
