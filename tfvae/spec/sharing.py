"""Which runs can have one compiled step: those whose specs differ in runtime values alone."""

import json

from tfvae.spec.fields.field import flatten
from tfvae.spec.schema import schema

DRAWN = ('table', 'folder')  # data that may have no test split of their own


def program(spec) -> str:
  """What of a spec the compiled step depends on, as text: runs for which it is equal can take turns with one.

  Left out are the values that the step reads from variables (`Field.runtime`: betas, thresholds and targets, learning
  rates, the seed), though not whether a number is 0.0, which may mean that there is no such thing.
  """
  fields = flatten(schema(spec.model.layers, spec.eval.evaluators))
  values = flatten(spec.to_dict())
  found = {name: value != 0.0 or name == 'seed' if fields[name].runtime else value for name, value in values.items()}
  if spec.data.validation or spec.data.binarize == 'static' or spec.data.name in DRAWN:
    found['seed'] = spec.seed  # by which the data are drawn
  if spec.constraint.names:  # constraints report what they amount to at betas of 1
    found['betas are 1'] = all(beta == 1 for beta in spec.objective.beta.values())
  return json.dumps(found)


def data(spec) -> str:
  """What of a spec its data depend on beside the seed, as text."""
  return json.dumps(spec.data.to_dict())
