"""The figure of the principal components of each layer."""

import numpy as np

from tfvae.report.axes import figure
from tfvae.report.images import some
from tfvae.run.directory import Directory

MOST = 8  # layers
COLUMNS = 4
NAMED = 20  # labels, that a legend names


def pca(run: Directory, split: str):
  """Codes z ~ q(z | x) of each layer along its two principal components, coloured by their labels."""
  arrays = run.arrays('pca', split)
  if not arrays:
    return None
  layers = [name.removesuffix('.z') for name in arrays if name.endswith('.z')]
  layers = [layers[number] for number in some(len(layers), MOST)]
  columns, label = min(len(layers), COLUMNS), arrays.get('label')
  rows = -(-len(layers) // columns)
  drawn = figure(3.6 * columns + (1 if label is not None else 0), 3.6 * rows + 0.3)
  axes = drawn.subplots(rows, columns, squeeze=False)
  for axis in axes.flat[len(layers) :]:
    axis.set_axis_off()
  for layer, axis in zip(layers, axes.flat, strict=False):
    z, variance = arrays[f'{layer}.z'], arrays[f'{layer}.variance']
    share = 100 * variance / (variance.sum() or 1.0)
    titles = [f'component {i + 1}: {share[i]:.0f}% of the variance' if i < len(share) else '' for i in (0, 1)]
    points = _points(axis, z, label)
    axis.set(title=layer, xlabel=titles[0], ylabel=titles[1])
  if points is not None:
    drawn.legend(*points, loc='outside right center', title='label', fontsize=8)
  return drawn


def _points(axis, z, label):
  """What a legend takes, of labels that can be told apart."""
  if label is None:
    axis.scatter(*z.T, s=4, color='C0', linewidths=0)
    return None
  there = np.unique(label)
  if len(there) > NAMED:
    axis.scatter(*z.T, s=4, c=label, cmap='viridis', linewidths=0)
    return None
  colours = 'tab10' if len(there) <= 10 else 'tab20'
  shown = axis.scatter(
    *z.T, s=4, c=np.searchsorted(there, label), cmap=colours, vmin=0, vmax=9 + 10 * (len(there) > 10)
  )
  handles, _ = shown.legend_elements(num=list(range(len(there))))
  return handles, [f'{value:g}' for value in there]
