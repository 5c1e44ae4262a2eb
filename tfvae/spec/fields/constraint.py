"""spec.constraint."""

from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import FRACTION, Field

START = 'Where its multiplier starts. 0: at {auto}; with update=published at 1.'


def constraint(layers) -> dict:
  least = lambda what: {
    'kappa': Field(0.9, f'The least mean {what} that is asked for.', above=0, high=1, runtime=True),
    'multiplier': Field(0.0, START.format(auto='1'), low=0, runtime=True),
  }
  return {
    'names': Field(
      (),
      'What is asked of the result (objective.name=elbo): sum_l beta_l R_l is minimised subject to it, by a Lagrange '
      'multiplier for each (GECO: Rezende & Viola 2018). re: an error of the reconstruction. fre: an error of features '
      'of it. cla: that a classifier still sees the label. pncc: the correlation of patches. rate: the rates of '
      'layers, in nats, whose betas are then found.',
      choices=tuple(NAMES['constraint.names']),
      item=str,
    ),
    'update': Field(
      'relative',
      'Of the multipliers, after each step. relative: log multiplier += multiplier_rate c, c being the average of the '
      'constraint in units of its threshold, clipped to [-1, 1]. published: log multiplier += multiplier_rate times '
      'the average itself, Algorithm 1 as printed (there alpha = 0.99 and multiplier_rate = 1).',
      choices=('relative', 'published'),
    ),
    'alpha': Field(0.9, 'Decay of the average of each constraint over the batches of past steps.', low=0, below=1),
    'multiplier_rate': Field(0.01, 'How fast multipliers move.', above=0),
    'range': Field((1e-6, 1e12), 'The smallest and the largest multiplier.', item=float, above=0, most=2),
    'warmup': Field(
      0.0,
      'Fraction of training during which multipliers stay where they start. A run that is given more train.steps holds '
      'them again as far as the fraction of these reaches.',
      low=0,
      below=1,
      unit=FRACTION,
    ),
    'likelihood': Field(
      'auto',
      'Whether -log p(x | z) is part of the loss. drop: the constraints take its place; no gradient then reaches the '
      "decoder's variance (fixed, or optimal: that of the errors), at which the ELBO is reported. auto: drop with re, "
      'fre, cla or pncc (as published), keep with rate alone.',
      choices=('auto', 'keep', 'drop'),
    ),
    're': _error(0.1, False, 'dimension', 'the units of x (data.scaling)', "the data's standard deviation"),
    'fre': {
      'features': Field(
        'classifier',
        'Of what. classifier: the activations before the last layer of the classifier of classifier.path. patches: the '
        'mean and the standard deviation of each channel in patches of the image.',
        choices=('classifier', 'patches'),
      ),
      **_patches(),
      **_error(0.5, True, 'feature', 'the units of the features', "the features' standard deviation over the data"),
    },
    'cla': least('probability of the true label, of the classifier of classifier.path at E[x | z],'),
    'pncc': {**least('normalised cross-correlation of the patches of x and of E[x | z]'), **_patches()},
    'rate': {
      name: Field(0.0, f'The rate of {name} that is asked for, in nats. 0: none; its beta holds.', low=0, runtime=True)
      for name in layers
    },
  }


def _patches() -> dict:
  return {
    'patch': Field(4, 'Side of the patches.', low=2, high=1024),
    'stride': Field(2, 'From one patch to the next.', low=1, high=1024),
  }


def _error(kappa: float, relative: bool, what: str, units: str, sd: str) -> dict:
  return {
    'kappa': Field(
      kappa, f'The root mean squared error per {what} that is asked for, in {units}.', low=1e-6, runtime=True
    ),
    'relative': Field(relative, f'Whether kappa is a share of {sd}, which is what a constant output reaches.'),
    'reduce': Field(
      'mean',
      f'How squared errors are put together. mean: over the {what}s. sum: added up, and so is the threshold (kappa '
      f'remains the error per {what}); the multiplier is then so many times smaller.',
      choices=('mean', 'sum'),
    ),
    'multiplier': Field(
      0.0,
      START.format(auto=f'n / (2 kappa^2), n the number of {what}s (reduce=sum: 1 / (2 kappa^2))'),
      low=0,
      runtime=True,
    ),
  }
