"""What CSV and NPZ tables share: names of columns, and labels."""

import re

import numpy as np

from tfvae.errors import UserError, cut, nearest, short

LARGEST = float(np.finfo(np.float32).max)  # of a label that is a number


def column(number, names):
  name = names[number] if names else ''
  return f'column {cut(name, 60)!r}' if name else f'column {number} (from 0)'


def listed(names):
  return ', '.join(cut(name, 40) for name in names[:10]) + (f', ... ({len(names)})' if len(names) > 10 else '')


def as_number(label):
  """The number of a column, where a label is written as one."""
  return int(label) if re.fullmatch('-?[0-9]{1,9}', label) else None


def is_number(text):
  try:
    float(text)
  except ValueError:
    return False
  return True


def numbers(values):
  """Labels as int32 where all are whole, else as float32."""
  whole = np.all(np.abs(values) < 2**31) and np.all(values == np.rint(values))
  with np.errstate(over='ignore'):  # refused as infinite
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
    raise UserError(
      f'spec.data.label: got {short(label)}, the name of the columns {cut(numbers)} of {path}; give a number'
    )
  if label in names:
    return names.index(label)
  number = as_number(label)
  if number is not None and -width <= number < width:
    return number % width
  if names:
    columns = f'its columns: {listed(names)}'
  else:
    columns = 'its columns have no names (spec.data.header=yes if its first line names them)'
  raise UserError(
    f'spec.data.label: got {short(label)}, not a column of {path}; allowed: a name, or a number from 0 to {width - 1} '
    f'(-1: the last); {columns}{hint}.{nearest(label, names)}'
  )
