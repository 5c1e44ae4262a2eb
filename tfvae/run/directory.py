"""Run directories: opened for training, and the weights that are in them. See docs/run-directory.md.

Opening and checking a run imports no TensorFlow. Nothing here builds a model: `tfvae/trained.py` does.
"""

import contextlib
import json
import os
import pathlib
import shutil
import zlib

from tfvae import spec as spec_lib
from tfvae.errors import RunError, short
from tfvae.run import environment, formats
from tfvae.run.checkpoint_files import LIST, gone, newest, parts
from tfvae.run.files import Damaged, is_temporary, read_json, set_aside, why, write, writing
from tfvae.run.lock import Lock
from tfvae.run.records import Records
from tfvae.spec.fields.field import flatten

# A resumed run may differ in these: its numbers do not depend on them, but for rounding where the devices differ.
# Where the data are, and are held; where a frozen classifier is (which one it is, the run keeps).
PLACES = ('data.path', 'data.data_dir', 'data.download', 'data.memory_limit', 'classifier.path', 'classifier.turns')
FREE_FIELDS = ('train.log_every', 'train.checkpoint_every', 'train.keep', 'train.startup_timeout', *PLACES)
FREE_FIELDS += ('train.strategy', 'train.logical_devices')
FREE_SECTIONS = ('eval.', 'sample.')
SAVED = 'saved.json'
OWN = (*PLACES, 'train.startup_timeout')  # what each worker may have of its own
MOST_SHOWN = 8  # fields in which a spec differs from the run's


def is_free(field: str) -> bool:
  """Whether a resumed run may differ in a field."""
  return field in FREE_FIELDS or field.startswith(FREE_SECTIONS)


class Directory(Records):
  """A run directory as training has it: its lock, what it begins with, what was saved, and the weights in it.

  Attributes:
    workdir: its path.
  """

  def __init__(self, workdir: str | os.PathLike):
    super().__init__(workdir)
    self._lock, self._starts = Lock(self.workdir), None

  @property
  def checkpoints(self) -> pathlib.Path:
    """Where the checkpoints are."""
    return self.workdir / 'checkpoints'

  def require(self, checkpoint: bool = True) -> None:
    """Raises RunError where there is no run, or none with a checkpoint; a study has none."""
    if not self.exists():
      what = 'there is no run in it (no spec.json)' if self.workdir.is_dir() else 'there is no such directory'
      raise RunError(f'--workdir {self.workdir}: {what}; give the directory of a run, or train one with --spec')
    if checkpoint and (study := self.spec.study.name) != 'none':
      raise RunError(
        f'--workdir {self.workdir}: holds a study (spec.study.name={study}), without a model; --mode=report draws it '
        'again'
      )
    if checkpoint and not parts(self.checkpoints):
      raise RunError(self._no_checkpoint())

  def _no_checkpoint(self):
    if saved := self.saved:
      return gone(self.checkpoints, saved)
    return f'--workdir {self.workdir}: the run has no checkpoint yet; train it first (run its command again)'

  @property
  def saved(self) -> int | None:
    """The newest step of which the run saved a checkpoint, wherever that is now; 0: of none; None: that is not known.

    Without saved.json (a run of tfvae 0.1, or a damaged file), what metrics.jsonl tells: lines follow the step's save.
    """
    if not self.exists():
      return None
    try:
      return formats.saved(read_json(self.workdir / SAVED))
    except FileNotFoundError:
      pass
    except (OSError, Damaged) as error:
      self._say(self.workdir / SAVED, f'cannot be read ({why(error)})', 'metrics.jsonl tells what was saved')
    every, steps = self.spec.train.checkpoint_every, self.spec.train.steps
    rows = [(row['step'], row.get('evaluation')) for row in self.read_metrics()]
    if (steps, True) in rows:  # the last evaluation
      return steps
    last = max((step for step, _ in rows), default=0)
    listed = parts(self.checkpoints) if (self.checkpoints / LIST).is_file() else ()  # TensorFlow lists what it saved
    return max(0, (last - 1) // every * every, *listed) or None

  def record_saved(self, step: int) -> None:
    """Keeps in saved.json that the checkpoint of `step` was saved; 0: none is."""
    with writing(self.workdir):
      write(self.workdir / SAVED, json.dumps({'step': step}) + '\n')

  def continue_from(self, step: int) -> None:
    """Takes the run back to the checkpoint of `step`, which was restored: what metrics.jsonl has after it goes."""
    self.trim_metrics(step)
    self.record_saved(step)

  def behind(self, step: int) -> str:
    """How far the run got beyond the checkpoint of `step`, the newest one (0: there is none); '' where it did not."""
    saved, last = self.saved or 0, max((row['step'] for row in self.read_metrics()), default=0)
    lost = f'the checkpoint of step {saved}, which the run saved, is gone or broken' if saved > step else ''
    there = 'it is the newest checkpoint' if step else 'it has no checkpoint yet'
    further = f'{lost or there}; metrics.jsonl is further (step {last})'
    return further if last > step else lost

  # Opening for training.

  def open(self, spec, overwrite: bool = False) -> None:
    """Locks the directory for training with `spec`, after checking that it can be used; changes nothing in it.

    Raises RunError: it is a file, cannot be written, is in use, holds something else, or a run with another spec.
    """
    self.lock()
    try:
      self.check(spec, overwrite)
    except BaseException:
      self.close()
      raise

  def check(self, spec, overwrite: bool = False) -> None:
    """Raises RunError where the directory holds something else than a run, or a run with another spec."""
    if self.exists():
      return None if overwrite else self._compare(spec)
    if self.workdir.is_file():
      raise RunError(f'--workdir {self.workdir}: is a file; give a directory that can be written')
    try:
      there = list(self.workdir.iterdir()) if os.path.isdir(self.workdir) else ()
    except OSError as error:
      raise RunError(f'--workdir {self.workdir}: cannot be looked into ({why(error)}); mend this') from None
    others = sorted(path.name for path in there if path.name != 'lock' and not is_temporary(path))
    if others:
      raise RunError(
        f'--workdir {self.workdir}: holds files ({", ".join(others[:3])}, ...) but no run; give a new directory'
      )
    return None

  def lock(self) -> None:
    """Makes the directory where there is none, and takes its lock (released by `close` and when the process ends)."""
    self._lock.take()

  def close(self, outcome: str = '') -> None:
    """Gives the lock back; a directory that `lock` made, and in which nothing was begun, goes.

    outcome: how what was begun here ended, for environment.json.
    """
    self._rows.close()
    self._end(outcome)
    self._lock.give_back()

  def _compare(self, spec):
    problems = []
    for name, (old, new) in spec_lib.differences(self.read_spec(), spec).items():
      if is_free(name):
        continue
      if name == 'train.steps' and old is not None and new is not None and new > old:
        continue
      more = '; only more steps are possible' if name == 'train.steps' else ''
      problems.append(f'spec.{name}: the run has {_shown(old)}, this command {_shown(new)}{more}')
    if problems:
      more = [f'and {len(problems) - MOST_SHOWN} more fields'] if len(problems) > MOST_SHOWN else []
      advice = (
        f'--workdir {self.workdir} holds a run with another spec. Give the same spec to resume it (--workdir alone '
        'does), another --workdir to keep both, or --overwrite to set it aside and start afresh'
      )
      raise RunError('\n'.join([advice, *problems[:MOST_SHOWN], *more]))

  def require_frozen(self, frozen: dict[str, str], spec) -> None:
    """Raises RunError where the run began with other frozen networks than these, {name: identity}."""
    for name, identity in (self.data or {}).get('frozen', {}).items() if self.exists() else ():
      if frozen.get(name) != identity:
        raise RunError(
          f'spec.{name}.path: got {spec[name].path}, but the run {self.workdir} was trained with another {name} (its '
          f'spec, data or weights differ). Give the path of that one, another --workdir for a run with this {name}, or '
          '--overwrite to set the run aside and start afresh'
        )

  def begin(self, spec, data: dict, start: dict | None = None, overwrite: bool = False) -> list[str]:
    """Writes spec.json, data.json and environment.json; `overwrite` renames a run that is there first.

    `data` is the summary of the data set, with the identities of frozen networks that training depends on under
    'frozen' where there are any; `start` what `environment.start` gives (None: the versions alone). Returns
    what to tell.
    """
    told, aside, start = [], None, start or {'versions': environment.versions()}
    if overwrite and self.exists():
      aside = self._set_aside()
      told.append(f'The run that was there is now {aside}.')
    elif self.data is None and any(self.checkpoints.glob('ckpt-*')):
      told.append(f'{self.workdir / "data.json"} was gone; it is made again from the data as they are now.')
    try:
      with writing(self.workdir):
        for path in filter(is_temporary, list(self.workdir.rglob('.*'))):  # of a process that was killed as it wrote
          shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        write(self.workdir / 'spec.json', spec_lib.to_json(spec))
        self.write_data(data)
        self._starts = [*self.starts, start]
        self._write_starts()
    except RunError:
      if aside:
        self._starts = None  # it has no place in the run that comes back
        self._put_back(aside)
      raise
    before, now = self._starts[0]['versions'], start['versions']
    if changed := [
      f'{name} {before.get(name)} -> {version}' for name, version in now.items() if before.get(name) != version
    ]:
      told.append(f'Since this run began, versions changed: {", ".join(changed)}; its bits may, too.')
    self.__dict__['spec'] = spec
    return told

  @property
  def trial(self) -> tuple[str, dict]:
    """The run's name, its path from here where it is below, and the fields of its spec that are not at their defaults.

    Without those that its numbers do not depend on.
    """
    here = pathlib.Path.cwd()
    path = self.workdir.absolute()
    fields = {name: value for name, value in spec_lib.changed(self.spec).items() if not is_free(name)}
    return str(path.relative_to(here) if path.is_relative_to(here) else path), fields

  @property
  def starts(self) -> list[dict]:
    """Each start of training so far, as environment.json has it (`environment.start`); none where it is damaged."""
    path = self.workdir / 'environment.json'
    try:
      kept = read_json(path)
      starts = kept.get('starts', [{'versions': kept}])  # it once held them alone
      if all(isinstance(version, str) for start in starts for version in start['versions'].values()):
        return starts
      raise Damaged('no versions')
    except FileNotFoundError:
      return []
    except (OSError, Damaged, LookupError, TypeError, AttributeError) as error:
      self._say(path, f'cannot be read ({why(error)})', 'it begins anew')
      return []

  def _end(self, outcome):
    """Notes when and how the start that this process made ended; one that was killed has no end."""
    if self._starts is not None:
      self._starts[-1] |= {'end': environment.now(), 'outcome': outcome}
      with contextlib.suppress(OSError):  # nothing depends on it, and what went wrong is told already
        self._write_starts()
    self._starts = None

  def _write_starts(self):
    write(self.workdir / 'environment.json', json.dumps({'starts': self._starts}, indent=2) + '\n')

  def _set_aside(self):
    aside = set_aside(self.workdir, 'run')
    self._lock.let_go()  # it went with the directory
    try:
      self.lock()
    except RunError:
      self._put_back(aside)
      raise
    return aside

  def _put_back(self, aside):
    """Undoes `_set_aside` where the new run could not begin."""
    with contextlib.suppress(OSError):
      if self._lock.held:
        for name in ('spec.json', 'data.json', 'environment.json', SAVED, 'lock'):
          (self.workdir / name).unlink(missing_ok=True)
        self._lock.let_go()
        self.workdir.rmdir()
      aside.rename(self.workdir)  # only where there is none, or an empty one

  # Weights.

  def restore(self, model, say=print, step: int | None = None):
    """(`model` with the weights of a checkpoint, its step). Averaged weights where the run has them.

    step: of the checkpoint, which must be intact (RunError). None: the newest that is.
    """
    from tfvae.run.checkpoints import Checkpoints, named
    from tfvae.run.ema import Ema

    self.require()
    ema = Ema(model.trainable_variables, self.spec.train.ema) if self.spec.train.ema else None
    objects = {'model': named(model.variables)} | ({'ema': ema.variables} if ema else {})
    found = Checkpoints(self.checkpoints, self.spec.train.keep, **objects).restore(say, step, self.saved)
    if found is None:
      raise RunError(self._no_checkpoint())
    if (step is None or step == newest(self.checkpoints)) and (told := self.behind(found)):
      say(f'{self.workdir}: step {found} is used; {told}.')
    if ema:
      ema.assign()
    return model, found

  def initialize(self, model) -> None:
    """Gives `model`, of another run that begins (spec.train.init_from), the weights of this one's newest checkpoint.

    Raises RunError: there is no such run, or its model has other weights; the layers that differ are named.
    """
    from tfvae.run.checkpoints import differences

    try:
      self.require()
      found = differences(self.checkpoints, model.variables)
      if not found:
        self.restore(model)
    except RunError as error:
      raise RunError(f'spec.train.init_from: {str(error).removeprefix("--workdir ")}') from None
    if found:
      more = f' (and {len(found) - 4} more layers)' if len(found) > 4 else ''
      raise RunError(
        f'spec.train.init_from: the model of {self.workdir} is another one: {"; ".join(found[:4])}{more}. Give a run '
        'with the same spec.model, spec.prior and spec.decoder, and data of the same shape'
      )


def _shown(value):
  return 'no such field' if value is None else short(value)


def checksum(spec) -> int:
  """Of all that the workers of one run must have in common."""
  fields = flatten(spec.to_dict())
  return zlib.crc32(repr(sorted((name, value) for name, value in fields.items() if name not in OWN)).encode())
