"""Posteriors on a latent plane, against closed forms."""

import math

import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny_spec
from scipy import stats

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.evaluator import Split
from tfvae.analysis.tiles import Tiles
from tfvae.errors import SpecError

FIELDS = {'model.z1.dim': 2, 'train.precision': 'float64', 'eval.evaluators': ('tiles',), 'eval.batch_size': 7}
FIELDS |= {'eval.tiles.examples': 10, 'eval.num_images': 5, 'eval.tiles.samples': 400, 'eval.tiles.grid': 4}


def made(**fields):
  """(spec, model, split) of digits, the weights a little off their start."""
  spec = spec_lib.resolve(tiny_spec(), FIELDS | fields)
  data = build.dataset(spec)
  model, rng = build.model(spec, data.observation), np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign_add(0.2 * rng.standard_normal(variable.shape))
  return spec, model, Split(build.source(spec, data), 'test', spec)


def found(spec, model, split):
  return Tiles(spec).evaluate(model, split)


@pytest.fixture(scope='module')
def gaussian():
  return made(**{'prior.name': 'learned'})


def alike(model, scale):
  """Makes q(z | x) = N(0, scale^2 I) whatever x is, in units of the prior's standard deviations."""
  head = model.latents[0].family.head
  for variable in head.trainable_variables:
    variable.assign(tf.zeros_like(variable))
  alpha = model.latents[0].prior.alpha().numpy()
  bias = next(v for v in head.trainable_variables if v.shape.rank == 1)
  bias.assign(np.concatenate([np.zeros(2), np.log(scale * alpha)]))


def test_closed_form(gaussian):
  """Of q(z) = N(0, s^2 I): q < 0.01 p outside of a circle, whose mass under p is (100 / s^2)^(-1 / (1 / s^2 - 1))."""
  spec, model, split = gaussian
  kept, tiles = [tf.identity(v) for v in model.trainable_variables], Tiles(spec)
  for scale in (0.5, 0.25, 1.0):
    alike(model, scale)
    numbers = tiles.evaluate(model, split).numbers
    precision = 1 / scale**2
    mass = math.exp(-math.log(100 * precision) / (precision - 1)) if scale < 1 else 0
    assert numbers['hole_mass'] == pytest.approx(mass, abs=2e-3)
    # 1.3e-4 of p are not on the grid, where log p / q is about 16 (1 / s^2 - 1) / 2
    assert numbers['hole_kl'] == pytest.approx(2 * math.log(scale) + precision - 1, rel=2e-3, abs=1e-9)
  for variable, value in zip(model.trainable_variables, kept, strict=True):
    variable.assign(value)


def test_against_scipy(gaussian):
  """q(z) is the mean of the posteriors of the first examples, over batches with padding, and p(z) has its own alpha."""
  spec, model, split = gaussian
  arrays = found(spec, model, split).arrays
  q = model.encode(split.source.first('test', 10))[1]['z1']
  loc, scale = q.mean().numpy()[0], q.stddev().numpy()[0]
  alpha = model.latents[0].prior.alpha().numpy()
  assert abs(alpha - 1).min() > 0.01
  for row, column in ((80, 80), (60, 100), (130, 75)):
    z = alpha * arrays['axis'][[column, row]]  # the first unit runs along a row
    own = stats.norm.pdf(z, loc, scale).prod(1).mean() / stats.norm.pdf(z, 0, alpha).prod()
    assert arrays['log_ratio'][row, column] == pytest.approx(np.log(own), abs=1e-9)
  assert arrays['z'].shape == (400, 5, 2) and arrays['label'].shape == (5,)
  error = scale[:5] / alpha / math.sqrt(400)
  assert np.all(abs(arrays['z'].mean(0) - loc[:5] / alpha) < 4.5 * error)
  middle = np.array([-2.25, -0.75, 0.75, 2.25])
  for row, column in ((0, 0), (1, 3)):  # from the top
    z = tf.constant(alpha * [middle[column], -middle[row]])[None, None]
    np.testing.assert_allclose(arrays['tile'][row, column], model.mean({'z1': z})[0, 0], rtol=1e-9)


def test_density_of_a_flow():
  """Its mass on the plane and its mean there are those of its samples."""
  fields = {'model.z1.flow': 'real_nvp', 'model.z1.flow_hidden': (4,), 'eval.tiles.examples': 5}
  spec, model, split = made(**fields, **{'eval.tiles.samples': 4000})
  arrays = found(spec, model, split).arrays
  axis = arrays['axis']
  p = stats.norm.pdf(axis) * (axis[1] - axis[0])
  q = np.exp(arrays['log_ratio']) * np.outer(p, p)
  z = arrays['z'].reshape(-1, 2)
  inside = np.all(abs(z) < 4.025, axis=1)
  assert q.sum() == pytest.approx(inside.mean(), abs=4.5 * inside.std() / math.sqrt(len(z)) + 1e-3)
  mean = np.array([np.sum(q * axis), np.sum(q * axis[:, None])]) / q.sum()
  assert np.all(abs(z[inside].mean(0) - mean) < 4.5 * z[inside].std(0) / math.sqrt(inside.sum()) + 1e-3)
  assert abs(mean[0] - mean[1]) > 0.1  # so that units which are swapped would be seen


@pytest.mark.parametrize(
  ('fields', 'why'),
  [
    ({'model.z1.dim': 3}, r'spec.model.z1.dim is 3; use 2'),
    (
      {'model.z1.family': 'bernoulli', 'objective.estimator': 'zgr'},
      r'z1.family is bernoulli; use gaussian',
    ),
    (None, r'not for 2 layers; leave it out'),
  ],
)
def test_refused(fields, why):
  spec = spec_lib.base() if fields is None else tiny_spec()
  own = {'eval.evaluators': ('tiles',)} if fields is None else FIELDS | fields
  with pytest.raises(SpecError, match=rf'spec.eval.evaluators: got tiles, .*{why}'):
    spec_lib.resolve(spec, own)
