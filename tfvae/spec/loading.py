"""Specs: made by `base`, read from spec files, overridden by flags, validated, written to and read from JSON.

Nothing here imports TensorFlow: a user's mistake is reported at once, with all the others.
"""

import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict, FrozenConfigDict

from tfvae.errors import SpecError, cut, nearest, short
from tfvae.spec import catalogue, specfile
from tfvae.spec.entries import TASKS
from tfvae.spec.evaluators import kind
from tfvae.spec.fields.evaluation import EVAL, named
from tfvae.spec.fields.field import flatten
from tfvae.spec.fields.model import layers_problem
from tfvae.spec.rules import RULES
from tfvae.spec.schema import RENAMED, schema, unknown


def base(layers: tuple[str, ...] = ('z2', 'z1')) -> ConfigDict:
  """The complete spec with these latent layers (top first), every field at its default.

  Fields can be assigned, not added. Raises ValueError where the layers are not named zL, ..., z1.
  """
  if problem := layers_problem(layers):
    raise ValueError(f'layers: {problem}')
  return ConfigDict(_defaults(schema(layers))).lock()


def _schema(values):
  """All fields that a spec with these values has."""
  return schema(tuple(values['model']['layers']), _evaluators(values))


def _evaluators(values):
  """spec.eval.evaluators of values that may be anything."""
  section = values.get('eval')
  return section.get('evaluators', ()) if hasattr(section, 'get') else ()


def _match_evaluators(values):
  """Gives each evaluator with a name of one's own a section, a copy of that of its kind, and leaves no other there."""
  section = values.get('eval')
  if isinstance(section, dict):
    names = named(_evaluators(values))
    for name in names:
      if name not in section and isinstance(section.get(kind(name)), dict):
        section[name] = dict(section[kind(name)])
    for name in [name for name in section if named((name,)) and name not in names]:
      del section[name]


def _defaults(tree):
  return {k: _defaults(v) if isinstance(v, dict) else v.default for k, v in tree.items()}


def evaluator(spec: ConfigDict, name: str) -> ConfigDict:
  """The section of an evaluator of a spec that is being made, such as 'fid-test' beside 'fid', added where it is not
  there: to spec.eval.evaluators, and as a copy of that of its kind. Raises SpecError: there is no such kind.
  """
  if problem := EVAL['evaluators'].problem((name,)):
    raise SpecError([f'spec.eval.evaluators: {problem}'])
  if name not in spec.eval.evaluators:
    spec.eval.evaluators = (*spec.eval.evaluators, name)
  if name not in spec.eval and named((name,)):
    with spec.eval.unlocked():
      spec.eval[name] = spec.eval[kind(name)].copy_and_resolve_references()
  return spec.eval[name]


def words(variant: str, *choices: tuple[str, ...]) -> set[str]:
  """The words of a variant such as 'mnist,reverse', at most one of each group of `choices`.

  The first word of a group is its default, and is returned where the variant has none of the group.
  Raises SpecError, with the known words, where a word is unknown, twice there, or contradicts another.
  """
  known = [word for group in choices for word in group]
  chosen = [word.strip() for word in variant.split(',') if word.strip()]
  problems = [
    f'variant word {short(word)} is unknown; known: {", ".join(known)}.{nearest(word, known)}'
    for word in chosen
    if word not in known
  ]
  for group in choices:
    of_group = [word for word in chosen if word in group]
    if len(of_group) > 1:
      got = cut(', '.join(of_group))
      problems.append(f'variant {short(variant)}: only one of {", ".join(group)} can be chosen, got {got}')
    if not of_group:
      chosen.append(group[0])
  if problems:
    raise SpecError(problems)
  return set(chosen)


def load(path: str | os.PathLike, overrides: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> ConfigDict:
  """The validated, frozen spec of a spec file: 'specs/hit.py' or, with a variant, 'specs/hit.py:words'.

  Args:
    path: the spec file, which defines get_config(variant='...'), or the spec.json of a run.
    overrides: (field, value) pairs or a mapping, such as {'train.steps': 500}; a text is parsed as a flag's.

  Raises:
    SpecError: naming every problem found.
  """
  return derive(read(path), path, overrides)


def derive(own: ConfigDict, path: str | os.PathLike, overrides: Mapping[str, Any] | Iterable[tuple[str, Any]]):
  """What `load` gives, of a spec that `read` gave: of the same file there may be many specs."""
  resolved = resolve(own, overrides)
  return at(resolved, Origin(cut(str(path), 200), *specfile.split(path), _changes(own, resolved, overrides)))


def at(spec: ConfigDict, origin: 'Origin') -> ConfigDict:
  """The spec, which `origin` now says where it is from."""
  object.__setattr__(spec, '_origin', origin)
  return spec


class Origin(NamedTuple):
  """Where `load` has a spec from."""

  path: str  # as it was given, for messages
  file: pathlib.Path
  variant: str
  changes: dict[str, Any]  # field: value, of the overrides that differ from what the file says

  @property
  def name(self) -> str:
    """<spec>-<variant>; of a run's spec.json, the name of the run's directory."""
    if specfile.is_json(self.file) and self.file.stem == 'spec':
      return self.file.absolute().parent.name
    return self.file.stem + (f'-{self.variant.replace(" ", "")}' if self.variant else '')


def origin(spec: ConfigDict) -> Origin | None:
  """Where `load` has a spec from; None where it was made otherwise."""
  return getattr(spec, '_origin', None)


def read(path: str | os.PathLike) -> ConfigDict:
  """The spec of a spec file as it is there, without overrides. Of a Python file it may be invalid still."""
  file, variant = specfile.split(path)
  if specfile.is_json(file):
    if variant:
      raise SpecError([f'--spec: got the variant {short(variant)}, but {cut(str(file))} has none; leave it out'])
    try:
      # What a file says is no leave to use the network: that takes the flag.
      return resolve(from_json(specfile.read_text(file)), {'data.download': False})
    except SpecError as error:
      raise SpecError([p if p.startswith('--spec') else f'{cut(str(file))}: {p}' for p in error.problems]) from None
  spec = specfile.call(file, variant)
  if not isinstance(spec, ConfigDict):
    raise SpecError([f'{file}: get_config must return a spec made by tfvae.spec.base, got {type(spec).__name__}'])
  return spec


def fields_of(own: ConfigDict, overrides: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> dict:
  """{name: Field} of the fields that a spec has with these overrides, which may be wrong still."""
  values = _copy(own.to_dict())
  for name, value in pairs(overrides):
    if name in ('model.layers', 'eval.evaluators') and not _override(values, name, value):
      _match_evaluators(values)
  return flatten(_schema(values))


def _changes(own, resolved, overrides):
  before, after = flatten(own.to_dict()), flatten(resolved.to_dict())
  before = {name: tuple(value) if isinstance(value, list) else value for name, value in before.items()}
  names = sorted({name for name, _ in pairs(overrides)} & after.keys())
  return {name: after[name] for name in names if before.get(name) != after[name]}


def to_text(value) -> str:
  """A field's value as a flag writes it; values that are equal are written alike."""
  if isinstance(value, tuple):
    return ','.join(map(to_text, value))
  return str(value).lower() if isinstance(value, bool) else str(value).removesuffix('.0')


def split_flags(argv: list[str], section: str = 'spec') -> tuple[list[str], list[tuple[str, str]]]:
  """Takes '--spec.FIELD=VALUE' and '--spec.FIELD VALUE' out of a command line: (the rest, (field, value) pairs)."""
  rest, found, waiting, begin = [], [], None, f'{section}.'
  for arg in argv:
    name, equals, value = arg.lstrip('-').partition('=')
    if waiting and not arg.startswith('--'):
      found.append((waiting, arg))
      waiting = None
      continue
    if waiting:  # a flag without a value: true, as for other flags
      found.append((waiting, 'true'))
      waiting = None
    if arg.startswith('-') and name.startswith(begin):
      waiting = None if equals else name[len(begin) :]
      found += [(name[len(begin) :], value)] if equals else []
    else:
      rest.append(arg)
  return rest, found + ([(waiting, 'true')] if waiting else [])


def resolve(spec: ConfigDict, overrides: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> ConfigDict:
  """A validated, frozen copy of `spec` with the overrides. Raises SpecError naming every problem found."""
  if not isinstance(spec, ConfigDict):
    raise SpecError(
      [
        f'spec: got {short(spec)}; allowed: a spec of tfvae.load_spec or tfvae.spec.base. Fields go in as '
        "tfvae.load_spec('specs/hit.py', {'train.steps': 500})"
      ]
    )
  chosen = pairs(overrides)
  values = _copy(spec.to_dict())
  _match_evaluators(values)
  found = {}  # by the place of the override
  # A change of the layers, or of evaluators, changes which other fields there are; the directory says which sets are
  # known.
  first = ('model.layers', 'eval.evaluators', 'data.data_dir')
  for place, (name, value) in sorted(enumerate(chosen), key=lambda numbered: numbered[1][0] not in first):
    problem = _override(values, name, value) or (name == _data_field(values) and _unknown_data(values))
    if problem:
      found[place] = f'spec.{cut(name)}: {problem}'
    elif name == 'model.layers':
      _drop_absent_layers(values)
    elif name == 'eval.evaluators':
      _match_evaluators(values)
  problems = [found[place] for place in sorted(found)]
  wrong = {problem.partition(':')[0] for problem in problems}
  problems += [p for p in validate(values) if p.partition(':')[0] not in wrong]
  if not problems and (problem := _unknown_data(values)):
    problems = [f'spec.{_data_field(values)}: {problem}']
  if problems:
    raise SpecError(problems)
  return freeze(values)


def pairs(overrides: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
  """(field, value) of overrides, a mapping or pairs. Raises SpecError where they are neither."""
  found = list(overrides.items() if isinstance(overrides, Mapping) else overrides)
  for pair in found:
    if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)):
      raise SpecError(
        [f"overrides: got {short(pair)}; allowed: a mapping such as {{'train.steps': 500}}, or pairs (field, value)"]
      )
  return found


def _data_field(values):
  """The field that names the set whose examples are read."""
  return 'data.of' if values['data']['name'] in TASKS else 'data.name'


def _unknown_data(values):
  data = values['data']
  if not all(isinstance(data[name], str) for name in ('name', 'of', 'data_dir')):
    return None
  return catalogue.problem(catalogue.read(data['name'], data['of']), catalogue.data_dir(data['data_dir']))


def freeze(values: dict) -> ConfigDict:
  """The spec of validated values: floats are floats, and nothing can be assigned."""
  fields = flatten(_schema(values))

  def cast(node, prefix=''):
    return {k: cast(v, f'{prefix}{k}.') if isinstance(v, dict) else fields[prefix + k].cast(v) for k, v in node.items()}

  return FrozenConfigDict(cast(values))


def _copy(values):
  return {k: _copy(v) if isinstance(v, dict) else v for k, v in values.items()}


def _override(values, name, value):
  """Sets one field; returns what is wrong instead where it cannot."""
  layers = values.get('model', {}).get('layers', ())
  try:
    fields = flatten(schema(layers if not layers_problem(layers) else (), _evaluators(values)))
  except TypeError:
    fields = flatten(schema(()))
  if name not in fields:
    return unknown(name, fields, layers)
  field = fields[name]
  if value == '=':
    return f"got '='; write it without blanks: --spec.{name}=VALUE"
  value = field.parse(value) if isinstance(value, str) else plain(value)
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


def plain(value):
  """NumPy's numbers and paths as Python's own."""
  if isinstance(value, (list, tuple)):
    return tuple(plain(v) for v in value)
  if isinstance(value, os.PathLike):
    return os.fspath(value)
  return value.item() if getattr(value, 'shape', None) == () and hasattr(value, 'item') else value


def _no_section(names):
  return (
    f'layer {names[0]} has no section spec.model.{names[0]}; choose a variant that has it, or make it in the spec '
    'file with base(layers=...)'
  )


def _drop_absent_layers(values):
  """Leaves only what the listed layers have: a shorter hierarchy's top has no prior net, say."""
  expected = _schema(values)
  for section in (('model',), ('objective', 'beta'), ('constraint', 'rate')):
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
  fields, given = flatten(schema(layers, _evaluators(values))), flatten(values)
  problems = []
  for name, field in fields.items():
    if name not in given:
      problems.append(f'spec.{name}: is missing; allowed: {field.allowed()}')
    elif problem := field.problem(given[name]):
      problems.append(f'spec.{name}: {problem}')
  problems += [f'spec.{cut(name)}: {unknown(name, fields, layers)}' for name in given if name not in fields]
  if problems:
    return problems
  given = {name: tuple(value) if fields[name].type is tuple else value for name, value in given.items()}  # JSON: lists
  return [problem for rule in RULES for problem in rule(given)]


def to_json(spec: ConfigDict) -> str:
  """The spec as JSON text in the schema's order, which `from_json` reads back without loss."""

  def ordered(values, fields):
    return {k: ordered(values[k], f) if isinstance(f, dict) else values[k] for k, f in fields.items()}

  return json.dumps(ordered(spec.to_dict(), _schema(spec)), indent=2) + '\n'


def from_json(text: str) -> ConfigDict:
  """The validated, frozen spec of `to_json`. Raises SpecError where it is not one.

  Fields that are absent have their defaults: they are newer than the text, and do what was done before there were any.
  Those that had another name once are read by it.
  """
  values = _written(text)
  if problems := validate(values):
    raise SpecError(problems)
  return freeze(values)


def fields_from_json(text: str) -> dict[str, Any]:
  """{field: value} of `to_json`, as `from_json` reads it, a tenth as long: each value is looked at, but whether they
  can be combined is not. Raises SpecError where it is no spec.
  """
  values = _written(text)
  layers, given = _layers(values), flatten(values)
  if layers is None:
    raise SpecError(['spec.model.layers: is no list of latent layers'])
  fields = flatten(schema(layers, _evaluators(values)))
  if problems := [f'spec.{name}: {problem}' for name in fields if (problem := fields[name].problem(given.get(name)))]:
    raise SpecError(problems)
  return {name: field.cast(given[name]) for name, field in fields.items()}


def _written(text):
  """The values of a spec as text, under their present names, those that are absent at their defaults."""
  try:
    values = json.loads(text)
  except (ValueError, RecursionError) as error:  # RecursionError: nested beyond all measure
    raise SpecError([f'not a spec: {cut(str(error), 200)}']) from None
  if not isinstance(values, dict):
    raise SpecError([f'not a spec: {type(values).__name__} in place of an object'])
  values = _renamed(values)
  layers = _layers(values)
  return values if layers is None else _filled(values, _defaults(schema(layers, _evaluators(values))))


def _layers(values):
  """spec.model.layers of values that may be anything; None where they are not such."""
  layers = values.get('model', {}).get('layers') if isinstance(values.get('model'), dict) else None
  return tuple(layers) if isinstance(layers, list) and not layers_problem(tuple(layers)) else None


def _renamed(values):
  """`values` with each field of RENAMED under its present name; where that is there, too, it holds."""
  values = _copy(values)
  for old, new in RENAMED.items():
    (section, field), (*present, name) = old.split('.'), new.split('.')
    if isinstance(values.get(section), dict) and field in values[section]:
      value, node = values[section].pop(field), values
      for part in present:
        node = node.setdefault(part, {}) if isinstance(node, dict) else None
      if isinstance(node, dict):
        node.setdefault(name, value)
  return values


def _filled(values, defaults):
  if not isinstance(values, dict) or not isinstance(defaults, dict):
    return values
  return {**values, **{name: _filled(values.get(name, default), default) for name, default in defaults.items()}}


def changed(spec: ConfigDict | Mapping[str, Any]) -> dict[str, Any]:
  """{field: value} of the fields that are not at the schema's defaults, of a spec or of its {field: value}."""
  given = flatten(spec.to_dict()) if isinstance(spec, ConfigDict) else spec
  fields = flatten(schema(given['model.layers'], given['eval.evaluators']))
  return {name: value for name, value in given.items() if value != fields[name].default}


def differences(old: ConfigDict, new: ConfigDict) -> dict[str, tuple[Any, Any]]:
  """{field: (old value, new value)} of the fields that differ; None stands for an absent one."""
  a, b = flatten(old.to_dict()), flatten(new.to_dict())
  return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}
