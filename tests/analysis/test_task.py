"""Whether what is drawn for contexts is right: by stand-ins whose every answer is known."""

import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny_spec

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.evaluator import Split
from tfvae.analysis.task import Task
from tfvae.errors import SpecError
from tfvae.models.sight import Sight

FIELDS = {'data.name': 'mnist_rotate', 'data.of': 'digits', 'data.examples': 45, 'data.context': 'own'}
FIELDS |= {'data.batch_size': 5, 'eval.batch_size': 20, 'eval.evaluators': ('task',)}
FIELDS |= {'eval.num_images': 6, 'eval.task.samples': 3}


class Model:
  """Reconstructs perfectly, and draws a context's first image, which is another one of the label, not turned."""

  def __init__(self, told=(8, 8, 2)):
    self.told = told

  def infer(self, batch, noise, samples):
    return types.SimpleNamespace(mean=batch['x'][None])

  def generate(self, n, noise, context=None):
    assert (context is None) == (self.told is None)
    return types.SimpleNamespace(mean=context[None, ..., :1] if self.told else tf.ones([1, n, 8, 8, 1]))


class Reads(Sight):
  """Right where as many pixels as the label are white, modulo 10."""

  def __init__(self, is_told=True):
    self.is_told, self.frozen = is_told, types.SimpleNamespace(identity='stands for one')

  def right(self, x, batch):
    return tf.math.count_nonzero(x == 1, [1, 2, 3], dtype=tf.int32) % 10 == batch['label']


def right(x, label):
  return (x.astype(int) == 16).sum((1, 2, 3)) % 10 == label


def made(**fields):
  spec = spec_lib.resolve(tiny_spec(), FIELDS | fields)
  data = build.dataset(spec)
  return (
    spec,
    Split(build.source(spec, data), 'test', spec),
    build.loader(spec.data.name).load(spec.data).splits['test'],
  )


def test_by_hand():
  """With padding in the last batch; what a classifier of turns is asked for are the turns."""
  spec, split, stored = made()
  found = Task(spec, Reads(), Reads()).evaluate(Model(), split)
  want = {}
  for suffix, label in (('', stored['label']), ('_turns', stored['turns'])):
    want[f'task/accuracy{suffix}'] = right(stored['context'][..., :1], label).mean()
    want[f'task/accuracy{suffix}_real'] = want[f'task/accuracy{suffix}_reconstruction'] = right(
      stored['x'], label
    ).mean()
    want[f'task/chance{suffix}'] = np.square(np.bincount(label, minlength=10) / 45).sum()
  assert found.numbers == pytest.approx(want) and 0 < want['task/accuracy'] < 1
  arrays, n = found.arrays, 6
  assert arrays['accuracy'] == found.numbers['task/accuracy']
  np.testing.assert_allclose(arrays['x'], stored['x'][:n] / 16)
  np.testing.assert_allclose(arrays['context'], stored['context'][:n] / 16)
  np.testing.assert_allclose(arrays['sample'], np.repeat(stored['context'][:n, None, ..., :1] / 16, 3, 1))
  np.testing.assert_array_equal(arrays['turns'], stored['turns'][:n])
  np.testing.assert_array_equal(arrays['label'], stored['label'][:n])


def test_without_a_classifier_or_a_context():
  """What there is then: the figure; no accuracy of samples where nothing says what would be right."""
  spec, split, stored = made()
  found = Task(spec).evaluate(Model(), split)
  assert set(found.numbers) == {'task/chance', 'task/chance_turns'} and found.arrays['sample'].shape == (6, 3, 8, 8, 1)
  found = Task(spec, Reads()).evaluate(Model(None), split)
  assert (
    'task/accuracy' not in found.numbers and 'task/accuracy_real' in found.numbers and 'context' not in found.arrays
  )
  found = Task(spec, Reads(is_told=False)).evaluate(Model(None), split)
  assert found.numbers['task/accuracy'] == pytest.approx((stored['label'] == 64 % 10).mean())  # all 64 are white


def test_a_label_does_not_say_how_far_to_turn():
  """mnist_rotate told the digit alone: nothing that is drawn is right or wrong, though what is there is measured."""
  spec, split, _ = made(**{'data.context': 'label'})
  numbers = Task(spec, Reads()).evaluate(Model(told=()), split).numbers
  assert 'task/accuracy' not in numbers and {'task/accuracy_real', 'task/accuracy_reconstruction'} <= set(numbers)


def test_what_it_depends_on():
  spec, _, _ = made()
  assert Task(spec, Reads()).settings() != Task(spec).settings() != Task(spec, None, Reads()).settings()


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (
      {'data.name': 'digits', 'data.context': 'none'},
      'spec.eval.evaluators: got task, which is for data of color_mnist',
    ),
    ({'data.name': 'mnist_turns', 'data.context': 'none'}, 'spec.eval.evaluators: got task, .*, not mnist_turns'),
    (
      {'data.name': 'mnist_sum', 'classifier.turns': 'runs/a'},
      'spec.classifier.turns: got .runs/a., .* that is mnist_sum',
    ),
  ],
)
def test_what_it_is_for(fields, message):
  with pytest.raises(SpecError, match=message):
    spec_lib.resolve(tiny_spec(), FIELDS | fields)
