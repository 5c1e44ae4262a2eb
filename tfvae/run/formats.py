"""What the JSON files of a run directory hold: each function gives it back, or raises Damaged."""

import math

from tfvae.run.files import Damaged


def row(value) -> dict:
  """A line of metrics.jsonl: {'step': ..., 'split': ..., 'evaluation': True where it is one, name: number}."""
  _labelled(value)
  _numbers({name: of for name, of in value.items() if name != 'evaluation'})
  if value.get('evaluation', True) is not True:
    raise Damaged('evaluation is not true')
  return value


def evaluation(value) -> dict:
  """An evaluation file: {'step': ..., 'split': ..., name: number}."""
  _labelled(value)
  _numbers(value)
  return value


def records(value) -> dict:
  """A file of evaluations/: {evaluator: {'settings': {...}, 'arrays': ..., 'numbers': {name: number}}}."""
  _require(isinstance(value, dict), 'no object')
  for name, record in value.items():
    parts = ('settings', 'arrays', 'numbers')
    _require(isinstance(record, dict) and all(part in record for part in parts), f'{name} is no record')
    _require(isinstance(record['settings'], dict) and isinstance(record['numbers'], dict), f'{name} is no record')
    _numbers({'split': '', **record['numbers']})
  return value


def saved(value) -> int:
  """The step of saved.json, {'step': ...}."""
  _require(isinstance(value, dict) and _is_count(value.get('step')), 'no step')
  return value['step']


def sweep(value) -> dict:
  """sweep.json: {'points': [{'name', 'fields': {field: value}, 'status'}, ...]}, and how the grid is made again."""
  _require(isinstance(value, dict) and isinstance(value.get('points'), list), 'no points')
  for point in value['points']:
    right = isinstance(point, dict) and all(isinstance(point.get(name), str) for name in ('name', 'status'))
    _require(right and isinstance(point.get('fields'), dict), 'a point is no name, status and fields')
    _require(isinstance(point.get('message') or '', str), "a point's message is no text")
  return value


def data(value) -> dict:
  """data.json: {'name', 'shape', 'sizes', 'scaling', 'fingerprint'}, and 'observation' (`Observation.to_keep`).

  Where contexts are scaled apart from x, by a 'context' in 'scaling', which is like it. Where training depends on
  trained networks of other runs, their identities as 'frozen'.
  """
  names = ('name', 'shape', 'sizes', 'scaling', 'fingerprint')
  _require(isinstance(value, dict) and all(name in value for name in names), f'no object with {", ".join(names)}')
  shape, sizes = value['shape'], value['sizes']
  _require(isinstance(value['name'], str), 'name is no text')
  _require(_is_count(value['fingerprint']), 'fingerprint is no checksum')
  _require(isinstance(shape, list) and shape and all(_is_count(n) and n for n in shape), 'shape is no list of sizes')
  _require(isinstance(sizes, dict) and 'train' in sizes and all(map(_is_count, sizes.values())), 'sizes are no counts')
  if 'observation' in value:  # not in runs of tfvae before 0.2
    _observation(value['observation'])
  scaling, context = value['scaling'], value.get('observation', {}).get('context') or [1]
  _require(isinstance(scaling, dict), 'scaling is no object')
  if 'context' in scaling:
    _scaling(scaling['context'], context[0] if len(context) == 1 else 1)
  _scaling({name: of for name, of in scaling.items() if name != 'context'}, shape[0] if len(shape) == 1 else 1)
  frozen = value.get('frozen', {})
  texts = isinstance(frozen, dict) and all(isinstance(text, str) for text in frozen.values())
  _require(texts, 'frozen are no identities by name')
  return value


def _observation(value):
  names = {'low', 'high', 'levels'}
  right = isinstance(value, dict) and names <= set(value) <= names | {'context', 'stack'}
  _require(right, 'observation is no low, high and levels')
  _require(isinstance(value.get('stack', False), bool), 'stack is neither true nor false')
  low, high, levels = value['low'], value['high'], value['levels']
  _require(all(_is_number(n) and math.isfinite(n) for n in (low, high)), 'low or high is no finite number')
  _require(low <= high, 'low is above high')
  _require(levels is None or (_is_count(levels) and levels > 1 and low < high), 'levels are no count above 1')
  context = value.get('context', [])  # [] of a label
  _require(isinstance(context, list) and all(_is_count(n) and n for n in context), 'context is no list of sizes')


def _scaling(value, columns):
  """Two numbers, or two lists of a number for each column."""
  _require(isinstance(value, dict) and set(value) == {'center', 'width'}, 'scaling is no center and width')
  center, width = value['center'], value['width']
  _require(isinstance(center, list) == isinstance(width, list), 'center and width are not alike')
  if not isinstance(center, list):
    center, width, columns = [center], [width], 1
  _require(len(center) == len(width) == columns, f'center and width are not of {columns} columns')
  _require(all(_is_number(n) and math.isfinite(n) for n in (*center, *width)), 'scaling is no finite number')
  _require(all(n > 0 for n in width), 'a width is not above 0')


def _labelled(value):
  _require(isinstance(value, dict), 'no object')
  _require(_is_count(value.get('step')) and isinstance(value.get('split'), str), 'no step, or no split')


def _numbers(value):
  for name, of in value.items():
    _require(name == 'split' or _is_number(of), f'{name} is no number')


def _is_number(value):
  return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def _is_count(value):
  return type(value) is int and 0 <= value < 2**63


def _require(holds, otherwise):
  if not holds:
    raise Damaged(otherwise)
