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
from tfvae.data.stored import Stored
from tfvae.errors import UserError, cut, short
from tfvae.spec import paths
from tfvae.spec.fields.data import SEPARATORS

BLOCK_SIZE = 2**22  # bytes that pyarrow parses at a time


class _Form(NamedTuple):
  """How a CSV file is laid out, as its first lines show."""

  path: pathlib.Path
  separator: str
  names: tuple[str, ...]  # of all columns; empty where the file has no header
  first: int  # the line where the header begins, or the first row
  skipped: int  # the lines before the first row
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
        raise UserError(f'{where}: got {cut(text.strip(), 40)}; allowed: a finite number; leave out its row or column')
      if number == self.label and abs(float(text)) > columns.LARGEST:
        raise UserError(f'{where}: got {cut(text.strip(), 40)}; allowed: a label up to {columns.LARGEST:g}')
    elif number != self.label:
      if line == self.first and not self.names and not self.hint:
        hint = '; spec.data.header=yes if the line names the columns'
      elif self.separator != ',' and re.fullmatch(r'\s*[-+]?\d*,\d+(e[-+]?\d+)?\s*', text, re.IGNORECASE):
        hint = '; write it with a decimal point'
      else:
        hint = self.hint or '; words may stand in the column of spec.data.label only'
      raise UserError(f'{where}: got {short(text)}; allowed: a number{hint}')


def load(path, section):
  form = _form(path, section)
  x, label = _read_fast(form) or _read_slowly(form)
  if len(x) < 2:
    raise UserError(f'spec.data.path: {path} has one row; allowed: at least 2')
  names = tuple(form.names[number] for number in form.columns) if form.names else ()
  stem = path.with_suffix('') if path.suffix.lower() == '.gz' else path
  return Stored(
    paths.shown(stem.stem), {'train': {'x': x} if label is None else {'x': x, 'label': label}}, columns=names
  )


def _form(path, section):
  separator = SEPARATORS[section.separator]
  with contextlib.closing(_rows(path, separator)) as rows:
    head = list(itertools.islice(rows, 2))
  if not head:
    raise UserError(f'spec.data.path: {path} is empty; allowed: a table of at least 2 rows')
  line, last, fields = head[0]
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
    raise UserError(
      f'spec.data.label: got {short(section.label)}, the only column of {path}; x needs one at least{hint}'
    )
  row = head[has_header][-1]
  has_words = label is not None and label < len(row) and not columns.is_number(row[label])
  size = max(sum(map(len, fields)) + width for *_, fields in head)
  return _Form(path, separator, names, line, last if has_header else line - 1, width, label, has_words, size, hint)


def _has_header(path, section, line, fields):
  if section.header != 'auto':
    return section.header == 'yes'
  label = section.label
  if label in fields:
    place = fields.index(label)
  else:
    number = columns.as_number(label)
    place = None if number is None else number % len(fields)
  rest = [field for number, field in enumerate(fields) if number != place]
  number, word = (next((f for f in rest if columns.is_number(f) == kind), None) for kind in (True, False))
  if number is not None and word is not None:
    raise UserError(
      f'spec.data.header: got auto, but line {line} of {path} has numbers ({short(number)}) and others '
      f'({short(word)}); set spec.data.header=yes where it names the columns, else spec.data.header=no'
      + ('' if label else ' (and spec.data.label to a column of words)')
    )
  return word is not None or (not rest and label in fields)


def _is_gzip(path):
  with path.open('rb') as file:
    return file.read(2) == b'\x1f\x8b' or path.suffix.lower() == '.gz'


def _rows(path, separator):
  """Yields (first line, last line, fields) of each row but blank ones. Bytes that are not UTF-8 become surrogates."""
  line, is_read = 0, False

  def lines(file):
    nonlocal is_read
    for text in file:
      yield text.strip(' \r\n') if separator == ' ' else text
    is_read = True

  try:
    opened = gzip.open if _is_gzip(path) else open
    with opened(path, 'rt', encoding='utf-8-sig', errors='surrogateescape', newline='') as file:
      reader = csv.reader(lines(file), delimiter=separator, skipinitialspace=True)
      for fields in reader:
        first, line = line + 1, reader.line_num
        if is_read:
          raise UserError(f'spec.data.path: {path}, line {first}: a quote is not closed before the end of the file')
        if separator == ' ' and line > first:
          raise UserError(
            f'spec.data.path: {path}, line {first}: a quote is not closed in its line; with spec.data.separator=space '
            'a row is one line'
          )
        if len(fields) > 1 or (fields and fields[0].strip()):
          yield first, line, fields
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
  try:
    compression = 'gzip' if _is_gzip(form.path) else None
    with form.path.open('rb') as raw, pa.input_stream(raw, compression=compression) as file:
      tail = _Tail(file, max(2**16, 16 * form.row_bytes))
      table = pa_csv.read_csv(
        tail,
        pa_csv.ReadOptions(column_names=names, skip_rows=form.skipped, block_size=max(BLOCK_SIZE, 16 * form.row_bytes)),
        pa_csv.ParseOptions(delimiter=form.separator),
        pa_csv.ConvertOptions(column_types=types, null_values=[''], strings_can_be_null=True),
      )
  except (pa.ArrowException, OSError):
    return None
  if tail.is_open(form.separator):
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


class _Tail:
  """A file that pyarrow reads, and the end of what it has read."""

  closed = False

  def __init__(self, file, size):
    self._file, self._size, self._end = file, size, b''

  def read(self, size):
    content = self._file.read(size)
    self._end = (self._end + content)[-self._size :] if len(content) < self._size else content[-self._size :]
    return content

  def is_open(self, separator):
    """Whether a quote may not be closed in the last line, of which pyarrow takes no notice."""
    lines = re.split('[\r\n]', self._end.decode('utf-8', 'replace'))
    last = [line for line in lines if line.strip()][-1:]
    try:
      list(csv.reader(last, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
      return True
    return False


def _arrow_label(column):
  """None where pyarrow and Python's csv module understand a label in two ways, or Python's refuses it."""
  import pyarrow as pa

  if not pa.types.is_dictionary(column.type):
    return columns.numbers(column.to_numpy())
  chunks = column.unify_dictionaries().chunks
  texts = chunks[0].dictionary.to_pylist()
  if any(text.startswith(' ') and text.lstrip().startswith('"') for text in texts):
    return None  # pyarrow takes a quote after a blank for a part of the word
  if any(not text.strip() or '\n' in text or '\r' in text or len(text) > csv.field_size_limit() for text in texts):
    return None
  return columns.words(np.concatenate([chunk.indices.to_numpy() for chunk in chunks]), [text.strip() for text in texts])


def _read_slowly(form):
  """As `_read_fast`, by Python's csv module. Raises UserError at the first mistake."""
  data, codes, known, lines = array('d'), array('i'), {}, []
  for line, _, fields in _rows(form.path, form.separator):
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
