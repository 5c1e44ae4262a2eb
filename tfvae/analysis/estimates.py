"""How many samples the ELBO needs, beside the entropies that it converges to (Damm et al., AISTATS 2023)."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found

CHUNK = 100  # samples of an example at once


class Estimates(Evaluator):
  """The spread of estimates of the ELBO and of the sum of entropies from few latent samples.

  For each number S of eval.estimate_samples, eval.estimate_runs estimates of both, means over the first
  eval.estimate_examples of the split, in nats: the same samples for both. Only entropies that depend on z (a decoder's
  sigma(z), layers below the top) vary at all.

  estimate_deviation/elbo/<S>, estimate_deviation/entropies/<S>: their standard deviations over the runs.
  Arrays: samples [K]; elbo, entropies [K, runs].
  """

  name = 'estimates'
  fields = ('estimate_samples', 'estimate_runs', 'estimate_examples')

  def __init__(self, spec):
    super().__init__(spec)
    self._sums = tf.function(self._chunk_sums, autograph=False)

  def _chunk_sums(self, model, split, number, stored, chunk, samples):
    """(ELBO, sum of entropies), summed over `samples` and over the examples that are no padding."""
    trace = model.infer(split.batch(stored), split.noise(chunk, 'estimates'), samples)
    values = tf.stack([trace.terms()['elbo'], model.entropies(trace)['entropy_sum']], axis=-1)
    return samples * tf.tensordot(tf.cast(stored['mask'], values.dtype), values, 1)

  def evaluate(self, model, split):
    counts, runs = self.spec.eval.estimate_samples, self.spec.eval.estimate_runs
    examples = min(self.spec.eval.estimate_examples, split.size)
    found, used = np.zeros([2, len(counts), runs]), 0
    batches = list(split.batches(examples=examples))
    for i, samples in enumerate(counts):
      sizes = [CHUNK] * (samples // CHUNK) + [samples % CHUNK] * (samples % CHUNK > 0)
      for run in range(runs):
        for number, stored in batches:
          for size in sizes:
            used += 1  # each chunk has noise of its own
            found[:, i, run] += self._sums(model, split, number, stored, tf.constant(used), size).numpy()
        found[:, i, run] /= samples * examples
    numbers = {}
    for kind, values in zip(('elbo', 'entropies'), found, strict=True):
      for samples, own in zip(counts, values, strict=True):
        numbers[f'estimate_deviation/{kind}/{samples}'] = float(own.std(ddof=1))
    return Found(numbers, {'samples': np.array(counts), 'elbo': found[0], 'entropies': found[1]})
