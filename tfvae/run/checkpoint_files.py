"""The files of checkpoints: which steps are there, removing them, TensorFlow's list of them. Imports no TensorFlow.

A path is a pattern to TensorFlow where it reads and deletes, so that runs/n? also means runs/n1. Here names are
compared, and `literal` gives TensorFlow a path that stands for nothing but itself.
"""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

from tfvae.errors import RunError
from tfvae.run.files import write

PART = re.compile(r'ckpt-(0|[1-9]\d*)\.(index|data-\d{5}-of-(\d{5}))')
LITTER = re.compile(
  r'ckpt-\d+_temp.*|checkpoint\.tmp.*|\.ckpt-.*\.tmp'
)  # of saves that were killed, ours and TensorFlow's
PATTERN = re.compile(r'[*?\[\\]')
LIST = 'checkpoint'  # where tf.train.latest_checkpoint looks; nothing here reads it


def parts(directory: pathlib.Path) -> dict[int, set[str]]:
  """step: the names of the files of its checkpoint, which may be whole or not. Empty where there is no directory.

  Raises RunError where it is out of reach: no permission, a link to nothing, an I/O error.
  """
  found = {}
  try:
    for entry in os.scandir(directory):
      if match := PART.fullmatch(entry.name):
        found.setdefault(int(match[1]), set()).add(entry.name)
  except OSError as error:
    if isinstance(error, FileNotFoundError) and not directory.is_symlink():
      return {}
    what = 'is a link to a place that is not there' if isinstance(error, FileNotFoundError) else error.strerror
    raise RunError(
      f'the checkpoints in {directory} are out of reach: {what}. Nothing was changed. Mend this (is a disk not '
      'mounted?), or start afresh with --overwrite (the run is set aside, not deleted)'
    ) from None
  return found


def lacks(step: int, names: set[str]) -> str:
  """What a checkpoint lacks that has these files; '' where it is whole by its files."""
  shards = {int(match[3]) for name in names if (match := PART.fullmatch(name))[3]}
  if f'ckpt-{step}.index' not in names:
    return f'ckpt-{step}.index is not there: it was never finished, or is gone'
  if not any(all(f'ckpt-{step}.data-{i:05d}-of-{n:05d}' in names for i in range(n)) for n in shards):
    return f'ckpt-{step}.data-* is gone'
  return ''


def steps(directory: pathlib.Path) -> list[int]:
  """The steps of the checkpoints that are whole by their files, newest first. Raises RunError as `parts`."""
  return sorted((step for step, names in parts(directory).items() if not lacks(step, names)), reverse=True)


def newest(directory: pathlib.Path) -> int | None:
  """The step of the newest checkpoint that is whole by its files; None where there is none, or none can be seen."""
  with contextlib.suppress(RunError):
    return next(iter(steps(directory)), None)


def gone(directory: pathlib.Path, saved: int) -> str:
  """What to say where a run saved a step, and has no checkpoint at all."""
  return (
    f'{directory} has no checkpoint, but the run had saved step {saved}. Nothing was changed. Put the checkpoints back '
    '(is a disk not mounted?), or start afresh with --overwrite (the run is set aside, not deleted)'
  )


def remove(directory: pathlib.Path, names: set[str]) -> None:
  """Removes the files of a checkpoint: the index first, so that what a kill leaves is no checkpoint."""
  for name in sorted(names, key=lambda name: not name.endswith('.index')):
    (directory / name).unlink(missing_ok=True)


def sweep(directory: pathlib.Path, step: int, keep: int) -> None:
  """Leaves the newest `keep` checkpoints up to `step`, which was just saved, and nothing that killed saves left.

  Steps beyond it were passed over when the run was resumed, as they were broken: its metrics are of another course.
  """
  for entry in list(os.scandir(directory)):
    if LITTER.fullmatch(entry.name):
      shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
  kept = [other for other in steps(directory) if other <= step][:keep]
  for other, names in parts(directory).items():
    if other not in kept:
      remove(directory, names)
  lines = [f'all_model_checkpoint_paths: "ckpt-{other}"\n' for other in sorted(kept)]
  write(directory / LIST, f'model_checkpoint_path: "ckpt-{step}"\n' + ''.join(lines))


@contextlib.contextmanager
def literal(directory: pathlib.Path) -> Iterator[pathlib.Path]:
  r"""A path of the directory without characters (* ? [ \) that make it a pattern: its own, or that of a link to it.

  Raises RunError where the link cannot be made.
  """
  if not PATTERN.search(str(directory)):
    yield directory
    return
  with contextlib.ExitStack() as stack:
    try:
      link = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='tfvae-')), 'checkpoints')
      if PATTERN.search(str(link)):
        raise OSError('it has such a character itself')
      link.symlink_to(directory.absolute(), target_is_directory=True)
    except OSError as error:
      raise RunError(
        f'{directory}: TensorFlow takes *, ?, [ and \\ in a path for a pattern, and a link without them cannot be made '
        f'in the directory for temporary files ({error.strerror or error}); set TMPDIR to another, or rename the run'
      ) from None
    yield link
