"""environment.json: where, when, by which command and of what code."""

import datetime
import json
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

import tfvae
from tfvae.run import environment
from tfvae.training.signals import Stopped


def git(folder, *arguments):
  identity = ['-c', 'user.name=n', '-c', 'user.email=e@example.org']
  subprocess.run(['git', *identity, '-C', folder, *arguments], check=True, capture_output=True)


def test_each_start_is_told_of(tmp_path, monkeypatch):
  """A start that is stopped, one that finishes, one that finds nothing to do; the spec in a repository of its own."""
  mine = tmp_path / 'mine'
  mine.mkdir()
  shutil.copy(ROOT / 'specs/aevb.py', mine / 'spec.py')
  git(mine, 'init')
  git(mine, 'add', '.')
  git(mine, 'commit', '-m', 'mine')
  fields = {'train.steps': 20, 'train.checkpoint_every': 10, 'eval.every': 10, 'eval.evaluators': ('bounds',)}
  fields |= {'eval.during': ('bounds',), 'train.compile': 'graph'}
  spec, workdir = tfvae.load_spec(mine / 'spec.py', fields), tmp_path / 'run'

  def stop(*_):
    raise Stopped('SIGINT: stopped\nby a test', 130)

  with monkeypatch.context() as patch:
    patch.setattr('tfvae.training.loop.Trainer._evaluate', stop)
    with pytest.raises(KeyboardInterrupt):
      tfvae.train(spec, workdir)
  (mine / 'notes.txt').write_text('another file')
  tfvae.train(spec, tmp_path / 'beside')
  (mine / 'spec.py').write_text((mine / 'spec.py').read_text() + '# changed\n')
  tfvae.train(spec, workdir)
  first, second = tfvae.load(workdir).starts
  assert first['outcome'] == 'SIGINT: stopped' and second['outcome'] == 'finished'
  assert first['git']['spec']['clean'] and not second['git']['spec']['clean']
  assert tfvae.load(tmp_path / 'beside').starts[0]['git']['spec']['clean']
  assert (
    first['git']['spec']['commit'] == second['git']['spec']['commit'] != (first['git']['tfvae'] or {}).get('commit')
  )
  for start in (first, second):
    begin, end = (datetime.datetime.fromisoformat(start[name]) for name in ('begin', 'end'))
    assert datetime.timedelta() <= end - begin < datetime.timedelta(minutes=5) and end.tzinfo
    assert start['host'] == platform.node() and start['devices'] and 'cores' in start['cpu'] and start['replicas'] == 1
    assert start['command'] == shlex.join(sys.orig_argv) and start['versions']['tfvae'] == tfvae.__version__
  numbers = json.loads((workdir / 'evaluation.json').read_text())
  assert all(isinstance(value, (int, float)) for name, value in numbers.items() if name != 'split')


def test_a_commit_is_told_of_where_there_is_one(tmp_path, monkeypatch):
  assert environment.commit(tmp_path) is None
  git(tmp_path, 'init')
  assert environment.commit(tmp_path) is None  # no commit yet
  (tmp_path / 'file').write_text('1')
  git(tmp_path, 'add', '.')
  git(tmp_path, 'commit', '-m', 'one')
  assert environment.commit(tmp_path, tracked=True)['clean']
  (tmp_path / 'installed').mkdir()  # as a virtual environment is, below a user's own repository
  (tmp_path / 'installed/package.py').write_text('')
  assert environment.commit(tmp_path / 'installed', tracked=True) is None
  assert not environment.commit(tmp_path / 'installed')['clean']
  git(tmp_path, 'config', 'core.quotepath', 'false')
  pathlib.Path(os.fsdecode(bytes(tmp_path) + b'/installed/caf\xe9')).touch()
  assert not environment.commit(tmp_path / 'installed')['clean']
  monkeypatch.setenv('PATH', str(tmp_path))  # no git
  assert environment.commit(tmp_path) is None


@pytest.mark.parametrize('text', ['', '{"py', '[]', '3', '{"starts": 3}', '{"starts": [{}]}', '{"starts": {"a": 1}}'])
def test_a_damaged_file_is_no_obstacle(tmp_path, text):
  from tfvae.trained import Run

  (tmp_path / 'environment.json').write_text(text)
  assert Run(tmp_path).starts == []


def test_the_file_of_versions_before(tmp_path):
  from tfvae.trained import Run

  pathlib.Path(tmp_path, 'environment.json').write_text('{"python": "3.11.7", "tfvae": "0.1.0"}')
  assert Run(tmp_path).starts == [{'versions': {'python': '3.11.7', 'tfvae': '0.1.0'}}]
