"""Run directories: what training leaves, and all that is made from it afterwards. See docs/run-directory.md.

Opening and checking a run imports no TensorFlow.
"""

import contextlib
import errno
import fcntl
import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import tempfile
import zipfile
import zlib

import numpy as np

from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError
from tfvae.names import NAMES
from tfvae.quiet import import_tensorflow
from tfvae.schema import flatten

# A resumed run may differ in these: its numbers do not depend on them, but for rounding where the devices differ.
PLACES = ('data.path', 'data.data_dir', 'data.download', 'data.memory_limit')  # where the data are, and are held
FREE_FIELDS = ('train.log_every', 'train.checkpoint_every', 'train.keep', 'train.startup_timeout', *PLACES)
FREE_FIELDS += ('train.strategy', 'train.logical_devices')
FREE_SECTIONS = ('eval.', 'sample.')
OWN = (*PLACES, 'train.startup_timeout')  # what each worker may have of its own
MADE_WITH = 'made_with'  # the array that says of which checkpoint and settings the others of an archive are
VERSIONS = ('tfvae', 'tensorflow', 'keras', 'tensorflow-probability', 'numpy')


class Run:
  """A run directory.

  Attributes:
    workdir: its path.
    spec: the resolved spec of the run.
    model: the trained model, with the averaged weights where the run has them (made when first asked for).
    metrics: {'train': {name: array}, 'test': ...} of metrics.jsonl, with the 'step' of each row; NaN where a row lacks
      a name. Evaluations on the training split are under 'train (evaluated)'.
    evaluation: the last evaluation of spec.eval.split.
    verbs: what `model` is used for, a `Verbs`; `scale`, `encode`, `decode`, `reconstruct`, `sample` and `elbo` call it.
      A closed-form variance is given the training split's value when it is made, which takes the data.
  """

  def __init__(self, workdir: str | os.PathLike):
    self.workdir = pathlib.Path(workdir)
    self._lock = self._metrics_file = None
    self._made = []  # the directories that `lock` made: the run's own, and those above it that were not there

  @property
  def checkpoints(self) -> pathlib.Path:
    """Where the checkpoints are."""
    return self.workdir / 'checkpoints'

  @property
  def figures(self) -> pathlib.Path:
    """Where the figures are."""
    return self.workdir / 'figures'

  def exists(self) -> bool:
    """Whether there is a run."""
    return (self.workdir / 'spec.json').is_file()

  @functools.cached_property
  def spec(self):
    return self.read_spec()

  @property
  def data(self) -> dict | None:
    """What the run keeps of its data: name, shape, sizes of the splits, scaling, checksum. None before it began."""
    path = self.workdir / 'data.json'
    try:
      return json.loads(path.read_text()) if path.is_file() else None
    except (OSError, ValueError) as error:
      raise RunError(f'{path}: cannot be read ({error}); put it back from a copy, or remove it') from None

  def read_spec(self):
    """The spec in spec.json. Raises RunError where it is broken."""
    try:
      return spec_lib.from_json((self.workdir / 'spec.json').read_text())
    except (SpecError, OSError) as error:
      raise RunError(f'{self.workdir / "spec.json"}: {error}') from None

  def require(self, checkpoint: bool = True) -> None:
    """Raises RunError where there is no run, or none with a checkpoint."""
    if not self.exists():
      what = 'there is no run in it (no spec.json)' if self.workdir.is_dir() else 'there is no such directory'
      raise RunError(f'--workdir {self.workdir}: {what}; give the directory of a run, or train one with --spec')
    if checkpoint and not any(self.checkpoints.glob('ckpt-*.*')):
      raise RunError(self._no_checkpoint())

  def _no_checkpoint(self):
    return f'--workdir {self.workdir}: the run has no checkpoint yet; train it first (run its command again)'

  # Opening for training.

  def open(self, spec, overwrite: bool = False) -> None:
    """Locks the directory for training with `spec`, after checking that it can be used; changes nothing in it.

    Raises RunError: it is a file, cannot be written, is in use, holds something else, or a run with another spec.
    """
    self.lock()
    try:
      self.check(spec, overwrite)
    except BaseException:
      self.close()
      raise

  def check(self, spec, overwrite: bool = False) -> None:
    """Raises RunError where the directory holds something else than a run, or a run with another spec."""
    if self.exists():
      return None if overwrite else self._compare(spec)
    there = self.workdir.iterdir() if self.workdir.is_dir() else ()
    others = sorted(path.name for path in there if path.name != 'lock' and not _is_temporary(path))
    if others:
      raise RunError(
        f'--workdir {self.workdir}: holds files ({", ".join(others[:3])}, ...) but no run; give a new directory'
      )
    return None

  def lock(self) -> None:
    """Makes the directory where there is none, and takes its lock (released by `close` and when the process ends)."""
    path = self.workdir / 'lock'
    while self._lock is None:
      try:
        self._made = self._made or [path for path in (self.workdir, *self.workdir.parents) if not path.exists()]
        self.workdir.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
      except OSError as error:
        what = 'is a file' if self.workdir.is_file() else f'cannot be written ({error.strerror})'
        raise RunError(f'--workdir {self.workdir}: {what}; give a directory that can be written') from None
      try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except OSError:
        owner = os.read(handle, 100).decode(errors='replace').strip()
        os.close(handle)
        by = f' ({owner})' if owner else ''
        raise RunError(
          f'--workdir {self.workdir}: in use by another process{by}; wait for it, or give another directory'
        ) from None
      if path.exists() and os.path.samestat(os.fstat(handle), os.stat(path)):
        self._lock = handle
      else:  # another process set the directory aside, or removed it, between our two calls
        os.close(handle)
    os.ftruncate(self._lock, 0)
    os.pwrite(self._lock, f'process {os.getpid()} on {platform.node()}\n'.encode(), 0)

  def close(self) -> None:
    """Gives the lock back; a directory that `lock` made, and in which nothing was begun, goes."""
    self._close_metrics()
    if self._lock is None:
      return
    if self._made and [path.name for path in self.workdir.iterdir()] == ['lock']:
      with contextlib.suppress(OSError):  # another process is just coming in
        (self.workdir / 'lock').unlink()
        for path in self._made:
          path.rmdir()
    os.close(self._lock)
    self._lock = None

  def _compare(self, spec):
    problems = []
    for name, (old, new) in spec_lib.differences(self.read_spec(), spec).items():
      if name in FREE_FIELDS or name.startswith(FREE_SECTIONS):
        continue
      if name == 'train.steps' and old is not None and new is not None and new > old:
        continue
      more = '; only more steps are possible' if name == 'train.steps' else ''
      problems.append(f'spec.{name}: the run has {old}, this command {new}{more}')
    if problems:
      problems.append(
        f'--workdir {self.workdir} holds a run with another spec. Give the same spec to resume it, another --workdir '
        'to keep both, or --overwrite to set it aside and start afresh'
      )
      raise RunError('\n'.join(problems))

  def begin(self, spec, data: dict, overwrite: bool = False) -> list[str]:
    """Writes spec.json, data.json and environment.json; `overwrite` renames a run that is there first.

    `data` is the summary of the data set. Returns what to tell.
    """
    told = []
    if overwrite and self.exists():
      told.append(f'The run that was there is now {self._set_aside()}.')
    with self._writing():
      for path in filter(_is_temporary, list(self.workdir.rglob('.*'))):  # of a process that was killed while it wrote
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
      write(self.workdir / 'spec.json', spec_lib.to_json(spec))
      write(self.workdir / 'data.json', json.dumps(data) + '\n')
      path, now = self.workdir / 'environment.json', environment()
      try:
        before = json.loads(path.read_text())
      except (OSError, ValueError):  # a new run, or a damaged file
        before = now
        write(path, json.dumps(now, indent=2) + '\n')
      if changed := [
        f'{name} {before.get(name)} -> {version}' for name, version in now.items() if before.get(name) != version
      ]:
        told.append(f'Since this run began, versions changed: {", ".join(changed)}; its bits may, too.')
    self.__dict__['spec'] = spec
    return told

  def _set_aside(self):
    if self.workdir.resolve() == pathlib.Path.cwd():
      raise RunError('--overwrite: the run is the current directory, which cannot be renamed; call it from elsewhere')
    number = 1
    while (aside := self.workdir.with_name(f'{self.workdir.name}.{number}')).exists():
      number += 1
    with self._writing():
      self.workdir.rename(aside)
    old, self._lock = self._lock, None
    os.close(old)
    self.lock()
    return aside

  # Metrics and evaluations.

  def append_metrics(self, step: int, split: str, values: dict[str, float], evaluation: bool = False) -> None:
    """Adds a line to metrics.jsonl: of training, or of an `evaluation`, which may be on the training split too."""
    line = json.dumps({'step': step, 'split': split, **({'evaluation': True} if evaluation else {}), **values})
    with self._writing():
      if self._metrics_file is None:
        self._metrics_file = open(self.workdir / 'metrics.jsonl', 'a')  # noqa: SIM115
      self._metrics_file.write(line + '\n')
      self._metrics_file.flush()

  def _close_metrics(self):
    if self._metrics_file is not None:
      with contextlib.suppress(OSError):  # a full disk was reported when the line was written
        self._metrics_file.close()
      self._metrics_file = None

  def read_metrics(self) -> list[dict]:
    """The lines of metrics.jsonl; one that a crash left unfinished is not counted."""
    path = self.workdir / 'metrics.jsonl'
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else ():
      with contextlib.suppress(json.JSONDecodeError):
        rows.append(json.loads(line))
    return rows

  def trim_metrics(self, step: int) -> None:
    """Removes the lines after `step`: a resumed run writes them again."""
    self._close_metrics()
    rows = [row for row in self.read_metrics() if row['step'] <= step]
    if (self.workdir / 'metrics.jsonl').exists():
      with self._writing():
        write(self.workdir / 'metrics.jsonl', ''.join(json.dumps(row) + '\n' for row in rows))

  @property
  def metrics(self) -> dict[str, dict[str, np.ndarray]]:
    series = {}
    for row in self.read_metrics():
      name = row.pop('split')
      if row.pop('evaluation', False) and name == 'train':
        name = 'train (evaluated)'
      series.setdefault(name, []).append(row)
    return {
      name: {
        key: np.array([row.get(key, np.nan) for row in rows]) for key in dict.fromkeys(k for row in rows for k in row)
      }
      for name, rows in series.items()
    }

  def evaluation_path(self, split: str) -> pathlib.Path:
    """evaluation.json for spec.eval.split, evaluation-<split>.json for the others."""
    own = self.spec.eval.split
    return self.workdir / ('evaluation.json' if split == own else f'evaluation-{split}.json')

  def found(self, step: int, split: str) -> dict[str, dict]:
    """What evaluators found at a checkpoint: {evaluator: {'settings': {...}, 'numbers': {...}}}, in the table's order.

    settings: the fields of spec.eval that it was found with, and tfvae's version.
    """
    try:
      records = json.loads(self._record_path(step, split).read_text())
    except (OSError, ValueError):  # absent, or damaged: then it is sought again
      return {}
    return {name: records[name] for name in NAMES['eval.evaluators'] if name in records}

  def has_found(self, step: int, split: str, evaluator: str, settings: dict) -> bool:
    """Whether an evaluator found something there with these settings, whose arrays are those of that checkpoint."""
    record = self.found(step, split).get(evaluator)
    if record is None or record['settings'] != settings:
      return False
    return not record['arrays'] or self._arrays(evaluator, split).get(MADE_WITH) == _made_with(step, settings)

  def write_found(self, step: int, split: str, evaluator: str, settings: dict, numbers: dict, arrays: dict) -> None:
    """Keeps what an evaluator found: its arrays, its record in evaluations/, and all numbers of the checkpoint."""
    with self._writing():
      if arrays:
        path = self.workdir / 'arrays' / f'{evaluator}-{split}.npz'
        path.parent.mkdir(exist_ok=True)
        with atomic(path, 'wb') as file:
          np.savez_compressed(file, **arrays, **{MADE_WITH: _made_with(step, settings)})
      records = self.found(step, split) | {
        evaluator: {'settings': settings, 'arrays': bool(arrays), 'numbers': numbers}
      }
      self._record_path(step, split).parent.mkdir(exist_ok=True)
      write(self._record_path(step, split), json.dumps(records, indent=2) + '\n')

  def write_evaluation(self, step: int, split: str) -> dict[str, float]:
    """Writes and returns all numbers that were found at a checkpoint: the last evaluation of the split."""
    numbers = {}
    for record in self.found(step, split).values():
      numbers |= record['numbers']
    with self._writing():
      write(self.evaluation_path(split), json.dumps({'step': step, 'split': split, **numbers}, indent=2) + '\n')
    return numbers

  def _record_path(self, step, split):
    return self.workdir / 'evaluations' / f'{split}-{step}.json'

  @property
  def evaluation(self) -> dict:
    path = self.workdir / 'evaluation.json'
    if not path.is_file():
      raise RunError(f'--workdir {self.workdir}: not evaluated yet; run --mode=evaluate')
    return json.loads(path.read_text())

  def arrays(self, evaluator: str, split: str) -> dict[str, np.ndarray]:
    """What an evaluator left; empty where it left nothing."""
    return {name: array for name, array in self._arrays(evaluator, split).items() if name != MADE_WITH}

  def _arrays(self, evaluator, split):
    return self._archive(f'arrays/{evaluator}-{split}.npz')

  def _archive(self, path):
    try:
      with np.load(self.workdir / path) as archive:
        return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # absent, or damaged
      return {}

  def read_reference(self, name: str) -> dict[str, np.ndarray]:
    """The arrays of `write_reference`; empty where there are none."""
    return self._archive(f'reference/{name}.npz')

  def write_reference(self, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Keeps statistics of the data, which evaluators need again and which do not depend on the model."""
    with self._writing():
      (self.workdir / 'reference').mkdir(exist_ok=True)
      with atomic(self.workdir / 'reference' / f'{name}.npz', 'wb') as file:
        np.savez(file, **arrays)

  def write_frame(self, name: str, split: str, step: int, arrays: dict[str, np.ndarray]) -> None:
    """Keeps what an evaluator left at a step of training, for figures of its course."""
    path = self.workdir / 'arrays/frames' / f'{name}-{split}-{step}.npz'
    with self._writing():
      path.parent.mkdir(parents=True, exist_ok=True)
      with atomic(path, 'wb') as file:
        np.savez_compressed(file, **arrays)

  def frames(self, name: str, split: str) -> list[tuple[int, dict[str, np.ndarray]]]:
    """(step, arrays) of each `write_frame`, in order; damaged ones are passed over."""
    found = []
    for path in (self.workdir / 'arrays/frames').glob(f'{name}-{split}-*.npz'):
      with contextlib.suppress(OSError, ValueError, EOFError, zipfile.BadZipFile), np.load(path) as archive:
        found.append((int(path.stem.rpartition('-')[2]), dict(archive)))
    return sorted(found, key=lambda frame: frame[0])

  # What --mode=sample makes.

  @property
  def samples(self) -> pathlib.Path:
    """Where the arrays and pictures of --mode=sample are."""
    return self.workdir / 'samples'

  def write_samples(self, name: str, step: int, arrays: dict[str, np.ndarray]) -> None:
    """Writes samples/<name>.npz: the arrays, and the step of the checkpoint that they were drawn from."""
    with self._writing():
      self.samples.mkdir(exist_ok=True)
      with atomic(self.samples / f'{name}.npz', 'wb') as file:
        np.savez_compressed(file, **arrays, step=np.array(step))

  def write_images(self, name: str, images: np.ndarray, kinds: tuple[str, ...]) -> list[pathlib.Path]:
    """Writes images, uint8 [n, H, W, 1 or 3], for other programs: 'png' samples/<name>/00000.png, ..., 'npz' one file.

    Returns the paths of the directory and of the file.
    """
    from PIL import Image

    paths = []
    with self._writing():
      if 'png' in kinds:
        paths.append(self.samples / name)
        with replaced(paths[-1]) as directory:
          for number, image in enumerate(images):
            Image.fromarray(image if image.shape[-1] == 3 else image[..., 0]).save(directory / f'{number:05d}.png')
      if 'npz' in kinds:
        paths.append(self.samples / f'{name}-uint8.npz')
        with atomic(paths[-1], 'wb') as file:
          np.savez_compressed(file, images)
    return paths

  def read_samples(self, name: str) -> dict[str, np.ndarray]:
    """The arrays of samples/<name>.npz. Raises RunError where it cannot be read."""
    path = self.samples / f'{name}.npz'
    try:
      with np.load(path) as archive:
        return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
      raise RunError(f'{path}: cannot be read; run --mode=sample again') from None

  def write_projector(self, files: dict[str, bytes]) -> pathlib.Path:
    """Writes the files of TensorBoard's projector, in their order; returns their directory."""
    with self._writing():
      (self.workdir / 'projector').mkdir(exist_ok=True)
      for name, content in files.items():
        with atomic(self.workdir / 'projector' / name, 'wb') as file:
          file.write(content)
    return self.workdir / 'projector'

  # The trained model.

  @property
  def summary(self) -> dict:
    """`data`; made again from the data themselves where data.json was lost."""
    from tfvae import build

    return self.data or build.dataset(self.spec).summary

  @functools.cached_property
  def model(self):
    from tfvae import build

    import_tensorflow()
    return self.restore(build.model(self.spec, tuple(self.summary['shape'])))[0]

  @functools.cached_property
  def verbs(self):
    from tfvae import build

    import_tensorflow()
    return build.verbs(self.spec, self.model, self.summary)

  def scale(self, values) -> dict[str, np.ndarray]:
    """x [B, ...] as the model takes it from values [B, ...] as they are stored: pixels, or columns of a table."""
    return self.verbs.run('scale', values=values)

  def encode(self, x) -> dict[str, np.ndarray]:
    """<layer>_loc, <layer>_scale [B, ...]: q(z | x) of x [B, ...]."""
    return self.verbs.run('encode', x=x)

  def decode(self, **z) -> dict[str, np.ndarray]:
    """mean, and scale or logits [B, ...]: p(x | z) of z1=[B, ...], and of the other layers where x depends on them."""
    return self.verbs.run('decode', **z)

  def reconstruct(self, x) -> dict[str, np.ndarray]:
    """mean [B, ...]: E[x | z] at the posterior's means of x [B, ...]."""
    return self.verbs.run('reconstruct', x=x)

  def sample(self, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """<layer>, x, mean [n, ...]: z ~ p(z), x ~ p(x | z), E[x | z]."""
    return self.verbs.run('sample', n=n, seed=seed)

  def elbo(self, x, seed: int = 0) -> dict[str, np.ndarray]:
    """elbo (beta 1), log_likelihood, rate, rate_<layer> [B] of x [B, ...] in nats, by spec.eval.num_samples samples."""
    return self.verbs.run('elbo', x=x, seed=seed)

  def write_export(self, verbs, step: int) -> pathlib.Path:
    """Writes export/ whole or not at all; returns it."""
    import tensorflow as tf

    from tfvae.checkpoints import why

    path = self.workdir / 'export'
    with self._writing(), replaced(path) as directory:
      try:
        verbs.write(directory, step)
      except tf.errors.OpError as error:
        raise OSError(errno.EIO, why(error, directory)) from error
    return path

  def restore(self, model, say=print, step: int | None = None):
    """(`model` with the weights of a checkpoint, its step). Averaged weights where the run has them.

    step: of the checkpoint, which must be intact (RunError). None: the newest that is.
    """
    from tfvae.checkpoints import Checkpoints, named
    from tfvae.ema import Ema

    self.require()
    ema = Ema(model.trainable_variables, self.spec.train.ema) if self.spec.train.ema else None
    objects = {'model': named(model.variables)} | ({'ema': ema.variables} if ema else {})
    step = Checkpoints(self.checkpoints, self.spec.train.keep, **objects).restore(say, step)
    if step is None:
      raise RunError(self._no_checkpoint())
    if ema:
      ema.assign()
    return model, step

  def initialize(self, model) -> None:
    """Gives `model`, of another run that begins (spec.train.init_from), the weights of this one's newest checkpoint.

    Raises RunError: there is no such run, or its model has other weights; the layers that differ are named.
    """
    from tfvae.checkpoints import differences, steps

    try:
      self.require()
      there = steps(self.checkpoints)
      found = differences(self.checkpoints, there[0], model.variables)
      if not found:
        self.restore(model)
    except RunError as error:
      raise RunError(f'spec.train.init_from: {str(error).removeprefix("--workdir ")}') from None
    if found:
      more = f' (and {len(found) - 4} more layers)' if len(found) > 4 else ''
      raise RunError(
        f'spec.train.init_from: the model of {self.workdir} is another one: {"; ".join(found[:4])}{more}. Give a run '
        'with the same spec.model, spec.prior and spec.decoder, and data of the same shape'
      )

  @contextlib.contextmanager
  def _writing(self):
    try:
      yield
    except OSError as error:
      raise RunError(
        f'--workdir {self.workdir}: cannot be written ({error.strerror or error}). What was saved is as it was; mend '
        'this and run the same command again'
      ) from None


def _made_with(step, settings):
  return json.dumps({'step': step, **settings})


def checksum(spec) -> int:
  """Of all that the workers of one run must have in common."""
  fields = flatten(spec.to_dict())
  return zlib.crc32(repr(sorted((name, value) for name, value in fields.items() if name not in OWN)).encode())


def environment() -> dict:
  """The versions that a run was made with."""
  versions = {'python': platform.python_version(), 'machine': platform.machine()}
  for name in VERSIONS:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[name] = importlib.metadata.version(name)
  return versions


def write(path: pathlib.Path, text: str) -> None:
  """Writes a file whole or not at all."""
  with atomic(path, 'w') as file:
    file.write(text)


@contextlib.contextmanager
def atomic(path: pathlib.Path, mode: str):
  """A file that replaces `path` when it is written to the end, and leaves `path` as it was if that fails."""
  handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.tmp')
  try:
    with open(handle, mode) as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.chmod(name, 0o644)
    os.replace(name, path)
  except BaseException:
    pathlib.Path(name).unlink(missing_ok=True)
    raise


@contextlib.contextmanager
def replaced(path: pathlib.Path):
  """A directory that replaces `path` when it is filled, and leaves `path` as it was if that fails.

  Killed between its last two steps it leaves the old directory as <path>.old, which the next call puts back.
  """
  aside = path.with_name(f'{path.name}.old')

  def put_back():
    if aside.exists() and not path.exists():
      aside.rename(path)

  put_back()
  for litter in path.parent.glob(f'.{path.name}.*.tmp'):  # of a process that was killed while it wrote
    shutil.rmtree(litter)
  new = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.tmp'))
  try:
    new.chmod(0o755)
    yield new
    for file in new.rglob('*'):
      handle = os.open(file, os.O_RDONLY)
      os.fsync(handle)
      os.close(handle)
    shutil.rmtree(aside, ignore_errors=True)
    if path.exists():
      path.rename(aside)
    new.rename(path)
    shutil.rmtree(aside, ignore_errors=True)
  except BaseException:
    put_back()
    shutil.rmtree(new, ignore_errors=True)
    raise


def _is_temporary(path):
  return path.name.startswith('.') and path.name.endswith('.tmp')
