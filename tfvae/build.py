"""From a spec to what it names. The only place where names are looked up.

Importing this module imports nothing heavy; calling it does.
"""

import importlib
import math
import sys

from tfvae import classifiers, memory
from tfvae.data import misfits
from tfvae.data.dataset import Dataset, make
from tfvae.data.loaders import loader
from tfvae.errors import RunError, SpecError
from tfvae.observation import Observation
from tfvae.spec import fit, stacking
from tfvae.spec.entries import NAMES, SIGHT
from tfvae.spec.evaluators import entry, kind
from tfvae.spec.fields.field import flatten


def lookup(field: str, name: str):
  """What `name` stands for in a table of `entries.py`."""
  entry = NAMES[field][name]
  return _object(entry if isinstance(entry, str) else entry.path)


def _object(path):
  module, _, attribute = path.partition(':')
  return getattr(importlib.import_module(module), attribute)


def dataset(spec, kept: dict | None = None) -> Dataset:
  """The data of a spec. Raises UserError, naming what is wrong with them, or every field that does not fit them.

  kept: what a run keeps of its data (`Run.data`), whose scaling then holds and whose examples they must be.
  """
  return fitted(spec, read(spec, kept))


def read(spec, kept: dict | None = None) -> Dataset:
  """The data of a spec, whether or not the rest of it fits them."""
  with memory.short(
    f'lower spec.data.memory_limit ({spec.data.memory_limit} MiB), and images of a folder or of TFDS are read when '
    'they are needed; a table, or an NPZ file, must fit into memory'
  ):
    return make(loader(spec.data.name).load(spec.data), spec.data, spec.seed, kept)


def fitted(spec, data: Dataset) -> Dataset:
  """Data that were read, once they are known to fit the spec. Raises SpecError naming every field that does not."""
  if found := problems(spec, data):
    raise SpecError(found)
  return misfits.guarded(spec, data, classifiers.classes(spec))


def check(spec) -> None:
  """Raises SpecError where a classifier of spec.classifier cannot be used, or where it or a net does not fit the data,
  if their shape can be known before they are read.
  """
  shape = _shape(spec)
  found = fit.problems(flatten(spec.to_dict()), shape) if shape else []
  of_fid = any(
    'classifier' in spec.eval[name].extractors for name in spec.eval.evaluators if 'reference' in entry(name).needs
  )
  of_fid = of_fid and (not shape or len(shape) == 3)  # what are no images fid is not for
  found += classifiers.problems(spec, shape if shape and None not in shape else None, of_fid)
  if found:
    raise SpecError(found)


def _shape(spec):
  """That of an example where it can be known before any is read, else None."""
  try:
    return loader(spec.data.name).shape(spec.data)
  except Exception:  # a file that is not there, or not right: loading it says what is wrong
    return None


def stacking_problems(spec) -> list[str]:
  """Why a run of the spec cannot be one of a stack, a line each, as far as it is known before data are read."""
  return stacking.problems(spec, _shape(spec))


def problems(spec, data: Dataset) -> list[str]:
  """What of a spec does not fit its data, a line each."""
  found = misfits.problems(spec, data, classifiers.classes(spec))
  found += classifiers.misfits(spec, data.observation)
  return found + fit.problems(flatten(spec.to_dict()), data.shape, data.context)


def study(spec):
  """What is computed of data in place of training a model."""
  return lookup('study.name', spec.study.name)(spec)


def source(spec, data: Dataset):
  """Batches of the data."""
  from tfvae.data.source import Source

  return Source(data, spec.data, spec.seed, _observation_dtype(spec))


def _observation_dtype(spec):
  return 'float64' if spec.train.precision == 'float64' else 'float32'


def model(spec, observation: Observation):
  """The model of a spec for such examples, its weights drawn from spec.seed and their names."""
  import keras

  policy = keras.config.dtype_policy()
  keras.config.set_dtype_policy(spec.train.precision)
  try:
    built = lookup('model.name', spec.model.name).from_spec(spec, observation, sys.modules[__name__])
    built.build()
  finally:
    keras.config.set_dtype_policy(policy)
  lookup('model.initializer', spec.model.initializer)(built, spec.seed)
  return built


def latent_shape(section) -> tuple[int, ...]:
  """Of z, as its family has it."""
  return lookup('family', section.family).event_shape(section)


def order(name: str):
  """The order in which the layers of a hierarchy are inferred."""
  return lookup('model.inference', name)()


def net(section, grid: int, name: str, head: bool = True):
  """A net whose output is meant for a `grid` x `grid` variable (0: a vector), with a head after it or without."""
  return lookup('net', section.kind).from_section(section, grid, head, name)


def family(section, name: str, kernel: int):
  """The distribution of a latent layer. `kernel`: of a head that doubles the net's feature map."""
  return lookup('family', section.family).from_section(section, latent_shape(section), kernel, name)


def posterior(section, name: str, kernel: int):
  """The same for q, with the layer's flow if it has one."""
  if section.flow == 'none':
    return family(section, name, kernel)
  return lookup('flow', section.flow).from_section(section, latent_shape(section), kernel, name)


def prior(section, family_: str, shape: tuple[int, ...], name: str):
  """The prior of the top layer, of that family."""
  return lookup('prior.name' if family_ == 'gaussian' else f'prior.{family_}', section.name)(shape, name=name)


def conditional_prior(join, net_, family_, name: str):
  """p(z_l | z_>l)."""
  from tfvae.models.priors import ConditionalPrior

  return ConditionalPrior(join, net_, family_, name=name)


def likelihood(section, observation: Observation, name: str):
  """p(x | z) of the decoder's features."""
  return lookup('decoder.likelihood', section.likelihood).from_section(
    section, observation, sys.modules[__name__], name
  )


def variance(section, shape: tuple[int, ...], name: str):
  """The variance of a Gaussian decoder."""
  return lookup('decoder.variance', section.variance).from_section(section, shape, name)


def verbs(spec, model_, kept: dict):
  """What the trained model of a spec is used for.

  A closed-form variance is given the training split's value first, as in evaluation; only that takes the data.

  kept: what a run keeps of its data (`Run.summary`).
  """
  from tfvae.analysis.evaluator import Split, statistics
  from tfvae.verbs import Verbs

  require_one_hierarchy(spec)
  if model_.closed_form:
    split = Split(source(spec, dataset(spec, kept)), 'train', spec)
    model_.update(split.sampled_means(model_, statistics(model_, split)))
  return Verbs(model_, spec, kept['scaling'], kept.get('range'))


def require_one_hierarchy(spec) -> None:
  """Raises SpecError where a spec's model cannot encode, decode and sample."""
  others = {
    'members': 'which compare sizes and are not used as one; train the size that is right alone',
    'classifier': 'which neither encodes nor samples; give the workdir of a run that has latent layers',
  }
  if why := others.get(spec.model.name):
    raise SpecError([f'spec.model.name: got {spec.model.name}, {why}'])


def objective(spec, model_):
  """The objective of a spec; of each member where there are several."""
  make_one = lambda one: lookup('objective.name', spec.objective.name).from_spec(spec, one, sys.modules[__name__])
  if spec.model.name != 'members':
    return make_one(model_)
  from tfvae.objectives.joint import Joint

  return Joint(model_, {name: (member, make_one(member)) for name, member in model_.members.items()})


def constraints(spec, observation: Observation) -> list:
  """What the constraints of a spec are put on, a `Measure` each, in the table's order."""
  names = [name for name in NAMES['constraint.names'] if name in spec.constraint.names]
  here = sys.modules[__name__]
  return [m for name in names for m in lookup('constraint.names', name).from_spec(spec, observation, here)]


def estimator(spec):
  """The estimator of the gradient through samples."""
  return lookup('objective.estimator', spec.objective.estimator).from_spec(spec.objective, spec.train.steps)


def evaluators(spec, observation: Observation, run=None, is_trained: bool = False) -> list:
  """The evaluators of a spec for such examples, in the table's order; that of its constraints by itself.

  Raises SpecError where a file that one needs is not there, or not right.

  Args:
    run: the Run where they may keep what they need again.
    is_trained: whether it has been trained. Constraints that are not asked for by name, and whose frozen network is
      gone, or is not the one of training, are then left out, and it is told why.
  """
  chosen = (*spec.eval.evaluators, *(['constraints'] if spec.constraint.names else []))
  found = []
  table = list(NAMES['eval.evaluators'])
  for name in sorted(dict.fromkeys(chosen), key=lambda name: table.index(kind(name))):
    try:
      evaluator = lookup('eval.evaluators', kind(name)).from_spec(spec, observation, sys.modules[__name__], run, name)
      evaluator.name = name
      if is_trained and kind(name) == 'constraints':
        run.require_frozen(evaluator.frozen, spec)
      found.append(evaluator)
    except (SpecError, RunError) as error:
      if not is_trained or name in spec.eval.evaluators:
        raise
      print(f'{name}: left out. {error}', flush=True)
  return found


def extractor(name: str, spec, section, shape: tuple[int, ...]):
  """Features of images of `shape`, in [0, 1]. Raises SpecError where weights cannot be read.

  section: of spec.eval, which has the files of weights.
  """
  return lookup('eval.fid.extractors', name).from_spec(spec, section, shape, sys.modules[__name__])


def frozen(spec, observation: Observation, gradient: bool = True, field: str = 'path'):
  """The classifier of spec.classifier.path, a `Frozen` for such examples. Under a strategy, call it inside its scope.

  gradient: whether a gradient is to go through it.
  field: of spec.classifier, where it is another one.

  Raises:
    SpecError: the path is empty, or there is no classifier, not trained or evaluated, or none for this use.
  """
  return classifiers.frozen(spec, observation, sys.modules[__name__], gradient, field)


def sight(spec, observation: Observation, field: str = 'path', gradient: bool = True, alone: bool = False):
  """What a classifier that constraints and evaluators look through sees of such examples, a `Sight`.

  field: of spec.classifier: path, or turns, which names the turns of mnist_rotate and sees examples as they are.
  gradient: whether a gradient is to go through it.
  alone: whether nothing but x will be known of an example; what needs more then sees it as it is.

  Raises:
    SpecError: as `frozen`.
  """
  seen = observation._replace(shape=classifiers.seen(spec, observation.shape))
  kind = _object(NAMES['sight'].get(spec.data.name, SIGHT) if field == 'path' else SIGHT)
  kind = _object(SIGHT) if alone and kind.needs_batch else kind
  return kind(frozen(spec, seen, gradient, field), observation)


def optimizers(spec, model_, objective_) -> dict[str, list]:
  """player -> [(optimizer, variables), ...], built: variances apart where they have their own learning rate."""
  train, groups = spec.train, {}
  variances = {id(v) for v in model_.variance_variables} if train.variance_learning_rate else set()
  for player, variables in objective_.players.items():
    split = {'weights': [v for v in variables if id(v) not in variances]}
    split['variances'] = [v for v in variables if id(v) in variances]
    groups[player] = []
    for group, members in split.items():
      if members:
        optimizer = _optimizer(train, group, name=f'{player}_{group}')
        if optimizer.weight_decay and model_.variance_variables:
          optimizer.exclude_from_weight_decay(model_.variance_variables)
        optimizer.build(members)
        groups[player].append((optimizer, members))
  return groups


def _optimizer(train, group, name):
  from tfvae.schedules import learning_rate

  rate = train.variance_learning_rate if group == 'variances' else train.learning_rate
  kwargs = {'learning_rate': learning_rate(train, rate), 'name': name}
  if train.weight_decay and group == 'weights':
    kwargs['weight_decay'] = train.weight_decay
  if train.optimizer in ('adam', 'adamax', 'nadam'):
    kwargs |= {'beta_1': train.beta_1, 'beta_2': train.beta_2}
  if train.optimizer == 'rmsprop':
    kwargs['rho'] = train.beta_2
  if train.optimizer in ('rmsprop', 'sgd'):
    kwargs['momentum'] = train.momentum
  if train.optimizer != 'sgd':
    kwargs['epsilon'] = train.epsilon
  return lookup('train.optimizer', train.optimizer)(**kwargs)


def num_parameters(variables) -> int:
  """Numbers in a list of variables."""
  return sum(math.prod(v.shape) for v in variables)
