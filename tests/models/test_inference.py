"""The two orders of inference: from the top, q(z2 | x) q(z1 | z2, x), and from the bottom, q(z1 | x) q(z2 | z1)."""

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from conftest import ROOT

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.observation import Observation

DIMS = {'z1': 4, 'z2': 3, 'z3': 2}
TWO, THREE = ('z2', 'z1'), ('z3', 'z2', 'z1')
NOISE = noise_lib.stateless(0, 0)


def make(layers, inference='reverse', conditioning='next', shape=(5,), **fields):
  """A float64 model of small nets, its weights far from their initial values."""
  spec = spec_lib.base(layers)
  for name in layers:
    spec.model[name].dim = DIMS[name]
    for net in ('encoder', 'posterior', 'prior'):
      if net in spec.model[name]:
        spec.model[name][net].hidden = (6,)
  spec.decoder.net.hidden = (6,)
  fields = {'model.inference': inference, 'model.conditioning': conditioning, 'train.precision': 'float64', **fields}
  model = build.model(spec_lib.resolve(spec, fields), Observation(shape))
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.3 * rng.standard_normal(variable.shape))
  return model


shared = functools.cache(make)  # for tests that leave the model as it is


def batch_of(n, shape=(5,)):
  return {'x': tf.constant(np.random.default_rng(1).random((n, *shape)))}


# By hand.


def dense(layer, x):
  return x @ layer.kernel.numpy() + layer.bias.numpy()


def mlp(net, inputs):
  y = np.concatenate(inputs, -1)
  for layer in net.dense:
    y = np.maximum(dense(layer, y), 0)
  return y


def gaussian(family, features):
  loc, log_scale = np.split(dense(family.head.map, features), 2, -1)
  return loc, np.exp(log_scale)


def infer_by_hand(model, x, eps, reverse, markov):
  """({layer: z}, {layer: (loc, scale) of q}) from x [S, B, D] and eps {layer: [S, B, H]}."""
  z, q = {}, {}
  for i, layer in enumerate(model.latents[::-1] if reverse else model.latents):
    others = list(z.values())[::-1][: 1 if markov else None]  # the nearest first
    if i == 0:
      features = mlp(layer.encoder, [x])
    elif reverse:
      features = mlp(layer.merge.net, others if markov else [x, *others])
    else:
      features = mlp(layer.merge.net, [mlp(layer.encoder, [x]), *others])
    loc, scale = q[layer.name] = gaussian(layer.family, features)
    z[layer.name] = loc + scale * eps[layer.name]
  return z, q


def generate_by_hand(model, z, markov):
  """({layer: (loc, scale) of p}, loc of p(x | z)) from {layer: [S, B, H]}."""
  p, above = {}, []
  for layer in model.latents:
    p[layer.name] = gaussian(layer.prior.family, mlp(layer.prior.net, above)) if above else (0.0, 1.0)
    above = [z[layer.name], *([] if markov else above)]
  return p, dense(model.decoder.likelihood.head.map, mlp(model.decoder.net, above))


@pytest.mark.parametrize('conditioning', ['next', 'all'])
@pytest.mark.parametrize(('layers', 'inference'), [(TWO, 'reverse'), (THREE, 'reverse'), (THREE, 'generic')])
def test_a_trace_equals_a_hand_computed_one(layers, inference, conditioning):
  model = shared(layers, inference, conditioning)
  reverse, markov = inference == 'reverse', conditioning == 'next'
  batch, samples = batch_of(3), 2
  trace = model.infer(batch, NOISE, samples)
  eps = {n: NOISE.normal(f'z/{n}', (samples, 3, DIMS[n]), 1, 'float64').numpy() for n in layers}
  x = np.broadcast_to(batch['x'].numpy(), (samples, 3, 5))
  z, q = infer_by_hand(model, x, eps, reverse, markov)
  p, loc = generate_by_hand(model, z, markov)
  sigma = trace.px.stddev().numpy()

  same = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
  log_density = lambda value, loc, scale: scipy.stats.norm.logpdf(value, loc, scale).sum(-1)
  assert list(trace.z) == list(layers) and list(trace.q) == list(layers[::-1] if reverse else layers)
  log_weights = log_density(x, loc, sigma)
  same(trace.log_px, log_weights)
  for name in layers:
    log_q, log_p = log_density(z[name], *q[name]), log_density(z[name], *p[name])
    same(trace.z[name], z[name])
    same(trace.log_q[name], log_q)
    same(trace.log_p[name], log_p)
    if reverse and name != layers[0]:  # the layers above are drawn given this one
      same(trace.kl[name], log_q - log_p)
    else:
      (m, s), (a, b) = q[name], p[name]
      same(trace.kl[name], (np.log(b / s) + (s**2 + (m - a) ** 2) / (2 * b**2) - 0.5).sum(-1))
    log_weights = log_weights + log_p - log_q
  same(trace.log_weights(), log_weights)

  # The same z scored, the posterior's means, and a reconstruction.
  again = model.score(batch, trace.z)
  for part in ('log_q', 'log_p', 'kl'):
    for name in layers:
      same(getattr(again, part)[name], getattr(trace, part)[name])
  same(again.log_px, trace.log_px)
  zeros = {name: np.zeros((1, 3, DIMS[name])) for name in layers}
  means, at_means = infer_by_hand(model, x[:1], zeros, reverse, markov)
  encoded, distributions = model.encode(batch)
  for name in layers:
    same(encoded[name], means[name])
    same(distributions[name].stddev(), at_means[name][1])
  loc = generate_by_hand(model, means, markov)[1]
  same(model.decode(encoded).mean(), loc)
  same(model(batch['x']), loc[0])


@pytest.mark.parametrize('conditioning', ['next', 'all'])
def test_what_each_layer_depends_on_from_the_bottom(conditioning):
  """q(z3 | .) moves with z2, and with z1 only where all layers below are conditioned on; p is as in the other order."""
  model, batch = shared(THREE, 'reverse', conditioning), batch_of(2)
  trace = model.infer(batch, NOISE, 1)

  def moved(layer):
    other = model.score(batch, {**trace.z, layer: trace.z[layer] + 1.0})
    differs = lambda a, b: not np.allclose(a, b, rtol=1e-6)
    names = {f'p({n})' for n in THREE if n != layer and differs(other.log_p[n], trace.log_p[n])}
    names |= {f'q({n})' for n in THREE if n != layer and differs(other.log_q[n], trace.log_q[n])}
    return names | ({'p(x)'} if differs(other.log_px, trace.log_px) else set())

  markov = conditioning == 'next'
  assert moved('z1') == {'q(z2)', 'p(x)'} | (set() if markov else {'q(z3)'})
  assert moved('z2') == {'q(z3)', 'p(z1)'} | (set() if markov else {'p(x)'})
  assert moved('z3') == {'p(z2)'} | (set() if markov else {'p(z1)', 'p(x)'})


@pytest.mark.parametrize(
  ('inference', 'conditioning', 'seeing'),
  [
    ('generic', 'next', {'z3', 'z2', 'z1'}),
    ('generic', 'all', {'z3', 'z2', 'z1'}),
    ('reverse', 'next', {'z1'}),
    ('reverse', 'all', {'z3', 'z2', 'z1'}),
  ],
)
def test_which_layers_see_x_itself(inference, conditioning, seeing):
  """The gradient of q(z_l | .) with respect to x where the other layers are held."""
  model, x = shared(THREE, inference, conditioning), batch_of(3)['x']
  z = model.infer({'x': x}, NOISE, 2).z
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    q = model.score({'x': x}, z).q
    outputs = {name: (q[name].mean(), q[name].stddev()) for name in THREE}
  for name in THREE:
    for output in outputs[name]:
      gradient = tape.gradient(output, x, unconnected_gradients='zero').numpy()
      assert np.all(np.any(gradient != 0, -1)) if name in seeing else np.all(gradient == 0), name


@pytest.mark.parametrize('layers', [('z1',), TWO, THREE])
def test_the_rate_from_the_bottom_is_that_of_q_to_p(layers):
  """E[sum_l kl_l] = E[log q - log p] = KL(q(z | x) || p(z)), analytic for the top layer alone."""
  n, examples = 10_000, 2
  model = shared(layers, 'reverse', 'next')
  trace = model.infer(batch_of(examples), NOISE, n)
  ratio = {name: (trace.log_q[name] - trace.log_p[name]).numpy() for name in layers}
  kl = {name: trace.kl[name].numpy() for name in layers}
  for name in layers[1:]:
    np.testing.assert_array_equal(kl[name], ratio[name])
  assert np.all(kl[layers[0]] > 0) and np.any(ratio[layers[0]] < 0)
  rate = trace.terms()['rate'].numpy()
  np.testing.assert_allclose(rate, sum(kl.values()).mean(0), rtol=1e-12)
  difference = sum(kl.values()) - sum(ratio.values())
  error = difference.std(0) / math.sqrt(n)
  assert np.all(error < 0.05 * rate) and np.all(np.abs(difference.mean(0)) < 5 * error)
  error = sum(kl.values()).std(0) / math.sqrt(n)
  assert np.all(rate > -5 * error)


# A linear-Gaussian Markov chain x <- z1 <- ... <- zL, whose posterior is q(z1 | x) q(z2 | z1) ... q(zL | zL-1).


def chain(depth, sigma=0.6, width=6):
  """(model, b, C): q is p(z | x), diagonal in each factor though no prior is, and p(x) = N(b, C).

  z_l = A z_l+1 + c + T e, with A = T V R', V' V = I and R R' = M - P, P the precision of z_l+1: then
  p(z_l+1 | z_l) has the precision P + A' T^-2 A = M, chosen diagonal.
  """
  layers = THREE[-depth:]
  fields = {'decoder.net.kind': 'linear', 'decoder.variance': 'fixed', 'decoder.sigma': sigma}
  fields |= {f'model.{name}.encoder.kind': 'linear' for name in layers}
  fields |= {f'model.{name}.prior.kind': 'linear' for name in layers[1:]}
  model, rng = make(layers, shape=(width,), **fields), np.random.default_rng(2)
  dim = DIMS[layers[0]]
  mean, covariance = np.zeros(dim), np.eye(dim)
  for i, layer in enumerate(model.latents):
    below = model.latents[i + 1] if i + 1 < depth else None
    size = DIMS[below.name] if below else width
    t = rng.uniform(0.5, 1.5, size) if below else np.full(size, sigma)
    p = np.linalg.inv(covariance)
    m = np.linalg.eigvalsh(p)[-1] * rng.uniform(1.5, 4, len(p))
    r = np.linalg.cholesky(np.diag(m) - p)
    a = t[:, None] * np.linalg.qr(rng.standard_normal((size, len(p))))[0] @ r.T
    c = rng.standard_normal(size)
    head = below.prior.family.head.map if below else model.decoder.likelihood.head.map
    head.kernel.assign(np.concatenate([a.T, 0 * a.T], 1) if below else a.T)
    head.bias.assign(np.concatenate([c, np.log(t)]) if below else c)
    back = (a / t[:, None] ** 2) / m  # [size, dim]: from what lies below to the mean
    head = layer.family.head.map
    head.kernel.assign(np.concatenate([back, 0 * back], 1))
    head.bias.assign(np.concatenate([p @ mean / m - c @ back, -0.5 * np.log(m)]))
    mean, covariance = a @ mean + c, a @ covariance @ a.T + np.diag(t**2)
  return model, mean, covariance


@pytest.mark.parametrize('depth', [1, 2, 3])
def test_the_posterior_of_a_markov_chain_runs_from_the_bottom(depth):
  """With q = p(z | x) each weight p(x, z) / q(z | x) is p(x); with another q, only their mean is."""
  model, b, covariance = chain(depth)
  if depth > 1:  # a prior whose units depend on each other: the posterior is no mere product of scalars
    a = model.latents[-1].prior.family.head.map.kernel.numpy()[:, : DIMS['z1']]
    assert np.abs((a.T @ a)[np.triu_indices(DIMS['z1'], 1)]).max() > 0.1
  x = np.random.default_rng(3).standard_normal((7, 6))
  density = scipy.stats.multivariate_normal(b, covariance)
  evidence, batch = density.logpdf(x), {'x': tf.constant(x)}
  trace = model.infer(batch, NOISE, 50)
  np.testing.assert_allclose(trace.log_weights(), np.broadcast_to(evidence, (50, 7)), rtol=1e-9)
  np.testing.assert_allclose(trace.importance_bound(), evidence, rtol=1e-9)

  generated = model.generate(5, NOISE)
  np.testing.assert_allclose(generated.log_weights()[0], density.logpdf(generated.x), rtol=1e-9)

  n = 4000
  for layer in model.latents:
    layer.family.head.map.bias.assign_add(np.repeat([0.2, 0.1], DIMS[layer.name]))
  weights = model.infer(batch, NOISE, n).log_weights().numpy() - evidence
  error = weights.std(0) / math.sqrt(n)
  assert np.all(weights.mean(0) < -5 * error)  # the ELBO is below the evidence
  error = np.exp(weights).std(0) / math.sqrt(n)
  assert np.all(error < 0.1) and np.all(np.abs(np.exp(weights).mean(0) - 1) < 5 * error)


def test_generated_examples_have_the_moments_of_the_model():
  """Whatever the order of inference, z is drawn from the top: x ~ N(b, C)."""
  n = 20_000
  model, b, covariance = chain(3)
  x = model.generate(n, NOISE).x.numpy()
  assert np.all(np.abs(x.mean(0) - b) < 5 * np.sqrt(np.diag(covariance) / n))
  variances = np.diag(covariance)
  error = np.sqrt((covariance**2 + np.outer(variances, variances)) / n)  # of a Gaussian's sample covariance
  assert np.all(np.abs(np.cov(x.T) - covariance) < 5 * error)


# Shapes.


NETS = ('model.z2.encoder', 'model.z1.encoder', 'model.z1.posterior', 'model.z1.prior', 'decoder.net')
MAPS = {f'{net}.kind': 'conv' for net in NETS}


@pytest.mark.parametrize('conditioning', ['next', 'all'])
@pytest.mark.parametrize('grids', [(2, 4), (0, 4), (2, 0)])
def test_feature_maps_from_the_bottom(grids, conditioning):
  """Convolutions between maps and vectors; every weight has a gradient."""
  fields = {'model.z2.grid': grids[0], 'model.z1.grid': grids[1]}
  model, batch = make(TWO, 'reverse', conditioning, (8, 8, 1), **MAPS, **fields), batch_of(3, (8, 8, 1))
  with tf.GradientTape() as tape:
    trace = model.infer(batch, NOISE, 2)
    bound = trace.importance_bound()
  for name, grid in zip(TWO, grids, strict=True):
    assert trace.z[name].shape == (2, 3, *([grid, grid] if grid else []), DIMS[name])
    assert trace.kl[name].shape == (2, 3)
  assert trace.px.mean().shape == (2, 3, 8, 8, 1) and model(batch['x']).shape == (3, 8, 8, 1)
  assert model.generate(2, NOISE).x.shape == (2, 8, 8, 1)
  variables = model.trainable_variables
  for variable, gradient in zip(variables, tape.gradient(bound, variables), strict=True):
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), variable.path


@pytest.mark.parametrize(
  ('layers', 'inference', 'conditioning', 'maps'),
  [
    (('z1',), 'generic', 'next', False),
    (THREE, 'generic', 'all', False),
    (THREE, 'reverse', 'next', False),
    (THREE, 'reverse', 'all', False),
    (TWO, 'generic', 'next', True),
    (TWO, 'reverse', 'all', True),
  ],
)
def test_batches_of_unknown_size(layers, inference, conditioning, maps):
  """One traced function for batches of any size, with the numbers of those of a known size."""
  if maps:
    shape = (8, 8, 1)
    model = make(layers, inference, conditioning, shape, **MAPS, **{'model.z2.grid': 4, 'model.z1.grid': 4})
  else:
    shape, model = (5,), shared(layers, inference, conditioning)

  def numbers(x):
    trace = model.infer({'x': x}, NOISE, 3)
    z, _ = model.encode({'x': x})
    found = {**trace.terms(), **model.entropies(trace), 'bound': trace.importance_bound(), 'x': model(x)}
    return found | {f'z/{k}': v for k, v in trace.z.items()} | {f'mean/{k}': v for k, v in z.items()}

  of_any = tf.function(numbers, input_signature=[tf.TensorSpec([None, *shape], tf.float64)], autograph=False)
  for n in (1, 4):
    x = batch_of(n, shape)['x']
    found, want = of_any(x), numbers(x)
    assert found.keys() == want.keys()
    for name in want:
      assert found[name].shape == want[name].shape, name
      np.testing.assert_allclose(found[name], want[name], rtol=1e-9, err_msg=name)


# The published networks.


def dense_counts(*sizes):
  """Parameters of Dense layers from sizes[0] to sizes[1] to ..."""
  return sum(a * b + b for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize(
  ('words', 'counts', 'total'),
  [
    ('', {'z1_encoder': (784, 200, 200), 'z1_q': (200, 2 * 50), 'decoder_net': (50, 200, 200)}, 425_284),
    (
      'two_layers',
      {
        'z1_encoder': (784, 200, 200),
        'z1_q': (200, 2 * 100),
        'z2_encoder': (100, 100, 100),
        'z2_q': (100, 2 * 50),
        'z1_prior': (50, 100, 100, 2 * 100),
        'decoder_net': (100, 200, 200),
      },
      521_084,
    ),
  ],
)
def test_the_networks_of_burda(words, counts, total):
  """Burda et al. 2016, section 5 and their code: two tanh layers on each side of each stochastic layer."""
  spec = spec_lib.load(f'{ROOT}/specs/iwae.py:mnist,{words}')
  model = build.model(spec, Observation((28, 28, 1)))
  found = {}
  for variable in model.trainable_variables:
    part = variable.path.split('/')[1]
    found[part] = found.get(part, 0) + math.prod(variable.shape)
  counts = {part: dense_counts(*sizes) for part, sizes in counts.items()} | {'likelihood': dense_counts(200, 784)}
  assert found == counts
  assert build.num_parameters(model.trainable_variables) == sum(counts.values()) == total
  assert {net.activation for net in (spec.model.z1.encoder, spec.decoder.net)} == {'tanh'}
