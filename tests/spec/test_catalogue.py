"""Where TensorFlow Datasets are, and their names."""

import pathlib
import subprocess
import sys

import pytest

from tfvae import spec as spec_lib
from tfvae.spec import catalogue
from tfvae.spec.entries import SYNTHETIC, TASKS


def prepared(root, *names):
  for name in names:
    (root / name).mkdir(parents=True)
    (root / name / 'dataset_info.json').write_text('{}')


def test_the_directory(monkeypatch, tmp_path):
  section = spec_lib.base().data
  monkeypatch.setenv('TFDS_DATA_DIR', '')
  assert catalogue.data_dir(section) == pathlib.Path.home() / 'tensorflow_datasets'
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
  assert catalogue.data_dir(section) == tmp_path
  section.data_dir = '~/sets'
  assert catalogue.data_dir(section) == catalogue.data_dir('~/sets') == pathlib.Path.home() / 'sets'


def test_the_highest_version_is_found(tmp_path):
  prepared(tmp_path, 'mnist/3.0.1', 'mnist/3.0.9', 'mnist/3.0.10', 'lsun/cat/1.0.0', 'faces/a/1.0.0', 'faces/b/2.0.0')
  (tmp_path / 'mnist/4.0.0').mkdir()  # unfinished
  assert catalogue.find('mnist', tmp_path) == tmp_path / 'mnist/3.0.10'
  assert catalogue.find('lsun', tmp_path) == catalogue.find('lsun/cat', tmp_path) == tmp_path / 'lsun/cat/1.0.0'
  assert catalogue.find('faces/b', tmp_path) == tmp_path / 'faces/b/2.0.0'
  for name in ('faces', 'cifar10', 'mnist/3.0.1', '', '/', '..', '../x', 'lsun/cat/1.0.0', 'lsun/'):
    assert catalogue.find(name, tmp_path) is None, name
  assert catalogue.find('mnist', tmp_path / 'nowhere') is None


@pytest.mark.parametrize(
  'name', ['digits', 'table', 'folder', 'mine', 'lsun', 'lsun/cat', 'cifar10', 'lsun/bedroom', 'celeb_a']
)
def test_names_that_are_known(tmp_path, name):
  prepared(tmp_path, 'mine/1.0.0', 'lsun/cat/1.0.0')
  assert catalogue.problem(name, tmp_path) is None


@pytest.mark.parametrize(
  ('name', 'meant'),
  [
    ('cifar1O', 'cifar10'),
    ('MNSIT', 'mnist'),
    ('digit', 'digits'),
    ('fodler', 'folder'),
    ('minist', 'mineist'),  # on disk; mnist is as near
    ('faces/ab', 'faces/a'),
    ('mnist/', 'mnist'),
  ],
)
def test_names_that_are_misspelt(tmp_path, name, meant):
  prepared(tmp_path, 'mineist/1.0.0', 'faces/a/1.0.0', 'faces/b/1.0.0')
  assert catalogue.problem(name, tmp_path) == (
    f'got {name!r}; allowed: digits | table | folder | micro_mnist | {" | ".join((*TASKS, *SYNTHETIC))} | the name '
    'of an image set of TensorFlow Datasets. '
    f'Did you mean {meant}?'
  )


def test_the_set_that_is_read():
  names = ('mnist', 'mnist/3.0.1', 'micro_mnist', 'digits', 'table', 'circle')
  assert [catalogue.source(name) for name in names] == ['mnist', 'mnist/3.0.1', 'mnist', None, None, None]


def test_names_that_say_nothing(tmp_path):
  prepared(tmp_path, 'faces/a/1.0.0', 'faces/b/1.0.0')
  assert catalogue.problem('qqqqqqqq', tmp_path).endswith('of TensorFlow Datasets.')
  assert catalogue.problem('', tmp_path).startswith("got ''; allowed: digits")
  several = catalogue.problem('faces', tmp_path)
  assert 'several configurations: a, b' in several and 'faces/a' in several


def test_no_mistake_imports_tensorflow(tmp_path):
  code = (
    'import sys\n'
    'from tfvae import spec\nfrom tfvae.spec import catalogue\n'
    'from tfvae.data import folder, tfds\n'
    f'section = spec.base().data; section.data_dir = section.path = {str(tmp_path)!r}\n'
    'for name, load in (("mnist", tfds.load), ("mnits", tfds.load), ("folder", folder.load)):\n'
    '  section.name = name\n'
    '  try:\n'
    '    load(section)\n'
    '  except Exception as error:\n'
    '    print(error)\n'
    'assert "tensorflow" not in sys.modules\n'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  first, second, third = done.stdout.splitlines()
  assert first == (
    f'spec.data.name: mnist is not prepared: looked in {tmp_path}/mnist (spec.data.data_dir, or TFDS_DATA_DIR); '
    f"prepare it with 'tfds build mnist --data_dir {tmp_path}' or give --spec.data.download=true"
  )
  assert second.startswith("spec.data.name: got 'mnits'; allowed: digits") and second.endswith('Did you mean mnist?')
  assert third.startswith('spec.data.path: there are no image files')
