"""Estimators of the gradient through discrete samples: their temperature, and which fields of a spec belong to them."""

import math

import pytest
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.families.bernoulli import DiagonalBernoulli, independent

BITS = {'model.z1.family': 'bernoulli', 'eval.evaluators': ('bounds',), 'sample.what': ('prior',)}


def resolve(**fields):
  fields = {name.replace('__', '.'): value for name, value in fields.items()}
  return spec_lib.resolve(spec_lib.base(('z1',)), BITS | fields)


def estimator(name, **fields):
  return build.estimator(resolve(objective__estimator=name, train__steps=100, **fields))


def test_the_temperature_falls_by_the_fraction_of_training_done():
  tempered = {'objective__temperature': 1.0, 'objective__temperature_decay': 3.5, 'objective__temperature_floor': 0.4}
  falling = estimator('gumbel_sigmoid', **tempered)
  for step in (0, 10, 25, 26, 27, 100):  # published: max(exp(-0.007 epoch), 0.4), over 500 epochs
    want = max(math.exp(-0.007 * 500 * step / 100), 0.4)
    assert float(falling.temperature(tf.constant(step, tf.int64))) == pytest.approx(want, rel=1e-6)
  assert float(estimator('gumbel_sigmoid').temperature(tf.constant(50))) == 0.5
  assert estimator('zgr').temperature(tf.constant(50)) is None


def test_samples_have_the_temperature_of_their_step():
  """The slope of sigmoid((l + noise) / T) at the noise of the draw, T that of the step; the sample itself is a bit."""
  family, logits = DiagonalBernoulli((1,), name='q'), tf.constant([[[0.4]]])
  falling = estimator('gumbel_sigmoid', objective__temperature_decay=2.0)
  uniform = 0.3
  noise = noise_lib.Noise(lambda request: tf.fill(request.shape, tf.cast(uniform, request.dtype)))
  for step in (0, 60):
    with tf.GradientTape() as tape:
      tape.watch(logits)
      bit = family.sample(independent(logits, 1), noise, 'z', (1, 1), falling.at(tf.constant(step)))
    temperature = 0.5 * math.exp(-2 * step / 100)
    relaxed = 1 / (1 + math.exp(-(0.4 + math.log1p(-uniform) - math.log(uniform)) / temperature))
    assert float(bit[0, 0, 0]) == pytest.approx(1, abs=1e-6)
    assert float(tape.gradient(bit, logits)[0, 0, 0]) == pytest.approx(relaxed * (1 - relaxed) / temperature, rel=1e-4)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'objective__temperature': 0.0}, r'spec\.objective\.temperature: got 0.0; allowed: a number > 0'),
    ({'objective__temperature': -1.0}, r'spec\.objective\.temperature: got -1.0; allowed: a number > 0'),
    (
      {'objective__temperature_floor': 0.4},
      r'temperature_floor: got 0.4, but the temperature does not fall: give spec',
    ),
    (
      {'objective__temperature_decay': 1.0, 'objective__temperature_floor': 0.5},
      r'temperature_floor: got 0.5; allowed: less than spec.objective.temperature \(0.5\)',
    ),
    ({'objective__temperature': 1e-9}, r'spec\.objective\.temperature: got 1e-09, and the temperature comes to 1e-09'),
    ({'objective__temperature_decay': 40.0}, r'temperature_floor: got 0, and the temperature comes to 2.1e-18'),
    (
      {'objective__estimator': 'zgr', 'objective__temperature': 1.0},
      r'spec\.objective\.temperature: got 1, but spec.objective.estimator=zgr has no temperature; those that',
    ),
    (
      {'objective__estimator': 'zgr', 'objective__temperature_decay': 1.0},
      r'temperature_decay: got 1, but .*=zgr has no',
    ),
  ],
)
def test_mistakes_are_named(fields, message):
  with pytest.raises(SpecError, match=message):
    resolve(**{'objective__estimator': 'gumbel_sigmoid'} | fields)
