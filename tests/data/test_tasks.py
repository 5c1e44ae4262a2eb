"""Tasks made of digits: each is what it says, of its own split's images, and a function of the seed."""

import functools

import numpy as np
import pytest

from tfvae import build, plan
from tfvae import spec as spec_lib
from tfvae.data import digits, tasks
from tfvae.data.dataset import Stored
from tfvae.errors import SpecError, UserError
from tfvae.spec.entries import TASKS

N = 60


def section(name, **fields):
  spec = spec_lib.base(('z1',))
  spec.data.update({'name': name, 'of': 'digits', 'examples': N, **fields})
  return spec.data


@functools.cache
def stored(name, **fields):
  return tasks.load(section(name, **fields))


def known(split):
  """{the bytes of an image: its label} of the digits of a split."""
  part = digits.load(None).splits[split]
  return {image.tobytes(): label for image, label in zip(part['x'], part['label'], strict=True)}


def labels(images, split):
  """Of images [n, H, W, C] of the digits of a split, [n, C]. A KeyError where one is none of them."""
  of = known(split)
  return np.array([[of[image[..., c].tobytes()] for c in range(image.shape[-1])] for image in images])


@pytest.mark.parametrize('name', TASKS)
def test_the_seed_alone_decides(name):
  one, again, other = stored(name), tasks.load(section(name)), stored(name, seed=1)
  assert one.limits == (0.0, 16.0) and one.name == name
  assert tasks.shape(section(name)) == one.splits['train']['x'].shape[1:]
  for split in ('train', 'test'):
    found = one.splits[split]
    assert found['x'].dtype == np.uint8 and found['x'].max() <= 16 and {len(array) for array in found.values()} == {N}
    assert found['label'].dtype == np.int32 and set(found['label']) <= set(range(10))
    for key, array in found.items():
      np.testing.assert_array_equal(array, again.splits[split][key])
    assert not np.array_equal(found['x'], other.splits[split]['x'])


@pytest.mark.parametrize('split', ['train', 'test'])
def test_sums(split):
  """Of images of this split alone."""
  found = stored('mnist_sum').splits[split]
  terms = labels(found['context'], split)
  np.testing.assert_array_equal(labels(found['x'], split)[:, 0], terms.sum(1) % 10)
  np.testing.assert_array_equal(found['label'], terms.sum(1) % 10)

  found = stored('mnist_sum_hard').splits[split]
  terms = labels(found['x'], split)
  np.testing.assert_array_equal(labels(found['context'], split)[:, 0], terms.sum(1) % 10)
  np.testing.assert_array_equal(found['label'], terms.sum(1) % 10)

  found = stored('mnist_triplets').splits[split]
  three = labels(found['x'], split)
  np.testing.assert_array_equal(three[:, 2], three[:, :2].sum(1) % 10)
  np.testing.assert_array_equal(found['labels'], three)
  np.testing.assert_array_equal(found['label'], three[:, 2])
  assert found['labels'].dtype == np.int32 and stored('mnist_triplets').stack and not stored('color_mnist').stack


@pytest.mark.parametrize('split', ['train', 'test'])
def test_rotations(split):
  found = stored('mnist_rotate').splits[split]
  shown = labels(found['context'], split)
  np.testing.assert_array_equal(shown, np.stack([found['label'], found['turns']], 1))
  assert set(found['turns']) == set(range(10)) and found['turns'].dtype == np.int32
  for k, other in ((0, 0), (3, 1), (6, 2), (9, 3)):  # quarters of a turn are exact: another instance of the label
    rows = found['turns'] == k
    back = np.rot90(found['x'][rows], -other, (1, 2))
    np.testing.assert_array_equal(labels(back, split)[:, 0], found['label'][rows])
    assert not (back[..., 0] == found['context'][rows][..., 0]).all((1, 2)).any()


def test_turns_are_by_30_degrees():
  """A dot at the right goes up first, on a circle about the middle; outside is black."""
  image = np.zeros([1, 41, 41, 1], np.uint8)
  image[0, 19:22, 35:38] = 200
  rows, columns = np.mgrid[:41, :41] - 20.0
  for k in range(10):
    x = tasks.turned(image, np.array([k]))[0, ..., 0].astype(float)
    at = np.array([(x * columns).sum(), -(x * rows).sum()]) / x.sum()
    np.testing.assert_allclose(at, 16 * np.array([np.cos(k * np.pi / 6), np.sin(k * np.pi / 6)]), atol=0.05)
  white = tasks.turned(np.full([1, 8, 8, 1], 9, np.uint8), np.array([1]))[0, ..., 0]
  assert white[0, 0] == 0 and (white[2:6, 2:6] == 9).all()


def test_turns_have_their_number_for_a_label():
  found = stored('mnist_turns').splits['test']
  rows = found['label'] == 6
  labels(np.rot90(found['x'][rows], -2, (1, 2)), 'test')  # all are digits


def test_colours_can_be_told_apart():
  """Two, of a luma that differs by a quarter of white, and the grey value between them."""
  found = stored('color_mnist', examples=400).splits['train']
  assert found['x'].shape[1:] == (8, 8, 3)
  for x in found['x'][:50].astype(float):
    pixels = x.reshape(-1, 3)
    luma = pixels @ [0.299, 0.587, 0.114]
    ends = pixels[[luma.argmin(), luma.argmax()]]
    assert luma.max() - luma.min() >= 0.25 * 16 - 1
    t = np.clip((pixels - ends[0]) @ (ends[1] - ends[0]) / np.square(ends[1] - ends[0]).sum(), 0, 1)
    np.testing.assert_allclose(pixels, ends[0] + t[:, None] * (ends[1] - ends[0]), atol=1.2)  # on a line
  assert found['x'].std((0, 1, 2)).min() > 3  # all three vary


def test_as_many_as_are_asked_for(monkeypatch):
  monkeypatch.setattr(tasks, 'MOST_TEST', 20)
  found = tasks.load(section('mnist_sum'))
  assert {split: len(part['x']) for split, part in found.splits.items()} == {'train': N, 'test': 20}


def base(monkeypatch, **fields):
  """Has data.of=digits read as something else."""
  own = digits.load(None)
  other = own._replace(**fields) if 'train' not in fields else Stored('other', {**own.splits, **fields}, (0.0, 16.0))
  monkeypatch.setattr(digits, 'load', lambda section: other)


def test_data_without_ten_labels(monkeypatch):
  own = digits.load(None).splits
  few = own['train']['label'] < 9
  base(monkeypatch, train={name: array[few] for name, array in own['train'].items()})
  with pytest.raises(UserError, match=r'^spec.data.of: got digits, whose train split has labels from 0 to 8; .* ten'):
    tasks.load(section('mnist_sum'))
  base(monkeypatch, train={'x': own['train']['x']})
  with pytest.raises(UserError, match=r'^spec.data.of: got digits, whose train split has no labels; .* 0 to 9'):
    tasks.load(section('mnist_rotate'))
  base(monkeypatch, train={**own['train'], 'label': own['train']['label'] + 0.5})
  with pytest.raises(UserError, match=r'has labels that are no whole numbers, from 0.5 to 9.5'):
    tasks.load(section('mnist_rotate'))
  base(monkeypatch, splits={'train': own['train']})
  with pytest.raises(UserError, match=r'^spec.data.of: got digits, which has no test split'):
    tasks.load(section('mnist_sum'))


def test_colour_images(monkeypatch):
  """Are made grey, but where they are to be given a colour."""
  want, own = stored('mnist_sum').splits['train'], digits.load(None).splits
  base(monkeypatch, **{split: {**part, 'x': np.repeat(part['x'], 3, -1)} for split, part in own.items()})
  found = tasks.load(section('mnist_sum')).splits['train']
  for key, array in want.items():
    np.testing.assert_array_equal(found[key], array)
  with pytest.raises(UserError, match=r'^spec.data.of: got digits, whose images have 3 channels; color_mnist gives'):
    tasks.load(section('color_mnist'))


def test_what_they_cannot_be_made_of():
  with pytest.raises(UserError, match=r'^spec.data.of: got circle, which are no images; .* ten labels, such as mnist'):
    tasks.load(section('mnist_sum', of='circle'))
  with pytest.raises(UserError, match=r'^spec.data.of: got mnist_sum, which is made of images itself'):
    tasks.load(section('mnist_sum', of='mnist_sum'))


def resolve(**fields):
  return spec_lib.resolve(spec_lib.base(('z1',)), {f'data.{name}': value for name, value in fields.items()})


def test_fields(tmp_path):
  for fields, message in (
    (
      {'name': 'digits', 'of': 'digits'},
      r"^spec.data.of: got 'digits'; only data of color_mnist \| .* have it, not digi",
    ),
    ({'name': 'mnist_sum', 'of': 'digitz'}, r"^spec.data.of: got 'digitz'; allowed: .* Did you mean digits\?"),
    ({'name': 'mnist_sum', 'of': 'digits', 'resize': 16}, r'^spec.data.resize: got 16; only data of folder and'),
    ({'name': 'mnist_sum', 'crop': 20, 'crop_at': 'random'}, r'^spec.data.crop_at: got random, .*them once'),
    ({'name': 'mnist_sum', 'of': 'digits', 'noise': 1.0}, r'^spec.data.noise: got 1.0; only data of'),
  ):
    with pytest.raises(SpecError, match=message):
      resolve(**fields)
  spec = resolve(name='mnist_sum', data_dir=str(tmp_path))
  with pytest.raises(UserError, match=f'mnist is not prepared: looked in {tmp_path}/mnist'):
    build.dataset(spec)
  assert plan._data(spec.data) == f'mnist_sum of mnist in {tmp_path}'


def test_what_models_know(tmp_path):
  """Three images are no colour; and what a run keeps of that."""
  data = build.dataset(resolve(name='mnist_triplets', of='digits', examples=200))
  assert data.observation.stack and data.observation.shape == (8, 8, 3)
  assert type(data.observation).kept(data.summary) == data.observation
  data = build.dataset(resolve(name='color_mnist', of='digits', examples=200))
  assert not data.observation.stack and 'stack' not in data.summary['observation']


@pytest.mark.slow  # reads all of MNIST
def test_of_mnist(tfds_dir):
  spec = resolve(name='mnist_rotate', data_dir=tfds_dir, examples=100, resize=14)
  data = build.dataset(spec)
  assert data.shape == tasks.shape(spec.data) == (14, 14, 1) and data.size('test') == 100
