"""What a model is told: a label, numbers or images, as the features that its nets take."""

import keras
import tensorflow as tf

from tfvae.making import Make
from tfvae.nets.heads import Head, density_dtype


class Context(keras.layers.Layer):
  """Features of a context: [B, ...] -> [B, C].

  A label [B] is one-hot, of `classes`, or, with a net, a linear map of that: an embedding. Numbers [B, D] go in as
  they are. Images [B, H, W, C] go through a net and a linear map.

  Args:
    shape: of one context; () of a label.
    classes: labels are 0, ..., classes - 1.
    net: what leads to the features. None: nothing does.
    head: the linear map at its end. None: there is none.
  """

  def __init__(
    self,
    shape: tuple[int, ...],
    classes: int = 0,
    net: keras.layers.Layer | None = None,
    head: keras.layers.Layer | None = None,
    name: str = 'context',
  ):
    super().__init__(name=name, dtype=density_dtype())
    self.shape, self.classes, self.net, self.head = tuple(shape), classes, net, head
    self.built = True  # it has no weights of its own

  def call(self, context):
    features = tf.cast(context, self.compute_dtype) if self.shape else self._one_hot(context)
    features = self.net(features) if self.net else features
    return self.head(features) if self.head else features

  def _one_hot(self, label):
    return tf.one_hot(label, self.classes, dtype=self.compute_dtype)

  def zeros(self, n: int) -> tf.Tensor:
    """n contexts, all zero: what it is built with."""
    return tf.zeros([n, *self.shape], self.input_type)

  @property
  def input_type(self) -> tf.DType:
    """What a context is given as: int32 of a label, else that of densities."""
    return tf.as_dtype(self.compute_dtype) if self.shape else tf.int32

  @classmethod
  def from_spec(cls, section, shape: tuple[int, ...] | None, make: Make) -> 'Context | None':
    """That of spec.model.context for contexts of such a shape; None: there are none."""
    if shape is None:
      return None
    if not shape:
      head = Head((section.embed,), name='context_embedding') if section.embed else None
      return cls(shape, section.classes, head=head)
    if len(shape) == 1:
      return cls(shape)
    return cls(shape, net=make.net(section, 0, 'context_net'), head=Head((section.dim,), name='context_head'))
