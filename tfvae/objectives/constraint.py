"""A constraint as a term of a loss: its measure and its multiplier."""

import tensorflow as tf

from tfvae.making import Make
from tfvae.models.trace import RELAXED
from tfvae.objectives.measures import Measure
from tfvae.objectives.multiplier import Multiplier
from tfvae.objectives.terms import Contribution, Term


class Constraint(Term):
  """lambda C, with C = C_hat + sg(C_avg - C_hat) (Rezende & Viola 2018, Algorithm 1).

  The gradient is lambda times that of the batch's own C, [S, B], so that every estimator holds for it; what is reported
  as the loss has the average for its value, the one after this step.

  Metrics, of a constraint <name>: constraint/<name>, the C of the step; constraint_average/<name>, multiplier/<name>,
  as they were when the step began; threshold/<name>; and what the multiplier amounts to (`Measure.equivalents`).

  Args:
    measure, multiplier: its two parts.
    start: of the multiplier. None: where the measure guesses that it will end.
  """

  def __init__(self, measure: Measure, multiplier: Multiplier, start: float | None = None):
    self.measure, self.multiplier, self._start = measure, multiplier, start
    self.frozen = measure.frozen
    self.variables = {f'constraint/{key}': v for key, v in {**multiplier.variables, **measure.variables}.items()}
    self._begin()

  def _begin(self):
    self.multiplier.begin(self.measure.guess() if self._start is None else self._start)

  def fit(self, moments):
    self.measure.fit(moments)
    self._begin()

  def __call__(self, seen):
    measure, name = self.measure, self.measure.name
    value = measure.value(seen)
    threshold, multiplier, average = (
      tf.cast(number, value.dtype)
      for number in (measure.threshold(), self.multiplier.value(), tf.convert_to_tensor(self.multiplier.average))
    )
    excess = value - threshold if measure.sign > 0 else threshold - value
    mean = tf.reduce_mean(excess, 0)
    shift = multiplier * tf.cast(self.multiplier.memory(seen.step), value.dtype) * (average - mean)
    metrics = {
      seen.trace.named(f'constraint/{name}', name): mean,
      f'constraint_average/{name}': average,
      f'multiplier/{name}': multiplier,
      f'threshold/{name}': threshold,
      **measure.equivalents(multiplier, average, threshold),
    }
    return Contribution(multiplier * excess, metrics, shift)

  def update(self, means, step):
    name = f'constraint/{self.measure.name}'
    mean = means[name] if name in means else means[f'{RELAXED}{name}']
    self.multiplier.update(mean, self.measure.threshold(), step)


def constraints_of(spec, model, make: Make) -> list[Constraint]:
  """Those of a spec. With the published update multipliers start at 1, with the relative one where they will be right,
  unless the spec says where.
  """
  section, found = spec.constraint, []
  for measure in make.constraints(spec, model.decoder.likelihood.observation) if section.names else ():
    update, hold = section['update'], round(section.warmup * spec.train.steps)  # .update is a method of ConfigDict
    multiplier = Multiplier(measure.name, update, section.alpha, section.multiplier_rate, section.range, hold)
    given = section[measure.name].multiplier if measure.name in section else 0.0  # those of rates are betas: 1
    found.append(Constraint(measure, multiplier, given or (1.0 if update == 'published' else None)))
  return found
