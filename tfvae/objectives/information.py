"""Running averages of what the units of discrete layers tell about their parents."""

import math

import keras
import tensorflow as tf

from tfvae.families.family import LatentFamily
from tfvae.objectives.objective import STATISTIC, Watcher


class Information(Watcher):
  """The mutual information of each unit with its parents, under p and under q: H(E pi) - E H(pi), in nats.

  pi are the probabilities of its states given its parents: the layers above under p, those and x under q (Flach et al.
  2024, appendix). The means run over the global batches of past steps, each with `decay` times the weight of the one
  after.

  Args:
    families: layer -> what answers for it.
    sides: 'q' and 'p' with the layers that have parents there.
    decay: of the averages.
  """

  def __init__(self, families: dict[str, LatentFamily], sides: dict[str, list[str]], decay: float = 0.99):
    self._families, self._sides, self._decay = families, sides, decay
    self._averages = {
      (side, layer): keras.Variable(
        tf.zeros(families[layer].information_shape),
        trainable=False,
        name=f'information_{side}_{layer}'.replace('/', '_'),
      )
      for side, layers in sides.items()
      for layer in layers
    }
    self._weight = keras.Variable(0.0, trainable=False, name='information_weight')  # 1 - decay^steps

  @classmethod
  def of(cls, model) -> 'Information':
    """Of the discrete layers of a hierarchy."""
    families = {name: model.families[name] for name in model.discrete}
    return cls(families, {'q': list(families), 'p': [name for name in families if name != model.layer_names[0]]})

  @property
  def variables(self):
    named = {f'information/{side}/{layer}': value for (side, layer), value in self._averages.items()}
    return named | {'information/weight': self._weight}

  def metrics(self, distributions: dict[str, dict], batch: int) -> dict[str, tf.Tensor]:
    """What a step adds: the averages so far, in nats a unit, and statistics of this batch for `update`.

    distributions: side -> layer -> its distribution, batch shape [S, B].
    """
    found = {}
    for side, by_layer in distributions.items():
      for layer in self._sides[side]:
        values = tf.stop_gradient(self._families[layer].information_statistics(by_layer[layer]))  # [S, B, ...]
        means = tf.reshape(tf.reduce_mean(values, 0), [values.shape[1], -1])
        found[f'{STATISTIC}{side}/{layer}'] = tf.broadcast_to(means, [batch, means.shape[-1]])
        found[f'unit_information/{side}/{layer}'] = tf.reduce_mean(self.value(side, layer))
    return found

  def value(self, side: str, layer: str) -> tf.Tensor:
    """The mutual information of each unit by the averages so far, in nats; 0 before the first step."""
    return self._families[layer].information(self._averages[side, layer] / tf.maximum(self._weight, 1e-6))

  def update(self, means: dict[str, tf.Tensor], step: tf.Tensor) -> None:
    """Moves the averages, given the means over the global batch."""
    del step
    for (side, layer), average in self._averages.items():
      names = [f'{STATISTIC}{side}/{layer}/{unit}' for unit in range(math.prod(average.shape))]
      new = tf.reshape(tf.stack([means[name] for name in names]), average.shape)
      average.assign(self._decay * average + (1 - self._decay) * tf.cast(new, average.dtype))
    self._weight.assign(self._decay * self._weight + 1 - self._decay)
