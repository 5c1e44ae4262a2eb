"""What tests of runs share: what a run directory holds, two that are the same, and one that is interrupted."""

import contextlib
import json

import numpy as np
import pytest
import tensorflow as tf

TIMES = ('steps_per_second', 'examples_per_second')


def variables_of(workdir):
  """{name: array} of everything in the newest checkpoint."""
  path = max((workdir / 'checkpoints').glob('ckpt-*.index'), key=lambda p: int(p.stem[5:])).with_suffix('')
  reader = tf.train.load_checkpoint(str(path))
  return {
    name: reader.get_tensor(name)
    for name in reader.get_variable_to_shape_map()
    if 'CHECKPOINTABLE_GRAPH' not in name and not name.startswith('save_counter')
  }


def rows_of(workdir):
  rows = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def assert_same_run(a, b):
  """Bit for bit: metrics, evaluation, and every variable of the last checkpoint."""
  assert rows_of(a) == rows_of(b)
  assert (a / 'evaluation.json').read_bytes() == (b / 'evaluation.json').read_bytes()
  left, right = variables_of(a), variables_of(b)
  assert left.keys() == right.keys() and len(left) > 10
  for name, value in left.items():
    np.testing.assert_array_equal(value, right[name], err_msg=name)


def assert_same_numbers(found, want):
  """The ELBO and the losses, to a relative 1e-4; the rest feels it more where rounding turns a unit on or off."""
  assert len(found) == len(want) > 10
  for a, b in zip(found, want, strict=True):
    assert a.keys() == b.keys() and any(name.startswith('elbo') for name in a)
    for name, value in b.items():
      if isinstance(value, float):
        rel = 1e-4 if name.startswith(('elbo', 'loss')) else 1e-2
        assert a[name] == pytest.approx(value, rel=rel, abs=1e-5), (b['step'], name)


class Interrupted(Exception):
  pass


@contextlib.contextmanager
def interrupted_at(monkeypatch, step):
  """Inside, training dies just after it logged `step`."""
  from tfvae.training.loop import Trainer

  own = Trainer._log

  def log(self, *args):
    sums = own(self, *args)
    if self.step == step:
      raise Interrupted
    return sums

  with monkeypatch.context() as patch, pytest.raises(Interrupted):
    patch.setattr(Trainer, '_log', log)
    yield
