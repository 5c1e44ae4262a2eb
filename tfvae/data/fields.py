"""The context and the target of a data set, where spec.data asks for those that it provides. Importing this imports no
TensorFlow.
"""

import functools
import math

import numpy as np

from tfvae import memory
from tfvae.data import scaling as scaling_lib
from tfvae.data.stored import Part, Reader, Stored
from tfvae.errors import UserError

OWN = ('context', 'target')
PROVIDERS = {
  'context': 'mnist_sum, mnist_sum_hard and mnist_rotate have one, and an NPZ file (spec.data.name=table) in its '
  'arrays context and context_test',
  'target': 'an NPZ file (spec.data.name=table) has one in its arrays target and target_test',
}


def wanted(section) -> tuple[str, ...]:
  """Those that spec.data asks for as they are provided."""
  return tuple(name for name in OWN if section[name] == 'own')


def asked(stored: Stored, section) -> Stored:
  """A set with what spec.data asks for, and without what it does not; nothing is copied.

  Raises UserError: what is asked for is not there, or a target is not of the shape and type of x.
  """
  names = wanted(section)
  others = tuple(name for name in OWN if name not in names)
  stored = stored._replace(splits={split: _without(part, others) for split, part in stored.splits.items()})
  for name in names:
    for split, part in stored.splits.items():
      if name not in (there := specs(part)):
        what = f'the {split} split of {stored.name}' if name in specs(stored.splits['train']) else stored.name
        instead = 'x' if name == 'target' else 'none | label' if 'label' in there else 'none'
        raise UserError(
          f'spec.data.{name}: got own, but {what} provides no {name}; allowed: {instead}; {PROVIDERS[name]}'
        )
      if name == 'target' and there[name] != there['x']:
        got, want = (f'the shape {shape} and the type {dtype}' for shape, dtype in (there[name], there['x']))
        raise UserError(
          f'spec.data.target: got own, but the targets of {stored.name} have {got}; allowed: {want}, those of x'
        )
  return stored


def _without(part, names):
  if isinstance(part, Reader):
    from tfvae.data.reading import Fields

    return Fields(part, without=names)
  return {name: array for name, array in part.items() if name not in names}


def specs(part) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
  """Shape and type of each field of an example: {'x': (shape, dtype), ...}."""
  if isinstance(part, (Reader, Part)):
    return (part.reader if isinstance(part, Part) else part).specs
  return {name: (array.shape[1:], array.dtype) for name, array in part.items()}


def num_bytes(part, size: int, names: tuple[str, ...]) -> int:
  """Of the x of `size` examples, and of what else `names` says of them."""
  own = [(part.shape, part.dtype)] if isinstance(part, Reader) else [specs(part)['x']]
  own += [specs(part)[name] for name in names]
  return sum(size * math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in own)


def context(stored: Stored, section) -> tuple[int, ...] | None:
  """The shape of a context. (): of a label. None: there is none."""
  if section.context == 'own':
    return tuple(specs(stored.splits['train'])['context'][0])
  return () if section.context == 'label' else None


def scaled(stored: Stored, train: np.ndarray, kind: str, kept: dict | None) -> tuple[Stored, dict | None]:
  """A set whose contexts are scaled, as a table of their own, and by what; None where that is not done here.

  Images of bytes are left as they are where x is alike: `Source` then scales them as x. All others are scaled in
  float64, column by column (images of other types: by all values together), and kept as float32.

  Args:
    stored: the set, with or without contexts.
    train: the positions of the training split.
    kind: spec.data.scaling.
    kept: the scaling that a run keeps.

  Raises:
    UserError: contexts that cannot be scaled so.
    RunError: they are not those that `kept` was found for.
  """
  part = stored.splits['train']
  shape, dtype = specs(part)['context']
  if dtype == np.uint8 and len(shape) == 3 and stored.limits is not None:
    return stored, None
  memory.require(
    4 * sum(_size(of) * math.prod(shape) for of in stored.splits.values()),
    f'the scaled contexts of {stored.name}',
    'they must fit into memory: take fewer rows or columns',
  )
  names = [f'column {number} of the contexts' for number in range(*shape)] if len(shape) == 1 else ['the contexts']
  if isinstance(part, Reader):
    from tfvae.data.reading import Fields, contexts

    own = lambda: scaling_lib.fit_columns(contexts(Part(part, train)), names, np.arange(len(train)), kind)
    scaling = scaling_lib.agreed(kept, own, checked=False)  # a pass is made once: data.json has a checksum, too
    return stored._replace(splits={split: Fields(of, scaling) for split, of in stored.splits.items()}), scaling
  scaling = scaling_lib.agreed(kept, functools.partial(scaling_lib.fit_columns, part['context'], names, train, kind))
  splits = {
    split: {**of, 'context': scaling_lib.scaled(of['context'], names, scaling, kind, split)}
    for split, of in stored.splits.items()
  }
  return stored._replace(splits=splits), scaling


def _size(part):
  return part.size if isinstance(part, Reader) else len(part['x'])
