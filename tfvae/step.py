"""One training step of every player, and many of them in one call. All that runs on the devices in training."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae import noise as noise_lib


class Steps(NamedTuple):
  """Where a call of `Stepper.run` ended."""

  taken: int  # steps taken
  sums: tf.Tensor  # of each metric since the last log, [M] float64
  last: tf.Tensor  # each metric in the last step, [M] float64
  finite: bool  # whether losses and gradients were finite; if not, the last step is the culprit


class Stepper:
  """Moves the players of an objective, one after the other, each from fresh samples.

  Args:
    strategy: a tf.distribute strategy; a step is only ever called through its `run`.
    model, objective, source: what is trained, how, on what.
    groups: player -> [(optimizer, variables), ...].
    ema: the moving average of the weights, or None.
    seed: of the noise.
    clip_norm: upper limit of the global norm of a player's gradient; 0: none.
    compile: 'xla' | 'graph' | 'eager'.
  """

  def __init__(self, strategy, model, objective, source, groups, ema, seed: int, clip_norm: float, compile: str):
    self.strategy, self.model, self.objective, self.source = strategy, model, objective, source
    self._groups, self._ema, self._seed, self._clip_norm = groups, ema, seed, clip_norm
    self._replicas = strategy.num_replicas_in_sync
    self._global_batch = source.batch_size
    self._requests = noise_lib.record(self._ask)
    self._move = tf.function(self._move_all, autograph=False, jit_compile=True) if compile == 'xla' else self._move_all
    self.run: Callable = self._run if compile == 'eager' else tf.function(self._run, autograph=False)

  def _ask(self, noise):
    """Asks for all the noise of a step, as a step does, and learns the metrics' names on the way."""

    def ask():
      batch = self._batch(tf.zeros([self._global_batch // self._replicas], tf.int64), noise)
      self.metric_names = []
      for player in self._groups:
        _, metrics = self.objective.loss(player, self.model, batch, tf.constant(0, tf.int64), noise.scope(player))
        self.metric_names += [self._suffixed('gradient_norm', player), self._suffixed('loss', player), *metrics]
      if len(set(self.metric_names)) < len(self.metric_names):
        raise ValueError(f'two players have a metric of the same name among {self.metric_names}')

    self.strategy.run(ask)

  def _batch(self, index, noise):
    return self.source.batch(index, noise.scope('data'))

  def _suffixed(self, name, player):
    return name if len(self._groups) == 1 else f'{name}/{player}'

  def zeros(self) -> np.ndarray:
    """The sums before the first step."""
    return np.zeros(len(self.metric_names))

  def _run(self, first: tf.Tensor, count: tf.Tensor, sums: tf.Tensor) -> Steps:
    """Takes `count` steps, the first of which has number `first` (from 0); stops at one that is not finite."""
    indices = self.source.indices(first, count)

    def body(i, sums, last, finite):
      del last, finite
      return i + 1, *self.strategy.run(self._replica_step, args=(indices[i], first + i, sums))

    start = (tf.constant(0, tf.int64), sums, tf.zeros_like(sums), tf.constant(True))
    return Steps(*tf.while_loop(lambda i, sums, last, finite: (i < count) & finite, body, start, parallel_iterations=1))

  def _replica_step(self, index, step, sums):
    context = tf.distribute.get_replica_context()
    replica = context.replica_id_in_sync_group
    values = noise_lib.draw(self._requests, self._seed, step, replica, self._replicas)
    if self._replicas > 1:
      size = self._global_batch // self._replicas
      index = tf.slice(index, [replica * size], [size])
    return self._move(self._batch(index, noise_lib.replay(values)), step, values, sums)

  def _move_all(self, batch, step, values, sums):
    """One step: (sums with this step's means, these means, whether losses and gradient norms are finite)."""
    noise, moved = noise_lib.replay(values), []
    for player in self._groups:
      moved.append(self._move_player(player, batch, step, noise.scope(player)))
    # One vector rather than a tensor for each metric: a small step is bound by the number of its operations.
    last = tf.concat(moved, axis=0)
    self.objective.update(dict(zip(self.metric_names, tf.unstack(last), strict=True)), step)
    if self._ema is not None:
      self._ema.update()
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(values[:2])) for values in moved])
    last = tf.cast(last, tf.float64)
    return sums + last, last, finite

  def _move_player(self, player, batch, step, noise):
    """Moves one player; returns its gradient norm and the means of its loss and metrics, in `metric_names`' order."""
    groups = self._groups[player]
    variables = [v for _, members in groups for v in members]
    with tf.GradientTape() as tape:
      loss, metrics = self.objective.loss(player, self.model, batch, step, noise)
      # Averaged over the global batch; penalties of Keras layers once, whatever the number of replicas.
      total = tf.reduce_sum(loss) / self._global_batch
      for penalty in self.model.losses:
        total += tf.cast(penalty, total.dtype) / self._replicas
    gradients = tape.gradient(total, [v.value for v in variables], unconnected_gradients='zero')
    rows = [loss, *(tf.broadcast_to(tf.cast(value, loss.dtype), loss.shape) for value in metrics.values())]
    means = tf.reduce_sum(tf.stack(rows), axis=1) / self._global_batch
    # Summed over the replicas first, then measured and clipped, so that two replicas do what one does.
    if self._replicas > 1:
      context = tf.distribute.get_replica_context()
      gradients, means = context.all_reduce(tf.distribute.ReduceOp.SUM, (gradients, means))
    norm = tf.linalg.global_norm(gradients)
    if self._clip_norm:
      gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm, use_norm=norm)
    for optimizer, members in groups:
      optimizer.apply(gradients[: len(members)], members)
      gradients = gradients[len(members) :]
    return tf.concat([tf.cast(norm, means.dtype)[None], means], axis=0)


# On a CPU, XLA pays for dense nets from about this many values of x in a step (samples x batch x dimensions).
XLA_FROM = 30_000


def compile_mode(compile: str, model, values: int) -> str:
  """What 'auto' stands for, as measured (docs/performance.md); any other mode is what it says.

  xla on a GPU. On a CPU graph for convolutions, which XLA makes slower, and for steps so small that launching the
  compiled program costs more than it saves; else xla.

  Args:
    compile: spec.train.compile.
    model: the Keras model.
    values: samples x global batch x dimensions of x.
  """
  if compile != 'auto':
    return compile
  if tf.config.list_physical_devices('GPU'):
    return 'xla'
  convolutional = any(len(variable.shape) == 4 for variable in model.trainable_variables)  # kernels
  return 'graph' if convolutional or values < XLA_FROM else 'xla'
