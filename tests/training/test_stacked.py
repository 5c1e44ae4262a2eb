"""Several runs as one compiled program: each is what it is alone."""

import json
import math
import os
import signal
import types

import numpy as np
import pytest
import tensorflow as tf
from runs import TIMES, variables_of

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.errors import NonFiniteError, SpecError, UserError
from tfvae.run.directory import Directory
from tfvae.training import stacks
from tfvae.training.machinery import Machinery
from tfvae.training.signals import Stopped
from tfvae.training.stacked import StackedStepper
from tfvae.training.workers import one_device

STEPS = 20
SMALL = {'data.examples': 200, 'data.batch_size': 32, 'train.steps': STEPS}
NARROW = {'model.z1.encoder.hidden': (8, 8), 'decoder.net.hidden': (8, 8)}
DENSE = {f'{net}.kind': 'mlp' for net in ('model.z2.encoder', 'model.z1.encoder', 'model.z1.prior', 'decoder.net')}
DENSE |= {'model.z1.posterior.kind': 'mlp', 'data.batch_size': 32, 'train.steps': STEPS}
SEEDS = ({'seed': 3}, {'seed': 4}, {'seed': 3})  # with one that two have


def members(first: dict, *others: dict):
  return [seed | own for seed, own in zip(SEEDS, (first, *others), strict=False)]


CASES = {  # spec, what members have in common, what not, how it is compiled
  'vae1': (
    'specs/entropies.py',
    SMALL
    | NARROW
    | {'train.ema': 0.9, 'train.clip_norm': 0.5, 'objective.anneal_end': 0.9, 'objective.num_samples': 2},
    members(
      {'objective.beta.z1': 0.5, 'train.learning_rate': 1e-2},
      {'objective.beta.z1': 1.0, 'train.variance_learning_rate': 1e-1},
      {'objective.beta.z1': 4.0, 'train.learning_rate': 2e-2},
    ),
    'graph',
  ),
}
SLOW = {
  'linear': (  # GECO's constraint, by XLA
    'specs/linear.py',
    SMALL
    | {'constraint.names': ('re',), 'decoder.variance': 'optimal', 'train.schedule': 'constant'}
    | {'train.optimizer': 'rmsprop', 'train.momentum': 0.5, 'train.weight_decay': 0.1},
    members({'constraint.re.kappa': 0.2}, {'constraint.re.kappa': 0.1}, {'train.learning_rate': 1e-3}),
    'xla',
  ),
  'rates': (
    'specs/hit.py:digits,rates',
    DENSE,
    members({'constraint.rate.z2': 1.0}, {'constraint.rate.z2': 3.0}, {'constraint.rate.z1': 2.0}),
    'graph',
  ),
  'iwae': (
    'specs/iwae.py:two_layers,dreg',
    {'train.steps': STEPS},
    members({}, {}, {'train.learning_rate': 1e-2}),
    'xla',
  ),
  'symmetric': (
    'specs/symmetric.py',
    {'objective.chains': 0, 'train.steps': STEPS},
    members({}, {}, {'train.learning_rate': 1e-3}),
    'graph',
  ),
  'vae2': ('specs/entropies.py:vae2,regularize', SMALL | NARROW, members({}, {}, {}), 'xla'),
  'rescaled': ('specs/entropies.py:vae2', SMALL | NARROW, members({}, {}, {}), 'graph'),
  'optimal': (
    'specs/entropies.py',
    SMALL | NARROW | {'decoder.variance': 'optimal', 'train.variance_learning_rate': 0.0},
    members({}, {}, {}),
    'xla',
  ),
  'nvp': ('specs/aevb.py:nvp', {'train.steps': STEPS}, members({}, {}, {}), 'graph'),
  'gumbel': ('specs/hit.py:gumbel', DENSE, members({}, {}, {'objective.beta.z2': 2.0}), 'graph'),
}


def number(value):
  return tf.constant(value, tf.int64)


def values_of(machinery):
  """{name: array} of all that a checkpoint has."""
  found = {variable.path: variable for variable in machinery.model.variables}
  found |= machinery.objective.variables | (machinery.ema.variables if machinery.ema else {})
  for pairs in machinery.groups.values():
    found |= {variable.path: variable for optimizer, _ in pairs for variable in optimizer.variables}
  return {name: np.asarray(value, np.float64) for name, value in found.items()}


@pytest.mark.parametrize('name', [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_each_member_is_what_it_is_alone(name):
  path, common, differing, mode = {**CASES, **SLOW}[name]
  specs = [spec_lib.load(path, common | own) for own in differing]
  machinery = Machinery(specs[0], build.dataset(specs[0]), one_device())
  alone, starts = [], []
  for spec in specs:
    assert machinery.take(spec)
    starts.append(machinery.values())
    step = machinery.stepper
    sums, feed = tf.constant(step.zeros()), machinery.source.feed(0, STEPS, step.rows)
    done = step.run(feed, number(0), number(STEPS), sums)
    alone.append((values_of(machinery), done.sums.numpy(), done.last.numpy()))
  names = step.metric_names
  if name == 'vae1':  # the clip that is tested bites
    assert all(sums[names.index('gradient_norm')] / STEPS > 0.5 for _, sums, _ in alone)

  stack = StackedStepper(step, [spec.seed for spec in specs], mode)
  for place, (spec, start) in enumerate(zip(specs, starts, strict=True)):
    machinery.belong(spec, start)
    stack.read(tf.constant(place))
  everyone = tf.constant([True] * len(specs))
  done = stack.run(stack.feeds(0, 12), number(0), number(12), tf.constant(stack.zeros()), everyone)
  done = stack.run(stack.feeds(12, STEPS - 12), number(12), number(STEPS - 12), done.sums, done.finite)
  assert done.taken.numpy().tolist() == [STEPS - 12] * len(specs) and done.finite.numpy().all()
  for place, (want, sums, last) in enumerate(alone):
    stack.write(tf.constant(place))
    found = values_of(machinery)
    weights = [variable.path for variable in machinery.model.trainable_variables]
    norm = lambda of: math.sqrt(sum(np.sum(of[path] ** 2) for path in weights))  # noqa: B023
    assert norm(found) == pytest.approx(norm(want), rel=1e-5)
    for key, value in want.items():  # to what rounding makes of single weights
      np.testing.assert_allclose(found[key], value, rtol=1e-3, atol=1e-4 * (1e-3 + np.abs(value).max()), err_msg=key)
    for metric in ('loss', 'elbo'):
      own = [names.index(one) for one in names if one.split('/')[0] == metric]
      np.testing.assert_allclose(done.sums[place].numpy()[own], sums[own], rtol=1e-4)
      np.testing.assert_allclose(done.last[place].numpy()[own], last[own], rtol=1e-4)
  assert len({sums.tobytes() for _, sums, _ in alone}) == len({spec_lib.to_json(spec) for spec in specs}) > 1


def tiny(**own):
  fields = {'train.steps': STEPS, 'train.log_every': 5, 'train.checkpoint_every': 10, 'eval.every': 10}
  fields |= {'eval.evaluators': ('bounds',), 'eval.during': ('bounds',), 'train.schedule': 'constant'}
  return spec_lib.load('specs/linear.py', SMALL | fields | {name.replace('__', '.'): v for name, v in own.items()})


def rows(workdir):
  found = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  return [{name: value for name, value in row.items() if name not in TIMES} for row in found]


def assert_alike(found, want):
  assert len(found) == len(want) > 4
  for a, b in zip(found, want, strict=True):
    assert list(a) == list(b) and (a['step'], a['split']) == (b['step'], b['split'])
    numbers = [name for name, value in b.items() if isinstance(value, float)]
    assert {n: a[n] for n in numbers} == pytest.approx({n: b[n] for n in numbers}, rel=1e-3, abs=1e-5)


def test_members_leave_ordinary_runs(tmp_path, monkeypatch):
  """Also beside a member that diverges, which fails by itself. By XLA, as such small steps are compiled."""
  monkeypatch.setattr(commands, '_draw', lambda *_: [])
  specs = [tiny(seed=0), tiny(seed=1, objective__beta__z1=2.0), tiny(train__learning_rate=1e30)]
  commands.train(specs[1], tmp_path / 'alone')
  done = list(commands.train_stacked([(spec, tmp_path / str(i)) for i, spec in enumerate(specs)]))
  errors = {ended.number: ended.error for ended in done}
  assert errors[0] is errors[1] is None and isinstance(errors[2], NonFiniteError)
  assert 'Stopped at step ' in str(errors[2]) and 'not finite: ' in str(errors[2])
  assert_alike(rows(tmp_path / '1'), rows(tmp_path / 'alone'))
  own, want = (variables_of(tmp_path / name) for name in ('1', 'alone'))
  assert own.keys() == want.keys() and len(own) > 10
  for name, value in want.items():
    if isinstance(value, np.ndarray) or not isinstance(value, bytes):
      np.testing.assert_allclose(own[name], value, rtol=1e-3, atol=1e-4 * (1e-3 + np.abs(value).max()), err_msg=name)
  files = lambda name: {path.relative_to(tmp_path / name).parts[0] for path in (tmp_path / name).rglob('*')}
  assert files('1') == files('alone')
  a, b = (json.loads((tmp_path / name / 'evaluation.json').read_text()) for name in ('1', 'alone'))
  assert a['elbo'] == pytest.approx(b['elbo'], rel=1e-4)


@pytest.mark.slow
def test_a_signal_is_heard_by_all_at_one_step(tmp_path, monkeypatch):
  """Whichever member's turn it is when it comes; also one that would only have to be evaluated is left."""
  monkeypatch.setattr(commands, '_draw', lambda *_: [])
  append, heard = Directory.append_metrics, []

  def interrupted(run, step, *rest, **more):
    append(run, step, *rest, **more)
    if (run.workdir.name, step) in (('0', 10), ('1', 20)) and step not in heard:
      heard.append(step)
      os.kill(os.getpid(), signal.SIGTERM)

  monkeypatch.setattr(Directory, 'append_metrics', interrupted)
  runs = [(tiny(seed=seed, eval__every=0), tmp_path / str(seed)) for seed in range(3)]
  ended = list(commands.train_stacked(runs))
  assert heard == [10] and all(isinstance(own.error, Stopped) and own.error.status == 143 for own in ended)
  assert len({max(row['step'] for row in rows(tmp_path / str(seed))) for seed in range(3)}) == 1
  ended = {own.number: own.error for own in commands.train_stacked(runs)}
  assert heard == [10, 20] and ended[0] is None  # it had its turn before
  assert isinstance(ended[1], Stopped) and isinstance(ended[2], Stopped)
  assert all(Directory(tmp_path / str(seed)).saved == STEPS for seed in range(3))


@pytest.mark.slow
def test_a_run_goes_on_alone_or_in_a_stack(tmp_path):
  specs, longer = [tiny(seed=0), tiny(seed=1)], [tiny(seed=seed, train__steps=2 * STEPS) for seed in range(2)]
  commands.train(specs[1], tmp_path / 'alone')
  assert all(ended.error is None for ended in commands.train_stacked([(s, tmp_path / str(s.seed)) for s in specs]))
  commands.train(longer[0], tmp_path / '0')
  runs = [(longer[1], tmp_path / 'alone'), (longer[1], tmp_path / '1'), (longer[0], tmp_path / 'new')]
  assert all(ended.error is None for ended in commands.train_stacked(runs))  # two at step 20, one at 0
  assert_alike(rows(tmp_path / 'alone'), rows(tmp_path / '1'))
  assert_alike(rows(tmp_path / '0'), rows(tmp_path / 'new'))


def test_what_cannot_be_stacked(tmp_path):
  runs = [(tiny(), tmp_path / 'a'), (tiny(data__batch_size=16), tmp_path / 'b')]
  with pytest.raises(SpecError, match='betas, targets, learning rates and seeds alone'):
    next(commands.train_stacked(runs))
  assert not list(tmp_path.iterdir())


def test_stacks_fit_into_memory(monkeypatch):
  spec = tiny()
  machinery = Machinery(spec, build.dataset(spec), one_device())
  members = [types.SimpleNamespace(trainer=types.SimpleNamespace(spec=spec, machinery=machinery)) for _ in range(10)]
  values = 4 * 32 * 10  # samples (the points of a cubature), batch, dimensions
  widths = 2 + 10  # of the encoder's and the decoder's kernels
  each = 4 * 6 * (values + widths * 4 * 32)
  for free, sizes in ((None, [10]), (40 * each, [10]), (20 * each, [5, 5]), (16 * each, [3, 4, 3]), (1, [1] * 10)):
    monkeypatch.setattr(stacks.memory, 'available', lambda free=free: free)
    assert [len(part) for part in stacks._parts(members)] == sizes


def test_an_operation_without_a_form_for_several(monkeypatch):
  spec = tiny()
  machinery = Machinery(spec, build.dataset(spec), one_device())
  weight = machinery.model.trainable_variables[0]
  # As the objective would, with an operation that TensorFlow cannot vectorise.
  update = lambda means, step: weight.assign(weight * tf.nn.l2_loss(weight))
  monkeypatch.setattr(machinery.stepper, 'update', update)
  with pytest.raises(UserError, match='a step of theirs has L2Loss, which is not made for several'):
    StackedStepper(machinery.stepper, [0, 1], 'graph')
