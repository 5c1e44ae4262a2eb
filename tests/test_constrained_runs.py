"""Constraints through the loop: kill -9, devices, precisions, and runs of before there were any."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, tiny_spec
from runs import assert_same_run, interrupted_at, rows_of, variables_of

from tfvae import commands
from tfvae import spec as spec_lib


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])


FIELDS = {'constraint.names': ('re', 'rate'), 'constraint.rate.z2': 2.0, 'constraint.re.relative': True}
FIELDS |= {'constraint.re.kappa': 0.5, 'constraint.multiplier_rate': 0.1, 'train.log_every': 7, 'train.steps': 30}
FIELDS |= {'eval.num_samples': 2, 'decoder.variance': 'optimal', 'eval.every': 10, 'train.checkpoint_every': 10}


def constrained(**fields):
  """A small hierarchy, with a relative error and a rate."""
  spec, base = spec_lib.base(('z2', 'z1')), tiny_spec()
  for section in ('data', 'train', 'eval'):
    spec[section].update(base[section])
  for layer in spec.model.layers:
    spec.model[layer].dim, spec.model[layer].encoder.hidden = 3, (8,)
  spec.model.z1.posterior.hidden = spec.decoder.net.hidden = (8,)
  return spec_lib.resolve(spec, FIELDS | fields)


def state_of(workdir):
  """{name: value} of the multipliers, averages and scales in the newest checkpoint."""
  found = {name.replace('.S', '/'): value for name, value in variables_of(workdir).items()}
  found = {name.partition('/constraint/')[2].partition('/.ATTR')[0]: value for name, value in found.items()}
  return {name: value for name, value in found.items() if name}


def test_interrupted_and_resumed_is_the_same_run(tmp_path, monkeypatch):
  spec = constrained()
  commands.train(spec, tmp_path / 'whole')
  with interrupted_at(monkeypatch, 21):
    commands.train(spec, tmp_path / 'parts')
  commands.train(spec, tmp_path / 'parts')
  assert_same_run(tmp_path / 'whole', tmp_path / 'parts')
  found = state_of(tmp_path / 'parts')
  assert {name: value.shape for name, value in found.items()} == {
    'average': (2,),
    'log_multiplier': (2,),
    'scale/re': (),
  }
  assert all(value.dtype == np.float64 and np.all(value != 0) for value in found.values())


@pytest.mark.slow
def test_killed_and_resumed_is_the_same_run(tmp_path):
  """kill -9 in mid-run, of specs/hit.py; then the same command."""
  fields = {'constraint.names': 're,rate', 'constraint.re.relative': 'true', 'constraint.re.kappa': '0.5'}
  fields |= {'constraint.rate.z2': '4', 'decoder.variance': 'optimal', 'train.steps': '100', 'train.log_every': '10'}
  fields |= {'train.checkpoint_every': '20', 'eval.every': '0', 'eval.evaluators': 'bounds', 'eval.num_samples': '1'}
  flags = [f'--spec.{name}={value}' for name, value in fields.items()]
  for name, own in (('killed', 'KILL@50'), ('killed', ''), ('whole', '')):
    command = [sys.executable, str(ROOT / 'tests/launcher.py'), '--spec', str(ROOT / 'specs/hit.py')]
    done = subprocess.run(
      [*command, '--workdir', str(tmp_path / name), *flags],
      env=dict(os.environ, TEST_SIGNAL=own), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == (-signal.SIGKILL if own else 0), done.stdout + done.stderr
  assert_same_run(tmp_path / 'killed', tmp_path / 'whole')
  assert len(state_of(tmp_path / 'killed')) == 3


@pytest.mark.slow
@pytest.mark.parametrize('update', ['relative', 'published'])
def test_two_devices_train_as_one(tmp_path, update):
  """After 20 steps: multipliers, averages and weights within a relative 1e-4."""
  fields = {'train.steps': 20, 'train.log_every': 1, 'eval.every': 0, 'constraint.update': update}
  for name, own in (('one', {}), ('two', {'train.strategy': 'mirrored', 'train.logical_devices': 2})):
    commands.train(constrained(**fields, **own), tmp_path / name)
  one, two = (state_of(tmp_path / name) for name in ('one', 'two'))
  assert one.keys() == two.keys() and len(one) == 3
  for name, value in one.items():
    assert two[name] == pytest.approx(value, rel=1e-4), name
  one, two = (variables_of(tmp_path / name) for name in ('one', 'two'))
  for name in (name for name in one if name.startswith('model/')):
    np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-4 * np.abs(one[name]).max(), err_msg=name)
  for a, b in zip(rows_of(tmp_path / 'two'), rows_of(tmp_path / 'one'), strict=True):
    for name in ('multiplier/re', 'multiplier/rate/z2', 'loss', 'constraint_average/rate/z2'):
      if name in b:
        assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-5), (b['step'], name)


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['mixed_bfloat16', 'float64'])
def test_other_precisions(tmp_path, precision):
  """The controller is in float64 in all of them: multipliers move, and stay near those of float32.

  Weights and noise of float64 are other draws, so there multipliers are only as near as steps of at most a tenth allow.
  """
  found = {}
  for own in ('float32', precision):
    run = commands.train(constrained(**{'train.precision': own}), tmp_path / own)
    assert np.isfinite(run.evaluation['elbo']) and run.evaluation['constraint_standard_error/re'] > 0
    found[own] = state_of(tmp_path / own)
  start = np.log([64 / (2 * (0.5 * found[precision]['scale/re']) ** 2), 1.0])  # of re and of the rate
  moved = found[precision]['log_multiplier'] - start
  assert np.all(np.abs(moved) <= 0.1 * 30 + 1e-6) and np.all(moved != 0)
  for name, value in found['float32'].items():
    assert found[precision][name].dtype == np.float64
    if precision != 'float64' or name == 'scale/re':
      assert found[precision][name] == pytest.approx(value, rel=0.1, abs=0.1), name


@pytest.mark.slow
def test_a_run_of_before_goes_on(tmp_path):
  """One whose spec.json has no section of constraints; its checkpoint has nothing of them either way."""
  short = spec_lib.resolve(tiny_spec(), {'train.steps': 10, 'eval.every': 0})
  commands.train(short, tmp_path / 'run')
  assert not [name for name in variables_of(tmp_path / 'run') if 'constraint' in name]
  path = tmp_path / 'run/spec.json'
  values = json.loads(path.read_text())
  del values['constraint']
  path.write_text(json.dumps(values))
  longer = spec_lib.resolve(short, {'train.steps': 20})
  commands.train(longer, tmp_path / 'run')
  commands.train(longer, tmp_path / 'whole')
  left, right = variables_of(tmp_path / 'run'), variables_of(tmp_path / 'whole')
  for name, value in left.items():
    np.testing.assert_array_equal(value, right[name], err_msg=name)
  assert 'elbo' in commands.evaluate(tmp_path / 'run', {'eval.split': 'train'})
