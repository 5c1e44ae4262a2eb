"""The ELBO as a sum of entropies: Gaussian VAEs on points, tables and images (Damm et al., AISTATS 2023, section 4).

    python launch.py --spec specs/entropies.py
    python launch.py --spec specs/entropies.py:swiss_roll,vae3_latent
    python launch.py --spec specs/entropies.py:susy --spec.data.path=SUSY.csv

Words, separated by commas. The data (25,000 training points, each dimension scaled to [0, 1]):

    circle (default), 1d_gauss, line, 8gauss, cosine, eight, swiss_roll, spiral_3d
    manifold              3 dimensions in 20, 10 latent units: about three stay active
    pca, pca_ring         10,000 points in 10 dimensions, as they are; nets of 50 and 50 units
    susy                  18 features of the table spec.data.path (a stand-in without one), half of it for the test
    mnist                 real MNIST, grey values, nets of 50 and 50 units
    celeba                CelebA, 64 x 64 pixels (TensorFlow Datasets), convolutions

The variances:

    vae0                  sigma fixed: the identity does not hold
    vae1 (default)        one learned sigma
    vae2                  a learned prior, too: N(0, alpha_h^2), with the weights that leave each unit of norm 1
    vae3                  a learned sigma for each dimension of x
    vae3_latent           sigma(z)

    rescale (default)     vae2: the norms are set to 1 after each step
    regularize            vae2: by a penalty

The training:

    tuned (default)       beta rises from 0 to 1 over the first 30%, the learning rate falls to 0 by a cosine, and the
                          variances have one of their own, as a sigma that lags behind the networks when the learning
                          rate falls leaves a difference that looks like one of the theory's
    published             vae0 to vae3 on points (but pca, pca_ring): 150 epochs of batches of 1024, a constant learning
                          rate of 1e-3, no annealing, one sample; log sigma^2 begins at -9 (sigma 0.0111) with vae1 and
                          vae2, at 0 with vae3. The networks are those above

docs/entropies.md has what both lead to, and how the authors' networks differ.
elbo_minus_entropies is a statement about the training split, which is evaluated beside the test split.
"""

import math

from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.spec.entries import SYNTHETIC

POINTS = ('1d_gauss', 'line', 'circle', '8gauss', 'cosine', 'eight', 'swiss_roll', 'spiral_3d', 'manifold')
VAES = ('vae1', 'vae0', 'vae2', 'vae3', 'vae3_latent')


def get_config(variant=''):
  data = ('circle', *(name for name in SYNTHETIC if name not in ('circle', 'stream')), 'susy', 'mnist', 'celeba')
  words = spec_lib.words(variant, data, VAES, ('default', 'rescale', 'regularize'), ('tuned', 'published'))
  name = next(word for word in data if word in words)
  vae = next(word for word in VAES if word in words)
  spec = spec_lib.base(('z1',))

  hidden, dim, spec.data.batch_size, spec.train.steps = (128, 128), 2, 1024, 14_400
  if name in POINTS and name not in ('manifold', 'swiss_roll'):
    spec.objective.num_samples = 4  # 0.05 to 0.1 nats more than with one
  if name in SYNTHETIC:
    spec.data.name = name
  if name == '1d_gauss':
    dim = 1
  elif name == 'manifold':
    spec.data.latents, spec.data.dims, dim = 3, 20, 10
  elif name == 'swiss_roll':
    spec.data.batch_size, spec.train.steps = 256, 57_600  # noisier gradients unroll a sheet that begins folded
  elif name in ('pca', 'pca_ring'):
    spec.data.examples, spec.data.noise, spec.data.scaling = 10_000, 0.1, 'none'
    hidden, spec.data.batch_size, spec.train.steps = (50, 50), 2000, 15_000
  elif name == 'susy':
    spec.data.name, spec.data.test = 'table', 0.5
    spec.data.label = ''
    dim, spec.data.batch_size, spec.train.steps = 8, 100, 10_000
  elif name == 'mnist':
    spec.data.name = 'mnist'
    hidden, spec.data.batch_size, spec.train.steps = (50, 50), 2000, 6000
  elif name == 'celeba':
    spec.data.name, spec.data.crop, spec.data.resize, spec.data.flip = 'celeb_a', 148, 64, 'horizontal'
    dim, spec.data.batch_size, spec.train.steps = 64, 128, 50_000

  spec.model.z1.dim = dim
  for net in (spec.model.z1.encoder, spec.decoder.net):
    net.hidden = hidden
    if name == 'celeba':
      net.kind, net.kernel = 'conv', 4
  if name == 'celeba':
    spec.model.z1.encoder.hidden, spec.decoder.net.hidden = (32, 64, 128, 256), (256, 128, 64, 32)

  spec.decoder.variance = {'vae0': 'fixed', 'vae3': 'per_dimension', 'vae3_latent': 'latent'}.get(vae, 'learned')
  spec.decoder.sigma = 1.0
  if vae == 'vae2':
    spec.prior.name = 'learned'
    spec.prior.weight_constraint = 'regularize' if 'regularize' in words else 'rescale'
  elif 'default' not in words:
    chosen = 'rescale' if 'rescale' in words else 'regularize'
    raise SpecError([f'variant {variant!r}: {chosen} is for vae2, not {vae}; leave it out'])

  spec.objective.anneal = 'linear'
  spec.train.learning_rate, spec.train.variance_learning_rate = 6e-3, 1e-2
  if name == 'manifold':  # has no noise: a sigma that falls faster than units are given up keeps them
    spec.train.learning_rate, spec.train.variance_learning_rate = 3e-3, 1e-3
  spec.train.schedule, spec.train.schedule_final = 'cosine', 0.0
  if 'published' in words:
    published(spec, vae, variant)
  spec.eval.every = spec.train.steps // 20
  spec.eval.also = ('train',)
  shown = ('samples', 'reconstruction') if name in ('mnist', 'celeba') else ('points',)
  spec.eval.during = ('bounds', 'entropies', 'latents', *shown)
  spec.eval.evaluators = spec.eval.during
  return spec


def published(spec, vae, variant):
  """The authors' training of the points; sigma begins where it does in their code."""
  if spec.data.name not in POINTS or vae == 'vae3_latent':
    raise SpecError(
      [f'variant {variant!r}: published is for vae0, vae1, vae2, vae3 on {", ".join(POINTS)}; leave it out']
    )
  spec.data.batch_size, spec.train.steps = 1024, 3600
  spec.objective.num_samples, spec.objective.anneal = 1, 'none'
  spec.train.learning_rate, spec.train.variance_learning_rate, spec.train.schedule = 1e-3, 0.0, 'constant'
  if vae in ('vae1', 'vae2'):
    spec.decoder.sigma = math.exp(-4.5)
