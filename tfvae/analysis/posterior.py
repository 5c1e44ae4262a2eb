"""The encoder against the true posterior, by enumeration of all latent states."""

import math

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.models.enumeration import log_densities, states

VALUES = 4_000_000  # of x (states x examples x dimensions) whose densities are held at once


class Posterior(Evaluator):
  """Of hierarchies of bits and categories with at most 2^16 states, exactly; means over the first
  eval.posterior.examples (0: all):

  exact_log_likelihood: log p(x) = log sum_z p(x, z), nats. elbo_exact: sum_z q(z | x) log p(x, z) / q(z | x).
  posterior_kl: KL(q(z | x) || p(z | x)), what the ELBO lacks. posterior_kl_reverse: KL(p(z | x) || q(z | x)), what
  symmetric learning's encoder minimises on samples of p. posterior_distance: total variation, in [0, 1].

  Arrays, [N]: exact_log_likelihood, posterior_kl.
  """

  name = 'posterior'

  def __init__(self, spec):
    super().__init__(spec)
    self._densities = tf.function(log_densities, autograph=False)

  def evaluate(self, model, split):
    table, dimensions = states(model), math.prod(split.source.dataset.shape)
    number = len(next(iter(table.values())))
    size = min(number, 4096)
    parts = [{name: tf.constant(value[i : i + size]) for name, value in table.items()} for i in range(0, number, size)]
    batch_size = min(max(1, VALUES // (size * dimensions)), self.spec.eval.batch_size)
    rows = []
    for _, stored in split.batches(batch_size, self.section.examples):
      batch = split.batch(stored)
      found = [self._densities(model, batch, part) for part in parts]
      joint, log_q = (np.concatenate([np.asarray(f[i], np.float64) for f in found]) for i in (0, 1))
      rows.append(self._compare(joint, log_q)[:, stored['mask'].numpy() > 0])
    values = dict(zip(NAMES, np.concatenate(rows, axis=1), strict=True))
    arrays = {name: values[name] for name in ('exact_log_likelihood', 'posterior_kl')}
    return Found({name: float(value.mean()) for name, value in values.items()}, arrays)

  @staticmethod
  def _compare(joint, log_q):
    """The numbers of each example, [5, B], from log p(x, z) and log q(z | x), [M, B]."""
    evidence = np.logaddexp.reduce(joint, axis=0)
    log_p = joint - evidence
    q, p = np.exp(log_q), np.exp(log_p)
    forward, backward = (q * (log_q - log_p)).sum(0), (p * (log_p - log_q)).sum(0)
    return np.stack([evidence, evidence - forward, forward, backward, 0.5 * np.abs(p - q).sum(0)])


NAMES = ('exact_log_likelihood', 'elbo_exact', 'posterior_kl', 'posterior_kl_reverse', 'posterior_distance')
