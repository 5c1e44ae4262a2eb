"""Checkpoints: read from the newest that is intact, never mistaken for none; whatever their directory is called."""

import os

import keras
import pytest
import tensorflow as tf
from conftest import DAMAGES, damage

from tfvae.errors import RunError
from tfvae.run import checkpoint_files
from tfvae.run.checkpoint_files import newest, steps
from tfvae.run.checkpoints import Checkpoints, differences, named


def save(directory, *numbers, keep=2):
  """Saves steps, whose variable has the step as its value."""
  variable = tf.Variable(tf.zeros([50]))
  checkpoints = Checkpoints(directory, keep, value=variable, group={'a/b': tf.Variable(1.0)})
  for step in numbers:
    variable.assign(tf.fill([50], float(step)))
    checkpoints.save(step)


@pytest.fixture
def saved(tmp_path):
  """A directory with steps 10, 20 and 30, of which 10 is no longer kept."""
  save(tmp_path / 'checkpoints', 10, 20, 30)
  return tmp_path / 'checkpoints'


def restore(directory, said=None, **known):
  variable = tf.Variable(tf.zeros([50]))
  step = Checkpoints(directory, 2, value=variable).restore((said if said is not None else []).append, **known)
  return step, float(variable[0])


def content(directory):
  return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def test_the_newest_is_restored_and_the_last_few_are_kept(saved):
  assert steps(saved) == [30, 20] and newest(saved) == 30 and restore(saved) == (30, 30.0)
  assert restore(saved / 'absent') == (None, 0.0)
  assert tf.train.latest_checkpoint(str(saved)) == str(saved / 'ckpt-30')  # which nothing here needs
  assert len(list(saved.iterdir())) == 5


@pytest.mark.parametrize('how', DAMAGES)
def test_a_broken_one_is_passed_over_and_named(saved, how):
  damage(saved, 30, how)
  said = []
  assert restore(saved, said) == (20, 20.0)
  assert 'ckpt-30' in said[0] and 'Restored the one before: ckpt-20' in said[0]


@pytest.mark.parametrize('how', DAMAGES)
@pytest.mark.parametrize('known', [0, 30, None])
def test_all_broken_is_an_error(saved, how, known):
  for step in (20, 30):
    damage(saved, step, how)
  before = content(saved)
  if known == 0:  # saved.json says that none was ever finished
    said = []
    assert restore(saved, said, saved=0) == (None, 0.0) and 'ckpt-20' in said[0] and 'ckpt-30' in said[0]
  else:
    with pytest.raises(RunError, match=r'(?s)every checkpoint.*ckpt-30.*ckpt-20.*--overwrite'):
      restore(saved, saved=known)
  with pytest.raises(RunError, match='ckpt-20'):
    restore(saved, only=20, saved=30)
  assert content(saved) == before


def test_one_that_was_passed_over_goes_with_the_next_save(saved):
  """Else a later start would find it, if it can be read again, and the metrics in between would be lacking."""
  whole = (saved / 'ckpt-30.index').read_bytes()
  damage(saved, 30, 'index emptied')
  assert restore(saved)[0] == 20
  save(saved, 25)
  assert steps(saved) == [25, 20] and not list(saved.glob('ckpt-30*')) and whole


@pytest.mark.parametrize('index', [None, b'', b'half'])
@pytest.mark.parametrize('trace', [True, False])
def test_a_first_save_that_was_killed_is_none(tmp_path, index, trace):
  """While it wrote the index, too. `trace`: TensorFlow's directory, as tfvae 0.1 left it."""
  if trace:
    (tmp_path / 'ckpt-5_temp').mkdir()
    assert restore(tmp_path) == (None, 0.0)
  (tmp_path / 'ckpt-5.data-00000-of-00001').write_bytes(b'half')
  if index is not None:
    (tmp_path / 'ckpt-5.index').write_bytes(index)
  said = []
  assert restore(tmp_path, said) == (None, 0.0) and 'ckpt-5' in said[0] and 'never finished' in said[0]
  with pytest.raises(RunError, match='every checkpoint'):  # a checkpoint that was damaged
    restore(tmp_path, saved=5)
  save(tmp_path, 5)
  assert restore(tmp_path) == (5, 5.0) and len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize('there', [True, False])
def test_none_where_some_were_saved_is_an_error(tmp_path, there):
  if there:
    (tmp_path / 'checkpoints').mkdir()
  with pytest.raises(RunError, match=r'no checkpoint, but the run had saved step 30.*mounted.*--overwrite'):
    restore(tmp_path / 'checkpoints', saved=30)


def test_out_of_reach_is_neither_none_nor_broken(saved, tmp_path, monkeypatch):
  (tmp_path / 'link').symlink_to(tmp_path / 'unmounted')
  (tmp_path / 'file').write_text('mine')
  (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
  for name, says in {'link': 'a link to a place that is not there', 'file': 'Not a dir', 'loop': 'symbolic'}.items():
    with pytest.raises(RunError, match=f'out of reach: .*{says}.*--overwrite'):
      restore(tmp_path / name)
    assert newest(tmp_path / name) is None

  def refuse(*_):
    raise PermissionError(13, 'Permission denied')

  with monkeypatch.context() as patch:
    patch.setattr(checkpoint_files.os, 'scandir', refuse)
    with pytest.raises(RunError, match='out of reach: Permission denied'):
      restore(saved)
  monkeypatch.setattr('builtins.open', refuse)
  with pytest.raises(RunError, match=r'ckpt-30.*cannot be read \(Permission denied\)'):
    restore(saved)


@pytest.mark.parametrize('name', ['n?', '[32,16]', 'n*', 'n[1', 'back\\slash', 'n[!x]', '{n1,n2}'])
def test_directories_with_the_names_of_patterns(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  neighbour = tmp_path / 'n1'
  save(neighbour, 10, 20, 30, 40, keep=4)
  before = content(neighbour)
  for directory in (tmp_path / name, tmp_path.relative_to(tmp_path) / name):
    save(directory, 10, 20, 30)
    assert steps(directory) == [30, 20] and restore(directory) == (30, 30.0)
    assert restore(directory, only=20) == (20, 20.0)
    variable = keras.Variable(tf.zeros([2]), name='kernel')
    assert differences(directory, [variable]) == [': kernel absent there, (2,) here']
    damage(directory, 30, 'truncated')
    assert restore(directory) == (20, 20.0)
  assert content(neighbour) == before


def test_a_pattern_without_a_place_for_its_link(tmp_path, monkeypatch):
  save(tmp_path / 'n?', 10)
  (tmp_path / 'tmp[1]').mkdir()
  for place in (tmp_path / 'absent', tmp_path / 'tmp[1]'):
    monkeypatch.setattr(checkpoint_files.tempfile, 'tempdir', str(place))
    with pytest.raises(RunError, match=r'n\?: TensorFlow takes .* for a pattern.*TMPDIR'):
      restore(tmp_path / 'n?')


@pytest.mark.parametrize('text', [b'', None, b'\xff\xfe\x00', b'model_checkpoint_path: "/etc/passwd"\n', 'directory'])
def test_the_list_is_neither_read_nor_relied_on(saved, text):
  if text is None:
    (saved / 'checkpoint').unlink()
  elif text != 'directory':
    (saved / 'checkpoint').write_bytes(text)
  assert restore(saved) == (30, 30.0)
  save(saved, 40, 50)
  assert steps(saved) == [50, 40] and len(list(saved.iterdir())) == 5
  assert tf.train.latest_checkpoint(str(saved)) == str(saved / 'ckpt-50')


def test_what_tensorflow_s_own_manager_saved_is_read(tmp_path):
  """As tfvae 0.1 wrote it, and the other way round."""
  variable = tf.Variable(tf.fill([50], 7.0))
  manager = tf.train.CheckpointManager(tf.train.Checkpoint(value=variable), str(tmp_path), 3)
  manager.save(checkpoint_number=10)
  assert restore(tmp_path) == (10, 7.0)
  save(tmp_path, 20)
  tf.train.Checkpoint(value=variable).restore(
    tf.train.latest_checkpoint(str(tmp_path))
  ).assert_existing_objects_matched()
  assert float(variable[0]) == 20.0


def test_litter_of_killed_saves_is_removed_and_nothing_else(saved):
  for name in ('ckpt-35_temp', '.ckpt-35.abc.tmp'):
    (saved / name).mkdir()
    (saved / name / 'part-00000-of-00001.data-00000-of-00001').write_bytes(b'half')
  for name in ('checkpoint.tmp0123', 'ckpt-15.data-00000-of-00001', 'ckpt-5.index', 'ckpt-5.data-00000-of-00001'):
    (saved / name).write_bytes(b'')
  mine = ('ckpt-best.index', 'notes.txt', 'ckpt-30.index.mine')
  for name in mine:
    (saved / name).write_text('mine')
  save(saved, 40)
  assert steps(saved) == [40, 30]
  assert {p.name for p in saved.iterdir() if 'ckpt-40' not in p.name and 'ckpt-30.' not in p.name} == {
    'checkpoint',
    *mine[:2],
  }
  assert all((saved / name).read_text() == 'mine' for name in mine)


@pytest.mark.parametrize('at', ['data', 'index'])
def test_a_save_that_fails_leaves_the_earlier_ones(saved, monkeypatch, at):
  before, own = content(saved), os.rename

  def rename(source, target, **more):
    if f'ckpt-40.{at}' in str(target):
      raise OSError(28, 'No space left on device')
    return own(source, target, **more)

  with monkeypatch.context() as patch:
    patch.setattr(checkpoint_files.os, 'rename', rename)
    with pytest.raises(RunError, match=r'step 40 could not be written.*No space left.*ckpt-30, ckpt-20'):
      save(saved, 40)
  after = content(saved)
  assert {name: after[name] for name in before} == before and steps(saved) == [30, 20]
  save(saved, 40)
  assert steps(saved) == [40, 30]


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path):
  (tmp_path / 'file').write_text('mine')
  with pytest.raises(RunError, match='step 10 could not be written'):
    save(tmp_path / 'file', 10)


def test_names_are_unique():
  variables = [keras.Variable(1.0, name='a'), keras.Variable(2.0, name='a')]
  assert list(named(variables[:1])) == ['a']
  with pytest.raises(ValueError, match='same path'):
    named(variables)
