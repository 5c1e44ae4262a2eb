"""Tables: CSV and NPZ files, and scikit-learn's breast cancer table. Importing this imports no TensorFlow.

A CSV file is read by pyarrow. Where that fails, or gives a value that is not finite, the file is read again by Python's
csv module: ten times slower, but it knows the line of a mistake, and reads what pyarrow cannot (separator=space where
fields are separated by runs of blanks).
"""

import contextlib
import csv
import gzip
import itertools
import math
import os
import pathlib
import re
import zipfile
import zlib
from array import array
from typing import NamedTuple

import numpy as np

from tfvae.data.dataset import Stored
from tfvae.errors import UserError, nearest
from tfvae.schema import SEPARATORS

BLOCK_SIZE = 2**22  # bytes that pyarrow parses at a time


def load(section) -> Stored:
  """The table `section.path` (section: spec.data). x: [N, D] float64, or as stored where it has more dimensions.

  Labels that are whole numbers (of 32 bits) are int32, other numbers float32; words are int32 codes, 0, 1, ... in
  sorted order.

  Raises:
    UserError: the file cannot be read, or what it holds is no table of finite numbers.
  """
  if not section.path:
    return _breast_cancer(section)
  path = _existing(section.path)
  return (_load_npz if path.suffix.lower() == '.npz' else _load_csv)(path, section)


def _breast_cancer(section):
  """Diagnoses from cell nuclei (Wolberg, Street & Mangasarian 1993, UCI)."""
  from sklearn.datasets import load_breast_cancer

  if section.label:
    raise UserError(
      f'spec.data.label: got {section.label!r}, but spec.data.path is empty, and the embedded breast cancer table has '
      'its label (the diagnosis) already; leave it empty, or set spec.data.path'
    )
  table = load_breast_cancer()
  part = {'x': table.data.astype(np.float64), 'label': table.target.astype(np.int32)}
  return Stored('breast_cancer', {'train': part}, columns=tuple(map(str, table.feature_names)))


def _existing(text):
  path = pathlib.Path(os.path.expanduser(text))
  try:
    if path.is_file():
      with path.open('rb'):
        return path
    if path.exists():
      what = 'a directory' if path.is_dir() else 'not a file'
      raise UserError(f'spec.data.path: {path} is {what}; allowed: a CSV file (also .gz) or an NPZ file')
    if not path.parent.is_dir():
      raise UserError(f'spec.data.path: {path} is not there: there is no directory {path.parent}')
    hint = nearest(path.name, [file.name for file in path.parent.iterdir()])
  except OSError as error:
    raise UserError(f'spec.data.path: {path} cannot be read: {error.strerror}') from None
  raise UserError(f'spec.data.path: {path} is not there; allowed: a CSV file (also .gz) or an NPZ file.{hint}')


def _column(number, names):
  name = names[number] if names else ''
  return f'column {name!r}' if name else f'column {number} (from 0)'


def _short(text):
  return repr(text if len(text) <= 40 else f'{text[:37]}...')


def _listed(names):
  return ', '.join(names[:10]) + (f', ... ({len(names)})' if len(names) > 10 else '')


def _is_number(text):
  try:
    float(text)
  except ValueError:
    return False
  return True


# Labels.


def _numbers(values):
  """Labels as int32 where all are whole, else as float32."""
  whole = np.all(np.abs(values) < 2**31) and np.all(values == np.rint(values))
  return values.astype(np.int32 if whole else np.float32)


def _words(codes, texts):
  """The labels texts[codes]: numbers where all texts are, else their places in the sorted texts."""
  if all(map(_is_number, texts)):
    return _numbers(np.array([float(text) for text in texts])[codes])
  places = {text: place for place, text in enumerate(sorted(set(texts)))}
  return np.array([places[text] for text in texts], np.int32)[codes]


def _find_label(label, names, width, path, hint):
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
    columns = f'its columns: {_listed(names)}'
  else:
    columns = 'its columns have no names (spec.data.header=yes if its first line names them)'
  raise UserError(
    f'spec.data.label: got {label!r}, not a column of {path}; allowed: a name, or a number from 0 to {width - 1} '
    f'(-1: the last); {columns}{hint}.{nearest(label, names)}'
  )


# CSV.


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
    where = f'spec.data.path: {self.path}, line {line}, {_column(number, self.names)}'
    if not text.strip():
      raise UserError(f'{where}: the cell is empty; fill it, or leave its row or column out of the file')
    if not text.isascii() and any('\ud800' <= char <= '\udfff' for char in text):
      raise UserError(f'{where}: got bytes that are not UTF-8; save the file as UTF-8')
    if _is_number(text):
      if not math.isfinite(float(text)):
        raise UserError(f'{where}: got {text.strip()}; allowed: a finite number; leave out its row or column')
    elif number != self.label:
      if line == self.first and not self.names and not self.hint:
        hint = '; spec.data.header=yes if the line names the columns'
      elif self.separator != ',' and re.fullmatch(r'\s*[-+]?\d*,\d+(e[-+]?\d+)?\s*', text, re.IGNORECASE):
        hint = '; write it with a decimal point'
      else:
        hint = self.hint or '; words may stand in the column of spec.data.label only'
      raise UserError(f'{where}: got {_short(text)}; allowed: a number{hint}')


def _load_csv(path, section):
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
  label = _find_label(section.label, names, width, path, hint)
  if width == 1 and label is not None:
    raise UserError(f'spec.data.label: got {section.label!r}, the only column of {path}; x needs one at least{hint}')
  row = head[has_header][1]
  has_words = label is not None and label < len(row) and not _is_number(row[label])
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
  number, word = (next((f for f in rest if _is_number(f) == kind), None) for kind in (True, False))
  if number is not None and word is not None:
    raise UserError(
      f'spec.data.header: got auto, but line {line} of {path} has numbers ({_short(number)}) and others '
      f'({_short(word)}); set spec.data.header=yes where it names the columns, else spec.data.header=no'
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
  columns, label = dict(enumerate(table.columns)), None
  if any(column.null_count for column in columns.values()):
    return None
  x = np.empty((form.width - (form.label is not None), len(table)))
  del table
  if form.label is not None:
    label = _arrow_label(columns.pop(form.label))
    if label is None or not np.isfinite(label).all():
      return None
  for values, number in zip(x, form.columns, strict=True):
    # One by one, and given back at once: else all would be in memory twice.
    np.concatenate(columns.pop(number).chunks, out=values)
    pa.default_memory_pool().release_unused()
    if not np.isfinite(values).all():
      return None
  return x.T, label


def _arrow_label(column):
  import pyarrow as pa

  if not pa.types.is_dictionary(column.type):
    return _numbers(column.to_numpy())
  chunks = column.unify_dictionaries().chunks
  texts = chunks[0].dictionary.to_pylist()
  if any(text.startswith(' ') and text.lstrip().startswith('"') for text in texts):
    return None  # pyarrow takes a quote after a blank for a part of the word
  return _words(np.concatenate([chunk.indices.to_numpy() for chunk in chunks]), [text.strip() for text in texts])


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
  words = not all(map(_is_number, known))
  for line, text in zip(lines, known, strict=True):
    if not (words and _is_number(text)):  # among words, 'nan' is one
      form.check(line, form.label, text)
  label = None if form.label is None else _words(np.array(codes), list(known))
  return np.frombuffer(data).reshape(-1, len(form.columns)), label


# NPZ.


def _load_npz(path, section):
  try:
    archive = np.load(path, allow_pickle=False)
  except (OSError, ValueError, EOFError, zipfile.BadZipFile):
    archive = None
  if not isinstance(archive, np.lib.npyio.NpzFile):
    raise UserError(f'spec.data.path: {path} is no whole NPZ file; make it by numpy.savez(path, x=x)')
  with archive:
    label, arrays = section.label or 'label', archive.files
    name = _name_of_x(path, arrays, label)
    splits = {}
    for split, x, own in (('train', name, label), ('test', 'x_test', f'{label}_test')):
      if x in arrays:
        splits[split] = {'x': _examples(path, archive, x)}
        if own in arrays and label in arrays:
          splits[split]['label'] = _vector(path, archive, own, len(splits[split]['x']))
  x, x_test = splits['train']['x'], splits.get('test', splits['train'])['x']
  if x_test.shape[1:] != x.shape[1:] or x_test.dtype != x.dtype:
    raise UserError(
      f'spec.data.path: {path}, array x_test: got examples of shape {x_test.shape[1:]} and type {x_test.dtype}; '
      f'allowed: {x.shape[1:]} and {x.dtype}, as in {name}'
    )
  if section.label and label not in arrays:
    splits = _label_column(path, label, splits, arrays)
  if 'label' in splits['train']:
    _encode(path, splits)
  return Stored(path.stem, splits, limits=(0.0, 255.0) if x.dtype == np.uint8 else None)


def _name_of_x(path, names, label):
  if 'x' in names:
    return 'x'
  others = [name for name in names if name not in ('x_test', label, f'{label}_test', 'label', 'label_test')]
  if len(others) == 1:
    return others[0]
  raise UserError(
    f'spec.data.path: {path} has no array x; its arrays: {_listed(names) or "none"}; make it by numpy.savez(path, x=x)'
  )


def _read_array(path, archive, name):
  where = f'spec.data.path: {path}, array {name}'
  try:
    values = archive[name]
  except ValueError as error:
    if 'allow_pickle' not in str(error):
      raise UserError(f'{where} is broken ({error}); write the file anew') from None
    raise UserError(f'{where}: got Python objects; allowed: numbers; convert it by x.astype(float)') from None
  except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
    raise UserError(f'{where} is broken ({error}); write the file anew') from None
  if not isinstance(values, np.ndarray):
    raise UserError(f'{where}: got no array; make the file by numpy.savez(path, x=x)')
  return values


def _examples(path, archive, name):
  """An array x: images as stored, others in float64 where [N, D]."""
  x, where = _read_array(path, archive, name), f'spec.data.path: {path}, array {name}'
  if x.dtype.kind not in 'buif':
    raise UserError(f'{where}: got the type {x.dtype}; allowed: numbers; convert it by x.astype(float)')
  if x.ndim not in (2, 4):
    hint = '; an axis is added by x[..., None]' if x.ndim in (1, 3) else ''
    raise UserError(f'{where}: got the shape {x.shape}; allowed: [N, D] or images [N, height, width, channels]{hint}')
  if len(x) < (1 if name == 'x_test' else 2) or not x[:1].size:
    raise UserError(f'{where}: got the shape {x.shape}; allowed: at least 2 rows (x_test: 1) and 1 column')
  is_kept = x.ndim == 4 and (x.dtype == np.uint8 or x.dtype.kind == 'f')
  values = x if is_kept else x.astype(np.float64)
  if x.dtype.kind != 'f':
    return values
  for number in range(values.shape[1]):  # of images: line by line, so that no mask of all is made
    right = np.isfinite(values[:, number]).reshape(len(values), -1).all(axis=1)
    if not right.all():
      row, what = int(right.argmin()), f'column {number}' if x.ndim == 2 else f'line {number}'
      raise UserError(
        f'{where}, row {row}, {what} (from 0): got NaN or infinity; allowed: finite numbers; leave it out'
      )
  return values


def _vector(path, archive, name, size):
  values = _read_array(path, archive, name)
  if values.shape != (size,) or values.dtype.kind not in 'buifSU':
    raise UserError(
      f'spec.data.{"path" if name.startswith("label") else "label"}: {path}, array {name}: got the shape '
      f'{values.shape} of {values.dtype}; allowed: a number or a word for each of the {size} rows of x: ({size},)'
    )
  return np.strings.decode(values, 'utf-8', 'replace') if values.dtype.kind == 'S' else values


def _label_column(path, label, splits, names):
  x = splits['train']['x']
  if x.ndim != 2 or not re.fullmatch(r'-?\d+', label):
    arrays = f'an array of {path}: {_listed(names)}' + (', or the number of a column of x' if x.ndim == 2 else '')
    raise UserError(f'spec.data.label: got {label!r}; allowed: {arrays}.{nearest(label, names)}')
  number, width = int(label), x.shape[1]
  if not -width <= number < width:
    raise UserError(
      f'spec.data.label: got {label!r}, not a column of {path}; allowed: a number from 0 to {width - 1} (-1: the last)'
    )
  if width == 1:
    raise UserError(f'spec.data.label: got {label!r}, the only column of {path}; x needs one at least')
  return {
    split: {'x': np.delete(part['x'], number, axis=1), 'label': part['x'][:, number]} for split, part in splits.items()
  }


def _encode(path, splits):
  """Labels of all splits together, so that a word has the same code in each."""
  labelled = [part for part in splits.values() if 'label' in part]
  if len({part['label'].dtype.kind == 'U' for part in labelled}) > 1:
    raise UserError(f'spec.data.path: {path}: the labels are words in one split and numbers in the other')
  values = np.concatenate([part['label'] for part in labelled])
  if values.dtype.kind == 'U':
    texts, codes = np.unique(values, return_inverse=True)
    values = _words(codes, texts.tolist())
  else:
    values = _numbers(values.astype(np.float64))
  if not np.isfinite(values).all():
    raise UserError(f'spec.data.path: {path}: a label is NaN or infinite; allowed: finite numbers or words')
  for part in labelled:
    part['label'], values = values[: len(part['label'])], values[len(part['label']) :]
