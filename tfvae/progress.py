"""What is shown during training and evaluation: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator


class Progress:
  """Shows the step, the ELBO, the rates and the steps per second; `quiet`, only what is said in a line of its own."""

  def __init__(self, step: int, steps: int, quiet: bool = False):
    self._steps, self._bar, self._quiet = steps, None, quiet
    if sys.stdout.isatty() and not quiet:
      from tqdm import tqdm

      self._bar = tqdm(total=steps, initial=step, unit='step', file=sys.stdout, dynamic_ncols=True)

  def advance(self, step: int) -> None:
    """Moves the bar."""
    if self._bar:
      self._bar.update(step - self._bar.n)

  def show(self, step: int, metrics: dict[str, float]) -> None:
    """The logged values."""
    if self._quiet:
      return
    keys = [k for k in metrics if k in ('elbo', 'rate') or k.startswith('rate/')] or [
      k for k in metrics if k.split('/')[0] == 'loss'
    ]
    if len([k for k in keys if k.startswith('rate/')]) == 1:
      keys.remove('rate')
    parts = [f'{key} {metrics[key]:.4g}' for key in keys]
    if self._bar:
      self._bar.set_postfix_str('  '.join(parts))
    else:
      parts.append(f'{metrics["steps_per_second"]:.4g} steps/s')
      self.say(f'step {step:>{len(str(self._steps))}}/{self._steps}  ' + '  '.join(parts))

  def say(self, message: str) -> None:
    """A line of its own."""
    if self._bar:
      self._bar.write(message, file=sys.stdout)
    else:
      print(message, flush=True)

  def close(self) -> None:
    """Ends the bar."""
    if self._bar:
      self._bar.close()


def watch(label: str, batches: Iterator, number: int) -> Iterator:
  """The batches of an evaluation, their progress shown: a bar on a terminal, elsewhere a line at the end."""
  if sys.stdout.isatty():
    from tqdm import tqdm

    yield from tqdm(batches, label, number, unit='batch', file=sys.stdout, dynamic_ncols=True, leave=False)
    return
  begun = time.monotonic()
  yield from batches
  print(f'evaluated {label}: {number} batches in {time.monotonic() - begun:.1f} s', flush=True)
