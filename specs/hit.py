"""HIT: a two-layer hierarchy with one beta for each layer (Xiao & Bamler, ICLR 2023).

    python launch.py --spec specs/hit.py
    python launch.py --spec specs/hit.py --spec.objective.beta.z2=5
    python launch.py --spec specs/hit.py:cifar10 --spec.data.download=true --spec.train.steps=2000
    python launch.py --spec specs/hit.py:folder256 --spec.data.path=pictures --spec.train.steps=2000

Words, separated by commas. The data:

    digits (default)                  scikit-learn's 8 x 8 digits
    mnist | binary_mnist              28 x 28, grey values as probabilities, or 1 where above 1/2
    cifar10 | svhn                    32 x 32 in colour
    celeb_a                           the central 148 x 148, scaled to 64 x 64, in colour
    folder256                         random 256 x 256 of the images below spec.data.path, in colour

With `digits`: a learned decoder variance, and convolutions fit for 8 x 8 pixels. z2 is a vector of 16 units. Words:

    map (default) | vector            z1 is a 4 x 4 feature map, or a vector of 32 units
    two_layers (default) | three_layers

What to expect after the 3,000 steps (half a minute on two cores, start-up and figures included), seed 0, test split:
elbo 37.7, rate/z2 11.4, rate/z1 20.5 nats. The digits are not the paper's data; what must hold there holds here: the
rate of z2 falls as its beta grows, and z1 takes the information over. docs/reproductions.md has the table.

With the other words: the networks, their initial weights (PyTorch's: spec.model.initializer=torch) and the optimizer
that were published with the paper. z2 is a vector of 32 units, z1 a 4 x 4 feature map of 32 channels, the decoder
N(loc(z1), 0.71^2), or Bernoulli for both kinds of MNIST. 500 epochs were published, 98,000 steps for CIFAR-10; here
100,000 steps (50,000 for MNIST), and --spec.train.steps=2000 gives a first picture, in 4 to 6 minutes on two cores
(seed 0, test split: elbo -1854.1 for CIFAR-10, -94.6 for binary MNIST).
celeb_a is not of the paper: the colour networks with one stage more from x to z2 and from z2 to where it
meets x, and z1 an 8 x 8 feature map.
folder256 is not of the paper either: the colour networks with as many stages as the way needs, z1 a 32 x 32 and z2 an
8 x 8 feature map, batches of 32. Files are read when they are needed, in training a square of each that is drawn afresh
in every epoch, in evaluation the central one; smaller images are refused (spec.data.crop=0 --spec.data.resize=256
scales them).
"""

from tfvae import spec as spec_lib
from tfvae.errors import SpecError

DATA = ('digits', 'mnist', 'binary_mnist', 'cifar10', 'svhn', 'celeb_a', 'folder256')


def get_config(variant=''):
  words = spec_lib.words(variant, DATA, ('map', 'vector'), ('two_layers', 'three_layers'))
  data = next(word for word in DATA if word in words)
  if data == 'digits':
    return digits(words)
  if unfit := words & {'vector', 'three_layers'}:
    raise SpecError([f'variant {variant!r}: {word} is there for digits only, not for {data}' for word in sorted(unfit)])
  return published(data)


def digits(words):
  """Small nets for 8 x 8 pixels."""
  layers = ('z3', 'z2', 'z1') if 'three_layers' in words else ('z2', 'z1')
  spec = spec_lib.base(layers)

  spec.data.name = 'digits'
  spec.data.batch_size = 100

  top = spec.model[layers[0]]
  top.dim = 16
  top.encoder.kind = 'conv'
  top.encoder.hidden = (32, 64)

  if 'three_layers' in words:
    spec.model.z2.dim = 16
    spec.model.z2.encoder.kind = 'conv'
    spec.model.z2.encoder.hidden = (32, 64)
    spec.model.z2.posterior.hidden = (64,)
    spec.model.z2.prior.hidden = (64,)

  z1 = spec.model.z1
  z1.encoder.kind = 'conv'
  z1.encoder.hidden = (32,)
  z1.prior.hidden = (128,)
  if 'vector' in words:
    z1.dim = 32
    z1.posterior.hidden = (128,)
  else:
    z1.grid = 4
    z1.dim = 2
    z1.posterior.kind = 'conv'
    z1.posterior.hidden = (32,)

  spec.decoder.likelihood = 'gaussian'
  spec.decoder.variance = 'learned'
  spec.decoder.sigma = 0.3
  spec.decoder.net.kind = 'conv'
  spec.decoder.net.hidden = (32, 32)

  spec.train.steps = 3000
  spec.train.learning_rate = 1e-3
  spec.eval.evaluators = (*spec.eval.evaluators, 'log_evidence')
  spec.eval.evidence_samples = 300
  return spec


def published(data):
  """The networks of the paper's code: 4 x 4 kernels, c channels, ReLU."""
  spec = spec_lib.base(('z2', 'z1'))
  grey, c = 'mnist' in data, 32
  stages = 3 if data != 'celeb_a' else 4  # from x to the 4 x 4 map before z2

  spec.data.name = {'binary_mnist': 'mnist', 'svhn': 'svhn_cropped', 'folder256': 'folder'}.get(data, data)
  spec.data.batch_size = 256
  if data == 'binary_mnist':
    spec.data.binarize = 'threshold'
    spec.data.threshold = 0.5
  if data == 'celeb_a':
    spec.data.crop = 148
    spec.data.resize = 64
  if data == 'folder256':
    spec.data.channels, spec.data.memory_limit = 'rgb', 0.0
    spec.data.crop, spec.data.crop_at = 256, 'random'
    spec.data.batch_size = 32

  z2, z1 = spec.model.z2, spec.model.z1
  z2.dim = c
  conv(z2.encoder, (c,) * stages)

  z1.grid = {'celeb_a': 8, 'folder256': 32}.get(data, 4)
  z1.dim = c
  z1.join_grid = 7 if grey else 2 * z1.grid
  conv(z1.encoder, (c, c))
  conv(z1.above, (c,) * (stages - 1))
  conv(z1.posterior, (c,))
  if data == 'folder256':  # dense layers to so many units would have 10^9 weights
    z2.grid = 8
    conv(z1.prior, (c, c))
  else:
    z1.prior.hidden = (z1.grid * z1.grid * c // 2,)
  z1.head_kernel = 3
  for layer in (z2, z1):
    layer.scale_head = 'softplus'

  conv(spec.decoder.net, (c, c))
  if grey:
    spec.decoder.likelihood = 'bernoulli'
  else:
    spec.decoder.likelihood = 'gaussian'
    spec.decoder.variance = 'fixed'
    spec.decoder.sigma = 0.71

  spec.model.initializer = 'torch'
  spec.train.steps = 50_000 if grey else 100_000
  spec.train.learning_rate, spec.train.epsilon = 3e-4, 1e-8
  spec.train.checkpoint_every = 2000
  spec.eval.every = 5000
  spec.eval.batch_size = 250 if data != 'folder256' else 8
  return spec


def conv(net, hidden):
  """4 x 4 convolutions with these channels."""
  net.kind = 'conv'
  net.hidden = hidden
  net.kernel = 4
