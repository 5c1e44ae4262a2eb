"""Densities, variance modes, KLs and samples against SciPy, TFP and Monte Carlo."""

import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import noise as noise_lib
from tfvae.families import variance as variance_lib
from tfvae.families.bernoulli import BernoulliLikelihood
from tfvae.families.gaussian import DiagonalGaussian, GaussianLikelihood
from tfvae.observation import Observation

tfd = tfp.distributions
MODES = [variance_lib.Fixed, variance_lib.Learned, variance_lib.PerDimension, variance_lib.Latent, variance_lib.Optimal]
SHAPE = (4, 4, 2)


def rng(seed=0):
  return np.random.default_rng(seed)


def randomize(layer, seed=0):
  """Weights that are not zero anywhere, so that no term can hide."""
  for variable in layer.variables:
    variable.assign(0.3 * rng(seed).standard_normal(variable.shape))


def gaussian_likelihood(mode, floor, sigma=0.7):
  likelihood = GaussianLikelihood(Observation(SHAPE), mode(SHAPE, sigma, floor, name='variance'), name='likelihood')
  features = tf.constant(rng(1).standard_normal((6, 5)), tf.float32)
  likelihood(features, batch_shape=(2, 3))
  return likelihood, features


def numpy_sigma(likelihood, features, mode, floor):
  """sigma [6, *SHAPE] by the formula, in NumPy."""
  variance = likelihood.variance
  if mode is variance_lib.Fixed:
    return np.full((6, *SHAPE), 0.7)
  if mode is variance_lib.Optimal:
    return np.full((6, *SHAPE), np.exp(variance.log_sigma.numpy()))
  m = math.log(floor) if floor else None
  if mode is variance_lib.Latent:
    start = 0.7 if not floor else floor * (0.7 / floor - 1)  # exp(m) (exp(log sigma - m) - 1): softplus undone
    dense = variance.head.map
    raw = math.log(start) + features.numpy() @ dense.kernel.numpy() + dense.bias.numpy()
    raw = raw.reshape(6, *SHAPE)
  else:
    raw = np.broadcast_to(variance.log_sigma.numpy(), (6, *SHAPE))
  return np.exp(raw) if m is None else np.exp(m + np.log1p(np.exp(raw - m)))


@pytest.mark.parametrize('floor', [0.0, 0.3])
@pytest.mark.parametrize('mode', MODES)
def test_gaussian_log_likelihood_against_scipy(mode, floor):
  likelihood, features = gaussian_likelihood(mode, floor)
  randomize(likelihood)
  x = rng(2).standard_normal((3, *SHAPE)).astype(np.float32)
  got = likelihood(features, batch_shape=(2, 3)).log_prob(x)
  loc = (features.numpy() @ likelihood.head.map.kernel.numpy() + likelihood.head.map.bias.numpy()).reshape(2, 3, *SHAPE)
  sigma = numpy_sigma(likelihood, features, mode, floor).reshape(2, 3, *SHAPE)
  want = scipy.stats.norm.logpdf(x, loc, sigma).sum((2, 3, 4))
  np.testing.assert_allclose(got, want, rtol=2e-5)
  diagnosed = likelihood.diagnostics(likelihood(features, batch_shape=(2, 3)))['sigma']
  np.testing.assert_allclose(np.broadcast_to(diagnosed, (2, 3)), np.sqrt((sigma**2).mean((2, 3, 4))), rtol=1e-5)


@pytest.mark.parametrize('mode', MODES)
def test_variances_start_at_sigma_and_respect_the_floor(mode):
  likelihood, features = gaussian_likelihood(mode, floor=0.1)
  if mode is variance_lib.Latent:
    likelihood.variance.head.map.kernel.assign(tf.zeros_like(likelihood.variance.head.map.kernel))
  sigma = np.exp(likelihood.variance(features, batch_shape=(2, 3)))
  np.testing.assert_allclose(sigma, 0.7, rtol=1e-5)
  for variable in likelihood.variance.trainable_variables:
    variable.assign(tf.fill(variable.shape, -50.0) if 'kernel' not in variable.path else tf.zeros_like(variable))
  likelihood.update({'mse': tf.constant(1e-9)})
  if mode is not variance_lib.Fixed:
    np.testing.assert_allclose(np.exp(likelihood.variance(features, batch_shape=(2, 3))), 0.1, rtol=1e-5)


def test_optimal_variance_is_the_maximum_of_the_likelihood():
  likelihood, features = gaussian_likelihood(variance_lib.Optimal, 0.01)
  x = rng(3).standard_normal((3, *SHAPE)).astype(np.float32)
  mean = lambda: float(tf.reduce_mean(likelihood(features, batch_shape=(2, 3)).log_prob(x)))
  mse = np.mean((likelihood(features, batch_shape=(2, 3)).mean() - x) ** 2)
  likelihood.update({'mse': tf.constant(mse)})
  best = mean()
  assert math.exp(float(likelihood.variance.log_sigma)) == pytest.approx(math.sqrt(mse), rel=1e-5)
  # At the optimum the mean log-likelihood is -D/2 log(2 pi e sigma^2) ...
  assert best == pytest.approx(-0.5 * 32 * math.log(2 * math.pi * math.e * mse), rel=1e-5)
  for factor in (0.9, 1.1):  # ... and any other sigma is worse.
    likelihood.variance.log_sigma.assign(0.5 * math.log(mse) + math.log(factor))
    assert mean() < best
  assert not likelihood.variance_variables and likelihood.closed_form


def test_bernoulli_log_likelihood_against_scipy():
  likelihood = BernoulliLikelihood(Observation((5,)), name='b')
  features = tf.constant(rng().standard_normal((6, 4)), tf.float32)
  likelihood(features, batch_shape=(2, 3))
  randomize(likelihood)
  px = likelihood(features, batch_shape=(2, 3))
  x = rng(1).integers(0, 2, (3, 5)).astype(np.float32)
  np.testing.assert_allclose(px.log_prob(x), scipy.stats.bernoulli.logpmf(x, px.mean()).sum(-1), rtol=1e-5)
  grey = rng(1).random((3, 5)).astype(np.float32)
  p = px.mean().numpy()
  np.testing.assert_allclose(px.log_prob(grey), (grey * np.log(p) + (1 - grey) * np.log1p(-p)).sum(-1), rtol=1e-5)


def test_bernoulli_is_finite_far_out():
  px = tfd.Independent(tfd.Bernoulli(logits=tf.constant([[200.0, -200.0]]), dtype=tf.float32), 1)
  np.testing.assert_allclose(px.log_prob([[0.0, 1.0]]), [-400.0])
  np.testing.assert_allclose(px.log_prob([[1.0, 0.0]]), [0.0])


@pytest.mark.parametrize('scale_head', ['log', 'softplus'])
@pytest.mark.parametrize('shape', [(3,), (2, 2, 2)])
def test_diagonal_gaussian_heads_and_kl(scale_head, shape):
  layer = DiagonalGaussian(shape, scale_head, name='q')
  features = tf.constant(rng().standard_normal((4, 5)), tf.float32)
  layer(features, batch_shape=(1, 4))
  randomize(layer)
  q = layer(features, batch_shape=(1, 4))
  out = (features.numpy() @ layer.head.map.kernel.numpy() + layer.head.map.bias.numpy()).reshape(
    1, 4, *shape[:-1], 2 * shape[-1]
  )
  loc, raw = np.split(out, 2, axis=-1)
  scale = np.exp(raw) if scale_head == 'log' else np.log1p(np.exp(raw)) + 1e-6
  np.testing.assert_allclose(q.mean(), loc, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(q.stddev(), scale, rtol=1e-4)
  # KL to the standard normal: -1/2 sum (1 + log s^2 - m^2 - s^2).
  standard = tfd.Independent(tfd.Normal(tf.zeros(shape), 1.0), len(shape))
  want = -0.5 * (1 + 2 * np.log(scale) - loc**2 - scale**2).reshape(1, 4, -1).sum(-1)
  got = layer.kl(q, standard)
  np.testing.assert_allclose(got, want, rtol=1e-4)


def test_kl_of_two_gaussians_against_tfp_and_monte_carlo():
  n, shape = 100_000, (3,)
  normal = lambda seed: tf.constant(rng(seed).standard_normal((2, 3)), tf.float32)
  q = tfd.Independent(tfd.Normal(normal(0), tf.exp(0.3 * normal(1))), 1)
  p = tfd.Independent(tfd.Normal(normal(2), tf.exp(0.3 * normal(3))), 1)
  family = DiagonalGaussian(shape, name='q')
  z = family.sample(q, noise_lib.stateless(0, 0), 'z', (n, 2))
  log_q, log_p = q.log_prob(z), p.log_prob(z)
  got = family.kl(q, p)
  diag = lambda d: tfd.MultivariateNormalDiag(d.mean(), d.stddev())
  np.testing.assert_allclose(got, tfd.kl_divergence(diag(q), diag(p)), rtol=1e-5)
  ratio = (log_q - log_p).numpy()
  assert np.all(np.abs(ratio.mean(0) - got) < 5 * ratio.std(0) / math.sqrt(n))


def test_samples_have_the_moments_of_their_distribution():
  n = 100_000
  gaussian = GaussianLikelihood(Observation((2,)), variance_lib.Fixed((2,), 0.5, 0.0), name='g')
  px = tfd.Independent(tfd.Normal(tf.constant([[1.0, -2.0]]), 0.5), 1)
  x = gaussian.sample(px, noise_lib.stateless(0, 0), 'x', (n, 1)).numpy()
  assert np.all(np.abs(x.mean(0) - [[1, -2]]) < 5 * 0.5 / math.sqrt(n))
  assert np.all(np.abs(x.var(0) - 0.25) < 5 * 0.25 * math.sqrt(2 / n))
  bernoulli = BernoulliLikelihood(Observation((2,)), name='b')
  px = tfd.Independent(tfd.Bernoulli(probs=tf.constant([[0.2, 0.9]]), dtype=tf.float32), 1)
  x = bernoulli.sample(px, noise_lib.stateless(0, 0), 'x', (n, 1)).numpy()
  assert set(np.unique(x)) == {0.0, 1.0}
  assert np.all(np.abs(x.mean(0) - [[0.2, 0.9]]) < 5 * 0.5 / math.sqrt(n))
