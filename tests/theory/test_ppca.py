"""Probabilistic PCA against scikit-learn's, and densities against SciPy's."""

import numpy as np
import pytest
import scipy.stats
from sklearn.decomposition import PCA

from tfvae.theory import ppca


@pytest.mark.parametrize(('dims', 'latents'), [(10, 2), (7, 3), (12, 5), (2, 1)])
def test_log_likelihood_is_scikit_learns(dims, latents):
  rng = np.random.default_rng(dims)
  x = rng.standard_normal((500, latents)) @ rng.random((latents, dims)) + 0.3 * rng.standard_normal((500, dims)) + 2
  # scikit-learn divides by N - 1.
  want = PCA(latents).fit(x * np.sqrt(499 / 500)).score(x * np.sqrt(499 / 500))
  scale = dims * 0.5 * np.log(499 / 500)
  covariance = np.cov(x.T, bias=True)
  assert ppca.log_likelihood(covariance, latents) == pytest.approx(want + scale, abs=2e-3)


def test_no_linear_model_is_better_and_the_optimum_attains_it():
  rng = np.random.default_rng(0)
  x = rng.standard_normal((400, 2)) @ rng.random((2, 6)) + 0.2 * rng.standard_normal((400, 6))
  covariance, mean = np.cov(x.T, bias=True), x.mean(0)
  values, vectors = np.linalg.eigh(covariance)
  values, vectors = values[::-1], vectors[:, ::-1]
  noise = ppca.noise_variance(values, 2)
  weights = vectors[:, :2] * np.sqrt(values[:2] - noise)
  best = ppca.log_likelihood(covariance, 2)
  assert ppca.gaussian_log_likelihood(0 * mean, covariance, weights @ weights.T + noise * np.eye(6)) == pytest.approx(
    best
  )
  for _ in range(20):
    other = weights + 0.05 * rng.standard_normal(weights.shape)
    assert ppca.gaussian_log_likelihood(0 * mean, covariance, other @ other.T + noise * np.eye(6)) < best
  model = other @ other.T + 0.5 * np.eye(6)
  want = scipy.stats.multivariate_normal(mean + 0.1, model).logpdf(x).mean()
  assert ppca.gaussian_log_likelihood(np.full(6, -0.1), covariance, model) == pytest.approx(want)


def test_what_has_no_maximum_is_refused():
  with pytest.raises(ValueError, match='no noise variance'):
    ppca.log_likelihood(np.eye(3), 3)
  flat = np.diag([3.0, 2.0, 0.0, 0.0])
  with pytest.raises(ValueError, match='2 dimensions or less'):
    ppca.log_likelihood(flat, 2)
  assert np.isfinite(ppca.log_likelihood(np.diag([3.0, 2.0, 0.1, 0.0]), 2))
