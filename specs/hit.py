"""HIT: a two-layer hierarchy with one beta for each layer (Xiao & Bamler, ICLR 2023).

    python launch.py --spec specs/hit.py
    python launch.py --spec specs/hit.py --spec.objective.beta.z2=5

`digits` (default): scikit-learn's 8 x 8 digits, a learned decoder variance, and convolutions fit for 8 x 8 pixels.
z2 is a vector of 16 units. Words, separated by commas:

    map (default) | vector            z1 is a 4 x 4 feature map, or a vector of 32 units
    two_layers (default) | three_layers

What to expect after the 3,000 steps (half a minute on two cores, start-up and figures included), seed 0, test split:
elbo 38.8, rate/z2 12.2, rate/z1 22.0 nats. The digits are not the paper's data; what must hold there holds here: the
rate of z2 falls as its beta grows, and z1 takes the information over. docs/reproductions.md has the table.
"""

from tfvae import spec as spec_lib


def get_config(variant=''):
  words = spec_lib.words(variant, ('digits',), ('map', 'vector'), ('two_layers', 'three_layers'))
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
  return spec
