"""Symmetric equilibrium learning: decoder and encoder as two players."""

import tensorflow as tf

from tfvae.making import Make
from tfvae.objectives.information import Information
from tfvae.objectives.objective import Objective, Watcher
from tfvae.objectives.watchers import watchers_of


class Symmetric(Objective):
  """Two players, who move in turn (Flach, Schlesinger & Shekhovtsov 2024, eqs. 4 and 5):

  generative: maximise E_{x ~ data, z ~ q(z | x)} log p(x, z) over the decoder and the priors.
  inference: maximise E_{(z, x) ~ p(x, z)} log q(z | x) over the encoder.

  Samples are drawn and held fixed; nothing is reparameterised, and log q(z | x) needs no closed form but its density.
  The encoder trains on samples of the decoder that has just moved. Metrics: those of every model, on the data (the
  ELBO among them), from the samples of the generative player.

  Args:
    model: has both players, and scores given latents.
    num_samples: of z for each example of the data.
    information: running averages of what units of discrete layers tell, or None.
    watchers: others.
  """

  def __init__(
    self,
    model,
    num_samples: int = 1,
    information: Information | None = None,
    watchers: list[Watcher] | tuple = (),
  ):
    super().__init__(model, watchers=[*([information] if information else []), *watchers])
    self._num_samples, self._information = num_samples, information

  @property
  def players(self):
    return self._model.players

  def loss(self, player, model, batch, step, noise):
    size = batch['x'].shape[0]
    if player == 'generative':
      trace = model.infer(batch, noise, self._num_samples, held=True)
      loss = -tf.reduce_mean(trace.log_px + tf.add_n(list(trace.log_p.values())), 0)
      metrics, side, layers = self.report(model, trace), 'q', trace.q
    else:
      trace = model.generate(size, noise, batch.get('context'), held=True)
      loss = -tf.reduce_mean(tf.add_n(list(trace.log_q.values())), 0)
      metrics, side, layers = {}, 'p', trace.p
    if self._information:
      metrics |= self._information.metrics({side: layers}, size)
    return loss, metrics

  @classmethod
  def from_spec(cls, spec, model, make: Make) -> 'Symmetric':
    """The objective of a spec."""
    del make
    o = spec.objective
    information = Information.of(model) if o.information else None
    return cls(model, o.num_samples, information, watchers_of(spec, model))
