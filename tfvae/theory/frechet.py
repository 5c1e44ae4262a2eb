"""The Frechet distance of two Gaussians, and the moments that it is computed from."""

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
  """Of N vectors of F numbers, in float64."""

  count: int  # N
  mean: np.ndarray  # [F]
  covariance: np.ndarray  # [F, F], by N - 1


class Accumulator:
  """Moments of vectors that are seen in batches, without loss of digits where the mean is large (Chan et al. 1983)."""

  def __init__(self):
    self._count, self._mean, self._squares = 0, 0.0, 0.0

  def add(self, features: np.ndarray) -> None:
    """A batch: [B, F]."""
    features = np.asarray(features, np.float64)
    count, mean = len(features), features.mean(axis=0)
    centred = features - mean
    total, step = self._count + count, mean - self._mean
    self._squares = self._squares + centred.T @ centred + np.outer(step, step) * (self._count * count / total)
    self._mean = self._mean + step * (count / total)
    self._count = total

  def moments(self) -> Moments:
    """Of all that was added. Raises ValueError where that is less than two vectors."""
    if self._count < 2:
      raise ValueError(f'got {self._count} vectors; a covariance needs at least two')
    return Moments(self._count, self._mean, self._squares / (self._count - 1))


def distance(a: Moments, b: Moments) -> float:
  """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^1/2), at least 0 (Dowson & Landau 1982; as FID: Heusel et al. 2017).

  tr (C_a C_b)^1/2 is the sum of the singular values of C_a^1/2 C_b^1/2. Covariances may be singular: the error of that
  sum is one of rounding, where roots of the eigenvalues of C_a C_b would have the root of it.
  """
  step = a.mean - b.mean
  mixed = np.linalg.svd(_root(a.covariance).T @ _root(b.covariance), compute_uv=False).sum()
  return max(float(step @ step + np.trace(a.covariance) + np.trace(b.covariance) - 2 * mixed), 0.0)


def _root(covariance):
  """R [F, K] with R R^T = C, K the number of eigenvalues that are more than rounding."""
  values, vectors = np.linalg.eigh(covariance)
  kept = values > max(values[-1], 0) * len(values) * np.finfo(np.float64).eps
  return vectors[:, kept] * np.sqrt(values[kept])
