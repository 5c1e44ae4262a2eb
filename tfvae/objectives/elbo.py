"""The evidence lower bound with a beta for each layer."""

import tensorflow as tf

from tfvae.objectives.objective import Objective
from tfvae.schedules import annealing


class Elbo(Objective):
  """Minimise E_q[-log p(x | z)] + sum_l beta_l R_l, averaged over S samples.

  (Kingma & Welling 2013, eq. 7; Higgins et al. 2017; one beta a layer: Xiao & Bamler 2023, eq. 4.) The annealing
  factor multiplies every beta.

  Args:
    model: infers; its variables are the only player's.
    betas: layer -> beta_l.
    num_samples: S.
    anneal: step -> factor.
    entropies: whether their sum is among the metrics, for the batches of each step.
  """

  def __init__(
    self, model, betas: dict[str, float], num_samples: int = 1, anneal=lambda step: 1.0, entropies: bool = False
  ):
    self._model, self._betas, self._num_samples, self._anneal = model, dict(betas), num_samples, anneal
    self._entropies = entropies

  @property
  def players(self):
    return {'model': self._model.trainable_variables}

  def loss(self, player, model, batch, step, noise):
    trace = model.infer(batch, noise, self._num_samples)
    factor = self._anneal(step)
    betas = {layer: beta * factor for layer, beta in self._betas.items()}
    rates = trace.rates()
    penalty = tf.add_n([tf.cast(beta, rates[layer].dtype) * rates[layer] for layer, beta in betas.items()])
    loss = -trace.log_likelihood() + penalty
    metrics = {**trace.terms(), **model.diagnostics(trace)}
    if self._entropies:
      metrics['entropy_sum'] = trace.entropies()['entropy_sum']
    return loss, metrics | {f'beta/{layer}': beta for layer, beta in betas.items()}

  def update(self, means, step):
    self._model.update(means)

  @classmethod
  def from_spec(cls, spec, model) -> 'Elbo':
    """The objective of a spec."""
    o = spec.objective
    factor = annealing(o.anneal, o.anneal_from, o.anneal_begin, o.anneal_end, o.anneal_cycles, spec.train.steps)
    betas = {layer: o.beta[layer] for layer in spec.model.layers}
    return cls(model, betas, o.num_samples, factor, entropies=spec.model.name == 'members')
