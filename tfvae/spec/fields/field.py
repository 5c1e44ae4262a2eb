"""A field, and trees of them."""

import re
from typing import Any, NamedTuple

from tfvae.errors import nearest, short

LARGEST = 3e38  # a float32's
LONGEST = 4096  # characters of a text: a path may have no more
FRACTION = 'a fraction of train.steps'
MOST_LISTED = 250  # characters of what is allowed, in a message


class Field(NamedTuple):
  """One field. Bounds and choices hold for each element of a tuple."""

  default: Any
  doc: str
  choices: tuple[str, ...] = ()
  low: float | None = None  # inclusive
  high: float | None = None  # inclusive
  above: float | None = None  # exclusive
  below: float | None = None  # exclusive
  item: type | None = None  # of a tuple's elements
  most: int = 100  # elements of a tuple
  unit: str = ''  # what its numbers are, where the bounds alone do not tell what to write
  named: str = ''  # what stands between a choice and a name of one's own after it; '': there is none
  runtime: bool = False  # whether a compiled step takes it as a value: runs that differ in it alone can share the step

  @property
  def type(self) -> type:
    return type(self.default)

  def allowed(self) -> str:
    """What the field may be, for messages and documentation."""
    words = {int: 'an integer', float: 'a number', bool: 'true or false', str: 'text'}
    if self.choices:
      what = ' | '.join(choice or "''" for choice in self.choices)
    else:
      what = words[self.item or self.type]
      limits = [(self.low, '>='), (self.above, '>'), (self.high, '<='), (self.below, '<')]
      limits = [f'{sign} {limit}' for limit, sign in limits if limit is not None]
      what += f' {" and ".join(limits)}' if limits else ''
      what += f' ({self.unit})' if self.unit else ''
    return f'a tuple, each element {what}' if self.type is tuple else what

  def is_choice(self, value: Any) -> bool:
    """Whether it is one of the choices, or one with a name of one's own (small letters, digits and _)."""
    if self.named and isinstance(value, str) and self.named in value:
      value, _, own = value.partition(self.named)
      return value in self.choices and re.fullmatch(r'[a-z0-9_]{1,40}', own) is not None
    return value in self.choices

  def problem(self, value: Any) -> str | None:
    """What is wrong with `value`, or None."""
    if self.type is not tuple:
      return self._problem(value, self.type)
    if not isinstance(value, (tuple, list)):
      example = (value,) if self._problem(value, self.item) is None else self.default
      return f'got {short(value)}; allowed: {self.allowed()}' + (f', such as {short(example)}' if example else '')
    if len(value) > self.most:
      return f'got {len(value)} elements; allowed: at most {self.most}'
    return next((p for p in (self._problem(v, self.item) for v in value) if p), None)

  def _problem(self, value, kind):
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is float:
      right = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
      if right and abs(value) > LARGEST:
        return f'got {short(value)}; allowed: {self.allowed()}, and not beyond {LARGEST:g} (float32)'
    if right and self.choices:
      right = self.is_choice(value)
    elif right and kind is str and (len(value) > LONGEST or '\0' in value):
      return f'got {short(value)}; allowed: text of at most {LONGEST} characters, none of them null'
    elif right and kind in (int, float):
      right = (
        (self.low is None or value >= self.low)
        and (self.high is None or value <= self.high)
        and (self.above is None or value > self.above)
        and (self.below is None or value < self.below)
      )
    if right:
      return None
    hint = self._hint(value) if isinstance(value, str) else ''
    return f'got {short(value)}; allowed: {self._listed()}.{hint}'

  def _listed(self):
    """`allowed`, the end of a long list of choices left to docs/spec.md."""
    text = self.allowed()
    return text if len(text) <= MOST_LISTED else f'{text[:MOST_LISTED].rpartition(" | ")[0]} | ... (docs/spec.md)'

  def _hint(self, value):
    head, _, own = value.partition(self.named) if self.named else (value, '', '')
    if own and head in self.choices:
      return f' The name after {head}{self.named} may have small letters, digits and _.'
    hint = nearest(head, self.choices)
    return hint.replace('?', f'{self.named}{own}?') if own else hint

  def cast(self, value: Any) -> Any:
    """A value that is no problem in the field's own type: of a number that may be a float, a float."""
    return tuple(self.item(v) for v in value) if self.type is tuple else self.type(value)

  def parse(self, text: str) -> Any:
    """The value that a flag's text stands for; the text itself where it cannot be read."""
    if self.type is not tuple:
      return _parse(text, self.type)
    text = text.strip()
    if text[:1] + text[-1:] in ('()', '[]'):
      text = text[1:-1]
    return tuple(_parse(t.strip().strip('\'"'), self.item) for t in text.split(',') if t.strip())


def _parse(text, kind):
  if kind is bool:
    return {'true': True, 't': True, '1': True, 'false': False, 'f': False, '0': False}.get(text.lower(), text)
  try:
    return kind(text)
  except ValueError:
    return text


def flatten(tree: dict, prefix: str = '') -> dict:
  """{'train.steps': leaf, ...} of nested dicts."""
  flat = {}
  for name, node in tree.items():
    flat.update(flatten(node, f'{prefix}{name}.') if isinstance(node, dict) else {prefix + name: node})
  return flat
