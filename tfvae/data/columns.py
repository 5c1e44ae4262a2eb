"""What CSV and NPZ tables share: names of columns, and labels."""

import re

import numpy as np

from tfvae.errors import UserError, nearest


def column(number, names):
  name = names[number] if names else ''
  return f'column {name!r}' if name else f'column {number} (from 0)'


def short(text):
  return repr(text if len(text) <= 40 else f'{text[:37]}...')


def listed(names):
  return ', '.join(names[:10]) + (f', ... ({len(names)})' if len(names) > 10 else '')


def is_number(text):
  try:
    float(text)
  except ValueError:
    return False
  return True


def numbers(values):
  """Labels as int32 where all are whole, else as float32."""
  whole = np.all(np.abs(values) < 2**31) and np.all(values == np.rint(values))
  return values.astype(np.int32 if whole else np.float32)


def words(codes, texts):
  """The labels texts[codes]: numbers where all texts are, else their places in the sorted texts."""
  if all(map(is_number, texts)):
    return numbers(np.array([float(text) for text in texts])[codes])
  places = {text: place for place, text in enumerate(sorted(set(texts)))}
  return np.array([places[text] for text in texts], np.int32)[codes]


def find_label(label, names, width, path, hint):
  """The column of a CSV file that spec.data.label names, or None."""
  if not label:
    return None
  if names.count(label) > 1:
    numbers = ', '.join(str(number) for number, name in enumerate(names) if name == label)
    raise UserError(f'spec.data.label: got {label!r}, the name of the columns {numbers} of {path}; give a number')
  if label in names:
    return names.index(label)
  if re.fullmatch(r'-?\d+', label) and -width <= int(label) < width:
    return int(label) % width
  if names:
    columns = f'its columns: {listed(names)}'
  else:
    columns = 'its columns have no names (spec.data.header=yes if its first line names them)'
  raise UserError(
    f'spec.data.label: got {label!r}, not a column of {path}; allowed: a name, or a number from 0 to {width - 1} '
    f'(-1: the last); {columns}{hint}.{nearest(label, names)}'
  )
