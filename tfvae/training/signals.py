"""Stopping when asked: SIGTERM, SIGINT, and SIGHUP where it is not ignored."""

import signal
import threading


class Stopped(KeyboardInterrupt):
  """A signal ended what was going on; the message says which one, and what was saved.

  It is a KeyboardInterrupt, so that a loop around `tfvae.train` stops, too, where it does not catch it on purpose.

  Attributes:
    status: the exit status of a command that is ended so, 128 and the signal's number, as shells have it.
  """

  def __init__(self, message: str, status: int):
    super().__init__(message)
    self.status = status


class StopSignal:
  """Hears the signals for as long as it is entered.

  Attributes:
    number: that of the signal that was heard, or 0.
    at_once: where nothing is in the making, what to say when a signal ends that by `Stopped` at once; None while
      training, which looks at `number` between its calls and saves. A second signal always ends the process.
  """

  def __init__(self):
    self.number, self.at_once, self._before = 0, 'stopped before training began; nothing was changed', {}

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
    again, self.number = self.number != 0, number
    if self.at_once or again:
      raise stopped(number, self.at_once or 'stopped without saving')

  def __exit__(self, *_):
    for number, handler in self._before.items():
      signal.signal(number, handler)


class SharedStop:
  """A StopSignal as several runs that are trained together hear it: all of them when `hear` is called.

  Attributes:
    number, at_once: as of a StopSignal. Who says what is to be done at once is stopped there where a signal has come
      already, though it was not heard yet.
  """

  def __init__(self, stop: StopSignal):
    self._stop, self.number = stop, 0

  @property
  def at_once(self) -> str | None:
    return self._stop.at_once

  @at_once.setter
  def at_once(self, told: str | None):
    self._stop.at_once = told
    if told and self._stop.number:
      raise stopped(self._stop.number, told)

  def hear(self) -> int:
    """From now on the runs know of a signal that has come; its number, or 0."""
    self.number = self._stop.number
    return self.number

  def listen(self) -> None:
    self._stop.listen()


def stopped(number: int, what: str, who: str = '') -> Stopped:
  """Of the signal with this number, heard by this process or by `who`."""
  return Stopped(f'{who or signal.Signals(number).name}: {what}', 128 + number)
