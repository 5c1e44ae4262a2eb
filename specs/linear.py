"""The linear VAE, whose ELBO meets probabilistic PCA's likelihood (Lucas et al. 2019; Damm et al. 2023, section 4).

    python launch.py --spec specs/linear.py
    python launch.py --spec specs/linear.py --spec.data.dims=7 --spec.model.z1.dim=3 --spec.data.latents=3
    python launch.py --spec specs/linear.py:csv --spec.data.path=mine.csv --spec.model.z1.dim=2

p(x | z) = N(W z + b, sigma^2 I), q(z | x) = N(V x + c, diag(tau^2)) with tau independent of x. Words:

    pca (default)      10,000 + 10,000 points W z + mu + noise: D = 10, H = 2, W and mu uniform in [0, 1], noise 0.1
    csv                a table: spec.data.path, or scikit-learn's breast cancer table; columns scaled to variance 1,
                       or as they are (--spec.data.scaling=none)

    exact (default)    expectations over q in closed form; csv: each step is of the whole table: nothing is random
    sampled            100 samples of q for each example in a step, as published; csv: batches of 100

csv works on standardised values (model.standardize) whatever the scaling, as Adam moves weights by absolute steps. It
ends within 0.01 nats of probabilistic PCA on tables of 60 to 20,000 rows and 3 to 40 columns with spreads from 1e-3 to
1e3, also within one table, where the variance along the weakest of the H axes is at most 3,000 times the noise variance
that probabilistic PCA finds (table in docs/entropies.md). At 1e5 times up to 0.12 nats are missing, at 1e6 times some
nats: the weights do not keep up with a sigma that falls so far. A table of millions of values takes long: give it
--spec.data.batch_size=2000, at the price of the noise of batches.

What is evaluated is the training split, where the ELBO equals the sum of entropies and probabilistic PCA's likelihood:
elbo_minus_ppca and elbo_minus_entropies, in nats per example.
"""

from tfvae import spec as spec_lib


def get_config(variant=''):
  words = spec_lib.words(variant, ('pca', 'csv'), ('exact', 'sampled'))
  spec = spec_lib.base(('z1',))

  if 'pca' in words:
    spec.data.name = 'pca'
    spec.data.examples = 10_000
    spec.data.noise = 0.1
    spec.data.scaling = 'none'
    spec.data.batch_size = 2000
  else:
    spec.data.name = 'table'
    spec.data.scaling = 'standard'
    spec.data.batch_size = 100 if 'sampled' in words else 0
    spec.model.standardize = True
    spec.decoder.sigma_floor = 1e-5

  spec.model.z1.dim = 2
  spec.model.z1.scale_head = 'shared'
  spec.model.z1.encoder.kind = 'linear'
  spec.decoder.net.kind = 'linear'

  spec.objective.num_samples = 100 if 'sampled' in words else 0
  spec.eval.num_samples = 0
  spec.eval.split = 'train'
  spec.eval.evaluators = ('bounds', 'entropies', 'latents', 'ppca')
  spec.eval.during = ('bounds', 'entropies', 'ppca')
  if 'pca' in words:
    spec.train.steps = 7500
    spec.train.learning_rate = 1e-2
  else:
    spec.train.steps = 10_000
    spec.train.learning_rate = 2e-2
    spec.train.variance_learning_rate = 2e-3  # so slow that the weights keep up: noise far below the signal binds them
    spec.train.beta_1 = spec.train.beta_2 = 0.99
  spec.train.schedule = 'cosine'
  spec.train.schedule_final = 0.0
  return spec
