"""What a frozen classifier sees of an image, and when that is right: for constraints and evaluators alike.

A classifier of the labels of data sees examples as they are. One of a task's labels sees single grey images, which each
task makes of its x (`views`), and what is right about them follows from what was told.

Here x is [..., B, *shape], such as examples [B, ...] or E[x | z] of S samples [S, B, ...], and `batch` has the columns
of the B examples.
"""

import numpy as np
import tensorflow as tf

from tfvae.models.frozen import Frozen
from tfvae.observation import Observation

DEGREES = 30  # of one turn
FAINT = 0.05  # of the way from black to white: colours that are nearer to each other than this are not told apart


class Sight:
  """Examples as they are, and their label.

  Args:
    frozen: the classifier, on what `views` gives.
    observation: of the examples.

  Attributes:
    is_told: whether what is right depends on what a model is told, so that samples without a context are neither right
      nor wrong.
    needs_batch: whether `views` looks at the columns of the examples.
    num_views: V.
  """

  is_told, needs_batch, num_views = True, False, 1

  def __init__(self, frozen: Frozen, observation: Observation):
    self.frozen, self.observation = frozen, observation

  def views(self, x: tf.Tensor, batch: dict) -> list[tf.Tensor]:
    """V times [..., B, ...]: what the classifier sees. Differentiable in x."""
    del batch
    return [x]

  @property
  def num_features(self) -> int:
    """V F, of all views together."""
    return self.num_views * self.frozen.num_features

  def features(self, x: tf.Tensor, batch: dict) -> tf.Tensor:
    """The classifier's features of all views: [..., B, V F]."""
    found = [self._each(self.frozen.features, view) for view in self.views(x, batch)]
    return found[0] if len(found) == 1 else tf.concat(found, -1)

  def seen(self, x: tf.Tensor, batch: dict) -> list[tf.Tensor]:
    """The probabilities of the labels in each view: V times [..., B, M]."""
    return [self._each(self.frozen.probabilities, view) for view in self.views(x, batch)]

  def labels(self, x: tf.Tensor, batch: dict) -> tf.Tensor:
    """The probabilities of the labels of x, as the classifier sees it: [..., B, M]. Differentiable in x."""
    (seen,) = self.seen(x, batch)
    return seen

  def probability(self, x: tf.Tensor, batch: dict) -> tf.Tensor:
    """That the classifier sees in x, made of these examples, what is in them: [..., B]. Differentiable in x."""
    return _of(self.labels(x, batch), batch['label'])

  def right(self, x: tf.Tensor, batch: dict) -> tf.Tensor:
    """Whether what it sees is what was asked for: [..., B], booleans."""
    (found,) = self._labels(x, batch)
    return found == tf.cast(batch['label'], found.dtype)

  def _labels(self, x, batch):
    """The most probable label in each view: V times [..., B]."""
    return [tf.argmax(seen, -1, tf.int32) for seen in self.seen(x, batch)]

  def _each(self, function, x):
    """function: [N, ...] -> [N, F]; of x [..., B, ...]: [..., B, F]."""
    rank = len(self.observation.shape)
    lead = leading(x, rank)
    made = function(tf.reshape(x, [-1, *x.shape[x.shape.rank - rank :]]))
    return tf.reshape(made, [*lead, made.shape[-1]])


class OfColours(Sight):
  """Of a colour image its grey one, whatever its two colours are, which are not known.

  Its first and last columns of pixels are taken for background, b their mean. Where all pixels x_p lie on a line from b
  to a foreground f, sum_p (x_p - b) lies along it: u, this sum divided by its norm, is the direction, and
  (x_p - b)^T u, divided by its largest value, the grey value, black for the background and white for the brightest
  pixel. Colours nearer than FAINT of the range are not spread further.
  """

  def views(self, x, batch):
    del batch
    low, span = self.observation.low, self.observation.high - self.observation.low
    edge = tf.concat([x[..., :1, :], x[..., -1:, :]], -2)
    away = (x - tf.reduce_mean(edge, [-3, -2], keepdims=True)) / span
    total = tf.reduce_mean(away, [-3, -2], keepdims=True)
    direction = total * tf.math.rsqrt(tf.reduce_sum(tf.square(total), -1, keepdims=True) + 1e-12)
    grey = tf.reduce_sum(away * direction, -1, keepdims=True)
    return [low + span * grey / tf.maximum(tf.reduce_max(grey, [-3, -2, -1], keepdims=True), FAINT)]


class OfTurned(Sight):
  """Of an image turned by 30 k degrees, k = batch['turns'], the image turned back: bilinearly, black outside."""

  needs_batch = True

  def __init__(self, frozen, observation):
    super().__init__(frozen, observation)
    self._places, self._weights = neighbours(observation.shape[:2])

  def views(self, x, batch):
    height, width, _ = self.observation.shape
    lead = leading(x, 3)
    turns = tf.reshape(tf.broadcast_to(batch['turns'], lead), [-1])
    pixels = tf.reshape(x, [-1, height * width]) - self.observation.low
    around = tf.gather(pixels, tf.gather(self._places, turns), batch_dims=1)  # [N, H W, 4]
    back = tf.reduce_sum(around * tf.cast(tf.gather(self._weights, turns), x.dtype), -1)
    return [tf.reshape(back + self.observation.low, [*lead, height, width, 1])]


def neighbours(sides: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
  """Of ten turns back, by 30 k degrees clockwise: for each pixel the four that it is made of, and their weights.

  (int32 [10, H W, 4], float64 of the same shape). What is outside has the weight 0.
  """
  height, width = sides
  rows, columns = np.mgrid[:height, :width].reshape(2, -1)
  down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
  angle = np.deg2rad(DEGREES * np.arange(10))[:, None]
  # A pixel comes from where it was turned to: counterclockwise, rows going down.
  at = np.stack([down * np.cos(angle) - right * np.sin(angle), down * np.sin(angle) + right * np.cos(angle)])
  at = np.round(at + np.array([height - 1, width - 1])[:, None, None] / 2, 9)
  first = np.floor(at).astype(int)
  places, weights = [], []
  for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
    corner = first + np.array(corner)[:, None, None]
    weight = np.prod(1 - np.abs(at - corner), 0)
    inside = np.all((corner >= 0) & (corner < np.array(sides)[:, None, None]), 0)
    places.append(np.where(inside, corner[0] * width + corner[1], 0))
    weights.append(np.where(inside, weight, 0.0))
  return tf.constant(np.stack(places, -1), tf.int32), tf.constant(np.stack(weights, -1), tf.float64)


class OfPairs(Sight):
  """Two images as channels: right is each of the pairs whose sum modulo 10 is the label.

  The probability is that of such a pair: sum_a p(a | first) p(label - a mod 10 | second).
  """

  num_views = 2

  def views(self, x, batch):
    del batch
    return tf.split(x, x.shape[-1], -1)

  def labels(self, x, batch):
    return _sum(*self.seen(x, batch))

  def right(self, x, batch):
    first, second = self._labels(x, batch)
    return (first + second) % 10 == tf.cast(batch['label'], tf.int32)


class OfTriplets(Sight):
  """Three images as channels: right is where the third is the sum of the others modulo 10, whatever was told.

  The probability, of what is made of given examples, is the mean of those that each image has its own label,
  batch['labels'] [B, 3]. The label of an example is that of the third.
  """

  is_told, num_views = False, 3

  def views(self, x, batch):
    del batch
    return tf.split(x, x.shape[-1], -1)

  def labels(self, x, batch):
    return self.seen(x, batch)[2]

  def probability(self, x, batch):
    labels = tf.unstack(batch['labels'], axis=-1)
    each = [_of(seen, label) for seen, label in zip(self.seen(x, batch), labels, strict=True)]
    return tf.add_n(each) / len(each)

  def right(self, x, batch):
    first, second, third = self._labels(x, batch)
    return (first + second) % 10 == third


def leading(x: tf.Tensor, rank: int) -> list:
  """The sizes of the axes of x before the last `rank` ones: tensors where they are not known while a graph is made."""
  count = x.shape.rank - rank
  return [size if size is not None else tf.shape(x)[axis] for axis, size in enumerate(x.shape[:count])]


def _of(probabilities, label):
  """The probability [..., B] of the label [B], of [..., B, M]."""
  right = tf.one_hot(tf.cast(label, tf.int32), probabilities.shape[-1], dtype=probabilities.dtype)
  return tf.reduce_sum(probabilities * right, -1)


def _sum(first, second):
  """The probabilities [..., M] of the sum modulo M of two independent labels of such."""
  count = first.shape[-1]
  sums = tf.reshape((tf.range(count)[:, None] + tf.range(count)) % count, [-1])
  both = first[..., :, None] * second[..., None, :]
  both = tf.reshape(both, tf.concat([tf.shape(first)[:-1], [count**2]], 0))
  return tf.linalg.matmul(both, tf.one_hot(sums, count, dtype=both.dtype))
