"""What spec.constraint and the fields about it must fulfil together: a rule of `rules/`."""

from tfvae.spec.entries import NAMES

OTHERS = {  # why an objective has no constraints
  'iwae': 'the importance-weighted bound is no sum of rates and errors that a multiplier could weigh',
  'symmetric': 'its players have no rates that a multiplier could weigh',
  'cross_entropy': 'a classifier has no rates and no reconstruction',
}
OF_IMAGES = tuple(name for name, constraint in NAMES['constraint.names'].items() if constraint.of_images)


def drops(names: tuple[str, ...], likelihood: str) -> bool:
  """Whether constraints of these names take the place of -log p(x | z); `likelihood` is spec.constraint.likelihood."""
  return likelihood == 'drop' or (likelihood == 'auto' and any(name in OF_IMAGES for name in names))


def needs_classifier(names: tuple[str, ...], features: str) -> bool:
  """Whether constraints of these names need a frozen classifier; `features` is spec.constraint.fre.features."""
  return 'cla' in names or ('fre' in names and features != 'patches')


def _names_rule(f):
  names, model = f['constraint.names'], NAMES['model.name'][f['model.name']]
  got = f'spec.constraint.names: got {",".join(names)}'
  if len(set(names)) < len(names):
    yield f'{got}; give each once'
  if not names:
    return
  if model.members or model.labels:
    why = 'are several models of one objective' if model.members else 'learns labels, and has no rates'
    yield f'{got}, but spec.model.name={f["model.name"]} {why}; leave it out'
  elif why := OTHERS.get(f['objective.name']):
    yield f'{got}, which is for spec.objective.name=elbo, not {f["objective.name"]}: {why}; leave it out'


def _fields_rule(f):
  names, limits = f['constraint.names'], f['constraint.range']
  if len(limits) != 2 or limits[0] >= limits[1]:
    yield f'spec.constraint.range: got {",".join(f"{x:g}" for x in limits)}; allowed: the smaller and the larger one'
    return
  for name in OF_IMAGES:
    start = f[f'constraint.{name}.multiplier']
    if start and not limits[0] <= start <= limits[1]:
      yield (
        f'spec.constraint.{name}.multiplier: got {start:g}, outside spec.constraint.range '
        f'({limits[0]:g} to {limits[1]:g})'
      )
  if 'rate' in names and not limits[0] <= 1 <= limits[1]:
    yield f'spec.constraint.range: got {limits[0]:g},{limits[1]:g}, without 1, where the betas of rates start'
  if needs_classifier(names, f['constraint.fre.features']) and not f['classifier.path']:
    which = 'cla' if 'cla' in names else 'fre (spec.constraint.fre.features=classifier)'
    more = '' if 'cla' in names else ', or use spec.constraint.fre.features=patches'
    yield (
      f'spec.classifier.path: is empty; {which} of spec.constraint.names needs the workdir of a run of '
      f'specs/classifier.py{more}'
    )


def _rate_rule(f):
  names, layers = f['constraint.names'], f['model.layers']
  targets = {layer: f[f'constraint.rate.{layer}'] for layer in layers if f[f'constraint.rate.{layer}']}
  if 'rate' not in names:
    for layer, target in targets.items():
      yield (f'spec.constraint.rate.{layer}: got {target:g}, but spec.constraint.names has no rate; add it, or use 0')
    return
  if not targets:
    fields = ', '.join(f'spec.constraint.rate.{layer}' for layer in layers)
    yield f'spec.constraint.names: got rate, but no layer has a target; set one of {fields} (nats)'
  for layer in targets:
    if f[f'objective.beta.{layer}'] != 1:
      yield (
        f'spec.objective.beta.{layer}: got {f[f"objective.beta.{layer}"]:g}, but spec.constraint.rate.{layer} asks for '
        f'{targets[layer]:g} nats, and its beta is then found; leave it at 1, or take the target away (0)'
      )
  full = len(targets) == len(layers)
  if full and (others := [name for name in names if name != 'rate']):
    yield (
      f'spec.constraint.names: got {",".join(names)} with a target on every layer: the rates alone settle what is '
      f'transmitted, and {", ".join(others)} cannot be asked for beside them; leave one layer without a target (0)'
    )
  if full and f['objective.anneal'] != 'none':
    yield (
      f'spec.objective.anneal: got {f["objective.anneal"]}, but every layer has a target, and its beta is found; use '
      'none'
    )


def _samples_rule(f):
  others = [name for name in f['constraint.names'] if name in OF_IMAGES and name != 're']
  for field in ('objective.num_samples', 'eval.num_samples'):
    if f[field] == 0 and others:
      yield (
        f'spec.{field}: got 0, which is for exact expectations, but there is none of {", ".join(others)} '
        '(spec.constraint.names); give a number >= 1'
      )


def _likelihood_rule(f):
  names, likelihood = f['constraint.names'], f['constraint.likelihood']
  if not names:
    return
  if likelihood == 'drop' and not set(names) & set(OF_IMAGES):
    yield (
      f'spec.constraint.likelihood: got drop, but with {",".join(names)} alone nothing else would ask for a '
      'reconstruction; use keep, or add re'
    )
    return
  if not drops(names, likelihood):
    return
  kind, variance = f['decoder.likelihood'], f['decoder.variance']
  there = [name for name in names if name in OF_IMAGES]
  take = 'takes' if len(there) == 1 else 'take'
  why = f'{", ".join(there)} of spec.constraint.names {take} the place of -log p(x | z) in the loss'
  if kind == 'gaussian' and variance not in ('fixed', 'optimal'):
    yield (
      f'spec.decoder.variance: got {variance}, but {why}, so that no gradient would reach sigma; use optimal (that of '
      'the errors) or fixed, or spec.constraint.likelihood=keep'
    )
  if kind == 'logistic_mixture':
    yield (
      f'spec.decoder.likelihood: got logistic_mixture, but {why}, so that nothing would fit its scales; use gaussian, '
      'or spec.constraint.likelihood=keep'
    )


def constraint_rule(f):
  """What is wrong; where there can be no constraints at all, only that."""
  if found := list(_names_rule(f)):
    yield from found
    return
  for rule in (_fields_rule, _rate_rule, _samples_rule, _likelihood_rule):
    yield from rule(f)
