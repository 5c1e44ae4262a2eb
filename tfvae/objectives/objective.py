"""The contract between objectives and the training loop."""

import abc

import tensorflow as tf

from tfvae.noise import Noise

STATISTIC = 'statistic/'  # begins the names of metrics that are for `update` alone, and not logged


class Objective(abc.ABC):
  """Per-example losses of one or more players, who move in turn within a step.

  Multipliers and moving averages are tf.Variables in `variables`, so that checkpoints hold them.

  Attributes:
    watchers: what goes along with training without a part in it, each with `variables`, `update(means, step)` and
      `pictures()`.
  """

  watchers: tuple = ()

  @property
  def variables(self) -> dict[str, tf.Variable]:
    """name -> the objective's own state."""
    return {name: value for watcher in self.watchers for name, value in watcher.variables.items()}

  @property
  @abc.abstractmethod
  def players(self) -> dict[str, list]:
    """name -> the trainable Keras variables that the player moves; the order is that in which they move."""

  @abc.abstractmethod
  def loss(
    self, player: str, model, batch: dict, step: tf.Tensor, noise: Noise
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The player's loss, [B] nats, and metrics {name: [B] or scalar}; no reduction over the batch.

    A metric [B, K] stands for K of them, name/0, ..., name/K-1. `step` counts from 0: it is the number of steps already
    taken.
    """

  def update(self, means: dict[str, tf.Tensor], step: tf.Tensor) -> None:
    """Called after the players' steps with the metrics' means over the global batch. Moves multipliers and the like."""
    for watcher in self.watchers:
      watcher.update(means, step)

  def pictures(self) -> dict[str, tf.Tensor]:
    """{name: images [n, H, W, C] in the data's units} that show where the training is."""
    return {name: images for watcher in self.watchers for name, images in watcher.pictures().items()}
