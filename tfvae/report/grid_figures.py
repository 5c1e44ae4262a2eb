"""Figures of several runs: heat maps, rates, the information plane, curves and seeds, from their files alone."""

import pathlib

import numpy as np

from tfvae.report import repeats
from tfvae.report.axes import figure, plain, save, told
from tfvae.report.cohorts import BOUNDED, Cohort, better, cohorts, label
from tfvae.run.collection import Collection
from tfvae.run.files import writing
from tfvae.theory.fronts import best_points, surface

OKABE_ITO = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#000000', '#F0E442')
MAP = 'viridis'
EQUAL, HELD = '#D55E00', '#000000'  # equal betas; rates held at targets
COLUMNS, WIDTH, HEIGHT = 4, 4.0, 3.3  # panels beside each other, and inches of each
FEW = 7  # groups with a name of their own, and values that are written into cells
MOST_CURVES = 40
MANY = 500  # points, from which on a PDF has them as pixels
MOST_TICKS = 7


def draw(collection: Collection, directory: pathlib.Path | None = None) -> list[pathlib.Path]:
  """Draws what the runs of a collection have beside each other, as PNG and as PDF; returns the paths.

  One set of figures for each data set; of several the names end in the data. What cannot be drawn is told of.

  directory: where they go. None: report/figures of the collection's.

  Raises RunError: they cannot be written.
  """
  import matplotlib

  matplotlib.use('Agg')
  directory = directory or collection.directory / 'report' / 'figures'
  own, paths = cohorts(collection), []
  for cohort in own:
    end = f'-{_file_name(cohort.data)}' if len(own) > 1 else ''
    for name, draw_one in FIGURES.items():
      path = directory / f'{name}{end}.png'
      with told(path):
        drawn = draw_one(cohort)
        if drawn is not None:
          with writing(collection.directory):
            directory.mkdir(parents=True, exist_ok=True)
            paths += save(drawn, path, ('png', 'pdf'))
  return paths


def _file_name(text):
  text = text if len(text) <= 60 else f'{text[:29]}__{text[-29:]}'  # what tells sets apart is at the end
  return ''.join(c if c.isalnum() or c in '._-' else '_' for c in text)


# What figures share.


def _panels(cohort, names, draw_one, title, **kwargs):
  """A figure with a panel for each name; None where there are none."""
  if not names:
    return None
  columns = min(COLUMNS, len(names))
  rows = -(-len(names) // columns)
  drawn = figure(max(WIDTH * columns, 6.5), HEIGHT * rows + 0.6)
  axes = drawn.subplots(rows, columns, squeeze=False, **kwargs).flatten()
  for axis, name in zip(axes, names, strict=False):
    draw_one(drawn, axis, name)
  for axis in axes[len(names) :]:
    axis.set_axis_off()
  drawn.suptitle(plain(f'{cohort.data}, {cohort.split} split: {title}'), fontsize=11)
  return drawn


class _Color:
  """Colours of groups: by the field with most values where there is one, else one for each."""

  def __init__(self, cohort, own=None):
    from matplotlib import colormaps, colors

    own = np.arange(len(cohort.groups)) if own is None else own
    few = len(own) <= FEW or cohort.targets[own].all()
    self.field = cohort.swept[0] if cohort.swept and not few else ''
    self.legend = not self.field and len(own) <= FEW
    if self.field:
      values = cohort.values(self.field)[own]
      positive = np.nanmin(values) > 0 and np.nanmax(values) / np.nanmin(values) >= 10
      self.norm = (colors.LogNorm if positive else colors.Normalize)(np.nanmin(values), np.nanmax(values))
      self.of = colormaps[MAP](self.norm(np.nan_to_num(values, nan=np.nanmin(values))))
    else:
      self.of = [colors.to_rgba(OKABE_ITO[i % len(OKABE_ITO)]) for i in range(len(own))]
    self.of = np.array(self.of)
    if self.field:
      self.of[np.isnan(values)] = colors.to_rgba('0.75')
      values = np.unique(values[np.isfinite(values)])
      self.ticks = values[:: -(-len(values) // MOST_TICKS)]

  def bar(self, drawn, axes):
    """The scale, where colours stand for values."""
    if self.field:
      from matplotlib.cm import ScalarMappable

      bar = drawn.colorbar(ScalarMappable(self.norm, MAP), ax=axes, label=plain(self.field), fraction=0.04, pad=0.01)
      bar.set_ticks(self.ticks, labels=[f'{value:.3g}' for value in self.ticks])
      bar.minorticks_off()


def _scatter(axis, cohort, *at, color, size=22, **kwargs):
  """Groups as points: circles; equal betas as diamonds with an edge; rates held at targets as triangles."""
  color, many = np.asarray(color), len(cohort.groups) > MANY
  size = size if len(cohort.groups) < 100 else size / 2
  kinds = ((cohort.targets, '^', HELD, 1.0), (cohort.equal, 'D', EQUAL, 1.3))
  rest = ~(cohort.targets | cohort.equal)
  for which, marker, edge, width in ((rest, 'o', 'none', 0), *kinds):
    if which.any():
      own = color[which] if len(color) == len(which) else color
      points = axis.scatter(
        *(a[which] for a in at), s=size, c=own, marker=marker, edgecolors=edge, linewidths=width, zorder=3, **kwargs
      )
      points.set_rasterized(many)


def _marks(cohort):
  """What the markers mean, as a line for a title."""
  parts = (['diamonds: equal betas'] if cohort.equal.any() else []) + (
    ['triangles: rates held at targets'] if cohort.targets.any() else []
  )
  return f' ({"; ".join(parts)})' if parts else ''


def _ticks(axis, which, values):
  """The values of a field at their places, some of many."""
  step = -(-len(values) // MOST_TICKS)
  places = np.arange(0, len(values), step)
  getattr(axis, f'set_{which}ticks')(places, [f'{values[i]:.3g}' for i in places], fontsize=8)


# Figures.


def heat_maps(cohort: Cohort):
  """Each number over the two fields in which most groups differ; equal betas have an edge."""
  plane = cohort.plane()
  if plane is None:
    return None
  across, up, own = plane
  x, y = cohort.values(across)[own], cohort.values(up)[own]
  columns, rows = np.unique(x), np.unique(y)
  places = np.searchsorted(rows, y), np.searchsorted(columns, x)
  equal = cohort.equal[own] & (x == y)

  def one(drawn, axis, name):
    values = np.full((len(rows), len(columns)), np.nan)
    values[places] = cohort.mean(name)[own]
    axis.set_facecolor('0.85')
    image = axis.imshow(values, origin='lower', cmap=MAP, aspect='auto', interpolation='nearest')
    drawn.colorbar(image, ax=axis)
    axis.scatter(
      places[1][equal], places[0][equal], s=14, marker='D', facecolors='none', edgecolors=EQUAL, linewidths=1.3
    )
    if values.size <= FEW**2:
      middle = np.nanmean([np.nanmin(values), np.nanmax(values)])
      for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
          color = 'white' if value < middle else 'black'
          axis.text(column, row - 0.28, f'{value:.3g}', ha='center', va='center', fontsize=7, color=color)
    _ticks(axis, 'x', columns)
    _ticks(axis, 'y', rows)
    axis.set_title(plain(label(name)), fontsize=10)
    axis.set_xlabel(plain(across), fontsize=9)
    axis.set_ylabel(plain(up), fontsize=9)

  mark = ' (diamonds: equal betas)' if equal.any() else ''
  return _panels(cohort, cohort.names, one, f'means over seeds{mark}')


def over_rates(cohort: Cohort):
  """Each number over the rates of two layers, from above: the groups, and lines of equal height of the surface."""
  if len(cohort.layers) < 2:
    return None
  above, below = cohort.layers
  x, y = cohort.rates[:, 1], cohort.rates[:, 0]

  def one(drawn, axis, name):
    values = cohort.mean(name)
    found, norm = surface(np.c_[x, y], values), _norm(values)
    if found is not None:
      mesh = *found.points.T[:2], found.triangles, found.points[:, 2]
      axis.tricontourf(*mesh, 16, cmap=MAP, norm=norm, alpha=0.35, extend='both')
      axis.tricontour(*mesh, 8, colors='0.35', linewidths=0.5, linestyles='solid')
    _scatter(axis, cohort, x, y, color=values, cmap=MAP, norm=norm)
    from matplotlib.cm import ScalarMappable

    drawn.colorbar(ScalarMappable(norm, MAP), ax=axis)
    axis.set_xlim(*_around(x))
    axis.set_ylim(*_around(y))
    axis.set_title(plain(label(name)), fontsize=10)
    axis.set_xlabel(plain(f'rate/{below} [nats]'), fontsize=9)
    axis.set_ylabel(plain(f'rate/{above} [nats]'), fontsize=9)

  names = [name for name in cohort.names if not name.startswith('rate')]
  return _panels(cohort, names, one, f'over the rates of both layers{_marks(cohort)}')


def _around(values):
  low, high = np.nanmin(values), np.nanmax(values)
  return low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1)


def _norm(values):
  from matplotlib.colors import Normalize

  there = values[np.isfinite(values)]
  return Normalize(there.min(), there.max()) if len(there) else Normalize(0, 1)


def surfaces(cohort: Cohort):
  """The same in space: the groups as points and the surface through them."""
  if len(cohort.layers) < 2 or len(cohort.groups) < 3:
    return None
  above, below = cohort.layers
  x, y = cohort.rates[:, 1], cohort.rates[:, 0]

  def one(drawn, axis, name):
    values = cohort.mean(name)
    found, norm = surface(np.c_[x, y], values), _norm(values)
    if found is not None:
      a, b, c = found.points.T
      mesh = axis.plot_trisurf(a, b, c, triangles=found.triangles, cmap=MAP, norm=norm, alpha=0.55, linewidth=0)
      mesh.set_rasterized(True)
    _scatter(axis, cohort, x, y, values, color=values, cmap=MAP, norm=norm, size=10, depthshade=False)
    axis.set_title(plain(label(name)), fontsize=10)
    axis.set_xlabel(plain(f'rate/{below}'), fontsize=8, labelpad=-4)
    axis.set_ylabel(plain(f'rate/{above}'), fontsize=8, labelpad=-4)
    axis.tick_params(labelsize=7, pad=-2)
    axis.view_init(24, -125)

  names = [name for name in cohort.names if not name.startswith('rate')]
  title = f'over the rates of both layers in nats{_marks(cohort)}'
  return _panels(cohort, names, one, title, subplot_kw={'projection': '3d'})


def over_the_total_rate(cohort: Cohort):
  """Each number over the total rate: groups with the spread of their seeds, the hull of the best ones, and of
  accuracies the bound that the rate sets.
  """
  color, x = _Color(cohort), cohort.mean('rate')
  if not np.isfinite(x).any():
    return None
  color_axes = []

  def one(drawn, axis, name):
    values, spread = cohort.mean(name), cohort.std(name)
    color_axes.append(axis)
    if np.isfinite(spread).any():
      bars = axis.errorbar(x, values, spread, cohort.std('rate'), fmt='none', ecolor='0.6', elinewidth=0.8, zorder=1)
      for part in bars[2]:
        part.set_rasterized(len(x) > MANY)
    _scatter(axis, cohort, x, values, color=color.of)
    if sign := better(name):
      best = best_points(x, values, sign).vertices
      axis.plot(x[best], values[best], '--', color='0.3', linewidth=1.2, label='hull of the best', zorder=2)
    if name.startswith(BOUNDED):
      _bound(axis, cohort, np.nanmax(x), values)
    axis.set_title(plain(label(name)), fontsize=10)
    axis.set_xlabel('total rate [nats]', fontsize=9)
    axis.grid(alpha=0.3)
    if axis.get_legend_handles_labels()[0]:
      axis.legend(fontsize=7, loc='best')

  names = [name for name in cohort.names if not name.startswith('rate')]
  drawn = _panels(cohort, names, one, f'over the total rate{_marks(cohort)}')
  if drawn is not None:
    color.bar(drawn, color_axes)
    _legend(drawn, cohort, color)
  return drawn


def _bound(axis, cohort, most, values):
  rates = np.linspace(0, most, 200)
  bound = cohort.accuracy_bound(rates)
  if bound is not None:
    axis.plot(rates, bound, color=EQUAL, linewidth=1.5, label='bound by the rate', zorder=2)
    axis.set_ylim(min(np.nanmin(values), bound[0]) - 0.03, 1.03)


def _legend(drawn, cohort, color):
  """The groups' names below a figure, where they are few."""
  if color.legend:
    from matplotlib.lines import Line2D

    own = [Line2D([], [], color=c, marker='o', linestyle='') for c in color.of]
    names = [plain(group.label if len(group.label) < 70 else f'{group.label[:67]}...') for group in cohort.groups]
    drawn.legend(own, names, loc='outside lower center', fontsize=8, ncols=1 if max(map(len, names)) > 40 else 3)


def information_plane(cohort: Cohort):
  """The rate against the distortion of every run; on a straight line the ELBO is the same."""
  color, rate, likelihood = _Color(cohort), cohort.mean('rate'), cohort.mean('log_likelihood')
  if not np.isfinite(rate * likelihood).any():
    return None
  drawn = figure(7.5, 6)
  axis = drawn.subplots()
  for own, group in zip(color.of, cohort.groups, strict=True):
    runs = [run.numbers.get(cohort.split, {}) for run in group.runs]
    both = [(r['rate'], -r['log_likelihood']) for r in runs if 'rate' in r and 'log_likelihood' in r]
    if len(both) > 1:
      axis.scatter(*np.transpose(both), s=8, color=own, alpha=0.6, linewidths=0)
  _scatter(axis, cohort, rate, -likelihood, color=color.of, size=34)
  best = np.nanmax(likelihood - rate)
  ends, limits = np.array([np.nanmin(rate), np.nanmax(rate)]), axis.get_ylim()
  axis.plot(ends, -best - ends, ':', color='0.3', label=f'ELBO {best:.4g}, the highest')
  axis.set_ylim(limits)
  hull = best_points(rate, -likelihood, -1).vertices
  axis.plot(rate[hull], -likelihood[hull], '--', color='0.3', linewidth=1.2, label='hull of the best')
  axis.set_xlabel('rate [nats]')
  axis.set_ylabel('distortion, -log_likelihood [nats]')
  axis.grid(alpha=0.3)
  axis.legend(fontsize=8)
  color.bar(drawn, axis)
  _legend(drawn, cohort, color)
  title = f'{cohort.data}, {cohort.split} split: information plane{_marks(cohort)}'
  drawn.suptitle(plain(title), fontsize=11)
  return drawn


def curves(cohort: Cohort):
  """Evaluations over training: the mean of each group and the spread of its seeds, some of many groups."""
  own = np.unique(np.linspace(0, len(cohort.groups) - 1, MOST_CURVES).round().astype(int))
  groups = [cohort.groups[i] for i in own]
  color, axes = _Color(cohort, own), []

  layers = [f'rate/{layer}' for layer in cohort.layers]
  read = [repeats.readable(group.runs)[0] for group in groups]  # of the others the numbers may be there
  found = {}
  for name in ('elbo', 'rate', *(layers if len(layers) > 1 else ()), 'psnr', 'mse', 'accuracy'):
    series = [repeats.curve(runs, name) for runs in read]
    if any(one is not None for one in series):
      found[name] = series
  if 'psnr' in found:
    found.pop('mse', None)

  def one(drawn, axis, name):
    axes.append(axis)
    lows = []
    for series, shade in zip(found[name], color.of, strict=True):
      if series is None:
        continue
      steps, values = series
      mean = values.mean(0)
      axis.plot(steps, mean, color=shade, linewidth=1.4 if len(groups) <= FEW else 0.9)
      lows.append((np.quantile(mean, 0.125), mean.max()))
      if len(values) > 1:
        std = values.std(0, ddof=1)
        axis.fill_between(
          steps, mean - std, mean + std, color=shade, alpha=0.2 if len(groups) <= FEW else 0.1, linewidth=0
        )
    if name == 'elbo':  # the first steps would hide all others
      low, high = min(low for low, _ in lows), max(high for _, high in lows)
      axis.set_ylim(low - 0.08 * max(high - low, 1e-3), high + 0.08 * max(high - low, 1e-3))
    axis.set_title(plain(label(name)), fontsize=10)
    axis.set_xlabel('step', fontsize=9)
    axis.grid(alpha=0.3)

  some = f'; {len(groups)} of {len(cohort.groups)} groups' if len(groups) < len(cohort.groups) else ''
  drawn = _panels(cohort, list(found), one, f'evaluations over training, bands: spread over seeds{some}')
  if drawn is not None:
    color.bar(drawn, axes)
    _legend(drawn, cohort, color)
  return drawn


def seeds(cohort: Cohort):
  """How far runs that differ in their seeds alone are apart: groups by their means, each run a point."""
  if not any(len(group.runs) > 1 for group in cohort.groups):
    return None
  color = _Color(cohort)
  axes = []

  def one(drawn, axis, name):
    axes.append(axis)
    mean, std = cohort.mean(name), cohort.std(name)
    order = [i for i in np.argsort(mean) if np.isfinite(mean[i])]
    place = {i: at for at, i in enumerate(order)}
    axis.errorbar(
      range(len(order)), mean[order], std[order], fmt='_', color='0.4', elinewidth=1, markersize=8, zorder=1
    )
    points = [
      (place[i], run.numbers[cohort.split][name], i)
      for i in order
      for run in cohort.groups[i].runs
      if name in run.numbers.get(cohort.split, {})
    ]
    at, values, own = map(np.array, zip(*points, strict=True))
    axis.scatter(at, values, s=12, c=color.of[own], linewidths=0, zorder=2).set_rasterized(len(at) > MANY)
    axis.set_title(plain(label(name)), fontsize=10)
    axis.set_xlabel('groups by their mean', fontsize=9)
    axis.set_xticks([])
    axis.grid(alpha=0.3, axis='y')

  drawn = _panels(cohort, cohort.names, one, 'single runs, means over seeds and standard deviations')
  color.bar(drawn, axes)
  _legend(drawn, cohort, color)
  return drawn


FIGURES = {
  'heat_maps': heat_maps,
  'over_rates': over_rates,
  'surfaces': surfaces,
  'over_the_total_rate': over_the_total_rate,
  'information_plane': information_plane,
  'curves': curves,
  'seeds': seeds,
}
