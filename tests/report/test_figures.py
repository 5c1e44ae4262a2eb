"""Figures from run directories alone."""

import json
import pathlib
import subprocess
import sys
import types

import matplotlib.image
import numpy as np
import pytest

from tfvae import spec as spec_lib
from tfvae.report import figures
from tfvae.report.figures import draw
from tfvae.report.images import grid
from tfvae.trained import Run

ROOT = pathlib.Path(__file__).parents[2]


def test_grid():
  images = np.stack([np.full((2, 2, 1), value) for value in (0.0, 5.0, 10.0)])
  picture = grid(images, (0, 10), columns=2)
  assert picture.shape == (5, 5, 1)
  np.testing.assert_allclose(picture[0, [0, 2, 3], 0], [0, 1, 0.5])  # black, the line, grey
  assert np.all(picture[3:, :2] == 1) and np.all(picture[3:, 3:] == 1)  # white, and an empty cell
  assert grid(np.zeros((10, 3, 3, 3)), (0, 1)).shape == (11, 15, 3)
  assert grid(np.full((1, 2, 2, 1), 99.0), (0, 10)).max() == 1


@pytest.fixture
def run(tmp_path):
  """A directory with the files that figures are drawn from."""
  run = Run(tmp_path / 'run')
  run.workdir.mkdir()
  run.begin(spec_lib.resolve(spec_lib.base()), {'shape': [4, 4, 1]}, {'versions': {}})
  for step in (1, 10, 20):
    train = {'elbo': -100 / step, 'log_likelihood': -90 / step, 'rate': 10 / step, 'mse': 1 / step, 'sigma': 0.5}
    run.append_metrics(step, 'train', train | {'rate/z2': 4 / step, 'rate/z1': 6 / step, 'gradient_norm': 3.0})
  run.append_metrics(20, 'test', {'elbo': -6.0, 'rate/z2': 0.3, 'rate/z1': 0.2})
  images = np.random.default_rng(0).random((5, 4, 4, 1))
  samples = {'x': images, 'reconstruction': images, 'prior': images, 'value_range': np.array([0, 1])}
  run.write_found(20, 'test', 'bounds', {}, {'elbo': -6.0}, {})
  run.write_found(20, 'test', 'samples', {}, {}, samples)
  run.write_evaluation(20, 'test')
  return run


def test_all_figures(run):
  names = [path.name for path in draw(run)]
  assert names == ['curves.png', 'rates.png', 'prior_samples.png', 'reconstructions.png']
  for path in run.figures.glob('*.png'):
    picture = matplotlib.image.imread(path)
    assert min(picture.shape[:2]) > 200 and picture[..., :3].std() > 0.01  # something is drawn


def test_evidence_by_few_effective_samples_is_marked(run, monkeypatch):
  """The title says that the estimate is a loose bound where the mean is below 10; the examples below it are marked."""
  from tfvae.report import figures

  drawn = {}
  own = figures.log_evidence
  monkeypatch.setitem(figures.OF_A_SPLIT, 'log_evidence', lambda *of: drawn.setdefault(len(drawn), own(*of)))
  for effective in ([1.0, 2.0, 12.0, 9.0], [1.0, 300.0, 12.0, 9.0]):
    arrays = {'log_evidence': np.arange(4.0), 'sampling_error': np.ones(4), 'effective_samples': np.array(effective)}
    run.write_found(20, 'test', 'log_evidence', {}, {}, arrays)
    draw(run)
    figure = drawn[len(drawn) - 1]
    left, right = figure.axes
    assert ('loose lower bound' in left.get_title()) == ('take more' in right.get_title()) == (effective[1] < 10)
    marked = sum(bar.get_height() for bar in left.containers[1])
    assert marked == sum(value < 10 for value in effective) and figure.get_suptitle() == 'test split'


def test_vectors_have_no_pictures_and_no_metrics_no_curves(run):
  samples = {name: np.zeros((5, 3)) for name in ('x', 'reconstruction', 'prior')} | {'value_range': np.array([0, 1])}
  run.write_found(20, 'test', 'samples', {}, {}, samples)
  assert [path.name for path in draw(run)] == ['curves.png', 'rates.png']
  (run.workdir / 'metrics.jsonl').unlink()
  assert draw(run) == []


def test_drawing_needs_no_tensorflow(run):
  code = (
    'import sys; from tfvae.run.directory import Directory; from tfvae.report.figures import draw; '
    f'draw(Directory({str(run.workdir)!r}));'
    'assert "tensorflow" not in sys.modules and "sklearn" not in sys.modules'
  )
  subprocess.run([sys.executable, '-c', code], check=True)


def test_metrics_survive_an_unfinished_line_and_are_trimmed(run):
  with open(run.workdir / 'metrics.jsonl', 'a') as file:
    file.write('{"step": 30, "spl')
  assert [row['step'] for row in run.read_metrics()] == [1, 10, 20, 20]
  run.trim_metrics(10)
  rows = [json.loads(line) for line in (run.workdir / 'metrics.jsonl').read_text().splitlines()]
  assert [row['step'] for row in rows] == [1, 10]
  assert np.isnan(Run(run.workdir).metrics['train'].get('absent', np.nan))


def test_another_split_has_a_file_of_its_own(run):
  run.write_found(20, 'train', 'bounds', {}, {'elbo': -5.0}, {})
  run.write_evaluation(20, 'train')
  assert run.evaluation['elbo'] == -6.0
  assert json.loads((run.workdir / 'evaluation-train.json').read_text())['elbo'] == -5.0


def gumbel_run(**found):
  """A run of categories above Gaussians, of which `found` is known."""
  spec = spec_lib.load(str(ROOT / 'specs' / 'hit.py') + ':gumbel')
  return types.SimpleNamespace(spec=spec, **found)


def test_rates_of_relaxed_samples_are_not_drawn_as_rates():
  """In training, the layers below softened categories have rates under other names."""
  steps = np.arange(5.0)
  train = {'step': steps, 'rate/z2': steps, 'relaxed/rate/z1': steps}
  curves, bars = figures.rates(gumbel_run(metrics={'train': train})).axes
  assert len(curves.lines) == 1 and len(bars.patches) == 1
  test = {'step': steps, 'rate/z2': steps, 'rate/z1': steps}
  _, bars = figures.rates(gumbel_run(metrics={'train': train, 'test (evaluated)': test})).axes
  assert len(bars.patches) == 2


def drawing_run(**found):
  """A run that draws in steps, of which `found` is known."""
  return types.SimpleNamespace(spec=spec_lib.load(str(ROOT / 'specs' / 'geco.py') + ':convdraw'), **found)


def test_the_rates_of_steps_are_beside_their_sum():
  train = {'step': np.arange(3.0), 'rate/z': np.array([9.0, 8, 7]), 'beta/z': np.array([1.0, 1, 0.5])}
  train |= {f'rate/z/{step}': np.array([0.0, 0, step]) for step in (10, 2, 1)}
  curves, bars = figures.rates(drawing_run(metrics={'train': train})).axes
  (line,) = curves.lines
  np.testing.assert_array_equal(line.get_ydata(), [9, 8, 7])
  assert [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in bars.patches] == [(1, 1), (2, 2), (10, 10)]
  assert bars.get_xlabel() == 'step of z' and 'at the end, train' in bars.get_title() and '0.5' in bars.get_title()


def test_units_of_steps_are_in_one_row():
  """Steps down, units across, the most active first; what has no covariance has no correlations."""
  of_steps = {}
  for step, active in (('z/1', (0.5, 20.0, 10.0)), ('z/2', (0.1, 2.0, 0.3))):
    own = {'mean': np.zeros(3), 'variance_of_mean': 0.01 * np.array(active), 'active_above': np.full(3, 0.01)}
    own |= {'prior_entropy': np.full(3, 2.0), 'encoder_entropy': np.array([1.9, 0.5, 1.0])}
    own |= {'collapsed_above': np.full(3, 1.6), 'correlation': np.eye(3)}
    of_steps |= {f'{step}.{name}': value for name, value in own.items()}
  drawn = figures.latents(drawing_run(arrays=lambda name, split: of_steps), 'test')
  activity, entropies, correlations = drawn.axes[:3]
  np.testing.assert_allclose(10 ** activity.images[0].get_array(), [[20, 10, 0.5], [2, 0.3, 0.1]])
  np.testing.assert_allclose(entropies.images[0].get_array(), [[1.5, 1, 0.1]] * 2)
  assert activity.get_title() == 'z: 3 of 6 units active' and entropies.get_title() == 'z: 4 not collapsed'
  np.testing.assert_array_equal(correlations.images[0].get_array(), np.eye(3))
  few = {name: value for name, value in of_steps.items() if 'correlation' not in name}
  assert not figures.latents(drawing_run(arrays=lambda name, split: few), 'test').axes[2].images

  tells = {'q.z/1': np.array([0.1, 0.4]), 'q.z/2': np.array([0.3, 0.2]), 'p.z/2': np.array([0.0, 0.1])}
  under_q, under_p = figures.unit_information(drawing_run(arrays=lambda name, split: tells), 'test').axes[:2]
  np.testing.assert_array_equal(under_q.images[0].get_array(), [[0.4, 0.1], [0.3, 0.2]])
  assert [text.get_text() for text in under_p.get_yticklabels()] == ['2']


@pytest.mark.parametrize('stack', [False, True])
def test_canvases(run, stack, monkeypatch):
  """x, and what there is after each step, rows alike; of twelve steps ten, and of pictures of three images four."""
  rng = np.random.default_rng(0)
  arrays = {'x': rng.random((9, 4, 4, 3)), 'reconstruction': rng.random((9, 12, 4, 4, 3))}
  arrays |= {'prior': rng.random((9, 12, 4, 4, 3)), 'context': np.arange(9), 'value_range': np.array([0.0, 1.0])}
  data = {'name': 'x', 'shape': [4, 4, 3], 'sizes': {'train': 1}, 'scaling': {'center': 0.0, 'width': 1.0}}
  data |= {'fingerprint': 1, 'observation': {'low': 0.0, 'high': 1.0, 'levels': 2, 'stack': stack}}
  found = types.SimpleNamespace(arrays=lambda name, split: arrays, data=data)
  drawn = figures.canvases(found, 'test')
  reconstruction, prior = drawn.axes[1:]
  columns = np.array([0, 4, 7, 11] if stack else [0, 1, 2, 4, 5, 6, 7, 9, 10, 11])
  for axis, name in ((reconstruction, 'reconstruction'), (prior, 'prior')):
    shown = arrays[name][:8, columns].reshape(-1, 4, 4, 3)
    np.testing.assert_allclose(
      np.squeeze(axis.images[0].get_array()), np.squeeze(grid(shown, (0, 1), len(columns), stack))
    )
  words = [text.get_text() for text in drawn.texts]
  assert '12 steps t, test split' in words[0] and [str(1 + column) for column in columns] == words[-len(columns) :]
  assert set('01234567') <= set(words)
  monkeypatch.setattr(figures, 'OF_THE_RUN', {})
  monkeypatch.setattr(figures, 'OF_A_SPLIT', {'canvases': lambda *of: drawn})
  assert draw(run, 'test') == [run.figures / 'canvases.png'] and not drawn._suptitle  # it says the split itself


def test_information_is_below_that_of_all_states():
  arrays = {'q.z2': np.array([1.0, 2.0]), 'states.z2': np.array(10)}
  (axis,) = figures.unit_information(gumbel_run(arrays=lambda name, split: arrays), 'test').axes
  assert axis.lines[0].get_ydata()[0] == np.log(10) and axis.get_xlabel() == 'unit, sorted'


@pytest.mark.parametrize('shape', [(8, 8, 1), (5,)])
def test_tiles(run, shape, tmp_path):
  """Three panels of images, two of vectors; what is not covered is red."""
  rng = np.random.default_rng(0)
  ratio = np.zeros((161, 161))
  ratio[:, :40] = -9.0  # the left quarter: a hole
  arrays = {'z': rng.normal(size=(50, 7, 2)), 'x': rng.random((7, *shape)), 'label': np.arange(7)}
  arrays |= {'log_ratio': ratio, 'axis': np.linspace(-4, 4, 161), 'tile': rng.random((3, 3, *shape))}
  arrays |= {'value_range': np.array([0, 1]), 'hole_mass': np.array(0.25)}
  run.write_found(20, 'test', 'tiles', {}, {}, arrays)
  run.write_evaluation(20, 'test')
  drawn = figures.tiles(run, 'test')
  assert len(drawn.axes) == (4 if len(shape) == 3 else 3)  # with the bar of colours
  assert drawn.axes[1].get_title() == 'log10 q(z) / p(z); red: holes, 25.0% of p(z)'
  drawn.savefig(tmp_path / 'tiles.png', dpi=50)
  picture = matplotlib.image.imread(tmp_path / 'tiles.png')
  red = (picture[..., 0] > 0.7) & (picture[..., 1:3].max(-1) < 0.3)
  assert 0.01 < red.mean() < 0.2


def test_channels_that_are_images():
  """Beside each other in grey, with a line between them; a colour is a colour."""
  rng = np.random.default_rng(0)
  for channels in (2, 3):
    images = rng.random((4, 5, 5, channels))
    found = grid(images, (0.0, 1.0), 2, stack=True)
    assert found.shape == (2 * 6 - 1, 2 * (6 * channels) - 1, 1)
    for channel in range(channels):
      np.testing.assert_allclose(found[:5, 6 * channel :, 0][:, :5], images[0, ..., channel], rtol=1e-6)
    assert (found[:5, 5] == 0.5).all() and (found[:5, 6 * channels - 1] == 1).all()
  np.testing.assert_array_equal(grid(images[..., :2], (0.0, 1.0)), grid(images[..., :2], (0.0, 1.0), stack=True))
  assert grid(images, (0.0, 1.0)).shape[-1] == 3


@pytest.mark.parametrize(('channels', 'of_context'), [(1, 1), (1, 2), (2, 1)])
def test_contexts_are_in_the_places_of_their_samples(run, channels, of_context):
  """Whichever is several images: as many rows and columns of both."""
  rng = np.random.default_rng(0)
  samples = {name: rng.random((9, 4, 4, channels)) for name in ('x', 'reconstruction', 'prior')}
  samples |= {'context': rng.random((9, 4, 4, of_context)), 'value_range': np.array([0, 1])}
  run.write_found(20, 'test', 'samples', {}, {}, samples)
  left, right = (axis.images[0].get_array() for axis in figures.prior_samples(run).axes)
  assert left.shape[0] == right.shape[0]
  cells = [(picture.shape[1] + 1) / (4 * n + n) for picture, n in ((left, of_context), (right, channels))]
  assert cells[0] == cells[1] == 3


def test_a_task(tmp_path):
  """A context that is images, one that is a label, and none."""
  run = Run(tmp_path / 'run')
  run.workdir.mkdir()
  data = {'name': 'x', 'shape': [4, 4, 3], 'sizes': {'train': 1}, 'scaling': {'center': 0.0, 'width': 1.0}}
  data |= {'fingerprint': 1, 'observation': {'low': 0.0, 'high': 1.0, 'levels': 2, 'stack': True}}
  run.begin(spec_lib.resolve(spec_lib.base(('z1',))), data, {'versions': {}})
  rng = np.random.default_rng(0)
  arrays = {'x': rng.random((3, 4, 4, 3)), 'sample': rng.random((3, 2, 4, 4, 3)), 'label': np.arange(3)}
  arrays['value_range'] = np.array([0.0, 1.0])
  for split, more in (
    ('test', {'context': rng.random((3, 4, 4, 2)), 'turns': np.array([0, 3, 9]), 'accuracy': np.array(0.5)}),
    ('train', {'context': np.arange(3)}),
    ('validation', {}),
  ):
    run.write_found(1, split, 'task', {}, {}, arrays | more)
    run.write_evaluation(1, split)
    drawn = figures.task(run, split)
    axes = drawn.axes
    assert [axis.get_title() for axis in axes][:-1] == (['context', 'x'] if split == 'test' else ['x'])
    assert [axis.images[0].get_array().ndim for axis in axes] == [2] * len(axes)  # grey
    words = [text.get_text() for text in axes[0].get_yticklabels()]
    assert words == (['0, 0\u00b0', '1, 90\u00b0', '2, 270\u00b0'] if split == 'test' else ['0', '1', '2'])
    assert axes[-1].get_title() == 'samples'
    assert drawn.get_supxlabel() == ('samples: 50.0% right' if split == 'test' else '')
