"""What a run was made with: versions, code, command, machine. Importing this imports no TensorFlow."""

import contextlib
import datetime
import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys

from tfvae import __version__

PACKAGES = ('tensorflow', 'keras', 'tensorflow-probability', 'numpy')


def start(spec_file: pathlib.Path | None, replicas: int = 1) -> dict:
  """What environment.json says of a start of training, which has not ended; after TensorFlow has made its devices.

  Args:
    spec_file: the file that the spec is from, whose folder's commit is told. None: no file, the current directory.
    replicas: how many devices train together.
  """
  return {
    'begin': now(),
    'end': None,
    'outcome': None,
    'command': shlex.join(sys.orig_argv),
    'git': {'spec': commit(spec_file or pathlib.Path()), 'tfvae': commit(_own(), tracked=True)},
    'host': platform.node(),
    'cpu': f'{cpu()}, {cores()} cores',
    'devices': devices(),
    'replicas': replicas,
    'versions': versions(),
  }


def versions() -> dict[str, str]:
  """Of Python, the machine's kind, and the packages that numbers depend on."""
  # tfvae's own is that of the code: of a clone, the installed metadata may be those of another day.
  found = {'python': platform.python_version(), 'machine': platform.machine(), 'tfvae': __version__}
  for name in PACKAGES:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      found[name] = importlib.metadata.version(name)
  return found


def devices() -> list[str]:
  """The GPUs by name, or the CPU, of this process."""
  import tensorflow as tf

  details = tf.config.experimental.get_device_details
  names = [details(gpu).get('device_name', gpu.name) for gpu in tf.config.list_physical_devices('GPU')]
  return names or [cpu()]


def cpu() -> str:
  """The processor's name."""
  with contextlib.suppress(OSError), open('/proc/cpuinfo') as file:
    for line in file:
      if line.startswith('model name'):
        return line.partition(':')[2].strip()
  return platform.processor() or platform.machine()


def cores() -> int:
  """Cores that this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()


def commit(path: pathlib.Path, tracked: bool = False) -> dict | None:
  """{'commit', 'clean'} of the git repository that a file or folder is in; None: in none, or git does not say.

  clean: whether no file of the repository differs from the commit, and `path`, but for the current directory, holds
    nothing that the repository does not. Other files, run directories, say, may be there.
  tracked: None also where the repository does not hold `path`: an installed package below a user's own repository.
  """
  folder = path if path.is_dir() else path.parent
  with contextlib.suppress(OSError, subprocess.SubprocessError):
    if tracked and not _git(folder, 'ls-files'):
      return None
    changes = _git(folder, 'status', '--porcelain', '--untracked-files=no')
    if path != pathlib.Path():
      changes += _git(folder, 'status', '--porcelain', '--', str(path.absolute()))
    return {'commit': _git(folder, 'rev-parse', 'HEAD'), 'clean': not changes}
  return None


def _git(folder, *arguments):
  # A repository's own configuration may name programs to run: that is not asked for here.
  command = ['git', '-c', 'core.fsmonitor=false', '-C', str(folder), *arguments]
  return subprocess.run(
    command, capture_output=True, encoding='utf-8', errors='replace', timeout=10, check=True
  ).stdout.strip()


def _own():
  return pathlib.Path(__file__).parent


def now() -> str:
  """The time, in UTC."""
  return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
