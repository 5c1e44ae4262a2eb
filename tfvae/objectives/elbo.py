"""The evidence lower bound with a beta for each layer."""

import tensorflow as tf

from tfvae.families.estimators import Estimator
from tfvae.making import Make
from tfvae.models.trace import RELAXED
from tfvae.objectives.information import Information
from tfvae.objectives.objective import Objective
from tfvae.objectives.persistent import PersistentChain
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
    estimator: of the gradient through samples of discrete layers. None: they let none through. `ScoreFunction`: by the
      density of q, with the mean of the other samples for a baseline (Mnih & Rezende 2016; Kool et al. 2019): unbiased,
      S >= 2.
    information: running averages of what units of discrete layers tell, or None.
    chain: a persistent chain, or None.
    kl: of the rates that are minimised. exact: KLs in closed form where there are any (`Trace.kl`). sampled: log q -
      log p at the samples in every layer. Its mean is the same, and so is that of its gradient where samples are
      reparameterised, by the score function, and by estimators that are unbiased for linear functions of z (zgr,
      straight_through), as log-densities of bits and categories are. The metrics rate/<layer> are in
      closed form all the same.
  """

  def __init__(
    self,
    model,
    betas: dict[str, float],
    num_samples: int = 1,
    anneal=lambda step: 1.0,
    entropies: bool = False,
    estimator: Estimator | None = None,
    information=None,
    chain=None,
    kl: str = 'exact',
  ):
    self._model, self._betas, self._num_samples, self._anneal = model, dict(betas), num_samples, anneal
    self._entropies, self._estimator, self._information, self._kl = entropies, estimator, information, kl
    self.watchers = tuple(watcher for watcher in (information, chain) if watcher)

  @property
  def players(self):
    return {'model': self._model.trainable_variables}

  def loss(self, player, model, batch, step, noise):
    estimator = self._estimator.at(step) if self._estimator else None
    trace = model.infer(batch, noise, self._num_samples, estimator)
    factor = self._anneal(step)
    betas = {layer: beta * factor for layer, beta in self._betas.items()}
    rates = trace.kl if self._kl == 'exact' else trace.sampled_kl()
    penalty = tf.add_n([tf.cast(beta, rates[layer].dtype) * rates[layer] for layer, beta in betas.items()])
    losses = penalty - trace.log_px  # [S, B]
    loss = tf.reduce_mean(losses, 0)
    metrics = {**trace.terms(), **model.diagnostics(trace)}
    if estimator and estimator.by_density:
      pathless = [layer for layer, family in model.families.items() if not family.pathwise]
      loss += self._score(losses, tf.add_n([trace.log_q[layer] for layer in pathless]))
    if self._entropies:
      metrics['entropy_sum'] = model.entropies(trace)['entropy_sum']
    if self._information:
      lead = (1, batch['x'].shape[0])
      _, p = model.descend(lambda layer, p: layer.family.sample(p, noise, f'p/{layer.name}', lead))
      metrics |= self._information.metrics({'q': trace.q, 'p': p}, lead[1])
    if estimator and (temperature := estimator.temperature(step)) is not None:
      metrics['temperature'] = temperature
    return loss, metrics | {f'beta/{layer}': beta for layer, beta in betas.items()}

  def _score(self, losses, log_q):
    """[B], 0 in value; its gradient: that on the density of q, the mean of (loss - mean loss of the others) d log q."""
    samples = tf.cast(self._num_samples, losses.dtype)
    others = (tf.reduce_sum(losses, 0) - losses) / (samples - 1)
    return tf.reduce_mean(tf.stop_gradient(losses - others) * (log_q - tf.stop_gradient(log_q)), 0)

  def update(self, means, step):
    # A closed-form variance is that of what is minimised.
    self._model.update({name.removeprefix(RELAXED): value for name, value in means.items()})
    super().update(means, step)

  @classmethod
  def from_spec(cls, spec, model, make: Make) -> 'Elbo':
    """The objective of a spec."""
    o = spec.objective
    factor = annealing(o.anneal, o.anneal_from, o.anneal_begin, o.anneal_end, o.anneal_cycles, spec.train.steps)
    betas = {layer: o.beta[layer] for layer in spec.model.layers}
    return cls(
      model,
      betas,
      o.num_samples,
      factor,
      entropies=bool(spec.model.members),
      estimator=make.estimator(spec),
      information=Information.of(model) if o.information else None,
      chain=PersistentChain(model, o.chains, spec.seed) if o.chains else None,
      kl=o.kl,
    )
