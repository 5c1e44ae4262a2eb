"""What a user may do wrong: errors that end a command with a message and no traceback."""

import difflib


class UserError(Exception):
  """A mistake that the user can mend. The message names what is wrong, what is allowed and what to do."""


class SpecError(UserError):
  """Every problem found in a spec, a line each (`problems`)."""

  def __init__(self, problems):
    self.problems = tuple(problems)
    super().__init__('\n'.join(self.problems))


class RunError(UserError):
  """A run directory that cannot be used as asked."""


class NonFiniteError(UserError):
  """Training met a value that is not finite."""


def nearest(name: str, valid) -> str:
  """' Did you mean ...?' where one of `valid` is close to `name`, else ''."""
  close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)
  return f' Did you mean {close[0]}?' if close else ''
