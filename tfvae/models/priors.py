"""Priors of the latent layers: N(0, alpha^2), independent bits or categories at the top, conditional below."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families import categorical
from tfvae.families.bernoulli import independent
from tfvae.families.family import LatentFamily
from tfvae.nets.heads import Join, density_dtype

tfd = tfp.distributions


class StandardPrior(keras.layers.Layer):
  """N(0, I) over `shape`; no weights, batch shape []."""

  closed_form = False

  def __init__(self, shape: tuple[int, ...], name: str | None = None):
    super().__init__(name=name, dtype=density_dtype())
    self.shape = tuple(shape)

  def call(self, above, batch_shape):
    del above, batch_shape
    alpha = self.alpha()
    return tfd.Independent(tfd.Normal(tf.zeros_like(alpha), alpha), len(self.shape))

  def alpha(self) -> tf.Tensor:
    """The standard deviation of each unit, `shape`."""
    return tf.ones(self.shape, self.dtype)

  def diagnostics(self) -> dict[str, tf.Tensor]:
    """alpha, the root of the mean variance of the units, where it is not fixed."""
    return {'alpha': tf.sqrt(tf.reduce_mean(tf.square(self.alpha())))} if self.weights else {}

  @property
  def variance_variables(self) -> list:
    """The trainable variables that an optimizer of their own may move."""
    return self.trainable_variables

  def update(self, second_moments: tf.Tensor) -> None:
    """Moves a closed-form alpha; nothing to do for the others. See `OptimalPrior`."""


class LearnedPrior(StandardPrior):
  """N(0, diag(alpha^2)), a learned log alpha for each unit, 0 at the start (Damm et al. 2023, VAE-2)."""

  trained = True

  def build(self, input_shape):
    self.log_alpha = self.add_weight(shape=self.shape, initializer='zeros', trainable=self.trained, name='log_alpha')
    self.built = True

  def alpha(self):
    return tf.exp(tf.convert_to_tensor(self.log_alpha))


class OptimalPrior(LearnedPrior):
  """N(0, diag(alpha^2)) with alpha_h^2 = the mean over the global batch of E_q z_h^2: its closed form, no gradient.

  It maximises the ELBO for given encoder and decoder. `update` sets it after each step; evaluation sets it to the
  training split's value.
  """

  closed_form, trained = True, False

  def update(self, second_moments):
    self.log_alpha.assign(0.5 * tf.math.log(tf.maximum(tf.cast(second_moments, self.dtype), 1e-12)))


class StandardBits(keras.layers.Layer):
  """Fair bits over `shape`; no weights, batch shape []."""

  closed_form = False
  variance_variables = ()

  def __init__(self, shape: tuple[int, ...], name: str | None = None):
    super().__init__(name=name, dtype=density_dtype())
    self.shape = tuple(shape)

  def call(self, above, batch_shape):
    del above, batch_shape
    return independent(self.logits(), len(self.shape))

  def logits(self) -> tf.Tensor:
    """`shape`."""
    return tf.zeros(self.shape, self.dtype)

  def diagnostics(self) -> dict[str, tf.Tensor]:
    """Nothing beside what every model reports."""
    return {}


class LearnedBits(StandardBits):
  """Independent bits with learned logits, 0 at the start."""

  def build(self, input_shape):
    self.learned = self.add_weight(shape=self.shape, initializer='zeros', name='logits')
    self.built = True

  def logits(self):
    return tf.convert_to_tensor(self.learned)


class StandardCategories(StandardBits):
  """Uniform categories over `shape`, [groups, categories], as one-hot vectors; no weights, batch shape []."""

  def call(self, above, batch_shape):
    del above, batch_shape
    return categorical.independent(self.logits())


class LearnedCategories(LearnedBits, StandardCategories):
  """Independent categories with learned logits, 0 at the start."""


class ConditionalPrior(keras.layers.Layer):
  """p(z_l | h): the layers above and the features of a context, joined, through a net, to a family.

  Call: what nets take of a state, a list of [N, ...] -> a distribution with batch shape `batch_shape`.
  """

  closed_form = False
  variance_variables = ()

  def __init__(self, join: Join, net: keras.layers.Layer, family: LatentFamily, name: str | None = None):
    super().__init__(name=name)
    self.join, self.net, self.family = join, net, family

  def call(self, above, batch_shape):
    return self.family(self.net(self.join(above)), batch_shape=batch_shape)

  def diagnostics(self) -> dict[str, tf.Tensor]:
    """Nothing beside what every model reports."""
    return {}
