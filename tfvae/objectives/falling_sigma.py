"""A decoder's sigma that falls by hand."""

from collections.abc import Callable

import tensorflow as tf

from tfvae.families.variance import Falling
from tfvae.objectives.objective import Watcher
from tfvae.schedules import falling


class FallingSigma(Watcher):
  """Sets the decoder's sigma after each step, so that step k, before which k were taken, has sigma(k).

  So were generative query networks trained (Eslami et al. 2018), a baseline of Rezende & Viola (2018). Nothing is kept
  here: the variance has a variable of the model, as the checkpoint of a step has sigma at that step.

  Args:
    variance: of the decoder.
    sigma: step -> sigma.
  """

  def __init__(self, variance: Falling, sigma: Callable[[tf.Tensor], tf.Tensor]):
    self._variance, self._sigma = variance, sigma

  @classmethod
  def of(cls, spec, model) -> 'FallingSigma':
    """That of a spec."""
    section = spec.decoder
    sigma = falling(section.sigma_from, section.sigma, section.sigma_until, spec.train.steps)
    return cls(model.decoder.likelihood.variance, sigma)

  def fit(self, moments: Callable) -> None:
    """At the beginning, whatever weights training begins with."""
    del moments
    self._variance.set(self._sigma(tf.constant(0, tf.int64)))

  def update(self, means: dict[str, tf.Tensor], step: tf.Tensor) -> None:
    """To that of the next step."""
    del means
    self._variance.set(self._sigma(step + 1))
