"""Files of a run directory: written whole or not at all, read as what may have been damaged or come from a stranger."""

import contextlib
import errno
import json
import os
import pathlib
import shutil
import stat
import tempfile

import numpy as np

from tfvae.errors import RunError

MOST = 2**28  # bytes of a file of text: none that is written here has a hundredth of it


class Damaged(ValueError):
  """A file does not hold what was written to it; the message says why."""


# Reading.


def opened(path: pathlib.Path, flags: int = os.O_RDONLY) -> int:
  """A descriptor of a regular file. Raises OSError, and Damaged where it is a pipe, a device or a directory."""
  try:
    handle = os.open(path, flags | os.O_NONBLOCK, 0o644)  # a pipe would wait for its other end
  except OSError as error:
    if error.errno in (errno.ENXIO, errno.EISDIR):  # a pipe without one, a socket; a directory
      raise Damaged('it is no regular file') from None
    raise
  if not stat.S_ISREG(os.fstat(handle).st_mode):
    os.close(handle)
    raise Damaged('it is no regular file')
  return handle


def read_bytes(path: pathlib.Path) -> bytes:
  """What a file of text holds. Raises OSError, or Damaged."""
  with open(opened(path), 'rb') as file:
    content = file.read(MOST + 1)
  if len(content) > MOST:
    raise Damaged(f'it has more than {MOST >> 20} MiB')
  return content


def read_text(path: pathlib.Path) -> str:
  """The text of a file. Raises OSError, or Damaged."""
  try:
    return read_bytes(path).decode()
  except UnicodeDecodeError as error:
    raise Damaged(f'it is not UTF-8 (byte {error.start})') from None


def parse(text: str | bytes):
  """What JSON text says. Raises Damaged."""
  try:
    return json.loads(text if isinstance(text, str) else text.decode())
  except (ValueError, RecursionError) as error:  # numbers of thousands of digits are a ValueError, too
    raise Damaged('it is nested too deep' if isinstance(error, RecursionError) else f'no JSON: {error}') from None


def read_json(path: pathlib.Path):
  """What a JSON file says. Raises OSError, or Damaged."""
  return parse(read_text(path))


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The arrays of an NPZ file, of numbers and texts; nothing is unpickled. Raises OSError, or Damaged."""
  with open(opened(path), 'rb') as file:
    try:
      with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    except MemoryError:
      raise Damaged('it says that it is larger than memory') from None
    except OSError:
      raise
    except Exception as error:  # whatever zipfile, zlib and NumPy make of a damaged archive
      raise Damaged(f'no NPZ archive of arrays: {type(error).__name__}') from None
  if not all(isinstance(array, np.ndarray) for array in arrays.values()):  # bytes
    raise Damaged('a member is no array')
  return arrays


def why(error: Exception) -> str:
  """Of a file that cannot be read or written."""
  return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


# Writing.


@contextlib.contextmanager
def writing(workdir: pathlib.Path):
  """Inside, what cannot be written in a run directory raises RunError."""
  try:
    yield
  except (OSError, Damaged) as error:
    at = f': {error.filename}' if getattr(error, 'filename', None) else ''
    raise RunError(
      f'--workdir {workdir}: cannot be written ({why(error)}{at}). What was saved is as it was; mend '
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


def set_aside(workdir: pathlib.Path, what: str) -> pathlib.Path:
  """Renames the directory of `what` (a run, a grid) to the first of <name>.1, <name>.2, ... that is free: its new path.

  Raises RunError: it is the current directory, or cannot be renamed.
  """
  if workdir.resolve() == pathlib.Path.cwd():
    raise RunError(f'--overwrite: the {what} is the current directory, which cannot be renamed; call it from elsewhere')
  number = 1
  while (aside := workdir.with_name(f'{workdir.name}.{number}')).exists():
    number += 1
  with writing(workdir):
    workdir.rename(aside)
  return aside


def is_temporary(path: pathlib.Path) -> bool:
  """Whether `atomic` or `replaced` made it, and a process was killed while it wrote."""
  return path.name.startswith('.') and path.name.endswith('.tmp')
