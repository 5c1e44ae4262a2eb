"""The contract of studies."""

import abc
from typing import NamedTuple

import numpy as np


class Finding(NamedTuple):
  """What a study found."""

  numbers: dict[str, float]
  arrays: dict[str, np.ndarray]  # for its figures


class Study(abc.ABC):
  """Named numbers and arrays of data, without a model.

  Attributes:
    name: its name in spec.study.name.
    version: goes up when its numbers change, so that those of older versions are sought again.
  """

  name: str
  version = 1

  def __init__(self, spec):
    self.spec, self.section = spec, spec.study[type(self).name]

  def settings(self) -> dict:
    """All that its numbers depend on beside the data: found with the same, they are not sought again."""
    return {'version': self.version, 'seed': self.spec.seed, **self.section.to_dict()}

  @abc.abstractmethod
  def run(self, x: np.ndarray) -> Finding:
    """Of examples x [N, D], in float64."""
