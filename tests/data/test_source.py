"""Data: splits, scaling, binarisation, and batches as a pure function of (seed, step)."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.data.dataset import Dataset, make
from tfvae.data.source import Source
from tfvae.errors import SpecError, UserError


def toy(n=7, test=5, **fields):
  x = np.arange(n * 2, dtype=np.float32).reshape(n, 2)
  section = spec_lib.base().data
  section.update({'scaling': 'none', **fields})
  return make('toy', {'x': x, 'label': np.arange(n)}, {'x': -np.ones((test, 2), np.float32)}, section, seed=0)


def first_batches(source, first, count):
  return source.indices(tf.constant(first, tf.int64), tf.constant(count, tf.int64)).numpy()


def test_every_epoch_is_a_permutation_and_batches_run_on():
  source = Source(toy(), batch_size=3, seed=1)
  order = first_batches(source, 0, 14).ravel()  # six epochs of seven
  epochs = order.reshape(6, 7)
  assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
  assert len({tuple(epoch) for epoch in epochs}) > 4


def test_a_batch_does_not_depend_on_where_training_was_resumed():
  source = Source(toy(), batch_size=3, seed=1)
  whole = first_batches(source, 0, 20)
  for first in (1, 2, 7, 19):
    np.testing.assert_array_equal(first_batches(source, first, 1)[0], whole[first])
  np.testing.assert_array_equal(first_batches(Source(toy(), 3, 1), 5, 10), whole[5:15])
  assert not np.array_equal(first_batches(Source(toy(), 3, 2), 0, 20), whole)


def test_batches_hold_the_examples_of_their_indices():
  source = Source(toy(scaling='min_max'), batch_size=3, seed=1)
  index = source.indices(tf.constant(0, tf.int64), tf.constant(1, tf.int64))[0]
  batch = source.batch(index, noise_lib.stateless(0, 0))
  np.testing.assert_allclose(batch['x'], np.arange(14).reshape(7, 2)[index.numpy()] / 13, rtol=1e-6)
  np.testing.assert_array_equal(batch['label'], index)
  assert batch['x'].shape == (3, 2) and batch['x'].dtype == tf.float32


def test_evaluation_counts_every_example_once():
  source = Source(toy(), batch_size=3, seed=1)
  seen = []
  for number in range(source.num_batches('train', 4)):
    batch = source.evaluation_batch('train', 4, tf.constant(number))
    seen += [int(i) for i, m in zip(batch['index'], batch['mask'], strict=True) if m]
  assert seen == list(range(7))


def test_scaling_is_fitted_on_the_training_split():
  data = toy(scaling='standard')
  scaled = data.splits['train']['x'] * data.scale + data.offset
  assert scaled.mean() == pytest.approx(0, abs=1e-6) and scaled.std() == pytest.approx(1)
  assert toy(scaling='min_max').range() == pytest.approx((-1 / 13, 1))
  with pytest.raises(UserError, match=r'spec\.data\.scaling'):
    make('flat', {'x': np.ones((3, 2))}, {'x': np.ones((1, 2))}, spec_lib.base().data, 0)


def test_validation_split():
  data = toy(n=20, validation=0.25)
  parts = [set(data.splits[split]['label']) for split in ('train', 'validation')]
  assert len(parts[1]) == 5 and not parts[0] & parts[1] and parts[0] | parts[1] == set(range(20))
  with pytest.raises(UserError, match=r'spec\.data\.validation'):
    toy(validation=0.01)


def digits(**fields):
  spec = spec_lib.resolve(spec_lib.base(), {f'data.{k}': v for k, v in fields.items()})
  return spec, build.dataset(spec)


@pytest.mark.parametrize('kind', ['static', 'dynamic'])
def test_binarisation_has_the_grey_value_as_its_mean(kind):
  spec, data = digits(binarize=kind, batch_size=1500)
  source = build.source(spec, data)
  index = tf.range(1500, dtype=tf.int64)
  draws = [source.batch(index, noise_lib.stateless(0, step))['x'].numpy() for step in range(20)]
  assert set(np.unique(draws)) == {0.0, 1.0}
  assert np.array_equal(draws[0], draws[1]) == (kind == 'static')
  grey = data.splits['train']['x'] / 16
  # Within five standard errors of sums of independent Bernoulli draws.
  error = np.sqrt((grey * (1 - grey)).sum())
  assert abs(draws[0].sum() - grey.sum()) < 5 * error
  if kind == 'dynamic':
    assert np.abs(np.mean(draws, 0) - grey).max() < 6 * 0.5 / np.sqrt(20)
  evaluation = [source.evaluation_batch('test', 100, tf.constant(1))['x'].numpy() for _ in range(2)]
  np.testing.assert_array_equal(*evaluation)


def test_threshold():
  spec, data = digits(binarize='threshold', threshold=0.4375)
  x = build.source(spec, data).evaluation_batch('test', 50, tf.constant(0))['x'].numpy()
  np.testing.assert_array_equal(x, data.splits['test']['x'][:50] / 16 > 0.4375)


def test_digits_as_they_are():
  _, data = digits()
  assert data.shape == (8, 8, 1) and (data.size('train'), data.size('test')) == (1500, 297)
  assert data.splits['train']['x'].dtype == np.uint8 and data.range() == (0.0, 1.0)
  assert np.bincount(data.splits['train']['label']).min() > 140


@pytest.mark.parametrize(
  ('fields', 'named'),
  [
    ({'data.batch_size': 1501}, ['spec.data.batch_size']),
    ({'decoder.likelihood': 'bernoulli', 'data.scaling': 'standard'}, ['spec.decoder.likelihood']),
    ({'decoder.likelihood': 'bernoulli', 'data.scaling': 'none'}, ['spec.decoder.likelihood']),
    ({'data.binarize': 'dynamic', 'data.scaling': 'none'}, ['spec.data.binarize']),
    (
      {'decoder.likelihood': 'bernoulli', 'data.scaling': 'none', 'data.batch_size': 5000},
      ['spec.data.batch_size', 'spec.decoder.likelihood'],
    ),
  ],
)
def test_specs_that_do_not_fit_the_data(fields, named):
  with pytest.raises(SpecError) as error:
    build.dataset(spec_lib.resolve(spec_lib.base(), fields))
  assert [problem.partition(':')[0] for problem in error.value.problems] == named


def test_bernoulli_on_thresholded_data_is_fine():
  build.dataset(spec_lib.resolve(spec_lib.base(), {'decoder.likelihood': 'bernoulli', 'data.binarize': 'threshold'}))
  assert isinstance(toy(), Dataset)
