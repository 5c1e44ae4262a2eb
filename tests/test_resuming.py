"""Runs whose checkpoints are gone, out of reach or half-written, and runs in directories of any name."""

import json
import shutil

import pytest
from conftest import damage, tiny_spec
from runs import assert_same_run

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import RunError
from tfvae.trained import Run


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A run of 40 steps, of which 30 and 40 are kept; not to be changed."""
  workdir = tmp_path_factory.mktemp('trained') / 'run'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(commands, '_draw', lambda *of: [])
    commands.train(short(), workdir)
  return workdir


def short(**fields):
  return spec_lib.resolve(tiny_spec(), {'train.keep': 2} | fields)


@pytest.fixture
def run(trained, tmp_path):
  shutil.copytree(trained, tmp_path / 'run')
  return Run(tmp_path / 'run')


def everything(workdir):
  return {path: path.read_bytes() for path in workdir.rglob('*') if path.is_file() and path.name != 'lock'}


def hide(run, how):
  """Makes all checkpoints unreachable; returns what brings them back."""
  away = run.workdir.with_name('disk')
  run.checkpoints.rename(away)
  if how == 'dangling link':
    run.checkpoints.symlink_to(run.workdir.with_name('unmounted'))
  elif how == 'unmounted':
    run.checkpoints.mkdir()

  def back():
    if run.checkpoints.is_symlink():
      run.checkpoints.unlink()
    elif run.checkpoints.is_dir():
      run.checkpoints.rmdir()
    run.checkpoints.symlink_to(away)

  return back


@pytest.mark.parametrize('how', ['deleted', 'unmounted', 'dangling link'])
@pytest.mark.parametrize('record', [True, False])
def test_checkpoints_out_of_reach_stop_every_mode_and_change_nothing(run, trained, how, record, capsys):
  """`record`: without saved.json, as of a run of tfvae 0.1, metrics.jsonl tells that there were checkpoints."""
  if not record:
    (run.workdir / 'saved.json').unlink()
  back, before = hide(run, how), everything(run.workdir)
  says = 'is a link to a place' if how == 'dangling link' else 'has no checkpoint, but the run had saved step 40'
  commands_ = (commands.evaluate, commands.sample, commands.export, lambda workdir: commands.load(workdir).model)
  for command in (lambda workdir: commands.train(short(), workdir), *commands_):
    with pytest.raises(RunError, match=f'{says}.*Nothing was changed.*--overwrite') as error:
      command(run.workdir)
    assert len(str(error.value).splitlines()) == 1
  assert everything(run.workdir) == before
  back()
  commands.train(short(), run.workdir)
  assert 'Resumed' in capsys.readouterr().out
  assert_same_run(run.workdir, trained)


def test_overwriting_is_the_way_on(run):
  hide(run, 'deleted')
  fresh = commands.train(short(**{'train.steps': 10}), run.workdir, overwrite=True)
  assert fresh.evaluation['step'] == 10 and json.loads((run.workdir / 'saved.json').read_text()) == {'step': 10}
  assert len((run.workdir.with_name('run.1') / 'metrics.jsonl').read_text().splitlines()) > 6


@pytest.mark.parametrize('how', ['gone', 'no index', 'truncated'])
def test_the_newest_is_missing(run, trained, how, capsys):
  if how == 'gone':
    for path in run.checkpoints.glob('ckpt-40.*'):
      path.unlink()
  else:
    damage(run.checkpoints, 40, how)
  told = r'step 30 is used; the checkpoint of step 40, which the run saved, is gone or broken; metrics.jsonl is further'
  commands.evaluate(run.workdir)
  assert told in capsys.readouterr().out
  commands.evaluate(run.workdir, {'eval.checkpoint': '30'})
  assert (told in capsys.readouterr().out) == (how != 'truncated')  # by its files step 40 is there
  commands.sample(run.workdir, {'sample.what': 'prior', 'sample.num': 2})
  assert told in capsys.readouterr().out
  commands.load(run.workdir).model  # noqa: B018
  assert told in capsys.readouterr().out
  commands.train(short(), run.workdir)
  said = capsys.readouterr().out
  assert 'at step 30: the checkpoint of step 40, which' in said and 'after step 30 is made again' in said
  assert_same_run(run.workdir, trained)


def test_killed_after_the_newest(run, capsys):
  """No checkpoint is missing, but metrics.jsonl is further."""
  with open(run.workdir / 'metrics.jsonl', 'a') as file:
    file.write('{"step": 45, "split": "train", "elbo": -1.0}\n')
  commands.evaluate(run.workdir)
  assert 'step 40 is used; it is the newest checkpoint; metrics.jsonl is further (step 45)' in capsys.readouterr().out


@pytest.mark.parametrize('index', [None, b'half'])
def test_a_first_save_that_was_killed(trained, tmp_path, index, capsys):
  """By tfvae 0.1, which leaves no saved.json, or by this one."""
  workdir = tmp_path / 'run'
  shutil.copytree(trained, workdir, ignore=shutil.ignore_patterns('checkpoints', 'eval*', 'arrays', 'train'))
  rows = (trained / 'metrics.jsonl').read_text().splitlines(keepends=True)
  (workdir / 'metrics.jsonl').write_text(''.join(rows[:2]))  # steps 1 and 10
  if index is None:
    (workdir / 'saved.json').unlink()
  else:
    (workdir / 'saved.json').write_text('{"step": 0}')
  (workdir / 'checkpoints/ckpt-10_temp').mkdir(parents=True)
  (workdir / 'checkpoints/ckpt-10.data-00000-of-00001').write_bytes(b'half')
  if index is not None:
    (workdir / 'checkpoints/ckpt-10.index').write_bytes(index)
  with pytest.raises(RunError, match='no checkpoint yet'):
    commands.evaluate(workdir)
  commands.train(short(), workdir)
  said = capsys.readouterr().out
  assert 'never finished' in said and 'training begins again at step 1' in said
  assert_same_run(workdir, trained)


def test_a_run_s_whole_life_in_a_directory_with_the_name_of_a_pattern(
  trained, classifier_run, tmp_path, monkeypatch, capsys
):
  """Training, stopped and resumed; all modes; as init_from and as the classifier of others. Neighbours are unharmed."""
  name = 'n?*[16,8]\\'
  for neighbour in ('n1', 'n18', 'n?*1'):
    shutil.copytree(trained, tmp_path / neighbour)
  shutil.copytree(classifier_run, tmp_path / f'c{name}')
  before = {path: everything(path) for path in tmp_path.iterdir()}
  monkeypatch.chdir(tmp_path)  # a relative path, as users give it
  fields = {'eval.evaluators': ('bounds', 'fid'), 'classifier.path': f'c{name}', 'eval.fid.samples': 12}
  commands.train(short(**{'train.steps': 20}), name)
  commands.train(short(**fields), name)
  assert 'at step 20' in capsys.readouterr().out
  run = Run(name)
  assert sorted(run.checkpoints.glob('*.index')) == [run.checkpoints / f'ckpt-{step}.index' for step in (30, 40)]
  numbers = commands.evaluate(name)
  assert numbers['elbo'] == pytest.approx(json.loads((trained / 'evaluation.json').read_text())['elbo'], rel=1e-6)
  assert list(commands.sample(name, {'sample.what': 'prior', 'sample.num': 2})) == ['prior']
  assert (commands.export(name) / 'model.weights.h5').stat().st_size
  monkeypatch.undo()
  monkeypatch.chdir(tmp_path)
  assert commands.report(name)
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  commands.train(short(**{'train.init_from': name, 'train.steps': 1}), f'{name}2')
  assert {path: everything(path) for path in before} == before
