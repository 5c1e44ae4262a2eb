"""Runs as they are used: the trained model of a run directory, and what it encodes, decodes and samples."""

import errno
import functools
import pathlib

import numpy as np

from tfvae import build
from tfvae.observation import Observation
from tfvae.quiet import import_tensorflow
from tfvae.run.directory import Directory
from tfvae.run.files import replaced, writing


class Run(Directory):
  """A run directory, and the trained model in it. See docs/run-directory.md.

  Attributes:
    workdir: its path.
    spec: the resolved spec of the run.
    model: the trained model, with the averaged weights where the run has them (made when first asked for).
    metrics: {'train': {name: array}, 'test': ...} of metrics.jsonl, with the 'step' of each row; NaN where a row lacks
      a name. Evaluations on the training split are under 'train (evaluated)'.
    evaluation: the last evaluation of spec.eval.split.
    verbs: what `model` is used for, a `Verbs`; `scale`, `scale_context`, `encode`, `decode`, `drawings`, `reconstruct`,
      `sample` and `elbo` call it. A closed-form variance is given the training split's value when it is made, which
      takes the data.
  """

  @property
  def summary(self) -> dict:
    """`data`; made again from the data themselves where data.json was lost."""
    return self.data or build.dataset(self.spec).summary

  @functools.cached_property
  def model(self):
    import_tensorflow()
    return self.restore(build.model(self.spec, Observation.kept(self.summary)))[0]

  @functools.cached_property
  def verbs(self):
    import_tensorflow()
    return build.verbs(self.spec, self.model, self.summary)

  def scale(self, values) -> dict[str, np.ndarray]:
    """x [B, ...] as the model takes it from values [B, ...] as they are stored: pixels, or columns of a table."""
    return self.verbs.run('scale', values=values)

  # A model that is told something (spec.data.context) takes context=[B, ...] beside, labels [B] or what
  # `scale_context` gives.

  def scale_context(self, values) -> dict[str, np.ndarray]:
    """context [B, ...] as the model takes it from values [B, ...] as they are stored, where that is no label."""
    return self.verbs.run('scale_context', values=values)

  def encode(self, x, context=None) -> dict[str, np.ndarray]:
    """<layer>_loc, <layer>_scale [B, ...]: q(z | x) of x [B, ...]. Other families have others: `Verbs`."""
    return self.verbs.run('encode', x=x, context=context)

  def decode(self, context=None, **z) -> dict[str, np.ndarray]:
    """mean, and scale or logits [B, ...]: p(x | z) of z1=[B, ...], and of the other layers where x depends on them."""
    return self.verbs.run('decode', context=context, **z)

  def drawings(self, context=None, **z) -> dict[str, np.ndarray]:
    """mean [B, T, ...]: E[x | z_<=t] of z=[B, T, ...], what a model that draws in steps shows after each of them."""
    return self.verbs.run('drawings', context=context, **z)

  def reconstruct(self, x, context=None) -> dict[str, np.ndarray]:
    """mean [B, ...]: E[x | z] at the posterior's means of x [B, ...]."""
    return self.verbs.run('reconstruct', x=x, context=context)

  def sample(self, n: int = 0, seed: int = 0, context=None) -> dict[str, np.ndarray]:
    """<layer>, x, mean [n, ...]: z ~ p(z), x ~ p(x | z), E[x | z]; context may be one for all n, or [n, ...]."""
    return self.verbs.run('sample', n=n, seed=seed, context=context)

  def elbo(self, x, seed: int = 0, context=None, target=None) -> dict[str, np.ndarray]:
    """elbo (beta 1), log_likelihood, rate, rate_<layer> [B] of x [B, ...] in nats, by spec.eval.num_samples samples.

    With data.target=own the target [B, ...] is what is scored.
    """
    return self.verbs.run('elbo', x=x, seed=seed, context=context, target=target)

  def write_export(self, verbs, step: int) -> pathlib.Path:
    """Writes export/ whole or not at all; returns it."""
    import tensorflow as tf

    from tfvae.run.checkpoints import why

    path = self.workdir / 'export'
    with writing(self.workdir), replaced(path) as directory:
      try:
        verbs.write(directory, step)
      except tf.errors.OpError as error:
        raise OSError(errno.EIO, why(error, directory)) from error
    return path
