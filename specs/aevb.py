"""Auto-encoding variational Bayes: one layer, and the paper's decoders (Kingma & Welling 2013)."""

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
  return spec
