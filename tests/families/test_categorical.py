"""Layers of categories: densities, KLs and entropies against SciPy; samples, softened samples, and gradients."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.evaluator import Split
from tfvae.families.categorical import OneHot, independent
from tfvae.families.estimators import GumbelSoftmax, StraightThrough, StraightThroughGumbel
from tfvae.models.priors import LearnedCategories, StandardCategories

GROUPS, CATEGORIES = 3, 4
FAMILY = OneHot((GROUPS, CATEGORIES), name='q')


def logits(seed, *batch):
  return 2 * np.random.default_rng(seed).standard_normal((*batch, GROUPS, CATEGORIES))


def test_densities_kls_and_entropies_against_scipy():
  of_q, of_p = logits(0, 2, 5), logits(1)
  q, p = independent(tf.constant(of_q)), independent(tf.constant(of_p))
  probs, prior = scipy.special.softmax(of_q, -1), scipy.special.softmax(of_p, -1)
  z = np.eye(CATEGORIES)[np.random.default_rng(2).integers(CATEGORIES, size=(2, 5, GROUPS))]
  want = scipy.stats.multinomial.logpmf(z, 1, probs).sum(-1)
  np.testing.assert_allclose(q.log_prob(tf.constant(z)), want, rtol=1e-12)
  want = scipy.stats.entropy(probs, prior[None, None], axis=-1)
  np.testing.assert_allclose(FAMILY.unit_kl(q, p), want, rtol=1e-12)
  np.testing.assert_allclose(FAMILY.kl(q, p), want.sum(-1), rtol=1e-12)
  np.testing.assert_allclose(FAMILY.unit_entropy(q), scipy.stats.entropy(probs, axis=-1), rtol=1e-12)
  np.testing.assert_allclose(FAMILY.entropy(q), scipy.stats.entropy(probs, axis=-1).sum(-1), rtol=1e-12)
  mean, variance = FAMILY.moments(q)
  np.testing.assert_allclose(mean, probs, rtol=1e-12)
  np.testing.assert_allclose(variance, probs * (1 - probs), rtol=1e-12)
  np.testing.assert_array_equal(FAMILY.location(q), np.eye(CATEGORIES)[of_q.argmax(-1)])


def test_what_a_group_tells_of_its_parents():
  """H(E pi) - E H(pi), against SciPy; and over all states the probabilities are 1."""
  of_q = logits(0, 50)
  means = tf.reduce_mean(FAMILY.information_statistics(independent(tf.constant(of_q))), 0)
  assert means.shape == FAMILY.information_shape
  probs = scipy.special.softmax(of_q, -1)
  want = scipy.stats.entropy(probs.mean(0), axis=-1) - scipy.stats.entropy(probs, axis=-1).mean(0)
  np.testing.assert_allclose(FAMILY.information(means), want, rtol=1e-9)
  states = FAMILY.states()
  assert states.shape == (FAMILY.number_of_states, GROUPS, CATEGORIES) == (64, GROUPS, CATEGORIES)
  total = tf.reduce_sum(independent(tf.constant(of_q)).prob(tf.constant(states[:, None], tf.float64)), 0)
  np.testing.assert_allclose(total, 1, rtol=1e-12)


def test_priors_are_uniform_at_the_start():
  for prior in (StandardCategories((GROUPS, CATEGORIES), name='s'), LearnedCategories((GROUPS, CATEGORIES), name='l')):
    p = prior(None, batch_shape=())
    assert float(FAMILY.entropy(p)) == pytest.approx(GROUPS * np.log(CATEGORIES), rel=1e-6)
  assert [v.path.rpartition('/')[2] for v in prior.trainable_variables] == ['logits'] and not prior.closed_form


def test_samples_are_one_hot_with_the_frequencies_of_the_probabilities():
  of_q, n = logits(0).astype(np.float32), 40_000
  z = FAMILY.sample(independent(tf.constant(of_q)), noise_lib.stateless(0, 0), 'z', (n, 1)).numpy()[:, 0]
  assert set(np.unique(z)) == {0.0, 1.0} and np.all(z.sum(-1) == 1)
  probs = scipy.special.softmax(of_q, -1)
  assert np.all(np.abs(z.mean(0) - probs) < 5 * np.sqrt(probs * (1 - probs) / n) + 1e-6)


def test_softened_samples_tend_to_the_hard_ones():
  """At any temperature the largest is the sample's category (Maddison et al. 2017, proposition 1)."""
  q, noise = independent(tf.constant(logits(0))), noise_lib.stateless(0, 0)
  hard = FAMILY.sample(q, noise, 'z', (1000, 1))
  for temperature, close in ((1.0, 0.0), (0.4, 0.3), (0.01, 0.98)):
    softened = FAMILY.sample(q, noise, 'z', (1000, 1), GumbelSoftmax(lambda step, t=temperature: tf.constant(t)))
    np.testing.assert_allclose(tf.reduce_sum(softened, -1), 1, rtol=1e-12)
    np.testing.assert_array_equal(tf.argmax(softened, -1), tf.argmax(hard, -1))
    assert np.mean(tf.reduce_max(softened, -1) > 0.9) > close


def test_noise_at_its_ends_is_finite():
  q = independent(tf.constant(logits(0).astype(np.float32)))
  for uniform in (0.0, float(np.nextafter(np.float32(1), np.float32(0)))):
    noise = noise_lib.Noise(lambda request, u=uniform: tf.fill(request.shape, tf.cast(u, request.dtype)))
    estimator = GumbelSoftmax(lambda step: tf.constant(0.1))
    assert np.all(np.isfinite(FAMILY.sample(q, noise, 'z', (1, 1), estimator)))


def test_straight_through_is_exact_for_linear_functions():
  """Of every single draw: the gradient of sum a z is that of sum a p. By the softened one it is so in no draw."""
  of_q, a = tf.Variable(logits(0)), tf.constant(logits(3))
  with tf.GradientTape() as tape:
    value = tf.reduce_sum(a * tf.nn.softmax(of_q))
  want = tape.gradient(value, of_q)
  for estimator, exact in ((StraightThrough(), True), (StraightThroughGumbel(lambda step: tf.constant(0.5)), False)):
    for step in range(3):
      with tf.GradientTape() as tape:
        z = FAMILY.sample(independent(of_q), noise_lib.stateless(0, step), 'z', (1, 1), estimator)
        value = tf.reduce_sum(a * z)
      np.testing.assert_allclose(z, tf.one_hot(tf.argmax(z, -1), CATEGORIES, dtype=z.dtype), atol=1e-12)
      assert np.allclose(tape.gradient(value, of_q), want, rtol=1e-9) == exact


@pytest.mark.parametrize('groups', [1, 3])
def test_points_of_categories_have_no_entropies_of_columns(groups):
  """A group is many columns of z: figures order columns as they are."""
  fields = {'data.name': 'circle', 'data.examples': 60, 'data.batch_size': 20, 'model.z1.family': 'categorical'}
  fields |= {'model.z1.groups': groups, 'model.z1.dim': 4, 'objective.estimator': 'gumbel_softmax'}
  fields |= {'eval.evaluators': ('points',), 'eval.num_points': 10, 'sample.what': ('prior',)}
  spec = spec_lib.resolve(spec_lib.base(('z1',)), fields)
  data = build.dataset(spec)
  model = build.model(spec, data.observation)
  (points,) = build.evaluators(spec, data.observation)
  arrays = points.evaluate(model, Split(build.source(spec, data), 'test', spec)).arrays
  assert arrays['z'].shape == (10, 4 * groups) and 'entropy' not in arrays
