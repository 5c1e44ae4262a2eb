"""Image sets of TensorFlow Datasets: the real ones, and small ones that are prepared here."""

import pathlib
import re
import struct

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tfvae import spec as spec_lib
from tfvae.data import reading
from tfvae.data.dataset import Part, make
from tfvae.data.tfds import TFRecords, load
from tfvae.errors import UserError


class TfvaeFake(tfds.core.GeneratorBasedBuilder):
  """Random images; what they are is set by the test."""

  VERSION = tfds.core.Version('1.0.0')
  pkg_dir_path = pathlib.Path(__file__).parent
  FEATURES = {}
  SIZES = {'train': 9, 'test': 4, 'validation': 2, 'extra': 3}
  fails = None

  def _info(self):
    return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(self.FEATURES))

  def _split_generators(self, dl_manager):
    if self.fails:
      raise self.fails
    return {split: self._generate_examples(split, size) for split, size in self.SIZES.items()}

  def _generate_examples(self, split, size):
    rng = np.random.default_rng(len(split))
    for number in range(size):
      example = {}
      for name, feature in self.FEATURES.items():
        if isinstance(feature, tfds.features.ClassLabel):
          example[name] = number % feature.num_classes
        elif isinstance(feature, tfds.features.Image):
          shape = [side or 20 + number for side in feature.shape]
          values = rng.integers(0, 256, shape)
          example[name] = values.astype(feature.np_dtype)
        else:
          example[name] = 'words' * number
      yield number, example


IMAGE = {'image': tfds.features.Image(shape=(10, 12, 3)), 'label': tfds.features.ClassLabel(num_classes=3)}


@pytest.fixture
def fake(tmp_path, monkeypatch):
  """fake(features, ...) prepares a set and gives its section and builder."""

  def prepare(features=IMAGE, sizes=None, shards=1, file_format='tfrecord', **fields):
    monkeypatch.setattr(TfvaeFake, 'FEATURES', features)
    monkeypatch.setattr(TfvaeFake, 'SIZES', sizes or TfvaeFake.SIZES)
    builder = TfvaeFake(data_dir=str(tmp_path), file_format=file_format)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=shards))
    return section_of('tfvae_fake', tmp_path, **fields), builder

  return prepare


def section_of(name, data_dir, **fields):
  section = spec_lib.base().data
  section.update({'name': name, 'data_dir': str(data_dir), **fields})
  return section


def everything(reader):
  return reading.read(Part(reader, np.arange(reader.size)))


def reference(builder, split):
  if builder.info.file_format.value == 'array_record':
    return list(builder.as_data_source(split=split))
  config = tfds.ReadConfig(interleave_cycle_length=1)  # one shard after the other
  return list(tfds.as_numpy(builder.as_dataset(split=split, read_config=config)))


def error_of(section):
  """The message of what `load` and reading all of it raise."""
  with pytest.raises(UserError) as error:
    make(load(section), section, 0)
  return str(error.value)


def test_mnist(tfds_dir):
  stored = load(section_of('mnist', tfds_dir))
  assert {split: reader.size for split, reader in stored.splits.items()} == {'train': 60000, 'test': 10000}
  assert stored.limits == (0.0, 255.0) and stored.name == 'mnist'
  ours = everything(stored.splits['test'])
  theirs = tfds.as_numpy(tfds.load('mnist', data_dir=tfds_dir, split='test', batch_size=-1))
  np.testing.assert_array_equal(ours['x'], theirs['image'])
  np.testing.assert_array_equal(ours['label'], theirs['label'])
  assert ours['x'].dtype == np.uint8 and ours['label'].dtype == np.int32


def test_cifar10(tfds_dir):
  section = section_of('cifar10', tfds_dir, memory_limit=0.0)
  data = make(load(section), section, 0)
  assert data.shape == (32, 32, 3) and data.size('train') == 50000
  chosen = np.array([49999, 3, 0])
  ours = reading.read(Part(data.splits['train'].reader, chosen))
  theirs = list(tfds.as_numpy(tfds.load('cifar10', data_dir=tfds_dir, split='train[:4]+train[49999:]')))
  for row, number in enumerate([4, 3, 0]):
    np.testing.assert_array_equal(ours['x'][row], theirs[number]['image'])
    assert ours['label'][row] == theirs[number]['label']


@pytest.mark.parametrize(('shards', 'file_format'), [(1, 'tfrecord'), (2, 'tfrecord'), (2, 'array_record')])
def test_examples_are_those_of_tfds(fake, shards, file_format):
  section, builder = fake({**IMAGE, 'words': tfds.features.Text()}, None, shards, file_format)
  stored = load(section)
  assert list(stored.splits) == ['train', 'test', 'validation']
  for split, reader in stored.splits.items():
    ours, theirs = everything(reader), reference(builder, split)
    assert len(ours['x']) == reader.size == len(theirs)
    for x, label, example in zip(ours['x'], ours['label'], theirs, strict=True):
      np.testing.assert_array_equal(x, example['image'])
      assert label == example['label']


def test_read_when_needed_is_what_is_read_into_memory(fake):
  section, _ = fake(shards=2)
  whole = make(load(section), section, 0)
  section.memory_limit = 0.0
  parts = make(load(section), section, 0)
  assert whole.summary == parts.summary and whole.shape == parts.shape == (10, 12, 3)
  for split, part in parts.splits.items():
    assert isinstance(part, Part)
    ours = reading.read(part)
    assert ours.keys() == whole.splits[split].keys() == {'x', 'label'}
    for name, values in ours.items():
      np.testing.assert_array_equal(values, whole.splits[split][name])


def test_reading_is_parallel_where_ops_are_deterministic(fake):
  from tensorflow.python.data.experimental.ops.testing import assert_next
  from tensorflow.python.framework import config

  section, _ = fake(memory_limit=0.0)
  part = make(load(section), section, 0).splits['train']
  before = config.is_op_determinism_enabled()
  config.enable_op_determinism()
  try:
    numbers = tf.data.Dataset.range(9).apply(assert_next(['Batch', 'ParallelMap', 'ParallelMap']))
    indices = [int(example['index']) for example in reading.iterator(reading.examples(part, numbers))]
    assert indices == list(range(9)) and config.is_op_determinism_enabled()
    with pytest.raises(tf.errors.InvalidArgumentError):  # else `iterator` is no longer needed
      next(iter(reading.examples(part, numbers)))
  finally:
    if not before:
      config.disable_op_determinism()


def test_celeb_a_as_it_is_usually_cropped(fake):
  section, builder = fake({'image': tfds.features.Image(shape=(218, 178, 3))}, crop=148, resize=64)
  reader = load(section).splits['test']
  assert reader.shape == (64, 64, 3)
  ours = everything(reader)
  assert ours.keys() == {'x'} and ours['x'].shape == (4, 64, 64, 3)
  for x, example in zip(ours['x'], reference(builder, 'test'), strict=True):
    face = Image.fromarray(example['image'][35 : 35 + 148, 15 : 15 + 148])
    pillow = np.asarray(face.resize((64, 64), Image.Resampling.BILINEAR), int)
    assert np.abs(pillow - x).max() <= 1


@pytest.mark.parametrize(
  ('fields', 'shape'), [({'resize': 8}, (8, 8)), ({'crop': 7}, (7, 7)), ({'pad': 32, 'crop': 20}, (32, 32))]
)
def test_images_of_different_sizes(fake, fields, shape):
  section, builder = fake({'image': tfds.features.Image()}, **fields)
  x = everything(load(section).splits['test'])['x']
  assert x.shape == (4, *shape, 3)
  if 'crop' in fields:
    side, edge = fields['crop'], (shape[0] - fields['crop']) // 2
    for ours, example in zip(x, reference(builder, 'test'), strict=True):
      top, left = ((size - side) // 2 for size in example['image'].shape[:2])
      inside = ours[edge : edge + side, edge : edge + side]
      np.testing.assert_array_equal(inside, example['image'][top : top + side, left : left + side])
      assert ours.sum() == inside.sum()


def test_the_label_and_the_image_among_many(fake):
  numbers = lambda: tfds.features.ClassLabel(num_classes=2)
  pictures = {'a': tfds.features.Image(shape=(4, 4, 3)), 'image': tfds.features.Image(shape=(5, 5, 1))}
  section, builder = fake({**pictures, 'kind': numbers()})
  stored = load(section)
  theirs = [example['kind'] for example in reference(builder, 'train')]
  assert everything(stored.splits['train'])['label'].tolist() == theirs and len(set(theirs)) == 2
  assert stored.splits['train'].shape == (5, 5, 1)


def test_two_unnamed_labels_are_none(fake):
  numbers = lambda: tfds.features.ClassLabel(num_classes=2)
  section, _ = fake({'image': IMAGE['image'], 'kind': numbers(), 'sort': numbers()})
  assert everything(load(section).splits['train']).keys() == {'x'}


def test_records_may_end_in_zeros(tmp_path):
  records = [[b'a\0\0', b'', b'\0'], [], [b'bcd' * 1000 + b'\0']]
  paths = [tmp_path / f'{number}' for number in range(3)]
  for path, content in zip(paths, records, strict=True):
    with tf.io.TFRecordWriter(str(path)) as writer:
      for record in content:
        writer.write(record)
  found = TFRecords(paths, [3, 0, 1])
  assert found.read(np.array([3, 0, 2, 1, 0])).tolist() == [records[2][0], b'a\0\0', b'\0', b'', b'a\0\0']


# Mistakes.


@pytest.mark.parametrize(
  ('features', 'fields', 'words'),
  [
    ({'words': tfds.features.Text()}, {}, ['spec.data.name', 'no image', 'words: Text']),
    (
      {'image': tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16), 'label': IMAGE['label']},
      {},
      ['no image of type uint8', 'image: Image uint16', 'label: ClassLabel'],
    ),
    (IMAGE, {'crop': 11}, ['spec.data.crop: got 11', '10 x 12']),
    (IMAGE, {'pad': 11}, ['spec.data.pad: got 11', '10 x 12', 'spec.data.resize']),
    (IMAGE, {'resize': 8, 'pad': 7}, ['spec.data.pad: got 7', '8 x 8']),
    ({'image': tfds.features.Image()}, {}, ['spec.data.resize', 'tfvae_fake', '--spec.data.resize=64']),
    ({'image': tfds.features.Image()}, {'crop': 21}, ['spec.data.crop: got 21', 'smaller', 'leave such images out']),
    ({'image': tfds.features.Image()}, {'pad': 21}, ['spec.data.pad: got 21', 'larger']),
  ],
)
def test_sets_that_do_not_fit(fake, features, fields, words):
  section, _ = fake(features, **fields)
  message = error_of(section)
  assert all(word in message for word in words) and '\n' not in message, message


def test_a_set_without_a_training_split(fake):
  section, _ = fake(sizes={'test': 3, 'other': 1})
  assert re.search(r"has no split 'train', only .*other", error_of(section))


def cut_off(path, content):
  path.write_bytes(content[:-5])


def cut_record(path, content):
  (length,) = struct.unpack_from('<Q', content)
  path.write_bytes(content[16 + length :])


def wrong_length(path, content):
  path.write_bytes(struct.pack('<Q', 2**40) + content[8:])


def wrong_checksum(path, content):
  at = content.rindex(b'IDAT') + 20
  path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])


def gone(path, content):
  path.unlink()


def empty(path, content):
  path.write_bytes(b'')


@pytest.mark.parametrize(
  ('damage', 'words'),
  [
    (cut_off, ['is damaged or cut off: its record 8 has no end']),
    (cut_record, ['it has 8 records, dataset_info.json says 9']),
    (wrong_length, ['is damaged or cut off: its record 0 has no end']),
    (wrong_checksum, ['is damaged', 'corrupted record']),
    (gone, ['cannot be read', 'No such file']),
    (empty, ['cannot be read']),
  ],
)
def test_damaged_shards(fake, damage, words):
  section, builder = fake()
  (path,) = builder.info.splits['train'].filepaths
  damage(path, path.read_bytes())
  message = error_of(section)
  assert all(word in message for word in [str(path), 'prepare it again', *words]), message


def test_a_record_that_is_no_image(fake):
  section, builder = fake(sizes={'train': 9, 'test': 1})
  (path,) = builder.info.splits['train'].filepaths
  records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
  with tf.io.TFRecordWriter(str(path)) as writer:
    for number, record in enumerate(records):
      writer.write(record.replace(b'PNG', b'GNP') if number == 1 else record)
  message = error_of(section)
  assert f'record 1 of {path} cannot be decoded' in message


def test_damaged_information(fake):
  section, builder = fake()
  (builder.data_path / 'features.json').write_text('{')
  message = error_of(section)
  assert str(builder.data_path) in message and 'cannot be read by TensorFlow Datasets' in message


# Downloads.


def test_download(tmp_path, monkeypatch, capfd):
  monkeypatch.setattr(TfvaeFake, 'FEATURES', IMAGE)
  section = section_of('tfvae_fake', tmp_path)
  assert 'tfvae_fake is not prepared' in error_of(section)
  section.download = True
  assert make(load(section), section, 0).size('train') == 9
  out = capfd.readouterr().out
  assert 'downloading tfvae_fake/1.0.0' in out and str(tmp_path) in out
  monkeypatch.setattr(TfvaeFake, 'fails', OSError('not again'))
  assert load(section).splits['train'].size == 9


@pytest.mark.parametrize(
  ('error', 'by_hand', 'words'),
  [
    (ConnectionError('no route\nto host\n' * 99), None, ['spec.data.download', 'ConnectionError: no route to host']),
    (OSError(28, 'No space left on device'), None, ['spec.data.download', 'No space left on device', 'network']),
    (
      AssertionError('Manual directory'),
      'Get it from\n  over there.',
      ['by hand', 'Get it from over there.', 'manual'],
    ),
  ],
)
def test_downloads_that_fail(tmp_path, monkeypatch, error, by_hand, words):
  monkeypatch.setattr(TfvaeFake, 'FEATURES', IMAGE)
  monkeypatch.setattr(TfvaeFake, 'fails', error)
  monkeypatch.setattr(TfvaeFake, 'MANUAL_DOWNLOAD_INSTRUCTIONS', by_hand)
  message = error_of(section_of('tfvae_fake', tmp_path, download=True))
  assert all(word in message for word in [*words, str(tmp_path)]) and message.count('\n') <= 2, message


def test_unknown_sets_are_not_downloaded(tmp_path):
  assert 'Did you mean mnist?' in error_of(section_of('mnits', tmp_path, download=True))
  assert 'could not be downloaded' in error_of(section_of('mnist/none', tmp_path, download=True))
