"""Runs in one process that share data and a compiled step are to the bit what they are by themselves."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from runs import assert_same_run

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.data.reading import Labelled
from tfvae.spec import sharing
from tfvae.training.machinery import Kept, Machinery

SHORT = {'train.steps': 30, 'train.log_every': 10, 'eval.every': 20, 'eval.num_samples': 1, 'eval.during': 'bounds'}
# What is trained; what all its runs have; and the runtime values of each, of which the last is compared.
CASES = {
  'betas and rates of learning': (
    'specs/hit.py',
    {'eval.evaluators': 'bounds,log_evidence', 'eval.log_evidence.samples': 10},
    {'objective.beta.z2': 3.0},
    {'objective.beta.z1': 0.3, 'train.learning_rate': 3e-3, 'seed': 3},
  ),
  'targets': (
    'specs/hit.py:vector,rates',
    {'train.ema': 0.9, 'train.clip_norm': 5.0, 'eval.evaluators': 'bounds', 'eval.also': ''},
    {},
    {'constraint.rate.z2': 3.0, 'constraint.rate.z1': 5.0, 'seed': 1},
  ),
  'a constraint, and binary images of each seed': (
    'specs/aevb.py',
    {'constraint.names': 're', 'data.binarize': 'dynamic', 'eval.evaluators': 'bounds,constraints'},
    {'constraint.re.kappa': 0.2, 'constraint.re.multiplier': 5.0},
    {'constraint.re.kappa': 0.3, 'constraint.re.multiplier': 2.0, 'seed': 5},
  ),
  'patches': (
    'specs/aevb.py',
    {'constraint.names': 'pncc,fre', 'constraint.fre.features': 'patches', 'eval.evaluators': 'bounds'},
    {'constraint.pncc.kappa': 0.5},
    {'constraint.fre.kappa': 0.3, 'constraint.pncc.kappa': 0.6, 'seed': 2},
  ),
  'a schedule': ('specs/linear.py', {'data.examples': 2000}, {'train.learning_rate': 1e-3}, {'seed': 7}),
  'a schedule with variances apart': (
    'specs/entropies.py',
    {'train.schedule': 'piecewise', 'train.variance_learning_rate': 1e-3, 'eval.evaluators': 'bounds,entropies'},
    {'train.variance_learning_rate': 1e-2},
    {'train.learning_rate': 3e-3, 'seed': 1},
  ),
  'two players and chains': ('specs/symmetric.py', {'eval.evaluators': 'bounds,players'}, {}, {'seed': 4}),
}
IN_CI = ('a constraint, and binary images of each seed',)


@pytest.mark.parametrize('case', [c if c in IN_CI else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_runs_that_share_a_step_are_those_of_their_own(case, tmp_path, monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  path, common, first, last = CASES[case]
  specs = [spec_lib.load(ROOT / path, SHORT | common | own) for own in (first, last)]
  made, own = [], Machinery.__init__
  monkeypatch.setattr(Machinery, '__init__', lambda self, *args: made.append(1) or own(self, *args))
  kept = Kept()
  commands.train(specs[0], tmp_path / 'first', kept=kept)
  commands.train(specs[1], tmp_path / 'shared', kept=kept)
  assert len(made) == 1
  commands.train(specs[1], tmp_path / 'alone')
  assert_same_run(tmp_path / 'shared', tmp_path / 'alone')


def test_what_a_step_depends_on():
  hit = lambda fields: sharing.program(spec_lib.load(ROOT / 'specs/hit.py', fields))
  assert hit({}) == hit({'seed': 3, 'objective.beta.z2': 2.0, 'train.learning_rate': 1e-4})
  assert hit({}) != hit({'objective.beta.z2': 0.0})  # no such term
  assert hit({}) != hit({'train.steps': 7}) and hit({}) != hit({'model.z2.dim': 3})
  for drawn in ({'data.validation': 0.1}, {'data.binarize': 'static', 'decoder.likelihood': 'bernoulli'}):
    assert hit(drawn) == hit(drawn | {'objective.beta.z2': 2.0}) != hit(drawn | {'seed': 1})  # their data are others
  rates = {'constraint.names': 'rate', 'constraint.rate.z2': 3.0}
  assert hit(rates) == hit(rates | {'constraint.rate.z2': 5.0}) != hit(rates | {'constraint.rate.z1': 5.0})


def test_data_that_are_read_begin_anew_and_keep_no_limits_of_an_earlier_run(tmp_path):
  rng = np.random.default_rng(0)
  values = {'x': rng.integers(0, 256, (40, 8, 8, 1), np.uint8), 'label': np.arange(40) % 4}
  np.savez(tmp_path / 'x.npz', **values)
  fields = {'data.name': 'table', 'data.path': str(tmp_path / 'x.npz'), 'data.memory_limit': 0.0, 'data.batch_size': 5}
  kept = Kept()
  for classes in (5, 4, 5):  # labels of which none is beyond
    told = fields | {'data.context': 'label', 'model.context.classes': classes}
    data = kept.data(spec_lib.load(ROOT / 'specs/aevb.py', told))
    for part in data.splits.values():
      part.reader.labels = None  # as where they are known when they are read
  reader = data.splits['train'].reader
  assert isinstance(reader, Labelled) and not isinstance(reader.reader, Labelled)
  source = build.source(spec_lib.load(ROOT / 'specs/aevb.py', fields), data)
  source.noise_seed = tf.Variable(0, dtype=tf.int64)
  numbers = lambda: source.examples(source.feed(2, 3, np.arange(5)), tf.constant(0, tf.int64))['index'].numpy().tolist()
  source.feed(0, 2, np.arange(5))  # which ended before it had taken any, as a run that is not finite does
  source.reseed(0)
  assert numbers() == source.order(2, 1)[0].tolist()


def test_data_of_another_seed_are_read_again(tmp_path):
  kept, fields = Kept(), {'data.validation': 0.1}
  first, other, same = (
    kept.data(spec_lib.load(ROOT / 'specs/hit.py', fields | {'seed': seed, 'objective.beta.z2': beta}))
    for seed, beta in ((0, 1.0), (1, 1.0), (1, 2.0))
  )
  assert same is other and not np.array_equal(first.splits['validation']['x'], other.splits['validation']['x'])
