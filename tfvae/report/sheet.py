"""Sheets of images: panels side by side and below each other, each pixel a square of whole pixels, with text."""

import math
import textwrap
from typing import NamedTuple

import numpy as np

from tfvae.data.images import spread
from tfvae.report import contexts
from tfvae.report.images import grid

DPI = 150
CELL = 66  # pixels a side of an image, about
GAP, EDGE, LINE = 24, 12, 26  # pixels: between panels, at the edges, of a line of text
FONT = 8


class Panel(NamedTuple):
  """Images in rows and columns, with text above."""

  images: np.ndarray  # [n, H, W, C], row by row
  columns: int
  heads: tuple[str, ...] = ()  # of the columns
  title: str = ''
  tails: tuple[str, ...] = ()  # below the columns
  marks: tuple[str, ...] = ()  # in a corner of each image


def sheet(title: str, bands: list[tuple[list[str], list[Panel]]], limits, stack: bool = False):
  """A figure of bands, one below the other: (labels of its rows, and one of the tails; panels side by side).

  limits: the values that become black and white. stack: `Observation.stack`.
  """
  from matplotlib.figure import Figure

  scale = max(1, round(CELL / max(bands[0][1][-1].images.shape[1:3])))
  shown = lambda panel: panel._replace(images=spread(panel.images, stack, sum(map(float, limits)) / 2))
  bands = [(labels, [shown(panel) for panel in panels]) for labels, panels in bands]
  height, width = bands[0][1][-1].images.shape[1:3]
  side = lambda n, pixels: scale * (n * (pixels + 1) - 1)
  rows = lambda panel: -(-len(panel.images) // panel.columns)
  left = EDGE + max([0] + [_width(line) + 10 for labels, _ in bands for label in labels for line in label.split('\n')])
  right = max(left + sum(side(p.columns, p.images.shape[2]) + GAP for p in panels) - GAP for _, panels in bands)
  lines = textwrap.wrap(
    title.replace(' | ', '\u00a0|\u00a0'), max(20, int((right - EDGE) / (_width('abcdefghijklmnopqrst') / 20)))
  )
  tops, top = [], EDGE + LINE * len(lines)
  for _, panels in bands:
    top += LINE * (any(p.title for p in panels) + any(p.heads for p in panels))
    tops.append(top)
    top += max(side(rows(p), height) + LINE * max([0] + [1 + t.count('\n') for t in p.tails]) for p in panels) + EDGE
  size = np.array([right + EDGE, top])
  figure = Figure(size / DPI)

  def text(x, y, words, **style):
    figure.text(x / size[0], 1 - y / size[1], words, fontsize=FONT, **style)

  text(EDGE, EDGE, '\n'.join(lines), va='top')
  for top, (labels, panels) in zip(tops, bands, strict=True):
    for number, label in enumerate(labels):
      if number < max(map(rows, panels)):
        text(left - 10, top + side(number + 0.5, height) + scale / 2, label, ha='right', va='center')
      else:
        text(left - 10, top + side(number, height) + 8, label, ha='right', va='top')
    x = left
    for panel in panels:
      width = panel.images.shape[2]
      w, h = side(panel.columns, width), side(rows(panel), height)
      axis = figure.add_axes((x / size[0], 1 - (top + h) / size[1], w / size[0], h / size[1]))
      picture = grid(panel.images, limits, panel.columns)
      axis.imshow(
        picture if picture.shape[-1] == 3 else picture[..., 0],
        cmap='gray',
        vmin=0,
        vmax=1,
        interpolation='nearest',
        aspect='auto',
      )
      axis.set_axis_off()
      if panel.title:
        text(x, top - LINE * bool(panel.heads) - 6, panel.title, va='bottom')
      for words, y, va in ((panel.heads, top - 6, 'bottom'), (panel.tails, top + h + 8, 'top')):
        for column, word in enumerate(words):
          text(x + side(column + 0.5, width) + scale / 2, y, word, ha='center', va=va)
      for number, word in enumerate(panel.marks):
        row, column = divmod(number, panel.columns)
        corner = x + scale * column * (width + 1) + 3, top + scale * row * (height + 1) + 3
        text(*corner, word, va='top', color='C1', path_effects=contexts.outline())
      x += w + GAP
  return figure


def _width(words):
  """Of a text, in pixels."""
  from matplotlib.textpath import TextPath

  return math.ceil(TextPath((0, 0), words, size=FONT).get_extents().width * DPI / 72) if words else 0
