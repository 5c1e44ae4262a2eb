"""The processes that train one run together: who they are, and how they wait for each other. No TensorFlow, unless
Slurm is asked.
"""

import contextlib
import json
import os
import re
import select
import shutil
import socket
import time
from typing import NamedTuple

from tfvae.errors import RunError, SpecError

PATIENCE = 3.0  # seconds before waiting is worth a word
GREETING = 'tfvae worker {} of {}, {}\n'


class Cluster(NamedTuple):
  """The workers' addresses, the chief's first, and which of them this process is."""

  addresses: tuple[str, ...]  # host:port
  index: int
  resolver: object | None = None  # Slurm's; None: TF_CONFIG

  @property
  def is_chief(self) -> bool:
    """Whether this process writes the run directory."""
    return self.index == 0

  def name(self, index: int) -> str:
    """A worker, for messages."""
    return f'worker {index}{" (the chief)" if index == 0 else ""} at {self.addresses[index]}'


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
    return SpecError([f'TF_CONFIG: {what}; got {text[:200]}'])

  try:
    config = json.loads(text)
    cluster, task = dict(config['cluster']), dict(config['task'])
    kind, index = task['type'], int(task['index'])
  except (ValueError, TypeError, KeyError, AttributeError) as error:
    raise wrong(f'must be JSON with "cluster" and "task" (type and index): {type(error).__name__} {error}') from None
  if set(cluster) - {'chief', 'worker'} or kind not in cluster:
    raise wrong('the cluster may have "worker" and "chief" jobs, and the task must be one of them')
  jobs = {job: list(cluster[job]) for job in ('chief', 'worker') if job in cluster}
  if not 0 <= index < len(jobs[kind]):
    raise wrong(f'there is no {kind} {index}')
  addresses = tuple(str(address) for job in jobs.values() for address in job)
  if bad := [address for address in addresses if not re.fullmatch(r'.+:\d+', address)]:
    raise wrong(f'addresses are host:port, not {bad[0]!r}')
  if len(set(addresses)) < len(addresses):
    raise wrong('two workers have the same address')
  return Cluster(addresses, index + (len(jobs.get('chief', ())) if kind == 'worker' else 0))


def _from_slurm():
  from tfvae.quiet import import_tensorflow

  import_tensorflow()
  import tensorflow as tf

  try:
    # Without that program, which it would ask, it is told of more GPUs than anyone uses: it cannot count to none.
    none = {'gpus_per_node': 1024, 'gpus_per_task': 1, 'auto_set_gpu': False}
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(**({} if shutil.which('nvidia-smi') else none))
    addresses = tuple(resolver.cluster_spec().as_dict()['worker'])
    return Cluster(addresses, int(resolver.task_id), resolver)
  except (KeyError, ValueError, RuntimeError) as error:
    raise SpecError(
      [
        f"spec.train.strategy: got multi_worker, but Slurm's variables are not complete ({type(error).__name__}: "
        f'{error}); start the workers with srun inside a job, or set TF_CONFIG'
      ]
    ) from None


# Before TensorFlow's own start, which waits for ever and without a word.


def meet(cluster: Cluster, timeout: float, tag: str = '', say=print) -> None:
  """Waits until all workers are there, each at its own address: says for whom, and gives up after `timeout` seconds.

  Each worker answers at its address, and asks the others at theirs, until it has been asked by all and answered by
  all. `tag` is what all of them must have in common. Raises RunError, naming the workers that did not come or differ.
  """
  others = set(range(len(cluster.addresses))) - {cluster.index}
  if not others:
    return
  begun, silent = time.monotonic(), PATIENCE
  unanswered, unasked, differing = set(others), set(others), {}
  with _listener(cluster) as listener:
    while unanswered or unasked:
      for index in sorted(unanswered):
        if (there := _ask(cluster, index, tag)) is not None:
          unanswered.discard(index)
          differing |= {index: there} if there != tag else {}
      deadline = time.monotonic() + 0.2
      while (left := deadline - time.monotonic()) > 0 and (unanswered or unasked):
        index, there = _answer(listener, cluster, tag, left)
        unasked.discard(index)
        differing |= {index: there} if index in others and there != tag else {}
      waited = time.monotonic() - begun
      missing = ', '.join(cluster.name(index) for index in sorted(unanswered | unasked))
      if differing and waited > PATIENCE:  # long enough for the others to hear it from us
        break
      if missing and waited > timeout:
        raise RunError(
          f'gave up after {timeout:g} s (spec.train.startup_timeout): {missing} did not come. Start every worker with '
          'the same command, and check the addresses, the firewall, and what the others print'
        )
      if missing and waited > silent:
        say(f'Worker {cluster.index} waits for {missing} ({timeout - waited:.0f} s left).', flush=True)
        silent = waited + 10 * PATIENCE
  for index, there in differing.items():
    raise RunError(
      f'{cluster.name(index)} has another command or other devices ({there}) than this one ({tag}); all workers need '
      'the same spec, the same version of tfvae, and the same number of GPUs'
    )


def _listener(cluster):
  port = int(cluster.addresses[cluster.index].rpartition(':')[2])
  listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
  listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    listener.bind(('', port))
    listener.listen(len(cluster.addresses) + 8)
  except OSError as error:
    listener.close()
    raise RunError(
      f'port {port} of {cluster.name(cluster.index)} (this process) cannot be used ({error.strerror}); end the process '
      'that has it, or give another port to all workers'
    ) from None
  return listener


def _ask(cluster, index, tag):
  """The tag of worker `index`, where it answers at its address."""
  host, _, port = cluster.addresses[index].rpartition(':')
  with contextlib.suppress(OSError), socket.create_connection((host.strip('[]'), int(port)), timeout=1.0) as peer:
    peer.sendall(_greeting(cluster, tag))
    who, there = _understood(cluster, peer.recv(256))
    if who == index:
      peer.sendall(b'.')  # heard: a worker whose answer came too late must be asked again, and not leave
      return there
  return None


def _answer(listener, cluster, tag, seconds):
  """Answers one worker that asks within `seconds`: (which one, its tag), or (None, None)."""
  if select.select([listener], [], [], seconds)[0]:
    with contextlib.suppress(OSError), listener.accept()[0] as peer:
      peer.settimeout(3.0)  # longer than the other end waits
      who, there = _understood(cluster, peer.recv(256))
      if who is not None:
        peer.sendall(_greeting(cluster, tag))
        if peer.recv(1) and not peer.recv(1):  # heard; and the other end closes first, so that our port is free at once
          return who, there
  return None, None


def _greeting(cluster, tag):
  return GREETING.format(cluster.index, len(cluster.addresses), tag).encode()


def _understood(cluster, said):
  """(the worker that said this, its tag), or (None, None)."""
  there = re.fullmatch(GREETING.format(r'(\d+)', len(cluster.addresses), '(.*)'), said.decode(errors='replace'))
  return (int(there[1]), there[2]) if there else (None, None)
