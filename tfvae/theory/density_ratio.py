"""KL(q || p) from samples of both, by the density ratio that a classifier learns. On arrays, in nats."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

HELD = 5  # one in so many samples of the half that is fitted tells when to stop, and which classifier to take
PATIENCE = 10  # passes after which a net stays as it was, where the log-loss there
GAIN = 1e-4  # has not fallen by so many nats: where q and p barely overlap it would fall for ever
MOST_PAIRS = 30  # dimensions, up to which a logistic regression has all products of two; else squares
MOST_CORRELATED = 512  # dimensions, up to which a Gaussian may have correlations
MIXTURES = (  # of Gaussians: how many, their covariances, and what is added to the variances, which are 1 in all
  (1, 'diag', 1e-6),
  (1, 'full', 1e-6),
  (1, 'full', 1e-1),
  (8, 'full', 1e-3),
  (32, 'diag', 1e-3),
)
OFF = (0.1, 0.05, 0.3)  # nats, or share of the estimate, by which log E_r[q / r] may miss 0; at most, for its own error

Watch = Callable[[Iterator, int], Iterator]


class Estimate(NamedTuple):
  """Of KL(q || p), on samples that nothing was fitted to."""

  kl: float  # E_q log q / p, which may come to less than 0
  standard_error: float
  lower: float  # a lower bound of it, but for the error of its samples
  log_loss: float  # of the classifier, log 2 where it tells nothing
  accuracy: float
  log_normalizer: float  # log E_r[q / r], 0 where the ratio of the classifier is right

  is_trusted: bool


class Parts(NamedTuple):
  """Samples [., D]: what classifiers are fitted to, what tells which is best, what it is judged by."""

  fitted: np.ndarray
  held: np.ndarray
  judged: np.ndarray


def parts(samples: np.ndarray, order: np.ndarray) -> Parts:
  """Two halves, of which the first is parted again, of samples [N, D] in an order [N]."""
  half = len(order) // 2
  held = half // HELD
  return Parts(*(samples[at].astype(np.float64) for at in np.split(order, [half - held, half])))


class Standard:
  """N(0, I) in D dimensions."""

  def __init__(self, dims: int):
    self._dims = dims

  def log_prob(self, z: np.ndarray) -> np.ndarray:
    """Of z [n, D]: [n]."""
    return -0.5 * (np.square(z).sum(1) + self._dims * math.log(2 * math.pi))

  def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
    """[count, D]."""
    return rng.standard_normal((count, self._dims))


class Mixture:
  """A mixture of Gaussians, fitted to samples [n, D]: of `MIXTURES` the one under which `held` are likeliest."""

  def __init__(self, samples: np.ndarray, held: np.ndarray, seed: int):
    self._scaler = StandardScaler().fit(samples)
    samples, held = self._scaler.transform(samples), self._scaler.transform(held)
    fitted = [
      GaussianMixture(count, covariance_type=kind, reg_covar=ridge, random_state=seed)
      for count, kind, ridge in MIXTURES
      if _has_enough(count, kind, *samples.shape)
    ]
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', ConvergenceWarning)  # the best is taken, whether there is a better one or not
      self._best = max((model.fit(samples) for model in fitted), key=lambda model: model.score(held))

  def log_prob(self, z: np.ndarray) -> np.ndarray:
    """Of z [n, D]: [n]."""
    return self._best.score_samples(self._scaler.transform(z)) - np.log(self._scaler.scale_).sum()

  def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
    """[count, D]."""
    drawn = self._best.sample(count)[0]  # component by component
    return self._scaler.inverse_transform(rng.permutation(drawn))


def _has_enough(count, kind, samples, dims):
  """Whether samples are enough for so many Gaussians; of several with correlations, also for each one's matrix."""
  if kind == 'diag':
    return 2 * count <= samples
  return dims <= MOST_CORRELATED and (count == 1 or 8 * count * dims <= samples)


@threadpool_limits.wrap(limits=1)  # products of small matrices: threads that wait for each other cost thirty times that
def by_classifier(
  q: Parts, p: Parts, hidden: Sequence[int], passes: int, seed: int, watch: Watch = lambda values, number: values
) -> Estimate:
  """KL(q || p) = E_q log q / p, the logit of a classifier of as many samples of both (Rosca et al. 2018).

  A logistic regression of z and its products of two, which is exact for two Gaussians, and a dense net of `hidden`
  widths, trained by at most so many passes: that with the lower log-loss on the samples that are held. The more nats,
  the fewer samples of q and p are to be taken for each other, and beyond the logarithm of their number nothing but the
  form of the classifier says what the ratio is.

  watch: (iterator, number) -> the same elements: of the passes.
  """
  logit = min(
    _classifiers(q, p, hidden, passes, seed, watch), key=lambda logit: _log_loss(logit(q.held), logit(p.held))
  )
  return _judged(logit(q.judged), logit(p.judged), 0.0)


@threadpool_limits.wrap(limits=1)
def by_bridge(
  q: Parts, hidden: Sequence[int], passes: int, seed: int, watch: Watch = lambda values, number: values
) -> Estimate:
  """KL(q || N(0, I)) in two steps, by way of r, a Gaussian or a mixture of some with the moments of q; or N(0, I)
  itself, under which the samples that are held may be likelier than under any that was fitted to few others.

  KL(q || p) = KL(q || r) + E_q[log r / p] (Rhodes et al. 2020). The second has a closed form, and no limit; the first
  is by a classifier as in `by_classifier`, or 0 where none does better than chance. It has less to tell: of all
  Gaussians, p being one, that with the moments of q is the nearest to q.
  """
  p = Standard(q.fitted.shape[1])
  bridge = max((p, Mixture(q.fitted, q.held, seed)), key=lambda bridge: bridge.log_prob(q.held).mean())
  drawn = bridge.sample(sum(map(len, q)), np.random.default_rng(seed))
  r = Parts(*np.split(drawn, np.cumsum([len(q.fitted), len(q.held)])))
  loss = lambda logit: _log_loss(logit(q.held), logit(r.held))
  nothing, best = (lambda z: np.zeros(len(z))), min(_classifiers(q, r, hidden, passes, seed, watch), key=loss)
  known = bridge.log_prob(q.judged) - p.log_prob(q.judged)
  found, other = (_judged(logit(q.judged), logit(r.judged), known) for logit in sorted((nothing, best), key=loss))
  # Where p is not told from q at all, 0 is nobody's mean: its error is that of the classifier that did not do better.
  return found if found.standard_error else found._replace(standard_error=other.standard_error)


def _judged(of_q, of_r, known) -> Estimate:
  """Of logits [n] of samples of q, and of what it is told from; known: log r / p at the former.

  The lower bound is that of Donsker and Varadhan, E_q[logit] - log E_r[exp logit]. It is not raised where the logarithm
  is below 0, which is chance or want of overlap, nor above log n, which is all that n samples can vouch for (McAllester
  & Stratos 2020). As r is normalised, E_q[known] alone is one, too, and so is 0.
  """
  terms = of_q + known
  kl, told, count = terms.mean(), of_q.mean(), len(of_q)
  log_normalizer = logsumexp(of_r) - math.log(len(of_r))
  lower = max(0.0, np.mean(known) + max(0.0, min(told - max(0.0, log_normalizer), math.log(count))))
  weights = np.exp(of_r - of_r.max())
  error = weights.std() / weights.mean() / math.sqrt(count)
  standard_error = terms.std(ddof=1) / math.sqrt(count)
  off = max(OFF[0], OFF[1] * abs(kl), min(OFF[2], 2 * error))
  is_possible = kl > -max(OFF[0], 3 * standard_error)  # else r or the classifier was fitted to too few samples
  return Estimate(
    float(kl),
    float(standard_error),
    float(lower),
    float(_log_loss(of_q, of_r)),
    float(((of_q > 0).mean() + (of_r <= 0).mean()) / 2),
    float(log_normalizer),
    bool(abs(log_normalizer) <= off and told <= math.log(count) and is_possible),
  )


def _log_loss(of_q, of_r):
  """Of logits of samples of q and of r, in nats: log 2 where they are all 0."""
  return (np.logaddexp(0, -of_q).mean() + np.logaddexp(0, of_r).mean()) / 2


def _classifiers(q, r, hidden, passes, seed, watch):
  """Functions z [n, D] -> log q / r [n], each fitted."""
  scaler = StandardScaler().fit(np.vstack([q.fitted, r.fitted]))
  q, r = (Parts(*(scaler.transform(samples) for samples in of)) for of in (q, r))
  found = [_logistic(q, r)] + ([_net(q, r, hidden, passes, seed, watch)] if passes else [])
  return [lambda z, own=own: own(scaler.transform(z)) for own in found]


def _logistic(q, r):
  dims = q.fitted.shape[1]
  products = PolynomialFeatures(2, include_bias=False)
  features = products.fit_transform if dims <= MOST_PAIRS else lambda z: np.hstack([z, np.square(z)])
  model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', ConvergenceWarning)  # as good as any other that is held against the samples
    model.fit(features(np.vstack([q.fitted, r.fitted])), _labels(q, r))
  return lambda z: model.decision_function(features(z))


def _net(q, r, hidden, passes, seed, watch):
  """Its weights are those of the pass with the lowest log-loss on what is held."""
  x, labels = np.vstack([q.fitted, r.fitted]).astype(np.float32), _labels(q, r)
  # A generator, unlike a seed, goes on from one pass to the next.
  model = MLPClassifier(hidden, alpha=1e-3, random_state=np.random.RandomState(seed))
  best, weights, since = math.inf, None, 0
  for _ in watch(iter(range(passes)), passes):
    model.partial_fit(x, labels, classes=(0, 1))
    found = list(zip(model.coefs_, model.intercepts_, strict=True))
    loss = _log_loss(_forward(found, q.held), _forward(found, r.held))
    since = 0 if loss < best - GAIN else since + 1
    if loss < best:
      best, weights = loss, [(w.copy(), b.copy()) for w, b in found]
    if since == PATIENCE:
      break
  return lambda z: _forward(weights, z)


def _forward(weights, z):
  """What goes into the last sigmoid, which saturates: [n]."""
  *inner, (last, bias) = weights
  for w, b in inner:
    z = np.maximum(z @ w + b, 0)
  return (z @ last + bias)[:, 0]


def _labels(q, r):
  return np.repeat([1, 0], [len(q.fitted), len(r.fitted)])
