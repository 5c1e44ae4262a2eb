"""Estimates from few samples, points, and the figures of the entropies."""

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation


def linear(**fields):
  fields = {
    'data.examples': 300,
    'data.batch_size': 100,
    'eval.estimates.runs': 30,
    'eval.estimates.samples': (10, 150),
  } | fields
  spec = spec_lib.load(ROOT / 'specs/linear.py', fields)
  data = build.dataset(spec)
  model = build.model(spec, data.observation)
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.3 * rng.standard_normal(variable.shape))
  return spec, Evaluation(model, build.source(spec, data), spec)


def test_estimates_are_unbiased_and_their_spread_falls_with_the_root_of_the_samples():
  spec, evaluation = linear(**{'eval.estimates.examples': 40})
  evaluator = build.lookup('eval.evaluators', 'estimates')(spec)
  ((_, found),) = evaluation.run('train', [evaluator])
  few, many = found.arrays['elbo']
  # The exact values of the same 40 examples, by no samples.
  model, split = evaluation._model, evaluation._split('train')
  ((number, stored),) = list(split.batches(examples=40))
  trace = model.infer(split.batch(stored), split.noise(number), 0)
  exact = trace.terms()['elbo'].numpy()[:40].mean()
  for values, samples in ((few, 10), (many, 150)):
    assert values.shape == (30,) and len(set(values)) == 30
    deviation = found.numbers[f'estimate_deviation/elbo/{samples}']
    assert abs(values.mean() - exact) < 4 * deviation / np.sqrt(30) + 1e-5
  # The ratio of deviations of 30 normal numbers each is between 0.55 and 1.8 times the right one, but for 1e-3.
  assert few.std() / many.std() == pytest.approx(np.sqrt(15), rel=0.8) and few.std() > 2 * many.std()
  entropies = found.arrays['entropies']  # nothing of them depends on z
  np.testing.assert_allclose(entropies, model.entropies(trace)['entropy_sum'].numpy()[0], rtol=1e-5)
  assert found.numbers['estimate_deviation/entropies/10'] < 1e-5


def test_a_run_of_points_has_all_figures(tmp_path):
  fields = {'data.examples': 600, 'data.batch_size': 100, 'train.steps': 40, 'eval.every': 10, 'eval.num_points': 300}
  fields |= {'eval.estimates.samples': (5, 120), 'eval.estimates.runs': 3, 'eval.estimates.examples': 20}
  fields |= {'eval.evaluators': ('bounds', 'entropies', 'latents', 'points', 'estimates'), 'eval.num_samples': 2}
  run = commands.train(spec_lib.load(ROOT / 'specs/entropies.py:spiral_3d', fields), tmp_path / 'run')
  names = {path.stem for path in run.figures.glob('*.png')}
  assert {'entropies', 'units', 'points', 'estimates', 'latents', 'curves'} <= names
  with Image.open(run.figures / 'latent_space.gif') as animation:
    assert animation.n_frames == 4
  assert [step for step, _ in run.frames('points', 'test')] == [10, 20, 30, 40]
  assert run.metrics['train (evaluated)']['step'].tolist() == run.metrics['test']['step'].tolist() == [10, 20, 30, 40]
  train = run.metrics['train (evaluated)']
  halves = train['elbo_minus_entropies/decoder'] + train['elbo_minus_entropies/rate']
  np.testing.assert_allclose(halves, train['elbo_minus_entropies'], atol=1e-4)
  assert {'encoder_entropy/z1/0', 'encoder_entropy/z1/1', 'active_units', 'active_units_entropy'} < train.keys()
  points = run.arrays('points', 'test')
  assert points['x'].shape == points['generated'].shape == (300, 3) and points['z'].shape == (300, 2)
  assert np.ptp(points['label']) > 0.9
  # What was generated has the decoder's noise: sigma is about 1 so early.
  assert points['generated'].std(0).min() > 0.5 > points['x'].std(0).max()
  assert (run.workdir / 'evaluation-train.json').is_file() and list((run.workdir / 'eval-train').iterdir())
