"""Hierarchies of categories, alone and with bits, against enumeration: densities, gradients, bounds; and mistakes."""

import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from conftest import ROOT
from test_binary import ALL_X, PIXELS, _gradients, data, exact, gradient_of

from tfvae import build, commands
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation
from tfvae.data.dataset import Stored, make
from tfvae.errors import SpecError
from tfvae.families.estimators import GumbelSoftmax, ScoreFunction, StraightThrough
from tfvae.models.chain import Chain
from tfvae.models.enumeration import states
from tfvae.objectives.elbo import Elbo
from tfvae.objectives.iwae import Iwae
from tfvae.objectives.symmetric import Symmetric
from tfvae.objectives.terms import Distortion, Rates
from tfvae.observation import Observation

BASE = {
  'decoder.likelihood': 'bernoulli',
  'decoder.net.hidden': (6,),
  'data.binarize': 'threshold',
  'objective.name': 'symmetric',
  'eval.evaluators': ('bounds',),
  'sample.what': ('prior',),
}


def resolve(layers=('z2', 'z1'), **fields):
  spec = spec_lib.base(layers)
  for layer in layers:
    spec.model[layer].family, spec.model[layer].groups, spec.model[layer].dim = 'categorical', 2, 3
    spec.model[layer].encoder.hidden = (5,)
  return spec_lib.resolve(spec, BASE | {name.replace('__', '.'): value for name, value in fields.items()})


def tiny(layers=('z2', 'z1'), seed=0, scale=0.7, **fields):
  """A hierarchy of two groups of three categories in each layer, with random weights, on 3 x 3 pixels."""
  spec = resolve(layers, **fields)
  model = build.model(spec, Observation(PIXELS))
  rng = np.random.default_rng(seed)
  for variable in model.trainable_variables:
    variable.assign(scale * rng.standard_normal(variable.shape))
  return spec, model


BITS_BELOW = {'model__z1__family': 'bernoulli', 'model__z1__groups': 1}


@pytest.mark.parametrize('inference', ['generic', 'ladder', 'reverse'])
def test_densities_of_categories_above_bits_are_normalised(inference):
  _, model = tiny(model__inference=inference, **BITS_BELOW)
  joint, log_q = exact(model, tf.constant(ALL_X))
  assert joint.shape == (3**2 * 2**3, 2**9)
  assert float(tf.reduce_sum(tf.exp(joint))) == pytest.approx(1, abs=1e-4)
  np.testing.assert_allclose(tf.reduce_sum(tf.exp(log_q), 0), 1, atol=1e-5)
  # Frequencies of the states that `infer` draws.
  x, n = data(1), 20_000
  z, table = model.infer({'x': x}, noise_lib.stateless(0, 0), n).z, states(model)
  digits = lambda of: np.concatenate([np.asarray(of[name]).reshape(len(of[name]), -1) for name in table], 1)
  number = lambda of: digits(of).astype(np.int64) @ 2 ** np.arange(digits(of).shape[1])
  seen = np.array([np.mean(number({k: v[:, 0] for k, v in z.items()}) == each) for each in number(table)])
  q = np.exp(exact(model, x)[1].numpy()[:, 0])
  assert np.all(np.abs(seen - q) < 5 * np.sqrt(q * (1 - q) / n) + 1e-4)


def gradients(objective, model, batch, variables, player='model', number=40):
  """[number, parameters], each from other samples; a function of the first step, compiled once."""
  run = tf.function(
    lambda step: [
      tf.reshape(g, [-1])
      for g in _gradients(objective, model, player, batch, step, noise_lib.stateless(5, step), variables)
    ],
    autograph=False,
  )
  return lambda: np.stack([np.concatenate(run(tf.constant(i))) for i in range(number)]).astype(np.float64)


def assert_unbiased(draws, want):
  assert np.abs(want).max() > 0.02
  error = draws.std(0, ddof=1) / np.sqrt(len(draws))
  assert np.all(np.abs(draws.mean(0) - want) < 6 * error + 1e-4)
  # And of all of them together, which finds what is small in each.
  assert np.linalg.norm(draws.mean(0) - want) < 2 * np.linalg.norm(error) + 1e-4


def negative_elbo(model, x):
  joint, log_q = exact(model, x)
  return tf.reduce_mean(tf.reduce_sum(tf.exp(log_q) * (log_q - joint), 0))


def test_gradients_of_the_elbo():
  """The score function is unbiased; the bias of the softened samples falls with their temperature, to none."""
  _, model = tiny()
  x, variables = data(), model.players['inference']
  terms = lambda kl: [Rates({'z2': 1.0, 'z1': 1.0}, kl=kl), Distortion()]
  want = gradient_of(lambda: negative_elbo(model, x), variables)
  batch = {'x': tf.repeat(x, 600, axis=0)}
  assert_unbiased(gradients(Elbo(model, terms('exact'), 4, estimator=ScoreFunction()), model, batch, variables)(), want)
  assert_unbiased(
    gradients(Elbo(model, terms('sampled'), 4, estimator=ScoreFunction()), model, batch, variables)(), want
  )
  temperature = tf.Variable(1.0)
  softened = gradients(
    Elbo(model, terms('exact'), estimator=GumbelSoftmax(lambda step: temperature)), model, batch, variables
  )
  bias = {}
  for value in (2.0, 0.7, 0.2):
    temperature.assign(value)
    bias[value] = np.linalg.norm(softened().mean(0) - want) / np.linalg.norm(want)
  print({value: f'{found:.3f}' for value, found in bias.items()})
  assert bias[2.0] > 1.5 * bias[0.7] > 1.5**2 * bias[0.2] and bias[0.2] < 0.1


def test_gradients_of_the_importance_weighted_bound():
  """By the score function with the bound of the others for a baseline, against all pairs of states."""
  _, model = tiny(('z1',))
  x, variables = data(), model.trainable_variables

  def loss():
    joint, log_q = exact(model, x)
    weights = joint - log_q  # [9, B]; of two samples, [9, 9, B]
    one, other = weights[:, None] + tf.zeros_like(weights), weights[None] + tf.zeros_like(weights)[:, None]
    bound = tf.reduce_logsumexp(tf.stack([one, other]), 0) - math.log(2)
    return -tf.reduce_mean(tf.reduce_sum(tf.exp(log_q[:, None] + log_q[None]) * bound, [0, 1]))

  want = gradient_of(loss, variables)
  batch = {'x': tf.repeat(x, 600, axis=0)}
  assert_unbiased(gradients(Iwae(model, 2, estimator=ScoreFunction()), model, batch, variables)(), want)
  biased = gradients(Iwae(model, 2, estimator=StraightThrough()), model, batch, variables)()
  assert np.linalg.norm(biased.mean(0) - want) > 0.02 * np.linalg.norm(want)


@pytest.mark.parametrize('player', ['generative', 'inference'])
def test_gradients_of_both_players(player):
  _, model = tiny(model__inference='ladder', **BITS_BELOW)
  x, objective, n = data(), Symmetric(model), 1800
  variables = objective.players[player]

  def loss():
    if player == 'generative':
      joint, log_q = exact(model, x)
      return -tf.reduce_mean(tf.reduce_sum(tf.stop_gradient(tf.exp(log_q)) * joint, 0))
    joint, log_q = exact(model, tf.constant(ALL_X))
    return -tf.reduce_sum(tf.stop_gradient(tf.exp(joint)) * log_q)

  batch = {'x': tf.repeat(x, n // len(x), axis=0) if player == 'generative' else tf.zeros([n, *PIXELS])}
  assert_unbiased(gradients(objective, model, batch, variables, player)(), gradient_of(loss, variables))


def test_evaluations_against_enumeration():
  """The ELBO is no more than the evidence; log_evidence, by hard samples, is the evidence; entropies; information."""
  names = ('bounds', 'entropies', 'log_evidence', 'posterior', 'unit_information')
  fields = {'eval.num_samples': 200, 'eval.log_evidence.samples': 500, 'eval.batch_size': 64}
  spec, model = tiny(scale=0.3, eval__evaluators=names, **fields)
  pixels = ALL_X[np.random.default_rng(2).choice(512, 60)]
  dataset = make(Stored('all', {'train': {'x': pixels}, 'test': {'x': pixels}}, (0.0, 1.0)), spec.data, 0)
  evaluators = build.evaluators(spec, Observation(PIXELS))
  numbers, arrays = {}, {}
  for _, found in Evaluation(model, build.source(spec, dataset), spec).run('test', evaluators):
    numbers, arrays = numbers | found.numbers, arrays | found.arrays
  joint, log_q = (value.numpy().astype(np.float64) for value in exact(model, tf.constant(pixels)))
  evidence, q = np.logaddexp.reduce(joint, 0), np.exp(log_q)
  assert numbers['exact_log_likelihood'] == pytest.approx(evidence.mean(), abs=1e-4)
  assert numbers['elbo_exact'] == pytest.approx((q * (joint - log_q)).sum(0).mean(), abs=1e-4)
  assert numbers['elbo_exact'] < numbers['exact_log_likelihood']
  spread = np.sqrt((q * (joint - log_q - (q * (joint - log_q)).sum(0)) ** 2).sum(0).mean() / 200 / 60)
  assert numbers['elbo'] == pytest.approx(numbers['elbo_exact'], abs=5 * spread)
  tolerance = 5 * numbers['log_evidence_sampling_error'] + 1e-3
  assert numbers['log_evidence'] == pytest.approx(evidence.mean(), abs=tolerance)
  assert numbers['entropy/encoder'] == pytest.approx(-(q * log_q).sum(0).mean(), abs=5 * spread + 0.02)
  # z2 given x alone: probabilities of its groups by summing over the states.
  table = states(model)['z2']
  probs = np.einsum('mb,mgk->bgk', q, table)
  want = scipy.stats.entropy(probs.mean(0), axis=-1) - scipy.stats.entropy(probs, axis=-1).mean(0)
  np.testing.assert_allclose(arrays['q.z2'], want, atol=1e-4)
  assert numbers['unit_information/q/z2'] == pytest.approx(want.mean(), abs=1e-4)


def test_enumeration_in_float64():
  """All of q and of p(z) add up to 1, in the precision of the model."""
  _, model = tiny(scale=0.3, train__precision='float64')
  joint, log_q = exact(model, tf.constant(ALL_X[:5], tf.float64))
  assert joint.dtype == log_q.dtype == tf.float64
  np.testing.assert_allclose(tf.reduce_logsumexp(log_q, 0), np.zeros(5), atol=1e-12)


def test_softened_samples_are_told_from_samples():
  """By the names of what follows from them; nothing weights them by a probability, and chains have hard ones."""
  fields = {'objective.name': 'elbo', 'objective.estimator': 'gumbel_softmax', 'objective.chains': 3}
  fields |= {'decoder.likelihood': 'gaussian', 'decoder.variance': 'optimal', 'data.binarize': 'none'}
  spec, model = tiny(**BITS_BELOW | {'model__z1__family': 'gaussian'} | fields)
  objective, batch = build.objective(spec, model), {'x': data()}
  estimator = build.estimator(spec).at(tf.constant(0))
  trace = model.infer(batch, noise_lib.stateless(0, 0), 2, estimator)
  assert trace.relaxed == ('z2',) and not set(np.unique(trace.z['z2'])) <= {0.0, 1.0}
  for use in (trace.log_weights, trace.sampled_kl, trace.importance_bound):
    with pytest.raises(ValueError, match='a softened sample of z2 has no probability'):
      use()
  _, metrics = objective.loss('model', model, batch, tf.constant(0), noise_lib.stateless(0, 0))
  assert {'relaxed/elbo', 'relaxed/log_likelihood', 'relaxed/mse', 'relaxed/rate/z1', 'rate/z2'} <= metrics.keys()
  assert not {'elbo', 'log_likelihood', 'mse', 'rate', 'rate/z1'} & metrics.keys()
  assert float(metrics['temperature']) == 0.5
  means = {name: tf.reduce_mean(value) for name, value in metrics.items()}
  objective.update(means, tf.constant(0))
  sigma = float(model.diagnostics(trace)['sigma'][0])
  sigma_after = float(model.infer(batch, noise_lib.stateless(0, 0), 1).px.distribution.scale)
  assert sigma_after == pytest.approx(math.sqrt(float(means['relaxed/mse'])), rel=1e-5) and sigma_after != sigma
  chain = objective.variables['chain/z2']
  z = Chain(model, 0).run(5, 3)['z2'].numpy()
  for hard in (z, chain.numpy(), model.generate(5, noise_lib.stateless(0, 0)).z['z2'].numpy()):
    assert set(np.unique(hard)) == {0.0, 1.0} and np.all(hard.sum(-1) == 1)


def test_running_averages_of_what_groups_tell():
  """After a step they are its batch's: of z2 under q given x alone, of each group H(E pi) - E H(pi)."""
  spec, model = tiny(objective__information=True, prior__name='learned')
  objective, x = build.objective(spec, model), data()
  for player in ('generative', 'inference'):
    batch, noise = {'x': x}, noise_lib.stateless(0, 0)
    gradients = _gradients(objective, model, player, batch, tf.constant(0), noise, objective.players[player])
    assert all(np.any(gradient != 0) for gradient in gradients)  # those of the learned prior among them
  means = {}
  for player in objective.players:
    for name, value in objective.loss(player, model, batch, tf.constant(0), noise)[1].items():
      value = value if value.shape.rank == 2 else value[..., None] if value.shape.rank else tf.reshape(value, [1, 1])
      of = tf.reduce_mean(value, 0)
      means |= {f'{name}/{k}': each for k, each in enumerate(of)} if len(of) > 1 else {name: of[0]}
  objective.update(means, tf.constant(0))
  q = np.exp(exact(model, x)[1].numpy().astype(np.float64))
  probs = np.einsum('mb,mgk->bgk', q, states(model)['z2'])
  want = scipy.stats.entropy(probs.mean(0), axis=-1) - scipy.stats.entropy(probs, axis=-1).mean(0)
  information = objective.watchers[0]
  np.testing.assert_allclose(information.value('q', 'z2'), want, atol=1e-4)
  assert information.value('p', 'z1').shape == (2,) and np.all(information.value('p', 'z1') > -1e-4)


ELBO = {'objective.name': 'elbo', 'objective.estimator': 'gumbel_softmax'}


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'objective.temperature': 0.0}, r'spec\.objective\.temperature: got 0.0; allowed: a number > 0'),
    ({'model.z1.groups': 0}, r'spec\.model\.z1\.groups: got 0; allowed: an integer >= 1'),
    ({'model.z2.grid': 4}, r'spec\.model\.z2\.grid: got 4; a layer of categories is a vector of groups: use 0 and'),
    ({'model.z2.dim': 1}, r'spec\.model\.z2\.dim: got 1; a group needs at least 2 categories'),
    ({'model.z2.scale_head': 'softplus'}, r'spec\.model\.z2\.scale_head: got softplus; categories have no scale'),
    ({'model.z1.family': 'gaussian'}, r'spec\.model\.z1\.groups: got 2; only layers of categories have groups, but'),
    (
      {'model.z1.family': 'bernoulli', 'model.z1.groups': 1},
      r'spec\.objective\.estimator: got gumbel_softmax; .*name=elbo, where z1 is of bits and z2 is of categories',
    ),
    (
      {'model.z1.family': 'gaussian', 'model.z1.groups': 1, 'model.z2.family': 'gaussian', 'model.z2.groups': 1},
      r'spec\.objective\.estimator: got gumbel_softmax; spec.objective.name=elbo has one of reparameterized$',
    ),
    (
      {'objective.estimator': 'reparameterized'},
      r'got reparameterized, but samples of discrete layers have no gradient',
    ),
    ({'objective.name': 'iwae'}, r'got gumbel_softmax, whose samples are softened: they have no probability to weight'),
    (
      {'objective.name': 'iwae', 'objective.estimator': 'reparameterized'},
      r'estimator: got reparameterized, but samples',
    ),
    ({'objective.estimator': 'score_function'}, r'spec\.objective\.num_samples: got 1; the baseline of'),
    ({'objective.kl': 'sampled'}, r'spec\.objective\.kl: got sampled, but with .*=gumbel_softmax samples are softened'),
    (
      {'model.inference': 'reverse'},
      r'estimator: got gumbel_softmax, .* but the rate of z1 is sampled in the order reve',
    ),
    ({'objective.information': True}, r'information: got True, but with .* the layers below have softened parents'),
    ({'prior.name': 'optimal'}, r'spec\.prior\.name: got optimal, .*; categories have standard or learned'),
    ({'eval.evaluators': ('latents',)}, r'got latents, which is for Gaussian layers, but z2, z1 are of categories'),
    (
      {'eval.evaluators': ('posterior',), 'model.z2.groups': 40},
      r'got posterior, which enumerates 65,536 states at most',
    ),
    ({'sample.what': ('interpolations',)}, r'interpolations go along units of Gaussian layers, but z2, z1 are of cate'),
    ({'model.inference': 'lvae'}, r'spec\.model\.inference: got lvae'),
  ],
)
def test_mistakes_are_named(fields, message):
  with pytest.raises(SpecError, match=message):
    resolve(**ELBO | fields)


def test_what_categories_allow():
  for estimator in ('straight_through', 'straight_through_gumbel'):
    resolve(**ELBO | {'objective.estimator': estimator, 'model.inference': 'reverse', 'objective.kl': 'sampled'})
    resolve(**{'objective.name': 'iwae', 'objective.estimator': estimator, 'objective.num_samples': 5})
  reverse = {'model.inference': 'reverse', 'model.z1.family': 'gaussian', 'model.z1.groups': 1}
  resolve(**ELBO | reverse)  # z2 alone is softened, whose rate is in closed form
  resolve(**ELBO | {'prior.name': 'learned', 'sample.what': ('traversals', 'layers', 'projector', 'codes', 'limiting')})


@pytest.mark.slow
def test_categories_on_top_of_digits_are_used(tmp_path):
  """specs/hit.py:gumbel: more than a nat, and no more than the uniform prior's entropy. Prints the rate (-s)."""
  run = commands.train(spec_lib.load(f'{ROOT / "specs/hit.py"}:gumbel', {'eval.every': 0}), tmp_path / 'run')
  z2, numbers = run.spec.model.z2, run.evaluation
  most = z2.groups * math.log(z2.dim)
  print(f'rate/z2 {numbers["rate/z2"]:.2f} of at most {most:.2f} nats')
  assert 1 < numbers['rate/z2'] <= most and run.spec.prior.name == 'standard'
  assert numbers['elbo'] < numbers['log_evidence']
