"""Where a run goes by default, and what is told before it begins."""

import re

import pytest
from conftest import ROOT

from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.plan import announce, default_workdir
from tfvae.trained import Run

HIT = ROOT / 'specs/hit.py'


def name_of(overrides, spec=HIT):
  workdir = default_workdir(spec_lib.origin(spec_lib.load(spec, overrides)))
  assert str(workdir.parent) == 'runs'
  return workdir.name


@pytest.mark.parametrize(
  ('overrides', 'name'),
  [
    ({}, 'hit'),
    ({'objective.beta.z2': '5'}, 'hit,objective.beta.z2=5'),
    ({'objective.beta.z2': '5.0'}, 'hit,objective.beta.z2=5'),
    ({'objective.beta.z2': '1'}, 'hit'),  # its own value
    ({'train.learning_rate': '1e-4'}, 'hit,train.learning_rate=0.0001'),
    ({'train.learning_rate': '0.00010'}, 'hit,train.learning_rate=0.0001'),
    ({'decoder.net.hidden': '[32,16]'}, 'hit,decoder.net.hidden=32,16'),
    ({'decoder.net.hidden': '(32, 16)'}, 'hit,decoder.net.hidden=32,16'),
    ({'decoder.net.hidden': '32,16'}, 'hit,decoder.net.hidden=32,16'),
    ({'decoder.net.hidden': (32, 16)}, 'hit,decoder.net.hidden=32,16'),
    ({'data.flip': 'horizontal', 'seed': '3'}, 'hit,data.flip=horizontal,seed=3'),
    ({'seed': '3', 'data.flip': 'horizontal'}, 'hit,data.flip=horizontal,seed=3'),
    # In these a resumed run may differ.
    ({'train.steps': '50', 'train.keep': '1', 'eval.num_samples': '5', 'sample.num': '9'}, 'hit'),
    ({'data.data_dir': '/somewhere', 'data.memory_limit': '1', 'train.strategy': 'mirrored'}, 'hit'),
    ({'data.name': 'table', 'data.path': 'a.csv'}, 'hit,data.name=table'),
  ],
)
def test_names_are_canonical(overrides, name):
  assert name_of(overrides) == name


def test_names_of_variants_and_of_runs(tmp_path):
  assert name_of({}, f'{HIT}:three_layers,vector') == 'hit-three_layers,vector'
  run = tmp_path / 'hit,objective.beta.z2=5'
  run.mkdir()
  (run / 'spec.json').write_text(spec_lib.to_json(spec_lib.load(HIT, {'objective.beta.z2': 5, 'data.download': False})))
  assert name_of({}, run / 'spec.json') == run.name
  assert name_of({'train.ema': '0.9'}, run / 'spec.json') == f'{run.name},train.ema=0.9'
  with pytest.raises(SpecError, match='workdir'):
    default_workdir(spec_lib.origin(spec_lib.resolve(spec_lib.base())))


UNSAFE = [
  *(
    'a[b]',
    'a*',
    'a?',
    'a\\b',
    '/a/b',
    'a$b',
    'a b',
    "a'b",
    'a"b',
    'a\nb',
    '..',
    '../../x',
    '~',
    'a,train.ema=0.5',
    'ä',
  ),
  *('a;b', 'a|b', 'a\ud800b', 'x' * 4000, 'y' * 4000, 'x' * 3999 + 'z'),
]


def test_names_are_safe_and_different():
  """For file systems, for TensorFlow's globs and for shells; different values have different names."""
  table = ROOT / 'specs/table.py'
  names = [name_of({'data.label': label}, table) for label in UNSAFE]
  names += [name_of({'data.label': 'a', 'train.ema': '0.5'}, table), name_of({'data.label': 'a_b'}, table)]
  names += [name_of({'data.label': 'a_train.ema_0.5'}, table)]
  hiddens = [','.join(['7'] * n) for n in (90, 91)]
  names += [name_of({'decoder.net.hidden': hidden}, table) for hidden in hiddens]
  assert len(set(names)) == len(names)
  for name in names:
    assert re.fullmatch(r'table[\w.+,=-]*', name) and len(name.encode()) <= 120, name
  assert names == [name_of({'data.label': label}, table) for label in UNSAFE] + names[len(UNSAFE) :]  # the same again


def checkpoint(run, step):
  for part in ('index', 'data-00000-of-00001'):
    (run.checkpoints / f'ckpt-{step}.{part}').touch()


def test_what_is_told_before_a_run_begins(tmp_path):
  spec = spec_lib.load(f'{HIT}:vector', {'train.steps': '300', 'objective.beta.z2': '5'})
  run, tell = Run(tmp_path / 'run'), lambda overwrite=False: announce(spec, spec_lib.origin(spec), run, overwrite)
  data, own, workdir = tell().splitlines()
  assert data == 'data:    digits'
  assert own == f'spec:    {HIT}:vector, objective.beta.z2=5, train.steps=300'
  assert workdir == f'workdir: {run.workdir} (new, 300 steps)'
  run.checkpoints.mkdir(parents=True)
  (run.workdir / 'spec.json').write_text(spec_lib.to_json(spec))
  assert '(a run without a checkpoint, 300 steps)' in tell()
  checkpoint(run, 90)
  checkpoint(run, 100)
  assert '(resumes at step 100 of 300)' in tell() and 'set aside; new' in tell(overwrite=True)
  checkpoint(run, 300)
  assert 'trained to its last step, 300' in tell()
  table = spec_lib.load(ROOT / 'specs/table.py', {'data.path': 'mine.csv'})
  assert announce(table, None, run, False).splitlines()[0] == 'data:    table mine.csv'
  mnist = spec_lib.load(f'{ROOT}/specs/aevb.py:mnist', {'data.data_dir': '/sets'})
  assert announce(mnist, None, run, False).splitlines()[0] == 'data:    mnist in /sets'
