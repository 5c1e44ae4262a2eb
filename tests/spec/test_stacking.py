"""Which runs can be one compiled program."""

import pytest

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.spec import stacking


@pytest.mark.parametrize(
  ('path', 'fields', 'field', 'got'),
  [
    ('specs/hit.py:digits', {}, 'model.z1.encoder.kind', 'conv'),
    ('specs/hit.py:digits', {}, 'decoder.net.kind', 'conv'),
    ('specs/linear.py', {'train.compile': 'eager'}, 'train.compile', 'eager'),
    ('specs/linear.py', {'train.strategy': 'mirrored'}, 'train.strategy', 'mirrored'),
    ('specs/symmetric.py', {'objective.chains': 4}, 'objective.chains', '4'),
    ('specs/collapse.py', {}, 'study.name', 'collapse'),
    ('specs/geco.py:convdraw', {}, 'model.name', 'convdraw'),
  ],
)
def test_refused(path, fields, field, got):
  problems = build.stacking_problems(spec_lib.load(path, fields))
  (line,) = (line for line in problems if line.startswith(f'spec.{field}: '))
  assert f'got {got}, but' in line and '--sweep.executor=local' in line and len(line) < 400


def test_dense_models_are_taken():
  for path in ('specs/entropies.py', 'specs/linear.py', 'specs/iwae.py', 'specs/symmetric.py'):
    spec = spec_lib.load(path, {'objective.chains': 0})
    assert not build.stacking_problems(spec), path
    stacking.require([spec, spec_lib.resolve(spec, {'seed': 7})])


def test_what_differs_in_more_than_values():
  spec = spec_lib.load('specs/linear.py')
  with pytest.raises(SpecError, match='differ in betas, targets, learning rates and seeds alone'):
    stacking.require([spec, spec_lib.resolve(spec, {'model.z1.dim': 3})])
