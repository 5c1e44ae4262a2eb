"""Which latent units are used."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator
from tfvae.errors import UserError
from tfvae.noise import stateless

# Burda et al. 2016, section 5: a unit is active if Var_x E[z|x] > 0.01, here in units of the prior's variance.
BURDA_THRESHOLD = 0.01
# FORMULAS.md (Damm et al. 2023): a unit is collapsed if its encoder entropy is within this of the prior's, in nats.
ENTROPY_THRESHOLD = 0.4189


class Latents(Evaluator):
  """Active units of each layer, by two definitions, and statistics of each unit.

  active_units/<layer>: Var_x E[z_h | x] > 0.01 alpha_h^2 (Burda et al. 2016), alpha_h^2 the prior's variance.
  active_units_entropy/<layer>: mean encoder entropy more than 0.4189 nats below the prior's (Damm et al. 2023).
  For a layer below the top, E[z | x] is over the layers above, z_>l ~ q; its square is estimated without bias by the
  products of different samples (so at least two are needed, `UserError` otherwise). The prior's variance is
  E Var p(z_l | z_>l) + Var E p(z_l | z_>l), and its entropy E H[p(z_l | z_>l)].
  Without a layer: the sums over the layers. Arrays, [H] for each layer: encoder_entropy, prior_entropy, mean,
  variance_of_mean; and z, samples of q for the first examples.
  """

  name = 'latents'

  def per_example(self, model, trace):
    batch = trace.x.shape[0]
    moments = {}
    for layer in trace.z:
      q, p, shape = trace.q[layer], trace.p[layer], trace.q[layer].event_shape

      def mean(value, shape=shape):  # over the samples, which p and q of the top layer lack
        value = tf.reshape(value, [-1, *value.shape[1:]] if value.shape.rank > len(shape) else [1, 1, *shape])
        value = tf.reduce_mean(value, 0)
        return tf.reshape(tf.broadcast_to(value, [batch, *shape]), [batch, -1])

      moments |= {
        f'{layer}.mean': mean(q.mean()),
        f'{layer}.mean_squared': _square_of_mean(layer == next(iter(trace.q)), mean, q.mean()),
        f'{layer}.encoder_entropy': mean(q.distribution.entropy()),
        f'{layer}.prior_entropy': mean(p.distribution.entropy()),
        f'{layer}.prior_variance': mean(p.variance()),
        f'{layer}.prior_mean': mean(p.mean()),
        f'{layer}.prior_mean_squared': mean(tf.square(p.mean())),
      }
    return moments

  def finish(self, means, model, source, split):
    numbers, arrays = {'active_units': 0.0, 'active_units_entropy': 0.0}, {}
    for layer in model.layer_names:
      m = {name.partition('.')[2]: value for name, value in means.items() if name.startswith(f'{layer}.')}
      variance = m['mean_squared'] - m['mean'] ** 2
      prior = m['prior_variance'] + m['prior_mean_squared'] - m['prior_mean'] ** 2
      counts = {
        'active_units': float(np.sum(variance > BURDA_THRESHOLD * prior)),
        'active_units_entropy': float(np.sum(m['prior_entropy'] - m['encoder_entropy'] > ENTROPY_THRESHOLD)),
      }
      for name, count in counts.items():
        numbers[f'{name}/{layer}'] = count
        numbers[name] += count
      arrays |= {f'{layer}.{name}': m[name] for name in ('mean', 'encoder_entropy', 'prior_entropy')}
      arrays[f'{layer}.variance_of_mean'] = variance
    n = min(source.dataset.size(split), self.spec.eval.batch_size)
    batch = source.first(split, n)
    trace = model.infer(batch, stateless(self.spec.seed, 0).scope('eval/latents'), 1)
    arrays |= {f'{layer}.z': sample[0].numpy() for layer, sample in trace.z.items()}
    return numbers, arrays


def _square_of_mean(first, mean, values):
  """E[z | x]^2: [B, H]. With S > 1 samples, ((sum_s m_s)^2 - sum_s m_s^2) / (S (S - 1))."""
  if first:  # of x alone
    return tf.square(mean(values))
  samples = values.shape[0]
  if samples < 2:
    raise UserError('spec.eval.num_samples: got 1; the evaluator latents needs at least 2 where there are two layers')
  return (samples * tf.square(mean(values)) - mean(tf.square(values))) / (samples - 1)
