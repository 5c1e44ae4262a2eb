"""The fields of a net."""

from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import Field
from tfvae.spec.sides import MOST_REPEATED

ACTIVATIONS = ('relu', 'tanh', 'elu', 'gelu', 'silu', 'leaky_relu', 'softplus', 'sigmoid', 'linear')


def net(kind: str = 'mlp', hidden: tuple[int, ...] = (128,)) -> dict:
  return {
    'kind': Field(
      kind,
      'mlp: Dense layers on the flattened input. conv: convolutions, of stride 2 until a smaller grid is reached '
      '(of an odd side: without padding), transposed up to a larger one; from a vector, the first layer is Dense. '
      'linear: no hidden layer. conv28: seven convolutions from 28 x 28 pixels to a vector, or six from a vector to '
      "28 x 28 features, with the kernels of symmetric learning's authors. residual: stages of pre-activation residual "
      'blocks with group normalisation (He et al. 2016), from images or maps down to a vector, the mean over the map, '
      'or to a smaller grid; each stage but the first halves the side (an odd one is rounded up). densenet: stages of '
      'layers that see all maps before them, with group normalisation, and half as many channels at half the side '
      'between them (Huang et al. 2017), from images down to a vector.',
      choices=tuple(NAMES['net']),
    ),
    'hidden': Field(
      hidden,
      'Units of each hidden Dense layer, or channels of each convolution; residual: of each stage; densenet: at the '
      'end of each stage.',
      item=int,
      low=1,
      high=10**5,
    ),
    'activation': Field('relu', 'Activation after each hidden layer.', choices=ACTIVATIONS),
    'kernel': Field(3, 'Side of the convolution kernels.', low=1, high=31),
    'blocks': Field(2, 'residual: blocks of each stage, of two convolutions.', low=1, high=100),
    'growth': Field(8, 'densenet: channels that each layer adds; it begins with twice as many.', low=1, high=1000),
    'repeat': Field(
      True,
      'conv: where the way from one side to the other needs more layers than `hidden` has, there are as many as it '
      f'needs (up to {MOST_REPEATED}), with its last channels: 32 stands for 32,32,32 from 32 x 32 to 4 x 4. false: '
      'such a net is refused.',
    ),
    'skip': Field(
      False,
      'mlp: a linear map past the hidden layers, from what enters the net to the head that follows; of the encoders of '
      'a ladder above z1, from what the head of the layer below gives.',
    ),
  }
