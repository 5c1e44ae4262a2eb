"""Real NVP against autodiff, TFP's bijector and itself inverted."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.nets.initial import as_keras, as_torch
from tfvae.nets.real_nvp import LIMIT, RealNvp

tfb = tfp.bijectors
TOLERANCE = {'float64': 1e-5, 'float32': 1e-4}
S, B, F = 3, 4, 5


@pytest.fixture
def precision(request):
  policy = keras.config.dtype_policy()
  keras.config.set_dtype_policy(request.param)
  yield request.param
  keras.config.set_dtype_policy(policy)


CASES = [('float64', 2), ('float64', 5), ('float32', 3), ('mixed_bfloat16', 3)]
cases = pytest.mark.parametrize(('precision', 'units'), CASES, indirect=['precision'])


def flow_of(units, steps=4, hidden=(7, 6), batch_shape=(1, B), scale=0.7):
  """A flow whose weights are all far from 0, its contexts, and z [S, B, units]."""
  rng = np.random.default_rng(units)
  flow = RealNvp(units, steps, hidden, 'tanh', name='flow')
  features = tf.constant(rng.standard_normal((batch_shape[0] * B, F)), flow.dtype)
  flow(features, batch_shape=batch_shape)
  for variable in flow.variables:
    variable.assign(scale * rng.standard_normal(variable.shape))
  z = tf.constant(rng.standard_normal((S, B, units)), flow.dtype)
  return flow, flow(features, batch_shape=batch_shape), z


def jacobians(function, z):
  """d function(z) / dz of each sample, [S B, H, H]."""
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(z)
    outputs = tf.unstack(function(z), axis=-1)
  rows = [tape.gradient(output, z) for output in outputs]  # samples do not mix: what batch_jacobian gives, untraced
  return np.reshape(np.stack(rows, axis=-2), [S * B, len(rows), -1]).astype(np.float64)


@cases
def test_inverse_and_log_determinant_against_autodiff(precision, units):
  flow, contexts, z = flow_of(units)
  tolerance = TOLERANCE.get(precision, 1e-4)  # in bfloat16 nets, too, the flow computes in float32
  y, log_determinant = flow.forward(z, contexts)
  assert y.dtype == log_determinant.dtype == flow.dtype and log_determinant.shape == (S, B)
  assert np.abs(y - z).max() > 0.5  # it does move them
  back, inverse_log_determinant = flow.inverse(y, contexts)
  np.testing.assert_allclose(back, z, atol=tolerance)
  np.testing.assert_allclose(inverse_log_determinant, -log_determinant, atol=tolerance)
  _, found = np.linalg.slogdet(jacobians(lambda z: flow.forward(z, contexts)[0], z))
  np.testing.assert_allclose(np.reshape(log_determinant, -1), found, atol=tolerance)
  _, found = np.linalg.slogdet(jacobians(lambda y: flow.inverse(y, contexts)[0], y))
  np.testing.assert_allclose(np.reshape(inverse_log_determinant, -1), found, atol=tolerance)


@cases
def test_against_the_bijector_of_tfp(precision, units):
  """The same shifts and log-scales in a chain of `tfb.RealNVP`."""
  flow, contexts, z = flow_of(units, batch_shape=(S, B))

  def oracle(coupling, context):
    def log_scale_and_shift(kept, _, **__):
      hidden = np.tanh(kept.numpy() @ coupling.from_kept.kernel.numpy() + context.numpy())
      for dense in coupling.dense:
        hidden = np.tanh(hidden @ dense.kernel.numpy() + dense.bias.numpy())
      raw, shift = np.split(hidden @ coupling.last.kernel.numpy() + coupling.last.bias.numpy(), 2, axis=-1)
      return tf.constant(shift), tf.constant(LIMIT * np.tanh(raw / LIMIT))

    # A negative number keeps the last units.
    kept = coupling.kept_units if not coupling.first else -coupling.kept_units
    return tfb.RealNVP(num_masked=kept, shift_and_log_scale_fn=log_scale_and_shift)

  chain = tfb.Chain([oracle(*pair) for pair in list(zip(flow.couplings, contexts, strict=True))[::-1]])
  y, log_determinant = flow.forward(z, contexts)
  tolerance = TOLERANCE.get(precision, 1e-4)
  np.testing.assert_allclose(y, chain.forward(z), atol=tolerance)
  np.testing.assert_allclose(log_determinant, chain.forward_log_det_jacobian(z, 1), atol=tolerance)
  back, log_determinant = flow.inverse(y, contexts)
  np.testing.assert_allclose(back, chain.inverse(tf.identity(y)), atol=tolerance)
  np.testing.assert_allclose(log_determinant, chain.inverse_log_det_jacobian(tf.identity(y), 1), atol=tolerance)


def test_every_unit_moves_with_every_other_and_with_the_features():
  flow, contexts, z = flow_of(3)
  jacobian = jacobians(lambda value: flow.forward(value, contexts)[0], z)
  assert np.all(np.abs(jacobian).max(0) > 1e-3)
  moved = [context + 1.0 for context in contexts]
  assert np.all(np.abs(flow.forward(z, moved)[0] - flow.forward(z, contexts)[0]).max((0, 1)) > 1e-3)
  once, _, _ = flow_of(3, steps=1)
  y, _ = once.forward(z, contexts[:1])
  np.testing.assert_array_equal(y[..., :1], z[..., :1])  # one coupling keeps the first half


def test_log_scales_are_bounded_and_gradients_finite_far_out():
  flow, contexts, z = flow_of(4, scale=1e4)
  with tf.GradientTape() as tape:
    tape.watch(z)
    y, log_determinant = flow.forward(100 * z, contexts)
    loss = tf.reduce_sum(log_determinant) + 1e-6 * tf.reduce_sum(y)
  assert np.abs(log_determinant).max() <= 4 * 2 * LIMIT * (1 + 1e-6)  # steps x units that move
  gradients = tape.gradient(loss, [z, *flow.trainable_variables[-2:]])
  assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_xla_gives_the_same_and_finite_gradients():
  flow, _, z = flow_of(3, steps=2, hidden=(6,))
  features = tf.random.stateless_normal([B, F], (0, 1))

  def both(z):
    with tf.GradientTape() as tape:
      contexts = flow(features, batch_shape=(1, B))
      y, log_determinant = flow.forward(z, contexts)
      back, inverse = flow.inverse(y, contexts)
      loss = tf.reduce_sum(y * y) + tf.reduce_sum(back * inverse[..., None]) + tf.reduce_sum(log_determinant)
    return y, log_determinant, tape.gradient(loss, flow.trainable_variables)

  (y, log_determinant, gradients), plain = tf.function(both, jit_compile=True, autograph=False)(z), both(z)
  np.testing.assert_allclose(y, plain[0], atol=1e-5)
  np.testing.assert_allclose(log_determinant, plain[1], atol=1e-5)
  for gradient, expected in zip(gradients, plain[2], strict=True):
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('initialize', [as_keras, as_torch])
def test_it_begins_near_the_identity(initialize):
  flow, z = RealNvp(6, 4, (32,), name='flow'), tf.random.stateless_normal([S, B, 6], (0, 0))
  features = tf.random.stateless_normal([B, F], (0, 1))
  flow(features, batch_shape=(1, B))
  kernels = []
  for seed in (0, 0, 1):
    initialize(flow, seed)
    kernels.append([variable.numpy() for variable in flow.variables])
    y, log_determinant = flow.forward(z, flow(features, batch_shape=(1, B)))
    assert 1e-5 < np.abs(y - z).max() < 0.2
    assert 1e-5 < np.abs(log_determinant).max() < 0.2
  one, again, other = kernels
  for variable, a, b, c in zip(flow.variables, one, again, other, strict=True):
    np.testing.assert_array_equal(a, b)
    assert (variable.name == 'bias' and initialize is as_keras) or np.any(a != c)
  named = [variable.path for variable in flow.variables]
  assert len(set(named)) == len(named) and 'flow/coupling_0/kept/kernel' in named
