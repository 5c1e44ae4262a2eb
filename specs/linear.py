"""The linear VAE, whose ELBO meets probabilistic PCA's likelihood (Lucas et al. 2019; Damm et al. 2023, section 4).

    python launch.py --spec specs/linear.py
    python launch.py --spec specs/linear.py --spec.data.dims=7 --spec.model.z1.dim=3 --spec.data.latents=3
    python launch.py --spec specs/linear.py:csv --spec.data.path=mine.csv --spec.model.z1.dim=2

p(x | z) = N(W z + b, sigma^2 I), q(z | x) = N(V x + c, diag(tau^2)) with tau independent of x. Words:

    pca (default)      10,000 + 10,000 points W z + mu + noise: D = 10, H = 2, W and mu uniform in [0, 1], noise 0.1
    csv                a table: spec.data.path, or scikit-learn's breast cancer table; columns scaled to variance 1

    exact (default)    expectations over q in closed form
    sampled            100 samples of q for each example in a step, as published

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
    spec.data.batch_size = 100

  spec.model.z1.dim = 2
  spec.model.z1.scale_head = 'shared'
  spec.model.z1.encoder.kind = 'linear'
  spec.decoder.net.kind = 'linear'

  spec.objective.num_samples = 100 if 'sampled' in words else 0
  spec.eval.num_samples = 0
  spec.eval.split = 'train'
  spec.eval.evaluators = ('bounds', 'entropies', 'latents', 'ppca')
  spec.eval.during = ('bounds', 'entropies', 'ppca')
  spec.train.steps = 7500
  spec.train.learning_rate = 1e-2
  spec.train.schedule = 'cosine'
  spec.train.schedule_final = 0.0
  return spec
