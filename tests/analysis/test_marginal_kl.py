"""The marginal KL of linear-Gaussian models, whose value is known, of small models by hand, and what is refused."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.codes import codes
from tfvae.analysis.evaluator import Split
from tfvae.data import needs
from tfvae.data.dataset import Stored, make
from tfvae.errors import SpecError

QUICK = {'eval.marginal_kl.passes': 0}


def linear(weights, scale, count=10_000, **fields):
  """What is found of a linear VAE, q(z | x) = N(W x, scale^2 I), of x ~ N(0, I); and KL(q(z) || p(z)) and I_q(x; z) of
  infinitely many x.
  """
  dims, units = weights.shape
  spec = spec_lib.base(('z1',))
  spec.model.z1.dim, spec.model.z1.encoder.kind, spec.model.z1.posterior.kind = units, 'linear', 'linear'
  spec.model.z1.scale_head, spec.data.scaling, spec.eval.batch_size = 'shared', 'none', 1000
  spec = spec_lib.resolve(spec, {'eval.evaluators': 'marginal_kl', **QUICK, **fields})
  x = np.random.default_rng(0).standard_normal((count, dims)).astype(np.float32)
  data = make(Stored('gaussian', {'train': {'x': x[:100]}, 'test': {'x': x}}, (-10.0, 10.0)), spec.data, 0)
  model = build.model(spec, data.observation)
  for variable in model.trainable_variables:
    if 'z1_q' in variable.path:
      variable.assign(
        weights
        if variable.path.endswith('kernel')
        else np.full(variable.shape, math.log(scale) if 'scale' in variable.path else 0.0)
      )
  found = build.evaluators(spec, data.observation)[0].evaluate(model, Split(build.source(spec, data), 'test', spec))
  covariance = weights.T @ weights + scale**2 * np.eye(units)
  log_det = np.linalg.slogdet(covariance)[1]
  return found.numbers, 0.5 * (np.trace(covariance) - units - log_det), 0.5 * log_det - units * math.log(scale)


def rotated(units, size):
  return stats.ortho_group.rvs(units, random_state=0) * np.linspace(0.9, 1.1, units) * size


@pytest.mark.parametrize(('units', 'size', 'scale'), [(2, 1.1, 0.25), (8, 0.9, 0.9)])
def test_a_linear_gaussian_model(units, size, scale, capsys):
  """By N = 10,000 posteriors within 0.05, by the ratio within 0.1 nats.

  I_q of N examples is below that of all by about the chi-squared distance from N to all, (exp(2 I_q) - 1) / 2 N, 0.02
  where I_q is 3 nats; the rest are two standard errors.
  """
  found, kl, information = linear(rotated(units, size), scale)
  assert 2.7 < information < 3.05
  assert found['marginal_kl/z1'] == pytest.approx(kl, abs=0.05)
  assert found['index_code_information/z1'] == pytest.approx(information, abs=0.05)
  for how in ('', '_plain'):
    assert found[f'marginal_kl_ratio{how}/z1'] == pytest.approx(kl, abs=0.1)
    assert abs(found[f'marginal_kl_ratio{how}/z1'] - kl) < 3.5 * found[f'marginal_kl_ratio{how}_standard_error/z1']
  assert found['marginal_kl_ratio_lower/z1'] <= kl + 3 * found['marginal_kl_ratio_standard_error/z1']
  assert found['marginal_kl_standard_error/z1'] < 0.02 and found['marginal_kl_floor/z1'] == 0
  assert found['marginal_kl_examples'] == 10_000 and found['marginal_kl_ratio_trusted/z1'] == 1
  assert capsys.readouterr().out == ''


def test_many_nats_show_the_floor_and_the_ratio_has_none(capsys):
  """Eight units of standard deviation 0.1, q(z) nearly N(0, I): 10,000 examples tell log 10,000 nats and no more."""
  found, kl, information = linear(rotated(8, 0.995), 0.1, **{'eval.marginal_kl.codes': 500})
  assert information > 15 and kl < 0.05
  assert found['marginal_kl/z1'] == pytest.approx(information + kl - math.log(10_000), abs=0.1)
  assert found['marginal_kl/z1'] - found['marginal_kl_floor/z1'] == pytest.approx(0, abs=0.01)
  assert found['index_code_information/z1'] == pytest.approx(math.log(10_000), abs=0.01)
  assert found['own_share/z1'] > 0.99
  (line,) = capsys.readouterr().out.splitlines()
  assert 'depends on N = 10,000: at a code its own posterior has 100% of the mixture' in line
  assert 'cannot be below mean KL - log N, 9.2' in line
  assert found['marginal_kl_ratio/z1'] == pytest.approx(kl, abs=0.1)


def small(layers=('z2', 'z1'), count=50, **fields):
  spec = spec_lib.base(layers)
  for layer in layers:
    spec.model[layer].dim, spec.model[layer].encoder.hidden = 3, (8,)
  spec.data.batch_size, spec.eval.batch_size = 10, 20  # the last of which is padded
  spec = spec_lib.resolve(spec, {'eval.evaluators': 'marginal_kl', **QUICK, **fields})
  x = 3 * np.random.default_rng(0).random((count, 5), np.float32)
  data = make(Stored('random', {'train': {'x': x}, 'test': {'x': x}}, (0.0, 3.0)), spec.data, 0)
  model = build.model(spec, data.observation)
  return model, Split(build.source(spec, data), 'test', spec), build.evaluators(spec, data.observation)[0]


@pytest.mark.parametrize('order', ['generic', 'reverse'])
def test_several_layers(order, monkeypatch):
  """By all pairs in NumPy. From the bottom up the first layer has no prior of its own that is known."""
  if order == 'reverse':
    monkeypatch.setattr(tf, 'function', lambda run, **_: run)  # to make graphs takes longer
  model, split, evaluator = small(**{'model.inference': order})
  found = evaluator.evaluate(model, split).numbers
  x, of = split.source.first('test', 50), codes(model, split).z
  name = ','.join(of)
  trace = model.score(x, {layer: np.repeat(z[:, None], 50, 1) for layer, z in of.items()})  # z_a at each x_b
  pairs = sum(value.numpy() for value in trace.log_q.values())
  log_p = np.diag(sum(value.numpy() for value in trace.log_p.values()))
  mixture = logsumexp(pairs, axis=1) - math.log(50)
  own = np.diag(pairs)
  assert found[f'index_code_information/{name}'] == pytest.approx((own - mixture).mean(), abs=1e-4)
  assert found[f'marginal_kl/{name}'] == pytest.approx((mixture - log_p).mean(), abs=1e-4)
  error = (mixture - log_p).std(ddof=1) / math.sqrt(50)
  assert found[f'marginal_kl_standard_error/{name}'] == pytest.approx(error, rel=1e-3)
  assert found[f'own_share/{name}'] == pytest.approx(np.exp(own - mixture - math.log(50)).mean(), abs=1e-4)
  first = {'generic': 'z2', 'reverse': 'z1'}[order]
  assert name.startswith(first)
  assert found[f'index_code_information/{first}'] <= found[f'index_code_information/{name}'] + 0.1
  assert (f'marginal_kl/{first}' in found) == (order == 'generic')
  assert {f'marginal_kl_ratio/{name}', 'marginal_kl_ratio/z2', 'marginal_kl_ratio_plain/z2'} <= set(found)
  if order == 'generic':
    assert found == evaluator.evaluate(model, split).numbers  # to the bit


def test_bits_are_counted():
  """Against the table of all states, whose probabilities under q(z) are known."""
  bits = {'model.z1.family': 'bernoulli', 'objective.estimator': 'zgr', 'sample.what': 'prior', 'eval.batch_size': 500}
  model, split, evaluator = small(('z1',), 2000, **bits)
  for variable in model.trainable_variables:
    if 'z1' in variable.path:
      variable.assign(3 * variable)
  found = evaluator.evaluate(model, split).numbers
  states = model.families['z1'].states().astype(np.float32)
  q = model.encode(split.source.first('test', 2000))[1]['z1']
  log_q = np.array([q.log_prob(np.repeat(z[None, None], 2000, 1)).numpy()[0] for z in states])
  mixture = logsumexp(log_q, axis=1) - math.log(2000)
  kl = (np.exp(mixture) * (mixture + 3 * math.log(2))).sum()
  information = (np.exp(log_q) * (log_q - mixture[:, None])).sum() / 2000
  for what, true in (('marginal_kl', kl), ('index_code_information', information), ('marginal_kl_ratio', kl)):
    assert found[f'{what}/z1'] == pytest.approx(true, abs=3.5 * found[f'{what}_standard_error/z1'] + 1e-3)
  assert kl > 0.1 and 'marginal_kl_ratio_plain/z1' not in found  # no Gaussian stands between bits


@pytest.mark.parametrize(
  ('fields', 'said'),
  [
    ({'data.context': 'label'}, 'marginal_kl, which is of one p(z), but spec.data.context is label'),
    ({'eval.marginal_kl.examples': 1}, 'spec.eval.marginal_kl.examples: got 1'),
    ({'eval.marginal_kl.codes': -1}, 'spec.eval.marginal_kl.codes: got -1'),
    ({'eval.marginal_kl.codes': 1}, 'spec.eval.marginal_kl.codes: got 1; a standard error needs two codes at least'),
    ({'eval.marginal_kl.passes': -1}, 'spec.eval.marginal_kl.passes: got -1'),
    ({'eval.marginal_kl.hidden': (0,)}, 'spec.eval.marginal_kl.hidden'),
    ({'eval.marginal_kl.hidden': ()}, 'spec.eval.marginal_kl.hidden: got (); give the width of one layer at least'),
  ],
)
def test_what_a_spec_may_not_say(fields, said):
  with pytest.raises(SpecError) as caught:
    spec_lib.resolve(spec_lib.base(('z1',)), {'eval.evaluators': 'marginal_kl', **fields})
  assert said in str(caught.value)


def test_too_few_examples():
  spec = spec_lib.resolve(spec_lib.base(('z1',)), {'eval.evaluators': 'bounds,marginal_kl'})
  parts = {'train': {'x': np.zeros((50, 2), np.float32)}, 'test': {'x': np.zeros((39, 2), np.float32)}}
  data = make(Stored('few', parts, (0.0, 1.0)), spec.data, 0)
  (problem,) = needs.problems(spec, data)
  assert problem == (
    'spec.eval.evaluators: got marginal_kl, which fits a classifier to one half of the examples and judges it on the '
    'other, and needs 40 of them, but the test split of few has 39; leave it out'
  )
