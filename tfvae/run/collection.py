"""The runs below a directory, from their files alone: what each is, what came out, in what they differ.

One home for three questions: which runs are there (`collect`), which of their fields tell them apart
(`Collection.differing`), and which are the same but for their seeds (`Collection.groups`). See docs/run-directory.md.
"""

import contextlib
import functools
import os
import pathlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError, cut
from tfvae.run import formats
from tfvae.run.checkpoint_files import newest
from tfvae.run.directory import SAVED, Directory, is_free
from tfvae.run.files import Damaged, read_json, read_text, why
from tfvae.run.lock import is_alive, is_elsewhere
from tfvae.run.records import SPLITS

SWEEP = 'sweep.json'  # of a grid: its points, their status
SEEDS = ('seed', 'data.seed')
DEEPEST = 8  # directories below the one that is given
MOST = 20_000  # directories that are looked into: somebody's home has more, and is no grid
STATUS = ('finished', 'running', 'interrupted', 'failed', 'begun', 'waiting')
ASIDE = re.compile(r'(.+)\.([1-9]\d*)')
MOST_NAMED = 4  # of what a directory without runs holds


class Entry:
  """A run below a directory, as its files have it; nothing in it is read twice.

  Attributes:
    directory: the run's `Directory`, whose `spec`, `metrics` and `arrays` are read when they are asked for.
    name: its path below the collection's directory; of a run that is the collection itself, its own name.
    fields: {field: value} of its whole spec.
    changed: those that are not at their defaults.
    numbers: {split: {name: value}} of its last evaluations.
    step: the newest that its files know of; steps: those it is to train for (0 of a study).
    evaluated: {split: step} of its last evaluations.
    status: 'finished': an evaluation of its last step is there; 'running': the process that has it is alive, or on
      another machine, and its grid says so; 'failed': it ended with an error, or its grid says so; 'interrupted': it
      has a checkpoint; 'begun': it has none.
    message: why it failed or was interrupted; '' where nothing is known.
    command: the command line that made it, as environment.json has it; '' where that is not known.
    aside: whether --overwrite set it aside (a.1, of a).
  """

  def __init__(self, directory: Directory, name: str):
    self.directory, self.name, self.aside = directory, name, False
    path = directory.workdir
    self.fields = spec_lib.fields_from_json(read_text(path / 'spec.json'))
    self.changed = spec_lib.changed(self.fields)
    self.numbers, self.evaluated = self._evaluations(path)
    self._start = _last_start(path)
    self.steps = self.fields['train.steps'] if self.fields['study.name'] == 'none' else 0
    self.step = max([0, *self.evaluated.values(), _saved(path)])
    self.status, self.message = self._status(path)
    self.command = text if isinstance(text := self._start.get('command'), str) else ''

  def __repr__(self):
    return f'Entry({self.name}, {self.status})'

  @property
  def split(self) -> str:
    """spec.eval.split."""
    return self.fields['eval.split']

  @functools.cached_property
  def metrics(self) -> dict[str, dict[str, np.ndarray]]:
    """`Directory.metrics`: the lines of metrics.jsonl. Raises RunError where they cannot be read."""
    return self.directory.metrics

  @property
  def settings(self) -> dict[str, Any]:
    """The fields that its numbers depend on."""
    return {name: value for name, value in self.fields.items() if tells_apart(name)}

  @property
  def goes_on_elsewhere(self) -> bool:
    """Whether it has not ended, and was last on another machine: it may go on there, or that may be gone."""
    return self.status in ('interrupted', 'begun') and self._has_not_ended and is_elsewhere(self.directory.workdir)

  @property
  def _has_not_ended(self):
    return 'end' in self._start and self._start['end'] is None

  def _evaluations(self, path):
    numbers, steps = {}, {}
    for split in SPLITS:
      own = 'evaluation.json' if split == self.split else f'evaluation-{split}.json'
      try:
        found = formats.evaluation(read_json(path / own))
      except FileNotFoundError:
        continue
      except (OSError, Damaged) as error:
        raise RunError(
          f'{path / own}: cannot be read ({why(error)}); run --mode=evaluate, which writes it anew'
        ) from None
      steps[split] = found['step']
      numbers[split] = {name: float(value) for name, value in found.items() if name not in ('step', 'split')}
    return numbers, steps

  def _status(self, path):
    outcome = self._start.get('outcome')
    outcome = cut(outcome, 400) if isinstance(outcome, str) else ''
    is_running = self._has_not_ended and is_alive(path)
    if self.steps in self.evaluated.values() or (not is_running and _was_evaluated(path, self.steps)):
      self.step = max(self.step, self.steps)
      return 'finished', ''
    if is_running:
      return 'running', ''
    if outcome and outcome != 'finished' and not outcome.startswith(('SIG', 'KeyboardInterrupt')):
      return 'failed', outcome
    self.step = max(self.step, newest(path / 'checkpoints') or 0)
    return ('interrupted' if self.step else 'begun'), '' if outcome == 'finished' else outcome


class Point(NamedTuple):
  """A point of a grid of which there is no run yet."""

  name: str
  status: str
  message: str
  fields: dict[str, Any]


class Collection:
  """The runs below a directory.

  Attributes:
    directory: it.
    runs: an `Entry` each, by name (numbers in names by their value). Runs that were set aside are among them.
    absent: points of grids (sweep.json) that have no run yet.
    problems: what was left out and why, a line each.
    sweeps: {path of the grid below the directory: what its sweep.json says}.
    alone: whether the directory is a run itself.
  """

  def __init__(self, directory: pathlib.Path, runs: list[Entry], problems: list[str], sweeps: dict[str, dict]):
    self.directory, self.runs, self.problems, self.sweeps = directory, runs, problems, sweeps
    self.alone = any(run.directory.workdir == directory for run in runs)
    self.absent = []

  @functools.cached_property
  def differing(self) -> list[str]:
    """The fields that tell the runs apart, in the spec's order: seeds too, and those that a grid names whatever they
    are, but no others on which numbers do not depend (places, logging, evaluation). What only some models have (a
    layer, say) counts where one of these is not at its default.
    """
    swept = {field for sweep in self.sweeps.values() for field in _swept(sweep)}
    everywhere = set.intersection(*(set(run.fields) for run in self.runs)) if self.runs else set()
    chosen = everywhere.union(*(run.changed for run in self.runs))
    found = [name for name in differing(run.fields for run in self.runs) if name in chosen]
    return [name for name in found if tells_apart(name) or name in swept]

  @property
  def splits(self) -> list[str]:
    """The splits of which there are numbers."""
    return [split for split in SPLITS if any(split in run.numbers for run in self.runs)]

  def groups(self) -> dict[str, list[Entry]]:
    """`groups` of the runs that count: see `usable`."""
    return groups(usable(self.runs)[0])


def collect(directory: str | os.PathLike) -> Collection:
  """The runs at or below a directory: the run that it is, or all below it, however deep (`DEEPEST`), but none in the
  folder of another. Nothing is written, nothing printed, TensorFlow not imported.

  A run that cannot be read, or vanishes meanwhile, is told of in `problems` and left out.

  Raises RunError: there is no such directory, or no run in it; the message says what is there instead.
  """
  root = Directory(directory).workdir
  if not root.is_dir():
    what = 'is a file' if root.is_file() else 'there is no such directory'
    raise RunError(f'--workdir {root}: {what}; give the directory of a run, or one that holds runs')
  walk = _Walk(root)
  runs, problems = [], walk.problems
  for path in walk.runs:
    name = str(path.relative_to(root)) if path != root else path.absolute().name
    try:
      runs.append(Entry(Directory(path), name))
    except FileNotFoundError:
      problems.append(f'left out: {path}: it vanished while it was read')
    except (SpecError, OSError, Damaged) as error:
      problems.append(f'left out: {path / "spec.json"}: {cut(why(error), 300)}')
    except RunError as error:
      problems.append(f'left out: {error}')
  if not runs and not walk.grids:
    raise RunError(walk.nothing())
  runs.sort(key=lambda run: _natural(run.name))
  found = Collection(root, runs, problems, {})
  for path in walk.grids:
    _add_sweep(found, path)
  points = {str(pathlib.Path(grid, point['name'])) for grid, sweep in found.sweeps.items() for point in sweep['points']}
  for run in runs:
    run.aside = run.name not in points and _is_aside(run, {other.name: other for other in runs})
  return found


class _Walk:
  """What is below a directory: runs, grids, and what a user may have taken for them."""

  def __init__(self, root):
    self.runs, self.grids, self.problems, self.hints = [], [], [], {}
    self._root, self._seen = root, set()
    self._into(root, 0)

  def _into(self, path, depth):
    try:
      with os.scandir(path) as entries:
        entries = sorted(entries, key=lambda entry: entry.name)
      identity = os.stat(path)
    except FileNotFoundError:  # it vanished
      return
    except OSError as error:
      self.problems.append(f'left out: {path}: cannot be looked into ({why(error)})')
      return
    if (identity.st_dev, identity.st_ino) in self._seen:  # a link to where we were
      return
    self._seen.add((identity.st_dev, identity.st_ino))
    names = {entry.name for entry in entries}
    if 'spec.json' in names:
      self.runs.append(path)
      return
    if SWEEP in names:
      self.grids.append(path)
    self._look(names)
    for entry in entries:
      with contextlib.suppress(OSError):
        if not entry.name.startswith('.') and entry.is_dir():
          if depth == DEEPEST or len(self._seen) >= MOST:
            self.hints['folders that were not looked into, too deep or too many'] = True
          else:
            self._into(path / entry.name, depth + 1)

  def _look(self, names):
    for begin, what in (('events.out.tfevents', 'event files of TensorBoard'), ('ckpt-', 'checkpoints')):
      if any(name.startswith(begin) for name in names):
        self.hints[what] = True

  def nothing(self):
    """What to say where there is no run: what is there, and what to give."""
    root = self._root
    if self.problems:
      return cut(f'--workdir {root}: no run in it can be read; {self.problems[0].removeprefix("left out: ")}', 400)
    with contextlib.suppress(OSError):
      there = sorted(root.iterdir(), key=lambda path: (path.is_file(), path.name))
      folders = sum(path.is_dir() for path in there)
      what = f'{_count(len(there) - folders, "file")}, {_count(folders, "folder")}'
      if there:
        names = ', '.join(cut(path.name, 40) for path in there[:MOST_NAMED])
        what += f' ({names}{", ..." if len(there) > MOST_NAMED else ""})'
      also = f'; {" and ".join(self.hints)}' if self.hints else ''
      return (
        f'--workdir {cut(str(root))}: there is no run in it, as no spec.json is there or below; it has {what}{also}. '
        'Give the directory of a run, or one that holds runs'
      )
    return f'--workdir {root}: there is no run in it'


def _count(number, what):
  return f'{number} {what}{"s" * (number != 1)}'


def _add_sweep(found, path):
  """What a grid's sweep.json says of its points."""
  grid = str(path.relative_to(found.directory))
  try:
    sweep = formats.sweep(read_json(path / SWEEP))
  except FileNotFoundError:
    return
  except (OSError, Damaged) as error:
    found.problems.append(f'{path / SWEEP}: cannot be read ({why(error)}); the runs tell what they can')
    return
  found.sweeps[grid] = sweep
  there = {run.name: run for run in found.runs}
  for point in sweep['points']:
    name, status, message = str(pathlib.Path(grid, point['name'])), point['status'], point.get('message') or ''
    if run := there.get(name):
      if status == 'failed' and run.status not in ('finished', 'running'):
        run.status, run.message = status, message or run.message
      elif status == 'running' and run.goes_on_elsewhere:
        run.status = status
    else:
      status = 'failed' if status == 'failed' else 'waiting'
      found.absent.append(Point(name, status, message if status == 'failed' else '', point['fields']))


def _swept(sweep):
  """The fields that a grid's points differ in."""
  return differing(point['fields'] for point in sweep['points'])


def _last_start(path):
  """What environment.json says of the run's last start; {} where nothing is known."""
  with contextlib.suppress(OSError, Damaged, LookupError, TypeError, AttributeError):
    start = read_json(path / 'environment.json').get('starts', [{}])[-1]
    return start if isinstance(start, dict) else {}
  return {}


def _saved(path):
  with contextlib.suppress(OSError, Damaged):
    return formats.saved(read_json(path / SAVED))
  return 0


def _was_evaluated(path, step):
  """Whether an evaluation of the step was kept, though another one was asked for later."""
  return any((path / 'evaluations' / f'{split}-{step}.json').is_file() for split in SPLITS)


def _natural(name):
  """Sorts names by the numbers in them: beta=2 before beta=10."""
  parts = re.split(r'(\d+(?:\.\d+)?)', name)
  return [(float(part), '') if i % 2 else (0.0, part) for i, part in enumerate(parts)], name


def _is_aside(run, others):
  """Whether a run is one that --overwrite set aside: a.1 beside a, begun before it; not the value 0.1 beside 0."""
  match = ASIDE.fullmatch(run.name)
  if not match or match[1] not in others:
    return False
  field, equals, value = run.name.rpartition('/')[2].rpartition(',')[2].rpartition('=')
  if equals and any(spec_lib.to_text(v) == value for f, v in run.fields.items() if f.endswith(field)):
    return False
  numbered = all(f'{match[1]}.{number}' in others for number in range(1, int(match[2])))
  begun, since = (str(entry._start.get('begin') or '') for entry in (run, others[match[1]]))
  return numbered and (not begun or not since or begun <= since)


def tells_apart(field: str) -> bool:
  """Whether runs that differ in a field are different runs: their numbers depend on it. With other data, or another
  classifier, a run is another one, though it does not depend on where they are.
  """
  return field in ('data.path', 'classifier.path') or not is_free(field)


def differing(several: Iterable[dict[str, Any]]) -> list[str]:
  """The fields that do not have one value in all of several {field: value}; an absent one has none."""
  several = list(several)
  names = dict.fromkeys(name for fields in several for name in fields)
  first = several[0] if several else {}
  return [name for name in names if any(fields.get(name) != first.get(name) for fields in several)]


def usable(runs: list[Entry]) -> tuple[list[Entry], list[str]]:
  """The runs that count, and why each of the others does not, a line each: of several with the same spec, seeds and
  all, the one that got furthest counts, the first of equals; the others repeat nothing.
  """
  chosen, problems = {}, []
  for run in sorted(runs, key=lambda run: (-max(run.evaluated.values(), default=-1), run.aside)):
    same = chosen.setdefault(_key(run), run)
    if same is not run:
      where = same.directory.workdir
      problems.append(f'left out: {run.directory.workdir}: the same run as {where}, seeds and all, which is no repeat')
  return [run for run in runs if chosen[_key(run)] is run], problems


def groups(runs: list[Entry]) -> dict[str, list[Entry]]:
  """The runs that differ in nothing but their seeds, and in what numbers do not depend on, under a name of theirs.

  The name is the directory's that holds just these runs, or says in which fields the groups differ.
  """
  by_key = {}
  for run in runs:
    by_key.setdefault(_key(run, SEEDS), []).append(run)
  found = list(by_key.values())
  homes = [{run.directory.workdir.parent for run in group} for group in found]
  if len(set().union(*homes)) == len(found) and all(len(home) == 1 for home in homes):
    return {home.pop().name: group for home, group in zip(homes, found, strict=True)}
  fields = telling([group[0].settings for group in found])
  named = {}
  for group in found:
    label = (
      ', '.join(f'{name}={group[0].fields.get(name)}' for name in fields) or group[0].directory.workdir.parent.name
    )
    named[label if label not in named else group[0].directory.workdir.name] = group
  return named


def telling(several, most=3):
  """The fields by which several are told apart: all in which they differ or, of many, the fewest that do."""
  fields = [name for name in differing(several) if name not in SEEDS]
  if len(fields) <= most:
    return fields
  chosen, labels = [], [()] * len(several)

  def told(name):
    return len({(label, own.get(name)) for label, own in zip(labels, several, strict=True)})

  while len(set(labels)) < len(several) and len(chosen) < len(fields):
    best = max((name for name in fields if name not in chosen), key=told)
    chosen.append(best)
    labels = [(*label, own.get(best)) for label, own in zip(labels, several, strict=True)]
  return sorted(chosen, key=fields.index)


def _key(run, but=()):
  return tuple(sorted((name, value) for name, value in run.settings.items() if name not in but))
