"""Steps of several runs at once: one compiled program, whose values have a leading axis of members."""

import re
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfvae import noise as noise_lib
from tfvae.data.stored import Part
from tfvae.errors import UserError
from tfvae.training.step import Stepper, norm_in_parts

# On a CPU, XLA pays in a stack for so few rows (samples x batch) of a member, or where no layer is as wide as this: it
# computes a large step more slowly, but begins it faster.
XLA_ROWS, XLA_WIDTH = 256, 8
NO_FORM = ('No pfor vectorization', 'expected to be loop invariant', 'expected to be not loop invariant')


def mode_of(compile: str, model, rows: int) -> str:
  """How the steps of a stack are compiled, 'auto' as measured (docs/sweep.md).

  Args:
    compile: spec.train.compile.
    model: the Keras model.
    rows: samples x batch, of a member.
  """
  if compile != 'auto':
    return compile
  if tf.config.list_physical_devices('GPU'):
    return 'xla'
  width = max((min(variable.shape) for variable in model.trainable_variables if len(variable.shape) == 2), default=0)
  return 'xla' if rows <= XLA_ROWS or width < XLA_WIDTH else 'graph'


class StackedSteps(NamedTuple):
  """Where a call of `StackedStepper.run` ended, for each of M members."""

  taken: tf.Tensor  # steps taken, [M] int64; of a member that is not finite, the last is the culprit
  sums: tf.Tensor  # of each metric since the last log, [M, K] float64
  last: tf.Tensor  # each metric in a member's last step, [M, K] float64
  finite: tf.Tensor  # [M], whether losses and gradients were finite; what becomes of a member where not is not counted


class StackedStepper:
  """Takes the steps of M runs that differ in values alone, each as its own `Stepper` does.

  A step is written once, for one member, by the objects that all of them share, and vectorised. These objects are given
  the member's values in place of those of their variables, and what they assign is kept (`keras.StatelessScope`).
  Members with one seed see the same batches and the same noise, which are made once.

  What a member begins with is what the shared objects' variables hold when `read` is called; `write` gives them what
  has become of it.

  Args:
    stepper: of these objects, on one device.
    seeds: M.
    compile: 'xla' | 'graph'.

  Raises UserError where the step cannot be vectorised.
  """

  def __init__(self, stepper: Stepper, seeds: list[int], compile: str):
    self._stepper, self.size = stepper, len(seeds)
    self.metric_names, self._source = stepper.metric_names, stepper.source
    if isinstance(self._source.dataset.splits['train'], Part):
      raise UserError(
        'spec.data.memory_limit: the examples do not fit into so many MiB, and are read anew for each run, which a '
        'stack cannot have; give it more, or use --sweep.executor=local'
      )
    for optimizer, variables in (pair for pairs in stepper.groups.values() for pair in pairs):
      assign_through_keras(optimizer, variables)
    self._variables = self._found()
    averages = stepper.ema.state if stepper.ema else []
    self._own = [variable.value for variable in self._variables] + averages
    with stepper.strategy.scope():
      stacked = lambda variable: tf.repeat(variable.value()[None], self.size, axis=0)
      self._values = [tf.Variable(stacked(variable), trainable=False) for variable in self._own]
    # Batches and noise that several members share.
    source, distinct = self._source, list(dict.fromkeys(seeds))
    self._sources = [source.alike(seed) for seed in distinct]
    self._draws = [distinct.index(seed) for seed in seeds]
    member = [tf.TensorSpec([], tf.int32)]
    self.read = tf.function(self._read, input_signature=member, autograph=False)
    self.write = tf.function(self._write, input_signature=member, autograph=False)
    jit = compile == 'xla'
    self._move = tf.function(self._move_members, autograph=False, jit_compile=True) if jit else self._move_members
    number, sums = tf.TensorSpec([], tf.int64), tf.TensorSpec([self.size, len(self.metric_names)], tf.float64)
    feeds = (source.feed_spec(stepper.rows),) * len(distinct)
    signature = (feeds, number, number, sums, tf.TensorSpec([self.size], tf.bool))
    self.run = tf.function(self._run, input_signature=signature, autograph=False)
    try:
      self.run.get_concrete_function()
    except ValueError as error:
      if not any(words in str(error) for words in NO_FORM):
        raise
      found = re.search(r"defined for (\w+)|of op '(\w+)'", str(error))
      what = next(filter(None, found.groups())) if found else 'an operation'
      raise UserError(
        f'these runs cannot be stacked: a step of theirs has {what}, which is not made for several runs at once; use '
        '--sweep.executor=local'
      ) from None

  def zeros(self) -> np.ndarray:
    """The sums before the first step."""
    return np.zeros([self.size, len(self.metric_names)])

  def feeds(self, first: int, count: int):
    """What `run` takes the batches of steps first, ..., first + count - 1 from."""
    return tuple(source.feed(first, count, self._stepper.rows) for source in self._sources)

  def _found(self):
    """The Keras variables that a step reads or assigns."""
    scope, stepper, first = _Watching(), self._stepper, tf.constant(0, tf.int64)
    values = {request.name: tf.zeros(request.shape, request.dtype) for request in stepper.requests}

    def trace():
      with scope:
        batch = self._source.batch(self._source.blank(len(stepper.rows)), noise_lib.replay(values).scope('data'))
        stepper.update(stepper.move(batch, first, values, norm_in_parts)[0], first)

    tf.function(trace, autograph=False).get_concrete_function()
    return scope.found

  def _read(self, member):
    for values, own in zip(self._values, self._own, strict=True):
      values.scatter_update(tf.IndexedSlices(own.value()[None], member[None]))

  def _write(self, member):
    for values, own in zip(self._values, self._own, strict=True):
      own.assign(values[member])

  def _run(self, feeds, first, count, sums, finite) -> StackedSteps:
    """Takes `count` steps, the first of which has number `first` (from 0), of each member that is `finite`, and remains
    so.

    feeds: what `feeds(first, count)` gave.
    """

    def body(i, taken, sums, last, finite):
      examples = [source.examples(feed, i) for source, feed in zip(self._sources, feeds, strict=True)]
      means, still = self._step(examples, first + i)
      means, goes_on = tf.cast(means, tf.float64), finite[:, None]
      sums, last = sums + tf.where(goes_on, means, tf.zeros_like(means)), tf.where(goes_on, means, last)
      return i + 1, taken + tf.cast(finite, tf.int64), sums, last, finite & still

    goes_on = lambda i, taken, sums, last, finite: (i < count) & tf.reduce_any(finite)
    start = (tf.constant(0, tf.int64), tf.zeros([self.size], tf.int64), sums, tf.zeros_like(sums), finite)
    return StackedSteps(*tf.while_loop(goes_on, body, start, parallel_iterations=1)[1:])

  def _step(self, examples, step):
    """One step: the means of each member's metrics, [M, K], and whether its losses and gradients are finite, [M]."""
    batches, draws = [], []
    for source, own in zip(self._sources, examples, strict=True):
      values = noise_lib.draw(self._stepper.requests, source.seed, step)
      batches.append(source.batch(own, noise_lib.replay(values).scope('data')))
      draws.append({name: value for name, value in values.items() if not name.startswith('data/')})
    return self._move(_stacked(batches), _stacked(draws), step)

  def _move_members(self, batches, draws, step):
    """Moves all members; what is drawn for a seed, [seeds, ...], is handed to each that has it."""

    def one(given):
      values, draw = given
      only = len(self._sources) == 1
      own = lambda made: {name: value[0] if only else tf.gather(value, draw) for name, value in made.items()}
      pairs = zip(self._variables, values, strict=False)
      with keras.StatelessScope(list(pairs)) as scope:
        means, finite = self._stepper.move(own(batches), step, own(draws), norm_in_parts)
        self._stepper.update(means, step)
        averages = values[len(self._variables) :]
        averages = self._stepper.ema.moved(averages) if averages else []
        moved = [scope.get_current_value(variable) for variable in self._variables]
      return moved + averages, means, finite

    given = ([values.value() for values in self._values], tf.constant(self._draws))
    moved, means, finite = tf.vectorized_map(one, given, fallback_to_while_loop=False)
    for values, new in zip(self._values, moved, strict=True):
      values.assign(new)
    return means, finite


class _Watching(keras.StatelessScope):
  """Finds the Keras variables that are read or assigned inside."""

  def __init__(self):
    super().__init__()
    self._found = {}

  @property
  def found(self):
    return list(self._found.values())

  def get_current_value(self, variable):
    self._found[id(variable)] = variable
    value = super().get_current_value(variable)
    if value is None:
      with keras.StatelessScope():  # an empty one, in which a variable has its own value
        value = variable.value
    return value

  def add_update(self, update):
    self._found[id(update[0])] = update[0]
    super().add_update(update)


def assign_through_keras(optimizer, variables: list) -> None:
  """Makes an optimizer of Keras, built for these variables, assign through Keras variables alone.

  As those of other backends do. With TensorFlow they assign to its own variables, one by one for each device, and a
  `keras.StatelessScope` does not hear of it.
  """
  keys = {id(variable): optimizer._var_key(variable) for variable in variables}

  def decay(variables):
    for variable in variables:
      if optimizer.weight_decay is not None and optimizer._use_weight_decay(variable):
        rate = tf.cast(optimizer.learning_rate, variable.dtype)
        variable.assign_sub(variable * tf.cast(optimizer.weight_decay, variable.dtype) * rate)

  def update(gradients, variables, rate):
    for gradient, variable in zip(gradients, variables, strict=True):
      optimizer.update_step(gradient, variable, rate)

  optimizer.assign = lambda variable, value: variable.assign(value)
  optimizer.assign_add = lambda variable, value: variable.assign_add(value)
  optimizer.assign_sub = lambda variable, value: variable.assign_sub(value)
  optimizer._var_key = lambda variable: keys[id(variable)]
  optimizer._apply_weight_decay, optimizer._backend_update_step = decay, update


def _stacked(by_seed):
  """One dict of [seeds, ...] of several of [...]."""
  return {name: tf.stack([own[name] for own in by_seed]) for name in by_seed[0]}
