"""What q lacks where the true posterior is a banana: a diagonal Gaussian beside real NVP.

    python benchmarks/banana.py [--seeds 3] [--picture docs/images/nvp-banana.png]

z ~ N(0, I) of two units, x = (z1, z2 + z1^2) + noise of standard deviation 0.5. The decoder is the true one and held
fixed; q alone is trained. Prints, in nats, means over 2,000 examples: the evidence by quadrature and what the ELBO
lacks of it, which is KL(q(z | x) || p(z | x)). The picture has the true posterior of three x and samples of both q.
"""

import argparse
import math
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfvae import build  # noqa: E402
from tfvae import spec as spec_lib  # noqa: E402
from tfvae.models.decoder import Decoder  # noqa: E402
from tfvae.models.hierarchy import Hierarchy  # noqa: E402
from tfvae.nets.heads import Join  # noqa: E402
from tfvae.noise import stateless  # noqa: E402
from tfvae.observation import Observation  # noqa: E402

NOISE = 0.5
SHOWN = np.array([[-1.2, 1.5], [0.0, -1.0], [1.5, 3.0]], np.float32)  # x of the picture


class Curve(keras.layers.Layer):
  """z -> (z1, z2 + z1^2), [N, 2]."""

  def call(self, z):
    return tf.stack([z[:, 0], z[:, 1] + tf.square(z[:, 0])], axis=-1)


def examples(n: int, seed: int = 0) -> np.ndarray:
  """x [n, 2] of the model."""
  rng = np.random.default_rng(seed)
  z = rng.standard_normal((n, 2))
  x = np.stack([z[:, 0], z[:, 1] + z[:, 0] ** 2], 1) + NOISE * rng.standard_normal((n, 2))
  return x.astype(np.float32)


def log_evidence(x: np.ndarray) -> np.ndarray:
  """log p(x) in nats, [n]: z2 integrated in closed form, z1 by quadrature on 4,001 points from -8 to 8."""
  z1, step = np.linspace(-8, 8, 4001, retstep=True)
  normal = lambda x, loc, variance: -0.5 * ((x - loc) ** 2 / variance + math.log(2 * math.pi * variance))
  first, second = x[:, :1].astype(np.float64), x[:, 1:].astype(np.float64)
  joint = normal(z1, 0, 1) + normal(first, z1, NOISE**2) + normal(second, z1**2, 1 + NOISE**2)
  largest = joint.max(1)
  return largest + np.log(step * np.exp(joint - largest[:, None]).sum(1))


def trained(flow: str, seed: int = 0, steps: int = 400) -> Hierarchy:
  """The true generative model with a q that has learned for so many steps of 100 examples."""
  spec = spec_lib.base(('z1',))
  fields = {'model.z1.dim': 2, 'model.z1.encoder.hidden': (32,), 'model.z1.encoder.activation': 'tanh', 'seed': seed}
  fields |= {'model.z1.flow': flow, 'model.z1.flow_hidden': (16,), 'objective.num_samples': 4}
  fields |= {'decoder.variance': 'fixed', 'decoder.sigma': NOISE, 'train.learning_rate': 5e-3}
  spec = spec_lib.resolve(spec, fields)
  own = build.model(spec, Observation((2,)))
  true = Decoder(Join(name='join'), Curve(name='curve'), build.likelihood(spec.decoder, Observation((2,)), 'true'))
  model = Hierarchy(own.latents, true, Observation((2,)), own.order)
  model.build()
  true.likelihood.head.map.kernel.assign(np.eye(2))
  true.likelihood.head.map.bias.assign(np.zeros(2))
  objective, x = build.objective(spec, model), tf.constant(examples(2000, 1))
  variables = model.players['inference']
  optimizer = keras.optimizers.Adam(spec.train.learning_rate)
  optimizer.build(variables)

  @tf.function(autograph=False)
  def step(number):
    noise = stateless(seed, number)
    rows = tf.cast(noise.uniform('rows', [100]) * 2000, tf.int32)
    with tf.GradientTape() as tape:
      loss, _ = objective.loss('model', model, {'x': tf.gather(x, rows)}, number, noise)
      loss = tf.reduce_mean(loss)
    optimizer.apply(tape.gradient(loss, variables))

  for number in range(steps):
    step(tf.constant(number))
  return model


def elbo(model: Hierarchy, x: np.ndarray, samples: int = 50) -> float:
  """Its mean over x [n, 2], in nats."""
  return float(tf.reduce_mean(model.infer({'x': tf.constant(x)}, stateless(0, 10**6), samples).terms()['elbo']))


def picture(models: dict[str, Hierarchy], path: str) -> None:
  """For each x of `SHOWN` a column: contours of p(z | x), and 1,000 samples of each q."""
  from matplotlib.figure import Figure

  side = np.linspace(-4, 4, 200)
  z = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
  drawn = Figure((9, 6.2), layout='constrained')
  axes = drawn.subplots(len(models), len(SHOWN), sharex='col', sharey='col', squeeze=False)
  for row, (name, model) in zip(axes, models.items(), strict=True):
    q = model.infer({'x': tf.constant(SHOWN)}, stateless(0, 0), 1000).z['z1'].numpy()
    gaps = [log_evidence(x[None])[0] - elbo(model, x[None], 10_000) for x in SHOWN]
    for axis, x, samples, gap in zip(row, SHOWN, np.swapaxes(q, 0, 1), gaps, strict=True):
      mean = np.stack([z[:, 0], z[:, 1] + z[:, 0] ** 2], 1)
      joint = -0.5 * (z**2).sum(1) - 0.5 * ((x - mean) ** 2).sum(1) / NOISE**2
      density = np.exp(joint - joint.max()).reshape(len(side), -1)
      axis.plot(*samples.T, '.', markersize=2, color='C0', alpha=0.4)
      axis.contour(side, side, density, levels=np.exp([-4.5, -2, -0.5]), colors='k', linewidths=1)
      centre = z[density.ravel() > np.exp(-4.5)]
      axis.set(xlim=(centre[:, 0].min() - 0.7, centre[:, 0].max() + 0.7), ylim=(centre[:, 1].min() - 1, None))
      axis.set_ylim(centre[:, 1].min() - 1, centre[:, 1].max() + 1)
      axis.set_title(f'{name}, x = ({x[0]:g}, {x[1]:g})\nlacks {gap:.2f} nats', fontsize=9)
  drawn.savefig(path, dpi=110)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--seeds', type=int, default=3, help='runs of each')
  parser.add_argument('--picture', default='', help='where to draw, with the first seed')
  args = parser.parse_args()
  x, models = examples(2000), {}
  exact = log_evidence(x).mean()
  print(f'evidence {exact:.3f}')
  for name, flow in (('Gaussian', 'none'), ('real NVP', 'real_nvp')):
    found = [trained(flow, seed) for seed in range(args.seeds)]
    models[name] = found[0]
    print(f'{name}: evidence - ELBO of the seeds 0, 1, ...:', *(f'{exact - elbo(model, x):.3f}' for model in found))
  if args.picture:
    picture(models, args.picture)


if __name__ == '__main__':
  main()
