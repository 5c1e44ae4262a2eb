"""Grids with workers that do not train: what is skipped, resumed, listed, and what survives kills."""

import json
import os
import signal
import subprocess
import sys
import time

import fake
import pandas
import pytest
from conftest import ROOT

from tfvae.errors import RunError, SpecError, UserError
from tfvae.run.directory import Directory
from tfvae.run.lock import Lock
from tfvae.spec import grid as grid_lib
from tfvae.sweep import command
from tfvae.sweep.home import Home
from tfvae.sweep.local import Local
from tfvae.training.signals import Stopped


@pytest.fixture
def fakes(monkeypatch):
  """Says what the runs of these seeds do: fakes({1: 'dies'})."""

  def say(what):
    monkeypatch.setenv('FAKE', json.dumps({str(seed): each for seed, each in what.items()}))

  monkeypatch.delenv('FAKE', raising=False)
  return say


def states(workdir):
  kept = json.loads((workdir / 'sweep.json').read_text())
  return {point['name']: point['status'] for point in kept['points']}


def lines(workdir, name):
  return Directory(workdir / name).read_metrics()


def test_runs_are_made_and_skipped(tmp_path, fakes, capsys):
  workdir = tmp_path / 'grid'
  fake.sweep(workdir, 'seed=0,1,2', jobs=2)
  assert states(workdir) == dict.fromkeys(['seed=0', 'seed=1', 'seed=2'], 'finished')
  said = capsys.readouterr().out
  assert '[3/3]' in said and 'test elbo -1' in said and '3 of 3 runs are finished' in said
  assert len({lines(workdir, f'seed={seed}')[0]['process'] for seed in range(3)}) == 2  # a worker takes several
  assert 'said by 1' in (workdir / 'logs/seed=1.txt').read_text() and 'said by' not in said
  table = pandas.read_csv(workdir / 'results.csv')
  assert table['test/elbo'].tolist() == [0, -1, -2] and table['seed'].tolist() == [0, 1, 2]
  assert set(table['status']) == {'finished'}
  # More values, and a further field: what is there already is not made again.
  fake.sweep(workdir, 'seed=0,1,2,3')
  fake.sweep(workdir, 'seed=0,1', 'objective.beta.z1=1,2')
  assert [len(lines(workdir, f'seed={seed}')) for seed in range(4)] == [1, 1, 1, 1]
  assert list(states(workdir)) == [
    'seed=0',
    'seed=0,objective.beta.z1=2',
    'seed=1',
    'seed=1,objective.beta.z1=2',
    'seed=2',
    'seed=3',
  ]
  said = capsys.readouterr().out
  assert '2 finished before, 2 to do' in said


def test_what_fails_is_listed_while_the_rest_goes_on(tmp_path, fakes, capsys):
  workdir = tmp_path / 'grid'
  fakes({1: 'fails', 2: 'breaks', 3: 'dies', 4: 'dies once', 5: 'draws'})
  with pytest.raises(RunError, match='3 of 6 runs failed'):
    fake.sweep(workdir, 'seed=0:5:6')
  found = states(workdir)
  assert [found[f'seed={seed}'] for seed in range(6)] == ['finished', *['failed'] * 3, 'finished', 'finished']
  said = capsys.readouterr().out
  assert 'failed: seed=1: spec.seed: this one fails' in said
  assert 'failed: seed=2: ValueError: broken' in said
  assert 'failed: seed=3: its worker was killed by SIGKILL, 3 times' in said
  assert 'seed=4: its worker was killed by SIGKILL; another one goes on with it' in said
  assert len(lines(workdir, 'seed=3')) == 3 and len(lines(workdir, 'seed=4')) == len(lines(workdir, 'seed=5')) == 2
  assert 'Traceback' in (workdir / 'logs/seed=2.txt').read_text()
  fakes({})
  fake.sweep(workdir, 'seed=0:5:6')
  assert set(states(workdir).values()) == {'finished'}


def test_a_run_of_another_spec_is_told_of(tmp_path, fakes, capsys):
  workdir = tmp_path / 'grid'
  fake.sweep(workdir, 'seed=0,1')
  with pytest.raises(RunError, match='1 of 2 runs failed'):
    fake.sweep(workdir, 'seed=0,2', overrides=[('objective.beta.z1', '3')])
  assert states(workdir)['seed=2'] == 'finished'
  assert 'failed: seed=0: --workdir' in capsys.readouterr().out
  fake.sweep(workdir, 'seed=0,2', overrides=[('objective.beta.z1', '3')], overwrite=True)
  assert set(states(workdir)) == {'seed=0', 'seed=2'} and set(states(tmp_path / 'grid.1')) == {
    'seed=0',
    'seed=1',
    'seed=2',
  }


def test_data_elsewhere_are_looked_at(tmp_path, fakes):
  """Whether they are others: who trains reads them, and says so."""
  workdir, made = tmp_path / 'grid', lambda: [len(lines(tmp_path / 'grid', f'seed={seed}')) for seed in (0, 1)]
  fake.sweep(workdir, 'seed=0,1')
  there = [('data.data_dir', 'there'), ('train.log_every', '7')]
  fake.sweep(workdir, 'seed=0,1', overrides=there)
  assert made() == [2, 2]
  fake.sweep(workdir, 'seed=0,1', overrides=there)
  fake.sweep(workdir, 'seed=0,1', overrides=[there[0], ('train.log_every', '8')])
  assert made() == [2, 2]
  fakes({1: 'fails'})
  with pytest.raises(RunError, match='1 of 2 runs failed'):
    fake.sweep(workdir, 'seed=0,1', overrides=[('classifier.path', 'there')])
  assert list(states(workdir).values()) == ['finished', 'failed']


def test_a_grid_that_lost_its_file_is_set_aside(tmp_path, fakes, monkeypatch):
  workdir = tmp_path / 'grid'
  fake.sweep(workdir, 'seed=0,1')
  (workdir / 'sweep.json').unlink()
  fake.sweep(workdir, 'seed=0,1', overwrite=True)
  (workdir / 'sweep.json').write_text('{')
  fake.sweep(workdir, 'seed=0,1', overwrite=True)
  for name in ('grid', 'grid.1', 'grid.2'):
    assert len(lines(tmp_path / name, 'seed=1')) == 1
  monkeypatch.chdir(workdir)
  with pytest.raises(RunError, match='--overwrite: the grid is the current directory'):
    command.sweep(str(tmp_path / 'mine.py'), [], [('seed', '0,1')], '.', overwrite=True)
  assert set(states(workdir).values()) == {'finished'} and not (tmp_path / 'grid.3').exists()


def test_nothing_is_changed_where_nobody_can_train(tmp_path, fakes):
  class Absent(Local):
    def __enter__(self):
      raise UserError('there is no Ray')

  fake.sweep(tmp_path / 'grid', 'seed=0,1')
  absent = lambda options, home, runs: Absent(1, 1, home.workdir / 'logs', runs)
  with pytest.raises(UserError, match='no Ray'):
    command.sweep(str(tmp_path / 'mine.py'), [], [('seed', '0')], tmp_path / 'grid', True, make_executor=absent)
  assert len(states(tmp_path / 'grid')) == 2 and not (tmp_path / 'grid.1').exists()


def test_whether_a_run_is_taken(tmp_path):
  lock, run = tmp_path / 'run/lock', Lock(tmp_path / 'run')
  assert not run.is_taken() and not lock.parent.exists()
  lock.parent.mkdir()
  lock.write_text('process 1 on elsewhere\n')  # somebody reads here who had it last
  assert not run.is_taken() and lock.read_text() == 'process 1 on elsewhere\n'
  run.take()
  assert Lock(tmp_path / 'run').is_taken()
  run.let_go()
  assert not run.is_taken()


def test_the_command_of_a_run(tmp_path):
  """In full: of messages a long path is cut."""
  file = tmp_path / ('x' * 120) / ('y' * 120) / 'mine.py'
  file.parent.mkdir(parents=True)
  file.write_text(fake.SPEC)
  made = grid_lib.make(str(file), axes=[('seed', '3')])
  job = command._job(Home(tmp_path / 'grid', str(file), made), 'seed=3', made.points[0].spec, 1)
  assert job.command[job.command.index('--spec') + 1] == str(file) and job.command[-1] == '--spec.seed=3'


def test_directories_that_are_refused(tmp_path):
  (tmp_path / 'file').write_text('')
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other/notes.txt').write_text('')
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run/spec.json').write_text('{}')
  (tmp_path / 'theirs').mkdir()
  (tmp_path / 'theirs/sweep.json').write_text('{"spec": "specs/hit.py:rates", "points": []}')
  (tmp_path / 'broken').mkdir()
  (tmp_path / 'broken/sweep.json').write_text('{')
  for name, why in {
    'file': 'is a file',
    'other': 'notes.txt.*but no grid',
    'run': 'holds a run',
    'theirs': 'a grid of specs/hit.py:rates',
    'broken': 'cannot be read',
  }.items():
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(RunError, match=why):
      fake.sweep(tmp_path / name, 'seed=0,1')
    assert sorted(p for p in tmp_path.rglob('*') if p.name != 'mine.py') == [p for p in before if p.name != 'mine.py']


@pytest.mark.parametrize(
  ('flags', 'why'),
  [
    (['seed=0,1', 'jobs=0'], 'sweep.jobs: got .0.; allowed: an integer from 1'),
    (['seed=0,1', 'executor=lokal'], 'Did you mean local?'),
    (['seed=0,1', 'job=2'], 'Did you mean --sweep.jobs?'),
    (['seed=0,1', 'jobs=1', 'jobs=2'], 'sweep.jobs: is given twice'),
    (['seed=0,1', 'gpus=0.5'], 'sweep.gpus'),
    (['train.strategy=multi_worker'], 'multi_worker'),
    (['train.log_every=10,20'], 'differ only in train.log_every'),
  ],
)
def test_mistakes(tmp_path, flags, why):
  with pytest.raises(SpecError, match=why.replace('?', '.')):
    fake.sweep(tmp_path / 'grid', *flags)
  assert not (tmp_path / 'grid').exists()


def test_many_points_can_be_stopped(tmp_path, monkeypatch, capsys):
  """While they are looked at, which is told, for it takes its time."""
  seen = []

  def state(home, name, spec):
    seen.append(name)
    signal.raise_signal(signal.SIGTERM)  # which nobody ignores, as SIGINT is in the background
    return 'waiting', ''

  monkeypatch.setattr(command, 'MANY', 2)
  monkeypatch.setattr(Home, 'state', state)
  with pytest.raises(Stopped):
    fake.sweep(tmp_path / 'grid', 'seed=0,1,2')
  assert seen == ['seed=0'] and '3 points are looked at first' in capsys.readouterr().out


# Kills.


@pytest.mark.parametrize('told', [False, True])
def test_runs_are_saved_where_the_command_fails(tmp_path, fakes, monkeypatch, told):
  """Whatever ends it, and though its workers were told to stop already."""
  workdir, calls = tmp_path / 'grid', []

  def tick(display):
    if lines(workdir, 'seed=1'):
      calls.append('')
      if told and len(calls) == 1:
        signal.raise_signal(signal.SIGINT)
      else:
        raise RunError('the disk is full')

  fakes({1: 'waits'})
  monkeypatch.setattr(command.Display, 'tick', tick)
  with pytest.raises(RunError, match='the disk is full'):
    fake.sweep(workdir, 'seed=1')
  run = Directory(workdir / 'seed=1')
  assert run.saved == 2 and run.starts[-1]['end'] is not None


def until(true, process):
  end = time.monotonic() + 60
  while not true():
    assert time.monotonic() < end and process.poll() is None
    time.sleep(0.02)


def begin(workdir, *flags, lines_there=0):
  """The command in a process of its own, when its first run, which has so many lines, waits."""
  environment = os.environ | {'PYTHONPATH': str(ROOT), 'FAKE': '{"1": "waits"}'}
  process = subprocess.Popen(
    [sys.executable, fake.__file__, 'parent', workdir, *flags],
    env=environment,
    stdout=subprocess.PIPE,
    text=True,
    preexec_fn=fake.hear_ctrl_c,
  )
  try:
    until(lambda: len(lines(workdir, 'seed=1')) > lines_there, process)
  except BaseException:
    process.kill()
    raise
  return process


def test_stopped_and_killed(tmp_path, fakes):
  """Ctrl-C, SIGTERM, and kill -9 of the command, one after the other; each time the same command goes on."""
  workdir, run = tmp_path / 'grid', Directory(tmp_path / 'grid/seed=1')
  for again, number in enumerate([signal.SIGINT, signal.SIGTERM]):
    with begin(workdir, 'seed=0:3:4', lines_there=again) as process:
      process.send_signal(number)
      said = process.communicate()[0]
    assert process.returncode == 128 + number and 'the same command goes on' in said.splitlines()[-1]
    assert list(states(workdir).values()) == ['finished', 'interrupted', 'waiting', 'waiting']
    assert run.saved == 2
    run.record_saved(1)
  with begin(workdir, 'seed=0:3:4', lines_there=2) as process:
    process.kill()
  # Its worker saves and ends by itself, and the same command finds no locked run.
  fake.sweep(workdir, 'seed=0:3:4')
  assert set(states(workdir).values()) == {'finished'} and run.saved == 2
  assert len(lines(workdir, 'seed=0')) == 1 and len(lines(workdir, 'seed=1')) == 4


def test_a_second_signal_kills(tmp_path, fakes):
  workdir = tmp_path / 'grid'
  with begin(workdir, 'seed=1') as process:
    worker = lines(workdir, 'seed=1')[0]['process']
    os.kill(worker, signal.SIGSTOP)  # it does not hear the first one
    process.send_signal(signal.SIGINT)
    until(lambda: 'stopping' in process.stdout.readline(), process)
    process.send_signal(signal.SIGINT)
    process.communicate()
  assert process.returncode == 130
  with pytest.raises(ProcessLookupError):
    os.kill(worker, 0)
