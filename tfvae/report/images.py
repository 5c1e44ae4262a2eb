"""Images side by side."""

import contextlib
import math

import numpy as np

from tfvae.data.images import spread
from tfvae.errors import RunError
from tfvae.observation import Observation
from tfvae.run.directory import Directory


def is_stack(run: Directory) -> bool:
  """Whether three channels of the run's images are three images (`Observation.stack`)."""
  with contextlib.suppress(RunError):  # data.json is damaged, which whoever needs more of it says
    return Observation.kept(run.data).stack if run.data else False
  return False


def some(count: int, most: int) -> np.ndarray:
  """At most so many of 0, ..., count - 1, as evenly as they go, the first and the last among them."""
  return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def grid(images: np.ndarray, limits, columns: int | None = None, stack: bool = False) -> np.ndarray:
  """[n, H, W, C] as one image in [0, 1], `columns` to a row (default: about square), a thin line between them.

  `limits` are the values that become black and white. Channels that are images of their own, as all are that are
  neither one nor three, and three of a `stack`, are beside each other, with a grey line between them.
  """
  side = images.shape[2]
  images = spread(images, stack, sum(map(float, limits)) / 2)
  n, height, width, channels = images.shape
  columns = columns or math.ceil(math.sqrt(n / (width // side)))
  rows = -(-n // columns)
  low, high = limits
  cells = np.ones((rows * columns, height + 1, width + 1, channels), np.float32)
  cells[:n, :-1, :-1] = np.clip((images - low) / max(high - low, 1e-12), 0, 1)
  cells = cells.reshape(rows, columns, height + 1, width + 1, channels).transpose(0, 2, 1, 3, 4)
  return cells.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]
