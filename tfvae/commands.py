"""What a user asks for, from the command line and from Python: cheap checks first, TensorFlow after them."""

import contextlib
import json
import math
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfvae import build, memory
from tfvae import spec as spec_lib
from tfvae.errors import SpecError, UserError, cut
from tfvae.observation import Observation
from tfvae.plan import announce, default_workdir
from tfvae.quiet import import_tensorflow
from tfvae.run import environment, metrics
from tfvae.run.directory import PLACES, checksum
from tfvae.spec import stacking
from tfvae.spec.entries import NAMES
from tfvae.spec.evaluators import EVALUATORS
from tfvae.spec.fields.field import flatten
from tfvae.spec.schema import schema, unknown
from tfvae.trained import Run
from tfvae.training import workers
from tfvae.training.cluster import cluster_of
from tfvae.training.course import Course, Ended, alone
from tfvae.training.signals import SharedStop, StopSignal

# What memory depends on beside the data, most of it first.
WEIGHTS = "the nets' widths in spec.model and spec.decoder"
EVALUATED = 'spec.eval.batch_size or spec.eval.num_samples'
TRAINED = f'spec.data.batch_size, spec.objective.num_samples or {WEIGHTS}'
STUDIED = 'spec.study.fixed_points.grid, or count in the section of the study'
SPLITS = ('train', 'validation', 'test')
MOST_DRAWN = 50  # times in the middle of training


def train(spec, workdir: str | os.PathLike | None = None, overwrite: bool = False, kept=None) -> Run:
  """Trains a spec in a run directory (resuming where it holds the same run), evaluates and draws.

  Args:
    spec: made by `tfvae.load_spec` or `tfvae.spec.base`; or what `tfvae.load_spec` takes: a spec file, with a variant
      'specs/hit.py:digits', or a run's spec.json.
    workdir: the run directory; made where it is absent. None: the default of the command line, runs/<spec>-<variant>.
    overwrite: set a run that is there aside (renamed) and start afresh.
    kept: a `training.machinery.Kept`, where several runs are trained in turn: what they have in common is made once,
      and figures are drawn at the end alone.

  Raises:
    UserError: a SpecError naming every problem of the spec, or what is wrong with the directory or the data.
    Stopped: a KeyboardInterrupt, after Ctrl-C or SIGTERM; its message says what was saved.
  """
  with StopSignal() as stop:
    return alone(_training(spec, workdir, overwrite, kept, stop))


def train_stacked(runs: Sequence[tuple[Any, str | os.PathLike]], around: Callable | None = None) -> Iterator[Ended]:
  """Trains several runs, whose specs differ in values alone (`spec.sharing`), as one compiled program.

  Each is an ordinary run directory: as if `train` had made it, but for the last bits of numbers. Says of each what
  became of it as soon as it has ended.

  Args:
    runs: (spec, workdir) of each, as `train` takes them.
    around: number of a run -> a context in which all is done that is done for this run alone.

  Raises UserError where they cannot be trained so; then nothing was changed.
  """
  specs = [spec_lib.resolve(spec) for spec, _ in runs]
  stacking.require(specs)
  import_tensorflow()
  from tfvae.training.machinery import Kept
  from tfvae.training.stacks import together

  with StopSignal() as stop:
    kept, shared = Kept(), SharedStop(stop)
    courses = [_training(spec, workdir, False, kept, shared) for spec, workdir in runs]
    yield from together(courses, shared, around)


def _training(spec, workdir, overwrite, kept, stop) -> Course:
  """The course of `train`; returns the Run."""
  spec = spec_lib.load(spec) if isinstance(spec, (str, os.PathLike)) else spec
  origin, spec = spec_lib.origin(spec), spec_lib.resolve(spec)
  run = Run(workdir or default_workdir(origin))
  cluster = cluster_of(spec.train.strategy)
  with _closing(run, TRAINED if spec.study.name == 'none' else STUDIED):
    run.check(spec, overwrite)
    build.check(spec)
    if cluster is None or cluster.is_chief:
      print(announce(spec, origin, run, overwrite), flush=True)
    if spec.study.name != 'none':
      _study(run, spec, origin, overwrite, stop)
      return run
    if cluster and cluster.is_chief:
      run.lock()  # where the workers find what they know each other by
    # Several devices must be made before reading data may make TensorFlow start with one.
    several = spec.train.strategy != 'one'
    strategy = workers.connect(spec.train, cluster, checksum(spec), run.workdir) if several else None
    group = workers.Workers(cluster, strategy)
    stop.listen()
    with group.guarded(run.checkpoints):
      data = (kept.data if kept else build.dataset)(spec, None if overwrite else run.data)
      if group.is_chief:
        run.open(spec, overwrite)
      import_tensorflow()
      from tfvae.training.loop import Trainer

      trainer = Trainer(spec, run, data, strategy, group, origin and origin.file.absolute(), kept)
      # Of one run among many nobody looks at the figures before its end.
      with contextlib.nullcontext() if kept else _course(run, spec.train.steps) as evaluated:
        yield from trainer.course(stop, overwrite, evaluated)
      if numbers := trainer.finish():
        _conclude(run, trainer.step, spec.eval.split, numbers)
      group.gather()  # who leaves early looks like one that was lost
  return run


def _study(run, spec, origin, overwrite, stop):
  """Computes spec.study of the data, keeps what it found, and draws. What is there already is drawn again."""
  data, split = build.dataset(spec, None if overwrite else run.data), spec.eval.split
  run.open(spec, overwrite)
  import_tensorflow()
  study = build.study(spec)
  for told in run.begin(spec, data.summary, environment.start(origin and origin.file.absolute(), 1), overwrite):
    print(told, flush=True)
  stop.at_once = f'stopped; the same command begins the study in {run.workdir} again'
  if not run.has_found(0, split, study.name, study.settings()):
    found = study.run(np.asarray(data.splits[split]['x'], np.float64))
    run.write_found(0, split, study.name, study.settings(), *found)
  _conclude(run, 0, split, run.write_evaluation(0, split))


def evaluate(workdir: str | os.PathLike, overrides: Mapping[str, Any] | list = ()) -> dict[str, float]:
  """Evaluates a run on spec.eval.split, writes the numbers and arrays, and draws. Returns the numbers.

  What evaluators found before, with the same settings, is not sought again. Of several checkpoints
  (spec.eval.checkpoint=all) the numbers are those of the newest; evaluations/ has them all.

  Args:
    workdir: the run directory.
    overrides: fields of spec.eval, such as {'eval.split': 'train'}, and `PLACES`; the run's own spec holds for the
      rest.
  """
  run = Run(workdir)
  run.require()
  spec = _override(run, overrides, 'eval')
  data = build.dataset(spec, run.data)
  with StopSignal() as stop, _closing(run, EVALUATED):
    stop.at_once = f'stopped; what was finished is kept in {run.workdir}, and the same command goes on from there'
    run.lock()
    import_tensorflow()
    from tfvae.analysis.evaluation import Evaluation, by_split, complete
    from tfvae.run.checkpoint_files import steps
    from tfvae.training.progress import watch

    model, split = build.model(spec, data.observation), spec.eval.split
    evaluation = Evaluation(model, build.source(spec, data), spec)
    evaluators = build.evaluators(spec, data.observation, run, is_trained=True)
    chosen = {'newest': [None], 'all': sorted(steps(run.checkpoints)) or [None]}.get(spec.eval.checkpoint)
    for wanted in chosen or [int(spec.eval.checkpoint)]:
      _, step = run.restore(model, step=wanted)
      is_last = wanted == (chosen or [wanted])[-1]
      found = {}
      for of, own in by_split(evaluators, [split]).items():
        found[of] = complete(evaluation, own, run, step, of, watch)
        _conclude(run, step, of, found[of], is_last)
  return found[split]


def sample(workdir: str | os.PathLike, overrides: Mapping[str, Any] | list = ()) -> dict[str, dict[str, np.ndarray]]:
  """Makes what spec.sample.what names of a run: arrays, and pictures of them.

  Args:
    workdir: the run directory.
    overrides: fields of spec.sample, such as {'sample.num': 100}, of spec.eval (checkpoint: a step, else the newest;
      batch_size), and `PLACES`; the run's own spec holds for the rest.

  Returns:
    {name: arrays}, as samples/<name>.npz holds them.
  """
  run = Run(workdir)
  run.require()
  spec = _override(run, overrides, 'sample', 'eval')
  data = build.dataset(spec, run.data)
  build.require_one_hierarchy(spec)
  if problem := _sample_problem(spec, data):
    raise SpecError([problem])
  arrays = 8 * spec.sample.num * math.prod(data.shape)  # mean and draw, of the prior or of the chains
  memory.require(arrays, f'{spec.sample.num:,} samples', 'lower spec.sample.num')
  samples = {}
  with _closing(run, 'spec.sample.num, spec.sample.points or spec.eval.batch_size'):
    run.lock()
    import_tensorflow()
    from tfvae.analysis.evaluation import Evaluation
    from tfvae.analysis.sampling import Sampler, in_8_bits

    model, step, source = build.model(spec, data.observation), spec.eval.checkpoint, build.source(spec, data)
    model, step = run.restore(model, step=int(step) if step.isdecimal() else None)
    sampler = Sampler(model, source, spec)
    with Evaluation(model, source, spec).closed_forms():
      for name, arrays in sampler.run():
        run.write_samples(name, step, arrays)
        samples[name] = arrays
        paths = _draw_samples(run, [name])
        if spec.sample.files and name in ('prior', 'limiting'):
          mean = arrays['mean'] > 0.5 if spec.data.binarize != 'none' else arrays['mean']
          paths += run.write_images(name, in_8_bits(mean, arrays['value_range']), spec.sample.files)
        print(*(paths or [run.samples / f'{name}.npz']), flush=True)
    if 'projector' in spec.sample.what:
      print(f'{run.write_projector(sampler.projector())}: see tensorboard --logdir {run.workdir}', flush=True)
  return samples


def _sample_problem(spec, data):
  split = spec.sample.split
  if split not in data.splits:
    return f'spec.sample.split: got {split}; allowed: the splits of {data.name}: {", ".join(data.splits)}'
  if spec.sample.files and (len(data.shape) != 3 or data.shape[-1] not in (1, 3) or data.stack):
    what = f'{data.shape[-1]} images each' if data.stack else f'the shape {data.shape}'
    return (
      f'spec.sample.files: got {",".join(spec.sample.files)}, which is for grey and colour images, but examples of '
      f'{data.name} have {what}; leave it out'
    )
  if data.size(split) < 2:
    return f'spec.sample.split: got {split}, which has one example; at least two are needed'
  return None


def report(workdir: str | os.PathLike) -> list[pathlib.Path]:
  """Draws the figures of a run (PNG and PDF), and of its samples, again from its directory alone, and report.html of
  all of it; its numbers go to report/ as CSV.

  Of a directory that holds runs rather than being one: report.html of them; the means over those that differ in their
  seeds alone, and their spread, as repeats.json and a figure; in report/ all numbers as CSV, and figures. Prints which
  to choose.
  """
  from tfvae.report import choices, grid_figures, page, repeats, tables
  from tfvae.run.collection import collect

  run = Run(workdir)
  if not run.exists():
    collection = collect(run.workdir)
    paths = tables.write(collection)
    try:
      if any(entry.numbers for entry in collection.runs):
        paths = [*repeats.draw(collection), *paths, *grid_figures.draw(collection)]
      else:
        print('none of the runs has been evaluated: there are no means over them, and no figures')
    finally:  # whatever cannot be drawn, the page is there
      paths.append(page.draw(collection))
    for line in choices.lines(choices.choices(collection)):
      print(line)
  else:
    paths = _draw(run, kinds=('png', 'pdf')) + _draw_samples(run, kinds=('png', 'pdf'))
    for line in _constraints(run):
      print(line)
    collection = collect(run.workdir)
    paths += [*tables.write(collection), page.draw(collection)]
  for path in paths:
    print(path)
  return paths


def compare(workdirs: str | os.PathLike) -> list[str]:
  """Prints runs beside each other, from their directories alone: the fields that differ, and their last evaluations.

  Args:
    workdirs: their directories, separated by commas ('runs/a,runs/b'); of the others than the first the name is enough
      where they are beside it.

  Returns:
    The lines.
  """
  from tfvae.report import compare as text

  lines = text.lines(text.runs_of(workdirs))
  print('\n'.join(lines))
  return lines


def export(workdir: str | os.PathLike, overrides: Mapping[str, Any] | list = ()) -> pathlib.Path:
  """Writes export/ of a run: its trained model as a SavedModel, and as a file of Keras weights. Returns its directory.

  Args:
    workdir: the run directory.
    overrides: eval.num_samples (of the signature elbo), eval.checkpoint (a step; else the newest), and `PLACES`, as the
      data are needed where the decoder's variance has a closed form.
  """
  run = Run(workdir)
  run.require()
  spec = _override(run, overrides, 'eval')
  with _closing(run, WEIGHTS):
    run.lock()
    import_tensorflow()
    kept, step = run.summary, spec.eval.checkpoint
    model = build.model(spec, Observation.kept(kept))
    model, step = run.restore(model, step=int(step) if step.isdecimal() else None)
    directory = run.write_export(build.verbs(spec, model, kept), step)
  names = ', '.join(sorted(path.name for path in directory.iterdir()))
  print(f'{directory}: {names} of step {step}')
  return directory


def show(spec) -> None:
  """Prints the resolved spec at once, then the data's size and the model's weights.

  Without the sections of evaluators and studies that are not chosen, where they are at their defaults.
  """
  shown, fields = json.loads(spec_lib.to_json(spec)), spec_lib.changed(spec)
  for name in EVALUATORS:
    if name not in spec.eval.evaluators and not any(field.startswith(f'eval.{name}.') for field in fields):
      del shown['eval'][name]
  for name in NAMES['study.name']:
    if name != spec.study.name and not any(field.startswith(f'study.{name}.') for field in fields):
      del shown['study'][name]
  print(json.dumps(shown, indent=2), flush=True)
  build.check(spec)
  data = build.dataset(spec)
  context = data.observation.context
  told = '' if context is None else f', each with a context of shape {context}' if context else ', each with its label'
  print(f'\ndata: {data.name}, examples of shape {data.shape}{told}')
  for split in data.splits:
    print(f'  {split:<12}{data.size(split):>9,}')
  if spec.study.name != 'none':
    print(f'\nstudy: {spec.study.name}')
    return
  import_tensorflow()
  with memory.short(f'lower {WEIGHTS}'):
    model = build.model(spec, data.observation)
  layers = f', layers {model.title}' if model.layer_names else ''
  print(f'\nmodel: {spec.model.name}{layers}')
  width = max(len(v.path) for v in model.variables)
  for variable in model.variables:
    print(f'  {variable.path:<{width}}  {tuple(variable.shape)!s:<18}{build.num_parameters([variable]):>12,}')
  print(f'  {"parameters":<{width}}  {"":<18}{build.num_parameters(model.trainable_variables):>12,}')


def own_spec(workdir: str | os.PathLike) -> pathlib.Path:
  """The spec.json of a run, for `tfvae.load_spec`. Raises RunError where there is none."""
  run = Run(workdir)
  run.require(checkpoint=False)
  return run.workdir / 'spec.json'


def load(workdir: str | os.PathLike) -> Run:
  """A run that was trained: `.spec`, `.model`, `.metrics`, `.evaluation`, `.encode(x)`, `.sample(n)`, ...

  Of a study, which has no model, `.spec`, `.evaluation` and `.arrays(name, split)`.
  """
  run = Run(workdir)
  run.require(checkpoint=False)
  if run.spec.study.name == 'none':
    run.require()
  return run


@contextlib.contextmanager
def _closing(run, fields: str):
  """Gives the run's lock back, and says which fields to lower where memory is short."""
  outcome = 'finished'
  try:
    with memory.short(f'lower {fields}'):
      yield
  except BaseException as error:
    outcome = next(iter(str(error).splitlines()), '') or type(error).__name__
    raise
  finally:
    run.close(outcome)


def _override(run, overrides, *sections):
  """The run's own spec with overrides of these sections, and of places. Raises SpecError where others are given."""
  pairs = spec_lib.pairs(overrides)
  layers = run.spec.model.layers
  fields, problems = flatten(schema(layers)), []
  allowed = (
    f'fields of {" and ".join(f"spec.{name}" for name in sections)}, and {", ".join(f"spec.{p}" for p in PLACES)}'
  )
  for name, value in pairs:
    if name.partition('.')[0] not in sections and name not in PLACES:
      what = f'a run that is there keeps it; allowed: {allowed}' if name in fields else unknown(name, fields, layers)
      problems.append(f'spec.{cut(name)}: {what}')
    elif name in ('eval.split', 'eval.also', 'sample.split') and (problem := _split_problem(run, value)):
      problems.append(f'spec.{name}: {problem}')
  if problems:
    raise SpecError(problems)
  return spec_lib.resolve(run.spec, pairs)


def _split_problem(run, value):
  """Why a run that is there cannot be evaluated on these splits, or None: what spec.data says of them is kept."""
  names = value.split(',') if isinstance(value, str) else value if isinstance(value, (list, tuple)) else ()
  sizes = (run.data or {}).get('sizes', {})
  if sizes and (absent := [name for name in names if name in SPLITS and name not in sizes]):
    field = 'validation' if 'validation' in absent else 'test'
    return (
      f'got {absent[0]}, but the run has no such split; allowed: {" | ".join(sizes)}. It keeps the splits that it was '
      f'trained with; another run may have one (--spec.data.{field}=0.1 sets it aside)'
    )
  return None


def _conclude(run, step, split, numbers, is_last=True):
  """Prints what an evaluation found; of the last checkpoint, also shows it in TensorBoard and draws its figures."""
  study = run.spec.study.name
  what = f'step {step}, means over the examples' if study == 'none' else study
  print(f'{split} split, {what}:')
  lines = metrics.summary(numbers)
  print('\n'.join(lines))
  path = run.evaluation_path(split)
  if rest := len(numbers) - len(lines):
    print(f'  and {rest} more number{"s" * (rest > 1)} in {path}')
  else:
    print(f'  all in {path}')
  if is_last:
    if split == run.spec.eval.split:
      from tfvae.run.events import show_trial

      show_trial(run, step, numbers)
    if lines := _constraints(run):
      print('\n'.join(lines))
    if paths := _draw(run, split):
      print(f'figures in {run.figures}: {", ".join(drawn.name for drawn in paths)}')
      from tfvae.run.events import Events

      with contextlib.closing(Events(run.figures)) as events:
        events.files(step, paths)
  sys.stdout.flush()


def _constraints(run):
  """Lines that tell what became of the constraints of a run."""
  from tfvae.report.axes import told
  from tfvae.report.constraints import table

  try:
    with told(f'{run.workdir}: the constraints'):
      return table(run)
  except UserError as error:  # all else can be shown
    print(error, flush=True)
  return []


@contextlib.contextmanager
def _course(run, steps):
  """Gives what is to be called with the step of each evaluation in mid-training.

  It draws how training goes and shows that in TensorBoard, `MOST_DRAWN` times at most. Nothing that goes wrong there
  stops training.
  """
  from tfvae.run.events import Events

  last = 0
  with contextlib.closing(Events(run.figures)) as events:

    def evaluated(step):
      nonlocal last
      if MOST_DRAWN * (step - last) < steps:
        return
      last = step
      try:
        if paths := _draw(run, None, True):
          events.files(step, paths)
      except (UserError, OSError) as error:
        print(f'{error}; training goes on.', flush=True)

    yield evaluated


def _draw(run, split=None, during=False, kinds=('png',)):
  """Draws the figures of a split (None: of all that were evaluated), in the middle of training those of its course."""
  from tfvae.report.figures import draw

  try:
    return draw(run, split, during, kinds)
  except OSError as error:
    raise UserError(f'{run.figures}: the figures cannot be written ({error.strerror or error})') from None


def _draw_samples(run, names=None, kinds=('png',)):
  from tfvae.report.samples import draw

  try:
    return draw(run, names, kinds)
  except OSError as error:
    raise UserError(f'{run.samples}: the pictures cannot be written ({error.strerror or error})') from None
