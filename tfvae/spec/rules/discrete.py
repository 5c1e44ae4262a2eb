"""What the fields of a spec must fulfil together where layers have states: rules of `rules/`."""

import math

from tfvae.spec.entries import NAMES
from tfvae.spec.fields.sample import SAMPLES

LOWEST = 1e-6  # temperature: float32 would take much less for 0
WORDS = {'real': 'Gaussian', 'bits': 'bits', 'one-hot': 'categories'}


def layers_of(f: dict, *spaces: str) -> list[str]:
  """The layers whose samples are in one of these spaces; of none given, all that have states."""
  spaces = spaces or tuple(set(WORDS) - {'real'})
  return [layer for layer in f['model.layers'] if _space(f, layer) in spaces]


def _space(f, layer):
  return NAMES['family'][f[f'model.{layer}.family']].space


def described(f: dict, layers: list[str]) -> str:
  """'z2 is of categories', for messages."""
  return ' and '.join(
    f'{", ".join(own)} {"is" if len(own) == 1 else "are"} of {word}'
    for space, word in WORDS.items()
    if (own := [layer for layer in layers if _space(f, layer) == space])
  )


def estimator_rule(f):
  """Which estimator of the gradient layers and objective can have."""
  name, estimator, discrete = f['objective.name'], f['objective.estimator'], layers_of(f)
  table = NAMES['objective.estimator']
  through = any(name in gradient.objectives for gradient in table.values() if 'real' not in gradient.spaces)
  spaces = {_space(f, layer) for layer in discrete} if through else set()
  spaces = spaces or {'real'}  # no gradient through samples of discrete layers is asked for
  allowed = [each for each, of in table.items() if name in of.objectives and spaces <= {*of.spaces}]
  chosen = table[estimator]
  if estimator not in allowed:
    why = ''
    if name == 'iwae' and chosen.relaxed and spaces <= {*chosen.spaces}:
      why = ', whose samples are softened: they have no probability to weight them by'
    elif spaces != {'real'} and 'real' in chosen.spaces:
      why = ', but samples of discrete layers have no gradient of their own'
    of = f'spec.objective.name={name}' + (f', where {described(f, discrete)},' if discrete and through else '')
    yield f'spec.objective.estimator: got {estimator}{why}; {of} has one of {" | ".join(allowed)}'
  elif f['objective.num_samples'] < chosen.samples > 1:
    yield (
      f'spec.objective.num_samples: got {f["objective.num_samples"]}; the baseline of '
      f'spec.objective.estimator={estimator} is made of the other samples: give a number >= {chosen.samples}'
    )
  if chosen.relaxed and estimator in allowed:
    yield from _relaxed(f, estimator, discrete)


def _relaxed(f, estimator, discrete):
  """Softened samples have no probability: nothing may be made of it."""
  if f['objective.kl'] == 'sampled':
    yield (
      f'spec.objective.kl: got sampled, but with spec.objective.estimator={estimator} samples are softened and have no '
      'probability; use exact, or spec.objective.estimator=straight_through_gumbel'
    )
  below = [layer for layer in discrete if layer != f['model.layers'][0]]
  if f['model.inference'] == 'reverse' and below:
    yield (
      f'spec.objective.estimator: got {estimator}, whose softened samples have no probability, but the rate of '
      f'{", ".join(below)} is sampled in the order reverse; use straight_through_gumbel or another order'
    )
  if f['objective.information'] and len(f['model.layers']) > 1:
    yield (
      f'spec.objective.information: got True, but with spec.objective.estimator={estimator} the layers below have '
      'softened parents; use False, and the evaluator unit_information'
    )


def temperature_rule(f):
  """Which fields of the temperature have an effect."""
  estimator, start = f['objective.estimator'], f['objective.temperature']
  decay, floor = f['objective.temperature_decay'], f['objective.temperature_floor']
  having = [name for name, gradient in NAMES['objective.estimator'].items() if gradient.temperature]
  fields = {'temperature': (start, 0.5), 'temperature_decay': (decay, 0), 'temperature_floor': (floor, 0)}
  if estimator not in having:
    for field, (value, default) in fields.items():
      if value != default:
        yield (
          f'spec.objective.{field}: got {value:g}, but spec.objective.estimator={estimator} has no temperature; those '
          f'that have one: {", ".join(having)}; leave it at {default:g}'
        )
  elif floor and not decay:
    yield (
      f'spec.objective.temperature_floor: got {floor:g}, but the temperature does not fall: give '
      'spec.objective.temperature_decay > 0, or leave the floor at 0'
    )
  elif floor >= start:
    yield (
      f'spec.objective.temperature_floor: got {floor:g}; allowed: less than spec.objective.temperature ({start:g}), '
      'from which it falls'
    )
  elif (last := max(start * math.exp(-decay), floor)) < LOWEST:
    yield (
      f'spec.objective.temperature{"_floor" if decay else ""}: got {floor if decay else start:g}, and the temperature '
      f'comes to {last:.2g}; allowed: what keeps it at {LOWEST:g} or more, as samples are divided by it'
    )


def layer_rule(f):
  """The fields of a layer that are not for its family."""
  for layer in f['model.layers']:
    section, space = f'model.{layer}', _space(f, layer)
    family = f[f'{section}.family']
    if space != 'one-hot' and f[f'{section}.groups'] != 1:
      yield (
        f'spec.{section}.groups: got {f[f"{section}.groups"]}; only layers of categories have groups, but '
        f'spec.{section}.family is {family}; leave it at 1'
      )
    if space == 'one-hot' and f[f'{section}.scale_head'] != 'log':
      yield (
        f'spec.{section}.scale_head: got {f[f"{section}.scale_head"]}; categories have no scale '
        f'(spec.{section}.family={family}); leave it at log'
      )
    if space == 'one-hot' and f[f'{section}.grid']:
      yield (
        f'spec.{section}.grid: got {f[f"{section}.grid"]}; a layer of categories is a vector of groups: use 0 and '
        f'spec.{section}.groups'
      )
    if space == 'one-hot' and f[f'{section}.dim'] < 2:
      yield f'spec.{section}.dim: got {f[f"{section}.dim"]}; a group needs at least 2 categories'


def prior_rule(f):
  """What a prior of what has states cannot have."""
  top, discrete = f['model.layers'][0], layers_of(f)
  if top in discrete and f['prior.name'] == 'optimal':
    word = WORDS[_space(f, top)]
    yield f'spec.prior.name: got optimal, which is for Gaussian layers; {word} have standard or learned'
  if discrete and f['prior.weight_constraint'] != 'none':
    yield (
      f'spec.prior.weight_constraint: got {f["prior.weight_constraint"]}, which is for a Gaussian prior, but '
      f'{described(f, discrete)}; use none'
    )


def vectors(f) -> bool:
  """Whether all layers are vectors of bits or categories."""
  discrete = layers_of(f)
  return len(discrete) == len(f['model.layers']) and not any(f[f'model.{layer}.grid'] for layer in discrete)


def information_rule(f):
  """Where mutual information can be tracked in training."""
  if f['objective.information']:
    if not vectors(f):
      yield (
        'spec.objective.information: got True, which is for layers of bits or categories that are vectors; use False'
      )
    elif (name := f['objective.name']) not in ('elbo', 'symmetric'):
      yield f'spec.objective.information: got True; spec.objective.name={name} does not have it; use False'


def log_states(f, layer):
  """log of the number of states of a layer that is a vector."""
  dim, steps = f[f'model.{layer}.dim'], f.get(f'model.{layer}.steps', 1)
  return steps * (dim * math.log(2) if _space(f, layer) == 'bits' else f[f'model.{layer}.groups'] * math.log(dim))


def sample_rule(f):
  """What --mode=sample makes of Gaussian layers alone."""
  what, discrete = f['sample.what'], layers_of(f)
  if 'interpolations' in what and discrete:
    yield (
      f'spec.sample.what: got {",".join(what)}; interpolations go along units of Gaussian layers, but '
      f'{described(f, discrete)}; allowed: {", ".join(name for name in SAMPLES if name != "interpolations")}'
    )


DISCRETE_RULES = (estimator_rule, temperature_rule, layer_rule, prior_rule, information_rule, sample_rule)
