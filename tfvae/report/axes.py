"""What figures have in common."""

import numpy as np


def figure(width: float, height: float):
  """An empty figure of this size in inches."""
  from matplotlib.figure import Figure

  return Figure((width, height), layout='constrained')


def plot(axis, metrics, name, label=None, marker='o'):
  """One metric over training: a line for the training split, points for the others."""
  for split, values in metrics.items():
    if name in values:
      there = np.isfinite(values[name])
      style = {} if split == 'train' else {'marker': marker, 'linestyle': '--', 'markersize': 4}
      axis.plot(values['step'][there], values[name][there], label=f'{label or name}, {split}', **style)
