"""One layer of latent variables: its prior and its posterior."""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import LatentFamily
from tfvae.nets.heads import Join

tfd = tfp.distributions


def fold(tensor: tf.Tensor) -> tf.Tensor:
  """[S, B, ...] -> [S B, ...]: nets see one batch axis."""
  return tf.reshape(tensor, [-1 if None in tensor.shape[:2] else math.prod(tensor.shape[:2]), *tensor.shape[2:]])


def sizes(tensor: tf.Tensor, axes: int) -> tuple[int, ...]:
  """The first sizes of a tensor, to reshape another to: -1 for a batch of any size, as exported functions take it."""
  return tuple(-1 if size is None else size for size in tensor.shape[:axes])


class Merge(keras.layers.Layer):
  """Where the features of x meet the layers that q(z_l | ., x) depends on: joined, through a net, to its features.

  Args:
    join: of the features and those layers (or what `others` makes of them).
    net: after that.
    others: a net for those layers, joined, on their way to the meeting point. None: they go there as they are.
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

  def features(self, features: tf.Tensor | None, others: list[tf.Tensor]) -> tf.Tensor:
    """[N, ...] from the features of x [N, ...] (None: x is not looked at) and samples [N, ...] of other layers."""
    if self.others:
      others = [self.others(self.others_join(others))]
    return self.net(self.join(others if features is None else [features, *others]))


class LatentLayer(keras.layers.Layer):
  """z_l with q(z_l | other layers, x) and p(z_l | z_>l).

  The other layers are z_>l in the generic, top-down order (Xiao & Bamler 2023) and in a ladder, z_<l in the reverse,
  bottom-up order (Burda et al. 2016).

  Args:
    shape: of z_l, [H] or [G, G, H].
    encoder: net from x to features; of a ladder above z1, from the features of the layer below. None: q does not look
      at x itself.
    family: from features to q; in a ladder, to what they add to the natural parameters of p(z_l | z_>l).
    prior: (above, batch_shape) -> p.
    merge: where the features and the other layers meet; of a ladder, what leads aside from the way up. None for the
      layer that is inferred from x alone, and where nothing does.
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

  def posterior(self, features: tf.Tensor | None, others: list[tf.Tensor]) -> tfd.Distribution:
    """q(z_l | others, x) from the features of x, [B, ...], and samples [S, B, ...] of the other layers.

    Its batch shape is [S, B], or [1, B] where there is no other layer.
    """
    if not others:
      return self.family(features, batch_shape=(1, *sizes(features, 1)))
    samples, batch = sizes(others[0], 2)
    if features is not None and samples > 1:
      features = fold(tf.repeat(features[None], samples, axis=0))
    merged = self.merge.features(features, [fold(z) for z in others])
    return self.family(merged, batch_shape=(samples, batch))

  def climb(self, features: tf.Tensor, below: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A step of a ladder's way up, from features and evidence of the layer below (z1: x, None).

    A net with a skip connection leads the evidence of the layer below past its hidden layers.

    Returns:
      (features where the way goes on, features where `merge` leads aside from it, evidence of the latter), [B, ...].
    """
    past = {} if below is None or not self.encoder.skip else {'past': below}
    features = self.encoder(features, **past)
    own = self.merge.features(features, []) if self.merge else features
    return features, own, self.family.evidence(own)

  def conditional(self, above: list[tf.Tensor]) -> tfd.Distribution:
    """p(z_l | above): batch shape [S, B], or [] where there is no layer above."""
    return self.prior([fold(z) for z in above], batch_shape=sizes(above[0], 2) if above else ())
