"""The terms of a loss: each gives [S, B] nats, so that every estimator of gradients holds for their sum."""

import abc
from typing import NamedTuple

import keras
import tensorflow as tf

from tfvae.models.trace import Trace
from tfvae.objectives.objective import Watcher


class Seen(NamedTuple):
  """What a term looks at."""

  model: keras.Model
  batch: dict[str, tf.Tensor]  # x and, where they are there, label and the like
  trace: Trace
  step: tf.Tensor  # steps already taken


class Contribution(NamedTuple):
  """What a term adds."""

  loss: tf.Tensor  # [S, B] nats
  metrics: dict[str, tf.Tensor]  # {name: [B] or scalar}
  shift: tf.Tensor | None = None  # [B] nats: of the loss that is reported; no gradient sees it


class Term(Watcher, abc.ABC):
  """A term of a loss, which may have state."""

  @abc.abstractmethod
  def __call__(self, seen: Seen) -> Contribution:
    """What it adds to the loss at a trace."""


class Rates(Term):
  """sum_l beta_l R_l, the betas times an annealing factor (Higgins et al. 2017; Xiao & Bamler 2023, eq. 4).

  Args:
    betas: layer -> beta_l; one for all steps of a layer that repeats.
    anneal: step -> factor.
    kl: exact: KLs in closed form where there are any (`Trace.kl`). sampled: log q - log p at the samples in every
      layer. Its mean is the same, and so is that of its gradient where samples are reparameterised, by the score
      function, and by estimators that are unbiased for linear functions of z (zgr, straight_through), as log-densities
      of bits and categories are.

  Attributes:
    betas: layer -> keras.Variable.
  """

  def __init__(self, betas: dict[str, float], anneal=lambda step: 1.0, kl: str = 'exact'):
    self.betas = {layer: number(beta, f'beta_{layer}') for layer, beta in betas.items()}
    self._anneal, self._kl = anneal, kl

  def __call__(self, seen):
    factor = self._anneal(seen.step)
    betas = {layer: tf.convert_to_tensor(beta) * factor for layer, beta in self.betas.items()}
    rates = seen.trace.section_kl(self._kl)
    loss = tf.add_n([tf.cast(beta, rates[layer].dtype) * rates[layer] for layer, beta in betas.items()])
    return Contribution(loss, {f'beta/{layer}': beta for layer, beta in betas.items()})


class Distortion(Term):
  """-log p(x | z)."""

  def __call__(self, seen):
    return Contribution(-seen.trace.log_px, {})


def number(value: float, name: str, dtype: str = 'float32') -> keras.Variable:
  """A number of an objective, which training does not move by gradients; a variable, so that a grid may vary it."""
  return keras.Variable(value, trainable=False, dtype=dtype, name=name.replace('/', '_'), autocast=False)
