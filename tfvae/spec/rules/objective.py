"""Rules of spec.objective."""

from tfvae.spec.rules.asked import model

NO_BETAS = {'iwae': 'the importance-weighted bound', 'symmetric': 'symmetric equilibrium learning'}


def annealing_rule(f):
  if f['objective.anneal'] != 'none' and f['objective.anneal_begin'] >= f['objective.anneal_end']:
    yield (
      f'spec.objective.anneal_end: got {f["objective.anneal_end"]:g}; allowed: more than '
      f'spec.objective.anneal_begin ({f["objective.anneal_begin"]:g})'
    )


def objective_rule(f):
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


def rates_rule(f):
  name = f['objective.name']
  if f['objective.kl'] == 'sampled' and (name != 'elbo' or not f['objective.num_samples']):
    why = (
      f'spec.objective.name is {name}' if name != 'elbo' else 'spec.objective.num_samples is 0: there are no samples'
    )
    yield (
      f'spec.objective.kl: got sampled, which is for the rates of spec.objective.name=elbo at samples, but {why}; use '
      'exact'
    )
  if f['objective.chains'] and (name not in ('elbo', 'symmetric') or not model(f).verbs):
    yield (
      f'spec.objective.chains: got {f["objective.chains"]}; spec.objective.name=elbo and symmetric with '
      'spec.model.name=hierarchy have them; use 0'
    )
