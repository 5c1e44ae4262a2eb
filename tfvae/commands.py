"""What a user asks for, from the command line and from Python: cheap checks first, TensorFlow after them."""

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from tfvae import build, workers
from tfvae import spec as spec_lib
from tfvae.cluster import cluster_of
from tfvae.errors import SpecError, UserError
from tfvae.quiet import import_tensorflow
from tfvae.run import PLACES, Run, checksum
from tfvae.signals import StopSignal


def train(spec, workdir: str | os.PathLike, overwrite: bool = False) -> Run:
  """Trains a spec in a run directory (resuming where it holds the same run), evaluates and draws.

  Args:
    spec: made by `tfvae.load_spec` or `tfvae.spec.base`.
    workdir: the run directory; made where it is absent.
    overwrite: set a run that is there aside (renamed) and start afresh.

  Raises:
    UserError: a SpecError naming every problem of the spec, or what is wrong with the directory or the data.
  """
  spec, run = spec_lib.resolve(spec), Run(workdir)
  cluster = cluster_of(spec.train.strategy)
  with StopSignal() as stop, _closing(run):
    run.check(spec, overwrite)
    # Several devices must be made before reading data may make TensorFlow start with one.
    strategy = workers.connect(spec.train, cluster, checksum(spec)) if spec.train.strategy != 'one' else None
    group = workers.Workers(cluster, strategy)
    stop.listen()
    with group.guarded(run.checkpoints):
      data = build.dataset(spec, None if overwrite else run.data)
      if group.is_chief:
        run.open(spec, overwrite)
      import_tensorflow()
      from tfvae.training import Trainer

      trainer = Trainer(spec, run, data, strategy, group)
      if trainer.train(stop, overwrite) and (result := trainer.finish()):
        _summarize(run, spec.eval.split, result.numbers, _draw(run))
      group.gather()  # who leaves early looks like one that was lost
  return run


def evaluate(workdir: str | os.PathLike, overrides: Mapping[str, Any] | list = ()) -> dict[str, float]:
  """Evaluates the newest checkpoint of a run on spec.eval.split, writes the numbers and arrays, and draws.

  Args:
    workdir: the run directory.
    overrides: fields of spec.eval, such as {'eval.split': 'train'}, and `PLACES`; the run's own spec holds for the
      rest.
  """
  run = Run(workdir)
  run.require()
  spec = _override(run, overrides)
  data = build.dataset(spec, run.data)
  with _closing(run):
    run.lock()
    import_tensorflow()
    from tfvae.evaluation import Evaluation

    model, step = run.restore(build.model(spec, data.shape))
    result = Evaluation(model, build.source(spec, data), build.evaluators(spec), spec).run(spec.eval.split)
    run.write_evaluation(step, spec.eval.split, result.numbers, result.arrays)
    _summarize(run, spec.eval.split, result.numbers, _draw(run))
  return result.numbers


def report(workdir: str | os.PathLike) -> list[pathlib.Path]:
  """Draws the figures of a run again, from its directory alone."""
  run = Run(workdir)
  run.require(checkpoint=False)
  paths = _draw(run)
  for path in paths:
    print(path)
  return paths


def show(spec) -> None:
  """Prints the resolved spec at once, then the data's size and the model's weights."""
  print(spec_lib.to_json(spec), end='', flush=True)
  data = build.dataset(spec)
  print(f'\ndata: {data.name}, examples of shape {data.shape}')
  for split in data.splits:
    print(f'  {split:<12}{data.size(split):>9,}')
  import_tensorflow()
  model = build.model(spec, data.shape)
  print(f'\nmodel: {spec.model.name}, layers {", ".join(model.layer_names)}')
  width = max(len(v.path) for v in model.variables)
  for variable in model.variables:
    print(f'  {variable.path:<{width}}  {tuple(variable.shape)!s:<18}{build.num_parameters([variable]):>12,}')
  print(f'  {"parameters":<{width}}  {"":<18}{build.num_parameters(model.trainable_variables):>12,}')


def load(workdir: str | os.PathLike) -> Run:
  """A run that was trained: `.spec`, `.model`, `.metrics`, `.evaluation`."""
  run = Run(workdir)
  run.require()
  return run


def default_workdir(path: str, overrides: list[tuple[str, str]]) -> pathlib.Path:
  """runs/<spec>-<variant>[,field=value...]: another flag is another run."""
  file, _, variant = path.partition(':')
  name = pathlib.Path(file).stem + (f'-{variant}' if variant else '')
  name = ','.join([name, *(f'{field}={value}' for field, value in sorted(dict(overrides).items()))])
  return pathlib.Path('runs') / name.replace(os.sep, '_').replace(' ', '')[:200]


@contextlib.contextmanager
def _closing(run):
  """Gives the run's lock back, and says what to do where memory is short."""
  try:
    yield
  except Exception as error:
    if isinstance(error, MemoryError) or type(error).__name__ == 'ResourceExhaustedError':
      raise UserError(
        f'memory is not enough: {str(error).splitlines()[0][:200]}. Try a smaller spec.data.batch_size, '
        'spec.objective.num_samples, spec.eval.batch_size or spec.eval.num_samples'
      ) from None
    raise
  finally:
    run.close()


def _override(run, overrides):
  pairs = list(overrides.items() if isinstance(overrides, Mapping) else overrides)
  places = ', '.join(f'spec.{place}' for place in PLACES)
  if problems := [
    f'spec.{name}: only fields of spec.eval, and {places}, can be overridden for a run that is there'
    for name, _ in pairs
    if not name.startswith('eval.') and name not in PLACES
  ]:
    raise SpecError(problems)
  return spec_lib.resolve(run.spec, pairs)


def _draw(run):
  from tfvae.report.figures import draw

  try:
    return draw(run)
  except OSError as error:
    raise UserError(f'{run.figures}: the figures cannot be written ({error.strerror or error})') from None


def _summarize(run, split, numbers, paths):
  for name, value in numbers.items():
    print(f'  {name:<28}{value:>14.6g}')
  print(f'{split} split, {run.evaluation_path(split)}; figures: {", ".join(str(path) for path in paths)}', flush=True)
