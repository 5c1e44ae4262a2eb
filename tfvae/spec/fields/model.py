"""spec.model: the latent layers, and what is told."""

import re

from tfvae.errors import cut, short
from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import Field
from tfvae.spec.fields.nets import net

MOST_LAYERS = 32
REPEATED = 'z'  # the layer that repeats


def model(layers) -> dict:
  return {
    'name': Field(
      'hierarchy',
      'Kind of model. members: several linear VAEs side by side on the same data, one of each size in model.members. '
      'classifier: of the labels, with objective.name=cross_entropy. convdraw: convolutional DRAW, which draws an '
      'image in model.z.steps steps.',
      choices=tuple(NAMES['model.name']),
    ),
    'members': Field((), 'name=members: latent units of each.', item=int, low=1, high=10**4),
    'layers': Field(
      tuple(layers),
      "Latent layers, top first: ('z2', 'z1'). The bottom one is z1. convdraw: z, the layer that repeats.",
      item=str,
    ),
    'inference': Field(
      'generic',
      'Order of inference. generic: from the top, q(zL | x) ... q(z_l | z_>l, x). reverse: from the bottom, q(z1 | x) '
      'q(z2 | z1) ...; `encoder` of z2 and above then leads from the layer below. ladder: from the top, by the natural '
      'parameters of p(z_l | z_>l) plus what features of x add; `encoder` of z2 and above then leads on from the '
      'features of the one below. In these two, `above`, `posterior` and `join_grid` are without effect. lvae: the '
      'ladder of Gaussian layers (Sonderby et al. 2016), whose top, q(zL | x), is what x adds alone; below the top '
      '`encoder` is the way up, to `join_grid`, and `posterior` leads aside from there to what x adds; `above` is '
      'without effect. Its authors let the rates in slowly: objective.anneal.',
      choices=tuple(NAMES['model.inference']),
    ),
    'conditioning': Field(
      'next',
      'next: p(z_l | z_l+1), q(z_l | z_l+1, x) and p(x | z1). all: p(z_l | z_>l), q(z_l | z_>l, x) and '
      'p(x | z1, ..., zL). Two layers differ in p(x | z) only. With inference=reverse, q(z_l | z_l-1) and '
      'q(z_l | z_<l, x).',
      choices=('next', 'all'),
    ),
    'initializer': Field(
      'keras',
      'Initial weights of all nets and heads, drawn from the seed and their names. keras: kernels Glorot uniform, '
      "biases 0. torch: PyTorch's, kernels and biases uniform in +-1/sqrt(fan in), the fan in being the inputs of a "
      "unit, but the outputs times the kernel's size of a transposed convolution (also of one from 1 x 1, Dense here); "
      'a map past hidden layers (skip) has a fan in of its own. Variances, learned priors and shared scales '
      'start where their own fields say.',
      choices=tuple(NAMES['model.initializer']),
    ),
    **{name: layer(is_top=i == 0, repeats=name == REPEATED) for i, name in enumerate(layers)},
    'standardize': Field(
      False,
      'Nets work on (x - mean) / sd, by the mean and standard deviation of each dimension in the training split, and '
      'their output is turned back: optimizers move weights by absolute steps, so that data far from mean 0 and '
      'variance 1 (scaling=none) ask for it. Densities remain those of the data; decoder.sigma and decoder.sigma_floor '
      'are then in units of the root of the mean variance (with variance=per_dimension and latent, of each sd). '
      'Gaussian decoders, data that are not binary.',
    ),
    'context': context(),
    'classifier': classifier(),
  }


def layer(is_top: bool, repeats: bool = False) -> dict:
  fields = steps() if repeats else {}
  fields |= {
    'family': Field(
      'gaussian',
      'Distribution of the layer, in q and in p. bernoulli: bits. categorical: one-hot vectors.',
      choices=tuple(NAMES['family']),
    ),
    'dim': Field(
      8, 'Units of the vector, or channels of the feature map; of family=categorical, categories.', low=1, high=10**5
    ),
    'groups': Field(
      1,
      'family=categorical: z is a vector of so many groups of `dim` categories, one-hot in each group.',
      low=1,
      high=10**4,
    ),
    'grid': Field(
      0, '0: the layer is a vector of `dim` units. n: an n x n feature map of `dim` channels.', low=0, high=1024
    ),
    'flow': Field(
      'none',
      "An invertible map of the layer's posterior, conditioned on its features. none: the family itself. real_nvp: "
      'affine couplings (Dinh et al. 2017), of Gaussian vectors of at least 2 units; in a ladder, of the merged '
      'Gaussian. KLs and entropies of q are then from samples.',
      choices=('none', *NAMES['flow']),
    ),
    'flow_steps': Field(
      4, 'Couplings of the flow, each of which moves one half of the units by the other, in turn.', low=1, high=1000
    ),
    'flow_hidden': Field(
      (64,),
      'Units of each hidden layer of the net of each coupling (ReLU).',
      item=int,
      low=1,
      high=10**5,
    ),
    'scale_head': Field(
      'log',
      "How q's and p's scales leave their heads: log: exp(output), free to rescale. softplus: softplus(output). "
      'shared: no head, one learned scale for each unit, whatever x (or the layer above) is.',
      choices=('log', 'softplus', 'shared'),
    ),
    'head_kernel': Field(
      1, "Side of the kernel of a feature map's head (of one that does not double the side).", low=1, high=31
    ),
  }
  if not is_top or repeats:
    fields['join_grid'] = Field(
      0,
      'Side of the feature map on which the features of x and the layers above meet; `posterior` leads from there to '
      "the layer's grid. 0: the layer's grid. Not for the top layer. convdraw: the side of its memories, "
      'which divides that of the images.',
      low=0,
      high=1024,
    )
  if repeats:
    return fields | {'encoder': net('conv', (32,)), 'posterior': net('conv', ()), 'prior': net('conv', ())}
  fields['encoder'] = net()
  if not is_top:
    fields['above'] = net('linear')
  return fields | {'posterior': net(), 'prior': net()}


def steps() -> dict:
  """Of the layer z, which repeats."""
  return {
    'steps': Field(8, 'convdraw: steps in which the picture is drawn, T.', low=1, high=1000),
    'lstm': Field(32, "convdraw: channels of the encoder's and of the decoder's LSTM.", low=1, high=10**5),
    'lstm_kernel': Field(3, 'convdraw: side of the kernels of both.', low=1, high=31),
    'canvas': Field(
      8,
      'convdraw: channels of the canvas, to which each step adds. The likelihood has a linear map of them.',
      low=1,
      high=10**5,
    ),
  }


def context() -> dict:
  return {
    **net('conv'),
    'dim': Field(32, 'Units of the vector that an image becomes.', low=1, high=10**5),
    'classes': Field(10, 'context=label: labels are 0, ..., classes - 1.', low=2, high=10**5),
    'embed': Field(
      0, 'context=label: units of the learned vector of each label. 0: labels are one-hot.', low=0, high=10**5
    ),
  }


def classifier() -> dict:
  return {
    **net('conv'),
    'dense': Field(
      (128,),
      'Units of each Dense layer after the net; the activations of the last are the features.',
      item=int,
      low=1,
      high=10**5,
    ),
    'classes': Field(10, 'Labels are 0, ..., classes - 1.', low=2, high=10**5),
  }


def layers_problem(layers) -> str | None:
  """What is wrong with the names in spec.model.layers, or None: they are zL, ..., z2, z1, or z alone, which repeats."""
  if layers == (REPEATED,):
    return None
  if not isinstance(layers, tuple) or not layers or not all(isinstance(name, str) for name in layers):
    return f'got {short(layers)}; allowed: the latent layers, top first, such as z2,z1'
  if len(layers) > MOST_LAYERS:
    return f'got {len(layers)} layers; allowed: at most {MOST_LAYERS}'
  right = tuple(f'z{i}' for i in range(len(layers), 0, -1))
  if layers != right:
    number = re.fullmatch(r'z([1-9])', layers[0])
    if number and sorted(layers) != sorted(right):
      right = tuple(f'z{i}' for i in range(int(number[1]), 0, -1))
    known = ','.join(right)
    return f'got {cut(",".join(layers))}; layers are named from the top, the bottom one z1: {known}'
  return None
