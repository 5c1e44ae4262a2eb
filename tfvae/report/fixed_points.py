"""Figures of high-capacity fixed points, as figures 2 and 7 of Rezende & Viola 2018, and the points as T falls.

From the arrays that `theory.fixed_points.arrays` names.
"""

import io
import pathlib

import numpy as np

from tfvae.report.axes import figure
from tfvae.run.files import atomic

CORNERS = ((0.11, 0.29, 0.62), (0.07, 0.62, 0.52), (0.80, 0.10, 0.42), (0.98, 0.68, 0.10))  # of a grid of two axes
PANELS = 9
DOWN, UP = '#1c4a9e', '#cc1a6b'
FRAME, LAST = 120, 2500  # milliseconds
LINES = 4096  # between tiles, at most
ORDERED = 0.4  # of the mean squared distance of any two points, that of neighbours where they are in order


def points(arrays: dict[str, np.ndarray]):
  """The points over the data at several temperatures on the way down, coloured by their places in the latent grid.

  The first panel is the latent grid. Lines join neighbouring tiles where they are nearer to each other than others at
  the lowest temperature, by a Lipschitz constraint or as they began. Temperatures are the first, the last, those just
  below each critical one, and those at which the error has fallen evenly.
  """
  data, shown = arrays['data'], _shown(arrays)
  columns = min(len(shown) + 1, 5)
  rows = -(-(len(shown) + 1) // columns)
  drawn = figure(2.5 * columns, 2.75 * rows)
  three = data.shape[1] > 2
  _latent(drawn.add_subplot(rows, columns, 1), arrays)
  for place, index in enumerate(shown, 2):
    axis = drawn.add_subplot(rows, columns, place, projection='3d' if three else None)
    _panel(axis, arrays, index)
    axis.set_title(f'T = {arrays["temperatures"][index]:.3g}', fontsize=10)
  return drawn


def energies(arrays: dict[str, np.ndarray]):
  """E(T) on the way down and up with its critical temperatures, and |d2E/dT2| below it."""
  t, down, up = arrays['temperatures'], arrays['error'], arrays['up.error']
  drawn = figure(7.2, 5.6)
  above, below = drawn.subplots(2, 1, sharex=True, height_ratios=(5, 2))
  above.fill_between(t, down, up, color='0.85', lw=0, label='hysteresis')
  above.plot(t, down, color=DOWN, lw=1.8, label='T falls')
  above.plot(t, up, color=UP, lw=1.4, ls=(0, (4, 2)), label='T rises')
  for name, colour in (('critical', DOWN), ('up.critical', UP)):
    values = arrays[name]
    error = np.interp(values, t[::-1], (down if name == 'critical' else up)[::-1])
    told = 'critical: ' + ', '.join(f'{value:.3g}' for value in values)
    above.plot(values, error, 'o', color=colour, mec='white', mew=1.2, ms=8, zorder=4, label=told)
    for value in values:
      below.axvline(value, color=colour, lw=0.8, alpha=0.5)
  threshold = arrays['eigenvalues'][0]
  for axis in (above, below):
    axis.axvline(threshold, color='0.35', lw=1, ls=':', label='largest eigenvalue' if axis is above else None)
    axis.grid(alpha=0.25, lw=0.6)
    axis.spines[['top', 'right']].set_visible(False)
  for values, colour in ((arrays['curvature'], DOWN), (arrays['up.curvature'], UP)):
    below.plot(t[1:-1], np.abs(values), color=colour, lw=1.2)
  above.set_xscale(_scale(t))
  below.set_yscale(_scale(t))  # peaks grow as the spacing falls
  above.set(ylabel='E(T), the mean of $|x - g|^2$', ylim=(0, None))
  below.set(xlabel='temperature T = $\\beta\\sigma^2$', ylabel='$|d^2E/dT^2|$')
  above.legend(frameon=False, fontsize=9)
  return drawn


def animation(arrays: dict[str, np.ndarray], path: pathlib.Path) -> pathlib.Path:
  """Writes a GIF, and returns its path: the points as T falls, beside where E(T) has come to."""
  from PIL import Image

  t, error = arrays['temperatures'], arrays['error']
  drawn, pictures = figure(7.2, 3.8), []
  left = drawn.add_subplot(1, 2, 1, projection='3d' if arrays['data'].shape[1] > 2 else None)
  right = drawn.add_subplot(1, 2, 2)
  right.plot(t, error, color='0.8', lw=1.5)
  (line,) = right.plot([], [], color=DOWN, lw=2)
  (here,) = right.plot([], [], 'o', color=DOWN, mec='white', mew=1.2, ms=9)
  for value in arrays['critical']:
    right.axvline(value, color=DOWN, lw=0.8, ls=':')
  right.set(xlabel='T', title='E(T)', ylim=(0, None), xscale=_scale(t))
  right.spines[['top', 'right']].set_visible(False)
  for index in range(len(t)):
    left.clear()
    _panel(left, arrays, index)
    left.set_title(f'T = {t[index]:.3g}', fontsize=11, family='monospace')
    line.set_data(t[: index + 1], error[: index + 1])
    here.set_data(t[index : index + 1], error[index : index + 1])
    with io.BytesIO() as buffer:
      drawn.savefig(buffer, dpi=90, format='png')
      pictures.append(Image.open(buffer).convert('RGB').quantize(192))
    drawn.set_layout_engine('none')  # every frame as the first
  times = [FRAME] * (len(pictures) - 1) + [LAST]
  with atomic(path, 'wb') as file:
    pictures[0].save(file, format='GIF', save_all=True, append_images=pictures[1:], duration=times, loop=0)
  return path


def _scale(t):
  """That of an axis of temperatures, by how they are spaced."""
  steps = np.abs(np.diff(t))
  return 'log' if steps.max() > 1.5 * steps.min() else 'linear'


def _shown(arrays):
  """The first and last temperature, those just below the critical ones, and where the error has fallen evenly."""
  t, error = arrays['temperatures'], arrays['error']
  shown = {0, len(t) - 1} | {min(int(np.sum(t >= value)), len(t) - 1) for value in arrays['critical']}
  while len(shown) < min(PANELS, len(t)):
    apart = np.abs(error[:, None] - error[sorted(shown)]).min(1)  # the next is that least like any of them
    apart[sorted(shown)] = -1.0
    shown.add(int(np.argmax(apart)))
  return sorted(shown)


def _latent(axis, arrays):
  tiles, grid = arrays['tiles'], arrays['grid']
  flat = np.concatenate([tiles, np.full((len(tiles), 1), 0.5)], 1)[:, :2]
  axis.scatter(*flat.T, c=colours(tiles), s=_size(len(tiles)), linewidths=0, marker='s')
  axis.set(xlim=(-0.08, 1.08), ylim=(-0.08, 1.08), aspect='equal', xticks=[], yticks=[])
  axis.set_title(f'latent grid, {" x ".join(str(size) for size in grid)}', fontsize=10)
  axis.spines[:].set_visible(False)


def _panel(axis, arrays, index):
  data, g, tiles = arrays['data'][:, :3], arrays['points'][index][:, :3], arrays['tiles']
  colour = colours(tiles)
  lines = g[_joined(arrays)]
  size = _size(len(g)) * 0.6 + 2
  if data.shape[1] > 2:
    from mpl_toolkits.mplot3d.art3d import Line3DCollection as Collection

    axis.computed_zorder = False  # the points are over the data, wherever these are
    axis.set(xticks=[], yticks=[], zticks=[])
  else:
    from matplotlib.collections import LineCollection as Collection

    data, g = (_plane(value) for value in (data, g))
    lines = _plane(lines)
    axis.set(aspect='equal', xticks=[], yticks=[])
    axis.spines[:].set_color('0.8')
  flat = {'depthshade': False} if data.shape[1] > 2 else {}
  axis.scatter(*data.T, s=26, color='0.82', linewidths=0, **flat)
  if len(lines):
    axis.add_collection(Collection(lines, colors='0.35', linewidths=0.5, alpha=0.35))
  axis.scatter(*g.T, s=size, c=colour, linewidths=0, alpha=0.9, zorder=3, **flat)
  low, high = data.min(0), data.max(0)
  margin = 0.12 * max((high - low).max(), 1e-12)
  names = ('xlim', 'ylim', 'zlim')
  axis.set(**{name: (a - margin, b + margin) for name, a, b in zip(names, low, high, strict=False)})


def _plane(values):
  """[..., 1 or 2] as [..., 2]."""
  return values if values.shape[-1] == 2 else np.concatenate([values, 0 * values], -1)


def _joined(arrays):
  """The pairs of neighbouring tiles, where the points keep the order of the grid to the end: [P, 2], P may be 0."""
  pairs, g = _neighbours(arrays['grid']), arrays['points'][-1]
  lengths = ((g[pairs[:, 0]] - g[pairs[:, 1]]) ** 2).sum(-1).mean()
  return pairs[: len(pairs) if len(pairs) <= LINES and lengths < ORDERED * 2 * g.var(0).sum() else 0]


def _neighbours(grid):
  """Pairs of tiles that are side by side: [P, 2]."""
  numbers = np.arange(np.prod(grid)).reshape(grid)
  pairs = []
  for axis in range(numbers.ndim):
    one, other = (np.delete(numbers, end, axis) for end in (-1, 0))
    pairs.append(np.stack([one.ravel(), other.ravel()], -1))
  return np.concatenate(pairs)


def _size(count):
  """Of a marker, in points squared, of so many tiles."""
  return float(np.clip(9000 / count, 6, 90))


def colours(tiles: np.ndarray) -> np.ndarray:
  """Of tiles in [0, 1]^d, so that near ones look alike: [K, 3]. A third axis darkens."""
  from matplotlib import colormaps

  if tiles.shape[1] == 1:
    return colormaps['turbo'](0.06 + 0.86 * tiles[:, 0])[:, :3]
  a, b = tiles[:, :1], tiles[:, 1:2]
  low, left, right, high = (np.array(corner) for corner in CORNERS)
  mixed = (1 - a) * (1 - b) * low + (1 - a) * b * left + a * (1 - b) * right + a * b * high
  return mixed * (1 - 0.5 * tiles[:, 2:3]) if tiles.shape[1] > 2 else mixed
