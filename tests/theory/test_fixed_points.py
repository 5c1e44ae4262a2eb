"""High-capacity fixed points: limits in T, transitions where the eigenvalues say, and the programs against NumPy's."""

import numpy as np
import pytest
import scipy.special
from test_benchmarks import load

from tfvae.report import fixed_points as figures
from tfvae.theory import fixed_points as fp
from tfvae.theory import ppca

EXACT = {'smoothing': 0.0, 'tolerance': 1e-9, 'iterations': 20_000}  # as long as it takes
CENTRES = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
GRID = (3, 3)


@pytest.fixture(scope='module')
def clusters():
  """Three clusters of 20, a pair at a distance of 2 and one further away, at 64 temperatures down and up."""
  data = (CENTRES[:, None] + 0.02 * np.random.default_rng(1).standard_normal((3, 20, 2))).reshape(-1, 2)
  temperatures = np.linspace(0.05, 1.3 * ppca.spectrum(data)[0], 64)
  return data, *fp.down_and_up(data, temperatures, GRID, **EXACT)


def places(points, apart=0.05):
  """How many places there are, of points that are further apart than that."""
  kept = []
  for point in points:
    if all(np.linalg.norm(point - other) > apart for other in kept):
      kept.append(point)
  return len(kept)


def merges(way):
  """Pairs of neighbouring temperatures between which the number of places changes, from the lowest."""
  order = np.argsort(way.temperatures)
  counts = [places(way.points[i]) for i in order]
  t = way.temperatures[order]
  return [(t[i], t[i + 1], counts[i], counts[i + 1]) for i in range(len(t) - 1) if counts[i] != counts[i + 1]]


def test_one_application_of_the_map_is_its_definition():
  rng = np.random.default_rng(0)
  x, g, t = rng.standard_normal((20, 3)), rng.standard_normal((8, 3)), 0.7
  squares = ((x[:, None] - g) ** 2).sum(-1)
  m = scipy.special.softmax(-squares / (2 * t), axis=1)
  want = (m.T @ x) / m.sum(0)[:, None]
  np.testing.assert_allclose(fp.update(g, x, t), want, rtol=1e-12)
  found = fp.sweep(x, [t, t, t], g, noise_scale=0.0, iterations=1, smoothing=0.9)
  np.testing.assert_allclose(found.points[0], 0.9 * g + 0.1 * want, rtol=1e-12)
  assert found.iterations.tolist() == [1, 1, 1]
  assert found.step[0] == pytest.approx(0.1 * np.linalg.norm(want - g, axis=1).max(), rel=1e-12)
  squares = ((x[:, None] - found.points[0]) ** 2).sum(-1)
  m = scipy.special.softmax(-squares / (2 * t), axis=1)
  assert found.error[0] == pytest.approx((m * squares).sum(1).mean(), rel=1e-12)
  assert found.rate[0] == pytest.approx((m * np.log(8 * m)).sum(1).mean(), rel=1e-12)
  np.testing.assert_allclose(found.occupancy[0], m.mean(0), rtol=1e-12)


def test_the_points_are_the_data_without_noise_and_one_point_at_the_mean_in_much_of_it(clusters):
  """At T = 1e-5 plain exponentials are 0 for all but the nearest; every point still ends at an example."""
  data, down, _ = clusters
  mean = data.mean(0)
  hot = down.points[0]
  np.testing.assert_allclose(hot, np.broadcast_to(mean, hot.shape), atol=1e-6)
  assert down.error[0] == pytest.approx(np.trace(np.cov(data.T, bias=True)), rel=1e-9)
  assert down.rate[0] == pytest.approx(0, abs=1e-9)
  few = np.random.default_rng(4).uniform(-1, 1, (12, 2))
  cold = fp.sweep(few, np.geomspace(1.0, 1e-5, 40), fp.start(few, (7, 7)), **EXACT)
  apart = np.linalg.norm(cold.points[-1][:, None] - few, axis=-1)
  assert np.isfinite(cold.points).all() and np.isfinite(cold.rate).all()
  assert apart.min(1).max() < 1e-6 and apart.min(0).max() < 1e-6  # each point at an example, at each example a point
  assert cold.error[-1] < 1e-10


@pytest.mark.parametrize('grid', [(2,), (3, 2)])
def test_the_jacobian_at_the_mean_has_spectral_radius_1_at_the_largest_eigenvalue(grid):
  data = np.random.default_rng(2).standard_normal((40, 2)) @ np.array([[1.0, 0.3], [0.0, 0.6]])
  largest = ppca.spectrum(data)[0]
  for factor in (1.0, 2.0):
    assert fp.spectral_radius_at_mean(data, factor * largest, grid) == pytest.approx(1 / factor, abs=1e-9)


@pytest.mark.parametrize(
  'data',
  [
    np.stack([np.linspace(-1, 1, 40), 0.1 * np.linspace(-1, 1, 40)], 1),
    np.stack([np.cos(np.arange(40) * np.pi / 20), 0.8 * np.sin(np.arange(40) * np.pi / 20)], 1),
  ],
  ids=['line', 'ellipse'],
)
def test_points_leave_the_mean_below_the_largest_eigenvalue_and_return_above(data):
  """From noise of 1e-3 and without limits: they are off by the order of the data at 0.98 of it, and not at 1.02."""
  largest = ppca.spectrum(data)[0]
  mean = np.broadcast_to(data.mean(0), (9, 2))
  way = fp.sweep(data, largest * np.array([1.02, 0.98, 1.02]), mean, **EXACT)
  apart = np.linalg.norm(way.points - mean, axis=-1).max(-1)
  assert apart[0] < 1e-6 and apart[1] > 0.05 and apart[2] < 1e-6
  assert (way.iterations < EXACT['iterations']).all()
  limited = fp.sweep(data, largest * np.array([1.02, 0.98, 0.98]), mean)
  assert np.linalg.norm(limited.points - mean, axis=-1).max() < 0.01  # as published: stopped on its way


def test_clusters_merge_where_the_second_derivative_peaks(clusters):
  """On both ways, within a step of the grid; the pair, and then it and the third, whose transition has hysteresis."""
  data, down, up = clusters
  step = abs(down.temperatures[1] - down.temperatures[0])
  for way in (down, up):
    pair, all_three = merges(way)
    assert pair[2:] == (3, 2) and all_three[2:] == (2, 1)
    peaks = fp.critical_temperatures(way.temperatures, way.error)
    for low, high, *_ in (pair, all_three):
      assert np.min(np.maximum(low - peaks, peaks - high)) <= step * (1 + 1e-9)
  assert pair[1] == pytest.approx(1.0, abs=0.1)  # the variance of the pair by itself: half its distance, squared
  largest = ppca.spectrum(data)[0]
  assert merges(down)[1][0] <= largest <= merges(down)[1][1]
  assert merges(up)[1][0] > largest + step  # what has parted stays so above the temperature at which it parts
  assert np.max(np.abs(down.error - up.error[::-1])) > 0.1


def test_critical_temperatures_do_not_depend_on_the_spacing():
  """Of slopes that jump by 1, 2, 3 and 0.5, on an even grid and in log T."""
  kinks, jumps = np.array([0.21, 0.52, 1.03, 1.6]), np.array([1.0, 2.0, 3.0, 0.5])
  for t in (np.linspace(0.05, 2, 80), np.geomspace(0.05, 2, 80)):
    error = (np.maximum(t[:, None] - kinks, 0) * jumps).sum(-1)
    found = fp.critical_temperatures(t[::-1], error[::-1])
    nearest = [np.diff(t)[np.searchsorted(t, kink) - 1] for kink in kinks[2::-1]]
    assert len(found) == 3 and np.all(np.abs(found - kinks[2::-1]) <= nearest)
  np.testing.assert_allclose(fp.curvature(t, t**3), 6 * (t[2:] + t[1:-1] + t[:-2]) / 3)  # exact of a cubic


def test_equipartition():
  """And its deviation, printed: of the clusters when they are told apart."""
  even = fp.equipartition(np.full((3, 8), 1 / 8))
  assert all(np.abs(part).max() < 1e-15 for part in even)
  one = fp.equipartition([1.0, 0.0, 0.0, 0.0])
  assert (one.deviation, one.largest) == (0.75, 3.0) and one.divergence == pytest.approx(np.log(4))


def test_equipartition_of_clusters_is_printed(clusters, capsys):
  _, down, _ = clusters
  found = fp.equipartition(down.occupancy[-1])
  with capsys.disabled():
    print(f'\nequipartition at T = {down.temperatures[-1]:.3g}: {found.deviation:.4f}, {found.divergence:.4f} nats')
  assert fp.equipartition(down.occupancy[0]).deviation < 1e-6  # one point: all tiles alike
  assert 0 <= found.deviation < 0.3 and 0 <= found.divergence < 0.2


def test_lipschitz_constraints():
  rng = np.random.default_rng(3)
  g, grid = rng.standard_normal((12, 2)), (3, 4)
  near, far = fp.local_laplacian(grid), fp.global_laplacian(grid)
  tiles = np.stack(np.meshgrid(range(3), range(4), indexing='ij'), -1).reshape(-1, 2)
  pairs = [(i, j) for i in range(12) for j in range(i)]
  squares = {pair: ((g[pair[0]] - g[pair[1]]) ** 2).sum() for pair in pairs}
  latent = {(i, j): ((tiles[i] - tiles[j]) ** 2).sum() for i, j in pairs}
  assert np.trace(g.T @ near @ g) == pytest.approx(sum(squares[pair] for pair in pairs if latent[pair] == 1))
  assert np.trace(g.T @ far @ g) == pytest.approx(sum(squares[pair] / latent[pair] for pair in pairs))
  x = rng.standard_normal((30, 2))
  one = {'noise_scale': 0.0, 'iterations': 1, 'smoothing': 0.0}
  for laplacian in (0.5 * near, 0.1 * far):
    found = fp.sweep(x, [0.5], g, laplacian=laplacian, **one).points[0]
    free = np.asarray(fp.update(g, x, 0.5))
    np.testing.assert_allclose(found, np.linalg.solve(np.eye(12) + laplacian, free), rtol=1e-10)
    largest = ppca.spectrum(x)[0]
    slowest = np.linalg.eigvalsh(laplacian)[1]  # of the modes that are no shift of all points
    radius = fp.spectral_radius_at_mean(x, largest, grid, laplacian)
    assert radius == pytest.approx(1 / (1 + slowest), abs=1e-9)  # smoother points part later


def test_where_points_start():
  data = np.array([[0.0, 10.0, 0.0], [2.0, 14.0, 1.0], [1.0, 12.0, 0.2]])
  two = fp.start(data, (2, 4))  # along the two widest columns
  assert two.shape == (8, 3)
  np.testing.assert_allclose(np.unique(two[:, 0]), [0.5, 1.5])
  np.testing.assert_allclose(np.unique(two[:, 1]), [10.5, 11.5, 12.5, 13.5])
  np.testing.assert_allclose(two[:, 2], 0.4)
  np.testing.assert_allclose(fp.start(data, (4,))[:, 1], [10.5, 11.5, 12.5, 13.5])
  assert fp.start(data[:, :1], (3, 3)).shape == (9, 1)


def test_noise_is_that_of_the_seed():
  data, grid = np.random.default_rng(0).standard_normal((20, 3)), (2, 4)
  run = lambda seed: fp.sweep(data, [0.7] * 3, fp.start(data, grid), seed=seed, iterations=1).points
  np.testing.assert_array_equal(run(0), run(0))
  assert np.abs(run(0) - run(1)).max() > 1e-5


def test_each_temperature_begins_where_the_last_ended_or_anew():
  data, grid = np.random.default_rng(0).standard_normal((20, 3)), (2, 4)
  run = lambda **options: (
    fp.sweep(data, [0.7] * 3, fp.start(data, grid), noise_scale=0.0, iterations=5, **options).points
  )
  cold, warm = run(warm=False), run()
  np.testing.assert_array_equal(cold[1:], cold[:-1])
  np.testing.assert_array_equal(warm[0], cold[0])
  assert np.abs(warm[2] - warm[0]).max() > 1e-3


def test_what_is_kept(clusters):
  """Is over T as it falls, on both ways, and what figures are drawn from."""
  data, down, up = clusters
  found = fp.arrays(data, GRID, down, up)
  np.testing.assert_array_equal(found['temperatures'], up.temperatures[::-1])
  np.testing.assert_array_equal(found['up.points'], up.points[::-1])
  np.testing.assert_allclose(found['up.curvature'], fp.curvature(up.temperatures, up.error)[::-1])
  assert found['critical'].tolist() == fp.critical_temperatures(down.temperatures, down.error).tolist()
  np.testing.assert_array_equal(found['equipartition'][:, 2], fp.equipartition(down.occupancy).divergence)
  assert len(figures.points(found).axes) == 10 and len(figures.energies(found).axes) == 2


@pytest.mark.parametrize(
  ('call', 'match'),
  [
    (lambda x: fp.down_and_up(x, [1.0], (1,)), 'a grid needs two points or more'),
    (lambda x: fp.down_and_up(x, [1.0], (1, 1)), 'a grid needs two points or more'),
    (lambda x: fp.down_and_up(x, [1.0], ()), 'a grid needs two points or more'),
    (lambda x: fp.sweep(x, [1.0], x[:1]), 'K of 2 or more'),
    (lambda x: fp.down_and_up(x, [1.0, 0.0], (2,)), 'temperatures must be finite and above 0, got 0'),
    (lambda x: fp.down_and_up(x, [-2.0], (2,)), 'above 0, got -2'),
    (lambda x: fp.down_and_up(x, [np.nan], (2,)), 'above 0, got nan'),
    (lambda x: fp.down_and_up(x, [], (2,)), 'the sweep is empty'),
    (lambda x: fp.down_and_up(x[:, 0], [1.0], (2,)), 'data must be a table'),
    (lambda x: fp.critical_temperatures([1.0, 2.0], [1.0, 2.0]), 'three temperatures or more'),
  ],
)
def test_what_is_refused(call, match):
  with pytest.raises(ValueError, match=match):
    call(np.zeros((4, 2)))


def test_numpy_finds_the_same():
  """The other program of benchmarks/fixed_points.py."""
  data = np.random.default_rng(0).standard_normal((20, 3))
  points, temperatures = fp.start(data, (2, 4)), np.array([2.0, 0.5, 0.01])
  own = fp.sweep(data, temperatures, points, noise_scale=0.0, iterations=30, tolerance=1e-3)
  other = load('fixed_points.py').in_numpy(
    data, temperatures, points, dtype='float64', noise_scale=0.0, iterations=30, tolerance=1e-3
  )
  np.testing.assert_array_equal(own.iterations, other.iterations)
  for name in ('points', 'error', 'occupancy', 'rate', 'step'):
    np.testing.assert_allclose(getattr(own, name), getattr(other, name), rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_1024_points_and_64_temperatures_take_less_than_a_minute():
  """With the published limits; on two cores."""
  import time

  data = np.random.default_rng(0).uniform(-1, 1, (256, 2))
  begin = time.perf_counter()
  found = fp.sweep(data, np.geomspace(0.4, 1e-4, 64), fp.start(data, (32, 32)))
  assert time.perf_counter() - begin < 60
  assert found.points.shape == (64, 1024, 2) and found.error[-1] < 1e-3
