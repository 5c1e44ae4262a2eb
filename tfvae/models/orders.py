"""In which order the layers of a hierarchy are inferred, and from what."""

import abc
from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import LatentFamily
from tfvae.making import Make
from tfvae.models.latent import LatentLayer, Merge
from tfvae.models.state import State
from tfvae.models.wiring import after, from_x, join

tfd = tfp.distributions
Distributions = dict[str, tfd.Distribution]
Parts = tuple[keras.layers.Layer | None, LatentFamily, Merge | None]


class Order(abc.ABC):
  """Samples and distributions of all layers, top first: of q in the order of inference.

  From the top, which all but one do: with the state h at a layer's turn, p = p(z_l | h), q = q(z_l | h, x), z chosen
  from them, and h advances by z.

  Attributes:
    name: spec.model.inference.
  """

  name: str

  def analytic(self, layer: LatentLayer, layers: list[LatentLayer]) -> bool:
    """Whether KL(q || p) of a layer at the samples of those before it is a part of the rate."""
    del layer, layers
    return True

  @abc.abstractmethod
  def parts(self, model, name: str, told: bool, make: Make) -> Parts:
    """Encoder, family and merge of a layer (`LatentLayer`).

    Args:
      model: the section of a spec.
      told: whether there is a context.
    """

  @abc.abstractmethod
  def features(self, layers: list[LatentLayer], start: State, x: tf.Tensor) -> dict:
    """{layer: what `posterior` takes}, of x [B, ...] as nets see it: the passes over x, which take no sample."""

  @abc.abstractmethod
  def posterior(self, layer: LatentLayer, h: State, features, p: tfd.Distribution) -> tfd.Distribution:
    """q(z_l | h, x): batch shape [S, B], or [1, B] where h has no sample."""

  def infer(
    self, layers: list[LatentLayer], start: State, x: tf.Tensor, choose: Callable
  ) -> tuple[dict[str, tf.Tensor], Distributions, Distributions, State]:
    """({layer: z_l}, {layer: q}, {layer: p}, h after the bottom layer); choose(layer, q) gives z_l, [S, B, ...]."""
    h, features, z, q, p = start, self.features(layers, start, x), {}, {}, {}
    for layer in layers:
      p[layer.name] = layer.conditional(h)
      q[layer.name] = self.posterior(layer, h, features[layer.name], p[layer.name])
      z[layer.name] = choose(layer, q[layer.name])
      h = layer.advance(h, z[layer.name])
    return z, q, p, h


class TopDown(Order):
  """q(z_L | x) ... q(z_1 | z_>1, x), a net from x for each layer.

  (Kingma & Welling 2013 for one layer; Xiao & Bamler 2023, section 3.)
  """

  name = 'generic'

  def parts(self, model, name, told, make: Make):
    section, is_top = model[name], name == model.layers[0]
    if is_top and not told:
      return from_x(section, name, make)
    meeting = section.grid if is_top else section.join_grid or section.grid
    if is_top or section.above.kind == 'linear':  # that one is a part of `join`
      return _beside(section, meeting, name, make)
    above = make.net(section.above, meeting, f'{name}_above', head=False)
    above_grid = model[model.layers[model.layers.index(name) - 1]].grid
    return _beside(section, meeting, name, make, above, join(section.above, above_grid, f'{name}_above_join'))

  def features(self, layers, start, x):
    return {layer.name: layer.encoder(x) for layer in layers}

  def posterior(self, layer, h, features, p):
    return layer.posterior(h, features)


class Ladder(Order):
  """The same order; the natural parameters of q(z_l | h, x) are those of p(z_l | h) plus what features of x add.

  Those are made in one pass upwards from x, which all layers share (Flach et al. 2024, section 4).
  """

  name = 'ladder'

  def parts(self, model, name, told, make: Make):
    return from_x(model[name], name, make)  # the encoder of z_l leads on from that of z_l-1

  def features(self, layers, start, x):
    way, below, found = x, None, {}
    for layer in layers[::-1]:
      way, features, below = layer.climb(start, way, below)
      found[layer.name] = features, below
    return found

  def posterior(self, layer, h, features, p):
    features, evidence = features
    return layer.family.combine(evidence, p, features)


class Lvae(Ladder):
  """The ladder of Gaussians (Sonderby et al. 2016), in which q(z_L | x) is what x says alone, not merged with p(z_L).

  Each layer below may have a net of its own beside the way up; so has the top one where there is a context.
  """

  name = 'lvae'

  def parts(self, model, name, told, make: Make):
    section, is_top = model[name], name == model.layers[0]
    if is_top and not told:
      return from_x(section, name, make)
    # Below the top the way up is `encoder`, and `posterior` leads aside from it to the family.
    return _beside(section, section.grid if is_top else section.join_grid or section.grid, name, make)

  def posterior(self, layer, h, features, p):
    return super().posterior(layer, h, features, p if h.samples else None)


class BottomUp(Order):
  """q(z_1 | x) q(z_2 | z_1) ... q(z_L | z_L-1) (Burda et al. 2016, eq. 3)."""

  name = 'reverse'

  def analytic(self, layer, layers):
    # The layers above are drawn given z_l: KL(q || p) at a sample of theirs is no part of the rate, the expectation of
    # log q - log p is.
    return layer is layers[0]

  def parts(self, model, name, told, make: Make):
    section, layers = model[name], model.layers
    if name == layers[-1]:
      return _beside(section, section.grid, name, make) if told else from_x(section, name, make)
    joined = join(section.encoder, model[layers[layers.index(name) + 1]].grid, f'{name}_encoder_join')
    net = make.net(section.encoder, section.grid, f'{name}_encoder')
    family = after(net, make.posterior(section, f'{name}_q', section.encoder.kernel))
    encoder = keras.layers.Identity(name=f'{name}_x') if model.conditioning == 'all' else None
    return encoder, family, Merge(joined, net, name=f'{name}_merge')

  def features(self, layers, start, x):
    return {layer.name: layer.encoder(x) if layer.encoder else None for layer in layers}

  def posterior(self, layer, h, features, p):
    return layer.posterior(h, features)

  def infer(self, layers, start, x, choose):
    h, features, z, q, p = start, self.features(layers, start, x), {}, {}, {}
    for layer in layers[::-1]:
      q[layer.name] = self.posterior(layer, h, features[layer.name], None)
      z[layer.name] = choose(layer, q[layer.name])
      h = layer.advance(h, z[layer.name])
    h = start
    for layer in layers:
      p[layer.name] = layer.conditional(h)
      h = layer.advance(h, z[layer.name])
    return z, q, p, h


def _beside(section, meeting: int, name: str, make: Make, *others) -> Parts:
  """An encoder to where its features are joined with other inputs, and the net `posterior` from there.

  others: what leads those inputs there (`Merge`).
  """
  encoder = make.net(section.encoder, meeting, f'{name}_encoder', head=False)
  joined = join(section.posterior, meeting, f'{name}_posterior_join')
  net = make.net(section.posterior, section.grid, f'{name}_posterior')
  family = after(net, make.posterior(section, f'{name}_q', section.posterior.kernel))
  return encoder, family, Merge(joined, net, *others, name=f'{name}_merge')
