"""The lock of a run directory."""

import contextlib
import errno
import fcntl
import os
import pathlib
import platform
import re

from tfvae.errors import RunError
from tfvae.run.files import Damaged, opened, read_bytes, why

OWNER = re.compile(r'process (\d+) on ([\w.-]*)\n?')


def is_alive(workdir: pathlib.Path) -> bool:
  """Whether the process that last held a run's lock lives, on this machine; the lock itself is not touched."""
  with contextlib.suppress(OSError, Damaged, ValueError):
    found = OWNER.fullmatch(read_bytes(workdir / 'lock').decode(errors='replace'))
    if found and found[2] == platform.node():
      with contextlib.suppress(PermissionError):  # somebody else's
        os.kill(int(found[1]), 0)
      return True
  return False


def is_elsewhere(workdir: pathlib.Path) -> bool:
  """Whether the process that last held a run's lock was on another machine, where nothing here tells if it lives."""
  with contextlib.suppress(OSError, Damaged, ValueError):
    found = OWNER.fullmatch(read_bytes(workdir / 'lock').decode(errors='replace'))
    return bool(found) and found[2] != platform.node()
  return False


class Lock:
  """Held by one process at a time, which may then write in the run directory.

  Args:
    workdir: the run directory.
  """

  def __init__(self, workdir: pathlib.Path):
    self._workdir, self._path, self._handle = workdir, workdir / 'lock', None
    self._made = []  # the directories that `take` made: the run's own, and those above it that were not there

  def is_taken(self) -> bool:
    """Whether anybody has it at this moment; nothing is made or written."""
    with contextlib.suppress(OSError, Damaged):
      handle = opened(self._path, os.O_RDONLY | os.O_NOFOLLOW)
      try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
      except BlockingIOError:
        return True
      finally:
        os.close(handle)
    return False

  @property
  def held(self) -> bool:
    """Whether this process has it."""
    return self._handle is not None

  def take(self) -> None:
    """Makes the directory where there is none, and takes its lock, which also ends with the process.

    Raises RunError: the directory is a file, cannot be written, or is in use; its lock is a link, or no file.
    """
    while self._handle is None:
      handle = self._open()
      try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except OSError as error:
        owner = self._owner(handle)
        os.close(handle)
        if not isinstance(error, BlockingIOError):
          raise self._error(error) from None
        by = f' ({owner})' if owner else ''
        raise RunError(
          f'--workdir {self._workdir}: in use by another process{by}; wait for it, or give another directory'
        ) from None
      if os.path.lexists(self._path) and os.path.samestat(os.fstat(handle), os.lstat(self._path)):
        self._handle = handle
      else:  # another process set the directory aside, or removed it, between our two calls
        os.close(handle)
    try:
      self._sign()
    except OSError as error:
      self.give_back()
      raise self._error(error) from None

  def _open(self):
    try:
      self._made = self._made or [path for path in (self._workdir, *self._workdir.parents) if not os.path.exists(path)]
      self._workdir.mkdir(parents=True, exist_ok=True)
      return opened(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)  # what a link leads to is not ours
    except (OSError, Damaged) as error:
      self._remove_made()
      raise self._error(error) from None

  def _error(self, error):
    if isinstance(error, OSError) and error.errno == errno.ELOOP and self._path.is_symlink():
      return RunError(f'{self._path}: is a link, which no run writes; remove it')
    if isinstance(error, Damaged):
      return RunError(f'{self._path}: {error}, which no run writes; remove it')
    what = 'is a file' if os.path.isfile(self._workdir) else f'cannot be written ({why(error)})'
    return RunError(f'--workdir {self._workdir}: {what}; give a directory that can be written')

  def _owner(self, handle):
    """Who holds it: the text of `_sign`; '' where it is another."""
    with contextlib.suppress(OSError):
      found = OWNER.fullmatch(os.pread(handle, 300, 0).decode(errors='replace'))
      return found[0].strip() if found else ''
    return ''

  def _sign(self):
    """Says who holds it, but in a file that holds something else (a hard link to another, say)."""
    if os.fstat(self._handle).st_size == 0 or self._owner(self._handle):
      os.ftruncate(self._handle, 0)
      os.pwrite(self._handle, f'process {os.getpid()} on {platform.node()}\n'.encode(), 0)

  def give_back(self) -> None:
    """Lets go; a directory that `take` made, and in which nothing was begun, goes."""
    if self._handle is None:
      return
    with contextlib.suppress(OSError):  # the directory has gone
      if self._made and [path.name for path in self._workdir.iterdir()] == ['lock']:
        self._path.unlink()
        self._remove_made()
    self.let_go()

  def _remove_made(self):
    for path in self._made:
      with contextlib.suppress(OSError):  # another process is just coming in
        path.rmdir()

  def let_go(self) -> None:
    """Lets go, and leaves everything as it is."""
    handle, self._handle = self._handle, None
    os.close(handle)
