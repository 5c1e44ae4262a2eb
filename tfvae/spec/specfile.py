"""Spec files: found, run, and their mistakes explained. Importing this imports no TensorFlow."""

import importlib.util
import inspect
import os
import pathlib
import sys
import traceback

from ml_collections import ConfigDict

from tfvae.errors import SpecError, UserError, cut, nearest, short
from tfvae.spec.fields.field import flatten
from tfvae.spec.fields.model import layers_problem
from tfvae.spec.schema import schema, unknown


def split(path: str | os.PathLike) -> tuple[pathlib.Path, str]:
  """(the file, the variant) of 'specs/hit.py:variant'. A colon in the name of a file that is there is a part of it."""
  text = os.path.expanduser(os.fspath(path))
  file, _, variant = (text, '', '') if ':' not in text or _is_file(pathlib.Path(text)) else text.rpartition(':')
  return pathlib.Path(file), variant


def is_json(file: pathlib.Path) -> bool:
  """Whether it is a spec.json, which has no variants, rather than a Python file."""
  return file.suffix.lower() == '.json'


def read_text(file: pathlib.Path) -> str:
  """The text of a spec file. Raises SpecError where there is none, or it cannot be read."""
  _require(file)
  try:
    return file.read_text(encoding='utf-8')
  except OSError as error:
    raise SpecError([f'--spec: {cut(str(file))} cannot be read ({error.strerror})']) from None
  except UnicodeDecodeError:
    raise SpecError([f'--spec: {cut(str(file))} is no text (UTF-8)']) from None


def call(file: pathlib.Path, variant: str, name: str = 'get_config'):
  """What get_config(variant), or a function of another name, of a Python file returns; None: there is no other.

  Raises SpecError, which names the line of a mistake; also where there is no get_config.
  """
  read_text(file)
  module_spec = importlib.util.spec_from_file_location(f'tfvae_spec_{file.stem}', file)
  if module_spec is None:
    raise SpecError(
      [f'--spec: {cut(str(file))} is not a Python file; give one that defines get_config, such as specs/hit.py']
    )
  module = importlib.util.module_from_spec(module_spec)
  _run(file, module_spec.loader.exec_module, module)
  function = getattr(module, name, None)
  if not callable(function):
    if name != 'get_config':
      return None
    raise SpecError([f'{file}: there is no get_config in it; define get_config(variant="") that returns a spec'])
  takes_one = bool(inspect.signature(function).parameters)
  if variant and not takes_one and name == 'get_config':
    raise SpecError([f'--spec: got the variant {short(variant)}, but get_config() of {file} has none; leave it out'])
  return _run(file, function, *([variant] if variant and takes_one else []))


def _is_file(path):
  try:
    return path.is_file()
  except (OSError, ValueError):  # a name that is too long, a directory that may not be read
    return False


def _require(file):
  if _is_file(file):
    return
  shown = cut(str(file))
  if _is_file(file / 'spec.json'):
    raise SpecError(
      [
        f'--spec: {shown} is the directory of a run, not a spec file. --workdir {shown} alone resumes it; '
        f'--spec {shown}/spec.json is its spec'
      ]
    )
  own, is_folder = _spec_files(file), os.path.isdir(shown)
  there = own or _spec_files(file.parent) or _spec_files(pathlib.Path('specs'))
  known = {pathlib.Path(name).stem: name for name in [*_spec_files(pathlib.Path('specs')), *there]}
  close = '' if is_folder or shown != str(file) else nearest(str(file), there)
  if not close and not is_folder:
    stem = nearest(cut(file.stem), known).removeprefix(' Did you mean ').removesuffix('?')
    close = f' Did you mean {known[stem]}?' if stem else ''
  hint = close or (f' Spec files: {", ".join(there[:12])}' if there else '')
  raise SpecError([f'--spec: there is no spec file {shown}.{hint}'])


def _spec_files(folder):
  try:
    return sorted(str(path) for path in folder.iterdir() if path.suffix == '.py')
  except (OSError, ValueError):
    return []


def _run(file, function, *args):
  """Calls a spec file's code; its mistakes become a SpecError that names the line."""
  wrote = sys.dont_write_bytecode
  sys.dont_write_bytecode = True  # a spec is not an installed module: leave no __pycache__ beside it
  try:
    return function(*args)
  except UserError as error:
    raise SpecError([f'{file}: {line}' for line in str(error).splitlines()]) from None
  except SyntaxError as error:
    raise SpecError([f'{error.filename or file}, line {error.lineno}: syntax error: {error.msg}']) from None
  except Exception as error:  # whatever a user's file raises
    own = str(file.resolve())
    lines = [
      f.lineno for f in traceback.extract_tb(error.__traceback__) if str(pathlib.Path(f.filename).resolve()) == own
    ]
    where = f'{file}, line {lines[-1]}' if lines else str(file)
    raise SpecError([f'{where}: {_of_a_field(error) or f"{type(error).__name__}: {_first_line(error)}"}']) from None
  finally:
    sys.dont_write_bytecode = wrote


def _first_line(error):
  text = str(error.args[0] if error.args else error)
  return cut(next(iter(text.splitlines()), ''), 300)


def _of_a_field(error):
  """What is wrong with a field, where ml_collections refused to read or set it; None for other errors.

  Its own messages say neither in which section the field is, nor what it may be.
  """
  frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
  refusing = frames[-1].f_locals
  section, name = refusing.get('self'), refusing.get('attribute', refusing.get('key'))
  if not isinstance(section, ConfigDict) or not isinstance(name, str):
    return None
  names = (_path(value, section) for frame in frames for value in frame.f_locals.values())
  parent = next((path for path in names if path is not None), None)
  if parent is None:
    return None
  *_, root = (v for frame in frames for v in frame.f_locals.values() if _path(v, section) == parent)
  layers = tuple(root.model.layers)
  fields = flatten(schema(layers if not layers_problem(layers) else ()))
  full = f'{parent}{name}'
  if full not in fields:
    return f'spec.{cut(full)}: {unknown(full, fields, layers)}'
  problem = fields[full].problem(refusing['value']) if 'value' in refusing else None
  return f'spec.{full}: {problem}' if problem else None


def _path(root, section, prefix=''):
  """Where `section` is in a spec: '', 'decoder.net.', ...; None where `root` is no spec, or another one."""
  if not isinstance(root, ConfigDict) or (not prefix and 'model' not in root):
    return None
  if root is section:
    return prefix
  below = (_path(value, section, f'{prefix}{name}.') for name, value in root.items() if isinstance(value, ConfigDict))
  return next((path for path in below if path is not None), None)
