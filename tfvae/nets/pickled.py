"""What a pickle holds, as data: nothing is imported, and nothing is called but what the caller gives.

Python's own unpickler, be it told what it may import, still sets attributes where a pickle says so and hashes keys that
are tuples of tuples, of which a few bytes make more than 2**60. Here the instructions are read one by one: those that
torch.save needs are followed, all others refused.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from tfvae.errors import cut

VALUES = {
  *('BININT', 'BININT1', 'BININT2', 'INT', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT'),
  *('UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8', 'STRING', 'BINSTRING', 'SHORT_BINSTRING'),
}  # the instructions whose argument is what they put on the stack
MADE = {
  'NONE': lambda: None,
  'NEWTRUE': lambda: True,
  'NEWFALSE': lambda: False,
  'EMPTY_TUPLE': tuple,
  'EMPTY_LIST': list,
  'EMPTY_DICT': dict,
}


class Name(NamedTuple):
  """What a pickle asks for by module and name."""

  value: Any


def load(file: BinaryIO, names: Mapping[tuple[str, str], Any], saved: Callable[[Any], Any]) -> Any:
  """What the next pickle of `file` holds: numbers, texts, tuples, lists, dicts, and what `names` and `saved` make.

  Args:
    file: is left where the pickle ends.
    names: (module, name) -> what it stands for. A function is called with what the pickle gives it, in which there are
      a `Name` for each name, and checks that; attributes that the pickle sets are left out.
    saved: makes something of what stands for an object that is stored elsewhere (a persistent id).

  Raises:
    ValueError: it asks for another name, is damaged, has a key that is no text and no whole number, or an instruction
      that no state_dict needs. Functions of `names` and `saved` may raise others.
  """
  return _Machine(names, saved).run(file)


def dictionary(pairs=()) -> dict:
  """What OrderedDict is to a pickle."""
  found = {}
  for pair in pairs:
    if type(pair) not in (tuple, list) or len(pair) != 2:
      raise ValueError('a dict of something else than pairs')
    _put(found, *pair)
  return found


def _put(found, key, value):
  if type(found) is not dict or type(key) not in (str, int):
    raise ValueError('a dict whose keys are neither texts nor whole numbers')
  found[key] = value


class _Machine:
  """A stack, places in it that are marked, and what is kept for later."""

  def __init__(self, names, saved):
    self._names, self._saved = names, saved
    self._stack, self._marks, self._memo = [], [], {}

  def run(self, file):
    for opcode, argument, _ in pickletools.genops(file):
      name = opcode.name
      if name == 'STOP':
        return self._pop()
      if name in VALUES:
        self._stack.append(argument)
      elif name in MADE:
        self._stack.append(MADE[name]())
      elif name in STEPS:
        STEPS[name](self, argument)
      else:
        raise ValueError(f'it has the instruction {name}, which no state_dict needs; it was not executed')
    raise ValueError('it has no end')

  def _pop(self):
    if len(self._stack) <= (self._marks[-1] if self._marks else 0):
      raise ValueError('an instruction lacks what it is to work on')
    return self._stack.pop()

  def _top(self):
    value = self._pop()
    self._stack.append(value)
    return value

  def _since_mark(self, *_):
    first = self._marks.pop()
    found, self._stack[first:] = self._stack[first:], []
    return found

  def mark(self, _):
    self._marks.append(len(self._stack))

  def put(self, place):
    self._memo[len(self._memo) if place is None else place] = self._top()

  def get(self, place):
    if place not in self._memo:
      raise ValueError('it refers to something that it does not hold')
    self._stack.append(self._memo[place])

  def tuple_of(self, size):
    self._stack.append(tuple(reversed([self._pop() for _ in range(size)])))

  def collect(self, kind):
    self._stack.append(kind(self._since_mark()))

  def collect_dict(self, _):
    values, found = self._since_mark(), {}
    self._stack.append(found)
    self._set(found, values)

  def append(self, values):
    target = self._top()
    if type(target) is not list:
      raise ValueError('a list is something else')
    target.extend(values)

  def set_items(self, values):
    self._set(self._top(), values)

  def _set(self, target, values):
    for key, value in zip(values[::2], values[1::2], strict=True):
      _put(target, key, value)

  def name(self, argument):
    module, name = argument.split(' ', 1) if argument else reversed((self._pop(), self._pop()))
    if type(module) is not str or type(name) is not str or (module, name) not in self._names:
      shown = cut(f'{module}.{name}') if type(module) is type(name) is str else 'a name that is no text'
      raise ValueError(f'it asks for {shown}, which no tensor needs; it was not executed')
    self._stack.append(Name(self._names[module, name]))

  def call(self, _):
    arguments, function = self._pop(), self._pop()
    if type(arguments) is not tuple or type(function) is not Name or not callable(function.value):
      raise ValueError('it calls what is no function')
    self._stack.append(function.value(*arguments))

  def build(self, _):
    self._pop()  # attributes, such as a state_dict's versions
    self._top()

  def stored(self, _):
    self._stack.append(self._saved(self._pop()))


STEPS: dict[str, Callable] = {
  'PROTO': lambda machine, _: None,
  'FRAME': lambda machine, _: None,
  'MARK': _Machine.mark,
  **dict.fromkeys(['PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'], _Machine.put),
  **dict.fromkeys(['GET', 'BINGET', 'LONG_BINGET'], _Machine.get),
  'TUPLE': lambda machine, _: machine.collect(tuple),
  'TUPLE1': lambda machine, _: machine.tuple_of(1),
  'TUPLE2': lambda machine, _: machine.tuple_of(2),
  'TUPLE3': lambda machine, _: machine.tuple_of(3),
  'LIST': lambda machine, _: machine.collect(list),
  'DICT': _Machine.collect_dict,
  'APPEND': lambda machine, _: machine.append([machine._pop()]),
  'APPENDS': lambda machine, _: machine.append(machine._since_mark()),
  'SETITEM': lambda machine, _: machine.set_items([machine._pop(), machine._pop()][::-1]),
  'SETITEMS': lambda machine, _: machine.set_items(machine._since_mark()),
  'GLOBAL': _Machine.name,
  'STACK_GLOBAL': _Machine.name,
  'REDUCE': _Machine.call,
  'BUILD': _Machine.build,
  'BINPERSID': _Machine.stored,
}
