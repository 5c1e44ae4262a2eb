"""What `--mode=sweep` does. Imports no TensorFlow: the workers do."""

import collections
import contextlib
import hashlib
import os
import pathlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError, UserError, cut
from tfvae.plan import directory_name
from tfvae.run.directory import Directory, is_free
from tfvae.spec import grid as grid_lib
from tfvae.spec import sharing
from tfvae.sweep import options as options_lib
from tfvae.sweep.display import Display, course, main_number
from tfvae.sweep.home import LOGS, Home, same_run
from tfvae.sweep.jobs import Job, origin_of, thread_variables
from tfvae.sweep.local import Local
from tfvae.sweep.on_ray import OnRay
from tfvae.sweep.stacked import Stacked
from tfvae.training.signals import StopSignal, stopped

MOST_LISTED = 20  # runs that failed, in full
MANY = 200  # points, of which each takes a few milliseconds to look at


def sweep(
  source: str,
  overrides: Sequence[tuple[str, Any]],
  flags: Iterable[tuple[str, str]],
  workdir: str | os.PathLike | None = None,
  overwrite: bool = False,
  make_executor=None,
) -> Home:
  """Trains the grid of a spec file: a run directory for each point in `workdir`, those that are finished left out.

  Args:
    source: the spec file, with a variant after a colon.
    overrides: (field, value), the same for all points.
    flags: (name, text): fields and their values, and the options of `tfvae.sweep.options`.
    workdir: of the grid. None: runs/<spec>-<variant>-sweep[,field=value...] of the overrides.
    overwrite: set a grid that is there aside (renamed) and start afresh.
    make_executor: for tests, in the place of `_executor`.

  Raises:
    UserError: what is wrong with the grid or the directory, before anything begins; or that runs failed, at the end.
    Stopped: after Ctrl-C or SIGTERM.
  """
  options, axes, zips = options_lib.split(flags)
  grid = grid_lib.make(source, overrides, axes, zips, same_run, options_lib.NAMES, _begins)
  _check(grid, options.executor == 'stacked')
  home = Home(workdir or default_workdir(grid), source, grid)
  home.check(overwrite)
  executor = (make_executor or _executor)(options, home, len(grid.points))
  with StopSignal() as stop, contextlib.closing(home), executor:
    stop.listen()  # Ray takes SIGTERM for itself
    for told in home.open(options.executor, overwrite):
      print(told, flush=True)
    print(_announced(source, overrides, grid, home, executor), flush=True)
    stop.at_once = 'stopped before training began'
    specs = dict(zip(home.names, (point.spec for point in grid.points), strict=True))
    _train(home, specs, executor, stop)
    return home


def _begins(count):
  if count > MANY:
    print(f'{count:,} points are looked at first', flush=True)


def default_workdir(grid: grid_lib.Grid) -> pathlib.Path:
  """runs/<spec>-<variant>-sweep[,field=value...]: the fields that are the same for all points, as in a run's name.

  What is swept is not in it: values, and fields, may be added to a grid.
  """
  origin = spec_lib.origin(grid.points[0].spec)
  fields = {
    name: value
    for name, value in origin.changes.items()
    if name != 'train.steps' and name not in grid.axes and not is_free(name)
  }
  return pathlib.Path('runs') / directory_name(fields, f'{origin.name}-sweep')


def _check(grid, stacked):
  """Raises SpecError where a point cannot be trained, as far as that can be told before its data are read."""
  found, count = {}, len(grid.points)
  for point in grid.points:
    try:
      if point.spec.train.strategy == 'multi_worker':
        raise SpecError(
          ['spec.train.strategy: got multi_worker; a grid trains each run on one machine (one | mirrored)']
        )
      build.check(point.spec)
      if stacked and (problems := build.stacking_problems(point.spec)):
        raise SpecError(problems)
    except SpecError as error:
      for problem in error.problems:
        found.setdefault(problem, []).append(point.fields)
  if found:
    raise SpecError([grid_lib.of_points(problem, of, count) for problem, of in found.items()])


def _executor(options, home, runs):
  if options.executor == 'ray':
    return OnRay(options.threads, options.gpus)
  kind = Stacked if options.executor == 'stacked' else Local
  return kind(options.jobs, options.threads, home.workdir / LOGS, runs)


def _announced(source, overrides, grid, home, executor):
  fields = ''.join(f', {name}={value}' for name, value in overrides)
  zipped = {name for names in grid.zips for name in names}
  parts = [f'{name} ({len(values)})' for name, values in grid.axes.items() if name not in zipped]
  parts += [f'{" with ".join(names)} ({len(grid.axes[names[0]])})' for names in grid.zips]
  return '\n'.join(
    [
      f'grid:     {len(grid.points)} runs of {cut(source)}{cut(fields, 200)}: {" x ".join(parts)}',
      f'workdir:  {home.workdir}',
      f'executor: {executor}',
    ]
  )


def _train(home, specs, executor, stop):
  """Trains what is not finished, and shows it."""
  states = {name: home.state(name, spec) for name, spec in specs.items()}
  for name, (status, message) in states.items():
    home.points[name] |= {'status': status, 'message': message}
  home.write()
  stop.at_once = None
  left = [name for name, (status, _) in states.items() if status in ('waiting', 'interrupted')]
  counts = collections.Counter(status for status, _ in states.values())
  if counts['finished'] or counts['interrupted']:
    resumed = f', {counts["interrupted"]} to be resumed' if counts['interrupted'] else ''
    print(f'runs:     {counts["finished"]} finished before{resumed}, {len(left)} to do', flush=True)
  home.wait_for_others(left, stop)  # one that is not free then says so itself
  jobs = [_job(home, name, specs[name], executor.threads) for name in left]
  runs = {name: Directory(home.workdir / name) for name in specs}
  display = Display(
    len(specs), counts['finished'], counts['failed'], lambda name: course(runs[name], specs[name].train.steps)
  )
  told = False
  with display:
    for event in executor.run(jobs, stop):
      if stop.number and not told:
        told = True
        display.say('stopping: runs are being saved; again, and they are not')
      if event is not None:
        _hear(home, display, event, runs)
      display.tick()
  _conclude(home, list(specs), stop)


def _hear(home, display, event, runs):
  home.set(event.name, event.status, event.message)
  if event.status == 'running':
    display.begins(event.name)
    return
  text = event.message.replace(f'{home.workdir.absolute()}{os.sep}', '')
  if event.status == 'finished':
    text = _number(runs[event.name])
  elif event.status == 'failed':
    text = f'failed: {_line(text, 200)}'
  elif event.status == 'waiting':
    text = f'its worker {text}; another one goes on with it'
  display.ends(event.name, event.status, text, event.seconds)
  home.write_results()


def _number(run):
  """The main number of a finished run, and of which split it is."""
  with contextlib.suppress(UserError):
    numbers = dict(run.evaluation)
    return f'{numbers.pop("split")} {main_number({k: v for k, v in numbers.items() if k != "step"})}'
  return ''


def _line(text, most):
  """A message of several lines in one."""
  return cut('; '.join(text.splitlines()), most)


def _conclude(home, names, stop):
  home.write_results(last=True)
  points = [home.points[name] for name in names]
  count = {what: sum(point['status'] == what for point in points) for what in ('finished', 'failed')}
  failed = [point for point in points if point['status'] == 'failed']
  for point in failed[:MOST_LISTED]:
    print(f'failed: {point["name"]}: {_line(point["message"], 400)}')
  if len(failed) > MOST_LISTED:
    print(f'and {len(failed) - MOST_LISTED} more, in {home.workdir / "sweep.json"}')
  done = f'{count["finished"]} of {len(points)} runs are finished'
  if stop.number and count['finished'] + count['failed'] < len(points):
    raise stopped(stop.number, f'{done}; the same command goes on with the others in {home.workdir}')
  print(f'{done}: {home.workdir}', flush=True)
  if failed:
    raise RunError(
      f'{len(failed)} of {len(points)} runs failed (above); what they printed is in {home.workdir / LOGS}. The same '
      'command tries them again'
    )


def _job(home, name, spec, threads):
  workdir = home.workdir.absolute()
  origin = spec_lib.origin(spec)
  command = [f'{name}={value}' for name, value in thread_variables(threads).items()]
  command += ['python', sys.argv[0] if sys.argv[0].endswith('launch.py') else 'launch.py', '--spec', home.source]
  command += ['--workdir', str(home.workdir / name)]
  command += [f'--spec.{field}={spec_lib.to_text(value)}' for field, value in origin.changes.items()]
  return Job(
    name,
    str(workdir / name),
    str(workdir / LOGS / f'{name}.txt'),
    spec_lib.to_json(spec),
    origin_of(spec),
    tuple(command),
    os.getcwd(),
    hashlib.sha256(sharing.program(spec).encode()).hexdigest(),
  )
