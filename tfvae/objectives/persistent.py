"""Chains that run along with training."""

import keras
import numpy as np
import tensorflow as tf

from tfvae.models.chain import Chain
from tfvae.objectives.objective import Watcher


class PersistentChain(Watcher):
  """n chains z, x, z, ... of the model as it is, one step of them after each step of training.

  They begin at z = 0, of categories at the first.

  Where they are shows what the limiting distribution of encoder and decoder looks like while both change (Flach et al.
  2024, their code).

  Args:
    model: a hierarchy.
    n: number of chains.
    seed: of their noise.
  """

  def __init__(self, model, n: int, seed: int):
    self._model, self._chain = model, Chain(model, keras.Variable(seed, trainable=False, dtype='int64', name='seed'))
    self._z = {
      layer.name: keras.Variable(
        np.tile(layer.family.origin, (1, n, *[1] * len(layer.shape))),
        dtype=layer.prior.variable_dtype,
        trainable=False,
        name=f'chain_{layer.name}'.replace('/', '_'),
      )
      for layer in model.latents
    }

  @property
  def variables(self):
    return {f'chain/{layer}': value for layer, value in self._z.items()}

  def update(self, means: dict[str, tf.Tensor], step: tf.Tensor) -> None:
    """One step of the chains."""
    del means
    for layer, value in self._chain.step({k: tf.convert_to_tensor(v) for k, v in self._z.items()}, step).items():
      self._z[layer].assign(value)

  def pictures(self) -> dict[str, tf.Tensor]:
    """E[x | z] of the chains, [n, ...]."""
    return {'chain': self._model.mean({k: tf.convert_to_tensor(v) for k, v in self._z.items()})[0]}
