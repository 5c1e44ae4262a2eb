"""Checkpoints: read back from the newest that is intact, never mistaken for none."""

import keras
import pytest
import tensorflow as tf
from conftest import DAMAGES, damage

from tfvae.checkpoints import Checkpoints, named, steps
from tfvae.errors import RunError


@pytest.fixture
def saved(tmp_path):
  """(directory, variable, checkpoints) with steps 10, 20 and 30, of which 10 is no longer kept."""
  variable = tf.Variable(tf.zeros([50]))
  checkpoints = Checkpoints(tmp_path / 'checkpoints', 2, value=variable, group={'a/b': tf.Variable(1.0)})
  for step in (10, 20, 30):
    variable.assign(tf.fill([50], float(step)))
    checkpoints.save(step)
  return tmp_path / 'checkpoints', variable, checkpoints


def restore(directory, said=None):
  variable = tf.Variable(tf.zeros([50]))
  step = Checkpoints(directory, 2, value=variable).restore((said if said is not None else []).append)
  return step, float(variable[0])


def test_the_newest_is_restored_and_the_last_few_are_kept(saved):
  directory, _, _ = saved
  assert steps(directory) == [30, 20] and restore(directory) == (30, 30.0)
  assert restore(directory / 'absent') == (None, 0.0)


@pytest.mark.parametrize('how', DAMAGES)
def test_a_broken_one_is_passed_over_and_named(saved, how):
  directory, _, _ = saved
  damage(directory, 30, how)
  said = []
  assert restore(directory, said) == (20, 20.0)
  assert 'ckpt-30' in said[0] and 'Restored the one before: ckpt-20' in said[0]


@pytest.mark.parametrize('how', DAMAGES)
@pytest.mark.parametrize('listed', [True, False])
def test_all_broken_is_an_error(saved, how, listed):
  directory, _, _ = saved
  for step in (20, 30):
    damage(directory, step, how)
  if not listed:
    (directory / 'checkpoint').unlink()
  with pytest.raises(RunError, match=r'(?s)every checkpoint.*ckpt-30.*ckpt-20.*--overwrite'):
    restore(directory)


def test_a_first_save_that_was_killed_is_none(tmp_path):
  (tmp_path / 'ckpt-5_temp').mkdir()
  assert restore(tmp_path) == (None, 0.0)
  (tmp_path / 'ckpt-5.data-00000-of-00001').write_bytes(b'half')
  said = []
  assert restore(tmp_path, said) == (None, 0.0) and 'ckpt-5' in said[0]
  (tmp_path / 'ckpt-5_temp').rmdir()  # without its trace it is a checkpoint that lost its index
  with pytest.raises(RunError, match='every checkpoint'):
    restore(tmp_path)


def test_litter_of_killed_saves_is_removed(tmp_path):
  (tmp_path / 'ckpt-5_temp').mkdir()
  Checkpoints(tmp_path, 2, value=tf.Variable(1.0)).save(10)
  assert steps(tmp_path) == [10] and not (tmp_path / 'ckpt-5_temp').exists()


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path):
  (tmp_path / 'file').write_text('mine')
  with pytest.raises(RunError, match='step 10 could not be written'):
    Checkpoints(tmp_path / 'file', 2, value=tf.Variable(1.0)).save(10)


def test_names_are_unique():
  variables = [keras.Variable(1.0, name='a'), keras.Variable(2.0, name='a')]
  assert list(named(variables[:1])) == ['a']
  with pytest.raises(ValueError, match='same path'):
    named(variables)
