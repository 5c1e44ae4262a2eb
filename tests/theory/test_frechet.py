"""Frechet distances against SciPy's matrix root, and moments against NumPy's."""

import numpy as np
import pytest
import scipy.linalg

from tfvae.theory.frechet import Accumulator, Moments, distance


def gaussian(rng, dims, rank, scale=1.0):
  root = scale * rng.standard_normal((dims, rank))
  return Moments(1000, rng.standard_normal(dims), root @ root.T)


@pytest.mark.parametrize('dims', [1, 3, 40])
def test_it_is_scipys(dims):
  rng = np.random.default_rng(dims)
  a, b = gaussian(rng, dims, dims + 2), gaussian(rng, dims, dims + 2, 0.3)
  root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
  wanted = np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance + b.covariance - 2 * root)
  assert distance(a, b) == pytest.approx(wanted, rel=1e-8)
  assert distance(b, a) == pytest.approx(distance(a, b), rel=1e-10)


def test_in_one_dimension_it_is_known():
  a, b = (Moments(9, np.array([m]), np.array([[s**2]])) for m, s in ((1.0, 2.0), (-2.0, 0.5)))
  assert distance(a, b) == pytest.approx(3**2 + 1.5**2, rel=1e-12)


@pytest.mark.filterwarnings('ignore:Matrix is singular')
@pytest.mark.parametrize('ranks', [(2, 5), (1, 12), (0, 4), (0, 0)])
def test_singular_covariances(ranks):
  """The limit of regular ones: where roots of eigenvalues would be off by 1e-8 for each of them."""
  rng = np.random.default_rng(0)
  a, b = (gaussian(rng, 12, rank) for rank in ranks)
  # tr (C_a C_b)^1/2 is the nuclear norm of R_a^T R_b for any roots R: by SciPy's symmetric ones.
  roots = [scipy.linalg.sqrtm(of.covariance + 1e-22 * np.eye(12)).real for of in (a, b)]
  nuclear = scipy.linalg.svdvals(roots[0] @ roots[1]).sum()
  wanted = np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance + b.covariance) - 2 * nuclear
  assert distance(a, b) == pytest.approx(wanted, abs=1e-5)  # that of SciPy's roots


@pytest.mark.parametrize(('n', 'offset'), [(500, 0), (500, 1e6), (8, 0)])
def test_of_a_set_with_itself_it_is_zero(n, offset):
  x = np.random.default_rng(1).standard_normal((n, 30)) + offset
  sums = Accumulator()
  sums.add(x)
  moments = sums.moments()
  assert distance(moments, moments) <= 1e-11 * np.trace(moments.covariance)


def test_moments_do_not_depend_on_the_batches():
  x = np.random.default_rng(2).standard_normal((101, 7)) * np.arange(1, 8) + 1e5
  sums = Accumulator()
  for part in np.split(x, [1, 4, 60]):
    sums.add(part)
  count, mean, covariance = sums.moments()
  assert count == 101
  np.testing.assert_allclose(mean, x.mean(0), rtol=1e-14)
  np.testing.assert_allclose(covariance, np.cov(x.T), rtol=1e-9, atol=1e-9)


def test_one_vector_has_no_covariance():
  sums = Accumulator()
  sums.add(np.ones((1, 3)))
  with pytest.raises(ValueError, match='at least two'):
    sums.moments()
