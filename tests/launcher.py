"""launch.py that kills itself.

With TEST_SIGNAL=KILL@50 in the environment it sends itself SIGKILL when it has logged step 50.
"""

import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from absl import app

import launch
from tfvae.training.progress import Progress

own = Progress.show


def show(self, step, metrics):
  own(self, step, metrics)
  name, _, at = os.environ.get('TEST_SIGNAL', '').partition('@')
  if at and step == int(at):
    os.kill(os.getpid(), getattr(signal, f'SIG{name}'))


Progress.show = show

if __name__ == '__main__':
  app.run(launch.main, flags_parser=launch.parse)
