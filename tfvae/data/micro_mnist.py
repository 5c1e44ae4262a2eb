"""Seven images of MNIST, on which what a latent plane is used for can be seen (Rezende & Viola 2018, figures 1, 8)."""

import numpy as np
from ml_collections import ConfigDict

from tfvae.data import tfds
from tfvae.data.stored import Part, Reader, Stored
from tfvae.errors import UserError

LABELS = 7  # one image of each of 0, ..., 6
CHUNK = 256  # examples whose labels are looked at together


def shape(section) -> tuple[int, int, int]:
  """Of an example."""
  return tfds.shape(_of_mnist(section))


def load(section) -> Stored:
  """The first image of each of the labels 0 to 6 in the order of MNIST's training split; train and test are the same.

  Raises:
    UserError: as `tfds.load` of mnist; or a label is not there.
  """
  stored = tfds.load(_of_mnist(section))
  chosen = Chosen(stored.splits['train'], first_of_labels(stored.splits['train'], LABELS))
  return stored._replace(name=section.name, splits={'train': chosen, 'test': chosen})


class Chosen(Reader):
  """Some examples of another reader, by their positions there."""

  def __init__(self, reader: Reader, positions: np.ndarray):
    self.size, self.shape, self.dtype = len(positions), reader.shape, reader.dtype
    self._reader, self._positions = reader, positions

  def fetch(self, positions):
    import tensorflow as tf

    return self._reader.fetch(tf.gather(self._positions, positions))

  def decode(self, stored, seed=None):
    return self._reader.decode(stored, seed)

  def explain(self, error):
    return self._reader.explain(error)


def first_of_labels(reader: Reader, labels: int) -> np.ndarray:
  """The position of the first example of each label 0, ..., labels - 1, in this order. UserError where one has none."""
  from tfvae.data.reading import read

  found = {}
  for begin in range(0, reader.size, CHUNK):
    positions = np.arange(begin, min(begin + CHUNK, reader.size))
    for position, label in zip(positions.tolist(), read(Part(reader, positions))['label'].tolist(), strict=True):
      found.setdefault(label, position)
    if all(label in found for label in range(labels)):
      return np.array([found[label] for label in range(labels)], np.int64)
  absent = ', '.join(str(label) for label in range(labels) if label not in found)
  raise UserError(f'spec.data.name: micro_mnist takes one image of each label, but mnist has none of {absent}')


def _of_mnist(section):
  return ConfigDict({**section.to_dict(), 'name': 'mnist'})
