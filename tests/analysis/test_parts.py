"""Samples of q that are taken in parts: sizes, the same means, estimates without bias, and a stop between them."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build, memory
from tfvae import spec as spec_lib
from tfvae.analysis import evaluator as evaluator_lib
from tfvae.analysis.evaluation import Abandoned, Evaluation
from tfvae.analysis.evaluator import Split, widest
from tfvae.analysis.latents import _square_of_mean
from tfvae.errors import UserError
from tfvae.noise import Noise, stateless
from tfvae.observation import Observation


def make(samples, **fields):
  """Two layers on the digits, q(z1 | z2, x) with weights that make it depend on z2."""
  spec = spec_lib.base()
  for section in (spec.model.z2, spec.model.z1):
    section.update({'dim': 2, 'encoder': {'hidden': (4,)}})
  spec.decoder.net.hidden = (4,)
  spec.eval.update({'num_samples': samples, 'batch_size': 100, 'evaluators': ('bounds', 'entropies', 'latents')})
  spec = spec_lib.resolve(spec, fields)
  data = build.dataset(spec)
  source, model = build.source(spec, data), build.model(spec, data.observation)
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign_add(0.05 * rng.standard_normal(variable.shape))
  return spec, source, model


def numbers(spec, source, model, **kwargs):
  found = {}
  evaluators = build.evaluators(spec, source.dataset.observation)
  for _, (values, arrays) in Evaluation(model, source, spec).run('test', evaluators, **kwargs):
    found |= values | {name: array for name, array in arrays.items() if not name.endswith('.z')}
  return found


def test_sizes(monkeypatch):
  """The defaults are one part; others differ by one at most, and none is smaller than FEWEST."""
  spec, source, model = make(10)
  split = lambda n: Split(source, 'test', spec_lib.resolve(spec, {'eval.num_samples': n}))
  assert split(10)._parts(model) == [10] and split(1000)._parts(model) == [1000]
  width = widest(model, 'float32')
  assert width == 128  # the hidden layer of q(z1 | z2, x); x has 64
  monkeypatch.setattr(evaluator_lib, 'MOST', 40 * 100 * width)
  for samples, sizes in ((39, [39]), (79, [79]), (80, [40, 40]), (121, [41, 40, 40]), (100_000, [40] * 2500)):
    assert split(samples)._parts(model) == sizes
  monkeypatch.setattr(evaluator_lib, 'MOST', 1)
  assert split(31)._parts(model) == [31] and split(50)._parts(model) == [17, 17, 16]


def test_the_widest_tensor_is_that_of_a_convolution():
  fields = {'decoder.net.kind': 'conv', 'decoder.net.hidden': (6, 12)}
  spec = spec_lib.resolve(spec_lib.base(('z1',)), fields)
  model = build.model(spec, Observation((8, 8, 1)))
  assert widest(model, 'float32') == 4 * 4 * 12


@pytest.mark.parametrize('samples', [64, 50])
def test_the_same_samples_in_parts_have_the_same_means(samples, monkeypatch):
  """With the parts' noise cut from that of the whole, all means are equal to rounding, but for E[z | x]^2."""
  spec, source, model = make(samples)
  whole = numbers(spec, source, model)
  monkeypatch.setattr(evaluator_lib, 'MOST', 1)
  parts = Split(source, 'test', spec)._parts(model)
  assert len(parts) > 2 and sum(parts) == samples
  ends = np.cumsum([0, *parts])

  def cut(self, number, part):
    def answer(request):
      full = stateless(self.spec.seed, number).scope(f'eval/{self.name}')
      shape, begin = (samples, *request.shape[1:]), tf.gather(ends, part.part % len(parts))
      return tf.reshape(full.normal(request.name, shape, dtype=request.dtype)[begin : begin + part.size], request.shape)

    return Noise(answer)

  monkeypatch.setattr(Split, 'sample_noise', cut)
  again = numbers(spec, source, model)
  assert whole.keys() == again.keys() and len(whole) > 20
  for name, value in whole.items():
    if not name.startswith(('active_units', 'z1.variance_of_mean')):
      np.testing.assert_allclose(again[name], value, rtol=2e-4, atol=2e-5, err_msg=name)
  # Fewer products of different samples: the same in expectation, and near here.
  np.testing.assert_allclose(again['z1.variance_of_mean'], whole['z1.variance_of_mean'], rtol=0.2, atol=0.01)


def test_other_noise_in_each_part(monkeypatch):
  """Of the evaluation as it is: the parts' estimates agree with one of all samples within the spread of the samples."""
  spec, source, model = make(96)
  whole = numbers(spec, source, model)
  monkeypatch.setattr(evaluator_lib, 'MOST', 1)
  again = numbers(spec, source, model)
  assert all(np.array_equal(value, again[name]) for name, value in numbers(spec, source, model).items())
  x = tf.constant(source.dataset.splits['test']['x'], tf.float32) * source.dataset.scale + source.dataset.offset
  trace = model.infer({'x': x}, stateless(7, 7), 96)
  for name, values in (('log_likelihood', trace.log_px), ('rate/z1', trace.kl['z1'])):
    error = float(tf.sqrt(tf.reduce_sum(tf.math.reduce_variance(values, 0)) / 96)) / len(x)
    assert abs(again[name] - whole[name]) < 5 * np.sqrt(2) * error, name
    assert again[name] != whole[name]


def test_the_square_of_a_mean_from_parts_has_no_bias():
  """E[z | x]^2 of 50 samples in parts of 17, 17 and 16, weighted by their sizes, over 40,000 examples."""
  rng = np.random.default_rng(0)
  values = (0.3 + 2 * rng.standard_normal((50, 40_000, 1))).astype(np.float32)
  parts = np.split(values, [17, 34])
  found = sum(len(part) / 50 * _square_of_mean(False, tf.constant(part)).numpy() for part in parts)
  error = found.std() / np.sqrt(found.size)
  assert abs(found.mean() - 0.3**2) < 5 * error and error < 0.01
  biased = sum(len(part) / 50 * part.mean(0) ** 2 for part in parts)
  assert biased.mean() > 0.3**2 + 20 * error


def test_an_evaluation_is_given_up_between_parts(monkeypatch):
  spec, source, model = make(64)
  monkeypatch.setattr(evaluator_lib, 'MOST', 1)
  asked, seen = [], []

  def stopped():
    asked.append(1)
    return len(asked) == 3

  def show(label, batches, number):
    seen.append(number)
    return batches

  with pytest.raises(Abandoned):
    numbers(spec, source, model, stopped=stopped, show=show)
  assert len(asked) == 3 and seen == [3 * 4]  # batches, parts


def test_a_trace_that_is_larger_than_memory(monkeypatch):
  """Known before it is asked for: a line with the fields to lower."""
  spec, source, model = make(31)
  monkeypatch.setattr(memory, 'available', lambda: 500_000)
  monkeypatch.setattr(memory, 'require_tensor', memory.require)
  with pytest.raises(
    UserError, match=r'memory is not enough: .*lower spec\.eval\.batch_size .*spec\.eval\.num_samples'
  ):
    numbers(spec, source, model)
