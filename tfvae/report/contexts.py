"""What a model was told, beside what it made of that: labels as text, numbers as bars, images as they are."""

import numpy as np

from tfvae.data.images import spread

MOST = 3  # numbers of a context in a line of text


def words(context: np.ndarray) -> list[str]:
  """A short text for each context: its label, or its first numbers; of images nothing."""
  if context.ndim == 1:
    return [str(label) for label in context]
  if context.ndim > 2:
    return [''] * len(context)
  more = ', ...' if context.shape[1] > MOST else ''
  return [', '.join(f'{value:.2g}' for value in row[:MOST]) + more for row in context]


def pictures(context: np.ndarray, height: int, limits) -> np.ndarray | None:
  """Contexts as images [n, height, W, 1 or 3] between `limits`, black and white; of labels None.

  Images of another height are stretched, pixel by pixel. They are taken to have those limits where they lie within
  them (they are then scaled as x), else their own. Numbers become bars, up and down from a line in the middle.
  """
  if context.ndim == 1:
    return None
  low, high = map(float, limits)
  if context.ndim == 2:
    return low + (high - low) * _bars(context, height)
  if context.min() < low or context.max() > high:
    least, most = context.min(), context.max()
    context = low + (high - low) * (context - least) / max(most - least, 1e-12)
  context = spread(context, False, (low + high) / 2)
  rows, columns = context.shape[1:3]
  if rows == height:
    return context
  width = max(1, round(columns * height / rows))
  places = [np.arange(size) * old // size for size, old in ((height, rows), (width, columns))]
  return context[:, places[0]][:, :, places[1]]


def _bars(context, height):
  """[n, D] -> [n, height, W, 1] in [0, 1], about as wide as high; the longest bar of all reaches to the edge."""
  middle = (height - 1) / 2
  ends = middle * (1 - context / max(np.abs(context).max(), 1e-12))  # the row where each ends
  rows = np.arange(height)[:, None]
  dark = (rows >= np.minimum(ends, middle)[:, None] - 0.5) & (rows <= np.maximum(ends, middle)[:, None] + 0.5)
  wide = np.repeat(1.0 - dark, max(1, height // context.shape[1]), axis=-1)
  return wide[..., None]


def outline() -> list:
  """Of a text on an image, whatever its colours."""
  from matplotlib import patheffects

  return [patheffects.withStroke(linewidth=1.5, foreground='black')]
