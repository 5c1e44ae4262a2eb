"""What of a spec does not fit its data. Importing this imports no TensorFlow."""

import math

from tfvae.data import needs
from tfvae.data.dataset import Dataset
from tfvae.data.stored import Part
from tfvae.spec.entries import NAMES
from tfvae.spec.evaluators import entry

GIVE_LABELS = {'table': ', or name their column (spec.data.label; in an NPZ file the arrays label and label_test)'}


def problems(spec, dataset: Dataset, classes: int | None = None) -> list[str]:
  """What of a spec does not fit its data, a line each.

  classes: of the classifier of spec.classifier.path. None: not known.
  """
  if spec.study.name != 'none':
    return [*_split_problems(spec, dataset), *_study_problems(spec, dataset)]
  found, n = [], dataset.size('train')
  low, high = dataset.range()
  lowest, highest = (dataset.scale * end + dataset.offset for end in dataset.extremes)
  inside, within = (a >= -1e-6 and b <= 1 + 1e-6 for a, b in ((low, high), (lowest, highest)))
  section = spec.data
  targets = ', or targets,' if section.target == 'own' else ''
  if section.batch_size > n:
    found.append(
      f'spec.data.batch_size: got {section.batch_size}; allowed: at most the {n} training examples of {dataset.name}'
    )
  found += _split_problems(spec, dataset)
  if section.binarize in ('static', 'dynamic') and not inside:
    found.append(
      f'spec.data.binarize: got {section.binarize}, which needs values in [0, 1], but those of {dataset.name} are '
      f'in [{low:g}, {high:g}]; use spec.data.scaling=min_max'
    )
  elif spec.decoder.likelihood == 'bernoulli' and section.binarize == 'none' and inside and not within:
    found.append(
      f'spec.decoder.likelihood: got bernoulli, which needs data in [0, 1], but held-out values{targets} of '
      f'{dataset.name} are in [{lowest:g}, {highest:g}]; use spec.data.binarize, or spec.decoder.likelihood=gaussian'
    )
  elif spec.decoder.likelihood == 'bernoulli' and section.binarize == 'none' and not inside:
    found.append(
      f'spec.decoder.likelihood: got bernoulli, which needs data in [0, 1], but the values of {dataset.name} are in '
      f'[{low:g}, {high:g}]; use spec.data.scaling=min_max, spec.data.binarize, or spec.decoder.likelihood=gaussian'
    )
  found += _level_problems(spec, dataset)
  found += _patch_problems(spec, dataset)
  found += needs.problems(spec, dataset)
  if NAMES['model.name'][spec.model.name].labels and (
    problem := _label_problem(spec, dataset, spec.model.classifier.classes)
  ):
    found.append(problem)
  found += _context_problems(spec, dataset)
  if 'cla' in spec.constraint.names:
    found += _true_label_problems(spec, dataset)
  found += _unknown_label_problems(spec, dataset, classes)
  if section.flip != 'none' and len(dataset.shape) != 3:
    found.append(
      f'spec.data.flip: got {section.flip}, which needs images, but examples of {dataset.name} have the shape '
      f'{dataset.shape}'
    )
  return found


def _split_problems(spec, dataset):
  """Splits that these data do not have."""
  if spec.eval.split not in dataset.splits:
    yield (
      f'spec.eval.split: got {spec.eval.split}; the splits of {dataset.name}: {", ".join(dataset.splits)}. '
      f'spec.data.{"validation" if spec.eval.split == "validation" else "test"} is the fraction set aside for it'
    )
  for split in spec.eval.also:
    if split not in dataset.splits:
      yield f'spec.eval.also: got {split}; the splits of {dataset.name}: {", ".join(dataset.splits)}'


def _study_problems(spec, dataset):
  """Data that a study is not for."""
  name, shape = spec.study.name, dataset.shape
  got = f'spec.study.name: got {name}, which is for tables, but examples of {dataset.name} have the shape {shape}'
  if len(shape) != 1:
    yield f'{got}; choose another spec.data.name, such as circle or table'
    return
  if name == 'fixed_points' and shape[0] > 3:
    yield (
      f'spec.study.name: got {name}, which is for one to three columns, but {dataset.name} has {shape[0]}; give a '
      'table with fewer, or choose another spec.data.name'
    )
  if spec.eval.split in dataset.splits and not _varies(dataset.splits[spec.eval.split]['x']):
    yield (
      f'spec.study.name: got {name}, but all examples of the {spec.eval.split} split of {dataset.name} are the same; '
      'give data that vary'
    )
  units = spec.study.collapse.units
  if name == 'collapse' and units > shape[0]:
    most = f'at most the {shape[0]} columns of {dataset.name}, or 0: all'
    yield f'spec.study.collapse.units: got {units}; allowed: {most}'


def _varies(x):
  """Whether two examples differ."""
  return bool((x != x[:1]).any())


def _level_problems(spec, dataset):
  """What needs discrete values that these data do not have."""
  section, levels, shape = spec.data, dataset.stored_levels, dataset.shape
  what = f'but the values of {dataset.name} are not discrete'
  if section.bits and not levels:
    yield f'spec.data.bits: got {section.bits}, a depth of images of whole numbers, {what}; use 0'
  elif section.bits and 2**section.bits > levels:
    most = int(math.log2(levels))
    yield (
      f'spec.data.bits: got {section.bits}, but {dataset.name} has {levels} levels; allowed: at most {most}, or 0: as '
      'stored'
    )
  if section.dequantize and not levels:
    yield f'spec.data.dequantize: got True, which is for images of whole numbers, {what}; use False'
  if spec.decoder.likelihood == 'logistic_mixture' and section.binarize == 'none':
    if not levels:
      yield (
        f'spec.decoder.likelihood: got logistic_mixture, which is for the levels of grey and RGB images, {what}; use '
        'gaussian'
      )
    elif len(shape) != 3 or shape[-1] not in (1, 3):
      yield (
        'spec.decoder.likelihood: got logistic_mixture, which is for grey and RGB images, but examples of '
        f'{dataset.name} have the shape {shape}; use gaussian'
      )


def _patch_problems(spec, dataset):
  """Patches that these data do not have."""
  section, shape = spec.constraint, dataset.shape
  for name, what in (('fre', 'fre of patches'), ('pncc', 'pncc, the correlation of patches')):
    if name not in section.names or (name == 'fre' and section.fre.features != 'patches'):
      continue
    if len(shape) != 3:
      yield (
        f'spec.constraint.names: got {what}, which needs images, but examples of {dataset.name} have the shape '
        f'{shape}; use re'
      )
      continue
    side = min(shape[:2])
    for field in ('patch', 'stride'):
      if (got := section[name][field]) > side:
        yield (
          f'spec.constraint.{name}.{field}: got {got}, but examples of {dataset.name} have {shape[0]} x {shape[1]} '
          f'pixels; allowed: at most {side}'
        )


def _context_problems(spec, dataset):
  """Why a model cannot be told the labels of these data, and what contexts do not go with."""
  section, shape = spec.data, dataset.context
  if section.flip != 'none' and section.context == 'own' and len(shape) == 3:
    yield (
      f'spec.data.flip: got {section.flip}, which mirrors x alone, but the contexts of {dataset.name} are images, too; '
      'use none'
    )
  if section.context != 'label':
    return
  found = {split: needs.labels(dataset, split) for split in dataset.splits}
  if absent := [split for split, label in found.items() if label is None]:
    hint = GIVE_LABELS.get(section.name, '')
    yield f'spec.data.context: got label, but the {absent[0]} split of {dataset.name} has no labels; use none{hint}'
    return
  low, high = min(label.min() for label in found.values()), max(label.max() for label in found.values())
  kinds = ' and '.join(dict.fromkeys(str(label.dtype) for label in found.values()))
  if any(label.dtype.kind not in 'biu' for label in found.values()) or low < 0:
    yield (
      f'spec.data.context: got label, for which labels are 0, 1, 2, ..., but those of {dataset.name} are {kinds} from '
      f'{low:g} to {high:g}; use none'
    )
  elif high >= (classes := spec.model.context.classes):
    yield (
      f'spec.model.context.classes: got {classes}, but the labels of {dataset.name} go up to {high}; allowed: '
      'more than the largest label'
    )


def _label_problem(spec, dataset, classes):
  """Why a classifier of labels 0, ..., classes - 1 cannot learn from these data, or None."""
  for split in dataset.splits:
    if (label := needs.labels(dataset, split)) is None:
      hint = GIVE_LABELS.get(spec.data.name, '')
      return f'spec.data.name: got {dataset.name}, whose {split} split has no labels; a classifier needs them{hint}'
    if label.dtype.kind not in 'biu' or label.min() < 0 or label.max() >= classes:
      return (
        f'spec.model.classifier.classes: got {classes}; the labels of {dataset.name} are {label.dtype} from '
        f'{label.min():g} to {label.max():g}; allowed: whole numbers from 0, and classes more than the largest'
      )
  return None


def _true_label_problems(spec, dataset):
  """Why the probability of the true label cannot be asked for, of the training split or of one that is evaluated."""
  got = f'spec.constraint.names: got {",".join(spec.constraint.names)}, of which cla needs labels'
  for split in _of_cla(spec):
    if split not in dataset.splits:
      continue  # which is told already
    what, label = f'the {split} split of {dataset.name}', needs.labels(dataset, split)
    if label is None:
      yield f'{got}, but {what} has none; leave cla out{GIVE_LABELS.get(spec.data.name, "")}'
    elif label.dtype.kind not in 'biu' or label.min() < 0:
      yield f'{got} 0, 1, 2, ..., but those of {what} are {label.dtype}, {label.min():g} the least; leave cla out'


def _unknown_label_problems(spec, dataset, classes):
  """Labels that the classifier of spec.classifier.path does not know, where it is asked for the true one."""
  for split in _of_true_labels(spec, dataset) if classes is not None else ():
    label = needs.labels(dataset, split) if split in dataset.splits else None
    if label is not None and label.dtype.kind in 'biu' and label.max() >= classes:
      what = f'the {split} split of {dataset.name}'
      yield (
        f'spec.classifier.path: got {spec.classifier.path}, a classifier of {classes} classes, but the labels of '
        f'{what} go up to {label.max()}; give one that was trained with spec.model.classifier.classes={label.max() + 1}'
      )


def guarded(spec, dataset: Dataset, classes: int | None = None) -> Dataset:
  """A set without `problems` where labels of splits that are read when they are needed are looked at then, too.

  classes: as in `problems`.
  """
  everywhere, limits = list(dataset.splits), []
  if spec.data.context == 'label':
    limits.append(('spec.model.context.classes', spec.model.context.classes, everywhere))
  if NAMES['model.name'][spec.model.name].labels:
    limits.append(('spec.model.classifier.classes', spec.model.classifier.classes, everywhere))
  if classes is not None:
    limits.append(('spec.classifier.path', classes, _of_true_labels(spec, dataset)))
  for split, part in dataset.splits.items():
    if isinstance(part, Part):  # of another spec the same data had other limits
      dataset.splits[split] = part._replace(reader=_unguarded(part.reader))
  for field, limit, splits in limits:
    got = spec.classifier.path if field == 'spec.classifier.path' else limit
    problem = f'{field}: got {got}, but {dataset.name} has labels that are none of 0 to {limit - 1}'
    for split in splits:
      part = dataset.splits.get(split)
      if isinstance(part, Part) and part.reader.labels is None:
        from tfvae.data.reading import Labelled

        dataset.splits[split] = part._replace(reader=Labelled(part.reader, limit, problem))
  return dataset


def _unguarded(reader):
  from tfvae.data.reading import Labelled

  while isinstance(reader, Labelled):
    reader = reader.reader
  return reader


def _of_true_labels(spec, dataset):
  """The splits of which the classifier of spec.classifier.path is asked for the true label."""
  names = [name for name in spec.eval.evaluators if {'a classifier', 'labels'} <= set(entry(name).needs)]
  splits = [split for name in names for split in needs.splits(spec, dataset, name)]
  return dict.fromkeys((*(_of_cla(spec) if 'cla' in spec.constraint.names else ()), *splits))


def _of_cla(spec):
  """The splits whose labels the constraint looks at."""
  return dict.fromkeys(('train', spec.eval.split, *spec.eval.also))
