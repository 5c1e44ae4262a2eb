"""What figures have in common."""

import contextlib
import pathlib

import numpy as np

from tfvae.errors import UserError
from tfvae.run.files import atomic


def figure(width: float, height: float):
  """An empty figure of this size in inches."""
  from matplotlib.figure import Figure

  return Figure((width, height), layout='constrained')


def plain(text) -> str:
  """A text that is drawn as it is: what is between two $ Matplotlib would set as a formula."""
  return str(text).replace('$', r'\$')


def save(drawn, path: pathlib.Path, kinds: tuple[str, ...] = ('png',), dpi: int = 150) -> list[pathlib.Path]:
  """Writes a figure as `path` with each of the endings, whole or not at all; returns the paths. Raises OSError."""
  paths = [path.with_suffix(f'.{kind}') for kind in kinds]
  for own in paths:
    with atomic(own, 'wb') as file:
      # A date would make equal figures different files.
      drawn.savefig(
        file, dpi=dpi, format=own.suffix[1:], metadata={'CreationDate': None} if own.suffix == '.pdf' else None
      )
    drawn.set_layout_engine('none')  # it has its layout, which takes as long as to draw
  return paths


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
