"""Figures of the units of each layer: of one that repeats of all its steps together."""

import numpy as np

from tfvae.report.axes import figure
from tfvae.report.images import some
from tfvae.run.directory import Directory


def unit_information(run: Directory, split: str):
  """The mutual information of each unit with its parents, under p and under q, sorted, below its largest value."""
  arrays = run.arrays('unit_information', split)
  if not arrays:
    return None
  shown = {}  # what a section has: one layer, or some of its steps
  for name, values in arrays.items():
    if name[0] in 'qp':
      shown.setdefault(name.partition('/')[0], {})[name] = values
  drawn = figure(3.6 * len(shown), 3.4)
  for (name, found), axis in zip(shown.items(), drawn.subplots(1, len(shown), squeeze=False).flat, strict=True):
    side, _, layer = name.partition('.')
    if name not in found:
      steps = [int(step.rpartition('/')[2]) for step in found]
      rows = np.array([np.sort(values)[::-1] for values in found.values()])
      _of_steps(axis, rows, f'{layer} under {side}, mean {rows.mean():.3f}', 'nats', steps, 'unit, sorted')
      continue
    values = found[name]
    axis.bar(np.arange(len(values)), np.sort(values)[::-1], color='C0' if side == 'q' else 'C1')
    states = int(arrays.get(f'states.{layer}', 2))  # runs of tfvae 0.1 had layers of bits alone
    axis.axhline(np.log(states), color='k', linestyle=':', label=f'log {states}')
    axis.set(title=f'{layer} under {side}, mean {values.mean():.3f}', xlabel='unit, sorted', ylabel='nats')
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize=8)
  return drawn


def latents(run: Directory, split: str):
  """Of each layer: the moments of the aggregate posterior, encoder entropies, and correlations of the units."""
  arrays = run.arrays('latents', split)
  layers = [layer for layer in run.spec.model.layers if {f'{layer}.covariance', f'{layer}/1.mean'} & arrays.keys()]
  if not layers:
    return None
  drawn = figure(12, 3.3 * len(layers))
  for row, layer in zip(drawn.subplots(len(layers), 3, squeeze=False), layers, strict=True):
    if f'{layer}/1.mean' in arrays:
      _latents_of_steps(row, arrays, layer)
      continue
    moments, entropies, correlations = row
    of = {name.partition('.')[2]: array for name, array in arrays.items() if name.startswith(f'{layer}.')}
    order = np.argsort(of['variance_of_mean'])[::-1]  # the most active first
    units, scale = np.arange(len(order)), np.sqrt(np.diag(of['covariance']))[order]
    prior = np.sqrt(np.diag(of['prior_covariance']))[order]
    marker = {'markersize': 3 if len(units) > 40 else 5, 'elinewidth': 0.8}
    moments.fill_between(
      units, of['prior_mean'][order] - prior, of['prior_mean'][order] + prior, color='C1', alpha=0.25, label='prior'
    )
    moments.errorbar(units, of['mean'][order], scale, fmt='o', color='C0', label='aggregate posterior', **marker)
    moments.set(title=f'{layer}: mean, standard deviation', xlabel='unit, the most active first')
    moments.legend(fontsize=8)
    entropies.plot(units, of['prior_entropy'][order], color='C1', label='prior')
    entropies.plot(units, of['collapsed_above'][order], 'k:', label='collapsed above')
    if 'encoder_entropy' in of:
      size = marker['markersize']
      entropies.plot(units, of['encoder_entropy'][order], 'o', color='C0', markersize=size, label='encoder')
    entropies.set(title=f'{layer}: mean entropy of each unit', xlabel='unit, the most active first', ylabel='nats')
    entropies.legend(fontsize=8)
    shown = correlations.imshow(of['correlation'][np.ix_(order, order)], cmap='RdBu_r', vmin=-1, vmax=1)
    drawn.colorbar(shown, ax=correlations)
    correlations.set(title=f'{layer}: correlation under q(z)')
  return drawn


def _latents_of_steps(axes, arrays, section):
  """How far each unit of each step is in use, by both definitions, and the correlations of the units of a step."""
  steps, of = [name.partition('.')[0] for name in arrays if name.endswith('.mean')], {}
  for name in (
    'variance_of_mean',
    'active_above',
    'collapsed_above',
    'encoder_entropy',
    'prior_entropy',
    'correlation',
  ):
    if f'{steps[0]}.{name}' in arrays:
      of[name] = np.array([arrays[f'{step}.{name}'] for step in steps])
  activity, entropies, correlations = axes
  used = of['variance_of_mean'] / of['active_above']
  order = np.argsort(used.mean(0))[::-1]
  active = f'{np.sum(used > 1):,} of {used.size:,} units active'
  numbers, where = range(1, 1 + len(steps)), 'unit, the most active first'
  logs = np.log10(np.maximum(used, 1e-3))
  _of_steps(activity, logs[:, order], f'{section}: {active}', 'log10(Var E[z | x] / threshold)', numbers, where)
  for axis in (entropies, correlations):
    axis.set_axis_off()
  if 'encoder_entropy' in of:
    told = of['prior_entropy'] - of['encoder_entropy']
    active = np.sum(of['encoder_entropy'] < of['collapsed_above'])
    title = f'{section}: {active:,} not collapsed'
    _of_steps(entropies, told[:, order], title, "entropy below the prior's (nats)", numbers, where)
  if 'correlation' in of:
    correlations.set_axis_on()
    mean = np.sqrt(np.mean(of['correlation'] ** 2, 0))
    shown = correlations.imshow(mean[np.ix_(order, order)], cmap='viridis', vmin=0, vmax=1)
    correlations.figure.colorbar(shown, ax=correlations)
    correlations.set(title=f'{section}: rms correlation in a step')


def _of_steps(axis, values, title, label, steps, units):
  """[T, H] as colours, a row for each of `steps`."""
  axis.set_axis_on()
  shown = axis.imshow(
    values, aspect='auto', interpolation='nearest', extent=(-0.5, values.shape[1] - 0.5, len(values), 0)
  )
  axis.figure.colorbar(shown, ax=axis, label=label)
  marked = some(len(values), 10)
  axis.set_yticks(0.5 + marked, [steps[number] for number in marked])
  axis.set(title=title, xlabel=units, ylabel='step')
