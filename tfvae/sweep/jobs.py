"""A point of a grid on its way to whoever trains it, and back."""

import json
import os
import pathlib
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from tfvae import spec as spec_lib
from tfvae.spec.loading import Origin

ATTEMPTS = 3  # at a run whose worker dies
STOP = 'stop'  # to a worker, in the place of a job: to save what it trains, and to end


class Job(NamedTuple):
  """One run to be trained: all that a process on another machine needs, which sees the same files."""

  name: str
  workdir: str  # of the run
  log: str  # the file to which what the run prints is added
  spec: str  # JSON
  origin: tuple  # of the spec: `Origin`
  command: tuple[str, ...]  # what makes this run alone
  cwd: str  # to which relative paths in the spec refer
  step_key: str  # points that have it in common can share a compiled step

  def load(self) -> ConfigDict:
    """The spec, which knows where it is from."""
    path, file, variant, changes = self.origin
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    return spec_lib.at(spec_lib.from_json(self.spec), Origin(path, pathlib.Path(file), variant, changes))

  @property
  def names(self) -> tuple[str, ...]:
    return (self.name,)

  def without(self, name: str) -> None:
    """What is left of it when the run of this name has ended: nothing."""

  def again(self, deaths: int) -> list['Job']:
    """What is tried after so many workers have died at it: the same."""
    del deaths
    return [self]

  def to_json(self) -> str:
    return json.dumps(self)

  @classmethod
  def from_json(cls, text: str) -> 'Job':
    return cls(*json.loads(text))


class Stack(NamedTuple):
  """Runs that a process trains as one compiled program; to who hands it out, a job with several names."""

  jobs: tuple[Job, ...]

  @property
  def names(self) -> tuple[str, ...]:
    return tuple(job.name for job in self.jobs)

  @property
  def step_key(self) -> str:
    return self.jobs[0].step_key

  @property
  def log(self) -> str:
    return self.jobs[0].log

  def without(self, name: str) -> 'Stack | None':
    """What is left of it when the run of this name has ended; None: nothing."""
    left = tuple(job for job in self.jobs if job.name != name)
    return Stack(left) if left else None

  def again(self, deaths: int) -> list['Stack']:
    """What is tried after so many workers have died at it: at last each run alone, so that one does not take others
    with it.
    """
    return [self] if deaths < ATTEMPTS - 1 else [Stack((job,)) for job in self.jobs]

  def to_json(self) -> str:
    return json.dumps(self.jobs)

  @classmethod
  def from_json(cls, text: str) -> 'Stack':
    return cls(tuple(Job(*job) for job in json.loads(text)))


class Event(NamedTuple):
  """What became of a job."""

  name: str
  status: str  # running, finished, interrupted, failed; waiting: its worker died, and another one will go on with it
  message: str = ''
  seconds: float = 0.0  # of its last attempt


def origin_of(spec: ConfigDict) -> tuple[Any, ...]:
  """`Job.origin`."""
  path, file, variant, changes = spec_lib.origin(spec)
  return path, str(file), variant, changes


def thread_variables(threads: int) -> dict[str, str]:
  """The environment in which a process computes with this many threads; of equal ones numbers are equal to the bit."""
  # How many operations TensorFlow computes at a time says nothing to the bits, and here one thread is as fast as two.
  return {'OMP_NUM_THREADS': str(threads), 'TF_NUM_INTRAOP_THREADS': str(threads), 'TF_NUM_INTEROP_THREADS': '1'}


def package_variables() -> dict[str, str]:
  """The environment in which a process finds this package, wherever it is."""
  package = str(pathlib.Path(__file__).parents[2])
  return {'PYTHONPATH': os.pathsep.join([package, *filter(None, [os.environ.get('PYTHONPATH')])])}
