"""Data as arrays, before TensorFlow is imported."""

from typing import NamedTuple

import numpy as np

from tfvae.errors import UserError


class Dataset(NamedTuple):
  """Splits of examples as they are stored, and how a stored value becomes the observation: scale * value + offset."""

  name: str
  splits: dict[str, dict[str, np.ndarray]]  # split: {'x': [N, ...], 'label': [N] where there is one}
  scale: float = 1.0
  offset: float = 0.0
  binarize: str = 'none'
  threshold: float = 0.5

  @property
  def shape(self) -> tuple[int, ...]:
    """Of one example."""
    return tuple(self.splits['train']['x'].shape[1:])

  def size(self, split: str) -> int:
    """Examples in a split."""
    return len(self.splits[split]['x'])

  def range(self) -> tuple[float, float]:
    """The smallest and the largest value of the scaled (and not yet binarised) data, over all splits."""
    ends = [f(arrays['x']) for arrays in self.splits.values() if len(arrays['x']) for f in (np.min, np.max)]
    low, high = sorted(self.scale * float(end) + self.offset for end in (min(ends), max(ends)))
    return low, high


def make(name: str, train: dict, test: dict, section, seed: int) -> Dataset:
  """A data set of two stored splits as spec.data asks for it: validation split, scaling, binarisation.

  The validation split is a part of the training split, drawn from `seed`; scales are fitted on what remains.
  """
  n = len(train['x'])
  held_out = round(section.validation * n)
  if section.validation and not 0 < held_out < n:
    raise UserError(
      f'spec.data.validation: got {section.validation:g}, which is {held_out} of the {n} training examples; '
      'at least one must be left on each side'
    )
  order = np.random.default_rng([seed, 0]).permutation(n) if held_out else np.arange(n)
  validation, rest = np.sort(order[:held_out]), np.sort(order[held_out:])
  splits = {'train': {k: v[rest] for k, v in train.items()}, 'test': test}
  if held_out:
    splits['validation'] = {k: v[validation] for k, v in train.items()}
  scale, offset = _scaling(section.scaling, splits['train']['x'])
  return Dataset(name, splits, scale, offset, section.binarize, section.threshold)


def _scaling(kind, x):
  if kind == 'none':
    return 1.0, 0.0
  if kind == 'min_max':
    center, width = float(x.min()), float(x.max()) - float(x.min())
  else:
    center, width = float(x.mean(dtype=np.float64)), float(x.std(dtype=np.float64))
  if width == 0:
    raise UserError(f'spec.data.scaling: got {kind}, but all values of the training split are {center:g}; use none')
  return 1 / width, -center / width


def problems(spec, dataset: Dataset) -> list[str]:
  """What of a spec does not fit its data, a line each."""
  found, n = [], dataset.size('train')
  low, high = dataset.range()
  inside = low >= -1e-6 and high <= 1 + 1e-6
  if spec.data.batch_size > n:
    found.append(
      f'spec.data.batch_size: got {spec.data.batch_size}; allowed: at most the {n} training examples of {dataset.name}'
    )
  if spec.data.binarize in ('static', 'dynamic') and not inside:
    found.append(
      f'spec.data.binarize: got {spec.data.binarize}, which needs values in [0, 1], but those of {dataset.name} are '
      f'in [{low:g}, {high:g}]; use spec.data.scaling=min_max'
    )
  elif spec.decoder.likelihood == 'bernoulli' and spec.data.binarize == 'none' and not inside:
    found.append(
      f'spec.decoder.likelihood: got bernoulli, which needs data in [0, 1], but the values of {dataset.name} are in '
      f'[{low:g}, {high:g}]; use spec.data.scaling=min_max, spec.data.binarize, or spec.decoder.likelihood=gaussian'
    )
  return found
