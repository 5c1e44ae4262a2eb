"""Checkpoints that survive: written whole or not at all, read back from the newest that is intact."""

import contextlib
import pathlib
import re
import shutil

import tensorflow as tf

from tfvae.errors import RunError


def steps(directory: pathlib.Path) -> list[int]:
  """The steps of which any file of a checkpoint is there, newest first."""
  names = (re.fullmatch(r'ckpt-(\d+)\..*', path.name) for path in directory.glob('ckpt-*'))
  return sorted({int(match[1]) for match in names if match}, reverse=True)


def newest(directory: pathlib.Path) -> int | None:
  """The step of the newest checkpoint that is whole by its files, or None."""
  return next((step for step in steps(directory) if (directory / f'ckpt-{step}.index').is_file()), None)


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
  with contextlib.suppress(OSError):  # TensorFlow does not say
    if shutil.disk_usage(directory).free < 2**16:
      return 'No space left on device'
  return _first_line(error)


def differences(directory: pathlib.Path, step: int, variables: list) -> list[str]:
  """How the model in a checkpoint differs from these Keras variables, a line for each layer. Empty: not at all."""
  reader = tf.train.load_checkpoint(str(directory / f'ckpt-{step}'))
  prefix, suffix = 'model/', '/.ATTRIBUTES/VARIABLE_VALUE'
  stored = {
    name[len(prefix) : -len(suffix)].replace('.S', '/'): tuple(shape)
    for name, shape in reader.get_variable_to_shape_map().items()
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
    self._manager = None

  def save(self, step: int) -> pathlib.Path:
    """Writes a checkpoint and removes the oldest beyond `keep`. Raises RunError where it cannot be written."""
    try:
      if self._manager is None:  # it makes the directory
        for litter in self.directory.glob('ckpt-*_temp*'):  # a save that was killed
          shutil.rmtree(litter, ignore_errors=True)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(self.directory), self._keep)
      return pathlib.Path(self._manager.save(checkpoint_number=step))
    except (tf.errors.OpError, OSError) as error:
      earlier = _names(other for other in steps(self.directory) if other < step) or 'none'
      raise RunError(
        f'the checkpoint of step {step} could not be written to {self.directory}: {why(error, self.directory)}. The '
        f'earlier ones ({earlier}) are as they were; mend this and run the same command again'
      ) from None

  def restore(self, say=print, only: int | None = None) -> int | None:
    """Restores the newest checkpoint that is intact and returns its step; None where there is none at all.

    only: the step of the one that will do. None: any.

    Raises:
      RunError: where there are checkpoints but all of them (or the `only` one) are broken, or that one is not there.
        Nothing is changed on disk.
    """
    broken, there = [], steps(self.directory)
    if only is not None and only not in there:
      raise RunError(
        f'spec.eval.checkpoint: there is no checkpoint of step {only} in {self.directory}; allowed: newest, or one of '
        f'{_words(there)}'
      )
    for step in there if only is None else [only]:
      path = self.directory / f'ckpt-{step}'
      try:
        if not path.with_name(f'{path.name}.index').is_file():
          raise FileNotFoundError(f'{path.name}.index is gone')
        # Reading the model alone leaves the optimizers' part unread: no warnings about that.
        self._checkpoint.restore(str(path)).assert_existing_objects_matched().expect_partial()
      except Exception as error:  # whatever TensorFlow makes of a damaged file
        broken.append(f'{path.name} ({_first_line(error)})')
        continue
      if broken:
        say(f'Broken and passed over: {"; ".join(broken)}. Restored the one before: {path.name}.')
      return step
    if len(broken) == 1 and self._first_save_was_killed():
      say(f'{broken[0]}: the first save was killed before it was finished; there never was a checkpoint.')
      return None
    if broken:
      raise RunError(
        f'every checkpoint in {self.directory} is broken: {"; ".join(broken)}. Nothing was changed. Put one back '
        'from a copy, or start afresh with --overwrite (the run is set aside, not deleted)'
      )
    return None

  def _first_save_was_killed(self):
    """Data without an index beside TensorFlow's temporary directory, and no list of checkpoints yet."""
    others = [*self.directory.glob('checkpoint'), *self.directory.glob('ckpt-*.index')]
    return not others and any(self.directory.glob('ckpt-*_temp'))


def _first_line(error):
  lines = [line for line in str(error).strip().splitlines() if line.strip()]
  return re.sub(r'{{.*?}} ?', '', lines[0])[:200] if lines else type(error).__name__


def _words(numbers):
  return ', '.join(map(str, sorted(numbers))) or 'none'


def _names(found):
  return ', '.join(f'ckpt-{step}' for step in found)
