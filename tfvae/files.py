"""Files that are written whole or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile

from tfvae.errors import RunError


@contextlib.contextmanager
def writing(workdir: pathlib.Path):
  """Inside, what cannot be written in a run directory raises RunError."""
  try:
    yield
  except OSError as error:
    raise RunError(
      f'--workdir {workdir}: cannot be written ({error.strerror or error}). What was saved is as it was; mend '
      'this and run the same command again'
    ) from None


def write(path: pathlib.Path, text: str, permissions: int = 0o644) -> None:
  """Writes a file whole or not at all."""
  with atomic(path, 'w', permissions) as file:
    file.write(text)


def sync(path: pathlib.Path) -> None:
  """Waits until a file, or which files a directory has, is on the disk."""
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)


@contextlib.contextmanager
def atomic(path: pathlib.Path, mode: str, permissions: int = 0o644):
  """A file that replaces `path` when it is written to the end, and leaves `path` as it was if that fails."""
  handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.tmp')
  try:
    with open(handle, mode) as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.chmod(name, permissions)
    os.replace(name, path)
    sync(path.parent)
  except BaseException:
    pathlib.Path(name).unlink(missing_ok=True)
    raise


@contextlib.contextmanager
def replaced(path: pathlib.Path):
  """A directory that replaces `path` when it is filled, and leaves `path` as it was if that fails.

  Killed between its last two steps it leaves the old directory as <path>.old, which the next call puts back.
  """
  aside = path.with_name(f'{path.name}.old')

  def put_back():
    if aside.exists() and not path.exists():
      aside.rename(path)

  put_back()
  for litter in path.parent.glob(f'.{path.name}.*.tmp'):  # of a process that was killed while it wrote
    shutil.rmtree(litter)
  new = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.tmp'))
  try:
    new.chmod(0o755)
    yield new
    for file in new.rglob('*'):
      sync(file)
    shutil.rmtree(aside, ignore_errors=True)
    if path.exists():
      path.rename(aside)
    new.rename(path)
    shutil.rmtree(aside, ignore_errors=True)
  except BaseException:
    put_back()
    shutil.rmtree(new, ignore_errors=True)
    raise


def is_temporary(path: pathlib.Path) -> bool:
  """Whether `atomic` or `replaced` made it, and a process was killed while it wrote."""
  return path.name.startswith('.') and path.name.endswith('.tmp')
