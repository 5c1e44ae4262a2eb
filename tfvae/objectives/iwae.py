"""The importance-weighted bound."""

import math

import tensorflow as tf

from tfvae.families.estimators import Estimator
from tfvae.making import Make
from tfvae.models.trace import Trace
from tfvae.objectives.bound import Bound
from tfvae.objectives.objective import Watcher
from tfvae.objectives.watchers import watchers_of


class Iwae(Bound):
  """Maximise E log (1/S) sum_s w_s, w_s = p(x, z_s) / q(z_s | x) with z_s ~ q(z | x) (Burda et al. 2016, eq. 8).

  Metrics: `iwae`, the bound, beside those of every model (`elbo` is then the bound of one sample).

  Args:
    model: infers; its variables are the only player's.
    num_samples: S.
    doubly_reparameterized: the estimator of the encoder's gradient. False: the bound's own, through the reparameterised
      samples and the densities of q (Burda et al. 2016, eq. 14). True: through the samples alone, by the squares of
      the normalised weights (Tucker et al. 2019, eq. 8). Both are unbiased, and the rest of the gradient is the same.
    estimator: of the gradient through samples of discrete layers, which are hard. None: they let none through.
      `ScoreFunction`: by the density of q, with the bound of the other samples for a baseline (VIMCO, Mnih & Rezende
      2016, eqs. 8 and 10): unbiased, S >= 2.
    watchers: what goes along.
  """

  def __init__(
    self,
    model,
    num_samples: int,
    doubly_reparameterized: bool = False,
    estimator: Estimator | None = None,
    watchers: list[Watcher] | tuple = (),
  ):
    super().__init__(model, num_samples, estimator, watchers=watchers)
    self._doubly = doubly_reparameterized

  def loss(self, player, model, batch, step, noise):
    trace = self.infer(model, batch, step, noise)
    if self._doubly:
      trace, loss = self._doubly_reparameterized_loss(model, batch, trace.z)
    else:
      loss = -trace.importance_bound()
    metrics = {'iwae': -loss, **self.report(model, trace)}
    if (score := self.score(model, trace, lambda: self._added(trace))) is not None:
      loss += score
    return loss, metrics | self.temperature(step)

  def _added(self, trace):
    """S times how much a sample takes from the loss of the others, negative: [S, B].

    The bound without a sample has the geometric mean of the others' weights in its place.
    """
    weights = trace.log_weights()
    others = (tf.reduce_sum(weights, 0) - weights) / (self._num_samples - 1)
    each = tf.eye(self._num_samples, dtype=weights.dtype)[:, :, None]  # [S, S, 1]: the one that is replaced, first
    without = tf.reduce_logsumexp(weights * (1 - each) + others * each, 1) - math.log(self._num_samples)
    return self._num_samples * (without - trace.importance_bound())

  def _doubly_reparameterized_loss(self, model, batch, z) -> tuple[Trace, tf.Tensor]:
    """The trace at samples z, and the loss [B] with that estimator for its gradient.

    With the samples held fixed, the gradient on the decoder is sum_s v_s d log p(x, z_s), v_s the normalised weights,
    and that on a sample G_s = d log w_s / d z_s. The encoder is moved by sum_s v_s^2 G_s d z_s, that is, not by the
    densities of q.
    """
    held = {layer: tf.stop_gradient(sample) for layer, sample in z.items()}
    with tf.GradientTape() as tape:
      tape.watch(held)
      trace = model.score(batch, held)
      log_weights = trace.log_weights()
    weights = tf.stop_gradient(tf.nn.softmax(log_weights, axis=0))
    surrogate = tf.reduce_sum(weights * (trace.log_px + tf.add_n(list(trace.log_p.values()))), 0)
    for layer, gradient in tape.gradient(log_weights, held).items():
      moved = tf.stop_gradient(gradient) * z[layer]
      surrogate += tf.reduce_sum(tf.square(weights) * tf.reduce_sum(moved, list(range(2, moved.shape.rank))), 0)
    return trace, tf.stop_gradient(surrogate - trace.importance_bound()) - surrogate

  @classmethod
  def from_spec(cls, spec, model, make: Make) -> 'Iwae':
    """The objective of a spec."""
    estimator = make.estimator(spec)
    return cls(model, spec.objective.num_samples, estimator.doubly, estimator, watchers_of(spec, model))
