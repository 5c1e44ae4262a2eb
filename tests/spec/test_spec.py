"""Specs: defaults, variants, overrides, validation, JSON, documentation."""

import contextlib
import importlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from variants import VARIANTS, load

from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.spec import schema
from tfvae.spec.entries import NAMES


def problems(call, *args):
  with pytest.raises(SpecError) as error:
    call(*args)
  return error.value.problems


def test_base_is_complete_and_locked():
  spec = spec_lib.base(('z3', 'z2', 'z1'))
  assert spec_lib.validate(spec) == []
  assert set(spec.objective.beta) == {'z1', 'z2', 'z3'}
  assert 'above' in spec.model.z2 and 'above' not in spec.model.z3
  with pytest.raises((AttributeError, KeyError)):
    spec.train.stepz = 3
  with pytest.raises(ValueError, match='z2,z1'):
    spec_lib.base(('z2', 'z3'))


@pytest.mark.parametrize('variant', VARIANTS)
def test_json_round_trip(variant):
  spec = load(variant)
  text = spec_lib.to_json(spec)
  again = spec_lib.from_json(text)
  assert again == spec
  assert spec_lib.to_json(again) == text
  assert again.to_dict() == spec.to_dict()
  types = lambda s: {k: type(v) for k, v in schema.flatten(s.to_dict()).items()}
  assert types(again) == types(spec)  # tuples stay tuples, floats floats


def test_fields_are_read_by_the_names_that_they_had():
  """Of old runs: the classifier of FID. Where the present name is there, too, it holds. Flags have the present ones."""
  values = json.loads(spec_lib.to_json(spec_lib.base()))
  for there, path in ((None, 'old'), ({'path': 'new'}, 'new'), ({}, 'old')):
    old = {name: section for name, section in values.items() if name not in ('classifier', 'constraint')}
    old['eval'] = values['eval'] | {'fid_classifier': 'old'}
    old |= {} if there is None else {'classifier': there}
    spec = spec_lib.from_json(json.dumps(old))
    assert spec.classifier.path == path and 'fid_classifier' not in spec.eval
  for wrong in ({'classifier': 3}, {'eval': 3}):
    problems(spec_lib.from_json, json.dumps(values | wrong))
  (problem,) = problems(spec_lib.resolve, spec_lib.base(), {'eval.fid_classifier': 'runs/classifier'})
  assert problem == 'spec.eval.fid_classifier: unknown field. Did you mean spec.classifier.path?'


def test_the_spec_of_a_run_of_that_time():
  """As specs/aevb.py with FID was written to spec.json before there were constraints."""
  spec = spec_lib.read(ROOT / 'tests/spec/old_spec.json')
  assert spec.classifier.path == 'runs/classifier-mnist' and spec.eval.evaluators == ('bounds', 'fid')
  assert spec.constraint.names == () and spec.model.z1.encoder.blocks == 2


def test_a_spec_that_is_older_than_some_fields_has_their_defaults():
  spec = spec_lib.resolve(spec_lib.base(), {'train.steps': 7})
  values = json.loads(spec_lib.to_json(spec))
  del values['eval'], values['model']['inference'], values['objective']['beta']['z2'], values['train']['keep']
  assert spec_lib.from_json(json.dumps(values)) == spec


def test_overrides_are_parsed_as_flags_are():
  spec = spec_lib.load(
    ROOT / 'specs/hit.py',
    [
      ('train.steps', '7'),
      ('objective.beta.z2', '5'),
      ('decoder.net.hidden', '(8, 4)'),
      ('eval.evaluators', 'bounds,latents'),
      ('train.schedule', 'cosine'),
    ],
  )
  assert (spec.train.steps, spec.objective.beta.z2, spec.decoder.net.hidden) == (7, 5.0, (8, 4))
  assert isinstance(spec.objective.beta.z2, float)
  assert spec.eval.evaluators == ('bounds', 'latents')


def test_fewer_layers_by_a_flag():
  spec = spec_lib.load(ROOT / 'specs/hit.py', {'model.layers': 'z1', 'objective.beta.z1': 2})
  assert spec.model.layers == ('z1',) and list(spec.objective.beta) == ['z1'] and 'z2' not in spec.model
  found = problems(spec_lib.load, ROOT / 'specs/hit.py', {'model.layers': 'z1', 'objective.beta.z2': 2})
  assert found == ('spec.objective.beta.z2: there is no layer z2; the layers of this spec: z1',)


def test_all_problems_are_reported_at_once():
  overrides = {
    'train.stepz': '5',
    'trian.steps': '5',
    'train': '5',
    'train.steps': '2.5',
    'data.batch_size': '-1',
    'data.name': 'digit',
    'decoder.sigma': 'nan',
    'decoder.net.hidden': '8,x',
    'objective.beta.z3': '1',
    'eval.evaluators': 'bounds,latent',
    'train.ema': '1.0',
  }
  found = problems(spec_lib.load, ROOT / 'specs/hit.py', overrides)
  assert [p.partition(':')[0] for p in found] == [f'spec.{name}' for name in overrides]
  text = '\n'.join(found)
  for hint in ('Did you mean spec.train.steps?', 'Did you mean digits?', 'Did you mean latents?', 'no layer z3'):
    assert hint in text


@pytest.mark.parametrize(
  ('overrides', 'field'),
  [
    ({'objective.anneal': 'linear', 'objective.anneal_begin': '0.5'}, 'objective.anneal_end'),
    ({'train.schedule': 'exponential', 'train.schedule_final': '0'}, 'train.schedule_final'),
    ({'train.schedule': 'piecewise', 'train.schedule_boundaries': '0.5,0.2'}, 'train.schedule_boundaries'),
    ({'train.warmup': '0.1'}, 'train.warmup'),
    ({'eval.split': 'validation'}, 'eval.split'),
    ({'decoder.net.hidden': ''}, 'decoder.net.hidden'),
    ({'decoder.sigma': '0.001'}, 'decoder.sigma'),
    ({'eval.num_samples': '1'}, 'eval.num_samples'),
    ({'objective.name': 'iwae', 'objective.beta.z2': '2'}, 'objective.beta.z2'),
    ({'objective.name': 'iwae', 'objective.beta.z1': '0.5'}, 'objective.beta.z1'),
    ({'objective.name': 'iwae', 'objective.anneal': 'cyclical'}, 'objective.anneal'),
    ({'objective.name': 'iwae', 'decoder.variance': 'optimal'}, 'decoder.variance'),
    ({'objective.estimator': 'doubly_reparameterized'}, 'objective.estimator'),
    ({'objective.name': 'iwae', 'objective.kl': 'sampled'}, 'objective.kl'),
    ({'objective.kl': 'exakt'}, 'objective.kl'),
  ],
)
def test_impossible_combinations(overrides, field):
  found = problems(spec_lib.load, ROOT / 'specs/hit.py', overrides)
  assert len(found) == 1 and found[0].startswith(f'spec.{field}:')


def test_what_the_importance_weighted_bound_allows():
  """Betas of 1, and any variance field where the likelihood has no variance."""
  fields = {'objective.name': 'iwae', 'objective.estimator': 'doubly_reparameterized', 'objective.beta.z2': '1'}
  spec_lib.load(ROOT / 'specs/hit.py', fields | {'decoder.variance': 'per_dimension'})
  spec_lib.load(ROOT / 'specs/hit.py', fields | {'decoder.variance': 'optimal', 'decoder.likelihood': 'bernoulli'})


def test_wrong_values_of_every_field():
  """No field takes a value of another type, None, a value outside its choices, or one beyond its bounds."""
  for name, field in schema.flatten(schema.schema(('z2', 'z1'))).items():
    if name == 'model.layers':
      continue
    element = field.item or field.type
    wrong = [None, {'a': 1}, []]
    wrong += [float('nan'), float('inf'), 'word', True] if element is float else []
    wrong += [1.5, 'word', True] if element is int else []
    wrong += ['no such name'] if field.choices else []
    wrong += [1] if element is str else []
    wrong += [limit - 1 for limit in (field.low, field.above) if limit is not None]
    wrong += [limit + 1 for limit in (field.high, field.below) if limit is not None]
    wrong += [limit for limit in (field.above, field.below) if limit is not None]
    for value in wrong:
      assert field.problem((value,) if field.type is tuple else value), (name, value)
    assert field.type is not tuple or field.problem(3)
    assert field.problem(field.default) is None, name


def test_extreme_values():
  """Every integer has an upper bound; no legal value hangs, none that is refused is echoed whole or a traceback."""
  for name, field in schema.flatten(schema.schema(('z2', 'z1'))).items():
    kind = field.item or field.type
    assert kind is not int or field.high is not None, f'spec.{name} has no upper bound'
    wrong = [10**5000, -(10**5000), {'a': [1] * 50_000}, 'x' * 100_000, ['y' * 100_000], [1.5] * 100_000]
    for value in wrong:
      problem = field.problem((value,) if field.type is tuple else value)
      assert len(problem) < 400, (name, len(problem))
    assert field.type is not tuple or len(field.problem([None] * 100_000)) < 400
    if kind is int and field.high:
      high = (field.high,) if field.type is tuple else field.high
      with contextlib.suppress(SpecError):  # of rules
        spec_lib.resolve(spec_lib.base(), {name: high})
    digits = '9' * 10_000
    for text in (digits, f'{digits},{digits}'):
      if name != 'model.layers' and kind is not float:
        found = problems(spec_lib.resolve, spec_lib.base(), {name: text})
        assert len(''.join(found)) < 1000, name


def test_names_and_numbers_of_mistakes_are_cut():
  assert len(str(SpecError(['wrong'] * 1000)).splitlines()) == 31
  (problem,) = problems(spec_lib.resolve, spec_lib.base(), {'x' * 100_000: 1})
  assert len(problem) < 400
  (problem,) = problems(spec_lib.resolve, spec_lib.base(), {'model.layers': ['z' + '9' * 5000, 'z1']})
  assert len(problem) < 400
  assert 'at most 32' in problems(spec_lib.resolve, spec_lib.base(), {'model.layers': [f'z{i}' for i in range(50)]})[0]


@pytest.mark.parametrize(
  ('values', 'says'),
  [
    ('{"train": {"steps": %s}}' % ('9' * 5000), ['not a spec', '4300 digits']),
    ('{"a": ' * 100_000, ['not a spec']),
    ('{"train": {"steps": 1e400}}', ['spec.train.steps: got inf']),
    ('{"train": {"learning_rate": %s}}' % ('9' * 400), ['spec.train.learning_rate', 'digits', 'float32']),
    ('{"train": {"steps": 1000000000000000000000}}', ['spec.train.steps: got 1000000000000000000000', '<= 10']),
    ('{"model": {"layers": ["z%s"]}}' % ('9' * 4000), ['spec.model.layers', 'z1']),
    ('{"data": {"name": "a\\u0000b"}}', ['spec.data.name', 'null']),
  ],
  ids=['digits', 'deep', 'infinite', 'large float', 'beyond 1e18', 'layer', 'null'],
)
def test_json_beyond_all_measure(values, says):
  base = json.loads(spec_lib.to_json(spec_lib.base()))
  if values.startswith('{"a"') or 'digits' in says[-1]:
    found = '\n'.join(problems(spec_lib.from_json, values))
  else:
    ((section, fields),) = json.loads(values).items()
    base[section] |= fields
    found = '\n'.join(problems(spec_lib.from_json, json.dumps(base)))
  assert len(found) < 1000
  for text in says:
    assert text in found


@pytest.mark.parametrize(
  ('line', 'says'),
  [
    ('s.train.stepz = 3', 'line 4: spec.train.stepz: unknown field. Did you mean spec.train.steps?'),
    ('x = s.train.stepz', 'line 4: spec.train.stepz: unknown field. Did you mean spec.train.steps?'),
    ('s.trian.steps = 3', 'line 4: spec.trian: unknown field. Did you mean spec.train?'),
    ('for net in (s.decoder.net,): net.hiden = (3,)', 'spec.decoder.net.hiden: unknown field. Did you mean spec.dec'),
    ('s.objective.beta.z3 = 1', 'spec.objective.beta.z3: there is no layer z3; the layers of this spec: z2, z1'),
    (
      's.decoder.net.hidden = 16',
      'spec.decoder.net.hidden: got 16; allowed: a tuple, each element an integer >= 1 and <= 100000, such as (16,)',
    ),
    ("s.train.steps = 'many'", "spec.train.steps: got 'many'; allowed: an integer"),
    ('s.train.steps = 5.0', 'spec.train.steps: got 5.0; allowed: an integer'),
    ('s.train.steps = 10**5000', 'spec.train.steps: got an integer of about 5001 digits'),
    ('s.decoder = 3', 'spec.decoder: is a section; its fields: components, head_kernel, likelihood'),
    ("raise ValueError('x' * 100_000)", 'line 4: ValueError: xxx'),
  ],
)
def test_mistakes_in_a_spec_file_name_the_field(tmp_path, line, says):
  path = tmp_path / 'mine.py'
  path.write_text(f"from tfvae import spec\ndef get_config(variant=''):\n  s = spec.base()\n  {line}\n  return s\n")
  (problem,) = problems(spec_lib.load, path)
  assert says in problem and '(reference)' not in problem and len(problem) < 600


@pytest.mark.parametrize(
  ('name', 'says'),
  [
    ('beta.z2', 'Did you mean spec.objective.beta.z2?'),
    ('batch_size', 'Did you mean spec.data.batch_size or spec.eval.batch_size?'),
    ('train.batch_size', 'Did you mean spec.data.batch_size or spec.eval.batch_size?'),
    ('spec.train.steps', 'without spec. in front: train.steps'),
    ('beta', 'Did you mean spec.objective.beta.z2 or spec.objective.beta.z1?'),
    ('train.lr', 'Did you mean spec.train.learning_rate?'),
    ('constraint.kappa', 'Did you mean spec.constraint.re.kappa or spec.constraint.fre.kappa or '),
    ('epochs', 'Did you mean spec.train.steps (its length is in steps)?'),
    ('train.foo', 'the fields of spec.train: beta_1'),
    ('trane.foo', 'the fields of spec: classifier, constraint, data'),
  ],
)
def test_unknown_fields_are_answered_with_known_ones(name, says):
  assert says in problems(spec_lib.resolve, spec_lib.base(), {name: '1'})[0]


def test_a_spec_file_that_is_not_there(monkeypatch, tmp_path):
  """What was meant is sought among the spec files, by name; however long the path is."""
  monkeypatch.chdir(ROOT)
  for path, says in (
    ('specs/hitt.py', 'Did you mean specs/hit.py?'),
    ('hit', 'Did you mean specs/hit.py?'),
    ('symetric', 'Did you mean specs/symmetric.py?'),
    ('specs', 'Spec files: specs/aevb.py, '),
    ('~nouser/hit.py', 'no spec file ~nouser/hit.py. Did you mean specs/hit.py?'),
    ('x' * 100_000, 'there is no spec file xxx'),
    ('x/' * 50_000, 'there is no spec file x/x'),
    ('a\0b', 'there is no spec file a?b'),
  ):
    (problem,) = problems(spec_lib.load, path)
    assert says in problem and len(problem) < 600, problem
  (tmp_path / 'a:b').mkdir()
  (tmp_path / 'a:b/mine.py').write_text((ROOT / 'specs/aevb.py').read_text())
  for path in (f'{tmp_path}/a:b/mine.py', f'{tmp_path}/a:b/mine.py:unit'):  # a colon in a path is no variant
    assert spec_lib.origin(spec_lib.load(path)).variant == path.partition('mine.py:')[2]


def test_what_overrides_may_be(tmp_path):
  overrides = {'train.steps': np.int64(5), 'train.learning_rate': np.float32(0.5), 'decoder.net.hidden': [np.int32(3)]}
  spec = spec_lib.resolve(spec_lib.base(), overrides | {'train.init_from': tmp_path})
  assert (spec.train.steps, spec.train.learning_rate, spec.decoder.net.hidden) == (5, 0.5, (3,))
  assert spec.train.init_from == str(tmp_path)
  for wrong in (['train.steps=5'], [('train.steps',)], {3: 4}):
    assert 'allowed: a mapping' in problems(spec_lib.resolve, spec_lib.base(), wrong)[0]
  assert 'tfvae.load_spec' in problems(spec_lib.resolve, {'train': {'steps': 5}})[0]


def test_a_spec_file_with_wrong_layers(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    "from tfvae import spec\ndef get_config(variant=''):\n  s = spec.base()\n"
    "  s.model.layers = ('z3', 'z2', 'z1')\n  return s\n"
  )
  (problem,) = problems(spec_lib.load, path)
  assert 'spec.model.layers: layer z3 has no section spec.model.z3' in problem


def test_broken_json_is_named():
  values = json.loads(spec_lib.to_json(spec_lib.base()))
  values['train']['steps'] = 0
  values['extra'] = {'a': 1}
  found = problems(spec_lib.from_json, json.dumps(values))
  assert [p.partition(':')[0] for p in found] == ['spec.train.steps', 'spec.extra.a']
  assert problems(spec_lib.from_json, '{"seed"')


def test_differences():
  a, b = spec_lib.base(), spec_lib.base()
  b.train.steps = 5
  assert spec_lib.differences(a, b) == {'train.steps': (2000, 5)}
  assert spec_lib.differences(spec_lib.base(('z1',)), a)['objective.beta.z2'] == (None, 1.0)


def test_split_flags():
  rest, pairs = spec_lib.split_flags(['p', '--spec', 's', '--spec.a=1', '--spec.b', '2', '--spec.c', '--mode=show'])
  assert rest == ['p', '--spec', 's', '--mode=show']
  assert pairs == [('a', '1'), ('b', '2'), ('c', 'true')]
  assert spec_lib.split_flags(['--spec.x', '-1'])[1] == [('x', '-1')]


def test_every_name_stands_for_something():
  for table in NAMES.values():
    for entry in table.values():
      path = entry if isinstance(entry, str) else entry.path
      module, _, attribute = path.partition(':')
      for name in [attribute] if attribute else ['load', 'shape']:  # of data
        assert callable(getattr(importlib.import_module(module), name)), path


def test_documentation_is_current():
  assert (ROOT / 'docs/spec.md').read_text() == schema.markdown(), 'run: python -m tfvae.spec > docs/spec.md'


def test_nothing_heavy_is_imported_for_a_spec():
  code = (
    'import sys, tfvae; assert not {m for m in sys.modules if m.startswith("tfvae.")}; '
    'from tfvae import commands; '
    'tfvae.load_spec("specs/hit.py"); print([m for m in ("tensorflow", "keras", "sklearn", "matplotlib", "scipy") '
    'if m in sys.modules])'
  )
  out = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
  assert out.stdout.strip() == '[]'


def test_the_published_training_of_circle():
  """Damm et al.: log sigma^2 begins at -9 with one sigma, at 0 with one for each dimension; no annealing."""
  for vae, log_variance in {'vae0': 0, 'vae1': -9, 'vae2': -9, 'vae3': 0}.items():
    spec = spec_lib.load(f'{ROOT}/specs/entropies.py:circle,{vae},published')
    assert 2 * math.log(spec.decoder.sigma) == pytest.approx(log_variance)
    train, objective = spec.train, spec.objective
    assert (train.steps, train.schedule, train.learning_rate, train.variance_learning_rate) == (
      3600,
      'constant',
      1e-3,
      0,
    )
    assert (objective.num_samples, objective.anneal, spec.data.batch_size) == (1, 'none', 1024)
  for variant in ('mnist,published', 'pca_ring,published', 'circle,vae3_latent,published'):
    assert 'published is for' in problems(spec_lib.load, f'{ROOT}/specs/entropies.py:{variant}')[0]


def test_the_sizes_and_lengths_of_symmetric_learning():
  """30 and 100 bits for 1,000,000 steps; Fashion-MNIST for 280,000, and with 50 and 200 bits in the paper."""
  for variant, want in {
    'mnist': (30, 100, 1_000_000),
    'fashion_mnist': (30, 100, 280_000),
    'fashion_mnist,paper': (50, 200, 280_000),
  }.items():
    spec = spec_lib.load(f'{ROOT}/specs/symmetric.py:{variant}')
    assert (spec.model.z2.dim, spec.model.z1.dim, spec.train.steps) == want
  assert 'paper is for fashion_mnist' in problems(spec_lib.load, f'{ROOT}/specs/symmetric.py:mnist,paper')[0]
