"""Batches of examples: a pure function of (seed, step), whatever the devices and wherever training was resumed."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfvae.data import reading
from tfvae.data.dataset import Dataset
from tfvae.data.stored import Part
from tfvae.errors import UserError
from tfvae.noise import Noise, purpose_seed

CHUNK = 4096  # numbers of examples that the input pipeline asks for at once
OBSERVED = ('x', 'target')  # what is made alike: observations, which may be binary


class Source:
  """Batches of a data set: of arrays held as tensors, or of examples read by tf.data when they are needed.

  Examples stay as they are stored (uint8) until a batch is made of them. A batch is {'x': [B, ...], 'index': [B]}, with
  'label' [B] where there is one, and, where spec.data asks for them, 'context' (of labels int32 [B], else [B, ...]) and
  'target' [B, ...]; both kinds of sets give the same batches. A target is made as x is, but for the noise of training,
  which is on x alone; a context that is an image is scaled as x is, and never binary. Images that are cropped anew in
  each epoch (spec.data.crop_at=random) are always read: what is stored of them is then another square in each.

  Args:
    dataset: the splits.
    section: spec.data: batch_size (B, over all replicas together; 0: all training examples), order, crop_at, context,
      binarize, threshold, flip, pixel_flip, dequantize, jitter.
    seed: of the order of the examples, of their crops and of the binarisation.
    dtype: of the observations.

  Attributes:
    noise_seed: `seed`, or a variable with its value that compiled functions read.
  """

  def __init__(self, dataset: Dataset, section, seed: int, dtype: str = 'float32'):
    self.dataset, self.section, self.seed, self.dtype = dataset, section, seed, dtype
    self.noise_seed = seed
    self.batch_size = section.batch_size or dataset.size('train')
    self._whole = not section.batch_size  # each batch is the training split, in its own order
    self._tensors, self._epochs = {}, {}
    self._iterator = self._next_step = None
    self._all_binarized_once = tf.function(self._map_binarized_once, autograph=False, reduce_retracing=True)

  @property
  def of_any_seed(self) -> bool:
    """Whether the examples that it holds do not depend on the seed, so that `reseed` can give it another."""
    held = not any(isinstance(part, Part) for part in self.dataset.splits.values())
    return held and not self.dataset.drawn and self.section.binarize != 'static'

  def reseed(self, seed: int) -> None:
    """Makes of it what it would be with this seed, its own or, where it is `of_any_seed`, another one; its `noise_seed`
    is a variable.
    """
    self.seed, self._epochs = seed, {}
    self._iterator = self._next_step = None  # of a run that may have ended in the middle of a call
    self.noise_seed.assign(seed)

  def alike(self, seed: int) -> 'Source':
    """Another one of the same examples, which are held once, with another seed, where it is `of_any_seed`."""
    other = Source(self.dataset, self.section, seed, self.dtype)
    other._tensors = self._tensors
    return other

  # Training.

  def order(self, first: int, count: int) -> np.ndarray:
    """Positions in the training split of the batches of steps first, ..., first + count - 1: int64 [count, B].

    Each epoch is a permutation drawn from (seed, epoch), or, of a stream or where a batch is all of them, the order in
    which examples are stored; batches run on from one epoch into the next.
    """
    n, begin, end = self.dataset.size('train'), first * self.batch_size, (first + count) * self.batch_size
    if self._whole or self.section.order == 'stream':
      return (np.arange(begin, end) % n).reshape(count, self.batch_size)
    epochs = range(begin // n, (end - 1) // n + 1)
    self._epochs = {epoch: self._epochs.get(epoch) for epoch in epochs}  # a large one is used by many calls
    for epoch, permutation in self._epochs.items():
      if permutation is None:
        self._epochs[epoch] = np.random.default_rng([self.seed, 1, epoch]).permutation(n)
    order = np.concatenate(list(self._epochs.values())) if len(epochs) > 1 else self._epochs[epochs[0]]
    begin -= epochs[0] * n
    return order[begin : begin + count * self.batch_size].reshape(count, self.batch_size)

  def crops(self, first: int, count: int) -> np.ndarray:
    """What the crops of these batches are drawn from where they are random: int32 [count, B, 2].

    The seed of a crop is made of spec.seed, of the epoch, and of the number of the example.
    """
    n, begin, end = self.dataset.size('train'), first * self.batch_size, (first + count) * self.batch_size
    epochs, within = np.unique(np.arange(begin, end) // n, return_inverse=True)
    keys = [np.random.SeedSequence([self.seed, 2, epoch]).generate_state(1)[0] for epoch in epochs.tolist()]
    keys = np.array(keys, np.uint32).view(np.int32)[within].reshape(count, self.batch_size)
    return np.stack([keys, self.order(first, count).astype(np.int32)], axis=-1)

  def feed(self, first: int, count: int, rows: np.ndarray):
    """What `examples` takes the next `count` steps from: indices [count, R] ([1, R] of whole batches), or an iterator.

    Args:
      first: the number of the first step.
      rows: [R], the rows of the global batch that the devices of this process work on.
    """
    part = self.dataset.splits['train']
    if not isinstance(part, Part):
      return tf.constant(self.order(first, 1 if self._whole else count)[:, rows])
    if self._next_step != first:
      self._iterator = reading.iterator(self._pipeline(part, first, rows))
    self._next_step = first + count
    return self._iterator

  def feed_spec(self, rows: np.ndarray):
    """The TensorSpec or IteratorSpec of a feed."""
    part = self.dataset.splits['train']
    if not isinstance(part, Part):
      return tf.TensorSpec([None, len(rows)], tf.int64)
    return tf.data.IteratorSpec(self._pipeline(part, 0, rows).element_spec)

  def _pipeline(self, part, first, rows):
    steps, random = max(1, CHUNK // len(rows)), self.section.crop_at == 'random'

    def numbers():
      future = Source(self.dataset, self.section, self.seed)  # its epochs are those of the future
      step = first
      while True:
        order = future.order(step, steps)[:, rows].ravel()
        yield (order, future.crops(step, steps)[:, rows].reshape(-1, 2)) if random else order
        step += steps

    spec = tf.TensorSpec([steps * len(rows)], tf.int64)
    spec = (spec, tf.TensorSpec([steps * len(rows), 2], tf.int32)) if random else spec
    stream = reading.examples(
      part, tf.data.Dataset.from_generator(numbers, output_signature=spec).unbatch(), self._made_static('train')
    )
    return stream.batch(len(rows), drop_remainder=True).prefetch(4)

  def examples(self, feed, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """The stored examples of one step, [R, ...]: of row `step` of the indices, or the next of the iterator."""
    if not isinstance(feed, tf.Tensor):
      return feed.get_next()
    return self._gather('train', feed[0 if self._whole else step])

  def blank(self, n: int) -> dict[str, tf.Tensor]:
    """n stored examples, all zero: what `batch` takes, to trace it with."""
    part = self.dataset.splits['train']
    if isinstance(part, Part):
      specs = reading.examples(part, tf.data.Dataset.range(1), self._made_static('train')).element_spec
      shapes = {name: (spec.shape, spec.dtype) for name, spec in specs.items()}
    else:
      shapes = {name: (value.shape[1:], value.dtype) for name, value in self._split('train').items()}
      shapes['index'] = ((), tf.int64)
    return {name: tf.zeros([n, *shape], dtype) for name, (shape, dtype) in shapes.items()}

  def batch(self, examples: dict[str, tf.Tensor], noise: Noise) -> dict[str, tf.Tensor]:
    """The training batch of stored examples: in fewer bits, scaled, mirrored, binarised, with noise.

    A target that is the same as x is made the same: both are binarised by one draw for each place.

    noise: one draw 'binarize' where binarisation is dynamic, 'flip' where images are mirrored, 'pixel_flip',
      'dequantize', 'jitter'.
    """
    made = {name: self._scaled(examples[name]) for name in OBSERVED if name in examples}
    if self.section.flip == 'horizontal':
      x = made['x']
      mirrored = noise.uniform('flip', x.shape[:1]) < 0.5
      made['x'] = tf.where(mirrored[:, None, None, None], tf.reverse(x, axis=[2]), x)
    if self.section.binarize == 'dynamic':
      uniform = noise.uniform('binarize', made['x'].shape, dtype=self.dtype)
      made = {name: tf.cast(uniform < value, self.dtype) for name, value in made.items()}
    made = {name: self._thresholded(value) for name, value in made.items()}
    x = made['x']
    if self.section.pixel_flip:
      flipped = noise.uniform('pixel_flip', x.shape) < self.section.pixel_flip
      x = tf.where(flipped, 1 - x, x)
    if self.section.dequantize:
      x += self.dataset.observation.step * (noise.uniform('dequantize', x.shape, dtype=self.dtype) - 0.5)
    if self.section.jitter:
      x += self.section.jitter * noise.normal('jitter', x.shape, dtype=self.dtype)
    return examples | made | {'x': x} | self._context(examples)

  # Evaluation: a split in its own order, as it is, in batches of one size.

  def evaluation_examples(self, split: str, batch_size: int, first: int = 0) -> Iterator[dict[str, tf.Tensor]]:
    """The stored examples of each evaluation batch in turn; 'mask' is 0 on the padding of the last one.

    first: how many of the split's first examples. 0: all.
    """
    n, part = first or self.dataset.size(split), self.dataset.splits[split]
    batches = -(-n // batch_size)
    numbers = np.minimum(np.arange(batches * batch_size), n - 1)
    mask = np.arange(batches * batch_size) < n
    if isinstance(part, Part):
      stream = reading.examples(part, tf.data.Dataset.from_tensor_slices(numbers), self._made_static(split))
      stream = reading.iterator(stream.batch(batch_size, drop_remainder=True).prefetch(2))
    else:
      stream = (self._gather(split, tf.constant(index)) for index in numbers.reshape(batches, batch_size))
    try:
      for examples, kept in zip(stream, mask.reshape(batches, batch_size), strict=True):
        yield examples | {'mask': tf.constant(kept, self.dtype)}
    except tf.errors.InvalidArgumentError as error:
      if isinstance(part, Part):
        raise UserError(part.reader.explain(error)) from None
      raise

  def evaluation_batch(self, split: str, examples: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The batch of stored examples of a split: scaled, binarised, neither mirrored nor with noise.

    Where binarisation is dynamic, an example has the one binary version that it would have were it static: whichever
    batch it is in, and whoever asks.
    """
    made = {name: examples[name] for name in OBSERVED if name in examples}
    if self.section.binarize == 'dynamic':
      binarized = lambda value: self._all_binarized_once(split, self.noise_seed, examples['index'], value)
      once = lambda value: tf.cast(binarized(value), self.dtype)
      made = {name: once(value) for name, value in made.items()}
    else:
      made = {name: self._thresholded(self._scaled(value)) for name, value in made.items()}
    return examples | made | self._context(examples)

  @property
  def value_range(self) -> tuple[float, float]:
    """The smallest and the largest value of the training split's observations."""
    return self.dataset.observation.low, self.dataset.observation.high

  def first(self, split: str, n: int) -> dict[str, tf.Tensor]:
    """The first n examples of a split as an evaluation batch."""
    return self.at(split, np.arange(n))

  def at(self, split: str, numbers: np.ndarray) -> dict[str, tf.Tensor]:
    """The examples of a split with these numbers as an evaluation batch."""
    index, part = tf.constant(numbers, tf.int64), self.dataset.splits[split]
    if isinstance(part, Part):
      read = reading.read(Part(part.reader, part.positions[numbers]), self._made_static(split))
      examples = {name: tf.constant(array) for name, array in read.items()} | {'index': index}
    else:
      examples = self._gather(split, index)
    return self.evaluation_batch(split, examples)

  # Both.

  def _gather(self, split, index):
    return {name: tf.gather(array, index) for name, array in self._split(split).items()} | {'index': index}

  def _split(self, split):
    """The tensors of a split, put on the device when they are first used."""
    if split not in self._tensors:
      arrays, static = self.dataset.splits[split], self.section.binarize == 'static'
      if static:
        whole = Part(reading.ArrayReader(arrays), np.arange(len(arrays['x'])))
        arrays = reading.read(whole, self._made_static(split))
      with tf.init_scope():
        self._tensors[split] = {name: tf.constant(array) for name, array in arrays.items()}
        if not static:  # on a CPU the tensors' own memory, seen as arrays: the set is not held twice
          views = {name: np.asarray(memoryview(tensor)) for name, tensor in self._tensors[split].items()}
          self.dataset.splits[split] = views
    return self._tensors[split]

  def _context(self, examples):
    """{'context': that of a batch of stored examples}, or {} where there is none."""
    if self.section.context == 'label':
      return {'context': tf.cast(examples['label'], tf.int32)}
    if 'context' not in examples:
      return {}
    stored = examples['context']  # bytes are an image's; what is scaled already is not
    return {'context': self._grey(stored) if stored.dtype == tf.uint8 else tf.cast(stored, self.dtype)}

  def _scaled(self, x):
    return tf.cast(x, self.dtype) if self.section.binarize == 'static' else self._grey(x)

  def _grey(self, x):
    return self.dataset.reduced(tf.cast(x, self.dtype)) * self.dataset.scale + self.dataset.offset

  def _thresholded(self, x):
    return tf.cast(x > self.section.threshold, self.dtype) if self.section.binarize == 'threshold' else x

  def _made_static(self, split):
    """What a stored example becomes on its way from the reader: binary where binarisation is static, else itself."""
    if self.section.binarize != 'static':
      return lambda example: example
    once = lambda example, name: self._binarized_once(split, self.seed, example['index'], example[name])
    return lambda example: example | {name: once(example, name) for name in OBSERVED if name in example}

  def _map_binarized_once(self, split, seed, indices, x):
    with tf.device('CPU'):  # a draw for each example: too small for a GPU
      one = lambda example: self._binarized_once(split, seed, *example)
      return tf.map_fn(one, (indices, x), fn_output_signature=tf.TensorSpec(self.dataset.shape, tf.uint8))

  def _binarized_once(self, split, seed, index, x):
    """The one binary version of a stored x, or target, uint8, drawn from (seed, split, number of the example)."""
    uniform = tf.random.stateless_uniform(self.dataset.shape, purpose_seed(seed, f'data/static/{split}', index))
    probs = tf.cast(x, tf.float32) * self.dataset.scale + self.dataset.offset
    return tf.cast(uniform < probs, tf.uint8)
