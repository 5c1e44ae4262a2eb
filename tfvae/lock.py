"""The lock of a run directory."""

import contextlib
import fcntl
import os
import pathlib
import platform

from tfvae.errors import RunError


class Lock:
  """Held by one process at a time, which may then write in the run directory.

  Args:
    workdir: the run directory.
  """

  def __init__(self, workdir: pathlib.Path):
    self._workdir, self._path, self._handle = workdir, workdir / 'lock', None
    self._made = []  # the directories that `take` made: the run's own, and those above it that were not there

  def take(self) -> None:
    """Makes the directory where there is none, and takes its lock, which also ends with the process.

    Raises RunError: the directory is a file, cannot be written, or is in use.
    """
    while self._handle is None:
      try:
        self._made = self._made or [path for path in (self._workdir, *self._workdir.parents) if not path.exists()]
        self._workdir.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
      except OSError as error:
        what = 'is a file' if self._workdir.is_file() else f'cannot be written ({error.strerror})'
        raise RunError(f'--workdir {self._workdir}: {what}; give a directory that can be written') from None
      try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except OSError:
        owner = os.read(handle, 100).decode(errors='replace').strip()
        os.close(handle)
        by = f' ({owner})' if owner else ''
        raise RunError(
          f'--workdir {self._workdir}: in use by another process{by}; wait for it, or give another directory'
        ) from None
      if self._path.exists() and os.path.samestat(os.fstat(handle), os.stat(self._path)):
        self._handle = handle
      else:  # another process set the directory aside, or removed it, between our two calls
        os.close(handle)
    os.ftruncate(self._handle, 0)
    os.pwrite(self._handle, f'process {os.getpid()} on {platform.node()}\n'.encode(), 0)

  def give_back(self) -> None:
    """Lets go; a directory that `take` made, and in which nothing was begun, goes."""
    if self._handle is None:
      return
    if self._made and [path.name for path in self._workdir.iterdir()] == ['lock']:
      with contextlib.suppress(OSError):  # another process is just coming in
        self._path.unlink()
        for path in self._made:
          path.rmdir()
    self.let_go()

  def let_go(self) -> None:
    """Lets go, and leaves everything as it is."""
    handle, self._handle = self._handle, None
    os.close(handle)
