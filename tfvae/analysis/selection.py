"""Which of several linear VAEs a stream calls for (Damm et al., AISTATS 2023, section 5)."""

import math

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.data import synthetic
from tfvae.noise import stateless
from tfvae.theory import ppca


class Selection(Evaluator):
  """Linear VAEs of different sizes on each segment of a stream, by the segment's mean and covariance: nats per example.

  For member m and segment k (from 0): elbo/<m>/<k> and entropy_sum/<m>/<k>, their expectations for normal data with
  these moments, exact, by a cubature over x; ppca_log_likelihood/<m>/<k>, the optimum. bic_elbo/<m>/<k> and
  bic_entropies/<m>/<k>: (H D + 1) log N - 2 N times the above, N the batch size, as published; selected_elbo/<k> and
  selected_entropies/<k>: the units H of the member with the smallest.

  The moments are the true ones of made data (data.name=stream, not scaled), else those of the split's examples between
  the change points (spec.data.changes).
  """

  name = 'selection'

  def __init__(self, spec):
    super().__init__(spec)
    self._moments, self._values = {}, tf.function(self._expectations, autograph=False)

  def _expectations(self, model, points):
    """{member: (elbo [K], entropy_sum [K])} from the points of a cubature over x, [K, 2 D, D]."""
    found, noise = {}, stateless(0, 0)
    for name, member in model.members.items():
      trace = member.infer({'x': tf.reshape(points, [-1, *model.shape])}, noise, 0)
      values = (trace.terms()['elbo'], member.entropies(trace)['entropy_sum'])
      found[name] = [tf.reduce_mean(tf.reshape(value, points.shape[:2]), 1) for value in values]
    return found

  def evaluate(self, model, split):
    moments = self._of(split)
    points = np.stack([_cubature(*of) for of in moments]).astype(np.float32)
    found = {name: np.stack(values) for name, values in self._values(model, tf.constant(points)).items()}
    dims, batch, numbers = points.shape[-1], split.source.batch_size, {}
    for segment, (_, covariance) in enumerate(moments):
      bic = {'elbo': {}, 'entropies': {}}
      for name, member in model.members.items():
        units = member.latents[0].shape[0]
        elbo, entropy_sum = (float(value) for value in found[name][:, segment])
        key = f'{name}/{segment}'
        numbers |= {f'elbo/{key}': elbo, f'entropy_sum/{key}': entropy_sum}
        numbers[f'ppca_log_likelihood/{key}'] = ppca.log_likelihood(covariance, units)
        for of, value in (('elbo', elbo), ('entropies', entropy_sum)):
          bic[of][units] = numbers[f'bic_{of}/{key}'] = information_criterion(value, units, dims, batch)
      for of, values in bic.items():
        numbers[f'selected_{of}/{segment}'] = float(min(values, key=values.get))
    return Found(numbers, {})

  def _of(self, split):
    """[(mean [D], covariance [D, D])] of the segments."""
    if split.name not in self._moments:
      section = self.spec.data
      known = section.name == 'stream' and section.scaling == 'none'
      self._moments[split.name] = synthetic.stream_moments(section) if known else _segments(split, section.changes)
    return self._moments[split.name]


def information_criterion(log_likelihood, units: int, dims: int, n: int):
  """BIC = (H D + 1) log N - 2 N LL, LL the mean log-likelihood of N examples (Damm et al. 2023, section 5)."""
  return (units * dims + 1) * math.log(n) - 2 * n * log_likelihood


def _cubature(mean, covariance):
  """2 D points whose mean and covariance these are."""
  values, vectors = np.linalg.eigh(covariance)
  axes = (math.sqrt(len(mean)) * vectors * np.sqrt(np.maximum(values, 0))).T
  return mean + np.concatenate([axes, -axes])


def _segments(split, changes):
  segments = len(changes) + 1
  totals = [[0, 0.0, 0.0] for _ in range(segments)]
  for _, stored in split.batches():
    batch = split.batch(stored)
    real = batch['mask'].numpy() > 0
    x, index = batch['x'].numpy().reshape(len(real), -1).astype(np.float64)[real], batch['index'].numpy()[real]
    for segment in np.unique(which := np.searchsorted(changes, index, side='right')):
      own, total = x[which == segment], totals[segment]
      total[0], total[1], total[2] = total[0] + len(own), total[1] + own.sum(0), total[2] + own.T @ own
  means = [(total[1] / total[0], total[2] / total[0]) for total in totals]
  return [(mean, outer - np.outer(mean, mean)) for mean, outer in means]
