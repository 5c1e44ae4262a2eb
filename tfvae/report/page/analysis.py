"""What charts of several runs show beside the runs: hulls, bounds of accuracies, what to choose."""

from typing import Any

import numpy as np

from tfvae.report.choices import by_data, choices
from tfvae.report.page.curves import number, numbers
from tfvae.run.collection import Collection
from tfvae.theory.fronts import best_points
from tfvae.theory.information import accuracy_bounds, classes_of

BOUND = 120  # points of a bound's curve


def analysis(collection: Collection, columns: list[dict]) -> dict[str, Any]:
  """Of all runs, by the numbers of their columns as in `document`.

  'hulls': {number: [runs [...] of each data set]}, the best side of the convex hull over the total rate, in its order.
  'bounds': [{'split', 'x', 'y', 'text'}], the highest accuracy at each rate, of each split and data set with labels.
  'space': {'x', 'y': columns of rates, 'hulls': {number: [[i, j, k] of runs]}}, of one data set alone; None: there are
  no rates of two layers. 'choices': what to choose.
  """
  sets = by_data(collection.runs)
  places = {id(run): i for i, run in enumerate(collection.runs)}
  judged = [column for column in columns if column['kind'] == 'number' and column['better']]
  hulls = {}
  for column in judged:
    own = [_hull(runs, column, places) for runs in sets.values()]
    if own := [hull for hull in own if len(hull) > 1]:
      hulls[column['id']] = own
  return {
    'hulls': hulls,
    'bounds': [bound for data, runs in sets.items() for bound in _bounds(data, runs, len(sets) > 1)],
    'space': _space(collection.runs, columns, judged) if len(sets) == 1 else None,
    'choices': [_choice(choice, places, len(sets) > 1) for choice in choices(collection)],
  }


def values(runs, split: str, name: str) -> np.ndarray:
  """A number of each run; NaN where it has none."""
  return np.array([run.numbers.get(split, {}).get(name, np.nan) for run in runs], float)


def _hull(runs, column, places):
  split = column['split']
  front = best_points(values(runs, split, 'rate'), values(runs, split, column['name']), column['better'])
  return [places[id(runs[i])] for i in front.vertices]


def _bounds(data, runs, several):
  for split in dict.fromkeys(split for run in runs for split in run.numbers):
    entropies, rates = values(runs, split, 'label_entropy'), values(runs, split, 'rate')
    entropies, rates = entropies[np.isfinite(entropies)], rates[np.isfinite(rates)]
    if not len(entropies) or not len(rates):
      continue
    entropy, x = float(entropies.mean()), np.linspace(0, max(rates.max(), 1e-6), BOUND)
    classes = classes_of(entropy, values(runs, split, 'labels'))
    if classes is None:
      continue
    most = 1.2 * entropy  # it rises below the entropy of the labels alone
    if x[-1] > most:
      x = np.concatenate([np.linspace(0, most, BOUND - 1), x[-1:]])
    y = accuracy_bounds(x, entropy, classes)
    yield {'split': split, 'x': numbers(x, 5), 'y': numbers(y, 5), 'text': data if several else ''}


def _space(runs, columns, judged):
  """Over the rates of the first two layers of which most runs have both."""
  rates = [
    column for column in columns if column['kind'] == 'number' and column['name'].startswith('rate/') and column['main']
  ]
  pairs = [(y, x) for i, y in enumerate(rates) for x in rates[i + 1 :] if x['split'] == y['split']]
  for y, x in pairs:
    own = np.stack([values(runs, column['split'], column['name']) for column in (x, y)], 1)
    if 2 * np.isfinite(own).all(1).sum() > len(runs) > 2:
      shown = [column for column in judged if column['main'] and column['split'] == x['split']]
      return {'x': x['id'], 'y': y['id'], 'hulls': _hulls(own, runs, shown)}
  return None


def _hulls(rates, runs, shown):
  hulls = {}
  for column in shown:
    facets = best_points(rates, values(runs, column['split'], column['name']), column['better']).facets
    if facets.shape[1] == 3:
      hulls[column['id']] = facets.tolist()
  return hulls


def _choice(choice, places, several):
  return {
    'purpose': f'{choice.purpose} of {choice.data}' if several else choice.purpose,
    'fields': choice.best.label,
    'number': choice.name,
    'split': choice.split,
    'value': [number(choice.value.mean), number(choice.value.std), choice.value.runs],
    'doubt': choice.doubt,
    'runs': [places[id(run)] for run in choice.best.runs],
  }
