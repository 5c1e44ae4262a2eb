"""The importance-weighted bound: its value, and both estimators of its gradient, exactly and in expectation."""

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
from conftest import ROOT

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.objectives.iwae import Iwae
from tfvae.observation import Observation
from tfvae.training.step import Stepper

STEP = tf.constant(0, tf.int64)
NOISE = noise_lib.stateless(0, 0)
ONE, TWO, THREE = ('z1',), ('z2', 'z1'), ('z3', 'z2', 'z1')
REVERSE, ALL = {'model.inference': 'reverse'}, {'model.conditioning': 'all'}
BATCH = {'x': tf.constant(np.random.default_rng(0).random((3, 4)))}
FLOW = {'model.z1.flow': 'real_nvp', 'model.z1.flow_steps': 2, 'model.z1.flow_hidden': (3,)}
CHAINS = [(ONE, 'generic'), (TWO, 'generic'), (TWO, 'reverse')]


def make(layers=ONE, dim=2, **fields):
  """A float64 model of small tanh nets (finite differences need smooth ones), and the objective of its spec."""
  spec = spec_lib.base(layers)
  small = {'hidden': (3,), 'activation': 'tanh'}
  for layer in layers:
    spec.model[layer].dim = dim
    for net in ('encoder', 'posterior', 'prior'):
      if net in spec.model[layer]:
        spec.model[layer][net].update(small)
  spec.decoder.net.update(small)
  fields = {'train.precision': 'float64', 'objective.name': 'iwae', 'decoder.sigma': 0.5, **fields}
  spec = spec_lib.resolve(spec, fields)
  model = build.model(spec, Observation((4,)))
  rng = np.random.default_rng(1)
  for variable in model.trainable_variables:
    variable.assign_add(0.3 * rng.standard_normal(variable.shape))
  return model, build.objective(spec, model)


def is_generative(variable):
  return variable.path.split('/')[1].endswith('_prior') or 'decoder' in variable.path or 'likelihood' in variable.path


def gradients(objective, model, batch, noise=NOISE, weights=1.0):
  """{path: gradient} of the weighted sum of the losses."""
  variables = objective.players['model']
  with tf.GradientTape() as tape:
    loss, _ = objective.loss('model', model, batch, STEP, noise)
    loss = tf.reduce_sum(weights * loss)
  found = tape.gradient(loss, [v.value for v in variables])
  return {v.path: g for v, g in zip(variables, found, strict=True)}


@pytest.mark.parametrize(('layers', 'inference', 'k'), [(TWO, 'reverse', 5), (THREE, 'generic', 1)])
def test_the_loss_is_minus_the_log_mean_of_the_weights(layers, inference, k):
  model, standard = make(layers, **{'objective.num_samples': k, 'model.inference': inference})
  trace = model.infer(BATCH, NOISE, k)
  log_density = lambda d, value: scipy.stats.norm.logpdf(value, d.mean(), d.stddev()).sum(-1)
  log_weights = log_density(trace.px, BATCH['x'])
  for name, z in trace.z.items():
    log_weights = log_weights + log_density(trace.p[name], z) - log_density(trace.q[name], z)
  assert log_weights.shape == (k, 3)
  names = {'elbo', 'log_likelihood', 'rate', 'mse', 'sigma', *(f'rate/{layer}' for layer in layers)}
  for objective in (standard, Iwae(model, k, doubly_reparameterized=True)):
    loss, metrics = objective.loss('model', model, BATCH, STEP, NOISE)
    assert loss.shape == (3,) and loss.dtype == tf.float64
    np.testing.assert_allclose(loss, math.log(k) - scipy.special.logsumexp(log_weights, axis=0), rtol=1e-9)
    if k == 1:  # the ELBO's one-sample estimate
      np.testing.assert_allclose(loss, -log_weights[0], rtol=1e-9)
    np.testing.assert_array_equal(metrics['iwae'], -loss)
    assert set(metrics) == names | {'iwae'}
    want = {**trace.terms(), **model.diagnostics(trace)}
    for name in names:
      np.testing.assert_allclose(metrics[name], want[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(
  ('layers', 'likelihood', 'fields'),
  [
    (ONE, 'gaussian', {}),
    (TWO, 'gaussian', {}),
    (TWO, 'bernoulli', REVERSE),
    (THREE, 'bernoulli', ALL),
    (THREE, 'gaussian', REVERSE | ALL),
  ],
)
def test_gradients_at_fixed_noise(layers, likelihood, fields):
  """The standard estimator against finite differences, and what the two estimators have in common."""
  model, objective = make(layers, **{'decoder.likelihood': likelihood, 'objective.num_samples': 4, **fields})
  found = gradients(objective, model, BATCH)
  assert len(found) == len(model.trainable_variables)

  # The samples held, the gradient on decoder and priors is sum_s v_s d log p(x, z_s) for both.
  doubly = gradients(Iwae(model, 4, doubly_reparameterized=True), model, BATCH)
  for variable in model.trainable_variables:
    if is_generative(variable):
      np.testing.assert_allclose(doubly[variable.path], found[variable.path], rtol=1e-10, atol=1e-14)
    else:
      assert not np.any(np.isclose(doubly[variable.path], found[variable.path], rtol=1e-4)), variable.path

  rng, h = np.random.default_rng(2), 1e-5
  loss = tf.function(lambda: tf.reduce_sum(objective.loss('model', model, BATCH, STEP, NOISE)[0]), autograph=False)
  for variable in model.trainable_variables:
    direction = rng.standard_normal(variable.shape)
    want = np.subtract(*_at_ends(variable, h * direction, loss)) / (2 * h)
    assert np.sum(found[variable.path] * direction) == pytest.approx(want, rel=1e-6, abs=1e-7), variable.path


def _at_ends(variable, offset, function):
  """(function at variable + offset, at variable - offset)."""
  start, ends = variable.numpy(), []
  for sign in (1, -1):
    variable.assign(start + sign * offset)
    ends.append(function().numpy())
  variable.assign(start)
  return ends


# Units of one dimension, so that expectations over the noise are sums over a grid.


@functools.cache
def chain(layers, inference):
  """A model, q somewhat off, whose densities are smooth enough for quadrature. Not to be changed."""
  model, _ = make(layers, 1, **{'model.inference': inference})
  rng = np.random.default_rng(3)
  for variable in model.trainable_variables:
    variable.assign(0.3 * rng.standard_normal(variable.shape))
  return model


@pytest.mark.parametrize(('layers', 'inference'), CHAINS)
@pytest.mark.parametrize('k', [1, 2])
def test_both_estimators_have_one_expectation(layers, inference, k):
  """Every entry of every gradient, by Gauss-Hermite quadrature over all noise."""
  model = chain(layers, inference)
  axes = [(s, layer) for s in range(k) for layer in layers]
  nodes, weights = np.polynomial.hermite_e.hermegauss({1: 40, 2: 40, 4: 12}[len(axes)])
  grid = np.array(list(itertools.product(nodes, repeat=len(axes))))  # [B, axes]
  weights = np.prod(list(itertools.product(weights / math.sqrt(2 * math.pi), repeat=len(axes))), 1)
  eps = {f'z/{n}': tf.constant(grid[:, [axes.index((s, n)) for s in range(k)]].T[..., None]) for n in layers}
  batch = {'x': tf.repeat(BATCH['x'][:1], len(grid), 0)}
  standard, doubly = (gradients(Iwae(model, k, d), model, batch, noise_lib.replay(eps), weights) for d in (False, True))
  for path, want in standard.items():
    assert np.abs(want).max() > 0.01, path
    # With four axes the quadrature is good to 5 digits (10 and 14 nodes differ by that).
    np.testing.assert_allclose(doubly[path], want, rtol=0, atol=1e-4 if len(axes) == 4 else 1e-9, err_msg=path)


@pytest.mark.parametrize(('layers', 'inference', 'fields'), [*((*c, {}) for c in CHAINS), (ONE, 'generic', FLOW)])
def test_the_doubly_reparameterised_gradient_of_five_samples_is_unbiased(layers, inference, fields):
  """Against finite differences of the bound at the same noise, by Monte Carlo in blocks."""
  k, blocks, size, h = 5, 40, 50, 1e-5
  model, _ = make(layers, **{'model.inference': inference, **fields})
  standard, doubly = Iwae(model, k), Iwae(model, k, doubly_reparameterized=True)
  names, examples = [f'z/{n}' for n in layers], blocks * size
  eps = [NOISE.normal(n, (k, examples, 2), batch_axis=1, dtype='float64') for n in names]
  noise_of = lambda eps: noise_lib.replay(dict(zip(names, eps, strict=True)))
  repeated = lambda n: {'x': tf.repeat(BATCH['x'][:1], n, 0)}

  @tf.function(autograph=False)
  def losses():
    return standard.loss('model', model, repeated(examples), STEP, noise_of(eps))[0]

  @tf.function(autograph=False)
  def estimate(*eps):
    return gradients(doubly, model, repeated(size), noise_of(eps), 1 / size)

  found = [estimate(*(e[:, i : i + size] for e in eps)) for i in range(0, examples, size)]
  rng = np.random.default_rng(4)
  for variable in model.trainable_variables:
    direction = rng.standard_normal(variable.shape)
    want = np.subtract(*_at_ends(variable, h * direction, losses)).reshape(blocks, size).mean(1) / (2 * h)
    got = np.array([np.sum(estimates[variable.path] * direction) for estimates in found])
    error = (got - want).std(ddof=1) / math.sqrt(blocks)
    assert abs((got - want).mean()) < 5 * error + 1e-6 * abs(want.mean()), variable.path


# A linear-Gaussian model, whose evidence and posterior are known.


class Linear:
  """x = W z + b + sigma e with orthogonal columns in W, and q(z | x) = p(z | x), from which `move` takes it away."""

  def __init__(self, d=5, h=2, sigma=0.6):
    spec = spec_lib.base(('z1',))
    fields = {'model.z1.dim': h, 'model.z1.encoder.kind': 'linear', 'decoder.net.kind': 'linear'}
    fields |= {'decoder.variance': 'fixed', 'decoder.sigma': sigma, 'train.precision': 'float64'}
    self.model = build.model(spec_lib.resolve(spec, fields), Observation((d,)))
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.standard_normal((d, h)))[0] * np.array([1.5, 0.7])
    b = rng.standard_normal(d)
    self.model.decoder.likelihood.head.map.kernel.assign(w.T)
    self.model.decoder.likelihood.head.map.bias.assign(b)
    self.evidence = scipy.stats.multivariate_normal(b, w @ w.T + sigma**2 * np.eye(d))
    precision = 1 + (w**2).sum(0) / sigma**2  # of the posterior, diagonal
    self.scale = precision**-0.5
    back = w / sigma**2 / precision
    self._head = self.model.latents[0].family.head.map
    self._head.kernel.assign(np.concatenate([back, 0 * back], 1))
    self._head.bias.assign(np.concatenate([-b @ back, np.log(self.scale)]))

  def move(self, loc, log_scale):
    """Shifts q's mean by loc posterior standard deviations and scales its own by exp(log_scale), in each dimension."""
    self._head.bias.assign_add(np.concatenate([loc * self.scale, np.full_like(self.scale, log_scale)]))


def test_the_bounds_are_ordered_below_the_evidence():
  """E L_1 < E L_5 < E L_50 < log p(x), all apart by more than 5 standard errors; log p(x) - E L_1 = KL(q || p)."""
  linear, loc, log_scale = Linear(), 2.0, 0.3
  linear.move(loc, log_scale)
  x = np.random.default_rng(1).standard_normal((3000, 5))
  evidence, gaps, errors = linear.evidence.logpdf(x), {}, {}
  for k in (1, 5, 50):
    _, metrics = Iwae(linear.model, k).loss('model', linear.model, {'x': tf.constant(x)}, STEP, NOISE.scope(str(k)))
    gap = evidence - metrics['iwae'].numpy()
    gaps[k], errors[k] = gap.mean(), gap.std() / math.sqrt(len(x))
  for more, fewer in ((5, 1), (50, 5)):
    assert gaps[fewer] - gaps[more] > 5 * math.hypot(errors[fewer], errors[more])
  assert gaps[50] > 5 * errors[50]
  kl = 2 * (0.5 * (math.exp(2 * log_scale) + loc**2 - 1) - log_scale)
  assert abs(gaps[1] - kl) < 5 * errors[1]


def test_at_the_posterior_the_doubly_reparameterised_gradient_has_no_variance():
  """All weights are p(x): the standard estimator is left with the mean of the scores of q, the other with nothing."""
  linear, k, examples = Linear(), 50, 4
  batch = {'x': tf.constant(np.random.default_rng(1).standard_normal((examples, 5)))}
  standard, doubly = (gradients(Iwae(linear.model, k, d), linear.model, batch) for d in (False, True))
  eps = NOISE.normal('z/z1', (k, examples, 2), batch_axis=1, dtype='float64').numpy()
  scores = np.concatenate([eps / linear.scale, eps**2 - 1], -1).mean(0).sum(0)  # in q's mean, and in log of its scale
  bias = next(path for path in standard if 'z1_q' in path and 'bias' in path)
  np.testing.assert_allclose(standard[bias], scores, rtol=1e-9)
  for path in doubly:
    if 'z1_q' in path:
      np.testing.assert_allclose(doubly[path], np.zeros(doubly[path].shape), atol=1e-9)
      assert np.abs(standard[path]).max() > 0.1


def test_near_the_posterior_the_doubly_reparameterised_gradient_has_less_variance():
  """Tucker et al. 2019, section 6: one example, k = 50, 200 independent gradients of each kind."""
  linear, k, n = Linear(), 50, 200
  linear.move(0.1, 0.05)
  x = tf.constant(np.random.default_rng(1).standard_normal((1, 5)))
  eps = NOISE.normal('z/z1', (n, k, 1, 2), dtype='float64')

  @tf.function(autograph=False)
  def estimates(eps):
    noise = noise_lib.replay({'z/z1': eps})
    both = [gradients(Iwae(linear.model, k, d), linear.model, {'x': x}, noise) for d in (False, True)]
    return [next(g for path, g in found.items() if 'z1_q' in path and 'bias' in path) for found in both]

  standard, doubly = np.moveaxis([estimates(e) for e in eps], 1, 0)
  difference = standard - doubly
  assert np.all(np.abs(difference.mean(0)) < 5 * difference.std(0, ddof=1) / math.sqrt(n))
  # With q off by d = 0.1, v_s is about 1 / k and d log w_s about d: variances of d^2 / k^3 and 1 / k, a ratio of 4e-6.
  assert np.all(doubly.var(0) < 1e-4 * standard.var(0))


# Through the training loop.


def train(spec, compile, *counts):
  """The metrics' means over as many calls of the loop, counts[i] steps in each."""
  data, strategy = build.dataset(spec), tf.distribute.OneDeviceStrategy('/cpu:0')
  with strategy.scope():
    source, model = build.source(spec, data), build.model(spec, data.observation)
    objective = build.objective(spec, model)
    groups = build.optimizers(spec, model, objective)
    stepper = Stepper(strategy, model, objective, source, groups, None, spec.seed, 0.0, compile)
  means, first = [], 0
  for count in counts:
    step, feed = tf.constant(first, tf.int64), source.feed(first, count, stepper.rows)
    done = stepper.run(feed, step, tf.constant(count, tf.int64), tf.constant(stepper.zeros()))
    means.append(dict(zip(stepper.metric_names, done.sums.numpy() / count, strict=True)))
    first += count
  return means


def test_training_lowers_the_loss_by_either_word_and_xla_agrees():
  fields = {'model.z1.encoder.hidden': (12,), 'decoder.net.hidden': (12,), 'train.learning_rate': 5e-3}
  specs = {word: spec_lib.load(f'{ROOT}/specs/iwae.py:{word}', fields) for word in ('iwae', 'dreg')}
  assert all(spec.objective.name == 'iwae' and spec.objective.num_samples == 5 for spec in specs.values())
  (first, _, last), (first_dreg, _, last_dreg) = (train(spec, 'graph', 1, 80, 20) for spec in specs.values())
  for name in first:  # the same loss, another gradient
    assert (first_dreg[name] == pytest.approx(first[name], rel=1e-5)) != (name == 'gradient_norm'), name
  for begin, end in ((first, last), (first_dreg, last_dreg)):
    assert begin['iwae'] == pytest.approx(-begin['loss'], rel=1e-6) and end['iwae'] > end['elbo']
    assert end['loss'] < begin['loss'] - 5
  assert last_dreg['loss'] != last['loss'] and last_dreg['loss'] == pytest.approx(last['loss'], rel=0.02)

  (xla,) = train(specs['dreg'], 'xla', 1)
  assert xla.keys() == first_dreg.keys()
  for name in xla:
    assert xla[name] == pytest.approx(first_dreg[name], rel=1e-5, abs=1e-6), name
