"""Steps: players in turn, clipping, moving averages, and the same numbers however a step is compiled."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvae import build
from tfvae import noise as noise_lib
from tfvae import spec as spec_lib
from tfvae.data.dataset import Stored, make
from tfvae.data.source import Source
from tfvae.objectives.objective import Objective
from tfvae.observation import Observation
from tfvae.run.ema import Ema
from tfvae.training.step import Stepper, compile_mode, norm_in_parts


def toy_source(batch_size=4, n=20):
  x = np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)
  section = spec_lib.base().data
  section.update({'scaling': 'none', 'batch_size': batch_size})
  return Source(make(Stored('toy', {'train': {'x': x}, 'test': {'x': x}}), section, 0), section, seed=0)


class Point(keras.Model):
  """Two vectors, a and b, for two players."""

  def __init__(self):
    super().__init__(name='point')
    self.a = self.add_weight(shape=(2,), initializer='zeros', name='a')
    self.b = self.add_weight(shape=(2,), initializer='zeros', name='b')


class TwoPlayers(Objective):
  """first: |a - x|^2; second: |b - a|^2 + noise b: it sees the a that the first has just moved. Keeps an average."""

  def __init__(self, model):
    self._model = model
    self.average = tf.Variable(0.0, trainable=False)

  @property
  def variables(self):
    return {'average': self.average}

  @property
  def players(self):
    return {'first': [self._model.a], 'second': [self._model.b]}

  def loss(self, player, model, batch, step, noise):
    eps = noise.normal('eps', (batch['x'].shape[0], 2))
    if player == 'first':
      return tf.reduce_sum((model.a - batch['x']) ** 2, -1), {'eps/first': eps[:, 0]}
    return tf.reduce_sum((model.b - model.a) ** 2 + 0.1 * eps * model.b, -1), {'eps/second': eps[:, 0]}

  def update(self, means, step):
    self.average.assign(0.9 * self.average + 0.1 * means['loss/first'])


def stepper(model, objective, source, compile='graph', rate=0.1, clip=0.0, ema=None, strategy=None):
  strategy = strategy or tf.distribute.OneDeviceStrategy('/cpu:0')
  groups = {}
  for player, variables in objective.players.items():
    optimizer = keras.optimizers.SGD(rate, name=player)
    optimizer.build(variables)
    groups[player] = [(optimizer, variables)]
  return Stepper(strategy, model, objective, source, groups, ema, 0, clip, compile)


def run(step, first, count, sums=None):
  sums = tf.constant(step.zeros()) if sums is None else sums
  feed = step.source.feed(first, count, step.rows)
  return step.run(feed, tf.constant(first, tf.int64), tf.constant(count, tf.int64), sums)


@pytest.mark.parametrize('compile', ['graph', 'xla', 'eager'])
def test_two_players_move_in_turn(compile):
  model, source = Point(), toy_source()
  objective = TwoPlayers(model)
  step = stepper(model, objective, source, compile)
  done = run(step, 0, 3)
  names = [f'{name}/{player}' for player in ('first', 'second') for name in ('gradient_norm', 'loss', 'eps')]
  assert step.metric_names == names and int(done.taken) == 3

  # The same in NumPy: SGD with rate 0.1; b sees the new a.
  a, b, average, sums = np.zeros(2), np.zeros(2), 0.0, np.zeros(6)
  for number, index in enumerate(source.order(0, 3)):
    x = source.dataset.splits['train']['x'][index]
    draws = {
      p: noise_lib.stateless(0, tf.constant(number, tf.int64)).scope(p).normal('eps', (4, 2)).numpy()
      for p in ('first', 'second')
    }
    gradient_a = 2 * (a - x).mean(0)
    loss_a = ((a - x) ** 2).sum(-1).mean()
    a = a - 0.1 * gradient_a
    gradient_b = 2 * (b - a) + 0.1 * draws['second'].mean(0)
    loss_b = ((b - a) ** 2 + 0.1 * draws['second'] * b).sum(-1).mean()
    b = b - 0.1 * gradient_b
    average = 0.9 * average + 0.1 * loss_a
    norms = [np.linalg.norm(gradient_a), np.linalg.norm(gradient_b)]
    eps = [draws[player][:, 0].mean() for player in draws]
    sums += [norms[0], loss_a, eps[0], norms[1], loss_b, eps[1]]
  np.testing.assert_allclose(model.a, a, rtol=1e-5)
  np.testing.assert_allclose(model.b, b, rtol=1e-5)
  np.testing.assert_allclose(objective.average, average, rtol=1e-5)
  np.testing.assert_allclose(done.sums, sums, rtol=1e-5)
  assert not np.array_equal(draws['first'], draws['second'])  # fresh samples for each player


def test_clipping_bounds_the_step_and_reports_the_norm_before():
  model, source = Point(), toy_source()
  model.a.assign([30.0, -40.0])
  step = stepper(model, TwoPlayers(model), source, rate=1.0, clip=0.5)
  done = run(step, 0, 1)
  moved = np.linalg.norm(np.array([30.0, -40.0]) - model.a.numpy())
  assert moved == pytest.approx(0.5, rel=1e-4)
  norm = dict(zip(step.metric_names, done.sums.numpy(), strict=True))['gradient_norm/first']
  assert norm == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize('jit', [False, True])
def test_norm_in_parts_is_the_norm(jit):
  shapes = [(40, 100), (3,), (16, 7), (), (2, 2, 3, 5)]  # some that divide into parts, some that do not
  values = [np.random.default_rng(i).standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)]
  norm = tf.function(norm_in_parts, jit_compile=jit)([tf.constant(value) for value in values])
  want = np.sqrt(sum((value.astype(np.float64) ** 2).sum() for value in values))
  assert norm.numpy() == pytest.approx(want, rel=1e-6)
  assert np.isnan(norm_in_parts([tf.constant([1.0, np.nan]), tf.ones([16])]))


def test_penalties_of_layers_are_added_once():
  class Penalised(Point):
    def __init__(self):
      super().__init__()
      self.c = self.add_weight(shape=(2,), initializer='ones', regularizer=keras.regularizers.L2(0.5), name='c')

  class Objective1(TwoPlayers):
    @property
    def players(self):
      return {'only': [self._model.c]}

    def loss(self, player, model, batch, step, noise):
      return tf.zeros([4]), {}

    def update(self, means, step):
      assert set(means) == {'loss', 'gradient_norm'}  # one player: names without a suffix

  model = Penalised()
  run(stepper(model, Objective1(model), toy_source(), rate=0.1), 0, 1)
  np.testing.assert_allclose(model.c, 1 - 0.1 * 2 * 0.5, rtol=1e-6)


def test_moving_average_follows_its_definition_and_swaps():
  model, source = Point(), toy_source()
  ema = Ema([model.a], 0.5)
  step = stepper(model, TwoPlayers(model), source, ema=ema)
  want, values = np.zeros(2), []
  for t in range(8):
    run(step, t, 1)
    decay = min(0.5, (1 + t) / (10 + t))
    want = decay * want + (1 - decay) * model.a.numpy()
    values.append(model.a.numpy())
  np.testing.assert_allclose(ema.averages[0], want, rtol=1e-5)
  with ema.swapped():
    np.testing.assert_allclose(model.a, want, rtol=1e-5)
  np.testing.assert_array_equal(model.a, values[-1])


def test_averaged_weights_meet_their_constraint():
  layer = keras.layers.Dense(3, kernel_constraint=keras.constraints.UnitNorm(axis=1))
  layer.build((None, 2))
  ema = Ema([layer.kernel], 0.9)
  ema.averages[0].assign([[3.0, 0, 0], [0, 4.0, 3.0]])
  with ema.swapped():
    np.testing.assert_allclose(np.linalg.norm(layer.kernel, axis=1), 1, rtol=1e-5)


def train_few(tiny, compile, precision='float32', steps=5, **fields):
  spec = spec_lib.resolve(tiny, {'train.compile': compile, 'train.precision': precision, **fields})
  data = build.dataset(spec)
  strategy = tf.distribute.OneDeviceStrategy('/cpu:0')
  with strategy.scope():
    source, model = build.source(spec, data), build.model(spec, data.observation)
    objective = build.objective(spec, model)
    groups = build.optimizers(spec, model, objective)
    step = Stepper(strategy, model, objective, source, groups, None, 0, spec.train.clip_norm, compile)
  done = run(step, 0, steps)
  return model, dict(zip(step.metric_names, done.sums.numpy() / steps, strict=True)), groups


def test_xla_and_graph_agree(tiny):
  (_, graph, _), (_, xla, _) = train_few(tiny, 'graph'), train_few(tiny, 'xla')
  assert graph.keys() == xla.keys()
  for name in graph:
    assert xla[name] == pytest.approx(graph[name], rel=1e-5, abs=1e-6), name


def test_mixed_bfloat16_is_close_and_keeps_float32_weights(tiny):
  (_, full, _), (model, mixed, _) = train_few(tiny, 'graph'), train_few(tiny, 'graph', 'mixed_bfloat16')
  assert all(v.dtype == 'float32' for v in model.trainable_variables)
  assert mixed['elbo'] == pytest.approx(full['elbo'], rel=0.02) and mixed['elbo'] != full['elbo']


@pytest.mark.parametrize('name', ['adam', 'adamax', 'nadam', 'rmsprop', 'adagrad', 'sgd'])
def test_optimizers_by_name_take_their_fields(tiny, name):
  fields = {'train.optimizer': name, 'train.weight_decay': 0.01, 'train.momentum': 0.5, 'train.learning_rate': 1e-4}
  spec = spec_lib.resolve(tiny, fields)
  model = build.model(spec, Observation((8, 8, 1)))
  ((optimizer, members),) = build.optimizers(spec, model, build.objective(spec, model))['model']
  before = [v.numpy() for v in members]
  optimizer.apply([tf.ones(v.shape) for v in members], members)
  assert all(np.all(v.numpy() < value) for v, value in zip(members, before, strict=True))
  assert optimizer.__class__.__name__.lower() == name
  assert optimizer.weight_decay == 0.01 and float(optimizer.learning_rate) == pytest.approx(1e-4)
  if name in ('sgd', 'rmsprop'):
    assert optimizer.momentum == 0.5
  if name == 'adam':
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.9, 0.999, 1e-7)


def test_variances_have_an_optimizer_of_their_own(tiny):
  model, _, groups = train_few(
    tiny, 'graph', steps=1, **{'train.variance_learning_rate': 0.25, 'train.weight_decay': 0.1}
  )
  (weights, members), (variances, own) = groups['model']
  assert [v.name for v in own] == ['log_sigma'] and len(members) == len(model.trainable_variables) - 1
  assert float(variances.learning_rate) == 0.25 and variances.weight_decay is None and weights.weight_decay == 0.1
  start = np.log(np.expm1(np.log(1 / 0.0025))) + np.log(0.0025)  # before the soft floor
  assert abs(float(own[0].numpy()) - start) == pytest.approx(0.25, rel=1e-3)  # Adam's first step is its rate


@pytest.mark.parametrize('rate', [0.0, 0.25])
def test_weight_decay_moves_weights_but_never_variances(tiny, rate):
  """Zero gradients: decay alone moves the weights, by -learning_rate x decay x weight."""
  fields = {
    'train.optimizer': 'sgd',
    'train.weight_decay': 0.5,
    'train.variance_learning_rate': rate,
    'decoder.sigma': 0.3,
  }
  spec = spec_lib.resolve(tiny, fields)
  model = build.model(spec, Observation((8, 8, 1)))
  ((optimizers),) = build.optimizers(spec, model, build.objective(spec, model)).values()
  before = [v.numpy() for v in model.trainable_variables]
  for optimizer, members in optimizers:
    optimizer.apply([tf.zeros(v.shape) for v in members], members)
  for variable, value in zip(model.trainable_variables, before, strict=True):
    factor = 1 if 'log_sigma' in variable.path else 1 - 1e-3 * 0.5
    np.testing.assert_allclose(variable, factor * value, rtol=1e-6)


def test_compile_auto_follows_the_networks():
  make_model = lambda path: build.model(spec_lib.load(f'specs/{path}.py'), Observation((8, 8, 1)))
  gpu = bool(tf.config.list_physical_devices('GPU'))
  on_cpu = lambda mode: 'xla' if gpu else mode
  assert compile_mode('auto', make_model('aevb'), 100 * 64) == on_cpu('graph')
  assert compile_mode('auto', make_model('aevb'), 128 * 784) == 'xla'
  assert compile_mode('auto', make_model('hit'), 128 * 784) == on_cpu('graph')
  assert compile_mode('xla', make_model('hit'), 1) == 'xla'


def test_calls_of_any_length_are_traced_once():
  model, source = Point(), toy_source()
  step = stepper(model, TwoPlayers(model), source)
  for first, count in ((0, 1), (1, 5), (6, 2)):
    run(step, first, count)
  assert step.run.experimental_get_tracing_count() == 1
