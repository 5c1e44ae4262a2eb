"""metrics.jsonl: a JSON object a line."""

import contextlib
import itertools
import json
import os
import pathlib

from tfvae.errors import RunError
from tfvae.run import formats
from tfvae.run.files import Damaged, atomic, opened, parse, read_bytes, why, write, writing

TAIL = 1 << 17  # bytes at the end of the file, in which the newest row is


class Rows:
  """The lines of metrics.jsonl in a run directory: {'step': ..., 'split': ..., name: value}.

  Attributes:
    path: of the file.
  """

  def __init__(self, workdir: pathlib.Path):
    self._workdir, self.path, self._file = workdir, workdir / 'metrics.jsonl', None

  def append(self, row: dict) -> None:
    """Adds a line, which is in the file when this returns. Raises RunError; not through a link."""
    with writing(self._workdir):
      if self._file is None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        self._file = os.fdopen(opened(self.path, flags), 'a', encoding='utf-8')
      self._file.write(json.dumps(row) + '\n')
      self._file.flush()

  def close(self) -> None:
    """Closes the file, which the next line opens again."""
    if self._file is not None:
      with contextlib.suppress(OSError):  # a full disk was reported when the line was written
        self._file.close()
      self._file = None

  def read(self) -> tuple[list[dict], list[int]]:
    """(The rows, the numbers of the lines that are none.) A last line that a crash left unfinished is not counted.

    Raises RunError: the file is there, and cannot be read.
    """
    try:
      lines = read_bytes(self.path).split(b'\n')
    except FileNotFoundError:
      return [], []
    except (OSError, Damaged) as error:
      raise RunError(f'{self.path}: cannot be read ({why(error)}); mend this, or put it back from a copy') from None
    rows, damaged = [], []
    for number, line in enumerate(lines, 1):
      try:
        rows.append(formats.row(parse(line)))
      except Damaged:
        if number < len(lines):  # what comes after the last line break is empty, or unfinished
          damaged.append(number)
    return rows, damaged

  def last(self) -> dict | None:
    """The newest row, of the end of the file alone; None where there is none, or it cannot be read."""
    try:
      with open(opened(self.path), 'rb') as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        for line in reversed(file.read().split(b'\n')):
          with contextlib.suppress(Damaged):
            return formats.row(parse(line))
    except (OSError, Damaged):
      pass
    return None

  def trim(self, step: int) -> str | None:
    """Removes those after `step`. A file with lines that are no rows is kept beside it: what to tell of that."""
    self.close()
    rows, damaged = self.read()
    if not os.path.lexists(self.path):
      return None
    told = None
    with writing(self._workdir):
      if damaged:
        told = f'{self.path}: {damage(damaged)}; they are left out, and the file as it was is now {self._keep()}.'
      write(self.path, ''.join(json.dumps(row) + '\n' for row in rows if row['step'] <= step))
    return told

  def _keep(self):
    names = (f'{self.path.name}.damaged{f".{number}" if number else ""}' for number in itertools.count())
    copy = next(path for path in map(self.path.with_name, names) if not os.path.lexists(path))
    with atomic(copy, 'wb') as file:
      file.write(read_bytes(self.path))
    return copy


def damage(lines: list[int]) -> str:
  """What to tell of the lines of these numbers, which are no rows."""
  count = f'{len(lines)} lines' if len(lines) > 1 else 'a line'
  return f'{count} cannot be read (number {", ".join(map(str, lines[:5]))}{", ..." if len(lines) > 5 else ""})'
