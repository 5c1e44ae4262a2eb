"""An objective of two players, who take turns at the ELBO: the decoder and the priors, then the encoders."""

import tensorflow as tf

from tfvae.objectives.objective import Objective


class Alternating(Objective):
  """Each player minimises the negative ELBO over its own variables. Keeps a running average, moved in `update`."""

  def __init__(self, model):
    self._model = model
    self._average = tf.Variable(0.0, trainable=False, name='average')

  @property
  def variables(self):
    return {'average': self._average}

  @property
  def players(self):
    names = self._model.trainable_variables
    generative = [v for v in names if 'likelihood' in v.path or 'decoder' in v.path or '_p' in v.path.split('/')[0]]
    return {'generative': generative, 'inference': [v for v in names if all(v is not g for g in generative)]}

  def loss(self, player, model, batch, step, noise):
    trace = model.infer(batch, noise, 1)
    elbo = trace.terms()['elbo']
    return -elbo, {f'elbo/{player}': elbo} | ({'elbo': elbo} if player == 'inference' else {})

  def update(self, means, step):
    self._average.assign(0.9 * self._average + 0.1 * means['elbo'])

  @classmethod
  def from_spec(cls, spec, model):
    return cls(model)
