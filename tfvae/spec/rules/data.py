"""Rules of spec.data."""

from tfvae.errors import short
from tfvae.spec import catalogue, paths
from tfvae.spec.entries import SYNTHETIC, TASKS
from tfvae.spec.fields.data import DATA
from tfvae.spec.rules.asked import shown

FILES = ('inception', 'keras_inception')  # of the sections of evaluators
PATHS = ('data.path', 'data.data_dir', 'train.init_from', 'classifier.path', 'classifier.turns')


def path_rule(f):
  files = [f'eval.{name}.{field}' for name in f['eval.evaluators'] for field in FILES if f'eval.{name}.{field}' in f]
  for name in (*PATHS, *files):
    if problem := paths.problem(f[name]):
      yield f'spec.{name}: {problem}'


def data_rule(f):
  name, defaults = f['data.name'], {field: f_.default for field, f_ in DATA.items()}
  read = catalogue.read(name, f['data.of'])
  files, images = read in ('table', 'folder'), read not in ('table', 'digits', *SYNTHETIC)
  only = {'path': (files, 'table and folder'), 'download': (catalogue.source(read), 'TensorFlow Datasets')}
  only |= {'of': (name in TASKS, ' | '.join(TASKS))}
  only |= {field: (name == 'table', 'table') for field in ('label', 'header', 'separator')}
  only |= {field: (images, 'folder and TensorFlow Datasets') for field in ('crop', 'crop_at', 'resize', 'pad')}
  only |= {'channels': (read == 'folder', 'folder')}
  made = ' | '.join(SYNTHETIC)
  only |= {field: (name in (*SYNTHETIC, *TASKS), ' | '.join((*SYNTHETIC, *TASKS))) for field in ('seed', 'examples')}
  only |= {'noise': (name in SYNTHETIC and name != 'manifold', made.replace(' | manifold', ''))}
  models = 'manifold | pca | pca_ring'
  only |= {'latents': (name in models.split(' | '), models)}
  only |= {'dims': (name in models.split(' | ') or name == 'stream', f'{models} | stream')}
  only |= {'segments': (name == 'stream', 'stream')}
  for field, (right, where) in only.items():
    if not right and f[f'data.{field}'] != defaults[field]:
      got = short(f[f'data.{field}'])
      yield f'spec.data.{field}: got {got}; only data of {where} have it, not {name}; leave it out'
  if images and f['data.crop_at'] == 'random':
    if name in TASKS:
      yield (
        f'spec.data.crop_at: got random, which crops images afresh in each epoch, but {name} is made of them once; use '
        'center'
      )
    yield from _random_crop_rule(f)
  if f['data.jitter'] and f['data.binarize'] != 'none':
    yield (
      f'spec.data.jitter: got {f["data.jitter"]:g}, which is for values that are not binary, but spec.data.binarize is '
      f'{f["data.binarize"]}; use 0, or spec.data.pixel_flip'
    )
  if f['data.pixel_flip'] and f['data.binarize'] == 'none':
    yield (
      f'spec.data.pixel_flip: got {f["data.pixel_flip"]:g}, which inverts binary values; set spec.data.binarize to '
      'threshold, static or dynamic'
    )


def _random_crop_rule(f):
  if not f['data.crop']:
    yield 'spec.data.crop_at: got random, which needs the side of the squares: set spec.data.crop, such as 64'
  if f['data.binarize'] == 'static':
    yield (
      'spec.data.binarize: got static, which draws one binary version of each example, but with '
      'spec.data.crop_at=random there is another crop in each epoch; use dynamic'
    )
  if f['data.pool'] == 'train+test':
    yield (
      'spec.data.pool: got train+test, which holds both splits in memory, but with spec.data.crop_at=random training '
      'images are read when they are needed; use train'
    )


def levels_rule(f):
  """What needs the levels of discrete data, and what takes them away."""
  binary, likelihood = f['data.binarize'] != 'none', f['decoder.likelihood']
  if f['data.bits'] and binary:
    yield (
      f'spec.data.bits: got {f["data.bits"]}, a depth of grey values, but spec.data.binarize is {f["data.binarize"]}, '
      'which makes them binary; use one of them'
    )
  if f['data.dequantize'] and binary:
    yield (
      f'spec.data.dequantize: got True, which is for grey values, but spec.data.binarize is {f["data.binarize"]}; use '
      'False'
    )
  elif f['data.dequantize'] and likelihood != 'gaussian':
    of = 'data in [0, 1]' if likelihood == 'bernoulli' else 'the levels themselves'
    yield (
      'spec.data.dequantize: got True, which is for a density, but spec.decoder.likelihood='
      f'{likelihood} has probabilities of {of}; use False, or gaussian'
    )
  if likelihood != 'logistic_mixture':
    return
  for name, right, instead in (
    ('data.binarize', not binary, 'use bernoulli'),
    ('data.jitter', not f['data.jitter'], 'use gaussian, or no jitter'),
  ):
    if not right:
      yield (
        f'spec.decoder.likelihood: got logistic_mixture, which is for the levels of grey and RGB images, but '
        f'spec.{name} is {f[name]}; {instead}'
      )


def stream_rule(f):
  changes, stream = list(f['data.changes']), f['data.name'] == 'stream'
  if changes and f['data.order'] != 'stream':
    yield f'spec.data.changes: got {shown(changes)}; only a stream has change points: set spec.data.order=stream'
  if changes != sorted(set(changes)) or (stream and changes and changes[-1] >= f['data.examples']):
    yield (
      f'spec.data.changes: got {shown(changes)}; allowed: increasing numbers, less than spec.data.examples '
      f'({f["data.examples"]})'
    )
  if stream and len(f['data.segments']) != len(changes) + 1:
    yield (
      f'spec.data.segments: got {shown(f["data.segments"])}; allowed: {len(changes) + 1} numbers, one more than '
      f'spec.data.changes ({shown(changes) or "none"})'
    )
  if stream and any(latents > f['data.dims'] for latents in f['data.segments']):
    yield f'spec.data.segments: got {shown(f["data.segments"])}; allowed: at most spec.data.dims ({f["data.dims"]})'
