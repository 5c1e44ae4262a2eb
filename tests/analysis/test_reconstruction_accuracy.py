"""What a classifier sees in reconstructions: by stand-ins whose every answer is known."""

import math
import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny_spec

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.evaluator import Split
from tfvae.analysis.reconstruction_accuracy import LEAST, ReconstructionAccuracy
from tfvae.models.sight import Sight
from tfvae.observation import Observation


class Darkens:
  """Reconstructs black images of the first half of a batch, and the others as they are."""

  def infer(self, batch, noise, samples):
    assert samples == 1
    half = tf.cast(tf.range(tf.shape(batch['x'])[0]) < 10, batch['x'].dtype)[:, None, None, None]
    return types.SimpleNamespace(mean=(batch['x'] * (1 - half))[None])


class Reads:
  """Stands for a classifier: sees 0 in black images, with certainty, and else one of 1 to 9 by how bright they are."""

  identity, name = 'stands for one', 'classifier'

  def probabilities(self, x):
    bright = tf.reduce_mean(x, [1, 2, 3])
    label = tf.cast(tf.where(bright == 0, 0.0, 1 + tf.math.floor(40 * bright) % 9), tf.int32)
    sure = tf.where(bright == 0, 1.0, 0.7)[:, None]
    return sure * tf.one_hot(label, 10, dtype=x.dtype) + (1 - sure) / 10


def test_by_hand():
  """With padding in the last batch, and what is impossible."""
  spec = spec_lib.resolve(tiny_spec(), {'eval.batch_size': 20})
  data = build.dataset(spec)
  split = Split(build.source(spec, data), 'test', spec)
  sight = Sight(Reads(), Observation((8, 8, 1)))
  numbers = ReconstructionAccuracy(spec, sight).evaluate(Darkens(), split).numbers
  stored = build.loader('digits').load(spec.data).splits['test']
  x, label = stored['x'] / np.float32(16), stored['label']
  black = np.arange(297) % 20 < 10
  for of, dark in (('data', np.zeros(297, bool)), ('reconstruction', black)):
    bright = np.where(dark, 0, x.mean((1, 2, 3)))
    seen = np.where(dark, 0, 1 + np.floor(40 * bright) % 9)
    right = seen == label
    sure = np.where(dark, 1, 0.7)
    probability = np.where(right, sure, 0) + (1 - sure) / 10
    other = (1 - sure) / 10
    entropy = -((sure + other) * np.log(sure + other) + 9 * other * np.log(np.maximum(other, 1e-300)))
    each = {'accuracy': right, 'entropy': entropy, 'log_probability': np.log(np.maximum(probability, LEAST))}
    for what, values in each.items():
      assert numbers[f'reconstruction_{what}/{of}'] == pytest.approx(values.mean(), rel=1e-4), (what, of)
      error = np.std(values, ddof=1) / math.sqrt(297)
      assert numbers[f'reconstruction_{what}_standard_error/{of}'] == pytest.approx(error, rel=1e-4, abs=1e-7)
  assert numbers['reconstruction_log_probability/reconstruction'] < -20 and numbers['reconstruction_accuracy/data'] > 0
  assert len(numbers) == 12
