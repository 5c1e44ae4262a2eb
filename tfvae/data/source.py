"""Batches of examples: a pure function of (seed, step)."""

import numpy as np
import tensorflow as tf

from tfvae.data.dataset import Dataset
from tfvae.noise import Noise, purpose_seed, stateless


class Source:
  """A data set in memory, as stored (uint8 stays uint8); values are scaled and binarised when a batch is made.

  A training batch is {'x': [B, ...], 'index': [B], 'label': [B] where there is one}.

  Args:
    dataset: the arrays.
    batch_size: B, over all replicas together.
    seed: of the order of the examples and of the binarisation.
    dtype: of the observations.
  """

  def __init__(self, dataset: Dataset, batch_size: int, seed: int, dtype: str = 'float32'):
    self.dataset, self.batch_size, self.seed, self.dtype = dataset, batch_size, seed, dtype
    self._tensors = {}

  def indices(self, first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Positions in the training split of the batches of steps first, ..., first + count - 1: int64 [count, B].

    Each epoch is a permutation drawn from (seed, epoch), and batches run on from one epoch into the next. Made for
    many steps at once, so that a step itself only gathers.
    """
    n = self.dataset.size('train')
    position = first * self.batch_size + tf.range(count * self.batch_size, dtype=tf.int64)
    first_epoch = position[0] // n
    permutations = tf.map_fn(
      lambda epoch: tf.random.experimental.stateless_shuffle(
        tf.range(n, dtype=tf.int64), purpose_seed(self.seed, 'data/order', epoch)
      ),
      tf.range(first_epoch, position[-1] // n + 1),
    )
    index = tf.gather_nd(permutations, tf.stack([position // n - first_epoch, position % n], axis=-1))
    return tf.reshape(index, [-1, self.batch_size])

  def batch(self, index: tf.Tensor, noise: Noise) -> dict[str, tf.Tensor]:
    """The training examples at these positions. noise: one draw 'binarize' where binarisation is dynamic."""
    return self._batch('train', index, noise)

  def _batch(self, split, index, noise):
    batch = {name: tf.gather(array, index) for name, array in self._split(split).items()}
    x = tf.cast(batch['x'], self.dtype) * self.dataset.scale + self.dataset.offset
    if self.dataset.binarize == 'threshold':
      x = tf.cast(x > self.dataset.threshold, self.dtype)
    elif self.dataset.binarize == 'dynamic':
      x = tf.cast(noise.uniform('binarize', x.shape, dtype=self.dtype) < x, self.dtype)
    return batch | {'x': x, 'index': index}

  def _split(self, split):
    """The tensors of a split, put on the device when they are first used."""
    if split not in self._tensors:
      arrays = dict(self.dataset.splits[split])
      if self.dataset.binarize == 'static':
        arrays['x'] = self._binarized_once(split, arrays['x'])
      with tf.init_scope():
        self._tensors[split] = {name: tf.constant(array) for name, array in arrays.items()}
    return self._tensors[split]

  def _binarized_once(self, split, x):
    probs = self.dataset.scale * x.astype(np.float32) + self.dataset.offset
    uniform = np.random.default_rng([self.seed, 1, *split.encode()]).random(x.shape, np.float32)
    # As stored values, so that scaling turns them into 0 and 1.
    return ((uniform < probs).astype(np.float32) - self.dataset.offset) / self.dataset.scale

  def num_batches(self, split: str, batch_size: int) -> int:
    """Evaluation batches of a split, the last one padded."""
    return -(-self.dataset.size(split) // batch_size)

  def evaluation_batch(self, split: str, batch_size: int, number: tf.Tensor) -> dict[str, tf.Tensor]:
    """Batch `number` of a split in its own order; 'mask' is 0 on the padding of the last one.

    Dynamic binarisation draws from (seed, split, number): the same at every evaluation.
    """
    n = self.dataset.size(split)
    position = tf.cast(number, tf.int64) * batch_size + tf.range(batch_size, dtype=tf.int64)
    noise = stateless(self.seed, number).scope(f'data/{split}')
    batch = self._batch(split, tf.minimum(position, n - 1), noise)
    return batch | {'mask': tf.cast(position < n, self.dtype)}
