"""The processes that train one run together: who they are. No TensorFlow, unless Slurm is asked."""

import ipaddress
import json
import os
import re
import reprlib
import shutil
import subprocess
from typing import NamedTuple

from tfvae.errors import SpecError

ADDRESS = re.compile(r'(?:\[([0-9A-Fa-f:.]{2,45}(?:%[\w.-]{1,15})?)\]|([\w.-]+)):([0-9]{1,9})', re.ASCII)


class Cluster(NamedTuple):
  """The workers' addresses, the chief's first, and which of them this process is."""

  addresses: tuple[str, ...]  # host:port or [IPv6 address]:port
  index: int
  resolver: object | None = None  # Slurm's; None: TF_CONFIG
  chief_job: bool = False  # the chief is not the first task of the job `worker`, but has a job of its own

  @property
  def is_chief(self) -> bool:
    """Whether this process writes the run directory."""
    return self.index == 0

  def name(self, index: int) -> str:
    """A worker, for messages."""
    return f'worker {index}{" (the chief)" if index == 0 else ""} at {self.addresses[index]}'

  def of_task(self, job: str, task: int) -> int:
    """The worker that is such a task to TensorFlow."""
    return task + (self.chief_job and job == 'worker')

  def endpoint(self, index: int) -> tuple[str, int]:
    """(host, port) of a worker."""
    return endpoint(self.addresses[index])


def endpoint(address: str) -> tuple[str, int]:
  """(host, port) of an address. Raises ValueError, which says what is wrong with it."""
  if not (parts := ADDRESS.fullmatch(address)):
    raise ValueError(
      f'addresses are host:port or [IPv6 address]:port, of ASCII letters, digits, ".", "-" and "_" (an international '
      f'name in its form xn--...), not {reprlib.repr(address)}'
    )
  six, name, port = parts[1], parts[2], int(parts[3])
  if not 1 <= port <= 65535:
    raise ValueError(f'ports are from 1 to 65535, not {port}')
  if six:
    ipaddress.IPv6Address(six)
  elif len(name) > 253 or not all(1 <= len(label) <= 63 for label in name.removesuffix('.').split('.')):
    raise ValueError(
      f'a name of a host has at most 253 characters, from 1 to 63 between its dots, unlike {reprlib.repr(name)}'
    )
  return six or name, port


def cluster_of(strategy: str) -> Cluster | None:
  """The workers of spec.train.strategy=multi_worker, from TF_CONFIG or Slurm's variables; None for other strategies.

  Raises SpecError where the environment does not say who they are.
  """
  if strategy != 'multi_worker':
    return None
  if os.environ.get('TF_CONFIG', '').strip() not in ('', '{}'):
    return _from_tf_config(os.environ['TF_CONFIG'])
  if 'SLURM_PROCID' in os.environ:
    return _from_slurm()
  raise SpecError(
    [
      'spec.train.strategy: got multi_worker, but neither TF_CONFIG nor Slurm says who the workers are. Set TF_CONFIG='
      '\'{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}\' (index 1 on '
      'the second, ...), start with srun, or use spec.train.strategy=one or mirrored'
    ]
  )


def _from_tf_config(text):
  def wrong(what):
    return SpecError([f'TF_CONFIG: {what}; got {text[:200]!r}'])

  try:
    config = json.loads(text)
    cluster, task = config['cluster'], config['task']
    kind, index = task['type'], task['index']
  except (ValueError, TypeError, KeyError, RecursionError) as error:
    raise wrong(f'must be JSON with "cluster" and "task" (type and index): {type(error).__name__} {error}') from None
  if not isinstance(cluster, dict) or set(cluster) - {'chief', 'worker'}:
    raise wrong('the cluster may have "worker" and "chief" jobs, each a list of addresses')
  if not isinstance(kind, str) or kind not in cluster:
    raise wrong(f"the task's type must be one of the cluster's jobs, not {reprlib.repr(kind)}")
  jobs = {job: cluster[job] for job in ('chief', 'worker') if job in cluster}
  for job, own in jobs.items():
    if not isinstance(own, list) or not own or not all(isinstance(address, str) for address in own):
      raise wrong(f'"{job}" must be a list of addresses, such as ["host1:2222"], not {reprlib.repr(own)}')
  if len(jobs.get('chief', ())) > 1:
    raise wrong('there can be one chief')
  if type(index) not in (int, str) or not re.fullmatch('[0-9]{1,9}', str(index)):  # and no bool
    raise wrong(f"the task's index must be a whole number, from 0 on, not {reprlib.repr(index)}")
  index = int(index)
  if index >= len(jobs[kind]):
    raise wrong(f'there is no {kind} {index}')
  addresses = tuple(address for own in jobs.values() for address in own)
  try:
    _check(addresses)
  except ValueError as error:
    raise wrong(error) from None
  cluster = Cluster(addresses, index, chief_job='chief' in jobs)
  return cluster._replace(index=cluster.of_task(kind, index))


def _check(addresses):
  if len({(host.lower(), port) for host, port in map(endpoint, addresses)}) < len(addresses):
    raise ValueError('two workers have the same address')


def _from_slurm():
  from tfvae.quiet import import_tensorflow

  import_tensorflow()
  import tensorflow as tf

  try:
    # Without that program, which it would ask, it is told of more GPUs than anyone uses: it cannot count to none.
    none = {'gpus_per_node': 1024, 'gpus_per_task': 1, 'auto_set_gpu': False}
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(**({} if shutil.which('nvidia-smi') else none))
    addresses = tuple(resolver.cluster_spec().as_dict()['worker'])
    _check(addresses)
    cluster = Cluster(addresses, int(resolver.task_id), resolver)
    cluster.endpoint(cluster.index)
    return cluster
  except (KeyError, ValueError, TypeError, IndexError, RuntimeError, OSError, subprocess.SubprocessError) as error:
    raise SpecError(
      [
        f"spec.train.strategy: got multi_worker, but Slurm's variables are not complete ({type(error).__name__}: "
        f'{error}); start the workers with srun inside a job, or set TF_CONFIG'
      ]
    ) from None
