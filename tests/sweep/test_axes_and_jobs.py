"""What a grid consists of: options, the queue, what workers are given, what is shown. No process is started."""

import errno
import functools
import importlib.util
import json
import os
import sys
import types

import pytest
from conftest import ROOT

from tfvae.errors import SpecError, UserError
from tfvae.run.directory import Directory
from tfvae.spec import grid
from tfvae.sweep import command, display, jobs, local, on_ray, options, worker


def test_options():
  flags = [('jobs', '3'), ('seed', '0,1'), ('zip', 'a,b'), ('threads', '2'), ('zip', 'c,d')]
  assert options.split(flags) == (options.Options('local', 3, 2), [('seed', '0,1')], ['a,b', 'c,d'])
  assert options.split([('executor', 'ray'), ('gpus', '0.25')])[0].gpus == 0.25
  for name, text, why in (
    ('jobs', 'many', 'an integer'),
    ('threads', '5000', 'to 4096'),
    ('gpus', '1.5', 'a share'),
    ('executor', 'rai', 'Did you mean ray'),
  ):
    with pytest.raises(SpecError, match=why):
      options.split([(name, text)])
  with pytest.raises(SpecError, match=r'sweep\.jobs: is not for'):
    options.split([('executor', 'ray'), ('jobs', '2')])


def test_ray_without_the_extra(monkeypatch, tmp_path):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match=r'pip install -e "\.\[sweep\]"'):
    command.sweep(str(ROOT / 'specs/hit.py'), [], [('executor', 'ray')], tmp_path / 'grid')
  assert not list(tmp_path.iterdir())
  monkeypatch.undo()
  monkeypatch.setenv('RAY_ADDRESS', 'host1:6379')
  if importlib.util.find_spec('ray'):
    assert str(on_ray.OnRay(2, 0.5)) == 'ray at host1:6379, 2 threads and 0.5 GPUs a run'


@pytest.fixture
def ray_is_there(monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
  monkeypatch.delenv('RAY_ADDRESS', raising=False)


@pytest.mark.parametrize(
  ('machines', 'threads', 'gpus', 'enough'),
  [
    ([{'CPU': 4.0}, {'CPU': 4.0}], 4, 0, True),
    ([{'CPU': 4.0}, {'CPU': 4.0}], 6, 0, False),  # all in all there are 8
    ([{'CPU': 4.0, 'GPU': 1.0}, {'CPU': 4.0, 'GPU': 1.0}], 1, 2, False),
    ([{'CPU': 4.0, 'GPU': 1.0}, {'CPU': 16.0}], 8, 0.25, False),
    ([{'CPU': 4.0, 'GPU': 1.0}, {'CPU': 16.0}], 4, 0.25, True),
    ([], 1, 0, False),
  ],
)
def test_ray_has_a_machine_for_a_run(ray_is_there, machines, threads, gpus, enough):
  executor = on_ray.OnRay(threads, gpus)
  if enough:
    executor._require(machines)
  else:
    with pytest.raises(UserError, match='no machine of Ray on this machine has as many'):
      executor._require(machines)


def test_what_tasks_of_ray_are_given(ray_is_there, monkeypatch, tmp_path):
  given = {}
  ray = types.SimpleNamespace(init=lambda address, **more: given.update(more))
  monkeypatch.setenv('RAY_USAGE_STATS_ENABLED', '1')
  monkeypatch.chdir(tmp_path)
  for data, expected in (('data', str(tmp_path / 'data')), ('/data', '/data'), ('gs://data', 'gs://data'), ('', None)):
    monkeypatch.setenv('TFDS_DATA_DIR', data)
    on_ray.OnRay(3, 0)._connect(ray)
    variables = given['runtime_env']['env_vars']
    assert variables.get('TFDS_DATA_DIR') == expected and variables['OMP_NUM_THREADS'] == '3'


@pytest.mark.parametrize('address', ['127.0.0.1:1', 'ray://127.0.0.1:1', '127.0.0.1:99999'])
def test_nobody_answers_where_ray_should_be(ray_is_there, monkeypatch, address):
  monkeypatch.setenv('RAY_ADDRESS', address)
  ray = types.SimpleNamespace(init=lambda *args, **more: pytest.fail('waits for many minutes'))
  with pytest.raises(UserError, match=rf'there is no Ray at {address} \('):
    on_ray.OnRay(1, 0)._connect(ray)


def test_nothing_is_kept_of_a_run_that_broke(monkeypatch):
  monkeypatch.setattr(worker, '_kept', functools.cache(object))
  before = worker._kept()
  for broken in (False, True):
    monkeypatch.setattr(worker, 'perform', lambda job, train, broken=broken: {'broken': broken})
    on_ray._perform(job('a', 'a').to_json())
    assert (worker._kept() is before) is not broken


def test_the_default_directory():
  one = [('objective.beta.z2', '2'), ('objective.beta.z1', '1')]
  of = lambda own, *axes: str(command.default_workdir(grid.make(ROOT / 'specs/hit.py', own, [*one, *axes])))
  assert of([]) == of([], ('seed', '1,2')) == of([('train.steps', '5'), ('eval.num_samples', '7')]) == 'runs/hit-sweep'
  assert of([('train.ema', '0.90'), ('seed', '3')]) == 'runs/hit-sweep,seed=3,train.ema=0.9'
  assert of([('seed', '3')], ('train.ema', '0,0.9')) == 'runs/hit-sweep,seed=3'


def job(name, key, log='log'):
  return jobs.Job(name, 'w', log, '{}', ('s', 's.py', '', {}), (), '/', key)


def test_jobs_that_share_a_step_follow_each_other():
  queue = local.Queue([job('a1', 'a'), job('b1', 'b'), job('a2', 'a'), job('b2', 'b'), job('b3', 'b'), job('c1', 'c')])
  first = queue.take(None, [None])
  second = queue.take(None, [first.step_key, None])
  assert (first.name, second.name) == ('b1', 'a1')  # the most first, and not where another one is
  assert queue.take('a', ['b']).name == 'a2'
  assert queue.take('a', ['b']).name == 'c1'
  assert queue.take('c', ['b']).name == 'b2'  # nothing else is left
  queue.put_back(second)
  assert len(queue) == 2 and queue.take('b', ['c']).name == 'b3' and queue.take('b', ['c']).name == 'a1'
  assert jobs.Job.from_json(second.to_json()) == jobs.Job(*json.loads(second.to_json()))


def test_what_workers_are_given(monkeypatch, tmp_path):
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
  monkeypatch.setattr(local, 'gpus', lambda: [])
  cores = len(os.sched_getaffinity(0))
  assert (local.Local(0, 0, tmp_path, 99).jobs, local.Local(0, 0, tmp_path, 1).threads) == (min(cores, 99), cores)
  alone = local.Local(2, 3, tmp_path, 9).variables(0)
  assert alone['TF_NUM_INTRAOP_THREADS'] == alone['OMP_NUM_THREADS'] == '3' and 'CUDA_VISIBLE_DEVICES' not in alone
  assert alone['PYTHONPATH'].split(os.pathsep)[0] == str(ROOT)
  monkeypatch.setattr(local, 'gpus', lambda: ['0', '2', '5'])
  seen = lambda jobs: [local.Local(jobs, 1, tmp_path, 9).variables(n)['CUDA_VISIBLE_DEVICES'] for n in range(jobs)]
  assert seen(2) == ['0,5', '2'] and seen(3) == ['0', '2', '5'] and seen(5) == ['0', '2', '5', '0', '2']
  assert local.Local(0, 1, tmp_path, 9).jobs == 3
  monkeypatch.undo()
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '1, 3')
  assert local.gpus() == ['1', '3']
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
  assert local.gpus() == []


def test_how_far_a_run_is(tmp_path):
  run = Directory(tmp_path)
  assert display.course(run, 10) == (0, 10, '')
  for step in range(1, 3000):
    run.append_metrics(step, 'train', {'loss': 2.0, 'elbo': -step / 2, 'rate/z1': 1.0})
  with open(tmp_path / 'metrics.jsonl', 'a') as file:
    file.write('{"step": 3000, "elb')  # being written
  assert display.course(run, 6000) == (2999, 6000, 'elbo -1500')
  assert display.main_number({'loss': 1.0}) == 'loss 1' and display.main_number({'x': 1.0}) == ''


def test_the_time_that_is_left(monkeypatch, capsys):
  now, shares = [100.0], {'a': 50, 'b': 0}
  monkeypatch.setattr(display.time, 'monotonic', lambda: now[0])
  with display.Display(5, 1, 0, lambda name: display.Course(shares[name], 100, '')) as shown:
    for name in shares:
      shown.begins(name)
    now[0], shares['a'], shares['b'] = 160.0, 100, 50
    shown.ends('a', 'finished', 'test elbo -1', 60.0)  # one run's worth in a minute, and two and a half are left
    shown.ends('b', 'failed', 'failed: why', 60.0)
  assert capsys.readouterr().out.splitlines() == [
    '[2/5] a  60 s  test elbo -1; 3 left, about 2 min',
    '[3/5] b  failed: why; 2 left, about 80 s',
  ]
  assert [display.duration(seconds) for seconds in (0.2, 89, 150, 7260)] == ['0 s', '89 s', '2 min', '2 h 1 min']


def test_a_terminal_that_has_gone(monkeypatch):
  """The runs are saved before anybody is told."""

  class Gone:
    def isatty(self):
      return False

    def write(self, text):
      raise OSError(errno.EIO, 'no terminal')

    flush = write

  monkeypatch.setattr(sys, 'stdout', Gone())
  with display.Display(2, 0, 0, lambda name: display.Course(0, 1, '')) as shown:
    shown.begins('a')
    shown.say('stopping')
    shown.ends('a', 'finished', '', 1.0)
  assert shown.finished == 1


def test_flags(launch, tmp_path):
  for flags, why in {
    ('--spec', 'hit', '--sweep.seed=1,2'): 'error: --sweep.seed: is for --mode=sweep, got --mode=train',
    ('--mode=sweep', '--sweep.seed=1,2', '--workdir=a'): 'error: --mode=sweep: give --spec, a spec file',
  }.items():
    done = launch(*flags)
    assert done.returncode == 1 and done.stderr.startswith(why) and 'Traceback' not in done.stderr
  assert not list(tmp_path.iterdir())
