"""spec.objective."""

from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import FRACTION, Field

TEMPERED = ', '.join(name for name, gradient in NAMES['objective.estimator'].items() if gradient.temperature)


def objective(layers) -> dict:
  return {
    'name': Field(
      'elbo',
      'elbo: minimise distortion + sum_l beta_l R_l. iwae: maximise the importance-weighted bound of S samples '
      '(betas 1, no annealing). cross_entropy: minimise that of a classifier.',
      choices=tuple(NAMES['objective.name']),
    ),
    'num_samples': Field(
      1,
      'Latent samples S of each example in training (the k of IWAE). 0: none, expectations are exact, which a linear '
      'VAE has (one latent vector; decoder.net of kind linear, Gaussian, its variance independent of z).',
      low=0,
      high=10**5,
    ),
    'estimator': Field(
      'reparameterized',
      "Of the gradient. doubly_reparameterized: of the encoder's part of iwae, with less variance at about twice the "
      'cost (Tucker et al. 2019). Through samples of discrete layers, by elbo and iwae: zgr (or DARN(1/2); bits), '
      'straight_through, gumbel_sigmoid (bits) or straight_through_gumbel, which are biased; score_function, unbiased, '
      'with a leave-one-out baseline (num_samples of at least 2); gumbel_softmax (elbo with one-hot layers): softened '
      'samples take the place of one-hot ones in training, whose ELBO is then no bound (metrics relaxed/...).',
      choices=tuple(NAMES['objective.estimator']),
    ),
    'temperature': Field(
      0.5,
      f'{TEMPERED}: the temperature T at the beginning of training. At a fraction t of training it is '
      'max(temperature exp(-temperature_decay t), temperature_floor).',
      above=0,
    ),
    'temperature_decay': Field(0.0, f'{TEMPERED}: how fast the temperature falls. 0: it does not.', low=0, high=50),
    'temperature_floor': Field(0.0, f'{TEMPERED}: what the temperature falls to at most.', low=0),
    'kl': Field(
      'exact',
      'Of the rates that elbo minimises. exact: in closed form where there is one (all but flows and the lower layers '
      'of inference=reverse). sampled: log q - log p at the samples in every layer, which has the same mean and more '
      'noise (num_samples of at least 1). The metrics rate/<layer> are in closed form where there is one, in training '
      'as in evaluation.',
      choices=('exact', 'sampled'),
    ),
    'chains': Field(
      0,
      'Chains z, x, z, ... that take one step after each step of training, and are shown in TensorBoard (elbo and '
      'symmetric).',
      low=0,
      high=10**4,
    ),
    'information': Field(
      False,
      'Running averages of the mutual information of each unit (bit, group of categories) with its parents, under p '
      'and under q, in the checkpoint and, averaged over the units, in the metrics (discrete layers; elbo and '
      'symmetric).',
    ),
    'beta': {name: Field(1.0, f'Weight of the rate of {name}.', low=0, runtime=True) for name in layers},
    'anneal': Field(
      'none',
      'Factor on all betas. none: 1. linear: from anneal_from to 1 between anneal_begin and anneal_end. '
      'cyclical: the same ramp, anneal_cycles times in that span, each over the first half of its cycle.',
      choices=('none', 'linear', 'cyclical'),
    ),
    'anneal_from': Field(0.0, 'The factor at the beginning of a ramp.', low=0, high=1),
    'anneal_begin': Field(0.0, 'Beginning of the annealing, a fraction of training.', low=0, high=1, unit=FRACTION),
    'anneal_end': Field(0.3, 'End of the annealing, a fraction of training.', low=0, high=1, unit=FRACTION),
    'anneal_cycles': Field(4, 'Cycles of anneal=cyclical.', low=1, high=10**6),
  }
