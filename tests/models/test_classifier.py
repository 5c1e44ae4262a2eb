"""Classifiers: trained by the loop, restored frozen, and what they are refused for."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tfvae import build, classifiers, commands
from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError, UserError
from tfvae.observation import Observation
from tfvae.trained import Run


def load(**fields):
  return spec_lib.load(ROOT / 'specs/classifier.py', fields)


def test_it_learns_the_digits(classifier_run):
  run = Run(classifier_run)
  assert run.evaluation['accuracy'] > 0.8
  data = build.dataset(run.spec, run.data)
  x, label = data.splits['test']['x'] / np.float32(16), data.splits['test']['label']
  logits = run.model.logits(x).numpy()
  assert run.model.features(x).shape == (len(x), 16) and logits.shape == (len(x), 10)
  assert run.evaluation['accuracy'] == pytest.approx(np.mean(logits.argmax(1) == label), abs=1e-6)
  log_probs = tf.nn.log_softmax(logits).numpy()[np.arange(len(x)), label]
  assert run.evaluation['cross_entropy'] == pytest.approx(-log_probs.mean(), rel=1e-5)
  assert {'cross_entropy', 'accuracy', 'loss'} < set(run.metrics['train'])
  assert (classifier_run / 'figures/curves.png').is_file()


def test_features_lead_to_logits():
  model = build.model(load(**{'model.classifier.dense': (5,)}), Observation((8, 8, 1)))
  x = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
  features = model.features(x).numpy()
  assert features.shape == (3, 5) and features.min() >= 0
  np.testing.assert_allclose(
    model.logits(x), features @ model.head.map.kernel.numpy() + model.head.map.bias.numpy(), rtol=1e-5, atol=1e-6
  )


def test_it_is_restored_and_nothing_is_changed(classifier_run):
  before = {path: path.stat().st_mtime_ns for path in classifier_run.rglob('*')}
  trained = classifiers.load(classifier_run, build, (8, 8, 1))
  assert {path: path.stat().st_mtime_ns for path in classifier_run.rglob('*')} == before
  assert trained.accuracy == Run(classifier_run).evaluation['accuracy'] and trained.split == 'test'
  assert trained.scaling == {'center': 0.0, 'width': 16.0}
  x = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
  np.testing.assert_array_equal(trained.model.logits(x), Run(classifier_run).model.logits(x))


def test_its_hash_is_that_of_spec_and_data(classifier_run, tmp_path):
  shutil.copytree(classifier_run, tmp_path / 'copy')
  path, wanted = tmp_path / 'copy' / 'spec.json', classifiers.load(classifier_run, build).hash
  values = json.loads(path.read_text())
  values['eval']['num_images'] = 3
  path.write_text(json.dumps(values))
  assert classifiers.load(tmp_path / 'copy', build).hash == wanted
  values['seed'] = 7
  path.write_text(json.dumps(values))
  assert classifiers.load(tmp_path / 'copy', build).hash != wanted


def test_what_is_no_trained_classifier(classifier_run, tiny, tmp_path):
  with pytest.raises(RunError, match='no such directory'):
    classifiers.load(tmp_path / 'nowhere', build)
  with pytest.raises(RunError, match='no run in it'):
    classifiers.load(tmp_path, build)
  with pytest.raises(RunError, match='examples of 8 x 8 x 1, but these are 28 x 28 x 1'):
    classifiers.load(classifier_run, build, (28, 28, 1))
  copy = tmp_path / 'copy'
  shutil.copytree(classifier_run, copy)
  (copy / 'evaluation.json').unlink()
  with pytest.raises(RunError, match='no accuracy yet'):
    classifiers.load(copy, build)
  shutil.rmtree(copy / 'checkpoints')
  with pytest.raises(RunError, match='has no checkpoint, but the run had saved'):
    classifiers.load(copy, build)
  (copy / 'spec.json').write_text(spec_lib.to_json(tiny))
  with pytest.raises(RunError, match='is hierarchy, not classifier'):
    classifiers.load(copy, build)


def test_it_has_no_verbs(classifier_run):
  with pytest.raises(SpecError, match=r'spec.model.name: got classifier'):
    Run(classifier_run).encode(np.zeros((1, 8, 8, 1)))


@pytest.mark.parametrize(
  ('file', 'fields', 'field'),
  [
    ('classifier', {'objective.name': 'elbo'}, 'objective.name'),
    ('classifier', {'eval.evaluators': 'accuracy,bounds'}, 'eval.evaluators'),
    ('aevb', {'objective.name': 'cross_entropy'}, 'objective.name'),
    ('aevb', {'eval.evaluators': 'bounds,accuracy'}, 'eval.evaluators'),
  ],
)
def test_what_goes_together(file, fields, field):
  with pytest.raises(SpecError) as error:
    spec_lib.load(ROOT / f'specs/{file}.py', fields)
  assert len(error.value.problems) == 1 and error.value.problems[0].startswith(f'spec.{field}:')


def test_labels_are_needed(tmp_path):
  np.savez(tmp_path / 'plain.npz', x=np.random.default_rng(0).random((300, 4)))
  fields = {'data.name': 'table', 'data.path': str(tmp_path / 'plain.npz'), 'model.classifier.kind': 'mlp'}
  with pytest.raises(UserError, match='has no labels'):
    build.dataset(load(**fields))
  for limit in (2048.0, 1e-6):  # in memory, and read when needed
    with pytest.raises(SpecError, match=r'spec.model.classifier.classes: got 9.* from 0 to 9'):
      build.dataset(load(**{'model.classifier.classes': 9, 'data.memory_limit': limit}))


@pytest.mark.slow
def test_mnist_is_learned(tfds_dir, tmp_path):
  spec = spec_lib.load(ROOT / 'specs/classifier.py:mnist', {'data.data_dir': tfds_dir})
  assert commands.train(spec, tmp_path / 'run').evaluation['accuracy'] > 0.985
