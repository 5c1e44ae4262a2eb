"""What each unit of a discrete layer tells about its parents."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Found, TraceEvaluator
from tfvae.models.trace import sections
from tfvae.noise import stateless

SAMPLES = 10_000  # of the prior


class UnitInformation(TraceEvaluator):
  """unit_information/q/<layer> and /p/<layer>: the mutual information of a unit with its parents, H(E pi) - E H(pi).

  A unit is a bit or a group of categories. In nats, averaged over the units of a layer; pi are the probabilities of its
  states given its parents: the layers above under p (of `SAMPLES` samples), those and x under q (over the split). Of a
  section that repeats also .../<section>, over the units of all its steps. A unit that tells nothing is not used (Flach
  et al. 2024). Arrays: the same of each unit, q.<layer> and p.<layer>, [units]; and states.<layer>, how many a unit
  has: it tells at most their logarithm.
  """

  name = 'unit_information'

  def __init__(self, spec):
    super().__init__(spec)
    self._prior = tf.function(self._moments, autograph=False)

  def per_example(self, model, trace, split, batch):
    del split, batch
    return {
      layer: tf.reduce_mean(model.families[layer].information_statistics(trace.q[layer]), 0) for layer in model.discrete
    }

  def finish(self, means, model, split):
    tells = lambda layer, means: model.families[layer].information(means).numpy()
    found = {f'q.{layer}': tells(layer, means[layer]) for layer in model.discrete}
    size = SAMPLES // 10
    parts = [self._prior(model, tf.constant(i), split.context(model, size, i * size)) for i in range(10)]
    for layer in parts[0]:
      found[f'p.{layer}'] = tells(layer, np.mean([part[layer].numpy().astype(np.float64) for part in parts], axis=0))
    steps = {of: np.concatenate([found[name] for name in names]) for of, names in sections(found).items()}
    numbers = {
      f'unit_information/{name.replace(".", "/")}': float(values.mean()) for name, values in (steps | found).items()
    }
    return Found(
      numbers, found | {f'states.{layer}': np.array(model.families[layer].unit_states) for layer in model.discrete}
    )

  def _moments(self, model, number, context):
    noise = stateless(self.spec.seed, number).scope('eval/unit_information')
    lead = (1, SAMPLES // 10)
    _, p = model.descend(lambda layer, p: layer.family.sample(p, noise, layer.name, lead), context)
    below = [layer for layer in model.discrete if layer != model.layer_names[0]]  # the top one has no parents
    values = {layer: model.families[layer].information_statistics(p[layer]) for layer in below}
    return {layer: tf.reduce_mean(value, [0, 1]) for layer, value in values.items()}
