"""What figures have in common."""

import contextlib

import numpy as np

from tfvae.errors import UserError


def figure(width: float, height: float):
  """An empty figure of this size in inches."""
  from matplotlib.figure import Figure

  return Figure((width, height), layout='constrained')


def plain(text) -> str:
  """A text that is drawn as it is: what is between two $ Matplotlib would set as a formula."""
  return str(text).replace('$', r'\$')


@contextlib.contextmanager
def told(what):
  """Inside, what cannot be drawn is told and left out: damaged arrays, or those of somebody else, fit no figure."""
  try:
    yield
  except (UserError, OSError):
    raise
  except Exception as error:  # whatever NumPy and Matplotlib make of other names, shapes and types
    why = f'{type(error).__name__}: {error}'.splitlines()[0][:120]
    print(f'{what}: not drawn, as the run has not what it shows ({why}); evaluate or sample it again.', flush=True)


def plot(axis, metrics, name, label=None, marker='o'):
  """One metric over training: a line for the training split, points for the others."""
  for split, values in metrics.items():
    if name in values:
      there = np.isfinite(values[name])
      style = {} if split == 'train' else {'marker': marker, 'linestyle': '--', 'markersize': 4}
      axis.plot(values['step'][there], values[name][there], label=f'{label or name}, {split}', **style)
