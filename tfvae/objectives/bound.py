"""What bounds of log p(x) share: one player, samples of q, and a gradient through samples that have none."""

import tensorflow as tf

from tfvae.families.estimators import Estimator
from tfvae.models.trace import Trace
from tfvae.noise import Noise
from tfvae.objectives.objective import Objective


class Bound(Objective):
  """An objective of samples z ~ q(z | x).

  Args:
    model, terms, watchers: as of `Objective`.
    num_samples: S.
    estimator: of the gradient through samples of discrete layers. None: they let none through.
  """

  def __init__(self, model, num_samples: int = 1, estimator: Estimator | None = None, terms=(), watchers=()):
    super().__init__(model, terms, watchers)
    self._num_samples, self._estimator = num_samples, estimator

  def infer(self, model, batch: dict, step: tf.Tensor, noise: Noise) -> Trace:
    """The trace of the samples of this step."""
    estimator = self._estimator.at(step) if self._estimator else None
    return model.infer(batch, noise, self._num_samples, estimator)

  def temperature(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """That of the estimator, as a metric, where it has one."""
    value = self._estimator.temperature(step) if self._estimator else None
    return {} if value is None else {'temperature': value}

  def score(self, model, trace: Trace, signal) -> tf.Tensor | None:
    """[B], 0 in value; its gradient: the mean over the samples of signal() [S, B] times d log q of the layers without a
    path. None where the estimator needs no such term.
    """
    if not (self._estimator and self._estimator.by_density):
      return None
    pathless = [layer for layer, family in model.families.items() if not family.pathwise]
    log_q = tf.add_n([trace.log_q[layer] for layer in pathless])
    return tf.reduce_mean(tf.stop_gradient(signal()) * (log_q - tf.stop_gradient(log_q)), 0)
