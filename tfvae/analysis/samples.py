"""Reconstructions and samples for the figures."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator
from tfvae.noise import stateless


class Samples(Evaluator):
  """Arrays, [n, ...] with n = eval.num_images: x, reconstruction (E[x | z] at one z ~ q(z | x)), prior (E[x | z] at
  one z ~ p(z)), and value_range, the ends of the training data. The noise depends on the seed alone, so that pictures
  of one run can be compared over its training.
  """

  name = 'samples'

  def __init__(self, spec):
    super().__init__(spec)
    self._pictures = tf.function(self._draw, autograph=False)

  def _draw(self, model, batch, n):
    noise = stateless(self.spec.seed, 0).scope('eval/samples')
    return model.infer(batch, noise, 1).px.mean()[0], model.generate(n, noise).px.mean()[0]

  def finish(self, means, model, source, split):
    n = min(self.spec.eval.num_images, source.dataset.size(split))
    batch = source.first(split, n)
    reconstruction, prior = self._pictures(model, batch, self.spec.eval.num_images)
    binary = source.section.binarize != 'none'
    return {}, {
      'x': batch['x'].numpy(),
      'reconstruction': reconstruction.numpy(),
      'prior': prior.numpy(),
      'value_range': np.array((0.0, 1.0) if binary else source.dataset.range()),
    }
