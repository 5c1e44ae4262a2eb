"""log p(x) by importance sampling."""

import math

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found

# Values of x (samples x examples x dimensions) whose densities are held at once. As much as stays in a processor's
# cache: ten times as many take twice as long.
VALUES = 1_500_000
SAMPLES = 100  # of an example at once, so that the encoder's work is small beside the decoder's


class LogEvidence(Evaluator):
  """log_evidence: mean over the examples of log (1/S) sum_s w_s, w_s = p(x, z_s) / q(z_s | x), z_s ~ q(z | x).

  (Burda et al. 2016, section 3.) In expectation a lower bound of log p(x) in nats that rises with S, by about
  Var(w) / (2 S E[w]^2) below it. S is eval.log_evidence.samples, taken in chunks, so that memory does not grow with S;
  eval.log_evidence.examples of the split are used (0: all). Beside it:

  log_evidence_standard_error: of the mean, from the spread over the examples (that of the data and of the sampling).
  log_evidence_sampling_error: that part of it which comes from the samples, sqrt(sum_n Var(w_n) / (S E[w_n]^2)) / N
  (delta method).
  effective_samples: mean over the examples of (sum w)^2 / sum w^2; where it is small beside S, distrust the rest.
  log_evidence_samples, log_evidence_examples: S and N.

  Arrays, [N]: log_evidence, sampling_error, effective_samples.
  """

  name = 'log_evidence'

  def __init__(self, spec):
    super().__init__(spec)
    self._chunk = tf.function(self._add_chunk, autograph=False)

  def evaluate(self, model, split):
    samples, dimensions = self.section.samples, math.prod(split.source.dataset.shape)
    rows = max(1, VALUES // dimensions)
    size = min(samples, SAMPLES, rows)
    chunks = [size] * (samples // size) + [samples % size] * (samples % size > 0)
    batch_size = min(max(1, rows // size), self.spec.eval.batch_size)
    found = []
    for number, stored in split.batches(batch_size, self.section.examples):
      batch = len(stored['mask'])
      state = (tf.fill([batch], tf.constant(-math.inf, tf.float64)), *[tf.zeros([batch], tf.float64)] * 2)
      for i, chunk in enumerate(chunks):
        # Each chunk has noise of its own.
        state = self._chunk(model, split, number, stored, number * len(chunks) + i, chunk, state)
      found.append(np.stack(state)[:, stored['mask'].numpy() > 0])
    largest, first, second = np.concatenate(found, axis=1)
    return self._found(largest, first / samples, second / samples)

  def _add_chunk(self, model, split, number, stored, chunk, size, state):
    """The largest log weight of each example, and the sums of the weights and of their squares in units of it."""
    trace = model.infer(split.batch(stored), split.noise(chunk, 'log_evidence'), size)
    log_weights = tf.cast(trace.log_weights(), tf.float64)
    before, first, second = state
    largest = tf.maximum(before, tf.reduce_max(log_weights, 0))
    weights, factor = tf.exp(log_weights - largest), tf.exp(before - largest)
    return (
      largest,
      first * factor + tf.reduce_sum(weights, 0),
      second * tf.square(factor) + tf.reduce_sum(tf.square(weights), 0),
    )

  def _found(self, largest, first, second):
    """From the largest log weight of each example, and the mean weight and its square's mean in units of it."""
    n, samples = len(largest), self.section.samples
    values = largest + np.log(first)
    variance = np.maximum(second / first**2 - 1, 0) / max(samples - 1, 1)  # of the logarithm of the mean weight
    effective = samples * first**2 / second
    numbers = {
      'log_evidence': float(values.mean()),
      'log_evidence_standard_error': float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else 0.0,
      'log_evidence_sampling_error': float(np.sqrt(variance.sum()) / n),
      'effective_samples': float(effective.mean()),
      'log_evidence_samples': float(samples),
      'log_evidence_examples': float(n),
    }
    return Found(numbers, {'log_evidence': values, 'sampling_error': np.sqrt(variance), 'effective_samples': effective})
