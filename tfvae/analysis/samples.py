"""Reconstructions and samples for the figures."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.noise import stateless


class Samples(Evaluator):
  """Arrays, [n, ...] with n = eval.num_images: x, reconstruction (E[x | z] at one z ~ q(z | x)), prior (E[x | z] at
  one z ~ p(z)), target where it is another than x, context, what a model was told of each of `prior`: those of the
  split's first examples, in turn; and value_range, the ends of the training data. The noise depends on the seed alone,
  so that pictures of one run can be compared over its training.
  """

  name = 'samples'

  def __init__(self, spec):
    super().__init__(spec)
    self._pictures = tf.function(self._draw, autograph=False)

  def _draw(self, model, batch, context, n):
    noise = stateless(self.spec.seed, 0).scope('eval/samples')
    return model.infer(batch, noise, 1).mean[0], model.generate(n, noise, context).mean[0]

  def evaluate(self, model, split):
    batch = split.source.first(split.name, min(self.spec.eval.num_images, split.size))
    n = self.spec.eval.num_images
    context = split.context(model, n)
    reconstruction, prior = self._pictures(model, batch, context, n)
    arrays = {'x': batch['x'].numpy(), 'reconstruction': reconstruction.numpy(), 'prior': prior.numpy()}
    arrays |= {'target': batch['target'].numpy()} if 'target' in batch else {}
    arrays |= {} if context is None else {'context': context.numpy()}
    return Found({}, arrays | {'value_range': np.array(split.source.value_range)})
