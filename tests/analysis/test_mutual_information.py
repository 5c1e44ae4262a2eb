"""I_q(label; z) of Gaussian mixtures whose value is known, and of small models by enumeration."""

import math

import numpy as np
import pytest

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis.codes import Codes, Densities
from tfvae.analysis.evaluator import Split
from tfvae.analysis.mutual_information import MutualInformation
from tfvae.data import needs
from tfvae.data.dataset import Stored, make


def made(x, label, **fields):
  """A linear VAE whose q(z | x) is N(x, 1): the model, the split, the evaluator."""
  dims = x.shape[1]
  spec = spec_lib.base(('z1',))
  spec.model.z1.dim, spec.model.z1.encoder.kind, spec.model.z1.posterior.kind = dims, 'linear', 'linear'
  spec.model.z1.scale_head, spec.data.scaling, spec.eval.batch_size = 'shared', 'none', 500
  spec = spec_lib.resolve(spec, {'eval.evaluators': 'mutual_information', **fields})
  parts = {name: {'x': x.astype(np.float32), 'label': label} for name in ('train', 'test')}
  data = make(Stored('gaussians', parts, (-10.0, 10.0)), spec.data, 0)
  model = build.model(spec, data.observation)
  for variable in model.trainable_variables:
    if 'z1_q' in variable.path:
      variable.assign(np.eye(dims) if variable.path.endswith('kernel') else np.zeros(variable.shape))
  return model, Split(build.source(spec, data), 'test', spec), build.evaluators(spec, data.observation)[0]


@pytest.mark.parametrize('separation', [0.5, 2.0, 4.0])
@pytest.mark.parametrize('dims', [1, 2, 8])
def test_gaussian_mixtures(separation, dims):
  """Two labels, q(z | label) two Gaussians: one posterior each, of many examples."""
  label = np.arange(4000) % 2
  x = np.zeros((len(label), dims))
  x[:, 0] = separation * label
  model, split, evaluator = made(x, label, seed=1)
  found = evaluator.evaluate(model, split).numbers
  t = np.linspace(-12, 12 + separation, 200_001)
  p = [np.exp(-0.5 * (t - separation * c) ** 2) / math.sqrt(2 * math.pi) for c in (0, 1)]
  both = (p[0] + p[1]) / 2
  true = sum(0.5 * np.trapezoid(of * np.log(np.maximum(of, 1e-300) / np.maximum(both, 1e-300)), t) for of in p)
  assert found['label_entropy'] == pytest.approx(math.log(2)) and found['labels'] == 2
  assert found['mutual_information/z1'] == pytest.approx(true, abs=3 * found['mutual_information_standard_error/z1'])
  assert found['mutual_information_standard_error/z1'] < 0.02
  if dims <= 2:
    error = found['mutual_information_ksg_standard_error/z1']
    assert found['mutual_information_ksg/z1'] == pytest.approx(true, abs=3 * error + 0.02)


def test_numbers_of_a_hierarchy(monkeypatch):
  """By the densities: own sums, and codes of categories counted."""
  rng = np.random.default_rng(0)
  label = np.arange(200) % 4
  z = {'z2': np.eye(5)[label], 'z1': rng.normal(size=(200, 12))}
  densities = {
    1: Densities(np.arange(200), np.zeros(200), np.full(200, -2.0), np.full(200, -1.0)),
    2: Densities(np.arange(3), np.zeros(3), np.array([-3.0, -2.0, -1.0]), np.array([-1.0, -1.0, -1.0])),
  }
  monkeypatch.setattr('tfvae.analysis.mutual_information.codes', lambda *of: Codes(z, z, label))
  monkeypatch.setattr('tfvae.analysis.mutual_information.first_layer', lambda *of: densities[1])
  monkeypatch.setattr('tfvae.analysis.mutual_information.first_layers', lambda *of: densities[2])
  spec = spec_lib.base()

  class Family:
    def __init__(self, space):
      self.space = space

  class Model:
    families = {'z2': Family('one-hot'), 'z1': Family('real')}

  found = MutualInformation(spec).evaluate(Model, Split(_Source(), 'test', spec)).numbers
  assert found['mutual_information/z2'] == 1.0 and found['mutual_information/z2,z1'] == 1.0
  assert found['mutual_information_standard_error/z2,z1'] == pytest.approx(1 / math.sqrt(3))
  assert found['mutual_information_counts/z2'] == pytest.approx(math.log(4), abs=0.05)
  assert not [name for name in found if 'ksg' in name]  # twelve dimensions are too many


class _Source:
  class dataset:
    @staticmethod
    def size(split):
      return 200


@pytest.mark.parametrize(
  ('label', 'fields', 'said'),
  [
    (None, {}, 'got mutual_information, which needs labels, but the test split of gaussians has none; leave it out'),
    (np.linspace(0, 1, 20), {}, 'which needs labels that are whole numbers from 0, but those of the test split'),
    (
      np.arange(20) % 2,
      {'eval.mutual_information.neighbours': 20},
      'spec.eval.mutual_information.neighbours: got 20; allowed: less than the 20 examples of the test split',
    ),
  ],
)
def test_mistakes(label, fields, said):
  spec = spec_lib.resolve(spec_lib.base(('z1',)), {'eval.evaluators': 'mutual_information', **fields})
  part = {'x': np.zeros((20, 2), np.float32)} | ({} if label is None else {'label': label})
  parts = {'train': part, 'test': dict(part)}
  data = make(Stored('gaussians', parts, (0.0, 1.0)), spec.data, 0)
  assert any(said in problem for problem in needs.problems(spec, data)), list(needs.problems(spec, data))


def test_a_rare_label_leaves_neighbours_out(capsys):
  """And nothing else, and it is told."""
  label = np.array([0] * 27 + [1] * 3)
  model, split, evaluator = made(np.zeros((30, 2)), label)
  found = evaluator.evaluate(model, split).numbers
  assert 'mutual_information/z1' in found and 'mutual_information_ksg/z1' not in found
  assert 'left out. k must be below the 3 examples of the rarest label, got 5' in capsys.readouterr().out
