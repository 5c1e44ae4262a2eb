"""KL divergences by density ratios, against known ones: within reach of a classifier, and beyond."""

import math

import numpy as np
import pytest
from scipy.special import expit, logsumexp

from tfvae.theory import density_ratio
from tfvae.theory.density_ratio import Parts, by_bridge, by_classifier, parts

RNG = np.random.default_rng(0)


def of(samples):
  return parts(samples, np.random.default_rng(1).permutation(len(samples)))


def clusters(count, dims=4, scale=0.1):
  """Samples of ten narrow Gaussians, and log q - log N(0, I) at them."""
  centers = RNG.standard_normal((10, dims))
  z = centers[RNG.integers(10, size=count)] + scale * RNG.standard_normal((count, dims))
  squares = np.square((z[:, None] - centers) / scale).sum(-1)
  log_q = logsumexp(-0.5 * squares, axis=1) - math.log(10) - dims * math.log(scale)
  return z, log_q + 0.5 * np.square(z).sum(1)


def test_parts_are_halves():
  of_all = of(np.arange(100)[:, None])
  assert [len(part) for part in of_all] == [40, 10, 50]
  assert sorted(np.concatenate(of_all)[:, 0]) == list(range(100))


def test_a_bridge_reaches_where_a_classifier_saturates():
  """Clusters in a mixture of Gaussians, 9 nats; a narrow Gaussian of 20 units, hundreds."""
  z, log_ratio = clusters(4000)
  for q, kl in ((z, log_ratio.mean()), (0.001 * RNG.standard_normal((2000, 20)), 20 * (math.log(1000) - 0.5 + 5e-7))):
    plain = by_classifier(of(q), of(RNG.standard_normal(q.shape)), (16,), 0, 0)
    bridge = by_bridge(of(q), (16,), 0, 0)
    assert bridge.is_trusted and not plain.is_trusted
    assert bridge.kl == pytest.approx(kl, abs=4 * bridge.standard_error + 0.02)
    assert plain.kl < 0.9 * kl and plain.lower <= math.log(len(q))
    assert kl - 0.5 < bridge.lower <= kl + 4 * bridge.standard_error


def test_few_samples_of_the_prior_are_not_told_from_it():
  """Mixtures fitted to 40 of 32 dimensions are further from q than N(0, I) is, and would take that off."""
  q = of(np.random.default_rng(3).standard_normal((100, 32)))
  found = by_bridge(q, (16,), 0, 0)
  assert found.kl == found.lower == 0 < found.standard_error and found.is_trusted  # the best there is to say
  fitted = density_ratio.Mixture(q.fitted, q.held, 0).log_prob(q.judged) - density_ratio.Standard(
    q.judged.shape[1]
  ).log_prob(q.judged)
  assert fitted.mean() < -0.2


def test_what_no_divergence_can_be_is_not_trusted():
  noise = 0.1 * RNG.standard_normal(100)
  found = density_ratio._judged(noise - 1, 0 * noise, 0.0)
  assert found.kl == pytest.approx(-1, abs=0.1) and found.log_normalizer == 0 == found.lower and not found.is_trusted
  assert density_ratio._judged(noise, 0 * noise, 0.0).is_trusted


def test_a_net_finds_what_products_of_two_do_not():
  """A ring, of which mean and covariance are those of N(0, I): without a bridge, as of bits."""
  angle = RNG.uniform(0, 2 * math.pi, 3000)
  q = math.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * RNG.standard_normal((3000, 2))
  q, p = of(q / q.std(0)), of(RNG.standard_normal(q.shape))
  logistic, net = by_classifier(q, p, (16,), 0, 0), by_classifier(q, p, (16,), 60, 0)
  assert net.log_loss < logistic.log_loss - 0.02 and net.kl > logistic.kl + 0.05
  assert by_classifier(q, p, (16,), 3, 0) == by_classifier(q, p, (16,), 3, 0)  # to the bit
  assert net.lower <= net.kl


def test_logits_are_those_before_the_sigmoid(monkeypatch):
  """Of scikit-learn's own probabilities, where these do not saturate."""
  q, p = of(RNG.standard_normal((200, 2)) + 1), of(RNG.standard_normal((200, 2)))
  made, own = [], density_ratio.MLPClassifier
  monkeypatch.setattr(
    density_ratio, 'MLPClassifier', lambda *args, **fields: made.append(own(*args, **fields)) or made[0]
  )
  logit = density_ratio._net(q, p, (8,), 1, 0, lambda values, number: values)
  np.testing.assert_allclose(expit(logit(q.judged)), made[0].predict_proba(q.judged)[:, 1], rtol=1e-5)


def test_passes_are_watched_and_end_early():
  seen = []

  def watch(values, number):
    for value in values:
      seen.append(number)
      yield value

  nothing = Parts(*(RNG.standard_normal((n, 3)) for n in (200, 50, 100)))
  by_classifier(nothing, Parts(*(RNG.standard_normal((n, 3)) for n in (200, 50, 100))), (64,), 500, 0, watch)
  assert set(seen) == {500} and len(seen) < 500


def test_a_ratio_of_no_use_is_not_trusted():
  """Overfitted to few samples of many dimensions, it tells the fitted ones apart, and no others."""
  q, p = of(RNG.standard_normal((60, 400))), of(RNG.standard_normal((60, 400)))
  found = by_classifier(q, p, (8,), 0, 0)
  assert found.lower <= math.log(30) and found.log_loss > 0.6
