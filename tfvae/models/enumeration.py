"""All latent states of a hierarchy of bits."""

import itertools

import numpy as np
import tensorflow as tf

from tfvae.names import MOST_BITS


def states(model) -> dict[str, np.ndarray]:
  """{layer: [2^n, ...]}, every state of the n bits of all layers, n <= `MOST_BITS`.

  Raises ValueError: more bits, or layers that are not bits.
  """
  sizes = [int(np.prod(layer.shape)) for layer in model.latents]
  if len(model.discrete) < len(sizes) or sum(sizes) > MOST_BITS:
    raise ValueError(f'{sum(sizes)} units; enumeration is for layers of bits, {MOST_BITS} of them together')
  table = np.array(list(itertools.product((0, 1), repeat=sum(sizes))), np.float32)
  parts = np.split(table, np.cumsum(sizes)[:-1], axis=1)
  return {layer.name: part.reshape(-1, *layer.shape) for layer, part in zip(model.latents, parts, strict=True)}


def log_densities(model, x: tf.Tensor, z: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
  """log p(x, z) and log q(z | x) of examples [B, ...] in states {layer: [M, ...]}: [M, B] nats each."""
  batch = x.shape[0]
  trace = model.score({'x': x}, {name: tf.repeat(value[:, None], batch, axis=1) for name, value in z.items()})
  log_q = tf.add_n([tf.broadcast_to(value, trace.log_px.shape) for value in trace.log_q.values()])
  log_p = tf.add_n([tf.broadcast_to(value, trace.log_px.shape) for value in trace.log_p.values()])
  return trace.log_px + log_p, log_q
