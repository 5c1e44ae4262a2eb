"""How a model that draws in steps comes to its pictures."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.noise import stateless

MOST = 16  # pictures that are kept


class Canvases(Evaluator):
  """Arrays, [n, ...] with n = eval.num_images, at most 16: x, target where it is another, context, what a model was
  told of each; reconstruction and prior [n, T, ...], E[x | z_<=t] after each step t = 1, ..., T, of z ~ q(z | x) and of
  z ~ p(z): how the first pictures of the evaluator samples were drawn. And value_range, the ends of the training data.
  """

  name = 'canvases'

  def __init__(self, spec):
    super().__init__(spec)
    self._pictures = tf.function(self._draw, autograph=False)

  def _draw(self, model, batch, context, n):
    noise = stateless(self.spec.seed, 0).scope('eval/samples')
    prior, _ = model.descend(lambda step, p: step.family.sample(p, noise, f'p/{step.name}', (1, n)), context)
    return _drawn(model, model.infer(batch, noise, 1).z, batch.get('context')), _drawn(model, prior, context)

  def evaluate(self, model, split):
    n = self.spec.eval.num_images
    batch, context = split.source.first(split.name, min(n, split.size)), split.context(model, n)
    reconstruction, prior = self._pictures(model, batch, context, n)
    seen = {name: batch[name] for name in ('x', 'target') if name in batch}
    seen |= {} if context is None else {'context': context}
    arrays = {name: value[:MOST].numpy() for name, value in seen.items()}
    arrays |= {'reconstruction': reconstruction.numpy(), 'prior': prior.numpy()}
    return Found({}, arrays | {'value_range': np.array(split.source.value_range)})


def _drawn(model, z, context):
  """[n, T, ...] of the first z, {layer: [1, N, ...]}."""
  first = {name: value[:, :MOST] for name, value in z.items()}
  drawings = model.drawings(first, None if context is None else context[:MOST])
  return tf.stack([mean[0] for mean in drawings], 1)
