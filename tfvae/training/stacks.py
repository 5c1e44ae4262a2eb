"""Several runs whose steps are taken together: each goes its own course, on machinery that all of them share."""

import contextlib
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfvae import memory
from tfvae.training.course import Call, Course, Ended
from tfvae.training.machinery import values_of
from tfvae.training.signals import SharedStop, stopped
from tfvae.training.stacked import StackedStepper, mode_of
from tfvae.training.step import Steps

# Tensors of one size that are in memory at the same time in a step, about; and what part of the free memory a stack may
# take, as other workers have some, too: 1 / SHARE.
AT_ONCE, SHARE = 6, 4


class Member:
  """A run among several.

  Attributes:
    call: what it wants next; None where it has ended.
    ended: how, then.
    values: of the machinery, where it stands before its first call.
  """

  def __init__(self, number: int, course: Course, stop: SharedStop, around: Callable):
    self._course, self._stop, self._around = course, stop, around
    self.number, self.call, self.ended, self.values = number, None, None, None

  def go(self, taken: tuple[Steps, float] | BaseException | None = None) -> None:
    """Goes on with its course to its next call, given what became of the last one."""
    try:
      with self._around(self.number):
        thrown = isinstance(taken, BaseException)
        self.call: Call | None = self._course.throw(taken) if thrown else self._course.send(taken)
    except StopIteration:
      self.call, self.ended = None, Ended(self.number)
    except (Exception, KeyboardInterrupt) as error:
      self.call, self.ended = None, Ended(self.number, error)
    finally:
      self._stop.at_once = None  # which a course sets when it has saved, but others have not

  @property
  def trainer(self):
    return self.call.trainer


def together(
  courses: Sequence[Course], stop: SharedStop, around: Callable[[int], contextlib.AbstractContextManager] | None = None
) -> Iterator[Ended]:
  """Goes through the courses of several runs; says of each how it ended.

  Runs that stand at the same step on the same machinery take their steps as one stack; one that stands alone takes
  them as ever. What goes wrong with one run ends that one.

  Args:
    courses: of runs with one `Kept`, at their beginning.
    stop: what they look at. After a signal all save at one step, and end with Stopped.
    around: number -> the context in which a course goes on.
  """
  around = around or (lambda number: contextlib.nullcontext())
  groups = {}
  for number, course in enumerate(courses):
    if heard := stop.hear():
      yield Ended(number, stopped(heard, 'stopped before training began'))
      continue
    member = Member(number, course, stop, around)
    member.go()
    if member.ended:
      yield member.ended
      continue
    machinery = member.trainer.machinery
    member.values = machinery.values()
    groups.setdefault((id(machinery), member.trainer.step), []).append(member)
  for members in groups.values():
    for part in _parts(members):
      if heard := stop.hear():  # nothing is compiled for those that have not gone on yet
        for member in part:
          member.go(stopped(heard, f'stopped; {member.trainer.run.workdir} is as it was, and the same command goes on'))
          yield member.ended
      else:
        yield from _one(part[0], stop) if len(part) == 1 else _stack(part, stop)


def _parts(members):
  """Members that can be one stack, in as many stacks of about one size as memory asks for."""
  trainer, free = members[0].trainer, memory.available()
  if free is None or tf.config.list_logical_devices('GPU'):
    return [members]
  machinery = trainer.machinery
  widths = sum(variable.shape[-1] for variable in machinery.model.trainable_variables if len(variable.shape) == 2)
  values = values_of(trainer.spec, machinery.model, machinery.source.batch_size)
  each = 4 * (AT_ONCE * values + AT_ONCE * widths * values // math.prod(machinery.model.shape))
  number = min(len(members), -(-len(members) * each * SHARE // max(free, 1)))
  ends = [round(place * len(members) / number) for place in range(number + 1)]
  return [members[begin:end] for begin, end in itertools.pairwise(ends)]


def _one(member, stop):
  trainer = member.trainer
  trainer.machinery.belong(trainer.spec, member.values)
  while member.call:
    try:
      taken = trainer.take(member.call)
    except Exception as error:
      taken = error
    stop.hear()
    member.go(taken)
  yield member.ended


def _stack(members, stop):
  """Takes the steps of members that stand at one step."""
  machinery, specs = members[0].trainer.machinery, [member.trainer.spec for member in members]
  try:
    stack = StackedStepper(machinery.stepper, [spec.seed for spec in specs], chosen_mode(specs[0], machinery))
  except Exception as error:
    for member in members:
      member.go(error)
      yield member.ended
    return
  for place, (member, spec) in enumerate(zip(members, specs, strict=True)):
    machinery.belong(spec, member.values)
    stack.read(tf.constant(place))
    member.values, member.trainer.present = None, functools.partial(_present, machinery, stack, place, spec)
  while any(member.call for member in members):
    taken = _take(stack, members)
    stop.hear()
    for member, own in zip(members, taken, strict=True):
      if member.call:
        member.go(own)
        if member.ended:
          yield member.ended


def chosen_mode(spec, machinery) -> str:
  """How the steps of a stack of runs like this one are compiled."""
  rows = values_of(spec, machinery.model, machinery.source.batch_size) // math.prod(machinery.model.shape)
  return mode_of(spec.train.compile, machinery.model, rows)


def _present(machinery, stack, place, spec):
  """Gives the machinery the values of a member."""
  machinery.belong(spec)
  stack.write(tf.constant(place))


def _take(stack, members):
  """Takes the steps that all members want: what became of each member's, or for each the error that came."""
  calls = [member.call for member in members]
  going = [call for call in calls if call]
  first, count = going[0].trainer.step, min(call.count for call in going)
  sums = np.stack([call.sums.numpy() if call else row for call, row in zip(calls, stack.zeros(), strict=True)])
  number = lambda value: tf.constant(value, tf.int64)
  begun = time.perf_counter()
  try:
    done = stack.run(
      stack.feeds(first, count),
      number(first),
      number(count),
      tf.constant(sums),
      tf.constant([call is not None for call in calls]),
    )
    done = [value.numpy() for value in done]
  except Exception as error:
    return [error] * len(members)
  took = time.perf_counter() - begun
  return [(Steps(*map(tf.constant, own)), took) for own in zip(*done, strict=True)]
