"""Studies through the commands: what they find, what they leave, and what they refuse."""

import numpy as np
import pytest

import tfvae
from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.theory import collapse, fixed_points, ppca

SMALL = {'study.fixed_points.grid': (3, 3), 'study.fixed_points.count': 8, 'data.examples': 80}
SMALL |= {'study.collapse.count': 6, 'study.collapse.steps': 10_000, 'study.collapse.hidden_steps': 3}


def study(name, **fields):
  return spec_lib.load(f'specs/{name}', SMALL | fields)


def test_fixed_points_leave_what_figures_need(tmp_path, capsys):
  spec = study('fixed_points.py', seed=3)
  run = tfvae.train(spec, tmp_path / 'run')
  said = capsys.readouterr().out
  assert 'train split, fixed_points:' in said and 'equipartition  ' in said and 'critical_temperature  ' in said
  x = np.load(run.workdir / 'arrays' / 'fixed_points-train-0.npz')['data']
  largest = ppca.spectrum(x)[0]
  temperatures = largest * np.linspace(0.01, 1.2, 8)
  unit = np.sqrt(largest)
  options = {'smoothing': 0.0, 'iterations': 2000, 'tolerance': 1e-5 * unit, 'noise_scale': 1e-3 * unit}
  down, up = fixed_points.down_and_up(x, temperatures, (3, 3), seed=3, **options)
  arrays, numbers = run.arrays('fixed_points', 'train'), run.evaluation
  np.testing.assert_array_equal(arrays['points'], down.points)
  np.testing.assert_array_equal(arrays['up.error'], up.error[::-1])
  assert numbers['largest_eigenvalue'] == pytest.approx(largest) and numbers['spectral_radius'] == pytest.approx(1.0)
  critical = fixed_points.critical_temperatures(down.temperatures, down.error)
  assert [numbers[f'critical_temperature/{n + 1}'] for n in range(len(critical))] == pytest.approx(list(critical))
  assert numbers['error_lowest'] == down.error[-1]
  names = {path.name for path in run.figures.iterdir() if path.suffix in ('.png', '.gif')}
  assert names == {'fixed_points.png', 'energies.png', 'fixed_points.gif'}
  (run.figures / 'energies.png').unlink()
  assert run.figures / 'energies.png' in commands.report(run.workdir)
  assert tfvae.load(run.workdir).evaluation == numbers


def test_explicit_temperatures_and_a_smooth_decoder(tmp_path):
  spec = study('fixed_points.py:line,local', **{'study.fixed_points.temperatures': (0.5, 0.01, 0.1)})
  run = commands.train(spec, tmp_path / 'run')
  assert list(run.arrays('fixed_points', 'train')['temperatures']) == [0.5, 0.1, 0.01]
  assert run.evaluation['spectral_radius'] < 1  # what is smooth stays together longer


def test_collapse(tmp_path):
  spec = study('collapse.py', **{'data.dims': 3, 'data.latents': 2, 'study.collapse.beta': 2.0})
  run = commands.train(spec, tmp_path / 'run')
  arrays, numbers = run.arrays('collapse', 'train'), run.evaluation
  assert numbers['linear_units_wrong'] == 0 and numbers['linear_rate_gap'] < 0.05
  variances = arrays['linear.variances']
  eigenvalues = arrays['eigenvalues']
  assert 2 * variances[0] == pytest.approx(0.3 * eigenvalues[-1])
  assert 2 * variances[-1] == pytest.approx(2.0 * eigenvalues[0])
  assert [numbers[f'eigenvalue/{i}'] for i in (1, 2, 3)] == pytest.approx(list(eigenvalues))
  theory = collapse.closed_form(eigenvalues, variances, 3, 2.0).rates
  assert numbers['nonlinear_rate_gap'] == pytest.approx(np.abs(arrays['nonlinear.rates'] - theory).max())
  assert {path.name for path in run.figures.glob('*.png')} == {'collapse.png'}


@pytest.mark.parametrize('name', ['fixed_points.py:table', 'collapse.py:table'])
def test_data_that_do_not_vary(name, tmp_path):
  path = tmp_path / 'same.csv'
  np.savetxt(path, np.ones((20, 2)), delimiter=',')
  fields = {'data.path': str(path), 'data.scaling': 'none', 'study.collapse.units': 0}
  with pytest.raises(SpecError, match='all examples of the train split of same are the same; give data that vary'):
    commands.train(spec_lib.load(f'specs/{name}', fields), tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('name', 'fields', 'said'),
  [
    ('fixed_points.py', {'study.fixed_points.grid': (1, 1)}, 'grid: got 1,1; allowed: two tiles or more, such as 8,8'),
    ('fixed_points.py', {'study.fixed_points.grid': ()}, 'grid: got (); allowed: two tiles or more'),
    ('fixed_points.py', {'study.fixed_points.temperatures': (0.1, 0.0, 0.2)}, 'temperatures: got 0.0; allowed:'),
    ('fixed_points.py', {'study.fixed_points.temperatures': (0.1, 0.1)}, 'got 0.1,0.1; allowed: 3 different ones'),
    ('fixed_points.py', {'study.fixed_points.low': -0.1}, 'low: got -0.1; allowed: a number > 0'),
    ('fixed_points.py', {'study.fixed_points.low': 2.0}, 'low: got 2.0; allowed: less than spec.study.fixed_points.hi'),
    ('fixed_points.py', {'study.fixed_points.count': 0}, 'count: got 0; allowed: an integer >= 3'),
    (
      'fixed_points.py',
      {'data.name': 'digits', 'data.examples': 25_000},
      'which is for tables, but examples of digits have the shape (8, 8, 1)',
    ),
    ('fixed_points.py', {'data.name': 'pca'}, 'which is for one to three columns, but pca has 10'),
    ('collapse.py', {'study.collapse.units': 11}, 'units: got 11; allowed: at most the 10 columns of pca, or 0: all'),
    ('collapse.py', {'study.collapse.variances': (0.1,)}, 'variances: got 0.1; allowed: 2 different ones or more'),
    ('collapse.py', {'study.collapse.count': 1}, 'count: got 1; allowed: an integer >= 2'),
    ('collapse.py', {'study.name': 'colapse'}, 'Did you mean collapse?'),
  ],
)
def test_mistakes(name, fields, said, tmp_path):
  with pytest.raises(SpecError) as error:
    commands.train(study(name, **fields), tmp_path / 'run')
  assert said in str(error.value), str(error.value)
  assert not (tmp_path / 'run').exists()
