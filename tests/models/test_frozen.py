"""Frozen classifiers: in other units, differentiable, on devices and in all precisions, and which one it was."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tfvae import build, classifiers, commands
from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError
from tfvae.models.frozen import Frozen, Trained
from tfvae.objectives.terms import Rates
from tfvae.observation import Observation
from tfvae.trained import Run

SHAPE = (8, 8, 1)


def spec_of(path, **fields):
  return spec_lib.resolve(spec_lib.base(('z1',)), {'classifier.path': str(path)} | fields)


def frozen(path, **observation):
  return build.frozen(spec_of(path), Observation(SHAPE, **observation))


def small(**fields):
  """An untrained classifier of 8 x 8 images, as `classifiers.load` gives one."""
  fields = {'model.classifier.hidden': (3,), 'model.classifier.dense': (4,)} | fields
  spec = spec_lib.load(ROOT / 'specs/classifier.py', fields)
  data = build.dataset(spec)
  with tf.variable_creator_scope(lambda make_next, **how: make_next(**how | {'trainable': False})):
    model = build.model(spec, data.observation)
  return Trained(model, spec, data.summary['scaling'], data.range(), 0.9, 'test', 'hash')


def images(n, dtype=np.float32):
  return np.random.default_rng(0).random((n, *SHAPE)).astype(dtype)


def edited(classifier_run, path, section, **fields):
  """A copy of a classifier's run whose spec.json says something else."""
  shutil.copytree(classifier_run, path)
  values = json.loads((path / 'spec.json').read_text())
  values[section].update(fields)
  (path / 'spec.json').write_text(json.dumps(values))
  return path


def test_it_is_the_classifier_of_the_run(classifier_run):
  found, trained, x = frozen(classifier_run), classifiers.load(classifier_run, build), images(5)
  np.testing.assert_array_equal(found.features(x), trained.model.features(x))
  np.testing.assert_array_equal(found.logits(x), trained.model.logits(x))
  np.testing.assert_allclose(found.probabilities(x), tf.nn.softmax(trained.model.logits(x)), rtol=1e-6)
  assert (found.classes, found.num_features) == (10, 16)
  assert found.name == 'classifier' and found.accuracy == trained.accuracy


def test_features_of_a_net_without_dense_layers():
  assert Frozen(small(**{'model.classifier.dense': ()}), Observation(SHAPE)).num_features == 4 * 4 * 3


@pytest.mark.parametrize('own', ['none', 'min_max', 'standard'])
def test_black_is_black_and_white_is_white(own):
  """Whatever the two scalings are, the classifier sees the example as its own run does."""
  spec = spec_lib.load(ROOT / 'specs/classifier.py', {'data.scaling': own})
  data = build.dataset(spec)
  want = build.source(spec, data).first('test', 20)['x']
  trained = small()._replace(spec=spec, range=data.range())
  for scaling in ('none', 'min_max', 'standard'):
    using = spec_lib.resolve(spec_lib.base(('z1',)), {'data.scaling': scaling})
    data = build.dataset(using)
    x = build.source(using, data).first('test', 20)['x']
    found = Frozen(trained, data.observation)
    assert found.is_alike == (scaling == own)
    np.testing.assert_allclose(found._own(x), want, atol=1e-5)
    if scaling == own:
      np.testing.assert_array_equal(found._own(x), want)


@pytest.mark.parametrize('binarize', ['static', 'threshold'])
def test_a_run_on_binary_images(binarize):
  """0 is black and 1 is white, for the classifier too."""
  using = spec_lib.resolve(spec_lib.base(('z1',)), {'data.binarize': binarize, 'data.scaling': 'min_max'})
  observation = build.dataset(using).observation
  found = Frozen(small()._replace(range=(-2.0, 6.0)), observation)
  np.testing.assert_allclose(found._own(tf.constant([0.0, 0.25, 1.0])), [-2.0, 0.0, 6.0], rtol=1e-6)


def test_the_gradient_by_finite_differences():
  """In x, of a probability and of a feature, where the units differ; none is there for the weights."""
  spec = {'train.precision': 'float64', 'model.classifier.activation': 'tanh'}
  found = Frozen(small(**spec), Observation(SHAPE, -1.0, 3.0))
  x, weights = tf.constant(images(2, np.float64)), found._model.variables
  directions = tf.constant(np.random.default_rng(1).standard_normal(x.shape))
  for value in (lambda x: tf.reduce_sum(found.probabilities(x)[:, 3]), lambda x: tf.reduce_sum(found.features(x))):
    with tf.GradientTape(persistent=True) as tape:
      tape.watch(x)
      y = value(x)
    assert tape.watched_variables() == ()
    assert tape.gradient(y, [v.value for v in weights]) == [None] * len(weights)
    step = 1e-5
    differences = (value(x + step * directions) - value(x - step * directions)) / (2 * step)
    slope = tf.reduce_sum(tape.gradient(y, x) * directions)
    assert float(slope) == pytest.approx(float(differences), rel=1e-6) and abs(float(slope)) > 1e-4


def test_it_is_nobodys_to_train_or_keep(classifier_run, tmp_path):
  """Held by a model and by an objective's module, it adds no variable to either, nor to a checkpoint."""
  found = frozen(classifier_run)
  model, module = keras.Sequential([keras.layers.Dense(1)]), tf.Module()
  model.classifier = module.classifier = found
  model(tf.ones([1, 2]))
  assert len(model.variables) == 2 and module.variables == () and found._model.trainable_variables == []
  saved = tf.train.list_variables(tf.train.Checkpoint(module=module).write(str(tmp_path / 'ckpt')))
  assert [name for name, _ in saved] == ['_CHECKPOINTABLE_OBJECT_GRAPH']


@pytest.mark.parametrize('precision', ['float32', 'mixed_bfloat16', 'float64'])
def test_dtypes(precision):
  """Outputs have the dtype of x, whatever the classifier computes in, and the policy of the run is left alone."""
  before = keras.config.dtype_policy()
  found = Frozen(small(**{'train.precision': precision}), Observation(SHAPE))
  want = found.probabilities(images(3)).numpy()
  keras.config.set_dtype_policy('mixed_bfloat16')
  try:
    for dtype in (np.float32, np.float64):
      x = images(3, np.float64).astype(dtype)
      assert found.features(x).dtype == found.probabilities(x).dtype == dtype
      np.testing.assert_allclose(found.probabilities(x), want, rtol=1e-2 if precision == 'mixed_bfloat16' else 1e-5)
  finally:
    keras.config.set_dtype_policy(before)


def test_two_devices_and_xla(classifier_run):
  """Built in the scope of a strategy, compiled, with its gradient, on each replica."""
  one = frozen(classifier_run, low=-1.0, high=1.0)
  devices = [device.name for device in tf.config.list_logical_devices('CPU')[:2]]
  strategy = tf.distribute.MirroredStrategy(devices)
  with strategy.scope():
    several = frozen(classifier_run, low=-1.0, high=1.0)
  assert several.identity == one.identity

  def slope(of, x):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = tf.reduce_sum(of.probabilities(x)[:, 0] + tf.reduce_sum(of.features(x), -1))
    return tape.gradient(y, x)

  compiled = tf.function(lambda x: slope(several, x), jit_compile=True, autograph=False)

  def replica():
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    return compiled(tf.gather(tf.constant(images(4).reshape(2, 2, *SHAPE)), number))

  found = strategy.experimental_local_results(tf.function(lambda: strategy.run(replica), autograph=False)())
  np.testing.assert_allclose(tf.concat(found, 0), slope(one, tf.constant(images(4))), rtol=1e-4, atol=1e-5)


def test_its_identity(classifier_run, tmp_path):
  """That of spec, data and weights, wherever they are."""
  own = frozen(classifier_run).identity
  shutil.copytree(classifier_run, tmp_path / 'copy')
  assert frozen(tmp_path / 'copy').identity == own
  assert frozen(edited(classifier_run, tmp_path / 'drawn', 'eval', num_images=3)).identity == own
  assert frozen(edited(classifier_run, tmp_path / 'other', 'train', learning_rate=0.5)).identity != own
  trained = classifiers.load(classifier_run, build)
  trained.model.head.map.bias.assign_add(np.ones(10))
  assert Frozen(trained, Observation(SHAPE)).identity != own


def test_a_threshold_has_no_gradient(classifier_run, tmp_path):
  path = edited(classifier_run, tmp_path / 'binary', 'data', binarize='threshold', threshold=0.3)
  with pytest.raises(SpecError, match=r'spec.classifier.path: got .*binarize is threshold, through which no gradient'):
    frozen(path)
  found = build.frozen(spec_of(path), Observation(SHAPE, 0.0, 2.0), gradient=False)
  x = images(5)
  np.testing.assert_array_equal(found.features(2 * x), frozen(classifier_run).features(np.float32(x > 0.3)))


def test_what_is_refused(classifier_run, tiny, tmp_path):
  unevaluated, untrained, other = (tmp_path / name for name in ('unevaluated', 'untrained', 'other'))
  for path in (unevaluated, untrained, other):
    shutil.copytree(classifier_run, path)
  (unevaluated / 'evaluation.json').unlink()
  shutil.rmtree(untrained / 'checkpoints')
  (other / 'spec.json').write_text(spec_lib.to_json(tiny))
  for path, shape, text in (
    ('', SHAPE, 'is empty; give the workdir of a trained run of specs/classifier.py'),
    (tmp_path / 'nowhere', SHAPE, 'got .*nowhere: there is no such directory'),
    (tmp_path, SHAPE, r'there is no run in it \(no spec.json\)'),
    (classifier_run, (28, 28, 1), 'trained on digits, examples of 8 x 8 x 1, but these are 28 x 28 x 1'),
    (unevaluated, SHAPE, 'it has no accuracy yet; evaluate it first'),
    (untrained, SHAPE, 'has no checkpoint, but the run had saved'),
    (other, SHAPE, 'whose spec.model.name is hierarchy, not classifier'),
  ):
    with pytest.raises(SpecError, match=rf'^spec.classifier.path: .*{text}') as error:
      build.frozen(spec_of(path), Observation(shape))
    assert '\n' not in str(error.value)


def test_vectors_have_no_black(tmp_path):
  """Tables are refused where the two are scaled otherwise: there is nothing to turn one into the other by."""
  np.savez(tmp_path / 'rows.npz', x=np.random.default_rng(0).random((60, 4)), label=np.arange(60) % 2)
  fields = {'data.name': 'table', 'data.path': str(tmp_path / 'rows.npz'), 'train.steps': 1, 'data.batch_size': 20}
  fields |= {'model.classifier.kind': 'mlp', 'model.classifier.hidden': (3,)}
  path = commands.train(spec_lib.load(ROOT / 'specs/classifier.py', fields), tmp_path / 'run').workdir
  found = build.frozen(spec_of(path), Observation((4,), *Run(path).data['range']))
  assert found.probabilities(np.ones((2, 4), np.float32)).shape == (2, 10)
  with pytest.raises(SpecError, match='vectors have no black and white by which'):
    build.frozen(spec_of(path), Observation((4,), -3.0, 2.0))


def everything(path):
  return {file: file.read_bytes() for file in path.rglob('*') if file.is_file() and file.name != 'lock'}


def test_another_classifier_cannot_go_on(tiny, tmp_path, monkeypatch):
  """Where training depends on it: told before anything is written. Where it is does not matter."""
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  short = lambda **fields: spec_lib.resolve(tiny, {'train.steps': 20, 'eval.every': 0} | fields)
  monkeypatch.setattr(Rates, 'frozen', {'classifier': 'one'})
  run = commands.train(short(**{'train.steps': 10, 'classifier.path': 'here'}), tmp_path / 'run')
  assert Run(run.workdir).data['frozen'] == {'classifier': 'one'}
  before = everything(run.workdir)
  monkeypatch.setattr(Rates, 'frozen', {'classifier': 'two'})
  with pytest.raises(RunError, match=r'spec.classifier.path: got here, but the run .* was trained with another class'):
    commands.train(short(**{'classifier.path': 'here'}), run.workdir)
  assert everything(run.workdir) == before
  monkeypatch.setattr(Rates, 'frozen', {'classifier': 'one'})
  resumed = commands.train(short(**{'classifier.path': 'there'}), run.workdir)
  assert resumed.evaluation['step'] == 20 and resumed.spec.classifier.path == 'there'
  monkeypatch.setattr(Rates, 'frozen', {'classifier': 'two'})
  commands.train(short(**{'classifier.path': 'here'}), run.workdir, overwrite=True)
  assert Run(run.workdir).data['frozen'] == {'classifier': 'two'}


def test_classifiers_of_tasks(classifier_run, tmp_path):
  """They see single grey images, are of ten labels, and each names what it is for."""
  turns = edited(classifier_run, tmp_path / 'turns', 'data', name='mnist_turns', of='digits', examples=50)
  few = edited(classifier_run, tmp_path / 'few', 'model', classifier={'classes': 9})
  task = {'data.name': 'mnist_rotate', 'data.of': 'digits', 'eval.evaluators': ('task',)}

  def problems(**fields):
    return classifiers.problems(
      spec_of('', **task | {f'classifier.{name}': str(path) for name, path in fields.items()}), (8, 8, 1)
    )

  assert problems(path=classifier_run, turns=turns) == problems() == []
  assert classifiers.problems(spec_of(classifier_run, **task | {'data.name': 'mnist_sum_hard'}), (8, 8, 2)) == []
  for field, path, text in (
    ('path', turns, 'which tells by how many turns an image is turned, not its label (spec.classifier.turns)'),
    ('path', few, 'a classifier of 9 classes; mnist_rotate has 10 labels'),
    (
      'turns',
      classifier_run,
      'trained on digits, not on mnist_turns; give the workdir of a trained run of specs/classifier',
    ),
    ('turns', tmp_path / 'nowhere', 'there is no such directory'),
  ):
    (found,) = problems(**{field: path})
    assert found.startswith(f'spec.classifier.{field}: got {path}') and text in found
  (found,) = classifiers.problems(spec_of(classifier_run, **task), (28, 28, 1))
  assert 'examples of 8 x 8 x 1, but these are 28 x 28 x 1' in found


def test_what_a_run_sees_by(classifier_run):
  """The classifier of single grey images, on the examples of a task."""
  fields = {'data.name': 'mnist_triplets', 'data.of': 'digits', 'constraint.names': ('cla', 'fre')}
  fields |= {'decoder.variance': 'optimal'}
  spec = spec_of(classifier_run, **fields)
  fre, cla = build.constraints(spec, Observation((8, 8, 3), stack=True))
  assert fre.size == 3 * 16 and cla.frozen == fre.frozen != {}
  assert build.sight(spec_of(classifier_run), Observation(SHAPE)).num_features == 16
