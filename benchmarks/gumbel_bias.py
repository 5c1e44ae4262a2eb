"""How biased the gradient through categories is, by the temperature of the softened samples: against enumeration.

    python benchmarks/gumbel_bias.py [--draws 60] [--picture docs/images/gumbel-bias.png]

A hierarchy of two groups of three categories in each of two layers, with random weights, on six binary images of 3 x 3
pixels: the gradient of the ELBO on the encoder, by all 81 states and by the mean over many samples. Prints, in units of
the norm of the enumerated gradient: the norm of the bias, the standard error of that (what would be there without any
bias), and the norm of the standard deviation of one sample. The picture has them over the temperature.
"""

import argparse
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfvae import build  # noqa: E402
from tfvae import spec as spec_lib  # noqa: E402
from tfvae.families.estimators import GumbelSoftmax, ScoreFunction, StraightThrough, StraightThroughGumbel  # noqa: E402
from tfvae.models.enumeration import log_densities, states  # noqa: E402
from tfvae.noise import stateless  # noqa: E402
from tfvae.objectives.elbo import Elbo  # noqa: E402
from tfvae.objectives.terms import Distortion, Rates  # noqa: E402
from tfvae.observation import Observation  # noqa: E402

TEMPERATURES = (2.0, 1.4, 1.0, 0.7, 0.5, 0.4, 0.3, 0.2, 0.14, 0.1, 0.07, 0.05)
COPIES = 1000  # of each image in a draw


def model_and_data():
  """The hierarchy, and x [6, 3, 3, 1]."""
  spec = spec_lib.base(('z2', 'z1'))
  for layer in ('z2', 'z1'):
    spec.model[layer].family, spec.model[layer].groups, spec.model[layer].dim = 'categorical', 2, 3
    spec.model[layer].encoder.hidden = (5,)
  fields = {'decoder.likelihood': 'bernoulli', 'decoder.net.hidden': (6,), 'objective.estimator': 'gumbel_softmax'}
  fields |= {'data.binarize': 'threshold', 'eval.evaluators': ('bounds',), 'sample.what': ('prior',)}
  model, rng = build.model(spec_lib.resolve(spec, fields), Observation((3, 3, 1))), np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.7 * rng.standard_normal(variable.shape))
  return model, tf.constant(rng.integers(2, size=(6, 3, 3, 1)).astype(np.float32))


def enumerated(model, x) -> np.ndarray:
  """The gradient of -ELBO on the encoder's variables, all in one vector."""
  variables, table = model.players['inference'], {k: tf.constant(v) for k, v in states(model).items()}
  with tf.GradientTape() as tape:
    joint, log_q = log_densities(model, x, table)
    loss = tf.reduce_mean(tf.reduce_sum(tf.exp(log_q) * (log_q - joint), 0))
  gradients = tape.gradient(loss, [v.value for v in variables], unconnected_gradients='zero')
  return np.concatenate([np.ravel(gradient) for gradient in gradients]).astype(np.float64)


def estimated(model, x, estimator, samples: int = 1):
  """draws -> estimates of it, [draws, parameters], each the mean over `COPIES` samples of each image."""
  terms, variables = [Rates({'z2': 1.0, 'z1': 1.0}), Distortion()], model.players['inference']
  objective = Elbo(model, terms, samples, estimator=estimator)
  batch = {'x': tf.repeat(x, COPIES, axis=0)}

  @tf.function(autograph=False)
  def draw(step):
    with tf.GradientTape() as tape:
      loss, _ = objective.loss('model', model, batch, step, stateless(0, step))
      loss = tf.reduce_mean(loss)
    gradients = tape.gradient(loss, [v.value for v in variables], unconnected_gradients='zero')
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], 0)

  return lambda draws: np.stack([draw(tf.constant(i)).numpy() for i in range(draws)]).astype(np.float64)


def compared(draws: np.ndarray, want: np.ndarray) -> tuple[float, float, float]:
  """Bias, its standard error, and the deviation of one sample of one image, relative to the norm of `want`."""
  norm, deviation = np.linalg.norm(want), np.linalg.norm(draws.std(0, ddof=1))
  bias = np.linalg.norm(draws.mean(0) - want)
  return bias / norm, deviation / np.sqrt(len(draws)) / norm, deviation * np.sqrt(6 * COPIES) / norm


def picture(found: dict[str, dict], flat: dict[str, tuple], path: str) -> None:
  """Bias and spread over the temperature."""
  from matplotlib.figure import Figure

  drawn = Figure((9, 3.6), layout='constrained')
  axes = drawn.subplots(1, 2)
  for color, (name, curve) in zip(('C0', 'C1'), found.items(), strict=True):
    temperatures, values = list(curve), np.array(list(curve.values()))
    axes[0].plot(temperatures, values[:, 0], 'o-', markersize=3, color=color, label=name)
    axes[0].plot(temperatures, values[:, 1], ':', color=color)
    axes[1].plot(temperatures, values[:, 2], 'o-', markersize=3, color=color, label=name)
  for color, (name, values) in zip(('C2', 'C3'), flat.items(), strict=True):
    for axis, value in ((axes[0], values[0]), (axes[1], values[2])):
      axis.axhline(value, color=color, linewidth=1, linestyle='--', label=name)
  titles = ('norm of the bias (dotted: its standard error)', 'norm of the standard deviation of one sample')
  for axis, title in zip(axes, titles, strict=True):
    axis.set(xscale='log', yscale='log', xlabel='temperature', title=title)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
  drawn.savefig(path, dpi=110)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--draws', type=int, default=60, help=f'means over {COPIES} samples of each image')
  parser.add_argument('--picture', default='', help='where to draw')
  args = parser.parse_args()
  (model, x), temperature = model_and_data(), tf.Variable(1.0)
  want, now = enumerated(model, x), lambda step: temperature
  found, flat = {}, {}
  print(f'{"estimator":<26}{"T":>6}{"bias":>10}{"(error)":>10}{"deviation":>11}')
  tempered = {'gumbel_softmax': GumbelSoftmax(now), 'straight_through_gumbel': StraightThroughGumbel(now)}
  for name, estimator in tempered.items():
    draw, found[name] = estimated(model, x, estimator), {}
    for value in TEMPERATURES:
      temperature.assign(value)
      found[name][value] = bias, error, deviation = compared(draw(args.draws), want)
      print(f'{name:<26}{value:>6g}{bias:>10.4f}{error:>10.4f}{deviation:>11.2f}', flush=True)
  for name, estimator, samples in (
    ('straight_through', StraightThrough(), 1),
    ('score_function, 2 samples', ScoreFunction(), 2),
  ):
    flat[name] = bias, error, deviation = compared(estimated(model, x, estimator, samples)(args.draws), want)
    print(f'{name:<26}{"":>6}{bias:>10.4f}{error:>10.4f}{deviation:>11.2f}', flush=True)
  if args.picture:
    picture(found, flat, args.picture)


if __name__ == '__main__':
  main()
