"""What a user types, right and wrong, each in a process of its own."""

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from conftest import ROOT, command

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError, UserError
from tfvae.trained import Run

sys.path.insert(0, str(ROOT))
import launch as launch_lib

UNKNOWN = [
  (['--spec.train.stepz=5'], ['spec.train.stepz', 'Did you mean spec.train.steps?']),
  (['--spec.model.z1.encoder.hiden=5'], ['spec.model.z1.encoder.hiden', 'spec.model.z1.encoder.hidden']),
  (['--spec.objective.beta.z3=1'], ['spec.objective.beta.z3', 'no layer z3', 'z2, z1']),
  (['--spec.train.steps=many'], ['spec.train.steps', "'many'", 'an integer']),
  (['--spec.train.learning_rate=1e-3x'], ['spec.train.learning_rate', 'a number']),
  (['--spec.data.batch_size=-5'], ['spec.data.batch_size', '-5', '>= 0']),
  (['--spec.train.steps=0'], ['spec.train.steps', '0', '>= 1']),
  (['--spec.decoder.sigma=nan'], ['spec.decoder.sigma', 'nan', '> 0']),
  (['--spec.data.name=digts'], ['spec.data.name', 'digts', 'Did you mean digits?']),
  (['--spec.model.name=hierachy'], ['spec.model.name', 'Did you mean hierarchy?']),
  (['--spec.objective.name=elbow'], ['spec.objective.name', 'Did you mean elbo?']),
  (['--spec.decoder.variance=learnt'], ['spec.decoder.variance', 'learned | per_dimension']),
  (['--spec.train.strategy=mirored'], ['spec.train.strategy', 'Did you mean mirrored?']),
  (['--spec.model.layers=z3,z2,z1'], ['spec.model.layers', 'no section spec.model.z3']),
  (['--spec.model.layers=top,bottom'], ['spec.model.layers', 'z2,z1']),
  (['--spec.data.batch_size=2000'], ['spec.data.batch_size', '2000', '1500']),
  (['--spec.decoder.likelihood=bernoulli', '--spec.data.scaling=standard'], ['spec.decoder.likelihood', '[0, 1]']),
  (['--mode=eval'], ['--mode', "'eval'", 'Did you mean evaluate?']),
  (['--overwrit'], ['overwrit', 'Did you mean --overwrite?']),
  (['stray'], ['stray']),
  (
    ['--train.steps=5', 'evaluate', 'specs/aevb.py:unit'],
    ['--spec.train.steps?', '--mode=evaluate?', '--spec specs/a'],
  ),
  (
    ['--spec.train.steps=0', '--spec.decoder.sigma=-1', '--spec.foo=1', '--spec.data.name=x'],
    ['spec.train.steps', 'spec.decoder.sigma', 'spec.foo', 'spec.data.name'],
  ),
]


def assert_refused(result, *texts):
  said = result.stdout + result.stderr
  assert result.returncode not in (0, -9), said
  assert 'Traceback' not in said
  for text in texts:
    assert text in said, f'{text!r} is not in: {said}'
  assert len(said) < 2500


@pytest.mark.parametrize(('flags', 'texts'), UNKNOWN, ids=lambda value: ' '.join(value)[:40])
def test_mistakes_in_flags(launch, tmp_path, flags, texts):
  begun = time.monotonic()
  assert_refused(launch('--spec', 'hit', *flags), *texts)
  assert time.monotonic() - begun < 10
  assert not list(tmp_path.iterdir())  # nothing was made


@pytest.mark.parametrize(
  ('text', 'says'),
  [
    ('def get_config(variant=""):\n  return (\n', ['line 2', 'syntax error']),
    ('x = 1\n', ['get_config']),
    ('def get_config(variant=""):\n  return undefined\n', ['line 2', 'NameError', 'undefined']),
    ('def get_config(variant=""):\n  return 3\n', ['tfvae.spec.base']),
    (
      'from tfvae import spec\ndef get_config(variant=""):\n  s = spec.base()\n  s.train.stepz = 3\n  return s\n',
      ['line 4', 'stepz'],
    ),
    (
      'from tfvae import spec\ndef get_config(variant=""):\n  s = spec.base()\n  s.train.steps = "many"\n  return s\n',
      ['line 4', 'many'],
    ),
    (
      'from tfvae import spec\ndef get_config(variant=""):\n  s = spec.base()\n  s.decoder.sigma = -1.0\n  return s\n',
      ['spec.decoder.sigma', '-1', '> 0'],
    ),
  ],
  ids=['syntax', 'no get_config', 'name', 'no spec', 'unknown field', 'wrong type', 'out of range'],
)
def test_mistakes_in_a_spec_file(launch, tmp_path, text, says):
  (tmp_path / 'mine.py').write_text(text)
  assert_refused(launch('--spec', 'mine.py'), 'mine.py' if 'spec.decoder.sigma' not in says else '', *says)
  assert [p.name for p in tmp_path.iterdir()] == ['mine.py']


def test_missing_things(launch, tmp_path):
  assert_refused(launch(), '--spec', 'specs/hit.py')
  assert_refused(launch('--spec', f'{ROOT}/specs/hitt.py'), 'hitt.py', 'Did you mean', 'specs/hit.py')
  assert_refused(launch('--spec', 'hit:digitz'), 'digitz', 'Did you mean digits?', 'vector')
  assert_refused(launch('--spec', 'aevb:unit,bernoulli'), 'only one of')
  assert_refused(launch('--mode=evaluate'), '--workdir')
  assert_refused(launch('--mode=evaluate', '--workdir', 'absent'), 'absent', 'no such directory')
  (tmp_path / 'empty').mkdir()
  assert_refused(launch('--mode=evaluate', '--workdir', 'empty'), 'empty', 'no run')
  assert_refused(launch('--mode=report', '--workdir', 'empty', '--spec.seed=1'), '--mode=report', 'spec.seed')
  assert_refused(launch('--mode=report', '--workdir', 'empty'), 'empty', 'no run')
  assert_refused(launch('--spec', 'hit', '--wrkdir=x', '--spec.train.stepz=3'), '--wrkdir=x', 'spec.train.stepz')
  assert_refused(launch('--spec', f'{ROOT}/specs'), 'specs/aevb.py', 'specs/hit.py')


def test_workdirs_that_cannot_be_used(launch, tmp_path):
  (tmp_path / 'file').write_text('mine')
  assert_refused(launch('--spec', 'hit', '--workdir', 'file'), 'file', 'is a file')
  assert (tmp_path / 'file').read_text() == 'mine'
  assert_refused(launch('--spec', 'hit', '--workdir', '/proc/run'), '/proc/run', 'cannot be written')
  (tmp_path / 'killed').mkdir()
  (tmp_path / 'killed/.spec.json.abc.tmp').write_text('{')  # of a process that was killed while it wrote: no obstacle
  Run(tmp_path / 'killed').open(spec_lib.resolve(spec_lib.base()))
  (tmp_path / 'full').mkdir()
  (tmp_path / 'full/thesis.tex').write_text('mine')
  assert_refused(launch('--spec', 'hit', '--workdir', 'full'), 'full', 'thesis.tex', 'no run')
  assert [p.name for p in (tmp_path / 'full').iterdir() if p.name != 'lock'] == ['thesis.tex']
  if os.geteuid():  # root may write anywhere
    (tmp_path / 'locked').mkdir(mode=0o500)
    assert_refused(launch('--spec', 'hit', '--workdir', 'locked/run'), 'locked', 'cannot be written')


def on_a_terminal(args, cwd):
  """(exit status, text) of launch.py on a pseudo-terminal."""
  parent, child = pty.openpty()
  fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 120, 0, 0))
  process = subprocess.Popen(command(*args), stdout=child, stderr=child, cwd=cwd)
  os.close(child)
  said = b''
  with contextlib.suppress(OSError):
    while chunk := os.read(parent, 4096):
      said += chunk
  return process.wait(), said.decode()


def test_a_whole_session(launch, tmp_path):
  """Train, resume, resume with another spec (refused), evaluate another split, draw again."""
  short = ['--spec.train.steps=4', '--spec.eval.num_samples=2']
  status, said = on_a_terminal(['--spec', 'aevb:bernoulli', *short], tmp_path)
  assert status == 0 and '4/4' in said and 'elbo' in said and 'rate/z1' in said and 'step/s' in said  # tqdm's bar
  assert 'I0000' not in said and 'oneDNN' not in said and 'WARNING' not in said
  (workdir,) = (tmp_path / 'runs').iterdir()
  assert workdir.name == 'aevb-bernoulli'
  assert (
    'workdir: runs/aevb-bernoulli (new, 4 steps)' in said and 'model:   z1, ' in said and ' parameters, on ' in said
  )
  assert len(list((workdir / 'figures').glob('*.png'))) == 7

  spec_before = (workdir / 'spec.json').read_text()
  refused = launch('--spec', 'aevb:bernoulli', *short, '--spec.model.z1.dim=7', '--workdir', workdir)
  assert_refused(refused, 'spec.model.z1.dim: the run has 10, this command 7', '--overwrite')
  assert refused.stderr.index('--overwrite') < refused.stderr.index('spec.model.z1.dim')  # the advice first
  assert (workdir / 'spec.json').read_text() == spec_before

  fields = ['--spec.eval.split=train', '--spec.eval.evaluators=bounds,entropies']
  done = launch('--mode=evaluate', '--workdir', workdir, *fields)
  assert done.returncode == 0 and done.stderr == '' and 'train split' in done.stdout and 'rate ' in done.stdout
  assert json.loads((workdir / 'evaluation-train.json').read_text())['split'] == 'train'
  assert_refused(
    launch('--mode=evaluate', '--workdir', workdir, '--spec.train.steps=9'), 'spec.train.steps', 'spec.eval'
  )
  (workdir / 'figures/curves.png').unlink()
  assert launch('--mode=report', '--workdir', workdir).returncode == 0
  assert (workdir / 'figures/curves.png').exists()


def test_two_processes_on_one_run(launch, tmp_path):
  run = Run(tmp_path / 'run')
  run.lock()
  assert_refused(launch('--spec', 'aevb', '--workdir', 'run'), 'in use by another process', str(os.getpid()))
  run.close()


def test_show_prints_the_spec_before_tensorflow(capsys):
  begun = time.monotonic()
  process = subprocess.Popen(command('--spec', 'hit', '--mode=show'), stdout=subprocess.PIPE, text=True)
  text = ''
  while not text.endswith('\n}\n'):
    text += process.stdout.readline()
  assert time.monotonic() - begun < 4  # 2 s on an idle machine
  process.kill()
  process.wait()
  spec = spec_lib.load(ROOT / 'specs/hit.py')
  assert spec_lib.from_json(text) == spec
  commands.show(spec)
  rest = capsys.readouterr().out.removeprefix(text)
  assert '1,500' in rest and 'z1_encoder/conv_0/kernel' in rest and 'parameters' in rest


@pytest.fixture
def asked(monkeypatch):
  """launch.py in this process, up to training: asked('--spec', ...) -> what `commands.train` would be given."""

  def call(*args):
    given = []
    monkeypatch.setattr(commands, 'train', lambda *args: given.extend(args))
    with flagsaver.flagsaver():
      for name in launch_lib.OWN:  # as other tests of this process may have left them
        flags.FLAGS[name].unparse()
      launch_lib.main(launch_lib.parse(['launch.py', *map(str, args)]))
    return given

  return call


def begun_run(workdir, **fields):
  """The directory of a run, as it is after one checkpoint; nothing in it can be restored."""
  spec = spec_lib.load(ROOT / 'specs/hit.py', {name.replace('__', '.'): value for name, value in fields.items()})
  (workdir / 'checkpoints').mkdir(parents=True)
  (workdir / 'spec.json').write_text(spec_lib.to_json(spec))
  data = {'name': 'digits', 'shape': [8, 8, 1], 'sizes': {'train': 1500, 'test': 297}, 'fingerprint': 1}
  data['scaling'] = {'center': 0.0, 'width': 16.0}
  (workdir / 'data.json').write_text(json.dumps(data))
  (workdir / 'checkpoints/ckpt-1.index').touch()
  (workdir / 'checkpoints/ckpt-1.data-00000-of-00001').touch()
  return workdir


def test_a_run_goes_on_by_its_own_spec(asked, tmp_path, capsys):
  """--workdir alone, and --spec with its spec.json, which has overrides, no variants, and no leave to download."""
  workdir = begun_run(tmp_path / 'hit,seed=3', seed=3, train__steps=700, data__download=True, data__name='mnist')
  spec, there, overwrite = asked('--workdir', workdir, '--spec.train.steps=900', '--spec.eval.every=7')
  assert (spec.seed, spec.train.steps, spec.eval.every, spec.data.download) == (3, 900, 7, False)
  assert (str(there), overwrite) == (str(workdir), False)
  assert spec_lib.origin(spec).changes == {'train.steps': 900, 'eval.every': 7}
  spec, there, _ = asked('--spec', workdir / 'spec.json', '--spec.train.ema=0.5')
  assert spec.train.ema == 0.5 and there is None
  with pytest.raises(SystemExit, match='variant'):
    asked('--spec', f'{workdir}/spec.json:vector')
  with pytest.raises(SystemExit, match=r'--workdir \S+/absent: there is no such directory'):
    asked('--workdir', tmp_path / 'absent')
  with pytest.raises(SystemExit, match=r'is the directory of a run.*--workdir \S+ alone resumes it'):
    asked('--spec', workdir)
  (workdir / 'spec.json').write_text('{"train": ')
  with pytest.raises(SystemExit, match=r'spec\.json: not a spec'):
    asked('--workdir', workdir)


def test_train_takes_a_spec_file(tmp_path, monkeypatch):
  """As text or path, with a variant; what is no spec is refused with what is."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(
    commands.build, 'check', lambda spec: (_ for _ in ()).throw(UserError(f'got as far as {spec.seed}'))
  )
  for path in (f'{ROOT}/specs/aevb.py:gaussian', ROOT / 'specs/aevb.py'):
    with pytest.raises(UserError, match='got as far as 0'):
      commands.train(path, 'run')
    with pytest.raises(UserError, match='got as far as 0'):
      commands.train(path)
  with pytest.raises(UserError, match=r"spec: got \{'train': \{'steps': 5\}\}; allowed: a spec of tfvae.load_spec"):
    commands.train({'train': {'steps': 5}}, 'run')
  with pytest.raises(UserError, match=r'no spec file nope\.py'):
    commands.train('nope.py', 'run')


def test_what_can_be_overridden_for_a_run(tmp_path):
  workdir = begun_run(tmp_path / 'run')
  cases = {
    ('eval.split', 'validation'): r'no such split; allowed: train \| test.*--spec.data.validation=0.1',
    ('eval.also', 'train,validation'): r'spec.eval.also: got validation.*allowed: train \| test',
    ('train.steps', 9): r'spec.train.steps: a run that is there keeps it; allowed: fields of spec.eval, and',
    ('evl.split', 'train'): r'spec.evl.split: unknown field. Did you mean spec.eval.split\?',
    ('eval.splt', 'train'): r'spec.eval.splt: unknown field. Did you mean spec.eval.split\?',
  }
  for override, says in cases.items():
    with pytest.raises(SpecError, match=says):
      commands.evaluate(workdir, [override])
  with pytest.raises(SpecError, match='allowed: a mapping'):
    commands.evaluate(workdir, ['eval.split=train'])


def test_a_table_that_is_not_there(tmp_path):
  """What may be meant is a table, too."""
  (tmp_path / 'noped.csv').mkdir()
  (tmp_path / 'specs').touch()
  (tmp_path / 'nope.py').touch()
  spec = lambda: spec_lib.load(ROOT / 'specs/table.py', {'data.path': tmp_path / 'nope.csv'})
  with pytest.raises(UserError, match=r'nope.csv is not there; allowed: a CSV file \(also .gz\) or an NPZ file.$'):
    commands.build.dataset(spec())
  (tmp_path / 'iris.csv').touch()
  with pytest.raises(UserError, match=r'an NPZ file. There: iris.csv$'):
    commands.build.dataset(spec())
  (tmp_path / 'hope.csv').touch()
  with pytest.raises(UserError, match=r'an NPZ file. Did you mean hope.csv\?$'):
    commands.build.dataset(spec())


def test_two_tables_have_one_default_workdir(tmp_path):
  """The second one is told to take another."""
  rows = np.random.default_rng(0).normal(size=(3, 60, 2))
  for name, values in zip('abc', (rows[0], rows[1], rows[2, :50]), strict=True):
    (tmp_path / f'{name}.csv').write_text('\n'.join(f'{a},{b}' for a, b in values))
  fields = {'data.header': 'no', 'data.batch_size': 10}
  load = lambda name: spec_lib.load(ROOT / 'specs/table.py', fields | {'data.path': tmp_path / f'{name}.csv'})
  kept = commands.build.dataset(load('a')).summary
  assert commands.default_workdir(spec_lib.origin(load('a'))) == commands.default_workdir(spec_lib.origin(load('b')))
  for other in 'bc':
    with pytest.raises(RunError, match=r'data have changed since the run began.*give another --workdir'):
      commands.build.dataset(load(other), kept)


def test_another_spec_on_a_run(tmp_path):
  """The advice first, then the first fields that differ."""
  run = Run(begun_run(tmp_path / 'run'))
  with pytest.raises(RunError) as error:
    run.check(spec_lib.load(f'{ROOT}/specs/hit.py:three_layers'))
  advice, *lines, last = str(error.value).splitlines()
  assert 'another --workdir' in advice and '--overwrite' in advice
  assert len(lines) == 8 and all(line.startswith('spec.') for line in lines) and last.endswith(' more fields')


TABLES = {
  'absent': (None, ['spec.data.path', 'is not there']),
  'word': ('a,b\n1,2\n3,x\n4,5\n', ['spec.data.path', 'line 3', "'b'", "'x'"]),
  'nan': ('a,b\n1,2\n3,nan\n', ['spec.data.path', 'line 3', "'b'", 'nan']),
  'infinity': ('a,b\n1,2\n-inf,4\n', ['spec.data.path', 'line 3', "'a'", 'inf']),
  'ragged': ('a,b\n1,2\n3,4,5\n', ['spec.data.path', 'line 3', '3', '2']),
  'empty': ('', ['spec.data.path', 'empty']),
  'constant': ('a,b\n' + '1,2\n3,2\n' * 200, ['spec.data.scaling', 'standard', "'b'"]),
  'label': ('a,b\n' + '1,2\n3,4\n' * 200, ['spec.data.label', 'klass', 'a, b']),
}


@pytest.mark.parametrize('what', TABLES)
def test_mistakes_in_tables(launch, tmp_path, what):
  text, says = TABLES[what]
  if text is not None:
    (tmp_path / 'mine.csv').write_text(text)
  flags = ['--spec.data.label=klass'] if what == 'label' else []
  begun = time.monotonic()
  assert_refused(
    launch('--spec', 'table', '--spec.data.path=mine.csv', *flags), 'mine.csv' * (what != 'constant'), *says
  )
  assert time.monotonic() - begun < 15
  assert not (tmp_path / 'runs').exists()


def test_mistakes_in_images(launch, tmp_path):
  from PIL import Image

  folder = ['--spec', 'hit', '--spec.data.name=folder', '--spec.data.path=pictures']
  (tmp_path / 'pictures').mkdir()
  assert_refused(launch(*folder), 'spec.data.path', 'pictures', 'no image')
  for number in range(200):
    Image.new('L', (8, 8), number).save(tmp_path / f'pictures/{number}.png')
  whole = (tmp_path / 'pictures/7.png').read_bytes()
  (tmp_path / 'pictures/7.png').write_bytes(whole[:-20])
  assert_refused(launch(*folder), 'spec.data.path', '7.png')
  (tmp_path / 'pictures/7.png').write_bytes(whole)
  assert_refused(launch(*folder, '--spec.data.crop=9'), 'spec.data.crop', '9', '8')
  Image.new('L', (9, 8)).save(tmp_path / 'pictures/odd.png')
  assert_refused(launch(*folder), '8 x 9', 'spec.data.resize')
  nothing = ['--spec', 'hit:mnist', f'--spec.data.data_dir={tmp_path / "nothing"}']
  assert_refused(launch(*nothing), 'spec.data.name', 'mnist', str(tmp_path / 'nothing'), 'tfds build mnist', 'download')
  assert_refused(launch('--spec', 'hit', '--spec.data.name=fashion_mnits'), 'Did you mean fashion_mnist?')
  # Data that do not fit the model: convolutions on a table, and a grid that 30 pixels cannot lead to.
  assert_refused(launch('--spec', 'hit', '--spec.data.name=table'), 'spec.model.z2.encoder.kind: got conv', 'kind=mlp')
  (tmp_path / 'pictures/odd.png').unlink()
  assert_refused(
    launch(*folder, '--spec.data.resize=30'), 'spec.model.z1.grid: got 4', '30 x 30', 'spec.data.resize=32'
  )
  assert_refused(launch('--spec', 'hit', '--spec.data.path=x'), 'spec.data.path', 'only data of table and folder')
  assert not (tmp_path / 'runs').exists()
