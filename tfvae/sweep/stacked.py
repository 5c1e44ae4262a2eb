"""Runs that differ in values alone, several at a time as one compiled program. Imports no TensorFlow: workers do."""

import itertools
import pathlib
from collections.abc import Iterator, Sequence

from tfvae.sweep.jobs import Event, Job, Stack
from tfvae.sweep.local import WORKER, Local

MOST_MEMBERS = 64  # of a stack


class Stacked(Local):
  """Worker processes that train stacks of jobs: those with one step key, shared out evenly.

  Args:
    jobs, threads, logs, runs: as of `Local`.
    worker: arguments of Python that start one.
  """

  def __init__(
    self,
    jobs: int,
    threads: int,
    logs: pathlib.Path,
    runs: int,
    worker: Sequence[str] = (*WORKER, 'stacked'),
  ):
    super().__init__(jobs, threads, logs, runs, worker)

  def __str__(self):
    return f'stacked, {self._workers_in_words()}'

  def run(self, jobs: Sequence[Job], stop) -> Iterator[Event | None]:
    return super().run(stacks(jobs, self.jobs), stop)


def stacks(jobs: Sequence[Job], workers: int) -> list[Stack]:
  """Jobs with one step key together, in stacks of at most MOST_MEMBERS, and at least one for each worker."""
  by_key = {}
  for job in jobs:
    by_key.setdefault(job.step_key, []).append(job)
  found = []
  for alike in by_key.values():
    number = max(-(-len(alike) // MOST_MEMBERS), min(workers // len(by_key), len(alike)), 1)
    ends = [round(place * len(alike) / number) for place in range(number + 1)]
    found += [Stack(tuple(alike[begin:end])) for begin, end in itertools.pairwise(ends)]
  return found
