"""The cross-entropy of a classifier."""

import tensorflow as tf

from tfvae.objectives.objective import Objective


def cross_entropy(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
  """-log p(label | x), nats: logits [B, M], label [B] -> [B]."""
  return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(label, tf.int32), logits)


def correct(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
  """1 where the largest of the logits [B, M] is the label's [B], else 0: [B]."""
  return tf.cast(tf.argmax(logits, -1, tf.int32) == tf.cast(label, tf.int32), logits.dtype)


class CrossEntropy(Objective):
  """Minimise E[-log p(label | x)] of a classifier. Metrics: cross_entropy (nats), accuracy.

  Args:
    model: a `Classifier`; its variables are the only player's.
  """

  def __init__(self, model):
    self._model = model

  @property
  def players(self):
    return {'model': self._model.trainable_variables}

  def loss(self, player, model, batch, step, noise):
    logits = model.logits(batch['x'])
    loss = cross_entropy(logits, batch['label'])
    return loss, {'cross_entropy': loss, 'accuracy': correct(logits, batch['label'])}

  @classmethod
  def from_spec(cls, spec, model) -> 'CrossEntropy':
    """The objective of a spec."""
    del spec
    return cls(model)
