"""One training step of every player, and many of them in one call. All that runs on the devices in training."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae import noise as noise_lib
from tfvae.noise import Share


class Steps(NamedTuple):
  """Where a call of `Stepper.run` ended."""

  taken: int  # steps taken
  sums: tf.Tensor  # of each metric since the last log, [M] float64
  last: tf.Tensor  # each metric in the last step, [M] float64
  finite: bool  # whether losses and gradients were finite; if not, the last step is the culprit


class Stepper:
  """Moves the players of an objective, one after the other, each from fresh samples.

  The global batch is shared out to the replicas of the strategy; losses, metrics and gradients are sums over all of
  them, so that training does not depend on their number.

  Args:
    strategy: a tf.distribute strategy, under whose scope the rest was made.
    model, objective, source: what is trained, how, on what.
    groups: player -> [(optimizer, variables), ...].
    ema: the moving average of the weights, or None.
    seed: of the noise; a variable, where it may be another one with the next run.
    clip_norm: upper limit of the global norm of a player's gradient; 0: none.
    compile: 'xla' | 'graph' | 'eager'.
    worker: the number of this process among those of the strategy.

  Attributes:
    requests: the noise that a step asks for, that of its batch in the scope 'data'.
    metric_names: K.
    rows: of the global batch, for this process.
  """

  def __init__(
    self, strategy, model, objective, source, groups, ema, seed, clip_norm: float, compile: str, worker: int = 0
  ):
    self.strategy, self.model, self.objective, self.source = strategy, model, objective, source
    self.groups, self.ema, self._seed, self._clip_norm = groups, ema, seed, clip_norm
    self._global_batch, self._replicas = source.batch_size, strategy.num_replicas_in_sync
    self._size = -(-self._global_batch // self._replicas)  # examples of a replica; the last one's may be fewer
    local = len(strategy.extended.worker_devices)
    self._first_row = worker * local * self._size
    rows = np.arange(self._first_row, self._first_row + local * self._size)
    self.rows = np.minimum(rows, self._global_batch - 1)
    self._gradients, self._move = self._gradients_of, self.move
    if compile == 'xla' and self._replicas == 1:
      move = functools.partial(self.move, norm=norm_in_parts)
      self._move = tf.function(move, autograph=False, jit_compile=True)
    elif compile == 'xla':  # what crosses the replicas cannot be compiled
      self._gradients = tf.function(self._gradients_of, autograph=False, jit_compile=True)
    for optimizer, _ in (pair for pairs in groups.values() for pair in pairs if self._replicas > 1):
      # Keras would sum over the replicas when it applies gradients; these are summed before they are clipped.
      optimizer._all_reduce_sum_gradients = lambda pairs: pairs
    self.requests = noise_lib.record(self._ask)
    number, sums = tf.TensorSpec([], tf.int64), tf.TensorSpec([len(self.metric_names)], tf.float64)
    signature = (source.feed_spec(self.rows), number, number, sums)
    self.run: Callable = (
      self._run if compile == 'eager' else tf.function(self._run, input_signature=signature, autograph=False)
    )

  def _ask(self, noise):
    """Asks for all the noise of a step, as a step does, and learns the metrics' names on the way."""

    def ask():
      batch, self.metric_names = self.source.batch(self.source.blank(self._size), noise.scope('data')), []
      for player in self.groups:
        _, metrics = self.objective.loss(player, self.model, batch, tf.constant(0, tf.int64), noise.scope(player))
        plain, wide = _by_rank(metrics)
        own = [*plain, *(f'{name}/{k}' for name, value in wide.items() for k in range(value.shape[1]))]
        self.metric_names += [self._suffixed('gradient_norm', player), self._suffixed('loss', player), *own]
      if len(set(self.metric_names)) < len(self.metric_names):
        raise ValueError(f'two players have a metric of the same name among {self.metric_names}')

    self.strategy.run(ask)

  def _suffixed(self, name, player):
    return name if len(self.groups) == 1 else f'{name}/{player}'

  def zeros(self) -> np.ndarray:
    """The sums before the first step."""
    return np.zeros(len(self.metric_names))

  def _run(self, feed, first: tf.Tensor, count: tf.Tensor, sums: tf.Tensor) -> Steps:
    """Takes `count` steps, the first of which has number `first` (from 0); stops at one that is not finite.

    feed: what `source.feed(first, count, self.rows)` gave.
    """

    def body(i, sums, last, finite):
      del last, finite
      last, finite = self._step(self.source.examples(feed, i), first + i)
      return i + 1, sums + last, last, finite

    start = (tf.constant(0, tf.int64), sums, tf.zeros_like(sums), tf.constant(True))
    return Steps(*tf.while_loop(lambda i, sums, last, finite: (i < count) & finite, body, start, parallel_iterations=1))

  def _step(self, examples, step):
    """One step: the means of its metrics, and whether losses and gradient norms are finite."""
    moved = self.strategy.run(self._replica_step, args=(examples, step))
    last, finite = (self.strategy.experimental_local_results(value)[0] for value in moved)  # the same on all of them
    with self.strategy.scope():
      self.update(last, step)
      if self.ema is not None:
        self.ema.update()
    return tf.cast(last, tf.float64), finite

  def _replica_step(self, examples, step):
    share = None
    if self._replicas > 1:
      begin = tf.distribute.get_replica_context().replica_id_in_sync_group * self._size
      share = Share(begin, self._size, self._global_batch)
      own = Share(begin - self._first_row, self._size, len(self.rows))  # of what this process read
      examples = {name: own.of(value) for name, value in examples.items()}
    values = noise_lib.draw(self.requests, self._seed, step, share)
    batch = self.source.batch(examples, noise_lib.replay(values).scope('data'))
    if self._size * self._replicas > self._global_batch:
      batch['mask'] = tf.cast(share.mask(), batch['x'].dtype)
    return self._move(batch, step, values)

  def update(self, means: tf.Tensor, step: tf.Tensor) -> None:
    """What follows the players' moves: the objective is told the metrics' means [K]."""
    self.objective.update(dict(zip(self.metric_names, tf.unstack(means), strict=True)), step)

  def move(self, batch: dict, step: tf.Tensor, values: dict, norm: Callable = tf.linalg.global_norm):
    """Moves every player in turn: (the metrics' means [K], whether losses and gradient norms are finite).

    Args:
      batch: this replica's.
      step: its number, from 0.
      values: the noise of `requests`, by name.
      norm: that of a list of tensors.
    """
    moved = []
    for player in self.groups:
      gradients, means = self._gradients(player, batch, step, values)
      moved.append(self._apply(player, gradients, means, norm))
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(values[:2])) for values in moved])
    return tf.concat(moved, axis=0), finite

  def _gradients_of(self, player, batch, step, values):
    """The replica's part of a player's gradients, and of the means of its loss and metrics."""
    variables = [v.value for _, members in self.groups[player] for v in members]
    with tf.GradientTape() as tape:
      tape.watch(variables)  # which a `keras.StatelessScope` makes tensors
      loss, metrics = self.objective.loss(player, self.model, batch, step, noise_lib.replay(values).scope(player))
      # Averaged over the global batch; penalties of Keras layers once, whatever the number of replicas.
      total = tf.reduce_sum(self._masked(loss, batch)) / self._global_batch
      for penalty in self.model.losses:
        total += tf.cast(penalty, total.dtype) / self._replicas
    gradients = tape.gradient(total, variables, unconnected_gradients='zero')
    rows = _rows(loss, metrics)
    return gradients, tf.reduce_sum(self._masked(rows, batch), axis=1) / self._global_batch

  def _masked(self, value, batch):
    return value * tf.cast(batch['mask'], value.dtype) if 'mask' in batch else value

  def _apply(self, player, gradients, means, norm):
    """Moves one player; returns its gradient norm and the means, in `metric_names`' order."""
    # Summed over the replicas first, then measured and clipped, so that two replicas do what one does.
    if self._replicas > 1:
      context = tf.distribute.get_replica_context()
      gradients, means = context.all_reduce(tf.distribute.ReduceOp.SUM, (gradients, means))
    length = norm(gradients)
    if self._clip_norm:
      gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm, use_norm=length)
    for optimizer, members in self.groups[player]:
      optimizer.apply(gradients[: len(members)], members)
      gradients = gradients[len(members) :]
    return tf.concat([tf.cast(length, means.dtype)[None], means], axis=0)


def _rows(loss, metrics):
  """The loss and the metrics, in the order of their names: [M, B].

  One tensor rather than one for each metric: a small step is bound by the number of its operations.
  """
  plain, wide = _by_rank({'': loss} | metrics)
  values = [tf.cast(value, loss.dtype) for value in plain.values()]
  is_one = [value.shape.rank == 0 for value in values]
  own = tf.stack([value for value, one in zip(values, is_one, strict=True) if not one])
  if any(is_one):
    ones = tf.stack([value for value, one in zip(values, is_one, strict=True) if one])
    own = tf.concat([own, tf.broadcast_to(ones[:, None], [ones.shape[0], *loss.shape])], axis=0)
    own = tf.gather(own, np.argsort(np.argsort(is_one, kind='stable')))
  return tf.concat([own, *(tf.transpose(tf.cast(value, loss.dtype)) for value in wide.values())], 0) if wide else own


def _by_rank(metrics):
  """The metrics that are scalars or [B], and those, [B, K], that stand for many."""
  wide = {name: value for name, value in metrics.items() if tf.is_tensor(value) and value.shape.rank == 2}
  return {name: value for name, value in metrics.items() if name not in wide}, wide


def norm_in_parts(tensors: list[tf.Tensor], parts: int = 8) -> tf.Tensor:
  """The norm of all values of `tensors`, as `tf.linalg.global_norm`: a scalar.

  For XLA on a CPU, which sums a long vector four times slower than it adds its parts up, value by value.
  """
  totals = []
  for tensor in tensors:
    values = tf.reshape(tensor, [-1])
    divides = values.shape[0] % parts == 0
    squares = [tf.square(part) for part in (tf.split(values, parts) if divides else [values])]
    totals.append(tf.reduce_sum(tf.add_n(squares)))
  return tf.sqrt(tf.add_n(totals))


# On a CPU, XLA pays for dense nets from about this many values of x in a step (samples x batch x dimensions).
XLA_FROM = 30_000


def compile_mode(compile: str, model, values: int) -> str:
  """What 'auto' stands for, as measured (docs/benchmarks.md); any other mode is what it says.

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
