"""What a classifier sees in what a model generates from its first layers: p(label | z_L, ..., z_l)."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Split
from tfvae.models.sight import Sight
from tfvae.noise import stateless


class GeneratedLabels:
  """The classifier's p(label | E[x | z]), the first layers of z from the prior, the others K times given these.

  The first layers of sample n are the same however many of them are taken together. A model that is told something is
  told the contexts of the split's examples in turn. The noise depends on (seed, batch) alone.

  Args:
    spec: for seed and eval.batch_size, the most images at once.
    sight: what the classifier sees of x alone.
  """

  def __init__(self, spec, sight: Sight):
    self._spec, self._sight = spec, sight
    self._run = tf.function(self._batch, autograph=False)

  def probabilities(self, model, split: Split, count: int, samples: int, draws: int) -> np.ndarray:
    """[K, N, M] of N = `samples` of the first `count` layers; K = `draws`, but 1 where `count` is all of them."""
    size = min(samples, max(1, self._spec.eval.batch_size // draws))
    draws = 1 if count == len(model.layer_names) else draws
    firsts, parts = range(0, samples, size), []
    for first in split.watched(iter(firsts), len(firsts)):
      context = split.context(model, size, first)
      parts.append(self._run(model, tf.constant(first), count, size, draws, context).numpy().astype(np.float64))
    return np.concatenate(parts, 1)[:, :samples]

  def _batch(self, model, first, count, size, draws, context):
    noise = stateless(self._spec.seed, first).scope('eval/generated_labels')
    z, _ = model.descend(lambda layer, p: layer.family.sample(p, noise, layer.name, (1, size)), context)
    kept = model.layer_names[:count]

    def choose(layer, p):
      if layer.name in kept:
        return tf.repeat(z[layer.name], draws, 0)
      return layer.family.sample(p, noise, f'{count}/{layer.name}', (draws, size))

    again, _ = model.descend(choose, context)
    return self._sight.labels(model.mean(again, context), {})
