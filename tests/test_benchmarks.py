"""Benchmarks start: what they import is there. They are not timed here."""

import importlib.util
import os
import runpy
import sys

import numpy as np
import pytest
from conftest import ROOT

SHARED = ('grid.py', 'torch_models.py')
SCRIPTS = sorted(path.name for path in (ROOT / 'benchmarks').glob('*.py') if path.name not in SHARED)


@pytest.mark.parametrize('script', SCRIPTS)
def test_a_benchmark_says_what_it_measures(script, monkeypatch, capsys):
  """In this process, which has imported TensorFlow already."""
  monkeypatch.setattr(sys, 'argv', [script, '--help'])
  monkeypatch.setattr(sys, 'path', [str(ROOT / 'benchmarks'), *sys.path])
  kept = dict(os.environ)
  try:
    with pytest.raises(SystemExit) as ended:
      runpy.run_path(str(ROOT / 'benchmarks' / script), run_name='__main__')
  finally:
    os.environ.clear()
    os.environ.update(kept)
  assert ended.value.code == 0 and f'benchmarks/{script}' in capsys.readouterr().out


def load(script):
  """A benchmark as a module."""
  location = importlib.util.spec_from_file_location('benchmark', ROOT / 'benchmarks' / script)
  benchmark = importlib.util.module_from_spec(location)
  location.loader.exec_module(benchmark)
  return benchmark


def test_what_is_better_than_a_constraint(monkeypatch):
  """Lower in both by more than 2%, and by more than seeds differ."""
  monkeypatch.syspath_prepend(ROOT / 'benchmarks')
  benchmark = load('constraints.py')
  point, beats = benchmark.Point, benchmark.beats
  asked = point.of([40.0, 39.0, 41.0], [0.1, 0.1, 0.1])
  assert asked == point(40.0, pytest.approx(0.1), 2.0, 0.0)
  assert beats(point(37.9, 0.097), asked) and not beats(asked, point(37.9, 0.097))
  assert not beats(point(38.1, 0.097), asked)  # within the spread of the rate
  assert not beats(point(37.9, 0.0985), asked)  # within 2% of the error
  assert not beats(point(37.9, 0.103), asked)
  names = [cell.name for cell in benchmark.cells_of_kappas(['digits', 'mnist'], ['mlp', 'hit', 'nvp'])]
  names += [cell.name for own in benchmark.cells_of_betas().values() for cell in own]
  assert len(set(names)) == len(names)  # each has a directory of its own


@pytest.fixture(scope='module')
def drawing():
  """benchmarks/convdraw.py, and a small model of two steps of it, its spec, examples, and its loss and gradient."""
  benchmark = load('convdraw.py')
  model, spec = benchmark.model_of('digits', 2, {'model.z.lstm': 3})
  given = benchmark.examples(model, 2)
  return benchmark, model, spec, given, benchmark.numbers_of(model, benchmark.unrolled, *given)


def test_a_loop_over_the_steps_of_a_drawing_is_what_unrolled_steps_are(drawing):
  benchmark, model, _, given, own = drawing
  np.testing.assert_allclose(benchmark.numbers_of(model, benchmark.looped, *given), own, rtol=1e-5)
  fewer = [given[0], given[1][:1]]
  assert abs(benchmark.numbers_of(model, benchmark.looped, *fewer)[0] / own[0] - 1) > 1e-3  # each step counts


def test_a_drawing_in_pytorch_is_the_same_function(drawing):
  pytest.importorskip('torch')
  benchmark, model, spec, given, own = drawing
  other = benchmark.copied(model, spec)
  np.testing.assert_allclose(benchmark.numbers_of_torch(other, *given), own, rtol=benchmark.TOLERANCE)


def test_probes_are_compared_with_both_bounds(monkeypatch):
  """Each within its binomial error at the bound and that of the bound, and the bounds with each other."""
  monkeypatch.syspath_prepend(ROOT / 'benchmarks')
  benchmark = load('labels.py')
  numbers = {f'probe_train_examples/{name}': 400.0 for name in benchmark.NAMES}
  numbers |= {f'probe_train/{name}/z2': 0.5 for name in benchmark.NAMES}
  numbers |= {f'probe_train_location/{name}/z2': 0.7 for name in benchmark.NAMES}
  for what, value in (('information', 0.5), ('rate', 0.6)):
    numbers |= {f'accuracy_bound_{what}/z2': value, f'accuracy_bound_{what}_upper/z2': value + 0.01}

  def violations(**changes):
    own = numbers | {name.replace('__', '/'): value for name, value in changes.items()}
    return [str(point) for point in (*benchmark.points('run', own), *benchmark.pairs('run', own)) if point.is_violated]

  assert len(benchmark.points('run', numbers)) == 8 and not violations()
  error = 0.5 / 20  # binomial; and that of the bound
  allowed = 0.5 + 3 * np.hypot(error, 0.01)
  assert not violations(probe_train__knn__z2=allowed - 1e-9)
  assert len(violations(probe_train__knn__z2=allowed + 1e-9)) == 1
  assert violations(probe_train__knn__z2=1.0)[0].startswith(
    'run probe_train/knn/z2 against information: 1.0000 > 0.5000'
  )
  assert len(violations(probe_train__knn__z2=1.0)) == 2
  lower = violations(accuracy_bound_rate__z2=0.4, accuracy_bound_rate_upper__z2=0.41)
  assert len(lower) == 5  # all probes, and the bound from I_q
  assert benchmark.exceeding(numbers) == (4, 4)


def test_the_order_of_the_marginal_kl(monkeypatch, tmp_path):
  """Seed by seed, of those that both ways have; and whether the two overlap."""
  monkeypatch.syspath_prepend(ROOT / 'benchmarks')
  benchmark = load('marginal.py')
  names = {of[0]: 1.0 for of in benchmark.COLUMNS.values()}
  ratio, lower = benchmark.ORDERED.values()
  none = {seed: names | {ratio: 100.0 + seed, lower: 5.0} for seed in (0, 1, 2)}
  re = {seed: names | {ratio: 10.0, lower: 4.0 + seed} for seed in (0, 1)}
  text = benchmark.show({('cifar10', 'none'): none, ('cifar10', 're'): re})
  assert '| cifar10 | ELBO | 3 |' in text and '101.0 (100.0 to 102.0)' in text
  assert text.splitlines()[-1] == (
    'cifar10: ELBO above re, by the density ratio 2 of 2 seeds (and all of one above all of the other); by the lower '
    'bound 1 of 2 seeds'
  )
  for name in ('none-0', 'none-10', 're-0', 'other-0'):
    (tmp_path / 'cifar10' / name).mkdir(parents=True)
  for name in ('none-0', 're-0'):
    (tmp_path / 'cifar10' / name / 'evaluation.json').write_text('{}')
  (tmp_path / 'none-0.log').write_text('')
  found = benchmark.runs_of(tmp_path)
  assert {key: list(own) for key, own in found.items()} == {('cifar10', 'none'): [0], ('cifar10', 're'): [0]}
