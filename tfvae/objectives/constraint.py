"""Constraints as a term of a loss: what they are put on, and their multipliers."""

import tensorflow as tf

from tfvae.making import Make
from tfvae.objectives.measures import Measure
from tfvae.objectives.multiplier import Multipliers
from tfvae.objectives.terms import Contribution, Term, number
from tfvae.run.metrics import RELAXED


class Constraints(Term):
  """sum_k lambda_k C_k, with C = C_hat + sg(C_avg - C_hat) (Rezende & Viola 2018, Algorithm 1).

  The gradient is lambda times that of the batch's own C, [S, B], so that every estimator holds for it; what is reported
  as the loss has the averages for its value, those after this step.

  Metrics, of a constraint <name>: constraint/<name>, the C of the step; constraint_average/<name>, multiplier/<name>,
  as they were when the step began; threshold/<name>; and what the multiplier amounts to (`Measure.equivalents`).

  Args:
    measures: K.
    multipliers: of K.
    starts: of the multipliers. None: where the measure guesses that it will end.
  """

  def __init__(self, measures: list[Measure], multipliers: Multipliers, starts: list[float | None]):
    self.measures, self.multipliers = measures, multipliers
    begin = lambda start: None if start is None else number(start, 'start', 'float64')
    self._starts = [begin(start) for start in starts]
    self.frozen = {name: identity for measure in measures for name, identity in measure.frozen.items()}
    own = [*multipliers.variables.items(), *(pair for measure in measures for pair in measure.variables.items())]
    self.variables = {f'constraint/{name}': value for name, value in own}
    self._begin()

  def _begin(self):
    pairs = zip(self.measures, self._starts, strict=True)
    self.multipliers.begin([measure.guess() if start is None else start for measure, start in pairs])

  def fit(self, moments):
    for measure in self.measures:
      measure.fit(moments)
    self._begin()

  def _thresholds(self):
    return tf.stack([measure.threshold() for measure in self.measures])

  def __call__(self, seen):
    values = [measure.value(seen) for measure in self.measures]
    thresholds, multipliers = self._thresholds(), self.multipliers.value()
    averages, memory = tf.convert_to_tensor(self.multipliers.average), self.multipliers.memory(seen.step)
    numbers = tf.stack([thresholds, multipliers, averages, memory * multipliers])
    losses, shifts, metrics = [], [], {}
    columns = tf.unstack(tf.cast(numbers, values[0].dtype), axis=1)
    for measure, value, own in zip(self.measures, values, columns, strict=True):
      name, (threshold, multiplier, average, weight) = measure.name, tf.unstack(own)
      excess = value - threshold if measure.sign > 0 else threshold - value
      mean = tf.reduce_mean(excess, 0)
      losses.append(multiplier * excess)
      shifts.append(weight * (average - mean))
      metrics |= {
        seen.trace.named(f'constraint/{name}', name): mean,
        f'constraint_average/{name}': average,
        f'multiplier/{name}': multiplier,
        f'threshold/{name}': threshold,
        **measure.equivalents(multiplier, average, threshold),
      }
    return Contribution(tf.add_n(losses), metrics, tf.add_n(shifts))

  def update(self, means, step):
    names = [f'constraint/{measure.name}' for measure in self.measures]
    own = tf.stack([means[name] if name in means else means[f'{RELAXED}{name}'] for name in names])
    self.multipliers.update(own, self._thresholds(), step)

  @classmethod
  def from_spec(cls, spec, model, make: Make) -> 'Constraints':
    """Those of a spec. With the published update multipliers start at 1, with the relative one where they will be
    right, unless the spec says where.
    """
    section, default = spec.constraint, 1.0 if spec.constraint['update'] == 'published' else None
    measures = make.constraints(spec, model.decoder.likelihood.observation)
    hold = round(section.warmup * spec.train.steps)
    multipliers = Multipliers(
      len(measures), section['update'], section.alpha, section.multiplier_rate, section.range, hold
    )  # .update is a method of ConfigDict
    given = [section[m.name].multiplier if m.name in section else 0.0 for m in measures]  # those of rates are betas: 1
    return cls(measures, multipliers, [start or default for start in given])
