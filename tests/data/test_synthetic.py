"""Made data: deterministic, of the shapes that their names say."""

import numpy as np
import pytest

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.data import synthetic
from tfvae.errors import SpecError, UserError
from tfvae.spec.entries import SYNTHETIC


def section(name, **fields):
  spec = spec_lib.base(('z1',))
  spec.data.name, spec.data.examples = name, 4000
  spec.data.update({'changes': (1000, 3000)} if name == 'stream' else {})
  spec.data.update(fields)
  return spec.data


@pytest.mark.parametrize('name', SYNTHETIC)
def test_the_seed_alone_decides(name):
  one, again, other = (synthetic.load(section(name, seed=seed)) for seed in (3, 3, 4))
  for split in ('train', 'test'):
    assert one.splits[split]['x'].shape[0] == len(one.splits[split]['label']) == 4000
    np.testing.assert_array_equal(one.splits[split]['x'], again.splits[split]['x'])
    np.testing.assert_array_equal(one.splits[split]['label'], again.splits[split]['label'])
    assert not np.array_equal(one.splits[split]['x'], other.splits[split]['x'])
  assert not np.array_equal(one.splits['train']['x'], one.splits['test']['x'])
  label = one.splits['train']['label']
  assert label.dtype == np.int32 if name in ('8gauss', 'stream') else label.min() >= 0 and label.max() <= 1


def points(name, **fields):
  part = synthetic.load(section(name, **fields)).splits['train']
  return part['x'], part['label']


def test_points_lie_where_their_label_says():
  x, t = points('circle')
  np.testing.assert_allclose(np.angle(x @ [1, 1j]) % (2 * np.pi), 2 * np.pi * t, atol=1e-5)
  assert np.linalg.norm(x, axis=1).std() == pytest.approx(0.05, rel=0.05)
  x, t = points('line', noise=0.0)
  np.testing.assert_allclose(x, np.stack([3 * t, 4.5 * t + 2], -1), rtol=1e-5)
  x, t = points('cosine', noise=0.0)
  np.testing.assert_allclose(x[:, 1], 1 + np.cos(x[:, 0]))
  x, t = points('eight', noise=0.0)  # x^4 = x^2 - y^2, for twice the points
  np.testing.assert_allclose((2 * x[:, 0]) ** 4, (2 * x[:, 0]) ** 2 - (2 * x[:, 1]) ** 2, atol=1e-12)
  angle = 2 * np.pi * t
  np.testing.assert_allclose(2 * x, np.stack([np.cos(angle), np.sin(angle) * np.cos(angle)], -1), atol=1e-5)
  quarters = np.bincount((4 * t).astype(int), minlength=4) / 4000  # t over 5/2 pi: the last quarter twice
  np.testing.assert_allclose(quarters, [0.2, 0.2, 0.2, 0.4], atol=5 * np.sqrt(0.2 * 0.8 / 4000))
  x, number = points('8gauss')
  centers = np.array([x[number == k].mean(0) for k in range(8)])
  np.testing.assert_allclose(np.linalg.norm(centers - 1, axis=1), 0.4, atol=0.01)
  x, t = points('spiral_3d', noise=0.0)
  along, radius = (x[:, 2] - x[:, 0]) / 2, np.hypot((x[:, 0] + x[:, 2]) / 2 - 1.5, x[:, 1] - 1.5)
  np.testing.assert_allclose(along, 3 * t, atol=1e-5)
  np.testing.assert_allclose(radius, 2.5)
  x, _ = points('1d_gauss')
  assert x.shape == (4000, 1) and x.mean() == pytest.approx(3, abs=0.005)
  x, t = points('swiss_roll', noise=0.0)
  angle = 1.5 * np.pi * (1 + 2 * t)
  np.testing.assert_allclose(np.hypot(x[:, 0], x[:, 2]), angle, rtol=1e-5)


def test_manifold_is_a_function_of_its_first_dimensions():
  x, _ = points('manifold', latents=3, dims=20)
  assert x.shape == (4000, 20)
  squares = np.arccos(np.clip(x[:, 3:] / 0.35, -1, 1))
  pairs = [np.square(x[:, [a, b]]).sum(1) for a in range(3) for b in range(a, 3)]
  for column in range(17):  # cos hides what lies beyond pi
    errors = [np.abs(np.cos(squares[:, column]) - np.cos(pair)).max() for pair in pairs]
    assert min(errors) < 1e-6
  assert x[:, :3].std() == pytest.approx(0.35, rel=0.03)
  with pytest.raises(UserError, match=r'spec\.data\.latents: got 5; allowed: less than'):
    points('manifold', latents=5, dims=5)


def test_pca_has_its_ground_truth():
  fields = {'latents': 2, 'dims': 10, 'noise': 0.1}
  x, _ = points('pca', **fields)
  weights, mean = synthetic.linear_model(section('pca', **fields))
  covariance = weights @ weights.T + 0.01 * np.eye(10)
  np.testing.assert_allclose(x.mean(0), mean, atol=5 * np.sqrt(covariance.max() / 4000))
  np.testing.assert_allclose(np.cov(x.T), covariance, atol=6 * covariance.max() * np.sqrt(2 / 4000))
  ring, _ = points('pca_ring', **(fields | {'noise': 0.0}))
  z = (ring - mean) @ np.linalg.pinv(weights).T
  radius = np.linalg.norm(z, axis=1)
  assert radius.min() >= 1 - 1e-6 and radius.mean() == pytest.approx(1 + 0.1 * np.sqrt(np.pi / 2), abs=0.005)


def test_scaled_to_the_unit_square_and_fields_are_checked():
  spec = spec_lib.resolve(spec_lib.base(('z1',)), {'data.name': 'circle', 'data.examples': 500})
  data = build.dataset(spec)
  x = data.splits['train']['x']
  assert data.size('train') == data.size('test') == 500 and x.dtype == np.float32
  np.testing.assert_allclose([x.min(0), x.max(0)], [[0, 0], [1, 1]], atol=1e-6)
  with pytest.raises(SpecError, match=r'spec\.data\.noise: got 0\.2; only data of 1d_gauss .* have it, not digits'):
    spec_lib.resolve(spec_lib.base(('z1',)), {'data.noise': 0.2})
  with pytest.raises(SpecError, match=r'spec\.data\.dims: got 3; only data of manifold'):
    spec_lib.resolve(spec_lib.base(('z1',)), {'data.name': 'circle', 'data.dims': 3})
