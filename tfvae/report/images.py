"""Images side by side."""

import math

import numpy as np


def grid(images: np.ndarray, limits, columns: int | None = None) -> np.ndarray:
  """[n, H, W, C] as one image in [0, 1], `columns` to a row (default: about square), a thin line between them.

  `limits` are the values that become black and white. C is 1 or 3; of other numbers of channels the first is shown.
  """
  n, height, width, channels = images.shape
  if channels not in (1, 3):
    images, channels = images[..., :1], 1
  columns = columns or math.ceil(math.sqrt(n))
  rows = -(-n // columns)
  low, high = limits
  cells = np.ones((rows * columns, height + 1, width + 1, channels), np.float32)
  cells[:n, :-1, :-1] = np.clip((images - low) / max(high - low, 1e-12), 0, 1)
  cells = cells.reshape(rows, columns, height + 1, width + 1, channels).transpose(0, 2, 1, 3, 4)
  return cells.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]
