"""What a classifier of the data sees in reconstructions."""

import math

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.making import Make
from tfvae.models.sight import Sight

LEAST = 1e-30  # probability, whose logarithm is taken of less


class ReconstructionAccuracy(Evaluator):
  """Of the classifier of spec.classifier.path over the split, on E[x | z] at one z ~ q(z | x) of each example
  (<of> is reconstruction), and on the examples themselves (data; the targets, where there are such):

  reconstruction_accuracy/<of>: how often what it sees is right (`models.sight`; of most data: whether the most probable
    label is the example's).
  reconstruction_entropy/<of>: the mean of H[p(label | .)] in nats, how little it is sure.
  reconstruction_log_probability/<of>: the mean of log p(the true label | .) in nats, a probability being 1e-30 at
    least.

  Each with its `<what>_standard_error/<of>`, of the mean over the examples (Xiao & Bamler 2023, section 5, have the
  first two). The noise depends on (seed, split, batch) alone.

  Args:
    spec: the spec.
    sight: what the classifier sees.
  """

  name = 'reconstruction_accuracy'

  def __init__(self, spec, sight: Sight):
    super().__init__(spec)
    self._sight = sight
    self._found = tf.function(self._batch, autograph=False)

  @classmethod
  def from_spec(cls, spec, observation, make: Make, run=None, name: str = ''):
    del run, name
    return cls(spec, make.sight(spec, observation, gradient=False))

  def settings(self):
    return super().settings() | {'classifier': self._sight.frozen.identity}

  def evaluate(self, model, split):
    parts = []
    for number, stored in split.batches():
      kept = stored['mask'].numpy() > 0
      parts.append({name: value.numpy()[kept] for name, value in self._found(model, split, number, stored).items()})
    numbers = {}
    for name in parts[0]:
      each = np.concatenate([part[name] for part in parts]).astype(np.float64)
      what, _, of = name.partition('/')
      numbers[f'reconstruction_{what}/{of}'] = float(each.mean())
      numbers[f'reconstruction_{what}_standard_error/{of}'] = float(each.std(ddof=1) / math.sqrt(len(each)))
    return Found(numbers, {})

  def _batch(self, model, split, number, stored):
    """{<what>/<of>: [B]}."""
    batch, found = split.batch(stored), {}
    decoded = model.infer(batch, split.noise(number, f'eval/{ReconstructionAccuracy.name}'), 1).mean[0]
    for of, x in (('reconstruction', decoded), ('data', batch.get('target', batch['x']))):
      seen = self._sight.labels(x, batch)
      found[f'accuracy/{of}'] = tf.cast(self._sight.right(x, batch), seen.dtype)
      found[f'entropy/{of}'] = -tf.reduce_sum(tf.math.xlogy(seen, seen), -1)
      found[f'log_probability/{of}'] = tf.math.log(tf.maximum(self._sight.probability(x, batch), LEAST))
    return found
