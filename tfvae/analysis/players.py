"""The losses of symmetric learning's two players, of a model trained by any objective."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Found, TraceEvaluator
from tfvae.noise import stateless


class Players(TraceEvaluator):
  """loss/generative, -E log p(x, z), x from the split, z ~ q(z | x); loss/inference, -E log q(z | x), (z, x) ~ p.

  In nats, as the objective `symmetric` logs them of its batches (Flach et al. 2024), so that runs by the ELBO are
  compared with it in the same terms. The second is the mean over as many samples of the model as the split has examples
  (in whole batches).
  """

  name = 'players'

  def __init__(self, spec):
    super().__init__(spec)
    self._inference = tf.function(self._inference_loss, autograph=False)

  def per_example(self, model, trace, split, batch):
    del model, split, batch
    return {'generative': -tf.reduce_mean(trace.log_px + tf.add_n(list(trace.log_p.values())), 0)}

  def finish(self, means, model, split):
    batches = -(-split.size // self.spec.eval.batch_size)
    size, numbers = self.spec.eval.batch_size, split.watched(iter(range(batches)), batches)
    losses = [self._inference(model, tf.constant(i), split.context(model, size, i * size)).numpy() for i in numbers]
    return Found({'loss/generative': float(means['generative']), 'loss/inference': float(np.mean(losses))}, {})

  def _inference_loss(self, model, number, context):
    noise = stateless(self.spec.seed, number).scope('eval/players')
    trace = model.generate(self.spec.eval.batch_size, noise, context)
    return -tf.reduce_mean(tf.add_n(list(trace.log_q.values())))
