"""What rules ask of a spec."""

from tfvae.errors import cut
from tfvae.spec.entries import NAMES
from tfvae.spec.fields.model import REPEATED


def shown(value):
  return cut(','.join(map(str, value)) if isinstance(value, (tuple, list)) else str(value))


def num_layers(f):
  """Of latents, each step of one that repeats being one."""
  return f.get(f'model.{REPEATED}.steps', 1) if model(f).steps else len(f['model.layers'])


def model(f):
  return NAMES['model.name'][f['model.name']]


def flows(f):
  return [layer for layer in f['model.layers'] if f[f'model.{layer}.flow'] != 'none']


def linear_fields(f):
  """{field: what it may be} of what makes a VAE linear."""
  layer = f['model.layers'][-1]
  return {
    'model.name': ('hierarchy', 'members'),
    'model.layers': ((layer,),),
    f'model.{layer}.grid': (0,),
    f'model.{layer}.family': ('gaussian',),
    f'model.{layer}.flow': ('none',),
    'decoder.likelihood': ('gaussian',),
    'decoder.net.kind': ('linear',),
    'decoder.variance': ('fixed', 'learned', 'per_dimension', 'optimal'),
  }
