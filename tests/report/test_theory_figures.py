"""Figures of fixed points and of collapse, from arrays alone."""

import matplotlib.image
import numpy as np
import pytest
from PIL import Image

from tfvae.report import collapse, fixed_points


def arrays_of(grid, dims):
  """What a sweep leaves, of points that part at T = 0.5."""
  rng, t = np.random.default_rng(0), np.linspace(1, 0.01, 4)
  data, count = rng.standard_normal((20, dims)), int(np.prod(grid))
  tiles = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in grid], indexing='ij'), -1).reshape(count, -1)
  places = np.pad(tiles, ((0, 0), (0, 3)))[:, :dims]
  points = np.maximum(0.5 - t, 0)[:, None, None] * places
  error = np.minimum(t, 0.5)
  own = {'error': error, 'curvature': np.full(2, 0.5), 'critical': np.array([0.5])}
  return {
    'data': data, 'grid': np.array(grid), 'tiles': tiles, 'eigenvalues': np.array([0.5]), 'temperatures': t,
    'points': points, **own, **{f'up.{name}': value for name, value in own.items()},
  }  # fmt: skip


@pytest.mark.parametrize(('grid', 'dims'), [((3, 4), 2), ((5,), 3), ((2, 2, 2), 3), ((3, 2), 1)])
def test_points(grid, dims):
  panels = fixed_points.points(arrays_of(grid, dims)).axes
  assert panels[0].get_title() == f'latent grid, {" x ".join(map(str, grid))}'
  assert [axis.get_title() for axis in panels[1:]] == ['T = 1', 'T = 0.67', 'T = 0.34', 'T = 0.01']
  assert all(len(axis.collections) >= 2 for axis in panels[1:])


def test_points_and_energies_are_drawn(tmp_path):
  arrays = arrays_of((5,), 3)
  for name, drawn in (('points', fixed_points.points(arrays)), ('energies', fixed_points.energies(arrays))):
    drawn.savefig(tmp_path / f'{name}.png', dpi=30)
    assert matplotlib.image.imread(tmp_path / f'{name}.png')[..., :3].std() > 0.01


def test_lines_join_neighbours_where_points_keep_their_order():
  arrays = arrays_of((4, 4), 2)
  of_last = lambda: len(fixed_points.points(arrays).axes[-1].collections)
  assert of_last() == 3  # data, lines, points
  arrays['points'] = arrays['points'][:, np.random.default_rng(0).permutation(16)]
  assert of_last() == 2


def test_near_tiles_have_near_colours():
  for grid in ((50,), (20, 20), (6, 6, 6)):
    arrays = arrays_of(grid, 2)
    colours = fixed_points.colours(arrays['tiles'])
    assert colours.shape == (np.prod(grid), 3) and colours.min() >= 0 and colours.max() <= 1
    assert len(np.unique(colours.round(3), axis=0)) > 0.8 * len(colours)


def test_the_animation_has_a_frame_for_each_temperature(tmp_path):
  fixed_points.animation(arrays_of((3, 3), 2), tmp_path / 'points.gif')
  with Image.open(tmp_path / 'points.gif') as picture:
    assert picture.n_frames == 4


def test_collapse(tmp_path):
  variances = np.geomspace(0.1, 4, 5)
  kept = np.maximum([2.0, 0.5], variances[:, None])
  rates, gram = 0.5 * np.log(kept / variances[:, None]), kept - variances[:, None]
  arrays = {'eigenvalues': np.array([2.0, 0.5, 0.1]), 'beta': np.array(1.0)}
  arrays |= {'theory.variances': variances, 'theory.rates': rates, 'theory.gram': gram}
  arrays |= {'nonlinear.variances': variances, 'nonlinear.rates': np.pad(rates, ((0, 0), (0, 2)))}  # more units
  assert [axis.get_title() for axis in collapse.collapse(arrays).axes] == ['nonlinear VAE']
  arrays |= {'linear.variances': variances, 'linear.rates': rates, 'linear.gram': gram}
  drawn = collapse.collapse(arrays)
  assert [axis.get_title() for axis in drawn.axes] == ['linear VAE', 'nonlinear VAE', 'linear VAE']
  drawn.savefig(tmp_path / 'collapse.png', dpi=30)
  assert matplotlib.image.imread(tmp_path / 'collapse.png')[..., :3].std() > 0.01
