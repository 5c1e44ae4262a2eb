"""One layer of latent variables: its prior and its posterior."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import Family
from tfvae.nets.heads import Join

tfd = tfp.distributions


def fold(tensor: tf.Tensor) -> tf.Tensor:
  """[S, B, ...] -> [S B, ...]: nets see one batch axis."""
  s, b, *rest = tensor.shape
  return tf.reshape(tensor, [s * b, *rest])


class Merge(keras.layers.Layer):
  """Where the features of x meet the layers above: both, joined, through a net, to the features of q(z_l | z_>l, x).

  Args:
    join: of the features and the layers above (or what `above` makes of them).
    net: after that.
    above: a net for the joined layers above, on their way to the meeting point. None: they go there as they are.
    above_join: what joins them before it.
    name: the layer's name.
  """

  def __init__(
    self,
    join: Join,
    net: keras.layers.Layer,
    above: keras.layers.Layer | None = None,
    above_join: Join | None = None,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.join, self.net, self.above, self.above_join = join, net, above, above_join
    self.built = True  # it has no weights of its own

  def features(self, features: tf.Tensor, above: list[tf.Tensor]) -> tf.Tensor:
    """[N, ...] from the features of x [N, ...] and samples [N, ...] of the layers above."""
    if self.above:
      above = [self.above(self.above_join(above))]
    return self.net(self.join([features, *above]))


class LatentLayer(keras.layers.Layer):
  """z_l with q(z_l | z_>l, x) in the generic, top-down order (Xiao & Bamler 2023) and p(z_l | z_>l).

  Args:
    shape: of z_l, [H] or [G, G, H].
    encoder: net from x to features.
    family: from features to q.
    prior: (above, batch_shape) -> p.
    merge: where the features and the layers above meet. None for the top layer.
    name: 'z1', ...
  """

  def __init__(
    self,
    shape: tuple[int, ...],
    encoder: keras.layers.Layer,
    family: Family,
    prior: keras.layers.Layer,
    merge: Merge | None,
    name: str,
  ):
    super().__init__(name=name)
    self.shape = tuple(shape)
    self.encoder, self.family, self.prior, self.merge = encoder, family, prior, merge
    self.built = True  # it has no weights of its own

  def posterior(self, features: tf.Tensor, above: list[tf.Tensor]) -> tfd.Distribution:
    """q(z_l | above, x) from the features of x, [B, ...], and samples [S, B, ...] of the layers above.

    Its batch shape is [S, B], or [1, B] where there is no layer above.
    """
    batch = features.shape[0]
    if not above:
      return self.family(features, batch_shape=(1, batch))
    samples = above[0].shape[0]
    if samples > 1:
      features = tf.repeat(features[None], samples, axis=0)
      features = tf.reshape(features, [samples * batch, *features.shape[2:]])
    merged = self.merge.features(features, [fold(z) for z in above])
    return self.family(merged, batch_shape=(samples, batch))

  def conditional(self, above: list[tf.Tensor]) -> tfd.Distribution:
    """p(z_l | above): batch shape [S, B], or [] where there is no layer above."""
    lead = tuple(above[0].shape[:2]) if above else ()
    return self.prior([fold(z) for z in above], batch_shape=lead)
