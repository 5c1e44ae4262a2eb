"""Pictures of what --mode=sample drew, from a run directory alone.

Images become sheets of images, each pixel a square of whole pixels; other data lines over their dimensions. A picture
shows at most MOST of everything; the arrays beside it have it all.
"""

import math
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfvae.errors import RunError
from tfvae.report import contexts
from tfvae.report.axes import save, told
from tfvae.report.images import is_stack, some
from tfvae.report.sheet import DPI, FONT, Panel, sheet
from tfvae.run.directory import Directory

MOST = {
  'samples': 400,
  'examples': 16,
  'around': 2,
  'units': 100,
  'rows': 8,
  'samples of q': 4,
  'draws': 12,
  'columns': 5,
  'steps': 16,
}


def draw(run: Directory, names: list[str] | None = None, kinds: tuple[str, ...] = ('png',)) -> list[pathlib.Path]:
  """Draws samples/<name>.png, or as other kinds of files, from samples/<name>.npz (None: of all that are there).

  Returns the paths.
  """
  import matplotlib

  matplotlib.use('Agg')
  paths = []
  for name in names or sorted(path.stem for path in run.samples.glob('*.npz')):
    what, _, layer = name.partition('-')
    if what not in PICTURES or layer == 'uint8':  # arrays alone
      continue
    picture, path = PICTURES[what], run.samples / f'{name}.png'
    try:
      samples = run.read_samples(name) | {'stack': is_stack(run)}
    except RunError as error:  # the others can be drawn
      print(error, flush=True)
      continue
    with told(path):
      is_image = samples['mean'].ndim - picture.leading == 3
      figure = picture.images(samples, layer) if is_image else picture.lines(_flat(samples, picture.leading), layer)
      paths += save(figure, path, kinds, DPI)
  return paths


def _rows(images):
  """[R, C, H, W, K] as a panel's images and columns."""
  return images.reshape(-1, *images.shape[2:]), images.shape[1]


def _prior_images(samples, layer):
  n = min(len(samples['mean']), MOST['samples'])
  columns = math.ceil(math.sqrt(n))
  marks = _marks(samples)[:n]
  panels = [
    Panel(samples['mean'][:n], columns, title='E[x | z]', marks=marks),
    Panel(samples['draw'][:n], columns, title='x ~ p(x | z)'),
  ]
  return sheet(_origin(samples), [([], [*_told(samples, n, columns), *panels])], *_how(samples))


def _how(samples):
  """The limits, and whether channels are images."""
  return samples['value_range'], samples['stack']


def _marks(samples):
  """The labels that a model was told of each sample, if any."""
  context = samples.get('context')
  return tuple(contexts.words(context)) if context is not None and context.ndim == 1 else ()


def _told(samples, n, columns):
  """A panel of n contexts, where there are some that are no labels."""
  if (context := samples.get('context')) is None or context.ndim == 1:
    return []
  shown = contexts.pictures(context[:n], samples['mean'].shape[-3], samples['value_range'])
  return [Panel(shown, columns, title='context')]


def _contexts_images(samples, layer):
  n, draws = min(len(samples['mean']), MOST['examples']), min(samples['mean'].shape[1], MOST['draws'])
  panels = _told(samples, n, 1)
  panels += [Panel(samples['x'][:n], 1, title='example')] if 'x' in samples else []
  panels += [Panel(*_rows(samples['mean'][:n, :draws]), title='E[x | z]')]
  labels = [word for word in contexts.words(samples['context'][:n]) if word]
  return sheet(_contexts_title(samples), [(labels, panels)], *_how(samples))


def _contexts_title(samples):
  own = f'; beside them an example of the {samples["split"]} split that has it' if 'x' in samples else ''
  return f'Samples for each context, z ~ p(z | context){own}'


def _origin(samples):
  steps, given = samples.get('steps'), ' | context' if 'context' in samples else ''
  return f'Samples of the prior, z ~ p(z{given})' if steps is None else f'After {steps} steps z, x, z from the prior'


def _reconstruction_images(samples, layer):
  n, draws = min(len(samples['x']), MOST['examples']), min(samples['samples'].shape[1], MOST['samples of q'])
  modes = [samples['mode'][:n]] if 'mode' in samples else []
  targets = [samples['target'][:n]] if 'target' in samples else []
  images = [samples['x'][:n], *targets, samples['mean'][:n], *modes, *samples['samples'][:n, :draws].swapaxes(0, 1)]
  errors = zip(samples['mse'][:n], samples['samples_mse'][:n].mean(1), strict=True)
  tails = tuple(f'{mean:.2g}\n{sample:.2g}' for mean, sample in errors)
  at_mean = ['mean of q', *(['mean of q:\nmode of x'] if modes else [])]
  labels = [
    'x',
    *(['target'] if targets else []),
    *at_mean,
    *(f'sample {i + 1} of q' for i in range(draws)),
    'mse, mean\nmse, samples',
  ]
  also = ', and the mode of p(x | z) at the mean' if modes else ''
  return sheet(
    f'Examples of the {samples["split"]} split, and E[x | z] at the mean and at samples of q{also}',
    [(labels, [Panel(*_rows(np.stack(images)), _marks(samples)[:n], tails=tails)])],
    *_how(samples),
  )


def _traversal_images(samples, layer):
  units = samples['units'][: MOST['units']]
  sign = '' if _are_states(samples) else '+'
  heads = tuple(f'{offset:{sign}.3g}' if offset else '0' for offset in samples['offsets'])
  panels = [
    Panel(*_rows(samples['mean'][i, : len(units)]), heads, f'around example {i} of the {samples["split"]} split')
    for i in range(min(len(samples['x']), MOST['around']))
  ]
  return sheet(_traversal_title(samples, layer), [(_unit_labels(samples, units), panels)], *_how(samples))


def _are_states(samples):
  return samples['offsets'].dtype.kind == 'i'


def _traversal_title(samples, layer):
  if _are_states(samples):
    return f'One unit of {layer} set to each of its states in turn, the others at the most probable state under q'
  return f'One unit of {layer} moved, by so many standard deviations of its prior, from its mean under q'


def _unit_labels(samples, units):
  of = 'rate' if 'rate' in samples else 'spread'
  words = '{:.2f} nats' if of == 'rate' else 'spread {:.2f}'
  if 'of_steps' not in samples:
    return [f'unit {unit}\n{words.format(samples[of][unit])}' for unit in units]
  return [
    f'step {step}, unit {unit}\n{words.format(samples[of][step - 1, unit])}'
    for step, unit in zip(samples['of_steps'], units, strict=False)
  ]


def _interpolation_images(samples, layer):
  (name, x), mean, bands = _scored(samples), samples['mean'], []
  labels = [str(moved).replace('+', ', ') for moved in samples['moved']]
  for pair in range(min(len(x), MOST['examples'])):
    heads = [(name,), tuple(f'{weight:.3g}' for weight in np.linspace(0, 1, mean.shape[2])), (name,)]
    heads = heads if pair == 0 else [()] * 3
    ends = [Panel(x[pair, end][None], 1, heads[2 * end]) for end in (0, 1)]
    bands.append((labels, [ends[0], Panel(*_rows(mean[pair]), heads[1]), ends[1]]))
  return sheet(_interpolation_title(samples), bands, *_how(samples))


def _scored(samples):
  """(name, examples) of what the means are of."""
  name = 'target' if 'target' in samples else 'x'
  return name, samples[name]


def _interpolation_title(samples):
  several = '' if len(samples['moved']) == 1 else ', in the top layer alone and in all layers'
  return f'Interpolations between examples of the {samples["split"]} split{several}'


def _layer_images(samples, layer):
  mean = samples['mean'][: MOST['rows'], : 1 + MOST['draws']]
  if samples['variance'].ndim:
    return _step_images(samples, layer)
  fresh = 'all layers' if layer == 'context' else layer
  panels = [Panel(mean[:, 0], 1, title='sample'), Panel(*_rows(mean[:, 1:]), title=f'{fresh} drawn afresh')]
  panels = [*_told(samples, len(mean), 1), *panels]
  return sheet(_layer_title(samples, layer), [(list(_marks(samples)[: len(mean)]), panels)], *_how(samples))


def _step_images(samples, layer):
  shown = some(len(samples['variance']), MOST['steps'])
  mean = samples['mean'][: MOST['rows']]
  heads, tails = tuple(f'{1 + step}' for step in shown), tuple(f'{_share(samples)[step]:.0f}\u00a0%' for step in shown)
  fresh = Panel(*_rows(mean[:, 1 + shown]), heads, 'fresh step', tails)
  panels = [*_told(samples, len(mean), 1), Panel(mean[:, 0], 1, title='sample'), fresh]
  labels = list(_marks(samples)[: len(mean)]) or [''] * len(mean)
  title = f'Samples of the prior with the noise of one step of {layer} drawn afresh, all else kept; below, how much of '
  return sheet(f'{title}the variance of E[x | z] the step explains', [([*labels, 'explains'], panels)], *_how(samples))


def _share(samples):
  """Of the variance of E[x | z], in percent."""
  return 100 * np.maximum(0.0, samples['variance'] / max(samples['total_variance'], 1e-300))


def _layer_title(samples, layer):
  share = _share(samples)
  moved, kept, it = (layer, 'all else', layer) if layer != 'context' else ('all layers', 'the context', 'it')
  return (
    f'Samples of the prior with the noise of {moved} drawn afresh, {kept} kept: {it} explains {share:.0f}\u00a0% of '
    'the variance of E[x | z]'
  )


# Lines and clouds, of data that are no images.


def _flat(samples, leading):
  """The same with examples [D] of one axis."""
  rank = samples['mean'].ndim - leading
  flat = {name: samples[name] for name in ('x', 'target', 'mean', 'mode', 'samples', 'draw') if name in samples}
  return samples | {name: value.reshape(*value.shape[:-rank], -1) for name, value in flat.items()}


def _lines(title: str, cells: list[tuple[str, list[tuple]]], bar=None):
  """Small axes of curves over the dimensions of x: (title, [(curve, style), ...]).

  bar: (label, colour map, from, to) of the curves' colours.
  """
  from matplotlib.cm import ScalarMappable
  from matplotlib.colors import Normalize
  from matplotlib.figure import Figure

  columns = min(4, len(cells))
  rows = -(-len(cells) // columns)
  figure = Figure((1.0 + 2.4 * columns, 0.8 + 1.6 * rows), layout='constrained')
  axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
  figure.suptitle(title, fontsize=FONT + 1)
  figure.supxlabel('dimension of x', fontsize=FONT)
  for axis in axes.flat[len(cells) :]:
    axis.set_axis_off()
  for axis, (name, curves) in zip(axes.flat, cells, strict=False):
    for curve, style in curves:
      axis.plot(curve, **{'linewidth': 1, 'marker': '.', 'markersize': 3} | style)
    axis.set_title(name, fontsize=FONT)
    axis.tick_params(labelsize=FONT - 1)
    axis.grid(alpha=0.3)
  if any('label' in style for _, style in cells[0][1]):
    axes[0, 0].legend(fontsize=FONT - 2)
  if bar:
    label, colors, low, high = bar
    handle = figure.colorbar(ScalarMappable(Normalize(low, high), colors), ax=axes, aspect=40)
    handle.set_label(label, fontsize=FONT)
    handle.ax.tick_params(labelsize=FONT - 1)
  return figure


def _colored(curves, colors, values):
  """(curve, style) with the colours of values in [0, 1]."""
  import matplotlib

  return [(curve, {'color': matplotlib.colormaps[colors](v)}) for curve, v in zip(curves, values, strict=True)]


def _prior_lines(samples, layer):
  """The first dimensions against each other: of the data, and of draws of the model."""
  from matplotlib.figure import Figure

  n = min(samples['x'].shape[1], MOST['columns'])
  figure = Figure((1.2 + 1.2 * n, 1.2 + 1.2 * n), layout='constrained')
  axes = figure.subplots(n, n, squeeze=False)
  figure.suptitle(f'The {samples["split"]} split, and samples x ~ p(x | z), z ~ p(z)', fontsize=FONT + 1)
  for row, column in np.ndindex(n, n):
    axis = axes[row, column]
    axis.tick_params(labelsize=FONT - 2, labelbottom=row == n - 1, labelleft=column == 0)
    if row == column:
      both = np.concatenate([samples['x'][:, row], samples['draw'][:, row]])
      bins = np.histogram_bin_edges(both, 'auto')
    for name, color, label in (('x', '0.5', 'data'), ('draw', 'C1', 'model')):
      values = samples[name]
      if row == column:
        axis.hist(values[:, row], bins, density=True, histtype='step', color=color, label=label)
      elif column < row:
        axis.plot(values[:, column], values[:, row], '.', color=color, markersize=3, alpha=0.6)
    if column > row:
      axis.set_axis_off()
    if row == n - 1:
      axis.set_xlabel(f'dimension {column}', fontsize=FONT)
    if column == 0:
      axis.set_ylabel('density' if row == 0 else f'dimension {row}', fontsize=FONT)
  axes[0, -1].legend(*axes[0, 0].get_legend_handles_labels(), loc='upper right', fontsize=FONT - 1)
  return figure


def _reconstruction_lines(samples, layer):
  cells = []
  for i in range(min(len(samples['x']), MOST['examples'])):
    curves = [
      (sample, {'color': 'C0', 'alpha': 0.3, 'marker': ''}) for sample in samples['samples'][i, : MOST['samples of q']]
    ]
    curves += [(samples['mean'][i], {'color': 'C0', 'label': 'q at its mean'})]
    if 'mode' in samples:
      curves += [(samples['mode'][i], {'color': 'C1', 'linestyle': '', 'label': 'mode of x there'})]
    if 'target' in samples:
      curves += [(samples['target'][i], {'color': 'C2', 'linestyle': '', 'label': 'target'})]
    curves += [(samples['x'][i], {'color': 'k', 'linestyle': '', 'label': 'x'})]
    given = f'given {contexts.words(samples["context"])[i]}, ' if 'context' in samples else ''
    cells.append((f'{given}mse {samples["mse"][i]:.3g}', curves))
  return _lines(f'Examples of the {samples["split"]} split and E[x | z]; pale: at samples of q', cells)


def _contexts_lines(samples, layer):
  cells, words = [], contexts.words(samples['context'])
  for i in range(min(len(samples['mean']), MOST['examples'])):
    means = samples['mean'][i, : MOST['draws']]
    curves = [(mean, {'color': 'C0', 'alpha': 0.5, 'marker': ''}) for mean in means]
    curves[0][1]['label'] = 'samples'
    if 'x' in samples:
      curves += [(samples['x'][i], {'color': 'k', 'linestyle': '', 'label': 'example'})]
    cells.append((f'given {words[i] or f"context {i}"}', curves))
  return _lines(_contexts_title(samples), cells)


def _traversal_lines(samples, layer):
  units, offsets, cells = samples['units'][: MOST['units']], samples['offsets'], []
  name, x = _scored(samples)
  unit = 'state' if _are_states(samples) else 'standard deviations'
  for number, label in enumerate(_unit_labels(samples, units)):
    curves = _colored(samples['mean'][0, number], 'coolwarm', np.linspace(0, 1, len(offsets)))
    cells.append((label.replace('\n', ', '), [*curves, (x[0], {'color': 'k', 'linestyle': ''})]))
  return _lines(
    f'{_traversal_title(samples, layer)} (points: {name})', cells, (unit, 'coolwarm', offsets[0], offsets[-1])
  )


def _interpolation_lines(samples, layer):
  cells, weights, (name, x) = [], np.linspace(0, 1, samples['mean'].shape[2]), _scored(samples)
  for pair in range(min(len(x), MOST['examples'])):
    for kind, moved in enumerate(samples['moved']):
      curves = _colored(samples['mean'][pair, kind], 'viridis', weights)
      ends = [(x[pair, e], {'color': 'k', 'linestyle': '', 'marker': '.x'[e]}) for e in (0, 1)]
      cells.append((f'pair {pair}: {str(moved).replace("+", ", ")}', [*curves, *ends]))
  return _lines(f'{_interpolation_title(samples)} (points and crosses: {name})', cells, ('weight', 'viridis', 0, 1))


def _layer_lines(samples, layer):
  cells, words = [], contexts.words(samples['context']) if 'context' in samples else None
  for i, (kept, *fresh) in enumerate(samples['mean'][: MOST['rows'], : 1 + MOST['draws']]):
    curves = [(curve, {'color': 'C0', 'alpha': 0.5, 'marker': ''}) for curve in fresh]
    given = f' given {words[i]}' if words and words[i] else ''
    cells.append((f'sample {i}{given}', [*curves, (kept, {'color': 'k'})]))
  return _lines(_layer_title(samples, layer), cells)


class Picture(NamedTuple):
  """How a kind of samples is drawn."""

  leading: int  # axes of `mean` before those of an example
  images: Callable
  lines: Callable


PICTURES = {
  'prior': Picture(1, _prior_images, _prior_lines),
  'limiting': Picture(1, _prior_images, _prior_lines),
  'contexts': Picture(2, _contexts_images, _contexts_lines),
  'reconstructions': Picture(1, _reconstruction_images, _reconstruction_lines),
  'traversals': Picture(3, _traversal_images, _traversal_lines),
  'interpolations': Picture(3, _interpolation_images, _interpolation_lines),
  'layers': Picture(2, _layer_images, _layer_lines),
}
