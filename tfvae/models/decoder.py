"""p(x | z): from latent layers to the distribution of an example."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import Likelihood
from tfvae.models.standardized import Standardized
from tfvae.models.state import State
from tfvae.nets.heads import Join

tfd = tfp.distributions


class Decoder(keras.layers.Layer):
  """p(x | z): joined latent layers and the features of a context, through a net, to a likelihood.

  Args:
    join, net, likelihood: those three.
    standardized: the units in which all nets work, of a Gaussian likelihood. None: those of x.
  """

  def __init__(
    self,
    join: Join,
    net: keras.layers.Layer,
    likelihood: Likelihood,
    standardized: Standardized | None = None,
    name: str = 'decoder',
  ):
    super().__init__(name=name)
    self.join, self.net, self.likelihood, self.standardized = join, net, likelihood, standardized
    self.built = True  # it has no weights of its own

  def features(self, h: State) -> tf.Tensor:
    """What the likelihood takes, [N, ...]."""
    return self.net(self.join(h.inputs()))

  def given(self, h: State) -> tfd.Distribution:
    """p(x | h) with the batch shape of the state."""
    px = self.likelihood(self.features(h), batch_shape=h.lead)
    return self.likelihood.moved(px, self.standardized.back) if self.standardized else px

  def update(self, means: dict[str, tf.Tensor]) -> None:
    """Sets a closed-form variance, given what `Hierarchy.statistics` tells."""
    if self.standardized:
      means = means | {'mse': means['mse'] / tf.square(self.standardized.one_width())}
    self.likelihood.update(means)
