"""Codes of a split, and the mixture of all posteriors at them, against NumPy and SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.codes import codes, first_layer, first_layers
from tfvae.analysis.evaluator import Split
from tfvae.data.dataset import Stored, make

N = 37  # the last batch of ten is padded


def of(layers=('z2', 'z1'), **fields):
  spec = spec_lib.base(layers)
  for layer in layers:
    spec.model[layer].dim, spec.model[layer].encoder.hidden = 3, (8,)
  spec.data.batch_size, spec.eval.batch_size = 10, 10
  spec = spec_lib.resolve(spec, fields)
  rng = np.random.default_rng(0)
  x, label = rng.random((N, 5), np.float32), np.arange(N) % 3
  stored = Stored('random', {'train': {'x': x, 'label': label}, 'test': {'x': x, 'label': label}}, (0.0, 1.0))
  data = make(stored, spec.data, 0)
  return build.model(spec, data.observation), Split(build.source(spec, data), 'test', spec)


FAMILIES = {
  'gaussian': {},
  'shared scale': {'model.z2.scale_head': 'shared'},
  'flow': {'model.z2.flow': 'real_nvp', 'model.z2.flow_steps': 2},
  'bits': {
    'model.z2.family': 'bernoulli',
    'eval.evaluators': 'bounds',
    'objective.estimator': 'zgr',
    'sample.what': 'prior',
  },
  'from the bottom': {'model.inference': 'reverse'},
}


@pytest.mark.parametrize('fields', FAMILIES.values(), ids=FAMILIES)
def test_the_mixture_of_all_posteriors(fields, monkeypatch):
  monkeypatch.setattr('tfvae.analysis.codes.MOST', 500 if fields else 200)  # several parts, of two sizes
  if fields:  # to make graphs takes longer
    monkeypatch.setattr(tf, 'function', lambda run, **_: run)
  model, split = of(**fields)
  found = codes(model, split)
  first = next(iter(found.z))
  assert next(iter(found.z)) == ('z1' if 'model.inference' in fields else 'z2')
  x = split.source.first('test', N)
  q = model.encode(x)[1][first]
  pairs = np.array([q.log_prob(np.repeat(z[None, None], N, 1)).numpy()[0] for z in found.z[first]])  # z_a at each x_b
  same = found.label[:, None] == found.label
  want = logsumexp(pairs, axis=1) - np.log(N)
  of_label = logsumexp(np.where(same, pairs, -np.inf), axis=1) - np.log(same.sum(1))
  densities = first_layer(model, split, found)
  for value, wanted in ((densities.own, np.diag(pairs)), (densities.mixture, want), (densities.of_label, of_label)):
    np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-4)
  alone = first_layers(model, split, found, 1, 8)
  np.testing.assert_allclose(alone.mixture, want[alone.index], rtol=1e-4, atol=1e-4)
  assert len(alone.index) == 8 and alone.index[-1] == N - 1
  # Both layers: q(z2, z1 | x) of each x, the sample being another's.
  both = first_layers(model, split, found, 2, 5)
  names = list(found.z)
  for place, i in enumerate(both.index):
    z = {name: np.repeat(found.z[name][i][None, None], N, 1) for name in names}
    log_q = sum(value.numpy()[0] for value in model.score(x, z).log_q.values())
    assert both.mixture[place] == pytest.approx(logsumexp(log_q) - np.log(N), rel=1e-4, abs=1e-4)
    assert both.own[place] == pytest.approx(log_q[i], rel=1e-4, abs=1e-4)


def test_codes_are_those_of_the_noise_and_their_locations():
  model, split = of()
  found = codes(model, split)
  assert {name: value.shape for name, value in found.z.items()} == {'z2': (N, 3), 'z1': (N, 3)}
  z, q = model.encode(split.source.first('test', N))
  np.testing.assert_allclose(found.location['z1'], z['z1'][0], rtol=1e-5, atol=1e-6)
  again = codes(model, split)
  np.testing.assert_array_equal(again.z['z2'], found.z['z2'])
  residual = ((found.z['z2'] - q['z2'].mean()[0]) / q['z2'].stddev()[0]).numpy().ravel()
  assert stats.kstest(residual, 'norm').pvalue > 0.01 and len(np.unique(residual)) == residual.size
