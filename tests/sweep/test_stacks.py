"""Stacks of runs: how they are made up, and what becomes of each run in one; with workers that do not train."""

import fake
import pytest
from test_sweep import fakes, states  # noqa: F401

from tfvae.errors import RunError, SpecError
from tfvae.sweep import command
from tfvae.sweep.jobs import Job, Stack
from tfvae.sweep.stacked import MOST_MEMBERS, stacks


def jobs(*keys):
  return [Job(f'{place}', '', '', '{}', ('', '', '', {}), (), '', key) for place, key in enumerate(keys)]


def test_stacks_are_of_one_program_and_for_each_worker_one():
  sizes = lambda keys, workers: [len(stack.jobs) for stack in stacks(jobs(*keys), workers)]
  assert sizes('aaaaa', 2) == [2, 3] and sizes('aaaaa', 1) == [5] and sizes('a', 4) == [1]
  assert sizes('aaabbb', 2) == [3, 3] and sizes('abab', 4) == [1, 1, 1, 1]
  assert sizes('a' * (2 * MOST_MEMBERS + 1), 1) == [43, 43, 43]
  for stack in stacks(jobs(*'abcabca'), 2):
    assert len({job.step_key for job in stack.jobs}) == 1
    assert Stack.from_json(stack.to_json()).names == stack.names
  assert stack.without(stack.names[0]).names == stack.names[1:] and stacks(jobs('a'), 1)[0].without('0') is None


def test_what_becomes_of_the_runs_of_a_stack(tmp_path, fakes, capsys):  # noqa: F811
  workdir = tmp_path / 'grid'
  fakes({1: 'fails', 2: 'dies once', 4: 'dies'})
  with pytest.raises(RunError, match='2 of 6 runs failed'):
    fake.sweep(workdir, 'seed=0,1,2,3,4,5', stacked=True)
  # When workers die again and again, each run is tried alone: those beside it do not fail with it.
  assert states(workdir) == {f'seed={seed}': 'failed' if seed in (1, 4) else 'finished' for seed in range(6)}
  said = capsys.readouterr().out
  assert 'and says why' in said and 'was killed by SIGKILL, 3 times' in said
  assert 'said by 1' in (workdir / 'logs/seed=1.txt').read_text()
  assert 'said by 2' not in (workdir / 'logs/seed=1.txt').read_text()


def test_refused_before_anything_begins(tmp_path):
  with pytest.raises(SpecError, match=r'spec\.decoder\.net\.kind: got conv, but convolutions do not pay in a stack'):
    command.sweep('specs/hit.py:digits', (), [('seed', '0,1'), ('executor', 'stacked')], tmp_path / 'grid')
  assert not list(tmp_path.iterdir())
