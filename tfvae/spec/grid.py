"""Grids: from what --sweep.FIELD=VALUES and get_sweep() say to points, each with its spec. Imports no TensorFlow."""

import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from tfvae.errors import SpecError, cut, nearest, short
from tfvae.spec import specfile
from tfvae.spec.fields.field import Field, flatten
from tfvae.spec.loading import derive, fields_of, plain, read, to_text
from tfvae.spec.schema import unknown

MOST = 10_000  # points of a grid
DIGITS = 6  # significant, of the values between the ends of a range


class Point(NamedTuple):
  """One run of a grid."""

  fields: dict[str, Any]  # the swept ones: their values
  spec: ConfigDict


class Grid(NamedTuple):
  """The points, and what they were made of."""

  axes: dict[str, tuple]  # field: its values, in the order in which they vary, the last one fastest
  zips: tuple[tuple[str, ...], ...]  # fields that vary together
  points: list[Point]


def make(
  path: str | os.PathLike,
  overrides: Iterable[tuple[str, Any]] = (),
  axes: Iterable[tuple[str, Any]] = (),
  zips: Iterable[str] = (),
  same: Callable[[str], bool] = lambda field: False,
  options: Iterable[str] = (),
  begins: Callable[[int], None] = lambda count: None,
) -> Grid:
  """The grid of `axes` or, where there are none, of a spec file's get_sweep(variant).

  get_sweep returns {field: values}, where values are a list, or what a flag says as text ('0.1:10:7:log'); a key that
  is a tuple of fields has a list of tuples, and its fields vary together.

  Args:
    path: the spec file, with a variant after a colon.
    overrides: of fields, the same for all points.
    axes: (field, values), values as text of a flag: '0.2,1,5', of fields that are tuples '64,32;128,64', or ranges of
      numbers, START:END:COUNT and START:END:COUNT:log.
    zips: fields that vary together, separated by commas.
    same: whether runs that differ in this field alone are the same run.
    options: what else can be said in the place of a field, for hints.
    begins: is told the number of points before each is resolved, of which thousands take their time.

  Raises:
    SpecError: naming every problem found; one that many points have, once.
  """
  own, overrides, axes = read(path), list(overrides), list(axes)
  given, pairs = (dict(axes), []) if axes else _of_file(path)
  names = [name for name, _ in axes]
  problems = [f'sweep.{cut(name)}: is given twice' for name in dict.fromkeys(names) if names.count(name) > 1]
  pairs += [tuple(name.strip() for name in text.split(',') if name.strip()) for text in zips]
  known, found = fields_of(own, overrides), {}
  for name, values in given.items():
    try:
      found[name] = _values(name, values, known, tuple(own.model.layers), options)
    except SpecError as error:
      problems += error.problems
  advice = 'leave one of them out' if axes else 'name what is to be swept by --sweep.FIELD, in the place of get_sweep()'
  problems += [f'sweep.{name}: is set by --spec.{name}, too; {advice}' for name, _ in overrides if name in found]
  problems += _zip_problems(pairs, found, given)
  problems += _twice(found, {name for fields in pairs for name in fields})
  if problems:
    raise SpecError(problems)
  if not found:
    raise SpecError(
      [f'--mode=sweep: no field is swept; give --sweep.FIELD=VALUES, or define get_sweep() in {cut(str(path))}']
    )
  rows = _rows(found, pairs)
  begins(len(rows))
  return Grid(found, tuple(pairs), _resolved(own, path, overrides, rows, same))


# What is swept.


def _of_file(path):
  """({field: values}, the fields that vary together) of get_sweep(variant) of a spec file; none where there is none."""
  file, variant = specfile.split(path)
  said = None if specfile.is_json(file) else specfile.call(file, variant, 'get_sweep')
  if said is None:
    return {}, []
  if not isinstance(said, Mapping):
    raise SpecError([f'{file}: get_sweep must return {{field: values}}, got {short(said)}'])
  axes, zips, problems = {}, [], []
  for key, values in said.items():
    names = key if isinstance(key, tuple) else (key,)
    rows = values if isinstance(key, tuple) and isinstance(values, (list, tuple)) else ()
    if not all(isinstance(name, str) for name in names) or len(names) < 1 + isinstance(key, tuple):
      problems.append(f'{file}: get_sweep: got {short(key)}; allowed: a field, or a tuple of fields that vary together')
    elif again := [name for name in names if name in axes or names.count(name) > 1]:
      problems.append(f'{file}: get_sweep: {cut(again[0])} is in two of its keys; put it into one')
    elif isinstance(key, tuple) and not (
      rows and all(isinstance(row, (tuple, list)) and len(row) == len(names) for row in rows)
    ):
      problems.append(
        f'{file}: get_sweep: {short(key)}: got {short(values)}; allowed: a list of tuples of as many values'
      )
    elif isinstance(key, tuple):
      zips.append(key)
      axes |= {name: [row[place] for row in rows] for place, name in enumerate(names)}
    else:
      axes[key] = values
  if problems:
    raise SpecError(problems)
  return axes, zips


def _values(name, given, fields, layers, options):
  """The values of an axis, as its field has them. Raises SpecError."""
  if name not in fields:
    hint = nearest(name, options) if '.' not in name else ''
    what = f'unknown option.{hint.replace(" mean ", " mean --sweep.")}' if hint else unknown(name, fields, layers)
    raise SpecError([f'sweep.{cut(name)}: {what.replace(" spec.", " --sweep.")}'])
  field = fields[name]
  if isinstance(given, str):
    values = _parsed(name, given, field)
  else:
    given = given.tolist() if hasattr(given, 'tolist') else given  # NumPy's
    if not isinstance(given, (list, tuple)):
      raise SpecError([f"sweep.{name}: got {short(given)}; allowed: a list of values, or text such as '0.1:10:7:log'"])
    values = [field.parse(value) if isinstance(value, str) else plain(value) for value in given]
  if not values:
    raise SpecError([f'sweep.{name}: has no values; allowed: {field.allowed()}, several of them'])
  if wrong := list(dict.fromkeys(problem for value in values if (problem := field.problem(value)))):
    more = f' (and {len(wrong) - 1} more of its values)' if len(wrong) > 1 else ''
    raise SpecError([f'sweep.{name}: {wrong[0]}{more}'])
  return tuple(field.cast(value) for value in values)


def _parsed(name, text, field):
  """The values that a flag's text stands for."""
  if not text.strip():
    return []
  is_number = field.type in (int, float)
  separator = ';' if ';' in text or field.type is tuple else ','
  values = []
  for part in text.split(separator):
    values += _range(name, part, field) if is_number and ':' in part else [field.parse(part.strip())]
  return values


def _range(name: str, text: str, field: Field) -> list:
  """The numbers of START:END:COUNT, which are equally far apart, or of START:END:COUNT:log, whose ratios are equal."""
  start, end, count, *scale = (*text.split(':'), '', '')[: max(3, text.count(':') + 1)]
  refuse = lambda why: SpecError([f'sweep.{name}: got the range {short(text)}; {why}'])
  if scale not in ([], ['log']):
    raise refuse('a range is START:END:COUNT or START:END:COUNT:log, such as 0.1:10:7:log')
  try:
    start, end = float(start), float(end)
    count = int(count)
  except ValueError:
    raise refuse('a range is START:END:COUNT or START:END:COUNT:log of numbers, such as 0.1:10:7:log') from None
  if not (math.isfinite(start) and math.isfinite(end)):
    raise refuse('its ends must be finite numbers')
  if not 1 <= count <= MOST:
    raise refuse(f'its COUNT must be from 1 to {MOST:,}')
  if (start == end) != (count == 1):
    what = f'it goes nowhere: {count} values' if start == end else 'one value cannot be both its ends; give it alone:'
    raise refuse(f'{what} {"from" if start == end else ""} {to_text(start)}'.replace('  ', ' '))
  if scale and (start <= 0 or end <= 0):
    raise refuse('a range with :log must begin and end above 0')
  return _spread(start, end, count, bool(scale), field, refuse)


def _spread(start, end, count, is_log, field, refuse):
  between = (number / max(count - 1, 1) for number in range(count))
  # Neither a ratio nor a difference of the ends, which may be beyond all numbers.
  exact = [start ** (1 - at) * end**at if is_log else start * (1 - at) + end * at for at in between]
  exact[0], exact[-1] = start, end
  if field.type is int:
    if bad := next((value for value in exact if abs(value - round(value)) > 1e-6), None):
      raise refuse(f'{bad:g} is in it, but this field is of integers; list them, or take another COUNT')
    return [round(value) for value in exact]
  rounded = [float(f'{value:.{DIGITS}g}') for value in exact[1:-1]]  # values are read, and are in names
  rounded = [*exact[:1], *rounded, *exact[1:][-1:]]
  return rounded if len(set(rounded)) == count else exact


def _zip_problems(zips, axes, named):
  problems, seen = [], set()
  for fields in zips:
    what = f'sweep.zip={cut(",".join(fields))}'
    absent = [name for name in fields if name not in named]
    if len(set(fields)) < 2 or len(set(fields)) < len(fields):
      problems.append(f'{what}: allowed: two or more fields that are swept, each once')
    elif absent:
      hint = nearest(absent[0], named.keys() - set(fields)) or f' Those that are: {", ".join(named) or "none"}.'
      problems.append(f'{what}: {cut(absent[0])} is not swept.{hint}')
    elif again := seen & set(fields):
      problems.append(f'{what}: {min(again)} is in another zip already; put all its fields into one')
    elif set(fields) <= axes.keys() and len({len(axes[name]) for name in fields}) > 1:
      sizes = ', '.join(f'{name} has {len(axes[name])}' for name in fields)
      problems.append(f'{what}: fields that vary together need as many values each, but {sizes}')
    seen |= set(fields)
  return problems


def _twice(axes, zipped):
  """Of values that are twice in an axis of its own."""
  problems = []
  for name, values in axes.items():
    again = [value for place, value in enumerate(values) if value in values[:place]]
    if again and name not in zipped:
      problems.append(f'sweep.{name}: {cut(to_text(again[0]))} is there twice; two points would be alike')
  return problems


# Points.


def _rows(axes, zips):
  """{field: value} of each point: the product of the axes, where those of a zip are one, in the order given."""
  zip_of = {name: fields for fields in zips for name in fields}
  columns = {}  # fields that vary together: the tuples of their values
  for name in axes:
    fields = zip_of.get(name, (name,))
    columns.setdefault(fields, list(zip(*(axes[f] for f in fields), strict=True)))
  if (count := math.prod(map(len, columns.values()))) > MOST:
    raise SpecError([f'--mode=sweep: the grid has {count:,} points; allowed: at most {MOST:,}'])
  rows = []
  for chosen in itertools.product(*columns.values()):
    row = {f: v for fields, values in zip(columns, chosen, strict=True) for f, v in zip(fields, values, strict=True)}
    rows.append({name: row[name] for name in axes})
  return rows


def text_of(fields: Mapping[str, Any]) -> str:
  """'objective.beta.z2=0.2, seed=1'."""
  return ', '.join(f'{name}={to_text(value)}' for name, value in fields.items())


def _resolved(own, path, overrides, rows, same):
  points, found = [], {}  # problem: the points that have it
  for fields in rows:
    try:
      points.append(Point(fields, derive(own, path, [*overrides, *fields.items()])))
    except SpecError as error:
      for problem in error.problems:
        found.setdefault(problem, []).append(fields)
  if found:
    raise SpecError([of_points(problem, of, len(rows)) for problem, of in found.items()])
  alike, seen = [], {}
  for point in points:
    of = key(point.spec, same)
    if of in seen:
      alike.append((seen[of].fields, point.fields))
    seen.setdefault(of, point)
  if alike:
    raise SpecError([_alike(alike)])
  return points


def key(spec: ConfigDict, same: Callable[[str], bool]) -> tuple:
  """What runs differ by: all fields but those that are the `same` for a run."""
  return tuple((name, value) for name, value in sorted(flatten(spec.to_dict()).items()) if not same(name))


def of_points(problem: str, of: list[dict], count: int) -> str:
  """A problem, and which of the points of a grid have it: their fields."""
  if len(of) == count:
    return problem
  return f'{problem} ({len(of)} of {count} points, the first: {cut(text_of(of[0]), 100)})'


def _alike(pairs):
  first, second = pairs[0]
  differing = [name for name in first if first[name] != second[name]]
  if differing:
    why = f'differ only in {cut(", ".join(differing))}, in which runs do not differ (--mode=evaluate changes eval.*)'
  else:
    why = 'are alike'
  more = f'; and {len(pairs) - 1} more pairs' if len(pairs) > 1 else ''
  return f'--mode=sweep: two points {why}: {cut(text_of(first), 100)} and {cut(text_of(second), 100)}{more}'
