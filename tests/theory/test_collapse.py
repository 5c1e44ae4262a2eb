"""Collapse as a phase transition: the linear VAE by gradient descent against its closed form, and a nonlinear one."""

import numpy as np
import pytest

from tfvae.report import collapse as figures
from tfvae.theory import collapse

EIGENVALUES = np.array([6.0, 4.5, 3.2, 2.4, 1.7, 1.2, 0.8, 0.5, 0.3, 0.15])
BETWEEN = np.sqrt(EIGENVALUES[1:] * EIGENVALUES[:-1])  # rates of the units next to it: at least 0.08 nats, and 0
VARIANCES = np.sort(np.concatenate([BETWEEN, [0.1, 0.2, 5.6, 7.0]]))


@pytest.fixture(scope='module')
def covariance():
  """Of 10 dimensions, with those eigenvalues."""
  turn = np.linalg.qr(np.random.default_rng(0).standard_normal((10, 10)))[0]
  return turn * EIGENVALUES @ turn.T


@pytest.fixture(scope='module')
def fitted(covariance):
  return collapse.fit_linear(covariance, VARIANCES, 10, steps=3000, learning_rate=0.05)


def test_the_weights_of_a_linear_vae(fitted):
  """Eigenvalues of W^T W against l_i - sigma^2, and where the lines through them end."""
  theory = collapse.closed_form(EIGENVALUES, VARIANCES, 10)
  np.testing.assert_allclose(fitted.gram, theory.gram, atol=0.02 * EIGENVALUES[0])
  np.testing.assert_allclose(fitted.error, theory.error, rtol=1e-3)
  ends = collapse.zeros(VARIANCES, fitted.gram)
  np.testing.assert_allclose(ends[:9], EIGENVALUES[:9], rtol=0.02)  # the last has one variance below it


def test_units_fall_silent_at_the_eigenvalues(fitted):
  found = fitted.rates[np.searchsorted(VARIANCES, BETWEEN)]
  assert (found > 0.05).sum(1).tolist() == list(range(1, 10))
  np.testing.assert_allclose(fitted.rates, collapse.closed_form(EIGENVALUES, VARIANCES, 10).rates, atol=0.03)


def test_the_closed_form_is_a_minimum(covariance):
  """Of the loss, with its rates and its error: no move of W, V or tau is better, with a beta as without."""
  values, vectors = np.linalg.eigh(covariance)
  values, vectors = values[::-1][:4], vectors[:, ::-1][:, :4]

  def loss(w, v, log_tau, sigma2, beta):
    rest = np.eye(10) - w @ v
    error = np.trace(rest @ covariance @ rest.T) + (np.exp(2 * log_tau) * (w**2).sum(0)).sum()
    rates = 0.5 * (np.exp(2 * log_tau) + np.diag(v @ covariance @ v.T) - 1 - 2 * log_tau)
    return error / (2 * sigma2) + beta * rates.sum(), error, np.maximum(rates, 0)

  rng = np.random.default_rng(1)
  for sigma2, beta in ((0.5, 1.0), (3.5, 1.0), (0.5, 6.0), (8.0, 0.25), (8.0, 1.0)):
    t = beta * sigma2
    kept = np.maximum(values, t)
    w = vectors * np.sqrt(kept - t)
    best = (w, (w / kept).T, 0.5 * np.log(t / kept))
    own, error, rates = loss(*best, sigma2, beta)
    theory = collapse.closed_form(EIGENVALUES, [sigma2], 4, beta)
    np.testing.assert_allclose(theory.rates[0], rates, atol=1e-12)
    np.testing.assert_allclose(theory.gram[0], (w**2).sum(0), atol=1e-12)
    assert theory.error[0] == pytest.approx(error)
    for _ in range(30):
      other = [part + 0.03 * rng.standard_normal(part.shape) for part in best]
      assert loss(*other, sigma2, beta)[0] > own


def test_beta_and_sigma_act_through_their_product(covariance):
  """By gradient descent; for the rest, without a beta, see above."""
  part, variances = covariance[:3, :3], np.array([0.1, 0.5, 3.0])
  fit = collapse.fit_linear(part, variances / 4, 2, beta=4.0, steps=1500, learning_rate=0.05)
  theory = collapse.closed_form(np.linalg.eigvalsh(part)[::-1], variances, 2)
  np.testing.assert_allclose(fit.rates, theory.rates, atol=0.01)
  np.testing.assert_allclose(fit.gram, theory.gram, atol=0.02)
  np.testing.assert_allclose(fit.error, theory.error, rtol=0.01)


def test_a_nonlinear_vae_is_silent_above_the_largest_eigenvalue():
  data = np.random.default_rng(0).standard_normal((300, 3)) * np.sqrt([2.0, 0.8, 0.1])
  found = collapse.fit_nonlinear(data, [0.2, 3.0], 2, hidden=8, steps=300, batch_size=100)
  assert found.rates.shape == (2, 2) and found.gram is None
  assert found.rates[0, 0] > 0.5 and found.rates[1].max() < 0.05
  assert found.error[1] == pytest.approx(data.var(0).sum(), rel=0.05) and found.error[0] < 1.3


def test_what_is_kept(fitted):
  """Is what the figure is drawn from; the theory's lines reach from end to end."""
  data = np.random.default_rng(0).standard_normal((50, 10)) * np.sqrt(EIGENVALUES)
  found = collapse.arrays(data, 10, 1.0, linear=fitted)
  assert not any(name.startswith('nonlinear') for name in found)
  assert found['linear.rates'].shape == (13, 10) and found['linear.zeros'].shape == (10,)
  assert found['theory.variances'][[0, -1]] == pytest.approx(VARIANCES[[0, -1]])
  np.testing.assert_allclose(found['eigenvalues'], np.linalg.eigvalsh(np.cov(data.T, bias=True))[::-1])
  first = collapse.closed_form(found['eigenvalues'], found['theory.variances'][:1], 10)
  np.testing.assert_allclose(found['theory.rates'][:1], first.rates)
  assert len(figures.collapse(found).axes) == 2


@pytest.mark.slow
def test_rates_of_a_nonlinear_vae_follow_the_lines():
  """Of Gaussian data, for which no decoder is better than a linear one."""
  values = np.array([3.0, 1.5, 0.6, 0.2])
  data = np.random.default_rng(0).standard_normal((2000, 4)) * np.sqrt(values)
  own = np.linalg.eigvalsh(np.cov(data.T, bias=True))[::-1]
  variances = np.array([0.1, 0.35, 0.95, 2.1, 4.5])
  found = collapse.fit_nonlinear(data, variances, 4)
  theory = collapse.closed_form(own, variances, 4)
  np.testing.assert_allclose(found.rates, theory.rates, atol=0.15)
  assert (found.rates > 0.05).sum(1).tolist() == [4, 3, 2, 1, 0]
  again, other = (collapse.fit_nonlinear(data, variances, 4, steps=20, seed=seed) for seed in (1, 2))
  np.testing.assert_array_equal(again.rates, collapse.fit_nonlinear(data, variances, 4, steps=20, seed=1).rates)
  assert np.abs(again.rates - other.rates).max() > 1e-4


@pytest.mark.parametrize(
  ('call', 'match'),
  [
    (lambda: collapse.closed_form(EIGENVALUES, [], 2), 'the sweep is empty'),
    (lambda: collapse.fit_linear(np.eye(3), [], 2), 'the sweep is empty'),
    (lambda: collapse.fit_nonlinear(np.eye(3), [1.0, 0.0], 2), 'variances must be finite and above 0, got 0'),
    (lambda: collapse.closed_form(EIGENVALUES, [1.0], 2, beta=-1.0), 'beta must be finite and above 0, got -1'),
    (lambda: collapse.closed_form(EIGENVALUES, [1.0], 11), '1 to 10 units, got 11'),
    (lambda: collapse.fit_linear(np.eye(3), [1.0], 0), '1 to 3 units, got 0'),
    (lambda: collapse.fit_linear(np.zeros((3, 3)), [1.0], 2), 'do not vary'),
  ],
)
def test_what_is_refused(call, match):
  with pytest.raises(ValueError, match=match):
    call()
