"""The sides of feature maps: what convolutions do to them, layer by layer. Arithmetic; nothing heavy is imported."""

import itertools
from typing import NamedTuple


class Step(NamedTuple):
  """What one layer does to the side of the feature map."""

  kind: str  # keep, halve, double; without padding: narrow, widen
  side: int  # after it


MOST_REPEATED = (
  12  # layers that `widths` makes: from a side of 4096 to 1, or a way of odd sides that is better not gone
)


class NoWay(ValueError):
  """No convolutions lead from one side to the other."""


def descent(side: int, kernel: int) -> list[int]:
  """`side` and the smaller ones that it leads to: halved where even; where odd, less by kernel - 1 (no padding)."""
  sides = [side]
  while sides[-1] % 2 == 0 or sides[-1] > kernel > 1:
    sides.append(sides[-1] // 2 if sides[-1] % 2 == 0 else sides[-1] - kernel + 1)
  return sides


def way(size: int, grid: int, kernel: int, head: bool = True) -> list[Step]:
  """The steps that a net needs from `size` x `size` to `grid` x `grid`.

  Going down, an even side is halved and an odd one narrowed by a convolution without padding: 28, 14, 7, 4 for kernel
  4. Going up is the same way back.

  Args:
    head: whether a `Head` follows. Going up, the last doubling is then the head's, and not here.

  Raises:
    NoWay: the smaller side is not among those that the larger one leads to.
  """
  small, large = sorted((size, grid))
  sides = descent(large, kernel)
  if small not in sides:
    smaller = [str(side) for side in sides[1:]] or ['nothing smaller']
    smaller[8:-1] = ['...'] * (len(smaller) > 9)
    raise NoWay(
      f'no way leads from {size} x {size} to {grid} x {grid}: with kernel={kernel}, a side of {large} is reduced to '
      f'{", ".join(smaller)}'
    )
  sides = sides[: sides.index(small) + 1]
  steps = [Step(_kind(*pair), pair[1]) for pair in itertools.pairwise(sides[::-1] if grid > size else sides)]
  return steps[:-1] if head and steps and steps[-1].kind == 'double' else steps


def plan(size: int, grid: int, num_layers: int, kernel: int, head: bool = True) -> list[Step]:
  """What a net's layers do from a `size` x `size` input to a `grid` x `grid` output (grid 0: a vector).

  They go the `way` that there is. Layers that are not needed keep the side: the last ones, or the first on the way up.
  To a vector, each layer reduces the side as long as that goes.

  Raises:
    ValueError: where the layers are too few, or no such way leads from one to the other.
  """
  if not grid:
    steps = [Step(_kind(*pair), pair[1]) for pair in itertools.pairwise(descent(size, kernel))][:num_layers]
  else:
    steps = way(size, grid, kernel, head)
  if num_layers < len(steps):
    raise ValueError(f'{len(steps)} layers are needed from {size} x {size} to {grid} x {grid}')
  spare = num_layers - len(steps)
  if grid > size:
    return [Step('keep', size)] * spare + steps
  return steps + [Step('keep', steps[-1].side if steps else size)] * spare


def _kind(before, after):
  if after > before:
    return 'double' if after == 2 * before else 'widen'
  return 'halve' if before == 2 * after else 'narrow'


def most_layers(grid: int, kernel: int, head: bool = True) -> int:
  """How many layers have room on the way up from a vector to grid x grid. See `way`."""
  return len(descent(grid, kernel)) - int(head and grid % 2 == 0)  # the head doubles


def first_side(grid: int, num_layers: int, kernel: int, head: bool = True) -> int:
  """The side of the first of `num_layers` feature maps on the way up from a vector to grid x grid. See `way`.

  Raises:
    ValueError: where the layers are too many.
  """
  sides, most = descent(grid, kernel), most_layers(grid, kernel, head)
  if num_layers > most:
    raise ValueError(
      f'{num_layers} layers are too many from a vector to {grid} x {grid} with kernel={kernel}: at most {most}'
    )
  return sides[num_layers - 1 + len(sides) - most]


def widths(hidden: tuple[int, ...], needed: int) -> tuple[int, ...]:
  """The channels of `needed` layers: `hidden`, and its last as often as it takes, up to MOST_REPEATED layers."""
  return (*hidden, *hidden[-1:] * (min(needed, MOST_REPEATED) - len(hidden)))


def added(hidden: tuple[int, ...], growth: int, stem: int = 2) -> list[int]:
  """How many layers each stage of a densenet has, of which each adds `growth` channels: of the stage that ends with
  hidden[i] channels, from half of those of the stage before it, of the first from stem x growth.

  Raises:
    ValueError: no whole number of layers leads there; says what would be near.
  """
  counts, begin = [], stem * growth
  for width in hidden:
    count, rest = divmod(width - begin, growth)
    if count < 1 or rest:
      near = begin + growth * max(1, round((width - begin) / growth))
      raise ValueError(
        f'a stage that begins with {begin} channels has {begin + growth}, {begin + 2 * growth}, ... at its end, not '
        f'{width}; the nearest is {near}'
      )
    counts.append(count)
    begin = width // 2
  return counts


def stages(side: int, num_stages: int) -> list[int]:
  """The side in each stage of a residual net: in each but the first it is halved, an odd one rounded up."""
  sides = [side]
  while len(sides) < num_stages:
    sides.append((sides[-1] + 1) // 2)
  return sides
