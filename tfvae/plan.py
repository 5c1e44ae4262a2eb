"""What a command is about to do: where its run goes, and what is told before it begins. Imports no TensorFlow."""

import hashlib
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.run import environment
from tfvae.run.checkpoint_files import steps
from tfvae.run.directory import Directory, is_free
from tfvae.spec import catalogue

MOST_BYTES = 120  # of the name of a directory; file systems allow 255, and files in it have their own names


def default_workdir(origin: spec_lib.Origin | None) -> pathlib.Path:
  """runs/<spec>-<variant>[,field=value...] of a spec that was loaded: another value is another run.

  Fields at the spec file's own value do not appear; nor do those in which a resumed run may differ: where the data are,
  the number of steps, logging, evaluation.
  """
  if origin is None:
    raise SpecError(['workdir: is missing; a spec that was not loaded from a spec file needs one, such as runs/mine'])
  fields = {name: value for name, value in origin.changes.items() if name != 'train.steps' and not is_free(name)}
  return pathlib.Path('runs') / directory_name(fields, origin.name)


def directory_name(fields: Mapping[str, Any], first: str = '') -> str:
  """first,field=value,...: safe as the name of a directory, of at most `MOST_BYTES`.

  Equal values have one name, however they were written, and different ones never share one: what is no part of a safe
  file name is replaced, long names are cut, and both end in a hash.
  """
  exact = json.dumps([first, *fields.items()])
  # A text of the user's may hold a comma or an equals sign, which separate fields.
  texts = {
    name: re.sub('[,=]', '_', value) if isinstance(value, str) else spec_lib.to_text(value)
    for name, value in fields.items()
  }
  name = ','.join([*([first] if first else []), *(f'{field}={text}' for field, text in texts.items())])
  safe = re.sub(r'[^\w.+,=-]', '_', name).lstrip('.-')
  changed = safe != name or any(texts[field] != value for field, value in fields.items() if isinstance(value, str))
  if changed or len(safe.encode()) > MOST_BYTES:
    digest = hashlib.sha256(exact.encode()).hexdigest()[:8]
    safe = f'{safe.encode()[: MOST_BYTES - 9].decode(errors="ignore")}-{digest}'
  return safe


def announce(spec, origin, run: Directory, overwrite: bool) -> str:
  """What training is about to do: the data, the spec, the run directory, a line each."""
  lines = [f'data:    {_data(spec.data)}']
  if origin is not None:
    fields = (f'{name}={spec_lib.to_text(value)}' for name, value in origin.changes.items())
    lines.append(f'spec:    {", ".join([origin.path, *fields])}')
  return '\n'.join([*lines, f'workdir: {run.workdir} ({_state(spec, run, overwrite)})'])


def _data(section):
  name, read = section.name, catalogue.read(section.name, section.of)
  if read != name:
    name = f'{name} of {read}'
  if catalogue.source(read):
    return f'{name} in {catalogue.data_dir(section)}'
  if name == 'table':
    return f'table {section.path}' if section.path else "table (scikit-learn's breast cancer table)"
  return f'{name} {section.path}'.rstrip()


def _state(spec, run, overwrite):
  if (study := spec.study.name) != 'none':
    return f'{"the run there is set aside; " if overwrite and run.exists() else ""}a study: {study}'
  if not run.exists():
    return f'new, {spec.train.steps} steps'
  if overwrite:
    return f'the run there is set aside; new, {spec.train.steps} steps'
  step, last = next(iter(steps(run.checkpoints)), 0), spec.train.steps
  if not step:
    return f'a run without a checkpoint, {last} steps'
  if step >= last:
    return f'trained to its last step, {last}; is evaluated and drawn'
  return f'resumes at step {step} of {last}'


def model_line(spec, model, strategy) -> str:
  """The model, its size, and what it is trained on."""
  from tfvae import build

  parameters = f'{build.num_parameters(model.trainable_variables):,} parameters'
  return f'model:   {model.title}, {parameters}, on {_devices(spec.train, strategy)}'


def _devices(train, strategy):
  cores, number = f'{environment.cores()} cores', strategy.num_replicas_in_sync
  if any('GPU' in device for device in strategy.extended.worker_devices):
    return f'{number} x {environment.devices()[0]}'
  if train.strategy == 'mirrored' and number == 1:
    return (
      f'one CPU device ({cores}): there is no GPU that mirrored could use; spec.train.logical_devices=2 rehearses two'
    )
  return f'the CPU ({cores})' if number == 1 else f'{number} CPU devices ({cores})'
