"""Inception scores: of what was classified by hand, what they depend on, and mistakes."""

import json
import math
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build, classifiers, commands
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation
from tfvae.analysis.inception_score import InceptionScore
from tfvae.errors import SpecError
from tfvae.theory.information import inception_score

KINDS = ('prior', 'limiting', 'reconstruction', 'data')


def made(tiny, classifier_run, **fields):
  fields = {'eval.evaluators': ('inception_score',), 'classifier.path': str(classifier_run)} | fields
  spec = spec_lib.resolve(tiny, fields)
  data = build.dataset(spec)
  return spec, build.source(spec, data), build.model(spec, data.observation), build.evaluators(spec, data.observation)


def evaluate(evaluators, spec, source, model):
  return {
    name: value
    for _, found in Evaluation(model, source, spec).run('test', evaluators)
    for name, value in found.numbers.items()
  }


def test_of_data_and_of_a_model_that_copies_them(tiny, classifier_run):
  """By the classifier itself; the last batch is padded. As many as there are."""

  class Copies:
    closed_form = False
    decoder = types.SimpleNamespace(likelihood=types.SimpleNamespace(mean=lambda px: px))

    def infer(self, batch, noise, num_samples):
      return types.SimpleNamespace(px=batch['x'][None])

  fields = {'eval.inception_score.of': ('reconstruction', 'data'), 'eval.batch_size': 100, 'data.scaling': 'standard'}
  spec, source, _, evaluators = made(tiny, classifier_run, **fields)
  numbers = evaluate(evaluators, spec, source, Copies())
  x = build.loader('digits').load(spec.data).splits['test']['x'] / np.float32(16)
  seen = tf.nn.softmax(classifiers.load(classifier_run, build).model.logits(x)).numpy().astype(float)
  wanted = inception_score(seen)
  for of in ('reconstruction', 'data'):
    assert numbers[f'inception_score/{of}'] == pytest.approx(wanted['score'], rel=1e-4)
    assert numbers[f'inception_score_log_standard_error/{of}'] == pytest.approx(wanted['log_standard_error'], rel=1e-3)
    parts = [numbers[f'inception_score_{part}/{of}'] for part in ('diversity', 'sharpness')]
    assert math.log(numbers[f'inception_score/{of}']) == pytest.approx(sum(parts))
    assert numbers[f'inception_score_samples/{of}'] == 297


class Reads:
  """Stands for what a classifier sees: the rows of an image, softly."""

  def __init__(self, identity='one'):
    self.frozen = types.SimpleNamespace(identity=identity)

  def labels(self, x, batch):
    return tf.nn.softmax(tf.reduce_sum(x, [-2, -1]))


def test_what_a_model_generates(tiny):
  """As many as are asked for, of the prior and of the chain; and E[x | z] is not rounded."""
  fields = {'eval.inception_score.of': ('prior', 'limiting'), 'eval.inception_score.samples': 130}
  fields |= {'eval.batch_size': 60, 'eval.limiting.steps': 2, 'decoder.likelihood': 'bernoulli'}
  spec = spec_lib.resolve(tiny, fields)
  data = build.dataset(spec)
  source, model = build.source(spec, data), build.model(spec, data.observation)
  numbers = evaluate([InceptionScore(spec, Reads())], spec, source, model)
  assert numbers['inception_score_samples/prior'] == numbers['inception_score_samples/limiting'] == 130
  assert 1 < numbers['inception_score/prior'] < 1.01  # an untrained model is grey all over
  assert numbers['inception_score_standard_error/prior'] > 0


def test_what_it_depends_on(tiny):
  settings = lambda identity='one', **fields: InceptionScore(spec_lib.resolve(tiny, fields), Reads(identity)).settings()
  chain = {'eval.inception_score.of': ('limiting',)}
  assert settings() == settings(**{'eval.num_images': 3, 'eval.limiting.steps': 3}) != settings('another')
  assert settings(**chain) != settings(**chain, **{'eval.limiting.steps': 3})


LOOKING = ('inception_score', 'reconstruction_accuracy')
MISTAKES = [
  *(
    ({'eval.evaluators': (name,), 'classifier.path': ''}, f'spec.classifier.path: is empty; the evaluator {name} needs')
    for name in LOOKING
  ),
  *(
    ({'eval.evaluators': (name,), 'classifier.path': 'nowhere'}, 'got nowhere: there is no such directory')
    for name in (*LOOKING, 'mutual_information')
  ),
  ({'data.name': 'circle'}, 'trained on digits, examples of 8 x 8 x 1, but these are 2'),
  ({'eval.inception_score.of': ()}, r'spec\.eval\.inception_score\.of: got \(\); give one or more'),
  ({'eval.inception_score.of': ('data', 'data')}, r'inception_score\.of: got data,data; give one or more different'),
  ({'eval.inception_score.samples': 1}, r'spec\.eval\.inception_score\.samples: got 1'),
  (
    {'data.name': 'mnist_turns', 'data.of': 'digits', 'data.examples': 30, 'data.batch_size': 5},
    'trained on digits, whose labels are no turns',
  ),
]
TABLE = {'data.name': 'table', 'data.batch_size': 5, 'eval.inception_score.of': ('data',)}


@pytest.mark.parametrize(('fields', 'text'), MISTAKES)
def test_mistakes_are_told_before_training(tiny, classifier_run, tmp_path, fields, text):
  fields = {'eval.evaluators': ('inception_score',), 'classifier.path': str(classifier_run)} | fields
  with pytest.raises(SpecError, match=text):
    commands.train(spec_lib.resolve(tiny, fields), tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_the_chain_of_a_model_of_targets_is_refused(tiny, classifier_run):
  fields = {'eval.inception_score.of': ('limiting',), 'data.target': 'own', 'data.name': 'mnist_rotate'}
  with pytest.raises(SpecError, match=r'spec\.eval\.inception_score\.of: got limiting, which encodes what'):
    made(tiny, classifier_run, **fields)


def trained_on(classifier_run, path, **fields):
  """A copy of a classifier's run that says that it was trained on other data, or has another number of labels."""
  shutil.copytree(classifier_run, path)
  values = json.loads((path / 'spec.json').read_text())
  for name, value in fields.items():
    section, _, field = name.rpartition('.')
    of = values[section] if '.' not in section else values['model']['classifier']
    of[field] = value
  (path / 'spec.json').write_text(json.dumps(values))
  return path


@pytest.mark.parametrize('labels', ['known', 'unknown', 'absent'])
def test_data_of_ones_own(tiny, classifier_run, tmp_path, labels):
  """Images of a file: what labels they have is not known by a name, but how many."""
  rng = np.random.default_rng(0)
  arrays = {'x': rng.random((40, 8, 8, 1), np.float32), 'x_test': rng.random((12, 8, 8, 1), np.float32)}
  if labels != 'absent':
    most = 10 if labels == 'known' else 11
    arrays |= {'label': np.arange(40) % 10, 'label_test': np.arange(12) % most}
  np.savez(tmp_path / 'images.npz', **arrays)
  fields = TABLE | {'data.path': str(tmp_path / 'images.npz'), 'eval.evaluators': LOOKING}
  if labels == 'known':
    spec, source, model, evaluators = made(tiny, classifier_run, **fields)
    numbers = evaluate(evaluators, spec, source, model)
    assert {'reconstruction_accuracy/data', 'inception_score/data'} <= set(numbers)
    return
  text = {
    'unknown': r'spec\.classifier\.path: got .*, a classifier of 10 classes, but the labels of the test split of',
    'absent': 'got reconstruction_accuracy, which needs labels, but the test split of',
  }[labels]
  spec = spec_lib.resolve(tiny, fields | {'classifier.path': str(classifier_run)})
  with pytest.raises(SpecError, match=text):
    commands.train(spec, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
  # Without the true label it does.
  assert build.dataset(spec_lib.resolve(spec, {'eval.evaluators': 'inception_score'}))


@pytest.mark.slow
def test_rows_must_have_the_scale_of_the_classifier(tiny, tmp_path):
  """They have no black and white; told before training, and used where they are alike."""
  rng = np.random.default_rng(0)
  np.savez(tmp_path / 'rows.npz', x=rng.normal(size=(60, 4)).astype(np.float32), label=np.arange(60) % 3)
  data = {'data.name': 'table', 'data.path': str(tmp_path / 'rows.npz'), 'data.batch_size': 10, 'train.steps': 1}
  own = spec_lib.load('specs/classifier.py', data | {'model.classifier.kind': 'mlp', 'data.scaling': 'none'})
  workdir = commands.train(own, tmp_path / 'classifier').workdir
  fields = data | {'eval.evaluators': LOOKING, 'classifier.path': str(workdir), 'eval.inception_score.samples': 20}
  with pytest.raises(SpecError, match='whose data are scaled otherwise'):
    commands.train(spec_lib.resolve(tiny, fields), tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
  run = commands.train(spec_lib.resolve(tiny, fields | {'data.scaling': 'none'}), tmp_path / 'run')
  assert {'reconstruction_accuracy/reconstruction', 'inception_score/prior'} <= set(run.evaluation)


def test_mistakes_of_a_run_that_is_there(tiny, classifier_run, tmp_path):
  """--mode=evaluate tells them, too, and leaves its numbers alone."""
  run = commands.train(spec_lib.resolve(tiny, {'train.steps': 1}), tmp_path / 'run')
  before = {path: path.read_bytes() for path in run.workdir.rglob('evaluation*') if path.is_file()}
  other = trained_on(classifier_run, tmp_path / 'other', **{'data.name': 'optical'})
  few = trained_on(classifier_run, tmp_path / 'few', **{'model.classifier.classes': 4})
  for fields, text in (
    ({}, 'spec.classifier.path: is empty'),
    ({'classifier.path': 'nowhere'}, 'there is no such directory'),
    ({'classifier.path': str(other)}, 'trained on optical, whose labels are none of digits, for which .* would look'),
    ({'classifier.path': str(few)}, 'a classifier of 4 classes, but the labels of the test split of digits go up to 9'),
  ):
    with pytest.raises(SpecError, match=text):
      commands.evaluate(run.workdir, {'eval.evaluators': LOOKING} | fields)
  assert before == {path: path.read_bytes() for path in run.workdir.rglob('evaluation*') if path.is_file()}
