"""Devices and workers in training: the strategy that joins them, what they agree on, and what is told when one is lost.

Importing this imports no TensorFlow.
"""

import contextlib
import os
import pathlib
import re
import socket
import sys
import threading

import numpy as np

from tfvae import __version__
from tfvae.errors import RunError, UserError
from tfvae.training.cluster import Cluster
from tfvae.training.meeting import meet

HTTP2_PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # what gRPC answers to


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
      from tfvae.run.checkpoint_files import newest

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
    tasks = re.findall(r'job:(chief|worker)\S*?task:(\d+)', str(error))
    gone = {self._cluster.of_task(job, int(task)) for job, task in tasks} - {self.index}
    gone = {index for index in gone if index < len(self._cluster.addresses)} or {
      index for index in range(len(self._cluster.addresses)) if index != self.index and not self._listens(index)
    }
    return ', '.join(self._cluster.name(index) for index in sorted(gone)) or 'another worker'

  def _listens(self, index):
    """Whether TensorFlow's server answers there: that of a stopped process takes the connection but says nothing."""
    with contextlib.suppress(OSError), socket.create_connection(self._cluster.endpoint(index), timeout=1.0) as peer:
      peer.settimeout(2.0)
      peer.sendall(HTTP2_PREFACE)
      return bool(peer.recv(1))
    return False


def one_device():
  """The strategy of a GPU, or of the CPU where there is none."""
  import tensorflow as tf

  gpus = tf.config.list_logical_devices('GPU')
  return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else '/cpu:0')


def connect(train, cluster: Cluster | None = None, common: int = 0, workdir: pathlib.Path | None = None):
  """The strategy of several devices that spec.train asks for; before anything has made TensorFlow's devices.

  Args:
    train: spec.train, whose strategy is not `one`.
    cluster: of `cluster_of`.
    common: a number that all workers must have in common.
    workdir: the run directory, by which workers know each other; the chief holds its lock.

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
    meet(cluster, train.startup_timeout, f'tfvae {__version__}, spec {common:08x}, {gpus} GPUs', workdir)
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
    # gRPC, whatever TF_CONFIG says: a release of TensorFlow has no other protocol.
    own = cluster.resolver or tf.distribute.cluster_resolver.TFConfigClusterResolver(rpc_layer='grpc')
    strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=own)
    Workers(cluster, strategy).gather()
    return strategy
  finally:
    watch.cancel()
