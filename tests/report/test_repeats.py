"""Means over repeated runs."""

import json

import matplotlib.image
import numpy as np
import pytest

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import UserError
from tfvae.report import grid_figures, repeats
from tfvae.run.collection import collect
from tfvae.trained import Run

START = {'versions': {}}


@pytest.fixture(autouse=True)
def no_other_figures(monkeypatch):
  monkeypatch.setattr(grid_figures, 'FIGURES', {})


def leave(path, values, **fields):
  """A run with evaluations of these ELBOs, as training leaves it."""
  run = Run(path)
  path.mkdir(parents=True)
  run.begin(spec_lib.resolve(spec_lib.base(), fields), {'shape': [2]}, START)
  for i, value in enumerate(values):
    numbers = {'elbo': value, 'entropy_sum': value - 0.1, 'rate': 2.0}
    run.append_metrics(10 * i + 1, 'test', numbers, evaluation=True)
  run.write_found(20, 'test', 'bounds', {}, {'elbo': values[-1], 'rate': 2.0}, {})
  run.write_evaluation(20, 'test')
  run.close()


def test_runs_that_differ_in_their_seeds_are_one_group(tmp_path, capsys):
  for seed, last in enumerate((1.0, 2.0, 6.0)):
    leave(tmp_path / f'a{seed}', [-5.0, 0.0, last], **{'seed': seed, 'eval.num_samples': seed + 2})
  leave(tmp_path / 'b', [-5.0, 0.0, 9.0], **{'train.learning_rate': 0.5})
  named = collect(tmp_path).groups()
  assert [len(group) for group in named.values()] == [3, 1]
  assert list(named)[1] == 'train.learning_rate=0.5'
  steps, values = repeats.curve(next(iter(named.values())), 'elbo')
  assert steps.tolist() == [1, 11, 21] and values[:, -1].tolist() == [1, 2, 6]
  paths = commands.report(tmp_path)
  names = ['repeats.json', 'repeats.png', 'repeats.pdf', 'runs.csv', 'curves.csv', 'report.html']
  assert [path.name for path in paths] == names
  first, second = json.loads(paths[0].read_text()).values()
  assert first['test']['elbo'] == {'mean': 3.0, 'std': pytest.approx(np.std([1, 2, 6], ddof=1)), 'runs': 3}
  assert second['test']['elbo'] == {'mean': 9.0, 'std': None, 'runs': 1}
  assert 'elbo 3.0000 +- 2.6458 (3 runs)' in capsys.readouterr().out
  assert matplotlib.image.imread(paths[1])[..., :3].std() > 0.01


def test_one_run_is_no_repeat_of_itself(tmp_path, capsys):
  """Of two of the same seed that which got further counts; one that cannot be read is named, and the rest goes on."""
  leave(tmp_path / 'a', [0.0, 1.0])
  leave(tmp_path / 'copy', [0.0, 2.0], **{'eval.num_samples': 3})
  run = Run(tmp_path / 'copy')
  run.write_found(30, 'test', 'bounds', {}, {'elbo': 5.0}, {})
  run.write_evaluation(30, 'test')
  (tmp_path / 'broken').mkdir()
  (tmp_path / 'broken/spec.json').write_text('{"seed": ')
  leave(tmp_path / 'half', [0.0, 1.0], **{'seed': 7})
  (tmp_path / 'half/evaluation.json').write_text('null')
  numbers = json.loads(commands.report(tmp_path)[0].read_text())
  assert [of['test']['elbo'] for of in numbers.values()] == [{'mean': 5.0, 'std': None, 'runs': 1}]
  said = capsys.readouterr().out
  assert 'elbo 5.0000 (1 run: no spread)' in said and '+-' not in said
  assert f'left out: {tmp_path / "a"}: the same run as {tmp_path / "copy"}' in said
  assert (
    f'left out: {tmp_path / "broken/spec.json"}' in said and f'left out: {tmp_path / "half/evaluation.json"}' in said
  )


def test_runs_on_other_data_are_no_repeats(tmp_path):
  for name, seed, last in (('a', 0, -1.0), ('b', 0, -100.0), ('b', 1, -102.0)):
    fields = {'data.name': 'table', 'data.path': f'{name}.csv', 'seed': seed, 'eval.evaluators': ('bounds',)}
    leave(tmp_path / f'{name}{seed}', [0.0, last], **fields)
  groups = json.loads(commands.report(tmp_path)[0].read_text()).values()
  assert [of['test']['elbo']['mean'] for of in groups] == [-1.0, -101.0]


def test_groups_are_named_by_their_directories(tmp_path):
  for name, rate in (('slow', 0.1), ('fast', 0.2)):
    for seed in (0, 1):
      leave(tmp_path / name / str(seed), [0.0, 1.0], **{'seed': seed, 'train.learning_rate': rate})
  assert {name: len(group) for name, group in collect(tmp_path).groups().items()} == {
    'fast': 2,
    'slow': 2,
  }


def test_runs_that_were_not_evaluated(tmp_path):
  run = Run(tmp_path / 'a')
  run.workdir.mkdir()
  run.begin(spec_lib.resolve(spec_lib.base()), {'shape': [2]}, START)
  with pytest.raises(UserError, match='none of the runs below it has been evaluated'):
    repeats.draw(collect(tmp_path))
  assert tmp_path / 'report.html' in commands.report(tmp_path)  # which says what there is
  assert not (tmp_path / 'repeats.json').exists()
  (tmp_path / 'empty').mkdir()
  with pytest.raises(UserError, match='there is no run in it'):
    commands.report(tmp_path / 'empty')
