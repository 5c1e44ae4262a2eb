"""Figures of the sum of entropies and of posterior collapse (Damm et al., AISTATS 2023), and of points."""

import numpy as np

from tfvae.report.axes import figure
from tfvae.run.directory import Directory

TRAIN = 'train (evaluated)'
COLLAPSED, ACTIVE = '0.6', 'C0'


def entropies(run: Directory):
  """The ELBO against the sum of entropies, the three entropies, and the two halves of their difference."""
  metrics = {split: values for split, values in run.metrics.items() if 'entropy_sum' in values and 'elbo' in values}
  if not metrics or max(len(values['step']) for values in metrics.values()) < 2:
    return None
  drawn = figure(13, 3.8)
  both, three, halves = drawn.subplots(1, 3)
  for i, (split, values) in enumerate(metrics.items()):
    both.plot(values['step'], values['elbo'], '-', color=f'C{i}', label=f'ELBO, {split}')
    both.plot(values['step'], values['entropy_sum'], 'k' if i else 'C3', linestyle='--', label=f'entropies, {split}')
  values = np.concatenate([v[name] for v in metrics.values() for name in ('elbo', 'entropy_sum')])
  both.set(title='ELBO and sum of entropies', xlabel='step', ylabel='nats', ylim=_most(values))
  split = TRAIN if TRAIN in metrics else next(iter(metrics))
  of = metrics[split]
  for name, sign in (('encoder', 1), ('prior', -1), ('decoder', -1)):
    label = f'{"-" if sign < 0 else ""}H of the {name}'
    three.plot(of['step'], sign * of[f'entropy/{name}'], label=label)
  three.set(title=f'the three entropies, {split}', xlabel='step', ylabel='nats')
  if 'elbo_minus_entropies' in of:
    gaps = (('', 'k', 'ELBO - entropies'), ('/decoder', 'C1', "the decoder's half"), ('/rate', 'C2', "the rate's half"))
    for name, color, label in gaps:
      halves.plot(of['step'], of[f'elbo_minus_entropies{name}'], color=color, label=label)
    halves.axhline(0, color='0.5', linewidth=0.8)
    last = abs(of['elbo_minus_entropies'][-1])
    halves.set_yscale('symlog', linthresh=max(0.01, 10 ** np.floor(np.log10(max(last, 1e-3)))))
    halves.set(title=f'difference, {last:.3g} nats at the end', xlabel='step', ylabel='nats')
  else:
    halves.set_axis_off()
  for axis in (both, three, halves):
    if axis.get_legend_handles_labels()[0]:
      axis.legend(fontsize=8)
      axis.grid(alpha=0.3)
  return drawn


def _most(values):
  """The range of curves without their lowest eighth, which the first steps are in."""
  low, high = np.nanquantile(values, 0.125), np.nanmax(values)
  margin = 0.1 * max(high - low, 1e-3)
  return low - margin, high + margin


def units(run: Directory, split: str):
  """Of one latent vector: the encoder's entropies over training, active units, those at the end, and samples of q."""
  arrays, layer = run.arrays('latents', split), run.spec.model.layers[0]
  key = f'encoder_entropy/{layer}/0'
  series = {name: values for name, values in run.metrics.items() if key in values}
  if not arrays or not series or len(run.spec.model.layers) > 1:
    return None
  own = TRAIN if split == 'train' else split
  seen = own if own in series else next(iter(series))  # what was evaluated during training may be another split
  metrics = series[seen]
  of = {name.partition('.')[2]: array for name, array in arrays.items() if name.startswith(f'{layer}.')}
  entropy, prior, threshold = of['encoder_entropy'], of['prior_entropy'], of['collapsed_above']
  collapsed = entropy > threshold
  drawn = figure(14, 3.8)
  over, counts, bars, violins = drawn.subplots(1, 4, width_ratios=(4, 3, 3, 3))
  for unit in range(len(entropy)):
    over.plot(
      metrics['step'],
      metrics[f'encoder_entropy/{layer}/{unit}'],
      color=COLLAPSED if collapsed[unit] else ACTIVE,
      linewidth=1,
    )
  for axis in (over, bars):
    axis.axhline(prior.mean(), color='C1', label="the prior's")
    axis.axhline(threshold.mean(), color='k', linestyle=':', label='collapsed above')
  over.set(title=f'entropy of each unit of q, {seen}', xlabel='step', ylabel='nats')
  over.legend(fontsize=8)
  for name, label, style in (('active_units', 'by Var E[z|x]', '-'), ('active_units_entropy', 'by entropy', '--')):
    counts.plot(metrics['step'], metrics[name], style, label=label)
  counts.set(title=f'active units, {seen}', xlabel='step', ylim=(-0.3, len(entropy) + 0.3))
  counts.legend(fontsize=8)
  order = np.argsort(entropy)
  bars.bar(np.arange(len(order)), entropy[order], color=np.where(collapsed[order], COLLAPSED, ACTIVE))
  bars.set(title=f'at the end: {np.sum(~collapsed)} active (blue)', xlabel='unit, sorted', ylabel='nats')
  z = of['z'].reshape(len(of['z']), -1)[:, order[:20]]
  parts = violins.violinplot(z, positions=np.arange(z.shape[1]), showextrema=False)
  for body, unit in zip(parts['bodies'], order, strict=False):
    body.set_color(COLLAPSED if collapsed[unit] else ACTIVE)
  violins.set(title='z ~ q(z | x), x from the data', xlabel='unit, sorted', ylabel='z')
  counts.yaxis.get_major_locator().set_params(integer=True)
  for axis in (bars, violins):
    axis.xaxis.get_major_locator().set_params(integer=True)
  return drawn


def estimates(run: Directory, split: str):
  """Estimates of the ELBO and of the sum of entropies from few and from many samples, and their spread."""
  arrays = run.arrays('estimates', split)
  if not arrays:
    return None
  drawn = figure(10, 3.8)
  left, right = drawn.subplots(1, 2)
  sampled = ('entropies_sampled', 'C3', 'entropies, from samples')
  for name, color, label in (('elbo', 'C0', 'ELBO'), ('entropies', 'C3', 'entropies'), sampled):
    if name not in arrays:
      continue
    values, deviation = arrays[name], arrays[name].std(axis=1, ddof=1)
    left.errorbar(arrays['samples'], values.mean(1), deviation, fmt='o-', capsize=3, color=color, label=label)
    if np.any(deviation > 0):
      right.loglog(arrays['samples'], np.maximum(deviation, 1e-9), 'o-', color=color, label=label)
  left.set(xscale='log', title=f'mean and standard deviation of {values.shape[1]} estimates', xlabel='samples of z')
  left.set_ylabel('nats')
  right.set(title='standard deviation', xlabel='samples of z', ylabel='nats')
  for axis in (left, right):
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
  return drawn


def by_entropy(arrays: dict[str, np.ndarray]) -> np.ndarray:
  """The units of `points`, the most active first: by the entropies of q; as they are where these are not known."""
  return np.argsort(arrays['entropy']) if 'entropy' in arrays else np.arange(arrays['z'].shape[1])


def points(run: Directory, split: str):
  """Data that are vectors, samples of the model, and where q puts the data, coloured by their labels."""
  arrays = run.arrays('points', split)
  if not arrays:
    return None
  x, generated, z, label = (arrays[name] for name in ('x', 'generated', 'z', 'label'))
  flat = x.shape[1] != 3
  drawn = figure(13, 4.2)
  axes = [drawn.add_subplot(1, 3, i + 1, projection=None if flat or i == 2 else '3d') for i in range(3)]
  name = 'x' if x.shape[1] <= 3 else 'first two principal components of x'
  if x.shape[1] > 3:
    mean = x.mean(0)
    directions = np.linalg.svd(x - mean, full_matrices=False)[2][:2].T
    x, generated = (x - mean) @ directions, (generated - mean) @ directions
  style = {'s': 3, 'cmap': 'hsv', 'c': label}
  if x.shape[1] == 1:
    bins = np.linspace(min(x.min(), generated.min()), max(x.max(), generated.max()), 60)
    axes[0].hist(x[:, 0], bins)
    axes[1].hist(generated[:, 0], bins, color='C1')
  else:
    axes[0].scatter(*x.T, **style)
    axes[1].scatter(*generated.T, s=3, color='k')
  limits = [(axes[0].get_xlim(), axes[0].get_ylim())]
  axes[1].set(xlim=limits[0][0], ylim=limits[0][1] if x.shape[1] > 1 else None)
  axes[0].set_title(f'data, {name}')
  axes[1].set_title('generated, x ~ p(x | z), z ~ p(z)')
  if x.shape[1] == 2:
    for axis in axes[:2]:
      axis.set_aspect('equal', adjustable='box')
  order = by_entropy(arrays)
  first, second = z[:, order[0]], z[:, order[1]] if z.shape[1] > 1 else np.zeros(len(z))
  axes[2].scatter(first, second, **style)
  axes[2].set(
    title='z ~ q(z | x), coloured as x', xlabel=f'unit {order[0]}', ylabel=f'unit {order[1]}' if z.shape[1] > 1 else ''
  )
  return drawn
