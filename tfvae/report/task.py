"""The figure of a task: contexts, targets, and what is drawn for each context."""

from tfvae.report.axes import figure
from tfvae.report.images import grid, is_stack
from tfvae.run.directory import Directory

MOST = 12  # contexts
ROW = 0.5  # inches
DEGREES = 30  # of one turn


def task(run: Directory, split: str):
  """A row for each context: its label, the context where it is an image, its target, and samples for it."""
  arrays = run.arrays('task', split)
  if not arrays:
    return None
  x, context = arrays['x'][:MOST], arrays.get('context')
  samples = arrays['sample'][:MOST]
  shown = [('x', x, 1), ('samples', samples.reshape(-1, *samples.shape[2:]), samples.shape[1])]
  if context is not None and context.ndim == 4:
    shown.insert(0, ('context', context[:MOST], 1))
  pictures = [grid(images, arrays['value_range'], columns, is_stack(run)) for _, images, columns in shown]
  widths, height = [picture.shape[1] for picture in pictures], pictures[0].shape[0]
  inches = ROW * len(x) / height
  labels = _labels(arrays)[: len(x)]
  drawn = figure(inches * sum(widths) + 0.2 * len(shown) + 0.08 * max(map(len, labels)) + 0.1, ROW * len(x) + 0.9)
  axes = drawn.subplots(1, len(shown), width_ratios=widths, squeeze=False)[0]
  for axis, (title, _, _), picture in zip(axes, shown, pictures, strict=True):
    axis.imshow(picture if picture.shape[-1] == 3 else picture[..., 0], cmap='gray', vmin=0, vmax=1)
    axis.set_title(title, fontsize=8)
    axis.set(xticks=[], yticks=[])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
  rows = [height * (row + 0.5) / len(x) for row in range(len(x))]
  axes[0].set_yticks(rows, labels, fontsize=8)
  if 'accuracy' in arrays:
    drawn.supxlabel(f'samples: {100 * arrays["accuracy"]:.1f}% right', fontsize=8)
  return drawn


def _labels(arrays):
  if 'turns' not in arrays:
    return [str(label) for label in arrays['label']]
  return [f'{label}, {DEGREES * k}\u00b0' for label, k in zip(arrays['label'], arrays['turns'], strict=True)]
