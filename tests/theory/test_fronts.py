"""The best side of a hull, and surfaces through points."""

import numpy as np
import pytest

from tfvae.theory.fronts import best_points, surface
from tfvae.theory.information import accuracy_bound, accuracy_bounds, classes_of


def test_over_one_rate():
  """A concave curve is its own upper side; of points below it none counts; the lower side is its chord."""
  x = np.linspace(0, 4, 9)
  above, below = np.sqrt(x), np.sqrt(x) - 0.5
  rates, values = np.concatenate([below * 0 + x, x]), np.concatenate([below, above])
  front = best_points(rates, values)
  assert front.vertices.tolist() == list(range(9, 18)) and len(front.facets) == 8
  lower = best_points(x, above, better=-1)
  assert lower.vertices.tolist() == [0, 8]
  # By brute force: no chord of two points passes above the front.
  height = lambda at: np.interp(at, rates[front.vertices], values[front.vertices])
  rng = np.random.default_rng(0)
  for i, j in rng.integers(0, 18, (50, 2)):
    assert (values[i] + values[j]) / 2 <= height((rates[i] + rates[j]) / 2) + 1e-12


def test_over_two_rates():
  """Of a paraboloid all points are on the upper side; of the corners alone when it is turned over."""
  x, y = (a.ravel() for a in np.meshgrid(np.arange(5.0), np.arange(4.0)))
  values = -((x - 2) ** 2) - 0.5 * (y - 1.5) ** 2
  front = best_points(np.c_[x, y], values)
  assert sorted(front.vertices) == list(range(20)) and front.facets.shape[1] == 3
  lower = best_points(np.c_[x, y], values, better=-1)
  assert set(lower.vertices) == {0, 4, 15, 19}
  noisy = best_points(np.c_[x, y], np.append(values[:-1], np.nan))
  assert 19 not in noisy.vertices


@pytest.mark.parametrize('better', [1, -1])
def test_few_points_and_flat_ones(better):
  assert best_points([], [], better).vertices.tolist() == []
  assert best_points([np.nan, 1.0], [1.0, np.inf], better).vertices.tolist() == []
  assert best_points([2.0], [3.0], better).vertices.tolist() == [0]
  assert best_points([[2.0, 1.0]], [3.0], better).facets.shape == (0, 2)
  assert best_points([2.0, 1.0], [3.0, 4.0], better).vertices.tolist() == [1, 0]
  assert best_points([1.0, 1.0, 1.0], [3.0, 5.0, 4.0], better).vertices.tolist() == [1 if better == 1 else 0]
  line = best_points([0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0], better)
  assert line.vertices.tolist() == [0, 3] and line.facets.tolist() == [[0, 3]]
  level = best_points([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], better)
  assert level.vertices.tolist() == [0, 2]
  # Two rates that lie on a line are one.
  t = np.array([0.0, 1.0, 2.0])
  assert best_points(np.c_[t, 2 * t], -better * (t - 1) ** 2, better).facets.tolist() == [[0, 1], [1, 2]]
  plane = best_points([[0, 0], [1, 0], [0, 1], [1, 1]], [0.0, 1.0, 1.0, 2.0], better)
  assert sorted(plane.vertices) == [0, 1, 2, 3] and plane.facets.shape == (2, 3)
  assert sorted(best_points([[0, 0], [1, 0], [0, 1]], [5.0, 1.0, 2.0], better).vertices) == [0, 1, 2]


def test_a_surface_goes_through_its_points():
  x, y = (a.ravel() for a in np.meshgrid(np.linspace(0, 10, 6), np.linspace(0, 1, 5)))
  values = np.sin(x / 5) + y
  found = surface(np.c_[x, y], values)
  assert found.points.shape == (30, 3) and sorted(found.points[:, 2]) == sorted(values)
  np.testing.assert_allclose(np.sin(found.points[:, 0] / 5) + found.points[:, 1], found.points[:, 2])
  # The triangles cover all of it, and only that; none reaches beyond its neighbours.
  corners = found.points[found.triangles]
  a, b = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
  areas = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
  assert len(found.triangles) == 40 and areas.sum() == pytest.approx(10, rel=1e-6)
  assert np.ptp(corners[:, :, 0], axis=1).max() == pytest.approx(2) and np.ptp(corners[:, :, 1], axis=1).max() <= 0.26
  repeated = surface(np.c_[np.r_[x, x], np.r_[y, y]], np.r_[values - 1, values + 1])
  np.testing.assert_allclose(repeated.points, found.points, atol=1e-9)


def test_there_is_no_surface():
  assert surface(np.empty((0, 2)), []) is None
  assert surface([[0, 0], [1, 1]], [1.0, 2.0]) is None
  assert surface([[0, 0], [1, 1], [2, 2]], [1.0, 2.0, 3.0]) is None
  assert surface([[0, 0], [1, 1], [2, 0]], [1.0, 2.0, np.nan]) is None
  assert surface([[0, 0], [1, 1], [2, 0]], [1.0, 2.0, 3.0]).triangles.shape == (1, 3)


def test_bounds_of_accuracies_by_rates():
  rates = np.array([0.0, 0.5, 1.0, 2.0, 5.0, np.nan])
  found = accuracy_bounds(rates, np.log(10), 10)
  assert found[0] == 0.1 and found[4] == 1 and np.isnan(found[5]) and np.all(np.diff(found[:5]) > 0)
  assert found[2] == accuracy_bound(1.0, np.log(10), 10)
  assert [classes_of(h) for h in (np.log(10), 2.3008, np.log(2), 0.0, 2.29)] == [10, 10, 2, None, None]
  assert [classes_of(2.29, own) for own in ([9.5, np.nan, 10], [1.0], [np.nan])] == [10, None, None]
