"""launch.py with the objective of tests/alternating.py (--spec.objective.name=alternating).

With TEST_SIGNAL=KILL@50 in the environment it sends itself SIGKILL when it has logged step 50.
"""

import os
import pathlib
import signal
import sys

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1])]

from absl import app  # noqa: E402

import launch  # noqa: E402
from tfvae.names import NAMES  # noqa: E402
from tfvae.progress import Progress  # noqa: E402

NAMES['objective.name']['alternating'] = 'alternating:Alternating'

own = Progress.show


def show(self, step, metrics):
  own(self, step, metrics)
  name, _, at = os.environ.get('TEST_SIGNAL', '').partition('@')
  if at and step == int(at):
    os.kill(os.getpid(), getattr(signal, f'SIG{name}'))


Progress.show = show

if __name__ == '__main__':
  app.run(launch.main, flags_parser=launch.parse)
