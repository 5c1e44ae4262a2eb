"""The only evaluation loop."""

import contextlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.noise import stateless


class Result(NamedTuple):
  """What the evaluators found on a split."""

  numbers: dict[str, float]
  arrays: dict[str, dict[str, np.ndarray]]  # evaluator: name: array


class Abandoned(Exception):
  """The evaluation was given up between two batches, as it was asked to."""


class Evaluation:
  """Runs evaluators on splits.

  Its noise depends on (seed, split, batch) alone, so that the numbers of one model are always the same.

  Args:
    model, source: what is evaluated, on what.
    evaluators: a list of `analysis.evaluator.Evaluator`.
    spec: for seed, eval.num_samples and eval.batch_size.
  """

  def __init__(self, model, source, evaluators: list, spec):
    self._model, self._source, self._evaluators, self._spec = model, source, evaluators, spec
    self._sums = tf.function(self._batch_sums, autograph=False)
    self._squared_error = tf.function(self._batch_squared_error, autograph=False)

  def run(self, split: str, stopped=lambda: False) -> Result:
    """Evaluates on a split. A closed-form variance has the training split's value meanwhile.

    Raises Abandoned as soon as `stopped()`, which is asked before each batch.
    """
    with self._closed_forms(stopped):
      means = self._means(split, self._sums, stopped)
      numbers, arrays = {}, {}
      for evaluator in self._evaluators:
        prefix = f'{evaluator.name}:'
        own = {name.removeprefix(prefix): value for name, value in means.items() if name.startswith(prefix)}
        found, kept = evaluator.finish(own, self._model, self._source, split)
        numbers |= found
        if kept:
          arrays[evaluator.name] = kept
      return Result(numbers, arrays)

  @contextlib.contextmanager
  def _closed_forms(self, stopped):
    if not self._model.closed_form:
      yield
      return
    own = [tf.identity(v.value) for v in self._model.non_trainable_variables]
    try:
      self._model.update(self._means('train', self._squared_error, stopped))
      yield
    finally:
      for variable, value in zip(self._model.non_trainable_variables, own, strict=True):
        variable.assign(value)

  def _means(self, split, batch_sums, stopped):
    """Masked means over the split, summed in float64 on the host: the last, partial batch counts as what it is."""
    size = min(self._spec.eval.batch_size, self._source.dataset.size(split))
    totals = {}
    for number, examples in enumerate(self._source.evaluation_examples(split, size)):
      if stopped():
        raise Abandoned
      for name, value in batch_sums(split, tf.constant(number), examples).items():
        totals[name] = totals.get(name, 0.0) + value.numpy().astype(np.float64)
    return {name: total / self._source.dataset.size(split) for name, total in totals.items()}

  def _infer(self, split, number, examples):
    batch = self._source.evaluation_batch(split, examples, number)
    noise = stateless(self._spec.seed, number).scope(f'eval/{split}')
    return batch['mask'], self._model.infer(batch, noise, self._spec.eval.num_samples)

  def _batch_sums(self, split, number, examples):
    mask, trace = self._infer(split, number, examples)
    return {
      f'{evaluator.name}:{name}': _masked_sum(value, mask)
      for evaluator in self._evaluators
      for name, value in evaluator.per_example(self._model, trace).items()
    }

  def _batch_squared_error(self, split, number, examples):
    mask, trace = self._infer(split, number, examples)
    return {'mse': _masked_sum(trace.squared_error(), mask)}


def _masked_sum(value, mask):
  return tf.tensordot(tf.cast(mask, value.dtype), value, 1)
