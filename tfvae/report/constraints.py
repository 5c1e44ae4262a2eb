"""What became of a run's constraints, from its directory alone: a table of what was asked, and what was reached."""

import math
from typing import NamedTuple

import numpy as np

from tfvae.report.verdicts import (
  BEYOND,
  END,
  KINDS,
  MOVING,
  SWINGS,
  TENTH,
  WARM_UP,
  Kind,
  Reason,
  Series,
  at_end,
  is_met,
  mean,
  settled,
  why_not,
)
from tfvae.run.directory import Directory

# What BEYOND is called where more is better, and of rates.
ABOVE, NOT_HELD = 'above what the model reaches', 'cannot be held'


class Found(NamedTuple):
  """A constraint in training, or on a split that was evaluated.

  Attributes:
    c: the mean of C in units of the threshold.
    reached: the same in the user's units.
    standard_error: of `reached`; nan where it is not known.
    met: whether it counts as met.
    step: at which.
  """

  c: float
  reached: float
  standard_error: float
  met: bool
  step: int


class Judged(NamedTuple):
  """What became of a constraint of a run.

  Attributes:
    name: re, fre, cla, pncc, rate/<layer>.
    kind: of it.
    asked: in the user's units.
    words: the same in words.
    training: over the last tenth of training.
    splits: of each split that was evaluated.
    multiplier: at the end, the mean of the last line.
    end: -1 where it is at the lower end of its range, 1 at the upper end, else 0.
    reason: why it is not met in training; None where it is.
    settled: the step from which on C stays within 5% of the threshold; None: it does not.
  """

  name: str
  kind: Kind
  asked: float
  words: str
  training: Found
  splits: dict[str, Found]
  multiplier: float
  end: int
  reason: Reason | None
  settled: int | None


def names(metrics: dict[str, dict[str, np.ndarray]]) -> list[str]:
  """The constraints of a run, by its metrics."""
  prefix = 'threshold/'
  return [name.removeprefix(prefix) for name in metrics.get('train', {}) if name.startswith(prefix)]


def series(metrics: dict[str, dict[str, np.ndarray]], name: str, total: int) -> Series:
  """The course of a constraint, of the lines that have it."""
  train = metrics['train']
  return Series.of(train['step'], relative(train, name), train[f'multiplier/{name}'], total)


def relative(values: dict[str, np.ndarray], name: str) -> np.ndarray:
  """C of a constraint in units of its threshold, of the metrics of a split.

  In training with softened samples it is that of these.
  """
  c = values.get(f'constraint/{name}', values.get(f'relaxed/constraint/{name}'))
  return c / values[f'threshold/{name}']


def kind_of(name: str) -> Kind:
  """Of re, fre, cla, pncc, rate/<layer>."""
  return KINDS[name.partition('/')[0]]


def judge(run: Directory) -> list[Judged]:
  """What became of each constraint of a run, by metrics.jsonl and its evaluations; none where it has no constraints."""
  metrics, spec = run.metrics, run.spec
  judged = []
  for name in names(metrics):
    course = series(metrics, name, spec.train.steps)
    if not len(course.step):
      continue
    kind, limits = kind_of(name), tuple(spec.constraint.range)
    asked, end = asked_of(spec, name), at_end(course.multiplier[-1], limits)
    threshold = metrics['train'][f'threshold/{name}'][-1]
    training = _found(kind, asked, end, *mean(course), course.step[-1])
    warm_up = spec.constraint.warmup * spec.train.steps
    judged.append(
      Judged(
        name,
        kind,
        asked,
        words(spec, name, threshold),
        training,
        _on_splits(run, name, kind, asked, end),
        float(course.multiplier[-1]),
        end,
        None if training.met else why_not(kind, asked, course, limits, warm_up),
        settled(course.step, course.c),
      )
    )
  return judged


def asked_of(spec, name: str) -> float:
  """What a user asks for: kappa, or nats."""
  section, _, layer = name.partition('/')
  return spec.constraint.rate[layer] if layer else spec.constraint[section].kappa


def _found(kind, asked, end, c, standard_error, step):
  reached = float(kind.reached(asked, c))
  slope = kind.power * reached / max(1 + kind.sign * c, 1e-300)  # the delta method
  return Found(c, reached, slope * standard_error, is_met(kind, c, end, standard_error), int(step))


def _on_splits(run, name, kind, asked, end):
  found = {}
  for split in run.evaluated:
    numbers = run.read_evaluation(run.evaluation_path(split))
    if f'constraint/{name}' in numbers:
      error = numbers.get(f'constraint_standard_error/{name}', math.nan) / numbers[f'threshold/{name}']
      found[split] = _found(kind, asked, end, relative(numbers, name), error, numbers['step'])
  return found


def words(spec, name: str, threshold: float) -> str:
  """What is asked: 'RMS error per dimension <= 0.1 units of x'."""
  own, kind = spec.constraint[name.partition('/')[0]], kind_of(name)
  text = f'{kind.what} {"" if kind.equality else "<= " if kind.sign > 0 else ">= "}{asked_of(spec, name):g}'
  if not own.get('relative'):
    return f'{text} {kind.unit}'.rstrip()
  in_units = f' ({math.sqrt(threshold):.3g} {kind.unit})' if own.reduce == 'mean' else ''
  return f'{text} standard deviations{in_units}'


# The table.


def table(run: Directory) -> list[str]:
  """Lines for a person: a row for each constraint, and below it why it is not met; none where there are none."""
  judged = judge(run)
  if not judged:
    return []
  step = judged[0].training.step
  splits = {split: found.step for each in judged for split, found in each.splits.items()}
  begin = max(1, round(step - TENTH * run.spec.train.steps) + 1)
  columns = [f'{split} split{"" if at == step else f", step {at:,}"}' for split, at in splits.items()]
  head = ['', 'asked', f'training, {begin:,}-{step:,}', *columns, 'multiplier', '']
  rows = [head]
  for each in judged:
    found = [_number(each.splits[split]) if split in each.splits else '-' for split in splits]
    rows.append([each.name, each.words, _number(each.training), *found, f'{each.multiplier:.4g}', _verdict(each)])
  widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
  lines = ['constraints:']
  for row, each in zip(rows, [None, *judged], strict=True):
    cells = [f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True)]
    lines.append(f'  {"  ".join(cells)}'.rstrip())
    lines += [f'    {text}' for text in (_whys(each) if each else ())]
  return lines


def _number(found):
  error = f' +- {found.standard_error:.1g}' if np.isfinite(found.standard_error) else ''
  return f'{found.reached:.4g}{error}'


def _verdict(judged):
  """'met', 'not met', or where it is which."""
  verdicts = {'training': judged.training.met} | {split: found.met for split, found in judged.splits.items()}
  is_slack = judged.end < 0 and judged.training.c < -judged.kind.tolerance()
  if all(verdicts.values()):
    return 'met, with room to spare' if is_slack else 'met'
  if not any(verdicts.values()):
    return 'not met'
  return ', '.join(f'{place}: {"met" if met else "not met"}' for place, met in verdicts.items())


def _whys(judged):
  """Why it is not met: in training or, where it is met there, on which splits."""
  if judged.reason:
    return [explain(judged)]
  return [
    f'{judged.name}: met over the last tenth of training, but not {"by the weights at its end, " * (split == "train")}'
    f'on the {split} split: C is {100 * found.c:+.3g}% of the threshold'
    for split, found in judged.splits.items()
    if not found.met
  ]


def explain(judged: Judged) -> str:
  """Why a constraint is not met, in a sentence."""
  kind, reason = judged.kind, judged.reason
  is_slack = reason.pushes < 0 and not kind.equality and reason.why != WARM_UP
  most = 'smallest' if (kind.sign * reason.pushes) > 0 else 'largest'
  best = f'the {most} in the last fifth of training is {reason.best:.4g}'
  if reason.why == WARM_UP:
    text = f'{WARM_UP} (spec.constraint.warmup), in which multipliers hold'
  elif reason.why == END:
    side = 'upper' if reason.pushes > 0 else 'lower'
    text = f'{END}: the multiplier is at the {side} one (spec.constraint.range); {best}'
  elif reason.why == BEYOND:
    words = NOT_HELD if kind.equality else BEYOND if kind.sign > 0 else ABOVE
    text = f'{words}: {_grows(reason)}, while {_moves(reason) or "what is reached moves no more"}; {best}'
  elif reason.why == MOVING:
    grows = _grows(reason) if reason.growth != 1 else ''
    text = f'{MOVING}: {", and ".join(filter(None, (_moves(reason), grows)))}'
    if reason.missing is not None:
      text += f'; about {reason.missing:,} steps are missing if it goes on so'
  else:
    text = f'{SWINGS}: without a trend over the last fifth of training, from {reason.best:.4g} to {reason.worst:.4g}'
  return f'{judged.name}: {"holds with room to spare; " if is_slack else ""}{text}'


def _moves(reason):
  """'' where it does not."""
  if not reason.speed:
    return ''
  return f'what is reached {"grows" if reason.speed > 0 else "falls"} by {abs(reason.speed):.3g} per 1,000 steps'


def _grows(reason):
  if reason.growth >= 1:
    return f'the multiplier grows by a factor of {reason.growth:.3g} per 1,000 steps'
  return f'the multiplier falls by a factor of {1 / reason.growth:.3g} per 1,000 steps'
