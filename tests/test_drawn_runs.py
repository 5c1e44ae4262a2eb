"""Convolutional DRAW through the loop with every objective and constraint, and the mistakes that are told before."""

import re

import numpy as np
import pytest
from runs import rows_of, variables_of
from test_conformance import resumes_to_the_bit
from variants import lines

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import SpecError

DIGITS = 'geco.py:convdraw'
SMALL = {'model.z.steps': 2, 'model.z.lstm': 4, 'model.z.dim': 1, 'data.batch_size': 6, 'eval.evaluators': ()}
SMALL |= {'train.steps': 2, 'train.log_every': 1, 'train.compile': 'eager', 'eval.every': 0, 'eval.also': ()}
SMALL |= {'train.checkpoint_every': 1, 'train.keep': 2}
SMALL |= {'model.z.encoder.hidden': '4', 'decoder.net.hidden': '4', 'eval.during': ()}
FREE = {'constraint.names': (), 'decoder.variance': 'learned'}
PATCHES = {'constraint.names': ('fre',), 'constraint.fre.features': 'patches'}
BITS = {'model.z.family': 'bernoulli', 'model.z.grid': 0, 'model.z.join_grid': 4, 'objective.estimator': 'zgr'}
IWAE = FREE | {'objective.name': 'iwae', 'objective.num_samples': 3}
TRAINED = {
  'elbo': FREE,
  'chains': FREE | {'objective.chains': 2},
  'sampled rates': FREE | {'objective.kl': 'sampled', 'objective.num_samples': 2},
  'annealed': FREE | {'objective.anneal': 'linear', 'objective.beta.z': 2.0},
  'iwae': IWAE,
  'doubly reparameterised': IWAE | {'objective.estimator': 'doubly_reparameterized'},
  'information': FREE | BITS | {'objective.information': True, 'sample.what': ('prior',)},
  'entropies': FREE | {'eval.evaluators': ('entropies', 'bounds')},
  'falling sigma': FREE | {'decoder.variance': 'fixed', 'decoder.sigma_until': 0.5},
  're': {'constraint.names': ('re',)},
  'fre': PATCHES,
  'pncc': {'constraint.names': ('pncc',)},
  'rate': FREE | {'constraint.names': ('rate',), 'constraint.rate.z': 8.0},
  're, published': {'constraint.update': 'published', 'constraint.warmup': 0.0},
  'cla': {'constraint.names': ('cla',)},
  'features': {'constraint.names': ('fre',)},
}
CHEAP = ('chains',)


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])


@pytest.mark.parametrize('case', [c if c in CHEAP else pytest.param(c, marks=pytest.mark.slow) for c in TRAINED])
def test_objectives_and_constraints(case, tmp_path, request):
  fields = SMALL | TRAINED[case]
  if case in ('cla', 'features'):
    fields |= {'classifier.path': str(request.getfixturevalue('classifier_run'))}
  spec, _ = lines(DIGITS, (8, 8, 1), fields)
  workdir = commands.train(spec, tmp_path / 'run').workdir
  rows = [row for row in rows_of(workdir) if 'evaluation' not in row]
  assert [row['step'] for row in rows] == [1, 2]
  for row in rows:
    assert all(np.isfinite(value) for name, value in row.items() if name != 'split'), row
    assert row['rate/z/1'] + row['rate/z/2'] == pytest.approx(row['rate'], rel=1e-4, abs=1e-6)
    assert row['rate/z'] == pytest.approx(row['rate'], rel=1e-6)
  if case == 'chains':
    resumes_to_the_bit(spec, workdir, tmp_path / 'resumed')
    found = {name: value for name, value in variables_of(workdir).items() if 'chain' in name}
    assert sorted(value.shape for value in found.values()) == [(1, 2, 4, 4, 1)] * 2
    assert all(np.abs(value).max() > 0 for value in found.values())


# What cannot be is told before training.

GRID = {'model.z.grid': 0}
ONE_HOT = {'model.z.family': 'categorical', 'objective.estimator': 'straight_through'}
ONE_HOT |= {'eval.evaluators': (), 'sample.what': ('prior',)}
MISTAKES = {  # fields of specs/geco.py:convdraw, and what is said
  'no steps': ({'model.z.steps': 0}, ('spec.model.z.steps: got 0; allowed: an integer >= 1',)),
  'half a step': ({'model.z.steps': '2.5'}, ("spec.model.z.steps: got '2.5'; allowed: an integer >= 1",)),
  'steps elsewhere': ({'model.steps': 4}, ('spec.model.steps: unknown field. Did you mean spec.model.z.steps?',)),
  'another layer': ({'model.z1.dim': 4}, ('spec.model.z1.dim: there is no layer z1; the layers of this spec: z',)),
  'no maps': (GRID, ('spec.model.z.join_grid: got 0, and spec.model.z.grid is 0, too', 'such as 8')),
  'ladder': ({'model.inference': 'ladder'}, ('spec.model.inference: got ladder; with spec.model.name=', 'generic')),
  'prior': ({'prior.name': 'optimal'}, ('spec.prior.name: got optimal; ', 'as all p(z_t) are: use standard')),
  'constraint of weights': (
    {'prior.weight_constraint': 'rescale'},
    ('spec.prior.weight_constraint: got rescale', 'use none'),
  ),
  'players': (
    FREE | {'objective.name': 'symmetric'},
    ('spec.objective.name: got symmetric; ', 'one player: use elbo or iwae'),
  ),
  'no samples': ({'objective.num_samples': 0}, ('spec.objective.num_samples: got 0', 'give a number >= 1')),
  'a hierarchy': (
    {'model.name': 'hierarchy', 'eval.evaluators': 'bounds'},
    ('spec.model.layers: got z, which repeats and is for spec.model.name',),
  ),
  'tiles': ({'eval.evaluators': 'tiles'}, ('got tiles, which is for one', 'not for 4 layers; leave it out')),
  'ppca': ({'eval.evaluators': 'ppca'}, ('got ppca, which is for linear VAEs', 'convdraw', 'or leave it out')),
  'selection': ({'eval.evaluators': 'selection'}, ('got selection, which compares members', 'or leave it out')),
  'posterior': ({'eval.evaluators': 'posterior'}, ('got posterior, which enumerates layers of bits', 'leave it out')),
  'flow of a map': ({'model.z.flow': 'real_nvp'}, ('spec.model.z.flow: got real_nvp, which is for vectors', 'none')),
  'categories on a map': (
    ONE_HOT,
    ('spec.model.z.grid: got 4; a layer of categories is a vector of groups: use 0',),
  ),
  'a target alone': ({'constraint.rate.z': 3.0}, ('spec.constraint.rate.z: got 3, but', 'add it, or use 0')),
}


@pytest.mark.parametrize('case', MISTAKES)
def test_mistakes(case):
  """Each is one line, which names the field, what it got and what to do."""
  fields, texts = MISTAKES[case]
  with pytest.raises(SpecError) as error:
    lines(DIGITS, (8, 8, 1), fields)
  (line,) = str(error.value).splitlines()
  assert all(text in line for text in texts), line


@pytest.mark.parametrize(
  ('path', 'fields', 'says'),
  [
    ('hit.py', {'model.z.steps': 4}, 'there is no layer z; .* z2, z1 .z, which repeats, is that of .*=convdraw'),
    ('geco.py', {'model.name': 'convdraw'}, 'spec.model.layers: got z1; spec.model.name=convdraw has one .* z$'),
    ('hit.py', {'model.name': 'convdraw'}, 'spec.model.layers: got z2,z1; spec.model.name=convdraw has one .* z'),
    ('hit.py', {'model.layers': 'z'}, 'spec.model.layers: layer z has no section spec.model.z; choose a variant'),
  ],
)
def test_mistakes_of_other_models(path, fields, says):
  with pytest.raises(SpecError, match=says):
    lines(path, (8, 8, 1), fields)


def test_a_model_that_has_no_such_layer():
  spec = spec_lib.base(('z',))
  with pytest.raises(SpecError, match=r'got z, which repeats and is for spec\.model\.name=convdraw'):
    spec_lib.resolve(spec)


@pytest.mark.parametrize('name', ['table', 'circle'])
def test_what_is_no_image_is_not_drawn(name, tmp_path):
  """Before data are read, and without a trace of a run."""
  shape = {'table': (30,), 'circle': (2,)}[name]
  spec, (line,) = lines(DIGITS, shape, {'data.name': name, 'eval.evaluators': ('bounds',)})
  assert re.search('spec.model.name: got convdraw, which draws images, but .* use a spec of hierarchy', line)
  with pytest.raises(SpecError, match='which draws images'):
    commands.train(spec, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
