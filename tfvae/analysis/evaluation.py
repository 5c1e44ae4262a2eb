"""The only evaluation loop."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator

import tensorflow as tf

from tfvae import memory
from tfvae.analysis.evaluator import REMEDY, Evaluator, Found, Split, TraceEvaluator, statistics
from tfvae.spec.evaluators import own


class Abandoned(Exception):
  """The evaluation was given up between two batches, as it was asked to."""


def complete(evaluation: 'Evaluation', evaluators: list[Evaluator], run, step: int, split: str, show) -> dict:
  """Finds and keeps in a Run what is not there yet of a checkpoint; returns all numbers of the split there.

  Each evaluator's part is kept as soon as it is found, so that an interruption loses at most the one at work.
  """
  settings = {evaluator.name: evaluator.settings() for evaluator in evaluators}
  missing = [e for e in evaluators if not run.has_found(step, split, e.name, settings[e.name])]
  for evaluator, found in evaluation.run(split, missing, show=show):
    run.write_found(step, split, evaluator.name, settings[evaluator.name], found.numbers, found.arrays)
  return run.write_evaluation(step, split)


def by_split(evaluators: list[Evaluator], splits: Iterable[str]) -> dict[str, list[Evaluator]]:
  """{split: its evaluators}: of `splits` those that have no split of their own, and of each what has it."""
  places = [evaluator.section.split for evaluator in evaluators]
  found = {split: [] for split in (*splits, *filter(None, places))}
  for evaluator, split in zip(evaluators, places, strict=True):
    for of in (split,) if split else splits:
      found[of].append(evaluator)
  return found


def _told_apart(evaluator, found):
  """What one of several of a kind found: its numbers end in its own name."""
  name = own(evaluator.name)
  return found._replace(numbers={f'{key}@{name}': value for key, value in found.numbers.items()}) if name else found


class Evaluation:
  """Runs evaluators on splits.

  Their noise depends on (seed, split, batch) alone, so that the numbers of one model are always the same, whichever
  evaluators run together.

  Args:
    model, source: what is evaluated, on what; the seed is that of `source.noise_seed`.
    spec: for eval.num_samples and eval.batch_size.
  """

  def __init__(self, model, source, spec):
    self._model, self._source, self._spec = model, source, spec
    self._splits, self._compiled, self._shared = {}, {}, {}
    self._watch = None

  def run(
    self,
    split: str,
    evaluators: list[Evaluator],
    stopped: Callable[[], bool] = lambda: False,
    show: Callable[[str, Iterator, int], Iterator] = lambda label, batches, number: batches,
  ) -> Iterator[tuple[Evaluator, Found]]:
    """Each evaluator with what it found, as soon as it is found. A closed-form variance has the training split's value.

    Args:
      split: its name.
      evaluators: those of a trace come first, from one pass over the split.
      stopped: asked before each batch, or part of its samples; Abandoned is raised where it says so.
      show: (label, batches, their number) -> the batches, with progress shown.
    """
    of_trace = [evaluator for evaluator in evaluators if isinstance(evaluator, TraceEvaluator)]
    self._shared.clear()  # of other weights
    with memory.short(REMEDY), self.closed_forms(stopped) if evaluators else contextlib.nullcontext():
      if of_trace:
        self._watch = self._watcher(', '.join(evaluator.name for evaluator in of_trace), stopped, show)
        means = self._split(split).sampled_means(self._model, self._trace_sums(of_trace, split))
        for evaluator in of_trace:
          prefix = f'{evaluator.name}:'
          mine = {name.removeprefix(prefix): value for name, value in means.items() if name.startswith(prefix)}
          yield evaluator, _told_apart(evaluator, evaluator.finish(mine, self._model, self._split(split)))
      for evaluator in evaluators:
        if evaluator not in of_trace:
          self._watch = self._watcher(evaluator.name, stopped, show)
          yield evaluator, _told_apart(evaluator, evaluator.evaluate(self._model, self._split(split)))
    self._shared.clear()  # codes of large splits are large

  def _split(self, name):
    if name not in self._splits:
      watch = lambda batches, number: self._watch(batches, number)
      self._splits[name] = Split(self._source, name, self._spec, watch, self._shared, self._source.noise_seed)
    return self._splits[name]

  @staticmethod
  def _watcher(label, stopped, show):
    def watch(batches, number):
      for batch in show(label, batches, number):
        if stopped():
          raise Abandoned
        yield batch

    return watch

  @contextlib.contextmanager
  def closed_forms(self, stopped: Callable[[], bool] = lambda: False):
    """Inside, a closed-form variance has the training split's value."""
    if not self._model.closed_form:
      yield
      return
    own = [tf.identity(v.value) for v in self._model.non_trainable_variables]
    self._watch = self._watcher('', stopped, lambda label, batches, number: batches)
    try:
      self._model.update(self._split('train').sampled_means(self._model, self._statistics))
      yield
    finally:
      for variable, value in zip(self._model.non_trainable_variables, own, strict=True):
        variable.assign(value)

  def take(self, spec) -> None:
    """Goes on with the evaluators of another run, whose spec is another in its runtime values alone."""
    self._spec = spec
    for split in self._splits.values():
      split.spec = spec

  def _trace_sums(self, evaluators, name):
    """A compiled function of (number, stored examples, samples), made once: evaluation is repeated."""
    key = (name, *(evaluator.name for evaluator in evaluators))
    if key not in self._compiled:
      self._compiled[key] = evaluators, self._compile(evaluators, self._split(name))
    compiled_of, compiled = self._compiled[key]
    for old, new in zip(compiled_of, evaluators, strict=True):
      for variable, value in zip(old.variables, new.variables, strict=True) if old is not new else ():
        variable.assign(value)
    return compiled

  def _compile(self, evaluators, split):
    def sums(number, stored, samples):
      batch = split.batch(stored)
      trace = self._model.infer(batch, split.sample_noise(number, samples), samples.size)
      return {
        f'{evaluator.name}:{key}': value
        for evaluator in evaluators
        for key, value in evaluator.sums(self._model, trace, split, batch).items()
      }

    return tf.function(sums, autograph=False)

  @functools.cached_property
  def _statistics(self):
    return statistics(self._model, self._split('train'))
