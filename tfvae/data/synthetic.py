"""Points on curves and manifolds, and from linear models: made from spec.data.seed, nothing is read.

The sets of "The ELBO of VAEs Converges to a Sum of Entropies" (Damm et al., AISTATS 2023), by the constants of their
published experiments. As many test points as training points. The label of a point is where it lies on its manifold,
from 0 to 1 (on a swiss roll, how far along the roll), or the number of its component.
"""

import math
from collections.abc import Callable

import numpy as np

from tfvae.data.stored import Stored
from tfvae.errors import UserError


def shape(section) -> tuple[int, ...]:
  """Of an example."""
  return ({'1d_gauss': 1, 'swiss_roll': 3, 'spiral_3d': 3}.get(section.name) or _dims(section),)


def _dims(section):
  return section.dims if section.name in ('manifold', 'pca', 'pca_ring', 'stream') else 2


def load(section) -> Stored:
  """The set that spec.data.name names.

  Raises:
    UserError: where spec.data.latents does not leave a dimension to spec.data.dims.
  """
  n, rng = section.examples, np.random.default_rng([section.seed, 1])
  x, label = SETS[section.name](rng, 2 * n, section)
  label = label.astype(np.int32 if label.dtype.kind == 'i' else np.float32)
  train, test = ({'x': x[part], 'label': label[part]} for part in (slice(n), slice(n, None)))
  return Stored(section.name, {'train': train, 'test': test})


def _noisy(rng, points, section):
  return points + section.noise * rng.standard_normal(points.shape)


def gauss_1d(rng, n, section):
  """N(3, noise^2)."""
  x = 3 + section.noise * rng.standard_normal((n, 1))
  return x, np.zeros(n)


def line(rng, n, section):
  """(t, 1.5 t + 2), t uniform in [0, 3]."""
  t = 3 * rng.random(n)
  return _noisy(rng, np.stack([t, 1.5 * t + 2], -1), section), t / 3


def circle(rng, n, section):
  """The unit circle, with noise along the radius."""
  t, radius = rng.random(n), 1 + section.noise * rng.standard_normal(n)
  return np.stack([radius * np.cos(2 * np.pi * t), radius * np.sin(2 * np.pi * t)], -1), t


def gauss_8(rng, n, section):
  """Eight Gaussians of standard deviation noise around (1, 1), on a circle of radius 0.4."""
  number = rng.integers(8, size=n)
  angle = 2 * np.pi * number / 8
  return _noisy(rng, 1 + 0.4 * np.stack([np.cos(angle), np.sin(angle)], -1), section), number


def cosine(rng, n, section):
  """(t, 1 + cos t), t uniform in [0, 3 pi]."""
  t = 3 * np.pi * rng.random(n)
  return _noisy(rng, np.stack([t, 1 + np.cos(t)], -1), section), t / (3 * np.pi)


def eight(rng, n, section):
  """The lemniscate of Gerono, (cos t, sin t cos t) / 2, t uniform in [-pi / 2, 2 pi].

  More than one turn, as published: the quarter from -pi / 2 to 0 (the label from 3/4 to 1) is twice as dense.
  """
  t = np.pi * (2.5 * rng.random(n) - 0.5)
  points = np.stack([np.cos(t), np.sin(t) * np.cos(t)], -1) / 2
  return _noisy(rng, points, section), t / (2 * np.pi) % 1


def swiss_roll(rng, n, section):
  """scikit-learn's: a sheet rolled up in three dimensions."""
  from sklearn.datasets import make_swiss_roll

  x, t = make_swiss_roll(n, noise=section.noise, random_state=int(rng.integers(2**31)))
  return x, (t - 1.5 * np.pi) / (3 * np.pi)


def spiral_3d(rng, n, section):
  """One turn of a helix of radius 2.5 that climbs by 3, its axis turned by 45 degrees (and stretched)."""
  t = rng.random(n)
  a, b, c = 2.5 * np.sin(2 * np.pi * t), 2.5 * np.cos(2 * np.pi * t), 3 * t
  return _noisy(rng, 1.5 + np.stack([a - c, b, a + c], -1), section), t


def manifold(rng, n, section):
  """k = `latents` normal dimensions of standard deviation 0.35, and D - k functions of them, without noise.

  Each of these is 0.35 cos(a^2 + b^2) with a and b two (not always different) of the k, drawn from the seed.
  """
  k, dims = section.latents, section.dims
  if k >= dims:
    raise UserError(f'spec.data.latents: got {k}; allowed: less than spec.data.dims ({dims})')
  pairs = np.random.default_rng([section.seed, 2]).integers(k, size=(dims - k, 2))
  z = 0.35 * rng.standard_normal((n, k)) - 0.175
  others = 0.35 * np.cos(np.square(z[:, pairs]).sum(-1))
  return np.concatenate([z, others], -1), 0.5 + 0.5 * np.vectorize(math.erf)((z[:, 0] + 0.175) / (0.35 * math.sqrt(2)))


def linear_model(section) -> tuple[np.ndarray, np.ndarray]:
  """What `pca` and `pca_ring` are made with: W [D, H] and mu [D], uniform in [0, 1]."""
  rng = np.random.default_rng([section.seed, 3])
  return rng.random((section.dims, section.latents)), rng.random(section.dims)


def pca(rng, n, section):
  """W z + mu + noise, z standard normal."""
  return _linear(rng, rng.standard_normal((n, section.latents)), section)


def pca_ring(rng, n, section):
  """W f(z) + mu + noise, z standard normal, f(z) = z / 10 + z / |z|: near a ring where z has two dimensions."""
  z = rng.standard_normal((n, section.latents))
  return _linear(rng, z / 10 + z / np.linalg.norm(z, axis=-1, keepdims=True), section)


def _linear(rng, z, section):
  weights, mean = linear_model(section)
  label = np.arctan2(z[:, 1], z[:, 0]) / (2 * np.pi) + 0.5 if z.shape[1] > 1 else z[:, 0]
  return _noisy(rng, z @ weights.T + mean, section), label


def stream(rng, n, section):
  """Normal data whose covariance changes at `changes`: see `stream_moments`. Their order is that of time."""
  count, x, label = n // 2, [], []
  for _ in ('train', 'test'):  # each a whole stream
    ends = (0, *section.changes, count)
    for number, (scales, basis) in enumerate(_axes(section)):
      length = ends[number + 1] - ends[number]
      x.append((rng.standard_normal((length, section.dims)) * scales) @ basis.T)
      label.append(np.full(length, number))
  return _noisy(rng, np.concatenate(x), section), np.concatenate(label)


def _axes(section):
  basis = np.linalg.svd(np.random.default_rng([section.seed, 3]).standard_normal((section.dims,) * 2))[0]
  for latents in section.segments:
    scales = np.linspace(1, 5, section.dims)
    scales[latents:] = 0
    yield scales, basis


def stream_moments(section) -> list[tuple[np.ndarray, np.ndarray]]:
  """(mean [D], covariance [D, D]) of each segment of `stream`.

  Standard deviations from 1 to 5, evenly spaced, along the axes of one random orthogonal basis, of which a segment has
  the first `segments` ones; and noise.
  """
  noise = section.noise**2 * np.eye(section.dims)
  return [(np.zeros(section.dims), (basis * scales**2) @ basis.T + noise) for scales, basis in _axes(section)]


SETS: dict[str, Callable] = {
  '1d_gauss': gauss_1d,
  'line': line,
  'circle': circle,
  '8gauss': gauss_8,
  'cosine': cosine,
  'eight': eight,
  'swiss_roll': swiss_roll,
  'spiral_3d': spiral_3d,
  'manifold': manifold,
  'pca': pca,
  'pca_ring': pca_ring,
  'stream': stream,
}
