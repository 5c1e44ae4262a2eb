"""Rules of spec.model and spec.prior."""

from tfvae.spec.fields.model import REPEATED
from tfvae.spec.rules.asked import flows, linear_fields, model, shown
from tfvae.spec.sides import added


def net_rule(f):
  for name, kind in f.items():
    heads = name in (f'model.{REPEATED}.posterior.kind', f'model.{REPEATED}.prior.kind') and kind == 'conv'
    if name.endswith('.kind') and kind != 'linear' and not f[name[:-4] + 'hidden'] and not heads:
      yield f'spec.{name[:-4]}hidden: got (); kind={kind} needs at least one width (kind=linear has none)'


def densenet_rule(f):
  for name in (name[:-4] for name, kind in f.items() if name.endswith('.kind') and kind == 'densenet'):
    try:
      added(f[f'{name}hidden'], f[f'{name}growth'])
    except ValueError as error:
      yield f'spec.{name}hidden: got {shown(f[f"{name}hidden"])}; with growth={f[f"{name}growth"]} {error}'


def steps_rule(f):
  """What a model that repeats one layer has, and no other."""
  name, layers = f['model.name'], tuple(f['model.layers'])
  if not model(f).steps:
    if REPEATED in layers:
      yield (
        f'spec.model.layers: got {REPEATED}, which repeats and is for spec.model.name=convdraw, not for {name}; name '
        'the layers from the top, the bottom one ending in 1'
      )
    return
  if layers != (REPEATED,):
    yield f'spec.model.layers: got {shown(layers)}; spec.model.name={name} has one that repeats, {REPEATED}'
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


def lvae_rule(f):
  others = [layer for layer in f['model.layers'] if f[f'model.{layer}.family'] != 'gaussian']
  if f['model.inference'] == 'lvae' and others:
    what = ' and '.join(f'spec.model.{layer}.family={f[f"model.{layer}.family"]}' for layer in others)
    yield (
      f'spec.model.inference: got lvae, which merges Gaussians by their precisions, but {what}; use ladder or generic, '
      'or gaussian layers'
    )


def flow_rule(f):
  """Flows are of Gaussian vectors with two halves."""
  for layer in flows(f):
    got, own = f'spec.model.{layer}.flow: got {f[f"model.{layer}.flow"]}', f'model.{layer}'
    if f[f'{own}.family'] != 'gaussian':
      yield f'{got}, which is for Gaussian layers, but spec.{own}.family is {f[f"{own}.family"]}; use none'
    elif f[f'{own}.grid']:
      yield f'{got}, which is for vectors, but spec.{own}.grid is {f[f"{own}.grid"]}; use none, or a grid of 0'
    elif f[f'{own}.dim'] < 2:
      yield f'{got}, which moves one half of the units by the other, but spec.{own}.dim is 1; use none, or a dim >= 2'
    if not f[f'{own}.flow_hidden']:
      yield f'spec.{own}.flow_hidden: got (); the nets of a flow need at least one width'


def skip_rule(f):
  for field, skip in f.items():
    if field.endswith('.skip') and skip:
      kind = f[f'{field[:-4]}kind']
      if kind != 'mlp':
        yield f'spec.{field}: got True; nets of kind mlp have it, not {kind}'
      if field == 'decoder.net.skip' and f['prior.weight_constraint'] != 'none':
        yield f'spec.{field}: got True; with spec.prior.weight_constraint it would leave weights without their norm'


def linear_rule(f):
  """What only linear VAEs have."""
  linear = linear_fields(f)
  wrong = next((name for name, allowed in linear.items() if f[name] not in allowed), None)
  but = wrong and (
    f'but spec.{wrong} is {shown(f[wrong])}; allowed there: {" | ".join(shown(value) for value in linear[wrong])}'
  )
  for field in ('objective.num_samples', 'eval.num_samples'):
    if f[field] == 0 and wrong:
      yield f'spec.{field}: got 0, which is for linear VAEs, whose expectations are exact, {but}; or give a number >= 1'
  if f['objective.num_samples'] == 0 and (name := f['objective.name']) != 'elbo':
    yield f'spec.objective.num_samples: got 0; spec.objective.name={name} needs samples: give a number >= 1'


def members_rule(f):
  sizes = list(f['model.members'])
  if not model(f).members:
    if sizes:
      yield f'spec.model.members: got {shown(sizes)}; only spec.model.name=members has them, not {f["model.name"]}'
    return
  if not sizes or len(sizes) != len(set(sizes)):
    yield f'spec.model.members: got {shown(sizes) or "()"}; allowed: different numbers of units, such as 2,4,6'
  wanted = {
    **linear_fields(f),
    'prior.name': ('standard', 'learned'),
    'objective.name': ('elbo',),
    'train.strategy': ('one',),
  }
  wanted['decoder.variance'] = ('fixed', 'learned', 'per_dimension')
  for name, allowed in wanted.items():
    if f[name] not in allowed:
      yield (
        f'spec.{name}: got {shown(f[name])}; spec.model.name=members needs one of '
        f'{" | ".join(shown(value) for value in allowed)}'
      )


def classifier_rule(f):
  name, objective = f['model.name'], f['objective.name']
  if not model(f).labels:
    if objective == 'cross_entropy':
      yield f'spec.objective.name: got cross_entropy, which is for spec.model.name=classifier, not for {name}'
    return
  if objective != 'cross_entropy':
    yield f'spec.objective.name: got {objective}; spec.model.name=classifier needs cross_entropy'


def standardize_rule(f):
  if not f['model.standardize']:
    return
  for name, right in (
    ('model.name', model(f).verbs),
    ('decoder.likelihood', f['decoder.likelihood'] == 'gaussian'),
    ('data.binarize', f['data.binarize'] == 'none'),
  ):
    if not right:
      yield (
        'spec.model.standardize: got True, which is for one model with a Gaussian decoder of data that are not binary, '
        f'but spec.{name} is {f[name]}; use False'
      )


def prior_rule(f):
  if model(f).steps:
    return  # which has its own (`steps_rule`)
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
          f'decoder, but spec.{name} is {shown(f[name])}; use none'
        )
