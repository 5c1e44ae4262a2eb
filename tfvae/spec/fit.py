"""Whether the nets of a spec fit examples of a shape. Nothing heavy is imported: it is told before data are read.

`f` are all values of a spec, {'section.field': value}, as in `rules`; `shape` is that of an example, `context` that of
what models are told of it, None where that is nothing, or not known yet.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tfvae.spec import catalogue, sides
from tfvae.spec.entries import NAMES

CONV28 = 28  # the side that nets of kind conv28 lead from (seven layers) or to (six)
CHANNELS28 = {'down': (32, 32, 64, 64, 64, 128, 600), 'up': (128, 64, 64, 64, 32, 32)}  # the authors'
# What may be advised.
SIDES, GRIDS, KERNELS = range(4, 1025), range(1, 65), range(2, 8)


class Net(NamedTuple):
  """What a net of a model stands between. Sides: (height, width) of an image or a feature map; () of a vector."""

  field: str  # its section, model.z1.encoder
  sides: tuple[int, ...]  # of what it gets
  grid: int  # of what it leads to; 0: a vector
  head: bool  # whether a head follows, which does the last doubling on the way up
  grids: tuple[str, ...]  # the fields that say where it begins and where it leads, the one to be blamed at the end
  data: bool = False  # whether examples are what it begins at, or leads to


class Misfit(NamedTuple):
  """Why a net cannot be built."""

  net: Net
  field: str  # to be blamed
  why: str  # after what it got
  changes: Callable[[tuple[int, ...]], list[list[dict]]]  # shape -> groups of {field: value}: one of each is advised
  otherwise: dict | None = None  # where each of them would bring new ones; None: another kind of net


def problems(f: dict, shape: tuple[int, ...], context: tuple[int, ...] | None = None) -> list[str]:
  """A line for every field of which a net cannot be built for examples of `shape`, with a value that fits."""
  if NAMES['model.name'][f['model.name']].steps and len(shape) != 3:
    return [
      f'spec.model.name: got {f["model.name"]}, which draws images, but examples of {f["data.name"]} are none; use a '
      'spec of hierarchy, such as specs/table.py'
    ]
  found, wrong = {}, misfits(f, shape, context)
  for misfit in wrong:
    tried = [_first(f, shape, context, group, wrong) for group in misfit.changes(shape)]
    wholly = [change for change, left in tried if left == 0]
    partly = [change for change, left in tried if left] or [misfit.otherwise or {f'{misfit.net.field}.kind': 'mlp'}]
    line = f'spec.{misfit.field}: got {f[misfit.field]}{misfit.why}; use {" or ".join(map(_text, wholly or partly))}'
    # Where that mends all, a second line of the same field would tell nothing new.
    found.setdefault(misfit.field if wholly else misfit.net.field, line)
  return list(found.values())


def _text(change):
  shown = lambda value: ','.join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
  return ' and '.join(f'spec.{field}={shown(value)}' for field, value in change.items())


def _first(f, shape, context, group, wrong):
  """(change, misfits that it leaves): the first of a group that mends all, else that leaves only what was there."""
  before, partly = {misfit.net.field for misfit in wrong}, (None, None)
  for change in group:
    left = {
      misfit.net.field for misfit in misfits(f | change, _shape(change, shape), context and _shape(change, context))
    }
    if not left:
      return change, 0
    if partly[0] is None and left < before:
      partly = change, len(left)
  return partly


def _shape(change, shape):
  """That of examples after a change of spec.data.resize or pad."""
  side = change.get('data.resize', change.get('data.pad'))
  return shape if side is None else (side, side, shape[-1])


# The nets of a model.


def nets(f: dict, shape: tuple[int, ...], context: tuple[int, ...] | None = None) -> Iterator[Net]:
  """The nets of a model, as its class makes them (`Classifier`, `Hierarchy`), and what they get and lead to."""
  x = tuple(shape[:2]) if len(shape) == 3 else ()
  if NAMES['model.name'][f['model.name']].labels:
    yield Net('model.classifier', x, 0, False, (), True)
    return
  if context and len(context) == 3:
    yield Net('model.context', tuple(context[:2]), 0, True, (), True)
  layers = f['model.layers']
  if NAMES['model.name'][f['model.name']].steps:
    yield from _steps(f, layers[0], x)
    return
  orders = {'generic': _generic, 'ladder': _ladder, 'lvae': _lvae, 'reverse': _reverse}
  yield from orders[f['model.inference']](f, layers, x)
  if _told(f):
    yield Net(f'model.{layers[0]}.prior', (), f[f'model.{layers[0]}.grid'], True, (f'model.{layers[0]}.grid',))
  for above, name in itertools.pairwise(layers):
    yield _between(f, f'model.{name}.prior', f'model.{above}.grid', f'model.{name}.grid')
  meeting = f'model.{layers[-1]}.grid'
  begin = _joined(f, 'decoder.net', f[meeting] if x else 0)
  yield Net('decoder.net', begin, x[0] if x else 0, True, (meeting,), True)


def _steps(f, name, x):
  own, meeting = f'model.{name}.grid', _memories(f, name)
  map_ = (f[meeting], f[meeting])
  yield Net(f'model.{name}.encoder', x, f[meeting], False, (meeting,), True)
  yield Net(f'model.{name}.posterior', map_, f[own], True, tuple(dict.fromkeys((meeting, own))))
  yield _between(f, f'model.{name}.prior', meeting, own)
  yield Net('decoder.net', map_, x[0], True, (meeting,))


def _memories(f, name):
  """The field of the side of the memories of a layer that repeats."""
  return f'model.{name}.{"join_grid" if f[f"model.{name}.join_grid"] else "grid"}'


def _told(f):
  return f['data.context'] != 'none'


def _generic(f, layers, x):
  for above, name in zip((None, *layers), layers, strict=False):
    own = f'model.{name}.grid'
    if above is None and _told(f):
      yield Net(f'model.{name}.encoder', x, f[own], False, (own,), True)
      yield _between(f, f'model.{name}.posterior', own, own)
      continue
    if above is None:
      yield Net(f'model.{name}.encoder', x, f[own], True, (own,), True)
      continue
    meeting = f'model.{name}.join_grid' if f[f'model.{name}.join_grid'] else own
    yield Net(f'model.{name}.encoder', x, f[meeting], False, (meeting,), True)
    if f[f'model.{name}.above.kind'] != 'linear':
      yield _between(f, f'model.{name}.above', f'model.{above}.grid', meeting, head=False)
    yield _between(f, f'model.{name}.posterior', meeting, own)


def _ladder(f, layers, x):
  for name in layers[::-1]:
    net = Net(f'model.{name}.encoder', x, f[f'model.{name}.grid'], True, (f'model.{name}.grid',), name == layers[-1])
    yield net
    if _misfit(f, net):
      return  # what the next one gets is not known
    x = _reached(f, net)


def _lvae(f, layers, x):
  for name in layers[::-1]:
    own, top = f'model.{name}.grid', name == layers[0]
    branch = own if top or not f[f'model.{name}.join_grid'] else f'model.{name}.join_grid'
    alone = top and not _told(f)  # no net beside the way up
    net = Net(f'model.{name}.encoder', x, f[branch], alone, (branch,), name == layers[-1])
    yield net
    if _misfit(f, net):
      return  # what the next one gets is not known
    if not alone:
      yield _between(f, f'model.{name}.posterior', branch, own)
    x = _reached(f, net)


def _reverse(f, layers, x):
  own = f'model.{layers[-1]}.grid'
  yield Net(f'model.{layers[-1]}.encoder', x, f[own], not _told(f), (own,), True)
  if _told(f):
    yield _between(f, f'model.{layers[-1]}.posterior', own, own)
  for name, below in zip(layers[-2::-1], layers[::-1], strict=False):
    yield _between(f, f'model.{name}.encoder', f'model.{below}.grid', f'model.{name}.grid')


def _between(f, field, begin, end, head=True):
  """A net from what is joined on one grid to another."""
  return Net(field, _joined(f, field, f[begin]), f[end], head, tuple(dict.fromkeys((begin, end))))


def _joined(f, field, grid):
  """The sides of what a `Join` gives a net: a map where it takes one, else a vector."""
  return (grid, grid) if grid and NAMES['net'][f[f'{field}.kind']].maps else ()


def _reached(f, net):
  """The sides of what a net gives, which fits."""
  kind = f[f'{net.field}.kind']
  if kind == 'conv28':
    return () if net.sides else (CONV28, CONV28)
  if not (NAMES['net'][kind].maps and net.grid):
    return ()
  if kind == 'residual':
    return net.grid, net.grid
  hidden, kernel = f[f'{net.field}.hidden'], f[f'{net.field}.kernel']
  if not net.sides:
    side, num_layers = sides.first_side(net.grid, len(hidden), kernel, net.head), len(hidden) - 1
  else:
    side, num_layers = net.sides[0], max(len(hidden), len(sides.way(net.sides[0], net.grid, kernel, net.head)))
  steps = sides.plan(side, net.grid, num_layers, kernel, net.head)
  return (steps[-1].side if steps else side,) * 2


# What does not fit.


def misfits(f: dict, shape: tuple[int, ...], context: tuple[int, ...] | None = None) -> list[Misfit]:
  """Of every net that cannot be built."""
  found = [misfit for net in nets(f, shape, context) if (misfit := _misfit(f, net))]
  return found + (_uneven(f, shape[:2]) if NAMES['model.name'][f['model.name']].steps else [])


def _uneven(f, x):
  """Of a canvas that no grid of squares of one size covers."""
  (name,) = f['model.layers']
  meeting = _memories(f, name)
  grid = f[meeting]
  if x[0] == x[1] and x[0] % grid == 0:
    return []
  squares = f'; the canvas is looked at in {grid} x {grid} squares of one size'
  why = f'{squares}, but images are {_size(x)} (height x width)'
  why += f', and {x[0]} is no multiple of {grid}' if x[0] == x[1] else ', which are not square'
  grids = [{meeting: value} for value in _near(GRIDS, grid) if x[0] % value == 0]
  net = Net(f'model.{name}', tuple(x), grid, False, (meeting,))
  return [Misfit(net, meeting, why, lambda shape: [grids, _images(f, shape)], grids[0])]


def _misfit(f, net):
  kind, square = f[f'{net.field}.kind'], len(set(net.sides)) < 2
  if kind == 'conv28':
    return _conv28(f, net)
  if kind == 'residual':
    return _residual(f, net)
  if kind == 'densenet':
    return _densenet(f, net)
  if kind != 'conv':
    return None
  if not square:
    return _of_kind(f, net, f'needs square images, but these are {_size(net.sides)} (height x width)', 'mlp')
  if not net.sides and not net.grid:
    return _of_kind(f, net, 'is for images and feature maps, but this net leads from a vector to a vector', 'mlp')
  if not net.sides:
    return _too_many(f, net)
  return _too_few(f, net) if net.grid else None


def _of_kind(f, net, why, *others):
  """Of a kind of net that has no place there."""
  field = f'{net.field}.kind'
  changes = lambda shape: [[{field: other} for other in others], _images(f, shape)]
  return Misfit(net, field, f', which {why}', changes)


def _too_many(f, net):
  field, kernel = f'{net.field}.hidden', f[f'{net.field}.kernel']
  most = sides.most_layers(net.grid, kernel, net.head)
  if len(f[field]) <= most:
    return None
  why = f'; from a vector to {net.grid} x {net.grid} with kernel {kernel} at most {most} layers have room'
  return Misfit(net, field, why, lambda shape: [[{field: f[field][:most]}]])


def _too_few(f, net):
  field, kernel, side = f'{net.field}.hidden', f[f'{net.field}.kernel'], net.sides[0]
  try:
    needed = len(sides.way(side, net.grid, kernel, net.head))
  except sides.NoWay as error:
    return _no_way(f, net, f'; {error}')
  why = f'; from {side} x {side} to {net.grid} x {net.grid} with kernel {kernel} at least {needed} layers are needed'
  if needed <= len(f[field]) or (f[f'{net.field}.repeat'] and needed <= sides.MOST_REPEATED):
    return None
  if needed > sides.MOST_REPEATED:
    return _no_way(f, net, why)
  repeated = {field: sides.widths(f[field], needed)}
  return Misfit(net, field, why, lambda shape: [[repeated], [{f'{net.field}.repeat': True}]])


def _no_way(f, net, why):
  """Of sides that are not connected, or by very many layers: other grids, another kernel, images of another size."""

  def changes(shape):
    grids = [{grid: value} for grid in net.grids for value in _near(GRIDS, f[grid])]
    return [grids + [{f'{net.field}.kernel': value} for value in KERNELS], _images(f, shape)]

  return Misfit(net, net.grids[-1], f'{why} (spec.{net.field})', changes)


def _conv28(f, net):
  field, want = f'{net.field}.hidden', (CONV28, CONV28)
  to_data = net.data and net.field == 'decoder.net'
  got = (net.grid, net.grid) if to_data and net.grid else () if to_data else net.sides
  if (net.data or net.sides) and got != want:
    what = f'{"these" if net.data else "maps"} are {_size(got)}' if got else 'these are vectors'
    others = ('conv', 'mlp') if got else ('mlp',)
    return _of_kind(f, net, f'needs {"images" if net.data else "maps"} of {_size(want)}, but {what}', *others)
  right = CHANNELS28['down' if net.sides else 'up']
  if len(f[field]) == len(right):
    return None
  why = f'; conv28 has {len(right)} layers {"down to a vector" if net.sides else f"up to {_size(want)}"}'
  return Misfit(net, field, why, lambda shape: [[{field: right}]])


def _residual(f, net):
  field, grid = f'{net.field}.hidden', net.grid
  others = ('conv', 'mlp') if grid else ('mlp',)
  if not net.sides:
    return _of_kind(f, net, 'leads down from images and feature maps, but this net gets a vector', *others)
  lead = lambda num_stages: {sides.stages(side, num_stages)[-1] for side in net.sides} == {grid}
  if not grid or lead(len(f[field])):
    return None
  if grid > min(net.sides):
    up = f'leads down from images and feature maps, but this net leads up from {_size(net.sides)} to {grid} x {grid}'
    return _of_kind(f, net, up, *others)
  why = f'; by {len(f[field])} stages {_size(net.sides)} does not become {grid} x {grid}'
  if (right := next((n for n in range(1, sides.MOST_REPEATED + 1) if lead(n)), None)) is None:
    return _no_way(f, net, why)
  stages = sides.widths(f[field], right) if right > len(f[field]) else f[field][:right]
  return Misfit(net, field, why, lambda shape: [[{field: stages}]])


def _densenet(f, net):
  if not net.sides:
    return _of_kind(f, net, 'leads from images to a vector, but this net gets a vector', 'mlp')
  if net.grid:
    where = f'leads from images to a vector, but this net leads to {net.grid} x {net.grid}'
    return _of_kind(f, net, where, 'conv', 'mlp')
  return None


def _size(pair):
  return f'{pair[0]} x {pair[1]}'


def _images(f, shape):
  """Changes of the size of images, where they can be scaled."""
  name = catalogue.read(f['data.name'], f['data.of'])
  if len(shape) != 3 or not (name == 'folder' or catalogue.source(name)):
    return []
  field, side = ('data.pad' if f['data.pad'] else 'data.resize'), max(shape[:2])
  return [{field: value} for value in _near(SIDES, side) if value > side or field == 'data.resize']


def _near(values, at):
  """From the nearest to `at`, by their ratio."""
  return sorted(values, key=lambda value: abs(math.log(value / max(at, 1))))
