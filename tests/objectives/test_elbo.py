"""The ELBO objective: betas, annealing, and its gradient against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.observation import Observation

STEP = tf.constant(0, tf.int64)


def make(variance='learned', likelihood='gaussian', layers=('z2', 'z1'), **fields):
  spec = spec_lib.base(layers)
  for layer in layers:
    spec.model[layer].dim = 2
    spec.model[layer].encoder.hidden = (3,)
    spec.model[layer].encoder.activation = 'tanh'  # smooth: finite differences need it
    for net in ('posterior', 'prior'):
      if net in spec.model[layer]:
        spec.model[layer][net].hidden = (3,)
        spec.model[layer][net].activation = 'tanh'
  spec.decoder.net.hidden = (3,)
  spec.decoder.net.activation = 'tanh'
  fields = {'train.precision': 'float64', 'decoder.variance': variance, 'decoder.likelihood': likelihood, **fields}
  spec = spec_lib.resolve(spec, fields)
  model = build.model(spec, Observation((4,)))
  return model, build.objective(spec, model)


BATCH = {'x': tf.constant(np.random.default_rng(0).random((3, 4)))}


@pytest.mark.parametrize(
  ('variance', 'likelihood'),
  [(v, 'gaussian') for v in ('fixed', 'learned', 'per_dimension', 'latent', 'optimal')] + [('fixed', 'bernoulli')],
)
def test_gradient_against_finite_differences(variance, likelihood):
  fields = {'objective.beta.z2': 0.7, 'objective.beta.z1': 1.3, 'objective.num_samples': 3}
  model, objective = make(variance, likelihood, **fields)
  rng = np.random.default_rng(1)
  for variable in model.trainable_variables:
    variable.assign_add(0.2 * rng.standard_normal(variable.shape))

  def loss():
    value, _ = objective.loss('model', model, BATCH, STEP, noise_lib.stateless(0, 0))
    return tf.reduce_sum(value)

  with tf.GradientTape() as tape:
    value = loss()
  variables = objective.players['model']
  assert value.dtype == tf.float64 and len(variables) == len(model.trainable_variables)
  gradients = tape.gradient(value, [v.value for v in variables])
  compiled, h = tf.function(loss), 1e-5
  for variable, gradient in zip(variables, gradients, strict=True):
    direction = rng.standard_normal(variable.shape)
    start = variable.numpy()
    ends = []
    for sign in (1, -1):
      variable.assign(start + sign * h * direction)
      ends.append(float(compiled()))
    variable.assign(start)
    want = (ends[0] - ends[1]) / (2 * h)
    assert float(tf.reduce_sum(gradient * direction)) == pytest.approx(want, rel=1e-6, abs=1e-7), variable.path


def test_loss_is_distortion_plus_weighted_rates():
  fields = {'objective.beta.z2': 5.0, 'objective.beta.z1': 0.5}
  fields |= {
    'objective.anneal': 'linear',
    'objective.anneal_from': 0.2,
    'train.steps': 100,
    'objective.anneal_end': 0.5,
  }
  model, objective = make(**fields)
  for step, factor in ((0, 0.2), (25, 0.6), (60, 1.0)):
    step = tf.constant(step, tf.int64)
    loss, metrics = objective.loss('model', model, BATCH, step, noise_lib.stateless(0, 0))
    want = -metrics['log_likelihood'] + factor * (5 * metrics['rate/z2'] + 0.5 * metrics['rate/z1'])
    np.testing.assert_allclose(loss, want, rtol=1e-6)
    assert float(metrics['beta/z2']) == pytest.approx(5 * factor)
    # Whatever the betas, elbo is reported with beta 1.
    np.testing.assert_allclose(metrics['elbo'], metrics['log_likelihood'] - metrics['rate'], rtol=1e-9)
  assert loss.shape == (3,)


@pytest.mark.parametrize('inference', ['ladder', 'reverse'])
def test_sampled_rates_have_the_exact_ones_as_their_mean(inference):
  """Of Gaussian layers: the loss and its gradient at the same samples differ by numbers of mean 0, and do differ."""
  fields = {
    'model.inference': inference,
    'objective.num_samples': 50,
    'objective.beta.z2': 1.5,
    'objective.beta.z1': 0.6,
  }
  model, exact = make(**fields)
  _, sampled = make(**fields, **{'objective.kl': 'sampled'})
  rng = np.random.default_rng(1)
  for variable in model.trainable_variables:
    variable.assign_add(0.3 * rng.standard_normal(variable.shape))
  variables = exact.players['model']

  @tf.function
  def difference(step):
    noise, found = noise_lib.stateless(0, step), []
    for objective in (sampled, exact):
      with tf.GradientTape() as tape:
        loss, metrics = objective.loss('model', model, BATCH, STEP, noise)
        total = tf.reduce_mean(loss)
      gradients = tape.gradient(total, [v.value for v in variables])
      found.append((tf.concat([total[None], *(tf.reshape(g, [-1]) for g in gradients)], 0), metrics))
    (one, told), (other, same) = found
    for name in same:  # what is reported is the same
      tf.debugging.assert_equal(told[name], same[name])
    return one - other

  draws = np.stack([difference(tf.constant(i)) for i in range(100)])
  error = draws.std(0, ddof=1) / np.sqrt(len(draws))
  assert error[0] > 1e-3 and error[1:].max() > 1e-3
  assert np.all(np.abs(draws.mean(0)) < 5.5 * error + 1e-12)


def test_gradient_does_not_flow_through_the_optimal_variance():
  model, objective = make('optimal')
  assert not any('log_sigma' in v.path for v in objective.players['model'])
  _, metrics = objective.loss('model', model, BATCH, STEP, noise_lib.stateless(0, 0))
  mse = tf.reduce_mean(metrics['mse'])
  objective.update({name: tf.reduce_mean(value) for name, value in metrics.items()}, STEP)
  _, metrics = objective.loss('model', model, BATCH, STEP, noise_lib.stateless(0, 0))
  np.testing.assert_allclose(metrics['sigma'], np.sqrt(mse), rtol=1e-6)
