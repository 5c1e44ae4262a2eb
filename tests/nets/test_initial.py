"""Initial weights: their ranges by hand, from the seed and their names alone."""

import json
import math
import pathlib
import zlib

import keras
import numpy as np
import pytest

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.nets.initial import as_torch
from tfvae.observation import Observation

SPECS = pathlib.Path(__file__).parents[2] / 'specs'


def model_of(variant, shape, **fields):
  return build.model(
    spec_lib.load(f'{SPECS}/{variant}', {k.replace('__', '.'): v for k, v in fields.items()}), Observation(shape)
  )


def assert_uniform(values, bound, what=''):
  """Within +-bound, up to it, with the standard deviation bound / sqrt(3) and the mean 0: five standard errors."""
  values = np.asarray(values).ravel()
  assert np.abs(values).max() <= bound * (1 + 1e-6), what
  if len(values) > 50:
    n = len(values)
    assert abs(np.square(values).mean() / (bound**2 / 3) - 1) < 5 * math.sqrt(4 / 5 / n), what  # E u^4 = 9/5 (E u^2)^2
    assert abs(values.mean()) < 5 * bound / math.sqrt(3 * n), what


@pytest.mark.parametrize(
  ('layer', 'shape', 'fan_in'),
  [
    (keras.layers.Dense(300), (50,), 50),
    (keras.layers.Conv2D(64, 3), (8, 8, 16), 9 * 16),
    (keras.layers.Conv2DTranspose(16, 5, 2), (8, 8, 64), 25 * 16),  # PyTorch's takes the outputs for inputs
  ],
)
def test_the_scale_of_pytorch(layer, shape, fan_in):
  model = keras.Sequential([keras.Input(shape), layer])
  as_torch(model, 3)
  assert_uniform(layer.kernel, 1 / math.sqrt(fan_in))
  assert_uniform(layer.bias, 1 / math.sqrt(fan_in))
  assert np.abs(layer.bias.numpy()).min() > 0


# By the layers of the authors' code; {name of the weights: fan in}, or of blocks of rows where two of theirs are one.
HIT = {
  'z2_encoder/conv_0': 16 * 3,
  'z2_encoder/conv_1': 16 * 32,
  'z2_encoder/conv_2': 16 * 32,
  'z2_q/head/dense': 512,
  'z1_encoder/conv_0': 16 * 3,
  'z1_encoder/conv_1': 16 * 32,
  'z1_above/stem/dense': 32,
  'z1_above/conv_0': 16 * 32,
  'z1_posterior/conv_0': 16 * 64,
  'z1_q/head/conv': 9 * 32,
  'z1_prior/z1_prior_net/dense_0': 32,
  'z1_prior/z1_p/head/dense': 256,
  'decoder_net/conv_0': 16 * 32,
  'decoder_net/conv_1': 16 * 32,
  'likelihood/head/conv': 16 * 3,  # transposed, to three channels
}
SYMMETRIC = {
  'z1_encoder/conv_0': 9,
  'z1_encoder/conv_1': 4 * 32,
  'z1_encoder/conv_2': 9 * 32,
  'z1_encoder/conv_3': 9 * 64,
  'z1_encoder/conv_4': 9 * 64,
  'z1_encoder/conv_5': 9 * 64,
  'z1_encoder/dense': 16 * 128,  # a convolution of 4 x 4
  'z1_q/head/dense': 600,
  'z2_encoder/dense_0': 600,
  'z2_encoder/dense_1': 600,
  'z2_q/head/dense': [(600, 600), (100, 100)],  # the second without a bias
  'z1_prior/z1_prior_net/dense_0': 30,
  'z1_prior/z1_prior_net/dense_1': 600,
  'z1_prior/z1_p/head/dense': [(600, 600), (30, 30)],
  'decoder_net/dense': 16 * 128,  # transposed, from 1 x 1 to 4 x 4
  'decoder_net/conv_0': 9 * 64,
  'decoder_net/conv_1': 9 * 64,
  'decoder_net/conv_2': 9 * 64,
  'decoder_net/conv_3': 9 * 32,
  'decoder_net/conv_4': 4 * 32,
  'likelihood/head/conv': 9 * 32,
}


@pytest.mark.parametrize(
  ('variant', 'shape', 'fans'),
  [('hit.py:cifar10', (32, 32, 3), HIT), ('symmetric.py:mnist', (28, 28, 1), SYMMETRIC)],
)
def test_the_published_networks(variant, shape, fans):
  model = model_of(variant, shape)
  names = set()
  for variable in model.trainable_variables:
    layer, _, kind = variable.path.removeprefix('hierarchy/').rpartition('/')
    names.add(layer)
    fan = fans[layer]
    blocks = fan if isinstance(fan, list) else [(None, fan)]
    if kind == 'bias':
      assert_uniform(variable, blocks[0][1] ** -0.5, variable.path)
      continue
    first = 0
    for rows, inputs in blocks:
      assert_uniform(variable.numpy()[..., first : first + rows if rows else None, :], inputs**-0.5, variable.path)
      first += rows or 0
    assert first in (0, variable.shape[-2])
  assert names == set(fans)


def test_weights_depend_on_seed_and_name_alone():
  one, again, other = (model_of('hit.py', (8, 8, 1), model__initializer='torch', seed=seed) for seed in (0, 0, 1))
  for a, b, c in zip(one.trainable_variables, again.trainable_variables, other.trainable_variables, strict=True):
    np.testing.assert_array_equal(a, b)
    assert np.any(a.numpy() != c.numpy()) == (a.name in ('kernel', 'bias')), a.path
  wider = model_of('hit.py', (8, 8, 1), model__initializer='torch', decoder__net__hidden='16,16,16')
  same = {v.path: v for v in wider.trainable_variables if v.path.startswith('hierarchy/z')}
  for variable in one.trainable_variables:
    if variable.path in same:
      np.testing.assert_array_equal(variable, same[variable.path])
  kernels = [v.numpy().tobytes() for v in one.trainable_variables if v.name == 'kernel']
  assert len(set(kernels)) == len(kernels)


def test_a_constraint_holds_at_the_start():
  model = model_of('entropies.py:circle,vae2', (2,), model__initializer='torch')
  kernel = next(v for v in model.trainable_variables if v.path.endswith('decoder_net/dense_0/kernel'))
  np.testing.assert_allclose(np.linalg.norm(kernel, axis=1), 1, rtol=1e-5)


def test_keras_is_the_default_and_as_it_was():
  """Glorot uniform kernels by Keras' own class, from the seed that (spec.seed, path) makes; biases 0."""
  model = model_of('hit.py', (8, 8, 1), seed=5)
  for variable in model.trainable_variables:
    if variable.name == 'kernel':
      seed = (5 * 1_000_003 + zlib.crc32(variable.path.encode())) % 2**31
      np.testing.assert_array_equal(variable, keras.initializers.GlorotUniform(seed)(variable.shape))
    elif variable.name == 'bias':
      assert np.all(variable.numpy() == 0)


def test_which_specs_start_as_published():
  for variant, published in {
    'hit.py': False,
    'hit.py:cifar10': True,
    'hit.py:binary_mnist': True,
    'symmetric.py': False,
    'symmetric.py:small_mnist': False,
    'symmetric.py:mnist': True,
    'symmetric.py:fashion_mnist,elbo': True,
    'iwae.py:mnist': False,
  }.items():
    spec = spec_lib.load(f'{SPECS}/{variant}')
    assert spec.model.initializer == ('torch' if published else 'keras'), variant
    if 'iwae' not in variant:
      assert spec.train.epsilon == (1e-8 if published else 1e-7), variant


def test_a_run_from_before_the_field_started_from_keras():
  values = json.loads(spec_lib.to_json(spec_lib.load(f'{SPECS}/hit.py:cifar10')))
  del values['model']['initializer']
  assert spec_lib.from_json(json.dumps(values)).model.initializer == 'keras'
