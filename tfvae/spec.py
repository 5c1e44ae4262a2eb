"""Specs: made by `base`, read from spec files, overridden by flags, validated, written to and read from JSON.

Nothing here imports TensorFlow: a user's mistake is reported at once, with all the others.
"""

import importlib.util
import json
import pathlib
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict, FrozenConfigDict

from tfvae import catalogue
from tfvae.errors import SpecError, UserError, nearest
from tfvae.rules import RULES
from tfvae.schema import flatten, layers_problem, schema


def base(layers: tuple[str, ...] = ('z2', 'z1')) -> ConfigDict:
  """The complete spec with these latent layers (top first), every field at its default.

  Fields can be assigned, not added. Raises ValueError where the layers are not named zL, ..., z1.
  """
  if problem := layers_problem(layers):
    raise ValueError(f'layers: {problem}')
  return ConfigDict(_defaults(schema(layers))).lock()


def _defaults(tree):
  return {k: _defaults(v) if isinstance(v, dict) else v.default for k, v in tree.items()}


def words(variant: str, *choices: tuple[str, ...]) -> set[str]:
  """The words of a variant such as 'mnist,reverse', at most one of each group of `choices`.

  The first word of a group is its default, and is returned where the variant has none of the group.
  Raises SpecError, with the known words, where a word is unknown, twice there, or contradicts another.
  """
  known = [word for group in choices for word in group]
  chosen = [word.strip() for word in variant.split(',') if word.strip()]
  problems = [
    f'variant word {word!r} is unknown; known: {", ".join(known)}.{nearest(word, known)}'
    for word in chosen
    if word not in known
  ]
  for group in choices:
    of_group = [word for word in chosen if word in group]
    if len(of_group) > 1:
      problems.append(f'variant {variant!r}: only one of {", ".join(group)} can be chosen, got {", ".join(of_group)}')
    if not of_group:
      chosen.append(group[0])
  if problems:
    raise SpecError(problems)
  return set(chosen)


def load(path: str, overrides: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> ConfigDict:
  """The validated, frozen spec of a spec file: 'specs/hit.py' or, with a variant, 'specs/hit.py:words'.

  Args:
    path: the spec file, which defines get_config(variant='...').
    overrides: (field, value) pairs or a mapping, such as {'train.steps': 500}; a text is parsed as a flag's.

  Raises:
    SpecError: naming every problem found.
  """
  file, _, variant = str(path).partition(':')
  spec = _get_config(pathlib.Path(file))(variant)
  if not isinstance(spec, ConfigDict):
    raise SpecError([f'{file}: get_config must return a spec made by tfvae.spec.base, got {type(spec).__name__}'])
  resolved = resolve(spec, overrides)
  object.__setattr__(resolved, '_file', pathlib.Path(file).absolute())
  return resolved


def file_of(spec: ConfigDict) -> pathlib.Path | None:
  """The spec file that `load` read a spec from; None where it was made otherwise."""
  return getattr(spec, '_file', None)


def split_flags(argv: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
  """Takes '--spec.FIELD=VALUE' and '--spec.FIELD VALUE' out of a command line: (the rest, (field, value) pairs)."""
  rest, pairs, waiting = [], [], None
  for arg in argv:
    name, equals, value = arg.lstrip('-').partition('=')
    if waiting and not arg.startswith('--'):
      pairs.append((waiting, arg))
      waiting = None
      continue
    if waiting:  # a flag without a value: true, as for other flags
      pairs.append((waiting, 'true'))
      waiting = None
    if arg.startswith('-') and name.startswith('spec.'):
      waiting = None if equals else name[len('spec.') :]
      pairs += [(name[len('spec.') :], value)] if equals else []
    else:
      rest.append(arg)
  return rest, pairs + ([(waiting, 'true')] if waiting else [])


def resolve(spec: ConfigDict, overrides: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> ConfigDict:
  """A validated, frozen copy of `spec` with the overrides. Raises SpecError naming every problem found."""
  pairs = list(overrides.items() if isinstance(overrides, Mapping) else overrides)
  values = _copy(spec.to_dict())
  problems = []
  # A change of the layers changes which other fields there are; the directory says which sets are known.
  for name, value in sorted(pairs, key=lambda pair: pair[0] not in ('model.layers', 'data.data_dir')):
    problem = _override(values, name, value) or (name == 'data.name' and _unknown_data(values))
    if problem:
      problems.append(f'spec.{name}: {problem}')
    elif name == 'model.layers':
      _drop_absent_layers(values)
  wrong = {problem.partition(':')[0] for problem in problems}
  problems += [p for p in validate(values) if p.partition(':')[0] not in wrong]
  if not problems and (problem := _unknown_data(values)):
    problems = [f'spec.data.name: {problem}']
  if problems:
    raise SpecError(problems)
  return freeze(values)


def _unknown_data(values):
  data = values['data']
  if not isinstance(data['name'], str) or not isinstance(data['data_dir'], str):
    return None
  return catalogue.problem(data['name'], catalogue.data_dir(data['data_dir']))


def freeze(values: dict) -> ConfigDict:
  """The spec of validated values: floats are floats, and nothing can be assigned."""
  fields = flatten(schema(tuple(values['model']['layers'])))

  def cast(node, prefix=''):
    return {
      k: cast(v, f'{prefix}{k}.') if isinstance(v, dict) else _cast(v, fields[prefix + k]) for k, v in node.items()
    }

  return FrozenConfigDict(cast(values))


def _cast(value, field):
  if field.type is tuple:
    return tuple(field.item(v) for v in value)
  return field.type(value)


def _copy(values):
  return {k: _copy(v) if isinstance(v, dict) else v for k, v in values.items()}


def _override(values, name, value):
  """Sets one field; returns what is wrong instead where it cannot."""
  layers = values.get('model', {}).get('layers', ())
  try:
    fields = flatten(schema(layers if not layers_problem(layers) else ()))
  except TypeError:
    fields = flatten(schema(()))
  if name not in fields:
    return _unknown(name, fields, layers)
  field = fields[name]
  value = field.parse(value) if isinstance(value, str) else value
  if problem := (layers_problem(value) if name == 'model.layers' else field.problem(value)):
    return problem
  if name == 'model.layers' and (absent := [z for z in value if z not in values['model']]):
    return _no_section(absent)
  *parents, last = name.split('.')
  node = values
  for parent in parents:
    node = node.get(parent, {})
  node[last] = value
  return None


def _unknown(name, fields, layers):
  sections = {full.rpartition('.')[0] for full in fields} - {''}
  if name in sections or any(s.startswith(f'{name}.') for s in sections):
    inside = sorted({f[len(name) + 1 :].partition('.')[0] for f in fields if f.startswith(f'{name}.')})
    return f'is a section; its fields: {", ".join(inside)}'
  for part in name.split('.'):
    if part[:1] == 'z' and part[1:].isdigit() and part not in layers:
      return f'there is no layer {part}; the layers of this spec: {", ".join(layers)}'
  parent, _, last = name.rpartition('.')
  inside = sorted({f[len(parent) + 1 :].partition('.')[0] for f in fields if f.startswith(f'{parent}.')})
  if not parent:
    inside = sorted({f.partition('.')[0] for f in fields})
  if hint := nearest(last, inside):
    return f'unknown field.{hint.replace(" mean ", f" mean spec.{parent}." if parent else " mean spec.")}'
  if hint := nearest(name, fields):
    return f'unknown field.{hint.replace(" mean ", " mean spec.")}'
  return f'unknown field; the fields of spec{"." + parent if parent else ""}: {", ".join(inside) or "none"}'


def _no_section(names):
  return (
    f'layer {names[0]} has no section spec.model.{names[0]}; choose a variant that has it, or make it in the spec '
    'file with base(layers=...)'
  )


def _drop_absent_layers(values):
  """Leaves only what the listed layers have: a shorter hierarchy's top has no prior net, say."""
  expected = schema(values['model']['layers'])
  for section in (('model',), ('objective', 'beta')):
    node, fields = values, expected
    for part in section:
      node, fields = node[part], fields[part]
    for name in [n for n in node if n not in fields]:
      del node[name]
  for layer in values['model']['layers']:
    for name in [n for n in values['model'][layer] if n not in expected['model'][layer]]:
      del values['model'][layer][name]


def validate(spec: Mapping) -> list[str]:
  """Every problem of a spec's values, a line each, in the schema's order. Empty where it is valid."""
  values = spec.to_dict() if isinstance(spec, ConfigDict) else spec
  model = values.get('model')
  layers = model.get('layers') if isinstance(model, dict) else None
  if isinstance(layers, list):
    layers = tuple(layers)
  if problem := layers_problem(layers):
    return [f'spec.model.layers: {problem}']
  if absent := [z for z in layers if not isinstance(model.get(z), dict)]:
    return [f'spec.model.layers: {_no_section(absent)}']
  fields, given = flatten(schema(layers)), flatten(values)
  problems = []
  for name, field in fields.items():
    if name not in given:
      problems.append(f'spec.{name}: is missing; allowed: {field.allowed()}')
    elif problem := field.problem(given[name]):
      problems.append(f'spec.{name}: {problem}')
  problems += [f'spec.{name}: {_unknown(name, fields, layers)}' for name in given if name not in fields]
  if problems:
    return problems
  given = {name: tuple(value) if fields[name].type is tuple else value for name, value in given.items()}  # JSON: lists
  return [problem for rule in RULES for problem in rule(given)]


def to_json(spec: ConfigDict) -> str:
  """The spec as JSON text in the schema's order, which `from_json` reads back without loss."""

  def ordered(values, fields):
    return {k: ordered(values[k], f) if isinstance(f, dict) else values[k] for k, f in fields.items()}

  return json.dumps(ordered(spec.to_dict(), schema(spec.model.layers)), indent=2) + '\n'


def from_json(text: str) -> ConfigDict:
  """The validated, frozen spec of `to_json`. Raises SpecError where it is not one.

  Fields that are absent have their defaults: they are newer than the text, and do what was done before there were any.
  """
  try:
    values = json.loads(text)
  except json.JSONDecodeError as error:
    raise SpecError([f'not a spec: {error}']) from None
  if not isinstance(values, dict):
    raise SpecError([f'not a spec: {type(values).__name__} in place of an object'])
  layers = values.get('model', {}).get('layers') if isinstance(values.get('model'), dict) else None
  if isinstance(layers, list) and not layers_problem(tuple(layers)):
    values = _filled(values, _defaults(schema(tuple(layers))))
  if problems := validate(values):
    raise SpecError(problems)
  return freeze(values)


def _filled(values, defaults):
  if not isinstance(values, dict) or not isinstance(defaults, dict):
    return values
  return {**values, **{name: _filled(values.get(name, default), default) for name, default in defaults.items()}}


def differences(old: ConfigDict, new: ConfigDict) -> dict[str, tuple[Any, Any]]:
  """{field: (old value, new value)} of the fields that differ; None stands for an absent one."""
  a, b = flatten(old.to_dict()), flatten(new.to_dict())
  return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}


def _get_config(file):
  if not file.is_file():
    folder = next((path for path in (file, file.parent, pathlib.Path('specs')) if any(path.glob('*.py'))), file)
    there = sorted(str(path) for path in folder.glob('*.py'))
    hint = (not file.is_dir() and nearest(str(file), there)) or (f' Spec files: {", ".join(there)}' if there else '')
    raise SpecError([f'--spec: there is no spec file {file}.{hint}'])
  module_spec = importlib.util.spec_from_file_location(f'tfvae_spec_{file.stem}', file)
  if module_spec is None:
    raise SpecError([f'--spec: {file} is not a Python file; give one that defines get_config, such as specs/hit.py'])
  module = importlib.util.module_from_spec(module_spec)
  _run(file, module_spec.loader.exec_module, module)
  if not callable(getattr(module, 'get_config', None)):
    raise SpecError([f'{file}: there is no get_config in it; define get_config(variant="") that returns a spec'])
  return lambda variant: _run(file, module.get_config, *([variant] if variant else []))


def _run(file, function, *args):
  """Calls a spec file's code; its mistakes become a SpecError that names the line."""
  wrote = sys.dont_write_bytecode
  sys.dont_write_bytecode = True  # a spec is not an installed module: leave no __pycache__ beside it
  try:
    return function(*args)
  except UserError as error:
    raise SpecError([f'{file}: {line}' for line in str(error).splitlines()]) from None
  except SyntaxError as error:
    raise SpecError([f'{error.filename or file}, line {error.lineno}: syntax error: {error.msg}']) from None
  except Exception as error:  # whatever a user's file raises
    own = str(file.resolve())
    lines = [
      f.lineno for f in traceback.extract_tb(error.__traceback__) if str(pathlib.Path(f.filename).resolve()) == own
    ]
    where = f'{file}, line {lines[-1]}' if lines else str(file)
    raise SpecError([f'{where}: {type(error).__name__}: {_short(error)}']) from None
  finally:
    sys.dont_write_bytecode = wrote


def _short(error):
  """The message of an error without the list of fields that ml_collections puts in its middle."""
  text = str(error.args[0] if error.args else error)
  head, _, tail = text.partition(' Other fields present')
  return ' '.join([*head.splitlines()[:1], *tail.splitlines()[1:2]])
