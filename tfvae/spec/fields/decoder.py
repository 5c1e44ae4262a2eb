"""spec.decoder."""

from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import Field
from tfvae.spec.fields.nets import net

DECODER = {
  'likelihood': Field(
    'gaussian',
    'gaussian. bernoulli: for data in [0, 1]. logistic_mixture: discretised mixtures of logistics (PixelCNN++), exact '
    'probabilities of the levels of grey and RGB images, whose channels are autoregressive. The variance fields are of '
    'gaussian alone.',
    choices=tuple(NAMES['decoder.likelihood']),
  ),
  'components': Field(
    10, 'logistic_mixture: components of the mixture of each pixel, which its channels share.', low=1, high=1000
  ),
  'variance': Field(
    'learned',
    'fixed: sigma as given. learned: one sigma. per_dimension: one for each dimension of x. latent: '
    'sigma(z), a head of the net. optimal: closed form from the mean squared error.',
    choices=tuple(NAMES['decoder.variance']),
  ),
  'sigma': Field(1.0, "The decoder's standard deviation where fixed, its initial value otherwise.", above=0),
  'sigma_from': Field(2.0, 'Where sigma begins, if it falls (`sigma_until`): more than `sigma`.', above=0),
  'sigma_until': Field(
    0.0,
    'variance=fixed: the fraction of training over which sigma falls linearly from `sigma_from` to `sigma`, where it '
    'stays, as generative query networks are trained (2 to 0.7). The step before which k were taken has sigma_from + '
    '(sigma - sigma_from) min(1, k / (sigma_until train.steps)), and so has the checkpoint after k steps, which '
    'evaluation and export use. Where the loss has no log p(x | z) (constraint.likelihood) it moves only the numbers. '
    '0: `sigma` throughout.',
    low=0,
    high=1,
  ),
  'sigma_floor': Field(
    0.0025,
    'Soft lower limit of sigma: log sigma <- m + softplus(log sigma - m), m = log sigma_floor; a hard one '
    'for variance=optimal. 0: none. Without effect on variance=fixed.',
    low=0,
  ),
  'head_kernel': Field(
    1, "Side of the kernel of an image's head (where the net's features have the side of the image).", low=1, high=31
  ),
  'net': net(),
}
