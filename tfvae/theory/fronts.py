"""What lies best among points: the hull over rates, and the surface through them. On arrays."""

from typing import NamedTuple

import numpy as np

FLAT = 1e-9  # of the extent of points, below which they lie on a line or a plane


class Front(NamedTuple):
  """The side of a convex hull that is best.

  Attributes:
    vertices: [V] numbers of its points; over one rate in the order of that rate.
    facets: [F, K + 1] numbers of the points of each of its pieces over K rates: segments, or triangles. Over rates that
      lie on a line they are segments, whatever K; none where there is one point.
  """

  vertices: np.ndarray
  facets: np.ndarray


def best_points(rates: np.ndarray, values: np.ndarray, better: int = 1) -> Front:
  """The upper (better=1) or lower (-1) side of the convex hull of points (rate_1, ..., rate_K, value).

  Whatever mixture of the points one takes, none is better at the mean of their rates (Xiao & Bamler 2023 compare
  rates of a hierarchy in this way). What is not finite does not count.

  Args:
    rates: [N] or [N, K].
    values: [N].
    better: 1 where more is better, -1 where less is.

  Returns:
    `Front`; its numbers are those of the N points. Of points at the same rates the best one counts.
  """
  from scipy.spatial import ConvexHull, QhullError

  rates = np.asarray(rates, float)
  rates = rates[:, None] if rates.ndim == 1 else rates
  values = better * np.asarray(values, float)
  there = np.flatnonzero(np.isfinite(rates).all(1) & np.isfinite(values))
  order = there[np.argsort(-values[there], kind='stable')]
  there = order[np.sort(np.unique(rates[order], axis=0, return_index=True)[1])] if len(order) else order
  along = _along(rates[there])
  if along.shape[1] == 0:
    return Front(there[:1], np.empty((0, 2), int))
  height = values[there] - values[there].min()
  points = np.c_[along, height / (height.max() or 1)]
  try:
    hull = ConvexHull(points)
    facets = hull.simplices[hull.equations[:, -2] > FLAT]
  except QhullError:  # the values are a linear function of the rates: all is the best side
    ends = np.array([[along[:, 0].argmin(), along[:, 0].argmax()]])
    facets = ends if along.shape[1] == 1 else _triangles(along)
  vertices = np.unique(facets)
  if along.shape[1] == 1:
    vertices = vertices[np.lexsort(rates[there[vertices]].T[::-1])]
    facets = np.stack([vertices[:-1], vertices[1:]], 1)
  return Front(there[vertices], there[facets])


def _along(rates):
  """[N, K] -> [N, rank]: the points in as many dimensions as they vary in, each of about unit extent."""
  extent = np.ptp(rates, axis=0) if len(rates) else np.zeros(rates.shape[1])
  centred = (rates - (rates.mean(0) if len(rates) else 0)) / np.where(extent > 0, extent, 1)
  if not len(rates):
    return centred[:, :0]
  _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
  return centred @ directions[sizes > FLAT * max(len(rates), 1)].T


def _triangles(points):
  from scipy.spatial import Delaunay

  return Delaunay(points).simplices


class Surface(NamedTuple):
  """A surface over two rates, linear on each triangle: what lies between points is between their values.

  Attributes:
    points: [P, 3]: rates and value of the points, those at the same rates as one.
    triangles: [T, 3] of these.
  """

  points: np.ndarray
  triangles: np.ndarray


def surface(rates: np.ndarray, values: np.ndarray) -> Surface | None:
  """The surface through scattered points (rate_1, rate_2, value): Delaunay's triangles, of rates in units of their
  extent (scipy.spatial).

  Values at the same rates are averaged; what is not finite does not count. None: fewer than three points, or all on a
  line.

  Args:
    rates: [N, 2].
    values: [N].
  """
  rates, values = np.asarray(rates, float).reshape(len(values), 2), np.asarray(values, float)
  there = np.isfinite(rates).all(1) & np.isfinite(values)
  if not there.any():
    return None
  places, inverse = np.unique(rates[there], axis=0, return_inverse=True)
  inverse = inverse.reshape(-1)
  means = np.bincount(inverse, values[there]) / np.bincount(inverse)
  if _along(places).shape[1] < 2:
    return None
  return Surface(np.c_[places, means], _triangles((places - places.min(0)) / np.ptp(places, axis=0)))
