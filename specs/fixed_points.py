"""High-capacity fixed points: what a VAE of unlimited nets does as its temperature falls (Rezende & Viola 2018).

    python launch.py --spec specs/fixed_points.py
    python launch.py --spec specs/fixed_points.py:circle,local
    python launch.py --spec specs/fixed_points.py:table --spec.data.path=mine.csv
    python launch.py --spec specs/fixed_points.py:published

No model is trained: on a grid of latent tiles the best posterior and the best reconstructions answer each other, at a
temperature T = beta sigma^2, until they stand still ("Taming VAEs", section 3.2 and appendix A; docs/theory.md). T
falls from above the largest eigenvalue of the data's covariance, where all tiles reconstruct the mean, and rises again:
figures/fixed_points.png and .gif show the points over the data, figures/energies.png E(T) with its critical
temperatures. Under a minute on two idle cores; published half of that. Words, the data:

    clusters (default)  eight clusters on a ring in the plane
    line | circle       in the plane
    helix               in space
    table               a CSV or NPZ file of one to three columns, spec.data.path; columns are scaled to variance 1

What keeps the decoder smooth (appendix B):

    free (default)      nothing
    local | global      distances of the points of neighbouring tiles, or of all pairs; each temperature begins at the
                        tiles' centres, so that tiles keep their order

How far the iterations go:

    settled (default)   12 x 12 tiles, until the points stand still
    published           32 x 32 tiles, 400 iterations that keep 0.9 of a point, or a step of 1e-3: near a critical
                        temperature points are then stopped before they leave
"""

from tfvae import spec as spec_lib

DATA = {'clusters': '8gauss', 'line': 'line', 'circle': 'circle', 'helix': 'spiral_3d', 'table': 'table'}


def get_config(variant=''):
  words = spec_lib.words(variant, tuple(DATA), ('free', 'local', 'global'), ('settled', 'published'))
  spec = spec_lib.base(('z1',))

  data = next(word for word in DATA if word in words)
  spec.data.name = DATA[data]
  spec.data.scaling = 'standard' if data == 'table' else 'none'
  if data != 'table':
    spec.data.examples = 400
  spec.eval.split = 'train'
  spec.eval.evaluators = spec.eval.during = ()

  spec.study.name = 'fixed_points'
  section = spec.study.fixed_points
  section.grid = (32, 32) if 'published' in words else (12, 12)
  if smooth := words & {'local', 'global'}:
    (section.lipschitz,) = smooth
    section.gamma = 0.02 if section.lipschitz == 'local' else 0.002
    section.warm = False
  if 'published' in words:
    section.smoothing, section.iterations, section.tolerance = 0.9, 400, 1e-3
  return spec
