"""A sigma that falls by hand: a function of the step, in a variable of the model."""

import math
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny_spec
from runs import rows_of, variables_of

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.noise import stateless
from tfvae.observation import Observation

FALLS = {'decoder.variance': 'fixed', 'decoder.sigma_from': 2.0, 'decoder.sigma': 0.7, 'decoder.sigma_until': 0.5}
SIGMAS = [2.0, 1.5666666666666667, 1.1333333333333333, 0.7, 0.7, 0.7]  # 2 - 1.3 k / 3, of 6 steps


def falling(**fields):
  return spec_lib.resolve(tiny_spec(), FALLS | {'train.steps': 6} | fields)


def assert_at(sigma, metrics, dimensions):
  """The log-density of a step, and what is said of sigma, are those of it."""
  constant = -dimensions / 2 * math.log(2 * math.pi * sigma**2)
  assert metrics['sigma'] == pytest.approx(sigma, rel=1e-6)
  assert metrics['log_likelihood_constant'] == pytest.approx(constant, rel=1e-6)
  error = dimensions * metrics['mse'] / (2 * sigma**2)
  assert metrics['log_likelihood'] == pytest.approx(constant - error, rel=1e-5)


def steps_of(run):
  return [row for row in rows_of(run.workdir) if 'evaluation' not in row]


@pytest.mark.parametrize(
  'fields', [{}, {'objective.name': 'iwae'}, {'objective.name': 'symmetric', 'objective.chains': 2}], ids=str
)
def test_each_step_has_its_sigma(fields):
  """Of all objectives, whatever weights training begins with; nothing is moved by gradients."""
  spec = falling(**fields)
  model = build.model(spec, Observation((3,)))
  objective = build.objective(spec, model)
  variance = model.decoder.likelihood.variance
  variance.set(tf.constant(0.1, tf.float64))  # as of a run that this one goes on from
  objective.fit(None)
  assert not variance.log_sigma.trainable and not model.variance_variables
  x = np.random.default_rng(0).random((4, 3), np.float32)
  player = next(iter(objective.players))
  for k, sigma in enumerate(SIGMAS):
    step = tf.constant(k, tf.int64)
    _, metrics = objective.loss(player, model, {'x': tf.constant(x)}, step, stateless(0, k))
    assert_at(sigma, {name: float(np.mean(value)) for name, value in metrics.items()}, 3)
    objective.update({}, step)
  assert float(variance(None, batch_shape=(1, 1))) == np.float32(math.log(0.7))  # as of a fixed one


def test_members_fall_together():
  fields = {'model.name': 'members', 'model.members': (1, 2), 'decoder.net.kind': 'linear', 'data.name': 'pca'}
  spec = falling(**fields, **{'eval.evaluators': ('selection',)})
  model = build.model(spec, Observation((3,)))
  objective = build.objective(spec, model)
  objective.update({}, tf.constant(0, tf.int64))
  for member in model.members.values():
    assert float(member.decoder.likelihood.variance.log_sigma) == pytest.approx(math.log(SIGMAS[1]), rel=1e-6)


def test_a_sigma_that_does_not_fall_is_no_variable():
  model = build.model(falling(**{'decoder.sigma_until': 0.0}), Observation((3,)))
  variance = model.decoder.likelihood.variance
  assert variance.variables == [] and float(variance(None, batch_shape=(1, 1))) == np.float32(math.log(0.7))


def test_a_run(tmp_path, monkeypatch):
  """Each step and each evaluation has the sigma of its step, also resumed in the middle, to the bit, and begun anew."""
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  fields = {'train.compile': 'eager', 'train.log_every': 1, 'train.checkpoint_every': 2, 'eval.every': 2}
  evaluators = ('bounds', 'nll_per_dimension')
  spec = falling(**fields, **{'eval.evaluators': evaluators, 'eval.during': evaluators, 'eval.batch_size': 500})
  run = commands.train(spec, tmp_path / 'run')
  rows, quiet = steps_of(run), {'eval.evaluators': (), 'eval.during': ()}
  assert [row['step'] for row in rows] == [1, 2, 3, 4, 5, 6]
  for sigma, row in zip(SIGMAS, rows, strict=True):
    assert_at(sigma, row, 64)
  evaluated = [row for row in rows_of(run.workdir) if 'evaluation' in row]
  assert [row['sigma'] for row in evaluated] == pytest.approx([SIGMAS[2], 0.7, 0.7], rel=1e-5)
  nll = [row['nll_per_dimension'] for row in evaluated]
  assert 20 > nll[0] > nll[1] > nll[2] == run.evaluation['nll_per_dimension'] > 0
  assert (
    commands.evaluate(run.workdir, {'eval.checkpoint': '2', 'eval.evaluators': 'bounds'})['sigma']
    == evaluated[0]['sigma']
  )

  again = tmp_path / 'again'
  shutil.copytree(run.workdir, again)
  for path in (again / 'checkpoints').glob('ckpt-[46].*'):
    path.unlink()
  resumed = commands.train(spec_lib.resolve(spec, quiet), again)
  found, wanted = variables_of(again), variables_of(run.workdir)
  assert steps_of(resumed) == rows and any('log_sigma' in name for name in wanted)
  assert found.keys() == wanted.keys()
  for name, value in wanted.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)

  fields = quiet | {'train.steps': 1, 'train.init_from': str(run.workdir)}
  assert_at(2.0, steps_of(commands.train(spec_lib.resolve(spec, fields), tmp_path / 'next'))[0], 64)


@pytest.mark.parametrize(
  ('fields', 'text'),
  [
    ({'decoder.variance': 'learned'}, 'sigma_until: got 0.5, .* spec.decoder.variance is learned; use 0, or fixed'),
    ({'decoder.likelihood': 'bernoulli'}, 'sigma_until: got 0.5, .* is bernoulli; use 0, or gaussian'),
    ({'decoder.sigma_from': 0.7}, r'sigma_from: got 0.7; allowed: more than spec.decoder.sigma \(0.7\)'),
    ({'decoder.sigma_until': 1.5}, 'spec.decoder.sigma_until: got 1.5; allowed: '),
  ],
)
def test_what_cannot_fall_is_refused(fields, text):
  with pytest.raises(SpecError, match=text):
    falling(**fields)
