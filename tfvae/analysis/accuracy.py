"""How well a classifier does."""

import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found, masked_sum


class Accuracy(Evaluator):
  """Of a classifier on a split: accuracy, the fraction of examples whose label has the largest logit, and
  cross_entropy, the mean of -log p(label | x) in nats.
  """

  name = 'accuracy'

  def __init__(self, spec):
    super().__init__(spec)
    self._sums = tf.function(self._batch_sums, autograph=False)

  def evaluate(self, model, split):
    means = split.means(lambda number, stored: self._sums(model, split, number, stored))
    return Found({name: float(value) for name, value in means.items()}, {})

  def _batch_sums(self, model, split, number, stored):
    batch = split.batch(stored)
    return {name: masked_sum(value, batch['mask']) for name, value in model.scores(batch).items()}
