"""The ladder of Gaussians (Sonderby et al. 2016), as the code of Xiao & Bamler (2023) has it."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.observation import Observation

DIMS = {'z3': 2, 'z2': 3, 'z1': 4}
NOISE = noise_lib.stateless(0, 0)


def make(inference='lvae', **fields):
  """A float64 model of three layers and small dense nets, its weights far from their initial values."""
  spec = spec_lib.base(tuple(DIMS))
  for name, dim in DIMS.items():
    spec.model[name].dim = dim
    for net in {'encoder', 'posterior', 'prior'} & set(spec.model[name]):
      spec.model[name][net].hidden = (6,)
  spec.decoder.net.hidden = (6,)
  fields = {
    'model.inference': inference,
    'train.precision': 'float64',
    'prior.name': 'learned',
    'decoder.variance': 'fixed',
  } | fields
  model, rng = build.model(spec_lib.resolve(spec, fields), Observation((5,))), np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.4 * rng.standard_normal(variable.shape))
  return model


def weights(layer):
  return layer.kernel.numpy(), layer.bias.numpy()


def dense(layer, x):
  """One example, one sum at a time."""
  kernel, bias = weights(layer)
  return [bias[j] + sum(x[i] * kernel[i, j] for i in range(len(x))) for j in range(len(bias))]


def net(layers, x):
  for layer in layers:
    x = [max(value, 0.0) for value in dense(layer, x)]
  return x


def gaussian(family, features):
  """(mean, variance) of each unit."""
  outputs = dense(family.head.map, features)
  half = len(outputs) // 2
  return [(outputs[h], math.exp(outputs[half + h]) ** 2) for h in range(half)]


def merge(q, p):
  """By precisions: s^2 = (s_q^-2 + s_p^-2)^-1, m = (m_q s_q^-2 + m_p s_p^-2) s^2 (Sonderby et al. 2016)."""
  merged = []
  for (m_q, v_q), (m_p, v_p) in zip(q, p, strict=True):
    variance = v_q * v_p / (v_q + v_p)
    merged.append((m_q * v_p / (v_q + v_p) + m_p * v_q / (v_q + v_p), variance))
  return merged


def by_hand(model, x, eps):
  """({layer: z}, {layer: q}, {layer: p}, {layer: KL}) of one example and sample; q and p are lists of units."""
  features, evidence = list(x), {}
  for layer in model.latents[::-1]:  # up
    features = net(layer.encoder.dense, features)
    own = net(layer.merge.net.dense, features) if layer.merge else features
    evidence[layer.name] = gaussian(layer.family, own)
  z, q, p, kl, above = {}, {}, {}, {}, None
  for layer in model.latents:  # down
    name = layer.name
    if not z:
      q[name] = evidence[name]
      p[name] = [(0.0, math.exp(2 * a)) for a in layer.prior.log_alpha.numpy()]
    else:
      p[name] = gaussian(layer.prior.family, net(layer.prior.net.dense, above))
      q[name] = merge(evidence[name], p[name])
    above = z[name] = [m + math.sqrt(v) * e for (m, v), e in zip(q[name], eps[name], strict=True)]
    kl[name] = sum(
      0.5 * (math.log(v_p / v_q) + (v_q + (m_q - m_p) ** 2) / v_p - 1)
      for (m_q, v_q), (m_p, v_p) in zip(q[name], p[name], strict=True)
    )
  return z, q, p, kl


def test_a_trace_equals_slow_loops_by_hand():
  model, x = make(), np.random.default_rng(1).random((3, 5))
  trace = model.infer({'x': tf.constant(x)}, NOISE, 2)
  eps = {name: NOISE.normal(f'z/{name}', (2, 3, dim), 1, 'float64').numpy() for name, dim in DIMS.items()}
  same = lambda found, want: np.testing.assert_allclose(found, want, rtol=1e-9)
  for s in range(2):
    for b in range(3):
      z, q, p, kl = by_hand(model, x[b], {name: value[s, b] for name, value in eps.items()})
      log_ratio = 0.0
      for layer in model.latents:
        name, top = layer.name, layer is model.latents[0]
        same(trace.z[name][s, b], z[name])
        same(trace.kl[name][s, b], kl[name])
        found_q = layer.family.parameters(trace.q[name])
        same(found_q['loc'][0 if top else s, b], [m for m, _ in q[name]])
        same(found_q['scale'][0 if top else s, b], [math.sqrt(v) for _, v in q[name]])
        for values, density in ((q, 1), (p, -1)):
          logs = (
            -0.5 * (math.log(2 * math.pi * v) + (value - m) ** 2 / v)
            for value, (m, v) in zip(z[name], values[name], strict=True)
          )
          log_ratio += density * sum(logs)
      same(sum((trace.log_q[n] - trace.log_p[n])[s, b] for n in DIMS), log_ratio)
      loc = dense(model.decoder.likelihood.head.map, net(model.decoder.net.dense, z['z1']))
      same(
        trace.log_px[s, b], sum(-0.5 * (math.log(2 * math.pi) + (v - m) ** 2) for v, m in zip(x[b], loc, strict=True))
      )
  assert list(trace.q) == list(DIMS)
  again = model.score({'x': tf.constant(x)}, trace.z)
  same(again.log_weights(), trace.log_weights())


@pytest.mark.parametrize(('inference', 'merged'), [('lvae', False), ('ladder', True)])
def test_the_top_is_merged_with_the_prior_in_a_ladder_only(inference, merged):
  model, x = make(inference), tf.constant(np.random.default_rng(1).random((3, 5)))
  top = model.latents[0]
  before, _ = model.encode({'x': x})
  top.prior.log_alpha.assign(tf.ones_like(top.prior.log_alpha))
  after, _ = model.encode({'x': x})
  assert np.allclose(before['z3'], after['z3']) == (not merged)


def test_what_says_nothing_leaves_the_prior():
  """Evidence of a huge variance: q(z_l | z_>l, x) = p(z_l | z_>l) below the top, and no rate."""
  model = make()
  for layer in model.latents[1:]:
    head, dim = layer.family.head.map, DIMS[layer.name]
    head.kernel.assign(tf.zeros_like(head.kernel))
    head.bias.assign([0.0] * dim + [12.0] * dim)
  trace = model.infer({'x': tf.constant(np.random.default_rng(1).random((3, 5)))}, NOISE, 2)
  assert np.max(trace.kl['z2']) < 1e-9 and np.max(trace.kl['z1']) < 1e-9 < np.min(trace.kl['z3'])


@pytest.mark.parametrize('layer', DIMS)
def test_a_flow_moves_what_was_merged(layer):
  """By the features beside the way up, which the evidence is made of; z2 and z1 are moved after they are merged."""
  model = make(**{f'model.{layer}.flow': 'real_nvp'})
  trace = model.infer({'x': tf.constant(np.random.default_rng(1).random((3, 5)))}, NOISE, 2)
  flows = [variable.path for variable in model.trainable_variables if 'flow' in variable.path]
  assert flows and all(path.startswith(f'hierarchy/{layer}_q/flow') for path in flows)
  np.testing.assert_allclose(model.score({'x': trace.x}, trace.z).log_weights(), trace.log_weights(), rtol=1e-9)
  assert {name: q.batch_shape for name, q in trace.q.items()} == {'z3': (1, 3), 'z2': (2, 3), 'z1': (2, 3)}


def counts(kernel, *channels):
  return sum(kernel**2 * a * b + b for a, b in itertools.pairwise(channels))


@pytest.mark.parametrize(('data', 'shape', 'branch'), [('cifar10', (32, 32, 3), 8), ('binary_mnist', (28, 28, 1), 7)])
def test_the_published_ladder(data, shape, branch):
  """As many weights as LVAE_Fixed_z of the authors' code has; the way up is shared as far as `branch` x `branch`."""
  model = build.model(spec_lib.load(f'{ROOT}/specs/hit.py:{data},lvae'), Observation(shape))
  colours, c, width = shape[-1], 32, 16 * 32
  up = counts(4, colours, c, c)
  z2 = counts(4, c, c) + 2 * counts(1, width, c)
  z1 = counts(4, c, c) + 2 * counts(3, c, c)
  prior = counts(1, c, width // 2) + 2 * counts(1, width // 2, width)
  decoder = counts(4, c, c, c, colours)
  assert build.num_parameters(model.trainable_variables) == up + z2 + z1 + prior + decoder
  assert model.latents[1].encoder(tf.zeros([2, *shape])).shape == (2, branch, branch, c)
  x = np.random.default_rng(0).integers(0, 2, (2, *shape)).astype('float32')
  with tf.GradientTape() as tape:
    elbo = model.infer({'x': tf.constant(x)}, NOISE, 1).terms()['elbo']
  for variable, gradient in zip(model.trainable_variables, tape.gradient(elbo, model.trainable_variables), strict=True):
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), variable.path


def test_the_betas_rise_over_the_first_fifth():
  fields = {'model.z2.encoder.hidden': '4', 'train.steps': 100, 'objective.beta.z1': 0.5}

  def betas(words):
    spec = spec_lib.load(f'{ROOT}/specs/hit.py:{words}', fields)
    model = build.model(spec, Observation((8, 8, 1)))
    objective, batch = build.objective(spec, model), {'x': tf.zeros([1, 8, 8, 1])}
    found = [objective.loss('model', model, batch, tf.constant(step), NOISE)[1] for step in (0, 10, 20, 60)]
    return [(float(metrics['beta/z2']), float(metrics['beta/z1'])) for metrics in found]

  assert betas('lvae') == [(0.0, 0.0), (0.5, 0.25), (1.0, 0.5), (1.0, 0.5)]
  assert betas('lvae,no_warmup') == [(1.0, 0.5)] * 4


def test_layers_that_are_not_gaussian_are_refused():
  with pytest.raises(SpecError, match=r'spec.model.inference: got lvae, .*spec.model.z2.family=bernoulli; use ladder'):
    spec_lib.load(f'{ROOT}/specs/symmetric.py', {'model.inference': 'lvae', 'model.z1.family': 'gaussian'})
