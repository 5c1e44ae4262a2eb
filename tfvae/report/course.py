"""Figures of how training went: the constraints that steered it, and its way through the information plane."""

import numpy as np

from tfvae.report.constraints import names, relative, words
from tfvae.report.verdicts import MET
from tfvae.run.directory import Directory

CLOSE = 10  # an end of the range of multipliers within this factor of them is drawn
LINEAR = 0.1  # C in units of the threshold: linear up to here, logarithmic beyond
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100)  # that are marked
DECADES = (0.1, 1, 10, 100, 1000, 10**4, 10**5)  # where there are more than that
FEWEST = 4  # points that make a way
NLL = 'nll_per_dimension'


def constraints(run: Directory):
  """Of each constraint C and its average in units of the threshold, and its multiplier; and the betas in effect."""
  metrics = run.metrics
  found = [name for name in names(metrics) if np.isfinite(relative(metrics['train'], name)).any()]
  if not found:
    return None
  drawn = _sheet(len(found))
  grid = drawn.add_gridspec(len(found), 3)
  for row, name in enumerate(found):
    _constraint(drawn.add_subplot(grid[row, 0]), metrics, run.spec, name)
    _multiplier(drawn.add_subplot(grid[row, 1]), metrics['train'], name, run.spec.constraint.range)
  betas = drawn.add_subplot(grid[:, 2])
  shown = [name for name in metrics['train'] if name.startswith('beta/') or name == 'beta_vae/beta']
  for number, name in enumerate(shown):
    style = 'k:' if name == 'beta_vae/beta' else f'C{number}-'
    betas.plot(metrics['train']['step'], metrics['train'][name], style, label=name)
  betas.set(title='betas in effect', xlabel='step')
  _logarithmic(betas, [metrics['train'][name] for name in shown])
  if shown:
    betas.legend(fontsize=8)
  else:
    betas.set_axis_off()
  return drawn


def _sheet(rows):
  """An empty figure of three columns. Its margins are fixed: to find them takes longer than to draw all the rest."""
  from matplotlib.figure import Figure

  height = 0.9 + 2.6 * rows
  drawn = Figure((13, height))
  drawn.subplots_adjust(0.06, 0.55 / height, 0.985, 1 - 0.55 / height, 0.22, 0.42)
  return drawn


def _constraint(axis, metrics, spec, name):
  train = metrics['train']
  threshold = train[f'threshold/{name}'][-1]
  axis.axhspan(-MET, MET, color='0.85', label=f'{100 * MET:g}%')
  axis.axhline(0, color='k', linewidth=0.8, label='threshold')
  axis.plot(train['step'], relative(train, name), color='C0', alpha=0.4, label='training')
  if f'constraint_average/{name}' in train:
    begun = train['step'] > 1  # before the first step there is none
    average = train[f'constraint_average/{name}'][begun] / threshold
    axis.plot(train['step'][begun], average, color='C0', label='its moving average')
  of_splits = {
    split: values for split, values in metrics.items() if split != 'train' and f'constraint/{name}' in values
  }
  for number, (split, values) in enumerate(of_splits.items(), 1):
    error = values.get(f'constraint_standard_error/{name}', np.zeros(len(values['step'])))
    axis.errorbar(
      values['step'],
      relative(values, name),
      np.nan_to_num(error) / threshold,
      fmt='o--',
      color=f'C{number}',
      markersize=4,
      label=split,
    )
  axis.set_yscale('symlog', linthresh=LINEAR)
  low, high = axis.get_ylim()
  largest = max(-low, high)
  marked = SHARES if largest < 0.3 else SHARES[1:] if largest < 30 else DECADES
  axis.set_yticks([share for share in (0, *marked, *(-s for s in marked)) if low <= share <= high], minor=False)
  axis.yaxis.set_major_formatter(lambda value, place: f'{100 * value:g}%')
  axis.set_title(f'{name}: {words(spec, name, threshold)}', fontsize=10)
  axis.set(xlabel='step', ylabel='C, of the threshold')
  axis.legend(fontsize=7)
  axis.grid(alpha=0.3)


def _multiplier(axis, train, name, limits):
  values = train[f'multiplier/{name}']
  axis.plot(train['step'], values, color='C0')
  for end, side in zip(limits, ('lower', 'upper'), strict=True):
    if np.nanmin(np.abs(np.log(values / end))) <= np.log(CLOSE):
      axis.axhline(end, color='C3', linestyle=':', label=f'{side} end of its range, {end:g}')
      axis.legend(fontsize=7)
  axis.set(title=f'multiplier of {name}', xlabel='step')
  _logarithmic(axis, [values])


def _logarithmic(axis, series):
  """A logarithmic scale, where all is positive, whose numbers are read also where they are within one decade."""
  from matplotlib.ticker import LogLocator, NullLocator

  values = np.concatenate([np.ravel(of) for of in series] or [[]])
  values = values[np.isfinite(values)]
  if len(values) and values.min() > 0:
    axis.set_yscale('log')
    decades = np.log10(values.max() / values.min())
    axis.yaxis.set_major_locator(
      LogLocator(subs=(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if decades < 1 else (1, 2, 5) if decades < 3 else (1,))
    )
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(lambda value, place: f'{value:.3g}')
  axis.grid(alpha=0.3)


def information_plane(run: Directory):
  """Rate against NLL over training, coloured by the step.

  NLL is `nll_per_dimension` of evaluations where there are at least four; else, of the lines of training, that of a
  Gaussian whose variance is the error of their batches, 1/2 log(2 pi e mse).
  """
  metrics = run.metrics
  ways = {
    split: (values['step'], values['rate'], values[NLL])
    for split, values in metrics.items()
    if 'rate' in values and np.isfinite(values.get(NLL, np.nan)).sum() >= FEWEST
  }
  what = 'nll_per_dimension (nats), at the sigma of the errors'
  train = metrics.get('train', {})
  if not ways and 'rate' in train and 'mse' in train:
    with np.errstate(divide='ignore', invalid='ignore'):
      ways['train'] = (train['step'], train['rate'], 0.5 * np.log(2 * np.pi * np.e * train['mse']))
    what = '1/2 log(2 pi e mse) of the batches, per dimension (nats)'
  ways = {split: np.array(way)[:, np.isfinite(way).all(axis=0)] for split, way in ways.items()}
  ways = {split: way for split, way in ways.items() if way.shape[1] >= FEWEST}
  return _plane(ways, what) if ways else None


def _plane(ways, what):
  from matplotlib.figure import Figure

  drawn = Figure((6.4, 4.4))
  axis = drawn.add_axes((0.14, 0.12, 0.68, 0.78))
  first = min(way[0][0] for way in ways.values())
  last = max(way[0][-1] for way in ways.values())
  for marker, (split, (step, rate, nll)) in zip('oDs^', ways.items(), strict=False):
    axis.plot(rate, nll, color='0.8', linewidth=0.8, zorder=1)
    points = axis.scatter(
      rate, nll, c=step, s=14, marker=marker, cmap='viridis', vmin=first, vmax=last, label=split, zorder=2
    )
    for place, text in ((0, 'start'), (-1, 'end')):
      axis.plot(rate[place], nll[place], marker, markersize=10, markerfacecolor='none', color='C3', zorder=3)
      is_right = rate[place] > (rate.min() + rate.max()) / 2
      axis.annotate(
        f'{text} ({step[place]:,.0f})',
        (rate[place], nll[place]),
        (-7 if is_right else 7, 7),
        textcoords='offset points',
        ha='right' if is_right else 'left',
        fontsize=8,
      )
  axis.margins(0.12)
  axis.set(title='information plane', xlabel='rate, all layers (nats)', ylabel=what)
  if len(ways) > 1 or 'train' not in ways:
    axis.legend(fontsize=8)
  axis.grid(alpha=0.3)
  drawn.colorbar(points, cax=drawn.add_axes((0.85, 0.12, 0.025, 0.78))).ax.set_title('step', fontsize=8)
  return drawn
