"""Paths that a spec names, and what stands there."""

import os
import pathlib
import stat

from tfvae.errors import SpecError, cut


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
