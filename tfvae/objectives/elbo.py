"""The evidence lower bound with a beta for each layer."""

import tensorflow as tf

from tfvae.families.estimators import Estimator
from tfvae.making import Make
from tfvae.objectives.bound import Bound
from tfvae.objectives.constraint import Constraints
from tfvae.objectives.information import Information
from tfvae.objectives.objective import Watcher
from tfvae.objectives.terms import Distortion, Rates, Seen, Term
from tfvae.objectives.watchers import watchers_of
from tfvae.schedules import annealing
from tfvae.spec.rules.constraint import drops


class Elbo(Bound):
  """Minimise the sum of terms, averaged over S samples: of Rates and Distortion, the negative ELBO
  E_q[-log p(x | z)] + sum_l beta_l R_l (Kingma & Welling 2013, eq. 7; Higgins et al. 2017; one beta a layer: Xiao &
  Bamler 2023, eq. 4); with constraints, the Lagrangian of GECO (Rezende & Viola 2018, Algorithm 1).

  Args:
    model: infers; its variables are the only player's.
    terms: of the loss.
    num_samples: S.
    entropies: whether their sum is among the metrics, for the batches of each step.
    estimator: of the gradient through samples of discrete layers. None: they let none through. `ScoreFunction`: by the
      density of q, with the mean of the other samples for a baseline (Mnih & Rezende 2016; Kool et al. 2019): unbiased,
      S >= 2.
    information: running averages of what units of discrete layers tell, or None.
    watchers: others.
  """

  def __init__(
    self,
    model,
    terms: list[Term],
    num_samples: int = 1,
    entropies: bool = False,
    estimator: Estimator | None = None,
    information: Information | None = None,
    watchers: list[Watcher] | tuple = (),
  ):
    own = [information] if information else []
    super().__init__(model, num_samples, estimator, terms, [*own, *watchers])
    self._entropies, self._information = entropies, information

  def loss(self, player, model, batch, step, noise):
    trace = self.infer(model, batch, step, noise)
    parts = [term(Seen(model, batch, trace, step)) for term in self.terms]
    losses = tf.add_n([part.loss for part in parts])  # [S, B]
    loss, metrics = tf.reduce_mean(losses, 0), self.report(model, trace)
    for part in parts:
      metrics |= part.metrics
      loss = loss if part.shift is None else loss + tf.stop_gradient(part.shift)
    if (score := self.score(model, trace, lambda: self._above_others(losses))) is not None:
      loss += score
    if self._entropies:
      metrics['entropy_sum'] = model.entropies(trace)['entropy_sum']
    if self._information:
      lead = (1, batch['x'].shape[0])
      draw = lambda layer, p: layer.family.sample(p, noise, f'p/{layer.name}', lead)
      _, p = model.descend(draw, batch.get('context'))
      metrics |= self._information.metrics({'q': trace.q, 'p': p}, lead[1])
    return loss, metrics | self.temperature(step)

  def _above_others(self, losses):
    """How much the loss of each sample exceeds the mean of the others: [S, B]."""
    samples = tf.cast(self._num_samples, losses.dtype)
    return losses - (tf.reduce_sum(losses, 0) - losses) / (samples - 1)

  @classmethod
  def from_spec(cls, spec, model, make: Make) -> 'Elbo':
    """The objective of a spec."""
    o = spec.objective
    factor = annealing(o.anneal, o.anneal_from, o.anneal_begin, o.anneal_end, o.anneal_cycles, spec.train.steps)
    constraints = [Constraints.from_spec(spec, model, make)] if spec.constraint.names else []
    found = {measure.name for term in constraints for measure in term.measures}  # those of rates find betas
    betas = {layer: o.beta[layer] for layer in spec.model.layers if f'rate/{layer}' not in found}
    terms = [Rates(betas, factor, o.kl)] if betas else []
    if not drops(spec.constraint.names, spec.constraint.likelihood):
      terms.append(Distortion())
    return cls(
      model,
      [*terms, *constraints],
      o.num_samples,
      entropies=bool(spec.model.members),
      estimator=make.estimator(spec),
      information=Information.of(model) if o.information else None,
      watchers=watchers_of(spec, model),
    )
