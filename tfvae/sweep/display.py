"""How a grid goes: a live table on a terminal, a line for each run that has ended elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from tfvae.run import metrics
from tfvae.run.directory import Directory
from tfvae.run.rows import Rows

REFRESH = 1.0  # seconds


class Course(NamedTuple):
  """How far a run is."""

  step: int
  steps: int
  number: str  # the newest main number: 'elbo -93.2'

  @property
  def share(self) -> float:
    return min(1.0, self.step / max(1, self.steps))


def course(run: Directory, steps: int) -> Course:
  """By the end of metrics.jsonl, whoever writes it."""
  row = Rows(run.workdir).last() or {}
  return Course(row.pop('step', 0), steps, main_number(row))


def main_number(numbers: dict[str, float]) -> str:
  """'elbo -93.2': the first of the main numbers that is there, else a loss; '' where there is neither."""
  name = next(iter(metrics.main(numbers)), 'loss' if 'loss' in numbers else '')
  return f'{name} {numbers[name]:.4g}' if name else ''


def duration(seconds: float) -> str:
  """'8 s', '12 min', '3 h 5 min'."""
  if seconds < 90:
    return f'{max(0, seconds):.0f} s'
  minutes = round(seconds / 60)
  return f'{minutes} min' if minutes < 90 else f'{minutes // 60} h {minutes % 60} min'


class Display:
  """Shows the runs of a grid.

  Args:
    total: how many runs there are, those that were finished before among them.
    finished: how many were.
    failed: how many cannot begin.
    course: of the run of this name, how far it is.
  """

  def __init__(self, total: int, finished: int, failed: int, course: Callable[[str], Course]):
    self._course, self._total, self._before = course, total, finished
    self.finished, self.failed = finished, failed
    self._running, self._gained, self._begun, self._shown = {}, 0.0, time.monotonic(), 0.0
    self._live = None

  def __enter__(self):
    if sys.stdout.isatty():
      from rich.console import Console
      from rich.live import Live

      console = Console(file=sys.stdout)
      self._live = Live(self._table(), console=console, auto_refresh=False, redirect_stdout=False).__enter__()
    return self

  def __exit__(self, *error):
    if self._live:
      with contextlib.suppress(OSError):
        self._live.update(self._table(), refresh=True)
        self._live.__exit__(None, None, None)

  # What happens.

  def begins(self, name: str) -> None:
    """A run is given to a worker."""
    self._running[name] = self._course(name).share

  def ends(self, name: str, status: str, text: str, seconds: float) -> None:
    """A run is no longer with a worker. text: its main number, or why it ended."""
    before = self._running.pop(name, 0.0)
    done = status in ('finished', 'failed')
    self._gained += (1.0 - before) if done else 0.0
    self.finished += status == 'finished'
    self.failed += status == 'failed'
    if not done:
      self.say(f'{name}: {text}')
      return
    number, width = self.finished + self.failed, len(str(self._total))
    took = '' if status == 'failed' else f'  {duration(seconds)}'
    left = self._total - number
    rest = f'; {left} left{self._time_left()}' if left else ''
    self.say(f'[{number:>{width}}/{self._total}] {name}{took}  {text}{rest}')

  def say(self, text: str) -> None:
    """Lines of their own."""
    with contextlib.suppress(OSError):  # nobody reads on, the terminal has gone: the runs are to go on, or to be saved
      if self._live:
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
      else:
        print(text, flush=True)

  def tick(self) -> None:
    """Called often; shows what is new now and then."""
    if self._live and time.monotonic() - self._shown > REFRESH:
      self._shown = time.monotonic()
      with contextlib.suppress(OSError):
        self._live.update(self._table(), refresh=True)

  # What is shown.

  def _time_left(self):
    """', about 5 min' where that can be told: from what has been done since the command began."""
    courses = {name: self._course(name).share for name in self._running}
    gained = self._gained + sum(max(0.0, share - self._running[name]) for name, share in courses.items())
    left = self._total - self.finished - self.failed - sum(courses.values())
    if gained <= 0 or left <= 0:
      return ''
    return f', about {duration(left * (time.monotonic() - self._begun) / gained)}'

  def _table(self):
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    left = self._total - self.finished - self.failed
    waiting = f', {left - len(self._running)} waiting' if left > len(self._running) else ''
    failed = f', {self.failed} failed' if self.failed else ''
    before = f' ({self._before} before)' if self._before else ''
    title = f'{self.finished} of {self._total} runs finished{before}{failed}{waiting}{self._time_left()}'
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow='ellipsis', no_wrap=True)
    table.add_column(justify='right', no_wrap=True)
    table.add_column(no_wrap=True)
    for name in self._running:
      now = self._course(name)
      step = f'{now.step:,}/{now.steps:,}' if now.step else '...'
      table.add_row(Text(name), step, Text(now.number))
    return Group(Text(title), table)
