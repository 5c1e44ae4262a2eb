"""Auto-encoding variational Bayes: one latent layer and one hidden layer (Kingma & Welling 2013, appendix C).

    python launch.py --spec specs/aevb.py
    python launch.py --spec specs/aevb.py:gaussian --spec.objective.num_samples=5
    python launch.py --spec specs/aevb.py:mnist --spec.data.download=true
    python launch.py --spec specs/aevb.py:nvp
    python launch.py --spec specs/aevb.py:conditional

Words, separated by commas. The data:

    digits (default)      scikit-learn's 8 x 8 digits, 10 latent units, 200 hidden units with tanh
    mnist                 28 x 28 pixels, 20 latent units, 400 hidden units with ReLU, 10 epochs of batches of 128

The decoder:

    bernoulli (default)   digits: grey values in [0, 1] as probabilities (appendix C.1); or, with
                          --spec.data.binarize=dynamic (the default of mnist), pixels drawn from them
    gaussian              N(loc(z), sigma(z)^2) with both from the decoder's net (appendix C.2)
    unit                  N(loc(z), 1), on data scaled to mean 0 and variance 1
    falling               N(loc(z), sigma^2), sigma falling from 2 to 0.7 over the first half of training, as generative
                          query networks are trained (Eslami et al. 2018)

The posterior:

    diagonal (default)    a Gaussian with independent units
    nvp                   that Gaussian moved by real NVP, four couplings of 64 hidden units, conditioned on the
                          encoder's features (VAE+NVP of Taming VAEs: Rezende & Viola 2018); the KL is from samples

What the model is told of an example:

    unconditional (default)  nothing
    conditional           its label, one-hot: p(x | label), with a Gaussian p(z | label) of its own for each; encoder
                          and decoder have the label beside what they take otherwise, and no layer more

spec.objective.num_samples is the paper's L. What to expect of the digits after the 3,000 steps (a quarter of a minute
on two cores), seed 0, test split: elbo -24.3 (bernoulli), 47.4 (gaussian), -71.0 (unit) nats. They are of different
densities, so they cannot be compared with each other. mnist,bernoulli after its 4,690 steps (a minute): elbo -102.6.
With nvp, which takes about twice as long, -24.1 (bernoulli) and -101.3 (mnist,bernoulli): nearer to log p(x), by 0.28
in place of 0.38 nats on the digits. docs/reproductions.md has three seeds of MNIST.
With conditional, of log p(x | label), -21.5 (bernoulli) and 51.0 (gaussian), and the rate is 1.17 in place of 3.15 and
10.9 in place of 14.7 nats: docs/conditional.md has three seeds, and how many samples a classifier takes for their
label.
"""

from tfvae import spec as spec_lib


def get_config(variant=''):
  words = spec_lib.words(
    variant,
    ('digits', 'mnist'),
    ('bernoulli', 'gaussian', 'unit', 'falling'),
    ('diagonal', 'nvp'),
    ('unconditional', 'conditional'),
  )
  mnist = 'mnist' in words
  spec = spec_lib.base(('z1',))

  spec.data.name = 'mnist' if mnist else 'digits'
  spec.data.batch_size = 128 if mnist else 100

  spec.model.z1.dim = 20 if mnist else 10
  for net in (spec.model.z1.encoder, spec.decoder.net):
    net.hidden = (400,) if mnist else (200,)
    net.activation = 'relu' if mnist else 'tanh'

  if 'nvp' in words:
    spec.model.z1.flow = 'real_nvp'
    spec.model.z1.flow_steps = 4
    spec.model.z1.flow_hidden = (64,)

  if 'conditional' in words:
    tell(spec)

  if 'bernoulli' in words:
    spec.decoder.likelihood = 'bernoulli'
    spec.data.binarize = 'dynamic' if mnist else 'none'
  elif 'gaussian' in words:
    spec.decoder.variance = 'latent'
    spec.decoder.sigma = 0.3
    spec.decoder.sigma_floor = 0.05
  elif 'falling' in words:
    spec.decoder.variance = 'fixed'
    spec.decoder.sigma_from, spec.decoder.sigma, spec.decoder.sigma_until = 2.0, 0.7, 0.5
    spec.eval.evaluators = (*spec.eval.evaluators, 'nll_per_dimension')
  else:
    spec.data.scaling = 'standard'
    spec.decoder.variance = 'fixed'
    spec.decoder.sigma = 1.0

  spec.objective.num_samples = 1
  if not mnist:
    spec.eval.evaluators = (*spec.eval.evaluators, 'log_evidence')
  spec.train.steps = 4690 if mnist else 3000
  spec.train.learning_rate = 1e-3
  return spec


def tell(spec):
  """Conditions the model on labels: the encoder's net has x and the label, and each label its own p(z)."""
  spec.data.context = 'label'
  z1 = spec.model.z1
  z1.posterior.hidden, z1.posterior.activation = z1.encoder.hidden, z1.encoder.activation
  z1.encoder.kind = z1.prior.kind = 'linear'
