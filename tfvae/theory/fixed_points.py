"""Fixed points of a VAE whose encoder and decoder can be any function (Rezende & Viola 2018, section 3.2, appendix A).

The latent space is a grid of K tiles with a uniform prior; tile i has one reconstruction, the point g_i. With the
decoder's variance sigma^2 and a weight beta of the rate, T = beta sigma^2 is a temperature, and the best posterior and
points answer each other:

    m_ni = exp(-|x_n - g_i|^2 / 2T) / sum_j exp(-|x_n - g_j|^2 / 2T)        (the prior 1/K cancels)
    g_i <- sum_n m_ni x_n / sum_n m_ni

The mean of the data, all points in one, is a fixed point at every T; it loses stability at the largest eigenvalue of
the data's covariance.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.signal import find_peaks

from tfvae import noise
from tfvae.theory import ppca


class Sweep(NamedTuple):
  """What was found at each of S temperatures, in the order in which they were visited."""

  temperatures: np.ndarray  # [S]
  points: np.ndarray  # g, [S, K, D]
  error: np.ndarray  # E(T), the mean of sum_i m_ni |x_n - g_i|^2 over n, [S]
  occupancy: np.ndarray  # the mean of m_ni over n, which sums to 1, [S, K]
  rate: np.ndarray  # the mean of sum_i m_ni log(K m_ni) over n, KL(q || prior) in nats, [S]
  iterations: np.ndarray  # of the map, [S]
  step: np.ndarray  # the longest way of a point in the last of them, [S]

  def at(self, which) -> 'Sweep':
    """Some of the temperatures, by a slice or indices."""
    return Sweep(*(value[which] for value in self))


def centres(grid: tuple[int, ...]) -> np.ndarray:
  """The middles of the tiles in [0, 1]^d: [K, d], the last axis of the grid fastest."""
  axes = [(np.arange(size) + 0.5) / size for size in _grid(grid)]
  return np.stack(np.meshgrid(*axes, indexing='ij'), -1).reshape(-1, len(axes))


def start(data: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
  """Points at the tiles' centres, [K, D], the grid being stretched over the box of the data [N, D].

  A grid of fewer axes than the data lies along the columns with the widest range, at the mean of the others; of one
  with more axes the first D count, so that tiles which differ in the rest start together, and noise parts them.
  """
  data = _table(data)
  low, high = data.min(0), data.max(0)
  tiles = centres(grid)[:, : data.shape[1]]
  columns = np.sort(np.argsort(low - high, kind='stable')[: tiles.shape[1]])
  points = np.tile(data.mean(0), (len(tiles), 1))
  points[:, columns] = low[columns] + tiles * (high - low)[columns]
  return points


def update(points: tf.Tensor, data: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
  """The map: [K, D], [N, D], a number -> [K, D].

  Both normalisations are of logarithms: points far from all data have m of 0 in any precision, and still somewhere to
  go to; no T > 0 makes 0/0.
  """
  return tf.matmul(tf.nn.softmax(_log_posterior(points, data, temperature), axis=1), data)


def _log_posterior(points, data, temperature):
  """log m, [K, N]. |x|^2 cancels."""
  logits = (tf.matmul(points, data, transpose_b=True) - 0.5 * tf.reduce_sum(points**2, -1)[:, None]) / temperature
  return logits - tf.reduce_logsumexp(logits, axis=0)


def sweep(
  data: np.ndarray,
  temperatures: np.ndarray,
  points: np.ndarray,
  *,
  seed: int = 0,
  noise_scale: float = 1e-3,
  smoothing: float = 0.9,
  iterations: int = 400,
  tolerance: float = 1e-3,
  laplacian: np.ndarray | None = None,
  warm: bool = True,
  dtype: str = 'float64',
) -> Sweep:
  """Fixed points at temperatures in the order given, each found from those before it: one compiled program.

  At every temperature noise is added to where the points are, without which points that have met would stay together
  for ever, and g <- smoothing g + (1 - smoothing) map(g) goes on until no point moves by `tolerance` or more, at most
  `iterations` times. The limits are those published; they also stop points that are only about to leave an unstable
  place, where a step is (1 - smoothing) (l / T - 1) times the distance to it. To find out when they leave, take
  smoothing=0, a small tolerance, and as many iterations as that needs.

  Args:
    data: [N, D]. noise_scale and tolerance are in its units, made for data that spread by about 1.
    temperatures: [S], T = beta sigma^2.
    points: where the first temperature begins, [K, D]: `start`.
    seed: of the noise, which depends on it and on the temperature's number alone.
    noise_scale: its standard deviation.
    laplacian: of a Lipschitz constraint, [K, K], times gamma: after each application of the map
      g <- (I + gamma L)^-1 g, the nearest points in the least squares of |g - map|^2 + gamma tr(g^T L g) (appendix B).
    warm: whether a temperature begins where the one before it ended. Else each begins at `points`, so that what the
      points have lost at the mean, their order in the grid, is there again.
    dtype: float64, or float32 for speed: at T = 1e-5 exponents are then off by 0.01 where data spread by 1.

  Raises:
    ValueError: no temperatures, one that is not above 0, a single point, or data that are no table of numbers.
  """
  data, temperatures = _table(data), _temperatures(temperatures)
  if np.ndim(points) != 2 or len(points) < 2 or np.shape(points)[1] != data.shape[1]:
    raise ValueError(f'points must be [K, {data.shape[1]}] with K of 2 or more, got shape {np.shape(points)}')
  mean = data.mean(0)  # distances are those of small numbers
  smoother = None if laplacian is None else tf.constant(_smoother(laplacian), dtype)
  found = _sweep(
    tf.constant(data - mean, dtype),
    tf.constant(temperatures, dtype),
    tf.constant(points - mean, dtype),
    tf.constant(seed, tf.int32),
    tf.constant(noise_scale, dtype),
    tf.constant(smoothing, dtype),
    tf.constant(iterations),
    tf.constant(tolerance, dtype),
    smoother,
    tf.constant(warm),
  )
  g, *rest = (value.numpy() for value in found)
  return Sweep(temperatures, g + mean, *rest)


@tf.function(autograph=False)
def _sweep(data, temperatures, points, seed, noise_scale, smoothing, iterations, tolerance, smoother, warm):
  """All of `sweep`, on tensors."""

  def settle(before, given):
    number, temperature = given
    shift = noise_scale * noise.stateless(seed, number).normal('fixed points', points.shape, dtype=data.dtype)

    def step(count, g, _):
      new = smoothing * g + (1 - smoothing) * _smoothed(update(g, data, temperature), smoother)
      return count + 1, new, tf.sqrt(tf.reduce_max(tf.reduce_sum((new - g) ** 2, -1)))

    count, g, moved = tf.while_loop(
      lambda count, _, moved: (count < iterations) & (moved >= tolerance),
      step,
      (tf.constant(0), tf.where(warm, before[0], points) + shift, tf.constant(np.inf, data.dtype)),
    )
    log_m = _log_posterior(g, data, temperature)
    m = tf.exp(log_m)
    rows = tf.cast(tf.shape(data)[0], data.dtype)
    squares = tf.add_n([(g[:, d, None] - data[:, d]) ** 2 for d in range(data.shape[1])])
    error = tf.reduce_sum(m * squares) / rows
    rate = tf.reduce_sum(m * log_m) / rows + tf.math.log(tf.cast(tf.shape(g)[0], data.dtype))
    return g, error, tf.reduce_mean(m, axis=1), rate, count, moved

  nothing = tf.zeros([], data.dtype)
  first = (points, nothing, tf.zeros_like(points[:, 0]), nothing, tf.constant(0), nothing)
  return tf.scan(settle, (tf.range(tf.shape(temperatures)[0]), temperatures), first)


def down_and_up(data: np.ndarray, temperatures: np.ndarray, grid: tuple[int, ...], **options) -> tuple[Sweep, Sweep]:
  """`sweep` from the highest temperature, where it begins at `start`, to the lowest and back, in one program.

  Returns what was found on the way down and on the way up, each from its own first temperature. Where the two differ
  there is hysteresis: several fixed points are stable. Options are those of `sweep`. Raises as it does, and ValueError
  for a grid of one point.
  """
  falling = np.unique(_temperatures(temperatures))[::-1]
  found = sweep(data, np.concatenate([falling, falling[::-1]]), start(data, grid), **options)
  return found.at(slice(len(falling))), found.at(slice(len(falling), None))


def curvature(temperatures: np.ndarray, error: np.ndarray) -> np.ndarray:
  """d2E/dT2 at each temperature but the first and the last, by three points each, however they are spaced: [S - 2]."""
  rising = np.argsort(temperatures)
  t, e = np.asarray(temperatures, np.float64)[rising], np.asarray(error, np.float64)[rising]
  return 2 * np.diff(np.diff(e) / np.diff(t)) / (t[2:] - t[:-2])


def critical_temperatures(
  temperatures: np.ndarray, error: np.ndarray, count: int = 3, least: float = 0.05
) -> np.ndarray:
  """The temperatures of the `count` highest peaks of |d2E/dT2|, from the highest temperature: at most [count].

  At a transition the slope dE/dT jumps, so that a peak's height on a grid is the jump over the grid's spacing, and a
  grid that is denser somewhere has higher peaks there. What is compared is therefore the jump itself, |d2E/dT2| times
  the spacing, which on an even grid is the same comparison. Peaks of less than `least` times the largest are none.
  """
  if len(temperatures) < 3:
    raise ValueError(f'a second derivative needs three temperatures or more, got {len(temperatures)}')
  t = np.sort(np.asarray(temperatures, np.float64))
  jumps = np.abs(curvature(temperatures, error)) * (t[2:] - t[:-2]) / 2
  at, found = find_peaks(np.pad(jumps, 1), height=least * jumps.max())
  highest = at[np.argsort(-found['peak_heights'], kind='stable')][:count]
  return np.sort(t[highest])[::-1]


class Equipartition(NamedTuple):
  """How evenly the data's mass is spread over the K tiles, whose share by the prior is 1/K each."""

  deviation: np.ndarray  # 1/2 sum_i |o_i - 1/K|: the part of the mass that is on tiles with too much of it, in [0, 1)
  largest: np.ndarray  # max_i |K o_i - 1|
  divergence: np.ndarray  # KL(o || prior) = log K - H[o], the marginal KL of the grid, in nats


def equipartition(occupancy: np.ndarray) -> Equipartition:
  """Of occupancies o [..., K], the mean posteriors. Every number is 0 where each tile has the same mass."""
  o = np.asarray(occupancy, np.float64)
  tiles = o.shape[-1]
  logs = np.log(np.where(o > 0, o * tiles, 1.0))
  excess = np.abs(o * tiles - 1)
  return Equipartition(excess.mean(-1) / 2, excess.max(-1), (o * logs).sum(-1))


def arrays(data: np.ndarray, grid: tuple[int, ...], down: Sweep, up: Sweep) -> dict[str, np.ndarray]:
  """What there is to keep and to draw of `down_and_up`, by names; all over T in the order in which it falls.

  data [N, D], grid [d], tiles [K, d], eigenvalues [D], temperatures [S]; of the way down points [S, K, D], error,
  rate, occupancy, iterations, step, equipartition [S, 3], curvature [S - 2] and critical, at most [3]; the same of the
  way up under 'up.' + name.
  """
  found = {'data': _table(data), 'grid': np.array(_grid(grid)), 'tiles': centres(grid)}
  found |= {'eigenvalues': ppca.spectrum(found['data']), 'temperatures': down.temperatures}
  for prefix, way in (('', down), ('up.', up.at(slice(None, None, -1)))):
    own = way._asdict() | {'equipartition': np.stack(equipartition(way.occupancy), -1)}
    own |= {'curvature': curvature(way.temperatures, way.error)[::-1]}
    own |= {'critical': critical_temperatures(way.temperatures, way.error)}
    found |= {prefix + name: value for name, value in own.items() if name != 'temperatures'}
  return found


# The map near a fixed point.


def jacobian(
  points: np.ndarray, data: np.ndarray, temperature: float, laplacian: np.ndarray | None = None
) -> np.ndarray:
  """Of the map (not smoothed) at points [K, D], by automatic differentiation, in float64: [K D, K D].

  One row after the other: for the map at thousands of tiles that takes minutes.
  """
  smoother = None if laplacian is None else tf.constant(_smoother(laplacian), tf.float64)
  g = tf.constant(points, tf.float64)
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(g)
    new = _smoothed(update(g, tf.constant(data, tf.float64), tf.constant(temperature, tf.float64)), smoother)
  return tape.jacobian(new, g, experimental_use_pfor=False).numpy().reshape(np.size(points), np.size(points))


def spectral_radius_at_mean(
  data: np.ndarray, temperature: float, grid: tuple[int, ...], laplacian: np.ndarray | None = None
) -> float:
  """The largest |eigenvalue| of the map's Jacobian where all points are at the data's mean.

  Below 1 the single point is stable. Without a constraint it is the largest eigenvalue of the covariance over T, for
  any grid of two tiles or more.
  """
  data = _table(data)
  _temperatures([temperature])
  points = np.zeros((len(centres(grid)), data.shape[1]))
  return float(np.abs(np.linalg.eigvals(jacobian(points, data - data.mean(0), temperature, laplacian))).max())


# Lipschitz constraints.


def local_laplacian(grid: tuple[int, ...]) -> np.ndarray:
  """L of the grid's tiles, neighbours along an axis being joined with weight 1: tr(g^T L g) is the sum of
  |g_i - g_j|^2 over pairs of neighbours. [K, K]."""
  tiles = centres(grid) * np.asarray(grid)
  return _laplacian(np.abs(np.abs(tiles[:, None] - tiles).sum(-1) - 1) < 0.5)


def global_laplacian(grid: tuple[int, ...]) -> np.ndarray:
  """L of all pairs, joined with weight 1 / |z_i - z_j|^2: tr(g^T L g) is the sum of (|g_i - g_j| / |z_i - z_j|)^2,
  distances in the latent space being counted in tiles. [K, K]."""
  tiles = centres(grid) * np.asarray(grid)
  squares = ((tiles[:, None] - tiles) ** 2).sum(-1)
  return _laplacian(np.divide(1.0, squares, out=np.zeros_like(squares), where=squares > 0.5))


def _laplacian(weights):
  return np.diag(weights.sum(1)) - weights


def _smoother(laplacian):
  """(I + L)^-1, once for all iterations: its eigenvalues are in (0, 1], so that nothing is lost by having it."""
  return np.linalg.inv(np.eye(len(laplacian)) + laplacian)


def _smoothed(points, smoother):
  return points if smoother is None else tf.matmul(smoother, points)


# What is refused.


def _grid(grid):
  sizes = tuple(int(size) for size in np.atleast_1d(grid))
  if not sizes or min(sizes) < 1 or np.prod(sizes) < 2:
    raise ValueError(f'a grid needs two points or more, and one or more along each axis, got {grid!r}')
  return sizes


def _temperatures(temperatures):
  values = np.asarray(temperatures, np.float64).reshape(-1)
  if not values.size:
    raise ValueError('the sweep is empty: give one temperature or more')
  wrong = values[~((values > 0) & np.isfinite(values))]
  if wrong.size:
    raise ValueError(f'temperatures must be finite and above 0, got {wrong[0]:g}')
  return values


def _table(data):
  data = np.asarray(data, np.float64)
  if data.ndim != 2 or len(data) < 2 or not np.isfinite(data).all():
    raise ValueError(f'data must be a table of finite numbers, [N, D] with two rows or more, got shape {data.shape}')
  return data
