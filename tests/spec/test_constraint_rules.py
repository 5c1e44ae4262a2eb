"""Mistakes about constraints: what is said of them, and that nothing is begun."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.data.dataset import Stored, make
from tfvae.errors import SpecError

# What is asked of specs/hit.py (or of another), and what is said of it.
MISTAKES = [
  (
    'hit',
    'constraint.names=re constraint.re.kappa=0 decoder.variance=optimal',
    'spec.constraint.re.kappa: got 0.0; allowed: a number >= 1e-06',
  ),
  (
    'hit',
    'constraint.fre.kappa=-0.5',
    'spec.constraint.fre.kappa: got -0.5; allowed: a number >= 1e-06',
  ),
  (
    'hit',
    'constraint.cla.kappa=0',
    'spec.constraint.cla.kappa: ',
    'allowed: a number > 0 and <= 1',
  ),
  (
    'hit',
    'constraint.cla.kappa=90',
    'spec.constraint.cla.kappa: got 90.0; allowed: a number > 0 and <= 1',
  ),
  (
    'hit',
    'constraint.pncc.kappa=1.5',
    'spec.constraint.pncc.kappa: ',
    'allowed: a number > 0 and <= 1',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.rate.z3=4',
    'spec.constraint.rate.z3: there is no layer z3; the layers of this spec: z2, z1',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.rate.z1=-1',
    'spec.constraint.rate.z1: got -1.0; allowed: a number >= 0',
  ),
  (
    'hit',
    'constraint.names=rate',
    'spec.constraint.names: got rate, but no layer has a target; set one of spec.constraint.rate.z2, ',
  ),
  (
    'hit',
    'constraint.names=re constraint.rate.z2=8 decoder.variance=optimal',
    'spec.constraint.rate.z2: got 8, but spec.constraint.names has no rate; add it, or use 0',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 objective.beta.z2=2',
    'spec.objective.beta.z2: got 2, but spec.constraint.rate.z2 asks for 8 nats, and its beta is then '
    'found; leave it at 1',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.rate.z1=16 objective.anneal=linear',
    'spec.objective.anneal: got linear, but every layer has a target',
  ),
  (
    'hit',
    'constraint.names=re,rate constraint.rate.z2=8 constraint.rate.z1=16 decoder.variance=optimal',
    'spec.constraint.names: got re,rate with a target on every layer: the rates alone settle what is transmitted',
  ),
  (
    'hit',
    'constraint.names=cla decoder.variance=optimal',
    'spec.classifier.path: is empty; cla of spec.constraint.names needs the workdir of a run of specs/classifier.py',
  ),
  (
    'hit',
    'constraint.names=fre decoder.variance=optimal',
    'or use spec.constraint.fre.features=patches',
  ),
  (
    'hit',
    'constraint.alpha=1',
    'spec.constraint.alpha: got 1.0; allowed: a number >= 0 and < 1',
  ),
  (
    'hit',
    'constraint.alpha=-0.1',
    'spec.constraint.alpha: got -0.1; allowed: a number >= 0 and < 1',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.warmup=500',
    'spec.constraint.warmup: got 500.0; allowed: a number >= 0 and < 1 (a fraction of train.steps)',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.warmup=1',
    'spec.constraint.warmup: got 1.0; allowed: a number >= 0 and < 1 (a fraction of train.steps)',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.multiplier_rate=0',
    'spec.constraint.multiplier_rate: ',
    'allowed: a number > 0',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.range=10,0.1',
    'spec.constraint.range: got 10,0.1; allowed: the smaller and the larger one',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.range=1',
    'spec.constraint.range: got 1; allowed: the smaller and the larger one',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.range=1,2,3',
    'spec.constraint.range: got 3 elements; allowed: at most 2',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.range=0,1',
    'spec.constraint.range: ',
    'allowed: a tuple, each element a number > 0',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.range=2,100',
    'spec.constraint.range: got 2,100, without 1, where the betas of rates start',
  ),
  (
    'hit',
    'constraint.names=re decoder.variance=optimal constraint.range=1,10 constraint.re.multiplier=50',
    'spec.constraint.re.multiplier: got 50, outside spec.constraint.range (1 to 10)',
  ),
  (
    'hit',
    'constraint.names=rate,rate constraint.rate.z2=8',
    'spec.constraint.names: got rate,rate; give each once',
  ),
  (
    'hit',
    'constraint.names=mse',
    "spec.constraint.names: got 'mse'; allowed: a tuple, each element re | fre | cla | pncc | rate",
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.update=geco',
    'spec.constraint.update: ',
    'allowed: relative | published',
  ),
  (
    'hit',
    'constraint.names=re',
    'spec.decoder.variance: got learned, but re of spec.constraint.names takes the place of -log p(x '
    '| z) in the loss, so that no gradient would reach sigma; use optimal',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 constraint.likelihood=drop',
    'spec.constraint.likelihood: got drop, but with rate alone nothing else would ask for a '
    'reconstruction; use keep, or add re',
  ),
  (
    'hit',
    'constraint.names=re decoder.likelihood=logistic_mixture',
    'spec.decoder.likelihood: got logistic_mixture, but re of spec.constraint.names',
  ),
  (
    'hit',
    'constraint.names=rate constraint.rate.z2=8 objective.name=iwae',
    'spec.constraint.names: got rate, which is for spec.objective.name=elbo, not iwae: the '
    'importance-weighted bound is no sum of rates and errors',
  ),
  (
    'hit',
    'constraint.pncc.patch=1',
    'spec.constraint.pncc.patch: got 1; allowed: an integer >= 2',
  ),
  (
    'hit',
    'constraint.fre.stride=0',
    'spec.constraint.fre.stride: got 0; allowed: an integer >= 1',
  ),
  (
    'symmetric',
    'constraint.names=rate constraint.rate.z2=8',
    'spec.constraint.names: ',
    'not symmetric: its players have no rates that a multiplier could weigh',
  ),
  (
    'classifier',
    'constraint.names=re',
    'spec.constraint.names: ',
    'but spec.model.name=classifier learns labels, and has no rates; leave it out',
  ),
  (
    'linear',
    'constraint.names=re model.name=members model.members=2,3 eval.evaluators=selection',
    'spec.constraint.names: ',
    'but spec.model.name=members are several models of one objective; leave it out',
  ),
  (
    'linear',
    'constraint.names=pncc decoder.variance=optimal eval.num_samples=2',
    'spec.objective.num_samples: got 0, which is for exact expectations, but there is none of pncc '
    '(spec.constraint.names); give a number >= 1',
  ),
]


@pytest.mark.parametrize(('name', 'flags', 'says'), [(name, flags, says) for name, flags, *says in MISTAKES])
def test_mistakes(name, flags, says):
  """One line, which names the field, what it got, and what to do."""
  with pytest.raises(SpecError) as error:
    spec_lib.load(ROOT / f'specs/{name}.py', [flag.split('=') for flag in flags.split(' ')])
  (line,) = error.value.problems
  assert line.startswith('spec.') and all(text in line for text in says) and len(line) < 330


def misfits(names, shape, **fields):
  fields = {'constraint.names': names, 'constraint.fre.features': 'patches', 'decoder.likelihood': 'gaussian', **fields}
  spec = spec_lib.resolve(spec_lib.base(('z1',)), {'decoder.variance': 'fixed', 'data.batch_size': 5} | fields)
  x = np.random.default_rng(0).random((30, *shape)).astype(np.float32)
  stored = Stored('these', {'train': {'x': x}, 'test': {'x': x}}, (0.0, 1.0))
  return build.problems(spec, make(stored, spec.data, 0))


def test_patches_that_data_do_not_have():
  assert not misfits(('fre', 'pncc'), (8, 6, 1), **{'constraint.fre.patch': 6, 'constraint.pncc.stride': 6})
  assert not misfits(('re',), (5,), **{'constraint.pncc.patch': 100})
  (fre, pncc) = misfits(('fre', 'pncc'), (5,))
  assert fre == (
    'spec.constraint.names: got fre of patches, which needs images, but examples of these have the shape (5,); use re'
  )
  assert 'got pncc, the correlation of patches, which needs images' in pncc
  found = misfits(('fre', 'pncc'), (8, 6, 1), **{'constraint.fre.patch': 7, 'constraint.pncc.stride': 9})
  assert found == [
    'spec.constraint.fre.patch: got 7, but examples of these have 8 x 6 pixels; allowed: at most 6',
    'spec.constraint.pncc.stride: got 9, but examples of these have 8 x 6 pixels; allowed: at most 6',
  ]


def test_a_mistake_begins_nothing(tmp_path):
  """By the real command: one line a mistake, a status, no TensorFlow, and a run that is there stays as it is."""
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run/mine.txt').write_text('mine')
  args = ['--spec', f'{ROOT}/specs/hit.py', '--workdir', str(tmp_path / 'run'), '--spec.constraint.names=re,rate']
  args += ['--spec.constraint.rate.z2=8', '--spec.constraint.rate.z1=16', '--spec.constraint.warmup=500']
  command = [sys.executable, '-X', 'importtime', str(ROOT / 'launch.py'), *args]
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 1 and 'Traceback' not in done.stderr
  said = [line for line in done.stderr.splitlines() if not line.startswith('import time:')]
  assert any('spec.constraint.warmup: got 500.0' in line for line in said)
  assert not any(line.rpartition('|')[2].strip() == 'tensorflow' for line in done.stderr.splitlines())
  assert [path.name for path in tmp_path.rglob('*')] == ['run', 'mine.txt']
