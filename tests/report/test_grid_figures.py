"""Figures and CSVs of several runs."""

import csv

import grids
import matplotlib.image
import numpy as np
import pytest

from tfvae import commands
from tfvae.errors import RunError
from tfvae.report import cohorts as cohorts_lib
from tfvae.report import figures, grid_figures, tables
from tfvae.report.cohorts import Cohort, cohorts, label
from tfvae.run.collection import collect

BETAS = {'objective.beta.z2': (0.5, 1.0, 2.0, 4.0), 'objective.beta.z1': (1.0, 2.0, 4.0)}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  """A grid of 4 x 3 betas and two seeds, and two points at targets of rates."""
  root = tmp_path_factory.mktemp('grid')
  grids.leave_grid(root, BETAS, seeds=(0, 1))
  for i, (z2, z1) in enumerate(((4.0, 8.0), (8.0, 4.0))):
    targets = {'constraint.names': ['rate'], 'constraint.rate.z2': z2, 'constraint.rate.z1': z1}
    grids.leave_run(root / f'target-{i}', **targets, **{'objective.beta.z2': 1.0 + i, 'objective.beta.z1': 1.0})
  return root


@pytest.fixture
def cohort(root):
  (cohort,) = cohorts(collect(root))
  return cohort


@pytest.fixture
def few(monkeypatch):
  """Four panels of each figure, which are drawn sooner."""
  monkeypatch.setattr(cohorts_lib, 'MOST_SHOWN', 4)


def test_a_cohort(cohort):
  assert (cohort.data, cohort.split, cohort.layers, len(cohort.groups)) == ('digits', 'test', ['z2', 'z1'], 14)
  assert cohort.swept[:2] == ['objective.beta.z2', 'objective.beta.z1'] and cohort.equal.sum() == 3
  assert cohort.targets.sum() == 2 and cohort.rates.shape == (14, 2)
  labels = [group.label for group in cohort.groups]
  assert labels[0] == 'objective.beta.z2=0.5, objective.beta.z1=1'
  assert labels[-1] == 'constraint.names=rate, constraint.rate.z2=8, constraint.rate.z1=4'
  assert {'rate/z2', 'elbo', 'psnr', 'fid/classifier/prior', 'probe/logistic/z2'} <= set(cohort.names)
  assert not {'mse', 'label_entropy', 'rate_standard_error/z2'} & set(cohort.names)
  first = [grids.outcome(0.5, 1.0, seed)['elbo'] for seed in (0, 1)]
  assert cohort.mean('elbo')[0] == pytest.approx(np.mean(first))
  assert cohort.std('elbo')[0] == pytest.approx(np.std(first, ddof=1))
  assert np.isnan(cohort.mean('nothing')).all() and cohort.accuracy_bound(np.array([0.0, 9.0])).tolist() == [0.1, 1.0]
  across, up, own = cohort.plane()
  assert (across, up, len(own)) == ('objective.beta.z1', 'objective.beta.z2', 12) and not cohort.targets[own].any()
  assert label('rate/z2') == 'rate/z2 [nats]' and label('ssim') == 'ssim'


def test_heat_maps(cohort):
  """Each value at its place; equal betas are marked."""
  drawn = grid_figures.heat_maps(cohort)
  axes = {axis.get_title(): axis for axis in drawn.axes if axis.images}
  assert len(axes) == len(cohort.names)
  values = axes['rate/z2 [nats]'].images[0].get_array()
  assert values.shape == (4, 3)
  np.testing.assert_allclose(values[2, 1], np.mean([grids.outcome(2.0, 2.0, s)['rate/z2'] for s in (0, 1)]))
  assert np.all(np.diff(values, axis=0) < 0)  # falls in the beta of z2
  marks = axes['rate/z2 [nats]'].collections[0].get_offsets()
  assert sorted(map(tuple, marks)) == [(0, 1), (1, 2), (2, 3)]


def test_over_the_total_rate(cohort):
  drawn = grid_figures.over_the_total_rate(cohort)
  axes = {axis.get_title(): axis for axis in drawn.axes}
  lines = {name: [line.get_label() for line in axis.lines] for name, axis in axes.items()}
  assert 'bound by the rate' in lines['probe/logistic/z2'] and 'hull of the best' in lines['psnr [dB]']
  assert 'bound by the rate' not in lines['psnr [dB]']
  hull = next(line for line in axes['psnr [dB]'].lines if line.get_label() == 'hull of the best').get_xydata()
  x, y = cohort.mean('rate'), cohort.mean('psnr')
  assert np.all(y <= np.interp(x, *hull.T) + 1e-9) and np.all(np.diff(hull[:, 0]) > 0)


def test_the_others_are_drawn(cohort, few):
  for name in ('over_rates', 'surfaces', 'curves', 'seeds'):
    drawn = grid_figures.FIGURES[name](cohort)
    panels = [axis for axis in drawn.axes if axis.get_title()]
    assert panels and all(axis.has_data() for axis in panels), name
  plane = grid_figures.information_plane(cohort)
  assert sum(len(points.get_offsets()) for points in plane.axes[0].collections) == 2 * 12 + 14  # runs, and groups


def test_files(root, tmp_path, monkeypatch):
  monkeypatch.setattr(grid_figures, 'FIGURES', {'information_plane': grid_figures.information_plane})
  paths = grid_figures.draw(collect(root), tmp_path / 'a/b')
  assert [path.name for path in paths] == ['information_plane.png', 'information_plane.pdf']
  assert matplotlib.image.imread(paths[0])[..., :3].std() > 0.01 and paths[1].read_bytes()[:5] == b'%PDF-'
  first = paths[1].read_bytes()
  assert grid_figures.draw(collect(root), tmp_path / 'a/b')[1].read_bytes() == first


def test_a_run_whose_metrics_cannot_be_read(tmp_path, monkeypatch, capsys):
  """The others are drawn; where nothing can be drawn at all, the page is there."""
  names = grids.leave_grid(tmp_path)
  (tmp_path / names[1] / 'metrics.jsonl').unlink()
  (tmp_path / names[1] / 'metrics.jsonl').mkdir()
  monkeypatch.setattr(grid_figures, 'FIGURES', {'curves': grid_figures.curves})
  (cohort,) = cohorts(collect(tmp_path))
  assert len(grid_figures.curves(cohort).axes[0].lines) == 5
  paths = [path.name for path in commands.report(tmp_path)]
  assert {'curves.png', 'curves.pdf', 'report.html'} <= set(paths) and names[1] in capsys.readouterr().out

  def broken(*of):
    raise RunError('cannot be drawn')

  monkeypatch.setattr(grid_figures, 'draw', broken)
  (tmp_path / 'report.html').unlink()
  with pytest.raises(RunError, match='cannot be drawn'):
    commands.report(tmp_path)
  assert (tmp_path / 'report.html').is_file()


def test_many_groups_are_thinned_out(tmp_path, few):
  axis = tuple(np.geomspace(0.1, 10, 8).round(3).tolist())
  grids.leave_grid(tmp_path, {'objective.beta.z2': axis, 'objective.beta.z1': axis}, rows=3)
  (cohort,) = cohorts(collect(tmp_path))
  drawn = grid_figures.curves(cohort)
  assert len(drawn.axes[0].lines) == grid_figures.MOST_CURVES and '40 of 64 groups' in drawn.get_suptitle()
  heat = grid_figures.heat_maps(cohort).axes[0]
  assert len(heat.get_xticks()) <= grid_figures.MOST_TICKS and not heat.texts


def test_what_runs_do_not_have(tmp_path):
  """One layer, one seed, few numbers: fewer figures; single runs have none."""
  for rate in (0.1, 0.2, 0.3):
    grids.leave_run(tmp_path / f'{rate}', numbers={'elbo': -rate, 'rate': rate}, **{'train.learning_rate': rate})
  (cohort,) = cohorts(collect(tmp_path))
  drawn = {name: draw_one(cohort) for name, draw_one in grid_figures.FIGURES.items()}
  assert {name for name, figure in drawn.items() if figure} == {'over_the_total_rate', 'curves'}
  assert cohorts(collect(tmp_path / '0.1')) == [] and isinstance(cohort, Cohort)


def read(path):
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def test_csv_of_several(root):
  runs, curves = tables.write(collect(root))
  assert (runs.name, curves.name, runs.parent) == ('runs.csv', 'curves.csv', root / 'report')
  rows = read(runs)
  assert len(rows) == 26 and {'test/elbo', 'test/elbo_standard_error', 'objective.beta.z2'} <= rows[0].keys()
  lines = read(curves)
  own = [
    line for line in lines if line['run'] == rows[0]['run'] and line['name'] == 'rate/z2' and line['split'] == 'train'
  ]
  assert [line['step'] for line in own] == ['200', '400', '600', '800', '1000']
  assert float(own[-1]['value']) == pytest.approx(float(rows[0]['test/rate/z2']), rel=1e-6)


def test_csv_of_one_run(tmp_path):
  grids.leave_run(tmp_path / 'a')
  numbers, curves = tables.write(collect(tmp_path / 'a'))
  rows = {row['name']: row for row in read(numbers)}
  assert (rows['rate/z2']['unit'], rows['rate/z2']['standard_error'], rows['mse']['better']) == ('nats', '0.02', 'less')
  assert rows['elbo']['what'].startswith('E_q log p') and 'elbo_standard_error' not in rows
  assert float(rows['elbo']['value']) == grids.outcome(1.0, 1.0)['elbo'] and rows['elbo']['split'] == 'test'
  assert {line['name'] for line in read(curves)} >= {'elbo', 'rate/z2', 'gradient_norm'}


def test_figures_of_a_run_as_pdf(tmp_path, monkeypatch):
  monkeypatch.setattr(figures, 'OF_THE_RUN', {'rates': figures.rates})
  monkeypatch.setattr(figures, 'OF_A_SPLIT', {})
  run = collect(grids.leave_run(tmp_path / 'a')).runs[0].directory
  names = [path.name for path in figures.draw(run, kinds=('png', 'pdf'))]
  assert names == ['rates.png', 'rates.pdf']
