"""Constraints as terms of a loss: gradients, what is measured, multipliers, what is reported, and the evaluator."""

import math
import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from numpy.lib.stride_tricks import sliding_window_view
from test_binary import data as bits
from test_binary import gradient_of
from test_binary import tiny as binary

from tfvae import build, commands
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.analysis.evaluation import Evaluation
from tfvae.analysis.evaluator import Samples, Split
from tfvae.errors import SpecError
from tfvae.models.enumeration import states
from tfvae.models.frozen import Frozen, Trained
from tfvae.models.trace import Trace
from tfvae.objectives.constraint import Constraints
from tfvae.objectives.elbo import Elbo
from tfvae.objectives.terms import Seen
from tfvae.observation import Observation

IMAGE = Observation((4, 4, 1))
FIRST = tf.constant(0, tf.int64)
TWO = ('z2', 'z1')
PATCHES = {'constraint.fre.features': 'patches', 'constraint.fre.relative': False}
PATCHES |= {f'constraint.{name}.{field}': 2 for name in ('fre', 'pncc') for field in ('patch', 'stride')}
FLOW = {'model.z1.flow': 'real_nvp', 'model.z1.flow_hidden': (3,)}
BERNOULLI = {'decoder.likelihood': 'bernoulli', 'data.binarize': 'threshold'}


@pytest.fixture
def classifier(monkeypatch):
  """A classifier of 4 x 4 images and three labels, untrained and smooth: what `make.frozen` then gives."""
  spec = spec_lib.load(ROOT / 'specs/classifier.py')
  fields = {'model.classifier.hidden': (3,), 'model.classifier.dense': (4,), 'model.classifier.classes': 3}
  spec = spec_lib.resolve(spec, fields | {'train.precision': 'float64', 'model.classifier.activation': 'tanh'})
  model = build.model(spec, IMAGE)
  shake(model, 1.0)
  trained = Trained(model, spec, {}, (0.0, 1.0), 0.9, 'test', 'hash')
  monkeypatch.setattr(build, 'frozen', lambda spec, observation, *how: Frozen(trained, observation))


def shake(model, scale=0.2):
  rng = np.random.default_rng(1)
  for variable in model.variables:
    variable.assign_add(scale * rng.standard_normal(variable.shape))


def resolved(names, layers=('z1',), **fields):
  """A small smooth spec in float64."""
  spec = spec_lib.base(layers)
  nets = [spec.decoder.net, *(spec.model[layer].encoder for layer in layers)]
  nets += [spec.model[layer][kind] for layer in layers for kind in ('posterior', 'prior') if kind in spec.model[layer]]
  for net in nets:
    net.hidden, net.activation = (3,), 'tanh'
  for layer in layers:
    spec.model[layer].dim = 2
  spec.objective.num_samples = 2
  spec.eval.evaluators, spec.sample.what = ('bounds',), ('prior',)
  fields = {'decoder.variance': 'fixed', 'classifier.path': 'elsewhere', **PATCHES, **fields}
  return spec_lib.resolve(spec, {'train.precision': 'float64', 'constraint.names': names, **fields})


def tiny(names, layers=('z1',), observation=IMAGE, **fields):
  """(spec, model, objective), with weights and multipliers that are not those of the start."""
  spec = resolved(names, layers, **fields)
  model = build.model(spec, observation)
  shake(model)
  objective = build.objective(spec, model)
  if names:
    found = constraints(objective)
    found.multipliers.begin([3.0 + i for i in range(len(found.measures))])
  return spec, model, objective


def constraints(objective):
  (found,) = (term for term in objective.terms if isinstance(term, Constraints))
  return found


def batch(n=3, shape=IMAGE.shape, **more):
  x = np.random.default_rng(0).random((n, *shape))
  return {'x': tf.constant(x), 'label': tf.constant(np.arange(n) % 3), **more}


def found(objective, model, step=FIRST, seed=0, own=None):
  """The loss and the metrics."""
  return objective.loss('model', model, own or batch(), step, noise_lib.stateless(seed, 0))


def gradients(objective, model, step=FIRST):
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(found(objective, model, step)[0])
  return tape.gradient(loss, [v.value for v in model.trainable_variables], unconnected_gradients='zero')


# Gradients.

EVERY = ('re', 'fre', 'cla', 'pncc', 'rate')
CASES = {
  'all': (EVERY, TWO, {**FLOW, 'constraint.rate.z2': 3.0, 'constraint.likelihood': 'keep'}),
  'features of bits': (('fre', 'cla'), ('z1',), {**BERNOULLI, 'constraint.fre.features': 'classifier'}),
}
ALONE = {
  'mean': (('re',), ('z1',), {}),
  'sum': (('re',), ('z1',), {'constraint.re.reduce': 'sum'}),
  're of bits': (('re',), TWO, BERNOULLI),
  'patches': (('fre',), ('z1',), {'constraint.fre.reduce': 'sum'}),
  'features': (('fre',), ('z1',), {'constraint.fre.features': 'classifier'}),
  'cla': (('cla',), TWO, {}),
  'pncc': (('pncc',), ('z1',), FLOW),
  'pncc of bits': (('pncc',), ('z1',), BERNOULLI),
  'rate': (('rate',), TWO, {'constraint.rate.z1': 3.0, 'objective.beta.z2': 0.7}),
  'both rates': (('rate',), TWO, {'constraint.rate.z1': 3.0, 'constraint.rate.z2': 1.0}),
  'sampled': (('rate',), TWO, {'constraint.rate.z1': 3.0, 'objective.kl': 'sampled'}),
  'rate of a flow': (('rate', 're'), TWO, {'constraint.rate.z1': 3.0, 'model.z1.flow': 'real_nvp'}),
  'one layer': (('re', 'fre', 'pncc'), ('z1',), {'constraint.re.reduce': 'sum'}),
  'two layers': (('re', 'rate'), TWO, {'constraint.rate.z2': 3.0, 'constraint.likelihood': 'keep'}),
  'ladder': (('re', 'rate'), ('z3', *TWO), {'constraint.rate.z2': 3.0, 'model.inference': 'ladder'}),
}


@pytest.mark.parametrize('case', [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in ALONE)])
def test_gradient_against_finite_differences(case, classifier):
  """Of the loss of the first step, whose value has all of C; later ones have the same gradient."""
  names, layers, fields = (CASES | ALONE)[case]
  _, model, objective = tiny(names, layers, **fields)
  own = constraints(objective)
  assert {measure.name.partition('/')[0] for measure in own.measures} == set(names)
  slopes = gradients(objective, model)
  compiled, h, rng = tf.function(lambda: tf.reduce_sum(found(objective, model)[0])), 1e-5, np.random.default_rng(2)
  for variable, gradient in zip(model.trainable_variables, slopes, strict=True):
    direction, start, ends = rng.standard_normal(variable.shape), variable.numpy(), []
    for sign in (1, -1):
      variable.assign(start + sign * h * direction)
      ends.append(float(compiled()))
    variable.assign(start)
    want = (ends[0] - ends[1]) / (2 * h)
    assert float(tf.reduce_sum(gradient * direction)) == pytest.approx(want, rel=2e-6, abs=1e-6), variable.path
  assert any(np.any(g != 0) for g in slopes)
  own.multipliers.average.assign([1e3] * len(own.measures))
  for first, later in zip(slopes, gradients(objective, model, tf.constant(7, tf.int64)), strict=True):
    np.testing.assert_array_equal(first, later)


def test_the_score_function_against_enumeration():
  """Of bits: sum_l beta_l R_l + lambda C, each state's weighed by its q. The average, however far off, is not in it."""
  fields = {'constraint.names': ('re', 'rate'), 'constraint.rate.z2': 1.0, 'objective.beta.z1': 0.7}
  fields |= {'objective.name': 'elbo', 'objective.estimator': 'score_function', 'objective.num_samples': 4}
  spec, model = binary('ladder', **fields)
  objective, x, n, step = build.objective(spec, model), bits(), 600, tf.constant(7, tf.int64)
  variables = model.players['inference']
  constraints(objective).multipliers.begin([40.0, 2.5])
  constraints(objective).multipliers.average.assign([100.0, 100.0])
  every = {name: tf.repeat(tf.constant(value)[:, None], len(x), axis=1) for name, value in states(model).items()}

  def exact():
    trace = model.score({'x': x}, every)
    log_q = {name: tf.broadcast_to(value, trace.log_px.shape) for name, value in trace.log_q.items()}
    rates = {name: value - trace.log_p[name] for name, value in log_q.items()}
    error = tf.reduce_mean(tf.square(trace.x - trace.mean), axis=[2, 3, 4])
    total = 0.7 * rates['z1'] + 2.5 * (rates['z2'] - 1.0) + 40.0 * (error - 0.01)
    return tf.reduce_mean(tf.reduce_sum(tf.exp(tf.add_n(list(log_q.values()))) * total, 0))

  want, repeated = gradient_of(exact, variables), {'x': tf.repeat(x, n, axis=0)}

  @tf.function(autograph=False)
  def estimate(seed):
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(objective.loss('model', model, repeated, step, noise_lib.stateless(5, seed))[0])
    return tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(loss, [v.value for v in variables])], 0)

  draws = np.stack([estimate(tf.constant(i)) for i in range(30)]).astype(np.float64)
  error = draws.std(0, ddof=1) / np.sqrt(len(draws))
  assert np.all(np.abs(draws.mean(0) - want) < 5.5 * error + 1e-4)
  assert np.abs(want).max() > 30 * error.max()  # so that a constraint without its gradient would be noticed


# What is measured.


def traced(x, mean, kl=None):
  """A trace of these, with nothing else in it."""
  parts = {key: {} for key in Trace._fields} | {
    'x': tf.constant(x),
    'target': tf.constant(x),
    'mean': tf.constant(mean),
    'relaxed': (),
  }
  return Trace(**parts | {'kl': kl or {}})


def measured(measure, x, mean, **more):
  return measure.value(Seen(None, more, traced(x, mean, more.get('kl')), FIRST)).numpy()


def windows(images, patch, stride):
  """[..., H, W, C] -> [..., P, patch^2, C]."""
  parts = sliding_window_view(images, (patch, patch), axis=(-3, -2))[..., ::stride, ::stride, :, :, :]
  parts = np.moveaxis(parts, -3, -1)
  return parts.reshape(*images.shape[:-3], -1, patch * patch, images.shape[-1])


def examples(shape=(5, 7, 3)):
  rng = np.random.default_rng(3)
  return rng.random((2, *shape)), rng.random((4, 2, *shape))


def measures_of(names, observation, **fields):
  return {m.name: m for m in build.constraints(resolved(names, **fields), observation)}


def test_errors_by_hand():
  x, mean = examples()
  for fields, size in (({}, 1), ({'constraint.re.reduce': 'sum'}, 5 * 7 * 3)):
    (re,) = measures_of(('re',), Observation(x.shape[1:]), **fields).values()
    np.testing.assert_allclose(measured(re, x, mean), size * np.square(x - mean).mean((2, 3, 4)), rtol=1e-12)
    assert float(re.threshold()) == pytest.approx(size * 0.1**2) and re.sign == 1


@pytest.mark.parametrize(('patch', 'stride'), [(2, 1), (3, 2), (5, 3)])
def test_statistics_of_patches_by_hand(patch, stride):
  x, mean = examples()
  fields = {'constraint.fre.patch': patch, 'constraint.fre.stride': stride, 'constraint.fre.kappa': 0.3}
  (fre,) = measures_of(('fre',), Observation(x.shape[1:]), **fields).values()
  own, made = (windows(value, patch, stride) for value in (x, mean))
  count = (1 + (5 - patch) // stride) * (1 + (7 - patch) // stride)
  assert own.shape == (2, count, patch**2, 3) and fre.size == 2 * 3 * count
  deviation = lambda parts: np.sqrt(parts.var(-2) + 1e-6)  # 1e-6: a thousandth of black to white, squared
  squares = np.square(own.mean(-2) - made.mean(-2)) + np.square(deviation(own) - deviation(made))
  np.testing.assert_allclose(measured(fre, x, mean), squares.mean((2, 3)) / 2, rtol=1e-10)
  assert float(fre.threshold()) == pytest.approx(0.09)


def test_correlations_of_patches_by_hand():
  """A patch has all channels; those where x is constant are left out."""
  x, mean = examples()
  x[0, :, :4] = 0.7  # constant in the left columns
  fields = {'constraint.pncc.patch': 3, 'constraint.pncc.stride': 1}
  (pncc,) = measures_of(('pncc',), Observation(x.shape[1:]), **fields).values()
  own, made = (windows(value, 3, 1) for value in (x, mean))
  got = measured(pncc, x, mean)
  for s in range(4):
    for b in range(2):
      pairs = [(a.ravel(), c.ravel()) for a, c in zip(own[b], made[s, b], strict=True) if np.ptp(a)]
      assert len(pairs) == (3 * 3 if b == 0 else 3 * 5)
      want = np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs])
      assert got[s, b] == pytest.approx(want, abs=1e-6)  # 1e-6 of squares of about 1 is added to those of E[x | z]
  assert (pncc.sign, float(pncc.threshold())) == (-1, 0.9)
  np.testing.assert_allclose(measured(pncc, x, np.repeat(x[None], 4, 0)), 1, atol=1e-5)
  np.testing.assert_allclose(measured(pncc, x, np.repeat(1 - 2 * x[None], 4, 0)), -1, atol=1e-5)


def test_images_without_contrast_say_nothing_of_a_correlation():
  x, mean = np.full((2, 4, 4, 1), 0.3), np.random.default_rng(0).random((1, 2, 4, 4, 1))
  (pncc,) = measures_of(('pncc',), IMAGE).values()
  np.testing.assert_allclose(measured(pncc, x, mean), 0.9)  # C = 0
  x[0, 0, 0] = 1.0
  np.testing.assert_allclose(measured(pncc, x, np.full((1, 2, 4, 4, 1), 0.5)), [[0, 0.9]], atol=1e-9)  # and no NaN


def test_probabilities_and_features_by_hand(classifier):
  rng = np.random.default_rng(0)
  x, mean, label = rng.random((3, 4, 4, 1)), rng.random((2, 3, 4, 4, 1)), tf.constant([2, 0, 1])
  fields = {'constraint.fre.features': 'classifier', 'constraint.fre.reduce': 'sum'}
  found, frozen = measures_of(('cla', 'fre'), IMAGE, **fields), build.frozen(None, IMAGE)
  for s in range(2):
    logits, one, other = (f.numpy() for f in (frozen.logits(mean[s]), frozen.features(mean[s]), frozen.features(x)))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    got = measured(found['cla'], x, mean, label=label)
    np.testing.assert_allclose(got[s], p[np.arange(3), [2, 0, 1]], rtol=1e-10)
    np.testing.assert_allclose(measured(found['fre'], x, mean)[s], np.square(one - other).sum(-1), rtol=1e-10)
  assert found['cla'].sign == -1 and found['fre'].size == 4
  for measure in found.values():  # so that a run knows which classifier it is by
    assert measure.frozen == {'classifier': frozen.identity}
  assert float(found['fre'].threshold()) == pytest.approx(4 * 0.5**2)


def test_a_rate_is_that_of_its_layer():
  kl = {'z2': tf.constant([[1.0, 2.0]]), 'z1': tf.constant([[5.0, 7.0]])}
  found = build.constraints(resolved(('rate',), TWO, **{'constraint.rate.z1': 4.0}), IMAGE)
  (rate,) = found
  np.testing.assert_array_equal(measured(rate, np.zeros((2, 1)), np.zeros((1, 2, 1)), kl=kl), [[5.0, 7.0]])
  assert (rate.name, float(rate.threshold()), rate.sign) == ('rate/z1', 4.0, 1)


# Multipliers.


def begun(names, observation=IMAGE, **fields):
  """{name: where its multiplier starts}."""
  spec = resolved(names, **fields)
  model = types.SimpleNamespace(
    decoder=types.SimpleNamespace(likelihood=types.SimpleNamespace(observation=observation))
  )
  own = Constraints.from_spec(spec, model, build)
  return dict(zip([m.name for m in own.measures], own.multipliers.value().numpy(), strict=True))


def test_where_multipliers_start():
  every = ('re', 'fre', 'pncc')
  kappas = {'constraint.re.kappa': 0.05, 'constraint.fre.kappa': 0.2}
  features = 2 * 4  # the means and deviations of 4 patches
  assert begun(every, **kappas) == pytest.approx({'re': 16 / (2 * 0.05**2), 'fre': features / (2 * 0.2**2), 'pncc': 1})
  sums = kappas | {'constraint.re.reduce': 'sum', 'constraint.fre.reduce': 'sum'}
  assert begun(every, **sums) == pytest.approx({'re': 1 / (2 * 0.05**2), 'fre': 1 / (2 * 0.2**2), 'pncc': 1})
  assert begun(every, **kappas, **{'constraint.update': 'published'}) == pytest.approx(dict.fromkeys(every, 1.0))
  given = kappas | {'constraint.re.multiplier': 7.0, 'constraint.pncc.multiplier': 0.5}
  for update in ('relative', 'published'):
    found = begun(every, **given, **{'constraint.update': update})
    assert (found['re'], found['pncc']) == pytest.approx((7.0, 0.5))
  assert begun(('rate',), **{'constraint.rate.z1': 5.0}) == {'rate/z1': 1.0}
  assert begun(('re',), **{'constraint.range': (1e-3, 100.0)})['re'] == pytest.approx(100.0)


def test_a_relative_kappa_is_a_share_of_the_standard_deviation():
  """And one of data that are all alike is refused."""
  fields = {'constraint.re.relative': True, 'constraint.re.kappa': 0.5}
  _, _, objective = tiny(('re',), **fields)
  (re,), multipliers = constraints(objective).measures, constraints(objective).multipliers
  variance = np.random.default_rng(0).random(IMAGE.shape)
  objective.fit(lambda features: (np.zeros(IMAGE.shape), variance))
  assert float(re.threshold()) == pytest.approx(0.25 * variance.mean())
  assert float(multipliers.value()[0]) == pytest.approx(16 / (2 * 0.25 * variance.mean()))
  assert sorted(objective.variables) == ['constraint/average', 'constraint/log_multiplier', 'constraint/scale/re']
  with pytest.raises(SpecError, match=r'spec\.constraint\.re\.relative: got True, but .* does not vary'):
    objective.fit(lambda features: (np.zeros(IMAGE.shape), np.zeros(IMAGE.shape)))


RUN = {'train.log_every': 1, 'train.checkpoint_every': 10, 'train.compile': 'graph', 'train.steps': 20}
RUN |= {'eval.every': 10, 'eval.num_samples': 2, 'data.batch_size': 50}


@pytest.fixture
def quick(monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])


def logged(run):
  """name -> its value in each step of training."""
  return {name: np.array(values) for name, values in run.metrics['train'].items()}


def variance_of(data):
  """The mean variance of the dimensions of x, scaled, over the training split."""
  return (data.splits['train']['x'].astype(np.float64) * data.scale + data.offset).var(0).mean()


@pytest.mark.parametrize('update', ['published', 'relative'])
def test_updates_against_a_loop_in_numpy(update, quick, tmp_path, monkeypatch):
  """Two constraints on a hierarchy of real training, an evaluation in its middle; warm-up, range, and the loss.

  The relative one is resumed after 10 steps: averages, multipliers and scales go on; nothing is measured again.
  """
  alpha, rate, low, high, hold = (0.99, 0.3, 0.7, 1.2, 4) if update == 'published' else (0.9, 0.2, 1e-2, 1e4, 0)
  fields = {'constraint.update': update, 'constraint.alpha': alpha, 'constraint.multiplier_rate': rate, **RUN}
  fields |= {'constraint.range': (low, high), 'constraint.warmup': hold / 20, 'constraint.rate.z2': 1.0}
  fields |= {'data.scaling': 'min_max', 'objective.beta.z1': 0.7, 'constraint.re.relative': update == 'relative'}
  spec = resolved(('re', 'rate'), TWO, **fields, **{'constraint.re.kappa': 0.7 if update == 'relative' else 0.1})
  if update == 'relative':
    commands.train(spec_lib.resolve(spec, {'train.steps': 10}), tmp_path / 'run')
    monkeypatch.setattr(Elbo, 'fit', None)
  rows = logged(commands.train(spec, tmp_path / 'run'))
  assert len(rows['loss']) == 20
  square = 0.7**2 * variance_of(build.dataset(spec)) if update == 'relative' else 0.01
  start = {'re': 1.0 if update == 'published' else 64 / (2 * square), 'rate/z2': 1.0}
  loss = 0.7 * rows['rate/z1']
  for name, threshold in (('re', square), ('rate/z2', 1.0)):
    np.testing.assert_allclose(rows[f'threshold/{name}'], threshold, rtol=1e-6)
    average, value, told = 0.0, start[name], []
    for step, mean in enumerate(rows[f'constraint/{name}']):
      told.append((average, value))
      average = mean if step == 0 else alpha * average + (1 - alpha) * mean
      loss[step] += value * average
      move = average if update == 'published' else np.clip(average / threshold, -1, 1)
      if step >= hold:
        value = float(np.clip(value * np.exp(rate * move), low, high))
    averages, values = np.array(told).T
    np.testing.assert_allclose(rows[f'constraint_average/{name}'], averages, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(rows[f'multiplier/{name}'], values, rtol=1e-6)
    assert np.all(values[: hold + 1] == start[name]) and values[-1] != start[name]
    if update == 'published':
      assert values[-1] == (high if name == 're' and averages[-1] > 0 else low)  # clipped
  np.testing.assert_allclose(rows['loss'], loss, rtol=1e-6)
  np.testing.assert_allclose(rows['constraint/re'], rows['mse'] - square, rtol=1e-6, atol=1e-9)
  np.testing.assert_allclose(rows['constraint/rate/z2'], rows['rate/z2'] - 1.0, rtol=1e-6, atol=1e-9)
  np.testing.assert_array_equal(rows['beta/z2'], rows['multiplier/rate/z2'])
  np.testing.assert_allclose(rows['beta/z1'], 0.7, rtol=1e-6)


# What is reported.


def test_a_target_finds_a_beta():
  """The loss is that with fixed betas equal to the multipliers, up to a constant; it has the same gradient."""
  targets = {'constraint.rate.z2': 2.0, 'constraint.rate.z1': 6.0}
  _, model, found_ = tiny(('rate',), TWO, **targets)
  betas = {'objective.beta.z2': 3.0, 'objective.beta.z1': 4.0}
  _, other, fixed = tiny((), TWO, **betas)
  (loss, told), (want, same) = found(found_, model), found(fixed, other)
  np.testing.assert_allclose(loss, want - (3.0 * 2.0 + 4.0 * 6.0), rtol=1e-9)
  for layer, value in (('z2', 3.0), ('z1', 4.0)):
    assert float(told[f'beta/{layer}']) == pytest.approx(float(same[f'beta/{layer}'])) == pytest.approx(value)
  for name in same:
    if not name.startswith('beta/'):
      np.testing.assert_array_equal(told[name], same[name])
  for one, two in zip(gradients(found_, model), gradients(fixed, other), strict=True):
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)  # a fixed beta is in float32


@pytest.mark.slow
def test_one_target_leaves_the_other_layer_its_beta():
  fields = {'constraint.rate.z2': 2.0, 'objective.beta.z1': 0.5}
  _, model, objective = tiny(('rate',), TWO, **fields)
  loss, metrics = found(objective, model)
  want = 0.5 * metrics['rate/z1'] + 3.0 * (metrics['rate/z2'] - 2.0) - metrics['log_likelihood']
  np.testing.assert_allclose(loss, want, rtol=1e-9)


@pytest.mark.parametrize(('reduce', 'size'), [pytest.param('mean', 16, marks=pytest.mark.slow), ('sum', 1)])
def test_the_beta_vae_that_an_error_amounts_to(reduce, size):
  """Its loss has that of the constraint, times its beta, for its gradient."""
  _, model, objective = tiny(('re',), **{'constraint.re.reduce': reduce})
  constraints(objective).multipliers.begin([5.0])
  constraints(objective).multipliers.average.assign([0.03 if reduce == 'mean' else 0.03 * 16])
  _, metrics = found(objective, model, tf.constant(7, tf.int64))
  sigma, beta = float(metrics['beta_vae/sigma']), float(metrics['beta_vae/beta'])
  assert sigma == pytest.approx(math.sqrt(0.03 + 0.1**2)) and beta == pytest.approx(size / (2 * sigma**2 * 5.0))
  _, other, plain = tiny((), **{'decoder.sigma': sigma, 'objective.beta.z1': beta})
  for one, two in zip(gradients(objective, model), gradients(plain, other), strict=True):
    np.testing.assert_allclose(beta * one, two, rtol=1e-5, atol=1e-6)
  for fields in ({'constraint.likelihood': 'keep'}, {'constraint.names': ('re', 'pncc')}):  # amounts to none
    _, model, objective = tiny(fields.pop('constraint.names', ('re',)), **fields)
    assert not [name for name in found(objective, model)[1] if name.startswith('beta_vae/')]


@pytest.mark.parametrize('variance', [pytest.param('fixed', marks=pytest.mark.slow), 'optimal'])
def test_no_gradient_reaches_sigma_where_the_likelihood_is_dropped(variance):
  """And the ELBO that is reported is at it: for optimal, after each step, at the errors'."""
  _, model, objective = tiny(('re',), **{'decoder.variance': variance, 'decoder.sigma': 0.3})
  loss, metrics = found(objective, model)
  objective.update({name: tf.reduce_mean(value) for name, value in metrics.items()}, FIRST)
  sigma = 0.3 if variance == 'fixed' else math.sqrt(float(tf.reduce_mean(metrics['mse'])))
  _, metrics = found(objective, model)
  density = -0.5 * 16 * (metrics['mse'] / sigma**2 + math.log(2 * math.pi * sigma**2))
  np.testing.assert_allclose(metrics['elbo'], density - metrics['rate'], rtol=1e-6)
  value = metrics['rate'] + 3.0 * (metrics['mse'] - 0.01)
  np.testing.assert_allclose(loss, value, rtol=1e-9)  # sigma is not in it
  (multiplier,) = constraints(objective).multipliers.value().numpy()
  assert multiplier != pytest.approx(3.0)
  assert not [v.path for v in objective.players['model'] if 'sigma' in v.path]


def test_softened_samples_are_named():
  """What follows from them; the rate of the layer that has them does not."""
  fields = {'model.z2.family': 'categorical', 'model.z2.dim': 3, 'objective.estimator': 'gumbel_softmax'}
  fields |= {'constraint.rate.z2': 1.0, 'objective.num_samples': 5}
  _, model, objective = tiny(('re', 'rate'), TWO, **fields)
  loss, metrics = found(objective, model)
  assert {'relaxed/constraint/re', 'constraint/rate/z2'} <= set(metrics)
  assert not {'constraint/re', 'relaxed/constraint/rate/z2'} & set(metrics) and np.all(np.isfinite(loss))
  objective.update({name: tf.reduce_mean(value) for name, value in metrics.items()}, FIRST)
  own, names = constraints(objective).multipliers, ('relaxed/constraint/re', 'constraint/rate/z2')
  np.testing.assert_allclose(own.average.numpy(), [np.mean(metrics[name]) for name in names], rtol=1e-9)
  assert not np.any(own.value().numpy() == [3.0, 4.0])


BITS = {'model.z2.family': 'bernoulli', 'objective.estimator': 'zgr'}
KINDS = {
  'lvae': {'model.inference': 'lvae'},
  'ladder': {'model.inference': 'ladder', **BITS},
  'reverse': {'model.inference': 'reverse', 'objective.kl': 'sampled'},
  'categories': {'model.z2.family': 'categorical', 'model.z2.dim': 3, 'objective.estimator': 'straight_through'},
}


@pytest.mark.parametrize('kind', [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS])
def test_hierarchies_of_any_kind(kind):
  """Five samples: the loss is what the metrics say, every variable has a gradient, and multipliers move."""
  fields = {'constraint.rate.z2': 1.0, 'objective.num_samples': 5, **KINDS[kind]}
  _, model, objective = tiny(('re', 'rate'), TWO, **fields)
  loss, metrics = found(objective, model)
  assert loss.shape == (3,)
  rates = {name: value for name, value in metrics.items() if name in ('constraint/rate/z2', 'rate/z1')}
  if kind != 'reverse':  # there the rates of the loss are those at the samples
    want = rates['rate/z1'] + 4.0 * rates['constraint/rate/z2'] + 3.0 * metrics['constraint/re']
    np.testing.assert_allclose(loss, want, rtol=1e-9)
    np.testing.assert_allclose(rates['constraint/rate/z2'], metrics['rate/z2'] - 1.0, rtol=1e-9)
  for variable, gradient in zip(model.trainable_variables, gradients(objective, model), strict=True):
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), variable.path
  objective.update({name: tf.reduce_mean(value) for name, value in metrics.items()}, FIRST)
  assert not np.any(constraints(objective).multipliers.value().numpy() == [3.0, 4.0])


@pytest.mark.slow
def test_linear_models_without_samples():
  """E_q of a squared error is exact at the points of a cubature: many samples approach it."""
  fields = {'decoder.net.kind': 'linear', 'model.z1.encoder.kind': 'linear', 'constraint.re.reduce': 'sum'}
  values = []
  for samples in (0, 4000):
    _, model, objective = tiny(('re',), **fields, **{'objective.num_samples': samples})
    values.append(found(objective, model)[1]['constraint/re'].numpy())
  np.testing.assert_allclose(values[0], values[1], rtol=0.05)
  trace = model.infer(batch(), noise_lib.stateless(0, 0), 4000)
  spread = np.square(trace.x - trace.mean).sum((2, 3, 4)).std(0) / math.sqrt(4000)
  assert np.all(np.abs(values[0] - values[1]) < 5 * spread)


# The evaluator.


def test_the_evaluator_by_hand():
  """On a split of two and a half batches, two samples of each example."""
  fields = {'constraint.re.relative': True, 'constraint.rate.z2': 1.0, 'eval.batch_size': 150, 'eval.num_samples': 2}
  spec = resolved(('re', 'pncc', 'rate'), TWO, **fields)
  data = build.dataset(spec)
  model, source = build.model(spec, data.observation), build.source(spec, data)
  shake(model)
  (evaluator,) = (e for e in build.evaluators(spec, data.observation) if e.name == 'constraints')
  ((_, got),) = Evaluation(model, source, spec).run('test', [evaluator])
  values, split = {'re': [], 'pncc': [], 'rate/z2': []}, Split(source, 'test', spec)
  (pncc,) = (m for m in build.constraints(spec, data.observation) if m.name == 'pncc')
  for number, stored in split.batches():
    own = split.batch(stored)
    trace = model.infer(own, split.sample_noise(number, Samples(2, None)), 2)
    kept = own['mask'].numpy() > 0
    values['re'] += list(np.square(trace.x - trace.mean).mean((0, 2, 3, 4))[kept])
    values['pncc'] += list(pncc.value(Seen(model, own, trace, FIRST)).numpy().mean(0)[kept])
    values['rate/z2'] += list(trace.kl['z2'].numpy().mean(0)[kept])
  thresholds = {'re': 0.1**2 * variance_of(data), 'pncc': 0.9, 'rate/z2': 1.0}
  size = data.size('test')
  assert size % 150 and len(values['re']) == size
  for name, threshold in thresholds.items():
    sign = -1 if name == 'pncc' else 1
    assert got.numbers[f'threshold/{name}'] == pytest.approx(threshold, rel=1e-6)
    assert got.numbers[f'constraint/{name}'] == pytest.approx(sign * (np.mean(values[name]) - threshold), rel=1e-6)
    error = np.std(values[name], ddof=1) / math.sqrt(size)
    assert got.numbers[f'constraint_standard_error/{name}'] == pytest.approx(error, rel=1e-6)
  assert len(got.numbers) == 9
