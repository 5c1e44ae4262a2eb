"""Streams, and linear VAEs of several sizes side by side."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation
from tfvae.analysis.selection import Selection, information_criterion
from tfvae.data import synthetic
from tfvae.data.source import Source
from tfvae.errors import NonFiniteError, SpecError
from tfvae.trained import Run
from tfvae.training.loop import Trainer
from tfvae.training.signals import StopSignal
from tfvae.training.step import Stepper

SMALL = {'data.examples': 3000, 'data.changes': (1000, 2000), 'data.dims': 5, 'data.segments': (3, 1, 2)}
SMALL |= {'model.members': (1, 2, 3), 'train.steps': 300, 'train.compile': 'graph'}


def small(**fields):
  return spec_lib.load(ROOT / 'specs/streaming.py', SMALL | fields)


def test_a_stream_keeps_its_order_and_its_moments():
  spec = small(**{'data.examples': 60_000, 'data.changes': (20_000, 40_000)})
  data = build.dataset(spec)
  source = Source(data, spec.data, 0)
  np.testing.assert_array_equal(source.order(0, 3).ravel(), np.arange(30))
  np.testing.assert_array_equal(source.order(5999, 2).ravel(), [*range(59_990, 60_000), *range(10)])
  x, label = data.splits['train']['x'], data.splits['train']['label']
  for segment, (mean, covariance) in enumerate(synthetic.stream_moments(spec.data)):
    own = x[20_000 * segment : 20_000 * (segment + 1)]
    assert np.all(label[20_000 * segment : 20_000 * (segment + 1)] == segment)
    # 5 standard errors: of a mean sqrt(C_ii / n), of a covariance at most sqrt(2 / n) max C.
    np.testing.assert_allclose(own.mean(0), mean, atol=5 * math.sqrt(covariance.max() / 20_000))
    np.testing.assert_allclose(np.cov(own.T), covariance, atol=5 * covariance.max() * math.sqrt(2 / 20_000))
    scales = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance)[::-1] - 0.01, 0))
    wanted = np.linspace(1, 5, 5)[: spec.data.segments[segment]]
    np.testing.assert_allclose(np.sort(scales[: len(wanted)]), wanted, rtol=1e-6)
  assert not np.array_equal(x, data.splits['test']['x'])


def randomize(model, seed=0):
  rng = np.random.default_rng(seed)
  for variable in model.trainable_variables:
    variable.assign(0.4 * rng.standard_normal(variable.shape))


def by_hand(member, mean, covariance):
  """Expected ELBO and entropies of a linear VAE for data with these moments, in float64."""
  layer, likelihood = member.latents[0], member.decoder.likelihood
  head = layer.family.head.map
  values = (head.kernel, head.bias, layer.family.log_scale, likelihood.head.map.kernel, likelihood.head.map.bias)
  v, c, log_tau, w, b = (np.asarray(value, np.float64) for value in values)
  sigma = float(np.exp(likelihood.variance(None, batch_shape=(1, 1))))
  tau, dims = np.exp(log_tau), len(b)
  rest = np.eye(dims) - w.T @ v.T  # x - loc = rest x - W c - b, plus the noise of z
  offset = rest @ mean - c @ w - b
  squares = offset @ offset + np.trace(rest @ covariance @ rest.T) + (tau**2 @ np.square(w)).sum()
  likelihood = -0.5 * (squares / sigma**2 + dims * np.log(2 * np.pi * sigma**2))
  moments = np.square(mean @ v + c) + np.diag(v.T @ covariance @ v) + tau**2
  rate = 0.5 * (moments - 1 - 2 * log_tau).sum()
  return likelihood - rate, log_tau.sum() - 0.5 * dims * np.log(2 * np.pi * np.e * sigma**2)


@pytest.mark.parametrize('known', [True, False])
def test_selection_is_exact(known):
  spec = small(**({} if known else {'data.scaling': 'standard'}))
  data = build.dataset(spec)
  model = build.model(spec, data.observation)
  randomize(model)
  evaluation = Evaluation(model, build.source(spec, data), spec)
  ((_, found),) = evaluation.run('train', [Selection(spec)])
  moments = synthetic.stream_moments(spec.data)
  for segment in range(3):
    if not known:
      own = data.splits['train']['x'][1000 * segment : 1000 * (segment + 1)].astype(np.float64)
      moments[segment] = own.mean(0), np.cov(own.T, bias=True)
    bic = {}
    for name, member in model.members.items():
      elbo, entropies = by_hand(member, *moments[segment])
      assert found.numbers[f'elbo/{name}/{segment}'] == pytest.approx(elbo, rel=1e-4)
      assert found.numbers[f'entropy_sum/{name}/{segment}'] == pytest.approx(entropies, rel=1e-5)
      units = int(name[1:])
      bic[units] = (units * 5 + 1) * math.log(10) - 20 * elbo
      assert found.numbers[f'bic_elbo/{name}/{segment}'] == pytest.approx(bic[units], rel=1e-4)
    assert found.numbers[f'selected_elbo/{segment}'] == min(bic, key=bic.get)
  assert information_criterion(-2.0, 3, 5, 10) == pytest.approx(16 * math.log(10) + 40)


def stepped(spec, model, data, steps=20):
  objective = build.objective(spec, model)
  strategy = tf.distribute.OneDeviceStrategy('/cpu:0')
  groups = build.optimizers(spec, model, objective)
  step = Stepper(strategy, model, objective, build.source(spec, data), groups, None, 0, 0.0, 'graph')
  feed = step.source.feed(0, steps, step.rows)
  done = step.run(feed, tf.constant(0, tf.int64), tf.constant(steps, tf.int64), tf.constant(step.zeros()))
  return dict(zip(step.metric_names, done.sums.numpy() / steps, strict=True))


def test_members_learn_as_they_would_alone():
  spec = small()
  data = build.dataset(spec)
  together = build.model(spec, data.observation)
  randomize(together)
  paths = [v.path for v in together.variables]
  assert len(set(paths)) == len(paths) == 3 * 6
  start = {name: [v.numpy() for v in member.trainable_variables] for name, member in together.members.items()}
  metrics = stepped(spec, together, data)
  for name, member in together.members.items():
    fields = {'model.name': 'hierarchy', 'model.members': (), 'model.z1.dim': int(name[1:])}
    alone_spec = spec_lib.resolve(spec, fields | {'eval.evaluators': ('bounds',)})
    alone = build.model(alone_spec, data.observation)
    for variable, value in zip(alone.trainable_variables, start[name], strict=True):
      variable.assign(value)
    own = stepped(alone_spec, alone, data)
    for variable, other in zip(alone.trainable_variables, member.trainable_variables, strict=True):
      np.testing.assert_allclose(variable, other, rtol=1e-5, atol=1e-6)
    for metric in ('elbo', 'rate', 'loss', 'gradient_norm', 'sigma'):
      assert metrics[f'{metric}/{name}'] == pytest.approx(own[metric], rel=1e-5), metric
    assert np.isfinite(metrics[f'entropy_sum/{name}'])


def test_a_run_of_members(tmp_path):
  run = commands.train(small(), tmp_path / 'run')
  rows = [json.loads(line) for line in (run.workdir / 'metrics.jsonl').read_text().splitlines()]
  assert [row['step'] for row in rows if row.get('evaluation')] == [100, 200, 300]
  assert {f'{name}/h{units}' for name in ('elbo', 'entropy_sum', 'loss') for units in (1, 2, 3)} < rows[-2].keys()
  assert (run.figures / 'selection.png').stat().st_size > 20_000
  assert 'selected_elbo/2' in run.evaluation


MISTAKES = [
  ({'data.changes': (1000,)}, r'spec\.data\.segments: got 3,1,2; allowed: 2 numbers, one more than'),
  ({'data.changes': (2000, 1000)}, r'spec\.data\.changes: got 2000,1000; allowed: increasing'),
  ({'data.changes': (1000, 3000)}, r'less than spec\.data\.examples \(3000\)'),
  ({'data.order': 'shuffled'}, r'spec\.data\.changes: got 1000,2000; only a stream has change points'),
  ({'data.segments': (3, 1, 6)}, r'spec\.data\.segments: got 3,1,6; allowed: at most spec\.data\.dims \(5\)'),
  ({'model.members': ()}, r'spec\.model\.members: got \(\); allowed: different numbers'),
  ({'model.members': (2, 2)}, r'spec\.model\.members: got 2,2; allowed: different numbers'),
  ({'model.name': 'hierarchy'}, r'spec\.model\.members: got 1,2,3; only spec\.model\.name=members has them'),
  ({'decoder.net.kind': 'mlp'}, r'spec\.decoder\.net\.kind: got mlp; spec\.model\.name=members needs one of linear'),
  ({'eval.evaluators': ('bounds',)}, r'spec\.eval\.evaluators: got bounds; members have the evaluator selection only'),
]


@pytest.mark.parametrize(('fields', 'message'), MISTAKES)
def test_mistakes_are_named(fields, message):
  with pytest.raises(SpecError, match=message):
    small(**fields)


def test_what_is_not_finite_in_a_stream_is_named(tmp_path):
  spec = small()
  data = build.dataset(spec)
  data.splits['train']['x'][1234, 2] = np.nan
  run = Run(tmp_path / 'run')
  run.open(spec)
  message = r'Stopped at step 124: .*training example 1234, counted from 0, is not finite.*ckpt-100'
  with StopSignal() as stop, pytest.raises(NonFiniteError, match=message):
    Trainer(spec_lib.resolve(spec, {'train.checkpoint_every': 100, 'eval.every': 0}), run, data).train(stop)
  run.close()
