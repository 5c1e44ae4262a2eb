"""Mutual information of labels and codes, and the accuracies that it bounds. On arrays, in nats."""

import math
from collections.abc import Iterable

import numpy as np
from scipy.optimize import brentq
from scipy.spatial import cKDTree
from scipy.special import digamma, entr, xlogy


def entropy(labels: np.ndarray) -> float:
  """H[c] of labels [N], by their frequencies."""
  return float(entr(np.unique(labels, return_counts=True)[1] / len(labels)).sum())


def information_of_accuracy(accuracy: float, label_entropy: float, classes: int) -> float:
  """f(a) = H[c] + a log a + (1 - a) log((1 - a) / (M - 1)): the least I(c; z) at which a classifier of z can be right
  in a fraction a of the cases (Xiao & Bamler 2023, equation 7; Fano's inequality). It grows from a = 1/M to 1.
  """
  return label_entropy + xlogy(accuracy, accuracy) + xlogy(1 - accuracy, (1 - accuracy) / (classes - 1))


def accuracy_bound(information: float, label_entropy: float, classes: int) -> float:
  """The highest accuracy that any classifier of z can have, f^-1(I(c; z)), in [1/M, 1].

  information: I(c; z), or more than that, such as a rate; 1 where it is H[c] or more.

  Raises ValueError: there is one class only.
  """
  if classes < 2:
    raise ValueError('an accuracy is bounded where there are two classes or more')
  if information >= label_entropy:
    return 1.0
  least = information_of_accuracy(1 / classes, label_entropy, classes)  # H[c] - log M
  if information <= least:
    return 1 / classes
  return float(
    brentq(lambda a: information_of_accuracy(a, label_entropy, classes) - information, 1 / classes, 1.0, xtol=1e-14)
  )


def accuracy_bounds(rates: np.ndarray, label_entropy: float, classes: int) -> np.ndarray:
  """`accuracy_bound` of each rate [N] in nats: no classifier of codes of that rate is right more often; NaN of NaN."""
  rates = np.asarray(rates, float)
  flat = [accuracy_bound(rate, label_entropy, classes) if np.isfinite(rate) else np.nan for rate in rates.flat]
  return np.array(flat).reshape(rates.shape)


def classes_of(label_entropy: float, counted: Iterable[float] = ()) -> int | None:
  """How many labels there are: the most that were counted (NaN: not), else of their entropy in nats, where they are
  about as frequent. None: that does not say, and with fewer than there are a bound of accuracies would be too low; or
  there is one alone, of which accuracies have no bound.
  """
  known = [math.ceil(count) for count in counted if math.isfinite(count)]
  if known:
    return max(known) if max(known) > 1 else None
  fewest = max(2, math.ceil(math.exp(label_entropy) - 1e-9))
  return fewest if math.log(fewest) - label_entropy < 0.005 else None


def mixed_ksg(x: np.ndarray, y: np.ndarray, k: int = 5) -> tuple[float, float]:
  """I(x; y) by the estimator of Gao et al. 2017, of variables that may be discrete, continuous, or both.

  With rho_i the distance of point i to its k-th neighbour, the larger of those in x and in y (each the maximum over the
  dimensions), k_i = k, and n_i how many points are nearer than rho_i in x, or in y, the point itself being one; where
  rho_i = 0, all three count the points at the same place. The mean of psi(k_i) + log N - psi(n_x,i) - psi(n_y,i): what
  the authors' program computes. Their algorithm 1 has logarithms in place of the last two, and the edge within, which
  is the same for many points, but too low for few.

  Args:
    x, y: [N, .] or [N]. The distances of a discrete variable's values are those of its numbers.
    k: neighbours.

  Returns:
    The estimate, which may be below 0, and its standard error, as if the N terms were independent.

  Raises ValueError: k is not below N.
  """
  x, y = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (x, y))
  count = len(x)
  if not 0 < k < count:
    raise ValueError(f'k must be at least 1 and below the {count} points, got {k}')
  both = cKDTree(np.hstack([x, y]))
  rho = both.query(both.data, k + 1, p=np.inf)[0][:, -1]
  nearer = np.where(rho > 0, rho * (1 - 1e-10), 0.0)
  terms = digamma(np.where(rho > 0, k, _within(both, nearer))) + math.log(count)
  for own in (x, y):
    terms -= digamma(_within(cKDTree(own), nearer))
  return float(terms.mean()), float(terms.std(ddof=1) / math.sqrt(count))


def label_information(z: np.ndarray, labels: np.ndarray, k: int = 5) -> tuple[float, float]:
  """I(label; z) of codes z [N, H] and labels [N] by `mixed_ksg`, labels being further from each other than any codes.

  Neighbours then have the same label, so that the numbers that stand for labels do not matter (Ross 2014).
  """
  z = np.asarray(z, np.float64).reshape(len(z), -1)
  index = np.unique(labels, return_inverse=True)[1].reshape(-1)
  least = np.bincount(index).min()
  if least <= k:
    raise ValueError(f'k must be below the {least} examples of the rarest label, got {k}')
  far = 4 * max(float(np.ptp(z, axis=0).max()), 1.0)
  return mixed_ksg(z, far * index, k)


def _within(tree, radii):
  """How many points of a tree are within a radius of each of them, itself being one."""
  return tree.query_ball_point(tree.data, radii, p=np.inf, return_length=True)


def count_information(codes: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
  """I(label; code) of codes [N, ...] with finitely many values, by the table of counts.

  Returns it and its standard error (delta method). The bias of the plug-in, about (rows - 1) (columns - 1) / (2 N), is
  taken off (Miller 1955), down to 0.
  """
  flat = np.asarray(codes).reshape(len(codes), -1)
  rows = np.unique(flat, axis=0, return_inverse=True)[1].reshape(-1)
  columns = np.unique(labels, return_inverse=True)[1].reshape(-1)
  table = np.zeros((rows.max() + 1, columns.max() + 1))
  np.add.at(table, (rows, columns), 1)
  joint = table / len(flat)
  ratio = np.log(joint[rows, columns]) - np.log(joint.sum(1)[rows]) - np.log(joint.sum(0)[columns])
  bias = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * len(flat))
  return float(max(0.0, ratio.mean() - bias)), float(ratio.std(ddof=1) / math.sqrt(len(flat)))


def generated_information(probabilities: np.ndarray) -> tuple[float, float]:
  """I(label; a) = H[p(label)] - E H[p(label | a)] in nats, of p(label | a, b) [K, N, M] at K draws of b given each of N
  a: p(label | a) is the mean over the draws (Xiao & Bamler 2023, section 5, with one draw and the most probable label).

  The entropy of a mean of K draws is too low, by about var(p(label | a, b)) / (2 K p(label | a)) of each label. The
  jackknife takes that off, and leaves less than the order of 1 / K^2: it is K times that of all draws minus K - 1 times
  the mean of those of all but one. So the value may be below 0. Of one draw nothing is taken off: it is the logarithm
  of the inception score then.

  Returns it and its standard error (delta method, to first order as if p(label) were known).
  """
  draws, count = probabilities.shape[:2]
  given = probabilities.mean(0)
  entropies = entr(given).sum(-1)
  if draws > 1:
    others = np.maximum((draws * given - probabilities) / (draws - 1), 0)
    entropies = draws * entropies - (draws - 1) * entr(others).sum(-1).mean(0)
  terms = -xlogy(given, given.mean(0)).sum(-1) - entropies
  return float(terms.mean()), float(terms.std(ddof=1) / math.sqrt(count))


def inception_score(probabilities: np.ndarray) -> dict[str, float]:
  """Of p(label | image) [N, M] (Salimans et al. 2016): the score exp(E KL(p(label | x) || p(label))), its logarithm in
  two parts, diversity H[p(label)] and sharpness -E H[p(label | x)], and the standard error of the logarithm.

  The score is the product of exp(diversity), at most M, and exp(sharpness), at most 1.
  """
  marginal = probabilities.mean(0)
  divergences = (xlogy(probabilities, probabilities) - xlogy(probabilities, marginal)).sum(-1)
  diversity, sharpness = float(entr(marginal).sum()), -float(entr(probabilities).sum(-1).mean())
  error = float(divergences.std(ddof=1) / math.sqrt(len(divergences)))
  return {
    'score': math.exp(diversity + sharpness),
    'diversity': diversity,
    'sharpness': sharpness,
    'log_standard_error': error,
  }
