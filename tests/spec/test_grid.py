"""Grids: from flags and get_sweep to points, and every way to get them wrong."""

import subprocess
import sys

import pytest
from conftest import ROOT

from tfvae.errors import SpecError
from tfvae.plan import directory_name
from tfvae.spec import grid
from tfvae.spec.fields.field import flatten
from tfvae.sweep.home import same_run
from tfvae.sweep.options import NAMES

Z3, Z2, Z1 = (f'objective.beta.{layer}' for layer in ('z3', 'z2', 'z1'))


@pytest.fixture(scope='module', autouse=True)
def three(tmp_path_factory):
  """A spec file without get_sweep, which `make` reads."""
  global file
  file = tmp_path_factory.mktemp('specs') / 'three.py'
  file.write_text("from tfvae import spec\ndef get_config():\n  return spec.base(('z3', 'z2', 'z1'))\n")


def make(*axes, zips=(), overrides=(), spec=None):
  return grid.make(spec or file, overrides, [axis.partition('=')[::2] for axis in axes], zips, same_run, NAMES)


def values(axis):
  (points,) = [make(axis).points]
  return [next(iter(point.fields.values())) for point in points]


@pytest.mark.parametrize(
  ('axis', 'expected'),
  [
    (f'{Z2}=0.2,1,5', [0.2, 1.0, 5.0]),
    (f'{Z2}= 0.2 ; 1', [0.2, 1.0]),
    (f'{Z2}=0.1:10:7:log', [0.1, 0.215443, 0.464159, 1.0, 2.15443, 4.64159, 10.0]),
    (f'{Z2}=5:0.2:3:log', [5.0, 1.0, 0.2]),
    (f'{Z2}=0:1:5', [0.0, 0.25, 0.5, 0.75, 1.0]),
    (f'{Z2}=1:1.0000001:3', [1.0, 1.00000005, 1.0000001]),  # rounded, they would be alike
    (f'{Z2}=0.123456789:1:2', [0.123456789, 1.0]),  # ends are as they were given
    (f'{Z2}=3:3:1', [3.0]),
    (f'{Z2}=0.1,1:3:3', [0.1, 1.0, 2.0, 3.0]),
    ('model.z3.dim=16:128:4:log', [16, 32, 64, 128]),
    ('seed=0:4:5', [0, 1, 2, 3, 4]),
    (f'{Z2}=1e-300:1e30:3:log', [1e-300, 1e-135, 1e30]),  # their ratio is beyond all numbers
    ('train.steps=10,20', [10, 20]),
    ('decoder.net.hidden=64,32;128,64;8', [(64, 32), (128, 64), (8,)]),
    ('decoder.net.hidden=64,32', [(64, 32)]),
    ('eval.also=()', [()]),
    ('model.z3.dim=4', [4]),
    ('train.schedule=constant,cosine', ['constant', 'cosine']),
    ('model.standardize=false', [False]),
  ],
)
def test_values(axis, expected):
  found = values(axis)
  assert found == pytest.approx(expected, rel=1e-12) if isinstance(expected[0], float) else found == expected
  assert [type(value) for value in found] == [type(value) for value in expected]


def test_products_and_zips():
  found = make(f'{Z2}=1,2', 'seed=0,1,2')
  assert [tuple(point.fields.values()) for point in found.points] == [
    (1.0, 0),
    (1.0, 1),
    (1.0, 2),
    (2.0, 0),
    (2.0, 1),
    (2.0, 2),
  ]
  assert found.axes == {Z2: (1.0, 2.0), 'seed': (0, 1, 2)}
  found = make(f'{Z3}=1,2', f'{Z2}=3,3', f'{Z1}=5,6', zips=[f'{Z3},{Z2}'], overrides=[('train.steps', '7')])
  assert [tuple(point.fields.values()) for point in found.points] == [(1, 3, 5), (1, 3, 6), (2, 3, 5), (2, 3, 6)]
  for point in found.points:
    values = flatten(point.spec.to_dict())
    assert point.fields.items() <= values.items() and values['train.steps'] == 7
  found = make(f'{Z3}=1,2', f'{Z2}=3,4', f'{Z1}=5,6', 'seed=8,9', zips=[f'{Z3},{Z1}', f'{Z2},seed'])
  assert len(found.points) == 4 and list(found.points[1].fields.values()) == [1, 4, 5, 9]


SWEPT = """from tfvae import spec
import numpy as np
def get_config(variant=''):
  return spec.base()
def get_sweep(variant=''):
  return {}
"""


def test_get_sweep(tmp_path):
  file = tmp_path / 'mine.py'
  say = lambda text: file.write_text(SWEPT.replace('{}', text))
  say(f"{{'{Z2}': np.array([0.5, 1.0]), 'seed': '0:2:3', ('train.steps', 'model.z1.dim'): [(10, 2), (20, 4)]}}")
  found = make(spec=file)
  assert found.axes == {Z2: (0.5, 1.0), 'seed': (0, 1, 2), 'train.steps': (10, 20), 'model.z1.dim': (2, 4)}
  assert found.zips == (('train.steps', 'model.z1.dim'),) and len(found.points) == 12
  found = make('seed=7', f'{Z1}=1,2', spec=file)  # flags take the place of it all
  assert found.axes == {'seed': (7,), Z1: (1.0, 2.0)} and found.zips == () and len(found.points) == 2
  with pytest.raises(SpecError, match=r'seed: is set by --spec\.seed, too; name what is to be swept by --sweep\.FIELD'):
    make(spec=file, overrides=[('seed', '3')])
  counts = []
  grid.make(file, begins=counts.append)
  assert counts == [12]
  say("{'decoder.net.hidden': [(3, 4), (5,)]} if variant == 'two' else {'decoder.net.hidden': ['3,4']}")
  assert len(make(spec=f'{file}:two').points) == 2 and make(spec=file).axes['decoder.net.hidden'] == ((3, 4),)
  for text, why in {
    '[1]': 'must return {field: values}',
    '{1: [2]}': 'got 1; allowed: a field',
    f"{{('{Z2}',): [(1,)]}}": 'a tuple of fields',
    f"{{('{Z2}', 'seed'): [1, 2]}}": 'a list of tuples',
    f"{{('{Z2}', 'seed'): 5}}": 'a list of tuples',
    f"{{('{Z2}', 'seed'): []}}": 'a list of tuples',
    f"{{('{Z2}', 'seed'): [(1, 2)], 'seed': [3]}}": 'seed is in two of its keys',
    f"{{'seed': [3], ('{Z2}', 'seed'): [(1, 2)]}}": 'seed is in two of its keys',
    f"{{('{Z2}', '{Z2}'): [(1, 2)]}}": f'{Z2} is in two of its keys',
    f"{{'{Z2}': 3}}": 'a list of values',
    f"{{'{Z2}': []}}": 'has no values',
    f"{{'{Z2}': ['x']}}": "got 'x'",
    'undefined': 'line 6: NameError',
  }.items():
    say(text)
    with pytest.raises(SpecError) as error:
      make(spec=file)
    assert why in str(error.value)


MISTAKES = [
  ([], 'no field is swept'),
  (['objective.beta.z9=1'], 'no layer z9'),
  (['objective.bta.z2=1'], f'sweep.objective.bta.z2: unknown field. Did you mean --sweep.{Z2}?'),
  (['thread=2'], 'Did you mean --sweep.threads?'),
  ([f'{Z2}='], 'has no values'),
  ([f'{Z2}=1,'], "got ''"),
  ([f'{Z2}=1,x'], "got 'x'"),
  ([f'{Z2}=1,-1,-2'], 'got -1.0; allowed: a number >= 0. (and 1 more of its values)'),
  ([f'{Z2}=1', f'{Z2}=2'], f'sweep.{Z2}: is given twice'),
  ([f'{Z2}=1,1.0'], '1 is there twice'),
  ([f'{Z2}=0.1,1e-1'], '0.1 is there twice'),
  (['model.standardize=true,1'], 'true is there twice'),
  ([f'{Z2}=1:1:3'], 'it goes nowhere'),
  ([f'{Z2}=1:2:1'], 'one value cannot be both'),
  ([f'{Z2}=1:2:0'], 'COUNT must be from 1'),
  ([f'{Z2}=1:2:1000000000000'], 'COUNT must be from 1'),
  ([f'{Z2}=1:2:x'], 'a range is START:END:COUNT'),
  ([f'{Z2}=1:2:2.5'], 'a range is START:END:COUNT'),
  ([f'{Z2}=1:2'], 'a range is START:END:COUNT'),
  ([f'{Z2}=1:2:3:4'], 'a range is START:END:COUNT'),
  ([f'{Z2}=1:2:3:log:5'], 'a range is START:END:COUNT'),
  ([f'{Z2}=nan:2:3'], 'must be finite'),
  ([f'{Z2}=1:inf:3'], 'must be finite'),
  ([f'{Z2}=0:1:3:log'], 'must begin and end above 0'),
  ([f'{Z2}=-1:1:3:log'], 'must begin and end above 0'),
  (['seed=1:10:3'], '5.5 is in it'),
  (['seed=1e308:-1e308:3'], 'sweep.seed: got an integer of about 30'),
  (['seed=1:10:4:log'], '2.15443 is in it'),
  ([f'{Z2}=0:1:101', 'seed=0:100:101'], '10,201 points'),
  ([f'{Z2}=1,2', 'train.log_every=10,20'], 'differ only in train.log_every'),
  ([f'{Z2}=1,2', 'train.stepz=1'], 'unknown field'),
]


@pytest.mark.parametrize(('axes', 'why'), MISTAKES)
def test_mistakes(axes, why):
  with pytest.raises(SpecError) as error:
    make(*axes)
  assert why in str(error.value) and all(len(problem) <= 400 for problem in error.value.problems)


@pytest.mark.parametrize(
  ('zips', 'why'),
  [
    ([f'{Z3},{Z2}'], f'{Z3} has 3, {Z2} has 2'),
    ([f'{Z3},train.step'], 'train.step is not swept'),
    ([f'{Z3}'], 'two or more'),
    ([f'{Z3},{Z3}'], 'each once'),
    ([''], 'two or more'),
    ([f'{Z2},{Z1}', f'{Z1},seed'], 'in another zip'),
  ],
)
def test_mistakes_in_zips(zips, why):
  with pytest.raises(SpecError) as error:
    make(f'{Z3}=1,2,3', f'{Z2}=1,2', f'{Z1}=1,2', 'seed=1,2', zips=zips)
  assert why in str(error.value)


def test_a_mistake_of_many_points_is_told_once():
  with pytest.raises(SpecError) as error:
    make('seed=0:9:10', overrides=[('train.stepz', '3'), ('data.batch_size', '-1')])
  assert len(error.value.problems) == 2
  with pytest.raises(SpecError) as error:  # a rule, which only some of the points break
    make('seed=0:9:10', 'eval.num_samples=1,5', overrides=[('eval.evaluators', 'bounds,latents')])
  (problem,) = error.value.problems
  assert '(10 of 20 points, the first: seed=0, eval.num_samples=1)' in problem
  with pytest.raises(SpecError, match=r'is set by --spec\.seed, too'):
    make('seed=0,1', overrides=[('seed', '3')])
  with pytest.raises(SpecError) as error:
    make('seed=0,x', f'{Z2}=1:1:4', 'thread=1', zips=['a,b'])
  assert len(error.value.problems) == 4


def test_names():
  names = [directory_name(point.fields) for point in make(f'{Z2}=0.2,1', f'{Z1}=1').points]
  assert names == [f'{Z2}=0.2,{Z1}=1', f'{Z2}=1,{Z1}=1']
  texts = ['a,b', 'a_b', 'a=b', 'a/b', 'ä', 'x' * 300, 'x' * 299 + 'y', '']
  names = [directory_name({'data.path': text}) for text in texts]
  assert len(set(names)) == len(names) and all(len(name.encode()) <= 120 and '/' not in name for name in names)
  assert directory_name({'decoder.net.hidden': (64, 32)}) == 'decoder.net.hidden=64,32'


def test_no_tensorflow():
  code = (
    'import sys\nfrom tfvae.sweep import command\nfrom tfvae.spec import grid\n'
    f'grid.make({str(ROOT / "specs/hit.py")!r})\nassert "tensorflow" not in sys.modules'
  )
  subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)
