"""I_p(label; z) of what a model generates, against integration, and for all kinds of models."""

import math
import types

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.codes import prefixes
from tfvae.analysis.evaluator import Split
from tfvae.analysis.generated_labels import GeneratedLabels
from tfvae.analysis.mutual_information import MutualInformation
from tfvae.data.dataset import Stored, make
from tfvae.theory.information import generated_information


class Reads:
  """Stands for what a classifier sees: its labels are three directions of x, `sure` how sharply."""

  frozen = types.SimpleNamespace(identity='stands for one')

  def __init__(self, sure=3.0, dims=5):
    self._map = sure * np.random.default_rng(1).normal(size=(dims, 3))

  def labels(self, x, batch):
    assert batch == {}
    return tf.nn.softmax(tf.tensordot(tf.reshape(x, [*x.shape[:2], -1]), tf.cast(self._map, x.dtype), 1))


def made(layers, shape=(5,), name='random', **fields):
  spec = spec_lib.base(layers)
  for layer in layers:
    spec.model[layer].dim = 1
  spec.data.batch_size, spec.eval.batch_size, spec.train.precision = 10, 500, 'float64'
  spec = spec_lib.resolve(spec, {'eval.evaluators': 'mutual_information'} | fields)
  rng = np.random.default_rng(0)
  part = {'x': rng.random((40, *shape)).astype(np.float32), 'label': np.arange(40) % 3}
  data = make(Stored(name, {'train': part, 'test': dict(part)}, (0.0, 1.0)), spec.data, 0)
  return spec, build.model(spec, data.observation), Split(build.source(spec, data), 'test', spec)


def exact(model, sight):
  """I(label; z2), I(label; z2, z1) and what the jackknife leaves in the first, times K (K - 1), to the next order (see
  tests/theory/test_information.py): by trapezoids in z2, where nets have kinks, and Gauss-Hermite quadrature in z1.
  """
  nodes, within = np.polynomial.hermite_e.hermegauss(60)
  top = np.linspace(-7, 7, 1401)
  within, weights = within / within.sum(), np.exp(-(top**2) / 2)
  weights /= weights.sum()

  def choose(layer, p):
    if layer.name == 'z2':
      return tf.constant(np.broadcast_to(top[None, :, None], (60, 1401, 1)))
    return p.mean() + p.stddev() * nodes[:, None, None]  # [z1, z2]

  z, _ = model.descend(choose)
  seen = sight.labels(model.mean(z), {}).numpy()
  given, entropy = np.einsum('a,abm->bm', within, seen), lambda p: -(p * np.log(np.maximum(p, 1e-300))).sum(-1)
  label = entropy(weights @ given)
  second, third = (np.einsum('a,abm->bm', within, (seen - given) ** power) for power in (2, 3))
  left = weights @ np.nan_to_num(third / (6 * given**2) - second**2 / (4 * given**3)).sum(-1)
  return label - weights @ entropy(given), label - np.einsum('a,b,ab->', within, weights, entropy(seen)), left


def test_against_integration():
  """Of z2, of which the plain mean of ten draws says too much, and of all layers: at 10,000 samples of the prior."""
  spec, model, split = made(('z2', 'z1'), **{'eval.batch_size': 10_000, 'model.z1.scale_head': 'shared'})
  for variable in model.trainable_variables:
    if 'z1_p' in variable.path and 'kernel' in variable.path:
      variable.assign(12 * variable)  # far from independent of z2
  sight = Reads(5.0)
  of_top, of_all, left = exact(model, sight)
  generated = GeneratedLabels(spec, sight)
  seen = generated.probabilities(model, split, 1, 10_000, 10)
  assert seen.shape == (10, 10_000, 3) and np.allclose(seen.sum(-1), 1)
  found, error = generated_information(seen)
  assert 0.02 < of_top < of_all - 0.03 and error < 0.001
  assert abs(found - of_top) < 3 * error + 2 * abs(left) / 90 < 0.003
  plain = generated_information(seen.mean(0, keepdims=True))[0]
  assert plain > of_top + 6 * error  # what the jackknife takes off
  found, error = generated_information(generated.probabilities(model, split, 2, 10_000, 10))
  assert abs(found - of_all) < 3 * error


def test_the_numbers():
  """Beside those of the data; none without a classifier, by which it is known which it was."""
  spec, model, split = made(('z2', 'z1'), **{'eval.mutual_information.prior_samples': 70})
  with_one, without = (MutualInformation(spec, sight) for sight in (Reads(), None))
  numbers = with_one.evaluate(model, split).numbers
  of = {name for name in numbers if name.startswith('mutual_information_p')}
  assert of == {
    f'mutual_information_p{what}/{layers}' for what in ('', '_standard_error') for layers in ('z2', 'z2,z1')
  }
  assert set(numbers) - of == set(without.evaluate(model, split).numbers)
  assert with_one.settings() != without.settings()
  again = MutualInformation(spec, Reads()).evaluate(model, split).numbers
  assert again == numbers


def test_how_many_of_the_first_layers():
  assert prefixes(['z1']) == [1] and prefixes(['z3', 'z2', 'z1']) == [1, 2, 3]
  steps = lambda count: [f'z/{step}' for step in range(1, count + 1)]
  assert prefixes(steps(1)) == [1] and prefixes(steps(6)) == [1, 2, 4, 6] and prefixes(steps(8)) == [1, 2, 4, 8]
  assert len(prefixes(steps(32))) == 6


BITS = {'eval.evaluators': 'bounds', 'sample.what': 'prior'}
MODELS = {
  'three layers': (('z3', 'z2', 'z1'), {'model.conditioning': 'all'}),
  'from the bottom': (('z2', 'z1'), {'model.inference': 'reverse'}),
  'lvae': (('z2', 'z1'), {'model.inference': 'lvae'}),
  'bits': (('z2', 'z1'), BITS | {'model.z2.family': 'bernoulli', 'objective.estimator': 'zgr'}),
  'told': (('z2', 'z1'), {'data.context': 'label', 'sample.what': 'prior'}),
}
CATEGORIES = {'model.z2.family': 'categorical', 'model.z2.dim': 4, 'objective.estimator': 'straight_through'}
MODELS['categories'] = (('z2', 'z1'), BITS | CATEGORIES)


CHEAP = ('three layers', 'categories', 'told')


@pytest.mark.parametrize(
  'which', [pytest.param(which, marks=() if which in CHEAP else pytest.mark.slow) for which in MODELS]
)
def test_of_any_hierarchy(which):
  """The first layers are given: all draws below them differ, and of all layers there is one. More than examples."""
  layers, fields = MODELS[which]
  spec, model, split = made(layers, **fields | {'eval.batch_size': 80})
  generated = GeneratedLabels(spec, Reads())
  generated._run = generated._batch  # to make a graph takes longer
  for count in prefixes(layers):
    seen = generated.probabilities(model, split, count, 50, 4)
    assert seen.shape == (1 if count == len(layers) else 4, 50, 3) and np.allclose(seen.sum(-1), 1)
    assert len(np.unique(seen[..., 0])) == seen[..., 0].size
    assert all(map(math.isfinite, generated_information(seen)))


@pytest.mark.slow
def test_of_steps():
  """A canvas that is told the label: given all of the steps but the last, the draws differ."""
  spec = spec_lib.base(('z',))
  spec.model.name, z = 'convdraw', spec.model.z
  z.steps, z.lstm, z.canvas, z.dim, z.grid, z.join_grid = 3, 2, 2, 2, 2, 4
  for net in (z.encoder, z.posterior, z.prior, spec.decoder.net):
    net.kind, net.hidden = 'conv', (2,)
  spec.data.context, spec.eval.batch_size, spec.sample.what = 'label', 8, ('prior',)
  spec = spec_lib.resolve(spec, {'eval.evaluators': 'mutual_information'})
  data = build.dataset(spec)
  model, split = build.model(spec, data.observation), Split(build.source(spec, data), 'test', spec)
  generated = GeneratedLabels(spec, Reads(dims=64))
  first, last = (generated.probabilities(model, split, count, 8, 4) for count in (2, 3))
  assert first.shape == (4, 8, 3) and last.shape == (1, 8, 3) and prefixes(model.layer_names) == [1, 2, 3]
  assert len(np.unique(first[..., 0])) == 32 and len(np.unique(last[..., 0])) == 8
