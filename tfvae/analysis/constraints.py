"""What a run's constraints come to on a split."""

import math

import tensorflow as tf

from tfvae.analysis.evaluator import Found, TraceEvaluator, moments
from tfvae.making import Make
from tfvae.objectives.measures import Measure
from tfvae.objectives.terms import Seen


class Constraints(TraceEvaluator):
  """Of each constraint of spec.constraint.names, averaged over the split and spec.eval.num_samples samples of q:

  constraint/<name>: E[C], 0 or below where it holds (of a rate: 0). constraint_standard_error/<name>: of that mean, by
  the spread of the examples. threshold/<name>: what C is 0 at, in the units of what is measured.

  Args:
    spec: the spec.
    measures: of its constraints.
  """

  name = 'constraints'

  def __init__(self, spec, measures: list[Measure]):
    super().__init__(spec)
    self._measures, self._fitted = measures, False

  @classmethod
  def from_spec(cls, spec, observation, make: Make, run=None, name: str = ''):
    del run, name
    return cls(spec, make.constraints(spec, observation))

  @property
  def frozen(self) -> dict[str, str]:
    """{name: identity} of the frozen networks that they are by."""
    return {name: identity for measure in self._measures for name, identity in measure.frozen.items()}

  @property
  def variables(self):
    return [variable for measure in self._measures for variable in (measure.kappa, *measure.variables.values())]

  def settings(self):
    return super().settings() | {'constraint': self.spec.constraint.to_dict(), 'frozen': self.frozen}

  def per_example(self, model, trace, split, batch):
    found, step = {}, tf.constant(0, tf.int64)
    for measure in self._measures:
      value = tf.reduce_mean(measure.value(Seen(model, batch, trace, step)), 0)
      found[measure.name], found[f'{measure.name}:square'] = value, tf.square(tf.cast(value, tf.float64))
    return found

  def finish(self, means, model, split):
    if not self._fitted:  # relative thresholds, of the training split whatever the split
      train = split.other(split.source, 'train')
      for measure in self._measures:
        measure.fit(lambda features: moments(train, features))
      self._fitted = True
    numbers = {}
    for measure in self._measures:
      name, threshold = measure.name, float(measure.threshold())
      mean, square = float(means[name]), float(means[f'{name}:square'])
      numbers[f'constraint/{name}'] = measure.sign * (mean - threshold)
      spread = max(square - mean**2, 0.0) / max(split.size - 1, 1)
      numbers[f'constraint_standard_error/{name}'] = math.sqrt(spread)
      numbers[f'threshold/{name}'] = threshold
    return Found(numbers, {})
