"""What a spec makes on the devices, and what of it a process keeps for its next run."""

import contextlib
import json
import math

import tensorflow as tf

from tfvae import build, memory
from tfvae.analysis.evaluation import Evaluation
from tfvae.data.dataset import Dataset
from tfvae.errors import SpecError
from tfvae.run.ema import Ema
from tfvae.spec import sharing
from tfvae.training.step import Stepper, compile_mode


def mode_of(spec, model, batch_size: int) -> str:
  """How the steps of a spec are compiled."""
  return compile_mode(spec.train.compile, model, values_of(spec, model, batch_size))


def values_of(spec, model, batch_size):
  """Numbers in E[x | z] of all samples of a step."""
  samples = spec.objective.num_samples or 2 * max(spec.model.members or (spec.model[spec.model.layers[-1]].dim,))
  return samples * batch_size * math.prod(model.shape)


class Machinery:
  """Source, model, objective, optimizers, the compiled step and the evaluation of a spec.

  Runs whose specs differ in runtime values alone (`spec.sharing`) can have one in turn: `take`.

  Args:
    spec, data: what it is made for.
    strategy: a tf.distribute strategy.
    worker: the number of this process among those of the strategy.

  Raises UserError where nets do not fit the data, say.

  Attributes:
    source, model, objective, ema (None: no average), stepper, evaluation.
    groups: player -> [(optimizer, variables), ...].
    mode: how the step is compiled.
    all_finite: () -> whether all values of the model are.
  """

  def __init__(self, spec, data: Dataset, strategy, worker: int = 0):
    tf.config.experimental.enable_op_determinism()
    self.strategy, replicas = strategy, strategy.num_replicas_in_sync
    if (size := spec.data.batch_size or data.size('train')) < replicas:
      raise SpecError(
        [
          f'spec.data.batch_size: got {spec.data.batch_size or f"0, which is {size}"}; allowed: at least one example '
          f'for each of the {replicas} devices'
        ]
      )
    with strategy.scope():
      self.source = build.source(spec, data)
      if replicas == 1:  # several have variables of their own, and are not shared by runs
        self.source.noise_seed = tf.Variable(spec.seed, trainable=False, dtype=tf.int64, name='seed')
      with _recorded() as self._variables:
        self.model, self.objective, self.groups, self.ema = self._made(spec)
      memory.require_tensor(
        8 * values_of(spec, self.model, self.source.batch_size) // replicas,
        'E[x | z] of a step and its gradient',
        'lower spec.data.batch_size or spec.objective.num_samples',
      )
      self.mode = mode_of(spec, self.model, self.source.batch_size)
      self.stepper = Stepper(
        strategy,
        self.model,
        self.objective,
        self.source,
        self.groups,
        self.ema,
        self.source.noise_seed,
        spec.train.clip_norm,
        self.mode,
        worker,
      )
    self.evaluation = Evaluation(self.model, self.source, spec)
    self.all_finite = tf.function(
      lambda: tf.reduce_all([tf.reduce_all(tf.math.is_finite(v.value)) for v in self.model.variables])
    )

  def _made(self, spec):
    """All that has weights or other values of a run."""
    model = build.model(spec, self.source.dataset.observation)
    objective = build.objective(spec, model)
    ema = Ema(model.trainable_variables, spec.train.ema) if spec.train.ema else None
    return model, objective, build.optimizers(spec, model, objective), ema

  def take(self, spec) -> bool:
    """Gives everything the values that it would begin with were it made for `spec`, which has the same `program`.

    All of it is made anew, and the values of its variables are given to those that the compiled step reads. So nothing
    of the run before is left, and no list of what belongs to a run is needed. False: it must be made anew, as the data
    depend on the seed, or as something else than values differs.
    """
    if spec.seed != self.source.seed and not self.source.of_any_seed:
      return False
    with self.strategy.scope(), _recorded() as variables:
      self._made(spec)
    kinds = lambda variables: [(variable.shape, variable.dtype) for variable in variables]
    if kinds(variables) != kinds(self._variables):
      return False
    self.source.reseed(spec.seed)
    self.belong(spec, variables)
    return True

  def belong(self, spec, values=None) -> None:
    """Is again what it was for `spec`, one of those that it was made for or has taken, with these `values`.

    values: as `values` gave them. None: they have been given already.
    """
    for variable, value in zip(self._variables, values or (), strict=bool(values)):
      variable.assign(value)
    if self.source.seed != spec.seed:
      self.source.reseed(spec.seed)
    self.evaluation.take(spec)

  def values(self) -> list[tf.Tensor]:
    """Those of all its variables."""
    return [variable.value() for variable in self._variables]


@contextlib.contextmanager
def _recorded():
  """The variables that are made inside, in their order."""
  made = []

  def creator(create, **kwargs):
    made.append(create(**kwargs))
    return made[-1]

  with tf.variable_creator_scope(creator):
    yield made


class Kept:
  """What a process that trains one run after the other keeps: the data, and the machinery, of the last one.

  Runs are to the bit what they are in processes of their own.
  """

  def __init__(self):
    self._data = self._data_of = self._machinery = self._program = None

  def data(self, spec, kept: dict | None = None) -> Dataset:
    """As `build.dataset`, read once for specs with the same data."""
    if self._data is not None:
      of, seed = self._data_of
      same = of == sharing.data(spec) and (seed == spec.seed or not self._data.drawn)
      if same and (kept is None or _plain(kept) == _plain(self._data.summary)):
        return build.fitted(spec, self._data)
    self._data = self._machinery = None  # before others take their memory
    data = build.dataset(spec, kept)
    self._data, self._data_of = data, (sharing.data(spec), spec.seed)
    return data

  def machinery(self, spec, data: Dataset, strategy) -> Machinery:
    """That of a spec on one device: the last one where it can be taken."""
    machinery, program = self._machinery, sharing.program(spec)
    same = machinery is not None and program == self._program and machinery.source.dataset is data
    if same and machinery.take(spec):
      return machinery
    machinery = self._machinery = None  # before another takes its memory
    self._machinery, self._program = Machinery(spec, data, strategy), program
    return self._machinery


def _plain(summary):
  """What data.json says of data, without what is of the run rather than of them."""
  return {name: value for name, value in json.loads(json.dumps(summary)).items() if name != 'frozen'}
