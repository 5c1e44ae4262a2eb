"""What spec.data.context, spec.data.target and the fields about them must fulfil together: a rule as those of
`rules.py`.
"""

from tfvae.spec.names import NAMES

TURNED = ('mnist_rotate', 'mnist_turns')  # tasks that know by how much an image was turned
UNTOLD = {
  'ppca': 'is for p(x)',
  'selection': 'compares models of p(x)',
  'tiles': 'is of one p(z)',
}  # why an evaluator is for no context


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
  if others := [name for name in f['eval.evaluators'] if name in UNTOLD]:
    why = ', and '.join(f'{name}, which {UNTOLD[name]}' for name in others)
    yield f'spec.eval.evaluators: got {why}, {but}, and the model is p(x | context); leave it out'


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
  if 'ppca' in f['eval.evaluators']:
    yield f'spec.eval.evaluators: got ppca, the likelihood of a model of x itself, {but}; leave it out'
  if 'players' in f['eval.evaluators']:
    yield f'spec.eval.evaluators: got players, the losses of symmetric learning, {but}; leave it out'
  encodes = f'which encodes what the model generates, {but}, and x is another thing'
  if f['objective.name'] == 'symmetric':
    yield f'spec.objective.name: got symmetric, {encodes}; use elbo or iwae'
  if f['objective.chains']:
    yield f'spec.objective.chains: got {f["objective.chains"]}, {encodes}; use 0'
  for field in ('eval.evaluators', 'eval.fid_of', 'sample.what'):
    asked = field != 'eval.fid_of' or 'fid' in f['eval.evaluators']
    if 'limiting' in f[field] and asked:
      yield f'spec.{field}: got limiting, {encodes}; leave it out'


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
