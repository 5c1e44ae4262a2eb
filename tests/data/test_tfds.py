"""Image sets of TensorFlow Datasets: the real ones, and small ones that are prepared here."""

import io
import json
import os
import pathlib
import re
import struct
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import json_format
from PIL import Image

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.data import reading, tfds_files
from tfvae.data.dataset import Part, make
from tfvae.data.tfds import TFRecords, load
from tfvae.errors import UserError
from tfvae.trained import Run


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
        elif isinstance(feature, tfds.features.Image) and feature.encoding_format == 'jpeg':
          example[name] = io.BytesIO(jpeg(rng))
        elif isinstance(feature, tfds.features.Image):
          shape = [side or 20 + number for side in feature.shape]
          values = rng.integers(0, 256, shape)
          example[name] = values.astype(feature.np_dtype)
        else:
          example[name] = 'words' * number
      yield number, example


def jpeg(rng):
  """An image that TensorFlow's default transform is far from."""
  file = io.BytesIO()
  Image.fromarray(rng.integers(0, 256, (10, 12, 3)).astype(np.uint8)).save(file, 'JPEG', quality=95)
  return file.getvalue()


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
  undecoded = {'image': tfds.decode.SkipDecoding()}  # JPEG, which we decode as Pillow does
  theirs = tfds.load('cifar10', data_dir=tfds_dir, split='train[:4]+train[49999:]', decoders=undecoded)
  theirs = list(tfds.as_numpy(theirs))
  for row, number in enumerate([4, 3, 0]):
    pillow = np.asarray(Image.open(io.BytesIO(theirs[number]['image'])), int)
    assert np.abs(ours['x'][row] - pillow).max() <= 1
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


def test_jpeg_is_decoded_as_by_pillow(fake):
  features = {'image': tfds.features.Image(shape=(10, 12, 3), encoding_format='jpeg'), 'label': IMAGE['label']}
  section, _ = fake(features)
  rng = np.random.default_rng(len('train'))
  theirs = {Image.open(io.BytesIO(jpeg(rng))).tobytes() for _ in range(9)}
  ours = everything(load(section).splits['train'])['x'].astype(int)
  theirs = np.array([np.frombuffer(pixels, np.uint8) for pixels in theirs], int)
  for x in ours:  # in TFDS' order
    assert np.abs(theirs - x.ravel()).max(1).min() <= 1


# Sets from someone else.

EVIL = 'tfvae_evil_module.Feature'


def in_proto(name):
  return {'pythonClassName': name, 'jsonFeature': {'json': '{}'}}


@pytest.mark.parametrize(
  'features',
  [
    in_proto(EVIL),
    {'python_class_name': EVIL, 'jsonFeature': {'json': '{}'}},
    {'type': EVIL, 'content': {}},
    {'type': 'tensorflow_datasets.core.features.features_dict.FeaturesDict', 'content': {'type': {'type': EVIL}}},
    {
      'pythonClassName': 'tensorflow_datasets.core.features.features_dict.FeaturesDict',
      'featuresDict': {'features': {'a': in_proto(EVIL)}},
    },
    {
      'pythonClassName': 'tensorflow_datasets.core.features.sequence_feature.Sequence',
      'sequence': {'length': '-1', 'feature': in_proto(EVIL)},
    },
    {
      'pythonClassName': 'tensorflow_datasets.core.features.features_dict.FeaturesDict',
      'jsonFeature': {'json': json.dumps({'a': {'type': EVIL, 'content': {}}})},
    },
    {
      'type': 'tensorflow_datasets.core.features.features_dict.FeaturesDict',
      'proto_cls': 'tensorflow_datasets.FeaturesDict',
      'content': json.dumps({'features': {'a': in_proto(EVIL)}}),
    },
    in_proto('tensorflow_datasets.core.features.image_feature_test.Evil'),
    in_proto('x' * 100_000),
  ],
)
@pytest.mark.parametrize('place', ['features.json', 'dataset_info.json'])
def test_nothing_that_a_set_names_is_imported(fake, tmp_path, monkeypatch, features, place):
  section, builder = fake()
  monkeypatch.syspath_prepend(tmp_path)
  (tmp_path / 'tfvae_evil_module.py').write_text('raise ImportError("imported")')
  path = builder.data_path / place
  content = features if place == 'features.json' else json.loads(path.read_text()) | {'features': features}
  path.write_text(json.dumps(content))
  message = error_of(section)
  assert f'{path} asks for the class ' in message and 'was not imported' in message and len(message) < 700, message
  assert EVIL in message or 'image_feature_test' in message or 'xxx...' in message
  assert not any('evil' in name or name.endswith('image_feature_test') for name in sys.modules)


def test_features_of_tfds_are_known(fake):
  """Every one that it can write; of older versions too, where a class had another name."""
  f = tfds.features
  kinds = [f.Audio(), f.BBoxFeature(), f.Dataset({'a': np.int32}), f.LabeledImage(labels=3), f.Scalar(np.int32)]
  kinds += [f.Sequence({'a': f.Text()}), f.Tensor(shape=(2,), dtype=np.int32), f.Video((3, 4, 4, 3)), f.Text()]
  kinds += [f.Translation(['de', 'en']), f.TranslationVariableLanguages(), f.FeaturesDict({'type': f.Text()})]
  for kind in kinds:
    for content in (kind.to_json(), json_format.MessageToDict(kind.to_proto())):
      assert set(tfds_files._classes(content)) <= tfds_files._own(), content
  assert 'tensorflow_datasets.core.features.feature.Tensor' in tfds_files._own()


@pytest.mark.parametrize('name', ['features.json', 'label.labels.txt', 'other', 'shard'])
def test_a_set_with_a_pipe(fake, name):
  section, builder = fake()
  path = builder.info.splits['train'].filepaths[0] if name == 'shard' else builder.data_path / name
  path.unlink(missing_ok=True)
  os.mkfifo(path)
  assert f'{path} is a named pipe' in error_of(section)


def test_a_download_looks_at_what_is_there(tmp_path):
  (tmp_path / 'mnist' / 'none' / '1.0').mkdir(parents=True)
  (tmp_path / 'mnist' / 'none' / '1.0' / 'features.json').write_text(json.dumps(in_proto(EVIL)))
  assert 'was not imported' in error_of(section_of('mnist/none', tmp_path, download=True))


@pytest.mark.parametrize(('content', 'words'), [('[' * 100_000, 'too deep'), ('[]', ''), ('\xff', ''), ('{"a"', '')])
@pytest.mark.parametrize('name', ['features.json', 'dataset_info.json'])
def test_files_that_cannot_be_read(fake, name, content, words):
  section, builder = fake()
  (pathlib.Path(builder.data_path) / name).write_bytes(content.encode('latin-1'))
  message = error_of(section)
  assert str(builder.data_path) in message and words in message and len(message) < 700


@pytest.mark.parametrize('data_dir', ['~nouser', 'x' * 300, 'x' * 100_000, '\0', '/no/\udcff'])
def test_directories_that_cannot_be(data_dir):
  message = error_of(section_of('mnist', data_dir))
  assert 'spec.data.' in message and len(message) < 900 and message.isprintable()


def test_a_directory_that_is_not_utf8(fake, tmp_path):
  section, _ = fake()
  root = pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b'/\xff'))
  root.mkdir()
  (tmp_path / 'tfvae_fake').rename(root / 'tfvae_fake')
  section.data_dir = str(root)
  try:
    assert make(load(section), section, 0).size('train') == 9
  except UserError as error:
    assert 'cannot be read by TensorFlow Datasets' in str(error)


@pytest.mark.parametrize('command', [commands.evaluate, commands.sample])
def test_a_run_brings_no_leave_to_download(tmp_path, monkeypatch, command):
  """What its spec.json says of it does not count; what the command says does."""
  fields = {'data.name': 'mnist', 'data.data_dir': str(tmp_path), 'data.download': True}
  (tmp_path / 'spec.json').write_text(spec_lib.to_json(spec_lib.resolve(spec_lib.base(), fields)))
  monkeypatch.setattr(Run, 'require', lambda *_, **__: None)

  def builder(*_, **__):
    raise ConnectionError('reached')

  monkeypatch.setattr('tensorflow_datasets.builder', builder)
  assert not Run(tmp_path).spec.data.download and '"download": true' in (tmp_path / 'spec.json').read_text()
  with pytest.raises(UserError, match=r'mnist is not prepared.* give --spec\.data\.download=true'):
    command(tmp_path)
  with pytest.raises(UserError, match='reached'):
    command(tmp_path, {'data.download': True})
