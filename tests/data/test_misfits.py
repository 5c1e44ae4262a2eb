"""What of a spec does not fit its data: labels for the constraint cla, and the classifier that it is by."""

import numpy as np
import pytest
from conftest import ROOT, tiny_spec

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.data import reading
from tfvae.errors import SpecError, UserError


def cla(classifier_run, **fields):
  """A spec that asks a classifier for something."""
  fields = {'constraint.names': ('cla',), 'classifier.path': str(classifier_run)} | fields
  return spec_lib.load(
    ROOT / 'specs/aevb.py', {'decoder.variance': 'optimal', 'decoder.likelihood': 'gaussian'} | fields
  )


def images(path, **labels):
  """A file of 8 x 8 images, of which each of `labels` is an array."""
  shape = {name: len(label) for name, label in labels.items()}
  sizes = {'x': shape.get('label', 200), 'x_test': shape.get('label_test', 30)}
  rng = np.random.default_rng(0)
  np.savez(path, **{name: rng.integers(0, 256, (n, 8, 8, 1), np.uint8) for name, n in sizes.items()}, **labels)
  return {'data.name': 'table', 'data.path': str(path)}


def test_labels_that_fit(classifier_run, tmp_path):
  fields = images(tmp_path / 'x.npz', label=np.arange(200) % 10, label_test=np.arange(30) % 10)
  for limit in (2048.0, 1e-6):  # in memory, and read when needed
    build.dataset(cla(classifier_run, **fields, **{'data.memory_limit': limit}))
  build.dataset(cla(classifier_run))


@pytest.mark.parametrize('limit', [2048.0, 1e-6])
@pytest.mark.parametrize(
  ('labels', 'text'),
  [
    ({}, 'spec.constraint.names: got cla, of which cla needs labels, but the train split of x has none; leave cla'),
    (
      {'label': np.arange(200) % 10},
      'spec.constraint.names: got cla, of which cla needs labels, but the test split of x has none; leave cla out',
    ),
    (
      {'label': np.arange(200) % 10 - 1, 'label_test': np.arange(30) % 10},
      r'spec.constraint.names: .*labels 0, 1, 2, ..., but those of the train split of x are int\d+, -1 the least',
    ),
    (
      {'label': np.arange(200) % 10, 'label_test': np.arange(30) % 12},
      'spec.classifier.path: got .*, a classifier of 10 classes, but the labels of the test split of x go up to 11; '
      'give one that was trained with spec.model.classifier.classes=12',
    ),
  ],
)
def test_labels_that_do_not(classifier_run, tmp_path, labels, text, limit):
  spec = cla(classifier_run, **images(tmp_path / 'x.npz', **labels), **{'data.memory_limit': limit})
  with pytest.raises(SpecError, match=text):
    build.dataset(spec)


def test_a_split_that_is_not_evaluated_needs_none(classifier_run, tmp_path):
  fields = images(tmp_path / 'x.npz', label=np.arange(200) % 10) | {'eval.split': 'train'}
  build.dataset(cla(classifier_run, **fields))
  with pytest.raises(SpecError, match='but the test split of x has none'):
    build.dataset(cla(classifier_run, **fields, **{'eval.also': ('test',)}))


@pytest.mark.parametrize('names', [('cla',), ('fre',), ()])
def test_told_before_data_are_read(classifier_run, tmp_path, monkeypatch, names):
  """A classifier of images of another size, or one that is not there, by training and by --mode=show; () is fid's."""
  np.savez(tmp_path / 'x.npz', x=np.zeros((200, 9, 9, 1), np.uint8), label=np.arange(200) % 10)
  larger = {'data.name': 'table', 'data.path': str(tmp_path / 'x.npz')}
  monkeypatch.setattr(build, 'dataset', lambda *of: pytest.fail('data are read'))
  for fields, text in (
    (larger, 'trained on digits, examples of 8 x 8 x 1, but these are 9 x 9 x 1'),
    ({'classifier.path': str(tmp_path / 'nowhere')}, 'there is no such directory'),
  ):
    spec = cla(classifier_run, **{'constraint.names': names, 'eval.evaluators': () if names else ('fid',)} | fields)
    with pytest.raises(SpecError, match=f'^spec.classifier.path: got .*{text}'):
      commands.train(spec, tmp_path / 'run')
    with pytest.raises(SpecError, match=f'^spec.classifier.path: got .*{text}'):
      commands.show(spec)
  assert not (tmp_path / 'run').exists()


class Unknown(reading.ArrayReader):
  """Does not know its labels before it reads them."""

  labels = property(lambda self: None, lambda self, value: None)


BAD = np.arange(200) % 10
BAD[1] = 12  # none of the 64 from the first to the last that are looked at


@pytest.mark.parametrize('known', [True, False])
def test_a_label_that_is_no_context_ends_it(tmp_path, monkeypatch, known):
  """One of 200 that are read when needed: told before training where labels are known, else when it is read."""
  fields = images(tmp_path / 'x.npz', label=BAD, label_test=np.arange(30) % 10) | {'data.memory_limit': 1e-6}
  spec = spec_lib.resolve(tiny_spec(), fields | {'data.context': 'label'})
  says = 'spec.model.context.classes: got 10, but '
  if known:
    with pytest.raises(SpecError, match=f'{says}the labels of x go up to 12'):
      build.dataset(spec)
    return
  monkeypatch.setattr(reading, 'ArrayReader', Unknown)
  source = build.source(spec, build.dataset(spec))
  source.first('train', 1)
  with pytest.raises(UserError, match=f'{says}x has labels that are none of 0 to 9'):
    source.first('train', 2)
  with pytest.raises(UserError, match=f'^{says}'):
    list(source.evaluation_examples('train', 50))
  assert len(list(source.evaluation_examples('test', 50))) == 1


@pytest.mark.slow
def test_a_label_that_is_no_context_ends_training(tmp_path, monkeypatch):
  monkeypatch.setattr(reading, 'ArrayReader', Unknown)
  fields = images(tmp_path / 'x.npz', label=BAD, label_test=np.arange(30) % 10) | {'data.memory_limit': 1e-6}
  spec = spec_lib.resolve(tiny_spec(), fields | {'data.context': 'label', 'train.steps': 8, 'eval.every': 0})
  with pytest.raises(
    UserError, match=r'^spec\.model\.context\.classes: got 10, but x has labels that are none of 0 to 9'
  ):
    commands.train(spec, tmp_path / 'run')


def test_labels_that_a_set_declares(tmp_path, monkeypatch):
  monkeypatch.setattr(reading, 'ArrayReader', Unknown)
  monkeypatch.setattr(Unknown, 'classes', 11)
  fields = images(tmp_path / 'x.npz', label=BAD % 10, label_test=np.arange(30) % 10) | {'data.memory_limit': 1e-6}
  with pytest.raises(SpecError, match=r'spec.model.context.classes: got 10, but the labels of x go up to 10'):
    build.dataset(spec_lib.resolve(tiny_spec(), fields | {'data.context': 'label'}))
