"""Runs as a table: results.csv and data frames."""

import shutil
import subprocess
import sys

import grids
import numpy as np
import pandas
import pytest

import tfvae
from tfvae.errors import RunError
from tfvae.run import results
from tfvae.run.collection import collect


def test_pandas_reads_it_in_one_line(tmp_path):
  """And has what load_runs gives: types, names, values to the last bit."""
  names = grids.leave_grid(tmp_path, seeds=(0, 1), **{'eval.num_samples': 7})
  path = results.write(collect(tmp_path))
  read, loaded = pandas.read_csv(path, index_col='run'), tfvae.load_runs(tmp_path)
  assert path == tmp_path / 'results.csv' and sorted(read.index) == sorted(names)
  assert list(read.columns[:6]) == ['status', 'message', 'step', 'seed', 'objective.beta.z2', 'objective.beta.z1']
  pandas.testing.assert_frame_equal(read.drop(columns='message'), loaded.drop(columns='message'), check_exact=True)
  row = loaded.loc[names[0]]
  assert row['test/elbo'] == grids.outcome(0.5, 1.0)['elbo'] and row['status'] == 'finished'
  assert loaded.dtypes['seed'] == np.int64 and loaded.dtypes['objective.beta.z2'] == np.float64
  means = loaded.groupby('objective.beta.z2')['test/rate/z2'].mean()
  assert means.is_monotonic_decreasing and len(means) == 3


def test_what_runs_lack(tmp_path):
  """NaN; texts as flags write them; a message on one line; points of a grid without a run; other splits after it."""
  names = grids.leave_grid(tmp_path)
  (tmp_path / names[0] / 'evaluation.json').write_text('{"step": 1000, "split": "test", "elbo": 1.5, "rate": NaN}')
  (tmp_path / names[1] / 'evaluation-train.json').write_text(
    '{"step": 1000, "split": "train", "elbo": 2, "encoder_entropy/z1/0": 1.0}'
  )
  shutil.rmtree(tmp_path / names[2])
  text = (tmp_path / 'sweep.json').read_text()
  at = text.index(names[2])
  tail = text[at:].replace('"finished", "message": ""', '"failed", "message": "a,\\n\\"b\\""', 1)
  (tmp_path / 'sweep.json').write_text(text[:at] + tail)
  grids.leave_run(tmp_path / 'other', **{'model.z1.encoder.hidden': [8, 4], 'data.shuffle': False} | {'seed': 3})
  collection = collect(tmp_path)
  read, loaded = pandas.read_csv(results.write(collection), index_col='run'), tfvae.load_runs(tmp_path)
  for frame in (read, loaded):
    assert (
      frame.loc[names[0], 'test/elbo'] == 1.5
      and np.isnan(frame.loc[names[0], ['test/rate', 'test/mse']].astype(float)).all()
    )
    assert frame.loc['other', 'model.z1.encoder.hidden'] == '8,4' and frame.loc[names[1], 'train/elbo'] == 2
    assert tuple(frame.loc[names[2], ['status', 'message']]) == ('failed', 'a, "b"') and len(frame) == 7
    assert 'train/encoder_entropy/z1/0' not in frame and frame.columns[-1] == 'train/elbo'
  assert 'train/encoder_entropy/z1/0' in results.table(collection, every=True)[0]


def test_numbers_of_an_earlier_step(tmp_path):
  """After --mode=evaluate --spec.eval.checkpoint=500 they are told from those of the last step."""
  names = grids.leave_grid(tmp_path)
  assert 'test/step' not in results.table(collect(tmp_path))[0]
  path = tmp_path / names[1] / 'evaluation.json'
  path.write_text(path.read_text().replace('"step": 1000', '"step": 500'))
  frame = tfvae.load_runs(tmp_path)
  assert frame.loc[names[0], ['step', 'test/step']].tolist() == [1000, 1000]
  assert frame.loc[names[1], ['step', 'test/step']].tolist() == [1000, 500] and frame.dtypes['test/step'] == np.int64


def test_curves(tmp_path, capsys):
  names = grids.leave_grid(tmp_path, rows=4)
  (tmp_path / names[1] / 'metrics.jsonl').unlink()
  (tmp_path / names[1] / 'metrics.jsonl').mkdir()
  frame = tfvae.load_runs(tmp_path, curves=True)
  assert set(frame.index) == set(names) - {names[1]} and names[1] in capsys.readouterr().out
  own = frame.loc[names[0]]
  assert list(own['split']) == ['train'] * 4 + ['test'] * 2 and list(own['step'][:4]) == [250, 500, 750, 1000]
  assert own['elbo'].iloc[3] == grids.outcome(0.5, 1.0)['elbo'] and frame.dtypes['step'] == np.int64
  assert {'objective.beta.z2', 'objective.beta.z1', 'rate/z2'} <= set(frame.columns) and len(
    frame.attrs['problems']
  ) == 1


def test_without_runs_and_without_tensorflow(tmp_path):
  with pytest.raises(RunError, match='there is no run in it'):
    tfvae.load_runs(tmp_path)
  grids.leave_grid(tmp_path)
  code = 'import sys, tfvae; print(len(tfvae.load_runs(sys.argv[1])), "tensorflow" in sys.modules)'
  said = subprocess.run([sys.executable, '-c', code, str(tmp_path)], capture_output=True, text=True, check=True).stdout
  assert said.split() == ['6', 'False']


def test_where_it_cannot_be_written(tmp_path):
  grids.leave_grid(tmp_path)
  (tmp_path / 'results.csv').mkdir()
  with pytest.raises(RunError, match='cannot be written'):
    results.write(collect(tmp_path))
