"""Hierarchies of one, two and three layers."""

import itertools
import math
import pathlib

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.observation import Observation
from tfvae.spec import fit
from tfvae.spec.fields.field import flatten

ROOT = pathlib.Path(__file__).parents[2]
SHAPE = (8, 8, 1)


def make(layers, shape=SHAPE, **fields):
  spec = spec_lib.base(layers)
  for layer in layers:
    spec.model[layer].dim = 3
    spec.model[layer].encoder.hidden = (6,)
  spec = spec_lib.resolve(spec, fields)
  return spec, build.model(spec, Observation(shape))


def batch_of(n, shape=SHAPE, seed=0):
  return {'x': tf.constant(np.random.default_rng(seed).random((n, *shape)), tf.float32)}


def randomize(model, seed=0):
  rng = np.random.default_rng(seed)
  for variable in model.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))


def dense(layer, x):
  return x @ layer.kernel.numpy() + layer.bias.numpy()


def test_one_layer_equals_a_hand_computed_elbo():
  """x -> relu -> (mu, log sigma) -> z -> relu -> loc: the ELBO of a fixed batch and fixed noise in NumPy, float64."""
  _, model = make(('z1',), **{'decoder.sigma': 0.4, 'decoder.sigma_floor': 0.0})
  randomize(model)
  batch, samples = batch_of(5), 4
  noise = noise_lib.stateless(3, 1)
  trace = model.infer(batch, noise, samples)
  eps = noise.normal('z/z1', (samples, 5, 3), batch_axis=1).numpy().astype(np.float64)

  x = batch['x'].numpy().astype(np.float64).reshape(5, 64)
  layer, decoder = model.latents[0], model.decoder
  mu, log_tau = np.split(dense(layer.family.head.map, np.maximum(dense(layer.encoder.dense[0], x), 0)), 2, -1)
  z = mu + np.exp(log_tau) * eps
  loc = dense(decoder.likelihood.head.map, np.maximum(dense(decoder.net.dense[0], z), 0))
  sigma = np.exp(decoder.likelihood.variance.log_sigma.numpy())
  log_px = -0.5 * (((x - loc) / sigma) ** 2 + 2 * np.log(sigma) + math.log(2 * math.pi)).sum(-1)
  rate = -0.5 * (1 + 2 * log_tau - mu**2 - np.exp(2 * log_tau)).sum(-1)
  terms = trace.terms()
  np.testing.assert_allclose(terms['elbo'], log_px.mean(0) - rate, rtol=1e-5)
  np.testing.assert_allclose(terms['rate/z1'], rate, rtol=1e-5)
  np.testing.assert_allclose(terms['mse'], ((x - loc) ** 2).mean((0, 2)), rtol=1e-5)
  np.testing.assert_allclose(trace.log_q['z1'], scipy.stats.norm.logpdf(z, mu, np.exp(log_tau)).sum(-1), rtol=1e-4)
  entropies = model.entropies(trace)
  np.testing.assert_allclose(
    entropies['entropy/encoder'], (log_tau + 0.5 * math.log(2 * math.pi * math.e)).sum(-1), rtol=1e-5
  )
  np.testing.assert_allclose(entropies['entropy/prior'], 3 * 0.5 * math.log(2 * math.pi * math.e), rtol=1e-5)
  np.testing.assert_allclose(entropies['entropy/decoder'], 32 * math.log(2 * math.pi * math.e * sigma**2), rtol=1e-4)


@pytest.mark.parametrize('conditioning', ['next', 'all'])
@pytest.mark.parametrize('layers', [('z1',), ('z2', 'z1'), ('z3', 'z2', 'z1')])
def test_traces_of_any_depth(layers, conditioning):
  _, model = make(layers, **{'model.conditioning': conditioning})
  randomize(model)
  batch = batch_of(4)
  trace = model.infer(batch, noise_lib.stateless(0, 0), 6)
  assert list(trace.z) == list(layers)
  for layer in layers:
    assert trace.z[layer].shape == (6, 4, 3)
    for part in (trace.kl, trace.log_q, trace.log_p):
      assert part[layer].shape == (6, 4)
  assert trace.log_px.shape == (6, 4) and trace.terms()['elbo'].shape == (4,)
  # Scoring the same z gives the same trace, and generated data can be scored.
  again = model.score(batch, trace.z)
  np.testing.assert_allclose(again.log_px, trace.log_px, rtol=1e-6)
  for layer in layers:
    np.testing.assert_allclose(again.log_q[layer], trace.log_q[layer], rtol=1e-5)
  generated = model.generate(7, noise_lib.stateless(0, 0))
  assert generated.x.shape == (7, *SHAPE) and generated.z['z1'].shape == (1, 7, 3)
  assert model(batch['x']).shape == batch['x'].shape


@pytest.mark.parametrize('conditioning', ['next', 'all'])
def test_what_each_layer_depends_on(conditioning):
  """log p(z1 | .) moves with z2, and with z3 only where all layers above are conditioned on; p(x | .) alike."""
  _, model = make(('z3', 'z2', 'z1'), **{'model.conditioning': conditioning})
  randomize(model)
  batch = batch_of(2)
  trace = model.infer(batch, noise_lib.stateless(0, 0), 1)

  def moved(layer):
    z = {**trace.z, layer: trace.z[layer] + 1.0}
    other = model.score(batch, z)
    differs = lambda a, b: not np.allclose(a, b, rtol=1e-6)
    names = {f'p({name})' for name in z if name != layer and differs(other.log_p[name], trace.log_p[name])}
    names |= {f'q({name})' for name in z if name != layer and differs(other.log_q[name], trace.log_q[name])}
    return names | ({'p(x)'} if differs(other.log_px, trace.log_px) else set())

  markov = conditioning == 'next'
  assert moved('z3') == {'p(z2)', 'q(z2)'} | (set() if markov else {'p(z1)', 'q(z1)', 'p(x)'})
  assert moved('z2') == {'p(z1)', 'q(z1)'} | (set() if markov else {'p(x)'})
  assert moved('z1') == {'p(x)'}


def test_conditional_kls_against_monte_carlo():
  _, model = make(('z2', 'z1'))
  randomize(model)
  n = 20_000
  trace = model.infer(batch_of(2), noise_lib.stateless(0, 0), n)
  for layer in ('z2', 'z1'):
    ratio = (trace.log_q[layer] - trace.log_p[layer]).numpy().astype(np.float64)
    kl = trace.kl[layer].numpy()
    error = (ratio - kl).std(0) / math.sqrt(n)
    assert np.all(error < 0.05 * kl.mean(0)) and np.all(np.abs(ratio.mean(0) - kl.mean(0)) < 5 * error), layer
  assert np.all(trace.kl['z1'].numpy().std(0) > 0)  # the lower layer's KL depends on the sample above


def test_feature_maps_and_vectors_meet():
  fields = {'model.z1.grid': 4, 'model.z1.dim': 2, 'model.z1.encoder.kind': 'conv', 'model.z1.posterior.kind': 'conv'}
  fields |= {'model.z1.prior.kind': 'conv', 'model.z1.prior.hidden': '8,8', 'decoder.net.kind': 'conv'}
  for conditioning in ('next', 'all'):
    _, model = make(('z3', 'z2', 'z1'), **fields, **{'model.conditioning': conditioning})
    trace = model.infer(batch_of(3), noise_lib.stateless(0, 0), 2)
    assert trace.z['z1'].shape == (2, 3, 4, 4, 2) and trace.kl['z1'].shape == (2, 3)


def test_weights_depend_on_the_seed_and_their_name_alone():
  weights = lambda layers, **f: {v.path: v.numpy() for v in make(layers, **f)[1].trainable_variables}
  two, three, other = weights(('z2', 'z1')), weights(('z3', 'z2', 'z1')), weights(('z2', 'z1'), seed=1)
  kernels = [path for path in two if 'kernel' in path]
  assert all(not np.array_equal(two[path], other[path]) for path in kernels)
  for path in [path for path in kernels if 'z1' in path or 'decoder' in path]:
    np.testing.assert_array_equal(two[path], three[path])
  stacked = [two[path] for path in kernels if two[path].shape == two[kernels[0]].shape]
  assert len(stacked) > 1 and not np.array_equal(stacked[0], stacked[1])


def linear_gaussian(d=5, h=2, sigma=0.6):
  """A linear VAE whose posterior is diagonal: the columns of W are orthogonal. Returns (model, W, b)."""
  fields = {'model.z1.dim': h, 'model.z1.encoder.kind': 'linear', 'decoder.net.kind': 'linear'}
  fields |= {'decoder.variance': 'fixed', 'decoder.sigma': sigma, 'train.precision': 'float64'}
  _, model = make(('z1',), shape=(d,), **fields)
  rng = np.random.default_rng(0)
  w = np.linalg.qr(rng.standard_normal((d, h)))[0] * np.array([1.5, 0.7])
  b = rng.standard_normal(d)
  model.decoder.likelihood.head.map.kernel.assign(w.T)
  model.decoder.likelihood.head.map.bias.assign(b)
  return model, w, b


def set_posterior(model, w, b, sigma):
  """q(z | x) = p(z | x) = N(M^-1 W^T (x - b), sigma^2 M^-1), M = W^T W + sigma^2 I (Tipping & Bishop 1999)."""
  m_inverse = np.linalg.inv(w.T @ w + sigma**2 * np.eye(w.shape[1]))
  head = model.latents[0].family.head.map
  to_loc = w @ m_inverse
  head.kernel.assign(np.concatenate([to_loc, np.zeros_like(to_loc)], 1))
  head.bias.assign(np.concatenate([-b @ to_loc, 0.5 * np.log(sigma**2 * np.diag(m_inverse))]))


def test_elbo_never_exceeds_the_evidence_and_meets_it_at_its_optimum():
  sigma, n, samples = 0.6, 50, 2000
  model, w, b = linear_gaussian(sigma=sigma)
  x = np.random.default_rng(1).standard_normal((n, 5)) * 1.3
  evidence = scipy.stats.multivariate_normal(b, w @ w.T + sigma**2 * np.eye(5)).logpdf(x)
  infer = lambda: model.infer({'x': tf.constant(x)}, noise_lib.stateless(0, 0), samples)

  set_posterior(model, w, b, sigma)
  trace = infer()
  # log p(x, z) - log q(z | x) = log p(x) for every z, and the ELBO is its mean.
  np.testing.assert_allclose(
    trace.log_px + trace.log_p['z1'] - trace.log_q['z1'], np.broadcast_to(evidence, (samples, n)), rtol=1e-9
  )
  terms = trace.terms()
  error = trace.log_px.numpy().std(0) / math.sqrt(samples)
  assert np.all(np.abs(terms['elbo'] - evidence) < 5 * error)

  head = model.latents[0].family.head.map
  rng = np.random.default_rng(2)
  for _ in range(5):
    set_posterior(model, w, b, sigma)
    for variable in (head.kernel, head.bias):
      variable.assign_add(0.2 * rng.standard_normal(variable.shape))
    trace = infer()
    gap = evidence - trace.terms()['elbo'].numpy()
    error = trace.log_px.numpy().std(0) / math.sqrt(samples)
    assert np.all(gap > -5 * error) and gap.mean() > 0.01
    # The gap is the KL from q to the true posterior, both Gaussian.
    q = trace.q['z1']
    loc, scale = q.mean().numpy()[0], q.stddev().numpy()[0]
    m_inverse = np.linalg.inv(w.T @ w + sigma**2 * np.eye(2))
    true_loc, true_scale = (x - b) @ w @ m_inverse, sigma * np.sqrt(np.diag(m_inverse))
    kl = np.log(true_scale / scale) + (scale**2 + (loc - true_loc) ** 2) / (2 * true_scale**2) - 0.5
    assert np.all(np.abs(gap - kl.sum(-1)) < 5 * error)


def test_bernoulli_elbo_against_evidence_by_quadrature():
  """A one-dimensional latent: the evidence by quadrature on a fine grid; the ELBO stays below."""
  fields = {'model.z1.dim': 1, 'decoder.likelihood': 'bernoulli', 'train.precision': 'float64'}
  _, model = make(('z1',), shape=(6,), **fields)
  randomize(model)
  x = np.random.default_rng(0).integers(0, 2, (20, 6)).astype(np.float64)
  z = np.linspace(-10, 10, 4001)
  trace = model.score({'x': tf.constant(x)}, {'z1': tf.constant(np.broadcast_to(z[:, None, None], (4001, 20, 1)))})
  evidence = scipy.special.logsumexp(trace.log_px + trace.log_p['z1'], axis=0) + np.log(z[1] - z[0])
  trace = model.infer({'x': tf.constant(x)}, noise_lib.stateless(0, 0), 4000)
  error = trace.log_px.numpy().std(0) / math.sqrt(4000)
  gap = evidence - trace.terms()['elbo'].numpy()
  assert np.all(gap > -5 * error) and gap.mean() > 0
  weights = trace.log_px + trace.log_p['z1'] - trace.log_q['z1']
  weights = np.exp(weights - evidence)  # their mean is 1
  error = weights.std(0) / math.sqrt(4000)
  assert np.all(error < 0.1) and np.all(np.abs(weights.mean(0) - 1) < 5 * error)


@pytest.mark.parametrize(('standardize', 'shape'), [(False, (64, 64, 3)), (True, (5,))])
def test_the_constant_of_a_fixed_sigma(standardize, shape):
  """log p(x | z) less what the error takes from it; -6,909 nats at 64 x 64 x 3 and sigma 0.7 (Rezende & Viola 2018)."""
  fields = {'decoder.variance': 'fixed', 'decoder.sigma': 0.7, 'model.standardize': standardize}
  _, model = make(('z1',), shape, **fields, **{'decoder.net.hidden': '2', 'train.precision': 'float64'})
  dims, sigma = math.prod(shape), np.full(shape, 0.7)
  if standardize:  # one sigma in units of the root of the mean variance
    variance = np.linspace(0.5, 40, dims)
    model.decoder.standardized.fit(np.arange(dims), variance)
    sigma *= np.sqrt(variance.mean())
  trace = model.infer(
    {'x': tf.random.stateless_normal((3, *shape), [0, 1], dtype=tf.float64)}, noise_lib.stateless(0, 0), 2
  )
  found = model.diagnostics(trace)['log_likelihood_constant']
  constant = -0.5 * np.sum(np.log(2 * np.pi * sigma**2))
  np.testing.assert_allclose(found, [constant] * 3, rtol=1e-9)
  error = trace.terms()['mse'] * dims / (2 * sigma.flat[0] ** 2)
  np.testing.assert_allclose(trace.terms()['log_likelihood'] + error, found, rtol=1e-9)
  if not standardize:
    assert constant / dims == pytest.approx(-0.5623, abs=5e-5) and constant == pytest.approx(-6909, abs=0.5)


def test_the_constant_is_of_each_dimension_and_of_a_fixed_sigma_only():
  _, model = make(('z1',), (4,), **{'decoder.variance': 'fixed', 'decoder.sigma': 0.5})
  likelihood, widths = model.decoder.likelihood, np.array([1.0, 2.0, 3.0, 0.1], 'float32')
  px = likelihood.moved(model.decode({'z1': tf.zeros([2, 1, 3])}), lambda loc, sigma: (loc, sigma * widths))
  found = likelihood.diagnostics(px)['log_likelihood_constant']
  np.testing.assert_allclose(found, np.full((2, 1), -0.5 * np.sum(np.log(2 * np.pi * (0.5 * widths) ** 2))), rtol=1e-6)
  _, learned = make(('z1',), (4,))
  assert list(learned.decoder.likelihood.diagnostics(learned.decode({'z1': tf.zeros([2, 1, 3])}))) == ['sigma']


def published(variant, shape):
  return build.model(spec_lib.load(f'{ROOT}/specs/hit.py:{variant}'), Observation(shape))


def conv_count(kernel, inputs, outputs):
  return kernel * kernel * inputs * outputs + outputs


def dense_count(inputs, outputs):
  return inputs * outputs + outputs


def published_counts(channels, c=32):
  """Parameters of the networks of the code of Xiao & Bamler (2023), layer by layer; all sizes end at 4 x 4 x c."""
  width = 4 * 4 * c
  return {
    'q(z2|x)': conv_count(4, channels, c) + 2 * conv_count(4, c, c) + 2 * dense_count(width, c),
    'q(z1|z2,x)': (
      conv_count(4, channels, c)
      + conv_count(4, c, c)
      + dense_count(c, width)
      + conv_count(4, c, c)  # of z2, transposed
      + conv_count(4, 2 * c, c)
      + 2 * conv_count(3, c, c)
    ),
    'p(z1|z2)': dense_count(c, width // 2) + 2 * dense_count(width // 2, width),
    'p(x|z1)': 2 * conv_count(4, c, c) + conv_count(4, c, channels),
  }


def parts_of(model):
  """{part: number of its parameters} by the names of the weights."""
  prefixes = {'z2_encoder': 'q(z2|x)', 'z2_q': 'q(z2|x)', 'z1_prior': 'p(z1|z2)'}
  prefixes |= {'z1_encoder': 'q(z1|z2,x)', 'z1_above': 'q(z1|z2,x)', 'z1_posterior': 'q(z1|z2,x)', 'z1_q': 'q(z1|z2,x)'}
  prefixes |= {'decoder_net': 'p(x|z1)', 'likelihood': 'p(x|z1)'}
  counts = dict.fromkeys(prefixes.values(), 0)
  for variable in model.trainable_variables:
    counts[prefixes[variable.path.split('/')[1]]] += math.prod(variable.shape)
  return counts


@pytest.mark.parametrize(
  ('variant', 'shape', 'meeting', 'total'),
  [('cifar10', (32, 32, 3), 8, 475_811), ('binary_mnist', (28, 28, 1), 7, 472_737)],
)
def test_published_networks(variant, shape, meeting, total):
  model = published(variant, shape)
  counts = published_counts(shape[-1])
  assert parts_of(model) == counts
  assert build.num_parameters(model.trainable_variables) == sum(counts.values()) == total

  batch = batch_of(4, shape)
  if variant == 'binary_mnist':
    batch['x'] = tf.round(batch['x'])
  layer = model.latents[1]
  assert layer.encoder(batch['x']).shape == (4, meeting, meeting, 32)
  assert layer.merge.others(tf.zeros([4, 32])).shape == (4, meeting, meeting, 32)
  with tf.GradientTape() as tape:
    trace = model.infer(batch, noise_lib.stateless(0, 0), 1)
    elbo = trace.terms()['elbo']
  assert trace.z['z2'].shape == (1, 4, 32) and trace.z['z1'].shape == (1, 4, 4, 4, 32)
  assert np.all(np.isfinite(elbo))
  for variable, gradient in zip(model.trainable_variables, tape.gradient(elbo, model.trainable_variables), strict=True):
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), variable.path
  if variant == 'cifar10':
    np.testing.assert_allclose(trace.px.stddev(), 0.71, rtol=1e-6)


def test_larger_images_have_one_stage_more():
  model = published('celeb_a', (64, 64, 3))
  counts = published_counts(3)
  counts['q(z2|x)'] += conv_count(4, 32, 32)
  counts['q(z1|z2,x)'] += conv_count(4, 32, 32)
  counts['p(z1|z2)'] = dense_count(32, 1024) + 2 * dense_count(1024, 2048)
  assert parts_of(model) == counts
  assert model.latents[1].shape == (8, 8, 32)


@pytest.mark.parametrize(('variant', 'count'), [('', 75_238), ('three_layers,vector', 169_058)])
def test_the_digits_nets_are_as_they_were(variant, count):
  assert build.num_parameters(published(variant, SHAPE).trainable_variables) == count


@pytest.mark.parametrize(
  ('above', 'z1', 'conditioning'),
  [('linear', 'vector', 'next'), ('mlp', 'map', 'all'), ('conv', 'map', 'next'), ('conv', 'vector', 'all')],
)
def test_where_the_features_meet_the_layers_above(above, z1, conditioning):
  """A layer of any kind, whatever leads to it from above, on a map of its own."""
  fields = {'model.conditioning': conditioning, 'model.z1.above.kind': above, 'model.z1.above.hidden': '5,6'}
  fields |= {'model.z1.grid': 2 if z1 == 'map' else 0, 'model.z1.join_grid': 4, 'model.z1.encoder.kind': 'conv'}
  fields |= {'model.z1.posterior.kind': 'conv', 'model.z1.posterior.hidden': '7', 'model.z1.head_kernel': 3}
  _, model = make(('z3', 'z2', 'z1'), **fields)
  joined = []
  layer = model.latents[2]
  join = layer.merge.join.call
  layer.merge.join.call = lambda inputs: joined.append([tuple(i.shape[1:]) for i in inputs]) or join(inputs)
  trace = model.infer(batch_of(3), noise_lib.stateless(0, 0), 2)
  vectors = [(3,)] * (2 if conditioning == 'all' else 1)
  assert joined == [[(4, 4, 6), *{'linear': vectors, 'mlp': [(6,)], 'conv': [(4, 4, 6)]}[above]]]
  assert trace.z['z1'].shape[2:] == ((2, 2, 3) if z1 == 'map' else (3,))
  assert trace.kl['z1'].shape == (2, 3)


def weights_of(kernel, *channels):
  return sum(conv_count(kernel, a, b) for a, b in itertools.pairwise(channels))


def test_a_feature_map_on_top():
  """conv_z for CIFAR-10: the encoder of z1, where it meets z2, and the decoder are the published ones."""
  model, c = published('cifar10,conv_z', (32, 32, 3)), 64
  counts = {
    'q(z2|x)': weights_of(5, 3, c, c, 3 * c, 2 * c),
    'q(z1|z2,x)': weights_of(5, 3, c, c) + weights_of(5, c, c, c) + weights_of(5, 2 * c, 2 * c, 2 * c),
    'p(z1|z2)': weights_of(5, c, c + c // 2, 2 * c),
    'p(x|z1)': weights_of(5, c, c, 3),
  }
  assert parts_of(model) == counts
  assert [layer.shape for layer in model.latents] == [(4, 4, c), (8, 8, c)]


def test_priors_of_a_feature_map_on_top():
  path, priors = f'{ROOT}/specs/hit.py:conv_z', {}
  for name in ('standard', 'learned'):
    model = build.model(spec_lib.load(path, {'prior.name': name}), Observation(SHAPE))
    alpha, (top, _) = np.ones((2, 2, 4)), model.latents
    if name == 'learned':
      alpha = np.linspace(0.5, 2, 16).reshape(2, 2, 4)
      top.prior.log_alpha.assign(np.log(alpha))
    trace = model.infer(batch_of(3), noise_lib.stateless(0, 0), 2)
    loc, scale = (value.numpy() for value in top.family.parameters(trace.q['z2']).values())
    kl = np.log(alpha / scale) + (scale**2 + loc**2) / (2 * alpha**2) - 0.5
    np.testing.assert_allclose(trace.kl['z2'][0], kl.sum((-3, -2, -1))[0], rtol=1e-5)
    priors[name] = trace.z['z2'].shape
  assert set(priors.values()) == {(2, 3, 2, 2, 4)}
  with pytest.raises(
    SpecError, match=r'spec.prior.name: got optimal, which is for vectors, but spec.model.z2.grid is 2'
  ):
    spec_lib.load(path, {'prior.name': 'optimal'})


SIDES = {'digits': (8, 8, 1), 'mnist': (28, 28, 1), 'cifar10': (32, 32, 3), 'celeb_a': (64, 64, 3)}
GRIDS = {  # of z1, z2, ...; 0: a vector
  'conv_z': {'digits': (4, 2), 'mnist': (7, 4), 'cifar10': (8, 4), 'celeb_a': (8, 4)},
  'three_layers': {'digits': (4, 0, 0), 'mnist': (7, 4, 0), 'cifar10': (8, 4, 0), 'celeb_a': (8, 4, 0)},
  'three_layers,conv_z': {'mnist': (7, 4, 2), 'cifar10': (8, 4, 2), 'celeb_a': (8, 4, 2)},
  '': {'digits': (4, 0), 'mnist': (4, 0), 'cifar10': (4, 0), 'celeb_a': (8, 0)},
}


@pytest.mark.parametrize('order', ['', 'lvae', 'lvae,no_warmup'])
@pytest.mark.parametrize('words', GRIDS)
def test_words_that_go_together(words, order):
  for data, grids in GRIDS[words].items():
    spec = spec_lib.load(f'{ROOT}/specs/hit.py:{data},{words},{order}')
    assert tuple(spec.model[f'z{i + 1}'].grid for i in range(len(spec.model.layers))) == grids
    assert spec.model.inference == (order.partition(',')[0] or 'generic')
    assert spec.objective.anneal == ('linear' if order == 'lvae' else 'none')
    assert fit.problems(flatten(spec.to_dict()), SIDES[data]) == []


@pytest.mark.parametrize(
  ('words', 'why'),
  [
    ('vector,cifar10', 'vector is there for digits only, not for cifar10'),
    ('cifar10,svhn', 'only one of'),
    ('vector,conv_z', 'conv_z is a feature map above another, but vector has none below'),
    ('three_layers,conv_z', 'three_layers with conv_z needs more than the 8 x 8 pixels of digits'),
    ('cifar10,no_warmup', 'no_warmup is there for lvae only'),
  ],
)
def test_words_that_do_not_go_together(words, why):
  with pytest.raises(SpecError, match=why):
    spec_lib.load(f'{ROOT}/specs/hit.py:{words}')
