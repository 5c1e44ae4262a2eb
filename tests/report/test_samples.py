"""Pictures of samples from their arrays alone."""

import matplotlib.image
import numpy as np
import pytest

from tfvae.report import contexts
from tfvae.report import samples as report
from tfvae.report.images import grid
from tfvae.report.sheet import EDGE, GAP, LINE
from tfvae.trained import Run


def arrays(example):
  """What tfvae.analysis.sampling leaves of a two-layer model, for examples of a shape."""
  rng = np.random.default_rng(0)
  about = {'value_range': np.array([0, 1]), 'split': np.array('test')}
  x = lambda *lead: rng.random((*lead, *example))
  traversals = {'units': np.array([4, 1]), 'offsets': np.array([-1.0, 0, 1]), 'rate': rng.random(5)}
  layers = {'variance': np.array(0.2), 'total_variance': np.array(0.3)}
  found = {
    'prior': {'mean': x(4), 'draw': x(4), 'x': x(4)},
    'reconstructions': {'x': x(4), 'mean': x(4), 'samples': x(4, 2), 'mse': x(4).std(1).ravel()[:4]},
    'traversals-z2': {'x': x(4), 'mean': x(4, 2, 3), **traversals},
    'interpolations': {'x': x(2, 2), 'mean': x(2, 2, 3), 'moved': np.array(['z2', 'z2+z1'])},
    'layers-z1': {'mean': x(5, 3), **layers},
  }
  found['reconstructions']['samples_mse'] = rng.random((4, 2))
  return {name: named | about for name, named in found.items()}


def pictures(tmp_path, found):
  run = Run(tmp_path)
  run.workdir.mkdir(exist_ok=True)
  for name, named in found.items():
    run.write_samples(name, 7, named)
  paths = report.draw(run)
  assert [path.name for path in paths] == [f'{name}.png' for name in sorted(found)]
  return {path.stem: matplotlib.image.imread(path)[..., :3] for path in paths}


@pytest.mark.parametrize('channels', [1, 3])
def test_sheets_show_every_pixel_as_a_square(tmp_path, channels):
  found = arrays((8, 8, channels))
  drawn = pictures(tmp_path, found)
  scale, cell = 8, 72  # pixels of an image's pixel, and from one image to the next
  left, top = EDGE, EDGE + 2 * LINE  # the title, and those of the panels
  expected = np.kron(grid(found['prior']['mean'], (0, 1)), np.ones((scale, scale, 1)))
  shown = drawn['prior'][top : top + len(expected), left : left + expected.shape[1]]
  np.testing.assert_allclose(shown, np.broadcast_to(expected, shown.shape), atol=2 / 255)
  # Two panels of 2 columns; the kept sample and 2 draws. Rows: 2; 2 pairs of 2, below a title of two lines.
  edges, gap = 2 * EDGE, GAP
  assert drawn['prior'].shape == (top + 2 * cell - scale + EDGE, edges + gap + 4 * cell - 2 * scale, 3)
  assert drawn['layers-z1'].shape[1] == edges + gap + 3 * cell - 2 * scale
  assert drawn['interpolations'].shape[0] == top + LINE + 2 * (2 * cell - scale + EDGE)


def test_pictures_as_pdf(tmp_path):
  run = Run(tmp_path)
  for name, named in arrays((8, 8, 1)).items():
    run.write_samples(name, 7, named)
  paths = report.draw(run, ['prior', 'layers-z1'], ('png', 'pdf'))
  assert [path.name for path in paths] == ['prior.png', 'prior.pdf', 'layers-z1.png', 'layers-z1.pdf']
  assert all(path.read_bytes()[:5] == b'%PDF-' for path in paths[1::2])


def test_a_mode_has_a_row_of_its_own(tmp_path):
  plain = {'reconstructions': arrays((8, 8, 1))['reconstructions']}
  both = {'reconstructions': {**plain['reconstructions'], 'mode': 1 - plain['reconstructions']['mean']}}
  rows = [pictures(tmp_path / str(i), found)['reconstructions'] for i, found in enumerate((plain, both))]
  assert rows[1].shape[0] - rows[0].shape[0] >= 72  # and a line more of its title
  shown = np.kron(grid(both['reconstructions']['mode'], (0, 1), 4), np.ones((8, 8, 1)))
  width = shown.shape[1]
  found = [
    (row, column)
    for row in range(rows[1].shape[0] - 64)
    for column in range(rows[1].shape[1] - width + 1)
    if abs(rows[1][row, column, 0] - shown[0, 0, 0]) < 0.005
    and np.abs(rows[1][row : row + 64, column : column + width] - shown).max() < 0.01
  ]
  assert len(found) == 1


def test_other_data_become_lines(tmp_path):
  drawn = pictures(tmp_path / 'table', arrays((7,))).values()
  column = pictures(tmp_path / 'column', {'prior': arrays((1,))['prior']}).values()
  for picture in (*drawn, *column):
    assert min(picture.shape[:2]) > 200 and picture.std() > 0.01


def test_contexts_as_text_and_as_pictures():
  assert contexts.words(np.array([3, 0])) == ['3', '0'] and contexts.pictures(np.array([3, 0]), 8, (0, 1)) is None
  numbers = np.array([[0.5, -1.0, 0.25, 0.0]])
  assert contexts.words(numbers) == ['0.5, -1, 0.25, ...']
  bars = contexts.pictures(numbers, 9, (2, 4))[0, ..., 0]  # two pixels wide, from the line in the middle
  np.testing.assert_array_equal((bars[:, ::2] == 2).sum(0), [3, 5, 2, 1])
  assert bars.shape == (9, 8) and np.all(bars[4] == 2) and bars[8, 2] == 2 and bars[2, 0] == 2 and bars[0].min() == 4
  images = np.arange(4.0).reshape(1, 2, 2, 1) / 3
  np.testing.assert_array_equal(
    contexts.pictures(images, 4, (0, 1))[0, ..., 0], np.kron(images[0, ..., 0], np.ones((2, 2)))
  )
  np.testing.assert_allclose(contexts.pictures(7 * images - 3, 2, (0, 1)), images, atol=1e-9)  # of their own limits
  assert contexts.pictures(np.ones((1, 2, 2, 2)), 2, (0, 1)).shape == (1, 2, 5, 1)  # channels that are images
  assert contexts.words(images) == ['']


@pytest.mark.parametrize('context', [(), pytest.param((5,), marks=pytest.mark.slow), (8, 8, 2)])
def test_contexts_are_beside_their_samples(tmp_path, context):
  rng, found = np.random.default_rng(1), arrays((8, 8, 1))
  own = rng.integers(0, 10, 4) if not context else rng.random((4, *context))
  found = {name: found[name] | {'context': own} for name in ('prior', 'reconstructions')}
  found['reconstructions']['target'] = 1 - found['reconstructions']['x']
  found['contexts'] = {'mean': rng.random((4, 3, 8, 8, 1)), 'x': rng.random((4, 8, 8, 1)), 'context': own}
  found['contexts'] |= {'value_range': np.array([0, 1]), 'split': np.array('test')}
  drawn = pictures(tmp_path, found)
  plain = arrays((8, 8, 1))
  assert drawn['reconstructions'].shape[0] >= pictures(tmp_path / 'plain', plain)['reconstructions'].shape[0] + 72
  expected = np.kron(grid(found['contexts']['mean'].reshape(12, 8, 8, 1), (0, 1), 3), np.ones((8, 8, 1)))
  shown = drawn['contexts'][-EDGE - len(expected) : -EDGE, -EDGE - expected.shape[1] : -EDGE]
  np.testing.assert_allclose(shown, np.broadcast_to(expected, shown.shape), atol=2 / 255)
  lines = {'contexts': found['contexts'] | {'mean': rng.random((4, 3, 7)), 'x': rng.random((4, 7))}}
  assert pictures(tmp_path / 'lines', lines)['contexts'].std() > 0.01


def test_the_steps_of_one_that_repeats(tmp_path):
  """One row for a unit of a step, and one column for a step, with its share of the variance below."""
  found, rng = arrays((8, 8, 1)), np.random.default_rng(2)
  steps = {'rate': np.array([[0.1, 3.0], [2.0, 0.2]]), 'of_steps': np.array([1, 2]), 'units': np.array([1, 0])}
  moved = found['traversals-z2'] | steps
  assert report._unit_labels(moved, moved['units']) == ['step 1, unit 1\n3.00 nats', 'step 2, unit 0\n2.00 nats']
  fresh = found['layers-z1'] | {'mean': rng.random((4, 21, 8, 8, 1)), 'variance': np.linspace(0, 0.3, 20)}
  drawn = pictures(tmp_path, {'traversals-z': moved, 'layers-z': fresh})
  shown = fresh['mean'][:, 1 + np.linspace(0, 19, 16).round().astype(int)].reshape(64, 8, 8, 1)
  expected = np.kron(grid(shown, (0, 1), 16), np.ones((8, 8, 1)))
  right = drawn['layers-z'].shape[1] - EDGE
  column = drawn['layers-z'][:, right - expected.shape[1] : right]
  (top,) = (
    row
    for row in range(len(column) - len(expected))
    if np.abs(column[row : row + len(expected)] - expected).max() < 0.01
  )
  assert column[top + len(expected) + 8 :].min() < 0.5  # shares are below
