"""From a spec to the layers of a hierarchy: which net leads from where to where, in each order of inference."""

import keras

from tfvae.making import Make
from tfvae.models.decoder import Decoder
from tfvae.models.latent import LatentLayer, Merge
from tfvae.models.standardized import Standardized
from tfvae.names import NAMES
from tfvae.nets.heads import Join
from tfvae.nets.unit_norm import constrain
from tfvae.observation import Observation


def latent_layers(spec, make: Make) -> list[LatentLayer]:
  """The latent layers of a spec, top first."""
  infer = {'generic': _generic, 'ladder': _ladder, 'lvae': _lvae, 'reverse': _reverse}[spec.model.inference]
  return [_latent_layer(spec.model, name, spec.prior, make, infer) for name in spec.model.layers]


def decoder(spec, observation: Observation, make: Make) -> Decoder:
  """p(x | z) of a spec for such examples."""
  net, model, shape = spec.decoder.net, spec.model, observation.shape
  decoder_net = make.net(net, shape[0] if len(shape) == 3 else 0, 'decoder_net')
  made = Decoder(
    _join(net, model[model.layers[-1]].grid if len(shape) == 3 else 0, 'decoder_join'),
    decoder_net,
    _after(decoder_net, make.likelihood(spec.decoder, observation, 'likelihood')),
    Standardized(shape) if model.standardize else None,
  )
  if spec.prior.weight_constraint != 'none':
    constrain(made.net.first or made.likelihood.head, spec.prior.weight_constraint, spec.prior.penalty)
  return made


def _latent_layer(model, name, top_prior, make: Make, infer):
  shape, position = make.latent_shape(model[name]), model.layers.index(name)
  if position == 0:
    prior = make.prior(top_prior, model[name].family, shape, f'{name}_prior')
  else:
    prior = _conditional_prior(model[name], model[model.layers[position - 1]].grid, name, make)
  encoder, family, merge = infer(model, name, position, make)
  return LatentLayer(shape, encoder, family, prior, merge, name)


def _conditional_prior(section, above_grid, name, make: Make):
  net = make.net(section.prior, section.grid, f'{name}_prior_net')
  return make.conditional_prior(
    _join(section.prior, above_grid, f'{name}_prior_join'),
    net,
    _after(net, make.family(section, f'{name}_p', section.prior.kernel)),
    f'{name}_prior',
  )


def _generic(model, name, position, make: Make):
  """Encoder, family and merge of q(z_l | z_>l, x)."""
  section = model[name]
  if position == 0:
    return _from_x(section, name, make)
  above_grid, meeting = model[model.layers[position - 1]].grid, section.join_grid or section.grid
  encoder = make.net(section.encoder, meeting, f'{name}_encoder', head=False)
  join = _join(section.posterior, meeting, f'{name}_posterior_join')
  net = make.net(section.posterior, section.grid, f'{name}_posterior')
  family = _after(net, make.posterior(section, f'{name}_q', section.posterior.kernel))
  if section.above.kind == 'linear':  # `join` is linear already
    return encoder, family, Merge(join, net, name=f'{name}_merge')
  above = make.net(section.above, meeting, f'{name}_above', head=False)
  above_join = _join(section.above, above_grid, f'{name}_above_join')
  return encoder, family, Merge(join, net, above, above_join, f'{name}_merge')


def _ladder(model, name, position, make: Make):
  """Encoder and family of what x adds to p(z_l | z_>l); the encoder of z_l leads on from that of z_l-1."""
  del position
  return _from_x(model[name], name, make)


def _lvae(model, name, position, make: Make):
  """The same of an LVAE: below the top the way up is `encoder`, and `posterior` leads aside from it to the family."""
  section = model[name]
  if position == 0:
    return _from_x(section, name, make)
  branch = section.join_grid or section.grid
  encoder = make.net(section.encoder, branch, f'{name}_encoder', head=False)
  net = make.net(section.posterior, section.grid, f'{name}_posterior')
  merge = Merge(_join(section.posterior, branch, f'{name}_posterior_join'), net, name=f'{name}_merge')
  return encoder, _after(net, make.posterior(section, f'{name}_q', section.posterior.kernel)), merge


def _reverse(model, name, position, make: Make):
  """Encoder, family and merge of q(z_l | z_<l), or of q(z_l | z_<l, x) where layers depend on all below."""
  section = model[name]
  if position == len(model.layers) - 1:
    return _from_x(section, name, make)
  join = _join(section.encoder, model[model.layers[position + 1]].grid, f'{name}_encoder_join')
  net = make.net(section.encoder, section.grid, f'{name}_encoder')
  family = _after(net, make.posterior(section, f'{name}_q', section.encoder.kernel))
  encoder = keras.layers.Identity(name=f'{name}_x') if model.conditioning == 'all' else None
  return encoder, family, Merge(join, net, name=f'{name}_merge')


def _from_x(section, name, make: Make):
  encoder = make.net(section.encoder, section.grid, f'{name}_encoder')
  return encoder, _after(encoder, make.posterior(section, f'{name}_q', section.encoder.kernel)), None


def _after(net, family):
  """A family whose head follows that net."""
  family.head.split = net.split
  return family


def _join(net, grid, name):
  """What joins the inputs of a net: on a grid where it takes maps, else flattened."""
  return Join(grid if NAMES['net'][net.kind].maps else 0, net.hidden[0] if net.hidden else 1, name)
