"""One layer of latent variables: its prior and its posterior."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import LatentFamily
from tfvae.models.state import State, sizes, spread
from tfvae.nets.heads import Join

tfd = tfp.distributions


class Merge(keras.layers.Layer):
  """Where the features of x meet what q(z_l | ., x) is conditioned on: joined, through a net, to its features.

  Args:
    join: of the features and those inputs (or what `others` makes of them).
    net: after that.
    others: a net for those inputs, joined, on their way to the meeting point. None: they go there as they are.
    others_join: what joins them before it.
    name: the layer's name.
  """

  def __init__(
    self,
    join: Join,
    net: keras.layers.Layer,
    others: keras.layers.Layer | None = None,
    others_join: Join | None = None,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.join, self.net, self.others, self.others_join = join, net, others, others_join
    self.built = True  # it has no weights of its own

  def features(self, features: tf.Tensor | None, inputs: list[tf.Tensor]) -> tf.Tensor:
    """[N, ...] from the features of x [N, ...] (None: x is not looked at) and the inputs [N, ...] of a state."""
    if self.others:
      inputs = [self.others(self.others_join(inputs))]
    return self.net(self.join(inputs if features is None else [features, *inputs]))


class LatentLayer(keras.layers.Layer):
  """z_l with q(z_l | h, x) and p(z_l | h), where h is a `State`: the context, and layers that have their samples.

  Those are z_>l in the top-down orders and z_<l in the bottom-up one (`models.orders`), of p always z_>l.

  Args:
    shape: of z_l, [H] or [G, G, H].
    encoder: net from x to features; of a ladder above z1, from the features of the layer below. None: q does not look
      at x itself.
    family: from features to q; in a ladder, to what they add to the natural parameters of p(z_l | h).
    prior: (inputs, batch_shape) -> p.
    merge: where the features and the state meet; of a ladder, what leads aside from the way up. None for the layer
      that is inferred from x alone, and where nothing does.
    name: 'z1', ...
  """

  def __init__(
    self,
    shape: tuple[int, ...],
    encoder: keras.layers.Layer | None,
    family: LatentFamily,
    prior: keras.layers.Layer,
    merge: Merge | None,
    name: str,
  ):
    super().__init__(name=name)
    self.shape = tuple(shape)
    self.encoder, self.family, self.prior, self.merge = encoder, family, prior, merge
    self.built = True  # it has no weights of its own

  def posterior(self, h: State, features: tf.Tensor | None) -> tfd.Distribution:
    """q(z_l | h, x) from the features of x, [B, ...]: batch shape [S, B], or [1, B] where h has no sample."""
    if not h.lead:
      return self.family(features, batch_shape=(1, *sizes(features, 1)))
    features = None if features is None else spread(features, h.lead[0])
    return self.family(self.merge.features(features, h.inputs()), batch_shape=h.lead)

  def climb(self, h: State, features: tf.Tensor, below: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A step of a ladder's way up, from features and evidence of the layer below (z1: x, None).

    A net with a skip connection leads the evidence of the layer below past its hidden layers.

    Args:
      h: the state at the start, of which what leads aside sees the context.

    Returns:
      (features where the way goes on, features where `merge` leads aside from it, evidence of the latter), [B, ...].
    """
    past = {} if below is None or not self.encoder.skip else {'past': below}
    features = self.encoder(features, **past)
    own = self.merge.features(features, h.inputs()) if self.merge else features
    return features, own, self.family.evidence(own)

  def conditional(self, h: State) -> tfd.Distribution:
    """p(z_l | h): batch shape that of h, [] at the top of a model that is told nothing."""
    return self.prior(h.inputs(), batch_shape=h.lead)

  def advance(self, h: State, z: tf.Tensor) -> State:
    """The state after z_l, [S, B, ...]: of a layer that has no memory of its own, with z_l among the samples."""
    return h.advance(z)
