"""Evaluation: whole-split averages, closed-form variances, active units, entropies."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.entropies import Entropies
from tfvae.analysis.latents import Latents
from tfvae.evaluation import Evaluation
from tfvae.models.trace import Trace

tfd = tfp.distributions


def make(tiny, **fields):
  spec = spec_lib.resolve(tiny, fields)
  data = build.dataset(spec)
  source, model = build.source(spec, data), build.model(spec, data.shape)
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign_add(0.1 * rng.standard_normal(variable.shape))
  return spec, source, model


def evaluate(spec, source, model, split='test'):
  return Evaluation(model, source, build.evaluators(spec), spec).run(split)


@pytest.mark.parametrize('size', [297, 100, 64, 1])
def test_the_last_partial_batch_counts_as_what_it_is(tiny, size):
  """rate and entropy of the encoder do not depend on the noise in a single-layer model: exact whatever the batches."""
  spec, source, model = make(tiny, **{'eval.batch_size': size, 'eval.evaluators': ('bounds', 'entropies', 'latents')})
  result = evaluate(spec, source, model)
  x = tf.constant(source.dataset.splits['test']['x'] / 16, tf.float32)
  q = model.latents[0].posterior(model.latents[0].encoder(x), [])
  mu, tau = q.mean().numpy()[0].astype(float), q.stddev().numpy()[0].astype(float)
  rate = -0.5 * (1 + 2 * np.log(tau) - mu**2 - tau**2).sum(-1)
  entropy = (np.log(tau) + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
  assert result.numbers['rate/z1'] == pytest.approx(rate.mean(), rel=1e-5)
  assert result.numbers['entropy/encoder'] == pytest.approx(entropy.mean(), rel=1e-5)
  assert result.numbers['active_units/z1'] == np.sum(mu.var(0) > 0.01)
  np.testing.assert_allclose(result.arrays['latents']['z1.mean'], mu.mean(0), rtol=1e-3, atol=1e-5)
  np.testing.assert_allclose(result.arrays['latents']['z1.variance_of_mean'], mu.var(0), rtol=1e-3, atol=1e-6)


def test_the_elbo_and_mse_of_a_split_against_numpy(tiny):
  spec, source, model = make(tiny, **{'eval.num_samples': 400, 'eval.batch_size': 100})
  numbers = evaluate(spec, source, model).numbers
  x = source.dataset.splits['test']['x'] / 16
  layer = model.latents[0]
  q = layer.posterior(layer.encoder(tf.constant(x, tf.float32)), [])
  rng, samples = np.random.default_rng(5), 400
  z = q.mean().numpy() + q.stddev().numpy() * rng.standard_normal((samples, 297, 3))
  loc = model.decoder.distribution([tf.constant(z, tf.float32)]).mean().numpy()
  error = ((loc - x) ** 2).mean((2, 3, 4))
  sigma = float(np.exp(model.decoder.likelihood.variance(tf.zeros([1, 1]), batch_shape=(1, 1))))
  log_px = -32 * (error / sigma**2 + math.log(2 * math.pi * sigma**2))
  tolerance = 5 * math.sqrt(2) * log_px.std(0).mean() / math.sqrt(samples * 297)
  assert numbers['log_likelihood'] == pytest.approx(log_px.mean(), abs=tolerance)
  assert numbers['elbo'] == pytest.approx(numbers['log_likelihood'] - numbers['rate'], rel=1e-6)
  tolerance = 5 * math.sqrt(2) * error.std(0).mean() / math.sqrt(samples * 297)
  assert numbers['mse'] == pytest.approx(error.mean(), abs=tolerance)
  assert numbers['sigma'] == pytest.approx(sigma, rel=1e-5)


def test_an_optimal_variance_has_the_training_splits_value(tiny):
  spec, source, model = make(tiny, **{'decoder.variance': 'optimal', 'eval.evaluators': ('bounds', 'entropies')})
  before = model.non_trainable_variables[0].numpy()
  train, test = evaluate(spec, source, model, 'train').numbers, evaluate(spec, source, model).numbers
  assert train['sigma'] == pytest.approx(math.sqrt(train['mse']), rel=1e-5)
  assert test['sigma'] == pytest.approx(train['sigma'], rel=1e-6) and test['mse'] != pytest.approx(
    train['mse'], rel=1e-3
  )
  assert model.non_trainable_variables[0].numpy() == before  # training goes on with its own
  # With the optimal sigma the decoder's half of the identity holds: E log p(x|z) = -H[p(x|z)].
  assert train['log_likelihood'] == pytest.approx(-train['entropy/decoder'], rel=1e-5)


def test_evaluations_of_one_model_are_equal_to_the_bit(tiny):
  spec, source, model = make(tiny, **{'data.binarize': 'dynamic'})
  assert evaluate(spec, source, model).numbers == evaluate(spec, source, model).numbers


def normal(loc, scale):
  loc, scale = tf.constant(loc, tf.float32), tf.constant(scale, tf.float32)
  return tfd.Independent(tfd.Normal(loc, scale), 1)


class Fake:
  """A model of two layers whose moments are given."""

  layer_names = ['z2', 'z1']

  def __init__(self, trace):
    self.trace = trace

  def infer(self, *args):
    return self.trace


class FakeSource:
  class dataset:
    size = staticmethod(lambda split: 4)

  def first(self, split, n):
    return {'x': tf.zeros([4, 1])}


def test_active_units_by_both_definitions():
  """Units with known moments: q's mean moves or not, q's scale is that of p or smaller."""
  move = np.array([-1, 1, -1, 1.0])[:, None]
  # z2, prior N(0, 1): [used; mean moves a little, scale of the prior; unused]
  loc2, scale2 = move * np.array([1.0, 0.15, 0.05]), np.array([0.1, 1.0, 1.0])
  # z1, prior N(5 +- 2, 3^2), variance 13: [used; moves by 0.3 < sqrt(0.13), though narrow]
  loc1, scale1 = move * np.array([1.0, 0.3]), np.array([1.0, 1.0])
  q = {
    'z2': normal(loc2[None], np.broadcast_to(scale2, (1, 4, 3))),
    'z1': normal(loc1[None], np.broadcast_to(scale1, (1, 4, 2))),
  }
  p = {
    'z2': normal(np.zeros(3), np.ones(3)),
    'z1': normal(np.broadcast_to(5 + 2 * move, (1, 4, 2)), np.full((1, 4, 2), 3.0)),
  }
  z = {name: d.mean() for name, d in q.items()}
  twice = lambda d: normal(np.repeat(d.mean(), 2, 0), np.repeat(d.stddev(), 2, 0))  # two equal samples of z2
  q['z1'], p['z1'] = twice(q['z1']), twice(p['z1'])
  trace = Trace(tf.zeros([4, 1]), z, None, None, None, None, q, p, None)
  spec = spec_lib.base()
  latents = Latents(spec)
  means = {name: value.numpy().mean(0) for name, value in latents.per_example(None, trace).items()}
  numbers, arrays = latents.finish(means, Fake(trace), FakeSource(), 'test')
  assert numbers['active_units/z2'] == 2  # 0.15^2 > 0.01
  assert numbers['active_units_entropy/z2'] == 1
  assert numbers['active_units/z1'] == 1  # 1 > 0.01 * 13, 0.09 is not
  assert numbers['active_units_entropy/z1'] == 2  # log 3 > 0.4189
  assert (numbers['active_units'], numbers['active_units_entropy']) == (3, 3)
  np.testing.assert_allclose(arrays['z1.prior_entropy'], 0.5 * math.log(2 * math.pi * math.e * 9), rtol=1e-5)


def test_units_that_follow_their_prior_are_not_active():
  """q = p in both layers, so no unit holds anything about x, though the mean of z1 moves with the sample of z2."""
  n, samples = 2000, 2
  above = np.random.default_rng(0).standard_normal((samples, n, 3))
  q1 = normal(above / 2, np.ones((samples, n, 3)))
  q = {'z2': normal(np.zeros((1, n, 3)), np.ones((1, n, 3))), 'z1': q1}
  trace = Trace(tf.zeros([n, 1]), q, None, None, None, None, q, {'z2': normal(np.zeros(3), np.ones(3)), 'z1': q1}, None)
  means = {name: value.numpy().mean(0) for name, value in Latents(spec_lib.base()).per_example(None, trace).items()}
  variance = means['z1.mean_squared'] - means['z1.mean'] ** 2
  # Zero within five standard errors of a mean of products of two independent N(0, 1/4).
  assert np.all(np.abs(variance) < 5 * 0.25 / math.sqrt(n) + 1e-3)
  prior = means['z1.prior_variance'] + means['z1.prior_mean_squared'] - means['z1.prior_mean'] ** 2
  np.testing.assert_allclose(prior, 1.25, rtol=0.05)


def test_entropies_of_a_hierarchy():
  q = {
    'z2': normal(np.zeros((1, 2, 1)), np.full((1, 2, 1), 0.5)),
    'z1': normal(np.zeros((3, 2, 1)), np.full((3, 2, 1), 0.25)),
  }
  p = {'z2': normal([0.0], [1.0]), 'z1': normal(np.zeros((3, 2, 1)), np.full((3, 2, 1), 2.0))}
  px = normal(np.zeros((3, 2, 4)), np.full((3, 2, 4), 0.1))
  entropies = Trace(tf.zeros([2, 4]), {}, None, None, None, None, q, p, px).entropies()
  h = lambda *scales: sum(0.5 * math.log(2 * math.pi * math.e * s * s) for s in scales)
  assert np.allclose(entropies['entropy/encoder'], h(0.5, 0.25)) and np.allclose(entropies['entropy/prior'], h(1, 2))
  np.testing.assert_allclose(entropies['entropy/decoder'], [h(0.1) * 4] * 2, rtol=1e-5)
  np.testing.assert_allclose(entropies['entropy_sum'], [h(0.5, 0.25) - h(1, 2) - 4 * h(0.1)] * 2, rtol=1e-5)


def test_the_identity_is_reported_on_the_training_split_only():
  means = {'entropy/encoder': 1.0, 'entropy/prior': 2.0, 'entropy/decoder': -5.0, 'entropy_sum': 4.0, 'elbo': 3.5}
  evaluator = Entropies(spec_lib.base())
  assert evaluator.finish(dict(means), None, None, 'train')[0]['elbo_minus_entropies'] == -0.5
  assert set(evaluator.finish(dict(means), None, None, 'test')[0]) == set(means) - {'elbo'}


def test_samples_keep_what_the_figures_need(tiny):
  spec, source, model = make(tiny, **{'eval.evaluators': ('samples',), 'eval.num_images': 9})
  arrays = evaluate(spec, source, model).arrays['samples']
  np.testing.assert_allclose(arrays['x'], source.dataset.splits['test']['x'][:9] / 16, rtol=1e-6)
  assert arrays['reconstruction'].shape == arrays['prior'].shape == (9, 8, 8, 1)
  np.testing.assert_array_equal(arrays['value_range'], [0, 1])
  assert np.abs(np.diff(arrays['prior'], axis=0)).max() > 0  # not one sample nine times
