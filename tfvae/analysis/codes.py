"""Codes of a split, and the densities of the mixture of all posteriors: made once, and shared by evaluators.

The mixture of a split is q(z) = (1/N) sum_n q(z | x_n), of its examples with label c q(z | c). Where there are several
layers, those that are inferred first are a mixture too: q(z_L, ..., z_l | x) is a product of what `Trace.log_q` has.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Split
from tfvae.errors import UserError
from tfvae.models.trace import sections

MOST = 2**24  # numbers of z at so many posteriors, at once


class Codes(NamedTuple):
  """Of the N examples of a split, by layer in the order of inference."""

  z: dict[str, np.ndarray]  # one sample of q(z | x): [N, ...]
  location: dict[str, np.ndarray]  # of q(z_l | ., x), at the locations of the layers before: [N, ...]
  label: np.ndarray | None  # [N]; None where there are none
  rate: dict[str, np.ndarray] = {}  # KL_l at the samples before it (`Trace.kl`), in nats: [N]


class Densities(NamedTuple):
  """In nats, of n samples z ~ q(z | x), of the examples `index`."""

  index: np.ndarray  # [n]
  own: np.ndarray  # log q(z | x): [n]
  mixture: np.ndarray  # log q(z): [n]
  of_label: np.ndarray | None  # log q(z | c), c the label of x: [n]


def codes(model, split: Split) -> Codes:
  """Those of a split. The noise depends on (seed, split, batch) alone."""

  def run(number, stored):
    batch = split.batch(stored)
    trace = model.infer(batch, split.noise(number, 'eval/codes'), 1)
    location, in_order = model.encode(batch)
    return tuple({name: of[name][0] for name in in_order} for of in (trace.z, location, trace.kl))

  compiled = tf.function(run, autograph=False)
  parts, labels = [], []
  for number, stored in split.batches():
    kept = stored['mask'].numpy() > 0
    parts.append(tf.nest.map_structure(lambda value, kept=kept: value.numpy()[kept], compiled(number, stored)))
    labels += [stored['label'].numpy()[kept]] if 'label' in stored else []
  join = lambda which: {name: np.concatenate([part[which][name] for part in parts]) for name in parts[0][which]}
  return Codes(join(0), join(1), np.concatenate(labels) if labels else None, join(2))


def require_labels(found: Codes, name: str) -> None:
  """Raises UserError: all labels are the same, which the evaluator `name` is not for.

  Of examples that are read when they are needed this is not known before.
  """
  if len(np.unique(found.label)) < 2:
    raise UserError(
      f'spec.eval.evaluators: got {name}, which needs labels that differ, but all of the split are '
      f'{found.label[0]:g}; leave it out'
    )


def prefixes(layers: list[str]) -> list[int]:
  """How many of the first layers are taken together: each number of them; of the steps of a section that repeats 1, 2,
  4, ... and all.
  """
  total = len(layers)
  if len(sections(layers)) == total:
    return list(range(1, total + 1))
  return sorted({*(2**i for i in range(total.bit_length()) if 2**i < total), total})


def first_layer(model, split: Split, found: Codes, examples: int = 0) -> Densities:
  """Of the layer that is inferred first, at the codes of all N examples, by all N posteriors.

  examples: at how many of the codes, evenly spread. 0: at all.
  """
  name = next(iter(found.z))
  return _densities(split, found, _spread(found, examples), _pairs_of_first(model, split, name), [name])


def first_layers(model, split: Split, found: Codes, count: int, examples: int) -> Densities:
  """The same of the first `count` layers together, at the codes of `examples` of the N examples, evenly spread."""
  names = list(found.z)[:count]
  return _densities(split, found, _spread(found, examples), _pairs(model, split, names), names)


def _spread(found, examples):
  """So many of the examples, 0: all."""
  total = len(next(iter(found.z.values())))
  return np.unique(np.linspace(0, total - 1, min(examples or total, total)).astype(int))


def _pairs_of_first(model, split, name):
  def pairs(stored, z):
    batch = split.batch(stored)
    return model.families[name].pairwise_log_prob(model.encode(batch)[1][name], z[name])

  return pairs


def _pairs(model, split, names):
  def pairs(stored, z):
    batch = split.batch(stored)
    size = tf.shape(batch['x'])[0]

    def choose(layer, q):
      # The layers after these are wherever they are: what is asked does not depend on them.
      return tf.repeat(z[layer.name][:, None], size, 1) if layer.name in names else layer.family.location(q)

    found = model.posterior_log_prob(batch, choose)
    return tf.add_n([tf.cast(found[name], tf.float64) for name in names])

  return pairs


def _densities(split, found, index, pairs, names):
  """By pairs(stored examples, {layer: [A, ...]}) -> log q(z_a | x_b) [A, B]."""
  labels, total = found.label, len(found.z[names[0]])
  counts = None if labels is None else np.bincount(labels.astype(int))

  def run(stored, z, of, own):
    log_q = tf.where(stored['mask'][None] > 0, tf.cast(pairs(stored, z), tf.float64), -np.inf)
    found = {'mixture': tf.reduce_logsumexp(log_q, 1)}
    if of is not None:
      same = tf.cast(stored['label'], tf.int64)[None] == of[:, None]
      found['of_label'] = tf.reduce_logsumexp(tf.where(same, log_q, tf.constant(-np.inf, tf.float64)), 1)
    is_own = (tf.cast(stored['index'], tf.int64)[None] == own[:, None]) & (stored['mask'][None] > 0)
    found['own'] = tf.reduce_sum(tf.where(is_own, log_q, tf.zeros_like(log_q)), 1)
    return found

  compiled = tf.function(run, autograph=False)  # models need to know how many samples there are: traced for each size
  width = sum(int(np.prod(found.z[name].shape[1:])) for name in names)
  sums = {'mixture': np.full(len(index), -np.inf), 'own': np.zeros(len(index))}
  sums |= {} if labels is None else {'of_label': np.full(len(index), -np.inf)}
  for number, stored in split.batches():
    del number
    size = max(1, MOST // (width * len(stored['mask'])))
    for part in _parts(len(index), size):
      of = None if labels is None else tf.constant(labels[index[part]], tf.int64)
      z = {name: tf.constant(found.z[name][index[part]]) for name in names}
      own = tf.constant(index[part], tf.int64)
      for name, value in compiled(stored, z, of, own).items():
        add = np.add if name == 'own' else np.logaddexp
        sums[name][part] = add(sums[name][part], value.numpy())
  of_label = None if labels is None else sums['of_label'] - np.log(counts[labels[index].astype(int)])
  return Densities(index, sums['own'], sums['mixture'] - np.log(total), of_label)


def _parts(count, size) -> Iterator[slice]:
  size = -(-count // -(-count // size))  # about as large as each other
  return (slice(begin, min(begin + size, count)) for begin in range(0, count, size))
