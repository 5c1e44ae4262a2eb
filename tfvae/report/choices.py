"""Which betas or rate targets to choose, and for what: by the numbers of groups of runs over their seeds.

After Xiao & Bamler (2023), sections 5 and 6: one model's betas suit reconstruction, others' sampling, others'
classification. What is best is so by the mean over seeds, and only where seeds spread less than that is it told apart.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from tfvae import spec as spec_lib
from tfvae.report.repeats import summary
from tfvae.run import metrics
from tfvae.run.collection import Collection, Entry, differing, groups, telling, usable
from tfvae.run.meanings import meaning
from tfvae.spec.entries import TASKS
from tfvae.theory.information import accuracy_bound, classes_of

# What a purpose is judged by: the first of these that most groups have. A * stands for anything.
PURPOSES = {
  'reconstruction': ('psnr', 'mse', 'reconstruction_accuracy/reconstruction', 'log_likelihood'),
  # Not marginal_kl before the bounds: it is lowest where codes tell nothing, whose samples are all alike.
  'sampling': ('fid/*/prior', 'inception_score/prior', 'log_evidence', 'elbo', 'marginal_kl/*'),
  'classification': ('probe/*/*', 'accuracy_bound_information/*', 'accuracy_bound_by_rate/*'),
}
BETA, CONSTRAINT, TARGET = 'objective.beta.', 'constraint.', 'constraint.rate.'
BY_RATE = 'accuracy_bound_by_rate/'  # f^-1 of a mean rate, of runs that kept no bound
# Densities of x, or probabilities: which of both, and over what, is the likelihood's.
OF_THE_LIKELIHOOD = ('elbo', 'log_likelihood', 'log_evidence')
# Of made data, images and their values: what is evaluated. Others are of training, or of where data are.
OF_DATA = tuple(
  f'data.{name}'
  for name in (
    'label', 'crop', 'resize', 'pad', 'channels', 'noise', 'latents', 'dims', 'segments', 'scaling', 'bits',
    'threshold', 'test', 'pool',
  )
)  # fmt: skip
MOST_NAMED = 3
MOST_LAYERS = 4


class Spread(NamedTuple):
  """A number over the runs of a group; std (n - 1) is NaN of a single one."""

  mean: float
  std: float
  runs: int

  def __str__(self):
    spread = f' +- {self.std:.2g}' if self.runs > 1 else ''
    return f'{self.mean:.4g}{spread}'


class Group(NamedTuple):
  """Runs that differ in their seeds alone.

  Attributes:
    label: the fields in which groups differ, as flags write them.
    fields: {field: value} of these.
    runs: the runs.
    numbers: {split: {name: Spread}}.
  """

  label: str
  fields: dict
  runs: list[Entry]
  numbers: dict[str, dict[str, Spread]]


class Choice(NamedTuple):
  """What to choose for a purpose.

  Attributes:
    purpose: reconstruction, sampling, or classification, of which layers: 'classification by z2'.
    name: the number that decides, of the split; better: 1 where more of it is better, -1 where less is.
    best: the group with the best mean; value: its number.
    near: the others, best first, that are not told apart from it: their means differ by no more than the larger of both
      spreads (of one run each by twice the standard error of the difference, where evaluations have them).
    second: the best of the others with its number, told apart or not.
    known: whether anything says how far numbers spread.
    data: the name of the data.
  """

  purpose: str
  name: str
  split: str
  better: int
  best: Group
  value: Spread
  near: list[Group]
  second: tuple[Group, Spread]
  known: bool
  data: str

  @property
  def text(self) -> str:
    """The choice in a line, with what it is by."""
    split = f', {self.split} split' if self.split != 'test' else ''
    seeds = f'{self.value.runs} seed{"s" * (self.value.runs > 1)}'
    return f'{self.best.label}: {self.name} {self.value}{_unit(self.name)} ({seeds}{split})'

  @property
  def doubt(self) -> str:
    """What speaks against it, or how far the next one is."""
    other, value = self.second
    if not self.known:
      return f'next: {other.label} ({value}); one run each, whose spread is not known: repeat with other seeds'
    single = self.value.runs == value.runs == 1
    spread = 'two standard errors over the examples' if single else 'the spread'
    more_seeds = '; one seed each: repeat with others' if single else ''
    if not self.near:
      return f'next: {other.label} ({value}), further away than {spread}{more_seeds}'
    more = f' and {len(self.near) - MOST_NAMED} more' if len(self.near) > MOST_NAMED else ''
    labels = '; '.join(group.label for group in self.near[:MOST_NAMED])
    return f'not told apart from {labels}{more}, within {spread}{more_seeds}'


def _unit(name):
  unit = metrics.main([name]).get(name, '').strip('()')
  return f' {unit}' if unit else ''


def grouped(runs: list[Entry]) -> list[Group]:
  """The groups of the runs that count, with their numbers, under the fields that tell these apart."""
  own = list(groups(usable(runs)[0]).values())
  names, found = telling([group[0].settings for group in own]), []
  for group in own:
    fields = {name: group[0].fields[name] for name in _asked(names, group[0]) if name in group[0].fields}
    label = ', '.join(f'{name}={spec_lib.to_text(value)}' for name, value in fields.items())
    found.append(Group(label or group[0].name, fields, group, _spreads(group)))
  return found


def _asked(names, run):
  """Of the fields by which groups are told apart those that hold in a run, and the targets of rates, if any."""
  targets = [f'{TARGET}{layer}' for layer in held(run.fields)]
  return [name for name in names if holds(name, run.fields) and name not in targets] + targets


def held(fields: dict[str, Any]) -> list[str]:
  """The layers of a run whose rates are held at targets; the betas of the others hold."""
  layers = fields['model.layers'] if 'rate' in fields['constraint.names'] else ()
  return [layer for layer in layers if fields.get(f'{TARGET}{layer}', 0)]


def holds(name: str, fields: dict[str, Any]) -> bool:
  """Whether a field of a run says what it was asked for: where the rate of a layer is held at a target, its beta is
  found; where nothing is constrained, fields of constraints say nothing, nor do targets that are none.
  """
  if name.startswith(BETA):
    return name.removeprefix(BETA) not in held(fields)
  if name.startswith(TARGET):
    return name.removeprefix(TARGET) in held(fields)
  return not name.startswith(CONSTRAINT) or bool(fields['constraint.names'])


def by_data(runs: list[Entry]) -> dict[str, list[Entry]]:
  """The runs of each data set under its name, with what else of the data differs: others are not compared."""
  found = {}
  for run in runs:
    found.setdefault((data_of(run), tuple(run.fields.get(name) for name in OF_DATA)), []).append(run)
  names = [name for name, _ in found]
  named = {}
  for (name, _), own in found.items():
    alike = [values for other, values in found if other == name]
    fields = differing(dict(zip(OF_DATA, values, strict=True)) for values in alike) if names.count(name) > 1 else []
    more = ', '.join(f'{field}={spec_lib.to_text(own[0].fields[field])}' for field in fields)
    named[f'{name}, {more}' if more else name] = own
  return named


def _spreads(runs):
  return {
    split: {
      name: Spread(of['mean'], math.nan if of['std'] is None else of['std'], of['runs']) for name, of in numbers.items()
    }
    for split, numbers in summary(runs).items()
  }


def choices(collection: Collection) -> list[Choice]:
  """What to choose for each of `PURPOSES`, of the groups of each data set of which there are two or more."""
  found = []
  for data, runs in by_data(collection.runs).items():
    own = grouped(runs)
    split = _split(own)
    if len(own) > 1 and split:
      found += [choice for purpose in PURPOSES for choice in _choose(purpose, own, split, data)]
  return found


def data_of(run: Entry) -> str:
  """The data that a run is of, as told; runs of others are not compared."""
  own = run.fields
  shown = [own['data.name'], *([own['data.of']] if own['data.name'] in TASKS else []), own['data.path']]
  more = [own[name] for name in ('data.context', 'data.binarize') if own[name] != 'none']
  more += ['targets'] if own['data.target'] != 'x' else []
  return ' '.join([*filter(None, shown), *([f'({", ".join(more)})'] if more else [])])


def _split(own):
  """The split that most of them were evaluated on."""
  counts = {}
  for group in own:
    for split in group.numbers:
      counts[split] = counts.get(split, 0) + (1 + (split == group.runs[0].split))
  return max(counts, key=counts.get) if counts else None


def _choose(purpose, own, split, data):
  numbers = [_with_bounds(group, split) for group in own]
  alike = len({group.runs[0].fields['decoder.likelihood'] for group in own}) == 1
  for pattern in PURPOSES[purpose]:
    if pattern in OF_THE_LIKELIHOOD and not alike:
      continue
    names = dict.fromkeys(name for of in numbers for name in of if metrics.fits(name, pattern))
    names = [name for name in names if 2 * sum(_there(of, name) for of in numbers) > len(numbers)]
    if purpose == 'classification' and names:
      layers = dict.fromkeys(name.rpartition('/')[2] for name in names)
      judged = [
        _judge(f'{purpose} by {layer}', _best_of(names, layer, numbers), own, numbers, split, data) for layer in layers
      ]
      return [choice for choice in judged if choice][:MOST_LAYERS]
    if names:
      choice = _judge(purpose, names[-1], own, numbers, split, data)  # of several layers those of most
      return [choice] if choice else []
  return []


def _best_of(names, layer, numbers):
  """Of the classifiers that look at a layer the one with the highest mean somewhere."""
  own = [name for name in names if name.rpartition('/')[2] == layer]
  return max(own, key=lambda name: max(of[name].mean for of in numbers if _there(of, name)))


def _there(numbers, name):
  return name in numbers and math.isfinite(numbers[name].mean)


def _judge(purpose, name, own, numbers, split, data):
  better = 1 if name.startswith(BY_RATE) else meaning(name).better or 1
  ranked = sorted(
    ((group, of[name]) for group, of in zip(own, numbers, strict=True) if _there(of, name)),
    key=lambda pair: -better * pair[1].mean,
  )
  if len(ranked) < 2:
    return None
  (best, value), *others = ranked
  spreads = [_apart((best, value), other, split, name) for other in others]
  near = [
    group
    for (group, of), spread in zip(others, spreads, strict=True)
    if spread is not None and abs(of.mean - value.mean) <= spread
  ]
  return Choice(purpose, name, split, better, best, value, near, others[0], spreads[0] is not None, data)


def _apart(a, b, split, name):
  """By how much two means must differ to be told apart; None: that is not known."""
  spreads = [spread.std for _, spread in (a, b) if math.isfinite(spread.std)]
  if spreads:
    return max(spreads)
  errors = [
    run.numbers.get(split, {}).get(metrics.standard_error(name)) for group, _ in (a, b) for run in group.runs[:1]
  ]
  return None if None in errors else 2 * math.hypot(*errors)


def _with_bounds(group, split):
  """The numbers of a group, and the bounds of accuracies that follow from its rates where its runs kept none."""
  numbers = group.numbers.get(split, {})
  entropy = numbers['label_entropy'].mean if 'label_entropy' in numbers else 0.0
  classes = classes_of(entropy, (run.numbers.get(split, {}).get('labels', math.nan) for run in group.runs))
  if classes is None:
    return numbers
  bounds = {}
  for layers in _bounding(group.runs[0].fields):
    rates = [sum(run.numbers.get(split, {}).get(f'rate/{layer}', math.nan) for layer in layers) for run in group.runs]
    own = [accuracy_bound(rate, entropy, classes) for rate in rates if math.isfinite(rate)]
    if own:
      std = float(np.std(own, ddof=1)) if len(own) > 1 else math.nan
      bounds[f'{BY_RATE}{",".join(layers)}'] = Spread(float(np.mean(own)), std, len(own))
  return numbers | bounds


def _bounding(fields):
  """The layers whose rates together bound what codes of theirs tell of x: the first ones where they are inferred in the
  order of the prior, from the top, else all of them (see `analysis.accuracy_bounds`).
  """
  layers = tuple(fields['model.layers'])
  first = 1 if fields['model.inference'] != 'reverse' else len(layers)
  return [layers[:count] for count in range(first, len(layers) + 1)]


def lines(found: list[Choice]) -> list[str]:
  """The choices as text, two lines each."""
  text, several = [], len({choice.data for choice in found}) > 1
  for choice in found:
    data = f' of {choice.data}' if several else ''
    text += [f'{choice.purpose}{data}: {choice.text}', f'  {choice.doubt}']
  return ['Which to choose:', *(f'  {line}' for line in text)] if text else []
