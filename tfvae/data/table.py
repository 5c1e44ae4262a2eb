"""Tables: CSV and NPZ files, and scikit-learn's breast cancer table. Importing this imports no TensorFlow."""

import contextlib
import zipfile

import numpy as np

from tfvae import memory
from tfvae.data import csv_table, npz
from tfvae.data.stored import Stored
from tfvae.errors import UserError, nearest, short
from tfvae.spec import paths

SUFFIXES = ('.csv', '.gz', '.tsv', '.npz')  # of what may be meant where a file is not there


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
  memory.require(_size(path), f'spec.data.path: {path}', 'a table must fit into memory: take fewer rows or columns')
  return (npz if path.suffix.lower() == '.npz' else csv_table).load(path, section)


def shape(section) -> tuple[int | None, ...]:
  """Of an example, as the header of an NPZ file has it; [None] of a row, whose length does not matter before.

  Raises:
    UserError, OSError, ValueError: the file cannot be read so; `load` says why.
  """
  if not section.path.lower().endswith('.npz'):
    return (None,)
  return npz.shape(_existing(section.path), section)


def _size(path):
  """Bytes that the file takes at least when it is read."""
  with contextlib.suppress(Exception):  # of a file made to be broken: all kinds
    if path.suffix.lower() != '.npz':
      return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
      return sum(member.file_size for member in archive.infolist())
  return 0  # reading it says what is wrong


def _breast_cancer(section):
  """Diagnoses from cell nuclei (Wolberg, Street & Mangasarian 1993, UCI)."""
  from sklearn.datasets import load_breast_cancer

  if section.label:
    raise UserError(
      f'spec.data.label: got {short(section.label)}, but spec.data.path is empty, and the embedded breast cancer table '
      'has its label (the diagnosis) already; leave it empty, or set spec.data.path'
    )
  table = load_breast_cancer()
  part = {'x': table.data.astype(np.float64), 'label': table.target.astype(np.int32)}
  return Stored('breast_cancer', {'train': part}, columns=tuple(map(str, table.feature_names)))


def _existing(text):
  path = paths.given('data.path', text)
  try:
    if path.exists():
      if not (what := paths.kind(path)):
        with path.open('rb'):
          return path
      raise UserError(f'spec.data.path: {path} is {what}, not a file; allowed: a CSV file (also .gz) or an NPZ file')
    if not path.parent.is_dir():
      raise UserError(
        f'spec.data.path: {paths.shown(path)} is not there: there is no directory {paths.shown(path.parent)}'
      )
    tables = sorted(file.name for file in path.parent.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    by_stem = {name.partition('.')[0]: name for name in reversed(tables)}
    meant = nearest(path.name.partition('.')[0], by_stem).removeprefix(' Did you mean ').removesuffix('?')
    hint = f' Did you mean {by_stem[meant]}?' if meant else (f' There: {", ".join(tables[:5])}' if tables else '')
  except OSError as error:
    raise UserError(f'spec.data.path: {paths.shown(path)} cannot be read: {error.strerror}') from None
  raise UserError(
    f'spec.data.path: {paths.shown(path)} is not there; allowed: a CSV file (also .gz) or an NPZ file.{hint}'
  )
