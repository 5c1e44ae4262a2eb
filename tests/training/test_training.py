"""The loop and the run: exact resume, broken checkpoints, signals, values that are not finite, overwriting."""

import contextlib
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, command, damage
from runs import assert_same_run, interrupted_at, rows_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tfvae
from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.analysis.evaluator import Split
from tfvae.errors import NonFiniteError, RunError, UserError
from tfvae.objectives.elbo import Elbo
from tfvae.spec.entries import NAMES
from tfvae.training.signals import Stopped


@pytest.fixture(autouse=True)
def no_figures(request, monkeypatch):
  """Drawing takes longer than training here; the tests that look at figures ask for the fixture `figures`."""
  if 'figures' not in request.fixturenames:
    monkeypatch.setattr(commands, '_draw', lambda *of: [])


@pytest.fixture
def figures(tiny):
  own = ('ppca', 'selection', 'posterior', 'unit_information', 'accuracy', 'fid', 'tiles', 'task', 'canvases')
  own += ('inception_score', 'reconstruction_accuracy')
  own += ('estimates', 'probes', 'marginal_kl')  # slow
  tiny.eval.evaluators = tuple(name for name in NAMES['eval.evaluators'] if name not in own)


def test_resume_is_exact_where_nets_have_units_of_their_own(tiny, tmp_path, monkeypatch):
  """And where each batch is the training split. The units are found once, and kept with the weights."""
  tiny.data.update({'name': 'table', 'batch_size': 0, 'scaling': 'none'})
  tiny.model.standardize, tiny.decoder.variance = True, 'optimal'
  tiny.train.update({'steps': 12, 'checkpoint_every': 5, 'log_every': 2})
  tiny.eval.evaluators = tiny.eval.during = ('bounds',)
  spec = spec_lib.resolve(tiny)
  whole = commands.train(spec, tmp_path / 'whole')
  with interrupted_at(monkeypatch, 8):
    commands.train(spec, tmp_path / 'parts')
  commands.train(spec, tmp_path / 'parts')
  assert_same_run(tmp_path / 'whole', tmp_path / 'parts')
  x = build.dataset(spec).splits['train']['x'].astype(np.float64)
  units = whole.model.standardized
  np.testing.assert_allclose(units.center, x.mean(0), rtol=1e-6)
  np.testing.assert_allclose(units.width, x.std(0), rtol=1e-6)
  # The closed form is of x, not of what nets see; the split that it is evaluated on is the one that it is set by.
  numbers = commands.evaluate(tmp_path / 'whole', {'eval.split': 'train'})
  assert numbers['sigma'] == pytest.approx(np.sqrt(numbers['mse']), rel=1e-5)


def everything_on(tiny):
  tiny.train.ema = 0.9
  tiny.train.clip_norm = 1.0
  tiny.train.schedule = 'cosine'
  tiny.train.variance_learning_rate = 0.01
  tiny.objective.anneal = 'cyclical'
  tiny.decoder.variance = 'per_dimension'
  tiny.train.log_every = 7  # checkpoints fall between logs
  return tiny


def test_resume_is_exact(tiny, tmp_path, monkeypatch):
  tiny = everything_on(tiny)
  commands.train(tiny, tmp_path / 'whole')
  for step in (7, 14, 28):  # the first before there is a checkpoint
    with interrupted_at(monkeypatch, step):
      commands.train(tiny, tmp_path / 'parts')
  commands.train(tiny, tmp_path / 'parts')
  assert_same_run(tmp_path / 'whole', tmp_path / 'parts')


def test_the_run_directory(tiny, tmp_path, figures):
  run = commands.train(tiny, tmp_path / 'run')
  there = {p.relative_to(run.workdir).as_posix() for p in run.workdir.rglob('*') if p.is_file()}
  figures = [f'figures/{name}.png' for name in ('curves', 'rates', 'reconstructions', 'prior_samples')]
  files = ['spec.json', 'environment.json', 'metrics.jsonl', 'evaluation.json', 'arrays/samples-test-40.npz']
  assert {*files, *figures, 'checkpoints/ckpt-40.index'} <= there
  assert not [name for name in there if 'tmp' in name or 'pkl' in name]
  assert [start['versions']['tensorflow'] for start in run.starts] == [tf.__version__]
  assert len(list(run.checkpoints.glob('ckpt-*.index'))) == tiny.train.keep
  steps = [row['step'] for row in rows_of(run.workdir) if row['split'] == 'train']
  assert steps == [1, 10, 20, 30, 40]
  loaded = commands.load(run.workdir)
  assert loaded.spec == spec_lib.resolve(tiny) and loaded.evaluation['step'] == 40
  np.testing.assert_array_equal(loaded.metrics['train']['step'], steps)
  assert set(loaded.metrics['test']['step']) == {20, 40}
  x = np.zeros((2, 8, 8, 1), np.float32)
  assert loaded.model(x).shape == x.shape
  # Evaluating again gives the numbers that training left.
  before = (run.workdir / 'evaluation.json').read_text()
  commands.evaluate(run.workdir)
  assert (run.workdir / 'evaluation.json').read_text() == before
  numbers = commands.evaluate(run.workdir, {'eval.split': 'train', 'eval.evaluators': 'bounds,entropies'})
  assert numbers['elbo_minus_entropies'] == pytest.approx(numbers['elbo'] - numbers['entropy_sum'])
  assert json.loads((run.workdir / 'evaluation-train.json').read_text())['split'] == 'train'
  assert (run.workdir / 'evaluation.json').read_text() == before


def test_event_files(tiny, tmp_path, figures):
  tiny.constraint.names, tiny.constraint.rate.z1 = ('rate',), 2.0
  run = commands.train(tiny, tmp_path / 'run')
  train = EventAccumulator(str(run.workdir / 'train'), size_guidance={'tensors': 0}).Reload()
  names = {name for name in rows_of(run.workdir)[0] if name not in ('step', 'split')}
  assert names <= set(train.Tags()['tensors'])
  events = train.Tensors('elbo')
  want = [row['elbo'] for row in rows_of(run.workdir) if row['split'] == 'train']
  assert [e.step for e in events] == [1, 10, 20, 30, 40]
  np.testing.assert_allclose([tf.make_ndarray(e.tensor_proto) for e in events], want, rtol=1e-6)
  evaluated = EventAccumulator(str(run.workdir / 'eval'), size_guidance={'tensors': 0}).Reload()
  plugins = {name: evaluated.SummaryMetadata(name).plugin_data.plugin_name for name in evaluated.Tags()['tensors']}
  assert plugins['elbo'] == 'scalars' and plugins['z/z1'] == 'histograms'
  assert {plugins[name] for name in ('reconstructions', 'prior_samples', 'data')} == {'images'}
  assert [e.step for e in evaluated.Tensors('elbo')] == [20, 40]
  drawn = EventAccumulator(str(run.figures), size_guidance={'tensors': 0}).Reload()
  assert {event.step for event in drawn.Tensors('constraints')} == {20, 40}  # in mid-training, and at the end
  width, height, picture = tf.make_ndarray(drawn.Tensors('curves')[0].tensor_proto)
  assert picture == (run.figures / 'curves.png').read_bytes()
  assert tf.io.decode_png(picture).shape[:2] == (int(height), int(width))
  assert len(list((run.workdir / 'eval').iterdir())) == 1  # files of one second would not be read in their order


def test_a_broken_checkpoint_is_passed_over_and_named(tiny, tmp_path, monkeypatch, capsys):
  tiny.eval.every = 0
  commands.train(tiny, tmp_path / 'whole')
  with interrupted_at(monkeypatch, 30):
    commands.train(tiny, tmp_path / 'run')
  damage(tmp_path / 'run/checkpoints', 20, 'truncated')
  (tmp_path / 'run/checkpoints/checkpoint').unlink()  # nor is TensorFlow's own list relied on
  capsys.readouterr()
  commands.train(tiny, tmp_path / 'run')
  said = capsys.readouterr().out
  assert 'ckpt-20' in said and 'Restored the one before: ckpt-10' in said and 'at step 10' in said
  assert_same_run(tmp_path / 'whole', tmp_path / 'run')


def test_all_checkpoints_broken_is_an_error_and_nothing_is_overwritten(tiny, tmp_path):
  run = commands.train(tiny, tmp_path / 'run')
  for step in (20, 30, 40):
    damage(run.checkpoints, step, 'truncated')
  before = {p: p.read_bytes() for p in run.workdir.rglob('*') if p.is_file() and p.name != 'lock'}
  with pytest.raises(RunError, match=r'(?s)every checkpoint.*ckpt-40.*ckpt-20.*--overwrite'):
    commands.train(tiny, run.workdir)
  with pytest.raises(RunError, match='every checkpoint'):
    commands.evaluate(run.workdir)
  assert {p: p.read_bytes() for p in run.workdir.rglob('*') if p.is_file() and p.name != 'lock'} == before


def test_a_signal_during_an_evaluation_is_heard_and_the_evaluation_made_up(tiny, tmp_path, monkeypatch, capsys):
  tiny.eval.batch_size, tiny.train.ema, tiny.decoder.variance = 50, 0.9, 'optimal'
  commands.train(tiny, tmp_path / 'whole')
  own, calls = Split.sampled_means, []

  def means(self, *args):
    calls.append(self.name)
    if len(calls) == 2:  # the first for the training split's sigma
      os.kill(os.getpid(), signal.SIGTERM)
    return own(self, *args)

  with monkeypatch.context() as patch:
    patch.setattr(Split, 'sampled_means', means)
    with pytest.raises(Stopped, match='SIGTERM: saved step 20') as stopped:
      commands.train(tiny, tmp_path / 'run')
  assert stopped.value.status == 143 and calls == ['train', 'test']
  assert not any(row.get('evaluation') for row in rows_of(tmp_path / 'run'))
  (tmp_path / 'run/environment.json').write_text('{"py')  # damage that does no harm
  commands.train(tiny, tmp_path / 'run')
  assert_same_run(tmp_path / 'whole', tmp_path / 'run')


def test_a_value_that_is_not_finite_stops_the_run(tiny, tmp_path, monkeypatch, capsys):
  own = Elbo.loss

  def loss(self, player, model, batch, step, noise):
    value, metrics = own(self, player, model, batch, step, noise)
    return value + tf.where(step == 24, np.nan, 0.0), metrics | {
      'rate': metrics['rate'] / tf.where(step == 24, 0.0, 1.0)
    }

  with monkeypatch.context() as patch:
    patch.setattr(Elbo, 'loss', loss)
    with pytest.raises(NonFiniteError, match=r'step 25: not finite: .*loss.*rate.*ckpt-20') as error:
      commands.train(tiny, tmp_path / 'run')
  assert 'elbo' not in str(error.value).partition('Last good')[0]  # only the offending terms
  assert {p.stem for p in (tmp_path / 'run/checkpoints').glob('*.index')} == {'ckpt-10', 'ckpt-20'}
  assert not (tmp_path / 'run/evaluation.json').exists()
  commands.train(tiny, tmp_path / 'run')  # with the cause mended it goes on
  assert commands.load(tmp_path / 'run').evaluation['step'] == 40


def test_evaluating_the_training_split_is_not_mixed_with_its_log(tiny, tmp_path):
  tiny.eval.split = 'train'
  run = commands.train(tiny, tmp_path / 'run')
  assert list(run.metrics['train']['step']) == [1, 10, 20, 30, 40]
  assert list(run.metrics['train (evaluated)']['step']) == [20, 40]
  assert run.metrics['train (evaluated)']['elbo'][-1] == run.evaluation['elbo']
  tiny.eval.split = 'test'  # may differ: the finished run gets this row, too
  assert list(commands.train(tiny, run.workdir).metrics['test']['step']) == [40]
  assert 'loss' in run.metrics['train'] and 'loss' not in run.metrics['train (evaluated)']


def test_what_a_killed_first_save_left_is_no_checkpoint(tiny, tmp_path, monkeypatch):
  with interrupted_at(monkeypatch, 10):
    commands.train(tiny, tmp_path / 'run')
  checkpoints = tmp_path / 'run/checkpoints'
  (checkpoints / 'ckpt-10_temp').mkdir(parents=True)
  with pytest.raises(RunError, match='no checkpoint yet'):
    commands.evaluate(tmp_path / 'run')
  (checkpoints / 'ckpt-10.data-00000-of-00001').write_bytes(b'half')  # data, but neither index nor list yet
  with pytest.raises(RunError, match='no checkpoint yet'):
    commands.evaluate(tmp_path / 'run')
  assert commands.train(tiny, tmp_path / 'run').evaluation['step'] == 40


@pytest.fixture
def interruptible():
  """SIGINT as in the foreground: processes that a shell starts in the background ignore it."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_what_a_user_built_around_training(tiny, tmp_path, monkeypatch, interruptible):
  """The loop below catches errors, as one that is to survive the night does: it must not go on after Ctrl-C."""
  begun, own = [], Split.sampled_means

  def means(self, *args):
    os.kill(os.getpid(), signal.SIGINT)
    return own(self, *args)

  monkeypatch.setattr(Split, 'sampled_means', means)
  with pytest.raises(KeyboardInterrupt, match=r'SIGINT: saved step 20 in .*0; the same command resumes') as stopped:
    for seed in range(2):
      begun.append(seed)
      tiny.seed = seed
      with contextlib.suppress(Exception):
        tfvae.train(tiny, tmp_path / str(seed))
  assert isinstance(stopped.value, tfvae.Stopped) and stopped.value.status == 130 and begun == [0]
  assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # given back


def test_interrupted_before_training_and_overwriting_where_one_stands(tiny, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(commands, 'import_tensorflow', lambda: os.kill(os.getpid(), signal.SIGTERM))
  with pytest.raises(Stopped, match='SIGTERM: stopped before training') as stopped:
    commands.train(tiny, tmp_path / 'run')
  assert stopped.value.status == 143
  assert not (tmp_path / 'run').exists()
  monkeypatch.undo()
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  commands.train(tiny, tmp_path / 'run')
  monkeypatch.chdir(tmp_path / 'run')
  with pytest.raises(RunError, match='current directory'):
    commands.train(tiny, '.', overwrite=True)
  assert commands.load('.').evaluation['step'] == 40


def test_weights_that_are_not_finite_are_never_saved(tiny, tmp_path):
  tiny.train.optimizer, tiny.train.learning_rate = 'sgd', 1e38
  tiny.train.checkpoint_every = 1
  with pytest.raises(NonFiniteError, match='none yet'):
    commands.train(tiny, tmp_path / 'run')
  assert not list((tmp_path / 'run').glob('checkpoints/ckpt-*'))


def test_more_steps_and_other_logging_resume_another_spec_does_not(tiny, tmp_path, capsys):
  run = commands.train(tiny, tmp_path / 'run')
  tiny.train.steps, tiny.train.log_every, tiny.eval.num_samples = 50, 25, 3
  commands.train(tiny, run.workdir)
  assert 'Resumed' in capsys.readouterr().out
  assert commands.load(run.workdir).evaluation['step'] == 50 and commands.load(run.workdir).spec.train.steps == 50
  before = (run.workdir / 'spec.json').read_text()
  tiny.train.steps, tiny.decoder.sigma, tiny.objective.beta.z1 = 45, 0.5, 2.0
  with pytest.raises(RunError) as error:
    commands.train(tiny, run.workdir)
  for name in ('spec.train.steps', 'spec.decoder.sigma', 'spec.objective.beta.z1', '--overwrite'):
    assert name in str(error.value)
  assert (run.workdir / 'spec.json').read_text() == before
  commands.train(tiny, run.workdir, overwrite=True)
  assert commands.load(tmp_path / 'run.1').spec.train.steps == 50  # set aside, whole
  assert commands.load(run.workdir).evaluation['step'] == 45


def test_a_spec_that_does_not_fit_leaves_no_directory(tiny, tmp_path, monkeypatch):
  tiny.model.z1.encoder.kind, tiny.model.z1.grid, tiny.model.z1.encoder.hidden = 'conv', 3, (4,)
  with pytest.raises(UserError, match=r'z1\.grid'):
    commands.train(tiny, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
  (tmp_path / 'mine').mkdir()
  monkeypatch.chdir(tmp_path / 'mine')
  with pytest.raises(UserError, match=r'z1\.grid'):
    commands.train(tiny, '.')
  assert (tmp_path / 'mine').is_dir()  # a directory that was there stays


def start(workdir, *more):
  args = ['--workdir', workdir, '--spec', 'aevb', '--spec.train.steps=5000', '--spec.train.checkpoint_every=250',
          '--spec.train.compile=graph', '--spec.eval.every=0', *more]  # fmt: skip
  return subprocess.Popen(
    command(*args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
  )


def wait_for_checkpoint(process, workdir, step, timeout=60):
  deadline = time.monotonic() + timeout
  while time.monotonic() < deadline and process.poll() is None:
    if any(int(p.stem[5:]) >= step for p in (workdir / 'checkpoints').glob('ckpt-*.index')):
      return
    time.sleep(0.01)
  raise AssertionError(f'no checkpoint {step}: {process.stdout.read()}')


def test_killed_twice_and_terminated_equals_uninterrupted(tmp_path):
  """kill -9 twice in mid-training, then SIGTERM, then the same command: the uninterrupted run's bits."""
  workdir = tmp_path / 'killed'
  for step in (500, 1250):
    process = start(workdir)
    wait_for_checkpoint(process, workdir, step)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
  process = start(workdir)
  wait_for_checkpoint(process, workdir, 2000)
  begun = time.monotonic()
  process.send_signal(signal.SIGTERM)
  said = process.communicate(timeout=30)[0]
  assert process.returncode == 143 and time.monotonic() - begun < 5, said
  assert 'SIGTERM: saved step' in said
  saved = int(said.partition('saved step ')[2].split()[0])
  assert (workdir / f'checkpoints/ckpt-{saved}.index').exists() and 2000 <= saved < 5000

  fields = {'train.steps': 5000, 'train.checkpoint_every': 250, 'train.compile': 'graph', 'eval.every': 0}
  spec = spec_lib.load(ROOT / 'specs/aevb.py', fields)
  for name in ('killed', 'whole'):
    commands.train(spec, tmp_path / name)
  assert_same_run(tmp_path / 'killed', tmp_path / 'whole')


def test_trains_on_the_real_mnist(tfds_dir, tmp_path):
  """specs/aevb.py:mnist through TFDS: 300 steps bring the ELBO above that of the pixel means."""
  fields = {'data.data_dir': tfds_dir, 'train.steps': 300, 'eval.every': 0, 'eval.num_samples': 1}
  fields |= {'eval.evaluators': ('bounds',), 'model.z1.encoder.hidden': (200,), 'decoder.net.hidden': (200,)}
  spec = spec_lib.load(ROOT / 'specs/aevb.py:mnist', fields)
  run = commands.train(spec, tmp_path / 'run')
  data = build.dataset(spec, run.data)
  assert data.shape == (28, 28, 1) and (data.size('train'), data.size('test')) == (60_000, 10_000)
  p = np.clip(data.splits['train']['x'].mean(0) / 255, 1e-6, 1 - 1e-6)
  grey = data.splits['test']['x'] / 255
  independent = (grey * np.log(p) + (1 - grey) * np.log1p(-p)).sum((1, 2, 3)).mean()
  assert independent < -200 and run.evaluation['elbo'] > independent + 40


def test_examples_read_when_they_are_needed_train_the_same_and_resume(tiny, tmp_path, monkeypatch):
  """tf.data instead of memory: the same bits, also when interrupted before and after a checkpoint."""
  tiny = everything_on(tiny)
  tiny.data.update({'binarize': 'dynamic', 'validation': 0.1, 'flip': 'horizontal', 'batch_size': 64})
  commands.train(tiny, tmp_path / 'memory')
  tiny.data.memory_limit = 0
  for step in (7, 28):
    with interrupted_at(monkeypatch, step):
      commands.train(tiny, tmp_path / 'stream')
  commands.train(tiny, tmp_path / 'stream')
  assert_same_run(tmp_path / 'memory', tmp_path / 'stream')


def test_data_that_changed_are_refused_and_the_kept_scaling_holds(tiny, tmp_path):
  rng = np.random.default_rng(0)
  table = rng.standard_normal((300, 4))
  np.savetxt(tmp_path / 'mine.csv', table, delimiter=',')
  tiny.data.update({'name': 'table', 'path': str(tmp_path / 'mine.csv'), 'scaling': 'standard'})
  run = commands.train(tiny, tmp_path / 'run')
  kept = run.data
  assert kept['sizes'] == {'train': 270, 'test': 30} and len(kept['scaling']['center']) == 4
  assert run.model(np.zeros((2, 4), np.float32)).shape == (2, 4)
  before = (tmp_path / 'run/evaluation.json').read_bytes()
  (tmp_path / 'mine.csv').rename(tmp_path / 'moved.csv')  # data may move
  commands.evaluate(run.workdir, {'data.path': str(tmp_path / 'moved.csv')})
  assert (tmp_path / 'run/evaluation.json').read_bytes() == before
  np.savetxt(tmp_path / 'mine.csv', table[:-1], delimiter=',')
  tiny.train.steps = 50
  for call in (lambda: commands.train(tiny, run.workdir), lambda: commands.evaluate(run.workdir)):
    with pytest.raises(RunError, match=r'the data have changed since the run began: .*269'):
      call()
  assert commands.load(run.workdir).data == kept
