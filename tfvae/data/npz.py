"""NPZ files of NumPy."""

import zipfile

import numpy as np

from tfvae.data import columns, fields
from tfvae.data.stored import Stored
from tfvae.errors import UserError, cut, nearest, short
from tfvae.spec import paths


def load(path, section):
  try:
    archive = np.load(path, allow_pickle=False)
  except Exception:  # of a file made to be broken: all kinds
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
        for field in fields.wanted(section):
          if (own := field if split == 'train' else f'{field}_test') in arrays:
            splits[split][field] = _beside(path, archive, own, len(splits[split]['x']))
  for field, first in {'x': name, 'context': 'context', 'target': 'target'}.items():
    _require_alike(path, field, first, splits)
  x = splits['train']['x']
  if section.label and label not in arrays:
    splits = _label_column(path, label, splits, arrays)
  if 'label' in splits['train']:
    _encode(path, splits)
  return Stored(paths.shown(path.stem), splits, limits=(0.0, 255.0) if x.dtype == np.uint8 else None)


def shape(path, section) -> tuple[int | None, ...]:
  """Of an example, from the header of the array alone."""
  if not path.is_file():
    raise ValueError(f'{path} is no file')
  with zipfile.ZipFile(path) as archive:
    names = [name.removesuffix('.npy') for name in archive.namelist()]
    with archive.open(f'{_name_of_x(path, names, section.label or "label")}.npy') as file:
      read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
      stored, _, _ = read[np.lib.format.read_magic(file)](file)
  return stored[1:] if len(stored) == 4 else (None,)


def _name_of_x(path, names, label):
  if 'x' in names:
    return 'x'
  others = [name for name in names if name not in ('x_test', label, f'{label}_test', 'label', 'label_test')]
  if len(others) > 1:
    others = [name for name in others if name.removesuffix('_test') not in fields.OWN]
  if len(others) == 1:
    return others[0]
  raise UserError(
    f'spec.data.path: {path} has no array x; its arrays: {columns.listed(names) or "none"}; make it by '
    'numpy.savez(path, x=x)'
  )


def _require_alike(path, field, first, splits):
  """Raises where examples of the test split are unlike those of the training split, whose array is called `first`."""
  if not all(split in splits and field in splits[split] for split in ('train', 'test')):
    return
  train, test = (splits[split][field] for split in ('train', 'test'))
  if test.shape[1:] != train.shape[1:] or test.dtype != train.dtype:
    raise UserError(
      f'spec.data.path: {path}, array {field}_test: got examples of shape {test.shape[1:]} and type {test.dtype}; '
      f'allowed: {train.shape[1:]} and {train.dtype}, as in {cut(first, 60)}'
    )


def _beside(path, archive, name, size):
  """An array of contexts or targets, one for each row of x."""
  values = _examples(path, archive, name)
  if len(values) != size:
    raise UserError(
      f'spec.data.path: {path}, array {name}: got {len(values)} rows; allowed: one for each of the {size} rows of '
      f'x{"_test" * name.endswith("_test")}'
    )
  return values


def _read_array(path, archive, name):
  where = f'spec.data.path: {path}, array {cut(name, 60)}'
  try:
    values = archive[name]
  except Exception as error:  # of a file made to be broken: all kinds, those of zipfile and zlib among them
    if 'allow_pickle' in str(error):
      raise UserError(f'{where}: got Python objects; allowed: numbers; convert it by x.astype(float)') from None
    what = cut(str(error) or type(error).__name__, 200)
    raise UserError(f'{where} is broken, or cannot be read ({what}); write the file anew') from None
  if not isinstance(values, np.ndarray):
    raise UserError(f'{where}: got no array; make the file by numpy.savez(path, x=x)')
  return values


def _examples(path, archive, name):
  """An array x: images as stored, others in float64 where [N, D]."""
  x, where = _read_array(path, archive, name), f'spec.data.path: {path}, array {cut(name, 60)}'
  if x.dtype.kind not in 'buif':
    raise UserError(f'{where}: got the type {cut(str(x.dtype), 60)}; allowed: numbers; convert it by x.astype(float)')
  if x.ndim not in (2, 4):
    hint = '; an axis is added by x[..., None]' if x.ndim in (1, 3) else ''
    raise UserError(f'{where}: got the shape {x.shape}; allowed: [N, D] or images [N, height, width, channels]{hint}')
  if len(x) < (1 if name.endswith('_test') else 2) or not x[:1].size:
    raise UserError(f'{where}: got the shape {x.shape}; allowed: at least 2 rows (x_test: 1) and 1 column')
  is_kept = x.ndim == 4 and (x.dtype == np.uint8 or (x.dtype.kind == 'f' and x.dtype.itemsize <= 8))
  with np.errstate(over='ignore'):  # of a longer type than float64
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
      f'spec.data.{"path" if name.startswith("label") else "label"}: {path}, array {cut(name, 60)}: got the '
      f'shape {values.shape} of {cut(str(values.dtype), 60)}; allowed: a number or a word for each of the {size} rows '
      f'of x: ({size},)'
    )
  return np.strings.decode(values, 'utf-8', 'replace') if values.dtype.kind == 'S' else values


def _label_column(path, label, splits, names):
  x = splits['train']['x']
  number, width = columns.as_number(label), x.shape[1]
  if x.ndim != 2 or number is None:
    arrays = f'an array of {path}: {columns.listed(names)}'
    arrays += ', or the number of a column of x' if x.ndim == 2 else ''
    raise UserError(f'spec.data.label: got {short(label)}; allowed: {arrays}.{nearest(label, names)}')
  if not -width <= number < width:
    raise UserError(
      f'spec.data.label: got {short(label)}, not a column of {path}; allowed: a number from 0 to {width - 1} (-1: the '
      'last)'
    )
  if width == 1:
    raise UserError(f'spec.data.label: got {short(label)}, the only column of {path}; x needs one at least')
  return {
    split: {**part, 'x': np.delete(part['x'], number, axis=1), 'label': part['x'][:, number]}
    for split, part in splits.items()
  }


def _encode(path, splits):
  """Labels of all splits together, so that a word has the same code in each."""
  labelled = [part for part in splits.values() if 'label' in part]
  if len({part['label'].dtype.kind == 'U' for part in labelled}) > 1:
    raise UserError(f'spec.data.path: {path}: the labels are words in one split and numbers in the other')
  values = np.concatenate([part['label'] for part in labelled])
  if values.dtype.kind == 'U':
    texts, codes = np.unique(values, return_inverse=True)
    values = columns.words(codes, texts.tolist())
  else:
    values = columns.numbers(values.astype(np.float64))
  if not np.isfinite(values).all():
    raise UserError(f'spec.data.path: {path}: a label is NaN or infinite; allowed: finite numbers or words')
  for part in labelled:
    part['label'], values = values[: len(part['label'])], values[len(part['label']) :]
