"""The contract of evaluators."""

import abc
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae import memory
from tfvae.making import Make
from tfvae.models.trace import Trace
from tfvae.noise import Noise, stateless
from tfvae.observation import Observation
from tfvae.run.metrics import standard_error, what
from tfvae.spec import evaluators

# Samples are taken in parts where the largest tensor of a trace would have more values than this. It is no field, nor
# does it depend on the machine, so that the same spec gives the same numbers everywhere.
MOST = 2**25
FEWEST = 16  # samples at once, however large the tensors: what is made of x alone is made again for each part
EACH = ':each'
REMEDY = 'lower spec.eval.batch_size (the examples of a step) or spec.eval.num_samples'


class Found(NamedTuple):
  """What an evaluator found on a split."""

  numbers: dict[str, float]
  arrays: dict[str, np.ndarray]


class Split:
  """A split as evaluators see it: batches in the data's order, and noise that depends on (seed, split, batch) alone.

  Args:
    source: the batches.
    name: of the split.
    spec: for seed and eval.batch_size.
    watch: (iterator, its length) -> the same elements. The loop looks at progress and at stop signals there.
    shared: what `once` keeps, of all splits that are evaluated together.
    seed: spec.seed, or a variable with its value that compiled functions read.
  """

  def __init__(
    self,
    source,
    name: str,
    spec,
    watch: Callable[[Iterator, int], Iterator] = lambda batches, n: batches,
    shared: dict | None = None,
    seed: int | tf.Variable | None = None,
  ):
    self.source, self.name, self.spec, self._watch = source, name, spec, watch
    self._seed = spec.seed if seed is None else seed
    self._shared = {} if shared is None else shared
    self.size = source.dataset.size(name)  # examples

  def batches(self, size: int = 0, examples: int = 0) -> Iterator[tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """(number, stored examples) of each batch; 'mask' is 0 on the padding of the last one.

    Args:
      size: of a batch. 0: spec.eval.batch_size.
      examples: how many of the split's first examples. 0: all.
    """
    return self.watched(*self._batches(size, examples))

  def _batches(self, size=0, examples=0):
    """The same, not watched, and how many there are."""
    examples = min(examples or self.size, self.size)
    size = min(size or self.spec.eval.batch_size, examples)
    stored = self.source.evaluation_examples(self.name, size, examples)
    return ((tf.constant(i), batch) for i, batch in enumerate(stored)), -(-examples // size)

  def other(self, source, name: str) -> 'Split':
    """A split of another name, or of another source, watched like this one."""
    return Split(source, name, self.spec, self.watched, self._shared, self._seed)

  def once(self, what: str, found: Callable[[], object]):
    """What `found` gives, sought for the first evaluator that asks for it on this split, and handed to the others."""
    key = (id(self.source), self.name, what)
    if key not in self._shared:
      self._shared[key] = found()
    return self._shared[key]

  def watched(self, batches: Iterator, number: int) -> Iterator:
    """`batches`, of which there are `number`, with progress shown, and given up where the loop is told to."""
    return self._watch(batches, number)

  def batch(self, stored: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a model takes, of a batch of `batches`. For use inside a compiled function, as is `noise`."""
    return self.source.evaluation_batch(self.name, stored)

  def context(self, model, n: int, first: int = 0) -> tf.Tensor | None:
    """Contexts of n samples, [n, ...], of a model that takes them (else None): those of the split's examples in turn.

    first: the number of the first sample; of more samples than there are examples the first begin again.
    """
    if model.told is None:
      return None
    return self.source.at(self.name, np.arange(first, first + n) % self.size)['context']

  def noise(self, number: tf.Tensor, purpose: str = 'eval') -> Noise:
    """The noise of a purpose for a batch."""
    return stateless(self._seed, number).scope(f'{purpose}/{self.name}')

  def means(self, sums: Callable[[tf.Tensor, dict], dict]) -> dict[str, np.ndarray]:
    """Means over the split of what sums(number, stored examples) adds up of each batch: in float64, on the host."""
    totals = {}
    for number, stored in self.batches():
      for name, value in sums(number, stored).items():
        totals[name] = totals.get(name, 0.0) + value.numpy().astype(np.float64)
    return {name: total / self.size for name, total in totals.items()}

  def sampled_means(self, model, sums: Callable[[tf.Tensor, dict, 'Samples'], dict]) -> dict[str, np.ndarray]:
    """The same of means over spec.eval.num_samples samples of q(z | x), which sums(number, stored, samples) takes.

    So many samples that a trace of all would be large are taken in parts, of which the mean is weighted by their sizes.
    What is named `each(name)` is not added up, but [B], of each example: of it there is the mean's standard error.
    """
    sizes, examples = self._parts(model), {}
    batches, number = self._batches()
    parts = (
      (i, stored, Samples(size, None if len(sizes) == 1 else tf.cast(i, tf.int64) * len(sizes) + part))
      for i, stored in batches
      for part, size in enumerate(sizes)
    )
    totals = {}
    for i, stored, samples in self.watched(parts, number * len(sizes)):
      weight = samples.size / sum(sizes) if len(sizes) > 1 else 1.0
      for name, value in sums(i, stored, samples).items():
        value = weight * value.numpy().astype(np.float64)
        if name.endswith(EACH):
          value = value[stored['mask'].numpy() > 0]
          of_batch = examples.setdefault(name, {})
          of_batch[int(i)] = of_batch.get(int(i), 0.0) + value
        else:
          totals[name] = totals.get(name, 0.0) + value
    errors = {name: _standard_error(np.concatenate(list(of.values()))) for name, of in examples.items()}
    return {name: total / self.size for name, total in totals.items()} | errors

  def _parts(self, model):
    """The sizes of the parts, which differ by one at most."""
    samples, batch = self.spec.eval.num_samples, min(self.spec.eval.batch_size, self.size)
    count = 1
    if samples >= 2 * FEWEST:  # else there is nothing to part
      count = max(1, samples // max(FEWEST, MOST // (batch * widest(model, self.source.dtype))))
    size, larger = divmod(samples, count)
    at_once = (size + (larger > 0) or 2 * math.prod(model.latents[0].shape)) * batch
    values = at_once * math.prod(model.shape) * tf.as_dtype(self.source.dtype).size
    memory.require_tensor(values, f'E[x | z] of {at_once:,} samples at once', REMEDY)
    return [size + 1] * larger + [size] * (count - larger)

  def sample_noise(self, number: tf.Tensor, samples: 'Samples') -> Noise:
    """The noise of a part of the samples of a batch."""
    return self.noise(number) if samples.part is None else self.noise(samples.part, 'eval/parts')


def each(name: str) -> str:
  """What a number of each example is called, for its spread (`Split.sampled_means`)."""
  return f'{name}{EACH}'


def _standard_error(values):
  return np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else np.float64(0.0)


class Samples(NamedTuple):
  """Latent samples of each example of a batch that are taken at once."""

  size: int  # how many. 0: the points of a cubature
  part: tf.Tensor | None  # the number of this part among those of all batches; None where all are taken at once


def widest(model, dtype: str) -> int:
  """Values of the largest tensor of a trace, for one sample of one example."""
  samples = 7  # what is as long grows with them
  infer = tf.function(lambda batch: model.infer(batch, stateless(0, 0), samples).log_px, autograph=False)
  batch = {'x': tf.TensorSpec([1, *model.shape], dtype)}
  if model.told is not None:
    batch['context'] = tf.TensorSpec([1, *model.told], model.context.input_type)
  graph = infer.get_concrete_function(batch).graph
  tensors = (tensor for operation in graph.get_operations() for tensor in operation.outputs)
  sizes = (t.shape.num_elements() for t in tensors if t.shape.rank and t.shape[0] == samples)
  return max(1, *(size // samples for size in sizes if size))


def with_errors(means: Mapping[str, np.ndarray]) -> dict[str, float]:
  """Numbers of `Split.sampled_means`: the means, then the standard errors of those that have one, under its name."""
  numbers = {name: float(value) for name, value in means.items() if not name.endswith(EACH)}
  return numbers | {standard_error(n.removesuffix(EACH)): float(v) for n, v in means.items() if n.endswith(EACH)}


def masked_sum(value: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
  """[B, ...] -> [...]: the sum over the examples that are no padding."""
  return tf.tensordot(tf.cast(mask, value.dtype), value, 1)


def statistics(model, split: Split) -> Callable[[tf.Tensor, dict, Samples], dict]:
  """For `Split.sampled_means`: what closed-form variances are set from."""

  def sums(number, stored, samples):
    batch = split.batch(stored)
    trace = model.infer(batch, split.sample_noise(number, samples), samples.size)
    return {name: masked_sum(value, batch['mask']) for name, value in model.statistics(trace).items()}

  return tf.function(sums, autograph=False)


def moments(
  split: Split, features: Callable[[tf.Tensor, dict], tf.Tensor] | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """Mean and variance over a split, [...] in float64: of each dimension of x, which is encoded; or of each feature of
  what is scored, the target where there is one, else x: features(that, batch) [B, ...].
  """

  def sums(stored):
    batch = split.batch(stored)
    value = features(batch.get('target', batch['x']), batch) if features else batch['x']
    x, mask = tf.cast(value, tf.float64), stored['mask']
    return {'x': masked_sum(x, mask), 'square': masked_sum(tf.square(x), mask)}

  compiled = tf.function(sums, autograph=False)
  means = split.means(lambda number, stored: compiled(stored))
  return means['x'], means['square'] - np.square(means['x'])


class Evaluator(abc.ABC):
  """Named numbers and arrays of a model on a split, in passes of its own.

  Attributes:
    name: its name in spec.eval.evaluators; of the class, that of its kind.
  """

  name: str

  def __init__(self, spec):
    self.spec = spec

  @property
  def section(self):
    """Its section of spec.eval."""
    return self.spec.eval[self.name]

  @classmethod
  def from_spec(cls, spec, observation: Observation, make: Make, run=None, name: str = '') -> 'Evaluator':
    """The evaluator of a spec.

    observation: what is known of an example.
    make: builds by name what it needs.
    run: the run directory, if any, that keeps what it needs again.
    name: that of spec.eval.evaluators, which is given to what is made here.
    """
    del observation, make, run, name
    return cls(spec)

  def settings(self) -> dict:
    """All that its numbers depend on beside the model and the data: found with the same, they are not sought again."""
    known = evaluators.entry(self.name)
    own = {field: self.section[field] for field in known.fields}
    return {'version': known.version} | {field: self.spec.eval[field] for field in known.uses} | own

  @abc.abstractmethod
  def evaluate(self, model, split: Split) -> Found:
    """What there is to find."""


class TraceEvaluator(Evaluator):
  """An evaluator of averages over a trace of each batch, which the loop makes once for all of this kind.

  `batch` below is what the trace is of: 'x' [B, ...], 'mask' [B], 0 on padding, and 'label' [B] where the data have it.

  Attributes:
    variables: those that its sums read: by them a compiled sum is that of another run.
    spread: the kinds of numbers, rate of rate/z2, whose standard errors over the examples are found, too.
  """

  variables: list = []
  spread: tuple[str, ...] = ()

  def per_example(self, model, trace: Trace, split: Split, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What is averaged over the split: {key: [B, ...]}."""
    del model, trace, split, batch
    return {}

  def sums(self, model, trace: Trace, split: Split, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """{key: [...]}, summed over the examples whose mask is not 0; by default of `per_example`."""
    found = self.per_example(model, trace, split, batch)
    spread = {each(name): value for name, value in found.items() if what(name) in self.spread}
    return {name: masked_sum(value, batch['mask']) for name, value in found.items()} | spread

  @abc.abstractmethod
  def finish(self, means: dict[str, np.ndarray], model, split: Split) -> Found:
    """What follows from the means of the sums over the split, in float64."""

  def evaluate(self, model, split):
    raise TypeError(f'{self.name} is evaluated by the loop, from its trace')
