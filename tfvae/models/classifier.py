"""A classifier of examples, trained by the loop that trains all models. Others use it frozen."""

import keras
import tensorflow as tf

from tfvae.making import Make
from tfvae.nets.heads import Head, density_dtype
from tfvae.nets.mlp import Mlp
from tfvae.observation import Observation


class Classifier(keras.Model):
  """p(label | x): a net, Dense layers, and a last linear map to logits. It has no latent layers.

  Args:
    net: x [B, ...] -> [B, F'].
    dense: the Dense layers after it, [B, F'] -> [B, F].
    classes: M.
    shape: of an example.
  """

  closed_form = False  # nothing is set but by gradients
  variance_variables = []
  layer_names = []
  title = 'classifier'

  def __init__(self, net: keras.layers.Layer, dense: keras.layers.Layer, classes: int, shape: tuple[int, ...]):
    super().__init__(name='classifier')
    self.net, self.dense, self.head = net, dense, Head((classes,), name='head')
    self.classes, self.shape = classes, tuple(shape)

  def build(self, input_shape=None):
    """Makes all weights."""
    del input_shape
    self.logits(tf.zeros([1, *self.shape], density_dtype()))
    self.built = True

  def features(self, x: tf.Tensor) -> tf.Tensor:
    """The activations before the last linear map: [B, ...] -> [B, F]."""
    return self.dense(self.net(x))

  def logits(self, x: tf.Tensor) -> tf.Tensor:
    """Unnormalised log p(label | x): [B, ...] -> [B, M]."""
    return self.head(self.features(x))

  def scores(self, batch: dict) -> dict[str, tf.Tensor]:
    """Of a batch {'x', 'label'}, each [B]: cross_entropy, -log p(label | x) in nats; accuracy, 1 where the label's
    logit is the largest, else 0.
    """
    logits, label = self.logits(batch['x']), tf.cast(batch['label'], tf.int32)
    return {
      'cross_entropy': tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits),
      'accuracy': tf.cast(tf.argmax(logits, -1, tf.int32) == label, logits.dtype),
    }

  def call(self, x):
    return self.logits(x)

  @classmethod
  def from_spec(cls, spec, observation: Observation, make: Make) -> 'Classifier':
    """The classifier of a spec for such examples. `make` builds nets by name."""
    section = spec.model.classifier
    net = make.net(section, 0, 'net', head=False)
    return cls(net, Mlp(section.dense, section.activation, name='dense'), section.classes, observation.shape)
