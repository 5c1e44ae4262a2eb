"""spec.study: what is computed of data in place of training a model, and how."""

from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import Field

STUDY = {
  'name': Field(
    'none',
    'none: a model is trained. fixed_points: of a VAE whose nets can be any function, on a grid of latent tiles, as '
    'the temperature T = beta sigma^2 falls and rises. collapse: of units, as sigma^2 sweeps the eigenvalues of the '
    "data's covariance. What is studied is the split `eval.split`; fields of model, objective, train, ... are without "
    'effect.',
    choices=('none', *NAMES['study.name']),
  ),
  'fixed_points': {
    'grid': Field((32, 32), 'Tiles along each axis of the latent space.', item=int, low=1, high=10**5, most=3),
    'temperatures': Field(
      (),
      'Temperatures, in the squared units of the data. Empty: `count` of them, from `low` to `high`.',
      item=float,
      above=0,
      most=10**4,
    ),
    'count': Field(64, 'How many temperatures.', low=3, high=10**4),
    'low': Field(0.01, "The lowest, as a share of the largest eigenvalue of the data's covariance.", above=0),
    'high': Field(1.2, 'The highest, the same.', above=0),
    'spacing': Field(
      'linear',
      'How they are spaced. Peaks of the second derivative of E(T) are easier to tell on an '
      'even grid; low temperatures are resolved by the other.',
      choices=('linear', 'log'),
    ),
    'noise': Field(
      1e-3,
      'Standard deviation of what is added to the points at each temperature, in units of the root of the largest '
      'eigenvalue.',
      low=0,
    ),
    'smoothing': Field(0.0, 'How much of a point is kept in an iteration. Published: 0.9.', low=0, below=1),
    'iterations': Field(2000, 'Iterations at each temperature, at most. Published: 400.', low=1, high=10**7),
    'tolerance': Field(
      1e-5,
      'The step of the points that ends the iterations, in the units of `noise`. Published: 1e-3.',
      low=0,
    ),
    'lipschitz': Field(
      'none',
      'What keeps the decoder smooth. local: distances of neighbouring tiles. global: of all pairs, over their '
      'distance in the latent space.',
      choices=('none', 'local', 'global'),
    ),
    'gamma': Field(0.02, 'Weight of `lipschitz`.', above=0),
    'warm': Field(
      True,
      'Whether a temperature begins where the one before it ended: only then is there hysteresis. Else each begins '
      "at the tiles' centres, and keeps their order.",
    ),
  },
  'collapse': {
    'units': Field(0, 'Latent units. 0: as many as the data have dimensions.', low=0, high=10**4),
    'beta': Field(1.0, 'Weight of the rate.', above=0),
    'variances': Field(
      (), 'Values of sigma^2. Empty: `count` of them, from `low` to `high`.', item=float, above=0, most=10**4
    ),
    'count': Field(32, 'How many values of sigma^2, evenly spaced in their logarithms.', low=2, high=10**4),
    'low': Field(
      0.3,
      "The lowest T = beta sigma^2, as a share of the smallest eigenvalue of the data's covariance "
      'that a unit is there for.',
      above=0,
    ),
    'high': Field(2.0, 'The highest, as a share of the largest eigenvalue.', above=0),
    'steps': Field(20_000, 'Steps of Adam of the linear VAEs.', low=1, high=10**8),
    'learning_rate': Field(0.03, 'Of these.', above=0),
    'hidden': Field(32, 'Units of the hidden layers of the nonlinear VAEs. 0: there are none.', low=0, high=10**5),
    'hidden_steps': Field(3000, 'Steps of Adam of the nonlinear VAEs.', low=1, high=10**8),
    'hidden_learning_rate': Field(0.01, 'Of these.', above=0),
    'hidden_batch_size': Field(200, 'Examples of a step of these.', low=1, high=10**7),
  },
}
