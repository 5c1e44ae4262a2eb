"""Each spec and variant of tests/variants.py does all that a user does with one, or says why it does not.

Shown; two steps of training; resumed after the first, to the bit; the same on two devices; evaluated; sampled from;
exported. In one process, as TensorFlow is imported once.
"""

import contextlib
import functools
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from runs import rows_of, variables_of
from variants import CHEAP, REAL, SLOW, STAND_INS, VARIANTS, classifier_of, load, path_of, pictures, prepare, small

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError
from tfvae.spec import catalogue

REFUSED = {  # spec.model.name: what such models do not do, and what is said of it
  'members': {
    'devices': 'spec.train.strategy: got mirrored; spec.model.name=members needs one of one',
    'use': 'spec.model.name: got members, which compare sizes and are not used as one',
  },
  'classifier': {'use': 'spec.model.name: got classifier, which neither encodes nor samples'},
}
FEW = {'num': 4, 'examples': 2, 'draws': 2, 'steps': 3, 'units': 2, 'points': 10}  # of spec.sample


@pytest.fixture(scope='session')
def stand_ins(tmp_path_factory):
  """A directory with sets in TFDS' form that are not there in earnest."""
  directory = tmp_path_factory.mktemp('stand_ins')
  for name in STAND_INS:
    prepare(name, directory)
  return directory


@pytest.fixture(scope='session')
def photos(tmp_path_factory):
  """A directory of pictures."""
  directory = tmp_path_factory.mktemp('photos')
  pictures(directory)
  return directory


@pytest.fixture(scope='session')
def columns(tmp_path_factory):
  """A table of two columns."""
  path = tmp_path_factory.mktemp('columns') / 'table.csv'
  np.savetxt(path, np.random.default_rng(0).normal(size=(60, 2)), delimiter=',')
  return path


@pytest.fixture(scope='session')
def classifiers(request, tmp_path_factory):
  """(variant) -> the run of a classifier, made when it is first asked for."""

  @functools.cache
  def make(variant):
    own = load(variant)
    fields = small(own) | data_fields(own, request)
    spec = spec_lib.load(path_of(variant), fields | {'train.steps': 1, 'train.compile': 'eager'})
    return str(commands.train(spec, tmp_path_factory.mktemp('classifiers') / 'run').workdir)

  return make


def data_fields(own, request):
  """Where the data of a spec are. Skips the test where they are not there."""
  if catalogue.source(catalogue.read(own.data.name, own.data.of)) in REAL:
    return {'data.data_dir': request.getfixturevalue('tfds_dir')}
  if own.data.name in STAND_INS:
    return {'data.data_dir': str(request.getfixturevalue('stand_ins'))}
  if own.data.name == 'folder':
    return {'data.path': str(request.getfixturevalue('photos'))}
  if own.data.name == 'table' and own.study.name == 'fixed_points':
    return {'data.path': str(request.getfixturevalue('columns'))}
  return {}


def classifier_fields(own, request):
  """The classifier that constraints look through."""
  variant = classifier_of(own)
  return {'classifier.path': request.getfixturevalue('classifiers')(variant)} if variant else {}


@pytest.mark.filterwarnings('ignore:__array__ implementation')  # Keras', where it saves weights
@pytest.mark.parametrize('variant', [*CHEAP, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_variant_does_all_that_a_user_asks_for(variant, request, tmp_path, monkeypatch, capsys):
  own = load(variant)
  fields = small(own) | data_fields(own, request)
  monkeypatch.setattr(commands, '_draw', lambda *of: [])  # takes longer than all the rest
  monkeypatch.setattr(commands, '_draw_samples', lambda *of: [])
  spec = spec_lib.load(path_of(variant), fields | classifier_fields(own, request))
  is_shown(spec, capsys)
  if spec.study.name != 'none':
    is_studied(spec, tmp_path / 'run')
    return
  # One device takes its steps one operation at a time, two as a graph: that is another test of the two.
  quiet = {'eval.evaluators': (), 'eval.during': (), 'train.compile': 'eager'}
  run = commands.train(spec_lib.resolve(spec, quiet), tmp_path / 'run').workdir
  resumes_to_the_bit(spec_lib.resolve(spec, quiet), run, tmp_path / 'resumed')
  devices = {'train.strategy': 'mirrored', 'train.logical_devices': 2, 'train.compile': 'graph'}
  with refusal('devices', spec):
    agrees(run, commands.train(spec_lib.resolve(spec, quiet | devices), tmp_path / 'devices').workdir)
  is_evaluated(run, own.eval.evaluators)
  with refusal('use', spec):
    is_sampled_from(run)
  with refusal('use', spec):
    is_exported(run)


def refusal(what, spec):
  """Expects, of a model that does not do this, the message that says so."""
  message = REFUSED.get(spec.model.name, {}).get(what)
  return pytest.raises(SpecError, match=message) if message else contextlib.nullcontext()


def steps_of(run):
  return [row for row in rows_of(run) if 'evaluation' not in row]


def is_shown(spec, capsys):
  capsys.readouterr()
  commands.show(spec)
  said = capsys.readouterr().out
  text, _, rest = said.partition('\n\ndata: ')
  assert spec_lib.from_json(text) == spec
  if spec.study.name != 'none':
    assert rest.endswith(f'\nstudy: {spec.study.name}\n')
  else:
    assert f'\nmodel: {spec.model.name}' in rest and '\n  parameters ' in rest


def is_studied(spec, workdir):
  """And not again; there is no model that could be used."""
  run = commands.train(spec, workdir)
  kept = (workdir / 'evaluations' / f'{spec.eval.split}-0.json').stat().st_mtime_ns
  numbers = commands.train(spec, workdir).evaluation
  assert len(numbers) > 5 and run.arrays(spec.study.name, spec.eval.split)
  assert all(np.isfinite(value) for value in numbers.values() if isinstance(value, float))
  assert (workdir / 'evaluations' / f'{spec.eval.split}-0.json').stat().st_mtime_ns == kept
  for use in (commands.evaluate, commands.sample, commands.export):
    with pytest.raises(RunError, match=r'holds a study .*without a model; --mode=report draws it again'):
      use(workdir)


def resumes_to_the_bit(spec, run, again):
  """As where it was killed between the first step and the second."""
  shutil.copytree(run, again)
  for path in (again / 'checkpoints').glob('ckpt-2.*'):
    path.unlink()
  commands.train(spec, again)
  rows, found, wanted = steps_of(run), variables_of(again), variables_of(run)
  assert [row['step'] for row in rows] == [1, 2] and steps_of(again) == rows
  assert found.keys() == wanted.keys() and len(found) > 4
  for name, value in wanted.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)


def agrees(run, devices):
  """The losses and bounds of both steps, and the norm of the first gradient; all are finite."""
  for found, wanted in zip(steps_of(devices), steps_of(run), strict=True):
    assert found.keys() == wanted.keys()
    names = [name for name in wanted if name.startswith(('loss', 'elbo', 'cross_entropy'))]
    assert names and all(np.isfinite(value) for name, value in wanted.items() if name != 'split')
    names += [name for name in wanted if name.startswith('gradient_norm') and wanted['step'] == 1]
    for name in names:
      assert found[name] == pytest.approx(wanted[name], rel=1e-5, abs=1e-5), (wanted['step'], name)


def is_evaluated(run, evaluators):
  """By the evaluators of the spec itself."""
  numbers = commands.evaluate(run, {'eval.evaluators': evaluators})
  names = [name for name, value in numbers.items() if isinstance(value, float) and not np.isfinite(value)]
  assert len(numbers) > 1 and not names, names


def is_sampled_from(run):
  trained = commands.load(run)
  spec = trained.spec
  samples = commands.sample(run, {f'sample.{name}': value for name, value in FEW.items()})
  missing = {name for name in spec.sample.what if not any(made.startswith(name) for made in samples)} - {'projector'}
  untold = spec.data.context == 'none'
  absent = {'layers': untold and len(trained.model.layer_names) == 1, 'contexts': untold}
  assert missing == {name for name, none in absent.items() if none and name in spec.sample.what}, missing
  for name, arrays in samples.items():
    for key, value in arrays.items():
      assert value.dtype.kind not in 'f' or np.isfinite(value).all(), (name, key)


def is_exported(run):
  """The SavedModel reconstructs as the model does."""
  directory, model = commands.export(run), commands.load(run).model
  exported = tf.saved_model.load(str(directory / 'saved_model'))
  batch = {'x': tf.zeros((3, *model.shape))}
  if model.told is not None:
    batch['context'] = tf.ones((3, *model.told), tf.float32 if model.told else tf.int32)
  found = exported.signatures['reconstruct'](**batch)['mean']
  np.testing.assert_allclose(found, tf.cast(model(batch), tf.float32), rtol=1e-4, atol=1e-5)
  about = json.loads((directory / 'signatures.json').read_text())
  assert about['step'] == 2 and {'encode', 'decode', 'sample', 'elbo'} < set(about['signatures'])


def test_every_word_is_in_the_list(monkeypatch):
  """And in the docstring of its spec file."""
  known, used, words = {}, {}, spec_lib.words
  for variant in VARIANTS:
    file = variant.partition(':')[0]

    def record(text, *choices, file=file):
      chosen = words(text, *choices)
      known.setdefault(file, set()).update(word for group in choices for word in group)
      used.setdefault(file, set()).update(chosen)
      return chosen

    with monkeypatch.context() as patch:
      patch.setattr(spec_lib, 'words', record)
      load(variant)
  assert len(set(VARIANTS)) == len(VARIANTS)
  assert set(known) == {path.stem for path in (ROOT / 'specs').glob('*.py')}
  for file, of_file in known.items():
    assert of_file <= used[file], f'{file}: {of_file - used[file]} in no variant of tests/variants.py'
    text = (ROOT / f'specs/{file}.py').read_text().split('"""')[1]
    assert of_file <= set(re.findall(r'\w+', text)), f'{file}: {of_file} are not all in its docstring'
