"""Binary hierarchies against enumeration: gradients of both players, estimators, fixed points, the chain."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation
from tfvae.analysis.players import Players
from tfvae.data.dataset import Stored, make
from tfvae.models.chain import Chain
from tfvae.models.enumeration import log_densities, states
from tfvae.objectives.elbo import Elbo
from tfvae.objectives.symmetric import Symmetric
from tfvae.objectives.terms import Distortion, Rates
from tfvae.observation import Observation

PIXELS = (3, 3, 1)
ALL_X = np.array(list(itertools.product((0, 1), repeat=9)), np.float32).reshape(-1, *PIXELS)


def tiny(inference='ladder', layers=('z2', 'z1'), dims=(3, 4), seed=0, scale=0.7, **fields):
  """A hierarchy of bits with random weights, on binary images of 3 x 3 pixels."""
  spec = spec_lib.base(layers)
  for layer, dim in zip(layers, dims, strict=True):
    spec.model[layer].family, spec.model[layer].dim = 'bernoulli', dim
    spec.model[layer].encoder.hidden = (5,)
  spec.model.inference = inference
  spec.decoder.likelihood = 'bernoulli'
  spec.decoder.net.hidden = (6,)
  spec.objective.name = 'symmetric'
  fields = {'data.binarize': 'threshold', 'eval.evaluators': ('bounds',), 'sample.what': ('prior',)} | fields
  spec = spec_lib.resolve(spec, fields)
  model = build.model(spec, Observation(PIXELS))
  rng = np.random.default_rng(seed)
  for variable in model.trainable_variables:
    variable.assign(scale * rng.standard_normal(variable.shape))
  return spec, model


def made(estimator):
  """An estimator by its name."""
  spec = spec_lib.base(('z1',))
  spec.objective.estimator = estimator
  return build.estimator(spec)


def data(n=6, seed=1):
  return tf.constant(ALL_X[np.random.default_rng(seed).choice(len(ALL_X), n, replace=False)])


def gradient_of(function, variables):
  with tf.GradientTape() as tape:
    value = function()
  found = tape.gradient(value, [v.value for v in variables], unconnected_gradients='zero')
  return np.concatenate([g.numpy().ravel() for g in found]).astype(np.float64)


def exact(model, x):
  """log p(x, z), log q(z | x), [128, B], and E_q log p(x, z) etc. can be made of them."""
  return log_densities(model, {'x': x}, {name: tf.constant(value) for name, value in states(model).items()})


ORDERS = ['ladder', 'reverse', 'generic']


@pytest.mark.parametrize('inference', ORDERS)
def test_densities_are_normalised(inference):
  _, model = tiny(inference)
  joint, log_q = exact(model, tf.constant(ALL_X))
  assert joint.shape == (2**7, 2**9)
  assert float(tf.reduce_sum(tf.exp(joint))) == pytest.approx(1, abs=1e-4)
  np.testing.assert_allclose(tf.reduce_sum(tf.exp(log_q), 0), 1, atol=1e-5)


@pytest.mark.parametrize('inference', ORDERS)
def test_the_ladder_and_the_others_sample_what_they_score(inference):
  """Frequencies of the states drawn by `infer` against q(z | x)."""
  _, model = tiny(inference)
  x, n = data(2), 40_000
  z = model.infer({'x': x}, noise_lib.stateless(0, 0), n).z
  bits = np.concatenate([z[name].numpy() for name in model.layer_names], axis=-1)  # [n, 2, 7]
  number = bits.astype(np.int64) @ (2 ** np.arange(6, -1, -1))
  q = np.exp(exact(model, x)[1].numpy())
  for example in range(2):
    seen = np.bincount(number[:, example], minlength=128) / n
    assert np.all(np.abs(seen - q[:, example]) < 5 * np.sqrt(q[:, example] * (1 - q[:, example]) / n) + 1e-4)


@pytest.mark.parametrize('inference', ORDERS)
@pytest.mark.parametrize('player', ['generative', 'inference'])
def test_gradients_of_both_players_are_the_enumerated_ones(inference, player):
  _, model = tiny(inference)
  x, objective, n = data(), Symmetric(model, num_samples=1), 4000
  variables = objective.players[player]
  (other,) = (own for name, own in objective.players.items() if name != player)
  assert {v.path for v in variables}.isdisjoint(v.path for v in other)
  if player == 'generative':  # d/dtheta of -E_{data, q} log p(x, z), q held

    def loss():
      joint, log_q = exact(model, x)
      return -tf.reduce_mean(tf.reduce_sum(tf.stop_gradient(tf.exp(log_q)) * joint, 0))

  else:  # d/dphi of -E_p log q(z | x)

    def loss():
      joint, log_q = exact(model, tf.constant(ALL_X))
      return -tf.reduce_sum(tf.stop_gradient(tf.exp(joint)) * log_q)

  want = gradient_of(loss, variables)
  batch = {'x': tf.repeat(x, n // len(x), axis=0) if player == 'generative' else tf.zeros([n, *PIXELS])}
  estimate = tf.function(
    lambda step: [
      tf.reshape(g, [-1])
      for g in _gradients(objective, model, player, batch, step, noise_lib.stateless(3, step), variables)
    ],
    autograph=False,
  )
  draws = np.stack([np.concatenate(estimate(tf.constant(i))) for i in range(30)]).astype(np.float64)
  error = draws.std(0, ddof=1) / np.sqrt(len(draws))
  assert np.abs(want).max() > 0.05
  assert np.all(np.abs(draws.mean(0) - want) < 5.5 * error + 1e-4)


def _gradients(objective, model, player, batch, step, noise, variables):
  with tf.GradientTape() as tape:
    loss, _ = objective.loss(player, model, batch, step, noise)
    total = tf.reduce_mean(loss)
  return tape.gradient(total, [v.value for v in variables], unconnected_gradients='zero')


@pytest.mark.parametrize('inference', ['ladder', 'reverse'])
def test_the_score_function_is_unbiased_and_the_others_biased(inference):
  """The ELBO's gradient on the encoder: enumerated, and by each estimator. The biases are in docs/symmetric.md."""
  _, model = tiny(inference)
  x, n = data(), 600
  players = model.players
  variables = players['inference']

  def loss():
    joint, log_q = exact(model, x)
    return tf.reduce_mean(tf.reduce_sum(tf.exp(log_q) * (log_q - joint), 0))

  want = gradient_of(loss, variables)
  batch = {'x': tf.repeat(x, n, axis=0)}
  bias = {}
  for estimator, samples in (('score_function', 4), ('zgr', 1), ('straight_through', 1), ('gumbel_sigmoid', 1)):
    objective = Elbo(model, [Rates({'z2': 1.0, 'z1': 1.0}), Distortion()], samples, estimator=made(estimator))
    estimate = tf.function(
      lambda step, o=objective: [
        tf.reshape(g, [-1]) for g in _gradients(o, model, 'model', batch, step, noise_lib.stateless(5, step), variables)
      ],
      autograph=False,
    )
    draws = np.stack([np.concatenate(estimate(tf.constant(i))) for i in range(30)]).astype(np.float64)
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    distance = np.abs(draws.mean(0) - want)
    if estimator == 'score_function':
      assert np.all(distance < 5.5 * error + 1e-4)
    else:
      assert np.any(distance > 8 * error)  # measurably biased
    bias[estimator] = np.linalg.norm(draws.mean(0) - want) / np.linalg.norm(want)
    print(inference, estimator, f'{bias[estimator]:.3f}', f'{np.linalg.norm(error) / np.linalg.norm(want):.3f}')
  assert bias['zgr'] < bias['straight_through']


@pytest.mark.parametrize('inference', ORDERS)
def test_sampled_rates_have_the_gradient_of_the_exact_ones(inference):
  """In expectation: by the score function that of the enumerated ELBO, by zgr that with KLs in closed form.

  For zgr because log-densities of bits are linear in each bit; a draw's gradient differs (tests -s prints by how much).
  """
  _, model = tiny(inference)
  x, n = data(), 600
  batch, betas, variables = {'x': tf.repeat(x, n, axis=0)}, {'z2': 1.0, 'z1': 1.0}, model.players['inference']

  def estimates(estimator, samples, **kinds):
    """[30, parameters] for each kind, at the same samples."""
    found = []
    for kl in kinds['kl']:
      terms = [Rates(betas, kl=kl), Distortion()]
      objective = Elbo(model, terms, samples, estimator=made(estimator))
      estimate = tf.function(
        lambda step, o=objective: [
          tf.reshape(g, [-1])
          for g in _gradients(o, model, 'model', batch, step, noise_lib.stateless(5, step), variables)
        ],
        autograph=False,
      )
      found.append(np.stack([np.concatenate(estimate(tf.constant(i))) for i in range(30)]).astype(np.float64))
    return found

  def loss():
    joint, log_q = exact(model, x)
    return tf.reduce_mean(tf.reduce_sum(tf.exp(log_q) * (log_q - joint), 0))

  want = gradient_of(loss, variables)
  (draws,) = estimates('score_function', 4, kl=['sampled'])
  assert np.all(np.abs(draws.mean(0) - want) < 5.5 * draws.std(0, ddof=1) / np.sqrt(len(draws)) + 1e-4)
  sampled, closed = estimates('zgr', 1, kl=['sampled', 'exact'])
  difference = sampled - closed
  along = difference @ np.random.default_rng(0).standard_normal((len(want), 20)) / np.linalg.norm(want)
  error = along.std(0, ddof=1) / np.sqrt(len(along))
  assert np.all(np.abs(along.mean(0)) < 6 * error)
  one = np.linalg.norm(difference, axis=1).mean() * np.sqrt(n * len(x)) / np.linalg.norm(want)
  print(inference, f'the gradient of one draw for one example differs by {one:.2f} of its mean')
  assert one > 0.1


def test_zgr_is_unbiased_for_quadratic_functions():
  """E f'(b) (b (1 - p) + (1 - b) p) / 2 = dE f / dl for f = a b + c b^2."""
  from tfvae.families.bernoulli import DiagonalBernoulli, independent

  family, logits = DiagonalBernoulli((3,), name='q'), tf.Variable([[[-1.0, 0.3, 2.0]]])
  n = 200_000
  with tf.GradientTape() as tape:
    bits = family.sample(independent(logits, 1), noise_lib.stateless(0, 0), 'z', (n, 1), made('zgr'))
    value = tf.reduce_mean(tf.reduce_sum(1.5 * bits + 0.7 * tf.square(bits), -1))
  p = tf.sigmoid(logits).numpy()
  np.testing.assert_allclose(tape.gradient(value, logits), (1.5 + 0.7) * p * (1 - p), atol=5 * 2 / np.sqrt(n))


@pytest.mark.slow
def test_the_fixed_point_is_the_true_posterior_where_the_encoder_can_hold_it():
  """One bit: q(z | x) = p(z | x) is linear in x for a linear decoder. The inference player alone finds it."""
  fields = {'decoder.net.kind': 'linear', 'model.z1.encoder.kind': 'linear', 'train.learning_rate': 0.05}
  spec, model = tiny('generic', ('z1',), (1,), scale=1.0, **fields)
  joint, log_q = exact(model, tf.constant(ALL_X))
  kl = lambda joint, log_q: float(tf.reduce_sum(tf.exp(joint) * (joint - tf.reduce_logsumexp(joint, 0) - log_q)))
  assert kl(joint, log_q) > 0.1
  objective = Symmetric(model)
  pairs = build.optimizers(spec, model, objective)['inference']

  @tf.function
  def steps(first):
    for i in range(50):
      ((optimizer, variables),) = pairs
      batch = {'x': tf.zeros([500, *PIXELS])}
      noise = noise_lib.stateless(0, first + i)
      optimizer.apply(_gradients(objective, model, 'inference', batch, first, noise, variables), variables)

  for first in range(0, 400, 50):
    steps(tf.constant(first))
  pairs[0][0].learning_rate.assign(0.003)
  for first in range(400, 600, 50):
    steps(tf.constant(first))
  assert 0 <= kl(*exact(model, tf.constant(ALL_X))) < 2e-3


def test_the_chain_meets_the_enumerated_stationary_distribution():
  _, model = tiny('ladder', dims=(2, 2), scale=1.0)
  joint, log_q = exact(model, tf.constant(ALL_X))
  prior = np.exp(np.asarray(tf.reduce_logsumexp(joint, 1), np.float64))  # p(z), [16]
  decoder = np.exp(joint.numpy().astype(np.float64)) / prior[:, None]  # p(x | z), [16, 512]
  transition = decoder @ np.exp(log_q.numpy().astype(np.float64)).T  # [z, z']
  transition /= transition.sum(1, keepdims=True)
  stationary = np.linalg.matrix_power(transition, 10_000)[0]
  chain, n = Chain(model, seed=0), 40_000
  # After 0 steps the prior; after many the stationary one; one step at a time or all at once the same.
  for steps, want in ((0, prior / prior.sum()), (40, prior @ np.linalg.matrix_power(transition, 40) / prior.sum())):
    z = chain.run(n, steps)
    bits = np.concatenate([z[name][0].numpy() for name in model.layer_names], axis=-1).astype(np.int64)
    seen = np.bincount(bits @ (2 ** np.arange(3, -1, -1)), minlength=16) / n
    assert np.all(np.abs(seen - want) < 5 * np.sqrt(want * (1 - want) / n) + 1e-5), steps
  assert np.abs(stationary - want).max() < 1e-6  # 40 steps are enough here
  assert np.abs(stationary - prior).max() > 0.02  # and it is another distribution than the prior
  half = chain.run(50, 20)
  again = chain.run(50, 20, begin=20, z=half)
  for name, value in chain.run(50, 40).items():
    np.testing.assert_array_equal(value, again[name])


@pytest.mark.parametrize('inference', ['ladder', 'reverse'])
@pytest.mark.parametrize('layers', [('z1',), ('z3', 'z2', 'z1')])
def test_any_depth_of_bits_and_gaussians(inference, layers):
  """Three layers, of bits and Gaussians mixed; one: both objectives have finite gradients for every variable."""
  spec = spec_lib.base(layers)
  for i, layer in enumerate(layers):
    spec.model[layer].family = 'gaussian' if i == 1 else 'bernoulli'
    spec.model[layer].dim, spec.model[layer].encoder.skip = 3, i < len(layers) - 1
  spec.model.inference = inference
  spec.decoder.likelihood = 'bernoulli'
  for objective, estimator in (('symmetric', 'reparameterized'), ('elbo', 'zgr'), ('elbo', 'score_function')):
    fields = {'objective.name': objective, 'objective.estimator': estimator, 'objective.num_samples': 2}
    fields |= {'data.binarize': 'threshold', 'eval.evaluators': ('bounds',), 'sample.what': ('prior',)}
    resolved = spec_lib.resolve(spec, fields)
    model = build.model(resolved, Observation(PIXELS))
    made = build.objective(resolved, model)
    seen = set()
    for player, variables in made.players.items():
      gradients = _gradients(made, model, player, {'x': data()}, tf.constant(0), noise_lib.stateless(0, 0), variables)
      for variable, gradient in zip(variables, gradients, strict=True):
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), variable.path
      seen |= {v.path for v in variables}
    assert seen == {v.path for v in model.trainable_variables}


@pytest.mark.parametrize('inference', ['ladder', 'reverse'])
@pytest.mark.parametrize('objective', ['symmetric', 'elbo'])
def test_the_losses_of_both_players_are_the_enumerated_ones(inference, objective):
  fields = {
    'eval.num_samples': 400,
    'eval.batch_size': 64,
    'eval.evaluators': ('players',),
    'objective.name': objective,
  }
  fields |= {'objective.estimator': 'zgr'} if objective == 'elbo' else {}
  spec, model = tiny(inference, **fields)
  pixels = ALL_X[np.random.default_rng(2).choice(512, 3000)]
  data = make(Stored('bits', {'train': {'x': pixels[:100]}, 'test': {'x': pixels}}, (0.0, 1.0)), spec.data, 0)
  evaluation = Evaluation(model, build.source(spec, data), spec)
  ((_, found),) = evaluation.run('test', [Players(spec)])

  joint, log_q = (value.numpy().astype(np.float64) for value in exact(model, tf.constant(pixels)))
  want = -(np.exp(log_q) * joint).sum(0)
  spread = np.sqrt((np.exp(log_q) * (joint + want) ** 2).sum(0).mean() / 400 / len(pixels))
  assert abs(found.numbers['loss/generative'] - want.mean()) < 5 * spread + 1e-4

  joint, log_q = (value.numpy().astype(np.float64) for value in exact(model, tf.constant(ALL_X)))
  want = -(np.exp(joint) * log_q).sum()
  spread = np.sqrt((np.exp(joint) * (log_q + want) ** 2).sum() / 3008)  # of 47 whole batches
  assert abs(found.numbers['loss/inference'] - want) < 5 * spread + 1e-4
