"""Unit norms of the weights that leave each latent unit (Damm et al. 2023, VAE-2)."""

import keras

AXIS = 1  # a Dense kernel is [units in, units out]: the weights that leave unit h are row h


@keras.saving.register_keras_serializable('tfvae')
class UnitNormPenalty(keras.regularizers.Regularizer):
  """factor * sum_h (|W_h|^2 - 1)^2 of a Dense kernel with rows W_h."""

  def __init__(self, factor: float):
    self.factor = factor

  def __call__(self, kernel):
    return self.factor * keras.ops.sum(keras.ops.square(keras.ops.sum(keras.ops.square(kernel), axis=AXIS) - 1))

  def get_config(self):
    return {'factor': self.factor}


def constrain(layer, kind: str, penalty: float) -> None:
  """Makes a layer that is not built yet keep the rows of its Dense kernel near norm 1.

  Args:
    layer: a Dense layer, or a Head that will have one.
    kind: spec.prior.weight_constraint: none; rescale (to norm 1 after each step); regularize.
    penalty: factor of `UnitNormPenalty`.
  """
  if kind == 'rescale':
    layer.kernel_constraint = keras.constraints.UnitNorm(axis=AXIS)
  elif kind == 'regularize':
    layer.kernel_regularizer = UnitNormPenalty(penalty)
