"""The likelihood at the sigma of the training errors, against SciPy. In a run: objectives/test_falling_sigma.py."""

import types

import numpy as np
import pytest
from conftest import tiny_spec
from scipy import optimize, stats

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Abandoned, Evaluation
from tfvae.analysis.evaluator import Split
from tfvae.data.dataset import Stored
from tfvae.data.dataset import make as make_dataset
from tfvae.errors import SpecError

NAME = 'nll_per_dimension'


@pytest.fixture(scope='module')
def made():
  """A spec in float64, its data of 256 grey levels, the outer ones in the test split only, and a model with errors."""
  spec = tiny_spec()
  fields = {'train.precision': 'float64', 'eval.evaluators': (NAME, 'bounds'), 'data.scaling': 'standard'}
  fields |= {'decoder.variance': 'optimal', 'decoder.sigma': 3.0, 'data.batch_size': 10, 'eval.batch_size': 30}
  spec = spec_lib.resolve(spec, fields)
  rng = np.random.default_rng(0)
  train, test = rng.normal(128, 35, (40, 4, 4, 1)).clip(1, 254), rng.normal(128, 60, (24, 4, 4, 1)).clip(0, 255)
  splits = {name: {'x': x.round().astype(np.uint8)} for name, x in (('train', train), ('test', test))}
  data = make_dataset(Stored('grey', splits, (0.0, 255.0)), spec.data, 0)
  model = build.model(spec, data.observation)
  for variable in model.trainable_variables:
    variable.assign_add(0.1 * rng.standard_normal(variable.shape))
  return spec, build.source(spec, data), model


class Evaluated:
  """What the evaluators find on a split, each compiled once for all tests."""

  def __init__(self, spec, source, model):
    self.watched = []
    self._evaluators = build.evaluators(spec, source.dataset.observation)
    self._evaluation, self._found = Evaluation(model, source, spec), {}

  def __call__(self, split, **kwargs):
    if split not in self._found or kwargs:
      found = [found.numbers for _, found in self._evaluation.run(split, self._evaluators, show=self._show, **kwargs)]
      self._found[split] = found[0] | found[1]
    return self._found[split]

  def _show(self, label, batches, number):
    self.watched.append((label, number))
    return batches


@pytest.fixture(scope='module')
def evaluated(made):
  return Evaluated(*made)


def by_hand(spec, source, model, name):
  """Stored values [N, ...], and E[x | z] [S, N, ...] in units of a level, from the samples that evaluation draws."""
  split, values, means = Split(source, name, spec), [], []
  for number, stored in split.batches():
    trace, kept = model.infer(split.batch(stored), split.noise(number), spec.eval.num_samples), stored['mask'] > 0
    values.append(stored['x'].numpy()[kept].astype(float))
    means.append(((trace.mean.numpy() - source.dataset.offset) / source.dataset.scale)[:, kept])
  return np.concatenate(values), np.concatenate(means, 1)


def nll(values, means, sigma):
  """In nats per dimension; sigma in levels."""
  low, high = np.where(values == 0, -np.inf, values - 0.5), np.where(values == 255, np.inf, values + 0.5)
  masses = stats.norm.cdf(high, means, sigma) - stats.norm.cdf(low, means, sigma)
  upper = stats.norm.sf(low, means, sigma) - stats.norm.sf(high, means, sigma)
  return -np.log(np.where(low > means, upper, masses)).mean()


def test_against_scipy(made, evaluated):
  """sigma is that of the training errors, also on another split; P the difference of cdfs, with tails at both ends."""
  numbers, scale = evaluated('test'), made[1].dataset.scale
  values, means = by_hand(*made, 'train')
  sigma = np.sqrt(np.mean((values - means) ** 2))
  assert numbers[f'{NAME}_sigma'] == pytest.approx(sigma * scale, rel=1e-12)
  values, means = by_hand(*made, 'test')
  assert {0, 255} < set(values.ravel())
  assert numbers[NAME] == pytest.approx(nll(values, means, sigma), rel=1e-9)
  own = np.sqrt(np.mean((values - means) ** 2))
  assert abs(nll(values, means, own) - numbers[NAME]) > 0.01  # that of the split itself would be another number


def test_no_other_sigma_is_better_on_the_training_split(made, evaluated):
  """Of a density the best sigma^2 is the mean squared error; of levels, the outer ones apart, 1/12 less (Sheppard)."""
  found, (values, means) = evaluated('train'), by_hand(*made, 'train')
  sigma = found[f'{NAME}_sigma'] / made[1].dataset.scale
  best = optimize.minimize_scalar(lambda s: nll(values, means, s), (sigma / 2, 2 * sigma), tol=1e-9)
  assert best.x == pytest.approx(np.sqrt(sigma**2 - 1 / 12), rel=1e-5) and sigma > 30
  assert -1e-12 < found[NAME] - best.fun < 1e-8
  for factor in (0.9, 0.99, 1.01, 1.1):
    assert nll(values, means, factor * sigma) > found[NAME] + 1e-5


def test_the_decoders_own_sigma_has_no_part_in_it_and_stays(made, evaluated):
  """In closed form it has the training split's value meanwhile, which is the same, and then its own again."""
  _, source, model = made
  evaluator, split = evaluated._evaluators[1], Split(source, 'test', made[0])
  before = [v.numpy().copy() for v in model.variables]
  assert evaluated('test')['sigma'] == pytest.approx(evaluated('test')[f'{NAME}_sigma'], rel=1e-12)
  assert float(model.decoder.likelihood.variance.log_sigma) == pytest.approx(np.log(3), rel=1e-6)
  assert evaluator.name == NAME and evaluator.evaluate(model, split).numbers[NAME] == evaluated('test')[NAME]
  assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, model.variables, strict=True))


def test_both_passes_are_watched(evaluated):
  """Progress of the training split and of the other; a stop signal gives each of them up."""
  evaluated.watched.clear()
  evaluated('test', stopped=lambda: False)
  # 40 and 24 examples in batches of 30; those of `bounds` come first.
  assert evaluated.watched == [('bounds', 1), (NAME, 2), (NAME, 1)]
  for allowed in (4, 5):  # 2 of the closed form and 1 of the bounds; then one more of the first pass, or both
    asked = iter([False] * allowed + [True])
    with pytest.raises(Abandoned):
      evaluated('test', stopped=lambda asked=asked: next(asked))
    assert next(asked, None) is None


def test_a_perfect_model(made):
  """Its sigma is far below a level, and each level has all the mass."""
  spec, source, _ = made

  class Copies:
    latents, shape = [types.SimpleNamespace(shape=(1,))], (4, 4, 1)

    def infer(self, batch, noise, samples):
      error = 0 * batch['x'][:, 0, 0, 0]
      return types.SimpleNamespace(target=batch['x'], mean=batch['x'][None], squared_error=lambda: error)

  evaluator = build.evaluators(spec, source.dataset.observation)[1]
  found = evaluator.evaluate(Copies(), Split(source, 'test', spec)).numbers
  assert evaluator.name == NAME and found[NAME] == 0 and 0 < found[f'{NAME}_sigma'] < 1e-5


@pytest.mark.parametrize(
  ('fields', 'text'),
  [
    ({'data.binarize': 'static'}, 'but this is binary values of digits; leave it out'),
    ({'data.name': 'circle'}, 'but this is real values of circle; leave it out'),
    ({'decoder.net.kind': 'linear', 'eval.num_samples': 0}, 'spec.eval.num_samples: got 0; .* needs at least 1'),
  ],
  ids=['binary', 'real', 'no samples'],
)
def test_what_has_no_levels_is_refused(tiny, fields, text):
  with pytest.raises(SpecError, match=text):
    build.dataset(spec_lib.resolve(tiny, {'eval.evaluators': (NAME,), **fields}))
