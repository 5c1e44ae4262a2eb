"""Memory that is short: told before it is asked for where that is cheap to know, and which fields to lower."""

import contextlib
import math
import pathlib
import re
import resource

from tfvae.errors import UserError

CGROUPS = pathlib.Path('/sys/fs/cgroup')
# How libraries word it: TensorFlow's allocators, NumPy inside tf.data, C++.
WORDS = ('OOM when allocating', 'Out of memory', 'out of memory', 'Unable to allocate', 'MemoryError', 'bad_alloc')


def available() -> int | None:
  """Bytes that this process can still have, by the machine, its container and its own limits; None: nothing says."""
  return min((free for free in (_machine(), _container(), _address_space()) if free is not None), default=None)


def _machine():
  with contextlib.suppress(OSError, ValueError), open('/proc/meminfo') as file:
    for line in file:
      if line.startswith('MemAvailable:'):
        return int(line.split()[1]) * 1024
  return None


def _container():
  """By the limits of the control groups (version 2) that this process is in; what files are cached can be taken."""
  with contextlib.suppress(OSError, ValueError):
    own = pathlib.Path('/proc/self/cgroup').read_text().rpartition('::')[2].strip().lstrip('/')
    groups = [CGROUPS / own, *(CGROUPS / own).parents]
    free = [_of_group(group) for group in groups if group.is_relative_to(CGROUPS)]
    return min((value for value in free if value is not None), default=None)
  return None


def _of_group(group):
  with contextlib.suppress(OSError, ValueError):
    most, used = (int((group / name).read_text()) for name in ('memory.max', 'memory.current'))
    cached = dict(line.split() for line in (group / 'memory.stat').read_text().splitlines()).get('inactive_file', 0)
    return max(0, most - used + int(cached))
  return None


def _address_space():
  limit = resource.getrlimit(resource.RLIMIT_AS)[0]
  if limit == resource.RLIM_INFINITY:
    return None
  with contextlib.suppress(OSError, ValueError), open('/proc/self/statm') as file:
    return max(0, limit - int(file.read().split()[0]) * resource.getpagesize())
  return None


def resident() -> int:
  """Bytes of this process that are in memory; 0 where nothing says."""
  with contextlib.suppress(OSError, ValueError), open('/proc/self/statm') as file:
    return int(file.read().split()[1]) * resource.getpagesize()
  return 0


def require(size: int, what: str, remedy: str) -> None:
  """Raises UserError where `size` bytes, for `what`, are more than there are."""
  free = available()
  if free is not None and size > free:
    raise UserError(f'memory is not enough: {what}: {_mib(size)}, of which {_mib(free)} are free; {remedy}')


def require_tensor(size: int, what: str, remedy: str) -> None:
  """The same of what TensorFlow computes, which takes the host's memory where there is no GPU."""
  import tensorflow as tf

  if not tf.config.list_logical_devices('GPU'):
    require(size, what, remedy)


def _mib(size):
  return f'{math.ceil(size / 2**20):,} MiB'


@contextlib.contextmanager
def short(remedy: str):
  """Inside, running out of memory raises UserError, with what to do."""
  try:
    yield
  except Exception as error:
    if not is_shortage(error):
      raise
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = next((line for line in lines if any(words in line for words in WORDS)), lines[0])
    raise UserError(f'memory is not enough ({re.sub("{{.*?}} ?", "", line)[:160]}): {remedy}') from None


def is_shortage(error: Exception) -> bool:
  """Whether memory was short; TensorFlow calls a full disk by the same name."""
  if isinstance(error, MemoryError):
    return True
  text, kind = str(error), type(error).__name__
  if isinstance(error, UserError) or 'No space left on device' in text or 'quota exceeded' in text:
    return False
  return kind == 'ResourceExhaustedError' or (kind.endswith('Error') and any(words in text for words in WORDS))
