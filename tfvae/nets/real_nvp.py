"""Real NVP: an invertible map of a vector by affine couplings, conditioned on features."""

import keras
import tensorflow as tf

from tfvae.nets.heads import density_dtype

LIMIT = 2.0  # of a coupling's log-scales: each unit is stretched or shrunk by e^2 at most
NEAR_IDENTITY = 0.01  # the last map's initial weights, in units of those of other layers


class Coupling(keras.layers.Layer):
  """One half of z stays, and moves the other one affinely: y = z exp(s) + t (Dinh et al. 2017, eqs. 4 and 5).

  (s, t) is a net of the half that stays and of the features. s is bounded, LIMIT tanh(its output / LIMIT). The last
  map's weights begin small, so that the coupling begins near the identity. All of it is in the dtype of densities, also
  where nets are in bfloat16: rounded there, the inverse would not lead back to where a sample came from.

  Args:
    units: of z, at least 2. The first half has units // 2.
    first: whether it is the first half that moves; else the second.
    hidden: widths of the net's hidden layers.
    activation: after each of them.
  """

  def __init__(self, units: int, first: bool, hidden: tuple[int, ...], activation: str, name: str | None = None):
    super().__init__(name=name, dtype=density_dtype())
    self.half, self.first = units // 2, first
    moving = self.half if first else units - self.half
    dense = lambda width, name, **kwargs: keras.layers.Dense(width, name=name, dtype=self.dtype, **kwargs)
    self.from_kept = dense(hidden[0], 'kept', use_bias=False)  # with the next, one Dense layer of the two joined
    self.from_features = dense(hidden[0], 'features')
    self.activation = keras.layers.Activation(activation, name='activation', dtype=self.dtype)
    self.dense = [dense(width, f'dense_{i}', activation=activation) for i, width in enumerate(hidden[1:], 1)]
    self.last = dense(2 * moving, 'last')
    self.last.gain = NEAR_IDENTITY
    self.kept_units = units - moving

  def build(self, input_shape):
    fan_in = self.kept_units + input_shape[-1]
    self.from_kept.fan_in = ((self.kept_units, fan_in),)
    self.from_features.fan_in = ((input_shape[-1], fan_in),)
    self.from_kept.build((None, self.kept_units))
    self.from_features.build(input_shape)
    widths = [self.from_kept.units, *(dense.units for dense in self.dense)]
    for width, dense in zip(widths, [*self.dense, self.last], strict=True):
      dense.build((None, width))
    self.built = True

  def call(self, features: tf.Tensor) -> tf.Tensor:
    """What the features [N, F] add to the first hidden layer: the same for all samples, so it is computed once."""
    return self.from_features(features)

  def forward(self, z: tf.Tensor, context: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(y [S, B, H], log |det dy/dz| [S, B]) of z [S, B, H]. context: `call` of the features, [S or 1, B, hidden[0]]."""
    kept, moving = self._halves(z)
    log_scale, shift = self._log_scale_and_shift(kept, context)
    return self._whole(kept, moving * tf.exp(log_scale) + shift), tf.reduce_sum(log_scale, -1)

  def inverse(self, y: tf.Tensor, context: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(z [S, B, H], log |det dz/dy| [S, B]) of y [S, B, H]."""
    kept, moved = self._halves(y)
    log_scale, shift = self._log_scale_and_shift(kept, context)
    return self._whole(kept, (moved - shift) * tf.exp(-log_scale)), -tf.reduce_sum(log_scale, -1)

  def _log_scale_and_shift(self, kept, context):
    hidden = self.activation(self.from_kept(kept) + context)
    for dense in self.dense:
      hidden = dense(hidden)
    raw, shift = tf.split(self.last(hidden), 2, axis=-1)
    return LIMIT * tf.tanh(raw / LIMIT), shift

  def _halves(self, z):
    """(the half that stays, the half that moves)."""
    one, other = z[..., : self.half], z[..., self.half :]
    return (other, one) if self.first else (one, other)

  def _whole(self, kept, moved):
    return tf.concat([moved, kept] if self.first else [kept, moved], axis=-1)


class RealNvp(keras.layers.Layer):
  """Couplings in a row, which move the second and the first half in turn (Dinh et al. 2017).

  Args:
    units: of z, at least 2.
    steps: how many couplings.
    hidden: widths of the hidden layers of each coupling's net.
    activation: after each of them.
  """

  def __init__(
    self, units: int, steps: int, hidden: tuple[int, ...], activation: str = 'relu', name: str | None = None
  ):
    super().__init__(name=name, dtype=density_dtype())
    self.flatten = keras.layers.Flatten(name='flatten', dtype=self.dtype)
    self.couplings = [Coupling(units, i % 2 == 1, hidden, activation, name=f'coupling_{i}') for i in range(steps)]
    self.built = True  # it has no weights of its own

  def call(self, features: tf.Tensor, batch_shape: tuple[int, ...]) -> list[tf.Tensor]:
    """What `forward` and `inverse` take of features [N, ...]: [*batch_shape, hidden[0]] for each coupling."""
    features = self.flatten(features)
    contexts = [coupling(features) for coupling in self.couplings]
    return [tf.reshape(context, [*batch_shape, context.shape[-1]]) for context in contexts]

  def forward(self, z: tf.Tensor, contexts: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """(y [S, B, H], log |det dy/dz| [S, B]) of z [S, B, H]."""
    return self._chain([coupling.forward for coupling in self.couplings], z, contexts)

  def inverse(self, y: tf.Tensor, contexts: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """(z [S, B, H], log |det dz/dy| [S, B]) of y [S, B, H]: undoes `forward`."""
    return self._chain([coupling.inverse for coupling in self.couplings[::-1]], y, contexts[::-1])

  def _chain(self, maps, z, contexts):
    log_determinants = []
    for move, context in zip(maps, contexts, strict=True):
      z, log_determinant = move(z, context)
      log_determinants.append(log_determinant)
    return z, tf.add_n(log_determinants)
