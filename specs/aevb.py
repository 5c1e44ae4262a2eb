"""Auto-encoding variational Bayes: one latent layer and one hidden layer (Kingma & Welling 2013, appendix C).

    python launch.py --spec specs/aevb.py
    python launch.py --spec specs/aevb.py:gaussian --spec.objective.num_samples=5

`digits` (default): scikit-learn's 8 x 8 digits, 10 latent units, 200 hidden units with tanh. The decoder is a word:

    bernoulli (default)   grey values in [0, 1] as probabilities (appendix C.1); or, with
                          --spec.data.binarize=dynamic, pixels drawn from them
    gaussian              N(loc(z), sigma(z)^2) with both from the decoder's net (appendix C.2)
    unit                  N(loc(z), 1), on data scaled to mean 0 and variance 1

spec.objective.num_samples is the paper's L. What to expect after the 3,000 steps (a quarter of a minute on two cores),
seed 0, test split: elbo -24.2 (bernoulli), 47.6 (gaussian), -71.0 (unit) nats. They are of different densities, so they
cannot be compared with each other.
"""

from tfvae import spec as spec_lib


def get_config(variant=''):
  words = spec_lib.words(variant, ('digits',), ('bernoulli', 'gaussian', 'unit'))
  spec = spec_lib.base(('z1',))

  spec.data.name = 'digits'
  spec.data.batch_size = 100

  spec.model.z1.dim = 10
  spec.model.z1.encoder.hidden = (200,)
  spec.model.z1.encoder.activation = 'tanh'
  spec.decoder.net.hidden = (200,)
  spec.decoder.net.activation = 'tanh'

  if 'bernoulli' in words:
    spec.decoder.likelihood = 'bernoulli'
  elif 'gaussian' in words:
    spec.decoder.variance = 'latent'
    spec.decoder.sigma = 0.3
    spec.decoder.sigma_floor = 0.05
  else:
    spec.data.scaling = 'standard'
    spec.decoder.variance = 'fixed'
    spec.decoder.sigma = 1.0

  spec.objective.num_samples = 1
  spec.train.steps = 3000
  spec.train.learning_rate = 1e-3
  return spec
