"""Which runs can be trained as one compiled program (`training.stacks`), and why others cannot."""

from collections.abc import Sequence

from tfvae.errors import SpecError
from tfvae.spec import fit, sharing
from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import flatten
from tfvae.spec.rules.constraint import needs_classifier

DENSE = ('mlp', 'linear')  # kinds of nets; of others a stack takes longer than its runs one by one, if it works at all
INSTEAD = 'use --sweep.executor=local'
UNKNOWN = (32, 32, 3)  # the shape of examples where it is not known before they are read: which nets there are is


def problems(spec, shape: tuple[int, ...] | None = None) -> list[str]:
  """Why a run cannot be one of a stack, a line for each field. shape: of an example, where it is known."""
  f = flatten(spec.to_dict())
  wanted = {
    'study.name': ('none', 'a study trains nothing'),
    'train.strategy': ('one', 'a stack is on one device'),
    'objective.chains': (0, 'chains draw noise of their own within a step'),
  }
  found = [
    f'spec.{field}: got {f[field]}, but {why}; use {only} or {INSTEAD[4:]}'
    for field, (only, why) in wanted.items()
    if f[field] != only
  ]
  if f['train.compile'] == 'eager':
    found.append(f'spec.train.compile: got eager, but a stack is one compiled program; use auto or {INSTEAD[4:]}')
  if f['data.crop_at'] == 'random':
    found.append(f'spec.data.crop_at: got random: such images are read anew for each run; {INSTEAD}')
  if needs_classifier(f['constraint.names'], f['constraint.fre.features']):
    found.append(f'spec.constraint.names: got {",".join(f["constraint.names"])}, by a classifier, which is not stacked; {INSTEAD}')
  model = NAMES['model.name'][f['model.name']]
  if model.steps:
    return [*found, f'spec.model.name: got {f["model.name"]}, which is made of convolutions, and these do not pay in a stack; {INSTEAD}']
  shape = tuple(shape) if shape and None not in shape else UNKNOWN
  nets = {net.field: f[f'{net.field}.kind'] for net in fit.nets(f, shape)}
  other = {field: kind for field, kind in nets.items() if kind not in DENSE}
  return found + [
    f'spec.{field}.kind: got {kind}, but convolutions do not pay in a stack; use mlp or linear in its place, or {INSTEAD[4:]}'
    for field, kind in other.items()
  ]


def require(specs: Sequence) -> None:
  """Raises SpecError where runs cannot be one stack."""
  found = dict.fromkeys(problem for spec in specs for problem in problems(spec))
  if found:
    raise SpecError(list(found))
  if len({sharing.program(spec) for spec in specs}) > 1:
    raise SpecError(['a stack is of runs that differ in betas, targets, learning rates and seeds alone; these differ in more'])
