"""What evaluators need of a spec, by the names in their entries (`evaluators.py`); what they need of the data is in
`data/misfits.py`.

A need takes all values and the name in spec.eval.evaluators, and yields a line for what is missing.
"""

import math

from tfvae.spec.entries import MOST_STATES, TASKS
from tfvae.spec.evaluators import EVALUATORS, entry, kind
from tfvae.spec.rules.asked import flows, linear_fields, model, num_layers, shown
from tfvae.spec.rules.discrete import described, layers_of, log_states, vectors

WHERE = 'spec.eval.evaluators: got'


def needs_rule(f: dict):
  """Every evaluator that the spec is not for, and settings of one that are not for it."""
  yield from _kinds(f)
  if not model(f).verbs:
    return  # other kinds of models have evaluators of their own
  for name in f['eval.evaluators']:
    for need in entry(name).needs:
      if need in NEEDS:
        yield from NEEDS[need](f, name)


def _kinds(f):
  """Which kind of model has which evaluators."""
  named, kind_of_model = f['eval.evaluators'], model(f)
  own = 'several models' if kind_of_model.members else 'classes' if kind_of_model.labels else 'latents'
  others = [name for name in named if own not in entry(name).needs]
  if own == 'latents':
    for name in others:
      if 'several models' in entry(name).needs:
        yield f'{WHERE} {name}, which compares members; set spec.model.name=members, or leave it out'
      else:
        got = f'which is for spec.model.name=classifier, not for {f["model.name"]}'
        yield f'{WHERE} {name}, {got}; leave it out'
  elif others:
    whose = 'members have' if own == 'several models' else 'a classifier has'
    right = ', '.join(name for name, entry_ in EVALUATORS.items() if own in entry_.needs)
    yield f'{WHERE} {shown(others)}; {whose} the evaluator {right} only'


def _steps(f, name):
  if not model(f).steps:
    yield (
      f'{WHERE} {name}, which shows how spec.model.name=convdraw draws, step by step, not {f["model.name"]}; leave it '
      'out'
    )


def _linear(f, name):
  linear = linear_fields(f)
  if wrong := next((field for field, allowed in linear.items() if f[field] not in allowed), None):
    allowed = ' | '.join(shown(value) for value in linear[wrong])
    but = f'but spec.{wrong} is {shown(f[wrong])}; allowed there: {allowed}'
    yield f'{WHERE} {name}, which is for linear VAEs, {but}; or leave it out'


def _plane(f, name):
  what, layers = f'{WHERE} {name}, which is for one latent layer of 2 real units', f['model.layers']
  if num_layers(f) > 1:
    yield f'{what}, not for {num_layers(f)} layers; leave it out'
    return
  for field, needed in (('family', 'gaussian'), ('grid', 0), ('dim', 2)):
    field = f'model.{layers[0]}.{field}'
    if f[field] != needed:
      yield f'{what}, but spec.{field} is {f[field]}; use {needed}, or leave it out'


def _two_samples(f, name):
  several = num_layers(f) > 1
  what = 'a model of several layers' if several else 'a model with a flow'
  if (several or flows(f)) and f['eval.num_samples'] < 2:
    yield (
      f'spec.eval.num_samples: got {f["eval.num_samples"]}; the evaluator {name} needs at least 2 in {what} (or leave '
      'it out of spec.eval.evaluators)'
    )


def _samples(f, name):
  if f['eval.num_samples'] == 0:
    yield (
      f'spec.eval.num_samples: got 0; the evaluator {name} needs at least 1, as the probability of a level has no '
      'exact expectation (or leave it out of spec.eval.evaluators)'
    )


def _no_discrete_layers(f, name):
  if discrete := layers_of(f):
    yield (
      f'{WHERE} {name}, which is for Gaussian layers, but {described(f, discrete)}; use unit_information, or leave it '
      'out'
    )


def _discrete_layers(f, name):
  if not layers_of(f):
    yield f'{WHERE} {name}, which is for layers of bits or categories; leave it out'


def _few_states(f, name):
  if not vectors(f):
    yield f'{WHERE} {name}, which enumerates layers of bits or categories that are vectors; leave it out'
  elif (states := sum(log_states(f, layer) for layer in layers_of(f))) > math.log(MOST_STATES):
    yield (
      f'{WHERE} {name}, which enumerates {MOST_STATES:,} states at most, those of {int(math.log2(MOST_STATES))} bits, '
      f'but the layers have about 10^{states / math.log(10):.0f}; leave it out, or use log_evidence'
    )


UNTOLD = {
  'ppca': 'is for p(x)',
  'selection': 'compares models of p(x)',
  'tiles': 'is of one p(z)',
  'accuracy_bounds': 'bounds what codes tell by their rates, in which what a context tells has no part',
  'marginal_kl': 'is of one p(z)',
}


def _no_context(f, name):
  if (context := f['data.context']) != 'none':
    why = f'{name}, which {UNTOLD[kind(name)]}'
    yield f'{WHERE} {why}, but spec.data.context is {context}, and the model is p(x | context); leave it out'


def _halves(f, name):
  if f[f'eval.{name}.codes'] == 1:
    yield f'spec.eval.{name}.codes: got 1; a standard error needs two codes at least (0: all)'
  if not f[f'eval.{name}.hidden']:
    yield f'spec.eval.{name}.hidden: got (); give the width of one layer at least'


TARGETS = {'ppca': 'the likelihood of a model of x itself', 'players': 'the losses of symmetric learning'}


def _no_target(f, name):
  if (target := f['data.target']) != 'x':
    yield f'{WHERE} {name}, {TARGETS[kind(name)]}, but spec.data.target is {target}; leave it out'


def _chains(f, name):
  if (target := f['data.target']) != 'x':
    yield (
      f'{WHERE} {name}, which encodes what the model generates, but spec.data.target is {target}, and x is another '
      'thing; leave it out'
    )


def _classifier(f, name):
  if not f['classifier.path']:
    yield f'spec.classifier.path: is empty; the evaluator {name} needs the workdir of a run of specs/classifier.py'


def _task(f, name):
  of = [task for task in TASKS if task != 'mnist_turns']
  if f['data.name'] not in of:
    yield (
      f'{WHERE} {name}, which is for data of {" | ".join(of)} (made of images of ten labels, spec.data.of), not '
      f'{f["data.name"]}; leave it out'
    )


NEEDS = {
  'steps': _steps,
  'linear': _linear,
  'plane': _plane,
  'two samples': _two_samples,
  'samples': _samples,
  'no discrete layers': _no_discrete_layers,
  'discrete layers': _discrete_layers,
  'few states': _few_states,
  'no context': _no_context,
  'halves': _halves,
  'no target': _no_target,
  'chains': _chains,
  'a classifier': _classifier,
  'task': _task,
}
