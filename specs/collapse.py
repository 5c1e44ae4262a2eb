"""Collapse as a phase transition: units of a VAE fall silent, one by one, as the decoder's variance grows.

    python launch.py --spec specs/collapse.py
    python launch.py --spec specs/collapse.py --spec.study.collapse.beta=4
    python launch.py --spec specs/collapse.py:table
    python launch.py --spec specs/collapse.py:table --spec.data.path=mine.csv --spec.study.collapse.units=4

No run of a single model: at each of many values of sigma^2, held fixed, a linear VAE by gradient descent with its
expectations in closed form, and a small nonlinear one, all in two compiled programs. Unit i of the linear one carries
information where T = beta sigma^2 is below l_i, an eigenvalue of the data's covariance, and then 1/2 log(l_i / T) nats
(Lucas et al. 2019; docs/theory.md): figures/collapse.png has the units' rates with these lines. Words, the data:

    pca (default)      2,000 points of 10 dimensions: linear in 9 latents, and noise
    table              a table: spec.data.path, or scikit-learn's breast cancer table; columns are scaled to variance 1
"""

from tfvae import spec as spec_lib


def get_config(variant=''):
  words = spec_lib.words(variant, ('pca', 'table'))
  spec = spec_lib.base(('z1',))

  if 'pca' in words:
    spec.data.name, spec.data.scaling = 'pca', 'none'
    spec.data.dims, spec.data.latents, spec.data.noise, spec.data.examples = 10, 9, 0.1, 2000
  else:
    spec.data.name, spec.data.scaling = 'table', 'standard'
  spec.eval.split = 'train'
  spec.eval.evaluators = spec.eval.during = ()

  spec.study.name = 'collapse'
  if 'table' in words:
    spec.study.collapse.units = 6
  return spec
