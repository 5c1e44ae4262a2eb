"""Principal components of the codes of each layer."""

import numpy as np

from tfvae.analysis.codes import codes
from tfvae.analysis.evaluator import Evaluator, Found


class Pca(Evaluator):
  """The two directions in which the codes of a layer, z_l ~ q(z_l | x), vary most, found on all examples of the split.

  pca_explained/<layer>: the share of the total variance of z_l that the two explain, in (0, 1]; 0 of a layer whose
  codes are all the same. pca_components/<layer>: how many are needed for nine tenths of it. A layer that is the prior
  has all its directions alike: 2 / H, and nine tenths of H.

  Arrays, of each layer: <layer>.variance, of every component, [K], falling; and of the first eval.num_points examples
  <layer>.z [n, 2], their codes along the two, about the mean; label [n], where there are any. A feature map is taken
  as one vector. The sign of a component is that which makes the largest of its coefficients positive.
  """

  name = 'pca'

  def evaluate(self, model, split):
    from sklearn.decomposition import PCA

    found = split.once('codes', lambda: codes(model, split))
    numbers, arrays = {}, {}
    points = min(self.spec.eval.num_points, split.size)
    for layer, z in split.watched(iter(found.z.items()), len(found.z)):
      flat = np.asarray(z.reshape(len(z), -1), np.float64)
      # All components, exactly: in the smaller of the two spaces, and without a random start.
      solver = 'covariance_eigh' if flat.shape[1] <= len(flat) else 'full'
      with np.errstate(invalid='ignore'):  # of no variance at all
        fitted = PCA(svd_solver=solver).fit(flat)
      variance = fitted.explained_variance_
      share = np.cumsum(variance) / (variance.sum() or 1.0)
      numbers[f'pca_explained/{layer}'] = float(share[:2].max())
      numbers[f'pca_components/{layer}'] = float(1 + np.searchsorted(share, 0.9)) if variance.any() else 0.0
      arrays[f'{layer}.z'] = _two((flat[:points] - fitted.mean_) @ fitted.components_[:2].T)
      arrays[f'{layer}.variance'] = variance
    if found.label is not None:
      arrays['label'] = found.label[:points]
    return Found(numbers, arrays)


def _two(z):
  """[n, 2], of a layer of one unit, or of one example, too."""
  return np.pad(z, ((0, 0), (0, 2 - z.shape[1])))
