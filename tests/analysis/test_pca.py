"""Principal components of codes: of layers of a known covariance, and what is drawn of them."""

import numpy as np
import pytest

from tfvae import spec as spec_lib
from tfvae.analysis.codes import Codes
from tfvae.analysis.pca import Pca
from tfvae.report.pca import pca

N = 400


class _Source:
  class dataset:
    @staticmethod
    def size(split):
      return N


def found(monkeypatch, z, label, points=2000):
  from tfvae.analysis.evaluator import Split

  spec = spec_lib.base()
  spec.eval.num_points = points
  monkeypatch.setattr('tfvae.analysis.pca.codes', lambda *of: Codes(z, z, label))
  return Pca(spec).evaluate(None, Split(_Source(), 'test', spec))


def test_components_of_a_known_covariance(monkeypatch):
  rng = np.random.default_rng(0)
  white = rng.normal(size=(N, 4))
  white -= white.mean(0)
  white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T))).T  # of covariance I, exactly
  turned = np.linalg.qr(rng.normal(size=(4, 4)))[0]
  deviations = np.array([3.0, 2.0, 1.0, 0.5])
  z = {'z2': (5 + white * deviations @ turned.T).reshape(N, 2, 2), 'z1': white, 'z0': np.ones((N, 1))}
  at = found(monkeypatch, z, np.arange(N) % 3, points=50)
  np.testing.assert_allclose(at.arrays['z2.variance'], deviations**2, rtol=1e-6)
  assert at.numbers['pca_explained/z2'] == pytest.approx(13 / 14.25)
  assert at.numbers['pca_components/z2'] == 2 and at.numbers['pca_components/z1'] == 4
  assert at.numbers['pca_explained/z1'] == pytest.approx(0.5)
  assert at.numbers['pca_explained/z0'] == 0 and at.numbers['pca_components/z0'] == 0
  both = (white * deviations)[:50, :2]  # up to their signs
  np.testing.assert_allclose(np.abs(at.arrays['z2.z']), np.abs(both), rtol=1e-5, atol=1e-5)
  assert at.arrays['z0.z'].shape == (50, 2) and at.arrays['label'].shape == (50,)
  again = found(monkeypatch, z, None)
  assert 'label' not in again.arrays and again.arrays['z2.z'].shape == (N, 2)


@pytest.mark.parametrize('labels', [None, 3, 15, 40])
def test_the_figure(labels):
  rng = np.random.default_rng(0)
  arrays = {}
  for step in range(12):
    arrays |= {f'z/{step + 1}.z': rng.normal(size=(30, 2)), f'z/{step + 1}.variance': np.array([2.0, 1.0])[: 1 + step]}
  arrays |= {} if labels is None else {'label': np.arange(30) % labels if labels < 40 else np.arange(30) * 2}

  class Run:
    @staticmethod
    def arrays(name, split):
      return arrays if name == 'pca' else {}

  drawn = pca(Run, 'test')
  shown = [axis for axis in drawn.axes if axis.get_title()]
  assert shown[0].get_title() == 'z/1' and len(shown) == 8
  assert shown[0].get_xlabel() == 'component 1: 100% of the variance'
  names = [text.get_text() for legend in drawn.legends for text in legend.get_texts()]
  assert names == ([str(label) for label in range(labels)] if labels in (3, 15) else [])
