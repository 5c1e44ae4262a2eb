"""What a classifier sees of a task's images, and when that is right."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from tfvae.data import tasks
from tfvae.models import sight
from tfvae.observation import Observation


class Reads:
  """Stands for a classifier: an image's label is ten times its mean; `sure`: how far it is from certain."""

  name, num_features = 'classifier', 2

  def __init__(self, sure=1.0):
    self.sure = sure

  def probabilities(self, x):
    label = tf.round(10 * tf.reduce_mean(tf.reshape(x, [tf.shape(x)[0], -1]), -1))
    certain = tf.one_hot(tf.cast(label, tf.int32), 10, dtype=x.dtype)
    return self.sure * certain + (1 - self.sure) / 10

  def features(self, x):
    return tf.stack([tf.reduce_mean(x, [1, 2, 3]), tf.reduce_max(x, [1, 2, 3])], -1)


def images(labels):
  """[..., C] -> [..., 3, 3, C]: the labels of channels."""
  return np.array(labels, np.float64)[..., None, None, :] / 10 + np.zeros((3, 3, 1))


def seen(kind, channels, sure=1.0, **observation):
  return kind(Reads(sure), Observation((3, 3, channels), **observation))


def test_an_image_as_it_is():
  of, label = seen(sight.Sight, 1, 0.7), tf.constant([3, 5])
  x = tf.constant(images([[[3], [4]], [[2], [5]]]))  # [S, B, 3, 3, 1]
  np.testing.assert_array_equal(of.right(x, {'label': label}), [[True, False], [False, True]])
  np.testing.assert_allclose(of.probability(x, {'label': label}), [[0.73, 0.03], [0.03, 0.73]])
  assert of.labels(x, {}).shape == (2, 2, 10) and of.features(x, {}).shape == (2, 2, 2) and of.num_features == 2


def test_pairs():
  """All that have the right sum; the probability by enumeration."""
  of, batch = seen(sight.OfPairs, 2, 0.7), {'label': tf.constant([3, 3, 3])}
  x = tf.constant(images([[1, 2], [9, 4], [1, 3]]))
  np.testing.assert_array_equal(of.right(x, batch), [True, True, False])
  p = np.full((3, 2, 10), 0.03)
  for row, pair in enumerate([(1, 2), (9, 4), (1, 3)]):
    p[row, [0, 1], pair] = 0.73
  want = [sum(p[row, 0, a] * p[row, 1, (3 - a) % 10] for a in range(10)) for row in range(3)]
  np.testing.assert_allclose(of.probability(x, batch), want)
  np.testing.assert_allclose(tf.reduce_sum(of.labels(x, {}), -1), 1)
  assert of.features(x, batch).shape == (3, 4) and of.num_features == 4


def test_triplets():
  """A sample is right where its own digits add up; one that is made of an example, where each is the example's."""
  of, batch = seen(sight.OfTriplets, 3, 0.7), {'labels': tf.constant([[1, 2, 3], [9, 4, 3], [1, 2, 3]])}
  x = tf.constant(images([[1, 2, 3], [8, 5, 3], [1, 2, 4]]))
  np.testing.assert_array_equal(of.right(x, {}), [True, True, False])
  np.testing.assert_allclose(of.probability(x, batch), [0.73, (0.73 + 2 * 0.03) / 3, (2 * 0.73 + 0.03) / 3])
  np.testing.assert_allclose(of.labels(x, {}), 0.03 + 0.7 * np.eye(10)[[3, 3, 4]])
  assert not of.is_told and of.num_features == 6


@pytest.mark.parametrize('sides', [(8, 8), (7, 7), (5, 8)])
def test_turned_back(sides):
  """As SciPy turns it, in any units; and the gradient is that of a linear map."""
  rng = np.random.default_rng(0)
  x, turns = rng.random((10, *sides, 1)), tf.range(10)
  of = sight.OfTurned(Reads(), Observation((*sides, 1), -1.0, 3.0))
  (back,) = of.views(tf.constant(4 * x - 1), {'turns': turns})
  for k in range(10):
    want = ndimage.rotate(x[k, ..., 0], -30 * k, reshape=False, order=1, mode='grid-constant', cval=0)
    np.testing.assert_allclose((back[k, ..., 0] + 1) / 4, want, atol=1e-6)
  several = tf.constant(np.stack([x, x + 1]))
  (both,) = of.views(several, {'turns': turns})
  np.testing.assert_allclose(both[0], of.views(tf.constant(x), {'turns': turns})[0], atol=1e-12)
  with tf.GradientTape() as tape:
    tape.watch(several)
    y = tf.reduce_sum(of.views(several, {'turns': turns})[0] ** 2)
  step, direction = 1e-5, rng.standard_normal(several.shape)
  ends = [tf.reduce_sum(of.views(several + s * step * direction, {'turns': turns})[0] ** 2) for s in (1, -1)]
  slope = float(tf.reduce_sum(tape.gradient(y, several) * direction))
  assert slope == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-6)


def test_turned_back_is_what_was_turned():
  """A blob in the middle of data that were turned is where it was."""
  image = np.zeros((10, 21, 21, 1), np.uint8)
  image[:, 6:10, 9:15] = 200
  x = tasks.turned(image, np.arange(10))
  of = sight.OfTurned(Reads(), Observation((21, 21, 1), 0.0, 255.0))
  (back,) = of.views(tf.constant(x, tf.float32), {'turns': tf.range(10)})
  assert np.abs(back - image).mean() < 3 and np.abs(x.astype(float) - image)[1:].mean() > 4
  np.testing.assert_array_equal(np.round(back.numpy()[[0, 3, 6, 9]]), image[[0, 3, 6, 9]])


def test_grey_of_colours():
  """Of two colours on a line, whichever is the brighter one: the grey value."""
  rng = np.random.default_rng(0)
  grey = rng.random((6, 8, 8, 1))
  grey[:, :, [0, -1]], grey[:, 3, 3] = 0, 1
  ends = rng.random((6, 2, 1, 1, 3))
  x = (1 - grey) * ends[:, 0] + grey * ends[:, 1]
  of = sight.OfColours(Reads(), Observation((8, 8, 3), -2.0, 2.0))
  (found,) = of.views(tf.constant(4 * x - 2), {})
  np.testing.assert_allclose((found + 2) / 4, grey, atol=1e-5)
  (blank,) = of.views(tf.fill([1, 8, 8, 3], tf.constant(0.3, tf.float64)), {})
  np.testing.assert_allclose(blank, -2.0, atol=1e-6)
  with tf.GradientTape() as tape:
    flat = tf.fill([1, 8, 8, 3], 0.3)
    tape.watch(flat)
    y = tf.reduce_sum(of.views(flat, {})[0])
  assert np.isfinite(tape.gradient(y, flat)).all()


def test_with_a_batch_of_any_size():
  """As a graph is traced that other batches go through, too."""
  of = seen(sight.OfTurned, 1)
  graph = tf.function(lambda x, k: of.right(x, {'turns': k, 'label': k}), autograph=False)
  traced = graph.get_concrete_function(tf.TensorSpec([2, None, 3, 3, 1]), tf.TensorSpec([None], tf.int32))
  x = tf.zeros([2, 4, 3, 3, 1])
  assert traced(x, tf.constant([0, 1, 2, 0])).numpy().tolist() == [[True, False, False, True]] * 2
  assert of.features(x, {'turns': tf.range(4)}).shape == (2, 4, 2)
