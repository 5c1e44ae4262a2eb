"""The contract of evaluators."""

import abc

import numpy as np
import tensorflow as tf

from tfvae.models.trace import Trace


class Evaluator(abc.ABC):
  """Named numbers and arrays of a model on a split.

  The evaluation loop makes one trace of each batch, averages what `per_example` gives over the split (padding left
  out), and hands the means to `finish`.
  """

  name: str

  def __init__(self, spec):
    self.spec = spec

  def per_example(self, model, trace: Trace) -> dict[str, tf.Tensor]:
    """What is averaged over the split: {key: [B, ...]}."""
    del model, trace
    return {}

  @abc.abstractmethod
  def finish(
    self, means: dict[str, np.ndarray], model, source, split: str
  ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """(numbers, arrays) from the means over the split, in float64."""
