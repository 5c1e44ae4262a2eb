"""The figure of a latent plane: where posteriors lie in it, where none does, and what is decoded from there."""

import numpy as np

from tfvae.report.axes import figure
from tfvae.report.images import grid, is_stack
from tfvae.run.directory import Directory
from tfvae.run.metrics import DECODED, HOLE

EDGE = -np.log10(HOLE)
FEW = 10  # examples that have a colour each; of more, labels have


def tiles(run: Directory, split: str):
  """Of one layer of two units: samples of q, q(z) against p(z) with its holes, and E[x | z]."""
  arrays = run.arrays('tiles', split)
  if not arrays:
    return None
  is_image = arrays['x'].ndim == 4
  drawn = figure(12.6 if is_image else 8.4, 4.4)
  axes = drawn.subplots(1, 3 if is_image else 2)
  samples(axes[0], arrays)
  axes[0].set(title='z ~ q(z | x), circles: p(z)', ylabel='second unit / sd of p')
  shown = coverage(axes[1], arrays)
  axes[1].set_title(f'log10 q(z) / p(z); red: holes, {100 * arrays["hole_mass"]:.1f}% of p(z)')
  drawn.colorbar(shown, ax=axes[1], shrink=0.8)
  if is_image:
    images(axes[2], arrays, stack=is_stack(run))
    axes[2].set_title('E[x | z]')
  for axis in axes:
    axis.set_xlabel('first unit / sd of p')
  return drawn


def samples(axis, arrays):
  """Samples of q(z | x), an example (or a label) a colour; circles of 1, 2 and 3 sd of the prior."""
  from matplotlib.patches import Circle

  z, label = arrays['z'], arrays['label']
  few = z.shape[1] <= FEW
  colors = np.arange(len(label)) if few else np.unique(label, return_inverse=True)[1]
  axis.scatter(
    z[..., 0].ravel(),
    z[..., 1].ravel(),
    s=3 if few else 1,
    c=np.broadcast_to(colors, z.shape[:2]).ravel(),
    cmap='tab10',
    vmin=-0.5,
    vmax=9.5,
    alpha=0.5,
    linewidths=0,
    rasterized=True,
  )
  for radius in (1, 2, 3):
    axis.add_patch(Circle((0, 0), radius, fill=False, color='0.3', linewidth=0.7))
  if few:
    for number, middle in enumerate(np.median(z, axis=0)):
      axis.annotate(f'{label[number]:g}', middle, fontsize=9, weight='bold', ha='center', va='center')
  _plane(axis)


def coverage(axis, arrays):
  """log10 of q(z) / p(z), from -2, where holes begin, to 2."""
  from matplotlib import colormaps

  ratio, ends = arrays['log_ratio'] / np.log(10), arrays['axis'][[0, -1]]
  half = (arrays['axis'][1] - arrays['axis'][0]) / 2
  extent = (ends[0] - half, ends[1] + half) * 2
  colors = colormaps['viridis'].with_extremes(under='#d62728')
  shown = axis.imshow(ratio, origin='lower', extent=extent, cmap=colors, vmin=-EDGE, vmax=EDGE)
  _plane(axis)
  return shown


def images(axis, arrays, every: int = 1, stack: bool = False):
  """E[x | z] on the plane; every second one, say, where there is little room."""
  tile = arrays['tile'][::every, ::every]
  picture = grid(tile.reshape(-1, *tile.shape[2:]), arrays['value_range'], tile.shape[1], stack)
  picture = picture if picture.shape[-1] == 3 else picture[..., 0]
  axis.imshow(picture, cmap='gray', vmin=0, vmax=1, extent=(-DECODED, DECODED) * 2)
  _plane(axis)


def _plane(axis):
  axis.set(xlim=(-DECODED, DECODED), ylim=(-DECODED, DECODED), aspect='equal', xticks=range(-3, 4), yticks=range(-3, 4))
