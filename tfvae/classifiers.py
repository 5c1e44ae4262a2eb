"""Classifiers that other runs have trained: found, restored, and why one cannot be used. Importing this imports nothing
heavy.
"""

import contextlib
import hashlib
import json

from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError
from tfvae.making import Make
from tfvae.observation import Observation
from tfvae.run.directory import Directory, is_free
from tfvae.spec import catalogue
from tfvae.spec.entries import NAMES, TASKS
from tfvae.spec.evaluators import entry
from tfvae.spec.rules.asked import shown
from tfvae.spec.rules.constraint import needs_classifier

HOW = 'give the workdir of a trained run of specs/classifier.py'
OF_TURNS = 'mnist_turns'  # the set that spec.classifier.turns is trained on
LABELS = 10  # of a task


def seen(spec, shape: tuple[int, ...]) -> tuple[int, ...]:
  """The shape of what the classifiers see of examples of `shape`: of a task, single grey images."""
  return (*shape[:2], 1) if spec.data.name in TASKS else shape


def frozen(spec, observation: Observation, make: Make, gradient: bool, field: str = 'path'):
  """The classifier of a field of spec.classifier. See `build.frozen`; observation: of what it sees."""
  from tfvae.models.frozen import Frozen

  path = spec.classifier[field]
  if found := _problem(spec, observation.shape, gradient, field):
    raise SpecError([found])
  try:
    trained = load(path, make, observation.shape)
  except RunError as error:
    raise SpecError([f'spec.classifier.{field}: {error}']) from None
  made = Frozen(trained, observation)
  if len(observation.shape) != 3 and not made.is_alike:
    raise SpecError([_scaled_otherwise(spec, trained.spec, field)])
  return made


def problems(spec, shape: tuple[int, ...] | None, of_fid: bool = False) -> list[str]:
  """Why constraints and evaluators cannot use the classifiers of spec.classifier, as far as it is known without their
  weights, a line each; of a classifier that they do not need nothing.

  shape: of the examples. None: not known.
  of_fid: whether `fid` takes its features.
  """
  shape, found = shape and seen(spec, shape), []
  if _is_needed(spec) or of_fid or _looking(spec):
    found.append(_problem(spec, shape, _is_needed(spec), 'path'))
  if spec.classifier.turns:
    found.append(_problem(spec, shape, False, 'turns'))
  return [problem for problem in found if problem]


def misfits(spec, observation: Observation) -> list[str]:
  """Why evaluators cannot look through the classifier of spec.classifier.path at these data, whose range is known."""
  with contextlib.suppress(RunError):  # which is told elsewhere
    if _looking(spec) and len(observation.shape) != 3:
      run = _run(spec.classifier.path, None)
      if not observation.turned(_ends(run))[2]:
        return [_scaled_otherwise(spec, run.spec, 'path')]
  return []


def classes(spec) -> int | None:
  """How many labels the classifier of spec.classifier.path knows. None: nothing asks for it, or it cannot be used."""
  with contextlib.suppress(RunError):
    if _is_needed(spec) or _looking(spec):
      return _run(spec.classifier.path, None).spec.model.classifier.classes
  return None


def _looking(spec):
  """The evaluators that look through the classifier of spec.classifier.path at labels."""
  return [name for name in spec.eval.evaluators if entry(name).sight] if spec.classifier.path else []


def _scaled_otherwise(spec, theirs, field):
  return (
    f'spec.classifier.{field}: got {spec.classifier[field]}, whose data are scaled otherwise (spec.data.scaling='
    f'{theirs.data.scaling}), and vectors have no black and white by which they could be turned; train one with '
    f'spec.data.scaling={spec.data.scaling} on these data'
  )


def _is_needed(spec):
  return needs_classifier(spec.constraint.names, spec.constraint.fre.features)


def _problem(spec, shape, gradient, field):
  path = spec.classifier[field]
  if not path:
    return f'spec.classifier.{field}: is empty; {HOW}'
  try:
    run = _run(path, shape)
  except RunError as error:
    return f'spec.classifier.{field}: {error}'
  got, task = f'spec.classifier.{field}: got {path}', spec.data.name
  if gradient and run.spec.data.binarize == 'threshold':
    return (
      f'{got}, whose spec.data.binarize is threshold, through which no gradient goes; train one without '
      '(spec.data.binarize=none)'
    )
  if field == 'turns' and run.spec.data.name != OF_TURNS:
    return f'{got}, trained on {run.spec.data.name}, not on {OF_TURNS}; {HOW}:turns'
  if field == 'path' and (run.spec.data.name == OF_TURNS) != (task == OF_TURNS):
    if task == OF_TURNS:
      return f'{got}, trained on {run.spec.data.name}, whose labels are no turns, as those of {task} are; {HOW}:turns'
    return f'{got}, which tells by how many turns an image is turned, not its label (spec.classifier.turns); {HOW}'
  theirs, own = (catalogue.labelled(of.data.name, of.data.of) for of in (run.spec, spec))
  if field == 'path' and None not in (theirs, own) and theirs != own and (looking := _looking(spec)):
    return (
      f'{got}, trained on {run.spec.data.name}, whose labels are none of {task}, for which '
      f'{shown(looking)} would look; {HOW} on the same data'
    )
  if task in TASKS and (found := run.spec.model.classifier.classes) != LABELS:
    return f'{got}, a classifier of {found} classes; {task} has {LABELS} labels: {HOW} of as many'
  return None


def load(workdir: str, make: Make, shape: tuple[int, ...] | None = None):
  """The classifier of a run of specs/classifier.py, a `Trained`. Reads only, and never trains; no tape watches it.

  make: builds its model.
  shape: that its examples must have. None: any.

  Raises:
    RunError: the run is not there, no classifier, not trained or not evaluated, or of examples of another shape.
  """
  from tfvae.quiet import import_tensorflow

  run = _run(workdir, shape)
  import_tensorflow()
  import tensorflow as tf

  from tfvae.models.frozen import Trained

  with tf.variable_creator_scope(lambda make_next, **kwargs: make_next(**kwargs | {'trainable': False})):
    model = run.restore(make.model(run.spec, Observation.kept(run.data)))[0]
  model.trainable = False
  fields = {name: value for name, value in spec_lib.changed(run.spec).items() if not is_free(name)}
  digest = hashlib.sha256(json.dumps([fields, run.data], sort_keys=True).encode()).hexdigest()
  found = run.evaluation
  return Trained(model, run.spec, run.data['scaling'], _ends(run), found['accuracy'], found['split'], digest)


def _ends(run):
  """Black and white in the units of a classifier, or the least and the largest value."""
  return tuple(run.data.get('range') or (0.0, 1.0))


def _run(workdir, shape):
  """The directory of a trained classifier of such examples. Raises RunError; reads no weights."""
  run = Directory(workdir)
  if not run.exists():
    what = 'there is no run in it (no spec.json)' if run.workdir.is_dir() else 'there is no such directory'
    raise RunError(f'got {workdir}: {what}; {HOW}')
  name = run.spec.model.name
  if not NAMES['model.name'][name].labels:
    raise RunError(f'got {workdir}, whose spec.model.name is {name}, not classifier; {HOW}')
  try:
    run.require()
  except RunError as error:
    raise RunError(f'got {str(error).removeprefix("--workdir ")}') from None
  if run.data is None:
    raise RunError(f'got {workdir}: it has no data.json; train it first (run its command again)')
  if shape is not None and tuple(run.data['shape']) != tuple(shape):
    own, wanted = (' x '.join(map(str, of)) for of in (run.data['shape'], shape))
    raise RunError(f'got {workdir}, trained on {run.data["name"]}, examples of {own}, but these are {wanted}; {HOW}')
  if 'accuracy' not in (run.evaluation if (run.workdir / 'evaluation.json').is_file() else {}):
    raise RunError(f'got {workdir}: it has no accuracy yet; evaluate it first (--mode=evaluate)')
  return run
