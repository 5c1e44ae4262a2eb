"""HIT: a two-layer hierarchy with one beta for each layer (Xiao & Bamler, ICLR 2023).

    python launch.py --spec specs/hit.py
    python launch.py --spec specs/hit.py --spec.objective.beta.z2=5
    python launch.py --mode=sweep --spec specs/hit.py
    python launch.py --mode=sweep --spec specs/hit.py:binary_mnist --spec.train.steps=2000
    python launch.py --spec specs/hit.py:rates --spec.constraint.rate.z2=4 --spec.constraint.rate.z1=20
    python launch.py --spec specs/hit.py:cifar10 --spec.data.download=true --spec.train.steps=2000
    python launch.py --spec specs/hit.py:folder256 --spec.data.path=pictures --spec.train.steps=2000

Words, separated by commas. The data:

    digits (default)                  scikit-learn's 8 x 8 digits
    mnist | binary_mnist              28 x 28, grey values as probabilities, or 1 where above 1/2
    cifar10 | svhn                    32 x 32 in colour
    celeb_a                           the central 148 x 148, scaled to 64 x 64, in colour
    folder256                         random 256 x 256 of the images below spec.data.path, in colour

The layers and their inference:

    two_layers (default) | three_layers
    vector_z (default) | conv_z       the top layer is a vector, or a feature map
    map (default) | vector            digits: z1 is a 4 x 4 feature map, or a vector of 32 units
    generic (default) | lvae          q(z2 | x) q(z1 | z2, x), or the Gaussian ladder of Sonderby et al. (2016)
    warmup (default) | no_warmup      lvae: the betas rise from 0 over the first fifth of training, or do not
    gaussian (default) | gumbel       units of the top layer, or categories, by the Gumbel-softmax (Jang et al. 2017)

    betas (default) | rates           a beta for each layer, or its rate in nats, for which the beta is found

What the model is told of an example:

    unconditional (default) | conditional  nothing, or its label: digits, both kinds of mnist, cifar10, svhn

The decoder:

    plain (default) | mixture         that of the data (below), or discretised mixtures of logistics (not: binary_mnist)

With `digits`: a learned decoder variance, and convolutions fit for 8 x 8 pixels. z2 is a vector of 16 units, or a 2 x 2
map of 4 channels.

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

gumbel has z2 of categories (three_layers: z3), one-hot in each group, and softened samples in training, at the
published temperature: one group of 10 as in the authors' code, with digits 4 groups. What to expect, seed 0, test
split: of digits elbo 38.0, rate/z2 7.5 of at most 9.2, rate/z1 31.0; of binary_mnist after 1,000 steps elbo -134.4 and
rate/z2 2.3, the most there is, but unit_information 0.0: all images are in one category.

--mode=sweep trains a grid of betas from 0.2 to 5, log-spaced around 1 (get_sweep below): 5 x 5 of digits, else 3 for
each layer (docs/sweep.md).

lvae has the published ladder. conv_z has 64 channels, z2 on 4 x 4 and z1 on 8 x 8 (MNIST: 7 x 7), in networks after
the published ones. three_layers is not of the paper: z3, a vector (conv_z: a map on 2 x 2), above maps on 4 x 4 and
8 x 8 (7 x 7). What to expect, seed 0, test split: of digits elbo 35.8 with lvae (25.3 with no_warmup) and 36.6 with
conv_z; of CIFAR-10 after 1,000 steps -1855.5 with lvae, -1868.9 with conv_z, -1865.8 with three_layers, where -1770.8
are the constant of a fixed sigma. Of CIFAR-10 with mixture after 2,000 steps elbo -13130, that is 6.17 bits_per_dim.
docs/hit.md has the differences, more numbers and pictures.

rates asks every layer for nats, spec.constraint.rate.<layer>: of digits 8 in z2 and 16 in z1 (three_layers: 4, 8 and
12 from the top), of the others as RATES below has them. The betas are moved after each step until the rates are there
(docs/constraints.md), so lvae goes with it by no_warmup alone, and gumbel not at all: its categories, once hardened
by a low beta, stay so (of digits 8.9 nats in z2 where 8 were asked for). What to expect of digits, seed 0: 8.03 and
16.06 nats of the training split, and of the test split, which has other writers, 7.86, 17.93 and elbo 40.9.
"""

from tfvae import spec as spec_lib
from tfvae.errors import SpecError

DATA = ('digits', 'mnist', 'binary_mnist', 'cifar10', 'svhn', 'celeb_a', 'folder256')
LAYERS = (('two_layers', 'three_layers'), ('vector_z', 'conv_z'), ('map', 'vector'))
INFERENCE = (('generic', 'lvae'), ('warmup', 'no_warmup'), ('gaussian', 'gumbel'), ('betas', 'rates'))
DECODERS = ('plain', 'mixture')
TOLD = ('unconditional', 'conditional')


def get_config(variant=''):
  words = spec_lib.words(variant, DATA, *LAYERS, *INFERENCE, DECODERS, TOLD)
  data = next(word for word in DATA if word in words)
  if unfit := [why for pair, why in UNFIT.items() if set(pair) <= words]:
    raise SpecError([f'variant {variant!r}: {why}' for why in unfit])
  layers = ('z3', 'z2', 'z1') if 'three_layers' in words else ('z2', 'z1')
  spec = digits(layers, words) if data == 'digits' else published(layers, data, words)
  if 'lvae' in words:
    spec.model.inference = 'lvae'
    if 'warmup' in words:
      spec.objective.anneal = 'linear'
      spec.objective.anneal_end = 0.2
  if 'mixture' in words:
    spec.decoder.likelihood = 'logistic_mixture'
    spec.decoder.components = 10
    spec.eval.evaluators = (*spec.eval.evaluators, 'bits_per_dim')
  if 'gumbel' in words:
    gumbel(spec, spec.model[layers[0]], 4 if data == 'digits' else 1)
  if 'conditional' in words:
    spec.data.context = 'label'
    top = spec.model[layers[0]]  # of the width of what features of x and the label meet in
    top.posterior.hidden = top.prior.hidden = (64,) if data == 'digits' else (128,)
  if 'rates' in words:
    spec.constraint.names = ('rate',)
    two, three = RATES[data]
    for layer, nats in zip(layers, two if len(layers) == 2 else three, strict=True):
      spec.constraint.rate[layer] = nats
    if data == 'digits':
      spec.eval.also = ('train',)
    elif data == 'cifar10':
      spec.constraint.multiplier_rate = 0.03  # the beta that z2 needs still grows by 3e-4 of itself a step
  return spec


def get_sweep(variant=''):
  """--mode=sweep: a beta for each layer, of digits 5 x 5, else 3 of each; none where rates are asked for."""
  words = spec_lib.words(variant, DATA, *LAYERS, *INFERENCE, DECODERS, TOLD)
  if 'rates' in words:
    return {}
  layers, count = ('z2', 'z1'), 5 if 'digits' in words else 3
  if 'three_layers' in words:
    layers, count = ('z3', 'z2', 'z1'), 3
  return {f'objective.beta.{layer}': f'0.2:5:{count}:log' for layer in layers}


GREY, COLOUR = ((10.0, 20.0), (4.0, 8.0, 20.0)), ((16.0, 5.0), (4.0, 6.0, 10.0))
RATES = {  # nats of two and of three layers, top first
  'digits': ((8.0, 16.0), (4.0, 8.0, 12.0)),
  'mnist': GREY,
  'binary_mnist': GREY,
  'cifar10': COLOUR,
  'svhn': COLOUR,
  'celeb_a': ((20.0, 20.0), (4.0, 10.0, 20.0)),
  'folder256': ((20.0, 100.0), ()),
}


UNFIT = {
  **{('vector', data): f'vector is there for digits only, not for {data}' for data in DATA[1:]},
  ('vector', 'conv_z'): 'conv_z is a feature map above another, but vector has none below',
  ('digits', 'three_layers', 'conv_z'): 'three_layers with conv_z needs more than the 8 x 8 pixels of digits',
  ('folder256', 'conv_z'): 'folder256 has a feature map on top without conv_z',
  ('folder256', 'three_layers'): 'folder256 has two layers',
  ('generic', 'no_warmup'): 'no_warmup is there for lvae only',
  ('lvae', 'warmup', 'rates'): 'the warm-up of lvae moves the betas that rates finds; add no_warmup',
  ('celeb_a', 'conditional'): 'celeb_a has no labels',
  ('folder256', 'conditional'): 'a folder has no labels',
  ('binary_mnist', 'mixture'): 'mixture is for grey and colour values, not for binary_mnist',
  ('gumbel', 'lvae'): 'gumbel is of categories, but lvae merges Gaussians',
  ('gumbel', 'conv_z'): 'gumbel is a vector of categories, but conv_z is a feature map',
  ('gumbel', 'rates'): 'categories that were hardened by a low beta do not soften again, so rates are not held',
  ('gumbel', 'folder256'): 'gumbel is a vector of categories, but folder256 has a feature map on top',
}


def gumbel(spec, top, groups):
  """The top layer of categories, 10 in a group as in the authors' code, whose temperature falls with the epoch.

  Published are one group and max(exp(-0.007 epoch), 0.4) in 500 epochs.
  """
  top.family, top.groups, top.dim, top.scale_head = 'categorical', groups, 10, 'log'
  spec.objective.estimator = 'gumbel_softmax'
  spec.objective.temperature, spec.objective.temperature_floor = 1.0, 0.4
  spec.objective.temperature_decay = 0.007 * 500
  spec.eval.evaluators = tuple('unit_information' if name == 'latents' else name for name in spec.eval.evaluators)
  spec.sample.what = tuple(name for name in spec.sample.what if name != 'interpolations')


def digits(layers, words):
  """Small nets for 8 x 8 pixels."""
  spec, lvae = spec_lib.base(layers), 'lvae' in words

  spec.data.name = 'digits'
  spec.data.batch_size = 100

  top = spec.model[layers[0]]
  top.dim = 16
  top.encoder.kind = 'conv'
  top.encoder.hidden = (64,) if lvae else (32, 64)  # the 32 are then on the way to z1
  if 'conv_z' in words:
    top.grid, top.dim = 2, 4

  if 'three_layers' in words:
    spec.model.z2.dim = 16
    spec.model.z2.encoder.kind = 'conv'
    spec.model.z2.encoder.hidden = (64,) if lvae else (32, 64)
    spec.model.z2.posterior.hidden = (64,)
    spec.model.z2.prior.hidden = (64,)
    if lvae:
      spec.model.z2.join_grid = 2
      top.encoder.kind = 'mlp'

  z1 = spec.model.z1
  z1.encoder.kind = 'conv'
  z1.encoder.hidden = (32,)
  z1.prior.hidden = (128,)
  if 'vector' in words:
    z1.dim = 32
    z1.posterior.hidden = (128,)
    z1.join_grid = 4 if lvae else 0
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
  spec.eval.log_evidence.samples = 300
  return spec


def published(layers, data, words):
  """The networks of the paper's code: 4 x 4 kernels (with conv_z and colours 5 x 5), c channels, ReLU."""
  spec, grey, conv_z = spec_lib.base(layers), 'mnist' in data, 'conv_z' in words

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
    spec.data.batch_size = 8 if 'mixture' in words else 32  # a mixture has a hundred numbers for each pixel

  kernel = 5 if conv_z and not grey else 4
  if data == 'folder256':
    layers_of_256(spec.model)
    conv(spec.decoder.net, (32, 32), kernel)
  else:
    path = (28, 14, 7, 4, 2) if grey else (64, 32, 16, 8, 4, 2) if data == 'celeb_a' else (32, 16, 8, 4, 2)
    grids = (4 if data != 'celeb_a' else 8, 4) if len(layers) == 2 and not conv_z else (path[-3], 4, 2)
    hierarchy(spec.model, path, grids, 64 if conv_z else 32, kernel, words)
    conv(spec.decoder.net, (spec.model.z1.dim,) * (path.index(grids[0]) - 1), kernel)
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
  spec.eval.batch_size = 250
  if data == 'folder256':  # 10 samples of 8 images are computed at once; what is drawn and kept is as much as of others
    spec.eval.batch_size = 8
    spec.sample.num, spec.sample.draws, spec.sample.units, spec.sample.points = 16, 4, 4, 200
  return spec


def hierarchy(model, path, grids, c, kernel, words):
  """The latent layers, each of c channels.

  With conv_z all are feature maps, without it the top one is a vector, reached from a map and leaving for one.

  Args:
    path: the sides from that of x downwards.
    grids: the sides of the maps of z1, z2, ... (the last: also of those about a vector).
  """
  conv_z, lvae, begin = 'conv_z' in words, 'lvae' in words, path[0]
  between = lambda large, small: path.index(small) - path.index(large)  # layers that halve or double
  for i, name in enumerate(model.layers[::-1]):
    z, grid, top = model[name], grids[i], name == model.layers[0]
    z.dim = c
    z.scale_head = 'softplus'
    if conv_z or not top:
      z.grid = grid
      z.head_kernel = 5 if kernel == 5 else 3
    if top:
      widths = (c,) * between(begin, grid)
      conv(z.encoder, (*widths[1:], 3 * c) if conv_z else widths, kernel)
      continue
    # Where z meets x, or leaves the way up that the layers of an LVAE share.
    z.join_grid = grid if conv_z and not lvae else path[path.index(grid) - 1]
    conv(z.encoder, (c,) * max(2, between(begin, z.join_grid)), kernel)
    conv(z.posterior, ((3 if lvae else 2) * c if conv_z else c,), kernel)
    if not lvae:
      conv(z.above, (c,) * (between(z.join_grid, grids[i + 1]) + 1), kernel)
    if name == model.layers[1] and not conv_z:  # below a vector
      z.prior.hidden = (grid * grid * c // 2,)
    else:
      conv(z.prior, (c + c // 2,), kernel)
    begin = z.join_grid if lvae else path[0]


def layers_of_256(model, c=32):
  """z2 on 8 x 8 and z1 on 32 x 32: dense layers to so many units would have 10^9 weights."""
  z2, z1 = model.z2, model.z1
  for z, grid in ((z2, 8), (z1, 32)):
    z.dim, z.grid, z.scale_head = c, grid, 'softplus'
  conv(z2.encoder, (c, c, c), 4)
  z1.join_grid, z1.head_kernel = 64, 3
  conv(z1.encoder, (c, c), 4)
  conv(z1.above, (c, c), 4)
  conv(z1.posterior, (c,), 4)
  conv(z1.prior, (c, c), 4)


def conv(net, hidden, kernel):
  """Convolutions with these channels."""
  net.kind = 'conv'
  net.hidden = hidden
  net.kernel = kernel
