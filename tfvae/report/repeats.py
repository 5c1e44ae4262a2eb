"""Repeated runs: groups of a collection that differ in their seeds alone, their means and their spread."""

import json
import pathlib

import numpy as np

from tfvae.errors import RunError, UserError
from tfvae.report.axes import figure, plain, save
from tfvae.report.entropies import TRAIN
from tfvae.run.collection import Collection, Entry, groups, usable
from tfvae.run.files import write

SHOWN = {  # of evaluations in mid-training
  'elbo': 'ELBO (line) and entropies (dots)',
  'elbo_minus_entropies': 'ELBO - entropies',
  'rate': 'rate',
  'active_units': 'active units',
}

MOST = 12  # groups that are printed, and named in the figure


def readable(runs: list[Entry]) -> tuple[list[Entry], list[str]]:
  """The runs whose metrics can be read, too, and what is wrong with each of the others, a line each."""
  read, problems = [], []
  for run in runs:
    try:
      run.metrics  # noqa: B018
      read.append(run)
    except RunError as error:
      problems.append(f'left out: {error}')
  return read, problems


def summary(group: list[Entry]) -> dict[str, dict[str, dict[str, float]]]:
  """split: metric: mean, standard deviation (None of one run) and number of a group's last evaluations."""
  found = {}
  for run in group:
    for split, numbers in run.numbers.items():
      for name, value in {'step': run.evaluated[split], **numbers}.items():
        found.setdefault(split, {}).setdefault(name, []).append(value)
  with np.errstate(all='ignore'):  # of a run that diverged
    return {
      split: {
        name: {
          'mean': float(np.mean(values)),
          'std': float(np.std(values, ddof=1)) if len(values) > 1 else None,
          'runs': len(values),
        }
        for name, values in metrics.items()
      }
      for split, metrics in found.items()
    }


def curve(group: list[Entry], name: str) -> tuple[np.ndarray, np.ndarray] | None:
  """Steps [K] and the values [runs, K] of a metric in the evaluations that all of a group's runs have; None: none.

  Of the training split where that is evaluated, else of spec.eval.split.
  """
  series = []
  for run in group:
    metrics = run.metrics
    of = metrics.get(TRAIN, metrics.get(run.split, {}))
    if name not in of:
      return None
    series.append({int(s): v for s, v in zip(of['step'], of[name], strict=True) if np.isfinite(v)})
  steps = sorted(set.intersection(*(set(values) for values in series))) if series else []
  return (np.array(steps), np.array([[values[s] for s in steps] for values in series])) if len(steps) > 1 else None


def draw(collection: Collection) -> list[pathlib.Path]:
  """Writes repeats.json and figures/repeats (PNG, PDF) of the runs below a directory; prints their means. Their paths.

  A run that cannot be read, or that repeats nothing, is named and left out.

  Raises UserError: they cannot be written, or no run below has been evaluated.
  """
  directory = collection.directory
  runs, unreadable = readable(collection.runs)
  runs, same = usable(runs)
  for problem in (*collection.problems, *unreadable, *same):
    print(problem)
  named = groups(runs)
  numbers = {label: summary(group) for label, group in named.items()}
  if not any(numbers.values()):
    raise RunError(f'--workdir {directory}: none of the runs below it has been evaluated; train them first')
  for label, splits in list(numbers.items())[:MOST]:
    for split, metrics in splits.items():
      for name, of in metrics.items():
        if name in ('elbo', 'elbo_minus_entropies', 'rate', 'active_units', 'log_evidence'):
          spread = f' +- {of["std"]:.4f} ({of["runs"]} runs)' if of['runs'] > 1 else ' (1 run: no spread)'
          print(f'{label}, {split}: {name} {of["mean"]:.4f}{spread}')
  if len(numbers) > MOST:
    print(f'and {len(numbers) - MOST} more groups in {directory / "repeats.json"}')
  paths = [path := directory / 'repeats.json']
  try:
    write(path, json.dumps(numbers, indent=2) + '\n')
    if drawn := _figure(named):
      path = directory / 'figures' / 'repeats.png'
      path.parent.mkdir(exist_ok=True)
      paths += save(drawn, path, ('png', 'pdf'))
  except OSError as error:
    raise UserError(f'{path}: cannot be written ({error.strerror or error})') from None
  return paths


def _figure(named):
  shown = [name for name in SHOWN if any(curve(group, name) for group in named.values())]
  if not shown:
    return None
  drawn = figure(4.2 * len(shown), 4.0)
  for name, axis in zip(shown, drawn.subplots(1, len(shown), squeeze=False).flat, strict=True):
    lows, highs = [], []
    for i, (label, group) in enumerate(named.items()):
      for metric, style in ((name, '-'), ('entropy_sum', ':')) if name == 'elbo' else ((name, '-'),):
        if (found := curve(group, metric)) is None:
          continue
        steps, values = found
        mean, deviation = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(steps))
        text = plain(f'{label} ({len(values)} run{"s" * (len(values) > 1)})') if style == '-' else None
        axis.plot(steps, mean, style, color=f'C{i}', label=text)
        if len(values) > 1:
          axis.fill_between(steps, mean - deviation, mean + deviation, color=f'C{i}', alpha=0.2, linewidth=0)
        lows.append(np.quantile(mean - deviation, 0.125)), highs.append(np.max(mean + deviation))
    if name == 'elbo':  # the first steps would hide all others
      margin = 0.08 * max(max(highs) - min(lows), 1e-3)
      axis.set_ylim(min(lows) - margin, max(highs) + margin)
    elif name == 'elbo_minus_entropies':
      axis.set_yscale('symlog', linthresh=0.01)
      axis.axhline(0, color='0.5', linewidth=0.8)
    axis.set(title=SHOWN[name], xlabel='step', ylabel='' if name == 'active_units' else 'nats')
    axis.grid(alpha=0.3)
    if len(named) <= MOST:
      axis.legend(fontsize=8)
  several = any(len(group) > 1 for group in named.values())
  drawn.suptitle('means over runs; bands: their standard deviation' if several else 'single runs, which have no spread')
  return drawn
