"""Points and where they come from, for the figures of data that are vectors."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.noise import stateless


class Points(Evaluator):
  """Arrays of the first n = eval.num_points examples of vectors [n, D]: x (the target, where there is one); label (0
  where there is none); z, a sample of the top layer's q for each, [n, H]; entropy, of each unit of q, averaged over
  them, [H], where it has a closed form and units are single numbers; and `generated`, n samples x ~ p(x | z), z ~ p(z),
  noise and all. Nothing where examples are no vectors. The noise depends on the seed alone.
  """

  name = 'points'

  def __init__(self, spec):
    super().__init__(spec)
    self._found = tf.function(self._draw, autograph=False)

  def _draw(self, model, batch):
    noise, top = stateless(self.spec.seed, 0).scope('eval/points'), model.layer_names[0]
    n = batch['x'].shape[0]
    trace = model.infer(batch, noise, 1)
    found = {'x': trace.target, 'z': trace.z[top][0], 'generated': model.generate(n, noise, batch.get('context')).x}
    entropy = model.families[top].unit_entropy(trace.q[top])
    if entropy is not None and entropy.shape[2:] == found['z'].shape[1:]:  # a group of categories is many columns of z
      found['entropy'] = tf.reduce_mean(entropy, [0, 1])
    return found

  def evaluate(self, model, split):
    if len(model.shape) != 1:
      return Found({}, {})
    n = min(self.spec.eval.num_points, split.size)
    batch = split.source.first(split.name, n)
    arrays = {name: value.numpy() for name, value in self._found(model, batch).items()}
    flat = {'z': arrays['z'].reshape(n, -1)} | ({'entropy': arrays['entropy'].ravel()} if 'entropy' in arrays else {})
    label = batch['label'].numpy() if 'label' in batch else np.zeros(n)
    return Found({}, {**arrays, **flat, 'label': label})
