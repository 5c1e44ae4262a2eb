"""--mode=compare."""

import json
import math
import shutil

import grids
import pytest

from tfvae import commands
from tfvae.errors import RunError
from tfvae.report import compare


def two(tmp_path):
  for name, z2 in (('a', 1.0), ('b', 2.0)):
    grids.leave_run(tmp_path / name, **{'objective.beta.z2': z2, 'eval.every': 10 if z2 == 1 else 20})
  return f'{tmp_path / "a"},b'


def cells(lines, name):
  """The cells of a row."""
  row = next(line for line in lines if line.startswith(f'{name} '))
  return [cell.strip() for cell in row[len(name) :].split('  ') if cell.strip()]


def test_two_runs(tmp_path, capsys):
  lines = commands.compare(two(tmp_path))
  assert '\n'.join(lines) in capsys.readouterr().out and max(map(len, lines)) <= 120
  assert cells(lines, 'objective.beta.z2') == ['1', '2']
  assert 'and, on which their training does not depend: eval.every' in lines
  a, b = grids.outcome(1.0, 1.0), grids.outcome(2.0, 1.0)
  want = [f'{a["rate/z2"]:.6g} +- 0.02', f'{b["rate/z2"]:.6g} +- 0.02']
  error = f'{math.sqrt(0.02**2 + 0.02**2):.2g}'
  assert cells(lines, 'rate/z2') == [*want, f'{b["rate/z2"] - a["rate/z2"]:+.4g} +- {error}']
  assert cells(lines, 'psnr') == [f'{a["psnr"]:.6g}', f'{b["psnr"]:.6g}', f'{b["psnr"] - a["psnr"]:+.4g}']
  assert not any('other data' in line or 'other steps' in line for line in lines)


def test_what_they_do_not_share(tmp_path):
  where = two(tmp_path)
  numbers = json.loads((tmp_path / 'b/evaluation.json').read_text())
  del numbers['psnr']
  (tmp_path / 'b/evaluation.json').write_text(json.dumps(numbers | {'step': 500, 'log_evidence': -3.5}))
  (tmp_path / 'a/evaluation-train.json').write_text('{"step": 1000, "split": "train", "elbo": -1.0}')
  tree = json.loads((tmp_path / 'b/spec.json').read_text())
  tree['data']['name'] = 'mnist'
  (tmp_path / 'b/spec.json').write_text(json.dumps(tree))
  (tmp_path / 'b/data.json').unlink()
  lines = commands.compare(where)
  text = '\n'.join(lines)
  assert 'other data' in text and 'test split: evaluated at other steps: a 1,000, b 500' in text
  assert 'train split: not evaluated in b' in text
  assert cells(lines, 'psnr')[1:] == ['-', '-'] and cells(lines, 'log_evidence') == ['-', '-3.5', '-']


def test_many_runs(tmp_path):
  names = grids.leave_grid(tmp_path)
  lines = compare.lines(compare.runs_of(','.join([str(tmp_path / names[0]), *names[1:]])))
  assert max(map(len, lines)) <= 120 and len(cells(lines, 'elbo')) == 4
  assert cells(lines, 'objective.beta.z2') == ['0.5', '0.5', '1', '1', '2', '2']
  again = compare.lines(compare.runs_of(f'{tmp_path / names[0]},{names[0]}'))
  assert 'the same spec, seeds and all' in again and 'fields: all alike' in again


def test_names_with_commas(tmp_path):
  (tmp_path / 'x,y').mkdir()
  grids.leave_run(tmp_path / 'x,y' / 'a,seed=1')
  grids.leave_run(tmp_path / 'x,y' / 'a')
  found = compare.runs_of(f'{tmp_path}/x,y/a,{tmp_path}/x,y/a,seed=1')
  assert [run.directory.workdir.name for run in found] == ['a', 'a,seed=1']


def test_mistakes(tmp_path):
  grids.leave_grid(tmp_path / 'grid')
  first = next(path for path in (tmp_path / 'grid').iterdir() if path.is_dir())
  with pytest.raises(RunError, match=r'is one run; --mode=compare takes two runs or more'):
    compare.runs_of(first)
  with pytest.raises(RunError, match=r'holds 6 runs; --mode=compare takes two.*--mode=report shows all'):
    compare.runs_of(tmp_path / 'grid')
  with pytest.raises(RunError, match=r'nix of .* is no directory'):
    compare.runs_of(f'{tmp_path / "grid"},nix')
  with pytest.raises(RunError, match='is no run, but holds 6'):
    compare.runs_of(f'{first},{tmp_path / "grid"}')
  with pytest.raises(RunError, match='got 9 runs; allowed: 2 to 8'):
    compare.runs_of(','.join([str(first)] * 9))
  for name in ('evaluation.json', 'evaluations'):
    path = first / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
  with pytest.raises(RunError, match='none of the 2 runs has been evaluated'):
    compare.lines(compare.runs_of(f'{first},{first}'))
