"""Whether a model draws what it is told to: tasks made of images of ten labels."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Evaluator, Found, masked_sum
from tfvae.data.tasks import LABELS
from tfvae.making import Make
from tfvae.models.sight import Sight
from tfvae.noise import stateless


class Task(Evaluator):
  """Of data made of images of ten labels (spec.data.of), over the split, as the classifier of spec.classifier.path sees
  E[x | z]; when that is right the task says (`models.sight`):

  task/accuracy: of one image drawn for the context of each example, z ~ p(z | context). Not there where a model is not
    told what would be right.
  task/accuracy_reconstruction: of the examples at one z ~ q(z | x).
  task/accuracy_real: of the examples themselves: the classifier's own accuracy, by the same rule.
  task/chance: of the target of one example taken for another's, sum_c f_c^2, f_c the frequency of label c.

  And, where spec.classifier.turns names a classifier of turns, task/accuracy_turns, .._turns_reconstruction,
  .._turns_real, task/chance_turns: the same of how far these images are turned.

  Arrays, of the first n = eval.num_images examples: x [n, ...]; sample [n, S, ...], S = eval.task.samples images drawn
  for the context of each; context [n, ...] where the model has one; label and, where there are, turns [n]; value_range;
  accuracy.
  The noise depends on (seed, split, batch) alone, that of the arrays on the seed.

  Args:
    spec: the spec.
    sight: what its classifier sees. None: there is none, and no accuracy.
    turns: the same of the classifier of turns.
  """

  name = 'task'

  def __init__(self, spec, sight: Sight | None = None, turns: Sight | None = None):
    super().__init__(spec)
    self._sights = {suffix: of for suffix, of in (('', sight), ('_turns', turns)) if of}
    self._sums = tf.function(self._batch_sums, autograph=False)
    self._samples = tf.function(self._draw, autograph=False)

  @classmethod
  def from_spec(cls, spec, observation, make: Make, run=None, name: str = ''):
    del run, name
    of = lambda field: make.sight(spec, observation, field, False) if spec.classifier[field] else None
    return cls(spec, of('path'), of('turns'))

  def settings(self):
    return super().settings() | {f'classifier{suffix}': of.frozen.identity for suffix, of in self._sights.items()}

  def evaluate(self, model, split):
    means = split.means(lambda number, stored: self._sums(model, split, number, stored))
    numbers = {f'task/{name}': float(value) for name, value in means.items() if name.startswith('accuracy')}
    for name in ('', '_turns'):
      if f'frequencies{name}' in means:
        numbers[f'task/chance{name}'] = float(np.square(means[f'frequencies{name}']).sum())
    arrays = self._arrays(model, split)
    if 'task/accuracy' in numbers:
      arrays['accuracy'] = np.array(numbers['task/accuracy'])
    return Found(numbers, arrays)

  def _batch_sums(self, model, split, number, stored):
    batch, noise = split.batch(stored), split.noise(number, 'eval/task')
    count = lambda labels: masked_sum(tf.one_hot(tf.cast(labels, tf.int32), LABELS), batch['mask'])
    found = {'frequencies': count(batch['label'])}
    if 'turns' in batch:
      found['frequencies_turns'] = count(batch['turns'])
    if not self._sights:
      return found
    images = {'_real': batch['x'], '_reconstruction': model.infer(batch, noise, 1).mean[0]}
    # A label says which digit, and not how far it is to be turned.
    says = model.told is not None and ('turns' not in batch or self.spec.data.context == 'own')
    if says or not all(sight.is_told for sight in self._sights.values()):
      images[''] = self._generate(model, batch, batch['x'].shape[0], noise)
    for suffix, sight in self._sights.items():
      asked = batch | {'label': batch['turns']} if suffix else batch
      for of, x in images.items():
        right = tf.cast(sight.right(x, asked), tf.float32)
        found[f'accuracy{suffix}{of}'] = masked_sum(right, batch['mask'])
    return found

  @staticmethod
  def _generate(model, batch, n, noise):
    """E[x | z], [n, ...], for the contexts of a batch of n."""
    return model.generate(n, noise, context=None if model.told is None else batch['context']).mean[0]

  def _draw(self, model, batch, n, samples):
    noise = stateless(self.spec.seed, 0).scope('eval/task/samples')
    told = {name: tf.repeat(value, samples, 0) for name, value in batch.items() if name == 'context'}
    return self._generate(model, told, n * samples, noise)

  def _arrays(self, model, split):
    n, samples = min(self.spec.eval.num_images, split.size), self.section.samples
    batch = split.source.first(split.name, n)
    drawn = self._samples(model, batch, n, samples).numpy()
    kept = ('x', 'label', 'turns', *(() if model.told is None else ('context',)))
    arrays = {name: batch[name].numpy() for name in kept if name in batch}
    arrays['sample'] = drawn.reshape(n, samples, *drawn.shape[1:])
    return arrays | {'value_range': np.array(split.source.value_range)}
