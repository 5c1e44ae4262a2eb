"""What a user may do wrong: errors that end a command with a message and no traceback."""

import difflib
import reprlib

MOST_PROBLEMS = 30  # of a spec that are told at once


class UserError(Exception):
  """A mistake that the user can mend. The message names what is wrong, what is allowed and what to do."""


class SpecError(UserError):
  """Every problem found in a spec, a line each (`problems`)."""

  def __init__(self, problems):
    self.problems = tuple(problems)
    more = len(self.problems) - MOST_PROBLEMS
    rest = [f'and {more} more problems'] if more > 0 else []
    super().__init__('\n'.join([*self.problems[:MOST_PROBLEMS], *rest]))


class RunError(UserError):
  """A run directory that cannot be used as asked."""


class NonFiniteError(UserError):
  """Training met a value that is not finite."""


class _Short(reprlib.Repr):
  """Values as Python writes them, whatever their size; reprlib leaves out the middle."""

  def repr_int(self, value, level):
    if abs(value) < 10**self.maxlong:
      return repr(value)
    return f'an integer of about {int(value.bit_length() * 0.30103) + 1} digits'  # whose text Python may refuse to make


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = 100
_SHORT.maxlong = 30
_SHORT.maxtuple = _SHORT.maxlist = _SHORT.maxdict = 8
_SHORT.maxlevel = 3


def short(value) -> str:
  """A value for a message: as Python writes it, of a long one the beginning and the end."""
  return _SHORT.repr(value)


def cut(text: str, most: int = 120) -> str:
  """A text of a user's for a message, without quotes: on one line, cut in the middle, every character printable."""
  text = ''.join(c if c.isprintable() else '?' for c in text)
  return text if len(text) <= most else f'{text[: most - most // 4 - 3]}...{text[-(most // 4) :]}'


def nearest(name: str, valid) -> str:
  """' Did you mean ...?' where one of `valid` is close to `name`, else ''."""
  by_lower = {other.lower(): other for other in reversed(list(valid))}
  close = difflib.get_close_matches(name[:200].lower(), list(by_lower), n=1, cutoff=0.6)
  return f' Did you mean {by_lower[close[0]]}?' if close else ''
