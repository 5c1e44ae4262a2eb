"""log p(x) by importance sampling, against models whose log p(x) is known."""

import itertools

import numpy as np
import pytest
from scipy import special, stats

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis import log_evidence
from tfvae.analysis.evaluator import Split
from tfvae.analysis.log_evidence import LogEvidence
from tfvae.models.hierarchy import Hierarchy


def make(x, tmp_path, **fields):
  """A one-layer model with linear nets, and a split of the examples x, as they are."""
  np.savez(tmp_path / 'data.npz', x=x, x_test=x)
  spec = spec_lib.base(('z1',))
  spec.data.update({'name': 'table', 'path': str(tmp_path / 'data.npz'), 'scaling': 'none', 'batch_size': 1})
  spec.model.z1.encoder.kind = spec.decoder.net.kind = 'linear'
  spec = spec_lib.resolve(spec, fields)
  data = build.dataset(spec)
  return spec, build.source(spec, data), build.model(spec, data.observation)


def estimate(spec, source, model, samples, **fields):
  spec = spec_lib.resolve(spec, {'eval.log_evidence.samples': samples, **fields})
  return LogEvidence(spec).evaluate(model, Split(source, 'test', spec))


@pytest.fixture
def linear_gaussian(tmp_path):
  """N(b, W W^T + sigma^2 I) with orthogonal columns of W, so that the posterior is diagonal; q is that, but wider."""
  rng, n, d, h, sigma = np.random.default_rng(0), 40, 6, 2, 0.5
  w = np.linalg.qr(rng.standard_normal((d, h)))[0] * [1.5, 0.7]
  b = rng.standard_normal(d)
  x = (rng.standard_normal((n, h)) @ w.T + b + sigma * rng.standard_normal((n, d))).astype(np.float32)
  parts = make(x, tmp_path, **{'model.z1.dim': h, 'decoder.variance': 'fixed', 'decoder.sigma': sigma})
  precision = 1 + (w**2).sum(0) / sigma**2
  gain = w / sigma**2 / precision
  model = parts[2]
  model.decoder.likelihood.head.map.set_weights([w.T, b])
  scale = np.log(1.4 / np.sqrt(precision))
  model.latents[0].family.head.map.set_weights(
    [np.concatenate([gain, np.zeros((d, h))], 1), np.concatenate([-b @ gain, scale])]
  )
  exact = stats.multivariate_normal(b, w @ w.T + sigma**2 * np.eye(d)).logpdf(x)
  return parts, exact


def test_the_exact_value_of_a_linear_gaussian_model_and_an_error_that_shrinks_with_samples(linear_gaussian):
  parts, exact = linear_gaussian
  spread, bias = [], []
  for samples in (10, 160, 2560):
    found = estimate(*parts, samples)
    arrays, numbers = found.arrays, found.numbers
    assert np.all(np.abs(arrays['log_evidence'] - exact) < 6 * arrays['sampling_error'] + 3 / samples)
    assert abs(numbers['log_evidence'] - exact.mean()) < 5 * numbers['log_evidence_sampling_error'] + 1 / samples
    spread.append(np.sqrt(np.mean((arrays['log_evidence'] - exact) ** 2)))
    bias.append(numbers['log_evidence_sampling_error'])
    assert numbers['log_evidence_samples'] == samples and numbers['log_evidence_examples'] == 40
    assert numbers['log_evidence_standard_error'] == pytest.approx(arrays['log_evidence'].std(ddof=1) / np.sqrt(40))
  # Both the true error and the reported one fall with the root of S: by 4 each time.
  for values in (spread, bias):
    assert np.all(np.divide(values[:-1], values[1:]) > 2.5) and np.all(np.divide(values[:-1], values[1:]) < 6.5)
  # And the one says how large the other is (of 40 examples: within a third).
  np.testing.assert_allclose(np.sqrt(40) * bias[2], spread[2], rtol=0.34)


def test_effective_samples_of_a_gaussian_that_is_too_wide(linear_gaussian):
  """w is proportional to a ratio of Gaussians, whose moments are known: ESS/S = ((2 c^2 - 1) / c^4)^(H/2), c = 1.4."""
  parts, _ = linear_gaussian
  found = estimate(*parts, 20_000)
  assert found.numbers['effective_samples'] / 20_000 == pytest.approx((2 * 1.4**2 - 1) / 1.4**4, rel=0.01)


def test_an_enumerable_bernoulli_model(tmp_path):
  """All 64 binary vectors: the evidences are those of quadrature, and the probabilities add up to one."""
  x = np.array(list(itertools.product([0.0, 1.0], repeat=6)), np.float32)
  fields = {'model.z1.dim': 1, 'decoder.likelihood': 'bernoulli'}
  spec, source, model = make(x, tmp_path, **fields)
  rng = np.random.default_rng(1)
  w, b = 1.5 * rng.standard_normal((1, 6)), rng.standard_normal(6)
  model.decoder.likelihood.head.map.set_weights([w, b])
  model.latents[0].family.head.map.set_weights([0.1 * rng.standard_normal((6, 2)), np.array([0.1, 0.3])])
  nodes, weights = np.polynomial.hermite_e.hermegauss(60)
  logits = nodes[:, None] @ w + b
  log_px = (x[:, None] * logits - np.logaddexp(0, logits)).sum(-1)
  exact = special.logsumexp(log_px + np.log(weights / weights.sum()), axis=1)
  assert special.logsumexp(exact) == pytest.approx(0, abs=1e-9)
  found = estimate(spec, source, model, 20_000).arrays
  assert np.all(np.abs(found['log_evidence'] - exact) < 6 * found['sampling_error'] + 1e-4)
  assert np.exp(found['log_evidence']).sum() == pytest.approx(
    1, abs=5 * np.sqrt(np.sum((np.exp(exact) * found['sampling_error']) ** 2))
  )


def test_memory_does_not_grow_with_the_samples_and_no_sample_is_left_out(linear_gaussian, monkeypatch):
  parts, exact = linear_gaussian
  own, asked = Hierarchy.infer, []

  def infer(self, batch, noise, num_samples=1):
    asked.append((batch['x'].shape[0], num_samples))
    return own(self, batch, noise, num_samples)

  monkeypatch.setattr(Hierarchy, 'infer', infer)
  monkeypatch.setattr(log_evidence, 'VALUES', 6 * 250)
  found = estimate(*parts, 1030, **{'eval.log_evidence.examples': 31})
  assert set(asked) == {(2, 100), (2, 30)}  # the last chunk; 31 examples are 16 batches, the last one padded
  assert found.arrays['log_evidence'].shape == (31,)
  error = np.abs(found.arrays['log_evidence'] - exact[:31])
  assert np.all(error < 6 * found.arrays['sampling_error'] + 3 / 1030)
  # Chunks and batches have noise of their own: no two examples, and no two runs of fewer samples, share it.
  assert len(set(np.round(found.arrays['sampling_error'], 9))) == 31


def test_the_same_twice(linear_gaussian):
  parts, _ = linear_gaussian
  assert estimate(*parts, 150).numbers == estimate(*parts, 150).numbers
