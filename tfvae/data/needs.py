"""What evaluators need of the data, by the names in their entries (`spec/evaluators.py`). Imports no TensorFlow.

A need takes the spec, the data set and the name in spec.eval.evaluators, and yields a line for what is missing.
"""

import math

import numpy as np

from tfvae.data.dataset import Dataset
from tfvae.data.stored import Part, some
from tfvae.spec.evaluators import entry

OF_ONE_IMAGE = ('inception', 'keras_inception')  # extractors
HALVES = 40  # examples, for a half to fit and one to judge by
WHERE = 'spec.eval.evaluators: got'


def problems(spec, dataset: Dataset) -> list[str]:
  """What the evaluators of a spec miss in its data, a line each."""
  needed = [(name, need) for name in spec.eval.evaluators for need in entry(name).needs if need in NEEDS]
  found = [problem for name, need in needed for problem in NEEDS[need](spec, dataset, name)]
  for name in spec.eval.evaluators:
    split = spec.eval[name].split
    if split and split not in dataset.splits:
      found.append(f'spec.eval.{name}.split: got {split}; the splits of {dataset.name}: {", ".join(dataset.splits)}')
  return found


def labels(dataset, split):
  """Those of a split; None: there are none.

  Where it is read when it is needed, all that there may be or, where nothing says so, those of up to 64 examples;
  `misfits.guarded` looks at the others.
  """
  part = dataset.splits[split]
  if isinstance(part, Part) and part.reader.labels is not None:
    return np.asarray(part.reader.labels)[part.positions]
  if isinstance(part, Part) and part.reader.classes is not None:
    return np.arange(part.reader.classes)
  arrays = some(part) if isinstance(part, Part) else part
  return np.asarray(arrays['label']) if 'label' in arrays else None


def _labels(spec, dataset, name):
  fit = ('train',) if 'train' in spec.eval[name].get('fit', ()) else ()
  for split in dict.fromkeys((*splits(spec, dataset, name), *fit)):
    label, what = labels(dataset, split), f'the {split} split of {dataset.name}'
    if label is None:
      yield f'{WHERE} {name}, which needs labels, but {what} has none; leave it out'
    elif label.dtype.kind not in 'biu' or label.min() < 0:
      yield (
        f'{WHERE} {name}, which needs labels that are whole numbers from 0, but those of {what} are {label.dtype} from '
        f'{label.min():g} to {label.max():g}; leave it out'
      )
    elif label.min() == label.max() and len(label) == dataset.size(split):  # else there may be others
      yield f'{WHERE} {name}, which needs labels that differ, but all of {what} are {label[0]:g}; leave it out'


def splits(spec, dataset, name):
  """Those of an evaluator that are there; of the others it is told elsewhere."""
  own = spec.eval[name].split
  return [split for split in ((own,) if own else (spec.eval.split, *spec.eval.also)) if split in dataset.splits]


def _neighbours(spec, dataset, name):
  neighbours = spec.eval[name].neighbours
  for split in splits(spec, dataset, name):
    if neighbours >= (size := dataset.size(split)):
      what = f'the {size} examples of the {split} split of {dataset.name}'
      yield f'spec.eval.{name}.neighbours: got {neighbours}; allowed: less than {what}'


def fitted_on(count: int) -> int:
  """Of `count` examples of a split, how many probes are fitted on; they are judged on the others."""
  return count - max(1, count // 5)


def _probed(spec, dataset, name):
  """What probes are fitted on."""
  section = spec.eval[name]
  for split in splits(spec, dataset, name):
    sizes = {'split': ('80% of the', split, fitted_on(dataset.size(split)))}
    if split != 'train':
      sizes['train'] = ('the', 'train', dataset.size('train'))
    elif section.fit == ('train',):
      yield (
        f'spec.eval.{name}.fit: got train, but they would be judged on the same codes, as the split is train, too; use '
        'split, or another split'
      )
    for fit in section.fit:
      if fit in sizes and 'knn' in section.classifiers:
        share, whose, size = sizes[fit]
        size = min(size, section.examples or size)
        if section.neighbours >= size:
          yield (
            f'spec.eval.{name}.neighbours: got {section.neighbours}; allowed: less than the {size} examples of {share} '
            f'{whose} split of {dataset.name} that it is fitted on'
          )


def _two_examples(spec, dataset, name):
  for split in splits(spec, dataset, name):
    if dataset.size(split) < 2:
      yield f'{WHERE} {name}, which needs two examples, but the {split} split of {dataset.name} has one; leave it out'


def _discrete_values(spec, dataset, name):
  bernoulli, binary = spec.decoder.likelihood == 'bernoulli', spec.data.binarize != 'none'
  if bernoulli != binary or not (binary or dataset.levels):
    yield (
      f'{WHERE} {name}, which is there for binary data with a Bernoulli decoder, and for images of whole numbers with '
      f'another one, but this is {spec.decoder.likelihood} on '
      f'{"binary" if binary else "grey" if dataset.levels else "real"} values of {dataset.name}; leave it out'
    )


def _halves(spec, dataset, name):
  for split in splits(spec, dataset, name):
    if (size := dataset.size(split)) < HALVES:
      yield (
        f'{WHERE} {name}, which fits a classifier to one half of the examples and judges it on the other, and needs '
        f'{HALVES} of them, but the {split} split of {dataset.name} has {size}; leave it out'
      )


def _levels(spec, dataset, name):
  binary = spec.data.binarize != 'none'
  if binary or not dataset.levels:
    yield (
      f'{WHERE} {name}, which is the probability of the levels of grey and RGB images, but this is '
      f'{"binary" if binary else "real"} values of {dataset.name}; leave it out'
    )


def _images(spec, dataset, name):
  if len(dataset.shape) != 3:
    yield f'{WHERE} {name}, which compares images, but {dataset.name} are none; leave it out'
  elif dataset.stack or dataset.shape[-1] not in (1, 3):
    for extractor in spec.eval[name].extractors:
      if extractor in OF_ONE_IMAGE:
        yield (
          f'spec.eval.{name}.extractors: got {extractor}, which takes one grey or colour image, but examples of '
          f'{dataset.name} are {dataset.shape[-1]} images; use classifier, or leave {name} out'
        )


def _reference(spec, dataset, name):
  reference = spec.eval[name].reference
  if absent := set(reference.split('+')) - set(dataset.splits):
    yield (
      f'spec.eval.{name}.reference: got {reference}, but {dataset.name} has no {", ".join(absent)} split; its splits: '
      f'{", ".join(dataset.splits)}'
    )


def _fewer_units(spec, dataset, name):
  """Whether probabilistic PCA with so many units has a maximum on the training split."""
  from tfvae.theory import ppca

  layer = spec.model.layers[-1]
  units, dims, part = spec.model[layer].dim, math.prod(dataset.shape), dataset.splits['train']
  got, more = f'spec.model.{layer}.dim: got {units}', f'use fewer, or leave out the evaluator {name}'
  if units >= dims:
    yield f'{got}; allowed: less than the {dims} dimensions of {dataset.name}, so that a noise variance is left; {more}'
  elif not isinstance(part, Part) and dims <= 2000:  # else read when needed, or slow: the evaluator will say
    try:
      ppca.noise_variance(ppca.spectrum(part['x']), units)
    except ValueError as error:
      yield f'{got}; {error} ({dataset.name}); {more}'


NEEDS = {
  'labels': _labels,
  'neighbours': _neighbours,
  'probed': _probed,
  'two examples': _two_examples,
  'discrete values': _discrete_values,
  'halves': _halves,
  'levels': _levels,
  'images': _images,
  'reference': _reference,
  'fewer units': _fewer_units,
}
