"""The runs below a directory."""

import json
import os
import platform
import shutil
import subprocess
import sys

import grids
import pytest

from tfvae.errors import RunError
from tfvae.run import files
from tfvae.run.collection import Entry, collect, usable


def edit(path, **values):
  """Changes top-level values of a JSON file."""
  path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_grid(tmp_path):
  names = grids.leave_grid(tmp_path, seeds=(0, 1))
  found = collect(tmp_path)
  assert {run.name for run in found.runs} == set(names) and len(names) == 12 and not found.problems
  assert found.differing == ['seed', 'objective.beta.z2', 'objective.beta.z1'] and found.splits == ['test']
  run = found.runs[0]
  assert (run.status, run.step, run.steps, run.message, run.aside) == ('finished', 1000, 1000, '', False)
  assert run.fields['objective.beta.z2'] == 0.5 and run.changed['objective.beta.z2'] == 0.5
  assert run.fields['model.layers'] == ('z2', 'z1') and 'model.layers' not in run.changed
  assert run.numbers['test'] == grids.outcome(0.5, 1.0, 0) and run.command.startswith('python launch.py')
  assert run.metrics['test']['rate/z2'].shape == (3,)
  groups = found.groups()
  assert len(groups) == 6 and all(len(group) == 2 for group in groups.values())
  assert next(iter(groups)) == 'objective.beta.z2=0.5, objective.beta.z1=1.0'
  assert found.directory == tmp_path and not found.alone


def test_fields_are_those_of_the_spec(tmp_path):
  """As `Directory.spec` has them, old names and absent fields too."""
  path = grids.leave_run(tmp_path / 'a', **{'train.learning_rate': 1})
  tree = json.loads((path / 'spec.json').read_text())
  del tree['train']['ema'], tree['study']
  tree['eval']['limiting_steps'] = 77
  del tree['eval']['limiting']
  (path / 'spec.json').write_text(json.dumps(tree))
  from tfvae import spec as spec_lib
  from tfvae.spec.fields.field import flatten

  run = collect(tmp_path).runs[0]
  assert run.fields == flatten(run.directory.read_spec().to_dict()) and run.fields['eval.limiting.steps'] == 77
  assert isinstance(run.fields['train.learning_rate'], float)
  assert run.changed == spec_lib.changed(run.directory.read_spec())


def test_wherever_they_are(tmp_path):
  """Itself; nested; not in a run's own folder, hidden, or twice through a link; numbers in names in order."""
  grids.leave_run(tmp_path / 'deep/er/beta=10')
  grids.leave_run(tmp_path / 'deep/er/beta=2', **{'seed': 1})
  grids.leave_run(tmp_path / 'other', **{'seed': 2})
  grids.leave_run(tmp_path / 'other/inside', **{'seed': 3})
  grids.leave_run(tmp_path / '.hidden', **{'seed': 4})
  (tmp_path / 'deep/loop').symlink_to(tmp_path)
  found = collect(tmp_path)
  assert [run.name for run in found.runs] == ['deep/er/beta=2', 'deep/er/beta=10', 'other']
  own = collect(tmp_path / 'other')
  assert own.alone and [run.name for run in own.runs] == ['other'] and own.differing == []


def test_status(tmp_path):
  for name in ('finished', 'interrupted', 'begun', 'failed', 'running', 'earlier'):
    grids.leave_run(tmp_path / name, **{'train.learning_rate': 0.1 + len(name)})
  start = {'begin': '2026-01-01T00:00:00+00:00', 'end': None, 'outcome': None, 'versions': {}}
  for name in ('interrupted', 'begun', 'failed', 'running'):
    (tmp_path / name / 'evaluation.json').unlink()
    shutil.rmtree(tmp_path / name / 'evaluations')
    (tmp_path / name / 'environment.json').write_text(json.dumps({'starts': [start]}))
    (tmp_path / name / 'lock').write_text(f'process {2**22 + 1} on {platform.node()}\n')  # above any process
    edit(tmp_path / name / 'saved.json', step=300)
  edit(tmp_path / 'begun/saved.json', step=0)
  (tmp_path / 'running/lock').write_text(f'process {os.getpid()} on {platform.node()}\n')
  ended = start | {'end': '2026-01-01T00:01:00+00:00', 'outcome': 'spec.data.path: there is no such file'}
  (tmp_path / 'failed/environment.json').write_text(json.dumps({'starts': [ended]}))
  edit(tmp_path / 'earlier/evaluation.json', step=500)  # --mode=evaluate --spec.eval.checkpoint=500
  found = {run.name: run for run in collect(tmp_path).runs}
  assert {name: run.status for name, run in found.items()} == {name: name for name in found} | {'earlier': 'finished'}
  assert found['failed'].message == 'spec.data.path: there is no such file'
  assert [found[name].step for name in ('begun', 'interrupted', 'earlier')] == [0, 300, 1000]


def test_a_run_on_another_machine(tmp_path):
  """Nothing here tells whether its process lives: it is running where its grid says so, else interrupted."""
  names = grids.leave_grid(tmp_path)
  for name, host in zip(names, ('elsewhere', 'elsewhere', platform.node()), strict=False):
    (tmp_path / name / 'evaluation.json').unlink()
    shutil.rmtree(tmp_path / name / 'evaluations')
    (tmp_path / name / 'environment.json').write_text(json.dumps({'starts': [{'end': None, 'outcome': None}]}))
    (tmp_path / name / 'lock').write_text(f'process {2**22 + 1} on {host}\n')  # above any process
  sweep = json.loads((tmp_path / 'sweep.json').read_text())
  for i in (0, 2):
    sweep['points'][i]['status'] = 'running'
  (tmp_path / 'sweep.json').write_text(json.dumps(sweep))
  assert [run.status for run in collect(tmp_path).runs[:3]] == ['running', 'interrupted', 'interrupted']


def test_what_a_grid_says(tmp_path):
  """Failed points and those that have no run; without sweep.json, or with a damaged one, the runs alone tell."""
  names = grids.leave_grid(tmp_path)
  (tmp_path / names[0] / 'evaluation.json').unlink()
  shutil.rmtree(tmp_path / names[0] / 'evaluations')
  shutil.rmtree(tmp_path / names[1])
  shutil.rmtree(tmp_path / names[2])
  sweep = json.loads((tmp_path / 'sweep.json').read_text())
  sweep['points'][0] |= {'status': 'failed', 'message': 'no memory'}
  sweep['points'][1] |= {'status': 'failed', 'message': 'no data'}
  sweep['points'][2] |= {'status': 'running'}
  (tmp_path / 'sweep.json').write_text(json.dumps(sweep))
  found = collect(tmp_path)
  assert (found.runs[0].status, found.runs[0].message) == ('failed', 'no memory') and len(found.runs) == 4
  assert [(p.name, p.status, p.message) for p in found.absent] == [
    (names[1], 'failed', 'no data'),
    (names[2], 'waiting', ''),
  ]
  (tmp_path / 'sweep.json').write_text('{"points": 3}')
  found = collect(tmp_path)
  assert found.runs[0].status == 'interrupted' and not found.absent and 'no points' in found.problems[0]


def test_runs_that_were_set_aside(tmp_path):
  """a.1 beside a, not the value 1.1 beside 1."""
  grids.leave_run(tmp_path / 'a', **{'train.learning_rate': 0.5})
  grids.leave_run(tmp_path / 'a.1')
  for value in (1.0, 1.1, 1.5):
    name = f'objective.beta.z2={value:g}'
    grids.leave_run(tmp_path / name, **{'objective.beta.z2': value, 'seed': 9})
  grids.leave_run(tmp_path / 'v0.1', **{'seed': 10})
  found = collect(tmp_path)
  assert [run.name for run in found.runs if run.aside] == ['a.1'] and len(found.runs) == 6


def test_damaged_runs_are_told_of_and_left_out(tmp_path, monkeypatch):
  names = grids.leave_grid(tmp_path, {'objective.beta.z2': (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)}, sweep=False)
  (tmp_path / names[0] / 'spec.json').write_text('{"seed": ')
  (tmp_path / names[1] / 'evaluation.json').write_text('null')
  tree = json.loads((tmp_path / names[2] / 'spec.json').read_text())
  (tmp_path / names[2] / 'spec.json').write_text(json.dumps(tree | {'seed': [1]}))
  for name in ('environment.json', 'saved.json', 'metrics.jsonl'):  # are for what can be done without
    (tmp_path / names[3] / name).write_text('\0')
  own = Entry.__init__

  def vanishes(self, directory, name):
    if name == names[4]:
      shutil.rmtree(tmp_path / name)
    own(self, directory, name)

  monkeypatch.setattr(Entry, '__init__', vanishes)
  found = collect(tmp_path)
  assert [run.name for run in found.runs] == [names[3], names[5]] and len(found.problems) == 4
  for name, why in zip(names[:3], ('not a spec', 'no object', 'spec.seed: got [1]'), strict=True):
    assert any(name in problem and why in problem for problem in found.problems), why
  assert any(names[4] in problem and 'vanished' in problem for problem in found.problems)


def test_a_directory_without_runs(tmp_path):
  (tmp_path / 'logs/train').mkdir(parents=True)
  (tmp_path / 'logs/train/events.out.tfevents.1').touch()
  (tmp_path / 'notes.txt').touch()
  with pytest.raises(RunError, match=r'no spec.json.*1 file, 1 folder \(logs, notes.txt\); event files of TensorBoard'):
    collect(tmp_path)
  with pytest.raises(RunError, match='is a file'):
    collect(tmp_path / 'notes.txt')
  with pytest.raises(RunError, match='no such directory'):
    collect(tmp_path / 'nothing')
  (tmp_path / 'broken').mkdir()
  (tmp_path / 'broken/spec.json').write_text('[]')
  with pytest.raises(RunError, match=r'no run in it can be read.*broken/spec.json: not a spec') as told:
    collect(tmp_path)
  assert len(str(told.value)) <= 400


def test_the_same_run_twice_counts_once(tmp_path):
  for name, step in (('a', 1000), ('b', 1000), ('c', 1000)):
    grids.leave_run(tmp_path / name, **{'eval.num_samples': ord(name[0]), 'seed': 0 if name != 'c' else 1})
    edit(tmp_path / name / 'evaluation.json', step=step + (name == 'b'))
  chosen, problems = usable(collect(tmp_path).runs)
  assert [run.name for run in chosen] == ['b', 'c'] and str(tmp_path / 'a') in problems[0]


def test_without_tensorflow_and_each_file_once(tmp_path, monkeypatch):
  grids.leave_grid(tmp_path, sweep=False)
  code = 'import sys, tfvae.run.collection as c; print(len(c.collect(sys.argv[1]).runs), "tensorflow" in sys.modules)'
  said = subprocess.run([sys.executable, '-c', code, str(tmp_path)], capture_output=True, text=True, check=True).stdout
  assert said.split() == ['6', 'False']
  opened, own = [], files.opened
  monkeypatch.setattr(files, 'opened', lambda path, *flags: opened.append(path) or own(path, *flags))
  collect(tmp_path)
  assert len(opened) == len(set(opened)) and not any('metrics' in path.name for path in opened)
