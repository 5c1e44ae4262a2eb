"""Mutual information by neighbours and by counts, the accuracy bound and the inception score, against known values."""

import math

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.feature_selection import mutual_info_classif

from tfvae.theory import information
from tfvae.theory.information import (
  accuracy_bound,
  count_information,
  generated_information,
  inception_score,
  information_of_accuracy,
  label_information,
  mixed_ksg,
)

RNG = np.random.default_rng(0)
N = 4000


@pytest.fixture(autouse=True)
def afresh():
  """The same numbers, whichever tests ran before."""
  RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def overlapping():
  """x uniform in 0 ... 4, y | x uniform in [x, x + 2] (Gao et al. 2017, experiment I)."""
  m = 5
  x = RNG.integers(0, m, N)
  return x, x + 2 * RNG.random(N), math.log(m) - (m - 1) * math.log(2) / m


def half_discrete(count):
  """Half of the points Gaussian with correlation 0.9, half on four places (experiment II)."""
  normal = RNG.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], count)
  sign = RNG.choice([-1.0, 1.0], count)
  places = np.stack([sign, sign * np.where(RNG.random(count) < 0.8, 1, -1)], -1)
  x, y = np.where(RNG.random((count, 1)) < 0.5, normal, places).T
  place = math.log(2) + 0.8 * math.log(0.8) + 0.2 * math.log(0.2)
  return x, y, 0.5 * -0.5 * math.log(1 - 0.81) + 0.5 * place + math.log(2)


def zero_inflated():
  """y is 0, or Poisson of x, x exponential (experiment III); by integration."""
  p = 0.15
  x = RNG.exponential(1, N)
  y = np.where(RNG.random(N) < p, 0, RNG.poisson(x))
  found, least = 0.0, 1e-300
  for k in range(40):
    given = lambda x, k=k: p * (k == 0) + (1 - p) * stats.poisson.pmf(k, x)
    marginal = p * (k == 0) + (1 - p) * 2.0 ** -(k + 1)
    part = lambda x, given=given, marginal=marginal: (
      math.exp(-x) * given(x) * math.log(max(given(x), least) / marginal) if given(x) > 0 else 0.0
    )
    found += integrate.quad(part, 0, 60, limit=200)[0]
  return x, y, found


def gaussian():
  """Two Gaussians of correlation 0.6 in a plane of independent ones."""
  x = RNG.normal(size=(N, 2))
  y = 0.6 * x + 0.8 * RNG.normal(size=(N, 2))
  return x, y, -math.log(1 - 0.36)


def independent():
  return RNG.normal(size=N), RNG.integers(0, 3, N), 0.0


@pytest.mark.parametrize('case', [overlapping, zero_inflated, gaussian, independent])
def test_mixed_ksg_against_closed_forms(case):
  x, y, true = case()
  found, error = mixed_ksg(x, y)
  assert found == pytest.approx(true, abs=3 * error + 0.03)  # and its bias, which is not known
  assert error < 0.04


def test_mixed_ksg_where_places_lie_among_points():
  """Beside a Gaussian point are all those of a place, in x or in y alone: too low, but less so with more points."""
  few, many = (mixed_ksg(x, y)[0] - true for x, y, true in (half_discrete(2000), half_discrete(24_000)))
  assert -0.3 < few < 2 * many < 0 and many > -0.1


def test_mixed_ksg_needs_neighbours():
  for k in (0, 5):
    with pytest.raises(ValueError, match='below the 5 points'):
      mixed_ksg(np.arange(5), np.arange(5), k)


def of_classes(separation, dims, count):
  """Labels, codes z ~ N(separation e_label, 1) of three classes, and I(label; z) by integration over samples of z."""
  labels = RNG.integers(0, 3, count)
  means = separation * np.eye(3, dims) if dims > 1 else separation * np.arange(3.0)[:, None]
  z = means[labels] + RNG.normal(size=(count, dims))
  exact = RNG.normal(size=(200_000, dims))
  which = RNG.integers(0, 3, len(exact))
  exact += means[which]
  log_given = -0.5 * ((exact[:, None] - means) ** 2).sum(-1)
  terms = log_given[np.arange(len(exact)), which] - np.log(np.exp(log_given).mean(1))
  return labels, z, terms.mean(), terms.std() / math.sqrt(len(terms))


@pytest.mark.parametrize(('separation', 'dims'), [(0.5, 1), (2.0, 1), (4.0, 2), (3.0, 8)])
def test_label_information(separation, dims):
  labels, z, true, slack = of_classes(separation, dims, 3000)
  found, error = label_information(z, labels)
  assert found == pytest.approx(true, abs=3 * (error + slack) + (0.02 if dims < 8 else 0.15))  # biased in many
  assert label_information(z, 17 - 5 * labels)[0] == pytest.approx(found)  # whatever stands for a label
  if dims == 1:
    assert found == pytest.approx(mutual_info_classif(z, labels, n_neighbors=5, random_state=0)[0], abs=0.01)


def test_a_rare_label_has_too_few_neighbours():
  with pytest.raises(ValueError, match='below the 2 examples of the rarest label'):
    label_information(np.arange(10.0), [0] * 8 + [1] * 2)


def test_counts():
  labels = RNG.integers(0, 4, 20_000)
  code = np.where(RNG.random(len(labels)) < 0.7, labels, RNG.integers(0, 4, len(labels)))
  joint = 0.3 / 16 + 0.7 / 4 * np.eye(4)
  true = (joint * np.log(16 * joint)).sum()
  found, error = count_information(np.eye(4)[code], labels)
  assert found == pytest.approx(true, abs=3 * error) and error < 0.01
  assert count_information(RNG.integers(0, 4, 20_000), labels)[0] < 1e-3
  assert count_information(labels, labels)[0] == pytest.approx(information.entropy(labels), abs=1e-3)


@pytest.mark.parametrize('classes', [2, 10, 1000])
def test_the_accuracy_bound_is_the_inverse_of_its_equation(classes):
  weights = np.linspace(1, 2, classes)
  for label_entropy in (math.log(classes), stats.entropy(weights)):
    for accuracy in np.linspace(1 / classes, 1, 101):
      least = information_of_accuracy(accuracy, label_entropy, classes)
      assert accuracy_bound(least, label_entropy, classes) == pytest.approx(accuracy, abs=1e-6)
    nats = np.linspace(label_entropy - math.log(classes), label_entropy, 101)  # f(1/M) to f(1)
    bounds = [accuracy_bound(one, label_entropy, classes) for one in nats]
    assert bounds[0] == 1 / classes and bounds[-1] == 1 and np.all(np.diff(bounds) > 0)
    given = np.array(bounds[1:-1])  # the equation, written out
    equation = label_entropy + given * np.log(given) + (1 - given) * np.log((1 - given) / (classes - 1))
    np.testing.assert_allclose(equation, nats[1:-1], atol=1e-10)
    assert accuracy_bound(label_entropy, label_entropy, classes) == accuracy_bound(9.0, label_entropy, classes) == 1.0
  assert accuracy_bound(0.0, math.log(classes), classes) == pytest.approx(1 / classes)
  assert accuracy_bound(0.0, stats.entropy(weights), classes) >= max(weights / weights.sum())  # that of always the same
  with pytest.raises(ValueError, match='two classes'):
    accuracy_bound(0.1, 0.0, 1)


def test_nothing_beats_the_accuracy_bound():
  """The best classifier of Gaussian codes, at many separations."""
  for separation in (0.2, 1.0, 2.0, 3.0):
    labels, z, true, _ = of_classes(separation, 1, 50_000)
    best = np.abs(z - separation * np.arange(3)).argmin(1)
    assert (best == labels).mean() <= accuracy_bound(true, math.log(3), 3) + 3 * math.sqrt(0.25 / len(labels))


def test_inception_score():
  probabilities = stats.dirichlet.rvs(np.full(5, 0.3), size=1000, random_state=0)
  found = inception_score(probabilities)
  divergence = stats.entropy(probabilities, probabilities.mean(0, keepdims=True), axis=1)
  assert found['score'] == pytest.approx(math.exp(divergence.mean()))
  assert found['diversity'] == pytest.approx(stats.entropy(probabilities.mean(0)))
  assert found['sharpness'] == pytest.approx(-stats.entropy(probabilities, axis=1).mean())
  assert inception_score(np.eye(4)[np.arange(100) % 4])['score'] == pytest.approx(4)
  assert inception_score(np.full((10, 4), 0.25))['score'] == pytest.approx(1)


def test_generated_information_of_one_draw_is_an_inception_score():
  probabilities = stats.dirichlet.rvs(np.full(5, 0.3), size=1000, random_state=0)
  found = inception_score(probabilities)
  wanted = math.log(found['score']), found['log_standard_error']
  assert generated_information(probabilities[None]) == pytest.approx(wanted)


@pytest.mark.parametrize('draws', [2, 5, 20])
def test_the_entropy_of_a_mean_of_draws(draws):
  """Two labels: p(label | a, b) of Beta distributions whose means, 0.2 and 0.7, are p(label | a).

  By Taylor, the mean of the entropy of K draws' mean is H + c / K + d / K^2 + ..., for each a with c = H2 v / 2 and
  d = H3 m / 6 + H4 v^2 / 8, of H's derivatives and of the second and third moments v and m of a draw about its mean.
  The jackknife leaves -d / (K (K - 1)), and what is of higher orders; the plain mean -c / K.
  """
  count, c, d = 40_000, 0.0, 0.0
  entropy = lambda p: -p * math.log(p) - (1 - p) * math.log(1 - p)
  which, seen = np.arange(count) % 2, np.empty((draws, count, 2))
  for of, mean in enumerate((0.2, 0.7)):
    beta = stats.beta(10 * mean, 10 * (1 - mean))
    v, m = beta.var(), float(beta.stats('s')) * beta.var() ** 1.5
    c -= v / (2 * mean * (1 - mean)) / 2
    third, fourth = (1 - 2 * mean) / (mean * (1 - mean)) ** 2, -2 * (mean**-3 + (1 - mean) ** -3)
    d += (third * m / 6 + fourth * v**2 / 8) / 2
    seen[:, which == of, 0] = beta.rvs((draws, count // 2), random_state=of)
  seen[..., 1] = 1 - seen[..., 0]
  true = entropy(0.45) - (entropy(0.2) + entropy(0.7)) / 2
  found, error = generated_information(seen)
  plain, _ = generated_information(seen.mean(0, keepdims=True))
  assert found == pytest.approx(true, abs=3 * error + 2 * abs(d) / (draws * (draws - 1)))
  assert plain == pytest.approx(true - c / draws, abs=3 * error + 2 * abs(d) / draws**2)
  assert plain - true > 5 * error or draws == 20
