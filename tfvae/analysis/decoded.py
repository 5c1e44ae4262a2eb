"""What a model decodes, batch by batch: of its prior, of its limiting distribution, of the codes of examples."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Split
from tfvae.noise import stateless


class Decoded:
  """Examples of each kind in `KINDS`, a batch of spec.eval.batch_size at a time.

  prior: z ~ p(z). limiting: z of the chain z ~ q(z | x), x ~ p(x | z) after eval.limiting.steps steps from the prior.
  reconstruction: one z ~ q(z | x) for each of the first examples of a split. A model that is told something is told
  the contexts of the split's examples in turn. The noise depends on (seed, purpose, kind, batch) alone.

  Args:
    spec: for seed, eval.batch_size and eval.limiting.steps.
    purpose: names the noise.
    shown: (model, p(x | z) of one sample [1, B], `ends`) -> what is to be given, [B, ...]. For use inside a compiled
      function.
  """

  def __init__(self, spec, purpose: str, shown: Callable):
    self._spec, self._purpose, self._shown = spec, purpose, shown
    self._generated = tf.function(self._prior_examples, autograph=False)
    self._decoded = tf.function(self._decode, autograph=False)
    self._reconstructed = tf.function(self._reconstructions, autograph=False)

  def batches(self, of: str, model, split: Split, count: int) -> Iterator[tuple[tf.Tensor, np.ndarray]]:
    """(`shown` [B, ...], which count [B]) of each batch of `count` examples of a kind; at most the split's of codes."""
    return KINDS[of](self, model, split, count)

  def _parts(self, split, count):
    """(first, which count) of each batch."""
    size = min(self._spec.eval.batch_size, count)
    firsts = range(0, count, size)
    return split.watched(((first, np.arange(first, first + size) < count) for first in firsts), len(firsts))

  def _prior(self, model, split, count):
    for first, kept in self._parts(split, count):
      context = split.context(model, len(kept), first)
      yield self._generated(model, tf.constant(first), len(kept), context, split.source.value_range), kept

  def _prior_examples(self, model, first, n, context, ends):
    trace = model.generate(n, stateless(self._spec.seed, first).scope(f'eval/{self._purpose}/prior'), context)
    return self._shown(model, trace.px, ends)

  def _decode(self, model, z, context, ends):
    return self._shown(model, model.decode(z, context), ends)

  def _limiting(self, model, split, count):
    from tfvae.models.chain import Chain

    seed = tf.Variable(self._spec.seed, trainable=False)  # a chain with another seed would be compiled again
    chain = Chain(model, seed)
    for first, kept in self._parts(split, count):
      seed.assign((self._spec.seed + 1_000_003 * first) % 2**31)
      context = split.context(model, len(kept), first)
      z = chain.run(len(kept), self._spec.eval.limiting.steps, context=context)
      yield self._decoded(model, z, context, split.source.value_range), kept

  def _reconstruction(self, model, split, count):
    for number, stored in split.batches(examples=count):
      examples = self._reconstructed(model, split, number, stored, split.source.value_range)
      yield examples, stored['mask'].numpy() > 0

  def _reconstructions(self, model, split, number, stored, ends):
    trace = model.infer(split.batch(stored), split.noise(number, f'eval/{self._purpose}/reconstruction'), 1)
    return self._shown(model, trace.px, ends)


KINDS = {'prior': Decoded._prior, 'limiting': Decoded._limiting, 'reconstruction': Decoded._reconstruction}
