"""The contract between objectives and the training loop."""

import abc

import tensorflow as tf

from tfvae.noise import Noise


class Objective(abc.ABC):
  """Per-example losses of one or more players, who move in turn within a step.

  Multipliers and moving averages are tf.Variables in `variables`, so that checkpoints hold them.
  """

  @property
  def variables(self) -> dict[str, tf.Variable]:
    """name -> the objective's own state."""
    return {}

  @property
  @abc.abstractmethod
  def players(self) -> dict[str, list]:
    """name -> the trainable Keras variables that the player moves; the order is that in which they move."""

  @abc.abstractmethod
  def loss(
    self, player: str, model, batch: dict, step: tf.Tensor, noise: Noise
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The player's loss, [B] nats, and metrics {name: [B] or scalar}; no reduction over the batch.

    `step` counts from 0: it is the number of steps already taken.
    """

  def update(self, means: dict[str, tf.Tensor], step: tf.Tensor) -> None:
    """Called after the players' steps with the metrics' means over the global batch. Moves multipliers and the like."""
