"""CSV files.

pyarrow reads them. Where that fails, or gives a value that is not finite, the file is read again by Python's csv
module: ten times slower, but it knows the line of a mistake, and reads what pyarrow cannot (separator=space where
fields are separated by runs of blanks).
"""

import contextlib
import csv
import gzip
import itertools
import math
import pathlib
import re
import zlib
from array import array
from typing import NamedTuple

import numpy as np

from tfvae.data import columns
from tfvae.data.dataset import Stored
from tfvae.errors import UserError
from tfvae.schema import SEPARATORS

BLOCK_SIZE = 2**22  # bytes that pyarrow parses at a time


class _Form(NamedTuple):
  """How a CSV file is laid out, as its first lines show."""

  path: pathlib.Path
  separator: str
  names: tuple[str, ...]  # of all columns; empty where the file has no header
  first: int  # the line of the header, or of the first row
  width: int  # columns, the label among them
  label: int | None
  has_words: bool  # the first label is no number
  row_bytes: int
  hint: str  # where another separator seems meant

  @property
  def columns(self):
    """The numbers of the columns of x."""
    return [number for number in range(self.width) if number != self.label]

  def check(self, line, number, text):
    """Raises where a field is no finite number (a label: is empty, no text, or a number that is not finite)."""
    where = f'spec.data.path: {self.path}, line {line}, {columns.column(number, self.names)}'
    if not text.strip():
      raise UserError(f'{where}: the cell is empty; fill it, or leave its row or column out of the file')
    if not text.isascii() and any('\ud800' <= char <= '\udfff' for char in text):
      raise UserError(f'{where}: got bytes that are not UTF-8; save the file as UTF-8')
    if columns.is_number(text):
      if not math.isfinite(float(text)):
        raise UserError(f'{where}: got {text.strip()}; allowed: a finite number; leave out its row or column')
    elif number != self.label:
      if line == self.first and not self.names and not self.hint:
        hint = '; spec.data.header=yes if the line names the columns'
      elif self.separator != ',' and re.fullmatch(r'\s*[-+]?\d*,\d+(e[-+]?\d+)?\s*', text, re.IGNORECASE):
        hint = '; write it with a decimal point'
      else:
        hint = self.hint or '; words may stand in the column of spec.data.label only'
      raise UserError(f'{where}: got {columns.short(text)}; allowed: a number{hint}')


def load(path, section):
  form = _form(path, section)
  x, label = _read_fast(form) or _read_slowly(form)
  if len(x) < 2:
    raise UserError(f'spec.data.path: {path} has one row; allowed: at least 2')
  names = tuple(form.names[number] for number in form.columns) if form.names else ()
  stem = path.with_suffix('') if path.suffix.lower() == '.gz' else path
  return Stored(stem.stem, {'train': {'x': x} if label is None else {'x': x, 'label': label}}, columns=names)


def _form(path, section):
  separator = SEPARATORS[section.separator]
  with contextlib.closing(_rows(path, separator)) as rows:
    head = list(itertools.islice(rows, 2))
  if not head:
    raise UserError(f'spec.data.path: {path} is empty; allowed: a table of at least 2 rows')
  line, fields = head[0]
  fields, width, hint = [field.strip() for field in fields], len(fields), ''
  if width == 1:
    other = [name for name, char in SEPARATORS.items() if char in fields[0]]
    hint = f'; is spec.data.separator={other[0]} meant?' if other else ''
  has_header = _has_header(path, section, line, fields)
  names = tuple(fields) if has_header else ()
  if any('\ud800' <= char <= '\udfff' for char in ''.join(names)):
    raise UserError(f'spec.data.path: {path}, line {line}: got bytes that are not UTF-8; save the file as UTF-8')
  if has_header and len(head) == 1:
    raise UserError(
      f'spec.data.path: {path} has a header (line {line}) and no rows; allowed: at least 2{hint}. '
      'If the line is a row, set spec.data.header=no'
    )
  label = columns.find_label(section.label, names, width, path, hint)
  if width == 1 and label is not None:
    raise UserError(f'spec.data.label: got {section.label!r}, the only column of {path}; x needs one at least{hint}')
  row = head[has_header][1]
  has_words = label is not None and label < len(row) and not columns.is_number(row[label])
  size = max(sum(map(len, fields)) + width for _, fields in head)
  return _Form(path, separator, names, line, width, label, has_words, size, hint)


def _has_header(path, section, line, fields):
  if section.header != 'auto':
    return section.header == 'yes'
  label = section.label
  if label in fields:
    place = fields.index(label)
  else:
    place = int(label) % len(fields) if re.fullmatch(r'-?\d+', label) else None
  rest = [field for number, field in enumerate(fields) if number != place]
  number, word = (next((f for f in rest if columns.is_number(f) == kind), None) for kind in (True, False))
  if number is not None and word is not None:
    raise UserError(
      f'spec.data.header: got auto, but line {line} of {path} has numbers ({columns.short(number)}) and others '
      f'({columns.short(word)}); set spec.data.header=yes where it names the columns, else spec.data.header=no'
      + ('' if label else ' (and spec.data.label to a column of words)')
    )
  return word is not None or (not rest and label in fields)


def _is_gzip(path):
  with path.open('rb') as file:
    return file.read(2) == b'\x1f\x8b' or path.suffix.lower() == '.gz'


def _rows(path, separator):
  """Yields (line, fields) of each line that is not blank. Bytes that are not UTF-8 become surrogates."""
  line = 0
  try:
    opened = gzip.open if _is_gzip(path) else open
    with opened(path, 'rt', encoding='utf-8-sig', errors='surrogateescape', newline='') as file:
      lines = (text.strip(' \r\n') for text in file) if separator == ' ' else file
      reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
      for fields in reader:
        line = reader.line_num
        if len(fields) > 1 or (fields and fields[0].strip()):
          yield line, fields
  except csv.Error as error:
    raise UserError(f'spec.data.path: {path}, after line {line}: {error}; is a quote not closed?') from None
  except (gzip.BadGzipFile, EOFError, zlib.error) as error:
    raise UserError(
      f'spec.data.path: {path} is no whole gzip file: {error} (after line {line}); make it anew'
    ) from None
  except OSError as error:
    raise UserError(f'spec.data.path: {path} cannot be read (after line {line}): {error}') from None


def _read_fast(form):
  """(x [N, D] float64 by columns, label or None) by pyarrow, or None where `_read_slowly` must look."""
  import pyarrow as pa
  from pyarrow import csv as pa_csv

  names = [str(number) for number in range(form.width)]
  types = dict.fromkeys(names, pa.float64())
  if form.has_words:
    types[str(form.label)] = pa.dictionary(pa.int32(), pa.string())
  skipped = form.first if form.names else form.first - 1
  try:
    with pa.input_stream(str(form.path), compression='gzip' if _is_gzip(form.path) else None) as file:
      table = pa_csv.read_csv(
        file,
        pa_csv.ReadOptions(column_names=names, skip_rows=skipped, block_size=max(BLOCK_SIZE, 16 * form.row_bytes)),
        pa_csv.ParseOptions(delimiter=form.separator),
        pa_csv.ConvertOptions(column_types=types, null_values=[''], strings_can_be_null=True),
      )
  except (pa.ArrowException, OSError):
    return None
  parsed, label = dict(enumerate(table.columns)), None
  if any(column.null_count for column in parsed.values()):
    return None
  x = np.empty((form.width - (form.label is not None), len(table)))
  del table
  if form.label is not None:
    label = _arrow_label(parsed.pop(form.label))
    if label is None or not np.isfinite(label).all():
      return None
  for values, number in zip(x, form.columns, strict=True):
    # One by one, and given back at once: else all would be in memory twice.
    np.concatenate(parsed.pop(number).chunks, out=values)
    pa.default_memory_pool().release_unused()
    if not np.isfinite(values).all():
      return None
  return x.T, label


def _arrow_label(column):
  import pyarrow as pa

  if not pa.types.is_dictionary(column.type):
    return columns.numbers(column.to_numpy())
  chunks = column.unify_dictionaries().chunks
  texts = chunks[0].dictionary.to_pylist()
  if any(text.startswith(' ') and text.lstrip().startswith('"') for text in texts):
    return None  # pyarrow takes a quote after a blank for a part of the word
  return columns.words(np.concatenate([chunk.indices.to_numpy() for chunk in chunks]), [text.strip() for text in texts])


def _read_slowly(form):
  """As `_read_fast`, by Python's csv module. Raises UserError at the first mistake."""
  data, codes, known, lines = array('d'), array('i'), {}, []
  for line, fields in _rows(form.path, form.separator):
    if form.names and line <= form.first:
      continue
    if len(fields) != form.width:
      raise UserError(
        f'spec.data.path: {form.path}, line {line}: got {len(fields)} field(s); allowed: {form.width}, as in line '
        f'{form.first}{form.hint}'
      )
    if form.label is not None:
      text = fields.pop(form.label).strip()
      code = known.setdefault(text, len(known))
      codes.append(code)
      if code == len(lines):
        lines.append(line)
    try:
      numbers = list(map(float, fields))
      is_right = math.isfinite(sum(numbers))
    except ValueError:
      is_right = False
    if not is_right:
      for number, text in zip(form.columns, fields, strict=True):
        form.check(line, number, text)
    data.extend(numbers)
  words = not all(map(columns.is_number, known))
  for line, text in zip(lines, known, strict=True):
    if not (words and columns.is_number(text)):  # among words, 'nan' is one
      form.check(line, form.label, text)
  label = None if form.label is None else columns.words(np.array(codes), list(known))
  return np.frombuffer(data).reshape(-1, len(form.columns)), label
