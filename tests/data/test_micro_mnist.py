"""Seven images of MNIST."""

import numpy as np
import pytest

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.data import micro_mnist, tfds
from tfvae.data.dataset import Part
from tfvae.data.reading import ArrayReader, read
from tfvae.errors import SpecError, UserError


def reader(labels):
  rows = np.arange(len(labels))
  return ArrayReader({'x': (rows[:, None] % 256).astype(np.uint8), 'label': np.array(labels, np.int32)})


def test_the_first_of_each_label():
  labels = [5, 2, 2, 9, 0, 5, 1, 0] + [9] * 300 + [2, 1]  # beyond one chunk
  assert micro_mnist.first_of_labels(reader(labels), 3).tolist() == [4, 6, 1]
  labels[6] = 9
  assert micro_mnist.first_of_labels(reader(labels), 3).tolist() == [4, 309, 1]
  with pytest.raises(UserError, match=r'mnist has none of 3, 4$'):
    micro_mnist.first_of_labels(reader(labels), 5)


def test_chosen_examples():
  chosen = micro_mnist.Chosen(reader([5, 2, 7, 9]), np.array([3, 1]))
  assert chosen.size == 2 and chosen.shape == (1,)
  found = read(Part(chosen, np.arange(2)))
  assert found['x'].ravel().tolist() == [3, 1] and found['label'].tolist() == [9, 2]


def spec_of(**fields):
  spec = spec_lib.base(('z1',))
  return spec_lib.resolve(spec, {'data.name': 'micro_mnist', 'data.batch_size': 0, **fields})


def test_of_mnist(tfds_dir):
  spec = spec_of(**{'data.data_dir': tfds_dir})
  data = build.dataset(spec)
  assert data.name == 'micro_mnist' and data.shape == micro_mnist.shape(spec.data) == (28, 28, 1)
  train = data.splits['train']
  assert train['label'].tolist() == [0, 1, 2, 3, 4, 5, 6]
  np.testing.assert_array_equal(train['x'], data.splits['test']['x'])
  mnist = tfds.load(spec_of(**{'data.data_dir': tfds_dir, 'data.name': 'mnist'}).data).splits['train']
  some = read(Part(mnist, np.arange(100)))
  for image, label in zip(train['x'], train['label'], strict=True):
    np.testing.assert_array_equal(image, some['x'][list(some['label']).index(label)])

  with pytest.raises(SpecError, match=r'spec.data.batch_size: got 100; allowed: at most the 7 training examples'):
    build.dataset(spec_of(**{'data.data_dir': tfds_dir, 'data.batch_size': 100}))


def test_mnist_that_is_not_there(tmp_path):
  with pytest.raises(UserError, match=f'mnist is not prepared: looked in {tmp_path}/mnist'):
    build.dataset(spec_of(**{'data.data_dir': str(tmp_path)}))
