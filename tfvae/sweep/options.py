"""What --sweep.OPTION=VALUE says beside the fields."""

from collections.abc import Iterable
from typing import NamedTuple

from tfvae.errors import SpecError, nearest, short

EXECUTORS = ('local', 'ray', 'stacked')
NAMES = ('executor', 'jobs', 'threads', 'gpus', 'zip')
MOST = 4096  # workers, and threads of one


class Options(NamedTuple):
  """Who trains the runs of a grid, and how. 0: as the executor chooses."""

  executor: str = 'local'
  jobs: int = 0
  threads: int = 0
  gpus: float = 0.0


def split(flags: Iterable[tuple[str, str]]) -> tuple[Options, list[tuple[str, str]], list[str]]:
  """(the options, (field, values) of the axes, the zips) of (name, text) pairs. Raises SpecError."""
  found, axes, zips, problems = {}, [], [], []
  for name, text in flags:
    if name == 'zip':
      zips.append(text)
    elif name not in NAMES:
      axes.append((name, text))
    elif name in found:
      problems.append(f'sweep.{name}: is given twice')
    else:
      found[name] = text
  chosen = {}
  for name, text in found.items():
    value, allowed = _value(name, text)
    if value is None:
      hint = nearest(text, EXECUTORS) if name == 'executor' else ''
      problems.append(f'sweep.{name}: got {short(text)}; allowed: {allowed}.{hint}')
    chosen[name] = value
  options = Options(**chosen)
  if not problems and options.gpus and options.executor != 'ray':
    problems.append('sweep.gpus: is for --sweep.executor=ray; others share the GPUs that CUDA_VISIBLE_DEVICES names')
  if not problems and options.jobs and options.executor == 'ray':
    problems.append('sweep.jobs: is not for --sweep.executor=ray, which runs as many as its CPUs and GPUs allow')
  if problems:
    raise SpecError(problems)
  return options, axes, zips


def _value(name, text):
  """(the value, or None where it is none, what is allowed)."""
  if name == 'executor':
    return (text if text in EXECUTORS else None), ' | '.join(EXECUTORS)
  try:
    value = float(text) if name == 'gpus' else int(text)
  except ValueError:
    value = -1
  if name == 'gpus':
    return (value if 0 < value <= 1 or value in range(2, 65) else None), 'a share of a GPU such as 0.25, or how many'
  return (value if 1 <= value <= MOST else None), f'an integer from 1 to {MOST}'
