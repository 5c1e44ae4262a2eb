"""All latent states of a hierarchy of bits and one-hot categories."""

import math

import numpy as np
import tensorflow as tf

from tfvae.spec.entries import MOST_STATES


def states(model) -> dict[str, np.ndarray]:
  """{layer: [M, ...]}, every one of the M states of all layers together, M <= `MOST_STATES`.

  Raises ValueError: more states, or layers that have none.
  """
  if len(model.discrete) < len(model.latents):
    raise ValueError('enumeration is for layers that have states')
  numbers = [family.number_of_states for family in model.families.values()]
  if (total := math.prod(numbers)) > MOST_STATES:
    raise ValueError(f'{total} states; enumeration is for {MOST_STATES} of all layers together')
  chosen = np.unravel_index(np.arange(total), numbers)
  return {name: family.states()[each] for (name, family), each in zip(model.families.items(), chosen, strict=True)}


def log_densities(model, batch: dict, z: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
  """log p(x, z) and log q(z | x) of a batch in states {layer: [M, ...]}: [M, B] nats each."""
  x = batch['x']
  repeated = {name: tf.repeat(tf.cast(value, x.dtype)[:, None], x.shape[0], axis=1) for name, value in z.items()}
  trace = model.score(batch, repeated)
  log_q = tf.add_n([tf.broadcast_to(value, trace.log_px.shape) for value in trace.log_q.values()])
  log_p = tf.add_n([tf.broadcast_to(value, trace.log_px.shape) for value in trace.log_p.values()])
  return trace.log_px + log_p, log_q
