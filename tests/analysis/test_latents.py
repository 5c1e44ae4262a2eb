"""Active units of models that are told something. In float64."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.latents import Latents
from tfvae.observation import Observation

N, S, D, CLASSES = 4000, 4, 3, 4
X = np.random.default_rng(1).standard_normal((N, D))
SPLIT = types.SimpleNamespace(noise=lambda number, purpose: noise_lib.stateless(5, number).scope(purpose))


@pytest.fixture(scope='module')
def ladder():
  """z2 (2 units) above z1 (3): what x says of a unit is all but nothing, so q is p, until a test makes it known."""
  spec = spec_lib.base(('z2', 'z1'))
  spec.model.z2.dim, spec.model.z1.dim, spec.model.inference = 2, 3, 'ladder'
  for name in ('z2', 'z1'):
    spec.model[name].encoder.kind = spec.model[name].prior.kind = 'linear'
  spec.data.context, spec.model.context.classes, spec.train.precision = 'label', CLASSES, 'float64'
  model = build.model(spec_lib.resolve(spec), Observation((D,), context=()))
  for name, layer in zip(('z2', 'z1'), model.latents, strict=True):
    dim, rng = spec.model[name].dim, np.random.default_rng(0)
    evidence, prior = layer.family.head.map, layer.prior.family.head.map
    evidence.kernel.assign(tf.zeros_like(evidence.kernel))
    evidence.bias.assign([0] * dim + [12] * dim)  # a scale of e^12
    prior.kernel.assign(
      np.concatenate([2 * rng.standard_normal((*prior.kernel.shape[:1], dim)), 0 * prior.kernel[:, dim:]], 1)
    )
    prior.bias.assign(0 * prior.bias)  # a scale of 1
  return model


def found(model, context):
  """(numbers, arrays) of N examples with these contexts."""
  spec = spec_lib.base(('z2', 'z1'))
  batch = {'x': tf.constant(X), 'context': tf.constant(context, tf.int32), 'index': tf.range(N), 'mask': tf.ones(N)}
  evaluator, trace = Latents(spec), model.infer(batch, noise_lib.stateless(0, 0), S)
  means = {name: value.numpy() / N for name, value in evaluator.sums(model, trace, SPLIT, batch).items()}
  first = types.SimpleNamespace(first=lambda split, n: {name: value[:n] for name, value in batch.items()})
  split = types.SimpleNamespace(name='test', size=N, source=first)
  found = evaluator.finish(means, model, split)
  return found.numbers, found.arrays, trace


def test_units_that_follow_a_prior_that_differs_by_context_are_not_active(ladder):
  context = np.arange(N) % CLASSES
  numbers, arrays, trace = found(ladder, context)
  assert np.all(trace.q['z2'].mean().numpy().var((0, 1)) > 0.1)  # which would count for itself
  assert np.all(trace.q['z1'].mean().numpy().mean(0).var(0) > 0.1)
  assert numbers['active_units/z2'] == numbers['active_units/z1'] == 0
  assert numbers['active_units_entropy'] == 0
  # E[z1 | x, c] - E[z1 | c] of a unit that tells nothing: no bias; products of S (S - 1) / 2 pairs of samples.
  spread = 2 * np.square(ladder.latents[1].prior.family.head.map.kernel.numpy()[:2, :3]).sum(0)
  error = spread * np.sqrt(2 / (S * (S - 1) * N))
  assert np.all(np.abs(arrays['z1.variance_of_mean']) < 5 * error)


def test_what_is_told_beyond_the_context_counts(ladder):
  """A unit that x tells of: z2_0 = N(x_0, 1/4) merged with N(m(c), 1), so E[z | x, c] - E[z | c] = 4/5 (x_0 - m(c))."""
  evidence = ladder.latents[0].family.head.map
  kernel, bias = evidence.kernel.numpy(), evidence.bias.numpy()
  kernel[0, 0], bias[2] = 1, np.log(0.5)
  before = evidence.get_weights()
  evidence.set_weights([kernel, bias])
  try:
    for context in (np.full(N, 2), np.arange(N) % CLASSES):
      numbers, arrays, trace = found(ladder, context)
      m = ladder.latents[0].prior.family.head.map.kernel.numpy()[context, 0]
      np.testing.assert_allclose(arrays['z2.variance_of_mean'][0], np.var(0.8 * (X[:, 0] - m)), rtol=1e-6)
      assert numbers['active_units/z2'] == 1
      if np.ptp(context) == 0:  # then it is what it is of a model that is told nothing
        np.testing.assert_allclose(arrays['z2.variance_of_mean'], trace.q['z2'].mean()[0].numpy().var(0), atol=1e-9)
  finally:
    evidence.set_weights(before)
