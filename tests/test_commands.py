"""Every command and every piece of Python that README, docs and specs show works.

In CI each command is parsed, its spec resolved, its nets compared with the data, its model built, and some are run; all
of them are, steps cut short, by `pytest -m slow -n 0 tests/test_commands.py`.
"""

import contextlib
import gzip
import itertools
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import tomllib
import types
import urllib.request

import documents
import numpy as np
import pytest
from absl import flags
from conftest import ROOT
from PIL import Image

from tfvae import build, classifiers
from tfvae import commands as commands_lib
from tfvae import spec as spec_lib
from tfvae.observation import Observation
from tfvae.spec import catalogue, grid
from tfvae.spec.fields.field import flatten
from tfvae.sweep import command as sweep_lib
from tfvae.sweep import options
from tfvae.sweep.home import same_run

sys.path.insert(0, str(ROOT))
import launch

COMMANDS = {command.argv: command for command in reversed(documents.commands())}  # where it is shown first
LAUNCHED = [command for argv, command in COMMANDS.items() if argv[:2] == ('python', 'launch.py')]
PYTHON = [block for block in documents.blocks() if block.kind == 'python']
NOT_RUN = {  # what is not run here beyond its arguments, and why
  'pip install': '.ci/run does',
  'pytest': 'this is it',
  'ruff': '.ci/run does',
  'ci': '.ci/run itself',
  'tfds build': 'downloads',
  'srun python launch.py': 'needs Slurm; test_two_workers runs what it starts',
  'ray start': 'opens ports; tests/sweep/ has Ray on this machine',
  'python benchmarks/': 'minutes each; tests/test_benchmarks.py starts them',
  'python -m tfvae.spec': 'tests/spec/test_spec.py compares what it prints with docs/spec.md',
  'tensorboard --logdir': 'test_tensorboard starts it',
}
CUTS = {  # fields, and the most that a test allows
  'train': {'train.steps': 2, 'train.checkpoint_every': 2},
  'eval': {
    'eval.num_samples': 2,
    'eval.log_evidence.samples': 4,
    'eval.log_evidence.examples': 20,
    'eval.limiting.steps': 2,
    'eval.fid.samples': 150,
    'eval.fid.reference': 'test',  # less than `train`
    'eval.estimates.runs': 2,
    'eval.estimates.samples': (2, 3),
    'eval.num_points': 200,
  },
  'sample': {'sample.num': 10, 'sample.points': 100, 'sample.units': 2},
}
SETS = {  # that are made here: shape of an image, examples for training and for the test
  'fashion_mnist': ((28, 28, 1), 1100, 60),
  'celeb_a': ((218, 178, 3), 300, 40),
}


# Where commands are run.


def describe(folder, name, shape):
  """The description of a prepared set without its images."""
  folder = folder / name / '1.0.0'
  folder.mkdir(parents=True)
  image = {'image': {'dtype': 'uint8', 'shape': {'dimensions': [str(side) for side in shape]}}}
  (folder / 'features.json').write_text(json.dumps({'featuresDict': {'features': {'image': image}}}))
  (folder / 'dataset_info.json').write_text('{}')


def prepare(folder, name):
  """A small set of images in TFDS' form."""
  import tensorflow as tf
  import tensorflow_datasets as tfds

  shape, *sizes = SETS[name]
  features = {'image': tfds.features.Image(shape=shape), 'label': tfds.features.ClassLabel(num_classes=10)}
  ramp = np.linspace(0, 200, shape[0] * shape[1]).reshape(*shape[:2], 1) * np.ones(shape[2])
  splits = {
    split: tf.data.Dataset.range(size).map(
      lambda i: {'image': tf.cast(ramp + tf.cast(i % 50, ramp.dtype), tf.uint8), 'label': i % 10}
    )
    for split, size in zip(('train', 'test'), sizes, strict=True)
  }
  tfds.dataset_builders.store_as_tfds_dataset(
    name=name, version='1.0.0', features=tfds.features.FeaturesDict(features), split_datasets=splits, data_dir=folder
  )


def make_files(folder):
  """A directory that has what the commands name, as a clone and its user have it."""
  rng = np.random.default_rng(0)
  for name in ('specs', 'benchmarks', 'tests', 'constraints.txt'):
    (folder / name).symlink_to(ROOT / name)
  rows = ['a,b,c,d,class'] + [
    f'{a:.3f},{b:.3f},{a - b:.3f},{c:.3f},{int(a > 0)}' for a, b, c in rng.normal(size=(300, 3))
  ]
  (folder / 'mine.csv').write_text('\n'.join(rows) + '\n')
  (folder / 'mine.csv.gz').write_bytes(gzip.compress('\n'.join(rows).replace(',', ';').encode()))
  np.savez(folder / 'mine.npz', x=rng.normal(size=(300, 5)), label=np.arange(300) % 3)
  susy = [','.join(f'{value:.4f}' for value in row) for row in rng.normal(size=(300, 18))]
  (folder / 'SUSY.csv').write_text('\n'.join(susy) + '\n')
  (folder / 'photos').mkdir()
  for number in range(300):
    pixels = rng.integers(0, 256, (40, 48 + number % 3, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f'photos/{number}.png')
  (folder / 'pictures').mkdir()
  for number in range(40):
    Image.linear_gradient('L').resize((300, 258 + number)).convert('RGB').save(folder / f'pictures/{number}.jpg')
  mine = next(block.text for block in PYTHON if 'def get_config' in block.text)
  (folder / 'mine.py').write_text(mine)
  return folder


@pytest.fixture(scope='session')
def files(tmp_path_factory):
  folder = make_files(tmp_path_factory.mktemp('described'))
  colour = (32, 32, 3)
  sets = {
    'mnist': (28, 28, 1),
    'cifar10': colour,
    'svhn_cropped': colour,
    **{name: own[0] for name, own in SETS.items()},
  }
  for name, shape in sets.items():
    describe(folder / 'data', name, shape)
  return folder


@pytest.fixture(scope='session')
def full_files(tmp_path_factory):
  """The same with images: real ones of MNIST and CIFAR-10 where they are at hand."""
  folder = make_files(tmp_path_factory.mktemp('full'))
  (folder / 'data').mkdir()
  for name in ('mnist', 'cifar10'):
    if (real := pathlib.Path(os.environ.get('TFDS_DATA_DIR', '/nowhere'), name)).is_dir():
      (folder / 'data' / name).symlink_to(real)
  for name in SETS:
    prepare(folder / 'data', name)
  return folder


@pytest.fixture
def place(files, monkeypatch):
  monkeypatch.chdir(files)
  monkeypatch.setenv('TFDS_DATA_DIR', str(files / 'data'))
  return files


@pytest.fixture
def full_place(full_files, monkeypatch):
  monkeypatch.chdir(full_files)
  monkeypatch.setenv('TFDS_DATA_DIR', str(full_files / 'data'))
  return full_files


# What a command says.


def parse(argv):
  """(mode, spec file, workdir or None, overrides) of the arguments of launch.py, as it reads them."""
  for name in ('spec', 'workdir', 'mode', 'overwrite'):
    flags.FLAGS[name].unparse()
  rest, overrides, _ = launch.parse(['launch.py', *argv])
  assert rest == []
  return launch.MODE.value, launch.SPEC.value, launch.WORKDIR.value, overrides


def default_of(path, overrides):
  """The default workdir. Two tables have the same one, and a user names another for the second."""
  workdir = str(commands_lib.default_workdir(spec_lib.origin(spec_lib.load(path, overrides))))
  place = dict(overrides).get('data.path', '').replace('/', '_')
  return f'{workdir}-{place}' if place else workdir


def made_by(workdir):
  """(spec file, overrides) of the command that trains in `workdir`: one that is shown, or as its default name says."""
  for command in LAUNCHED:
    mode, path, own, overrides = parse(command.argv[2:])
    if path and mode == 'train' and own == workdir:
      return path, overrides
  name, _, variant = pathlib.Path(workdir).name.partition('-')
  path = f'specs/{name}.py' + (f':{variant}' if variant else '')
  assert default_of(path, []) == workdir, f'no command is shown that makes {workdir}'
  return path, []


def spec_of(command):
  """(mode, the spec that a command is about, its workdir)."""
  mode, path, workdir, overrides = parse(command.argv[2:])
  if mode == 'sweep':
    found = grid_of(command)
    return mode, found.points[0].spec, workdir or str(sweep_lib.default_workdir(found))
  if path:
    return mode, spec_lib.load(path, overrides), workdir or default_of(path, overrides)
  if mode in ('report', 'compare'):
    return mode, None, workdir
  path, own = made_by(workdir)
  if mode in ('train', 'show'):  # a run that goes on
    return mode, spec_lib.load(path, [*own, *overrides]), workdir
  run = types.SimpleNamespace(spec=spec_lib.load(path, own), data=None)
  sections = {'evaluate': ('eval',), 'sample': ('sample', 'eval'), 'export': ('eval',)}[mode]
  return mode, commands_lib._override(run, overrides, *sections), workdir


def grid_of(command):
  """The grid of a command of --mode=sweep, as it reads it."""
  _, path, _, overrides = parse(command.argv[2:])
  _, axes, zips = options.split(launch.parse(['launch.py', *command.argv[2:]])[2])
  return grid.make(path, overrides, axes, zips, same_run, options.NAMES)


def two_points(command):
  """The arguments of a command of --mode=sweep, its grid cut to two points, which are on this machine, without GPUs."""
  kept = [arg for arg in command.argv[2:] if not arg.startswith('--sweep.') or arg.startswith('--sweep.executor')]
  axes = [list(map(spec_lib.to_text, values)) for values in grid_of(command).axes.values()]
  axes = [axes[0][:2], *([values[0]] for values in axes[1:])]
  names = grid_of(command).axes
  return [*kept, *(f'--sweep.{name}={";".join(values)}' for name, values in zip(names, axes, strict=True))]


def test_there_is_nothing_new():
  """Each command is run, or one of those that are not, for a reason; each reason is needed."""
  others = [' '.join(argv) for argv in COMMANDS if argv[:2] != ('python', 'launch.py')]
  unknown = [line for line in others if not line.startswith(tuple(NOT_RUN))]
  assert unknown == [] and len(LAUNCHED) > 60
  assert [reason for reason in NOT_RUN if not any(line.startswith(reason) for line in others)] == []


def test_words_of_comments(place):
  """`# and mnist, svhn; more` beside a command: other words that its spec file has."""
  found = []
  for block in documents.blocks():
    for path, comment in re.findall(r'--spec (specs/\w+\.py).*# and ([^;\n]*)', block.text):
      found += [f'{path}:{words}' for words in re.findall(r'\b[a-z]\w*(?:,\w+)*', comment) if words != 'and']
  assert len(found) > 10
  for path in found:
    build.check(spec_lib.load(path))


@pytest.mark.parametrize('argv', [argv for argv in COMMANDS if argv[:2] != ('python', 'launch.py')], ids=' '.join)
def test_arguments_of_what_is_not_run(argv, place):
  if argv[:2] == ('pip', 'install'):
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    extras = [extra for arg in argv for extra in re.findall(r'\.\[(\w+)\]', arg)]
    assert '-e' in argv and set(extras) <= set(project['optional-dependencies'])
    assert all((ROOT / arg).exists() for option, arg in itertools.pairwise(argv) if option == '-c')
  elif argv[0] == 'srun':
    spec_of(documents.Command('', 0, argv[1:], ''))
  elif argv[0] == 'pytest':
    assert all((ROOT / arg).exists() for arg in argv[1:] if '/' in arg)
  elif argv[0] == 'python' and argv[1] != '-m':
    script = ROOT / argv[1]
    given = {arg.partition('=')[0] for arg in argv if arg.startswith('--')}
    assert script.is_file() and given <= documents.flags_of(script)


BUILT = set()  # the same model is not built again


@pytest.mark.parametrize('command', LAUNCHED, ids=str)
def test_a_command_is_understood(command, place, monkeypatch):
  """It parses, its spec holds, its nets fit the data, and its model can be built."""
  monkeypatch.setattr(classifiers, 'problems', lambda *of: [])  # another command trains it
  _, spec, _ = spec_of(command)
  if spec is None:
    return
  loader = build.loader(spec.data.name)
  build.check(spec)
  shape = loader.shape(spec.data)
  if shape == (None,):
    shape = loader.load(spec.data).splits['train']['x'].shape[1:]
  key = (json.dumps([spec[section].to_dict() for section in ('model', 'decoder', 'prior')]), shape)
  if key not in BUILT:
    build.model(spec, Observation(shape, levels=256))
    BUILT.add(key)


# Commands that are run.

CUT = {'train': ('train', 'eval'), 'evaluate': ('eval',), 'sample': ('sample', 'eval')}
RUN = set()


def run(argv):
  """launch.py in this process."""
  parse(argv)
  try:
    launch.main(launch.parse(['launch.py', *argv]))
  except SystemExit as error:
    pytest.fail(f'{" ".join(argv)}: {error}')


def cut(mode, spec):
  """Flags that leave of a spec what is done in a moment."""
  found, fields = [], flatten(spec.to_dict())
  for field, most in ((field, most) for section in CUT.get(mode, ()) for field, most in CUTS[section].items()):
    if field == 'train.steps' and spec.model.name == 'members':
      most = 12  # the figure leaves the first ten out
    if fields[field] > most or (fields[field] == 0 and field != 'eval.num_samples'):  # 0: all of them
      found.append(f'--spec.{field}={",".join(map(str, most)) if isinstance(most, tuple) else most}')
  return found


def ensure(workdir):
  """Makes the run of a workdir, or the runs below it, by the command that is shown."""
  grids = [command for command in LAUNCHED if '--mode=sweep' in command.argv and spec_of(command)[2] == workdir]
  if grids:
    perform(grids[0])
    return
  below = [command for command in LAUNCHED if (parse(command.argv[2:])[2] or '').startswith(f'{workdir}/')]
  for command in below:
    perform(command)
  if not below and not pathlib.Path(workdir, 'evaluation.json').is_file():
    path, overrides = made_by(workdir)
    fields = tuple(f'--spec.{field}={value}' for field, value in overrides)
    perform(documents.Command('', 0, ('python', 'launch.py', '--spec', path, '--workdir', workdir, *fields), ''))


def perform(command):
  """Runs a command, once, and before it what makes the run that it is about. Returns (mode, spec, workdir)."""
  mode, spec, workdir = spec_of(command)
  if (key := (pathlib.Path.cwd(), command.argv)) not in RUN:
    if spec is not None and spec.classifier.path:
      ensure(spec.classifier.path)
    if '--spec' not in command.argv:
      for own in workdir.split(',') if mode == 'compare' else [workdir]:
        ensure(own)
    where = [] if '--workdir' in command.argv or mode == 'show' else ['--workdir', workdir]
    if workdir.count('/') > 1:  # one of several that are reported together: their figure is over training
      where.append('--spec.eval.every=1')
    argv = two_points(command) if mode == 'sweep' else command.argv[2:]
    run([*argv, *where, *cut('train' if mode == 'sweep' else mode, spec)])
    RUN.add(key)
  return mode, spec, pathlib.Path(workdir)


def check(mode, spec, workdir):
  """What a mode leaves is there."""
  if mode == 'train':
    assert list((workdir / 'checkpoints').glob('ckpt-*.index')) and json.loads(
      (workdir / 'evaluation.json').read_text()
    )
  elif mode == 'sweep':
    assert [row.split(',')[-1] != '' for row in (workdir / 'results.csv').read_text().splitlines()] == [True] * 3
    assert {point['status'] for point in json.loads((workdir / 'sweep.json').read_text())['points']} == {'finished'}
  elif mode == 'evaluate':
    made_with = json.loads((workdir / 'spec.json').read_text())['eval']['split']
    name = 'evaluation.json' if spec.eval.split == made_with else f'evaluation-{spec.eval.split}.json'
    assert json.loads((workdir / name).read_text())['split'] == spec.eval.split
  elif mode == 'sample':
    for what in spec.sample.what:
      needed = {'contexts': 0, 'layers': len(spec.model.layers) > 1}
      if spec.data.context == 'none' and not needed.get(what, True):
        continue  # nothing to show
      found = {path.suffix for path in workdir.glob('projector' if what == 'projector' else f'samples/{what}*.*')}
      assert found == ({''} if what == 'projector' else {'.npz'} if what == 'codes' else {'.npz', '.png'}), what
    for kind in spec.sample.files:
      assert (workdir / {'png': 'samples/prior/00009.png', 'npz': 'samples/prior-uint8.npz'}[kind]).is_file()
  elif mode == 'export':
    left = {path.name for path in (workdir / 'export').iterdir()}
    assert left == {'saved_model', 'model.weights.h5', 'signatures.json'}
  if mode in ('train', 'evaluate', 'report'):
    pictures = list((workdir / 'figures').glob('*.png'))
    assert pictures and all(path.stat().st_size > 1000 for path in pictures)


def try_command(command, capsys):
  _, path, _, _ = parse(command.argv[2:])
  wanted = spec_of(command)[1]
  read = wanted and catalogue.source(catalogue.read(wanted.data.name, wanted.data.of))
  for name in ('mnist', 'cifar10'):
    if read == name and not pathlib.Path('data', name).is_dir():
      pytest.skip(f'TFDS_DATA_DIR does not name a directory that holds {name}')
  if 'multi_worker' in ' '.join(command.argv):
    pytest.skip('test_two_workers runs it')
  mode, spec, workdir = perform(command)
  check(mode, spec, workdir)
  if mode == 'show':
    assert 'parameters' in capsys.readouterr().out
  elif path and 'samples' in spec.eval.evaluators and len(build.loader(spec.data.name).shape(spec.data)) == 3:
    assert (workdir / 'figures/reconstructions.png').is_file()


QUICK = [  # together where they are about one run
  ['python launch.py --spec specs/hit.py --spec.data.name=folder --spec.data.path=photos --spec.data.resize=32'],
  [
    'python launch.py --mode=evaluate --workdir runs/hit --spec.eval.split=train',
    'python launch.py --mode=sample --workdir runs/hit',
  ],
]


@pytest.mark.parametrize('lines', QUICK, ids=['folder', 'hit'])
def test_some_commands_run(lines, place, capsys):
  for line in lines:
    try_command(COMMANDS[tuple(line.split())], capsys)


@pytest.mark.slow
@pytest.mark.parametrize('command', LAUNCHED, ids=str)
def test_a_command_runs(command, full_place, capsys):
  try_command(command, capsys)


# Python, TensorBoard, workers.

CUT_PYTHON = {"'train.steps': 500": "'train.steps': 2", '(1000, 2000, 3000)': '(2,)'}


def run_python(page):
  """All the Python of a page, in the order of the page, after the runs that it loads are made."""
  digits = build.loader('digits').load(None).splits['test']['x'][:5]
  names = {'images': digits, 'values': digits, 'x': (digits / 16).astype(np.float32)}
  if 'classifier' in page:
    names['x'] = np.zeros((5, 28, 28, 1), np.float32)
  names['z'] = np.zeros((3, 4, 4, 2), np.float32)
  for block in PYTHON:
    if block.page == page and 'def get_config' not in block.text:
      text = block.text
      for shown, shorter in CUT_PYTHON.items():
        text = text.replace(shown, shorter)
      for workdir in re.findall(r"'(runs/[^'/]+)[^']*'", text):
        if 'tfvae.train(' not in text:
          ensure(workdir)
          if f'{workdir}/export' in text:
            perform(COMMANDS['python', 'launch.py', '--mode=export', '--workdir', workdir])
      if 'tfvae.' in text and 'import tfvae' not in text:
        text = f'import tfvae\n{text}'
      exec(compile(text, f'{block.page}:{block.line}', 'exec'), names)


PAGES = sorted({block.page for block in PYTHON if 'def get_config' not in block.text})


def test_the_python_of_readme_runs(place):
  run_python('README.md')


@pytest.mark.slow
@pytest.mark.parametrize('page', PAGES)
def test_the_python_of_a_page_runs(page, full_place):
  run_python(page)


@pytest.mark.slow
def test_tensorboard(full_place):
  """`tensorboard --logdir runs` serves the runs."""
  ensure('runs/hit')
  argv = next(argv for argv in COMMANDS if argv[0] == 'tensorboard')
  code = (
    'import sys\nfrom tensorboard import program, default\nboard = program.TensorBoard(default.get_plugins())\n'
    'board.configure(sys.argv)\nprint(board.launch(), flush=True)\nsys.stdin.read()'
  )
  flags_ = [*argv[1:], '--port', '0', '--host', 'localhost']
  process = subprocess.Popen(
    [sys.executable, '-c', code, *flags_],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  )
  with process:
    url = process.stdout.readline().strip()
    runs = set()
    until = time.monotonic() + 120  # it reads the directory at its leisure
    while time.monotonic() < until:
      with urllib.request.urlopen(f'{url}data/runs') as answer:
        runs = set(json.load(answer))
      if any(run.startswith('hit/') for run in runs):
        break
      time.sleep(0.1)
    process.kill()
  assert any(run.startswith('hit/') for run in runs), runs


@pytest.mark.slow
def test_two_workers(full_place, tfds_dir):
  """README's two machines, as two processes of this one."""
  command = next(command for command in LAUNCHED if command.config)
  config = json.loads(command.config)
  assert config['task'] == {'type': 'worker', 'index': 0} and len(config['cluster']['worker']) == 2
  with contextlib.ExitStack() as stack:
    ports = [stack.enter_context(socket.socket()) for _ in config['cluster']['worker']]
    for port in ports:
      port.bind(('localhost', 0))
    config['cluster']['worker'] = [f'localhost:{port.getsockname()[1]}' for port in ports]
  argv = [ROOT / 'launch.py' if arg == 'launch.py' else arg for arg in command.argv[1:]]
  argv = [full_place / 'shared' if str(arg).startswith('/shared') else arg for arg in argv]
  argv += cut('train', spec_of(command)[1])
  workers, options = [], {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
  with contextlib.ExitStack() as stack:
    for index in (0, 1):
      config['task']['index'] = index
      environment = os.environ | {'TF_CONFIG': json.dumps(config)}
      workers.append(stack.enter_context(subprocess.Popen([sys.executable, *argv], env=environment, **options)))
      stack.callback(workers[-1].kill)  # none is left behind where one hangs
    said = [worker.communicate(timeout=600)[0] for worker in workers]
  assert [worker.returncode for worker in workers] == [0, 0], said
  check('train', None, full_place / 'shared')
