"""Paths that a spec names, and what stands there."""

import os
import pathlib
import stat

from tfvae.errors import SpecError, cut


def problem(text: str) -> str | None:
  """What is wrong with a path that a user gave, whatever is there; None: nothing."""
  try:
    parts = [len(part.encode()) for part in text.split(os.sep)]
  except UnicodeEncodeError:
    return f'got {text[:80]!a}, whose bytes are no UTF-8, which TensorFlow cannot write; give another name'
  if max(parts) > 255 or sum(parts) + len(parts) > 4000:
    return f'got {text[:60]}..., a name of {max(parts)} bytes in a path of {sum(parts)}; allowed: 255, and 4000'
  if '\0' in text:
    return f'got {text[:80]!a}; a path has no zero byte'
  if text.startswith('~') and os.path.expanduser(text) == text:
    return f'got {text}: there is no user {text.partition(os.sep)[0][1:]}; ./{text} is the directory of that name'
  return None


def given(field: str, text: str) -> pathlib.Path:
  """The path that a field of a spec names, '~' expanded; there may be nothing.

  Raises SpecError where no file can have that name, or where it cannot be looked at.
  """
  expanded = os.path.expanduser(text)
  try:
    os.stat(expanded)
  except (FileNotFoundError, NotADirectoryError):
    if text.startswith('~') and expanded == text:
      user = cut(text[1:].partition('/')[0], 40)
      raise SpecError([f'spec.{field}: got {cut(text)}: there is no user {user!r}; give the path itself']) from None
  except (OSError, ValueError) as error:  # a component that is too long, no permission, a zero byte, half a character
    what = getattr(error, 'strerror', None) or cut(str(error))
    raise SpecError([f'spec.{field}: {shown(expanded)} cannot be read: {what}']) from None
  return pathlib.Path(expanded)


def shown(path: str | os.PathLike) -> str:
  """A path for a message or as a name: what is not UTF-8 as '?', a long one cut."""
  return cut(os.fspath(path), 240)


def kind(path: str | os.PathLike) -> str | None:
  """What stands at a path other than a file, or behind a link there: 'a directory', 'a named pipe', ...; or None.

  To open a named pipe waits for someone who writes; a device may have no end.
  """
  mode = os.stat(path).st_mode
  kinds = {stat.S_ISDIR: 'a directory', stat.S_ISFIFO: 'a named pipe', stat.S_ISSOCK: 'a socket'}
  if stat.S_ISREG(mode):
    return None
  return next((what for is_kind, what in kinds.items() if is_kind(mode)), 'a device')
