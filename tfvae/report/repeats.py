"""Repeated runs: those below one directory that differ in their seeds alone, their means and their spread."""

import json
import pathlib

import numpy as np

from tfvae import spec as spec_lib
from tfvae.errors import RunError, UserError
from tfvae.report.axes import figure, plain
from tfvae.report.entropies import TRAIN
from tfvae.run.directory import Directory, is_free
from tfvae.run.files import atomic, write
from tfvae.spec.fields.field import flatten

SEEDS = ('seed', 'data.seed')
SHOWN = {  # of evaluations in mid-training
  'elbo': 'ELBO (line) and entropies (dots)',
  'elbo_minus_entropies': 'ELBO - entropies',
  'rate': 'rate',
  'active_units': 'active units',
}


def runs_below(directory: pathlib.Path) -> list[Directory]:
  """The runs in a directory's subdirectories, or in those of these, by name."""
  paths = sorted({path.parent for pattern in ('*/spec.json', '*/*/spec.json') for path in directory.glob(pattern)})
  return [Directory(path) for path in paths]


def usable(runs: list[Directory]) -> tuple[list[Directory], list[str]]:
  """The runs that count, and what is wrong with each of the others, a line each.

  Left out are those that cannot be read, and those that repeat nothing: of several with the same spec, seeds and all,
  the one that got furthest counts, the first of equals.
  """
  read, problems = [], []
  for run in runs:
    try:
      steps = [run.read_evaluation(run.evaluation_path(split))['step'] for split in run.evaluated]
      run.read_metrics()
      read.append((max(steps, default=-1), run))
    except RunError as error:
      problems.append(f'left out: {error}')
  chosen = []
  for _, run in sorted(read, key=lambda pair: -pair[0]):
    same = next((other for other in chosen if not _differences(other, run, ())), None)
    if same is None:
      chosen.append(run)
    else:
      problems.append(f'left out: {run.workdir}: the same run as {same.workdir}, seeds and all, which is no repeat')
  return sorted(chosen, key=lambda run: run.workdir), problems


def groups(runs: list[Directory]) -> dict[str, list[Directory]]:
  """The runs that differ in nothing but their seeds, and in what numbers do not depend on, under a name of theirs.

  The name is the directory's that holds just these runs, or says in which fields the group differs from the first.
  """
  found = []
  for run in runs:
    own = next((group for group in found if not _differences(group[0], run)), None)
    if own:
      own.append(run)
    else:
      found.append([run])
  homes = [{run.workdir.parent for run in group} for group in found]
  if len(set.union(*homes)) == len(found) and all(len(home) == 1 for home in homes):
    return {home.pop().name: group for home, group in zip(homes, found, strict=True)}
  fields = dict.fromkeys(name for group in found[1:] for name in _differences(found[0][0], group[0]))
  named = {}
  for group in found:
    values = flatten(group[0].spec.to_dict())
    label = ', '.join(f'{name}={values.get(name)}' for name in list(fields)[:3]) or group[0].workdir.parent.name
    named[label if label not in named else group[0].workdir.name] = group
  return named


def _differences(a: Directory, b: Directory, but: tuple[str, ...] = SEEDS) -> list[str]:
  """The fields that tell two runs apart; with other data, or another classifier, a run is no repeat, though it does not
  depend on where they are.
  """
  names = spec_lib.differences(a.spec, b.spec)
  return [name for name in names if name not in but and (name in ('data.path', 'classifier.path') or not is_free(name))]


def summary(group: list[Directory]) -> dict[str, dict[str, dict[str, float]]]:
  """split: metric: mean, standard deviation (None of one run) and number of a group's last evaluations."""
  found = {}
  for run in group:
    for split in run.evaluated:
      for name, value in run.read_evaluation(run.evaluation_path(split)).items():
        if name != 'split':
          found.setdefault(split, {}).setdefault(name, []).append(value)
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


def curve(group: list[Directory], name: str) -> tuple[np.ndarray, np.ndarray] | None:
  """Steps [K] and the values [runs, K] of a metric in the evaluations that all of a group's runs have; None: none.

  Of the training split where that is evaluated, else of spec.eval.split.
  """
  series = []
  for run in group:
    metrics = run.metrics
    of = metrics.get(TRAIN, metrics.get(run.spec.eval.split, {}))
    if name not in of:
      return None
    series.append({int(s): v for s, v in zip(of['step'], of[name], strict=True) if np.isfinite(v)})
  steps = sorted(set.intersection(*(set(values) for values in series)))
  return (np.array(steps), np.array([[values[s] for s in steps] for values in series])) if len(steps) > 1 else None


def draw(directory: pathlib.Path) -> list[pathlib.Path]:
  """Writes repeats.json and figures/repeats.png of the runs below a directory; prints their means. Their paths.

  A run that cannot be read, or that repeats nothing, is named and left out.

  Raises UserError: they cannot be written, or no run below has been evaluated.
  """
  runs, problems = usable(runs_below(directory))
  for problem in problems:
    print(problem)
  named = groups(runs) if runs else {}
  numbers = {label: summary(group) for label, group in named.items()}
  if not any(numbers.values()):
    raise RunError(f'--workdir {directory}: none of the runs below it has been evaluated; train them first')
  for label, splits in numbers.items():
    for split, metrics in splits.items():
      for name, of in metrics.items():
        if name in ('elbo', 'elbo_minus_entropies', 'rate', 'active_units', 'log_evidence'):
          spread = f' +- {of["std"]:.4f} ({of["runs"]} runs)' if of['runs'] > 1 else ' (1 run: no spread)'
          print(f'{label}, {split}: {name} {of["mean"]:.4f}{spread}')
  paths = [directory / 'repeats.json']
  try:
    write(paths[0], json.dumps(numbers, indent=2) + '\n')
    if drawn := _figure(named):
      paths.append(directory / 'figures' / 'repeats.png')
      paths[-1].parent.mkdir(exist_ok=True)
      with atomic(paths[-1], 'wb') as file:
        drawn.savefig(file, dpi=150, format='png')
  except OSError as error:
    raise UserError(f'{paths[-1]}: cannot be written ({error.strerror or error})') from None
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
    axis.legend(fontsize=8)
  several = any(len(group) > 1 for group in named.values())
  drawn.suptitle('means over runs; bands: their standard deviation' if several else 'single runs, which have no spread')
  return drawn
