"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels, values 0..16. Nothing is downloaded."""

import numpy as np

from tfvae.data.dataset import Dataset, make

NUM_TRAIN = 1500  # the rest is the test split: by the files' order, other writers


def load(section, seed: int) -> Dataset:
  """The digits as spec.data asks for them (Alpaydin & Kaynak 1998, UCI)."""
  from sklearn.datasets import load_digits

  digits = load_digits()
  x, label = digits.images[..., None].astype(np.uint8), digits.target.astype(np.int32)
  train, test = ({'x': x[part], 'label': label[part]} for part in (slice(NUM_TRAIN), slice(NUM_TRAIN, None)))
  return make('digits', train, test, section, seed)
