"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels, values 0..16. Nothing is downloaded."""

import numpy as np

from tfvae.data.stored import Stored

NUM_TRAIN = 1500  # the rest is the test split: by the files' order, other writers


def shape(section) -> tuple[int, ...]:
  """Of an example."""
  del section
  return 8, 8, 1


def load(section) -> Stored:
  """The digits (Alpaydin & Kaynak 1998, UCI)."""
  del section
  from sklearn.datasets import load_digits

  digits = load_digits()
  x, label = digits.images[..., None].astype(np.uint8), digits.target.astype(np.int32)
  train, test = ({'x': x[part], 'label': label[part]} for part in (slice(NUM_TRAIN), slice(NUM_TRAIN, None)))
  return Stored('digits', {'train': train, 'test': test}, limits=(0.0, 16.0))
