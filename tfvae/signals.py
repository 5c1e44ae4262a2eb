"""Stopping when asked: SIGTERM, SIGINT, and SIGHUP where it is not ignored."""

import signal
import threading


class StopSignal:
  """Hears the signals for as long as it is entered.

  Attributes:
    name: the signal that was heard, or None.
    at_once: where nothing is in the making, what to print before the process ends with status 0 at once; None while
      training, which looks at `name` between its calls and saves. A second signal always ends the process.
  """

  def __init__(self):
    self.name, self.at_once, self._before = None, 'stopped before training began; nothing was changed', {}

  def __enter__(self):
    if threading.current_thread() is threading.main_thread():  # only it may listen
      for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
          self._before[number] = signal.signal(number, self._hear)
    return self

  def listen(self) -> None:
    """Listens again, after a library (TensorFlow's multi-worker strategy) took the signals for itself."""
    for number in self._before:
      signal.signal(number, self._hear)

  def _hear(self, number, frame):
    del frame
    again, self.name = self.name is not None, signal.Signals(number).name
    if self.at_once or again:
      print(f'{self.name}: {self.at_once or "stopped without saving"}', flush=True)
      raise SystemExit(1 if again else 0)

  def __exit__(self, *_):
    for number, handler in self._before.items():
      signal.signal(number, handler)
