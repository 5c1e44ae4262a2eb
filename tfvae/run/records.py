"""What a run directory holds beside checkpoints: spec, data, metrics, evaluations, arrays, samples."""

import functools
import json
import os
import pathlib
import stat
import zlib

import numpy as np

from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError
from tfvae.run import formats
from tfvae.run.files import (
  Damaged,
  atomic,
  read_arrays,
  read_json,
  read_text,
  replaced,
  why,
  write,
  writing,
)
from tfvae.run.rows import Rows, damage
from tfvae.spec import paths
from tfvae.spec.entries import NAMES
from tfvae.spec.evaluators import EVALUATORS, kind

SPLITS = ('train', 'validation', 'test')
MADE_WITH = 'made_with'  # the array that says of which checkpoint and settings the others of an archive are


class Records:
  """The files of a run directory, read and written.

  Args:
    workdir: its path; a leading ~ is a home directory.

  Raises RunError: no file could have this path.
  """

  def __init__(self, workdir: str | os.PathLike):
    if problem := paths.problem(os.fspath(workdir)):
      raise RunError(f'--workdir: {problem}')
    self.workdir = pathlib.Path(workdir).expanduser()
    self._rows, self._told = Rows(self.workdir), set()

  def _say(self, path, problem, remedy):
    """Tells, once, of a file that cannot be used."""
    if path not in self._told:
      self._told.add(path)
      print(f'{path}: {problem}; {remedy}.', flush=True)

  @property
  def figures(self) -> pathlib.Path:
    """Where the figures are."""
    return self.workdir / 'figures'

  def exists(self) -> bool:
    """Whether there is a run. Raises RunError where that cannot be seen."""
    try:
      return stat.S_ISREG(os.stat(self.workdir / 'spec.json').st_mode)
    except (FileNotFoundError, NotADirectoryError):
      return False
    except OSError as error:
      raise RunError(f'--workdir {self.workdir}: cannot be looked into ({why(error)}); mend this') from None

  @functools.cached_property
  def spec(self):
    # Leave to download is given with each command: a run's directory may come from someone else.
    values = self.read_spec().to_dict()
    values['data']['download'] = False
    return spec_lib.freeze(values)

  @property
  def data(self) -> dict | None:
    """What the run keeps of its data: name, shape, sizes of the splits, scaling, checksum. None before it began.

    Raises RunError: data.json is not what `write_data` wrote.
    """
    path = self.workdir / 'data.json'
    try:
      kept = formats.data(read_json(path))
      if kept.pop('checksum', None) not in (None, _checksum(kept)):  # none: written before there was one
        raise Damaged('its checksum is another')
      return kept
    except (FileNotFoundError, NotADirectoryError):
      return None
    except (OSError, Damaged) as error:
      raise RunError(f'{path}: cannot be read ({why(error)}); put it back from a copy, or remove it') from None

  def write_data(self, data: dict) -> None:
    """Writes data.json, with a checksum of it."""
    write(self.workdir / 'data.json', json.dumps(data | {'checksum': _checksum(data)}) + '\n')

  def read_spec(self):
    """The spec in spec.json. Raises RunError where it is broken."""
    try:
      return spec_lib.from_json(read_text(self.workdir / 'spec.json'))
    except (SpecError, OSError, Damaged) as error:
      raise RunError(f'{self.workdir / "spec.json"}: {why(error)}') from None

  # Metrics and evaluations.

  def append_metrics(self, step: int, split: str, values: dict[str, float], evaluation: bool = False) -> None:
    """Adds a line to metrics.jsonl: of training, or of an `evaluation`, which may be on the training split too."""
    self._rows.append({'step': step, 'split': split, **({'evaluation': True} if evaluation else {}), **values})

  def read_metrics(self) -> list[dict]:
    """The lines of metrics.jsonl; one that a crash left unfinished is not counted. Those that are no rows are told of.

    Raises RunError: it cannot be read.
    """
    rows, damaged = self._rows.read()
    if damaged:
      self._say(self._rows.path, damage(damaged), 'they are passed over')
    return rows

  def trim_metrics(self, step: int, say=print) -> None:
    """Removes the lines after `step`: a resumed run writes them again. Of lines that are no rows a copy is kept."""
    if told := self._rows.trim(step):
      say(told)

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

  @property
  def evaluated(self) -> list[str]:
    """The splits of which there is an evaluation."""
    return [split for split in SPLITS if self.evaluation_path(split).is_file()]

  def evaluation_path(self, split: str) -> pathlib.Path:
    """evaluation.json for spec.eval.split, evaluation-<split>.json for the others."""
    own = self.spec.eval.split
    return self.workdir / ('evaluation.json' if split == own else f'evaluation-{split}.json')

  def found(self, step: int, split: str) -> dict[str, dict]:
    """What evaluators found at a checkpoint: {evaluator: {'settings': {...}, 'numbers': {...}}}, in the table's order.

    settings: what `Evaluator.settings` gives, its section and its version among them. What cannot be read is told of,
    and is sought again.
    """
    path = self._record_path(step, split)
    try:
      records = formats.records(read_json(path))
    except FileNotFoundError:
      return {}
    except (OSError, Damaged) as error:
      self._say(path, f'cannot be read ({why(error)})', 'what it held is sought again by --mode=evaluate')
      return {}
    table = [*EVALUATORS, *NAMES['study.name']]
    known = [name for name in records if kind(name) in table]
    return {name: records[name] for name in sorted(known, key=lambda name: table.index(kind(name)))}

  def has_found(self, step: int, split: str, evaluator: str, settings: dict) -> bool:
    """Whether an evaluator found something there with these settings, whose arrays are those of that checkpoint."""
    record = self.found(step, split).get(evaluator)
    if record is None or record['settings'] != json.loads(json.dumps(settings)):  # tuples are lists there
      return False
    if not record['arrays']:
      return True
    arrays = self._archive(_arrays_path(evaluator, split, step))
    if str(arrays.pop(MADE_WITH, '')) != _made_with(step, settings):
      return False  # those of another evaluation, or damaged
    return record['arrays'] in (True, _described(arrays))  # true: written before the arrays were described

  def write_found(self, step: int, split: str, evaluator: str, settings: dict, numbers: dict, arrays: dict) -> None:
    """Keeps what an evaluator found: its arrays, its record in evaluations/, and all numbers of the checkpoint."""
    with writing(self.workdir):
      if arrays:
        path = self.workdir / _arrays_path(evaluator, split, step)
        path.parent.mkdir(exist_ok=True)
        with atomic(path, 'wb') as file:
          np.savez_compressed(file, **arrays, **{MADE_WITH: _made_with(step, settings)})
      records = self.found(step, split) | {
        evaluator: {'settings': settings, 'arrays': _described(arrays), 'numbers': numbers}
      }
      self._record_path(step, split).parent.mkdir(exist_ok=True)
      write(self._record_path(step, split), json.dumps(records, indent=2) + '\n')

  def write_evaluation(self, step: int, split: str) -> dict[str, float]:
    """Writes and returns all numbers that were found at a checkpoint: the last evaluation of the split."""
    numbers = {}
    for record in self.found(step, split).values():
      numbers |= record['numbers']
    with writing(self.workdir):
      write(self.evaluation_path(split), json.dumps({'step': step, 'split': split, **numbers}, indent=2) + '\n')
    return numbers

  def _record_path(self, step, split):
    return self.workdir / 'evaluations' / f'{split}-{step}.json'

  @property
  def evaluation(self) -> dict:
    path = self.workdir / 'evaluation.json'
    if not os.path.lexists(path):
      raise RunError(f'--workdir {self.workdir}: not evaluated yet; run --mode=evaluate')
    return self.read_evaluation(path)

  def read_evaluation(self, path: pathlib.Path) -> dict:
    """The step, the split and the numbers of an evaluation. Raises RunError where they cannot be read."""
    try:
      return formats.evaluation(read_json(path))
    except (OSError, Damaged) as error:
      raise RunError(f'{path}: cannot be read ({why(error)}); run --mode=evaluate, which writes it anew') from None

  def arrays(self, evaluator: str, split: str, step: int | None = None) -> dict[str, np.ndarray]:
    """What an evaluator left at a checkpoint; empty where it left nothing.

    step: of the checkpoint. None: that of the split's last evaluation.
    """
    if step is None:
      path = self.evaluation_path(split)
      step = self.read_evaluation(path)['step'] if path.is_file() else None
    found = self._archive(_arrays_path(evaluator, split, step)) if step is not None else {}
    found = found or self._archive(f'arrays/{evaluator}-{split}.npz')  # of a run that kept one for all checkpoints
    return {name: array for name, array in found.items() if name != MADE_WITH}

  def _archive(self, path):
    """The arrays of a file; none where it is absent or, which is told, damaged."""
    path = self.workdir / path
    try:
      return read_arrays(path)
    except FileNotFoundError:
      return {}
    except (OSError, Damaged) as error:
      self._say(path, f'cannot be read ({why(error)})', 'it is passed over, and made again by --mode=evaluate')
      return {}

  def read_reference(self, name: str) -> dict[str, np.ndarray]:
    """The arrays of `write_reference`; empty where there are none."""
    return self._archive(f'reference/{name}.npz')

  def write_reference(self, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Keeps statistics of the data, which evaluators need again and which do not depend on the model."""
    with writing(self.workdir):
      (self.workdir / 'reference').mkdir(exist_ok=True)
      with atomic(self.workdir / 'reference' / f'{name}.npz', 'wb') as file:
        np.savez(file, **arrays)

  def write_frame(self, name: str, split: str, step: int, arrays: dict[str, np.ndarray]) -> None:
    """Keeps what an evaluator left at a step of training, for figures of its course."""
    path = self.workdir / 'arrays/frames' / f'{name}-{split}-{step}.npz'
    with writing(self.workdir):
      path.parent.mkdir(parents=True, exist_ok=True)
      with atomic(path, 'wb') as file:
        np.savez_compressed(file, **arrays)

  def frames(self, name: str, split: str) -> list[tuple[int, dict[str, np.ndarray]]]:
    """(step, arrays) of each `write_frame`, in order; damaged ones are passed over."""
    found = []
    for path in (self.workdir / 'arrays/frames').glob('*.npz'):
      of, _, step = path.stem.rpartition('-')
      if of == f'{name}-{split}' and step.isdecimal():
        try:
          found.append((int(step), read_arrays(path)))
        except (OSError, Damaged) as error:
          self._say(path, f'cannot be read ({why(error)})', 'the animation does without it')
    return sorted(found, key=lambda frame: frame[0])

  # What --mode=sample makes.

  @property
  def samples(self) -> pathlib.Path:
    """Where the arrays and pictures of --mode=sample are."""
    return self.workdir / 'samples'

  def write_samples(self, name: str, step: int, arrays: dict[str, np.ndarray]) -> None:
    """Writes samples/<name>.npz: the arrays, and the step of the checkpoint that they were drawn from."""
    with writing(self.workdir):
      self.samples.mkdir(exist_ok=True)
      with atomic(self.samples / f'{name}.npz', 'wb') as file:
        np.savez_compressed(file, **arrays, step=np.array(step))

  def write_images(self, name: str, images: np.ndarray, kinds: tuple[str, ...]) -> list[pathlib.Path]:
    """Writes images, uint8 [n, H, W, 1 or 3], for other programs: 'png' samples/<name>/00000.png, ..., 'npz' one file.

    Returns the paths of the directory and of the file.
    """
    from PIL import Image

    paths = []
    with writing(self.workdir):
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
      return read_arrays(path)
    except (OSError, Damaged) as error:
      raise RunError(f'{path}: cannot be read ({why(error)}); run --mode=sample again') from None

  def write_projector(self, files: dict[str, bytes]) -> pathlib.Path:
    """Writes the files of TensorBoard's projector, in their order; returns their directory."""
    with writing(self.workdir):
      (self.workdir / 'projector').mkdir(exist_ok=True)
      for name, content in files.items():
        with atomic(self.workdir / 'projector' / name, 'wb') as file:
          file.write(content)
    return self.workdir / 'projector'


def _arrays_path(evaluator, split, step):
  return f'arrays/{evaluator}-{split}-{step}.npz'


def _made_with(step, settings):
  return json.dumps({'step': step, **settings})


def _checksum(data):
  return zlib.crc32(json.dumps(data, sort_keys=True).encode())


def _described(arrays):
  """{name: [dtype, shape]}: what a record keeps of arrays, so that others are not taken for them."""
  return {name: [np.asarray(array).dtype.str, list(np.shape(array))] for name, array in arrays.items()}
