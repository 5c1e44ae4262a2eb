"""What --mode=sample computes: against closed forms, for every kind of hierarchy, and as a user calls it."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from test_launch import assert_refused

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.analysis.sampling import Sampler, _path
from tfvae.errors import SpecError, UserError
from tfvae.report.samples import draw
from tfvae.trained import Run

SMALL = {'num': 5, 'examples': 4, 'draws': 2, 'steps': 3, 'units': 2, 'points': 10}


def make(layers, **fields):
  """(model, source, spec) on the digits, all weights drawn at random."""
  spec = spec_lib.base(layers)
  for layer in layers:
    spec.model[layer].dim = 3
    spec.model[layer].encoder.hidden = (4,)
  spec = spec_lib.resolve(spec, {f'sample.{key}': value for key, value in SMALL.items()} | fields)
  data = build.dataset(spec)
  model = build.model(spec, data.observation)
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.15 * rng.standard_normal(variable.shape))
  return model, build.source(spec, data), spec


def flat(images):
  return images.reshape(*images.shape[:-3], 64)


def test_a_linear_hierarchy_in_closed_form():
  """z2 ~ N(0, I), z1 ~ N(a + z2 A, s^2), x ~ N(b + z1 D, 0.2^2): everything is linear in the noise."""
  n = 4000
  nets = ('z2.encoder', 'z1.encoder', 'z1.posterior', 'z1.prior')
  fields = {f'model.{net}.kind': 'linear' for net in nets} | {'decoder.net.kind': 'linear'}
  fields |= {'train.precision': 'float64', 'decoder.variance': 'fixed', 'decoder.sigma': 0.2}
  fields |= {'sample.num': n, 'sample.draws': 3, 'sample.points': 297}
  model, source, spec = make(('z2', 'z1'), **fields)
  head, decoder = model.latents[1].prior.family.head.map, model.decoder.likelihood.head.map
  head.kernel.assign(head.kernel.numpy() * [1, 1, 1, 0, 0, 0])  # a scale that does not depend on z2
  above, (a, log_s) = head.kernel.numpy()[:, :3], np.split(head.bias.numpy(), 2)
  slopes = {'z2': above @ decoder.kernel.numpy(), 'z1': np.exp(log_s)[:, None] * decoder.kernel.numpy()}  # [3, 64]
  sampler = Sampler(model, source, spec)

  prior = sampler.prior()
  noise = {'z2': prior['z2.z'], 'z1': (prior['z1.z'] - a - prior['z2.z'] @ above) / np.exp(log_s)}
  noise['x'] = (prior['draw'] - prior['mean'])[:, :2] / 0.2
  assert all(scipy.stats.kstest(values.ravel(), 'norm').pvalue > 1e-3 for values in noise.values())
  b = decoder.bias.numpy() + a @ decoder.kernel.numpy()
  np.testing.assert_allclose(
    flat(prior['mean']), b + noise['z2'] @ slopes['z2'] + noise['z1'] @ slopes['z1'], atol=1e-9
  )

  # The variance that a layer explains; 3 n degrees of freedom in each dimension.
  variances = {layer: np.square(slope).sum(0).mean() for layer, slope in slopes.items()}
  for layer, variance in variances.items():
    found = sampler.layers(layer)
    assert found['variance'] == pytest.approx(variance, rel=5 * np.sqrt(2 / (3 * n)))
    assert found['total_variance'] == pytest.approx(sum(variances.values()), rel=5 * np.sqrt(2 / n))

  x = source.first('test', 297)['x']
  z, q = model.encode({'x': x})
  mu, tau = q['z2'].mean().numpy()[0], q['z2'].stddev().numpy()[0]
  z1 = z['z1'].numpy()[0, :4]
  for layer, slope in slopes.items():
    found = sampler.traversals(layer)
    moved = found['offsets'][:, None] * slope[found['units']][:, None]  # [U, steps, 64]
    reconstruction = decoder.bias.numpy() + z1 @ decoder.kernel.numpy()
    np.testing.assert_allclose(flat(found['mean']), reconstruction[:, None, None] + moved, atol=1e-8)
  rate = (0.5 * (mu**2 + tau**2 - 1) - np.log(tau)).mean(0)  # KL(N(mu, tau^2) || N(0, 1))
  found = sampler.traversals('z2')
  np.testing.assert_allclose(found['rate'], rate, rtol=1e-9)
  np.testing.assert_array_equal(found['units'], np.argsort(-rate)[:2])

  found, w = sampler.interpolations(), np.array([0, 0.5, 1])[:, None]
  assert list(found['moved']) == ['z2', 'z2+z1']
  top = b + ((1 - w) * mu[:4:2, None] + w * mu[1:4:2, None]) @ slopes['z2']
  every = (1 - w) * reconstruction[::2, None] + w * reconstruction[1::2, None]
  np.testing.assert_allclose(flat(found['mean']), np.stack([top, every], 1), atol=1e-8)

  head.kernel.assign(0 * head.kernel.numpy())  # x no longer depends on z2
  sampler = Sampler(model, source, spec_lib.resolve(spec, {'sample.num': 5}))
  assert sampler.layers('z2')['variance'] == 0 and sampler.layers('z1')['variance'] > 0


MAP = {'model.z1.grid': 4, 'model.z1.dim': 2, 'model.z1.encoder.kind': 'conv', 'model.z1.posterior.kind': 'conv'}
MAP |= {'decoder.net.kind': 'conv'}
TOP = {'model.z3.grid': 2, 'model.z3.dim': 4, 'model.z3.encoder.kind': 'conv'}
BINARY = {'decoder.likelihood': 'bernoulli', 'data.binarize': 'dynamic'}
KINDS = {
  'a table': (('z1',), {'data.name': 'table', 'data.scaling': 'standard', 'decoder.sigma': 0.5}),
  'three layers, all above, maps': (('z3', 'z2', 'z1'), MAP | TOP | BINARY | {'model.conditioning': 'all'}),
  'reverse': (('z2', 'z1'), {'model.inference': 'reverse', 'sample.interpolation': 'spherical'}),
  'a flow': (('z1',), {'model.z1.flow': 'real_nvp'}),
}


@pytest.mark.parametrize('kind', KINDS)
def test_any_hierarchy(kind):
  layers, fields = KINDS[kind]
  model, source, spec = make(layers, **fields)
  samples, x, image = dict(Sampler(model, source, spec).run()), source.first('test', 4)['x'], source.dataset.shape
  units = {layer: min(2, layer_.shape[-1]) for layer, layer_ in zip(layers, model.latents, strict=True)}
  shapes = {'prior': (5,), 'reconstructions': (4,), 'interpolations': (2, min(len(layers), 2), 3)}
  shapes |= {f'traversals-{layer}': (4, units[layer], 3) for layer in layers}
  shapes |= {f'layers-{layer}': (5, 3) for layer in layers if len(layers) > 1}
  assert {name: arrays['mean'].shape for name, arrays in samples.items()} == {
    name: (*shape, *image) for name, shape in shapes.items()
  }
  found = samples['reconstructions']
  assert found['samples'].shape == (4, 2, *image) and found['samples_mse'].shape == (4, 2)
  np.testing.assert_allclose(found['mse'], np.square(found['mean'] - x).reshape(4, -1).mean(1), rtol=1e-5)
  np.testing.assert_array_equal(found['value_range'], [0, 1] if len(image) == 3 else source.dataset.range())
  assert ('x' in samples['prior']) == (len(image) != 3)

  # Where nothing is moved, and at the ends of what all layers move along, x is its reconstruction.
  reconstruction = model(x).numpy()
  np.testing.assert_allclose(found['mean'], reconstruction, atol=1e-6)
  for layer in layers:
    moved = samples[f'traversals-{layer}']
    np.testing.assert_allclose(moved['mean'][:, :, 1], np.repeat(reconstruction[:, None], units[layer], 1), atol=2e-5)
    assert np.all(np.ptp(moved['mean'], axis=2).reshape(4, units[layer], -1).max(-1) > 1e-4)  # and elsewhere it is not
    of = 'spread' if fields.get(f'model.{layer}.flow') else 'rate'  # what units are ranked by
    assert moved[of].shape == (model.latents[layers.index(layer)].shape[-1],) and np.all(moved[of] > 0)
    assert list(moved['units']) == list(np.argsort(-moved[of])[: units[layer]])
  z, _ = model.encode({'x': x})
  _, p = model.descend(lambda layer, p: z[layer.name])
  moved, there = samples['traversals-z1'], z['z1'].numpy()
  there[..., moved['units'][1]] += (
    moved['offsets'][2] * np.broadcast_to(p['z1'].stddev(), there.shape)[..., moved['units'][1]]
  )
  np.testing.assert_allclose(moved['mean'][:, 1, 2], model.decode(z | {'z1': there}).mean()[0], atol=2e-5)
  ends = samples['interpolations']['mean'][:, -1, [0, -1]]
  np.testing.assert_allclose(ends, reconstruction.reshape(2, 2, *image), atol=2e-5)
  if len(layers) > 1:  # the same samples, each layer drawn afresh in turn
    first, *others = (samples[f'layers-{layer}']['mean'] for layer in layers)
    for other in others:
      np.testing.assert_array_equal(other[:, 0], first[:, 0])
      assert np.all(other[:, 1:] != first[:, 1:])


def test_a_model_that_is_told_labels():
  model, source, spec = make(('z1',), **{'data.context': 'label', 'sample.labels': (3, 7)})
  samples, batch = dict(Sampler(model, source, spec).run()), source.first('test', 4)
  prior, found = samples['prior'], samples['contexts']
  assert list(prior['context']) == [3, 7, 3, 7, 3] and list(found['context']) == [3, 7, 3, 7] and 'x' not in found
  means = model.mean({'z1': prior['z1.z'][None]}, np.array([3, 7, 3, 7, 3]))[0]
  np.testing.assert_allclose(prior['mean'], means, atol=1e-6)
  assert found['mean'].shape == found['draw'].shape == (4, 2, 8, 8, 1)
  reconstruction = model({'x': batch['x'], 'context': batch['label']}).numpy()
  np.testing.assert_allclose(samples['reconstructions']['mean'], reconstruction, atol=1e-6)
  np.testing.assert_allclose(samples['traversals-z1']['mean'][:, 0, 1], reconstruction, atol=2e-5)
  np.testing.assert_allclose(samples['interpolations']['mean'][:, 0, 0], reconstruction[::2], atol=2e-5)
  one, told = samples['layers-z1'], samples['layers-context']  # of one layer the shares add up whatever it does
  np.testing.assert_array_equal(one['mean'], told['mean'])
  assert one['variance'] + told['variance'] == pytest.approx(one['total_variance'])
  own = dict(Sampler(model, source, spec_lib.resolve(spec, {'sample.labels': (), 'sample.what': 'contexts'})).run())
  np.testing.assert_array_equal(own['contexts']['context'], batch['label'])
  np.testing.assert_array_equal(own['contexts']['x'], batch['x'])
  with pytest.raises(SpecError, match=r'sample\.labels: got 1,10; allowed: the labels that the model is told, 0 to 9'):
    spec_lib.resolve(spec, {'sample.labels': (1, 10)})
  for fields, says in (
    ({'sample.labels': (1,)}, 'sample.labels: got 1, which is for models that are told labels, but .* is none'),
    ({'sample.labels': (), 'sample.what': 'contexts'}, 'sample.what: got contexts, but spec.data.context is none'),
  ):
    with pytest.raises(SpecError, match=says):
      spec_lib.resolve(spec, {'data.context': 'none'} | fields)


@pytest.mark.parametrize('shape', [pytest.param((4, 4, 1), marks=pytest.mark.slow), (5,)])
def test_a_model_of_targets(tmp_path, shape):
  """Reconstructions are beside the target, which errors are of; so are traversals and interpolations, and pictures."""
  rng = np.random.default_rng(0)
  rows = lambda n: rng.integers(0, 256, (n, *shape)).astype(np.uint8 if len(shape) == 3 else np.float64)
  parts = {name: rows(n) for n, names in ((40, ('x', 'target')), (20, ('x_test', 'target_test'))) for name in names}
  np.savez(tmp_path / 'x.npz', **parts)
  what = 'prior,reconstructions,traversals,interpolations'
  fields = {'data.name': 'table', 'data.path': str(tmp_path / 'x.npz'), 'data.target': 'own', 'data.batch_size': 10}
  model, source, spec = make(('z1',), **fields, **{'data.scaling': 'min_max', 'sample.what': what})
  samples, batch = dict(Sampler(model, source, spec).run()), source.first('test', 4)
  low, high = (parts['x'].min(0), parts['x'].max(0)) if len(shape) == 1 else (0, 255)
  np.testing.assert_allclose(batch['target'], (parts['target_test'][:4] - low) / (high - low), rtol=1e-5, atol=1e-6)
  found, target, x = samples['reconstructions'], batch['target'].numpy(), batch['x'].numpy()
  np.testing.assert_array_equal(found['target'], target)
  np.testing.assert_array_equal(found['x'], x)
  np.testing.assert_allclose(found['mean'], model(x), atol=1e-6)  # of what is encoded
  np.testing.assert_allclose(found['mse'], np.square(found['mean'] - target).reshape(4, -1).mean(1), rtol=1e-5)
  np.testing.assert_array_equal(samples['traversals-z1']['target'], target)
  np.testing.assert_array_equal(samples['interpolations']['target'], target.reshape(2, 2, *shape))
  np.testing.assert_allclose(samples['traversals-z1']['mean'][:, 0, 1], found['mean'], atol=2e-5)
  if len(shape) == 1:
    np.testing.assert_array_equal(samples['prior']['x'], source.first('test', 5)['target'])
  run = Run(tmp_path / 'run')
  run.workdir.mkdir()
  for name, arrays in samples.items():
    run.write_samples(name, 1, arrays)
  assert {path.stem for path in draw(run)} == set(samples)


@pytest.fixture
def eager():
  """Without graphs, which take longer than what they compute."""
  tf.config.run_functions_eagerly(True)
  yield
  tf.config.run_functions_eagerly(False)


def test_the_steps_of_one_that_repeats(eager):
  """A section is one part of each kind of samples; a step that moves moves those after it, which keep their eps."""
  steps, net = 2, {f'model.z.{of}.hidden': (4,) for of in ('posterior', 'prior')}
  fields = {'model.name': 'convdraw', 'model.z.grid': 4, 'model.z.steps': steps, 'model.z.lstm': 4, 'model.z.canvas': 2}
  fields |= {'model.z.encoder.kind': 'conv', 'decoder.net.kind': 'conv', 'decoder.net.hidden': (4,)}
  fields |= {'sample.what': ('prior', 'reconstructions', 'traversals', 'interpolations', 'layers', 'codes')}
  model, source, spec = make(('z',), **fields, **{'data.context': 'label', 'sample.units': 5}, **net)
  sampler = Sampler(model, source, spec)
  found = dict(sampler.run())
  names = ['prior', 'reconstructions', 'traversals-z', 'interpolations', 'layers-z', 'layers-context', 'codes']
  assert list(found) == names
  assert found['codes']['z.mean'].shape == (10, steps, 4, 4, 3) and sampler.projector()['z.tsv'].count(b'\n') == 10

  prior = found['prior']
  means = model.mean({f'z/{t + 1}': prior['z.z'][None, :, t] for t in range(steps)}, prior['context'])[0]
  np.testing.assert_allclose(prior['mean'], means, atol=1e-6)

  moved, x, context = found['traversals-z'], source.first('test', 4)['x'], source.first('test', 4)['label']
  assert moved['rate'].shape == (steps, 3) and moved['mean'].shape == (4, 5, 3, 8, 8, 1)
  sorted_, of = np.sort(moved['rate'].ravel())[::-1], (moved['of_steps'] - 1, moved['units'])
  np.testing.assert_array_equal(moved['rate'][of], sorted_[:5])
  assert set(moved['of_steps']) == {1, 2}
  z, _ = model.encode({'x': x, 'context': context})
  _, p = model.descend(lambda layer, p: z[layer.name], context)
  eps = {name: (z[name] - p[name].mean()) / p[name].stddev() for name in z}
  for row, (step, unit) in enumerate(zip(moved['of_steps'], moved['units'], strict=True)):
    at = {name: value.numpy() for name, value in eps.items()}
    at[f'z/{step}'][..., unit] += moved['offsets'][2]
    z, _ = model.descend(lambda layer, p: p.mean() + p.stddev() * at[layer.name], context)  # noqa: B023
    np.testing.assert_allclose(moved['mean'][:, row, 2], model.mean(z, context)[0], atol=2e-5)
  np.testing.assert_allclose(moved['mean'][:, 0, 1], found['reconstructions']['mean'], atol=2e-5)

  between = found['interpolations']
  assert list(between['moved']) == ['z/1', 'z']
  np.testing.assert_allclose(between['mean'][:, 1, 0], found['reconstructions']['mean'][::2], atol=2e-5)

  one, told = found['layers-z'], found['layers-context']
  assert one['mean'].shape == (5, 1 + steps, 8, 8, 1) and one['variance'].shape == (steps,)
  np.testing.assert_array_equal(one['mean'][:, 0], told['mean'][:, 0])
  for step in range(steps):
    mean, variance, total = sampler._fresh([f'z/{step + 1}'], {'context': told['context']})
    np.testing.assert_array_equal(one['mean'][:, 1 + step], mean[:, 1])
    assert (one['variance'][step], one['total_variance']) == (variance, total)
    assert variance == pytest.approx(mean.var(1, ddof=1).mean(), rel=1e-5) and variance > 1e-6


def test_the_shares_of_layers_and_context_add_up():
  """x = b + z1 (D_z + ...) of z2 ~ N(m2(c), 1), z1 ~ N(m1(c) + A z2, 1): all is additive, and labels come in turn."""
  n, labels = 1000, tuple(range(4))
  nets = ('z2.encoder', 'z2.prior', 'z1.encoder', 'z1.posterior', 'z1.prior')
  fields = {f'model.{net}.kind': 'linear' for net in nets} | {'decoder.net.kind': 'linear', 'data.context': 'label'}
  fields |= {
    'sample.what': 'layers',
    'sample.num': n,
    'sample.labels': labels,
    'eval.batch_size': 1000,
    'train.precision': 'float64',
  }
  model, source, spec = make(('z2', 'z1'), **fields)
  heads = [layer.prior.family.head.map for layer in model.latents]
  for head in heads:
    head.kernel.assign(10 * head.kernel.numpy() * [1, 1, 1, 0, 0, 0])  # scales that depend on nothing
    head.bias.assign(0 * head.bias)
  (m2, k1), decoder = (head.kernel.numpy()[:, :3] for head in heads), model.decoder.likelihood.head.map.kernel.numpy()
  slopes = {'z2': k1[:3] @ decoder[:3], 'z1': decoder[:3]}
  means = (m2 @ k1[:3] @ decoder[:3] + k1[3:] @ decoder[:3] + decoder[3:])[list(labels)]  # E[x | c]
  found = {
    name.removeprefix('layers-'): arrays for name, arrays in Sampler(model, source, spec).run() if 'layers' in name
  }
  assert list(found) == ['z2', 'z1', 'context'] and list(found['context']['context'][:5]) == [0, 1, 2, 3, 0]
  exact = {layer: np.square(slope).sum(0).mean() for layer, slope in slopes.items()} | {'context': means.var(0).mean()}
  total = found['z1']['total_variance']
  for part, variance in exact.items():
    error = 5 * np.sqrt(2 / n) * (sum(exact.values()) if part == 'context' else variance)
    assert found[part]['variance'] == pytest.approx(variance, abs=error), part
    assert found[part]['total_variance'] == total
  assert sum(arrays['variance'] for arrays in found.values()) / total == pytest.approx(1, abs=5 * np.sqrt(2 / n))
  assert exact['context'] > 0.1 * total  # without which it would have been missed


def test_reconstructions_have_the_mode_where_it_is_not_the_mean():
  fields = {'decoder.likelihood': 'logistic_mixture', 'decoder.components': 2, 'decoder.variance': 'fixed'}
  model, source, spec = make(('z1',), **fields)
  found = Sampler(model, source, spec).reconstructions()
  assert found['mode'].shape == found['mean'].shape == (4, 8, 8, 1)
  px, likelihood = model.decode(model.encode(found)[0]), model.decoder.likelihood
  np.testing.assert_array_equal(found['mode'], likelihood.mode(px)[0])
  np.testing.assert_allclose(found['mean'], likelihood.mean(px)[0], atol=1e-6)
  assert set(np.unique(np.round(16 * found['mode'], 4))) <= set(range(17))
  assert 'mode' not in Sampler(*make(('z1',))).reconstructions()


def test_samples_depend_on_the_seed_and_nothing_else():
  model, source, spec = make(('z2', 'z1'), **{'sample.what': 'prior,reconstructions,layers'})
  draw = lambda **fields: dict(Sampler(model, source, spec_lib.resolve(spec, fields)).run())
  samples, again = draw(), draw(**{'eval.batch_size': 3})  # in parts, the last one not full
  others = draw(**{'sample.seed': 1})
  for name, arrays in samples.items():
    for key, value in arrays.items():
      if value.dtype.kind == 'f':
        np.testing.assert_allclose(again[name][key], value, atol=1e-6)
  assert list(others) == ['prior', 'reconstructions', 'layers-z2', 'layers-z1']
  for name, key in (('prior', 'z1.z'), ('prior', 'draw'), ('reconstructions', 'samples'), ('layers-z1', 'mean')):
    assert np.all(others[name][key] != samples[name][key])
  np.testing.assert_array_equal(others['reconstructions']['mean'], samples['reconstructions']['mean'])


def test_great_circles():
  rng = np.random.default_rng(0)
  a, b = rng.standard_normal((2, 3, 4))
  b *= np.linalg.norm(a) / np.linalg.norm(b)
  path = _path(a, b, np.linspace(0, 1, 5), True)
  np.testing.assert_allclose(np.linalg.norm(path, axis=(1, 2)), np.linalg.norm(a))
  np.testing.assert_allclose(path[[0, -1]], [a, b])
  steps = np.linalg.norm(np.diff(path, axis=0), axis=(1, 2))
  np.testing.assert_allclose(steps, steps[0])
  for other in (2 * a, -a, 0 * a):  # no plane: straight on, or one of them the origin
    np.testing.assert_allclose(_path(a, other, np.linspace(0, 1, 5), True)[[0, -1]], [a, other], atol=1e-12)


def test_the_samples_of_a_run(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of, **kinds: [])  # the other figures
  spec = spec_lib.base(('z2', 'z1'))
  spec.decoder.variance = 'optimal'
  spec.train.steps, spec.train.compile, spec.train.learning_rate = 2, 'graph', 0.03
  spec.eval.evaluators, spec.eval.split, spec.eval.num_samples = ('bounds',), 'train', 2
  for key, value in SMALL.items():
    spec.sample[key] = value
  run = commands.train(spec, tmp_path / 'run')
  names = ['prior', 'reconstructions', 'traversals-z2', 'traversals-z1', 'interpolations', 'layers-z2', 'layers-z1']
  samples = commands.sample(run.workdir, {'sample.num': 100})
  assert list(samples) == names
  said = capsys.readouterr().out
  for name in names:
    assert f'{run.samples / name}.png' in said
    kept = run.read_samples(name)
    assert int(kept['step']) == 2 and str(kept['split']) == 'test'
    for key, value in samples[name].items():
      np.testing.assert_array_equal(kept[key], value)
  # x ~ p(x | z) has the variance that the evaluation of the training split found, not that of the last step.
  noise = samples['prior']['draw'] - samples['prior']['mean']
  tolerance = 5 / np.sqrt(2 * noise.size)
  assert noise.std() == pytest.approx(run.evaluation['sigma'], rel=tolerance)
  assert noise.std() != pytest.approx(np.exp(run.model.non_trainable_variables[0]), rel=2 * tolerance)
  assert (run.workdir / 'projector/z1.tsv').is_file()

  before = (run.samples / 'prior.npz').read_bytes()
  (run.samples / 'layers-z1.png').unlink()
  commands.sample(run.workdir, {'sample.num': 100, 'sample.what': 'prior'})
  assert (run.samples / 'prior.npz').read_bytes() == before
  assert {path.stem for path in commands.report(run.workdir)} == {*names, 'report', 'numbers', 'curves'}
  run.check(spec_lib.resolve(run.spec, {'sample.seed': 3}))  # no part of the run, which can be resumed with others


def test_mistakes(launch, tmp_path, capsys):
  run = Run(tmp_path / 'run')
  run.workdir.mkdir()
  run.begin(spec_lib.resolve(spec_lib.base(('z1',))), build.dataset(spec_lib.base(('z1',))).summary)
  assert_refused(launch('--mode=sample', '--workdir', 'run'), '--workdir run', 'no checkpoint')
  run.checkpoints.mkdir()
  (run.checkpoints / 'ckpt-1.index').touch()
  refused = launch('--mode=sample', '--workdir', 'run', '--spec.sample.what=priors,layers', '--spec.sample.num=1')
  assert_refused(refused, 'spec.sample.what', 'Did you mean prior?', 'spec.sample.num', '>= 2')
  for fields, says in (
    ({'sample.what': 'layers'}, 'what: got layers.*one layer'),
    ({'sample.what': ''}, r'what: got \(\)'),
    ({'sample.split': 'validation'}, r'split: got validation, but the run has no such split; allowed: train \| test'),
    ({'train.steps': 3}, r'spec\.train\.steps: .*allowed: fields of spec\.sample and spec\.eval'),
  ):
    with pytest.raises(SpecError, match=says):
      commands.sample(run.workdir, fields)
  run.samples.touch()  # where a directory should be
  with pytest.raises(UserError, match='cannot be written'):
    run.write_samples('prior', 1, {})
  run.samples.unlink()
  run.write_samples('prior', 1, {})
  (run.samples / 'prior.npz').write_bytes(b'')
  commands.report(run.workdir)
  assert 'prior.npz: cannot be read' in capsys.readouterr().out
