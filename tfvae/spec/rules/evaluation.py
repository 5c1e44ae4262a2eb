"""Rules of spec.eval and spec.sample."""

import re

from tfvae.errors import nearest, short
from tfvae.spec import catalogue
from tfvae.spec.fields.sample import SAMPLES
from tfvae.spec.names import SYNTHETIC, TASKS
from tfvae.spec.rules.asked import flows, model, num_layers, shown


def split_rule(f):
  read = catalogue.read(f['data.name'], f['data.of'])
  stored = read not in ('digits', 'table', *SYNTHETIC)  # the others may have such a split
  if f['eval.split'] == 'validation' and f['data.validation'] == 0 and not stored:
    yield (
      'spec.eval.split: got validation, but there is no validation split: set spec.data.validation to the '
      'fraction of the training split that it takes'
    )


def evaluator_rule(f):
  checkpoint = f['eval.checkpoint']
  if checkpoint not in ('newest', 'all') and not re.fullmatch(r'[0-9]{1,12}', checkpoint):
    hint = nearest(checkpoint, ('newest', 'all'))
    yield f'spec.eval.checkpoint: got {short(checkpoint)}; allowed: newest | all | a step such as 2000.{hint}'
  several = num_layers(f) > 1
  what = 'a model of several layers' if several else 'a model with a flow'
  if 'latents' in f['eval.evaluators'] and (several or flows(f)) and f['eval.num_samples'] < 2:
    yield (
      f'spec.eval.num_samples: got {f["eval.num_samples"]}; the evaluator latents needs at least 2 in {what} (or leave '
      'it out of spec.eval.evaluators)'
    )
  if 'nll_per_dimension' in f['eval.evaluators'] and f['eval.num_samples'] == 0:
    yield (
      'spec.eval.num_samples: got 0; the evaluator nll_per_dimension needs at least 1, as the probability of a level '
      'has no exact expectation (or leave it out of spec.eval.evaluators)'
    )


def tiles_rule(f):
  if 'tiles' not in f['eval.evaluators'] or not model(f).verbs:  # other kinds of models have evaluators of their own
    return
  what, layers = 'spec.eval.evaluators: got tiles, which is for one latent layer of 2 real units', f['model.layers']
  if num_layers(f) > 1:
    yield f'{what}, not for {num_layers(f)} layers; leave it out'
    return
  for field, needed in (('family', 'gaussian'), ('grid', 0), ('dim', 2)):
    name = f'model.{layers[0]}.{field}'
    if f[name] != needed:
      yield f'{what}, but spec.{name} is {f[name]}; use {needed}, or leave it out'


def fid_rule(f):
  if 'fid' not in f['eval.evaluators']:
    return
  for field in ('fid_extractors', 'fid_of'):
    if not f[f'eval.{field}'] or len(set(f[f'eval.{field}'])) < len(f[f'eval.{field}']):
      yield f'spec.eval.{field}: got {shown(f[f"eval.{field}"]) or "()"}; give one or more different ones'
  files = {
    'classifier': ('classifier.path', 'the workdir of a run of specs/classifier.py'),
    'inception': ('eval.fid_inception', 'the file of its weights'),
  }
  for extractor, (field, what) in files.items():
    if extractor in f['eval.fid_extractors'] and not f[field]:
      yield f'spec.{field}: is empty; spec.eval.fid_extractors={extractor} needs {what}'
  if f['eval.fid_samples'] == 1:
    yield 'spec.eval.fid_samples: got 1; a covariance needs at least two images (0: as many as the reference has)'


def task_rule(f):
  name, of = f['data.name'], [task for task in TASKS if task != 'mnist_turns']
  if 'task' in f['eval.evaluators'] and name not in of:
    yield (
      f'spec.eval.evaluators: got task, which is for data of {" | ".join(of)} (made of images of ten labels, '
      f'spec.data.of), not {name}; leave it out'
    )
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
