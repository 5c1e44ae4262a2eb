"""What models know of an example before they see any. Importing this imports nothing heavy."""

from typing import NamedTuple


class Observation(NamedTuple):
  """The shape of an example x, and the values that it may have, in the units of x: scaled, or binary.

  With levels, each value is one of low + k (high - low) / (levels - 1), k = 0, ..., levels - 1.
  """

  shape: tuple[int, ...]
  low: float = 0.0  # black, or the smallest value of the training split of other data
  high: float = 1.0  # white, or the largest
  levels: int | None = None  # 256 of images of 8 bits, 2 of binary data; None where values are not discrete
  context: tuple[int, ...] | None = None  # the shape of what comes with an example; () of a label; None: nothing does
  stack: bool = False  # whether three channels are three grey images, and no colour (of others but 1 they always are)

  @property
  def step(self) -> float:
    """From one level to the next."""
    return (self.high - self.low) / (self.levels - 1)

  def turned(self, own: tuple[float, float]) -> tuple[float, float, bool]:
    """(scale, shift, whether they change nothing) of x -> scale x + shift, from this range of values to `own`."""
    scale = (own[1] - own[0]) / ((self.high - self.low) or 1.0)  # of one value alone
    shift = own[0] - scale * self.low
    return scale, shift, abs(scale - 1) < 1e-9 and abs(shift) < 1e-9 * (own[1] - own[0])

  @classmethod
  def kept(cls, summary: dict) -> 'Observation':
    """From what a run keeps of its data; runs of tfvae before 0.2 kept no levels."""
    low, high = summary.get('range') or (0.0, 1.0)
    own = {'low': low, 'high': high, 'levels': None, 'context': None} | summary.get('observation', {})
    context = own.pop('context')
    return cls(tuple(summary['shape']), **own, context=None if context is None else tuple(context))

  def to_keep(self) -> dict:
    """All but the shape, for `kept`; of what is the exception only where it holds."""
    kept = {'low': self.low, 'high': self.high, 'levels': self.levels}
    kept |= {} if self.context is None else {'context': list(self.context)}
    return kept | ({'stack': True} if self.stack else {})
