"""Flow posteriors: their density, what they answer and what they leave to the family before them, in any hierarchy."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation
from tfvae.errors import SpecError
from tfvae.observation import Observation

NOISE = noise_lib.stateless(0, 0)
TWO, THREE = ('z2', 'z1'), ('z3', 'z2', 'z1')
BATCH = {'x': tf.constant(np.random.default_rng(1).random((4, 5)))}


def spec_of(layers=('z1',), flows=None, **fields):
  """A float64 spec of small nets; flows on all layers, or on those named."""
  spec = spec_lib.base(layers)
  for name in layers:
    spec.model[name].dim = 2 + int(name[1:])
    for net in ('encoder', 'posterior', 'prior'):
      if net in spec.model[name]:
        spec.model[name][net].hidden = (6,)
    if name in (layers if flows is None else flows):
      spec.model[name].flow = 'real_nvp'
      spec.model[name].flow_steps = 2
      spec.model[name].flow_hidden = (6,)
  spec.decoder.net.hidden = (6,)
  return spec_lib.resolve(spec, {'train.precision': 'float64', **fields})


def make(layers=('z1',), flows=None, shape=(5,), **fields):
  """The model of such a spec, its weights far from their initial values."""
  spec = spec_of(layers, flows, **fields)
  model = build.model(spec, Observation(shape))
  rng = np.random.default_rng(0)
  for variable in model.trainable_variables:
    variable.assign(0.3 * rng.standard_normal(variable.shape))
  return model


def without_moving(model):
  """The same model with flows that are the identity: their last maps are 0."""
  for variable in model.trainable_variables:
    if '/last/' in variable.path:
      variable.assign(tf.zeros_like(variable))
  return model


def test_the_density_is_one():
  """Of two units on a grid, whose cells are 0.05 wide; it is that of its samples, by the probability of half spaces."""
  model = make(**{'model.z1.dim': 2})
  q = model.infer({'x': BATCH['x'][:2]}, NOISE, 1).q['z1']
  side, step = np.linspace(-10, 10, 401, retstep=True)
  grid = np.stack(np.meshgrid(side, side, indexing='ij'), -1).reshape(-1, 1, 2)
  mass = np.exp(q.log_prob(tf.repeat(tf.constant(grid), 2, 1))) * step**2
  np.testing.assert_allclose(mass.sum(0), 1, atol=1e-4)  # its slopes have kinks
  z, log_q = model.latents[0].family.sample_and_log_prob(q, NOISE, 'z', (20_000, 2))
  np.testing.assert_allclose(log_q, q.log_prob(z), atol=1e-9)  # forward alone, and back from z
  for axis in (0, 1):
    below = (z.numpy()[..., axis] < 0.1).mean(0)
    want = (mass * (grid[..., axis] < 0.1)).sum(0)
    # Five standard errors of 20,000 samples, and the cell that the boundary cuts.
    np.testing.assert_allclose(below, want, atol=5 * 0.5 / np.sqrt(20_000) + 0.5 * step)


def test_what_it_answers():
  model = make(TWO)
  trace = model.infer(BATCH, NOISE, 3)
  for layer in model.latents:
    family, q, p = layer.family, trace.q[layer.name], trace.p[layer.name]
    assert family.space == 'real' and family.pathwise
    assert family.kl(q, p) is family.unit_kl(q, p) is family.moments(q) is None
    assert family.entropy(q) is family.unit_entropy(q) is None
    # The location is the image of the base's, and no mean is offered.
    found = family.parameters(q)
    assert set(found) == {'location', 'base_loc', 'base_scale'}
    np.testing.assert_array_equal(found['location'], q.forward(found['base_loc'])[0])
    np.testing.assert_array_equal(found['location'], family.location(q))
    with pytest.raises(NotImplementedError):
      q.mean()
    # Of p all that the Gaussian knows.
    mean, variance = family.moments(p)
    np.testing.assert_array_equal(family.location(p), mean)
    np.testing.assert_allclose(family.at(p, family.standardize(p, mean + 1)), mean + 1)
    np.testing.assert_allclose(np.sum(family.unit_entropy(p), -1), family.entropy(p))
    np.testing.assert_allclose(family.parameters(p)['scale'], np.sqrt(variance))
    np.testing.assert_array_equal(trace.kl[layer.name], trace.log_q[layer.name] - trace.log_p[layer.name])
  z, _ = model.encode(BATCH)
  np.testing.assert_array_equal(z['z2'], model.latents[0].family.location(trace.q['z2']))
  entropies = model.entropies(trace)
  assert set(entropies) == {'entropy/encoder_sampled', 'entropy/prior', 'entropy/decoder', 'entropy_sum_sampled'}
  want = -np.mean(trace.log_q['z1'] + trace.log_q['z2'], 0)
  np.testing.assert_allclose(entropies['entropy/encoder_sampled'], want)


ORDERS = [
  (('z1',), 'generic', None),
  (THREE, 'generic', ('z3', 'z1')),
  (TWO, 'reverse', None),
  (TWO, 'ladder', None),
  (TWO, 'lvae', ('z2',)),
]


@pytest.mark.parametrize(('layers', 'inference', 'flows'), ORDERS)
def test_any_hierarchy(layers, inference, flows):
  model = make(layers, flows, **{'model.inference': inference})
  with tf.GradientTape() as tape:
    trace = model.infer(BATCH, NOISE, 3)
    loss = -tf.reduce_mean(trace.log_weights())
  gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
  for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), variable.path
  again = model.score(BATCH, trace.z)
  for name in layers:
    np.testing.assert_allclose(again.log_q[name], trace.log_q[name], atol=1e-9)
  # Flows belong to the encoder, and the ladder's merged Gaussian is what they move.
  inference_paths = {variable.path for variable in model.players['inference']}
  flowing = [variable.path for variable in model.trainable_variables if '/coupling_' in variable.path]
  assert len(flowing) == len(flows or layers) * 2 * 5 and inference_paths >= set(flowing)
  # Without moving, everything is that of the Gaussians; beside it the moved ones are elsewhere.
  still = without_moving(model).infer(BATCH, NOISE, 3)
  for name in flows or layers:
    assert np.abs(still.z[name] - trace.z[name]).max() > 0.1
    base = still.q[name].base
    np.testing.assert_allclose(still.log_q[name], base.log_prob(still.z[name]), atol=1e-9)
    np.testing.assert_allclose(model.families[name].location(still.q[name]), base.mean(), atol=1e-12)
  assert model.generate(7, NOISE).x.shape == (7, 5)


@pytest.mark.parametrize('inference', ['reverse', 'ladder'])
def test_batches_of_unknown_size(inference):
  """As exported functions take them: one traced function, with the numbers of batches of a known size."""
  model = make(TWO, **{'model.inference': inference})

  def numbers(x):
    z, q = model.encode({'x': x})
    found = {f'{name}/{key}': v for name in z for key, v in model.families[name].parameters(q[name]).items()}
    return found | model.infer({'x': x}, NOISE, 3).terms()

  of_any = tf.function(numbers, input_signature=[tf.TensorSpec([None, 5], tf.float64)], autograph=False)
  for n in (1, 4):
    found, want = of_any(BATCH['x'][:n]), numbers(BATCH['x'][:n])
    for name in want:
      assert found[name].shape == want[name].shape, name
      np.testing.assert_allclose(found[name], want[name], rtol=1e-9, err_msg=name)


def test_features_of_x_move_it():
  """Of one z before the flow, the image depends on x, and with it the ladder's beyond its Gaussian."""
  for inference in ('generic', 'ladder'):
    model = make(**{'model.inference': inference})
    q = model.infer(BATCH, NOISE, 1).q['z1']
    images, _ = q.forward(tf.ones([1, 4, 3], tf.float64))
    assert np.ptp(images, axis=1).max() > 0.01


def test_an_optimal_prior_has_the_second_moments_of_samples():
  model = make(**{'prior.name': 'optimal'})
  trace = model.infer(BATCH, NOISE, 6)
  found = model.statistics(trace)
  for unit in range(3):
    want = np.mean(np.square(trace.z['z1'].numpy()[..., unit]), 0)
    np.testing.assert_allclose(found[f'second_moment/z1/{unit}'], want)


@pytest.fixture(scope='module')
def evaluated():
  """(numbers, arrays) of the test split of the digits: of a flow that is the identity, and of its Gaussian."""
  fields = {'eval.num_samples': 200, 'eval.batch_size': 300, 'train.precision': 'float32', 'eval.estimates.runs': 2}
  fields |= {'eval.estimates.samples': (5,), 'eval.estimates.examples': 10, 'model.z1.encoder.hidden': '6'}
  found = {}
  for flows in (('z1',), ()):
    spec = spec_of(flows=flows, **fields)
    data = build.dataset(spec)
    model = without_moving(make(flows=flows, shape=(8, 8, 1), **fields))
    if flows:
      weights = {v.path.replace('/base', ''): v.numpy() for v in model.variables}
    else:
      for variable in model.variables:
        variable.assign(weights[variable.path])
    evaluators = [build.lookup('eval.evaluators', name)(spec) for name in ('entropies', 'latents', 'estimates')]
    numbers, arrays = {}, {}
    for _, of in Evaluation(model, build.source(spec, data), spec).run('train', evaluators):
      numbers |= of.numbers
      arrays |= of.arrays
    found[bool(flows)] = numbers, arrays
  return found


def test_evaluators_take_samples_and_say_so(evaluated):
  """Without moving, what they find is what closed forms give, to the standard error of samples."""
  (sampled, arrays), (exact, exact_arrays) = evaluated[True], evaluated[False]
  renamed = {name for name in exact if name.startswith(('entropy_sum', 'entropy/encoder', 'elbo_minus_entropies'))}
  absent = {name for name in exact if name.startswith(('encoder_entropy/', 'active_units_entropy'))}
  renamed |= {name for name in exact if name.startswith('estimate_deviation/entropies')}
  assert renamed and absent and set(exact) - set(sampled) == renamed | absent
  new = lambda name: name.replace('entropies', 'entropies_sampled').replace('_sum', '_sum_sampled')
  new_names = {new(name).replace('/encoder', '/encoder_sampled') for name in renamed}
  assert set(sampled) - set(exact) == new_names
  # 1,500 examples of 200 samples; log q of 3 units has the variance 3 / 2.
  error = 5 * np.sqrt(1.5 / (1500 * 200))
  assert sampled['entropy/encoder_sampled'] == pytest.approx(exact['entropy/encoder'], abs=error)
  halves = [sampled[f'elbo_minus_entropies_sampled/{half}'] for half in ('decoder', 'rate')]
  assert sum(halves) == pytest.approx(sampled['elbo_minus_entropies_sampled'], abs=1e-4)
  assert sampled['active_units/z1'] == exact['active_units/z1']
  assert sampled['aggregate_kl/z1'] == pytest.approx(exact['aggregate_kl/z1'], rel=0.02)
  assert 'z1.encoder_entropy' in exact_arrays and 'z1.encoder_entropy' not in arrays
  assert arrays['entropies_sampled'].shape == exact_arrays['entropies'].shape == (1, 2)
  largest = exact_arrays['z1.covariance'].max()
  for name in ('z1.covariance', 'z1.variance_of_mean'):
    np.testing.assert_allclose(arrays[name], exact_arrays[name], atol=0.03 * largest)


REFUSED = [
  ({'model.z1.family': 'bernoulli'}, 'spec.model.z1.flow: got real_nvp, which is for Gaussian layers'),
  ({'model.z1.family': 'categorical'}, 'spec.model.z1.flow: got real_nvp, which is for Gaussian layers'),
  ({'model.z1.grid': 4}, 'spec.model.z1.flow: got real_nvp, which is for vectors, but spec.model.z1.grid is 4'),
  ({'model.z1.dim': 1}, 'spec.model.z1.flow: got real_nvp, which moves one half of the units by the other'),
  ({'model.z1.flow_steps': 0}, 'spec.model.z1.flow_steps: got 0'),
  ({'model.z1.flow_hidden': ()}, 'spec.model.z1.flow_hidden: got ()'),
  ({'objective.num_samples': 0, 'decoder.net.kind': 'linear'}, 'but spec.model.z1.flow is real_nvp'),
  ({'eval.evaluators': ('ppca',), 'decoder.net.kind': 'linear'}, 'but spec.model.z1.flow is real_nvp'),
  ({'eval.evaluators': ('latents',), 'eval.num_samples': 1}, 'spec.eval.num_samples: got 1; the evaluator latents'),
  ({'model.name': 'members', 'model.members': (2, 3)}, 'spec.model.z1.flow: got real_nvp; spec.model.name=members'),
  ({'model.z1.flow': 'nvp'}, "spec.model.z1.flow: got 'nvp'; allowed: none | real_nvp"),
]


@pytest.mark.parametrize(('fields', 'message'), REFUSED)
def test_mistakes(fields, message):
  with pytest.raises(SpecError) as error:
    spec_of(**fields)
  assert any(message in line for line in error.value.problems), error.value.problems


def test_a_banana_is_met_by_half_at_least():
  """Of the true generative model, evidence - ELBO: less than half of the diagonal Gaussian's."""
  where = importlib.util.spec_from_file_location('banana', ROOT / 'benchmarks/banana.py')
  banana = importlib.util.module_from_spec(where)
  where.loader.exec_module(banana)
  x = banana.examples(500)
  evidence = banana.log_evidence(x)
  gaussian, flow = banana.trained('none'), banana.trained('real_nvp')
  lacks = {name: evidence.mean() - banana.elbo(model, x) for name, model in (('gaussian', gaussian), ('flow', flow))}
  assert 0 < lacks['flow'] < 0.5 * lacks['gaussian'], lacks
  # Importance sampling with the flow meets the quadrature: the density of q is right, and so is the evidence.
  found = flow.infer({'x': tf.constant(x)}, NOISE, 1000).importance_bound()
  np.testing.assert_allclose(np.mean(found), evidence.mean(), atol=0.01)
