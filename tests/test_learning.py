"""What training must do: betas move information between the layers, and linear models meet their optimum."""

import numpy as np
import pytest
import scipy.stats
from conftest import ROOT

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.data.dataset import Stored, make
from tfvae.trained import Run
from tfvae.training.loop import Trainer
from tfvae.training.signals import StopSignal


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])


def assert_information_moves(spec, tmp_path):
  """Raising beta.z2 lowers rate/z2 each time, and raises rate/z1 or the distortion."""
  found = []
  for beta in (0.2, 1.0, 5.0):
    fields = {'objective.beta.z2': beta, 'eval.every': 0, 'eval.evaluators': ('bounds',)}
    run = commands.train(spec_lib.resolve(spec, fields), tmp_path / str(beta))
    found.append(run.evaluation)
  low, middle, high = found
  assert low['rate/z2'] > middle['rate/z2'] > high['rate/z2']
  for before, after in ((low, middle), (middle, high)):
    assert after['rate/z1'] > before['rate/z1'] or after['log_likelihood'] < before['log_likelihood']


def test_betas_move_information(tmp_path):
  """Two small dense layers."""
  spec = spec_lib.base(('z2', 'z1'))
  for net in (spec.model.z2.encoder, spec.model.z1.encoder, spec.model.z1.posterior, spec.model.z1.prior):
    net.hidden = (32,)
  spec.decoder.sigma = 0.3
  spec.train.steps = 600
  spec.train.learning_rate = 3e-3
  assert_information_moves(spec, tmp_path)


@pytest.mark.slow
def test_betas_move_information_in_hit(tmp_path):
  """The default of specs/hit.py, as long as it is."""
  assert_information_moves(spec_lib.load(ROOT / 'specs/hit.py'), tmp_path)


def train_on(spec, data, workdir):
  run = Run(workdir)
  run.open(spec)
  with StopSignal() as stop:
    trainer = Trainer(spec, run, data)
    trainer.train(stop)
    numbers = trainer.finish()
  run.close()
  return trainer, numbers


def test_where_sigma_begins_decides_whether_circle_collapses(tmp_path):
  """specs/entropies.py, published, shortened: from log sigma^2 = -9 the units are used, from 0 they are not."""
  rates = {}
  for vae in ('vae1', 'vae3'):
    fields = {'train.steps': 600, 'eval.every': 0, 'eval.evaluators': ('bounds',), 'eval.also': ()}
    spec = spec_lib.load(f'{ROOT}/specs/entropies.py:circle,{vae},published', fields)
    rates[vae] = commands.train(spec, tmp_path / vae).evaluation['rate']
  assert rates['vae1'] > 4 and rates['vae3'] < 0.1


@pytest.mark.parametrize('variance', ['learned', 'optimal'])
def test_a_linear_vae_meets_probabilistic_pca(tmp_path, variance):
  """The optimum of the linear VAE's ELBO is the likelihood of probabilistic PCA (Lucas et al. 2019).

  With annealing, a decaying learning rate, clipping and a separate rate for the variance, all at once.
  """
  rng = np.random.default_rng(0)
  n, d, h = 2000, 6, 2
  x = (rng.standard_normal((n, h)) @ rng.standard_normal((h, d)) + 0.5 * rng.standard_normal((n, d))).astype(np.float32)
  spec = spec_lib.base(('z1',))
  spec.data.update({'scaling': 'none', 'batch_size': 200})
  spec.model.z1.dim = h
  spec.model.z1.encoder.kind = spec.decoder.net.kind = 'linear'
  spec.decoder.variance = variance
  spec.objective.update({'num_samples': 8, 'anneal': 'linear', 'anneal_from': 0.1, 'anneal_end': 0.2})
  spec.train.update(
    {'steps': 4000, 'learning_rate': 0.01, 'schedule': 'cosine', 'schedule_final': 0.0, 'clip_norm': 50.0}
  )
  spec.train.update({'variance_learning_rate': 0.02, 'log_every': 1000, 'checkpoint_every': 4000})
  spec.eval.update({'every': 0, 'split': 'train', 'num_samples': 50, 'evaluators': ('bounds', 'entropies')})
  spec = spec_lib.resolve(spec)
  data = make(Stored('pca', {'train': {'x': x}, 'test': {'x': x}}), spec.data, 0)
  assert not build.problems(spec, data)
  trainer, numbers = train_on(spec, data, tmp_path / 'run')

  eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]
  noise = eigenvalues[h:].mean()
  ppca = -0.5 * (d * np.log(2 * np.pi) + np.log(eigenvalues[:h]).sum() + (d - h) * np.log(noise) + d)
  assert numbers['elbo'] == pytest.approx(ppca, abs=0.02)
  assert numbers['sigma'] == pytest.approx(np.sqrt(noise), rel=0.02)
  assert abs(numbers['elbo_minus_entropies']) < 0.05
  # The exact likelihood of the trained model, from its weights: above its ELBO, below the optimum.
  head = trainer.model.decoder.likelihood.head.map
  w, b = head.kernel.numpy().T, head.bias.numpy()
  covariance = w @ w.T + numbers['sigma'] ** 2 * np.eye(d)
  exact = scipy.stats.multivariate_normal(b, covariance).logpdf(x).mean()
  assert numbers['elbo'] - 0.01 < exact < ppca + 1e-4
