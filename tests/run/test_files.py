"""The files of a run directory: locks and links, full disks, paths that no file can have."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib

import pytest
from tensorboard.summary.writer import event_file_writer

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.errors import RunError, SpecError
from tfvae.report.axes import plain
from tfvae.run import lock as lock_lib
from tfvae.run.events import Events
from tfvae.trained import Run

DATA = {'name': 'a', 'shape': [2], 'sizes': {'train': 3}, 'scaling': {'center': 0.0, 'width': 1.0}, 'fingerprint': 1}


def begun(path, **more):
  run = Run(path)
  run.open(spec_lib.resolve(spec_lib.base(('z1',))), **more)
  run.begin(spec_lib.resolve(spec_lib.base(('z1',))), DATA, **more)
  return run


def failing(function, wanted, code):
  """The same, but an OSError where `wanted` says so of the arguments."""

  def call(*args, **kwargs):
    if wanted(*args):
      raise OSError(code, os.strerror(code))
    return function(*args, **kwargs)

  return call


@pytest.mark.parametrize('kind', ['link', 'dangling link', 'pipe', 'directory', 'hard link'])
def test_a_lock_that_is_something_else(kind, tmp_path):
  """What it leads to stays as it is, and nothing waits."""
  (tmp_path / 'run').mkdir()
  victim, lock = tmp_path / 'victim', tmp_path / 'run/lock'
  victim.write_text('precious')
  if kind == 'hard link':
    lock.hardlink_to(victim)
    Run(tmp_path / 'run').lock()
  else:
    {
      'link': lambda: lock.symlink_to(victim),
      'dangling link': lambda: lock.symlink_to(tmp_path / 'absent'),
      'pipe': lambda: os.mkfifo(lock),
      'directory': lock.mkdir,
    }[kind]()
    with pytest.raises(RunError, match=r'/run/lock: (is a link|it is no regular file).*remove it'):
      Run(tmp_path / 'run').lock()
  assert victim.read_text() == 'precious' and not (tmp_path / 'absent').exists()


def test_a_lock_says_who_has_it_and_nothing_else(tmp_path):
  first, second = Run(tmp_path / 'run'), Run(tmp_path / 'run')
  first.lock()
  with pytest.raises(RunError, match=rf'in use by another process \(process {os.getpid()} on '):
    second.lock()
  (tmp_path / 'run/lock').write_text('\33[2J')
  with pytest.raises(RunError, match='in use by another process;'):
    second.lock()
  first.close()
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('where', ['flock', 'open', 'pwrite', 'mkdir'])
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EIO])
def test_no_lock_can_be_taken(where, code, tmp_path, monkeypatch):
  """A line, and nothing is left of the directories that were made for it."""
  if where == 'mkdir':
    monkeypatch.setattr(pathlib.Path, 'mkdir', failing(pathlib.Path.mkdir, lambda *_: True, code))
  elif where == 'open':
    monkeypatch.setattr(lock_lib, 'opened', failing(lock_lib.opened, lambda *_: True, code))
  else:
    module = fcntl if where == 'flock' else os
    monkeypatch.setattr(module, where, failing(getattr(module, where), lambda *_: True, code))
  with pytest.raises(RunError, match=rf'--workdir .*cannot be written \({os.strerror(code)}\)'):
    Run(tmp_path / 'a/run').lock()
  monkeypatch.undo()
  assert where == 'flock' or list(tmp_path.iterdir()) == []
  Run(tmp_path / 'a/run').lock()


def test_a_full_disk_at_the_start(small_disk):
  """A real one: nothing is begun and nothing is left, also where a run is to be overwritten."""
  begun(small_disk / 'old').close()
  with open(small_disk / 'ballast', 'wb', buffering=0) as ballast, contextlib.suppress(OSError):
    while True:
      ballast.write(bytes(512))
  for name in ('new', 'old'):
    with pytest.raises(RunError, match=r'cannot be written .*No space left on device'):
      begun(small_disk / name, overwrite=True)
  assert sorted(path.name for path in small_disk.iterdir()) == ['ballast', 'old']
  (small_disk / 'ballast').unlink()
  assert Run(small_disk / 'old').data == DATA


@pytest.mark.parametrize('name', ['lock', '.spec.json', '.data.json', '.environment.json'])
def test_overwriting_where_no_new_run_can_begin_leaves_the_one_that_is_there(name, tmp_path, monkeypatch):
  begun(tmp_path / 'run').close()
  (tmp_path / 'run/metrics.jsonl').write_text('{"step": 1, "split": "train"}\n')
  before = {path.name: path.read_bytes() for path in (tmp_path / 'run').iterdir()}
  run, own = Run(tmp_path / 'run'), os.open
  run.open(spec_lib.resolve(spec_lib.base(('z1',))), overwrite=True)
  monkeypatch.setattr(os, 'open', failing(own, lambda path, *_: pathlib.Path(path).name.startswith(name), errno.ENOSPC))
  with pytest.raises(RunError, match=r'cannot be written \(No space left on device'):
    run.begin(spec_lib.resolve(spec_lib.base(('z1',))), DATA, overwrite=True)
  monkeypatch.undo()
  run.close()
  assert [path.name for path in tmp_path.iterdir()] == ['run']
  assert {path.name: path.read_bytes() for path in (tmp_path / 'run').iterdir() if path.name != 'lock'} == {
    name: content for name, content in before.items() if name != 'lock'
  }
  assert begun(tmp_path / 'run', overwrite=True).workdir.with_name('run.1').is_dir()


def test_lines_that_are_no_rows_are_kept_beside_the_file(tmp_path, capsys):
  run, rows = begun(tmp_path / 'run'), [{'step': step, 'split': 'train', 'elbo': -1.5} for step in (1, 10, 20)]
  lines = [json.dumps(row) for row in rows]
  bad = ['[1]', 'null', '{"step": 3}', '{"step": true, "split": "test"}', '{"step": 3, "split": "test", "elbo": "x"}']
  for name in ('metrics.jsonl.damaged', 'metrics.jsonl.damaged.1'):
    content = ('\n'.join([lines[0], *bad, *lines[1:]]) + '\n').encode() + b'\xff\n{"step": 30, "spl'
    (run.workdir / 'metrics.jsonl').write_bytes(content)
    assert run.metrics['train']['step'].tolist() == [1, 10, 20]
    run.trim_metrics(10)
    assert '6 lines cannot be read (number 2, 3, 4, 5, 6, ...)' in capsys.readouterr().out
    assert (run.workdir / name).read_bytes() == content and run.read_metrics() == rows[:2]
  run.trim_metrics(10)
  assert capsys.readouterr().out == '' and len(list(run.workdir.glob('*.damaged*'))) == 2


def test_metrics_are_not_written_through_a_link(tmp_path):
  run = begun(tmp_path / 'run')
  (tmp_path / 'victim').write_text('precious\n')
  for target in ('victim', 'absent'):
    (run.workdir / 'metrics.jsonl').unlink(missing_ok=True)
    (run.workdir / 'metrics.jsonl').symlink_to(tmp_path / target)
    with pytest.raises(RunError, match='cannot be written'):
      run.append_metrics(1, 'train', {})
    run.close()
    run = Run(tmp_path / 'run')
  assert (tmp_path / 'victim').read_text() == 'precious\n' and not (tmp_path / 'absent').exists()


def test_permission_denied(tmp_path, monkeypatch):
  """Of the workdir, its parent, and metrics.jsonl: root may do everything, so that the system's calls refuse."""
  spec = spec_lib.resolve(spec_lib.base(('z1',)))
  denied = lambda name: lambda path, *_: str(path).endswith(name)
  run = begun(tmp_path / 'run')
  run.append_metrics(1, 'train', {})
  run.close()
  cases = (
    (os, 'stat', 'spec.json', lambda: Run(run.workdir).exists(), 'cannot be looked into'),
    (os, 'open', 'metrics.jsonl', lambda: Run(run.workdir).metrics, 'metrics.jsonl: cannot be read'),
    (os, 'open', 'metrics.jsonl', lambda: begun(run.workdir).append_metrics(2, 'train', {}), 'cannot be written'),
    (os, 'open', 'spec.json', lambda: Run(run.workdir).spec, 'spec.json: Permission denied'),
    (pathlib.Path, 'iterdir', 'new', lambda: Run(tmp_path / 'new').check(spec), 'cannot be looked into'),
    (pathlib.Path, 'mkdir', 'new/run', lambda: Run(tmp_path / 'new/run').open(spec), 'cannot be written'),
  )
  (tmp_path / 'new').mkdir()
  for module, name, path, call, says in cases:
    with monkeypatch.context() as patch:
      patch.setattr(module, name, failing(getattr(module, name), denied(path), errno.EACCES))
      with pytest.raises(RunError, match=f'{says}.*|.*Permission denied') as error:
        call()
      assert 'Permission denied' in str(error.value) and says in str(error.value)
    Run(run.workdir).close()


@pytest.mark.parametrize(
  ('path', 'says'),
  [
    ('a/' + 'b' * 256, 'a name of 256 bytes'),
    ('\u00e4' * 130, 'a name of 260 bytes'),
    ('a/' * 2100 + 'b', 'in a path of'),
    ('caf\udce9', 'no UTF-8'),
    ('a\0b', 'zero byte'),
    ('~nobody-of-this-name/run', 'no user nobody-of-this-name'),
  ],
)
def test_paths_that_cannot_be(path, says, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  calls = [lambda: Run(path), lambda: commands.load(path), lambda: commands.report(path)]
  for call in calls:
    with pytest.raises(RunError, match=f'--workdir: got .*{says}'):
      call()
  if says in ('zero byte', 'in a path of'):  # as any text is refused
    says = '4096 characters, none of them null'
  for field in ('data.path', 'data.data_dir', 'train.init_from', 'classifier.path'):
    with pytest.raises(SpecError, match=rf'spec\.{field}: got .*{says}'):
      spec_lib.resolve(spec_lib.base(('z1',)), {field: path})
  assert list(tmp_path.iterdir()) == []


def test_a_home_directory(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert Run('~/runs/hit').workdir == tmp_path / 'runs/hit'
  assert Run('a/~').workdir == pathlib.Path('a/~')


def test_no_space_for_event_files(tmp_path, monkeypatch):
  """TensorFlow calls a full disk by the name that it has for memory."""
  import tensorflow as tf

  def full(*_, **__):
    raise tf.errors.ResourceExhaustedError(None, None, f'{tmp_path}/train; No space left on device')

  monkeypatch.setattr(event_file_writer.EventFileWriter, '__init__', full)
  with pytest.raises(RunError, match=r'train: the event file cannot be written \(No space left on device\)'):
    Events(tmp_path / 'train').numbers(1, {'elbo': 1.0})


def test_names_are_drawn_as_they_are():
  from matplotlib.figure import Figure

  for name in ('$x$', '$\\alpha', 'a$b$c$', '\\$x\\$', 'plain'):
    text = Figure().text(0, 0, plain(name))
    assert text._preprocess_math(text.get_text()) == (name, False), name


def test_kept_scaling_must_be_that_of_the_data():
  """Of images by their limits or their moments, also where data.json was written anew with a checksum that fits."""
  for scaling in ('min_max', 'standard', 'none'):
    spec = spec_lib.resolve(spec_lib.base(('z1',)), {'data.scaling': scaling})
    kept = build.dataset(spec).summary
    assert build.dataset(spec, kept).summary == kept
    for name, factor in (('center', 1.01), ('width', 1.01)):
      other = kept | {'scaling': kept['scaling'] | {name: kept['scaling'][name] * factor + (name == 'center')}}
      with pytest.raises(RunError, match=f'the data have changed .* or its data.json has: {name}'):
        build.dataset(spec, other)


def test_data_json_has_a_checksum(tmp_path):
  run = begun(tmp_path / 'run')
  assert run.data == DATA
  text = (run.workdir / 'data.json').read_text()
  (run.workdir / 'data.json').write_text(text.replace('"width": 1.0', '"width": 2.0'))
  with pytest.raises(RunError, match=r'data\.json: cannot be read \(its checksum is another\)'):
    run.data  # noqa: B018
  (run.workdir / 'data.json').write_text(json.dumps(DATA))  # of a version that wrote none
  assert run.data == DATA
