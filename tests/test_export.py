"""What a trained model is used for: from Python on arrays, and as a SavedModel where there is no tfvae."""

import contextlib
import errno
import json
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import tensorflow as tf
from test_launch import assert_refused

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.analysis.bounds import Bounds
from tfvae.analysis.evaluation import Evaluation
from tfvae.errors import RunError, SpecError, UserError
from tfvae.noise import stateless
from tfvae.observation import Observation
from tfvae.run.checkpoints import Checkpoints, named
from tfvae.run.ema import Ema
from tfvae.run.files import replaced
from tfvae.trained import Run
from tfvae.verbs import Verbs

BATCH, SAMPLES = 4, 3
SMALL = {'eval.batch_size': BATCH, 'eval.num_samples': SAMPLES, 'decoder.net.hidden': '8'}
MAPS = {
  'model.z1.grid': 4,
  'model.z1.dim': 2,
  **{f'model.z1.{part}.kind': 'conv' for part in ('encoder', 'posterior', 'prior')},
  'model.z1.prior.hidden': '4,4',
  'model.conditioning': 'all',
  'decoder.net.kind': 'conv',
  'decoder.variance': 'latent',
  'data.binarize': 'threshold',
  'data.threshold': 0.3,
}
CASES = {  # layers, fields
  'reverse': (
    ('z2', 'z1'),
    {
      'model.inference': 'reverse',
      'decoder.likelihood': 'bernoulli',
      'data.binarize': 'dynamic',
      'train.ema': 0.9,
    },
  ),
  'maps': (('z2', 'z1'), MAPS),
  'optimal': (
    ('z1',),
    {
      'decoder.variance': 'optimal',
      'data.name': 'table',
      'data.scaling': 'standard',
      'eval.batch_size': 250,
      'train.precision': 'float64',
    },
  ),
}

TOLD = {  # the same, of models that are told something
  'label': (('z1',), {'data.context': 'label', 'model.context.embed': 3}),
  'images': (
    ('z1',),
    {'data.name': 'mnist_sum', 'data.of': 'digits', 'data.context': 'own', 'model.context.kind': 'mlp'},
  ),
}


def make(case, workdir):
  """A run of random weights, as after its 7th step."""
  layers, fields = (CASES | TOLD)[case]
  spec = spec_lib.base(layers)
  for layer in layers:
    spec.model[layer].dim = 3
    spec.model[layer].encoder.hidden = (4,)
  spec = spec_lib.resolve(spec, SMALL | fields)
  data, rng = build.dataset(spec), np.random.default_rng(0)
  model = build.model(spec, data.observation)
  objects = {'model': named(model.variables)}
  if spec.train.ema:
    ema = Ema(model.trainable_variables, spec.train.ema)
    objects['ema'] = ema.variables
    model.trainable_variables[0].assign_add(tf.ones_like(model.trainable_variables[0]))
  for variable in ema.averages if spec.train.ema else model.trainable_variables:
    variable.assign_add(0.1 * rng.standard_normal(variable.shape))
  run = Run(workdir)
  run.open(spec)
  run.begin(spec, data.summary)
  run.close()
  Checkpoints(run.checkpoints, 1, **objects).save(7)
  run.record_saved(7)
  return commands.load(workdir)


def signatures(run):
  return tf.saved_model.load(str(run.workdir / 'export/saved_model')).signatures


def stored(run):
  """Examples as a user has them."""
  return build.loader(run.spec.data.name).load(run.spec.data).splits['train']['x']


def assert_close(found, wanted, rtol=1e-5):
  assert sorted(found) == sorted(wanted)
  for name, value in found.items():
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, wanted[name], rtol=rtol, atol=1e-5, err_msg=name)


@pytest.mark.parametrize('case', CASES)
def test_the_verbs_on_arrays_in_a_saved_model_and_by_the_model_itself(case, tmp_path, capsys):
  run = make(case, tmp_path / 'run')
  run.write_export(run.verbs, 7)
  exported, model, size = signatures(run), run.model, run.spec.eval.batch_size
  values = stored(run)[: 2 * BATCH + 1]
  x = run.scale(values)['x']
  assert_close(exported['scale'](values=tf.constant(values, tf.float64)), {'x': x})
  wide = tf.cast(x, model.latents[0].family.head.dtype)

  means, q = model.encode({'x': wide})
  wanted = {f'{name}_loc': d.mean()[0] for name, d in q.items()}
  wanted |= {f'{name}_scale': d.stddev()[0] for name, d in q.items()}
  encoded = run.encode(x)
  assert_close(encoded, wanted)
  wanted = {'mean': model(wide)}
  assert_close(run.reconstruct(x), wanted)
  z = {name: encoded[f'{name}_loc'] for name in (model.layer_names if case == 'maps' else ['z1'])}
  px = model.decode(means)
  other = {'logits': px.distribution.logits_parameter()} if case == 'reverse' else {'scale': px.stddev()}
  assert_close(run.decode(**z), wanted | {name: value[0] for name, value in other.items()})
  for count in (1, BATCH):  # of any number
    first = tf.constant(x[:count])
    assert_close(exported['encode'](x=first), {name: value[:count] for name, value in encoded.items()})
    assert_close(exported['reconstruct'](x=first), {'mean': wanted['mean'][:count]})
    decoded = run.decode(**{name: value[:count] for name, value in z.items()})
    assert_close(exported['decode'](**{name: tf.constant(value[:count]) for name, value in z.items()}), decoded)

  # Batch k of a call has the seed [seed, k].
  draws, bounds = run.sample(len(x), seed=3), run.elbo(x, seed=3)
  for number, begin in enumerate(range(0, len(x), size)):
    part = slice(begin, min(begin + size, len(x)))
    n, noise, seed = part.stop - part.start, stateless(3, number), tf.constant([3, number])
    trace = model.generate(n, noise)
    wanted = {'x': trace.x, 'mean': trace.px.mean()[0], **{name: z[0] for name, z in trace.z.items()}}
    assert_close({name: value[part] for name, value in draws.items()}, wanted)
    assert_close(exported['sample'](n=tf.constant(n), seed=seed), wanted)
    terms = model.infer({'x': wide[part]}, noise, SAMPLES).terms()
    wanted = {name.replace('/', '_'): value for name, value in terms.items() if name != 'mse'}
    assert_close({name: value[part] for name, value in bounds.items()}, wanted)
    assert_close(exported['elbo'](x=tf.constant(x[part]), seed=seed), wanted)
  assert not np.allclose(run.sample(2, seed=4)['mean'], draws['mean'][:2])
  assert {len(value) for value in run.encode(x[:0]).values()} == {0}


@pytest.mark.parametrize('case', ['label', pytest.param('images', marks=pytest.mark.slow)])
def test_a_context_is_an_input_of_every_verb(case, tmp_path):
  run = make(case, tmp_path / 'run')
  run.write_export(run.verbs, 7)
  exported, model, n = signatures(run), run.model, 2 * BATCH + 1
  part = build.loader(run.spec.data.name).load(run.spec.data).splits['train']
  x, given = run.scale(part['x'][:n])['x'], part['label'][:n]
  if case == 'images':
    given = run.scale_context(part['context'][:n])['context']
    assert_close(exported['scale_context'](values=tf.constant(part['context'][:n], tf.float64)), {'context': given})
    assert given.max() == 1  # as x is scaled
  dtype = tf.int32 if case == 'label' else tf.float32
  source = build.source(run.spec, build.dataset(run.spec))
  batch = {'x': tf.constant(x), 'context': tf.constant(given, dtype)}
  assert {name: source.first('train', 2)[name].dtype for name in batch} == {name: t.dtype for name, t in batch.items()}
  z, _ = model.encode(batch)
  encoded, decoded = run.encode(x, context=given), {'mean': run.decode(context=given, z1=z['z1'][0])['mean']}
  np.testing.assert_allclose(encoded['z1_loc'], z['z1'][0], rtol=1e-5, atol=1e-5)
  assert_close(run.reconstruct(x, context=given), {'mean': model(batch)})
  assert_close(decoded, {'mean': model(batch)})
  assert np.abs(run.decode(context=given[::-1], z1=z['z1'][0])['mean'] - decoded['mean']).max() > 1e-3
  drawn, bounds = run.sample(context=given, seed=3), run.elbo(x, seed=3, context=given)
  for number, first in enumerate(range(0, n, BATCH)):
    rows = slice(first, first + BATCH)
    own, seed, noise = {k: v[rows] for k, v in batch.items()}, tf.constant([3, number]), stateless(3, number)
    of = lambda found, rows=rows: {name: value[rows] for name, value in found.items()}
    assert_close(exported['encode'](**own), of(encoded))
    assert_close(exported['reconstruct'](**own), of(decoded))
    assert_close(exported['sample'](context=own['context'], seed=seed), of(drawn))
    trace = model.generate(len(own['x']), noise, own['context'])
    np.testing.assert_allclose(drawn['mean'][rows], trace.mean[0], rtol=1e-5, atol=1e-5)
    assert_close(exported['elbo'](**own, seed=seed), of(bounds))
    np.testing.assert_allclose(bounds['elbo'][rows], model.infer(own, noise, SAMPLES).terms()['elbo'], rtol=1e-4)
  one = run.sample(3, seed=3, context=given[0])
  assert_close(one, run.sample(context=np.stack([given[0]] * 3), seed=3))
  about = json.loads((run.workdir / 'export/signatures.json').read_text())
  shape = list(given.shape[1:])
  told = {'of': 'label', 'shape': [], 'classes': 10} if case == 'label' else {'of': 'own', 'shape': shape}
  assert about['context'] == told and ('scale_context' in about['signatures']) == (case == 'images')
  for verb in ('encode', 'decode', 'reconstruct', 'sample', 'elbo'):
    wanted = {'shape': [None, *shape], 'dtype': dtype.name}
    assert about['signatures'][verb]['inputs']['context'] == wanted
  says_of_contexts(run, x, given)


def says_of_contexts(run, x, given):
  labels, verbs = run.model.told == (), run.verbs
  what = 'a label from 0 to 9' if labels else rf'numbers of shape \[{", ".join(map(str, run.model.told))}\]'
  told = rf'this model is told something of each example \(spec.data.context=\w+\), {what}; give'
  mistakes = [
    (lambda: run.sample(4), rf'sample: {told} one for all samples, run.sample\(16, context=c\), or one for each'),
    (lambda: run.encode(x), rf'encode: {told} one for each x, run.encode\(x, context=\[c, ...\]\)'),
    (lambda: run.decode(z1=np.zeros((1, 3))), rf'decode: {told} one for each z, run.decode\(context=.*, z1=...\)'),
    (lambda: run.sample(context=given[0]), 'sample: n: is missing beside one context for all samples'),
    (lambda: run.sample(3, context=given[:2]), 'sample: n: got 3, but 2 contexts; leave n out'),
    (lambda: run.elbo(x[:3], context=given[:2]), 'elbo: got 2 and 3 examples'),
    (
      lambda: run.encode(x[:1], context=given[0]),
      r'encode: context: got .* a single context goes in as context\[None\]',
    ),
    (lambda: run.sample(context=given[:2, None]), 'sample: context: got the shape'),
    (lambda: run.sample(2, context='a'), 'sample: context: got str, not an array of numbers'),
    (lambda: verbs.run('scale', values=x, context=given), 'scale: got a context, but scale takes none; leave it out'),
  ]
  if labels:
    mistakes += [
      (lambda: run.sample(2, context=10), 'sample: context: got 10; allowed: labels, whole numbers from 0 to 9'),
      (lambda: run.sample(context=[1, 2.5]), r'context: got 2\.5; allowed: labels'),
      (lambda: run.scale_context([1]), 'scale_context: this model is told labels, which go in as they are'),
    ]
  else:
    mistakes.append((lambda: run.sample(context=16 * given), r'sample: context: got values .*=run.scale_context'))
  for call, says in mistakes:
    with pytest.raises(UserError, match=says):
      call()


def test_a_context_for_a_model_that_takes_none(tmp_path):
  run, x = make('reverse', tmp_path / 'run'), np.zeros((2, 8, 8, 1))
  nothing = r'got a context, but this model is told nothing \(spec.data.context=none\); leave it out'
  for verb, call in (
    ('sample', lambda: run.sample(4, context=3)),
    ('encode', lambda: run.encode(x, context=[1, 2])),
    ('decode', lambda: run.decode(z1=np.zeros((2, 3)), context=[1, 2])),
  ):
    with pytest.raises(UserError, match=f'{verb}: {nothing}'):
      call()
  with pytest.raises(UserError, match=r'scale_context: this model is told nothing \(spec.data.context=none\)'):
    run.scale_context([1.0])
  assert len(run.encode(x, context=None)['z1_loc']) == 2


def test_the_files_of_an_export(tmp_path, capsys):
  """A SavedModel for a process that has TensorFlow alone, all weights for Keras, and what the signatures are."""
  run = make('maps', tmp_path / 'run')
  assert commands.export(run.workdir) == run.workdir / 'export'
  assert capsys.readouterr().out == f'{run.workdir}/export: model.weights.h5, saved_model, signatures.json of step 7\n'
  code = """if True:
    import sys
    sys.modules |= dict.fromkeys(('tfvae', 'tensorflow_probability', 'tf_keras', 'keras'))  # to import them is an error
    import numpy as np
    import tensorflow as tf
    model = tf.saved_model.load(sys.argv[1]).signatures
    x = model['scale'](values=np.load(sys.argv[2]).astype(float))['x']
    found = {'encode': model['encode'](x=x), 'reconstruct': model['reconstruct'](x=x)}
    found['sample'] = model['sample'](n=tf.constant(4), seed=tf.constant([5, 0]))
    np.savez(sys.argv[3], **{f'{verb}/{name}': value for verb, d in found.items() for name, value in d.items()})
  """
  values = stored(run)[:4]
  np.save(tmp_path / 'values.npy', values)
  files = (run.workdir / 'export/saved_model', tmp_path / 'values.npy', tmp_path / 'found.npz')
  (tmp_path / 'elsewhere').mkdir()
  process = subprocess.run(
    [sys.executable, '-I', '-c', code, *files], cwd=tmp_path / 'elsewhere', capture_output=True, text=True
  )
  assert process.returncode == 0, process.stderr
  x = run.scale(values)['x']
  wanted = {'encode': run.encode(x), 'reconstruct': run.reconstruct(x), 'sample': run.sample(4, seed=5)}
  wanted = {f'{verb}/{name}': value for verb, found in wanted.items() for name, value in found.items()}
  assert_close(dict(np.load(tmp_path / 'found.npz')), wanted)

  model = build.model(run.spec, Observation((8, 8, 1)))
  for variable in model.variables:
    variable.assign(tf.fill(variable.shape, 9.0))
  model.load_weights(run.workdir / 'export/model.weights.h5')
  assert len(model.variables) > 10
  for variable, own in zip(model.variables, run.model.variables, strict=True):
    np.testing.assert_array_equal(variable.numpy(), own.numpy(), err_msg=variable.path)

  about, exported = json.loads((run.workdir / 'export/signatures.json').read_text()), signatures(run)
  assert (about['step'], about['layers'], about['num_samples']) == (7, ['z2', 'z1'], SAMPLES)
  assert about['scaling'] == {'center': 0.0, 'width': 16.0, 'bits': 0, 'binarize': 'threshold', 'threshold': 0.3}
  assert about['signatures'].keys() == exported.keys()
  for verb, signature in exported.items():
    _, inputs = signature.structured_input_signature
    for given, said in ((inputs, 'inputs'), (signature.structured_outputs, 'outputs')):
      given = {name: {'shape': list(t.shape), 'dtype': t.dtype.name} for name, t in given.items()}
      assert about['signatures'][verb][said] == given
  assert about['signatures']['decode']['inputs']['z2'] == {'shape': [None, 3], 'dtype': 'float32'}


def test_averaged_weights(tmp_path):
  run = make('reverse', tmp_path / 'run')
  reader = tf.train.load_checkpoint(str(run.checkpoints / 'ckpt-7'))
  for variable in run.model.trainable_variables:
    path = variable.path.replace('/', '.S')
    average = reader.get_tensor(f'ema/{path}/.ATTRIBUTES/VARIABLE_VALUE')
    np.testing.assert_array_equal(variable.numpy(), average)
    assert variable is not run.model.trainable_variables[0] or np.any(
      average != reader.get_tensor(f'model/{path}/.ATTRIBUTES/VARIABLE_VALUE')
    )


def test_a_closed_form_variance_is_that_of_the_training_split(tmp_path):
  run = make('optimal', tmp_path / 'run')
  scale = run.decode(z1=np.zeros((1, 3)))['scale']
  data = build.dataset(run.spec)
  evaluation = Evaluation(run.model, build.source(run.spec, data), run.spec)
  ((_, found),) = evaluation.run('train', [Bounds(run.spec)])
  np.testing.assert_allclose(scale, found.numbers['sigma'], rtol=1e-6)
  assert scale.flat[0] == pytest.approx(math.sqrt(found.numbers['mse']), rel=1e-6)


@pytest.mark.parametrize('case', ['maps', 'optimal'])
def test_scaling_is_that_of_training_to_the_bit(case, tmp_path):
  run = make(case, tmp_path / 'run')
  source = build.source(run.spec, build.dataset(run.spec))
  seen = source.first('train', 100)['x'].numpy().astype(np.float32)
  scaled = {row.tobytes() for row in run.scale(stored(run))['x']}
  assert {row.tobytes() for row in seen} <= scaled


def test_mistakes_on_arrays(tmp_path):
  run = make('reverse', tmp_path / 'run')
  x = np.zeros((2, 8, 8, 1))
  for call, says in (
    (lambda: run.encode(x[0]), r'encode: x: got the shape \[8, 8, 1\]; allowed: \[B, 8, 8, 1\]; a single .* x\[None\]'),
    (lambda: run.elbo(x[..., 0]), r'elbo: x: got the shape \[2, 8, 8\]; allowed: \[B, 8, 8, 1\]'),
    (lambda: run.reconstruct(0.5), r'reconstruct: x: got the shape \[\]'),
    (lambda: run.encode([[1.0], [1.0, 2.0]]), 'encode: x: got list, not an array of numbers'),
    (lambda: run.encode(x.astype(str)), 'encode: x: got ndarray, not an array of numbers'),
    (lambda: run.scale(None), 'scale: values: got NoneType'),
    (lambda: run.decode(), 'decode: got nothing; it takes z1'),
    (lambda: run.decode(z1=np.zeros((2, 3)), z2=np.zeros((2, 3))), 'decode: got z1, z2; it takes z1'),
    (lambda: run.decode(z1=np.zeros((2, 4))), r'decode: z1: got the shape \[2, 4\]; allowed: \[B, 3\]'),
    (lambda: run.drawings(z1=np.zeros((2, 3))), r'drawings: .* not draw in steps \(spec\.model\.name=hierarchy\)'),
    (lambda: run.sample(0), 'sample: n: got 0; allowed: an integer from 1'),
    (lambda: run.sample(2.5), r'sample: n: got 2\.5'),
    (lambda: run.sample(1, seed=-1), 'sample: seed: got -1; allowed: an integer from 0 to 2147483647'),
    (lambda: run.elbo(x, seed='a'), "elbo: seed: got 'a'"),
  ):
    with pytest.raises(UserError, match=says):
      call()
  run = make('maps', tmp_path / 'maps')
  with pytest.raises(UserError, match='decode: got 2 and 3 examples'):
    run.decode(z1=np.zeros((2, 4, 4, 2)), z2=np.zeros((3, 3)))


@pytest.mark.parametrize('case', ['reverse', 'optimal'])
def test_values_that_were_not_scaled(case, tmp_path):
  """Refused of images and binary data, a warning of tables, whose rows may be rare; NaN is refused of both."""
  run = make(case, tmp_path / 'run')
  values = np.asarray(stored(run)[:5], np.float64)
  x = run.scale(values)['x']
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    run.encode(x)
    run.encode(x + 0.1)  # no clear margin
  for verb in ('encode', 'reconstruct', 'elbo'):
    says = rf"{verb}: x: got values from \S+ to \S+, but the model was .* run.{verb}\(run.scale\(values\)\['x'\]\)"
    with pytest.raises(UserError, match=says) if case == 'reverse' else pytest.warns(UserWarning, match=says):
      getattr(run, verb)(values)
  for bad in (np.nan, np.inf):
    broken = x.copy()
    broken[3].flat[1] = bad
    with pytest.raises(UserError, match=r'encode: x: example 3 \(from 0\) has NaN or infinite values'):
      run.encode(broken)
  with pytest.raises(UserError, match='scale: values: example 0'):
    run.scale(values * np.nan)
  with pytest.raises(UserError, match='decode: z1: example 0'):
    run.decode(z1=np.full((1, 3), np.nan))
  path = run.workdir / 'data.json'
  kept = json.loads(path.read_text())
  path.write_text(json.dumps({name: kept[name] for name in kept if name not in ('range', 'checksum')}))
  old = commands.load(run.workdir)  # of before the range was kept
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    with pytest.raises(UserError) if case == 'reverse' else contextlib.nullcontext():  # of bits it is known
      old.encode(values)


def test_a_failed_export_leaves_the_one_that_was_there(tmp_path, monkeypatch):
  run = make('optimal', tmp_path / 'run')

  def write(self, directory, step):
    (directory / 'saved_model').mkdir()
    (directory / 'saved_model/saved_model.pb').write_text(f'{step}')

  def fail(self, directory, step):
    write(self, directory, step)
    raise OSError(errno.ENOSPC, 'No space left on device')

  export, there = run.workdir / 'export', lambda: sorted(path.name for path in run.workdir.iterdir())
  monkeypatch.setattr(build, 'verbs', lambda spec, model, kept: Verbs(model, spec, kept['scaling']))
  with monkeypatch.context() as patch:
    patch.setattr(Verbs, 'write', fail)
    with pytest.raises(RunError, match=r'(?s)run: cannot be written \(No space left on device\).*same command'):
      commands.export(run.workdir)
    assert 'export' not in there()
  monkeypatch.setattr(Verbs, 'write', write)
  commands.export(run.workdir)
  before = there()
  with monkeypatch.context() as patch:
    patch.setattr(Verbs, 'write', fail)
    with pytest.raises(RunError, match='No space'):
      commands.export(run.workdir)
  assert there() == before and (export / 'saved_model/saved_model.pb').read_text() == '7'
  run.lock()
  with pytest.raises(RunError, match='in use by another process'):
    commands.export(run.workdir)
  run.close()


def test_killed_while_a_directory_was_replaced(tmp_path):
  """By hand, what a kill leaves: half a new directory; or the old one aside and the new one not yet in its place."""
  path = tmp_path / 'run/export'
  (tmp_path / 'run/.export.abc.tmp/saved_model').mkdir(parents=True)
  (tmp_path / 'run/export.old').mkdir()
  (tmp_path / 'run/export.old/a').write_text('old')
  with pytest.raises(KeyboardInterrupt), replaced(path):
    raise KeyboardInterrupt
  assert [p.name for p in path.parent.iterdir()] == ['export'] and (path / 'a').read_text() == 'old'
  with replaced(path) as directory:
    (directory / 'a').write_text('new')
  assert [p.name for p in path.parent.iterdir()] == ['export'] and (path / 'a').read_text() == 'new'
  # A run that is trained further removes what a killed export left.
  spec = spec_lib.resolve(spec_lib.base())
  (tmp_path / 'other/.export.abc.tmp/saved_model').mkdir(parents=True)
  run = Run(tmp_path / 'other')
  run.open(spec)
  run.begin(spec, {})
  run.close()
  assert not list(run.workdir.glob('.*'))


def test_mistakes_with_the_command(tmp_path, launch):
  assert_refused(launch('--mode=export', '--spec', 'hit'), '--mode=export', '--workdir', 'no --spec')
  assert_refused(launch('--mode=export', '--workdir', 'absent'), 'absent', 'no such directory')
  run = make('optimal', tmp_path / 'run')
  with pytest.raises(
    SpecError, match=r'spec.decoder.sigma: a run that is there keeps it; allowed: fields of spec.eval'
  ):
    commands.export(run.workdir, {'decoder.sigma': 2.0})
  with pytest.raises(RunError, match='no checkpoint of step 8'):
    commands.export(run.workdir, {'eval.checkpoint': '8'})
  for path in run.checkpoints.iterdir():
    path.unlink()
  with pytest.raises(RunError, match='has no checkpoint'):
    commands.export(run.workdir)
  assert 'export' not in [path.name for path in run.workdir.iterdir()]


def verbs_of(observation, **fields):
  """Those of a small model with its initial weights."""
  spec = spec_lib.resolve(spec_lib.base(('z1',)), {'eval.num_samples': 3, **fields})
  model = build.model(spec, observation)
  return Verbs(model, spec, {'center': 0.0, 'width': 1.0}, (0.0, 9.0)), model


def test_the_elbo_is_of_the_target():
  """x is encoded, the target is scored: as by the model itself, and not as where x is both."""
  verbs, model = verbs_of(Observation((4,), 0.0, 9.0), **{'data.target': 'own'})
  x, target = np.random.default_rng(0).random((2, 5, 4)).astype(np.float32)
  found = verbs.run('elbo', x=x, target=target, seed=1)
  want = model.infer({'x': tf.constant(x), 'target': tf.constant(target)}, stateless(1, 0), 3).terms()
  np.testing.assert_allclose(found['elbo'], want['elbo'], rtol=1e-5)
  assert np.abs(found['elbo'] - verbs.run('elbo', x=x, target=x, seed=1)['elbo']).min() > 1e-3
  with pytest.raises(UserError, match='elbo: got x; it takes x, target'):
    verbs.run('elbo', x=x)
  with pytest.raises(UserError, match='elbo: target: got values'):
    verbs.run('elbo', x=x, target=target + 100)
  table = Verbs(model, verbs._spec, {'center': [0.0] * 4, 'width': [1.0] * 4}, (0.0, 9.0))
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    table.run('elbo', x=x, target=target + 100)  # columns of a table have ranges of their own as targets
    with pytest.raises(UserWarning, match='elbo: x: got values'):
      table.run('elbo', x=x + 100, target=target)


def test_contexts_that_are_images_are_grey_where_x_is_binary():
  verbs, _ = verbs_of(Observation((2, 2, 1), levels=2, context=(2, 2, 1)), **{'data.binarize': 'threshold'})
  drawn = verbs.run('sample', context=np.full((3, 2, 2, 1), 9.0))
  assert drawn['x'].shape == (3, 2, 2, 1)
  with pytest.raises(UserError, match='sample: context: got values from 50 to 50'):
    verbs.run('sample', context=np.full((3, 2, 2, 1), 50.0))
