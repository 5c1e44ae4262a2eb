"""Random crops: which squares, of what, in which epoch; the same wherever training is resumed or however shared."""

import numpy as np
import pytest
from PIL import Image
from runs import assert_same_numbers, assert_same_run, interrupted_at, rows_of
from test_folder import section_of, triangular, write
from test_source import assert_same, batches

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.data import reading, tfds
from tfvae.data.dataset import Part, make
from tfvae.data.folder import load
from tfvae.data.source import Source
from tfvae.errors import SpecError, UserError

SIZES = [(8 + n % 4, 9 + n % 3) for n in range(12)]


@pytest.fixture(scope='module')
def places(tmp_path_factory):
  """Images of different sizes whose pixels say where they are: (row, column, number of the image)."""
  root = tmp_path_factory.mktemp('places')
  for number, (height, width) in enumerate(SIZES):
    pixels = np.full((height, width, 3), number, np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(height)[:, None], np.arange(width)
    Image.fromarray(pixels).save(root / f'{number:02}.png')
  return root


def source(root, seed=3, kept=None, **fields):
  fields = {'crop': 8, 'crop_at': 'random', 'batch_size': 5, 'scaling': 'none', 'test': 0.25, **fields}
  section = section_of(root, **fields)
  return Source(make(load(section), section, 0, kept), section, seed)


def corners(batch):
  """{number of the image: (row, column)} of a batch of squares, each of one image, whole, and as it is in it."""
  x = np.asarray(batch['x'], int)
  grid = np.stack(np.meshgrid(*[np.arange(8)] * 2, indexing='ij'), -1)
  np.testing.assert_array_equal(x[..., :2], x[:, :1, :1, :2] + grid)
  assert (x[..., 2] == x[:, :1, :1, 2]).all()
  return {number: (row, column) for row, column, number in x[:, 0, 0].tolist()}


def test_each_epoch_has_another_square_of_each_image_and_all_are_alike(places):
  source_ = source(places, batch_size=9)  # an epoch
  assert source_.dataset.size('train') == 9
  epochs = [corners(batch) for batch in batches(source_, 0, 400)]
  expected = found = 0
  for number in epochs[0]:
    room = [size - 7 for size in SIZES[number]]
    counts = np.zeros(room)
    for epoch in epochs:
      counts[epoch[number]] += 1
    found += (np.square(counts - 400 / counts.size) / (400 / counts.size)).sum()  # Pearson's, mean counts.size - 1
    expected += counts.size - 1
  assert abs(found - expected) < 4 * np.sqrt(2 * expected)
  seen = {tuple(epoch[number] for number in sorted(epoch)) for epoch in epochs}
  assert len(seen) > 390  # images do not move together
  assert not np.array_equal(source_.crops(0, 1), source(places, seed=4, batch_size=9).crops(0, 1))


def test_a_square_depends_on_seed_epoch_and_image_alone(places):
  """Not on the batch, the step at which training was resumed, the rows of a worker, or what was asked before."""
  whole = batches(source(places), 0, 20)
  assert_same(batches(source(places), 7, 6), whole[7:13])
  again = source(places)
  assert_same(batches(again, 11, 2) + batches(again, 2, 3), whole[11:13] + whole[2:5])
  for rows in (np.arange(2), np.arange(2, 5)):
    part = [{name: value[rows] for name, value in batch.items()} for batch in whole[4:8]]
    assert_same(batches(source(places), 4, 4, rows=rows), part)
  one = batches(source(places, batch_size=1), 0, 45)  # five epochs
  for name in ('x', 'index'):
    np.testing.assert_array_equal(
      np.concatenate([batch[name] for batch in one]), np.concatenate([b[name] for b in whole[:9]])
    )


def test_evaluation_and_what_a_run_keeps_have_the_central_squares(places):
  """Also the moments that values are standardised by; and the training split alone is never held."""
  random, central = (source(places, scaling='standard', crop_at=at) for at in ('random', 'center'))
  assert random.dataset.summary == central.dataset.summary
  assert [split for split, part in random.dataset.splits.items() if isinstance(part, Part)] == ['train']
  assert not any(isinstance(part, Part) for part in central.dataset.splits.values())
  batches(random, 0, 3)
  stored = (source_.evaluation_examples('train', 4) for source_ in (random, central))
  for one, other in zip(*stored, strict=True):
    assert_same(*([{name: value.numpy() for name, value in batch.items()}] for batch in (one, other)))
  np.testing.assert_array_equal(random.first('train', 3)['x'], central.first('train', 3)['x'])
  source(places, kept=random.dataset.summary, scaling='standard')  # it is the same data


def test_the_square_is_resized_then_padded(tmp_path):
  wrote = [write(tmp_path / f'{n}.png', (12 + n, 13, 3), n) for n in range(4)]
  source_ = source(tmp_path, crop=11, resize=6, pad=8, batch_size=3)
  for batch in batches(source_, 0, 3):
    for x, index in zip(batch['x'], batch['index'], strict=True):
      pixels = wrote[source_.dataset.splits['train'].positions[index]]
      squares = [pixels[r : r + 11, c : c + 11] for r in range(len(pixels) - 10) for c in range(3)]
      assert any(np.array_equal(x[1:7, 1:7], triangular(square, 6)) for square in squares)
      assert x.sum() == x[1:7, 1:7].sum()


def test_sets_of_tensorflow_datasets(tfds_dir):
  """Of images of one size, too, the training split is read: CIFAR-10 as 28 of its 32 pixels a side."""
  section = section_of('', name='cifar10', data_dir=tfds_dir, crop=28, crop_at='random', scaling='none', batch_size=64)
  stored = tfds.load(section)
  data = make(stored, section, 0)
  assert isinstance(data.splits['train'], Part) and not isinstance(data.splits['test'], Part)
  (batch,) = batches(Source(data, section, 0), 5, 1)
  whole = tfds.load(section_of('', name='cifar10', data_dir=tfds_dir)).splits['train']
  images = reading.read(Part(whole, batch['index']))['x']
  found = set()
  for x, image in zip(batch['x'], images, strict=True):
    own = {(r, c) for r in range(5) for c in range(5) if np.array_equal(image[r : r + 28, c : c + 28], x)}
    assert own
    found |= own
  assert len(found) > 15


FOLDER = {'data.name': 'folder', 'data.path': 'photos'}


@pytest.mark.parametrize(
  ('fields', 'says'),
  [
    (FOLDER, 'spec.data.crop_at: got random, which needs the side of the squares: set spec.data.crop'),
    (
      {},
      "spec.data.crop_at: got 'random'; only data of folder and TensorFlow Datasets have it, not digits; leave it out",
    ),
    ({'data.name': 'table'}, "spec.data.crop_at: got 'random'; only data of folder and TensorFlow Datasets"),
    (FOLDER | {'data.crop': 8, 'data.binarize': 'static'}, 'spec.data.binarize: got static, which draws one binary'),
    (FOLDER | {'data.crop': 8, 'data.pool': 'train+test'}, 'spec.data.pool: got train+test, which holds both splits'),
  ],
)
def test_what_random_crops_cannot_be_is_refused(fields, says):
  with pytest.raises(SpecError) as error:
    spec_lib.resolve(spec_lib.base(), fields | {'data.crop_at': 'random'})
  assert [problem[: len(says)] for problem in error.value.problems] == [says]


def test_images_smaller_than_the_square_are_named(places):
  with pytest.raises(UserError, match=r'spec\.data\.crop: got 9, but 00\.png is 8 x 9 \(height x width\)'):
    source(places, crop=9)


@pytest.fixture
def spec(places, tiny, monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  fields = {'name': 'folder', 'path': str(places), 'crop': 8, 'crop_at': 'random', 'batch_size': 5, 'test': 0.25}
  train = {'train.steps': 24, 'train.log_every': 2, 'train.checkpoint_every': 5, 'eval.every': 0}
  return spec_lib.resolve(tiny, {f'data.{name}': value for name, value in fields.items()} | train)


def test_a_run_resumes_to_the_bit(spec, tmp_path, monkeypatch):
  commands.train(spec, tmp_path / 'whole')
  with interrupted_at(monkeypatch, 8):
    commands.train(spec, tmp_path / 'parts')
  commands.train(spec, tmp_path / 'parts')
  assert_same_run(tmp_path / 'parts', tmp_path / 'whole')


@pytest.mark.slow
def test_two_devices_train_as_one(spec, tmp_path):
  commands.train(spec, tmp_path / 'one')
  commands.train(spec_lib.resolve(spec, {'train.strategy': 'mirrored', 'train.logical_devices': 2}), tmp_path / 'two')
  assert_same_numbers(rows_of(tmp_path / 'two'), rows_of(tmp_path / 'one'))
