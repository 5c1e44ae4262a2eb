"""Inception scores by a classifier of the data's own labels."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.decoded import Decoded
from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.making import Make
from tfvae.models.sight import Sight
from tfvae.theory.information import inception_score

OF_EXAMPLES = ('reconstruction', 'data')  # at most as many as the split has


class InceptionScore(Evaluator):
  """Of p(label | x) as the classifier of spec.classifier.path sees it in eval.inception_score.samples x of each kind in
  eval.inception_score.of (Salimans et al. 2016, with a classifier of these data, as Xiao & Bamler 2023 have it):

  inception_score/<of>: exp(E KL(p(label | x) || p(label))), p(label) the mean of p(label | x); from 1 to the number of
    labels.
  inception_score_diversity/<of>, inception_score_sharpness/<of>: H[p(label)] and -E H[p(label | x)] in nats, whose sum
    is the logarithm of the score.
  inception_score_log_standard_error/<of>: of this logarithm in nats, as if p(label) were known;
    inception_score_standard_error/<of>: that times the score. inception_score_samples/<of>: how many x.

  prior, limiting, reconstruction: E[x | z], in the units of the data and not rounded (`decoded.Decoded`). data: the
  first examples of the split (of data with targets these), binary where the data are. In examples that are several
  images, or in colour, the classifier sees what `models.sight` says.

  Args:
    spec: the spec.
    sight: what the classifier sees of x alone.
  """

  name = 'inception_score'

  def __init__(self, spec, sight: Sight):
    super().__init__(spec)
    self._sight = sight
    self._decoded = Decoded(spec, self.name, self._seen)
    self._given = tf.function(self._examples, autograph=False)

  @classmethod
  def from_spec(cls, spec, observation, make: Make, run=None, name: str = ''):
    del run, name
    return cls(spec, make.sight(spec, observation, gradient=False, alone=True))

  def settings(self):
    chain = {'limiting': self.spec.eval.limiting.steps} if 'limiting' in self.section.of else {}
    return super().settings() | {'classifier': self._sight.frozen.identity} | chain

  def evaluate(self, model, split):
    numbers = {}
    for of in self.section.of:
      count = min(self.section.samples, split.size) if of in OF_EXAMPLES else self.section.samples
      batches = self._data(split, count) if of == 'data' else self._decoded.batches(of, model, split, count)
      found = inception_score(np.concatenate([seen.numpy()[kept] for seen, kept in batches]).astype(np.float64))
      error = found['log_standard_error']
      numbers |= {
        f'inception_score/{of}': found['score'],
        f'inception_score_standard_error/{of}': found['score'] * error,
        f'inception_score_log_standard_error/{of}': error,
        f'inception_score_diversity/{of}': found['diversity'],
        f'inception_score_sharpness/{of}': found['sharpness'],
        f'inception_score_samples/{of}': float(count),
      }
    return Found(numbers, {})

  def _seen(self, model, px, ends):
    del ends
    return self._sight.labels(model.decoder.likelihood.mean(px)[0], {})

  def _data(self, split, count):
    for _, stored in split.batches(examples=count):
      yield self._given(split, stored), stored['mask'].numpy() > 0

  def _examples(self, split, stored):
    batch = split.batch(stored)
    return self._sight.labels(batch.get('target', batch['x']), {})
