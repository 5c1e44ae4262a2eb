"""Contexts, targets and columns of their own: what is kept of them, how they are scaled, and the batches of them."""

import json
import re
import types

import numpy as np
import pytest
from test_source import assert_same, batches, section

from tfvae import build, commands, memory
from tfvae import spec as spec_lib
from tfvae.analysis.evaluator import Split, moments
from tfvae.analysis.fid import Fid
from tfvae.analysis.samples import Samples
from tfvae.data import fields as fields_lib
from tfvae.data import reading
from tfvae.data.dataset import Part, Stored, make
from tfvae.data.source import Source
from tfvae.data.tasks import SETS
from tfvae.errors import RunError, SpecError, UserError
from tfvae.observation import Observation
from tfvae.run import formats
from tfvae.run.files import Damaged
from tfvae.training.loop import Trainer

N, TEST = 23, 9
OWN = {'context': 'own', 'target': 'own'}
LIMITS = (0.0, 255.0)


def arrays(n, seed, context='vectors'):
  """Images [N, 4, 4, 1], with all that may be beside them."""
  rng = np.random.default_rng(seed)
  images = lambda channels=1: rng.integers(0, 256, (n, 4, 4, channels), np.uint8)
  contexts = {'vectors': lambda: 1e6 + rng.normal(size=(n, 3)), 'images': lambda: images(2)}[context]()
  column = lambda values: rng.integers(values, size=n).astype(np.int32)
  return {'x': images(), 'label': column(10), 'context': contexts, 'target': images(), 'turns': column(4)}


def images(kind='arrays', context='vectors', change=lambda part: part):
  splits = {'train': change(arrays(N, 0, context)), 'test': change(arrays(TEST, 1, context))}
  if kind == 'reader':
    splits = {split: reading.ArrayReader(part) for split, part in splits.items()}
  return Stored('toy', splits, LIMITS)


def table(change=lambda part: part):
  """Vectors [N, 2], with contexts [N, 3] and targets [N, 2]."""
  rng = np.random.default_rng(2)
  part = lambda n: {'x': rng.normal(size=(n, 2)), 'context': rng.normal(size=(n, 3)), 'target': rng.normal(size=(n, 2))}
  return Stored('toy', {'train': change(part(N)), 'test': change(part(TEST))})


def source(stored, kept=None, **fields):
  fields = {'scaling': 'min_max', 'batch_size': 4, **fields}
  return Source(make(stored, section(**fields), 0, kept), section(**fields), 1)


def everything(source_):
  """Batches of training, of evaluation, and the first examples."""
  evaluated = [source_.evaluation_batch('test', stored) for stored in source_.evaluation_examples('test', 4)]
  numpy = lambda batch: {name: value.numpy() for name, value in batch.items()}
  return batches(source_, 3, 4) + [numpy(batch) for batch in [*evaluated, source_.first('train', 3)]]


@pytest.mark.parametrize(
  ('context', 'fields', 'other'),
  [
    ('vectors', OWN | {'bits': 4}, ('reader', 0)),
    ('vectors', OWN | {'binarize': 'static', 'batch_size': 0}, ('reader', 100)),
    ('images', OWN | {'binarize': 'dynamic'}, ('arrays', 0)),
    ('vectors', {'context': 'label', 'target': 'own'}, ('reader', 0)),
  ],
  ids=['grey', 'static, whole', 'dynamic', 'label'],
)
def test_all_kinds_of_sets_give_the_same(context, fields, other):
  """Arrays, and readers, held in memory or read when needed: what is kept, and all batches; of a resumed run, too."""
  first = source(images(context=context), **fields)
  kept, (kind, limit) = json.loads(json.dumps(first.dataset.summary)), other
  again = source(images(kind, context), kept, **fields, memory_limit=limit)
  assert isinstance(first.dataset.splits['train'], dict)
  assert isinstance(again.dataset.splits['train'], dict if limit else Part)
  assert again.dataset.summary == first.dataset.summary and again.dataset.observation == first.dataset.observation
  found, want = everything(again), everything(first)
  assert_same(found, want)
  own = {'x', 'label', 'turns', 'index', 'context', 'target'}
  assert all(set(batch) - {'mask'} == own and batch['turns'].dtype == np.int32 for batch in want)
  shapes, wanted = ({name: (v.shape, v.dtype) for name, v in of.blank(4).items()} for of in (again, first))
  assert shapes == wanted and all(shape.is_fully_defined() for shape, _ in shapes.values())


def test_vectors_are_scaled_by_their_own_columns():
  """Of the training split, kept in the run; of a table as of images."""
  for stored in (images(), table()):
    context = stored.splits['train']['context']
    source_ = source(stored, context='own', scaling='standard')
    (batch,) = batches(source_, 0, 1)
    want = (context - context.mean(0)) / context.std(0)
    np.testing.assert_array_equal(batch['context'], want[batch['index']].astype(np.float32))
    kept = source_.dataset.summary['scaling']['context']
    np.testing.assert_allclose(kept['center'], context.mean(0), rtol=1e-12)
    assert source_.dataset.observation.context == (3,) and source_.first('test', 2)['context'].dtype == 'float32'
    plain = source(stored, scaling='standard').dataset
    assert plain.summary['scaling'] == {name: source_.dataset.summary['scaling'][name] for name in ('center', 'width')}


@pytest.mark.parametrize('binarize', ['none', 'static', 'dynamic', 'threshold'])
def test_contexts_that_are_images_are_scaled_as_x_and_never_binary(binarize):
  stored = images(context='images')
  source_ = source(stored, context='own', binarize=binarize, scaling='min_max')
  assert source_.dataset.observation.context == (4, 4, 2) and set(source_.dataset.summary['scaling']) == {
    'center',
    'width',
  }
  batch = source_.first('test', TEST)
  np.testing.assert_allclose(batch['context'], stored.splits['test']['context'] / 255, rtol=1e-6)
  source_ = source(stored._replace(limits=(0.0, 510.0)), context='own', scaling='standard')
  x, center, width = stored.splits['test']['context'], *source_.dataset.summary['scaling'].values()
  np.testing.assert_allclose(source_.first('test', TEST)['context'], (x - center) / width, rtol=1e-5, atol=1e-6)


def test_images_beside_what_is_scaled_here_are_scaled_by_all_their_values():
  """Bytes beside a table, and images of floating point beside bytes: neither has the black and white of x."""
  rows = lambda part: part | {'x': part['x'].reshape(len(part['x']), -1)[:, :3].astype(float)}
  floats = lambda part: part | {'context': part['context'] / np.float32(7)}
  for change, limits in ((rows, None), (floats, LIMITS)):
    stored = images(context='images', change=change)._replace(limits=limits)
    data = source(stored, context='own').dataset
    context = stored.splits['train']['context'].astype(float)
    want = (context - context.min()) / (context.max() - context.min())
    np.testing.assert_allclose(data.splits['train']['context'], want, rtol=1e-6, atol=1e-7)
    assert len(data.summary['scaling']['context']['center']) == 1 and data.observation.context == (4, 4, 2)
    formats.data(json.loads(json.dumps(data.summary)))


def test_show_tells_of_contexts(monkeypatch, capsys):
  def stop(*of):
    raise UserError('seen')

  monkeypatch.setattr(build, 'model', stop)
  task = {'data.name': 'mnist_sum', 'data.of': 'digits', 'data.examples': 200, 'data.context': 'own'}
  for fields, told in (
    ({'data.context': 'label'}, ', each with its label'),
    (task, ', each with a context of shape (8, 8, 2)'),
    ({}, ''),
  ):
    with pytest.raises(UserError, match='seen'):
      commands.show(spec_lib.resolve(spec_lib.base(), fields))
    assert f'examples of shape (8, 8, 1){told}\n' in capsys.readouterr().out


def test_labels_are_contexts_as_they_are():
  stored = images(change=lambda part: {**part, 'label': part['label'].astype(np.int64)})
  source_ = source(stored, context='label')
  assert source_.dataset.observation.context == () and 'context' not in source_.dataset.splits['train']
  for batch in (source_.first('test', 5), *batches(source_, 0, 2)):
    assert batch['context'].dtype == np.int32 and batch['context'].shape == batch['x'].shape[:1]
    np.testing.assert_array_equal(batch['context'], batch['label'])


@pytest.mark.parametrize(
  'fields',
  [{}, {'bits': 3, 'scaling': 'standard'}, *({'binarize': kind} for kind in ('static', 'dynamic', 'threshold'))],
  ids=str,
)
def test_a_target_that_is_x_is_made_as_x(fields):
  """To the bit, in training and evaluation; x itself is what it is without, and another target is another thing."""
  same = source(images(change=lambda part: part | {'target': part['x']}), target='own', **fields)
  plain, other = source(images(), **fields), source(images(), target='own', **fields)
  made = [[*batches(of, 5, 1), of.first('train', 3)] for of in (same, plain, other)]
  for batch, without, unlike in zip(*made, strict=True):
    np.testing.assert_array_equal(batch['target'], batch['x'])
    np.testing.assert_array_equal(batch['x'], without['x'])
    np.testing.assert_array_equal(unlike['x'], without['x'])
    assert not np.array_equal(unlike['target'], unlike['x'])


def test_noise_of_training_is_on_x_alone():
  stored = table()
  noisy, plain = (source(stored, **OWN, jitter=jitter) for jitter in (0.5, 0.0))
  for one, other in zip(batches(noisy, 0, 3), batches(plain, 0, 3), strict=True):
    assert not np.array_equal(one['x'], other['x'])
    for name in ('target', 'context'):
      np.testing.assert_array_equal(one[name], other[name])
  x, target = (stored.splits['train'][name] for name in ('x', 'target'))
  plain = source(stored, target='own').dataset
  want = (target - x.min(0)) / (x.max(0) - x.min(0))  # by the columns of x
  np.testing.assert_allclose(plain.splits['train']['target'], want, rtol=1e-6)
  assert plain.range() == (0, 1) and plain.extremes[0] < 0  # of the targets


def test_features_are_of_what_is_scored_and_units_of_what_is_encoded():
  stored, spec = table(), spec_lib.base()
  split = Split(source(stored, target='own', scaling='none'), 'train', spec)
  want = {name: stored.splits['train'][name] for name in ('x', 'target')}
  for found, name in ((moments(split), 'x'), (moments(split, lambda x, batch: x), 'target')):
    np.testing.assert_allclose(found[0], want[name].mean(0), atol=1e-7)
    np.testing.assert_allclose(found[1], want[name].var(0), rtol=1e-5)


def test_the_reference_of_fid_are_the_targets():
  source_ = source(images(), target='own')
  split = Split(source_, 'test', spec_lib.resolve(spec_lib.base(), {'eval.fid.reference': 'test'}))
  (reference, kept), *_ = Fid(split.spec, [])._reference(split)
  np.testing.assert_array_equal(reference, source_.first('test', TEST)['target'])
  assert kept.all()


@pytest.mark.parametrize('target', ['x', 'own'])
def test_pictures_have_the_targets(target):
  source_ = source(images(), target=target)
  evaluator, model = Samples(spec_lib.base()), types.SimpleNamespace(told=None)
  evaluator._pictures = lambda model, batch, context, n: (batch['x'], batch['x'])
  arrays = evaluator.evaluate(model, Split(source_, 'test', evaluator.spec)).arrays
  assert ('target' in arrays) == (target == 'own')
  if target == 'own':
    np.testing.assert_array_equal(arrays['target'], source_.first('test', TEST)['target'])


def test_what_is_not_asked_for_is_dropped_and_nothing_is_copied():
  stored = images()
  data = make(stored, section(), 0)
  assert set(data.splits['train']) == {'x', 'label', 'turns'}
  assert all(np.shares_memory(data.splits['train'][name], stored.splits['train'][name]) for name in ('x', 'turns'))
  assert data.observation.context is None and 'context' not in data.summary['observation']
  bare = images(change=lambda part: {name: part[name] for name in ('x', 'label', 'turns')})
  for kind in (stored, bare, images('reader')):
    assert make(kind, section(), 0).summary == data.summary
  asked = make(stored, section(**OWN), 0)
  assert np.shares_memory(asked.splits['train']['target'], stored.splits['train']['target'])
  assert asked.summary['fingerprint'] != data.summary['fingerprint']


def test_data_json_of_a_run_without_contexts_is_what_it_was():
  """By tfvae 0.2 before there were contexts."""
  summary = build.dataset(spec_lib.resolve(spec_lib.base(), {'data.context': 'none'})).summary
  assert json.dumps(summary) == (
    '{"name": "digits", "shape": [8, 8, 1], "sizes": {"train": 1500, "test": 297}, "scaling": {"center": 0.0, "width": '
    '16.0}, "range": [0.0, 1.0], "observation": {"low": 0.0, "high": 1.0, "levels": 17}, "fingerprint": 1255884564}'
  )


@pytest.mark.parametrize(('kind', 'name'), [('arrays', 'context'), ('arrays', 'target'), ('reader', 'context')])
def test_a_run_keeps_its_contexts_and_targets(kind, name):
  kept = make(images(), section(**OWN), 0).summary
  assert formats.data(json.loads(json.dumps(kept))) and Observation.kept(json.loads(json.dumps(kept))).context == (3,)

  def changed(part):
    part[name][0] += 1
    return part

  with pytest.raises(RunError, match='the data have changed'):
    make(images(kind, change=changed), section(**OWN), 0, kept)
  wider = lambda part: part | {'context': part['context'][:, :2]}
  for other in (images(kind, 'images'), images(kind, change=wider)):
    with pytest.raises(RunError, match=r'contexts of shape (4 x 4 x 2|2), the run has 3'):
      make(other, section(**OWN), 0, kept)


def test_damaged_contexts_in_data_json():
  kept = json.loads(json.dumps(make(images(), section(**OWN), 0).summary))
  scaling, observation = kept['scaling'], kept['observation']
  for wrong in ({'center': [0.0], 'width': [1.0]}, 3, {'center': [0.0] * 3, 'width': [0.0] * 3}):
    with pytest.raises(Damaged):
      formats.data(kept | {'scaling': scaling | {'context': wrong}})
  for wrong in ([0], 'own', None, [2.5]):
    with pytest.raises(Damaged):
      formats.data(kept | {'observation': observation | {'context': wrong}})


def test_contexts_count_as_memory(monkeypatch):
  """What is held of a reader, what is scaled, and what is too large to be held."""
  stored, x = images('reader', 'images'), (N + TEST) * 16
  free = lambda size: monkeypatch.setattr(memory, 'available', lambda: size)
  free(4 * x - 1)
  with pytest.raises(UserError, match='the examples of toy'):
    make(stored, section(**OWN), 0)
  assert isinstance(make(stored, section(**OWN, memory_limit=(4 * x - 1) / 2**20), 0).splits['train'], Part)
  free((N + TEST) * 3 * 4 - 1)
  with pytest.raises(UserError, match='the scaled contexts of toy'):
    make(images(), section(**OWN), 0)


def without(split, name):
  """A change of one split: its array `name` is taken away."""
  return lambda part: {
    key: of for key, of in part.items() if key != name or len(part['x']) != {'train': N}.get(split, TEST)
  }


@pytest.mark.parametrize('kind', ['arrays', 'reader'])
@pytest.mark.parametrize('name', ['context', 'target'])
def test_what_is_not_there_is_refused(kind, name):
  bare = lambda part: {'x': part['x'], 'label': part['label']}
  allowed = {'context': r'none \| label', 'target': 'x'}[name]
  for change, what in ((bare, 'toy'), (without('test', name), 'the test split of toy')):
    with pytest.raises(
      UserError, match=rf'spec\.data\.{name}: got own, but {what} provides no .*allowed: {allowed}; .*NPZ file'
    ):
      make(images(kind, change=change), section(**{name: 'own'}), 0)


@pytest.mark.parametrize(
  'change',
  [lambda part: part | {'target': part['target'][:, 1:]}, lambda part: part | {'target': part['target'] / 2}],
  ids=['shape', 'type'],
)
def test_targets_that_are_unlike_x_are_refused(change):
  match = r'spec\.data\.target: got own, but the targets of toy have the shape \(.*allowed: the shape \(4, 4, 1\)'
  with pytest.raises(UserError, match=match):
    make(images(change=change), section(**OWN), 0)


def test_contexts_that_cannot_be_scaled_are_refused():
  flat = lambda part: part | {'context': part['context'] * [0, 1, 1]}
  with pytest.raises(
    UserError, match=r'spec\.data\.scaling: got min_max, but column 0 of the contexts has the one value'
  ):
    make(images(change=flat), section(**OWN, scaling='min_max'), 0)
  far = lambda part: part | {'target': part['target'] * 1e45}
  with pytest.raises(UserError, match=r'the value .* of column 0 of the targets \(row 0 of the stored train split'):
    make(table(change=far), section(**OWN), 0)


def test_a_context_that_is_not_finite_is_named():
  """Of arrays that were changed in memory: what is read is looked at before."""
  trainer = Trainer.__new__(Trainer)
  trainer.source = source(table(), **OWN)
  part, rows = trainer.source.dataset.splits['train'], trainer.source.order(5, 1)[0]
  assert trainer._bad_examples(6) == ''
  part['context'][rows[2], 1], part['target'][rows[0], 0] = np.nan, np.inf
  assert trainer._bad_examples(6) == (
    f' (of the data, the context of training example {rows[2]}, counted from 0, is not finite)'
    f' (of the data, the target of training example {rows[0]}, counted from 0, is not finite)'
  )


def test_what_provides_a_context_is_named():
  tasks = {name for name, task in SETS.items() if task.of_context}
  assert tasks == set(re.findall(r'mnist_\w+', fields_lib.PROVIDERS['context']))


def npz(path, **change):
  part, test = arrays(N, 0, 'images'), arrays(TEST, 1, 'images')
  np.savez(path, **{**part, **{f'{name}_test': value for name, value in test.items()}, **change})
  return {'data.name': 'table', 'data.path': str(path), 'data.batch_size': 4}


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'data.context': 'label', 'data.name': 'table'}, None),
    ({'data.context': 'label', 'data.name': 'circle', 'data.examples': 200}, 'spec.data.context: got label, for which'),
    ({'data.context': 'own', 'data.name': 'digits'}, 'spec.data.context: got own, but digits provides no context'),
    ({'data.target': 'own', 'data.name': 'digits'}, 'spec.data.target: got own, but digits provides no target'),
    ({'data.context': 'label', 'prior.name': 'learned'}, 'spec.prior.name: got learned, but spec.data.context is'),
    ({'data.context': 'label', 'eval.evaluators': ('ppca', 'bounds')}, 'spec.eval.evaluators: got ppca'),
    ({'data.target': 'own', 'eval.evaluators': ('limiting',)}, 'spec.eval.evaluators: got limiting, which encodes'),
    ({'data.target': 'own', 'eval.evaluators': ('players', 'bounds')}, 'spec.eval.evaluators: got players, the losses'),
    ({'data.target': 'own', 'sample.what': ('limiting',)}, 'spec.sample.what: got limiting, which encodes'),
    (
      {'data.target': 'own', 'eval.evaluators': ('fid',), 'eval.fid.of': ('limiting',), 'classifier.path': 'x'},
      'spec.eval.fid.of: got limiting, which encodes',
    ),
    ({'data.target': 'own', 'objective.chains': 3}, 'spec.objective.chains: got 3, which encodes'),
    ({'data.target': 'own', 'objective.name': 'symmetric'}, 'spec.objective.name: got symmetric, which encodes'),
    ({'data.target': 'own', 'data.dequantize': True}, 'spec.data.dequantize: got true, which is noise on x'),
    ({'data.name': 'mnist_turns', 'data.validation': 0.1}, 'spec.data.validation: got 0.1, but training examples of'),
    (
      {'data.name': 'mnist_turns', 'data.flip': 'horizontal'},
      'the mirror image of what was turned is turned the other',
    ),
    (
      {'data.context': 'label', 'prior.weight_constraint': 'rescale', 'model.layers': 'z1'},
      'spec.prior.weight_constraint: got rescale, which is of the weights that leave latent units',
    ),
    ({'data.target': 'own', 'data.flip': 'horizontal'}, 'spec.data.flip: got horizontal, which mirrors x alone'),
    (
      {'data.context': 'own', 'data.name': 'mnist', 'data.crop': 20, 'data.crop_at': 'random'},
      'spec.data.crop_at: got random, which takes another square of x',
    ),
    *(
      ({'data.context': 'label', 'model.name': name}, f'spec.data.context: got label; spec.model.name={name} is told')
      for name in ('members', 'classifier')
    ),
    ({'data.target': 'own', 'model.name': 'classifier'}, 'spec.data.target: got own; spec.model.name=classifier has'),
  ],
)
def test_specs_that_are_refused(fields, message):
  if message is None:
    build.dataset(spec_lib.resolve(spec_lib.base(), fields))
    return
  with pytest.raises(UserError) as error:
    build.dataset(spec_lib.resolve(spec_lib.base(), fields))
  assert message in str(error.value), error.value


@pytest.mark.parametrize(
  ('fields', 'change', 'message'),
  [
    ({'data.context': 'label'}, {}, None),
    ({'data.context': 'own', 'data.target': 'own'}, {}, None),
    (
      {'data.context': 'own', 'data.flip': 'horizontal'},
      {},
      'spec.data.flip: got horizontal, which mirrors x alone, but the contexts of x are images, too; use none',
    ),
    (
      {'data.context': 'label'},
      {'label_test': np.full(TEST, 10)},
      'spec.model.context.classes: got 10, but the labels of x go up to 10; allowed: more than the largest label',
    ),
    ({'data.context': 'label'}, {'label': np.arange(N) - 1}, 'are int32 from -1 to 21; use none'),
    ({'data.context': 'label'}, {'label': np.arange(N) / 2}, 'from 0 to 11; use none'),
  ],
)
def test_npz_files_that_do_not_fit(tmp_path, fields, change, message):
  fields = npz(tmp_path / 'x.npz', **change) | fields
  if message is None:
    data = build.dataset(spec_lib.resolve(spec_lib.base(), fields))
    assert data.observation.context == (() if fields['data.context'] == 'label' else (4, 4, 2))
    return
  with pytest.raises(SpecError) as error:
    build.dataset(spec_lib.resolve(spec_lib.base(), fields))
  assert message in str(error.value), error.value
