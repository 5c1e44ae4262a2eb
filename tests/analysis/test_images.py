"""Bits per dimension, and psnr and ssim, against SciPy and closed forms."""

import math
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.bits_per_dim import BitsPerDim
from tfvae.analysis.evaluator import Split
from tfvae.analysis.reconstruction import Reconstruction
from tfvae.errors import SpecError
from tfvae.families.gaussian import GaussianLikelihood
from tfvae.families.variance import Fixed
from tfvae.observation import Observation

tfd = tfp.distributions


def make(tiny, **fields):
  spec = spec_lib.resolve(tiny, {'eval.batch_size': 297, **fields})
  data = build.dataset(spec)
  return spec, build.source(spec, data), build.model(spec, data.observation)


def log_mass_of(low, high, loc, sigma):
  """log of the mass of N(loc, sigma^2) between low and high, in the lower tail, where logarithms keep their digits."""
  a, b = (low - loc) / sigma, (high - loc) / sigma
  a, b = np.where(a > 0, -b, a), np.where(a > 0, -a, b)
  return special.log_ndtr(b) + np.log1p(-np.exp(special.log_ndtr(a) - special.log_ndtr(b)))


@pytest.mark.parametrize('scaling', ['min_max', 'standard', 'none'])
def test_bits_per_dim_of_grey_values(tiny, scaling):
  """Both, from the same draws of z: the mass of each of the 17 values' bins, and the density at dequantised values."""
  spec, source, model = make(tiny, **{'data.scaling': scaling, 'decoder.sigma': 0.2})
  split = Split(source, 'test', spec)
  numbers = BitsPerDim(spec).evaluate(model, split).numbers
  (number, stored) = next(iter(split.batches()))
  batch, noise, data = split.batch(stored), split.noise(number), source.dataset
  values = stored['x'].numpy().astype(float)

  trace = model.infer(batch, noise, 2)
  loc, sigma = ((trace.px.mean().numpy() - data.offset) / data.scale).astype(float), trace.px.stddev().numpy()
  sigma = (sigma / data.scale).astype(float)
  low = np.where(values == 0, -np.inf, values - 0.5)
  high = np.where(values == 16, np.inf, values + 0.5)
  elbo = log_mass_of(low, high, loc, sigma).sum((2, 3, 4)).mean() - trace.terms()['rate'].numpy().mean()
  assert numbers['bits_per_dim/discretized'] == pytest.approx(-elbo / 64 / math.log(2), rel=1e-4)

  u = noise.uniform('dequantize', batch['x'].shape).numpy()
  x = (values + u - 0.5) * data.scale + data.offset
  trace = model.infer({'x': tf.constant(x, tf.float32)}, noise.scope('dequantized'), 2)
  loc = ((trace.px.mean().numpy() - data.offset) / data.scale).astype(float)
  density = stats.norm.logpdf(values + u - 0.5, loc, sigma).sum((2, 3, 4)).mean()
  elbo = density - trace.terms()['rate'].numpy().mean()
  assert numbers['bits_per_dim/dequantized'] == pytest.approx(-elbo / 64 / math.log(2), rel=1e-4)
  assert set(numbers) == {'bits_per_dim/discretized', 'bits_per_dim/dequantized'}


@pytest.mark.parametrize('sigma', [1e-3, 0.02, 3.0])
def test_the_bins_of_all_values_have_mass_one(sigma):
  """Also far in the tails, and where sigma is much smaller than a bin; against SciPy's logarithms."""
  likelihood = GaussianLikelihood(Observation((1,), 0.0, 1.0, 256), Fixed((1,), sigma, 0.0), name='likelihood')
  loc = np.array([-0.2, 0.0, 0.3011, 0.5, 1.0])
  values = np.arange(256.0)
  for m in loc:
    px = tfd.Independent(tfd.Normal(tf.fill([1, 256, 1], np.float32(m)), np.float32(sigma)), 1)
    log_mass = likelihood.log_mass(px, tf.constant(values[:, None] / 255, tf.float32))[0].numpy().astype(float)
    assert np.exp(log_mass).sum() == pytest.approx(1, abs=2e-4)
    low, high = (values - 0.5) / 255, (values + 0.5) / 255
    near = np.abs(values / 255 - m) < 6 * sigma + 1 / 255
    want = log_mass_of(np.where(values == 0, -np.inf, low), np.where(values == 255, np.inf, high), m, sigma)
    np.testing.assert_allclose(log_mass[near], want[near], rtol=2e-3, atol=5e-3)


def test_bits_per_dim_of_binary_data_is_the_elbo_in_bits(tiny):
  spec, source, model = make(tiny, **{'data.binarize': 'threshold', 'decoder.likelihood': 'bernoulli'})
  split = Split(source, 'test', spec)
  numbers = BitsPerDim(spec).evaluate(model, split).numbers
  number, stored = next(iter(split.batches()))
  elbo = model.infer(split.batch(stored), split.noise(number), 2).terms()['elbo'].numpy().mean()
  assert numbers == {'bits_per_dim': pytest.approx(-elbo / 64 / math.log(2), rel=1e-5)}


@pytest.mark.parametrize(
  'fields',
  [
    {'decoder.likelihood': 'bernoulli'},
    {'data.binarize': 'dynamic'},
    {'data.name': 'table'},
  ],
  ids=['grey values with a Bernoulli decoder', 'binary with a Gaussian one', 'real numbers'],
)
def test_bits_per_dim_of_what_is_not_discrete_is_refused(tiny, fields):
  spec = spec_lib.resolve(tiny, {'eval.evaluators': 'bounds,bits_per_dim', **fields})
  with pytest.raises(SpecError, match=r'spec.eval.evaluators: got bits_per_dim.*leave it out'):
    build.dataset(spec)


def constant_images(values, shape):
  return np.broadcast_to(np.asarray(values, np.float32).reshape(-1, *[1] * len(shape)), (len(values), *shape))


@pytest.mark.parametrize('shape', [(8, 8, 1), (16, 16, 3)])
def test_psnr_and_ssim_of_constant_images(shape):
  """Without contrast, ssim is its luminance term (2 a b + C1) / (a^2 + b^2 + C1), C1 = (0.01 range)^2."""
  a, b = np.array([0.2, 0.9, 0.5]), np.array([0.6, 0.9, 0.4])
  loc = tf.constant(constant_images(b, shape))[None]
  trace = types.SimpleNamespace(target=tf.constant(constant_images(a, shape)), mean=loc)
  source = types.SimpleNamespace(value_range=(-0.5, 1.5))
  found = Reconstruction(None).per_example(
    types.SimpleNamespace(shape=shape), trace, types.SimpleNamespace(source=source), {}
  )
  found = {name: value.numpy() for name, value in found.items()}
  error, c1 = (a - b) ** 2, 0.02**2
  np.testing.assert_allclose(found['mse'], error, atol=1e-7)
  np.testing.assert_allclose(found['psnr'][[0, 2]], 10 * np.log10(4 / error[[0, 2]]), rtol=1e-4)
  assert found['psnr'][1] > 100  # equal images
  np.testing.assert_allclose(found['ssim'], (2 * a * b + c1) / (a**2 + b**2 + c1), atol=1e-4)


def test_reconstruction_of_a_table_is_its_error(tiny):
  spec, source, model = make(tiny, **{'data.name': 'table'})
  split = Split(source, 'test', spec)
  number, stored = next(iter(split.batches()))
  batch = split.batch(stored)
  trace = model.infer(batch, split.noise(number), 3)
  found = Reconstruction(spec).per_example(model, trace, split, batch)
  assert set(found) == {'mse'}
  np.testing.assert_allclose(found['mse'], trace.squared_error(), rtol=1e-5)
