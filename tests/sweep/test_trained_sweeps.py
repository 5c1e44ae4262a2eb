"""Grids that are really trained: by worker processes and by Ray, to the bits of single commands, and through kills."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time

import fake
import pytest
from conftest import ROOT, command

from tfvae.run.directory import Directory
from tfvae.run.lock import is_alive

SMALL = ['--spec', 'aevb', '--spec.data.batch_size=50', '--spec.eval.evaluators=bounds', '--spec.train.compile=graph']
EXECUTORS = [
  'local',
  pytest.param('ray', marks=pytest.mark.skipif(importlib.util.find_spec('ray') is None, reason='Ray is absent')),
]


def grid(workdir, executor, steps, *flags, jobs=2):
  own = [f'--sweep.jobs={jobs}'] if executor == 'local' else []
  flags = [f'--spec.train.steps={steps}', '--sweep.threads=1', f'--sweep.executor={executor}', *own, *flags]
  return command('--mode=sweep', '--workdir', workdir, *SMALL, *flags)


def statuses(workdir):
  kept = json.loads((workdir / 'sweep.json').read_text())
  return [point['status'] for point in kept['points']]


def until(true, process, seconds=180):
  end = time.monotonic() + seconds
  while not true():
    assert process.poll() is None and time.monotonic() < end
    time.sleep(0.05)


def test_a_grid_is_trained(tmp_path):
  done = subprocess.run(grid(tmp_path / 'grid', 'local', 4, '--sweep.seed=0,1', jobs=1), capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  assert statuses(tmp_path / 'grid') == ['finished'] * 2
  assert '[2/2] seed=1' in done.stdout and 'test elbo' in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize('executor', EXECUTORS)
def test_the_bits_of_single_commands(executor, tmp_path):
  """With as many threads."""
  done = subprocess.run(grid(tmp_path / 'grid', executor, 30, '--sweep.seed=0,1,2'), capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  run = Directory(tmp_path / 'grid/seed=2')
  (start,) = run.starts
  assert start['command'].startswith('OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 python ')
  again = start['command'].replace(str(run.workdir), str(tmp_path / 'alone')).replace('python ', f'{sys.executable} ')
  subprocess.run(again, shell=True, check=True, cwd=ROOT, capture_output=True)
  alone = Directory(tmp_path / 'alone')
  assert (run.workdir / 'evaluation.json').read_bytes() == (alone.workdir / 'evaluation.json').read_bytes()
  rates = ('steps_per_second', 'examples_per_second')
  rows = [[{k: v for k, v in row.items() if k not in rates} for row in r.read_metrics()] for r in (run, alone)]
  assert rows[0] == rows[1]


@pytest.mark.slow
@pytest.mark.parametrize('executor', EXECUTORS)
def test_a_worker_is_killed(executor, tmp_path):
  """Its run goes on with another one."""
  flags = ['--sweep.seed=0,1', '--spec.train.checkpoint_every=20', '--spec.train.log_every=20']
  with subprocess.Popen(
    grid(tmp_path / 'grid', executor, 3000, *flags), stdout=subprocess.PIPE, text=True, start_new_session=True
  ) as process:
    try:
      run = Directory(tmp_path / 'grid/seed=1')
      until(lambda: run.exists() and run.saved, process)
      assert is_alive(run.workdir)
      pid = int(re.search(r'process (\d+)', (run.workdir / 'lock').read_text())[1])
      assert pid != process.pid
      os.kill(pid, signal.SIGKILL)
      said = process.communicate(timeout=400)[0]
    finally:
      if process.poll() is None:
        process.kill()
  assert process.returncode == 0, said
  assert statuses(tmp_path / 'grid') == ['finished'] * 2
  assert 'Resumed' in (tmp_path / 'grid/logs/seed=1.txt').read_text()
  assert len(run.starts) == 2 and len(Directory(tmp_path / 'grid/seed=0').starts) == 1


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize('executor', EXECUTORS)
def test_the_command_is_stopped_or_killed(executor, number, tmp_path):
  """Workers save (or, of Ray's that was killed, end), and the same command goes on; what is finished stays."""
  argv = grid(tmp_path / 'grid', executor, 20_000, '--sweep.seed=0,1', '--spec.train.checkpoint_every=500')
  with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=fake.hear_ctrl_c) as process:
    runs = [Directory(tmp_path / f'grid/seed={seed}') for seed in (0, 1)]
    until(lambda: all(run.exists() and run.saved for run in runs), process)
    process.send_signal(number)
    said = process.communicate(timeout=120)[0]
  if number != signal.SIGKILL:
    assert process.returncode == 128 + number, said
    assert 'the same command goes on' in said.splitlines()[-1] and set(statuses(tmp_path / 'grid')) == {'interrupted'}
  steps = [run.saved for run in runs]
  done = subprocess.run(argv, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  assert set(statuses(tmp_path / 'grid')) == {'finished'} and min(steps) >= 500
  assert all('Resumed' in (tmp_path / f'grid/logs/seed={seed}.txt').read_text() for seed in (0, 1))
