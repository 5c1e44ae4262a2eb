"""The figure of model selection on a stream (Damm et al., AISTATS 2023, section 5)."""

import math

import numpy as np

from tfvae.report.axes import figure, plain
from tfvae.run.directory import Directory


def selection(run: Directory):
  """Members on a stream: ELBO and entropies, BIC from each, and the size that it selects, over training."""
  spec, train = run.spec, run.metrics.get('train', {})
  if not spec.model.members or 'step' not in train:
    return None
  sizes, dims = sorted(spec.model.members), math.prod(run.summary['shape'])
  batch = spec.data.batch_size or run.summary['sizes']['train']
  later = train['step'] > 10  # the first lines are of single steps
  if not later.any():
    return None
  step = train['step'][later]
  drawn = figure(12, 9)
  likelihoods, criteria, chosen = drawn.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.4))
  kinds = (('elbo', 'ELBO', '-'), ('entropy_sum', 'entropies', ':'))
  low = []
  for name, title, style in kinds:
    bic = []
    for i, units in enumerate(sizes):
      values = train[f'{name}/h{units}'][later]
      bic.append((units * dims + 1) * math.log(batch) - 2 * batch * values)
      likelihoods.plot(step, values, style, color=f'C{i}', linewidth=1, label=f'{title}, H = {units}')
      criteria.plot(step, bic[-1], style, color=f'C{i}', linewidth=1, label=f'from {title}, H = {units}')
      low.append(values)
    best = np.array(sizes)[np.argmin(bic, axis=0)]
    chosen.plot(step, best, '.' if name == 'elbo' else 'x', markersize=4, label=f'by {title}')
  shown = np.concatenate(low)
  bottom, top = np.nanquantile(shown, 0.05), np.nanmax(shown)
  likelihoods.set(
    ylabel='nats per example', ylim=(bottom - 0.3 * (top - bottom), top + 1), title=plain(run.workdir.name)
  )
  worst = (max(sizes) * dims + 1) * math.log(batch) - 2 * batch * bottom
  criteria.set(ylabel=f'BIC, N = {batch}', ylim=(-2 * batch * top - 20, worst + 100))
  ends = np.array([0, *spec.data.changes, run.summary['sizes']['train']]) / batch
  if spec.data.name == 'stream':
    for number, units in enumerate(spec.data.segments):
      label = 'of the stream' if not number else None
      chosen.plot(ends[number : number + 2], [units] * 2, color='0.6', linewidth=5, alpha=0.5, zorder=0, label=label)
  chosen.set(xlabel='step', ylabel='H selected', yticks=sizes, ylim=(min(sizes) - 1, max(sizes) + 1))
  for axis in (likelihoods, criteria, chosen):
    axis.legend(fontsize=7, ncols=2 if axis is not chosen else 3, loc='lower right' if axis is likelihoods else 'best')
    axis.grid(alpha=0.3)
    for change in ends[1:-1]:
      axis.axvline(change, color='k', linewidth=0.8, linestyle='--')
  return drawn
