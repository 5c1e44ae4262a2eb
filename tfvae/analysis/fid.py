"""Frechet distances between images of a model and the data."""

import hashlib
import json

import numpy as np
import tensorflow as tf

from tfvae.analysis.decoded import Decoded
from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.data.source import Source
from tfvae.making import Make
from tfvae.theory.frechet import Accumulator, Moments, distance


class Fid(Evaluator):
  """fid/<extractor>/<of>: the Frechet distance of features of images and of the data (Heusel et al. 2017).

  Images, of each kind in eval.fid.of (`decoded.Decoded`), are E[x | z], in [0, 1] from the smallest to the largest
  value of the data: of a Bernoulli decoder 1 where it exceeds 1/2 (Flach et al. 2024), else clipped to that range.
  There are eval.fid.samples of them (0: as many as in the reference).

  The reference, eval.fid.reference, is the data as they are (the targets, where there are such), but for
  data.binarize=threshold: grey values where they are binarised at random. Its moments are kept in the run.

  Beside it: fid_samples/<of>, fid_reference_examples; for each extractor fid_features, fid_side (that images are
  resized to; 0: not) and fid_levels (of a pixel; 0: not rounded); fid_classifier_accuracy, fid_limiting_steps.
  Arrays: the same and, as texts, fid_reference and where the features come from (checksums).

  Args:
    spec: the spec.
    extractors: a list of `Extractor`.
    run: the Run that keeps the moments of the reference. None: they are kept in memory.
  """

  name = 'fid'

  def __init__(self, spec, extractors: list, run=None):
    super().__init__(spec)
    self._extractors, self._run, self._known = extractors, run, {}
    self._decoded = Decoded(spec, self.name, _image)

  @classmethod
  def from_spec(cls, spec, observation, make: Make, run=None, name: str = ''):
    section = spec.eval[name or cls.name]
    return cls(spec, [make.extractor(of, spec, section, observation.shape) for of in section.extractors], run)

  def settings(self):
    own = {'identities': [extractor.identity for extractor in self._extractors]}
    return super().settings() | own | {'limiting': self.spec.eval.limiting.steps}

  def evaluate(self, model, split):
    section, references = self.section, self._references(split)
    reference_count = next(iter(references.values())).count
    numbers, arrays = self._protocol(reference_count)
    for extractor in self._extractors:
      _warn(extractor, 'reference examples', reference_count, f'{self.name}.reference')
    for of in section.of:
      count = section.samples or reference_count
      if of == 'reconstruction':
        count = min(count, split.size)
      found = self._moments(self._decoded.batches(of, model, split, count), self._extractors)
      numbers[f'fid_samples/{of}'] = float(count)
      for extractor in self._extractors:
        _warn(extractor, f'{of} images', count, f'{self.name}.samples')
        numbers[f'fid/{extractor.name}/{of}'] = distance(found[extractor.name], references[extractor.name])
    return Found(numbers, arrays | {name: np.array(value) for name, value in numbers.items()})

  def _protocol(self, reference_count):
    """What is recorded beside the distances: (numbers, texts)."""
    section, numbers = self.section, {'fid_reference_examples': float(reference_count)}
    texts = {'fid_reference': np.array(section.reference)}
    for extractor in self._extractors:
      values = {'features': extractor.size, 'side': extractor.side, 'levels': extractor.levels}
      numbers |= {f'fid_{what}/{extractor.name}': float(value) for what, value in values.items()}
      for what, value in extractor.about.items():
        if isinstance(value, str):
          texts[f'fid_{extractor.name}_{what}'] = np.array(value)
        else:
          numbers[f'fid_{extractor.name}_{what}'] = float(value)
    if 'limiting' in section.of:
      numbers['fid_limiting_steps'] = float(self.spec.eval.limiting.steps)
    return numbers, texts

  @staticmethod
  def _moments(batches, extractors) -> dict[str, Moments]:
    """Of the features of batches [B, H, W, C] by each extractor."""
    sums = {extractor.name: Accumulator() for extractor in extractors}
    for images, kept in batches:
      for extractor in extractors:
        sums[extractor.name].add(extractor(images)[kept])
    return {name: of.moments() for name, of in sums.items()}

  # The reference.

  def _references(self, split) -> dict[str, Moments]:
    """Of the reference by each extractor: those that are kept, or else found and kept."""
    keys = {extractor.name: self._key(extractor, split.source) for extractor in self._extractors}
    known = {name: self._kept(key) for name, key in keys.items()}
    if missing := [extractor for extractor in self._extractors if known[extractor.name] is None]:
      found = self._moments(self._reference(split), missing)
      for name, moments in found.items():
        self._keep(keys[name], moments)
      known |= found
    return known

  def _key(self, extractor, source):
    """All that the moments depend on."""
    data, section = source.dataset, source.section
    threshold = f'threshold {section.threshold:g}' if section.binarize == 'threshold' else 'grey'
    return json.dumps(
      {
        'extractor': extractor.identity,
        'data': [data.name, data.summary['fingerprint'], data.summary['sizes'], data.summary['scaling']],
        'reference': self.section.reference,
        'values': threshold,
      }
    )

  def _kept(self, key) -> Moments | None:
    arrays = self._run.read_reference(_file_name(key)) if self._run else self._known.get(key, {})
    if str(arrays.get('key')) != key:
      return None
    count, mean, covariance = (np.asarray(arrays.get(name)) for name in Moments._fields)
    square = mean.ndim == 1 and mean.shape * 2 == covariance.shape and count.shape == ()
    if not square or not all(of.dtype.kind in 'iuf' and np.all(np.isfinite(of)) for of in (count, mean, covariance)):
      return None  # damaged
    return Moments(int(count), mean, covariance)

  def _keep(self, key, moments):
    arrays = {'key': np.array(key), **{name: np.asarray(value) for name, value in moments._asdict().items()}}
    if self._run:
      self._run.write_reference(_file_name(key), arrays)
    else:
      self._known[key] = arrays

  def _reference(self, split):
    """(images, which count) of each batch."""
    source = split.source
    if source.section.binarize not in ('none', 'threshold'):  # as they are before that
      section = type(source.section)(source.section.to_dict() | {'binarize': 'none'})
      source = Source(source.dataset._replace(binary=False), section, source.seed, source.dtype)
    low, high = source.value_range
    for name in self.section.reference.split('+'):
      part = split.other(source, name)
      for _, stored in part.batches():
        batch = part.batch(stored)
        x = batch.get('target', batch['x'])
        yield tf.clip_by_value((x - low) / (high - low), 0, 1), stored['mask'].numpy() > 0


def _image(model, px, ends):
  """The picture of one sample in [0, 1]: [B, H, W, C]."""
  image, (low, high) = model.decoder.likelihood.image(px)[0], ends
  return tf.clip_by_value((image - low) / (high - low), 0, 1)


def _file_name(key):
  return f'fid-{hashlib.sha256(key.encode()).hexdigest()[:16]}'


def _warn(extractor, what, count, field):
  if count < extractor.size:
    print(
      f'Warning: fid/{extractor.name}: {count} {what} for {extractor.size} features: their covariance is singular, and '
      f'the distance too large by an unknown amount; take more (spec.eval.{field})',
      flush=True,
    )
