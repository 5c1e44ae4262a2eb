"""FID: of a set with itself, by hand, its cache, warnings and errors; the Inception network."""

import json
import os
import shutil
import types

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from tfvae import build, classifiers, commands
from tfvae import spec as spec_lib
from tfvae.analysis import extractors
from tfvae.analysis.evaluation import Evaluation
from tfvae.analysis.fid import Fid
from tfvae.errors import SpecError
from tfvae.models.frozen import Frozen
from tfvae.models.sight import Sight
from tfvae.nets import inception
from tfvae.observation import Observation
from tfvae.trained import Run


class Pixels(extractors.Extractor):
  """The first four pixels of the fourth row."""

  name, size, batch = 'pixels', 4, 70

  def __init__(self):
    super().__init__({'hash': 'none'})

  def features(self, images):
    return tf.reshape(images[:, 3, :4], [-1, 4])

  @classmethod
  def from_spec(cls, spec, shape, make):
    return cls()


class Seen(Pixels):
  """Keeps the images that it is given."""

  def __init__(self):
    super().__init__()
    self.seen = []

  def __call__(self, images):
    self.seen.append(images.numpy())
    return super().__call__(images)


def make(tiny, classifier_run, **fields):
  fields = {'eval.evaluators': ('fid',), 'classifier.path': str(classifier_run)} | fields
  spec = spec_lib.resolve(tiny, fields)
  data = build.dataset(spec)
  return spec, build.source(spec, data), build.model(spec, data.observation)


def evaluate(evaluator, spec, source, model, split='test'):
  ((_, found),) = Evaluation(model, source, spec).run(split, [evaluator])
  return found


def by_hand(a, b):
  """The distance of features [N, F], by the eigenvalues of the covariances' product."""
  a, b = (np.asarray(x, np.float64) for x in (a, b))
  roots = np.sqrt(np.maximum(scipy.linalg.eigvals(np.cov(a.T) @ np.cov(b.T)).real, 0))
  return np.sum((a.mean(0) - b.mean(0)) ** 2) + a.var(0, ddof=1).sum() + b.var(0, ddof=1).sum() - 2 * roots.sum()


@pytest.mark.parametrize('binarize', ['none', 'threshold', 'dynamic'])
@pytest.mark.parametrize('likelihood', ['gaussian', 'bernoulli'])
def test_prior_samples_by_hand(tiny, classifier_run, likelihood, binarize):
  """Bernoulli: thresholded; Gaussian: clipped. The reference: thresholded where the data are, else grey."""
  fields = {'decoder.likelihood': likelihood, 'data.binarize': binarize, 'eval.fid.samples': 130, 'eval.batch_size': 60}
  spec, source, model = make(tiny, classifier_run, **fields)
  pixels = Seen()
  found = evaluate(Fid(spec, [pixels]), spec, source, model)
  stored = build.dataset(spec).splits['train']['x'] / 16
  reference = (stored > 0.5) if binarize == 'threshold' else stored
  np.testing.assert_allclose(np.concatenate(pixels.seen[:25])[:1500], reference, atol=1e-6)
  images = np.concatenate(pixels.seen[25:])
  assert len(pixels.seen[25:]) == 3 and (images.min(), images.max()) >= (0, 0) and images.max() <= 1
  assert set(np.unique(images)) <= {0, 1} or likelihood == 'gaussian'
  wanted = by_hand(images[:130, 3, :4, 0], reference[:, 3, :4, 0])
  assert found.numbers['fid/pixels/prior'] == pytest.approx(wanted, rel=1e-4)
  assert found.numbers['fid_samples/prior'] == 130 and found.numbers['fid_reference_examples'] == 1500
  assert str(found.arrays['fid_reference']) == 'train'


def test_a_model_that_copies_has_distance_zero(tiny, classifier_run):
  """Reconstructions of the reference by a model that returns its data."""

  class Copies:
    closed_form = False
    decoder = types.SimpleNamespace(likelihood=types.SimpleNamespace(image=lambda px: px))

    def infer(self, batch, noise, num_samples):
      return types.SimpleNamespace(px=batch['x'][None])

  fields = {'eval.fid.of': ('reconstruction',), 'eval.batch_size': 400}
  spec, source, _ = make(tiny, classifier_run, **fields)
  evaluator = build.evaluators(spec, Observation((8, 8, 1)))[0]
  assert evaluate(evaluator, spec, source, Copies(), 'train').numbers['fid/classifier/reconstruction'] < 1e-9
  # Of another split it is the distance of the two, of as many examples as it has.
  numbers = evaluate(evaluator, spec, source, Copies(), 'test').numbers
  assert numbers['fid_samples/reconstruction'] == 297
  x = [build.dataset(spec).splits[split]['x'] / np.float32(16) for split in ('test', 'train')]
  features = [classifiers.load(classifier_run, build).model.features(part).numpy() for part in x]
  assert numbers['fid/classifier/reconstruction'] == pytest.approx(by_hand(*features), rel=1e-3)


def test_the_limiting_distribution(tiny, classifier_run):
  """Different chains in each batch, and images that the number of steps changes."""
  fields = {'eval.fid.of': ('limiting',), 'eval.fid.samples': 90, 'eval.batch_size': 45, 'eval.limiting.steps': 3}
  spec, source, model = make(tiny, classifier_run, **fields)
  pixels = Seen()
  numbers = evaluate(Fid(spec, [pixels]), spec, source, model).numbers
  first, second = pixels.seen[-2:]
  assert not np.array_equal(first, second)
  assert numbers['fid_limiting_steps'] == 3 and np.isfinite(numbers['fid/pixels/limiting'])


def test_a_run_keeps_what_was_found(tiny, classifier_run, tmp_path, monkeypatch, capsys):
  """Numbers, the protocol, a warning that names both numbers; the reference is not looked at a second time."""
  fields = {'eval.evaluators': ('bounds', 'fid'), 'classifier.path': str(classifier_run), 'eval.fid.samples': 12}
  fields |= {'eval.fid.of': ('prior', 'reconstruction'), 'train.steps': 10}
  run = commands.train(spec_lib.resolve(tiny, fields), tmp_path / 'run')
  printed = capsys.readouterr().out
  assert '12 prior images for 16 features' in printed and 'reference examples' not in printed
  trained = classifiers.load(classifier_run, build)
  assert run.evaluation['fid/classifier/prior'] > 0 and run.evaluation['fid_classifier_accuracy'] == trained.accuracy
  assert str(run.arrays('fid', 'test')['fid_classifier_hash']) == trained.hash
  (kept,) = (run.workdir / 'reference').glob('*.npz')

  before, values = kept.stat().st_mtime_ns, run.evaluation
  monkeypatch.setattr(Fid, 'evaluate', lambda self, model, split: pytest.fail('it was evaluated again'))
  commands.evaluate(run.workdir)  # nothing to do
  monkeypatch.undo()
  monkeypatch.setattr(Fid, '_reference', lambda self, split: pytest.fail('the reference was looked at'))
  numbers = commands.evaluate(run.workdir, {'eval.fid.samples': 40})
  assert numbers['fid_samples/prior'] == 40 and numbers['fid/classifier/prior'] != values['fid/classifier/prior']
  again = commands.evaluate(run.workdir, {})
  assert again['fid/classifier/prior'] == values['fid/classifier/prior'] and kept.stat().st_mtime_ns == before
  monkeypatch.undo()

  commands.evaluate(run.workdir, {'eval.fid.reference': 'train+test'})
  assert Run(run.workdir).evaluation['fid_reference_examples'] == 1797
  assert len(list((run.workdir / 'reference').glob('*.npz'))) == 2


def test_what_was_found_under_the_old_name_is_made_again(tiny, classifier_run, tmp_path, monkeypatch):
  """A run of the time when the field was eval.fid_classifier: its numbers are those that they were."""
  fields = {'eval.evaluators': ('fid',), 'classifier.path': str(classifier_run), 'eval.fid.samples': 12}
  run = commands.train(spec_lib.resolve(tiny, fields | {'train.steps': 10}), tmp_path / 'run')
  numbers, values = run.evaluation, json.loads((run.workdir / 'spec.json').read_text())
  values['eval']['fid_classifier'] = values.pop('classifier')['path']
  (run.workdir / 'spec.json').write_text(json.dumps(values))
  (path,) = (run.workdir / 'evaluations').iterdir()
  records = json.loads(path.read_text())
  records['fid']['settings']['fid_classifier'] = str(classifier_run)
  records['fid']['numbers']['fid/classifier/prior'] = 0.0
  path.write_text(json.dumps(records))
  commands.evaluate(run.workdir)
  assert run.evaluation == numbers
  monkeypatch.setattr(Fid, 'evaluate', lambda self, model, split: pytest.fail('it was evaluated again'))
  shutil.copytree(classifier_run, tmp_path / 'moved')
  assert commands.evaluate(run.workdir, {'classifier.path': str(tmp_path / 'moved')}) == {
    name: value for name, value in numbers.items() if name not in ('step', 'split')
  }


def test_another_classifier_is_noticed(tiny, classifier_run):
  spec, _, _ = make(tiny, classifier_run)
  (evaluator,) = build.evaluators(spec, Observation((8, 8, 1)))
  before = json.dumps(evaluator.settings())
  trained = classifiers.load(classifier_run, build)
  trained.model.head.map.bias.assign_add(np.ones(10))
  observation = Observation((8, 8, 1))
  other = extractors.ClassifierFeatures(Sight(Frozen(trained, observation), observation))
  assert json.dumps(Fid(spec, [other]).settings()) != before


def test_the_same_classifier_elsewhere_is_no_other(tiny, classifier_run, tmp_path):
  shutil.copytree(classifier_run, tmp_path / 'copy')
  here, there = (make(tiny, workdir)[0] for workdir in (classifier_run, tmp_path / 'copy'))
  settings = [build.evaluators(spec, Observation((8, 8, 1)))[0].settings() for spec in (here, there)]
  assert settings[0] == settings[1]


@pytest.mark.parametrize(
  ('fields', 'text'),
  [
    ({'classifier.path': ''}, 'spec.classifier.path: is empty'),
    ({'eval.fid.extractors': ('inception',)}, 'spec.eval.fid.inception: is empty'),
    ({'eval.fid.extractors': ()}, r'spec.eval.fid.extractors: got \(\)'),
    ({'eval.fid.of': ('prior', 'prior')}, 'spec.eval.fid.of: got prior,prior'),
    ({'eval.fid.samples': 1}, 'spec.eval.fid.samples: got 1'),
    ({'data.name': 'circle'}, 'got fid, which compares images, but circle'),
    ({'classifier.path': 'nowhere'}, 'spec.classifier.path: got nowhere: there is no such directory'),
    ({'eval.fid.extractors': ('inception',), 'eval.fid.inception': 'no.pth'}, 'fid.inception: there is no file no.pth'),
    (
      {'eval.fid.extractors': ('keras_inception',), 'eval.fid.keras_inception': 'no.h5'},
      'fid.keras_inception: there is no file no.h5; nothing is downloaded',
    ),
  ],
)
def test_mistakes_are_told_before_training(tiny, classifier_run, tmp_path, fields, text):
  fields = {'eval.evaluators': ('fid',), 'classifier.path': str(classifier_run)} | fields
  with pytest.raises(SpecError, match=text):
    commands.train(spec_lib.resolve(tiny, fields), tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_keras_weights_are_looked_for_in_its_cache(tiny, classifier_run, tmp_path, monkeypatch):
  monkeypatch.setattr(extractors, '_keras_cache', lambda: tmp_path / 'cache.h5')
  spec, _, _ = make(tiny, classifier_run, **{'eval.fid.extractors': ('keras_inception',)})
  with pytest.raises(SpecError, match=r'there is no file .*cache.h5'):
    build.evaluators(spec, Observation((8, 8, 1)))


# The Inception network.


@pytest.fixture(scope='module')
def network():
  return inception.network()


def random_parameters(network):
  """Of which PyTorch's features are known."""
  rng, found = np.random.default_rng(0), {}
  for name, shape in sorted(inception.parameter_shapes(network).items()):
    value = rng.standard_normal(shape, np.float32)
    if len(shape) == 4:
      value *= (2 / value[0].size) ** 0.5
    else:
      value *= 0.1
      value = 1 + value if name.endswith('bn.weight') else np.exp(value) if name.endswith('var') else value
    found[name] = value
  return found, rng


def test_inception_gives_pytorchs_features(network, tmp_path):
  """Against pytorch-fid's network as written in PyTorch 2.13, with the same random weights and images."""
  parameters, rng = random_parameters(network)
  assert (len(parameters), sum(value.size for value in parameters.values())) == (470, 21_820_000)
  np.savez(tmp_path / 'weights.npz', **parameters)
  images = rng.random((2, 28, 28, 1), np.float32)
  inception.load(network, extractors._parameters(tmp_path / 'weights.npz'))
  features = network(inception.resized(tf.constant(images))).numpy()
  assert features.shape == (2, 2048)
  wanted = [[2.44997, 0.11654, 0.01254, 0.57258, 0.03539], [2.50607, 0.13044, 0.01418, 0.55349, 0.0375]]
  np.testing.assert_allclose(features[:, 320::400], wanted, atol=2e-5)
  wanted = [[0.0, 0.0, 0.13633, 0.10504, 0.42285, 0.58551, 0.00082, 0.2777]]
  np.testing.assert_allclose(features[:1, ::256], wanted, atol=2e-5)
  assert (features.mean(), features.std()) == pytest.approx((0.5326048, 0.69643575), rel=1e-5)


def test_images_are_rounded_to_8_bits(monkeypatch):
  monkeypatch.setattr(inception, 'resized', lambda images: images)
  extractor = extractors.InceptionFeatures(lambda images, training: images, 'sum')
  images = np.float32([0, 0.4 / 255, 0.6 / 255, 100.4 / 255, 1]).reshape(1, 5, 1, 1)
  np.testing.assert_allclose(255 * extractor(tf.constant(images)).ravel(), [0, 0, 1, 100, 255], atol=1e-4)


def test_images_are_resized_as_pytorch_does():
  """Bilinear at half-pixel centres: of two columns 0 and 1, pixel i of 299 is at (i + 1/2) 2/299 - 1/2."""
  images = inception.resized(tf.constant([0.0, 1.0], shape=(1, 1, 2, 1))).numpy()
  assert images.shape == (1, 299, 299, 3)
  wanted = 2 * np.clip((np.arange(299) + 0.5) * 2 / 299 - 0.5, 0, 1) - 1
  np.testing.assert_allclose(images[0, 7, :, 1], wanted, atol=1e-5)
  shrunk = inception.resized(tf.constant(np.arange(598, dtype=np.float32).reshape(1, 1, -1, 1) / 597)).numpy()
  np.testing.assert_allclose(shrunk[0, 0, :, 0], 2 * (2 * np.arange(299) + 0.5) / 597 - 1, atol=1e-5)  # no antialiasing


def test_wrong_weights_are_named(network, tiny, classifier_run, tmp_path, monkeypatch):
  monkeypatch.setattr(inception, 'network', lambda: network)
  path = tmp_path / 'weights.npz'
  fields = {'eval.fid.extractors': ('inception',), 'eval.fid.inception': str(path)}
  spec, _, _ = make(tiny, classifier_run, **fields)
  first = {name: np.ones(shape) for name, shape in inception.parameter_shapes(network).items() if '1a' in name}
  name = 'Conv2d_1a_3x3.bn.running_var'
  for value, text in (
    (None, f'the parameter {name} is missing'),
    (np.ones(31), rf'the parameter {name} has the shape \(31,\); allowed: \(32,\)'),
    (np.full(32, np.nan), f'the parameter {name} is not finite'),
    (np.ones(32), 'the parameter Conv2d_2a_3x3.conv.weight is missing'),
  ):
    np.savez(path, **{k: v for k, v in (first | {name: value}).items() if v is not None})
    with pytest.raises(SpecError, match=rf'spec.eval.fid.inception: got .*weights.npz: {text}'):
      build.evaluators(spec, Observation((8, 8, 1)))
  path.write_text('no weights')
  with pytest.raises(SpecError, match='it cannot be read'):
    build.evaluators(spec, Observation((8, 8, 1)))


LONG = 'x' * 100_000


@pytest.mark.parametrize('field', ['fid.inception', 'fid.keras_inception'])
def test_files_of_weights_that_cannot_be(network, tiny, classifier_run, tmp_path, monkeypatch, field):
  """Pipes, directories, paths of all kinds, and files made to be broken, end alike."""
  monkeypatch.setattr(inception, 'network', lambda: network)
  monkeypatch.setattr('keras.applications.InceptionV3', lambda **_: network)
  name = field.removeprefix('fid.')
  os.mkfifo(tmp_path / 'pipe.pth')
  np.savez(tmp_path / 'words.npz', **dict.fromkeys(inception.parameter_shapes(network), np.array(['a'])))
  np.savez(tmp_path / 'objects.npz', x=np.array([{}], object))
  for suffix in ('h5', 'pth', 'npz', 'keras', 'weights.h5'):
    (tmp_path / f'broken.{suffix}').write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(range(256)) * 9)
  cases = [('pipe.pth', 'a named pipe'), ('.', 'a directory'), ('no.h5', 'there is no file')]
  cases += [(f'broken.{suffix}', '') for suffix in ('h5', 'pth', 'npz', 'keras', 'weights.h5')]
  cases = [(str(tmp_path / file), words) for file, words in [*cases, ('words.npz', ''), ('objects.npz', '')]]
  cases += [('~nouser/a.pth', 'there is no user'), (LONG, 'too long'), ('/no/\udcff.pth', 'there is no file /no/?.pth')]
  for path, words in cases:
    spec, _, _ = make(tiny, classifier_run, **{'eval.fid.extractors': (name,), 'eval.fid.inception': 'any'})
    section = types.SimpleNamespace(**spec.eval.fid.to_dict() | {name: path})
    with pytest.raises(SpecError, match=rf'^spec\.eval\.{field}: ') as error:
      build.extractor(name, spec, section, (8, 8, 1))
    assert words in str(error.value) and len(str(error.value)) < 900 and '\n' not in str(error.value), path


VIEWS = {'mnist_sum_hard': 2, 'mnist_triplets': 3, 'color_mnist': 1, 'mnist_rotate': 1}


@pytest.mark.parametrize(
  'task',
  ['mnist_triplets', *(pytest.param(task, marks=pytest.mark.slow) for task in VIEWS if task != 'mnist_triplets')],
)
def test_a_task_by_what_the_classifier_sees(tiny, classifier_run, task):
  """Features of each of several images, of a colour image's grey one, and of what is turned as it is."""
  fields = {'data.name': task, 'data.of': 'digits', 'data.examples': 30, 'data.batch_size': 5}
  fields |= {'data.context': 'none'} | {'eval.fid.samples': 20, 'eval.fid.reference': 'test'}
  spec, source, model = make(tiny, classifier_run, **fields)
  build.check(spec)
  (evaluator,) = build.evaluators(spec, source.dataset.observation)
  views, (extractor,) = VIEWS[task], evaluator._extractors
  x = source.first('test', 30)['x']
  found = extractor(x)
  assert found.shape == (30, extractor.size) == (30, 16 * views)
  features = classifiers.load(classifier_run, build).model.features
  if task != 'color_mnist':
    wanted = np.concatenate([features(x[..., i : i + 1]) for i in range(views)], -1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
  assert evaluate(evaluator, spec, source, model).numbers['fid/classifier/prior'] > 0


@pytest.mark.parametrize('extractor', ['inception', 'keras_inception'])
@pytest.mark.parametrize('task', ['mnist_sum_hard', 'mnist_triplets'])
def test_inception_takes_one_image(tiny, classifier_run, tmp_path, task, extractor):
  fields = {'data.name': task, 'data.of': 'digits', 'data.examples': 30, 'data.batch_size': 5}
  fields |= {'eval.evaluators': ('fid',), 'eval.fid.extractors': (extractor,), 'eval.fid.inception': 'weights.npz'}
  with pytest.raises(
    SpecError, match=f'spec.eval.fid.extractors: got {extractor}, which takes one grey or colour image'
  ):
    commands.train(spec_lib.resolve(tiny, fields), tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
