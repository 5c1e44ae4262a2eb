"""From a spec to the layers of a hierarchy: which net leads from where to where."""

from tfvae.making import Make
from tfvae.models.decoder import Decoder
from tfvae.models.latent import LatentLayer
from tfvae.models.standardized import Standardized
from tfvae.nets.heads import Join
from tfvae.nets.unit_norm import constrain
from tfvae.observation import Observation
from tfvae.spec.entries import NAMES


def latent_layers(spec, observation: Observation, order, make: Make) -> list[LatentLayer]:
  """The latent layers of a spec, top first, inferred in that order."""
  told = observation.context is not None
  return [_latent_layer(spec, name, told, order, make) for name in spec.model.layers]


def decoder(spec, observation: Observation, make: Make) -> Decoder:
  """p(x | z) of a spec for such examples."""
  net, model, shape = spec.decoder.net, spec.model, observation.shape
  decoder_net = make.net(net, shape[0] if len(shape) == 3 else 0, 'decoder_net')
  made = Decoder(
    join(net, model[model.layers[-1]].grid if len(shape) == 3 else 0, 'decoder_join'),
    decoder_net,
    after(decoder_net, make.likelihood(spec.decoder, observation, 'likelihood')),
    Standardized(shape) if model.standardize else None,
  )
  if spec.prior.weight_constraint != 'none':
    constrain(made.net.first or made.likelihood.head, spec.prior.weight_constraint, spec.prior.penalty)
  return made


def _latent_layer(spec, name, told, order, make: Make):
  model, section = spec.model, spec.model[name]
  shape, position = make.latent_shape(section), model.layers.index(name)
  if position == 0 and not told:
    prior = make.prior(spec.prior, section.family, shape, f'{name}_prior')
  else:
    prior = _conditional_prior(section, model[model.layers[position - 1]].grid if position else 0, name, make)
  encoder, family, merge = order.parts(model, name, told, make)
  return LatentLayer(shape, encoder, family, prior, merge, name)


def _conditional_prior(section, above_grid, name, make: Make):
  net = make.net(section.prior, section.grid, f'{name}_prior_net')
  return make.conditional_prior(
    join(section.prior, above_grid, f'{name}_prior_join'),
    net,
    after(net, make.family(section, f'{name}_p', section.prior.kernel)),
    f'{name}_prior',
  )


# What orders make their nets of.


def from_x(section, name: str, make: Make):
  """Encoder and family of a layer that is inferred from x alone, and no merge."""
  encoder = make.net(section.encoder, section.grid, f'{name}_encoder')
  return encoder, after(encoder, make.posterior(section, f'{name}_q', section.encoder.kernel)), None


def after(net, family):
  """A family whose head follows that net."""
  family.head.split = net.split
  return family


def join(net, grid: int, name: str) -> Join:
  """What joins the inputs of a net: on a grid where it takes maps, else flattened."""
  return Join(grid if NAMES['net'][net.kind].maps else 0, net.hidden[0] if net.hidden else 1, name)
