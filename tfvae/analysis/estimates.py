"""How many samples the ELBO needs, beside the entropies that it converges to (Damm et al., AISTATS 2023)."""

import collections

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found

CHUNK = 100  # samples of an example at once
KINDS = {'entropy_sum': 'entropies', 'entropy_sum_sampled': 'entropies_sampled'}


class Estimates(Evaluator):
  """The spread of estimates of the ELBO and of the sum of entropies from few latent samples.

  For each number S of eval.estimates.samples, eval.estimates.runs estimates of both, means over the first
  eval.estimates.examples of the split, in nats: the same samples for both. Only entropies that depend on z (a decoder's
  sigma(z), layers below the top) vary at all.

  estimate_deviation/elbo/<S>, estimate_deviation/entropies/<S>: their standard deviations over the runs. Where the
  encoder's entropy has no closed form, but comes from the samples too: entropies_sampled. No entropies where those of
  the decoder have none.
  Arrays: samples [K]; elbo, entropies (or entropies_sampled) [K, runs].
  """

  name = 'estimates'

  def __init__(self, spec):
    super().__init__(spec)
    self._sums = tf.function(self._chunk_sums, autograph=False)

  def _chunk_sums(self, model, split, number, stored, chunk, samples):
    """{kind: ELBO or sum of entropies}, summed over `samples` and over the examples that are no padding."""
    trace = model.infer(split.batch(stored), split.noise(chunk, 'estimates'), samples)
    found, entropies = {'elbo': trace.terms()['elbo']}, model.entropies(trace)
    found |= {kind: entropies[name] for name, kind in KINDS.items() if name in entropies}
    values = tf.stack(list(found.values()), axis=-1)
    sums = samples * tf.tensordot(tf.cast(stored['mask'], values.dtype), values, 1)
    return dict(zip(found, tf.unstack(sums), strict=True))

  def evaluate(self, model, split):
    counts, runs = self.section.samples, self.section.runs
    examples = min(self.section.examples, split.size)
    found, used = collections.defaultdict(lambda: np.zeros([len(counts), runs])), 0
    batches = list(split.batches(examples=examples))
    for i, samples in enumerate(counts):
      sizes = [CHUNK] * (samples // CHUNK) + [samples % CHUNK] * (samples % CHUNK > 0)
      for run in range(runs):
        for number, stored in batches:
          for size in sizes:
            used += 1  # each chunk has noise of its own
            for kind, value in self._sums(model, split, number, stored, tf.constant(used), size).items():
              found[kind][i, run] += value.numpy()
        for values in found.values():
          values[i, run] /= samples * examples
    numbers = {}
    for kind, values in found.items():
      for samples, own in zip(counts, values, strict=True):
        numbers[f'estimate_deviation/{kind}/{samples}'] = float(own.std(ddof=1))
    return Found(numbers, {'samples': np.array(counts), **found})
