"""What a prepared set says of itself, checked before TensorFlow Datasets reads it."""

import json
import pathlib

from tfvae.errors import UserError, cut
from tfvae.run.files import read_json
from tfvae.spec import paths


def check(path: pathlib.Path) -> None:
  """Raises UserError where the files of a prepared set ask for code of others, or cannot be read as files.

  features.json (and dataset_info.json) name the Python class of each feature, at any depth; what TensorFlow Datasets
  does not know, it imports. A set that came from someone else must not choose what is run here.
  """
  for file in sorted(path.iterdir()):
    if (what := paths.kind(file)) not in (None, 'a directory'):
      raise UserError(f'spec.data.name: {file} is {what}, not a file; remove it, or prepare the set again')
  for name in ('features.json', 'dataset_info.json'):
    file = path / name
    if not file.exists():
      continue
    try:
      content = read_json(file)
      classes = set(_classes(content if name == 'features.json' else content.get('features')))
    except (OSError, ValueError, AttributeError, RecursionError) as error:
      raise UserError(
        f'spec.data.name: {file} cannot be read by TensorFlow Datasets ({cut(str(error))}); remove its directory and '
        'prepare the set again'
      ) from None
    if strangers := sorted(classes - _own()):
      raise UserError(
        f'spec.data.name: {file} asks for the class {cut(strangers[0])}, which is none of the features of TensorFlow '
        'Datasets; it was not imported. Prepare the set anew with those of tfds.features'
      )


def _classes(content):
  """The names of classes in the forms of this and of older versions: also in JSON that is the text of a field."""
  if isinstance(content, dict):
    for key, value in content.items():
      if key in ('pythonClassName', 'python_class_name', 'type') and isinstance(value, str):
        yield value
      else:
        yield from _classes(value)
  elif isinstance(content, list):
    for value in content:
      yield from _classes(value)
  elif isinstance(content, str) and content.lstrip()[:1] in ('{', '['):
    try:
      inside = json.loads(content)
    except ValueError:
      return
    yield from _classes(inside)


def _own():
  import tensorflow_datasets as tfds

  kinds = [kind for kind in map(tfds.features.__dict__.get, dir(tfds.features)) if isinstance(kind, type)]
  kinds = [kind for kind in kinds if issubclass(kind, tfds.features.FeatureConnector)]
  return {f'{kind.__module__}.{kind.__name__}' for kind in kinds} | {name for kind in kinds for name in kind.ALIASES}
