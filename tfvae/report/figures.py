"""Figures of a run, drawn from its directory alone: no model, no data, no TensorFlow."""

import math
import pathlib

import numpy as np

from tfvae.data.images import spread
from tfvae.report import collapse, contexts, fixed_points
from tfvae.report.accuracies import accuracies
from tfvae.report.animation import latent_space
from tfvae.report.axes import figure, plot, save, told
from tfvae.report.canvases import canvases
from tfvae.report.course import constraints, information_plane
from tfvae.report.entropies import entropies, estimates, points, units
from tfvae.report.images import grid, is_stack
from tfvae.report.latents import latents, unit_information
from tfvae.report.pca import pca
from tfvae.report.selection import selection
from tfvae.report.task import task
from tfvae.report.tiles import tiles
from tfvae.run.directory import Directory
from tfvae.run.metrics import LOOSE, is_loose


def draw(
  run: Directory, split: str | None = None, during: bool = False, kinds: tuple[str, ...] = ('png',)
) -> list[pathlib.Path]:
  """Draws every figure for which the run has the numbers; returns the paths of those that were drawn.

  A figure of a split says which; of another split than spec.eval.split it is called <name>-<split>.png.

  Args:
    run: the run.
    split: that was evaluated: its figures, and where it is spec.eval.split those of the whole run. None: of all splits
      that were evaluated.
    during: in the middle of training: those that show its course, alone.
    kinds: png, pdf: each figure is written as each of them.
  """
  import matplotlib

  matplotlib.use('Agg')
  own, paths = run.spec.eval.split, []
  splits = dict.fromkeys([own, *run.evaluated]) if split is None else [split]

  def add(name, draw_one, *of):
    path = run.figures / f'{name}.png'
    with told(path):
      drawn = draw_one(run, *of)
      if drawn is not None:
        if of and not drawn.texts:  # which say it
          drawn.suptitle(f'{of[0]} split', fontsize=10)
        run.figures.mkdir(exist_ok=True)
        paths.extend(save(drawn, path, kinds))

  of_the_run = {name: OF_THE_RUN[name] for name in DURING} if during else OF_THE_RUN
  for name, draw_one in of_the_run.items() if own in splits else ():
    add(name, draw_one)
  if during:
    return paths
  for each in splits:
    for name, draw_one in OF_A_SPLIT.items():
      add(name if each == own else f'{name}-{each}', draw_one, each)
  if own in splits:
    with told(run.figures / 'latent_space.gif'):
      paths += [path for path in (latent_space(run),) if path]
    with told(run.figures / 'fixed_points.gif'):
      if arrays := run.arrays('fixed_points', own):
        paths.append(fixed_points.animation(arrays, run.figures / 'fixed_points.gif'))
  return paths


def curves(run: Directory):
  """The ELBO and its parts, and the losses of two players, over training."""
  metrics = run.metrics
  if 'train' not in metrics:
    return None
  nats = ('elbo', 'log_likelihood', 'rate', 'relaxed/elbo', 'loss/generative', 'loss/inference', 'cross_entropy')
  names = (*nats[:3], 'mse', 'sigma', *nats[3:], 'accuracy', 'gradient_norm')
  names = [name for name in names if any(name in values for values in metrics.values())]
  if not names:
    return None
  drawn = figure(12, 3.2 * -(-len(names) // 3))
  axes = drawn.subplots(-(-len(names) // 3), 3, squeeze=False)
  for axis in axes.flat[len(names) :]:
    axis.set_axis_off()
  for axis, name in zip(axes.flat, names, strict=False):
    plot(axis, metrics, name)
    axis.set(title=name, xlabel='step', ylabel='nats' if name in nats else '')
    found = [values[name][np.isfinite(values[name])] for values in metrics.values() if name in values]
    if name in ('mse', 'gradient_norm') and all(np.all(values > 0) for values in found):
      axis.set_yscale('log')
    if name in ('elbo', 'relaxed/elbo', 'log_likelihood', 'loss/generative'):  # the first steps would hide all others
      axis.set_ylim(*_limits(found))
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
  return drawn


def _limits(series):
  """The range of curves without their first tenths, a little wider; None, what suits them, where there is none."""
  rest = np.concatenate([values[len(values) // 10 :] for values in series])
  if not len(rest):
    return None, None
  low, high = rest.min(), rest.max()
  margin = 0.08 * max(high - low, 1e-6)
  return low - margin, high + margin


def rates(run: Directory):
  """The rate of each layer over training, and beside it the last ones with their betas; of one that repeats those of
  its steps.
  """
  metrics, layers = run.metrics, run.spec.model.layers
  if f'rate/{layers[0]}' not in metrics.get('train', {}):
    return None
  drawn = figure(10, 3.6)
  left, right = drawn.subplots(1, 2, width_ratios=(2, 1))
  colors = {layer: f'C{i}' for i, layer in enumerate(layers)}
  for layer in layers:
    for split, values in metrics.items():
      if f'rate/{layer}' in values:
        style = '-' if split == 'train' else 'o--'
        left.plot(
          values['step'], values[f'rate/{layer}'], style, color=colors[layer], markersize=4, label=f'{layer}, {split}'
        )
  left.set(title='rate of each layer', xlabel='step', ylabel='nats')
  left.legend(fontsize=8)
  left.grid(alpha=0.3)
  split = next(
    (
      s
      for s in (f'{run.spec.eval.split} (evaluated)', run.spec.eval.split)
      if f'rate/{layers[0]}' in metrics.get(s, {})
    ),
    'train',
  )
  if f'rate/{layers[0]}/1' in metrics[split]:
    return _rates_of_steps(drawn, right, run, metrics[split], layers[0], split)
  layers = [layer for layer in layers if f'rate/{layer}' in metrics[split]]  # others have those of relaxed samples
  last = [metrics[split][f'rate/{layer}'][-1] for layer in layers]
  labels = [f'{layer}\n$\\beta$ = {_last_beta(run, layer):.4g}' for layer in layers]
  bars = right.bar(labels, last, color=[colors[layer] for layer in layers])
  right.bar_label(bars, fmt='%.2f')
  right.set(title=f'at the end, {split}', ylabel='nats')
  right.margins(y=0.15)
  return drawn


def _rates_of_steps(drawn, axis, run, metrics, layer, split):
  steps = sorted(int(name.rpartition('/')[2]) for name in metrics if name.startswith(f'rate/{layer}/'))
  bars = axis.bar(steps, [metrics[f'rate/{layer}/{step}'][-1] for step in steps])
  if len(steps) <= 16:
    axis.set_xticks(steps, steps, fontsize=10 if len(steps) <= 10 else 7)
    turned = {} if len(steps) <= 6 else {'rotation': 90, 'fontsize': 7, 'padding': 2}
    axis.bar_label(bars, fmt='%.2f', **turned)
  title = f'at the end, {split}: $\\beta$ = {_last_beta(run, layer):.4g}'
  axis.set(title=title, xlabel=f'step of {layer}', ylabel='nats')
  axis.margins(y=0.15)
  return drawn


def _last_beta(run, layer):
  """The beta in effect at the end: given times its annealing, or found. Where training logged none, the spec's."""
  values = run.metrics['train'].get(f'beta/{layer}', np.array([]))
  values = values[np.isfinite(values)]
  return values[-1] if len(values) else run.spec.objective.beta[layer]


def _show(axis, images, limits, columns, title, stack):
  picture = grid(images, limits, columns, stack)
  axis.imshow(picture if picture.shape[-1] == 3 else picture[..., 0], cmap='gray', vmin=0, vmax=1)
  axis.set_title(title)
  axis.set_axis_off()


def _side_by_side(run, arrays, titles):
  """Up to 64 of two arrays of images, {name: title}, beside each other."""
  n, stack = min(64, *(len(arrays[name]) for name in titles)), is_stack(run)
  one = arrays[next(iter(titles))][:1]
  wide = spread(one, stack).shape[2] // one.shape[2]  # images beside each other, of one example
  columns = round(8 / math.sqrt(wide))
  drawn = figure(9, 4.4 * max(-(-n // columns) / (columns * wide), 0.25) + 0.3)
  for axis, (name, title) in zip(drawn.subplots(1, 2), titles.items(), strict=True):
    _show(axis, arrays[name][:n], arrays['value_range'], columns, title, stack)
  return drawn


def reconstructions(run: Directory, split: str):
  """Examples of the evaluated split (their targets, where there are such) and their reconstructions."""
  samples = run.arrays('samples', split)
  if not samples or samples['x'].ndim != 4:
    return None
  scored = 'target' if 'target' in samples else 'x'
  titles = {scored: scored, 'reconstruction': f'E[{scored} | z], z ~ q(z | x)'}
  return _side_by_side(run, samples, titles)


def prior_samples(run: Directory):
  """Means of p(x | z) at samples of the prior."""
  samples = run.arrays('samples', run.spec.eval.split)
  if not samples or samples['prior'].ndim != 4:
    return None
  prior, limits = samples['prior'], samples['value_range']
  if (context := samples.get('context')) is None:
    drawn = figure(5, 5.4)
    _show(drawn.subplots(), prior, limits, None, 'E[x | z], z ~ p(z)', is_stack(run))
    return drawn
  stack, told = is_stack(run), contexts.pictures(context, prior.shape[1], limits)
  cell = np.array(grid(prior[:1], limits, 1, stack).shape[:2]) + 1
  columns = math.ceil(math.sqrt(len(prior) / (cell[1] // prior.shape[2])))
  wide = () if told is None else (min(2.0, (told.shape[2] + 1) / cell[1]),)  # of the contexts, to that of the samples
  drawn = figure(5 * (1 + sum(wide)), 5.4)
  *left, right = drawn.subplots(1, len(wide) + 1, squeeze=False, width_ratios=(*wide, 1))[0]
  _show(right, prior, limits, columns, 'E[x | z], z ~ p(z | context)', stack)
  if left:
    _show(left[0], told, limits, columns, 'context', False)
    return drawn
  for number, word in enumerate(contexts.words(context)):
    row, column = cell * divmod(number, columns)
    right.text(column, row, word, va='top', color='C1', fontsize=8, path_effects=contexts.outline())
  return drawn


def limiting(run: Directory):
  """Samples of the prior, and where the chains z, x, z, ... that begin there are after eval.limiting.steps steps."""
  arrays = run.arrays('limiting', run.spec.eval.split)
  if not arrays or arrays['prior'].ndim != 4:
    return None
  titles = {'prior': 'E[x | z], z ~ p(z)', 'limiting': f'E[x | z] after {run.spec.eval.limiting.steps} steps'}
  return _side_by_side(run, arrays, titles)


def log_evidence(run: Directory, split: str):
  """The estimates of log p(x) of the examples, and how many samples they effectively rest on."""
  arrays = run.arrays('log_evidence', split)
  if not arrays:
    return None
  drawn = figure(10, 3.6)
  left, right = drawn.subplots(1, 2)
  values, effective = arrays['log_evidence'], arrays['effective_samples']
  few, loose = np.array([is_loose(value) for value in effective]), is_loose(effective.mean())
  left.hist(
    [values[~few], values[few]],
    40,
    stacked=True,
    color=['C0', 'C3'],
    label=['others', f'fewer than {LOOSE} effective samples'],
  )
  left.axvline(values.mean(), color='k', linestyle='--', label=f'mean {values.mean():.2f}')
  what = 'a loose lower bound of log p(x)' if loose else 'log p(x)'
  left.set(title=f'{what}, {len(values)} examples', xlabel='nats', ylabel='examples')
  left.legend(fontsize=8)
  right.hist([effective[~few], effective[few]], 40, stacked=True, color=['C0', 'C3'])
  right.set(title=f'effective samples, mean {effective.mean():.3g}', xlabel='samples', ylabel='examples')
  if loose:
    right.set_title(f'effective samples, mean {effective.mean():.3g}: take more', color='C3')
  return drawn


OF_THE_RUN = {
  'curves': curves,
  'rates': rates,
  'constraints': constraints,
  'information_plane': information_plane,
  'prior_samples': prior_samples,
  'limiting': limiting,
  'entropies': entropies,
  'selection': selection,
}
DURING = ('constraints', 'information_plane')


def _of(study, draw_one):
  """A figure from the arrays of a study."""
  return lambda run, split: draw_one(arrays) if (arrays := run.arrays(study, split)) else None


OF_A_SPLIT = {
  'fixed_points': _of('fixed_points', fixed_points.points),
  'energies': _of('fixed_points', fixed_points.energies),
  'collapse': _of('collapse', collapse.collapse),
  'reconstructions': reconstructions,
  'canvases': canvases,
  'unit_information': unit_information,
  'latents': latents,
  'log_evidence': log_evidence,
  'units': units,
  'points': points,
  'pca': pca,
  'task': task,
  'tiles': tiles,
  'estimates': estimates,
  'accuracies': accuracies,
}
