"""Running averages of what the bits of a model tell about their parents."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.objectives.objective import STATISTIC

tfd = tfp.distributions


class Information:
  """The mutual information of each bit with its parents, under p and under q: H(E pi) - E H(pi), in nats.

  pi is the probability of the bit given its parents: the layers above under p, those and x under q (Flach et al. 2024,
  appendix). The means run over the global batches of past steps, each with `decay` times the weight of the one after.

  Args:
    units: layer -> its number of bits; vectors.
    sides: 'q' and 'p' with the layers that have parents there.
    decay: of the averages.
  """

  def __init__(self, units: dict[str, int], sides: dict[str, list[str]], decay: float = 0.99):
    self._sides, self._decay = sides, decay
    self._averages = {
      (side, layer): tf.Variable(tf.zeros([2, units[layer]]), trainable=False, name=f'information_{side}_{layer}')
      for side, layers in sides.items()
      for layer in layers
    }
    self._weight = tf.Variable(0.0, trainable=False, name='information_weight')  # 1 - decay^steps

  @classmethod
  def of(cls, model) -> 'Information':
    """Of the layers of bits of a hierarchy."""
    units = {layer.name: layer.shape[0] for layer in model.latents if layer.family.discrete}
    return cls(units, {'q': list(units), 'p': [name for name in units if name != model.layer_names[0]]})

  @property
  def variables(self) -> dict[str, tf.Variable]:
    """For checkpoints."""
    named = {f'information/{side}/{layer}': value for (side, layer), value in self._averages.items()}
    return named | {'information/weight': self._weight}

  def metrics(self, distributions: dict[str, dict], batch: int) -> dict[str, tf.Tensor]:
    """What a step adds: the averages so far, in nats a bit, and statistics of this batch for `update`.

    distributions: side -> layer -> distribution of the bits, batch shape [S, B].
    """
    found = {}
    for side, by_layer in distributions.items():
      for layer in self._sides[side]:
        bits = by_layer[layer].distribution
        values = tf.stop_gradient(tf.concat([bits.mean(), bits.entropy()], -1))  # [S, B, 2 H]
        found[f'{STATISTIC}{side}/{layer}'] = tf.broadcast_to(tf.reduce_mean(values, 0), [batch, values.shape[-1]])
        found[f'unit_information/{side}/{layer}'] = tf.reduce_mean(self.value(side, layer))
    return found

  def value(self, side: str, layer: str) -> tf.Tensor:
    """The mutual information of each bit by the averages so far, [H] nats; 0 before the first step."""
    probs, conditional = tf.unstack(self._averages[side, layer] / tf.maximum(self._weight, 1e-6))
    # By rounding, the average of a bit that is always 1 may exceed 1, which has no entropy.
    return tfd.Bernoulli(probs=tf.clip_by_value(probs, 0, 1)).entropy() - conditional

  def update(self, means: dict[str, tf.Tensor], step: tf.Tensor) -> None:
    """Moves the averages, given the means over the global batch."""
    del step
    for (side, layer), average in self._averages.items():
      names = [f'{STATISTIC}{side}/{layer}/{unit}' for unit in range(2 * average.shape[1])]
      new = tf.reshape(tf.stack([means[name] for name in names]), average.shape)
      average.assign(self._decay * average + (1 - self._decay) * tf.cast(new, average.dtype))
    self._weight.assign(self._decay * self._weight + 1 - self._decay)

  def pictures(self) -> dict[str, tf.Tensor]:
    """None."""
    return {}
