"""The contract between objectives and the training loop, and what all objectives share."""

import abc
from collections.abc import Callable

import tensorflow as tf

from tfvae.models.trace import Trace
from tfvae.noise import Noise

STATISTIC = 'statistic/'  # begins the names of metrics that are for `update` alone, and not logged


class Watcher:
  """What goes along with training: it may have state, see the means of each step, and show pictures.

  Attributes:
    variables: name -> its state, for checkpoints: keras.Variables.
    frozen: name -> identity of the trained networks of other runs that it uses (`Frozen.identity`).
  """

  variables: dict = {}
  frozen: dict[str, str] = {}

  def fit(self, moments: Callable) -> None:
    """Called before the first step of a new run, for what is measured on the data.

    moments(features) gives the mean and the variance over the training split of each of features(x) [B, ...].
    """

  def update(self, means: dict[str, tf.Tensor], step: tf.Tensor) -> None:
    """Called after the players' steps with the metrics' means over the global batch."""

  def pictures(self) -> dict[str, tf.Tensor]:
    """{name: images [n, H, W, C] in the data's units} that show where the training is."""
    return {}


class Objective(abc.ABC):
  """Per-example losses of one or more players, who move in turn within a step.

  Args:
    model: what is trained.
    terms: of the loss, where it is a sum of some.
    watchers: what has no part in the loss.
  """

  def __init__(self, model, terms: tuple[Watcher, ...] = (), watchers: tuple[Watcher, ...] = ()):
    self._model, self.terms, self.watchers = model, tuple(terms), tuple(watchers)

  @property
  def _parts(self):
    return (*self.terms, *self.watchers)

  @property
  def variables(self) -> dict[str, tf.Variable]:
    """name -> the state of all parts, for checkpoints."""
    return {name: value.value for part in self._parts for name, value in part.variables.items()}

  @property
  def frozen(self) -> dict[str, str]:
    """name -> identity of the trained networks that all parts use: with others this were another objective."""
    return {name: identity for part in self._parts for name, identity in part.frozen.items()}

  @property
  def players(self) -> dict[str, list]:
    """name -> the trainable Keras variables that the player moves; the order is that in which they move."""
    return {'model': self._model.trainable_variables}

  @abc.abstractmethod
  def loss(
    self, player: str, model, batch: dict, step: tf.Tensor, noise: Noise
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The player's loss, [B] nats, and metrics {name: [B] or scalar}; no reduction over the batch.

    A metric [B, K] stands for K of them, name/0, ..., name/K-1. `step` counts from 0: it is the number of steps already
    taken.
    """

  def report(self, model, trace: Trace) -> dict[str, tf.Tensor]:
    """The metrics of every model at a trace of the data, and the statistics that its closed forms follow from."""
    statistics = model.statistics(trace) if model.closed_form else {}
    found = {f'{STATISTIC}{name}': value for name, value in statistics.items()}
    return {**trace.terms(), **model.diagnostics(trace), **found}

  def fit(self, moments: Callable) -> None:
    """Called before the first step of a new run (`Watcher.fit`)."""
    for part in self._parts:
      part.fit(moments)

  def update(self, means: dict[str, tf.Tensor], step: tf.Tensor) -> None:
    """Called after the players' steps with the metrics' means over the global batch.

    Sets the closed-form variances of the model, and moves the state of the parts.
    """
    if self._model.closed_form:
      own = {name.removeprefix(STATISTIC): value for name, value in means.items() if name.startswith(STATISTIC)}
      self._model.update(own)
    for part in self._parts:
      part.update(means, step)

  def pictures(self) -> dict[str, tf.Tensor]:
    """{name: images [n, H, W, C] in the data's units} that show where the training is."""
    return {name: images for part in self._parts for name, images in part.pictures().items()}
