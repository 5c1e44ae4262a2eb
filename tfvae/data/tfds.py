"""Image sets of TensorFlow Datasets. Importing this, and mistakes, import no TensorFlow."""

import bisect
import functools
import mmap
import os
import pathlib
import re
import struct
import threading

import numpy as np

from tfvae.data import images, tfds_files
from tfvae.data.stored import Reader, Stored, words
from tfvae.errors import UserError, cut
from tfvae.quiet import import_tensorflow
from tfvae.run.files import read_json
from tfvae.spec import catalogue, paths

SPLITS = ('train', 'test', 'validation')


def load(section) -> Stored:
  """The set that spec.data.name names, downloaded where spec.data.download says so.

  Raises:
    UserError: it is not there or cannot be downloaded, is damaged, or holds no images of 8 bits.
  """
  path = catalogue.find(section.name, catalogue.data_dir(section)) or _download(section)
  tfds_files.check(path)
  import tensorflow_datasets as tfds

  try:
    info = tfds.builder_from_directory(path).info
    splits = {split: info.splits[split] for split in SPLITS if split in info.splits}
  except Exception as error:
    raise UserError(
      f'spec.data.name: {path} cannot be read by TensorFlow Datasets: {_short(error)}{_again()}'
    ) from None
  if 'train' not in splits:
    raise UserError(
      f"spec.data.name: {section.name} has no split 'train', only {cut(', '.join(info.splits)) or 'none'}"
    )
  image, label = _features(section.name, info.features)
  shape = images.shape(info.features[image].shape, section, f'the images of {section.name}')
  records = {split: _records(info.file_format.value, split_info) for split, split_info in splits.items()}
  import_tensorflow()
  features = tfds.features.FeaturesDict({name: info.features[name] for name in (image, label) if name})
  return Stored(
    section.name,
    {split: RecordReader(found, features, image, label, shape, section) for split, found in records.items()},
    images.LIMITS,
  )


def shape(section) -> tuple[int, int, int]:
  """Of an example of a set that is there, from its features.json, without TFDS.

  Raises:
    UserError, OSError, ValueError, KeyError: it is not there, or cannot be read so; `load` says why.
  """
  path = catalogue.find(section.name, catalogue.data_dir(section))
  if path is None:
    raise ValueError(f'{section.name} is not there')
  features = read_json(path / 'features.json')['featuresDict']['features']
  pictures = {name: feature['image'] for name, feature in features.items() if 'image' in feature}
  image = pictures.get('image') or next(iter(pictures.values()))
  sides = [int(side) for side in image['shape']['dimensions']]
  return images.shape([side if side > 0 else None for side in sides], section)


def _features(name, features):
  """The names of the image and of the label (or None)."""
  import tensorflow_datasets as tfds

  found = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
  kinds = {kind: [key for key, feature in found.items() if type(feature) is kind] for kind in _kinds()}
  pictures, labels = kinds.values()
  image = 'image' if 'image' in pictures else next(iter(pictures), None)
  if image is None or np.dtype(found[image].np_dtype) != np.uint8:
    there = ', '.join(f'{cut(key, 40)}: {_feature(feature)}' for key, feature in list(found.items())[:20])
    there = there or _feature(features)
    what = (
      'no image' if image is None else f'no image of type uint8 ({cut(image, 40)} is {np.dtype(found[image].np_dtype)})'
    )
    raise UserError(f'spec.data.name: {name} has {what} among its features: {there}')
  return image, 'label' if 'label' in labels else labels[0] if len(labels) == 1 else None


def _kinds():
  import tensorflow_datasets as tfds

  return tfds.features.Image, tfds.features.ClassLabel


def _feature(feature):
  kind = type(feature).__name__
  return f'{kind} {np.dtype(feature.np_dtype)}' if kind == 'Image' else kind


class RecordReader(Reader):
  """Images that are fields of serialized tf.train.Examples."""

  def __init__(self, records, features, image, label, shape, section):
    self.size, self.shape, self.dtype = records.size, shape, np.dtype(np.uint8)
    self._records, self._features, self._section = records, features, section
    self._image, self._label = image, label
    self.classes = features[label].num_classes if label else None

  def fetch(self, positions):
    import tensorflow as tf

    records = tf.numpy_function(self._records.read, [positions], tf.string)
    records.set_shape(positions.shape)
    return records

  def decode(self, stored, seed=None):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    example = self._features.deserialize_example(stored, decoders={self._image: tfds.decode.SkipDecoding()})
    stored_shape = self._features[self._image].shape
    image = images.decode(example[self._image], stored_shape[-1])
    image.set_shape(stored_shape)
    decoded = {'x': images.prepare(image, self._section, seed)}
    if self._label:
      decoded['label'] = tf.cast(example[self._label], tf.int32)
    return decoded

  def explain(self, error):
    if known := images.problem(error):
      return known
    damaged = self._records.damaged() or self._undecodable()
    return f'spec.data.name: {damaged}{_again()}' if damaged else super().explain(error)

  def _undecodable(self):
    """The first record that is no image, in words."""
    import tensorflow as tf

    examples = tf.data.Dataset.range(self.size).batch(64).map(self.fetch).unbatch().map(self.decode)
    good = 0
    try:
      for _ in examples:
        good += 1
    except tf.errors.OpError as error:
      return f'{self._records.place(good)} cannot be decoded ({words(error)})'
    return None


# Records in files.


class TFRecords:
  """The records of shards in the TFRecord format, by their number.

  Records are read from open files rather than from a memory map: the pages of a map count as memory of the process.
  """

  def __init__(self, paths, lengths):
    self._paths = paths
    spans = [_walk(path, length) for path, length in zip(paths, lengths, strict=True)]
    self._firsts = np.concatenate([[0], np.cumsum([len(span) for span in spans])]).tolist()
    self._spans = np.concatenate(spans)
    self.size = len(self._spans)
    self._open = functools.lru_cache(maxsize=64)(lambda shard: open(paths[shard], 'rb', buffering=0))  # noqa: SIM115

  def read(self, positions):
    """The records [K] at positions [K], as objects: NumPy's own bytes lose trailing zeros."""
    records = np.empty(len(positions), object)
    for number, position in enumerate(positions.tolist()):
      file = self._open(self._shard(position))
      begin, length = self._spans[position].tolist()
      records[number] = os.pread(file.fileno(), length, begin)
    return records

  def place(self, position):
    """Where a record is, in words."""
    shard = self._shard(position)
    return f'record {position - self._firsts[shard]} of {self._paths[shard]}'

  def damaged(self):
    """The first shard whose checksums are wrong, in words, or None."""
    import tensorflow as tf

    for path in self._paths:
      try:
        tf.data.TFRecordDataset(str(path)).reduce(np.int64(0), lambda count, _: count + 1)
      except tf.errors.OpError as error:
        return f'{path} is damaged ({words(error)})'
    return None

  def _shard(self, position):
    return bisect.bisect_right(self._firsts, position) - 1


def _walk(path, expected):
  """Begin and length of each record [N, 2]: 8 bytes of length, 4 of checksum, the record, 4 of checksum."""
  spans, at = [], 0
  try:
    if what := paths.kind(path):
      raise ValueError(f'it is {what}')
    size = path.stat().st_size
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
      length_at = struct.Struct('<Q').unpack_from
      while at + 16 <= size:
        (length,) = length_at(content, at)
        spans.append((at + 12, length))
        at += 16 + length
  except (OSError, ValueError) as error:
    if not (expected == 0 and path.exists()):
      raise UserError(f'spec.data.name: {path} cannot be read: {error}{_again()}') from None
  if at != size:
    raise UserError(
      f'spec.data.name: {path} is damaged or cut off: its record {len(spans) - (at > size)} has no end{_again()}'
    )
  if len(spans) != expected:
    raise UserError(
      f'spec.data.name: {path} is damaged: it has {len(spans)} records, dataset_info.json says {expected}{_again()}'
    )
  return np.array(spans, np.int64).reshape(-1, 2)


class ArrayRecords:
  """The same for shards in the ArrayRecord format."""

  def __init__(self, paths, lengths):
    try:
      from array_record.python.array_record_data_source import ArrayRecordDataSource
    except ImportError:
      raise UserError(
        f'spec.data.name: {paths[0].parent} is in the format array_record, whose package is not installed '
        "(pip install array_record); or prepare the set anew with 'tfds build --file_format tfrecord'"
      ) from None
    self._paths, self._lock = paths, threading.Lock()
    try:
      self._source = ArrayRecordDataSource([str(path) for path in paths])
      self.size = len(self._source)
    except Exception as error:
      raise UserError(f'spec.data.name: {paths[0].parent} cannot be read: {_short(error)}{_again()}') from None
    if self.size != sum(lengths):
      raise UserError(
        f'spec.data.name: {paths[0]} and its siblings are damaged: they have {self.size} records, dataset_info.json '
        f'says {sum(lengths)}{_again()}'
      )

  def read(self, positions):
    records = np.empty(len(positions), object)
    with self._lock:
      records[:] = self._source.__getitems__(positions.tolist())
    return records

  def place(self, position):
    return f'record {position} of {self._paths[0]} and its siblings'

  def damaged(self):
    return None


def _records(file_format, split):
  kinds = {'tfrecord': TFRecords, 'array_record': ArrayRecords}
  paths = [pathlib.Path(path) for path in split.filepaths]
  if file_format not in kinds:
    raise UserError(
      f'spec.data.name: {paths[0].parent} is in the format {file_format}; known: {", ".join(kinds)}. '
      "Prepare the set anew with 'tfds build --file_format tfrecord'"
    )
  return kinds[file_format](paths, split.shard_lengths)


# Sets that are not there.


def _download(section):
  """The directory of a set that was not there; TFDS shows the progress."""
  root = catalogue.data_dir(section)
  if problem := catalogue.problem(section.name, root):
    raise UserError(f'spec.data.name: {problem}')
  if not section.download:
    raise UserError(
      f'spec.data.name: {section.name} is not prepared: looked in {paths.shown(root / section.name)} '
      f"(spec.data.data_dir, or TFDS_DATA_DIR); prepare it with 'tfds build {section.name} --data_dir "
      f"{paths.shown(root)}' or give --spec.data.download=true"
    )
  import_tensorflow()
  import tensorflow_datasets as tfds

  for file in (root / section.name.partition('/')[0]).rglob('features.json'):
    tfds_files.check(file.parent)  # what TFDS may find there while it looks for the set
  builder = None
  try:
    builder = tfds.builder(section.name, data_dir=str(root))
    source = next(iter(re.findall(r'https?://[^\s/]+', builder.info.homepage or '')), 'its source')
    print(
      f'downloading {builder.info.full_name} ({builder.info.download_size}) from {source} to {builder.data_dir}; '
      'without a network this may take minutes to fail',
      flush=True,
    )
    builder.download_and_prepare()
  except Exception as error:
    raise UserError(_failure(section.name, root, builder, error)) from None
  return pathlib.Path(builder.data_dir)


def _failure(name, root, builder, error):
  """At most three lines."""
  by_hand = getattr(builder, 'MANUAL_DOWNLOAD_INSTRUCTIONS', None)
  if by_hand and 'manual' in str(error).lower():
    how = ' '.join(by_hand.split())
    return (
      f'spec.data.name: {name} must be downloaded by hand into {root / "downloads" / "manual"}, then once more with '
      f'--spec.data.download=true:\n{how[:400]}'
    )
  return (
    f'spec.data.download: {name} could not be downloaded and prepared in {root}:\n{_short(error, 300)}\n'
    "Is there a network, room on the disk, and leave to write there? It may also be prepared elsewhere, by 'tfds build "
    f"{name}', and copied"
  )


def _short(error, length=200):
  return f'{type(error).__name__}: {" ".join(str(error).split())[:length]}'.removesuffix(': ')


def _again():
  return '; remove its directory and prepare it again (tfds build, or --spec.data.download=true)'
