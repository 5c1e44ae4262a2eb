"""What there is of a picture after each step, of a model told labels; and the same by run.drawings."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis import latents
from tfvae.analysis.canvases import Canvases
from tfvae.analysis.evaluator import Split
from tfvae.analysis.information import UnitInformation
from tfvae.analysis.samples import Samples
from tfvae.errors import SpecError, UserError
from tfvae.noise import stateless
from tfvae.report.tensorboard import show

STEPS = 2


def make(steps, **fields):
  spec = spec_lib.base(('z',))
  spec.model.name, spec.data.context, spec.eval.num_images = 'convdraw', 'label', 18
  z, net = spec.model.z, spec.decoder.net
  z.grid, z.dim, z.steps, z.lstm, z.canvas = 4, 2, steps, 4, 2
  z.encoder.kind, z.encoder.hidden, net.kind, net.hidden = 'conv', (4,), 'conv', (4,)
  spec = spec_lib.resolve(spec, fields)
  data = build.dataset(spec)
  model = build.model(spec, data.observation)
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.2 * rng.standard_normal(variable.shape))
  return model, Split(build.source(spec, data), 'test', spec), spec, data


@pytest.fixture(scope='module', autouse=True)
def eager():
  """Without graphs, which take longer than what they compute."""
  tf.config.run_functions_eagerly(True)
  yield
  tf.config.run_functions_eagerly(False)


@pytest.fixture(scope='module')
def drawing(eager):
  model, split, spec, data = make(STEPS)
  return model, split, spec, data, Canvases(spec).evaluate(model, split).arrays


def test_each_canvas_is_that_of_a_model_of_so_many_steps(drawing):
  """The weights of all steps are the same, and so is the noise of each: after the first there is what T = 1 draws."""
  model, split, spec, _, found = drawing
  assert found['prior'].shape == found['reconstruction'].shape == (16, STEPS, 8, 8, 1)
  first, _, other, _ = make(1)
  for one, same in zip(first.variables, model.variables, strict=True):
    assert one.path == same.path
    one.assign(same)
  for shown, (of, its) in {0: (first, other), STEPS - 1: (model, spec)}.items():
    samples = Samples(its).evaluate(of, split).arrays
    for name in ('reconstruction', 'prior'):
      np.testing.assert_allclose(found[name][:, shown], samples[name][:16], atol=1e-5)
  for name in ('x', 'context'):
    np.testing.assert_array_equal(found[name], samples[name][:16])
  assert np.ptp(found['prior'], axis=1).min(0).max() > 1e-3  # steps differ


def test_drawings_from_python(drawing):
  model, split, spec, data, _ = drawing
  verbs = build.verbs(spec, model, data.summary)
  batch = split.source.first('test', 4)
  context, x = batch['label'].numpy(), batch['x'].numpy()
  z = verbs.run('encode', x=x, context=context)
  assert z['z_loc'].shape == z['z_scale'].shape == (4, STEPS, 4, 4, 2)
  found = verbs.run('drawings', z=z['z_loc'], context=context)['mean']
  assert found.shape == (4, STEPS, 8, 8, 1)
  np.testing.assert_allclose(found[:, -1], verbs.run('reconstruct', x=x, context=context)['mean'], atol=1e-6)
  decoded = verbs.run('decode', z=z['z_loc'], context=context)['mean']
  np.testing.assert_allclose(found[:, -1], decoded, atol=1e-6)
  with pytest.raises(UserError, match=r'run\.drawings\(context=\[c, ...\], z=...\)'):
    verbs.run('drawings', z=z['z_loc'])


def test_units_are_counted_by_step_and_together(drawing, monkeypatch):
  """And what grows with the units is left out where all steps together have too many."""
  model, split, spec, _, _ = drawing
  batch, evaluator = split.source.first('test', 20) | {'mask': np.ones(20, np.float32)}, latents.Latents(spec)
  trace = model.infer(batch, stateless(0, 0), 2)
  units = STEPS * 32
  for most, entropies, correlated in ((46, units, True), (45, units - 1, False)):
    monkeypatch.setattr(latents, 'MOST_UNITS', most)  # 46^2 > 2 * 32^2 > 45^2
    monkeypatch.setattr(latents, 'MOST_ENTROPIES', entropies)
    means = {name: value.numpy() / 20 for name, value in evaluator.sums(model, trace, split, batch).items()}
    found = evaluator.finish(means, model, split)
    names = list(found.numbers)
    assert [f'correlation/z/{step}' in names for step in (1, 2)] == [correlated] * 2
    assert sum(name.startswith('encoder_entropy/') for name in names) == (units if correlated else 0)
    for name in ('active_units', 'active_units_entropy'):
      parts = [found.numbers[f'{name}/z/{step}'] for step in (1, 2)]
      assert found.numbers[f'{name}/z'] == found.numbers[name] == sum(parts) and max(parts) <= 32
    active = [np.sum(found.arrays[f'z/{t}.variance_of_mean'] > found.arrays[f'z/{t}.active_above']) for t in (1, 2)]
    assert [found.numbers[f'active_units/z/{step}'] for step in (1, 2)] == active


def test_information_by_step_and_together():
  """Under p the first step has no parents."""
  tells = {'z/1': np.array([0.1, 0.3]), 'z/2': np.array([0.5, 0.1])}
  family = types.SimpleNamespace(information=tf.constant, unit_states=2)
  model = types.SimpleNamespace(discrete=list(tells), families=dict.fromkeys(tells, family))
  evaluator = UnitInformation(spec_lib.base(('z',)))
  evaluator._prior = lambda *of: {'z/2': tf.constant([0.2, 0.0])}
  found = evaluator.finish(tells, model, types.SimpleNamespace(context=lambda *of: None)).numbers
  wanted = {'q/z': 0.25, 'p/z': 0.1, 'q/z/1': 0.2, 'q/z/2': 0.3, 'p/z/2': 0.1}
  assert found == {f'unit_information/{name}': pytest.approx(value) for name, value in wanted.items()}


def test_pictures_in_tensorboard(drawing):
  shown = {}

  class Events:
    numbers = histograms = lambda *of: None
    images = lambda self, step, images: shown.update(images)

  show(Events(), 7, {}, {'canvases': drawing[-1]}, False)
  assert {name: image.shape for name, image in shown.items()} == dict.fromkeys(
    ('canvases', 'prior_canvases'), (8 * 9 - 1, STEPS * 9 - 1, 1)
  )
  row = np.clip(drawing[-1]['prior'][1, :, 0, 0, 0], 0, 1)  # the values of the first pixel of the second row
  np.testing.assert_allclose(shown['prior_canvases'][9, ::9, 0], row, atol=1e-6)


def test_other_models_do_not_draw(tiny):
  with pytest.raises(SpecError, match=r'got canvases, .*how spec\.model\.name=convdraw draws, .*not hierarchy'):
    spec_lib.resolve(tiny, {'eval.evaluators': ('bounds', 'canvases')})
