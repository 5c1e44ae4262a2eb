"""The units in which nets work, where those of the data are not theirs."""

import keras
import numpy as np
import tensorflow as tf

from tfvae.nets.heads import density_dtype


class Standardized(keras.layers.Layer):
  """x as nets see it, (x - center) / width, and back: mean and standard deviation of each dimension of the data.

  An optimizer like Adam moves every weight by about its learning rate, in whatever units the weight is. Nets that work
  in these units need neither grow to the size of the data nor shrink to it; densities remain those of x.

  The numbers are weights that are not trained, 0 and 1 until `fit`, so that checkpoints hold them.

  Args:
    shape: of an example.
  """

  def __init__(self, shape: tuple[int, ...], name: str = 'standardized'):
    super().__init__(name=name, dtype=density_dtype())
    self.shape = tuple(shape)

  def build(self, input_shape=None):
    del input_shape
    self.center = self.add_weight(shape=self.shape, initializer='zeros', trainable=False, name='center')
    self.width = self.add_weight(shape=self.shape, initializer='ones', trainable=False, name='width')
    self.built = True

  def call(self, x):
    """[B, ...] in the units of the nets."""
    return (x - tf.convert_to_tensor(self.center)) / tf.convert_to_tensor(self.width)

  def back(self, loc: tf.Tensor, sigma: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and standard deviation of x, [..., *shape], from those that the nets give; one sigma for all stays one."""
    width = tf.convert_to_tensor(self.width)
    wide = self.one_width() if sigma.shape.rank == 0 else width
    return tf.convert_to_tensor(self.center) + width * loc, wide * sigma

  def one_width(self) -> tf.Tensor:
    """What one sigma for all dimensions is in units of: the root of the mean variance."""
    return tf.sqrt(tf.reduce_mean(tf.square(tf.convert_to_tensor(self.width))))

  def fit(self, mean: np.ndarray, variance: np.ndarray) -> None:
    """Sets them from mean and variance of each dimension; one that never changes has the width of the others."""
    width = np.sqrt(np.maximum(variance, 0))
    some = np.sqrt(np.mean(np.square(width))) or 1.0
    self.center.assign(mean)
    self.width.assign(np.where(width > 0, width, some))
