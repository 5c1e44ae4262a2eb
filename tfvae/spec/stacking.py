"""Which runs can be trained as one compiled program (`training.stacks`), and why others cannot."""

from collections.abc import Sequence

from tfvae.errors import SpecError
from tfvae.spec import fit, sharing
from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import flatten
from tfvae.spec.rules.constraint import needs_classifier

DENSE = ('mlp', 'linear')  # kinds of nets; of others a stack takes longer than its runs one by one, if it works at all
LOCAL = '--sweep.executor=local'
NOT_PAID = 'convolutions do not pay in a stack'
UNKNOWN = (32, 32, 3)  # the shape of examples where it is not known before they are read: which nets there are is


def problems(spec, shape: tuple[int, ...] | None = None) -> list[str]:
  """Why a run cannot be one of a stack, a line for each field. shape: of an example, where it is known."""
  f = flatten(spec.to_dict())
  cannot = {
    'study.name': (f['study.name'] != 'none', 'a study trains nothing'),
    'train.strategy': (f['train.strategy'] != 'one', 'a stack is on one device; use one'),
    'train.compile': (f['train.compile'] == 'eager', 'a stack is one compiled program; use auto'),
    'objective.chains': (f['objective.chains'], 'their noise is drawn within a step; use 0'),
    'data.crop_at': (f['data.crop_at'] == 'random', 'such images are read anew for each run; use center'),
    'constraint.names': (
      needs_classifier(f['constraint.names'], f['constraint.fre.features']),
      'the classifier that they are by is not stacked',
    ),
    'model.name': (NAMES['model.name'][f['model.name']].steps, NOT_PAID),
  }
  found = [_line(field, f[field], why) for field, (is_so, why) in cannot.items() if is_so]
  if cannot['model.name'][0]:
    return found
  shape = tuple(shape) if shape and None not in shape else UNKNOWN
  kinds = {f'{net.field}.kind': f[f'{net.field}.kind'] for net in fit.nets(f, shape)}
  return found + [_line(field, kind, f'{NOT_PAID}; use mlp') for field, kind in kinds.items() if kind not in DENSE]


def _line(field, value, why):
  value = ','.join(value) if isinstance(value, tuple) else value
  return f'spec.{field}: got {value}, but {why}{" or" if "; use" in why else "; use"} {LOCAL}'


def require(specs: Sequence) -> None:
  """Raises SpecError where runs cannot be one stack."""
  if found := dict.fromkeys(problem for spec in specs for problem in problems(spec)):
    raise SpecError(found)
  if len({sharing.program(spec) for spec in specs}) > 1:
    raise SpecError(['a stack is of runs that differ in betas, targets, learning rates and seeds alone'])
