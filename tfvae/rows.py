"""metrics.jsonl: a JSON object a line."""

import contextlib
import json
import pathlib

from tfvae.files import write, writing


class Rows:
  """The lines of metrics.jsonl in a run directory: {'step': ..., 'split': ..., name: value}."""

  def __init__(self, workdir: pathlib.Path):
    self._workdir, self._path, self._file = workdir, workdir / 'metrics.jsonl', None

  def append(self, row: dict) -> None:
    """Adds a line, which is in the file when this returns."""
    with writing(self._workdir):
      if self._file is None:
        self._file = open(self._path, 'a')  # noqa: SIM115
      self._file.write(json.dumps(row) + '\n')
      self._file.flush()

  def close(self) -> None:
    """Closes the file, which the next line opens again."""
    if self._file is not None:
      with contextlib.suppress(OSError):  # a full disk was reported when the line was written
        self._file.close()
      self._file = None

  def read(self) -> list[dict]:
    """All of them; one that a crash left unfinished is not counted."""
    rows = []
    for line in self._path.read_text().splitlines() if self._path.is_file() else ():
      with contextlib.suppress(json.JSONDecodeError):
        rows.append(json.loads(line))
    return rows

  def trim(self, step: int) -> None:
    """Removes those after `step`."""
    self.close()
    rows = [row for row in self.read() if row['step'] <= step]
    if self._path.exists():
      with writing(self._workdir):
        write(self._path, ''.join(json.dumps(row) + '\n' for row in rows))
