"""Linear VAEs, learned and closed-form priors, unit norms: against closed forms."""

import math

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tfvae import build, commands
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation
from tfvae.analysis.evaluator import Split
from tfvae.data.dataset import Stored, make
from tfvae.errors import SpecError
from tfvae.nets.unit_norm import UnitNormPenalty
from tfvae.observation import Observation
from tfvae.training.step import Stepper

D, H = 5, 2


def linear(**fields):
  spec = spec_lib.base(('z1',))
  spec.model.z1.dim, spec.model.z1.scale_head = H, 'shared'
  spec.model.z1.encoder.kind = spec.decoder.net.kind = 'linear'
  spec.objective.num_samples = spec.eval.num_samples = 0
  return spec_lib.resolve(spec, fields)


def randomize(model, seed=0, scale=0.5):
  rng = np.random.default_rng(seed)
  for variable in model.trainable_variables:
    variable.assign(scale * rng.standard_normal(variable.shape))


def points(n=40, dims=D, seed=0):
  return np.random.default_rng(seed).standard_normal((n, dims)).astype(np.float32) + 1


def parts(model):
  """Weights as float64: V, c, tau, W, b, sigma, alpha."""
  layer, likelihood = model.latents[0], model.decoder.likelihood
  px = likelihood.variance
  sigma = np.exp(np.broadcast_to(px(None, batch_shape=(1, 1)).numpy(), (D,)))
  arrays = (
    layer.family.head.map.kernel,
    layer.family.head.map.bias,
    tf.exp(layer.family.log_scale.value),
    likelihood.head.map.kernel,
    likelihood.head.map.bias,
    sigma,
    layer.prior.alpha(),
  )
  return [np.asarray(array, np.float64) for array in arrays]


@pytest.mark.parametrize('prior', ['standard', 'learned', 'optimal'])
@pytest.mark.parametrize('variance', ['fixed', 'learned', 'per_dimension', 'optimal'])
def test_no_samples_give_exact_expectations(variance, prior):
  spec = linear(**{'decoder.variance': variance, 'decoder.sigma': 0.7, 'decoder.sigma_floor': 0.0, 'prior.name': prior})
  model = build.model(spec, Observation((D,)))
  randomize(model)
  x = points()
  trace = model.infer({'x': tf.constant(x)}, noise_lib.stateless(0, 0), 0)
  v, c, tau, w, b, sigma, alpha = parts(model)
  mean = x @ v + c
  squares = np.square(x - mean @ w - b) + (tau**2 @ np.square(w))
  log_likelihood = -0.5 * (squares / sigma**2 + 2 * np.log(sigma) + math.log(2 * math.pi)).sum(-1)
  ratio = (np.square(mean) + tau**2) / alpha**2
  rate = 0.5 * (ratio - 1 - np.log(tau**2 / alpha**2)).sum(-1)
  terms = trace.terms()
  np.testing.assert_allclose(terms['log_likelihood'], log_likelihood, rtol=2e-5)
  np.testing.assert_allclose(terms['rate'], rate, rtol=2e-5)
  np.testing.assert_allclose(terms['mse'], squares.mean(-1), rtol=2e-5)
  log_prior = -(0.5 * ratio + np.log(alpha * math.sqrt(2 * math.pi))).sum(-1)
  np.testing.assert_allclose(tf.reduce_mean(trace.log_p['z1'], 0), log_prior, rtol=2e-5)
  sampled = model.infer({'x': tf.constant(x)}, noise_lib.stateless(0, 0), 4000)
  spread = tf.math.reduce_std(sampled.log_px, 0) / math.sqrt(4000)
  np.testing.assert_array_less(np.abs(sampled.log_likelihood() - log_likelihood), 5 * spread.numpy() + 1e-4)


def evaluate(spec, model, x, evaluators):
  data = make(Stored('toy', {'train': {'x': x}, 'test': {'x': x[:10] + 1}}), spec.data, 0)
  evaluation = Evaluation(model, build.source(spec, data), spec)
  wanted = [build.lookup('eval.evaluators', name)(spec) for name in evaluators]
  return {
    split: {k: v for _, f in evaluation.run(split, wanted) for k, v in f.numbers.items()} for split in data.splits
  }


@pytest.mark.parametrize('nets', ['linear', 'mlp'])
def test_the_identity_holds_wherever_both_variances_are_optimal(nets):
  """Whatever the weights: its decoder half follows from sigma^2 = mse, its rate half from alpha^2 = E z^2."""
  fields = {'decoder.variance': 'optimal', 'prior.name': 'optimal', 'data.scaling': 'none', 'eval.batch_size': 16}
  if nets == 'mlp':
    fields |= {'decoder.net.kind': 'mlp', 'model.z1.encoder.kind': 'mlp', 'model.z1.scale_head': 'log'}
    fields |= {'objective.num_samples': 1, 'eval.num_samples': 7}
  spec = linear(**fields)
  model = build.model(spec, Observation((D,)))
  randomize(model)
  found = evaluate(spec, model, points(), ('bounds', 'entropies'))
  train = found['train']
  assert train['rate'] > 0.05 and abs(train['elbo']) > 1
  for name in ('', '/decoder', '/rate'):
    assert train[f'elbo_minus_entropies{name}'] == pytest.approx(0, abs=2e-5), name
  assert train['elbo'] == pytest.approx(train['entropy_sum'], abs=2e-5)
  assert 'elbo_minus_entropies' not in found['test']  # a statement about the training split
  assert abs(found['test']['elbo'] - found['test']['entropy_sum']) > 0.1


def test_halves_of_the_identity_add_up_and_tell_what_is_missing():
  spec = linear(**{'decoder.variance': 'fixed', 'prior.name': 'optimal', 'data.scaling': 'none'})
  model = build.model(spec, Observation((D,)))
  randomize(model)
  train = evaluate(spec, model, points(), ('bounds', 'entropies'))['train']
  assert train['elbo_minus_entropies/rate'] == pytest.approx(0, abs=2e-5)
  assert abs(train['elbo_minus_entropies/decoder']) > 0.1
  assert train['elbo_minus_entropies'] == pytest.approx(train['elbo_minus_entropies/decoder'], abs=2e-5)


@pytest.mark.parametrize('prior', ['standard', 'learned'])
def test_exact_likelihood_is_the_marginal_density(prior):
  import scipy.stats

  spec = linear(**{'prior.name': prior, 'data.scaling': 'none', 'decoder.sigma_floor': 0.0})
  model = build.model(spec, Observation((D,)))
  randomize(model)
  x = points(300)
  train = evaluate(spec, model, x, ('bounds', 'ppca'))['train']
  _, _, _, w, b, sigma, alpha = parts(model)
  want = scipy.stats.multivariate_normal(b, (w.T * alpha**2) @ w + np.diag(sigma**2)).logpdf(x).mean()
  assert train['exact_log_likelihood'] == pytest.approx(want, rel=1e-5)
  assert train['elbo'] < train['exact_log_likelihood'] < train['ppca_log_likelihood']
  assert train['elbo_minus_ppca'] == pytest.approx(train['elbo'] - train['ppca_log_likelihood'], abs=1e-4)


def stepper(spec, model, x):
  data = make(Stored('toy', {'train': {'x': x}, 'test': {'x': x}}), spec.data, 0)
  strategy = tf.distribute.OneDeviceStrategy('/cpu:0')
  objective = build.objective(spec, model)
  groups = build.optimizers(spec, model, objective)
  step = Stepper(strategy, model, objective, build.source(spec, data), groups, None, 0, 0.0, 'graph')
  feed = step.source.feed(0, 5, step.rows)
  done = step.run(feed, tf.constant(0, tf.int64), tf.constant(5, tf.int64), tf.constant(step.zeros()))
  return groups, dict(zip(step.metric_names, done.last.numpy(), strict=True))


@pytest.mark.parametrize('inference', ['generic', 'ladder', 'reverse'])
def test_standardized_nets_are_those_of_standardized_data(inference):
  """At the same weights: encoders give the same q, and densities of x are those of (x - center) / width over width."""
  spec = spec_lib.base(('z2', 'z1'))
  spec.data.scaling, spec.model.inference, spec.decoder.variance = 'none', inference, 'per_dimension'
  spec.train.precision = 'float64'
  for layer in ('z2', 'z1'):
    spec.model[layer].dim, spec.model[layer].encoder.hidden = 3, (7,)
  plain = build.model(spec_lib.resolve(spec), Observation((D,)))
  model = build.model(spec_lib.resolve(spec, {'model.standardize': True}), Observation((D,)))
  randomize(plain)
  assert [v.shape for v in model.trainable_variables] == [v.shape for v in plain.trainable_variables]
  for own, other in zip(model.trainable_variables, plain.trainable_variables, strict=True):
    own.assign(other)
  mean, width = np.linspace(-50, 400, D), np.geomspace(1e-3, 1e3, D)
  width[1] = 0  # a column that never changes
  model.standardized.fit(mean, width**2)
  width[1] = np.sqrt(np.mean(width**2))
  inner = points().astype(np.float64)
  noise = noise_lib.stateless(0, 0)
  want, found = plain.infer({'x': inner}, noise, 2), model.infer({'x': mean + width * inner}, noise, 2)
  for layer in ('z2', 'z1'):
    np.testing.assert_allclose(found.z[layer], want.z[layer], rtol=1e-6, atol=1e-6)
  np.testing.assert_allclose(found.log_px, want.log_px - np.log(width).sum(), rtol=1e-6)
  np.testing.assert_allclose(found.px.mean(), mean + width * want.px.mean(), rtol=1e-6, atol=1e-6)
  np.testing.assert_allclose(found.px.stddev(), width * want.px.stddev(), rtol=1e-6)


def test_optimal_prior_follows_each_step():
  spec = linear(**{'prior.name': 'optimal', 'data.batch_size': 40, 'data.scaling': 'none'})
  model = build.model(spec, Observation((D,)))
  _, last = stepper(spec, model, points())
  alpha = model.latents[0].prior.alpha().numpy()
  moments = [last[f'second_moment/z1/{unit}'] for unit in range(H)]
  np.testing.assert_allclose(alpha**2, moments, rtol=1e-5)
  assert not np.allclose(alpha, 1)


def test_learned_variances_have_their_own_optimizer():
  spec = linear(**{'prior.name': 'learned', 'train.variance_learning_rate': 0.02, 'train.weight_decay': 0.1})
  model = build.model(spec, Observation((D,)))
  groups, _ = stepper(spec_lib.resolve(spec, {'data.batch_size': 20, 'data.scaling': 'none'}), model, points())
  (_, weights), (optimizer, variances) = groups['model']
  assert {v.path.rpartition('/')[2] for v in variances} == {'log_sigma', 'log_alpha'}
  assert not {id(v) for v in variances} & {id(v) for v in weights}
  assert optimizer.learning_rate.numpy() == pytest.approx(0.02)
  assert np.abs(model.latents[0].prior.log_alpha.numpy()).min() > 0.01  # it moved, by Adam about 5 times 0.02


@pytest.mark.parametrize('net', ['mlp', 'linear'])
def test_rescale_keeps_the_norms_at_1(net):
  fields = {'decoder.net.kind': net, 'prior.name': 'learned', 'prior.weight_constraint': 'rescale'}
  fields |= {'data.scaling': 'none', 'data.batch_size': 20, 'objective.num_samples': 1, 'eval.num_samples': 1}
  spec = linear(**fields)
  model = build.model(spec, Observation((D,)))
  kernel = model.decoder.net.dense[0].kernel if net == 'mlp' else model.decoder.likelihood.head.map.kernel
  assert kernel.shape[0] == H
  np.testing.assert_allclose(np.linalg.norm(kernel, axis=1), 1, rtol=1e-5)  # from the start
  before = kernel.numpy()
  stepper(spec, model, points())
  np.testing.assert_allclose(np.linalg.norm(kernel, axis=1), 1, rtol=1e-5)
  assert not np.allclose(kernel, before)


def test_regularize_is_a_penalty_on_the_loss():
  kernel = np.array([[3.0, 4.0], [0.6, 0.8]], np.float32)
  assert float(UnitNormPenalty(0.5)(kernel)) == pytest.approx(0.5 * (25 - 1) ** 2)
  fields = {'prior.weight_constraint': 'regularize', 'prior.penalty': 2.0, 'train.learning_rate': 1e-2}
  spec = linear(**fields, **{'data.scaling': 'none', 'data.batch_size': 20})
  model = build.model(spec, Observation((D,)))
  weights = model.decoder.likelihood.head.map.kernel
  weights.assign(3 * tf.ones(weights.shape))
  (penalty,) = model.losses
  assert float(penalty) == pytest.approx(2 * H * (9 * D - 1) ** 2)
  stepper(spec, model, points())
  assert np.all(np.linalg.norm(weights, axis=1) < 3 * math.sqrt(D) - 0.05)


MISTAKES = [
  ({'decoder.net.kind': 'mlp'}, r'objective\.num_samples: got 0, which is for linear VAEs.*decoder\.net\.kind is mlp'),
  ({'decoder.variance': 'latent'}, r'num_samples: got 0.*decoder\.variance is latent'),
  ({'objective.kl': 'sampled'}, r'objective\.kl: got sampled.*num_samples is 0: there are no samples; use exact'),
  (
    {'model.standardize': True, 'decoder.likelihood': 'bernoulli', 'objective.num_samples': 1, 'eval.num_samples': 1},
    r'model\.standardize: got True, which is for .* a Gaussian decoder .*decoder.likelihood is bernoulli; use False',
  ),
  ({'objective.name': 'iwae'}, r'objective\.num_samples: got 0; spec\.objective\.name=iwae needs samples'),
  (
    {'prior.name': 'optimal', 'model.z1.grid': 2, 'objective.num_samples': 1},
    r'prior\.name: got optimal, which is for',
  ),
  ({'prior.weight_constraint': 'rescale', 'decoder.net.kind': 'conv'}, r'weight_constraint: got rescale.*kind is conv'),
  ({'eval.evaluators': ('ppca',), 'decoder.likelihood': 'bernoulli'}, r'got ppca, which is for linear VAEs'),
]


@pytest.mark.parametrize(('fields', 'message'), MISTAKES)
def test_mistakes_are_named(fields, message):
  with pytest.raises(SpecError, match=message):
    linear(**fields)


def test_data_without_a_noise_variance_are_refused():
  spec = linear(**{'eval.evaluators': ('ppca',), 'data.scaling': 'none'})
  dataset = lambda x: make(Stored('toy', {'train': {'x': x}, 'test': {'x': x}}), spec.data, 0)
  (found,) = build.problems(spec_lib.resolve(spec, {'data.batch_size': 5}), dataset(points(dims=2)))
  assert 'spec.model.z1.dim: got 2; allowed: less than the 2 dimensions of toy' in found
  flat = points() @ np.random.default_rng(1).standard_normal((D, 2)) @ np.random.default_rng(2).standard_normal((2, D))
  (found,) = build.problems(spec_lib.resolve(spec, {'data.batch_size': 5}), dataset(flat.astype(np.float32)))
  assert 'the data lie in a space of 2 dimensions or less' in found
  assert not build.problems(spec_lib.resolve(spec, {'data.batch_size': 5}), dataset(points()))


@pytest.mark.parametrize('words', ['pca', 'csv', 'csv, as it is'])
def test_the_spec_meets_probabilistic_pca(tmp_path, monkeypatch, words):
  """The optimum of the linear VAE's ELBO is probabilistic PCA's likelihood (Lucas et al. 2019), here to 5e-3 nats."""
  words, _, as_it_is = words.partition(', ')
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  fields = {'train.steps': 2500, 'eval.every': 0}
  if words == 'csv':
    rng = np.random.default_rng(5)
    table = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 6)) + 0.5 * rng.standard_normal((500, 6))
    table = table / 1000 + 0.05 if as_it_is else 100 * table + 7
    np.savetxt(tmp_path / 'mine.csv', table, delimiter=',', header='a,b,c,d,e,f', comments='')
    fields |= {'data.scaling': 'none'} if as_it_is else {}
    fields |= {'data.path': str(tmp_path / 'mine.csv'), 'model.z1.dim': 3}
  run = commands.train(spec_lib.load(f'{ROOT / "specs/linear.py"}:{words}', fields), tmp_path / 'run')
  found = run.evaluation
  assert found['split'] == 'train' and found['rate'] > 1
  assert -5e-3 < found['elbo_minus_ppca'] < 1e-4
  assert abs(found['elbo_minus_entropies']) < 0.01
  assert found['exact_log_likelihood'] == pytest.approx(found['ppca_log_likelihood'], abs=5e-3)
  if words == 'pca':  # the maximum exceeds what the truth has on the same data: by about parameters / (2 N)
    parameters = 2 * 10 - 1 + 10 + 1
    excess = found['ppca_log_likelihood'] - found['true_log_likelihood']
    assert 0 < excess < 3 * parameters / (2 * 10_000)
  else:
    assert 'true_log_likelihood' not in found


def test_the_identity_of_a_hierarchy_rests_on_the_conditional_priors_scale():
  """A layer below the top has its half where E_q (z - loc)^2 / scale^2 = 1: the bias of its scale head sees to that."""
  spec = spec_lib.base(('z2', 'z1'))
  for layer in ('z2', 'z1'):
    spec.model[layer].dim, spec.model[layer].scale_head = 3, 'log'
    spec.model[layer].encoder.hidden = (7,)
  fields = {'decoder.variance': 'optimal', 'prior.name': 'optimal', 'data.scaling': 'none', 'eval.num_samples': 3}
  spec = spec_lib.resolve(spec, fields)
  model = build.model(spec, Observation((D,)))
  randomize(model, scale=0.2)
  missing = evaluate(spec, model, points(), ('bounds', 'entropies'))['train']
  assert abs(missing['elbo_minus_entropies/rate']) > 0.1
  assert missing['elbo_minus_entropies/decoder'] == pytest.approx(0, abs=1e-4)
  data = make(Stored('toy', {'train': {'x': points()}, 'test': {'x': points()}}), spec.data, 0)
  split = Split(build.source(spec, data), 'train', spec)
  ((number, stored),) = split.batches()
  trace = model.infer(split.batch(stored), split.noise(number), 3)
  q, p = trace.q['z1'], trace.p['z1']
  squares = (tf.square(q.mean() - p.mean()) + q.variance()) / p.variance()
  squares = tf.reduce_mean(squares[:, :40], [0, 1])
  (bias,) = [v for v in model.trainable_variables if 'z1_p' in v.path and 'head' in v.path and v.path.endswith('bias')]
  assert bias.shape == (6,)  # of loc, then of log scale
  bias.assign(tf.concat([bias.value[:3], bias.value[3:] + 0.5 * tf.math.log(squares)], 0))
  train = evaluate(spec, model, points(), ('bounds', 'entropies'))['train']
  for name in ('', '/decoder', '/rate'):
    assert train[f'elbo_minus_entropies{name}'] == pytest.approx(0, abs=1e-4), name
