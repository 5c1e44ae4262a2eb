"""The levels of discrete images: fewer bits, dequantisation noise, and what is refused."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.bits_per_dim import BitsPerDim
from tfvae.analysis.evaluator import Split
from tfvae.data.dataset import Part, Stored, make
from tfvae.data.scaling import reduced
from tfvae.data.source import Source
from tfvae.errors import SpecError
from tfvae.objectives.elbo import Elbo
from tfvae.objectives.iwae import Iwae
from tfvae.objectives.symmetric import Symmetric


def of_section(**fields):
  section = spec_lib.base().data
  section.update({'batch_size': 256, **fields})
  return section


def every_value(**fields):
  """The 256 values of a byte, one image of one pixel each, as a Source."""
  stored = Stored('bytes', {'train': {'x': np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)}}, (0.0, 255.0))
  section = of_section(test=0.0, **fields)
  return Source(make(stored, section, 0), section, 0)


def train_batch(source, step=0):
  batch = source.batch(
    source.examples(source.feed(step, 1, np.arange(source.batch_size)), 0), noise_lib.stateless(0, step)
  )
  return batch['x'].numpy()[np.argsort(batch['index'])].ravel()


@pytest.mark.parametrize('bits', [1, 3, 5, 8])
def test_levels_are_even_have_equal_shares_and_keep_black_and_white(bits):
  source = every_value(bits=bits)
  x, counts = np.unique(source.first('train', 256)['x'], return_counts=True)
  np.testing.assert_allclose(x, np.linspace(0, 1, 2**bits), atol=1e-7)
  np.testing.assert_array_equal(counts, 256 // 2**bits)
  np.testing.assert_array_equal(train_batch(source), source.first('train', 256)['x'].numpy().ravel())
  # The last bits are dropped.
  levels = np.round(source.first('train', 256)['x'].numpy().ravel() * (2**bits - 1)).astype(int)
  np.testing.assert_array_equal(levels, np.arange(256) >> (8 - bits))
  assert source.dataset.observation.levels == 2**bits and source.value_range == (0.0, 1.0)
  np.testing.assert_allclose(np.unique(reduced(np.arange(17.0), (0, 16), 4)), np.linspace(0, 16, 16))


@pytest.mark.parametrize('limit', [100, 0], ids=['in memory', 'read'])
def test_standard_scaling_is_of_the_reduced_values(limit):
  spec = spec_lib.resolve(spec_lib.base(), {'data.bits': 2, 'data.scaling': 'standard', 'data.memory_limit': limit})
  data = build.dataset(spec)
  assert isinstance(data.splits['train'], Part) == (limit == 0)
  x = build.source(spec, data).first('train', 1500)['x'].numpy()
  assert len(np.unique(x)) == 4
  np.testing.assert_allclose([x.mean(dtype='f8'), x.std(dtype='f8')], [0, 1], atol=1e-6)
  np.testing.assert_allclose([x.min(), x.max()], data.range(), atol=1e-6)
  if limit:  # stored values that come in from elsewhere: to the same bits
    verbs = build.verbs(spec, build.model(spec, data.observation), data.summary)
    scaled = verbs.run('scale', values=data.splits['test']['x'][:9])['x']
    np.testing.assert_array_equal(scaled, build.source(spec, data).first('test', 9)['x'])


def test_dequantisation_is_uniform_over_a_level_fresh_and_in_training_alone():
  plain, noisy = every_value(bits=6, scaling='standard'), every_value(bits=6, scaling='standard', dequantize=True)
  np.testing.assert_array_equal(noisy.first('train', 256)['x'], plain.first('train', 256)['x'])
  step = noisy.dataset.observation.step
  u = np.array([train_batch(noisy, k) - train_batch(plain, k) for k in range(8)]) / step
  assert u.min() >= -0.5001 and u.max() <= 0.5001 and not np.array_equal(u[0], u[1])
  assert abs(u.mean()) < 5 / math.sqrt(12 * u.size) and abs(u.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / u.size)
  np.testing.assert_array_equal(train_batch(noisy, 3), train_batch(noisy, 3))


def test_bits_per_dim_counts_the_levels_that_are_left(tiny):
  """A decoder that knows nothing of x: its bits are the entropy of a wide Gaussian's levels, log2 of their number."""
  for bits in (1, 3, 4):
    fields = {'data.bits': bits, 'decoder.sigma': 30.0, 'decoder.variance': 'fixed', 'eval.batch_size': 297}
    spec = spec_lib.resolve(tiny, fields)
    data = build.dataset(spec)
    model, split = build.model(spec, data.observation), Split(build.source(spec, data), 'test', spec)
    found = BitsPerDim(spec).evaluate(model, split).numbers
    # Bins inside have the mass h / (30 sqrt(2 pi)); with one bit each of the two has a tail, 1/2.
    inside = -math.log2(1 / (2**bits - 1) / (30 * math.sqrt(2 * math.pi)))
    assert found['bits_per_dim/dequantized'] == pytest.approx(inside + found_rate(model, split), abs=0.01)
    if bits == 1:
      assert found['bits_per_dim/discretized'] == pytest.approx(1 + found_rate(model, split), abs=0.01)


def found_rate(model, split):
  """Bits per dimension of the KL, the same for all widths of the decoder."""
  number, stored = next(iter(split.batches()))
  rate = model.infer(split.batch(stored), split.noise(number), 2).terms()['rate'].numpy().mean()
  return rate / 64 / math.log(2)


def mixture(tiny, **fields):
  spec = spec_lib.resolve(tiny, {'decoder.likelihood': 'logistic_mixture', 'decoder.components': 2, **fields})
  data = build.dataset(spec)
  return spec, build.source(spec, data), build.model(spec, data.observation)


def test_bits_per_dim_of_a_mixture_is_its_elbo(tiny):
  for fields in ({}, {'data.bits': 3, 'data.scaling': 'standard'}):
    spec, source, model = mixture(tiny, **fields, **{'eval.batch_size': 297})
    split = Split(source, 'test', spec)
    numbers = BitsPerDim(spec).evaluate(model, split).numbers
    number, stored = next(iter(split.batches()))
    trace = model.infer(split.batch(stored), split.noise(number), 2)
    assert numbers == {
      'bits_per_dim': pytest.approx(-trace.terms()['elbo'].numpy().mean() / 64 / math.log(2), rel=1e-5)
    }
    assert model.decoder.likelihood.observation.levels == 2 ** fields['data.bits'] if fields else 17
    assert np.all(trace.log_px < 0)


@pytest.mark.parametrize(
  ('make_objective', 'held'), [(Elbo, False), (Iwae, False), (Symmetric, True)], ids=['elbo', 'iwae', 'symmetric']
)
def test_objectives_take_a_mixture(tiny, make_objective, held):
  spec, source, model = mixture(tiny, **{'objective.name': make_objective.__name__.lower(), 'objective.num_samples': 2})
  objective, batch, noise = build.objective(spec, model), source.first('train', 5), noise_lib.stateless(0, 0)
  for player, variables in objective.players.items():
    with tf.GradientTape() as tape:
      loss, metrics = objective.loss(player, model, batch, tf.constant(0, tf.int64), noise)
    gradients = tape.gradient(loss, [v.value for v in variables], unconnected_gradients='zero')
    assert all(np.isfinite(g).all() for g in gradients) and any(np.any(g != 0) for g in gradients)
    assert 'scale' in metrics or held


@pytest.mark.parametrize(
  ('fields', 'line'),
  [
    ({'decoder.components': 0}, r'spec.decoder.components: got 0; allowed: an integer >= 1'),
    ({'data.name': 'table'}, r'spec.decoder.likelihood: got logistic_mixture.*not discrete; use gaussian'),
    ({'data.name': 'circle'}, r'spec.decoder.likelihood: got logistic_mixture.*not discrete'),
    ({'data.jitter': 0.1}, r'spec.decoder.likelihood: got logistic_mixture.*spec.data.jitter is 0.1'),
    ({'data.binarize': 'threshold'}, r'spec.decoder.likelihood: got logistic_mixture.*use bernoulli'),
    ({'data.dequantize': True}, r'spec.data.dequantize: got True.*logistic_mixture has probabilities of the levels'),
    ({'model.standardize': True}, r'spec.model.standardize: got True.*spec.decoder.likelihood is logistic_mixture'),
  ],
  ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_mistakes_with_a_mixture_are_refused(tiny, fields, line):
  with pytest.raises(SpecError, match=line):
    build.dataset(spec_lib.resolve(tiny, {'decoder.likelihood': 'logistic_mixture', **fields}))


@pytest.mark.parametrize(
  ('fields', 'line'),
  [
    ({'data.bits': 5}, r'spec.data.bits: got 5, but digits has 17 levels; allowed: at most 4'),
    ({'data.bits': 2, 'data.name': 'table'}, r'spec.data.bits: got 2.*not discrete; use 0'),
    ({'data.bits': 2, 'data.binarize': 'static'}, r'spec.data.bits: got 2.*spec.data.binarize is static'),
    ({'data.dequantize': True, 'data.name': 'circle'}, r'spec.data.dequantize: got True.*not discrete'),
    ({'data.dequantize': True, 'data.binarize': 'dynamic'}, r'spec.data.dequantize: got True.*binarize is dynamic'),
    ({'data.dequantize': True, 'decoder.likelihood': 'bernoulli'}, r'spec.data.dequantize: got True.*data in \[0, 1\]'),
  ],
  ids=lambda value: ','.join(value) if isinstance(value, dict) else '',
)
def test_mistakes_with_levels_are_refused(tiny, fields, line):
  with pytest.raises(SpecError, match=line):
    build.dataset(spec_lib.resolve(tiny, fields))


def test_images_of_other_numbers_of_channels_are_no_mixture(tiny, tmp_path):
  np.savez(tmp_path / 'x.npz', x=np.zeros((8, 8, 8, 2), np.uint8))
  fields = {'decoder.likelihood': 'logistic_mixture', 'data.name': 'table', 'data.path': str(tmp_path / 'x.npz')}
  with pytest.raises(SpecError, match=r'spec.decoder.likelihood: got logistic_mixture.*shape \(8, 8, 2\)'):
    build.dataset(spec_lib.resolve(tiny, fields | {'data.batch_size': 2, 'data.test': 0.2}))
