"""What is shown during training and evaluation: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

EVERY = 10.0  # seconds between two lines of an evaluation without a terminal
SLOW = 5.0  # seconds after which compiling is worth a line
MOST_MEMBERS = 6  # whose ELBOs are shown
MOST_CONSTRAINTS = 4  # that are shown


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
    parts = [f'{key} {metrics[key]:.4g}' for key in _main(metrics)]
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

  def compiling(self, what: str) -> contextlib.AbstractContextManager:
    """Inside, `what` is said where it takes long: a compiler may be silent for minutes."""
    return contextlib.nullcontext() if self._quiet else _after(SLOW, lambda: self.say(what), once=True)

  def watch(self, label: str, batches: Iterator, number: int) -> Iterator:
    """The batches of an evaluation in the middle of training: a line where it takes long."""
    return batches if self._quiet else _counted(label, batches, number, self.say)

  def close(self) -> None:
    """Ends the bar."""
    if self._bar:
      self._bar.close()


def _main(metrics):
  """The names of what is shown: the ELBO, of several members theirs, the rates, the constraints; else the losses."""
  rates = [key for key in metrics if key.startswith('rate/') and key.count('/') == 1]  # of layers, not of their steps
  keys = [key for key in metrics if key in ('elbo', 'relaxed/elbo', 'rate')] + rates
  if len(rates) == 1 and 'rate' in keys:
    keys.remove('rate')
  if members := [key for key in metrics if key.startswith('elbo/')]:
    keys = sorted(members, key=lambda key: -metrics[key])[:MOST_MEMBERS]  # the best first
    keys = [key for key in members if key in keys]
  keys = keys or [key for key in metrics if key.split('/')[0] == 'loss']
  constraints = [key.removeprefix('multiplier/') for key in metrics if key.startswith('multiplier/')]
  for name in constraints[:MOST_CONSTRAINTS]:
    if name not in keys:  # a rate is shown already
      keys.append(f'constraint_average/{name}')
    keys.append(f'multiplier/{name}')
  return [key for key in keys if key in metrics]


def watch(label: str, batches: Iterator, number: int) -> Iterator:
  """The batches of an evaluation, their progress shown: a bar on a terminal, elsewhere lines where it takes long."""
  if sys.stdout.isatty():
    from tqdm import tqdm

    yield from tqdm(batches, label, number, unit='batch', file=sys.stdout, dynamic_ncols=True, leave=False)
    return
  yield from _counted(label, batches, number, lambda message: print(message, flush=True))


def _counted(label, batches, number, say):
  """The batches; how many are done is said every `EVERY` seconds, however long one of them takes, and then the end."""
  begun, done, first, told = time.monotonic(), 0, None, False

  def tell():
    nonlocal told
    told = True
    # The first batch compiles, which says nothing of the others.
    left = ''
    if first is not None and done > 1:
      each = (time.monotonic() - first) / (done - 1)
      left = f', {max(1, round(each * (number - done)))} s left'
    say(f'evaluating {label}: {done} of {number} batches{left or f", {time.monotonic() - begun:.0f} s so far"}')

  with _after(EVERY, tell):
    for batch in batches:
      yield batch
      done, first = done + 1, first or time.monotonic()
  if told:
    say(f'evaluated {label}: {number} batches in {time.monotonic() - begun:.1f} s')


@contextlib.contextmanager
def _after(seconds: float, tell: Callable[[], None], once: bool = False):
  """Inside, `tell` is called after so many seconds, and again after as many more unless `once`; from a thread."""
  ended = threading.Event()

  def wait():
    while not ended.wait(seconds):
      with contextlib.suppress(OSError, ValueError):  # nobody reads on: the main thread will hear of it
        tell()
      if once:
        return

  thread = threading.Thread(target=wait, daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
    thread.join()
