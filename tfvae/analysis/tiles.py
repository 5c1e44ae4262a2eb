"""What a latent plane is used for: where the posteriors of examples lie in it, and what lies between them."""

import numpy as np
import tensorflow as tf
from scipy import special

from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.noise import stateless
from tfvae.run.metrics import DECODED, HOLE

REACH = 4.0  # the plane that is looked at: so many standard deviations of the prior to each side
SIDE = 161  # of the grid on which densities are found
AT_ONCE = 2**18  # densities


class Tiles(Evaluator):
  """Of one layer z of two real units: its prior p(z) and the aggregate posterior q(z) = (1/N) sum_n q(z | x_n) of the
  first N = eval.tiles.examples examples, on a grid.

  hole_mass: P_p(q(z) < 0.01 p(z)), the share of the prior's samples that lie where the posteriors put less than a
    hundredth of the prior's density, so that next to nothing was ever decoded from there in training. 0 where q(z) is
    p(z).
  hole_kl: KL(p(z) || q(z)) in nats, which grows with how far the holes are from every posterior.

  Both are sums over the midpoints of squares of a grid of 161 x 161, 0.05 standard deviations of the prior a side, each
  weighed by the prior's mass of its square; 1.3e-4 of the prior is beyond +-4 standard deviations and left out. q(z) is
  the density itself, of a flow as of a Gaussian: no samples, no smoothing.

  Arrays, the plane being in standard deviations of the prior, eps: z [S, n, 2], S = eval.tiles.samples samples of q of
  each of the first n = min(eval.num_images, N) examples; x and label of these (0 where there is none); log_ratio
  [161, 161], log q(z) / p(z), and axis [161], its coordinates (rows: the second unit, from -4); tile [m, m, ...],
  E[x | z] on the m = eval.tiles.grid by m midpoints of the square of +-3 standard deviations, rows from the top: the
  second unit from +3; value_range; hole_mass.

  The noise depends on the seed alone.
  """

  name = 'tiles'

  def __init__(self, spec):
    super().__init__(spec)
    self._densities = tf.function(self._log_sum, autograph=False, reduce_retracing=True)
    self._prior = tf.function(self._log_p, autograph=False)
    self._samples = tf.function(self._draw, autograph=False)
    self._decoded = tf.function(self._decode, autograph=False)

  @staticmethod
  def _layer(model):
    return model.layer_names[0]

  def _log_sum(self, model, batch, mask, eps):
    """log sum_n q(z | x_n) of the examples that are no padding, [G], at eps [G, 2]."""
    _, q = model.encode(batch)
    z = _at(model, eps)[0]  # [G, 2]
    z = tf.broadcast_to(z[:, None], [z.shape[0], batch['x'].shape[0], 2])
    log_q = tf.cast(q[self._layer(model)].log_prob(z), tf.float64)
    return tf.reduce_logsumexp(log_q + tf.math.log(tf.cast(mask, tf.float64)), 1)

  def _log_p(self, model, eps):
    return tf.cast(_p(model).log_prob(_at(model, eps)), tf.float64)[0]

  def _decode(self, model, eps):
    return model.mean({self._layer(model): _at(model, eps)})[0]

  def _draw(self, model, batch):
    """Samples of q(z | x) in standard deviations of the prior, [S, n, 2]."""
    family, layer = model.families[self._layer(model)], self._layer(model)
    noise = stateless(self.spec.seed, 0).scope('eval/tiles')
    _, q = model.encode(batch)
    z = family.sample(q[layer], noise, f'z/{layer}', (self.section.samples, batch['x'].shape[0]))
    return family.standardize(_p(model), z)

  def evaluate(self, model, split):
    section = self.section
    count = min(section.examples or split.size, split.size)
    axis = np.linspace(-REACH, REACH, SIDE)
    plane = _plane(axis, axis)
    log_ratio = self._log_q(model, split, count, plane) - self._prior(model, _tensor(model, plane)).numpy()
    half = axis[1] / 2 - axis[0] / 2
    mass = special.ndtr(axis + half) - special.ndtr(axis - half)
    mass = np.outer(mass, mass).ravel()
    mass /= mass.sum()
    first = split.source.first(split.name, min(self.spec.eval.num_images, count))
    middles = (np.arange(section.grid) + 0.5) / section.grid * 2 * DECODED - DECODED
    tile = self._decoded(model, _tensor(model, _plane(middles, middles[::-1]))).numpy()
    arrays = {
      'z': self._samples(model, first).numpy(),
      'x': first['x'].numpy(),
      'label': first['label'].numpy() if 'label' in first else np.zeros(len(first['x'])),
      'log_ratio': log_ratio.reshape(SIDE, SIDE),
      'axis': axis,
      'tile': tile.reshape(section.grid, section.grid, *tile.shape[1:]),
      'value_range': np.array(split.source.value_range),
    }
    numbers = {'hole_mass': float(mass @ (log_ratio < np.log(HOLE))), 'hole_kl': float(-mass @ log_ratio)}
    return Found(numbers, arrays | {'hole_mass': np.array(numbers['hole_mass'])})

  def _log_q(self, model, split, count, plane):
    """log q(z) at each point of the plane, [G]."""
    total = np.full(len(plane), -np.inf)
    for _, stored in split.batches(examples=count):
      batch, mask = split.batch(stored), stored['mask']
      size = max(1, AT_ONCE // len(mask))
      parts = np.array_split(plane, -(-len(plane) // size))
      found = [self._densities(model, batch, mask, _tensor(model, part)).numpy() for part in parts]
      total = np.logaddexp(total, np.concatenate(found))
    return total - np.log(count)


def _p(model):
  """p(z) of a model of one layer."""
  _, p = model.descend(lambda layer, p: layer.family.location(p))
  return p[model.layer_names[0]]


def _at(model, eps):
  """[1, G, 2]: z so many of the prior's standard deviations from its mean."""
  return model.families[model.layer_names[0]].at(_p(model), eps[None])


def _plane(first, second):
  """[len(second) len(first), 2]: the points of a grid, row by row, the first unit running fastest."""
  return np.stack(np.meshgrid(first, second), -1).reshape(-1, 2)


def _tensor(model, plane):
  return tf.constant(plane, model.decoder.likelihood.variable_dtype)
