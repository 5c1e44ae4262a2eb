"""spec.prior."""

from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import Field

PRIOR = {
  'name': Field(
    'standard',
    'Prior of the top layer. standard: N(0, I); fair bits; uniform categories. learned: N(0, alpha^2), one alpha for '
    'each unit; logits. optimal: N(0, alpha^2) in closed form, alpha^2 = the mean of E_q z^2 (a Gaussian layer that is '
    'a vector).',
    choices=tuple(NAMES['prior.name']),
  ),
  'weight_constraint': Field(
    'none',
    "On the weights that leave each latent unit, in the decoder's first Dense layer, so that alpha has a meaning of "
    'its own (one latent layer, a vector; decoder.net of kind mlp or linear). rescale: to norm 1 after each step. '
    'regularize: a penalty on the loss, prior.penalty times the sum over the units of (norm^2 - 1)^2.',
    choices=('none', 'rescale', 'regularize'),
  ),
  'penalty': Field(1.0, 'Factor of weight_constraint=regularize.', above=0),
}
