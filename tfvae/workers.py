"""The processes that train one run together: who they are, waiting for each other, agreeing, and what is told when one
is lost. Importing this imports no TensorFlow.
"""

import contextlib
import json
import os
import re
import select
import shutil
import socket
import sys
import threading
import time
from typing import NamedTuple

import numpy as np

from tfvae import __version__
from tfvae.errors import RunError, SpecError, UserError

PATIENCE = 3.0  # seconds before waiting is worth a word; and between two tries
HTTP2_PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # what gRPC answers to
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
  unanswered, unasked = set(others), set(others)
  with _listener(cluster) as listener:
    while unanswered or unasked:
      for index in sorted(unanswered):
        if _ask(cluster, index, tag):
          unanswered.discard(index)
      deadline = time.monotonic() + 0.2
      while (left := deadline - time.monotonic()) > 0 and (unanswered or unasked):
        unasked.discard(_answer(listener, cluster, tag, left))
      waited = time.monotonic() - begun
      missing = ', '.join(cluster.name(index) for index in sorted(unanswered | unasked))
      if not missing:
        break
      if waited > timeout:
        raise RunError(
          f'gave up after {timeout:g} s (spec.train.startup_timeout): {missing} did not come. Start every worker with '
          'the same command, and check the addresses, the firewall, and what the others print'
        )
      if waited > silent:
        say(f'Worker {cluster.index} waits for {missing} ({timeout - waited:.0f} s left).', flush=True)
        silent = waited + 10 * PATIENCE


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
  """Whether worker `index` answers at its address."""
  host, _, port = cluster.addresses[index].rpartition(':')
  with contextlib.suppress(OSError), socket.create_connection((host.strip('[]'), int(port)), timeout=1.0) as peer:
    peer.settimeout(1.0)
    peer.sendall(_greeting(cluster, tag))
    return _who(cluster, tag, peer.recv(256)) == index
  return False


def _answer(listener, cluster, tag, seconds):
  """Answers one worker that asks within `seconds`; returns which one."""
  if not select.select([listener], [], [], seconds)[0]:
    return None
  with contextlib.suppress(OSError), listener.accept()[0] as peer:
    peer.settimeout(1.0)
    said = peer.recv(256)
    if said.startswith(b'tfvae worker'):
      peer.sendall(_greeting(cluster, tag))
      index = _who(cluster, tag, said)
      peer.recv(1)  # the other end closes first, so that our port is free at once
      return index
  return None


def _greeting(cluster, tag):
  return GREETING.format(cluster.index, len(cluster.addresses), tag).encode()


def _who(cluster, tag, said):
  """The worker that said this, or None. Raises RunError where it is not about the same."""
  there = re.fullmatch(GREETING.format(r'(\d+)', len(cluster.addresses), '(.*)'), said.decode(errors='replace'))
  if there and there[2] != tag:
    raise RunError(
      f'{cluster.name(int(there[1]))} has another command or other devices ({there[2]}) than this one ({tag}); all '
      'workers need the same spec, the same version of tfvae, and the same number of GPUs'
    )
  return int(there[1]) if there else None


class Workers:
  """This process among those that train a run together; alone where there is no cluster.

  Args:
    cluster: of `cluster_of`.
    strategy: of `connect`.
  """

  def __init__(self, cluster: Cluster | None, strategy):
    self._cluster, self._strategy, self._gather = cluster, strategy, None
    self.index, self.is_chief = (cluster.index, cluster.is_chief) if cluster else (0, True)
    if cluster and len(cluster.addresses) > 1:
      import tensorflow as tf

      def gather(value):
        def own():
          context = tf.distribute.get_replica_context()
          first = context.replica_id_in_sync_group % len(strategy.extended.worker_devices) == 0
          return context.all_reduce(tf.distribute.ReduceOp.SUM, value * tf.cast(first, value.dtype))

        return strategy.experimental_local_results(strategy.run(own))[0]

      self._gather = tf.function(gather, autograph=False)

  def gather(self, *values: float) -> np.ndarray:
    """These numbers of every worker, [workers, len(values)]: each waits here for all the others."""
    if self._gather is None:
      return np.array([values], np.float64)
    import tensorflow as tf

    table = np.zeros((len(self._cluster.addresses), max(1, len(values))))
    table[self.index, : len(values)] = values
    return self._gather(tf.constant(table)).numpy()

  def require_same(self, what: str, value: int) -> None:
    """Raises RunError where the workers' values differ."""
    values = [int(row[0]) for row in self.gather(value)]
    if len(set(values)) > 1:
      other = next(index for index, one in enumerate(values) if one != values[0])
      raise RunError(f'{what}: {self._cluster.name(other)} has {values[other]}, the chief has {values[0]}')

  @contextlib.contextmanager
  def guarded(self, checkpoints):
    """Inside, the errors that come of a lost worker end this one with a RunError that names it."""
    try:
      yield
    except Exception as error:
      if not (lost := self._lost(error)):
        raise
      from tfvae.checkpoints import newest

      found = newest(checkpoints)
      last = checkpoints / f'ckpt-{found}' if found else 'none yet'
      raise RunError(
        f'{lost} was lost; worker {self.index} ends, too. Last good checkpoint: {last}. Start all workers again with '
        'the same command, and they go on from there'
      ) from None

  def _lost(self, error):
    """The worker that is gone, where `error` came of that; None for errors of another kind."""
    if self._gather is None:
      return None
    import tensorflow as tf

    kinds = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError)
    kinds += (tf.errors.DeadlineExceededError, tf.errors.FailedPreconditionError, tf.errors.UnknownError)
    if not isinstance(error, kinds):
      return None
    gone = {int(task) for task in re.findall(r'task:(\d+)', str(error))} - {self.index}
    gone = {index for index in gone if index < len(self._cluster.addresses)} or {
      index for index in range(len(self._cluster.addresses)) if index != self.index and not self._listens(index)
    }
    return ', '.join(self._cluster.name(index) for index in sorted(gone)) or 'another worker'

  def _listens(self, index):
    """Whether TensorFlow's server answers there: that of a stopped process takes the connection but says nothing."""
    host, _, port = self._cluster.addresses[index].rpartition(':')
    with contextlib.suppress(OSError), socket.create_connection((host.strip('[]'), int(port)), timeout=1.0) as peer:
      peer.settimeout(2.0)
      peer.sendall(HTTP2_PREFACE)
      return bool(peer.recv(1))
    return False


def one_device():
  """The strategy of a GPU, or of the CPU where there is none."""
  import tensorflow as tf

  gpus = tf.config.list_logical_devices('GPU')
  return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else '/cpu:0')


def connect(train, cluster: Cluster | None = None, common: int = 0):
  """The strategy of several devices that spec.train asks for; before anything has made TensorFlow's devices.

  Args:
    train: spec.train, whose strategy is not `one`.
    cluster: of `cluster_of`.
    common: a number that all workers must have in common.

  Raises UserError where the devices cannot be had, RunError where workers do not come or differ.
  """
  from tfvae.quiet import import_tensorflow

  import_tensorflow()
  import tensorflow as tf

  # Grappler's pass groups control edges between devices, and with them loses some: a weight was then, now and then,
  # read after the update that was to follow (two players on two logical devices, TensorFlow 2.21).
  tf.config.optimizer.set_experimental_options({'dependency_optimization': False})
  if cluster:
    gpus = len(tf.config.list_physical_devices('GPU'))
    meet(cluster, train.startup_timeout, f'tfvae {__version__}, spec {common:08x}, {gpus} GPUs')
    return _multi_worker(cluster, train.startup_timeout)
  devices = _local_devices(train.logical_devices)
  # TensorFlow's collectives are for one group of devices in the life of a process; several CPUs need none.
  operations = tf.distribute.ReductionToOneDevice() if 'CPU' in devices[0] else None
  return tf.distribute.MirroredStrategy(devices, cross_device_ops=operations)


def _local_devices(logical):
  """All GPUs, or `logical` devices of the CPU."""
  import tensorflow as tf

  if not logical:
    gpus = tf.config.list_logical_devices('GPU')
    return [device.name for device in gpus] or [tf.config.list_logical_devices('CPU')[0].name]
  cpu, *_ = tf.config.list_physical_devices('CPU')
  with contextlib.suppress(RuntimeError):  # TensorFlow has its devices already
    if len(tf.config.get_logical_device_configuration(cpu) or ()) < logical:
      tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * logical)
  there = tf.config.list_logical_devices('CPU')
  if len(there) < logical:
    raise UserError(
      f'spec.train.logical_devices: got {logical}, but TensorFlow runs in this process with {len(there)} logical '
      'CPU already; train in a new process'
    )
  return [device.name for device in there[:logical]]


def _multi_worker(cluster, timeout):
  import tensorflow as tf

  def give_up():
    print(
      f'error: TensorFlow did not connect the workers within {timeout:g} s (spec.train.startup_timeout); another '
      'worker ended, or cannot be reached. Start all of them again',
      file=sys.stderr,
      flush=True,
    )
    os._exit(1)

  watch = threading.Timer(timeout, give_up)  # they met, but one may end in this moment, and TensorFlow waits for ever
  watch.daemon = True
  watch.start()
  try:
    strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=cluster.resolver)
    Workers(cluster, strategy).gather()
    return strategy
  finally:
    watch.cancel()
