"""The directory of a grid: sweep.json, results.csv, logs/, and a run directory for each point."""

import contextlib
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence

from tfvae import spec as spec_lib
from tfvae.errors import RunError, UserError, cut
from tfvae.plan import directory_name
from tfvae.run import results
from tfvae.run.collection import collect
from tfvae.run.directory import Directory, is_free
from tfvae.run.files import Damaged, is_temporary, read_json, set_aside, why, write, writing
from tfvae.run.lock import Lock
from tfvae.spec import specfile
from tfvae.spec.grid import Grid, key

SWEEP = 'sweep.json'
LOGS = 'logs'
SHARE = 0.05  # of the time that goes by, which results.csv may take: of many runs it takes seconds
PATIENCE = 90.0  # seconds in which the workers of a grid whose command was killed have saved


def same_run(field: str) -> bool:
  """Whether runs that differ in a field alone are the same run: with other data they are not."""
  return is_free(field) and field not in ('data.path', 'data.data_dir', 'classifier.path')


class Home:
  """The directory of a grid of a spec, and what is known of its points.

  Attributes:
    workdir: its path.
    source: the spec file, with a variant after a colon.
    points: {name: {'name', 'fields', 'status', 'message'}}, as sweep.json has them: those of this grid first, then
      those that an earlier command made there.
  """

  def __init__(self, workdir: str | os.PathLike, source: str, grid: Grid):
    self.workdir, self.source, self._grid = Directory(workdir).workdir, source, grid
    self._lock, self._earlier, self.points = Lock(self.workdir), [], {}
    self._executor, self._due = '', 0.0

  def check(self, overwrite: bool) -> None:
    """Raises RunError where the directory holds something else than a grid of this spec; changes nothing.

    overwrite: whether a grid that is there will be set aside, whatever it is.
    """
    if self.workdir.is_file():
      raise RunError(f'--workdir {self.workdir}: is a file; give a directory that can be written')
    if Directory(self.workdir).exists():
      raise RunError(f'--workdir {self.workdir}: holds a run, but a grid has a directory of its own; give another one')
    if overwrite and os.path.lexists(self.workdir / SWEEP):
      return
    kept = self._kept()
    if kept is not None:
      theirs, own = (spec_lib.Origin('', *specfile.split(text), {}).name for text in (kept['spec'], self.source))
      if theirs != own:
        raise RunError(
          f'--workdir {self.workdir}: holds a grid of {cut(kept["spec"])}, not of {cut(self.source)}; give another '
          'directory, or --overwrite to set it aside'
        )
      self._earlier = kept['points']
      return
    try:
      there = list(self.workdir.iterdir()) if self.workdir.is_dir() else []
    except OSError as error:
      raise RunError(f'--workdir {self.workdir}: cannot be looked into ({why(error)}); mend this') from None
    names = {directory_name(point.fields) for point in self._grid.points} | {'lock', LOGS, results.NAME}
    if others := sorted(path.name for path in there if path.name not in names and not is_temporary(path)):
      raise RunError(
        f'--workdir {self.workdir}: holds files ({cut(", ".join(others[:3]))}, ...) but no grid; give a new directory'
      )

  def _kept(self):
    path = self.workdir / SWEEP
    try:
      kept = read_json(path)
      points = kept['points']
      if all(isinstance(point['fields'], dict) and isinstance(point['name'], str) for point in points):
        return {'spec': str(kept['spec']), 'points': points}
      raise Damaged('a point without a name or fields')
    except (FileNotFoundError, NotADirectoryError):
      return None
    except (OSError, Damaged, LookupError, TypeError) as error:
      raise RunError(
        f'{path}: cannot be read ({why(error)}); put it back from a copy, or --overwrite to set the grid aside'
      ) from None

  def open(self, executor: str, overwrite: bool) -> list[str]:
    """Locks the directory and names the points; `overwrite` renames a grid that is there. Returns what to tell."""
    self._lock.take()
    told, self._executor = [], executor
    if overwrite and any(path.name != 'lock' for path in self.workdir.iterdir()):
      told = [f'The grid that was there is now {self._set_aside()}.']
    elsewhere = self._elsewhere()
    for point in self._grid.points:
      name = directory_name(point.fields)
      name = elsewhere.get(self._key(point.spec), name)
      self.points[name] = {'name': name, 'fields': point.fields, 'status': 'waiting', 'message': ''}
    for point in self._earlier:
      self.points.setdefault(point['name'], point)
    self.write()
    return told

  def _set_aside(self):
    aside = set_aside(self.workdir, 'grid')
    self._lock.let_go()  # it went with the directory
    self._lock.take()
    return aside

  def _key(self, spec):
    swept = 'train.steps' in self._grid.axes
    return key(spec, lambda field: same_run(field) or (field == 'train.steps' and not swept))

  def _elsewhere(self):
    """{key of a spec: name} of runs of earlier points that are named by other fields than these have."""
    names = {directory_name(point.fields) for point in self._grid.points}
    found = {}
    for point in self._earlier:
      if point['name'] not in names:
        with contextlib.suppress(UserError):
          run = Directory(self.workdir / point['name'])
          if run.exists():
            found[self._key(run.read_spec())] = point['name']
    return found

  @property
  def names(self) -> list[str]:
    """Of the points of this grid, in its order."""
    return list(self.points)[: len(self._grid.points)]

  def state(self, name: str, spec) -> tuple[str, str]:
    """(status, message) of the run of a point by its files: finished; failed, where it is another run; or waiting."""
    run = Directory(self.workdir / name)
    try:
      run.check(spec)
      if not run.exists():
        return 'waiting', ''
      before = run.read_spec()
      # With other evaluations, or data and classifiers elsewhere: who reads these tells whether they are others.
      changed = [field for field in spec_lib.differences(before, spec) if field != 'train.steps']
      again = any(field.startswith('eval.') or not same_run(field) for field in changed)
      last = 0 if spec.study.name != 'none' else spec.train.steps
      wanted = {spec.eval.split} if last == 0 else {spec.eval.split, *spec.eval.also}
      done = all(self._evaluated(run, split) == last for split in wanted)
      done = done and [start.get('outcome') for start in run.starts][-1:] == ['finished']  # else its figures may lack
      return ('finished' if done and not again else 'interrupted'), ''
    except UserError as error:
      return 'failed', str(error)

  @staticmethod
  def _evaluated(run, split):
    path = run.evaluation_path(split)
    with contextlib.suppress(UserError):
      return run.read_evaluation(path)['step'] if path.is_file() else None

  def wait_for_others(self, names: Sequence[str], stop) -> None:
    """Waits, for a moment, until no other process has the runs of these names.

    The workers of a command that was killed save and end, as soon as they notice.
    """
    begun, told = time.monotonic(), False
    while taken := [name for name in names if Lock(self.workdir / name).is_taken()]:
      if stop.number or time.monotonic() - begun > PATIENCE:
        return
      if not told:
        print(f'waiting for other processes, which have {len(taken)} of the runs and may be saving them', flush=True)
      told = True
      time.sleep(0.2)

  def set(self, name: str, status: str, message: str = '') -> None:
    """What became of a point; sweep.json says so."""
    self.points[name] |= {'status': status, 'message': message}
    self.write()

  def write(self) -> None:
    """Writes sweep.json."""
    kept = {
      'spec': self.source,
      'axes': {name: list(values) for name, values in self._grid.axes.items()},
      'zip': self._grid.zips,
      'executor': self._executor,
      'command': shlex.join(sys.orig_argv),
      'points': list(self.points.values()),
    }
    with writing(self.workdir):
      write(self.workdir / SWEEP, json.dumps(kept, indent=2) + '\n')

  def write_results(self, last: bool = False) -> None:
    """Writes results.csv of all runs that are there, unless it was written a moment ago; the `last` time always."""
    begun = time.monotonic()
    if last or begun >= self._due:
      try:
        results.write(collect(self.workdir))
      except UserError as error:
        print(error, flush=True)
      took = time.monotonic() - begun
      self._due = begun + took / SHARE

  def close(self) -> None:
    """Gives the lock back; a directory in which nothing was begun goes."""
    self._lock.give_back()
