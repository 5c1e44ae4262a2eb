"""The discretised mixture of logistics against SciPy, enumeration, finite differences and frequencies."""

import itertools
import math

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfvae import noise as noise_lib
from tfvae.families.logistic_mixture import DiscretizedLogistics, LogisticMixture, parameters_of_pixel
from tfvae.observation import Observation

logistic = scipy.stats.logistic


def grey(loc, log_scale, observation, dtype):
  """Images of one pixel and one component, batch shape that of loc."""
  raw = np.stack([np.zeros_like(loc), loc, log_scale], -1)[..., None, None, :]
  return DiscretizedLogistics(tf.constant(raw, dtype), 1, observation)


def values(observation):
  """x of every level, [L, 1, 1, 1]."""
  return np.linspace(observation.low, observation.high, observation.levels)[:, None, None, None]


def scipy_log_masses(loc, log_scale, levels):
  """log-probabilities [L, ...] of all levels, by differences of SciPy's cdf, or of its sf where that is smaller."""
  y = np.linspace(-1, 1, levels).reshape(-1, *[1] * np.ndim(loc))
  half, scale = 1 / (levels - 1), np.exp(log_scale)
  lower, upper = (y - half - loc) / scale, (y + half - loc) / scale
  lower[0], upper[-1] = -np.inf, np.inf
  below, above = logistic.cdf(upper) - logistic.cdf(lower), logistic.sf(lower) - logistic.sf(upper)
  with np.errstate(divide='ignore'):
    return np.log(np.where(lower > 0, above, below))


SCALES, MEANS = np.linspace(-7, math.log(10), 25), np.linspace(-1.5, 1.5, 61)


@pytest.mark.parametrize('observation', [Observation((1, 1, 1), 0.0, 1.0, 256), Observation((1, 1, 1), -2.1, 1.7, 17)])
def test_masses_sum_to_one_and_share_their_edges(observation):
  loc, log_scale = np.meshgrid(MEANS, SCALES)
  masses = np.exp(grey(loc, log_scale, observation, 'float32').log_prob(values(observation)[:, None, None]), dtype='f8')
  np.testing.assert_allclose(masses.sum(0), 1, atol=1e-5)
  # Up to each edge the masses add up to the distribution function there: none is counted twice, or left out.
  edges = (np.arange(observation.levels - 1) + 0.5) * 2 / (observation.levels - 1) - 1
  want = logistic.cdf((edges[:, None, None] - loc) / np.exp(log_scale))
  np.testing.assert_allclose(np.cumsum(masses, 0)[:-1], want, atol=1e-4)


@pytest.mark.parametrize(('dtype', 'tolerance'), [('float64', 1e-9), ('float32', 2e-3)])
def test_log_masses_against_scipy(dtype, tolerance):
  observation = Observation((1, 1, 1), 0.0, 1.0, 256)
  loc, log_scale = np.meshgrid(MEANS, SCALES)
  got = grey(loc, log_scale, observation, dtype).log_prob(values(observation)[:, None, None]).numpy()
  want = scipy_log_masses(loc, log_scale, 256)
  kept = want > -600  # less is beyond the differences, not beyond log_prob
  assert np.isfinite(got).all() and kept.mean() > 0.7
  # In float32 loc is known to 1e-7, so that far out (loc - edge) / scale is known to 1e-7 / scale and to its rounding.
  np.testing.assert_allclose(got[kept], want[kept], rtol=1e-12 if dtype == 'float64' else 2e-6, atol=tolerance / 10)


def rgb(components, levels, seed=0, spread=1.0, scale=0.0, pixels=(1, 1)):
  """A distribution of colour images in float64, and what a head gave."""
  observation = Observation((*pixels, 3), -1.0, 1.0, levels)
  rng = np.random.default_rng(seed)
  raw = spread * rng.standard_normal((1, 1, *pixels, parameters_of_pixel(3, components)))
  raw[..., 4 * components : 7 * components] += scale
  return DiscretizedLogistics(tf.constant(raw), components, observation), raw


def enumerated(raw, components, levels):
  """Probabilities [L, L, L] of a colour pixel, written out as the paper has them."""
  parts = raw.reshape(-1).reshape(10, components)
  y, joint = np.linspace(-1, 1, levels), np.zeros([levels] * 3)
  weights = np.exp(parts[0]) / np.exp(parts[0]).sum()
  a, b, c = np.tanh(parts[7:])
  for k in range(components):
    for i, j in itertools.product(range(levels), repeat=2):
      locs = parts[1, k], parts[2, k] + a[k] * y[i], parts[3, k] + b[k] * y[i] + c[k] * y[j]
      red, green, blue = (np.exp(scipy_log_masses(loc, s, levels)) for loc, s in zip(locs, parts[4:7, k], strict=True))
      joint[i, j] += weights[k] * red[i] * green[j] * blue
  return joint


def test_colours_are_autoregressive():
  px, raw = rgb(components=3, levels=5)
  want = enumerated(raw, 3, 5)
  np.testing.assert_allclose(want.sum(), 1)
  grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 5)] * 3, indexing='ij'), -1).reshape(-1, 1, 1, 1, 1, 3)
  np.testing.assert_allclose(px.log_prob(grid), np.log(want).reshape(-1, 1, 1), rtol=1e-9)


def test_gradients_are_finite_however_improbable_x_is_and_right():
  observation = Observation((4, 3, 3), 0.0, 1.0, 256)
  rng = np.random.default_rng(0)
  raw = rng.standard_normal((1, 6, 4, 3, parameters_of_pixel(3, 2)))
  raw *= np.array([0, 1, 10, 100, 1e3, 1e4])[:, None, None, None]
  x = rng.choice([0, 128, 255], (6, 4, 3, 3)) / 255

  def gradient(raw):
    value = tf.cast(raw, tf.float32)
    with tf.GradientTape() as tape:
      tape.watch(value)
      log_prob = DiscretizedLogistics(value, 2, observation).log_prob(x)
    return log_prob, tape.gradient(log_prob, value)

  for function in (gradient, tf.function(gradient, jit_compile=True, autograph=False)):
    for value in function(raw):
      assert np.isfinite(value).all()
  raw = 0.5 * rng.standard_normal((1, 1, 1, 1, parameters_of_pixel(3, 2)))
  one = Observation((1, 1, 3), 0.0, 1.0, 256)
  for level in (0, 100, 255):
    log_prob = lambda raw, level=level: DiscretizedLogistics(raw, 2, one).log_prob(np.full((1, 1, 3), level / 255))
    (theoretical,), (numerical,) = tf.test.compute_gradient(log_prob, [tf.constant(raw)], delta=1e-5)
    np.testing.assert_allclose(theoretical, numerical, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize('channels', [1, 3])
def test_samples_have_the_frequencies_of_the_masses(channels):
  levels, n = 4, 40_000
  rng, shape = np.random.default_rng(3), (1, 1, channels)
  raw = rng.standard_normal((1, 1, 1, 1, parameters_of_pixel(channels, 2)))
  px = DiscretizedLogistics(tf.constant(raw), 2, Observation(shape, -1.0, 1.0, levels))
  likelihood = LogisticMixture(Observation(shape, -1.0, 1.0, levels), 2)
  x = likelihood.sample(px, noise_lib.stateless(0, 0), 'x', (1, n)).numpy().reshape(n, channels)
  found = np.round((x + 1) * (levels - 1) / 2).astype(int)
  np.testing.assert_allclose(found * 2 / (levels - 1) - 1, x, atol=1e-12)  # levels, and no others
  states = np.array(list(itertools.product(range(levels), repeat=channels)))
  want = n * np.exp(px.log_prob((states * 2 / (levels - 1) - 1).reshape(-1, 1, 1, 1, channels))).ravel()
  counts = np.bincount(np.ravel_multi_index(found.T, [levels] * channels), minlength=len(states))
  statistic = np.sum((counts - want) ** 2 / want)
  assert statistic < scipy.stats.chi2.ppf(1 - 1e-5, len(states) - 1)


def test_the_mean_is_that_of_the_masses_but_for_rounding_and_clipping():
  observation = Observation((1, 1, 1), 0.0, 1.0, 256)
  loc, log_scale = np.meshgrid(MEANS, SCALES)
  px = grey(loc, log_scale, observation, 'float64')
  got = LogisticMixture(observation, 1).mean(px).numpy()[..., 0, 0, 0]
  want = np.sum(values(observation)[:, :, 0] * np.exp(scipy_log_masses(loc, log_scale, 256)), 0)
  error = 255 * np.abs(got - want)
  assert error.max() <= 0.5
  # The mean of the levels is the midpoint rule for that of the logistic: Euler and Maclaurin's h^2 / 24 f', f' <= 1/4s.
  assert error[log_scale > math.log(2 / 255)].max() < 1 / 96 + 1e-4
  # In colour, where levels are dense and nothing is clipped: the tower property.
  px, raw = rgb(components=3, levels=33, spread=0.15, scale=-2.5)
  joint, y = enumerated(raw, 3, 33), np.linspace(-1, 1, 33)
  want = [np.sum(joint * y.reshape(np.roll([-1, 1, 1], c))) for c in range(3)]
  np.testing.assert_allclose(px.mean().numpy().ravel(), want, atol=1e-4)


def test_the_mode_is_the_most_probable_level_given_the_channels_before():
  observation = Observation((3, 2, 1), 0.0, 2.0, 9)
  raw = 2 * np.random.default_rng(1).standard_normal((1, 4, 3, 2, parameters_of_pixel(1, 3)))
  px = DiscretizedLogistics(tf.constant(raw), 3, observation)
  pixel = DiscretizedLogistics(tf.constant(raw.reshape(-1, 1, 1, 9)), 3, observation._replace(shape=(1, 1, 1)))
  masses = pixel.log_prob(values(observation)[:, None]).numpy()
  np.testing.assert_allclose(px.mode().numpy().ravel(), masses.argmax(0) / 4)
  for seed in range(5):
    px, raw = rgb(components=2, levels=5, seed=seed, spread=2.0)
    joint = enumerated(raw, 2, 5)
    red = joint.sum((1, 2)).argmax()
    green = joint[red].sum(1).argmax()
    want = np.array([red, green, joint[red, green].argmax()])
    np.testing.assert_allclose(px.mode().numpy().ravel(), want / 2 - 1)


def test_levels_and_densities_do_not_depend_on_scaling_or_on_the_precision_of_nets():
  raw = tf.constant(np.random.default_rng(2).standard_normal((1, 2, 2, 2, 100)), tf.float32)
  levels, logs = np.random.default_rng(3).integers(0, 256, (2, 2, 2, 3)), []
  for low, high in ((0.0, 1.0), (-1.87, 2.04), (0.0, 255.0)):
    observation = Observation((2, 2, 3), low, high, 256)
    px, x = DiscretizedLogistics(raw, 10, observation), (low + (high - low) / 255 * levels).astype('f4')
    logs.append(px.log_prob(x).numpy())
    likelihood = LogisticMixture(observation)
    assert likelihood.log_mass(px, x).shape == (1, 2) and likelihood.entropy(px) is None
    np.testing.assert_allclose(likelihood.diagnostics(px)['scale'] / (high - low), 0.8, atol=0.2)
  np.testing.assert_array_equal(logs[0], logs[1])
  np.testing.assert_array_equal(logs[0], logs[2])
  policy = keras.config.dtype_policy()
  keras.config.set_dtype_policy('mixed_bfloat16')
  try:
    likelihood = LogisticMixture(observation)
  finally:
    keras.config.set_dtype_policy(policy)
  px = likelihood(tf.zeros([4, 2, 2, 5], tf.bfloat16), batch_shape=(2, 2))
  assert px.dtype == tf.float32 and px.log_prob(x).dtype == tf.float32
  assert {name: tuple(value.shape) for name, value in likelihood.parameters(px).items()} == {
    'logits': (2, 2, 2, 2, 10),
    'loc': (2, 2, 2, 2, 3, 10),
    'scale': (2, 2, 2, 2, 3, 10),
    'coefficients': (2, 2, 2, 2, 3, 10),
  }
