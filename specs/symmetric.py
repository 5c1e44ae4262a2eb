"""Symmetric equilibrium learning of binary hierarchies (Flach, Schlesinger & Shekhovtsov, AISTATS 2024).

    python launch.py --spec specs/symmetric.py
    python launch.py --spec specs/symmetric.py:mnist,reverse,elbo --spec.train.steps=20000
    python launch.py --spec specs/symmetric.py:elbo --spec.constraint.names=rate --spec.constraint.rate.z2=4

p(z2) p(z1 | z2) p(x | z1) with bits z2 above z1; decoder and encoder are two players, each trained on samples of the
other. Words, separated by commas:

    digits (default)      scikit-learn's digits, 8 x 8: 16 and 32 bits, dense nets; a decaying learning rate; one minute
    small_mnist           real MNIST by dense nets that two cores carry; 30 and 100 bits, batches of 256, 10,000 steps
    mnist                 real MNIST by the published convolutions: 30 and 100 bits, batches of 1024, 1,000,000 steps
    fashion_mnist         grey values, Gaussian decoder with one learned sigma, ReLU; a wider encoder; 280,000 steps
    code (default)        fashion_mnist: 30 and 100 bits, as in the examples of the authors' code
    paper                 fashion_mnist: 50 and 200 bits, as in the paper (whose mnist has 30 and 100)

    ladder (default)      q(z2 | x) q(z1 | z2, x): the logits of p(z_l | z_>l) plus scores of x
    reverse               q(z1 | x) q(z2 | z1)

    symmetric (default)
    elbo                  the same model by the ELBO, with the ZGR estimator. As the authors do it, rates of the reverse
                          encoder on mnist and fashion_mnist are sampled (objective.kl), else KLs in closed form;
                          what is asked for by spec.constraint.names goes with it, and not with symmetric

As published: pixels above 0.4375 are 1, 0.1% of them are flipped in each step, the training and the test split are both
data; mnist and fashion_mnist start from PyTorch's initial weights and have its Adam's epsilon. The steps are the
paper's; the authors' README has 200,000 (--spec.train.steps=200000), after which its FID of the limiting distribution
is 4.10 (mnist, ladder) and 4.96 (reverse), against 36.64 and 14.23 by the ELBO, and 42.4 against 119.2 for
fashion_mnist (ladder, 30 and 100 bits).
"""

from tfvae import spec as spec_lib
from tfvae.errors import SpecError


def get_config(variant=''):
  data = ('digits', 'small_mnist', 'mnist', 'fashion_mnist')
  words = spec_lib.words(variant, data, ('ladder', 'reverse'), ('symmetric', 'elbo'), ('code', 'paper'))
  name = next(word for word in data if word in words)
  spec = spec_lib.base(('z2', 'z1'))
  z2, z1, decoder = spec.model.z2, spec.model.z1, spec.decoder

  spec.model.inference = 'reverse' if 'reverse' in words else 'ladder'
  z2.family = z1.family = 'bernoulli'
  if 'elbo' in words:
    spec.objective.name, spec.objective.estimator = 'elbo', 'zgr'
    if 'reverse' in words and name in ('mnist', 'fashion_mnist'):
      spec.objective.kl = 'sampled'
  else:
    spec.objective.name = 'symmetric'
  spec.objective.information, spec.objective.chains = True, 16

  spec.data.name = {'small_mnist': 'mnist'}.get(name, name)
  spec.data.pool = 'train+test'
  if name == 'fashion_mnist':
    spec.data.jitter, decoder.likelihood = 0.01, 'gaussian'
  else:
    spec.data.binarize, spec.data.threshold, spec.data.pixel_flip = 'threshold', 0.4375, 0.001
    decoder.likelihood = 'bernoulli'

  for net in (z2.encoder, z1.encoder, z1.prior, decoder.net):
    net.activation = 'tanh'
  z2.encoder.skip = z1.prior.skip = True
  if name in ('digits', 'small_mnist'):
    width = 64 if name == 'digits' else 300
    z2.dim, z1.dim = (16, 32) if name == 'digits' else (30, 100)
    z1.encoder.hidden, z2.encoder.hidden, z1.prior.hidden = (2 * width, width), (width,), (width,)
    decoder.net.hidden = (width, 2 * width)
    if name == 'digits':  # the encoder follows a decoder that comes to rest: the limiting distribution needs both
      spec.data.batch_size, spec.train.steps, spec.train.learning_rate = 100, 30_000, 1e-3
      spec.train.schedule, spec.train.schedule_final = 'cosine', 0.01
    else:
      spec.data.batch_size, spec.train.steps, spec.train.learning_rate = 256, 10_000, 3e-4
      spec.eval.fid.samples = 10_000
  else:
    z2.dim, z1.dim = (50, 200) if 'paper' in words else (30, 100)
    wide = 600 if name == 'mnist' else 1000
    z1.encoder.kind = decoder.net.kind = 'conv28'
    z1.encoder.hidden, decoder.net.hidden = (32, 32, 64, 64, 64, 128, wide), (128, 64, 64, 64, 32, 32)
    z2.encoder.hidden, z1.prior.hidden = (wide, wide), (600, 600)
    if 'reverse' in words:
      z2.encoder.hidden = (600, 600, 600)
    decoder.head_kernel = 3
    if name == 'fashion_mnist':
      decoder.net.activation = 'relu'
    spec.model.initializer, spec.train.epsilon = 'torch', 1e-8
    spec.train.steps = 1_000_000 if name == 'mnist' else 280_000
    spec.data.batch_size, spec.train.learning_rate, spec.train.checkpoint_every = 1024, 1e-4, 1000
  if 'paper' in words and name != 'fashion_mnist':
    raise SpecError(
      [f'variant {variant!r}: paper is for fashion_mnist, which has other sizes there than in the code; leave it out']
    )

  spec.eval.every = spec.train.steps // 10
  spec.eval.during = ('bounds', 'constraints', 'players', 'limiting')
  spec.eval.evaluators = ('bounds', 'players', 'entropies', 'unit_information', 'samples', 'limiting')
  spec.eval.limiting.steps = 300 if name in ('digits', 'small_mnist') else 1000
  spec.eval.fid.of, spec.eval.fid.reference = ('prior', 'limiting'), 'train'  # which is both splits, by data.pool
  spec.sample.what = ('prior', 'limiting', 'reconstructions', 'codes', 'projector')
  return spec
