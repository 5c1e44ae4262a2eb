"""Arrays of groups of runs, as figures of several runs need them: rates, swept fields, numbers. Draws nothing."""

import functools

import numpy as np

from tfvae.report.choices import BETA, TARGET, Group, by_data, grouped, holds
from tfvae.run import metrics
from tfvae.run.collection import Collection
from tfvae.run.meanings import meaning
from tfvae.theory.information import accuracy_bounds, classes_of

# What figures of several runs show, the first ones first; of several classifiers of codes the best one at each layer.
SHOWN = (
  'rate/*', 'elbo', 'log_evidence', 'psnr', 'mse', 'fid/*/prior', 'inception_score/prior', 'probe/*/*',
  'accuracy_bound_information/*', 'reconstruction_accuracy/reconstruction', 'accuracy', 'mutual_information/*',
  'marginal_kl/*', 'active_units/*', 'bits_per_dim', 'bits_per_dim/*', 'ssim', 'entropy_sum', 'log_likelihood', 'rate',
)  # fmt: skip
MOST_SHOWN = 12
MOST_DRAWN = 1e30  # beyond it a number is that of a run that diverged, which would hide all others
BOUNDED = ('probe/', 'accuracy_bound_information/')  # accuracies of classifiers of codes, which rates bound


class Cohort:
  """Groups of runs of one data set, on one split.

  Attributes:
    data: the name of the data.
    split: the split that most were evaluated on.
    groups: those that were evaluated on it.
  """

  def __init__(self, data: str, groups: list[Group]):
    splits = [split for group in groups for split in group.numbers]
    own = [group.runs[0].split for group in groups]
    self.data = data
    self.split = max(splits, key=lambda split: (own.count(split), splits.count(split)), default='')
    self.groups = [group for group in groups if self.split in group.numbers]

  def mean(self, name: str) -> np.ndarray:
    """[G]: the mean of a number over the runs of each group; NaN where there is none, or where one diverged."""
    return self._of(name, 'mean')

  def std(self, name: str) -> np.ndarray:
    """[G]: its standard deviation (n - 1); NaN of single runs."""
    return self._of(name, 'std')

  def _of(self, name, what):
    numbers = [group.numbers[self.split].get(name) for group in self.groups]
    found = np.array([np.nan if spread is None else getattr(spread, what) for spread in numbers], float)
    return np.where(np.abs(found) < MOST_DRAWN, found, np.nan)

  @functools.cached_property
  def names(self) -> list[str]:
    """The numbers that are shown, at most `MOST_SHOWN`: of `SHOWN` those that differ between groups."""
    there = dict.fromkeys(name for group in self.groups for name in group.numbers[self.split])
    probes = [name for name in there if metrics.fits(name, 'probe/*/*')]
    best = {}
    for name in probes:
      layer = name.rpartition('/')[2]
      if layer not in best or np.nanmax(self.mean(name)) > np.nanmax(self.mean(best[layer])):
        best[layer] = name
    found = [name for pattern in SHOWN for name in there if metrics.fits(name, pattern)]
    found = [name for name in found if name not in probes or name in best.values()]
    if 'psnr' in found and 'mse' in found:
      found.remove('mse')  # which says the same
    chosen = dict.fromkeys(name for name in found if self._varies(name))
    if len(self.layers) == 1:
      chosen.pop(f'rate/{self.layers[0]}', None)
    return list(chosen)[:MOST_SHOWN]

  def _varies(self, name):
    """Whether a number differs between groups by more than rounding."""
    values = self.mean(name)[np.isfinite(self.mean(name))]
    return len(values) > 1 and np.ptp(values) > 1e-9 * np.abs(values).max()

  @functools.cached_property
  def layers(self) -> list[str]:
    """The layers whose rates most groups have, of many the two whose rates vary most, in the specs' order."""
    layers = dict.fromkeys(layer for group in self.groups for layer in group.runs[0].fields['model.layers'])
    rates = {layer: self.mean(f'rate/{layer}') for layer in layers}
    there = [layer for layer, rate in rates.items() if 2 * np.isfinite(rate).sum() > len(rate)]
    most = sorted(there, key=lambda layer: -np.nanstd(rates[layer]))[:2]
    return [layer for layer in there if layer in most]

  @functools.cached_property
  def rates(self) -> np.ndarray:
    """[G, layers]: the mean rates of `layers`."""
    return np.stack([self.mean(f'rate/{layer}') for layer in self.layers], 1).reshape(len(self.groups), -1)

  @functools.cached_property
  def equal(self) -> np.ndarray:
    """[G]: whether the betas of all layers are equal, of groups of several layers without targets of rates."""
    return np.array([self._betas_are_equal(group.runs[0].fields) for group in self.groups], bool)

  @staticmethod
  def _betas_are_equal(fields):
    betas = [fields.get(f'{BETA}{layer}') for layer in fields['model.layers']]
    return len(betas) > 1 and len(set(betas)) == 1 and 'rate' not in fields['constraint.names']

  @functools.cached_property
  def targets(self) -> np.ndarray:
    """[G]: whether rates were held at targets."""
    return np.array(['rate' in group.runs[0].fields['constraint.names'] for group in self.groups], bool)

  @functools.cached_property
  def swept(self) -> list[str]:
    """The fields of numbers in which groups differ, those with most values first."""
    values = {}
    for group in self.groups:
      for name, value in group.fields.items():
        values.setdefault(name, set()).add(value)
    numeric = [n for n, of in values.items() if len(of) > 1 and all(type(value) in (int, float) for value in of)]
    return sorted(numeric, key=lambda name: -len(values[name]))

  def values(self, field: str) -> np.ndarray:
    """[G]: the values of a field; NaN where a spec has no such field, or where it does not hold."""
    own = [group.runs[0].fields for group in self.groups]
    return np.array([fields[field] if field in fields and holds(field, fields) else np.nan for fields in own], float)

  def plane(self) -> tuple[str, str, np.ndarray] | None:
    """(field across, field up, [M] numbers of the groups) of the largest set of groups that differ in two fields of
    numbers alone, each pair of values once; None: there is none with two values of each.
    """
    best = None
    for i, a in enumerate(self.swept[:4]):
      for b in self.swept[i + 1 : 4]:
        for own in self._alike(a, b):
          varies = all(len(np.unique(self.values(name)[own])) > 1 for name in (a, b))
          if varies and (best is None or len(own) > len(best[2])):
            best = (a, b, own)
    if best is None:
      return None
    order = {f'{prefix}{layer}': place for prefix in (BETA, TARGET) for place, layer in enumerate(self.layers[::-1])}
    a, b = sorted(best[:2], key=lambda name: order.get(name, 0))  # the bottom layer across, the top one up
    return a, b, best[2]

  def _alike(self, a, b):
    sets = {}
    for i, group in enumerate(self.groups):
      rest = tuple(sorted((n, v) for n, v in group.fields.items() if n not in (a, b)))
      sets.setdefault(rest, []).append(i)
    return [np.array(own) for own in sets.values()]

  def accuracy_bound(self, rates: np.ndarray) -> np.ndarray | None:
    """The most that any classifier of codes is right at each total rate (Xiao & Bamler 2023); None: labels are not
    known, nor how many there are.
    """
    entropy = self.mean('label_entropy')[np.isfinite(self.mean('label_entropy'))]
    classes = classes_of(entropy[0], self.mean('labels')) if len(entropy) else None
    return accuracy_bounds(rates, entropy[0], classes) if classes else None


def cohorts(collection: Collection) -> list[Cohort]:
  """The groups of each data set, where two or more were evaluated on one split."""
  found = [Cohort(data, grouped(runs)) for data, runs in by_data(collection.runs).items()]
  return [cohort for cohort in found if len(cohort.groups) > 1]


def better(name: str) -> int:
  """1 where more of a number is better, -1 where less is, 0 where neither is."""
  return 0 if name.startswith('rate') else meaning(name).better


def label(name: str) -> str:
  """A number with its unit, for an axis."""
  unit = metrics.main([name]).get(name, '').partition(',')[0].partition(' about')[0].strip('()')
  return f'{name} [{unit}]' if unit and len(unit) < 16 and not name.startswith(('probe', 'accuracy')) else name
