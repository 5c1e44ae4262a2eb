"""How a model that draws in steps comes to its pictures: each in a row, what there is of it after each step."""

import numpy as np

from tfvae.data.images import spread
from tfvae.report import contexts
from tfvae.report.images import grid, is_stack, some
from tfvae.report.sheet import Panel, sheet
from tfvae.run.directory import Directory

ROWS, COLUMNS = 8, 10  # at most; fewer steps of pictures that are several images


def canvases(run: Directory, split: str):
  """E[x | z_<=t] after each step t of reconstructions of a split, and of samples of the prior."""
  arrays = run.arrays('canvases', split)
  if not arrays:
    return None
  stack, limits, context = is_stack(run), arrays['value_range'], arrays.get('context')
  given = 'context' if context is not None else ''
  columns = some(arrays['prior'].shape[1], _most(arrays['x'], stack))
  panels = [Panel(arrays[name][:ROWS], 1, title=name) for name in ('x', 'target') if name in arrays]
  if given and (told := contexts.pictures(context[:ROWS], arrays['x'].shape[1], limits)) is not None:
    panels = [Panel(told, 1, title='context'), *panels]
  heads = tuple(str(1 + t) for t in columns)
  for name, title in (('reconstruction', 'z ~ q(z | x)'), ('prior', f'z ~ p(z{" | context" if given else ""})')):
    shown = arrays[name][:ROWS, columns]
    panels.append(Panel(shown.reshape(-1, *shown.shape[2:]), len(columns), heads, title))
  labels = [word for word in contexts.words(context[:ROWS]) if word] if given else []
  title = f'E[x | z_<=t] after each of {arrays["prior"].shape[1]} steps t, {split} split'
  return sheet(title, [(labels, panels)], limits, stack)


def grids(arrays: dict[str, np.ndarray], stack: bool) -> dict[str, np.ndarray]:
  """{name: [H, W, 1 or 3] in [0, 1]} of the evaluator's arrays, for TensorBoard: the same pictures alone."""
  columns = some(arrays['prior'].shape[1], _most(arrays['x'], stack))
  found = {}
  for name, title in (('reconstruction', 'canvases'), ('prior', 'prior_canvases')):
    shown = arrays[name][:ROWS, columns]
    found[title] = grid(shown.reshape(-1, *shown.shape[2:]), arrays['value_range'], len(columns), stack)
  return found


def _most(x, stack):
  """Columns, of such examples."""
  return max(4, COLUMNS * x.shape[2] // spread(x[:1], stack).shape[2])
