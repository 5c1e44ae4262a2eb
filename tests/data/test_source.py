"""Data: splits, scaling, binarisation, noise, and batches as a pure function of (seed, step), in memory or not."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.data import reading
from tfvae.data.dataset import Part, Stored, make
from tfvae.data.source import Source
from tfvae.errors import RunError, SpecError, UserError


def toy(n=7, test=5, **fields):
  x = np.arange(n * 2, dtype=np.float32).reshape(n, 2)
  splits = {'train': {'x': x, 'label': np.arange(n)}}
  if test:
    splits['test'] = {'x': -np.ones((test, 2), np.float32)}
  return make(Stored('toy', splits), section(**fields), seed=0)


def section(**fields):
  data = spec_lib.base().data
  data.update({'scaling': 'none', 'batch_size': 3, **fields})
  return data


def source(seed=1, data=None, **fields):
  return Source(data or toy(**fields), section(**fields), seed)


def test_the_images_that_burda_et_al_train_on():
  """specs/iwae.py: 400 of 60,000 set aside, and 3,280 epochs of the others in batches of 20."""
  data = toy(60_000, validation=0.006667)
  assert {split: data.size(split) for split in ('train', 'validation')} == {'train': 59_600, 'validation': 400}
  assert 9_774_400 * 20 == 3280 * 59_600


def test_every_epoch_is_a_permutation_and_batches_run_on():
  order = source().order(0, 14).ravel()  # six epochs of seven
  epochs = order.reshape(6, 7)
  assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
  assert len({tuple(epoch) for epoch in epochs}) > 4


def test_a_batch_does_not_depend_on_where_training_was_resumed():
  whole = source().order(0, 20)
  for first in (1, 2, 7, 19):
    np.testing.assert_array_equal(source().order(first, 1)[0], whole[first])
  np.testing.assert_array_equal(source().order(5, 10), whole[5:15])
  again = source()
  for first in (3, 17, 0, 9):  # whatever was asked before
    np.testing.assert_array_equal(again.order(first, 3), whole[first : first + 3])
  assert not np.array_equal(source(seed=2).order(0, 20), whole)


@pytest.mark.parametrize('limit', [100, 0], ids=['in memory', 'read'])
def test_a_batch_may_be_all_examples(limit):
  """Every step has each example once, in the order of the split, and indices are held of one step only."""
  spec, data = digits(batch_size=0, memory_limit=limit)
  source_ = build.source(spec, data)
  assert source_.batch_size == 1500 and source_.order(4, 2).shape == (2, 1500)
  made = batches(source_, 0, 2) + batches(source_, 5, 1) + batches(source_, 0, 1, rows=np.arange(750, 1500))
  want = source_.first('train', 1500)
  for batch, begin in zip(made, (0, 0, 0, 750), strict=True):
    np.testing.assert_array_equal(batch['index'], np.arange(begin, 1500))
    np.testing.assert_array_equal(batch['x'], want['x'][begin:])
  if limit:
    assert source_.feed(0, 1000, np.arange(1500)).shape == (1, 1500)


def batches(source_, first, count, rows=None):
  """The training batches of `count` steps, as the loop makes them."""
  rows = np.arange(source_.batch_size) if rows is None else rows
  feed = source_.feed(first, count, rows)
  made = []
  for step in range(count):
    noise = noise_lib.stateless(source_.seed, first + step).scope('data')
    batch = source_.batch(source_.examples(feed, tf.constant(step)), noise)
    made.append({name: value.numpy() for name, value in batch.items()})
  return made


def test_batches_hold_the_examples_of_their_indices():
  (batch,) = batches(source(scaling='min_max'), 0, 1)
  np.testing.assert_allclose(batch['x'], (np.arange(14).reshape(7, 2)[batch['index']] - [0, 1]) / 12, rtol=1e-6)
  np.testing.assert_array_equal(batch['label'], batch['index'])
  assert batch['x'].shape == (3, 2) and batch['x'].dtype == np.float32


def assert_same(a, b):
  assert len(a) == len(b)
  for one, other in zip(a, b, strict=True):
    assert one.keys() == other.keys()
    for name in one:
      np.testing.assert_array_equal(one[name], other[name], err_msg=name)
      assert one[name].dtype == other[name].dtype


@pytest.mark.parametrize(
  'fields',
  [{}, {'binarize': 'static', 'validation': 0.2}, {'binarize': 'dynamic', 'flip': 'horizontal', 'pixel_flip': 0.1}],
  ids=lambda fields: fields.get('binarize', 'grey'),
)
def test_batches_are_the_same_in_memory_and_through_tf_data(fields):
  """Training (also from the middle, and the rows of one worker), evaluation, the first examples, and what is kept."""
  kinds = [digits(batch_size=130, memory_limit=limit, **fields) for limit in (100, 0)]
  sources = [build.source(spec, data) for spec, data in kinds]
  assert isinstance(kinds[1][1].splits['train'], Part) and isinstance(kinds[0][1].splits['train'], dict)
  assert kinds[0][1].summary == kinds[1][1].summary
  assert_same(*(batches(s, 0, 25) for s in sources))
  assert_same(*(batches(s, 40, 3) for s in sources))
  assert_same(*(batches(s, 43, 2) for s in sources))
  assert_same(*(batches(s, 7, 2, rows=np.arange(65, 130)) for s in sources))
  assert_same(batches(sources[0], 11, 4), batches(build.source(*kinds[1]), 11, 4))
  evaluated = [
    [{k: v.numpy() for k, v in s.evaluation_batch('test', e).items()} for e in es]
    for s, es in ((s, s.evaluation_examples('test', 100)) for s in sources)
  ]
  assert_same(*evaluated)
  assert_same(*([{k: v.numpy() for k, v in s.first('test', 9).items()}] for s in sources))
  assert {k: v.dtype for k, v in sources[0].blank(2).items()} == {k: v.dtype for k, v in sources[1].blank(2).items()}


def test_evaluation_counts_every_example_once():
  seen = []
  for batch in source().evaluation_examples('train', 4):
    seen += [int(i) for i, m in zip(batch['index'], batch['mask'], strict=True) if m]
  assert seen == list(range(7))


def test_scaling_is_fitted_on_each_column_of_the_training_split():
  data = toy(scaling='standard')
  x = data.splits['train']['x']
  np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
  np.testing.assert_allclose(x.std(0), 1, rtol=1e-6)
  assert toy(scaling='min_max').range() == (0, 1)
  assert toy(scaling='min_max').extremes == pytest.approx((-2 / 12, 1))
  with pytest.raises(UserError, match=r"spec\.data\.scaling: got min_max, but column 'b'"):
    flat = np.array([[1.0, 2], [2, 2], [3, 2]])
    make(Stored('flat', {'train': {'x': flat}, 'test': {'x': flat}}, columns=('a', 'b')), section(scaling='min_max'), 0)
  large = 1.6e9 + np.arange(100.0)[:, None]  # where float32 alone would leave nothing
  data = make(Stored('times', {'train': {'x': large}, 'test': {'x': large}}), section(scaling='min_max'), 0)
  np.testing.assert_allclose(data.splits['train']['x'][:, 0], np.arange(100) / 99, rtol=1e-6)


def test_splits_are_drawn_from_the_seed():
  def parts(seed, stored_test):
    x = np.arange(20.0)[:, None]
    splits = {'train': {'x': x, 'label': np.arange(20)}} | ({'test': {'x': x[:3]}} if stored_test else {})
    data = make(Stored('toy', splits), section(validation=0.25, test=0.2), seed)
    return {split: set(part['label']) if 'label' in part else None for split, part in data.splits.items()}

  drawn = parts(0, False)
  assert {split: len(part) for split, part in drawn.items()} == {'train': 11, 'validation': 5, 'test': 4}
  assert set.union(*drawn.values()) == set(range(20))
  assert drawn == parts(0, False) != parts(1, False)
  stored = parts(0, True)
  assert len(stored['train']) == 15 and len(stored['validation']) == 5 and stored['test'] is None
  for fields in ({'validation': 0.01}, {'test': 0.01}, {'validation': 0.5, 'test': 0.5}):
    with pytest.raises(UserError, match=r'spec\.data\.(validation|test): got .* of the 7'):
      toy(test=0, **fields) if 'test' not in fields else make(
        Stored('toy', {'train': {'x': np.ones((7, 1))}}), section(**fields), 0
      )


def test_what_a_run_keeps_of_its_data():
  """The scaling of the run holds; other examples are refused, be they held in memory or not."""
  kept = toy(scaling='standard').summary
  assert kept['sizes'] == {'train': 7, 'test': 5} and kept['shape'] == [2]
  stored = lambda x: Stored('toy', {'train': {'x': x, 'label': np.arange(len(x))}, 'test': {'x': -np.ones((5, 2))}})
  x = np.arange(14.0).reshape(7, 2)
  for limit in (0, 10):
    again = make(stored(x), section(scaling='standard', memory_limit=limit), 0, kept)
    assert again.summary == kept
    for other in (x + np.eye(7, 2), x[:6], x[:, :1], np.zeros((7, 2, 1, 1), np.uint8)):
      with pytest.raises(RunError, match='the data have changed'):
        make(stored(other), section(scaling='standard', memory_limit=limit), 0, kept)
  kept = kept | {'scaling': {'center': [0.0, 1.0], 'width': [2.0, 2.0]}}
  with pytest.raises(RunError, match='changed'):  # the checksum is of the scaled examples
    make(stored(x), section(scaling='standard'), 0, kept)


def digits(**fields):
  spec = spec_lib.resolve(spec_lib.base(), {f'data.{k}': v for k, v in fields.items()})
  return spec, build.dataset(spec)


@pytest.mark.parametrize('kind', ['static', 'dynamic'])
def test_binarisation_has_the_grey_value_as_its_mean(kind):
  spec, data = digits(binarize=kind, batch_size=1500)
  source_ = build.source(spec, data)
  draws = []
  for (batch,) in (batches(source_, step, 1) for step in range(20)):
    draws.append(batch['x'][np.argsort(batch['index'])])
  assert set(np.unique(draws)) == {0.0, 1.0}
  assert np.array_equal(draws[0], draws[1]) == (kind == 'static')
  grey = data.splits['train']['x'] / 16
  # Within five standard errors of sums of independent Bernoulli draws.
  error = np.sqrt((grey * (1 - grey)).sum())
  assert abs(draws[0].sum() - grey.sum()) < 5 * error
  if kind == 'dynamic':
    assert np.abs(np.mean(draws, 0) - grey).max() < 6 * 0.5 / np.sqrt(20)
  first = [source_.first('test', 100)['x'].numpy() for _ in range(2)]
  np.testing.assert_array_equal(*first)


def evaluated(source_, split, size):
  """The binary images of a split, by the number of the example, from evaluation batches of `size`."""
  found = {}
  for stored in source_.evaluation_examples(split, size):
    batch = source_.evaluation_batch(split, stored)
    for index, x, kept in zip(batch['index'].numpy(), batch['x'].numpy(), batch['mask'].numpy(), strict=True):
      assert set(np.unique(x)) <= {0.0, 1.0}
      if kept:
        found[int(index)] = x
      else:  # padding is the last example again
        np.testing.assert_array_equal(x, found[max(found)])
  return np.stack([found[i] for i in range(len(found))])


def test_an_example_is_evaluated_as_one_binary_image():
  """Whatever the size of the batch, be it held in memory or read, in `first`, and the same as with `static`."""
  spec, data = digits(binarize='dynamic', batch_size=130)
  want = evaluated(build.source(spec, data), 'test', 297)
  for fields in ({'binarize': 'dynamic'}, {'binarize': 'static'}, {'binarize': 'dynamic', 'memory_limit': 0}):
    spec, data = digits(batch_size=130, **fields)
    source_ = build.source(spec, data)
    for size in (100, 64):
      np.testing.assert_array_equal(evaluated(source_, 'test', size), want)
    np.testing.assert_array_equal(source_.first('test', 33)['x'], want[:33])


def test_binary_images_of_evaluation_have_the_grey_value_as_their_mean():
  spec, data = digits(binarize='dynamic', batch_size=130)
  draws = {
    (seed, split): evaluated(Source(data, spec.data, seed), split, 250) for seed in range(16) for split in SPLITS
  }
  for split in SPLITS:
    grey = data.splits[split]['x'] / 16
    mean = np.mean([draws[seed, split] for seed in range(16)], 0)
    spread = np.sqrt(grey * (1 - grey) / 16)  # of a pixel's mean over 16 draws
    assert np.all(mean[spread == 0] == grey[spread == 0])
    # Sums of independent draws: each pixel's over the examples, and of all.
    error = np.sqrt(np.square(spread).sum(0))
    assert np.all(np.abs((mean - grey).sum(0)) <= 5 * error)
    assert abs((mean - grey).sum()) < 4 * np.sqrt(np.square(error).sum())
  # Two draws of one set of probabilities differ in a fraction 2 p (1 - p) of the pixels: so do seeds and examples.
  expected = (2 * grey * (1 - grey)).sum()
  differ = np.abs(draws[0, 'test'] - draws[1, 'test']).sum()
  assert abs(differ - expected) < 5 * np.sqrt(expected)


def test_examples_of_equal_grey_values_are_drawn_apart():
  """By their number and by the split, too."""
  half = np.full((400, 4, 4, 1), 128, np.uint8)
  stored = Stored('half', {'train': {'x': half}, 'test': {'x': half}}, (0, 255))
  fields = {'binarize': 'dynamic', 'scaling': 'min_max'}
  source_ = source(data=make(stored, section(**fields), 0), **fields)
  train, test = (evaluated(source_, split, 150).reshape(400, -1) for split in ('train', 'test'))
  for one, other in ((train, test), (train[1:], train[:-1]), (train, evaluated_again(source_))):
    assert abs(np.abs(one - other).mean() - 0.5) < 5 * 0.5 / np.sqrt(one.size)


def evaluated_again(source_):
  """The training split's images of another seed."""
  return evaluated(Source(source_.dataset, source_.section, 99), 'train', 400).reshape(400, -1)


SPLITS = ('train', 'test')


def test_threshold():
  spec, data = digits(binarize='threshold', threshold=0.4375)
  x = build.source(spec, data).first('test', 50)['x'].numpy()
  np.testing.assert_array_equal(x, data.splits['test']['x'][:50] / 16 > 0.4375)


def test_flips_are_of_training_batches_only_and_fresh():
  spec, data = digits(binarize='threshold', flip='horizontal', pixel_flip=0.1, batch_size=1500)
  noisy, plain = build.source(spec, data), digits(binarize='threshold', batch_size=1500)
  plain = build.source(*plain)
  np.testing.assert_array_equal(noisy.first('test', 50)['x'], plain.first('test', 50)['x'])
  (one,), (two,), (x,) = batches(noisy, 0, 1), batches(noisy, 1, 1), batches(plain, 0, 1)
  straight = np.abs(one['x'] - x['x']).mean((1, 2, 3))
  mirrored = np.abs(one['x'] - x['x'][:, :, ::-1]).mean((1, 2, 3))
  share = (mirrored < straight).mean()
  assert abs(share - 0.5) < 0.1
  inverted = np.minimum(straight, mirrored).mean()
  assert 0.08 < inverted < 0.11  # 0.1 but for the few that are nearer to the other
  assert not np.array_equal(one['x'][np.argsort(one['index'])], two['x'][np.argsort(two['index'])])


def test_reading_names_what_is_broken():
  class Broken(reading.ArrayReader):
    def decode(self, stored, seed=None):
      with tf.control_dependencies([tf.debugging.assert_less(stored['x'][0], tf.constant(6.0, tf.float64))]):
        return {name: tf.identity(value) for name, value in stored.items()}

    def explain(self, error):
      return 'row 3 is broken'

  part = Part(Broken({'x': np.arange(14.0).reshape(7, 2)}), np.arange(7))
  with pytest.raises(UserError, match='row 3 is broken'):
    reading.read(part)
  assert reading.read(Part(part.reader, np.arange(3)))['x'].tolist() == [[0, 1], [2, 3], [4, 5]]
  assert reading.moments(Part(part.reader, np.arange(3))) == pytest.approx((2.5, np.arange(6).std()))


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
    ({'data.name': 'table', 'data.test': 0.0}, ['spec.eval.split']),
    ({'data.name': 'table', 'decoder.likelihood': 'bernoulli'}, ['spec.decoder.likelihood']),
    ({'data.name': 'table', 'data.flip': 'horizontal'}, ['spec.data.flip']),
  ],
)
def test_specs_that_do_not_fit_the_data(fields, named):
  with pytest.raises(SpecError) as error:
    build.dataset(spec_lib.resolve(spec_lib.base(), fields))
  assert [problem.partition(':')[0] for problem in error.value.problems] == named


def test_held_out_values_beyond_the_training_range_can_be_binarised():
  fields = {'data.name': 'table', 'data.binarize': 'dynamic', 'decoder.likelihood': 'bernoulli'}
  data = build.dataset(spec_lib.resolve(spec_lib.base(), fields))
  assert data.range() == (0, 1) and data.extremes[1] > 1


def test_bernoulli_on_thresholded_data_is_fine():
  build.dataset(spec_lib.resolve(spec_lib.base(), {'decoder.likelihood': 'bernoulli', 'data.binarize': 'threshold'}))


def column(values, name='b'):
  x = np.stack([np.arange(len(values)), np.array(values, float)], 1)
  return Stored('toy', {'train': {'x': x}, 'test': {'x': x[:2]}}, columns=('a', name))


@pytest.mark.parametrize(
  ('scaling', 'values', 'words'),
  [
    ('standard', [1, 2, -3e155], 'has the value -3e+155'),
    ('standard', [1e308, -1e308, 1], 'has the value'),
    ('standard', [1e-160, 2e-160, 3e-160], 'values of 1e-160 to 3e-160'),
    ('standard', [0, 1e-200, 0], 'values of 0 to 1e-200'),
    ('min_max', [1.7e308, -1.7e308, 1], 'has the value'),
    ('min_max', [0, 5e-324, 0], 'values of 0 to 4.94066e-324'),
    ('none', [1, 2, 3.5e38], 'has the value 3.5e+38'),
    ('none', [0, -1e-60, 0], 'values of -1e-60 to 0'),
  ],
)
def test_values_that_cannot_be_scaled_are_refused(scaling, values, words):
  with pytest.raises(UserError, match=rf"spec\.data\.scaling: got {scaling}, but column 'b' has .*") as error:
    make(column(values), section(scaling=scaling), 0)
  assert words in str(error.value), error.value
  with pytest.raises(UserError, match=r"column 'b{20,60}\.\.\.b+' has"):
    make(column(values, 'b' * 10**5), section(scaling=scaling), 0)


@pytest.mark.parametrize(
  ('scaling', 'values'),
  [
    ('standard', [1, 2, -1e153]),
    ('standard', [0, 1e-140, 3e-140]),
    ('min_max', [8e307, -8e307, 1]),
    ('none', [1, 2, 3e38]),
  ],
)
def test_values_that_can_just_be_scaled(scaling, values):
  x = make(column(values), section(scaling=scaling), 0).splits['train']['x']
  expected = np.array(values)
  if scaling == 'standard':
    unit = np.abs(expected).max()
    expected = (expected / unit - np.mean(expected / unit)) / np.std(expected / unit)
  if scaling == 'min_max':
    expected = [1, 0, 0.5]
  np.testing.assert_allclose(x[:, 1], expected, rtol=1e-5)


@pytest.mark.parametrize('scaling', ['none', 'min_max', 'standard'])
@pytest.mark.parametrize('images', [False, True])
def test_held_out_values_beyond_float32_are_refused(scaling, images):
  x = np.arange(40.0).reshape(10, 4)
  test = x[:3].copy()
  test[2, 3] = -1e45
  if images:
    x, test = x.reshape(10, 2, 2, 1), test.reshape(3, 2, 2, 1)
  what = r'the data' if images else 'column 3'
  for kept in (
    None,
    make(Stored('toy', {'train': {'x': x}, 'test': {'x': x[:3]}}), section(scaling=scaling), 0).summary,
  ):
    with pytest.raises(UserError, match=rf'the value -1e\+45 of {what} \(row 2 of the stored test split, from 0\) is'):
      make(Stored('toy', {'train': {'x': x}, 'test': {'x': test}}), section(scaling=scaling), 0, kept)
