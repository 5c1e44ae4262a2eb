"""Checkpoints that survive: written whole or not at all, read back from the newest that is intact."""

import contextlib
import pathlib
import re
import shutil
import tempfile

import tensorflow as tf

from tfvae.errors import RunError
from tfvae.run.checkpoint_files import gone, lacks, literal, parts, remove, steps, sweep
from tfvae.run.files import sync


def named(variables: list) -> dict[str, tf.Variable]:
  """path -> variable of Keras variables, for a checkpoint.

  Keras 3 layers kept in lists are no trackable children for tf.train.Checkpoint, which leaves them out silently; the
  variables themselves, by name, cannot be missed. Raises ValueError where two have one path.
  """
  by_path = {variable.path: variable.value for variable in variables}
  if len(by_path) != len(variables):
    raise ValueError(f'two variables have the same path among {[variable.path for variable in variables]}')
  return by_path


def why(error: Exception, directory: pathlib.Path) -> str:
  """Why something could not be written to a directory."""
  if isinstance(error, OSError) and error.strerror:
    return error.strerror
  with contextlib.suppress(OSError):  # TensorFlow does not say
    if shutil.disk_usage(directory).free < 2**16:
      return 'No space left on device'
  return _first_line(error)


def differences(directory: pathlib.Path, variables: list) -> list[str]:
  """How the model in the newest checkpoint that can be read differs from these Keras variables, a line for each layer.

  Empty: not at all, or none can be read.
  """
  with literal(directory) as plain:
    for step in steps(directory):
      try:
        shapes = tf.train.load_checkpoint(str(plain / f'ckpt-{step}')).get_variable_to_shape_map()
        break
      except Exception:  # whatever TensorFlow makes of a damaged file; restoring names it
        continue
    else:
      return []
  prefix, suffix = 'model/', '/.ATTRIBUTES/VARIABLE_VALUE'
  stored = {
    name[len(prefix) : -len(suffix)].replace('.S', '/'): tuple(shape)
    for name, shape in shapes.items()
    if name.startswith(prefix)
  }
  here = {variable.path: tuple(variable.shape) for variable in variables}
  lines = {}
  for path in sorted({**stored, **here}):
    if stored.get(path) != here.get(path):
      layer, _, name = path.rpartition('/')
      was, now = (str(shapes[path]) if path in shapes else 'absent' for shapes in (stored, here))
      lines.setdefault(layer, []).append(f'{name} {was} there, {now} here')
  return [f'{layer}: {", ".join(parts)}' for layer, parts in lines.items()]


class Checkpoints:
  """The checkpoints of a directory.

  Args:
    directory: where they are.
    keep: how many are kept.
    objects: what they hold, by name: a tf.Variable or a dict of them.
  """

  def __init__(self, directory: pathlib.Path, keep: int, **objects):
    self.directory = directory
    self._checkpoint = tf.train.Checkpoint(**objects)
    self._keep = keep

  def save(self, step: int) -> None:
    """Writes a checkpoint, and once it is on the disk removes the oldest beyond `keep` and what killed saves left.

    Raises RunError where it cannot be written; the earlier ones are then as they were.
    """
    try:
      self.directory.mkdir(parents=True, exist_ok=True)
      self._write(step)
    except (tf.errors.OpError, OSError) as error:
      earlier = _names(other for other in _seen(self.directory) if other < step) or 'none'
      raise RunError(
        f'the checkpoint of step {step} could not be written to {self.directory}: {why(error, self.directory)}. The '
        f'earlier ones ({earlier}) are as they were; mend this and run the same command again'
      ) from None
    try:
      sweep(self.directory, step, self._keep)
    except OSError as error:
      raise RunError(
        f'{self.directory}: step {step} is saved, but the directory cannot be kept in order '
        f'({error.strerror or error}); mend this and run the same command again'
      ) from None

  def _write(self, step):
    """Written apart and on the disk, its files go to their places, the index last: with it there is a checkpoint."""
    staging = pathlib.Path(tempfile.mkdtemp(dir=self.directory, prefix=f'.ckpt-{step}.', suffix='.tmp'))
    try:
      self._checkpoint.save_counter.assign_add(1)  # as tf.train.CheckpointManager has it
      with literal(staging) as plain:
        self._checkpoint.write(str(plain / f'ckpt-{step}'))
      names = [path.name for path in staging.iterdir() if path.is_file()]
      for name in names:
        sync(staging / name)
      remove(self.directory, parts(self.directory).get(step, set()))  # a broken one
      for name in sorted(names):  # .data-00000-of-00001 before .index
        if name.endswith('.index'):
          sync(self.directory)
        (staging / name).rename(self.directory / name)
      sync(self.directory)
    finally:
      shutil.rmtree(staging, ignore_errors=True)

  def restore(self, say=print, only: int | None = None, saved: int | None = None) -> int | None:
    """Restores the newest checkpoint that is intact and returns its step; None where there never was one.

    only: the step of the one that will do. None: any.
    saved: a step of which the run is known to have saved a checkpoint; 0: it has saved none; None: that is not known.

    Raises:
      RunError: where there are checkpoints but all of them (or the `only` one) are broken, or that one is not there; or
        where there are none but some were saved. Nothing is changed on disk.
    """
    broken, there = [], parts(self.directory)
    if only is not None and only not in there:
      raise RunError(
        f'spec.eval.checkpoint: there is no checkpoint of step {only} in {self.directory}; allowed: newest, or one of '
        f'{_words(steps(self.directory))}'
      )
    for step in sorted(there, reverse=True) if only is None else [only]:
      if problem := lacks(step, there[step]) or self._read(step, there[step]):
        broken.append(f'ckpt-{step} ({problem})')
        continue
      if broken:
        say(f'Broken and passed over: {"; ".join(broken)}. Restored the one before: ckpt-{step}.')
      return step
    if broken and (saved == 0 or (saved is None and len(there) == 1)):  # a second one is begun after the first
      say(f'{"; ".join(broken)}: the first save was never finished; there is no checkpoint yet.')
      return None
    if broken:
      what = f'every checkpoint in {self.directory} is' if only is None else f'{self.directory}:'
      raise RunError(
        f'{what} broken: {"; ".join(broken)}. Nothing was changed. Put one back '
        'from a copy, or start afresh with --overwrite (the run is set aside, not deleted)'
      )
    if saved:
      raise RunError(gone(self.directory, saved))
    return None

  def _read(self, step, names):
    """Restores a checkpoint; returns what is wrong with it, or ''. Raises RunError where its files are out of reach."""
    for name in sorted(names):
      try:
        with open(self.directory / name, 'rb') as file:
          file.read(1)
      except FileNotFoundError:
        return f'{name} is gone'
      except OSError as error:  # which is no damage: to pass it over would lose it
        raise RunError(
          f'{self.directory / name}: cannot be read ({error.strerror}). Nothing was changed; mend this, or start '
          'afresh with --overwrite (the run is set aside, not deleted)'
        ) from None
    with literal(self.directory) as plain:
      try:
        # Reading the model alone leaves the optimizers' part unread: no warnings about that.
        status = self._checkpoint.restore(str(plain / f'ckpt-{step}'))
        status.assert_existing_objects_matched().expect_partial()
      except (MemoryError, tf.errors.ResourceExhaustedError):
        raise
      except Exception as error:  # whatever TensorFlow makes of a damaged file
        return _first_line(error)
    return ''


def _seen(directory):
  with contextlib.suppress(RunError):
    return steps(directory)
  return []


def _first_line(error):
  lines = [line for line in str(error).strip().splitlines() if line.strip()]
  return re.sub(r'{{.*?}} ?', '', lines[0])[:200] if lines else type(error).__name__


def _words(numbers):
  return ', '.join(map(str, sorted(numbers))) or 'none'


def _names(found):
  return ', '.join(f'ckpt-{step}' for step in found)
