"""The latent space over training, as a GIF."""

import io
import pathlib

import numpy as np

from tfvae.report.axes import figure
from tfvae.report.entropies import by_entropy
from tfvae.run.directory import Directory
from tfvae.run.files import atomic

MILLISECONDS = 300  # of a frame; the last one stays ten times as long


def latent_space(run: Directory) -> pathlib.Path | None:
  """Writes figures/latent_space.gif: where q puts the points of spec.eval.split at each evaluation; its path.

  The two units are those with the least entropy at the end (the first two, where it has no closed form); colours are
  the points' labels. None where the run kept less than two frames (the evaluator `points` must be in spec.eval.during).
  """
  frames = run.frames('points', run.spec.eval.split)
  if len(frames) < 2:
    return None
  from PIL import Image

  last = frames[-1][1]
  units = by_entropy(last)[:2]
  rows = lambda z: z[:, [units[0], units[-1]]] if len(units) > 1 else np.stack([z[:, 0], 0 * z[:, 0]], -1)
  limit = max(np.quantile(np.abs(rows(arrays['z'])), 0.995) for _, arrays in frames) * 1.1
  pictures = []
  for step, arrays in frames:
    drawn = figure(4.6, 4.8)
    axis = drawn.subplots()
    axis.scatter(*rows(arrays['z']).T, s=4, c=arrays['label'], cmap='hsv')
    axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect='equal', title=f'z ~ q(z | x), step {step:,}')
    axis.set(xlabel=f'unit {units[0]}', ylabel=f'unit {units[-1]}' if len(units) > 1 else '')
    with io.BytesIO() as buffer:
      drawn.savefig(buffer, dpi=90, format='png')
      pictures.append(Image.open(buffer).convert('RGB').quantize(128))
  path = run.figures / 'latent_space.gif'
  run.figures.mkdir(exist_ok=True)
  times = [MILLISECONDS] * (len(pictures) - 1) + [10 * MILLISECONDS]
  with atomic(path, 'wb') as file:
    pictures[0].save(file, format='GIF', save_all=True, append_images=pictures[1:], duration=times, loop=0)
  return path
