"""Convolutional DRAW: against a model of one layer, and a slow loop in NumPy. In float64."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.evaluator import Split
from tfvae.analysis.log_evidence import LogEvidence
from tfvae.data.dataset import Stored
from tfvae.data.dataset import make as make_data
from tfvae.models.decoder import Decoder
from tfvae.models.hierarchy import Hierarchy
from tfvae.models.latent import LatentLayer
from tfvae.models.orders import TopDown
from tfvae.models.trace import by_section
from tfvae.observation import Observation

SIDE, GRID, DIM, K, CANVAS, B, S, CLASSES, SIGMA = 8, 2, 2, 3, 2, 3, 2, 4, 0.7
NOISE = noise_lib.stateless(0, 0)
FIRST, IMAGE = tf.constant(0, tf.int64), Observation((SIDE, SIDE, 1))
RNG = np.random.default_rng


def make(steps=3, context=None, observation=IMAGE, **fields):
  """(spec, model) in float64, the weights far from where they begin; context: its shape, () of a label."""
  spec = spec_lib.base(('z',))
  spec.model.name = 'convdraw'
  spec.data.context = {None: 'none', (): 'label'}.get(context, 'own')
  own = {'steps': steps, 'grid': GRID, 'dim': DIM, 'lstm': K, 'canvas': CANVAS, 'encoder.hidden': (2, 3)}
  own = {f'model.z.{name}': value for name, value in own.items()} | {'model.z.posterior.hidden': (4,)}
  own |= {'decoder.net.kind': 'conv', 'decoder.net.hidden': (4, 3), 'model.context.classes': CLASSES}
  own |= {'train.precision': 'float64', 'decoder.variance': 'fixed', 'decoder.sigma': SIGMA}
  own |= {'eval.evaluators': ('bounds',), 'sample.what': ('prior',), 'data.scaling': 'none'}
  spec = spec_lib.resolve(spec, own | fields)
  model = build.model(spec, observation._replace(context=context))
  rng = RNG(0)
  for variable in model.trainable_variables:
    variable.assign(0.4 * rng.standard_normal(variable.shape))
  return spec, model


def batch_of(context=None, n=B, shape=(SIDE, SIDE, 1), seed=1):
  rng = RNG(seed)
  batch = {'x': tf.constant(rng.random((n, *shape)))}
  return batch if context is None else batch | {'context': tf.constant(rng.integers(0, CLASSES, n).astype(np.int32))}


def close(found, wanted, **how):
  np.testing.assert_allclose(found, wanted, **({'rtol': 1e-9, 'atol': 1e-11} | how))


# A slow loop.


def conv(layer, x):
  """[N, H, W, C] -> as the layer does, a pixel of the output at a time; no activation but ReLU is known."""
  kernel, stride = layer.kernel.numpy(), layer.strides[0]
  size, side = len(kernel), x.shape[1]
  if isinstance(layer, keras.layers.Conv2DTranspose):
    before = (size - stride) // 2
    out = np.zeros((len(x), stride * side + 2 * size, stride * side + 2 * size, kernel.shape[2]))
    for i, j, a, b in itertools.product(range(side), range(side), range(size), range(size)):
      out[:, size + stride * i + a - before, size + stride * j + b - before] += x[:, i, j] @ kernel[a, b].T
    out = out[:, size : size + stride * side, size : size + stride * side]
  else:
    sides = -(-side // stride) if layer.padding == 'same' else (side - size) // stride + 1
    missing = max((sides - 1) * stride + size - side, 0)
    x = np.pad(x, [(0, 0), *[(missing // 2, missing - missing // 2)] * 2, (0, 0)])
    out = np.zeros((len(x), sides, sides, kernel.shape[3]))
    for i, j, a, b in itertools.product(range(sides), range(sides), range(size), range(size)):
      out[:, i, j] += x[:, stride * i + a, stride * j + b] @ kernel[a, b]
  out = out + layer.bias.numpy()
  return np.maximum(out, 0) if layer.activation is keras.activations.relu else out


def net(layers, x):
  for layer in layers:
    x = conv(layer, x)
  return x


def lstm(layer, inputs, hidden, cell):
  sigmoid = lambda value: 1 / (1 + np.exp(-value))
  i, f, o, g = np.split(conv(layer.gates, np.concatenate([*inputs, hidden], -1)), 4, -1)
  cell = sigmoid(f + 1) * cell + sigmoid(i) * np.tanh(g)
  return sigmoid(o) * np.tanh(cell), cell


def gaussian(family, features):
  loc, log_scale = np.split(conv(family.head.map, features), 2, -1)
  return loc, np.exp(log_scale)


def kl_of(q, p):
  return np.log(p[1] / q[1]) + (q[1] ** 2 + (q[0] - p[0]) ** 2) / (2 * p[1] ** 2) - 0.5


def by_hand(model, x, label, eps):
  """One example and one sample: x [H, W, C], eps T times [G, G, D]. (z, q, p, kl of each step, E[x | z] of each)."""
  own, other, canvas = model.generator, model.recognition, model.decoder
  start = own.learned.numpy() if label is None else None
  if start is None:
    kernel, bias = own.first.map.get_weights()
    start = (np.eye(CLASSES)[label] @ kernel + bias).reshape(1, GRID, GRID, 2 * K)
  d, d_cell = np.split(start, 2, -1)
  e = e_cell = np.zeros((1, GRID, GRID, K))
  r = np.zeros((1, SIDE, SIDE, CANVAS))
  mean = lambda: conv(canvas.likelihood.head.map, r)
  found = []
  for noise in eps:
    p = gaussian(own.prior.family, net(own.prior.net.convolutions, d))
    read = net(other.encoder.convolutions, np.concatenate([x[None], x - mean()], -1))
    e, e_cell = lstm(other.lstm, [read, d], e, e_cell)
    q = gaussian(other.family, net(other.net.convolutions, e))
    z = q[0] + q[1] * noise
    d, d_cell = lstm(own.lstm, [z, conv(own.look, r)], d, d_cell)
    r = r + conv(canvas.write.map, net(canvas.net.convolutions, d))
    found.append((z, q, p, kl_of(q, p).sum(), mean()))
  return found


@pytest.mark.parametrize('context', [None, ()])
def test_against_a_slow_loop(context):
  """Of three steps: latents, densities, rates, canvases; the noise is given. Down, up, strided and transposed."""
  _, model = make(3, context)
  kinds = [layer.strides[0] for layer in (*model.recognition.encoder.convolutions, model.decoder.net.convolutions[-1])]
  assert kinds == [2, 2, 2] and model.decoder.write.map.strides[0] == 2 and model.generator.look.strides[0] == 4
  batch = batch_of(context)
  trace = model.infer(batch, NOISE, S)
  names = ['z/1', 'z/2', 'z/3']
  assert list(trace.z) == names == model.layer_names
  eps = np.stack([NOISE.normal(f'z/{name}', (S, B, GRID, GRID, DIM), 1, 'float64') for name in names])
  drawings = model.drawings(trace.z, batch.get('context'))
  for s, b in itertools.product(range(S), range(B)):
    x = batch['x'].numpy()[b]
    found = by_hand(model, x, None if context is None else batch['context'].numpy()[b], eps[:, s, b])
    for t, (name, (z, q, p, kl, mean)) in enumerate(zip(names, found, strict=True)):
      close(trace.z[name][s, b], z[0])
      close(trace.log_q[name][s, b], stats.norm.logpdf(z, *q).sum())
      close(trace.log_p[name][s, b], stats.norm.logpdf(z, *p).sum())
      close(trace.kl[name][s, b], kl)
      close(drawings[t][s, b], mean[0])
    close(trace.mean[s, b], mean[0])
    close(trace.log_px[s, b], stats.norm.logpdf(x, mean[0], SIGMA).sum())
  assert np.ptp(trace.log_px, 0).min() > 1e-3  # the samples differ


# One step.


class Encode(keras.layers.Layer):
  """What e_1 is of x, where nothing has been drawn: of an empty canvas and what the decoder begins with."""

  def __init__(self, model, begin):
    super().__init__(dtype='float64')
    self.model, self.begin = model, begin

  def call(self, x):
    n = len(x)
    d, _ = (tf.repeat(part, n, 0) for part in self.begin)
    empty = self.model.decoder.likelihood(tf.zeros([n, SIDE, SIDE, CANVAS], tf.float64), batch_shape=(n,)).mean()
    read = self.model.recognition.encoder(tf.concat([x, x - empty], -1))
    e, _ = self.model.recognition.lstm([read, d, tf.zeros_like(d)], tf.zeros_like(d))
    return self.model.recognition.net(e)


class Prior(keras.layers.Layer):
  """p(z_1) of what the decoder begins with."""

  closed_form, variance_variables = False, ()

  def __init__(self, model, begin):
    super().__init__(dtype='float64')
    self.of, self.begin = model.generator.prior, begin

  def call(self, above, batch_shape):
    del above
    return self.of([self.begin[0]], batch_shape=batch_shape)

  def diagnostics(self):
    return {}


class Draw(keras.layers.Layer):
  """From z_1 to the canvas."""

  def __init__(self, model, begin):
    super().__init__(dtype='float64')
    self.model, self.begin = model, begin

  def call(self, z):
    d, cell = (tf.repeat(part, len(z), 0) for part in self.begin)
    generator, canvas = self.model.generator, self.model.decoder
    seen = generator.look(tf.zeros([len(z), SIDE, SIDE, CANVAS], tf.float64))
    d, _ = generator.lstm([z, seen, d], cell)
    return canvas.write(canvas.net(d))


def test_one_step_is_a_model_of_one_layer():
  """That one made of the same nets, by its own class: q, p, p(x | z), bounds and entropies."""
  _, model = make(1)
  begin = tf.split(tf.convert_to_tensor(model.generator.learned), 2, -1)
  layer = LatentLayer(
    (GRID, GRID, DIM), Encode(model, begin), model.recognition.family, Prior(model, begin), None, 'z1'
  )
  join = lambda inputs: inputs[0]
  decoder = Decoder(join, Draw(model, begin), model.decoder.likelihood)
  other = Hierarchy([layer], decoder, IMAGE, TopDown())
  batch = batch_of()
  trace = model.infer(batch, NOISE, S)
  wanted = other.score(batch, {'z1': trace.z['z/1']})
  for of in ('q', 'p'):
    (found,), (own,) = getattr(trace, of).values(), getattr(wanted, of).values()
    assert found.batch_shape == own.batch_shape == ([1, B] if of == 'q' else [])
    close(found.mean(), own.mean())
    close(found.stddev(), own.stddev())
  eps = NOISE.normal('z/z/1', (S, B, GRID, GRID, DIM), 1, 'float64')
  close(trace.z['z/1'], trace.q['z/1'].mean() + trace.q['z/1'].stddev() * eps)
  for of in ('log_p', 'log_q', 'kl'):
    close(getattr(trace, of)['z/1'], getattr(wanted, of)['z1'])
  close(trace.px.mean(), wanted.px.mean())
  close(trace.log_px, wanted.log_px)
  close(trace.importance_bound(), wanted.importance_bound())
  for name, value in other.entropies(wanted).items():
    close(model.entropies(trace)[name], value)
  assert model.title == 'z (1 step)'


# Rates.


def test_the_rates_of_the_steps_sum_to_the_rate():
  """Of each example; rate/z and rate are that sum, and no step's is 0."""
  _, model = make(3)
  terms = model.infer(batch_of(), NOISE, S).terms()
  parts = np.stack([terms[f'rate/z/{t}'] for t in (1, 2, 3)])
  assert parts.shape == (3, B) and parts.min() > 1e-3
  close(terms['rate'], parts.sum(0))
  close(terms['rate/z'], parts.sum(0))
  close(terms['elbo'], terms['log_likelihood'] - parts.sum(0))


def test_where_posteriors_are_priors_the_rate_is_0():
  """And a sample weighs what its likelihood is."""
  _, model = make(3)
  bias = RNG(3).standard_normal(2 * DIM)
  for family in (model.recognition.family, model.generator.prior.family):
    family.head.map.set_weights([np.zeros(family.head.map.kernel.shape), bias])
  trace = model.infer(batch_of(), NOISE, S)
  terms = trace.terms()
  for name in ('rate', 'rate/z', 'rate/z/1', 'rate/z/2', 'rate/z/3'):
    close(terms[name], np.zeros(B))
  close(trace.z['z/2'][:, :, 0, 0].numpy().std() > 0.1, True)
  close(trace.log_weights(), trace.log_px)
  close(trace.importance_bound(), logsumexp(trace.log_px, 0) - np.log(S))


def test_with_one_sample_the_bounds_are_one():
  """log_evidence, IWAE and the ELBO with its rates at the sample; the objectives and their gradients, too."""
  spec, model = make(2, **{'objective.kl': 'sampled', 'eval.log_evidence.samples': 2, 'data.batch_size': 2})
  batch = batch_of()
  trace = model.infer(batch, NOISE, 1)
  elbo = trace.log_likelihood() - tf.add_n(list(trace.sampled_kl().values()))[0]
  close(trace.importance_bound(), elbo)
  gradients = []
  for fields in ({}, {'objective.name': 'iwae', 'objective.kl': 'exact'}):
    objective = build.objective(spec_lib.resolve(spec, fields), model)
    with tf.GradientTape() as tape:
      loss = objective.loss('all', model, batch, FIRST, NOISE)[0]
    close(loss, -elbo)
    gradients.append(tape.gradient(loss, model.trainable_variables))
  for one, other in zip(*gradients, strict=True):
    close(one, other)
  part = {'x': batch['x'].numpy()}
  split = Split(build.source(spec, make_data(Stored('toy', {'train': part, 'test': part}), spec.data, 0)), 'test', spec)
  (number, stored), *_ = split.batches(B)
  wanted = model.infer(split.batch(stored), split.noise(number, 'log_evidence'), 2).importance_bound()
  close(LogEvidence(spec).evaluate(model, split).arrays['log_evidence'], wanted[:B])


# Sampling.


@pytest.mark.parametrize('context', [None, ()])
def test_what_is_generated_is_what_is_drawn(context):
  _, model = make(3, context)
  told = batch_of(context).get('context')
  trace = model.generate(B, NOISE, told)
  draw = lambda layer, p: layer.family.sample(p, NOISE, f'p/{layer.name}', (1, B))
  z, p = model.descend(draw, told)
  for name in model.layer_names:
    np.testing.assert_array_equal(trace.z[name], z[name])
    close(trace.log_p[name], p[name].log_prob(z[name]))
  px = model.decode(z, told)
  close(trace.mean, px.mean())
  np.testing.assert_array_equal(trace.x, model.decoder.likelihood.sample(px, NOISE, 'p/x', (1, B))[0])
  drawings = model.drawings(z, told)
  assert len(drawings) == 3 and drawings[0].shape == (1, B, SIDE, SIDE, 1)
  close(drawings[-1], px.mean())
  close(drawings[-1], model.mean(z, told))
  assert np.abs(drawings[1] - drawings[0]).max() > 1e-3 and np.abs(drawings[2] - drawings[1]).max() > 1e-3


def test_batches_of_any_size():
  """In a graph where B is not known: infer, generate and decode are those of each batch."""
  _, model = make(2, ())

  @tf.function(
    autograph=False,
    input_signature=[tf.TensorSpec([None, SIDE, SIDE, 1], tf.float64), tf.TensorSpec([None], tf.int32)],
  )
  def call(x, context):
    trace = model.infer({'x': x, 'context': context}, NOISE, S)
    drawn = model.generate(tf.shape(x)[0], NOISE, context)
    return [trace.log_weights(), trace.mean, drawn.mean, *model.drawings(trace.z, context)]

  batch = batch_of(())
  trace, drawn = model.infer(batch, NOISE, S), model.generate(B, NOISE, batch['context'])
  wanted = [trace.log_weights(), trace.mean, drawn.mean, *model.drawings(trace.z, batch['context'])]
  for found, value in zip(call(batch['x'], batch['context']), wanted, strict=True):
    close(found, value, rtol=1e-8)
  one = call(batch['x'][:1], batch['context'][:1])
  assert [value.shape[1] for value in one] == [1] * 5


# Families, likelihoods, units, precisions.

VECTOR = {'model.z.grid': 0, 'model.z.join_grid': GRID, 'model.z.dim': 3}
ONE_HOT = VECTOR | {'model.z.family': 'categorical', 'model.z.groups': 2}
BITS = {'model.z.family': 'bernoulli'}
CASES = {
  'bits': BITS | {'objective.estimator': 'zgr'},
  'bits, a vector, by the score function': BITS | VECTOR | {'objective.estimator': 'score_function'},
  'categories': ONE_HOT | {'objective.estimator': 'straight_through_gumbel'},
  'softened categories': ONE_HOT | {'objective.estimator': 'gumbel_softmax'},
  'flow': VECTOR | {'model.z.flow': 'real_nvp', 'model.z.flow_hidden': (4,), 'model.z.flow_steps': 2},
  'a shared scale': {'model.z.scale_head': 'shared'},
  'a vector of dense nets': VECTOR
  | {f'model.z.{part}.kind': 'mlp' for part in ('encoder', 'posterior', 'prior')}
  | {'model.z.prior.hidden': (3,), 'decoder.net.kind': 'mlp'},
  'sigma of the canvas': {'decoder.variance': 'latent', 'decoder.sigma_floor': 0.0},
}
CHEAP = ('bits', 'softened categories', 'flow')


@pytest.mark.parametrize('case', [c if c in CHEAP else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_families_and_nets(case):
  """All weights get a gradient; a trace is the same when its samples are scored; examples are apart."""
  spec, model = make(2, **CASES[case], **{'objective.num_samples': 2})
  batch, objective = batch_of(), build.objective(spec, model)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(objective.loss('all', model, batch, FIRST, NOISE)[0])
  gradients = tape.gradient(loss, model.trainable_variables)
  silent = [
    v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None or not np.abs(g).max() > 0
  ]
  assert np.isfinite(loss) and not silent, silent
  trace = model.infer(batch, NOISE, S)
  of = lambda t: np.stack([t.log_px, *t.log_p.values(), *t.log_q.values(), *t.kl.values()])
  whole = of(model.score(batch, trace.z))
  close(whole, of(trace), rtol=1e-6, atol=1e-8)
  one = of(model.score({'x': batch['x'][1:2]}, {name: z[:, 1:2] for name, z in trace.z.items()}))
  close(one, whole[..., 1:2], rtol=1e-8)
  generated = model.generate(2, NOISE)
  assert all(value.shape[:2] == (1, 2) for value in generated.z.values()) and np.isfinite(generated.mean).all()


def test_in_units_of_the_data():
  """Standardised nets see (x - center) / width, the canvas, too; densities are those of x."""
  (_, plain), (_, model) = make(2), make(2, **{'model.standardize': True})
  rng = RNG(4)
  center, width = rng.standard_normal((SIDE, SIDE, 1)), 0.5 + rng.random((SIDE, SIDE, 1))
  model.standardized.fit(center, width**2)
  x = batch_of()['x']
  trace, wanted = model.infer({'x': center + width * x}, NOISE, S), plain.infer({'x': x}, NOISE, S)
  for name, z in trace.z.items():
    close(z, wanted.z[name])
  close(trace.mean, center + width * wanted.mean)
  error = stats.norm.logpdf(width * (x - wanted.mean), 0, SIGMA * np.sqrt(np.mean(width**2)))
  close(trace.log_px, error.sum((2, 3, 4)))


def test_other_precisions():
  """Nets in bfloat16 and densities in float32 come to about what float32 does."""
  fields = {'objective.num_samples': 1}
  found = {}
  for precision in ('float32', 'mixed_bfloat16'):
    spec, model = make(2, **fields, **{'train.precision': precision})
    batch = {'x': tf.cast(batch_of()['x'], 'float32')}
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(build.objective(spec, model).loss('all', model, batch, FIRST, NOISE)[0])
    assert all(np.isfinite(g).all() for g in tape.gradient(loss, model.trainable_variables))
    trace = model.infer(batch, NOISE, S)
    assert {v.dtype for v in (trace.mean, trace.log_px, trace.z['z/2'], trace.kl['z/1'])} == {tf.float32}
    found[precision] = trace.terms()['elbo']
  close(found['mixed_bfloat16'], found['float32'], rtol=0.05)
  assert model.recognition.begin(batch['x']).hidden.dtype == tf.bfloat16


def colours(likelihood, variance='fixed'):
  """(spec, source, model) of 12 images of 4 x 4 in colour, of 256 levels."""
  observation = Observation((4, 4, 3), 0.0, 1.0, 256)
  fields = {'decoder.likelihood': likelihood, 'decoder.variance': variance, 'decoder.components': 2}
  fields |= {'eval.evaluators': ('bounds', 'bits_per_dim', 'nll_per_dimension'), 'eval.num_samples': 2}
  fields |= {'model.z.encoder.hidden': (2,), 'decoder.net.hidden': (3,), 'data.scaling': 'min_max'}
  spec, model = make(2, observation=observation, **fields, **{'data.batch_size': 4})
  x = RNG(2).integers(0, 256, (12, 4, 4, 3)).astype(np.uint8)
  data = make_data(Stored('colours', {'train': {'x': x}, 'test': {'x': x[:6]}}, (0.0, 255.0)), spec.data, 0)
  return spec, build.source(spec, data), model


@pytest.mark.parametrize('likelihood', ['logistic_mixture', pytest.param('gaussian', marks=pytest.mark.slow)])
def test_bits_of_colours(likelihood):
  """Of the mixture of logistics and of the Gaussian's mass of each level, by the ELBO's parts and SciPy."""
  spec, source, model = colours(likelihood)
  split = Split(source, 'test', spec)
  numbers = {}
  for evaluator in build.evaluators(spec, source.dataset.observation)[1:]:
    numbers |= evaluator.evaluate(model, split).numbers
  (number, stored), *_ = split.batches()
  batch = split.batch(stored)
  keep = stored['mask'].numpy() > 0
  trace = model.infer(batch, split.noise(number), 2)
  x, mean = batch['x'].numpy(), trace.mean.numpy()
  rates = np.mean(trace.terms()['rate'].numpy()[keep])
  if likelihood == 'gaussian':
    low, high = np.where(x == 0, -np.inf, x - 0.5 / 255), np.where(x == 1, np.inf, x + 0.5 / 255)
    mass = np.log(stats.norm.cdf(high, mean, SIGMA) - stats.norm.cdf(low, mean, SIGMA)).sum((2, 3, 4))
  else:
    mass = trace.log_px.numpy()
  name = 'bits_per_dim' if likelihood == 'logistic_mixture' else 'bits_per_dim/discretized'
  wanted = -(mass.mean(0)[keep].mean() - rates) / (48 * np.log(2))
  assert numbers[name] == pytest.approx(wanted, rel=1e-5) and np.isfinite(numbers['nll_per_dimension'])
  assert keep.sum() == 6 and 1 < numbers[name] < 30


# What is said of the section is said of the sum.


def test_beta_and_constraint_of_the_section_are_of_the_sum():
  spec, model = make(3, **{'objective.beta.z': 2.5, 'objective.num_samples': S})
  batch, variables = batch_of(), model.trainable_variables

  def found(fields):
    objective = build.objective(spec_lib.resolve(spec, fields), model)
    with tf.GradientTape() as tape:
      loss, metrics = objective.loss('all', model, batch, FIRST, NOISE)
    return objective, loss, metrics, tape.gradient(loss, variables)

  with tf.GradientTape() as tape:
    trace = model.infer(batch, NOISE, S)
    kl = tf.add_n(list(trace.kl.values()))
    wanted = tf.reduce_mean(2.5 * kl - trace.log_px, 0)
  _, loss, metrics, gradients = found({})
  close(loss, wanted)
  for own, other in zip(gradients, tape.gradient(wanted, variables), strict=True):
    close(own, other)
  close(by_section(trace.kl)['z'], kl)
  assert metrics['beta/z'] == 2.5 and not {'beta/z/1', 'beta/z/2'} & set(metrics)
  fields = {'objective.beta.z': 1.0, 'constraint.names': ('rate',), 'constraint.rate.z': 3.0}
  objective, loss, metrics, gradients = found(fields)
  (term,) = (term for term in objective.terms if hasattr(term, 'measures'))
  assert [measure.name for measure in term.measures] == ['rate/z']
  beta = metrics['beta/z']
  with tf.GradientTape() as tape:
    trace = model.infer(batch, NOISE, S)
    wanted = tf.reduce_mean(beta * tf.add_n(list(trace.kl.values())) - trace.log_px, 0)
  for own, other in zip(gradients, tape.gradient(wanted, variables), strict=True):
    close(own, other, rtol=1e-6, atol=1e-8)
