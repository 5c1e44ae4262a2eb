"""Probabilistic PCA (Tipping & Bishop 1999), which the linear VAE's ELBO attains at its optimum (Lucas et al. 2019)."""

import numpy as np


def log_likelihood(covariance: np.ndarray, latents: int) -> float:
  """The largest mean log-likelihood of data with this covariance, in nats per example.

  -1/2 (D log 2 pi + sum_{i <= H} log l_i + (D - H) log s^2 + D), l_i the eigenvalues from the largest, s^2 the mean of
  the last D - H (Tipping & Bishop 1999, eqs. 7 and 8).

  Args:
    covariance: of the data, by N, [D, D].
    latents: H.

  Raises:
    ValueError: where H >= D, or the noise variance s^2 would be 0 (to rounding), so that there is no maximum.
  """
  eigenvalues = np.linalg.eigvalsh(covariance)[::-1]
  noise = noise_variance(eigenvalues, latents)
  dims = len(eigenvalues)
  kept = np.log(eigenvalues[:latents]).sum()
  return float(-0.5 * (dims * np.log(2 * np.pi) + kept + (dims - latents) * np.log(noise) + dims))


def spectrum(x: np.ndarray) -> np.ndarray:
  """Of the covariance of examples [N, ...], from the largest: [D]."""
  flat = x.reshape(len(x), -1).astype(np.float64)
  return np.linalg.eigvalsh(np.cov(flat.T, bias=True).reshape(flat.shape[1], -1))[::-1]


def noise_variance(eigenvalues: np.ndarray, latents: int) -> float:
  """s^2, the mean of the D - H smallest eigenvalues [D], given from the largest. Raises as `log_likelihood` does."""
  if latents >= len(eigenvalues):
    raise ValueError(f'{latents} latent units for data of {len(eigenvalues)} dimensions leave no noise variance')
  noise = float(eigenvalues[latents:].mean())
  if noise <= 1e-7 * eigenvalues[0]:
    raise ValueError(f'the data lie in a space of {latents} dimensions or less: their noise variance would be 0')
  return noise


def gaussian_log_likelihood(mean: np.ndarray, covariance: np.ndarray, model_covariance: np.ndarray) -> float:
  """The mean log-density of data under N(m, C), in nats per example.

  Args:
    mean: of the data, minus m, [D].
    covariance: of the data, by N, [D, D].
    model_covariance: C, [D, D]; W diag(alpha^2) W^T + diag(sigma^2) for a linear VAE.
  """
  _, log_determinant = np.linalg.slogdet(model_covariance)
  scatter = covariance + np.outer(mean, mean)
  distance = np.trace(np.linalg.solve(model_covariance, scatter))
  return float(-0.5 * (len(mean) * np.log(2 * np.pi) + log_determinant + distance))
