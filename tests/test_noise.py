"""Noise: stateless, the same inside and outside compiled code, and for any number of replicas."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae import noise as noise_lib


def use(noise):
  return noise.normal('a', (4, 6), batch_axis=1), noise.scope('inner').uniform('b', (6,))


def test_depends_on_seed_step_and_name_alone():
  a, b = use(noise_lib.stateless(1, 5))
  again, _ = use(noise_lib.stateless(1, 5))
  np.testing.assert_array_equal(a, again)
  assert not np.array_equal(a, use(noise_lib.stateless(2, 5))[0])
  assert not np.array_equal(a, use(noise_lib.stateless(1, 6))[0])
  other = noise_lib.stateless(1, 5).uniform('b', (6,))
  assert not np.array_equal(b, other)  # another scope, another name


def test_replayed_inside_xla_equals_stateless():
  requests = noise_lib.record(use)
  assert [(r.kind, r.name, r.shape) for r in requests] == [('normal', 'a', (4, 6)), ('uniform', 'inner/b', (6,))]
  values = noise_lib.draw(requests, 3, 7)
  compiled = tf.function(lambda v: use(noise_lib.replay(v)), jit_compile=True)
  for a, b in zip(compiled(values), use(noise_lib.stateless(3, 7)), strict=True):
    np.testing.assert_array_equal(a, b)


def test_slices_of_replicas_are_the_global_draw():
  whole = noise_lib.stateless(1, 2).normal('a', (4, 6), batch_axis=1)
  for count, size in ((3, 2), (2, 3), (4, 2)):  # the last: eight places for six examples
    shares = [noise_lib.Share(replica * size, size, 6) for replica in range(count)]
    parts = [noise_lib.stateless(1, 2, share).normal('a', (4, size), batch_axis=1) for share in shares]
    together, counted = np.concatenate(parts, axis=1), np.concatenate([share.mask() for share in shares])
    np.testing.assert_array_equal(together[:, counted], whole)
    assert np.all(together[:, ~counted] == whole[:, -1:])  # padding repeats the last example: never a new number
  with pytest.raises(ValueError, match='not that of the 3 examples'):
    noise_lib.stateless(1, 2, noise_lib.Share(0, 3, 6)).normal('a', (4, 2), batch_axis=1)


def test_one_name_with_two_shapes_is_refused():
  with pytest.raises(ValueError, match="'a'"):
    noise_lib.record(lambda noise: (noise.normal('a', (2,)), noise.normal('a', (3,))))


def test_moments():
  n = 200_000
  normal = noise_lib.stateless(0, 0).normal('n', (n,)).numpy()
  uniform = noise_lib.stateless(0, 0).uniform('u', (n,)).numpy()
  # Five standard errors of the mean and of the variance.
  assert abs(normal.mean()) < 5 / n**0.5 and abs(normal.var() - 1) < 5 * (2 / n) ** 0.5
  assert abs(uniform.mean() - 0.5) < 5 * (1 / 12 / n) ** 0.5 and uniform.min() >= 0 and uniform.max() < 1
