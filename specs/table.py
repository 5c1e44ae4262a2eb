"""A table: one latent layer for the rows of a CSV or NPZ file.

    python launch.py --spec specs/table.py
    python launch.py --spec specs/table.py --spec.data.path=mine.csv --spec.data.label=class
    python launch.py --spec specs/table.py --spec.data.path=mine.npz

Without a path: scikit-learn's breast cancer table, 569 rows of 30 measurements (its label, the diagnosis, is not a part
of x). A fifth of the rows, drawn from the seed, is the test split. Each column is scaled to mean 0 and variance 1 over
the training split, and has a decoder variance of its own, learned from 1: what of a column the 4 latent units do not
explain. The label (a column by name or number) may be left away; all other columns must be numbers.

A table of fewer than 125 rows needs a smaller spec.data.batch_size.

What to expect after the 3,000 steps, seed 0, test split: elbo -22.0 nats. Densities of scaled columns can exceed 1, so
the elbo may be above 0, and only those of the same table can be compared.
"""

from tfvae import spec as spec_lib


def get_config(variant=''):
  spec_lib.words(variant, ('table',))
  spec = spec_lib.base(('z1',))

  spec.data.name = 'table'
  spec.data.scaling = 'standard'
  spec.data.test = 0.2
  spec.data.batch_size = 100

  spec.model.z1.dim = 4
  spec.model.z1.encoder.hidden = (64, 64)
  spec.decoder.net.hidden = (64, 64)
  spec.decoder.variance = 'per_dimension'
  spec.decoder.sigma = 1.0

  spec.train.steps = 3000
  spec.train.learning_rate = 1e-3
  spec.train.schedule = 'cosine'
  return spec
