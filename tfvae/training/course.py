"""The course of a run: what the loop does on the host, apart from who takes its steps. Imports no TensorFlow."""

from collections.abc import Generator
from typing import Any, NamedTuple


class Call(NamedTuple):
  """Steps that a run wants to be taken, from where it is."""

  trainer: Any  # the run's `Trainer`
  count: int
  sums: Any  # of each metric since the last log, [K] float64


class Ended(NamedTuple):
  """How a course that was gone through with others ended."""

  number: int  # of the course
  error: BaseException | None = None  # UserError: it failed. Stopped: a signal ended it


# It yields calls, and is sent where each ended (`Steps`) and how many seconds that took.
Course = Generator[Call, tuple[Any, float], Any]


def alone(course: Course):
  """Goes through a course, its steps taken by the run's own stepper. Returns what it returns."""
  try:
    call = next(course)
    while True:
      try:
        taken = call.trainer.take(call)
      except BaseException as error:
        call = course.throw(error)
      else:
        call = course.send(taken)
  except StopIteration as end:
    return end.value
