"""Rules of spec.eval and spec.sample."""

import re

from tfvae.errors import nearest, short
from tfvae.spec import catalogue
from tfvae.spec.entries import SYNTHETIC, TASKS
from tfvae.spec.evaluators import kind
from tfvae.spec.fields.sample import SAMPLES
from tfvae.spec.rules.asked import num_layers, shown


def split_rule(f):
  read = catalogue.read(f['data.name'], f['data.of'])
  stored = read not in ('digits', 'table', *SYNTHETIC)  # the others may have such a split
  if f['eval.split'] == 'validation' and f['data.validation'] == 0 and not stored:
    yield (
      'spec.eval.split: got validation, but there is no validation split: set spec.data.validation to the '
      'fraction of the training split that it takes'
    )


def evaluator_rule(f):
  for name in dict.fromkeys(name for name in f['eval.evaluators'] if f['eval.evaluators'].count(name) > 1):
    yield (
      f'spec.eval.evaluators: got {name} twice; two of a kind have names of your own, such as {name} and {name}-train'
    )
  checkpoint = f['eval.checkpoint']
  if checkpoint not in ('newest', 'all') and not re.fullmatch(r'[0-9]{1,12}', checkpoint):
    hint = nearest(checkpoint, ('newest', 'all'))
    yield f'spec.eval.checkpoint: got {short(checkpoint)}; allowed: newest | all | a step such as 2000.{hint}'


def kinds_rule(f):
  """Of what evaluators look at, and by what."""
  of = ('extractors', 'classifiers', 'of', 'fit')
  for field in (f'eval.{name}.{field}' for name in f['eval.evaluators'] for field in of):
    values = f.get(field)
    if values is None:
      continue
    if not values or len(set(values)) < len(values):
      yield f'spec.{field}: got {shown(values) or "()"}; give one or more different ones'
    if 'limiting' in values and f['data.target'] != 'x':
      yield (
        f'spec.{field}: got limiting, which encodes what the model generates, but spec.data.target is '
        f'{f["data.target"]}, and x is another thing; leave it out'
      )


def fid_rule(f):
  for name in (name for name in f['eval.evaluators'] if kind(name) == 'fid'):
    own = f'eval.{name}'
    files = {
      'classifier': ('classifier.path', 'the workdir of a run of specs/classifier.py'),
      'inception': (f'{own}.inception', 'the file of its weights'),
    }
    for extractor, (field, what) in files.items():
      if extractor in f[f'{own}.extractors'] and not f[field]:
        yield f'spec.{field}: is empty; spec.{own}.extractors={extractor} needs {what}'
    if f[f'{own}.samples'] == 1:
      yield f'spec.{own}.samples: got 1; a covariance needs at least two images (0: as many as the reference has)'


def task_rule(f):
  name = f['data.name']
  if name in TASKS and f['data.validation']:
    yield (
      f'spec.data.validation: got {f["data.validation"]:g}, but training examples of {name} share their images, '
      'so that a part of them tells nothing about new ones; use 0, and the test split'
    )
  if f['classifier.turns'] and name != 'mnist_rotate':
    yield (
      f'spec.classifier.turns: got {short(f["classifier.turns"])}, which names the turns of spec.data.name='
      f'mnist_rotate, but that is {name}; leave it out'
    )


def sample_rule(f):
  what = f['sample.what']
  nothing = num_layers(f) == 1 and f['data.context'] == 'none'
  if not what or (set(what) == {'layers'} and nothing):
    more = '' if not what else ', which a model of one layer that is told nothing has nothing to show in'
    yield f'spec.sample.what: got {",".join(what) or "()"}{more}; allowed: one or more of {", ".join(SAMPLES)}'
