"""Where the sets of TensorFlow Datasets are, and what they are called. Importing this imports neither of them."""

import difflib
import os
import pathlib
import re

from tfvae.errors import nearest, short
from tfvae.spec.entries import NAMES, SUBSETS, TASKS


def data_dir(section) -> pathlib.Path:
  """The directory of the prepared sets: spec.data's `data_dir` (or such a text), $TFDS_DATA_DIR, or TFDS' own."""
  text = section if isinstance(section, (str, os.PathLike)) else section.data_dir
  return pathlib.Path(os.path.expanduser(text or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'))


def read(name: str, of: str) -> str:
  """The set whose examples spec.data.name reads: that of spec.data.of where it is made of one."""
  return of if name in TASKS else name


def source(name: str) -> str | None:
  """The set of TensorFlow Datasets whose files spec.data.name is read from. None: it is read from none."""
  return SUBSETS.get(name, None if name in NAMES['data.name'] else name)


def labelled(name: str, of: str) -> str | None:
  """The set whose labels these examples have: those of one set mean the same. None: of files of one's own."""
  read_ = read(name, of)
  return None if read_ in ('table', 'folder') else (source(read_) or read_).partition('/')[0]


def find(name: str, data_dir: str | os.PathLike) -> pathlib.Path | None:
  """The directory of the highest version of a prepared set, 'name' or 'name/configuration'.

  A name alone stands for its only configuration, too, where there is one.
  """
  parts = name.split('/')
  if len(parts) > 2 or any(part in ('', '.', '..') or '\\' in part for part in parts):
    return None
  if path := _latest(pathlib.Path(data_dir, *parts)):
    return path
  configurations = _configurations(pathlib.Path(data_dir, name)) if len(parts) == 1 else []
  return _latest(configurations[0]) if len(configurations) == 1 else None


def problem(name: str, data_dir: str | os.PathLike) -> str | None:
  """What is wrong with spec.data.name, or None: it is one of ours, a set on disk, or one that TFDS knows."""
  own = NAMES['data.name']
  if name in own or find(name, data_dir):
    return None
  if name and '/' not in name and (several := _configurations(pathlib.Path(data_dir, name))):
    there = [path.name for path in several]
    return (
      f'got {short(name)}, which is prepared in several configurations: {", ".join(there)}; name one: {name}/{there[0]}'
    )
  import tensorflow_datasets as tfds

  known = tfds.list_builders(with_community_datasets=False)
  if name.partition('/')[0] in known and name.count('/') <= 1 and not name.endswith('/'):
    return None
  # Of two that are equally near the first is taken: what is at hand comes before what would be downloaded.
  close = max([*own, *_prepared(data_dir), *known], key=lambda other: _likeness(name, other))
  return f'got {short(name)}; allowed: {allowed()}.{nearest(name.lower()[:200], [close])}'


def allowed() -> str:
  """What spec.data.name may be, for messages."""
  return f'{" | ".join(NAMES["data.name"])} | the name of an image set of TensorFlow Datasets'


def _likeness(name, other):
  return difflib.SequenceMatcher(None, other, name.lower()[:200]).ratio()


def _prepared(data_dir):
  """The names of all prepared sets."""
  names = []
  for path in _directories(pathlib.Path(data_dir)):
    configurations = [f'{path.name}/{below.name}' for below in _configurations(path)]
    names += ([path.name] if _latest(path) or len(configurations) == 1 else []) + configurations
  return names


def _configurations(path):
  return [below for below in _directories(path) if _latest(below)]


def _latest(path):
  versions = [below for below in _directories(path) if re.fullmatch(r'\d+\.\d+\.\d+', below.name)]
  versions = [below for below in versions if (below / 'dataset_info.json').is_file()]
  return max(versions, key=lambda below: tuple(map(int, below.name.split('.'))), default=None)


def _directories(path):
  try:
    return sorted(below for below in path.iterdir() if below.is_dir())
  except (OSError, ValueError):
    return []
