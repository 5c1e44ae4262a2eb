"""Models that are told something: against closed forms, NumPy, and the models that are told nothing. In float64."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.evaluator import Split
from tfvae.analysis.log_evidence import LogEvidence
from tfvae.analysis.posterior import Posterior
from tfvae.data.dataset import Stored
from tfvae.data.dataset import make as make_data
from tfvae.models.context import Context
from tfvae.observation import Observation

DIMS, D, B, S, CLASSES = {'z3': 2, 'z2': 3, 'z1': 4}, 5, 3, 2, 4
NOISE = noise_lib.stateless(0, 0)
RNG = np.random.default_rng


def cheap(cases, *some):
  """`cases`, of which all but some are slow ones."""
  return [
    case if case in some else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
    for case in cases
  ]


def make(layers=('z2', 'z1'), context=(2,), shape=(D,), **fields):
  """(spec, model) in float64 of small dense nets, the weights far from where they begin; context: its shape."""
  spec = spec_lib.base(layers)
  for name in layers:
    spec.model[name].dim = DIMS[name]
    for net in {'encoder', 'posterior', 'prior'} & set(spec.model[name]):
      spec.model[name][net].hidden = (6,)
  spec.decoder.net.hidden = (6,)
  spec.data.context = 'none' if context is None else 'own' if context else 'label'
  own = {'train.precision': 'float64', 'decoder.variance': 'fixed', 'decoder.sigma': 0.7, 'objective.num_samples': 1}
  own |= {'model.context.classes': CLASSES, 'data.scaling': 'none'}
  own |= {'eval.evaluators': ('bounds',), 'sample.what': ('prior',)}
  spec = spec_lib.resolve(spec, own | fields)
  model, rng = build.model(spec, Observation(shape, context=context)), RNG(0)
  for variable in model.trainable_variables:
    variable.assign(0.4 * rng.standard_normal(variable.shape))
  return spec, model


def batch_of(context=(2,), n=B, shape=(D,), seed=1, binary=False):
  rng = RNG(seed)
  x = rng.random((n, *shape))
  told = rng.standard_normal((n, *context)) if context else rng.integers(0, CLASSES, n).astype(np.int32)
  return {'x': tf.constant((x > 0.5) * 1.0 if binary else x), 'context': tf.constant(told)}


def cat(*parts):
  lead = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
  return np.concatenate([np.broadcast_to(part, (*lead, part.shape[-1])) for part in parts], -1)


def dense(layer, x):
  return x @ layer.kernel.numpy() + layer.bias.numpy()


def net(layers, *inputs):
  x = cat(*inputs)
  for layer in layers:
    x = np.maximum(dense(layer, x), 0)
  return x


def gaussian(family, *features):
  loc, log_scale = np.split(dense(family.head.map, cat(*features)), 2, -1)
  return loc, np.exp(log_scale)


def merged(q, p):
  precision = q[1] ** -2 + p[1] ** -2
  return (q[0] * q[1] ** -2 + p[0] * p[1] ** -2) / precision, precision**-0.5


# Every order by hand.


def by_hand(model, x, c, eps):
  """({layer: z}, {layer: q}, {layer: p}, E[x | z]); x [B, D] and c [B, C], the others [S, B, ...]."""
  order, markov, layers = model.order.name, model.markov, model.latents
  above = lambda names: [z[name] for name in names[: 1 if markov else None]]
  names, z, q, p = [layer.name for layer in layers], {}, {}, {}
  prior = lambda i: gaussian(layers[i].prior.family, net(layers[i].prior.net.dense, *above(names[:i][::-1]), c))
  draw = lambda name: q[name][0] + q[name][1] * eps[name]
  if order == 'reverse':
    for i in reversed(range(len(layers))):
      layer, below = layers[i], above(names[i + 1 :])
      first = [net(layer.encoder.dense, x)] if i == len(layers) - 1 else [] if markov else [x]
      q[layer.name] = gaussian(layer.family, net(layer.merge.net.dense, *first, *below, c))
      z[layer.name] = draw(layer.name)
    p = {name: prior(i) for i, name in enumerate(names)}
  else:
    way, evidence = x, {}
    for layer in layers[::-1] if order != 'generic' else ():
      way = net(layer.encoder.dense, way)
      evidence[layer.name] = gaussian(layer.family, net(layer.merge.net.dense, way, c) if layer.merge else way)
    for i, layer in enumerate(layers):
      p[layer.name] = prior(i)
      if order == 'generic':
        told = [*above(names[:i][::-1]), c]
        told = [net(layer.merge.others.dense, *told)] if layer.merge.others else told
        features = net(layer.merge.net.dense, net(layer.encoder.dense, x), *told)
        q[layer.name] = gaussian(layer.family, features)
      elif order == 'lvae' and i == 0:
        q[layer.name] = evidence[layer.name]
      else:
        q[layer.name] = merged(evidence[layer.name], p[layer.name])
      z[layer.name] = draw(layer.name)
  decoder = model.decoder
  return z, q, p, dense(decoder.likelihood.head.map, net(decoder.net.dense, *above(names[::-1]), c))


CASES = [
  (order, conditioning) for order in ('generic', 'ladder', 'lvae', 'reverse') for conditioning in ('next', 'all')
]


@pytest.mark.parametrize(
  ('order', 'conditioning'), cheap(CASES, ('generic', 'all'), ('lvae', 'next'), ('reverse', 'all'))
)
def test_every_order_by_hand(order, conditioning):
  """q, p and the decoder see the context beside all else that they see; the likelihood scores the target."""
  fields = {'model.inference': order, 'model.conditioning': conditioning}
  if (order, conditioning) == ('generic', 'all'):
    fields |= {'model.z1.above.kind': 'mlp', 'model.z1.above.hidden': (3,)}
  _, model = make(tuple(DIMS), **fields)
  batch = batch_of()
  target = RNG(5).random((B, D))
  trace = model.infer(batch | {'target': tf.constant(target)}, NOISE, S)
  eps = {name: NOISE.normal(f'z/{name}', (S, B, dim), 1, 'float64').numpy() for name, dim in DIMS.items()}
  z, q, p, mean = by_hand(model, batch['x'].numpy(), batch['context'].numpy(), eps)
  for name in DIMS:
    np.testing.assert_allclose(trace.z[name], z[name], rtol=1e-9)
    for found, wanted in ((trace.q, q), (trace.p, p)):
      np.testing.assert_allclose(np.broadcast_to(found[name].mean(), z[name].shape) - wanted[name][0], 0, atol=1e-9)
      np.testing.assert_allclose(np.broadcast_to(found[name].stddev(), z[name].shape) / wanted[name][1], 1, atol=1e-9)
  np.testing.assert_allclose(trace.mean, mean, rtol=1e-9)
  np.testing.assert_allclose(trace.log_px, stats.norm.logpdf(target, mean, 0.7).sum(-1), rtol=1e-9)
  np.testing.assert_array_equal(trace.target, target)
  np.testing.assert_array_equal(trace.x, batch['x'])
  np.testing.assert_allclose(trace.terms()['mse'], np.square(target - mean).mean((0, 2)), rtol=1e-9)


# What a context becomes.


def test_labels_are_one_hot_or_embedded_and_images_go_through_a_net():
  labels = tf.constant([2, 0, 2])
  _, model = make(('z1',), ())
  np.testing.assert_array_equal(model.start(labels).told, np.eye(CLASSES)[[2, 0, 2]])
  assert model.start(labels).told.dtype == 'float64' and not model.context.trainable_variables
  _, model = make(('z1',), (), **{'model.context.embed': 3})
  kernel, bias = (variable.numpy() for variable in model.context.trainable_variables)
  np.testing.assert_allclose(model.start(labels).told, (kernel + bias)[[2, 0, 2]])
  fields = {'model.context.kind': 'mlp', 'model.context.hidden': (6,), 'model.context.dim': 3}
  _, model = make(('z1',), (4, 3, 1), **fields)
  images = RNG(0).random((B, 4, 3, 1))
  told = dense(model.context.head.map, net(model.context.net.dense, images.reshape(B, -1)))
  np.testing.assert_allclose(model.start(tf.constant(images)).told, told)
  assert isinstance(model.context, Context) and told.shape == (B, 3)


def test_what_is_missing_or_too_much_is_told():
  _, model = make(('z1',))
  with pytest.raises(ValueError, match='takes a context'):
    model.generate(2, NOISE)
  with pytest.raises(ValueError, match='takes a context'):
    model.infer({'x': batch_of()['x']}, NOISE)
  _, model = make(('z1',), None)
  with pytest.raises(ValueError, match='takes no context'):
    model.generate(B, NOISE, batch_of()['context'])


BITS = {'model.z2.family': 'bernoulli', 'model.z1.family': 'bernoulli', 'objective.estimator': 'straight_through'}
ONE_HOT = {'model.z2.family': 'categorical', 'model.z2.groups': 2, 'objective.estimator': 'straight_through'}
FAMILIES = {
  'gaussian': {},
  'gaussian, lvae': {'model.inference': 'lvae'},
  'flow': {'model.z2.flow': 'real_nvp', 'model.z2.flow_hidden': (4,), 'model.z1.flow': 'real_nvp'},
  'bits, reverse': BITS | {'model.inference': 'reverse'},
  'bits, ladder': BITS | {'model.inference': 'ladder'},
  'categories': ONE_HOT,
}


@pytest.mark.parametrize('case', cheap(FAMILIES, 'bits, ladder'))
def test_every_sample_is_of_the_context_of_its_example(case):
  """Of each family: an example alone has what it has in a batch, and depends on its own context in q, p and decoder."""
  fields = FAMILIES[case]
  _, model = make(('z2', 'z1'), (), **fields)
  batch = batch_of(())
  trace = model.infer(batch, NOISE, S)
  terms = lambda t: np.stack([t.log_px, *t.log_p.values(), *t.log_q.values(), *t.kl.values()])
  whole = terms(model.score(batch, trace.z))
  np.testing.assert_allclose(whole, terms(trace), rtol=1e-6, atol=1e-8)
  alone = [
    terms(model.score({k: v[i : i + 1] for k, v in batch.items()}, {k: z[:, i : i + 1] for k, z in trace.z.items()}))
    for i in range(B)
  ]
  np.testing.assert_allclose(whole, np.concatenate(alone, -1), rtol=1e-9, atol=1e-12)
  other = tf.constant((batch['context'].numpy() + np.array([1, 0, 0], np.int32)) % CLASSES)
  moved = np.abs(terms(model.score(batch | {'context': other}, trace.z)) - whole) > 1e-6
  assert moved[..., 0].all() and not moved[..., 1:].any()
  drawn = model.generate(B, NOISE, batch['context'], S)
  again = model.generate(B, NOISE, other, S)
  same = [np.array_equal(drawn.mean[:, i], again.mean[:, i]) for i in range(B)]
  assert same == [False, True, True]


# Against models that are told nothing.


def pair(**fields):
  """(a model that is told of c, the same without): an encoder from (x, c), a prior N(0, 1) whatever c is."""
  linear = {'model.z1.encoder.kind': 'linear', 'model.z1.prior.kind': 'linear'}
  spec, told = make(('z1',), (2,), **linear, **fields)
  plain_spec, plain = make(('z1',), None, **fields)
  return (spec, told), (plain_spec, plain)


OBJECTIVES = {
  'elbo': {},
  'iwae': {'objective.name': 'iwae', 'objective.num_samples': 3},
  'doubly reparameterised': {
    'objective.name': 'iwae',
    'objective.num_samples': 3,
    'objective.estimator': 'doubly_reparameterized',
  },
  'symmetric': {
    'objective.name': 'symmetric',
    'model.z1.family': 'bernoulli',
    'decoder.likelihood': 'bernoulli',
    'data.binarize': 'dynamic',
  },
}


@pytest.mark.parametrize('name', cheap(OBJECTIVES, 'iwae', 'symmetric'))
def test_with_one_context_for_all_it_is_the_model_without(name):
  """Losses and gradients of all players: what c adds to an input is then a part of the bias."""
  (spec, told), (plain_spec, plain) = pair(**OBJECTIVES[name])
  c, layer = np.array([0.6, -1.1]), told.latents[0]
  for variable in layer.prior.trainable_variables:
    variable.assign(tf.zeros_like(variable))  # N(0, 1), or fair bits
  into = {
    told.decoder.net.dense[0]: plain.decoder.net.dense[0],
    layer.merge.net.dense[0]: plain.latents[0].encoder.dense[0],
  }
  both = [(layer.family.head.map, plain.latents[0].family.head.map)]
  both += [(told.decoder.likelihood.head.map, plain.decoder.likelihood.head.map)]
  for own, other in into.items():
    kernel, bias = own.get_weights()
    other.set_weights([kernel[:-2], bias + c @ kernel[-2:]])
  for own, other in both:
    other.set_weights(own.get_weights())
  batch = batch_of(binary=name == 'symmetric')
  batch['context'] = tf.constant(np.tile(c, (B, 1)))
  objectives = [build.objective(spec, told), build.objective(plain_spec, plain)]
  players = list(objectives[0].players)
  assert players == list(objectives[1].players)
  step = tf.constant(0, tf.int64)
  for player in players:
    found = []
    for objective, model, own in zip(objectives, (told, plain), (batch, {'x': batch['x']}), strict=True):
      variables = [*model.decoder.trainable_variables, *model.latents[0].trainable_variables]
      with tf.GradientTape() as tape:
        loss = tf.reduce_sum(objective.loss(player, model, own, step, NOISE)[0])
      gradients = tape.gradient(loss, variables)
      of = {v.path: 0 * v.numpy() if g is None else g.numpy() for v, g in zip(variables, gradients, strict=True)}
      found.append((loss.numpy(), of))
    (loss, own), (plain_loss, other) = found
    assert loss == pytest.approx(plain_loss, rel=1e-10)
    for a, b in [*into.items(), *both]:
      for variable, twin in zip(a.trainable_variables, b.trainable_variables, strict=True):
        rows = twin.shape[0]
        np.testing.assert_allclose(own[variable.path][:rows], other[twin.path], rtol=1e-8, atol=1e-10)
        if variable.shape != twin.shape:  # the rows of c: the bias's gradient times c
          bias = other[b.bias.path]
          np.testing.assert_allclose(own[variable.path][rows:], np.outer(c, bias), rtol=1e-8, atol=1e-10)


def test_what_leads_from_the_context_belongs_to_the_generative_player():
  fields = OBJECTIVES['symmetric'] | {'model.context.embed': 3}
  spec, model = make(('z1',), (), **fields)
  players, context = model.players, {v.path for v in model.context.trainable_variables}
  paths = {player: {v.path for v in variables} for player, variables in players.items()}
  assert len(context) == 2 and context < paths['generative'] and not paths['generative'] & paths['inference']
  assert paths['generative'] | paths['inference'] == {v.path for v in model.trainable_variables}
  assert {v.path for v in model.latents[0].prior.trainable_variables} < paths['generative']
  batch, objective = batch_of((), binary=True), build.objective(spec, model)
  for player, variables in objective.players.items():
    assert [v.path for v in variables] == [v.path for v in players[player]]
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(objective.loss(player, model, batch, tf.constant(0, tf.int64), NOISE)[0])
    assert all(np.abs(g).max() > 0 for g in tape.gradient(loss, variables))  # each of its own moves


# A linear-Gaussian model.


@pytest.fixture(params=['vectors', 'labels'])
def linear_gaussian(request):
  """z ~ N(A c + a, s^2), x ~ N(W z + U c + b, sigma^2): (model, source, spec, set_q(wider), exact log p(x | c), wider).

  W has orthogonal columns, so that the posterior has independent units.
  """
  rng, n, h, sigma = RNG(3), 40, 2, 0.5
  w = np.linalg.qr(rng.standard_normal((D, h)))[0] * [1.5, 0.7]
  labels = request.param == 'labels'
  context = rng.integers(0, CLASSES, n) if labels else rng.standard_normal((n, 3))
  c = np.eye(CLASSES)[context] if labels else context
  to_z, u = rng.standard_normal((c.shape[1], h)), rng.standard_normal((c.shape[1], D))
  a, b, s = rng.standard_normal(h), rng.standard_normal(D), np.array([0.8, 1.7])
  mean = c @ u + b + (c @ to_z + a) @ w.T
  covariance = (w * s**2) @ w.T + sigma**2 * np.eye(D)
  x = mean + rng.multivariate_normal(np.zeros(D), covariance, n)
  exact = np.array([stats.multivariate_normal(m, covariance).logpdf(one) for m, one in zip(mean, x, strict=True)])

  kinds = ('model.z1.encoder', 'model.z1.posterior', 'model.z1.prior', 'decoder.net')
  fields = {f'{kind}.kind': 'linear' for kind in kinds} | {'decoder.sigma': sigma, 'model.z1.dim': h}
  fields |= {'data.batch_size': 5}
  spec, model = make(('z1',), () if labels else (3,), **fields)
  part = {'x': x} | ({'label': context} if labels else {'context': context})
  source = build.source(spec, make_data(Stored('toy', {'train': part, 'test': part}), spec.data, 0))
  zeros, layer = np.zeros((c.shape[1], h)), model.latents[0]
  layer.prior.family.head.map.set_weights([np.concatenate([to_z, zeros], 1), np.concatenate([a, np.log(s)])])
  model.decoder.likelihood.head.map.set_weights([np.concatenate([w.T, u]), b])
  precision = s**-2 + (w**2).sum(0) / sigma**2
  gain = w / sigma**2 / precision
  of_c, rest = to_z / s**2 / precision - u @ gain, a / s**2 / precision - b @ gain
  kernel = np.concatenate([np.concatenate([gain, of_c]), np.zeros((D + c.shape[1], h))], 1)

  def set_q(wider):
    layer.family.head.map.set_weights([kernel, np.concatenate([rest, np.log(wider / np.sqrt(precision))])])

  return spec, model, source, set_q, exact


def test_the_bounds_of_a_linear_gaussian_model(linear_gaussian):
  """Where q is the posterior the ELBO is log p(x | c), and so is each sample's weight; else the KL divergence less."""
  _, model, source, set_q, exact = linear_gaussian
  batch = {name: source.first('test', 40)[name] for name in ('x', 'context')}
  set_q(1.0)
  np.testing.assert_allclose(model.infer(batch, NOISE, 0).terms()['elbo'], exact, rtol=1e-5)
  np.testing.assert_allclose(model.infer(batch, NOISE, 3).log_weights(), np.tile(exact, (3, 1)), rtol=1e-5)
  wider = 1.4
  set_q(wider)
  gap = 2 * 0.5 * (wider**2 - 1 - 2 * np.log(wider))  # of two units
  np.testing.assert_allclose(model.infer(batch, NOISE, 0).terms()['elbo'], exact - gap, rtol=1e-5)
  shuffled = batch | {'context': tf.roll(batch['context'], 1, 0)}
  assert np.mean(model.infer(shuffled, NOISE, 0).terms()['elbo'] - exact) < -1


def test_log_evidence_given_the_context(linear_gaussian):
  spec, model, source, set_q, exact = linear_gaussian
  set_q(1.4)
  spec = spec_lib.resolve(spec, {'eval.log_evidence.samples': 500})
  found = LogEvidence(spec).evaluate(model, Split(source, 'test', spec))
  arrays, numbers = found.arrays, found.numbers
  assert np.all(np.abs(arrays['log_evidence'] - exact) < 6 * arrays['sampling_error'] + 3 / 500)
  assert abs(numbers['log_evidence'] - exact.mean()) < 5 * numbers['log_evidence_sampling_error'] + 1 / 500


def test_the_enumerated_posterior_is_given_the_context():
  fields = {'model.z1.family': 'bernoulli', 'decoder.likelihood': 'bernoulli', 'data.binarize': 'dynamic'}
  fields |= {'eval.evaluators': ('posterior',), 'eval.posterior.examples': 6, 'objective.estimator': 'zgr'}
  spec, model = make(('z1',), (), **fields)
  batch = batch_of((), 6, binary=True)
  part = {'x': batch['x'].numpy(), 'label': batch['context'].numpy()}
  source = build.source(spec, make_data(Stored('toy', {'train': part, 'test': part}), spec.data, 0))
  found = Posterior(spec).evaluate(model, Split(source, 'test', spec)).numbers
  states = np.array(list(itertools.product([0.0, 1.0], repeat=DIMS['z1'])))
  trace = model.score(batch, {'z1': tf.constant(np.repeat(states[:, None], 6, 1))})
  joint, log_q = (trace.log_px + trace.log_p['z1']).numpy(), trace.log_q['z1'].numpy()
  evidence = np.logaddexp.reduce(joint, 0)
  assert found['exact_log_likelihood'] == pytest.approx(evidence.mean(), rel=1e-6)
  kl = (np.exp(log_q) * (log_q - joint + evidence)).sum(0).mean()
  assert found['posterior_kl'] == pytest.approx(kl, rel=1e-5) and kl > 0.01
