"""What spec.data.context, spec.data.target and the fields about them must fulfil together: a rule of `rules/`."""

from tfvae.spec.entries import NAMES

TURNED = ('mnist_rotate', 'mnist_turns')  # tasks that know by how much an image was turned


def context_rule(f: dict):
  """Every problem of contexts and targets, a line each."""
  yield from _context_rule(f)
  yield from _target_rule(f)
  if f['data.flip'] != 'none' and f['data.name'] in TURNED:
    yield (
      f'spec.data.flip: got {f["data.flip"]}, but the mirror image of what was turned is turned the other way '
      f'(spec.data.name={f["data.name"]}); use none'
    )
  yield from _sample_rule(f)
  if f['data.crop_at'] == 'random':
    for name in ('context', 'target'):
      if f[f'data.{name}'] == 'own':
        yield (
          f'spec.data.crop_at: got random, which takes another square of x in each epoch, but spec.data.{name} is own; '
          'use center'
        )


def _context_rule(f):
  context, model = f['data.context'], f['model.name']
  if context == 'none':
    return
  but = f'but spec.data.context is {context}'
  if not NAMES['model.name'][model].verbs:
    yield f'spec.data.context: got {context}; spec.model.name={model} is told nothing: use none, or hierarchy'
    return
  if f['prior.name'] != 'standard':
    yield (
      f'spec.prior.name: got {f["prior.name"]}, {but}, from which the prior of the top layer then follows; use standard'
    )
  if f['prior.weight_constraint'] != 'none':
    yield (
      f'spec.prior.weight_constraint: got {f["prior.weight_constraint"]}, which is of the weights that leave latent '
      f'units, {but}, whose weights are in the same layer; use none'
    )
  if f['objective.chains']:
    yield f'spec.objective.chains: got {f["objective.chains"]}, {but}, and chains are of no example; use 0'


def _target_rule(f):
  """What takes what the model generates, which are targets, for x."""
  if f['data.target'] == 'x':
    return
  model, but = f['model.name'], f'but spec.data.target is {f["data.target"]}'
  if not NAMES['model.name'][model].verbs:
    yield f'spec.data.target: got {f["data.target"]}; spec.model.name={model} has none: use x, or hierarchy'
    return
  if f['data.flip'] != 'none':
    yield f'spec.data.flip: got {f["data.flip"]}, which mirrors x alone, {but}; use none'
  if f['data.dequantize']:
    yield f'spec.data.dequantize: got true, which is noise on x, {but}, whose density is what is learned; use false'
  encodes = f'which encodes what the model generates, {but}, and x is another thing'
  if f['objective.name'] == 'symmetric':
    yield f'spec.objective.name: got symmetric, {encodes}; use elbo or iwae'
  if f['objective.chains']:
    yield f'spec.objective.chains: got {f["objective.chains"]}, {encodes}; use 0'
  if 'limiting' in f['sample.what']:
    yield f'spec.sample.what: got limiting, {encodes}; leave it out'


def _sample_rule(f):
  """What samples are of."""
  context, labels, most = f['data.context'], f['sample.labels'], f['model.context.classes'] - 1
  got = f'spec.sample.labels: got {",".join(map(str, labels))}'
  if labels and context != 'label':
    yield f'{got}, which is for models that are told labels, but spec.data.context is {context}; leave it out'
  elif labels and max(labels) > most:
    yield f'{got}; allowed: the labels that the model is told, 0 to {most}'
  if context == 'none' and f['sample.what'] == ('contexts',):
    yield (
      'spec.sample.what: got contexts, but spec.data.context is none: the model is told nothing that samples could be '
      'of; use prior'
    )
