"""Which module reads a data set. Importing this imports none of them."""

import importlib

from tfvae.spec.entries import NAMES, TFDS


def loader(name: str):
  """The module whose `load` reads a set, and whose `shape` knows before what its examples are like."""
  return importlib.import_module(NAMES['data.name'].get(name, TFDS))
