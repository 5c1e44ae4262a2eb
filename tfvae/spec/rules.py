"""What the fields of a spec must fulfil together; what one field allows is in schema.py.

A rule takes all values, {'section.field': value}, each of them allowed, and yields a line for every problem that it
finds: the field, what it got, what is allowed and what to do.
"""

import re
from collections.abc import Callable

from tfvae.errors import cut, nearest, short
from tfvae.spec import catalogue, paths
from tfvae.spec.constraint_rules import constraint_rule
from tfvae.spec.context_rules import context_rule
from tfvae.spec.discrete_rules import DISCRETE_RULES
from tfvae.spec.names import NAMES, SYNTHETIC, TASKS
from tfvae.spec.schema import DATA, REPEATED, SAMPLES

PATHS = ('data.path', 'data.data_dir', 'train.init_from', 'classifier.path', 'classifier.turns')
PATHS += ('eval.fid_inception', 'eval.fid_keras_inception')


def _annealing_rule(f):
  if f['objective.anneal'] != 'none' and f['objective.anneal_begin'] >= f['objective.anneal_end']:
    yield (
      f'spec.objective.anneal_end: got {f["objective.anneal_end"]:g}; allowed: more than '
      f'spec.objective.anneal_begin ({f["objective.anneal_begin"]:g})'
    )


def _schedule_rule(f):
  schedule, final = f['train.schedule'], f['train.schedule_final']
  if schedule in ('exponential', 'inverse_time') and final == 0:
    yield f'spec.train.schedule_final: got 0; spec.train.schedule={schedule} never reaches 0: give a number > 0'
  if schedule == 'piecewise' and list(f['train.schedule_boundaries']) != sorted(set(f['train.schedule_boundaries'])):
    yield f'spec.train.schedule_boundaries: got {_shown(f["train.schedule_boundaries"])}; allowed: increasing fractions'
  if f['train.warmup'] and schedule != 'cosine':
    yield f'spec.train.warmup: got {f["train.warmup"]:g}; only spec.train.schedule=cosine has a warm-up, not {schedule}'


def _split_rule(f):
  read = catalogue.read(f['data.name'], f['data.of'])
  stored = read not in ('digits', 'table', *SYNTHETIC)  # the others may have such a split
  if f['eval.split'] == 'validation' and f['data.validation'] == 0 and not stored:
    yield (
      'spec.eval.split: got validation, but there is no validation split: set spec.data.validation to the '
      'fraction of the training split that it takes'
    )


def _net_rule(f):
  for name, kind in f.items():
    heads = name in (f'model.{REPEATED}.posterior.kind', f'model.{REPEATED}.prior.kind') and kind == 'conv'
    if name.endswith('.kind') and kind != 'linear' and not f[name[:-4] + 'hidden'] and not heads:
      yield f'spec.{name[:-4]}hidden: got (); kind={kind} needs at least one width (kind=linear has none)'


def _sigma_rule(f):
  learned = f['decoder.likelihood'] == 'gaussian' and f['decoder.variance'] in ('learned', 'per_dimension', 'latent')
  if learned and f['decoder.sigma'] <= f['decoder.sigma_floor']:
    yield (
      f'spec.decoder.sigma: got {f["decoder.sigma"]:g}; a learned sigma must start above spec.decoder.sigma_floor '
      f'({f["decoder.sigma_floor"]:g}), where it could not move'
    )


def _falling_sigma_rule(f):
  """One that is given may fall, and no other."""
  until, start, sigma = f['decoder.sigma_until'], f['decoder.sigma_from'], f['decoder.sigma']
  if not until:
    return
  for name, wanted in (('decoder.likelihood', 'gaussian'), ('decoder.variance', 'fixed')):
    if f[name] != wanted:
      yield (
        f'spec.decoder.sigma_until: got {until:g}, over which a given sigma falls, but spec.{name} is {f[name]}; use '
        f'0, or {wanted}'
      )
  if start <= sigma:
    yield (
      f'spec.decoder.sigma_from: got {start:g}; allowed: more than spec.decoder.sigma ({sigma:g}), to which it falls; '
      'spec.decoder.sigma_until=0 leaves it there'
    )


def _evaluator_rule(f):
  checkpoint = f['eval.checkpoint']
  if checkpoint not in ('newest', 'all') and not re.fullmatch(r'[0-9]{1,12}', checkpoint):
    hint = nearest(checkpoint, ('newest', 'all'))
    yield f'spec.eval.checkpoint: got {short(checkpoint)}; allowed: newest | all | a step such as 2000.{hint}'
  several = _num_layers(f) > 1
  what = 'a model of several layers' if several else 'a model with a flow'
  if 'latents' in f['eval.evaluators'] and (several or _flows(f)) and f['eval.num_samples'] < 2:
    yield (
      f'spec.eval.num_samples: got {f["eval.num_samples"]}; the evaluator latents needs at least 2 in {what} (or leave '
      'it out of spec.eval.evaluators)'
    )
  if 'nll_per_dimension' in f['eval.evaluators'] and f['eval.num_samples'] == 0:
    yield (
      'spec.eval.num_samples: got 0; the evaluator nll_per_dimension needs at least 1, as the probability of a level '
      'has no exact expectation (or leave it out of spec.eval.evaluators)'
    )


def _tiles_rule(f):
  if 'tiles' not in f['eval.evaluators'] or not _model(f).verbs:  # other kinds of models have evaluators of their own
    return
  what, layers = 'spec.eval.evaluators: got tiles, which is for one latent layer of 2 real units', f['model.layers']
  if _num_layers(f) > 1:
    yield f'{what}, not for {_num_layers(f)} layers; leave it out'
    return
  for field, needed in (('family', 'gaussian'), ('grid', 0), ('dim', 2)):
    name = f'model.{layers[0]}.{field}'
    if f[name] != needed:
      yield f'{what}, but spec.{name} is {f[name]}; use {needed}, or leave it out'


def _sample_rule(f):
  what = f['sample.what']
  nothing = _num_layers(f) == 1 and f['data.context'] == 'none'
  if not what or (set(what) == {'layers'} and nothing):
    more = '' if not what else ', which a model of one layer that is told nothing has nothing to show in'
    yield f'spec.sample.what: got {",".join(what) or "()"}{more}; allowed: one or more of {", ".join(SAMPLES)}'


def _data_rule(f):
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


def _levels_rule(f):
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


NO_BETAS = {'iwae': 'the importance-weighted bound', 'symmetric': 'symmetric equilibrium learning'}


def _objective_rule(f):
  name = f['objective.name']
  if name not in NO_BETAS:
    return
  for layer in f['model.layers']:
    if f[f'objective.beta.{layer}'] != 1:
      yield (
        f'spec.objective.beta.{layer}: got {f[f"objective.beta.{layer}"]:g}; {NO_BETAS[name]} has no betas: leave it '
        'at 1, or use spec.objective.name=elbo'
      )
  if f['objective.anneal'] != 'none':
    yield (
      f'spec.objective.anneal: got {f["objective.anneal"]}; {NO_BETAS[name]} has no betas to anneal: use none, or '
      'spec.objective.name=elbo'
    )
  if name == 'iwae' and f['decoder.likelihood'] == 'gaussian' and f['decoder.variance'] == 'optimal':
    yield (
      'spec.decoder.variance: got optimal, which is the closed form for the ELBO, not for the importance-weighted '
      'bound; use learned'
    )


def _rates_rule(f):
  name = f['objective.name']
  if f['objective.kl'] == 'sampled' and (name != 'elbo' or not f['objective.num_samples']):
    why = (
      f'spec.objective.name is {name}' if name != 'elbo' else 'spec.objective.num_samples is 0: there are no samples'
    )
    yield (
      f'spec.objective.kl: got sampled, which is for the rates of spec.objective.name=elbo at samples, but {why}; use '
      'exact'
    )
  if f['objective.chains'] and (name not in ('elbo', 'symmetric') or not _model(f).verbs):
    yield (
      f'spec.objective.chains: got {f["objective.chains"]}; spec.objective.name=elbo and symmetric with '
      'spec.model.name=hierarchy have them; use 0'
    )


def _steps_rule(f):
  """What a model that repeats one layer has, and no other."""
  name, layers = f['model.name'], tuple(f['model.layers'])
  if not _model(f).steps:
    if REPEATED in layers:
      yield (
        f'spec.model.layers: got {REPEATED}, which repeats and is for spec.model.name=convdraw, not for {name}; name '
        'the layers from the top, the bottom one ending in 1'
      )
    if 'canvases' in f['eval.evaluators'] and _model(f).verbs:  # other kinds of models have evaluators of their own
      yield (
        'spec.eval.evaluators: got canvases, which shows how spec.model.name=convdraw draws, step by step, not '
        f'{name}; leave it out'
      )
    return
  if layers != (REPEATED,):
    yield f'spec.model.layers: got {_shown(layers)}; spec.model.name={name} has one that repeats, {REPEATED}'
    return
  section = f'model.{REPEATED}'
  if not f[f'{section}.grid'] and not f[f'{section}.join_grid']:
    yield (
      f'spec.{section}.join_grid: got 0, and spec.{section}.grid is 0, too; one must say the side of the maps that '
      f'{name} works on, such as 8'
    )
  wanted = {
    'model.inference': ('generic', 'z_t is inferred given z_<t'),
    'prior.name': ('standard', 'p(z_1) is learned as all p(z_t) are'),
    'prior.weight_constraint': ('none', 'there is no dense layer after one vector'),
  }
  for field, (value, why) in wanted.items():
    if f[field] != value:
      yield f'spec.{field}: got {f[field]}; with spec.model.name={name} {why}: use {value}'
  if f['objective.name'] == 'symmetric':
    yield f'spec.objective.name: got symmetric; spec.model.name={name} has objectives of one player: use elbo or iwae'


def _lvae_rule(f):
  others = [layer for layer in f['model.layers'] if f[f'model.{layer}.family'] != 'gaussian']
  if f['model.inference'] == 'lvae' and others:
    what = ' and '.join(f'spec.model.{layer}.family={f[f"model.{layer}.family"]}' for layer in others)
    yield (
      f'spec.model.inference: got lvae, which merges Gaussians by their precisions, but {what}; use ladder or generic, '
      'or gaussian layers'
    )


def _flows(f):
  return [layer for layer in f['model.layers'] if f[f'model.{layer}.flow'] != 'none']


def _flow_rule(f):
  """Flows are of Gaussian vectors with two halves."""
  for layer in _flows(f):
    got, own = f'spec.model.{layer}.flow: got {f[f"model.{layer}.flow"]}', f'model.{layer}'
    if f[f'{own}.family'] != 'gaussian':
      yield f'{got}, which is for Gaussian layers, but spec.{own}.family is {f[f"{own}.family"]}; use none'
    elif f[f'{own}.grid']:
      yield f'{got}, which is for vectors, but spec.{own}.grid is {f[f"{own}.grid"]}; use none, or a grid of 0'
    elif f[f'{own}.dim'] < 2:
      yield f'{got}, which moves one half of the units by the other, but spec.{own}.dim is 1; use none, or a dim >= 2'
    if not f[f'{own}.flow_hidden']:
      yield f'spec.{own}.flow_hidden: got (); the nets of a flow need at least one width'


def _skip_rule(f):
  for field, skip in f.items():
    if field.endswith('.skip') and skip:
      kind = f[f'{field[:-4]}kind']
      if kind != 'mlp':
        yield f'spec.{field}: got True; nets of kind mlp have it, not {kind}'
      if field == 'decoder.net.skip' and f['prior.weight_constraint'] != 'none':
        yield f'spec.{field}: got True; with spec.prior.weight_constraint it would leave weights without their norm'


def _strategy_rule(f):
  if f['train.logical_devices'] and f['train.strategy'] != 'mirrored':
    yield (
      f'spec.train.logical_devices: got {f["train.logical_devices"]}; only spec.train.strategy=mirrored has logical '
      f'devices, not {f["train.strategy"]}'
    )


def _linear(f):
  """{field: what it may be} of what makes a VAE linear."""
  layer = f['model.layers'][-1]
  return {
    'model.name': ('hierarchy', 'members'),
    'model.layers': ((layer,),),
    f'model.{layer}.grid': (0,),
    f'model.{layer}.family': ('gaussian',),
    f'model.{layer}.flow': ('none',),
    'decoder.likelihood': ('gaussian',),
    'decoder.net.kind': ('linear',),
    'decoder.variance': ('fixed', 'learned', 'per_dimension', 'optimal'),
  }


def _linear_rule(f):
  """What only linear VAEs have."""
  linear = _linear(f)
  wrong = next((name for name, allowed in linear.items() if f[name] not in allowed), None)
  but = wrong and (
    f'but spec.{wrong} is {_shown(f[wrong])}; allowed there: {" | ".join(_shown(value) for value in linear[wrong])}'
  )
  for field in ('objective.num_samples', 'eval.num_samples'):
    if f[field] == 0 and wrong:
      yield f'spec.{field}: got 0, which is for linear VAEs, whose expectations are exact, {but}; or give a number >= 1'
  if f['objective.num_samples'] == 0 and (name := f['objective.name']) != 'elbo':
    yield f'spec.objective.num_samples: got 0; spec.objective.name={name} needs samples: give a number >= 1'
  if 'ppca' in f['eval.evaluators'] and wrong:
    yield f'spec.eval.evaluators: got ppca, which is for linear VAEs, {but}; or leave it out'


def _shown(value):
  return cut(','.join(map(str, value)) if isinstance(value, (tuple, list)) else str(value))


def _stream_rule(f):
  changes, stream = list(f['data.changes']), f['data.name'] == 'stream'
  if changes and f['data.order'] != 'stream':
    yield f'spec.data.changes: got {_shown(changes)}; only a stream has change points: set spec.data.order=stream'
  if changes != sorted(set(changes)) or (stream and changes and changes[-1] >= f['data.examples']):
    yield (
      f'spec.data.changes: got {_shown(changes)}; allowed: increasing numbers, less than spec.data.examples '
      f'({f["data.examples"]})'
    )
  if stream and len(f['data.segments']) != len(changes) + 1:
    yield (
      f'spec.data.segments: got {_shown(f["data.segments"])}; allowed: {len(changes) + 1} numbers, one more than '
      f'spec.data.changes ({_shown(changes) or "none"})'
    )
  if stream and any(latents > f['data.dims'] for latents in f['data.segments']):
    yield f'spec.data.segments: got {_shown(f["data.segments"])}; allowed: at most spec.data.dims ({f["data.dims"]})'


def _num_layers(f):
  """Of latents, each step of one that repeats being one."""
  return f.get(f'model.{REPEATED}.steps', 1) if _model(f).steps else len(f['model.layers'])


def _model(f):
  return NAMES['model.name'][f['model.name']]


def _members_rule(f):
  sizes = list(f['model.members'])
  if not _model(f).members:
    if sizes:
      yield f'spec.model.members: got {_shown(sizes)}; only spec.model.name=members has them, not {f["model.name"]}'
    if 'selection' in f['eval.evaluators']:
      yield 'spec.eval.evaluators: got selection, which compares members; set spec.model.name=members, or leave it out'
    return
  if not sizes or len(sizes) != len(set(sizes)):
    yield f'spec.model.members: got {_shown(sizes) or "()"}; allowed: different numbers of units, such as 2,4,6'
  wanted = {
    **_linear(f),
    'prior.name': ('standard', 'learned'),
    'objective.name': ('elbo',),
    'train.strategy': ('one',),
  }
  wanted['decoder.variance'] = ('fixed', 'learned', 'per_dimension')
  for name, allowed in wanted.items():
    if f[name] not in allowed:
      yield (
        f'spec.{name}: got {_shown(f[name])}; spec.model.name=members needs one of '
        f'{" | ".join(_shown(value) for value in allowed)}'
      )
  if others := [name for name in f['eval.evaluators'] if name != 'selection']:
    yield f'spec.eval.evaluators: got {_shown(others)}; members have the evaluator selection only'


def _classifier_rule(f):
  name, objective = f['model.name'], f['objective.name']
  evaluators = f['eval.evaluators']
  if not _model(f).labels:
    if objective == 'cross_entropy':
      yield f'spec.objective.name: got cross_entropy, which is for spec.model.name=classifier, not for {name}'
    if 'accuracy' in evaluators:
      yield f'spec.eval.evaluators: got accuracy, which is for spec.model.name=classifier, not for {name}; leave it out'
    return
  if objective != 'cross_entropy':
    yield f'spec.objective.name: got {objective}; spec.model.name=classifier needs cross_entropy'
  if others := [name for name in evaluators if name != 'accuracy']:
    yield f'spec.eval.evaluators: got {_shown(others)}; a classifier has the evaluator accuracy only'


def _fid_rule(f):
  if 'fid' not in f['eval.evaluators']:
    return
  for field in ('fid_extractors', 'fid_of'):
    if not f[f'eval.{field}'] or len(set(f[f'eval.{field}'])) < len(f[f'eval.{field}']):
      yield f'spec.eval.{field}: got {_shown(f[f"eval.{field}"]) or "()"}; give one or more different ones'
  files = {
    'classifier': ('classifier.path', 'the workdir of a run of specs/classifier.py'),
    'inception': ('eval.fid_inception', 'the file of its weights'),
  }
  for extractor, (field, what) in files.items():
    if extractor in f['eval.fid_extractors'] and not f[field]:
      yield f'spec.{field}: is empty; spec.eval.fid_extractors={extractor} needs {what}'
  if f['eval.fid_samples'] == 1:
    yield 'spec.eval.fid_samples: got 1; a covariance needs at least two images (0: as many as the reference has)'


def _task_rule(f):
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


def _standardize_rule(f):
  if not f['model.standardize']:
    return
  for name, right in (
    ('model.name', _model(f).verbs),
    ('decoder.likelihood', f['decoder.likelihood'] == 'gaussian'),
    ('data.binarize', f['data.binarize'] == 'none'),
  ):
    if not right:
      yield (
        'spec.model.standardize: got True, which is for one model with a Gaussian decoder of data that are not binary, '
        f'but spec.{name} is {f[name]}; use False'
      )


def _prior_rule(f):
  if _model(f).steps:
    return  # which has its own (`_steps_rule`)
  top, bottom, constraint = f['model.layers'][0], f['model.layers'][-1], f['prior.weight_constraint']
  if f['prior.name'] == 'optimal' and f[f'model.{top}.grid']:
    yield (
      f'spec.prior.name: got optimal, which is for vectors, but spec.model.{top}.grid is {f[f"model.{top}.grid"]}; use '
      'learned'
    )
  if f['prior.name'] == 'optimal' and f['objective.name'] == 'iwae':
    yield (
      'spec.prior.name: got optimal, which is the closed form for the ELBO, not for the importance-weighted bound; '
      'use learned'
    )
  if constraint != 'none':
    for name, right in (
      ('model.layers', len(f['model.layers']) == 1),
      (f'model.{bottom}.grid', not f[f'model.{bottom}.grid']),
      ('decoder.net.kind', f['decoder.net.kind'] in ('mlp', 'linear')),
    ):
      if not right:
        yield (
          f'spec.prior.weight_constraint: got {constraint}, which is for one latent layer, a vector, and a dense '
          f'decoder, but spec.{name} is {_shown(f[name])}; use none'
        )


def _path_rule(f):
  for name in PATHS:
    if problem := paths.problem(f[name]):
      yield f'spec.{name}: {problem}'


RULES: tuple[Callable, ...] = (
  _path_rule,
  _data_rule,
  _objective_rule,
  _rates_rule,
  *DISCRETE_RULES,
  constraint_rule,
  context_rule,
  _steps_rule,
  _lvae_rule,
  _flow_rule,
  _skip_rule,
  _strategy_rule,
  _annealing_rule,
  _schedule_rule,
  _split_rule,
  _net_rule,
  _sigma_rule,
  _falling_sigma_rule,
  _levels_rule,
  _evaluator_rule,
  _tiles_rule,
  _sample_rule,
  _linear_rule,
  _prior_rule,
  _standardize_rule,
  _stream_rule,
  _members_rule,
  _classifier_rule,
  _fid_rule,
  _task_rule,
)
