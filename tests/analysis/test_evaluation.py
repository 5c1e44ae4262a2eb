"""Evaluation: whole-split averages, closed-form variances, active units, entropies."""

import math
import os
import signal
import types
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.analysis.entropies import Entropies
from tfvae.analysis.evaluation import Evaluation
from tfvae.analysis.evaluator import TraceEvaluator
from tfvae.analysis.latents import Latents
from tfvae.analysis.log_evidence import LogEvidence
from tfvae.errors import RunError, SpecError
from tfvae.families.gaussian import DiagonalGaussian
from tfvae.models.hierarchy import Hierarchy
from tfvae.models.state import State
from tfvae.models.trace import Trace
from tfvae.observation import Observation
from tfvae.training.signals import Stopped

tfd = tfp.distributions


def make(tiny, **fields):
  spec = spec_lib.resolve(tiny, fields)
  data = build.dataset(spec)
  source, model = build.source(spec, data), build.model(spec, data.observation)
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign_add(0.1 * rng.standard_normal(variable.shape))
  return spec, source, model


class Result(NamedTuple):
  numbers: dict
  arrays: dict


def evaluate(spec, source, model, split='test'):
  result = Result({}, {})
  for evaluator, found in Evaluation(model, source, spec).run(
    split, build.evaluators(spec, source.dataset.observation)
  ):
    result.numbers.update(found.numbers)
    result.arrays[evaluator.name] = found.arrays
  return result


@pytest.mark.parametrize('size', [297, 100, 64, 1])
def test_the_last_partial_batch_counts_as_what_it_is(tiny, size):
  """rate and entropy of the encoder do not depend on the noise in a single-layer model: exact whatever the batches."""
  spec, source, model = make(tiny, **{'eval.batch_size': size, 'eval.evaluators': ('bounds', 'entropies', 'latents')})
  result = evaluate(spec, source, model)
  x = tf.constant(source.dataset.splits['test']['x'] / 16, tf.float32)
  q = model.latents[0].posterior(State(None), model.latents[0].encoder(x))
  mu, tau = q.mean().numpy()[0].astype(float), q.stddev().numpy()[0].astype(float)
  rate = -0.5 * (1 + 2 * np.log(tau) - mu**2 - tau**2).sum(-1)
  entropy = (np.log(tau) + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
  assert result.numbers['rate/z1'] == pytest.approx(rate.mean(), rel=1e-5)
  error = rate.std(ddof=1) / math.sqrt(len(rate))
  assert result.numbers['rate_standard_error/z1'] == pytest.approx(error, rel=1e-4)
  assert {f'{name}_standard_error' for name in ('elbo', 'log_likelihood', 'rate', 'mse')} < set(result.numbers)
  assert result.numbers['entropy/encoder'] == pytest.approx(entropy.mean(), rel=1e-5)
  assert result.numbers['active_units/z1'] == np.sum(mu.var(0) > 0.01)
  np.testing.assert_allclose(result.arrays['latents']['z1.mean'], mu.mean(0), rtol=1e-3, atol=1e-5)
  np.testing.assert_allclose(result.arrays['latents']['z1.variance_of_mean'], mu.var(0), rtol=1e-3, atol=1e-6)


def test_the_elbo_and_mse_of_a_split_against_numpy(tiny):
  spec, source, model = make(tiny, **{'eval.num_samples': 400, 'eval.batch_size': 100})
  numbers = evaluate(spec, source, model).numbers
  x = source.dataset.splits['test']['x'] / 16
  layer = model.latents[0]
  q = layer.posterior(State(None), layer.encoder(tf.constant(x, tf.float32)))
  rng, samples = np.random.default_rng(5), 400
  z = q.mean().numpy() + q.stddev().numpy() * rng.standard_normal((samples, 297, 3))
  loc = model.decoder.given(State(None, (tf.constant(z, tf.float32),))).mean().numpy()
  error = ((loc - x) ** 2).mean((2, 3, 4))
  sigma = float(np.exp(model.decoder.likelihood.variance(tf.zeros([1, 1]), batch_shape=(1, 1))))
  log_px = -32 * (error / sigma**2 + math.log(2 * math.pi * sigma**2))
  tolerance = 5 * math.sqrt(2) * log_px.std(0).mean() / math.sqrt(samples * 297)
  assert numbers['log_likelihood'] == pytest.approx(log_px.mean(), abs=tolerance)
  assert numbers['elbo'] == pytest.approx(numbers['log_likelihood'] - numbers['rate'], rel=1e-6)
  tolerance = 5 * math.sqrt(2) * error.std(0).mean() / math.sqrt(samples * 297)
  assert numbers['mse'] == pytest.approx(error.mean(), abs=tolerance)
  assert numbers['sigma'] == pytest.approx(sigma, rel=1e-5)


def test_an_optimal_variance_has_the_training_splits_value(tiny):
  spec, source, model = make(tiny, **{'decoder.variance': 'optimal', 'eval.evaluators': ('bounds', 'entropies')})
  before = model.non_trainable_variables[0].numpy()
  train, test = evaluate(spec, source, model, 'train').numbers, evaluate(spec, source, model).numbers
  assert train['sigma'] == pytest.approx(math.sqrt(train['mse']), rel=1e-5)
  assert test['sigma'] == pytest.approx(train['sigma'], rel=1e-6) and test['mse'] != pytest.approx(
    train['mse'], rel=1e-3
  )
  assert model.non_trainable_variables[0].numpy() == before  # training goes on with its own
  # With the optimal sigma the decoder's half of the identity holds: E log p(x|z) = -H[p(x|z)].
  assert train['log_likelihood'] == pytest.approx(-train['entropy/decoder'], rel=1e-5)


def test_evaluations_of_one_model_are_equal_to_the_bit(tiny):
  spec, source, model = make(tiny, **{'data.binarize': 'dynamic'})
  assert evaluate(spec, source, model).numbers == evaluate(spec, source, model).numbers


@pytest.mark.parametrize('size', [297, 100, 7])
def test_every_evaluator_sees_the_same_binary_images(tiny, size, monkeypatch):
  """Those of `bounds`, of `log_evidence`, which has batches of its own, and of the codes that probes see, whatever
  eval.batch_size is.
  """
  monkeypatch.setattr('tfvae.analysis.log_evidence.VALUES', 64 * 35)  # 5 examples x 7 samples at once
  evaluators = ('bounds', 'log_evidence', 'samples', 'probes')
  fields = {'data.binarize': 'dynamic', 'eval.evaluators': evaluators}
  fields |= {
    'eval.probes.fit': 'split',
    'eval.probes.classifiers': 'logistic',
    'eval.num_samples': 3,
    'eval.batch_size': size,
    'eval.log_evidence.samples': 7,
    'eval.log_evidence.examples': 60,
    'eval.num_images': 60,
  }
  spec, source, model = make(tiny, **fields)
  seen, own, own_encode = {}, Hierarchy.infer, Hierarchy.encode

  def keep(batch, how):
    def keep_each(index, x):
      for number, image in zip(index, x, strict=True):
        seen.setdefault((int(number), how), set()).add(image.tobytes())

    tf.numpy_function(keep_each, [batch['index'], batch['x']], [])

  def infer(self, batch, noise, num_samples=1, estimator=None, held=False):
    keep(batch, num_samples)
    return own(self, batch, noise, num_samples, estimator, held)

  def encode(self, batch):
    keep(batch, 'encoded')
    return own_encode(self, batch)

  monkeypatch.setattr(Hierarchy, 'infer', infer)
  monkeypatch.setattr(Hierarchy, 'encode', encode)
  arrays = evaluate(spec, source, model).arrays
  every = [image.tobytes() for image in source.first('test', 297)['x'].numpy()]  # in no batches
  assert [image.tobytes() for image in arrays['samples']['x']] == every[:60]
  counts = {how: len([number for number, by in seen if by == how]) for _, how in seen}
  assert counts == {1: 297, 7: 60, 3: 297, 'encoded': 297}
  for (number, _), images in seen.items():
    assert images == {every[number]}


def normal(loc, scale):
  loc, scale = tf.constant(loc, tf.float32), tf.constant(scale, tf.float32)
  return tfd.Independent(tfd.Normal(loc, scale), 1)


class Fake:
  """A model of two layers whose moments are given."""

  layer_names = ['z2', 'z1']
  told = None

  def __init__(self, trace):
    self.trace = trace
    self.families = {layer: DiagonalGaussian(q.event_shape) for layer, q in trace.q.items()}

  def infer(self, *args):
    return self.trace


class FakeSplit:
  name, size = 'test', 4

  class source:
    first = staticmethod(lambda split, n: {'x': tf.zeros([4, 1])})


def moments(trace):
  """Means over the examples of a trace."""
  n = trace.x.shape[0]
  sums = Latents(spec_lib.base()).sums(Fake(trace), trace, None, {'mask': tf.ones([n])})
  return {name: value.numpy().astype(float) / n for name, value in sums.items()}


def test_active_units_by_both_definitions():
  """Units with known moments: q's mean moves or not, q's scale is that of p or smaller."""
  move = np.array([-1, 1, -1, 1.0])[:, None]
  # z2, prior N(0, 1): [used; mean moves a little, scale of the prior; unused]
  loc2, scale2 = move * np.array([1.0, 0.15, 0.05]), np.array([0.1, 1.0, 1.0])
  # z1, prior N(5 +- 2, 3^2), variance 13: [used; moves by 0.3 < sqrt(0.13), though narrow]
  loc1, scale1 = move * np.array([1.0, 0.3]), np.array([1.0, 1.0])
  q = {
    'z2': normal(loc2[None], np.broadcast_to(scale2, (1, 4, 3))),
    'z1': normal(loc1[None], np.broadcast_to(scale1, (1, 4, 2))),
  }
  p = {
    'z2': normal(np.zeros(3), np.ones(3)),
    'z1': normal(np.broadcast_to(5 + 2 * move, (1, 4, 2)), np.full((1, 4, 2), 3.0)),
  }
  z = {name: d.mean() for name, d in q.items()}
  twice = lambda d: normal(np.repeat(d.mean(), 2, 0), np.repeat(d.stddev(), 2, 0))  # two equal samples of z2
  q['z1'], p['z1'] = twice(q['z1']), twice(p['z1'])
  trace = Trace(tf.zeros([4, 1]), None, z, None, None, None, None, None, q, p, None)
  spec = spec_lib.base()
  numbers, arrays = Latents(spec).finish(moments(trace), Fake(trace), FakeSplit())
  assert numbers['active_units/z2'] == 2  # 0.15^2 > 0.01
  assert numbers['active_units_entropy/z2'] == 1
  assert numbers['active_units/z1'] == 1  # 1 > 0.01 * 13, 0.09 is not
  assert numbers['active_units_entropy/z1'] == 2  # log 3 > 0.4189
  assert (numbers['active_units'], numbers['active_units_entropy']) == (3, 3)
  np.testing.assert_allclose(arrays['z1.prior_entropy'], 0.5 * math.log(2 * math.pi * math.e * 9), rtol=1e-5)


def test_units_that_follow_their_prior_are_not_active():
  """q = p in both layers, so no unit holds anything about x, though the mean of z1 moves with the sample of z2."""
  n, samples = 2000, 2
  above = np.random.default_rng(0).standard_normal((samples, n, 3))
  q1 = normal(above / 2, np.ones((samples, n, 3)))
  q = {'z2': normal(np.zeros((1, n, 3)), np.ones((1, n, 3))), 'z1': q1}
  trace = Trace(
    tf.zeros([n, 1]), None, q, None, None, None, None, None, q, {'z2': normal(np.zeros(3), np.ones(3)), 'z1': q1}, None
  )
  means = moments(trace)
  variance = means['z1.mean_squared'] - means['z1.mean'] ** 2
  # Zero within five standard errors of a mean of products of two independent N(0, 1/4).
  assert np.all(np.abs(variance) < 5 * 0.25 / math.sqrt(n) + 1e-3)
  prior = means['z1.prior_variance'] + means['z1.prior_mean_squared'] - means['z1.prior_mean'] ** 2
  np.testing.assert_allclose(prior, 1.25, rtol=0.05)


def test_entropies_of_a_hierarchy():
  q = {
    'z2': normal(np.zeros((1, 2, 1)), np.full((1, 2, 1), 0.5)),
    'z1': normal(np.zeros((3, 2, 1)), np.full((3, 2, 1), 0.25)),
  }
  p = {'z2': normal([0.0], [1.0]), 'z1': normal(np.zeros((3, 2, 1)), np.full((3, 2, 1), 2.0))}
  px = normal(np.zeros((3, 2, 4)), np.full((3, 2, 4), 0.1))
  trace = Trace(tf.zeros([2, 4]), None, {}, None, None, None, None, None, q, p, px)
  spec = spec_lib.base()
  entropies = build.model(spec, Observation((4,))).entropies(trace)
  h = lambda *scales: sum(0.5 * math.log(2 * math.pi * math.e * s * s) for s in scales)
  assert np.allclose(entropies['entropy/encoder'], h(0.5, 0.25)) and np.allclose(entropies['entropy/prior'], h(1, 2))
  np.testing.assert_allclose(entropies['entropy/decoder'], [h(0.1) * 4] * 2, rtol=1e-5)
  np.testing.assert_allclose(entropies['entropy_sum'], [h(0.5, 0.25) - h(1, 2) - 4 * h(0.1)] * 2, rtol=1e-5)


def test_the_identity_is_reported_on_the_training_split_only():
  means = {'entropy/encoder': 1.0, 'entropy/prior': 2.0, 'entropy/decoder': -5.0, 'entropy_sum': 4.0}
  terms = {'elbo': 3.5, 'log_likelihood': 4.75, 'rate': 1.25}
  evaluator = Entropies(spec_lib.base())
  split = types.SimpleNamespace(name='train')
  numbers = evaluator.finish(means | terms, None, split).numbers
  assert numbers['elbo_minus_entropies'] == -0.5
  assert numbers['elbo_minus_entropies/decoder'] == -0.25 and numbers['elbo_minus_entropies/rate'] == -0.25
  split.name = 'test'
  assert set(evaluator.finish(means | terms, None, split).numbers) == set(means)


def test_samples_keep_what_the_figures_need(tiny):
  spec, source, model = make(tiny, **{'eval.evaluators': ('samples',), 'eval.num_images': 9})
  arrays = evaluate(spec, source, model).arrays['samples']
  np.testing.assert_allclose(arrays['x'], source.dataset.splits['test']['x'][:9] / 16, rtol=1e-6)
  assert arrays['reconstruction'].shape == arrays['prior'].shape == (9, 8, 8, 1)
  np.testing.assert_array_equal(arrays['value_range'], [0, 1])
  assert np.abs(np.diff(arrays['prior'], axis=0)).max() > 0  # not one sample nine times


def test_the_aggregate_posterior_against_the_prior(tiny):
  """Mean and covariance of q(z) of a two-layer model by hand, and the KL of the Gaussians with these moments."""
  spec = spec_lib.base()
  rng, n, samples = np.random.default_rng(3), 50, 4
  loc2, scale2 = rng.standard_normal((1, n, 3)) @ rng.standard_normal((3, 3)) + 1, 0.2 + rng.random((1, n, 3))
  loc1, scale1 = rng.standard_normal((samples, n, 2)), 0.2 + rng.random((samples, n, 2))
  prior1, width1 = rng.standard_normal((samples, n, 2)) - 1, 0.5 + rng.random((samples, n, 2))
  q = {'z2': normal(loc2, scale2), 'z1': normal(loc1, scale1)}
  p = {'z2': normal(np.zeros(3), np.ones(3)), 'z1': normal(prior1, width1)}
  z = {name: d.mean() for name, d in q.items()}
  trace = Trace(tf.zeros([n, 1]), None, z, None, None, None, None, None, q, p, None)
  found = Latents(spec).finish(moments(trace), Fake(trace), FakeSplit())

  def aggregate(loc, scale):
    loc, scale = loc.reshape(-1, loc.shape[-1]), scale.reshape(-1, loc.shape[-1])
    return loc.mean(0), np.cov(loc.T, bias=True) + np.diag((scale**2).mean(0))

  def kl(m, c, m_p, c_p):
    inverse = np.linalg.inv(c_p)
    distance = (m - m_p) @ inverse @ (m - m_p)
    return 0.5 * (np.trace(inverse @ c) + distance - len(m) + math.log(np.linalg.det(c_p) / np.linalg.det(c)))

  for layer, own, prior in (
    ('z2', aggregate(loc2, scale2), (np.zeros(3), np.eye(3))),
    ('z1', aggregate(loc1, scale1), aggregate(prior1, width1)),
  ):
    np.testing.assert_allclose(found.arrays[f'{layer}.mean'], own[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.arrays[f'{layer}.covariance'], own[1], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.arrays[f'{layer}.prior_covariance'], prior[1], rtol=1e-3, atol=1e-5)
    assert found.numbers[f'aggregate_kl/{layer}'] == pytest.approx(kl(*own, *prior), rel=1e-3)
    scale = np.sqrt(np.diag(own[1]))
    others = (own[1] / np.outer(scale, scale))[~np.eye(len(scale), dtype=bool)]
    assert found.numbers[f'correlation/{layer}'] == pytest.approx(np.sqrt((others**2).mean()), rel=1e-3)
    assert found.numbers[f'correlation_max/{layer}'] == pytest.approx(np.abs(others).max(), rel=1e-3)


EVERY = 'bounds,reconstruction,entropies,latents,bits_per_dim,log_evidence,samples'


@pytest.fixture
def trained(tiny, tmp_path):
  """A run with checkpoints of steps 10, 20 and 30."""
  tiny.eval.every, tiny.eval.log_evidence.samples, tiny.train.steps = 0, 20, 30
  return commands.train(tiny, tmp_path / 'run')


@pytest.fixture
def work(monkeypatch):
  """The evaluators that worked, by name."""
  done = []
  for name in EVERY.split(','):
    own = build.lookup('eval.evaluators', name)
    method = 'finish' if issubclass(own, TraceEvaluator) else 'evaluate'

    monkeypatch.setattr(own, method, noting(getattr(own, method), done))
  return done


def noting(method, names):
  def noted(self, *args):
    names.append(self.name)
    return method(self, *args)

  return noted


def files(run):
  return {path.relative_to(run.workdir): path.read_bytes() for path in run.workdir.rglob('*.npz')} | {
    path.relative_to(run.workdir): path.read_bytes() for path in run.workdir.rglob('evaluation*.json')
  }


def test_evaluators_on_their_own_find_what_they_find_together(trained, work):
  for name in EVERY.split(',')[::-1]:
    commands.evaluate(trained.workdir, {'eval.evaluators': name})
  alone = files(trained)
  assert 'log_evidence' in trained.evaluation and 'psnr' in trained.evaluation and trained.evaluation['step'] == 30
  assert work == EVERY.split(',')[:0:-1]  # bounds are there since training
  for path in [*trained.workdir.rglob('evaluations/*'), *trained.workdir.rglob('*.npz')]:
    path.unlink()
  work.clear()
  numbers = commands.evaluate(trained.workdir, {'eval.evaluators': EVERY})
  assert work == EVERY.split(',')
  assert {k: v for k, v in files(trained).items() if k.suffix == '.json'} == {
    k: v for k, v in alone.items() if k.suffix == '.json'
  }
  assert numbers.items() <= trained.evaluation.items() and 'made_with' not in trained.arrays('latents', 'test')


def test_what_is_there_is_not_sought_again(trained, work, capsys):
  chosen = {'eval.evaluators': 'bounds,log_evidence,samples'}
  commands.evaluate(trained.workdir, chosen)
  assert work == ['log_evidence', 'samples']
  before = files(trained)
  work.clear()
  commands.evaluate(trained.workdir, chosen)
  assert work == [] and files(trained) == before
  commands.evaluate(trained.workdir, chosen | {'eval.log_evidence.samples': 30, 'eval.num_images': 5})
  assert work == ['log_evidence', 'samples'] and trained.evaluation['log_evidence_samples'] == 30
  work.clear()
  commands.evaluate(trained.workdir, chosen | {'eval.split': 'train', 'eval.log_evidence.examples': 10})
  assert work == ['bounds', 'log_evidence', 'samples']
  work.clear()
  (trained.workdir / 'arrays/samples-test-30.npz').write_bytes(b'broken')
  (trained.workdir / 'evaluations/train-30.json').write_text('{"bounds": ')
  commands.evaluate(trained.workdir, chosen | {'eval.log_evidence.samples': 30, 'eval.num_images': 5})
  assert work == ['samples']
  commands.evaluate(trained.workdir, chosen | {'eval.split': 'train', 'eval.log_evidence.examples': 10})
  assert work == ['samples', 'bounds', 'log_evidence', 'samples']


def test_every_checkpoint(trained, work):
  commands.evaluate(trained.workdir, {'eval.checkpoint': 'all', 'eval.evaluators': 'bounds,samples'})
  assert work == ['bounds', 'samples'] * 2 + ['samples']  # bounds of step 30 are there since training
  found = {step: trained.found(step, 'test')['bounds']['numbers']['elbo'] for step in (10, 20, 30)}
  assert len(set(found.values())) == 3 and trained.evaluation['elbo'] == found[30]
  work.clear()
  commands.evaluate(trained.workdir, {'eval.checkpoint': '20', 'eval.evaluators': 'bounds,samples'})
  assert work == [] and trained.arrays('samples', 'test')  # its own are kept beside those of step 30
  assert trained.evaluation['step'] == 20 and trained.evaluation['elbo'] == found[20]
  with pytest.raises(RunError, match=r'spec.eval.checkpoint: there is no checkpoint of step 25 in .*10, 20, 30'):
    commands.evaluate(trained.workdir, {'eval.checkpoint': '25'})
  with pytest.raises(SpecError, match=r'spec.eval.checkpoint.*newest \| all'):
    commands.evaluate(trained.workdir, {'eval.checkpoint': 'last'})
  for path in trained.checkpoints.glob('*.data-*'):
    path.unlink()
  with pytest.raises(RunError, match='ckpt-30'):
    commands.evaluate(trained.workdir, {'eval.checkpoint': 'all'})


def test_an_interruption_loses_only_the_evaluator_at_work(trained, work, monkeypatch, capsys):
  own = LogEvidence.evaluate

  def stopped(self, model, split):
    for _ in split.batches():
      os.kill(os.getpid(), signal.SIGTERM)

  chosen = {'eval.evaluators': 'entropies,log_evidence,samples'}
  with monkeypatch.context() as patch:
    patch.setattr(LogEvidence, 'evaluate', stopped)
    with pytest.raises(Stopped, match='SIGTERM: stopped; what was finished is kept') as error:
      commands.evaluate(trained.workdir, chosen)
  assert error.value.status == 143
  assert work == ['entropies'] and list(trained.found(30, 'test')) == ['bounds', 'entropies']
  monkeypatch.setattr(LogEvidence, 'evaluate', own)
  commands.evaluate(trained.workdir, chosen)
  assert work == ['entropies', 'log_evidence', 'samples'] and 'log_evidence' in trained.evaluation


def test_only_the_chosen_evaluators_run_during_training(tiny, tmp_path, work):
  tiny.eval.evaluators, tiny.eval.during, tiny.eval.log_evidence.samples = ('bounds', 'log_evidence'), ('bounds',), 5
  run = commands.train(tiny, tmp_path / 'run')
  assert work == ['bounds', 'bounds', 'log_evidence']
  rows = run.metrics['test']
  assert list(rows['step']) == [20, 40] and np.isnan(rows['log_evidence'][0]) and np.isfinite(rows['log_evidence'][1])
  assert commands.train(tiny, run.workdir).evaluation['log_evidence'] == rows['log_evidence'][1] and len(work) == 3
