"""The limiting distribution: what alternating between encoder and decoder leads to."""

import keras
import tensorflow as tf

from tfvae.noise import stateless


class Chain:
  """The Markov chain z -> x ~ p(x | z) -> z ~ q(z | x) of a hierarchy, begun at z ~ p(z) (Flach et al. 2024).

  Where decoder and encoder agree on one joint distribution, it stays in the prior's; else it tends to a limit of its
  own, which shows how far they are apart.

  Args:
    model: a hierarchy.
    seed: of the chain: of its beginning and of all its steps; a number, or a variable, for many chains in turn.
  """

  def __init__(self, model, seed: int | tf.Variable | keras.Variable):
    self._model, self._seed = model, seed
    self._begin = tf.function(self._prior, autograph=False)
    self._go = tf.function(self._steps, autograph=False)

  def run(
    self,
    n: int,
    steps: int,
    begin: int = 0,
    z: dict[str, tf.Tensor] | None = None,
    context: tf.Tensor | None = None,
  ) -> dict[str, tf.Tensor]:
    """{layer: [1, n, ...]}, the latents of n chains after `steps` more steps.

    Args:
      begin: the number of steps that were taken before; the noise of a step follows from its number.
      z: where the chains are. None: at their beginning, samples of the prior.
      context: of a model that is told something, one for each chain, [n, ...].
    """
    z = self._begin(n, context) if z is None else z
    return self._go(z, tf.constant(begin, tf.int64), tf.constant(steps, tf.int64), context)

  def _prior(self, n, context):
    noise = stateless(self._seed, 0).scope('chain/begin')
    z, _ = self._model.descend(lambda layer, p: layer.family.sample(p, noise, layer.name, (1, n)), context)
    return z

  def _steps(self, z, begin, steps, context):
    def step(i, z):
      return i + 1, self.step(z, begin + i, context)

    return tf.while_loop(lambda i, z: i < steps, step, (tf.constant(0, tf.int64), z), parallel_iterations=1)[1]

  def step(self, z: dict[str, tf.Tensor], number, context: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
    """The latents one step later, in which x is drawn on the way. `number`: that of the step, from 0."""
    model, noise = self._model, stateless(self._seed, number).scope('chain')
    lead = next(iter(z.values())).shape[:2]
    x = model.decoder.likelihood.sample(model.decode(z, context), noise, 'x', lead)[0]
    return model.infer({'x': x} | ({} if context is None else {'context': context}), noise, 1, held=True).z
