"""specs/symmetric.py as a user runs it: learning, continuing, sampling, mistakes."""

import json

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.errors import SpecError, UserError
from tfvae.observation import Observation

SHORT = {'train.steps': 40, 'train.checkpoint_every': 10, 'train.log_every': 10, 'eval.every': 20}


def load(words='', **fields):
  return spec_lib.load(f'{ROOT / "specs/symmetric.py"}:{words}', SHORT | fields)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  return commands.train(load(), tmp_path_factory.mktemp('symmetric') / 'run')


@pytest.mark.slow
def test_gaussian_layers_learn(tmp_path, monkeypatch):
  """Two of them, by both players; a collapsed model reaches an ELBO of -7."""
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  fields = {f'model.{layer}.scale_head': 'softplus' for layer in ('z2', 'z1')} | {'eval.every': 0, 'train.steps': 600}
  fields |= {'objective.name': 'symmetric', 'eval.evaluators': ('bounds', 'players'), 'eval.during': ()}
  run = commands.train(spec_lib.load(ROOT / 'specs/hit.py', fields), tmp_path / 'run')
  numbers = run.evaluation
  assert numbers['elbo'] > -5 and numbers['rate/z1'] > 3
  assert np.isfinite(numbers['loss/inference'])


def test_what_a_run_leaves(run):
  train = run.metrics['train']
  assert {'elbo', 'loss/generative', 'loss/inference', 'gradient_norm/inference', 'unit_information/p/z1'} <= set(train)
  assert not any(name.startswith('statistic/') for name in train)
  assert train['loss/generative'][-1] < train['loss/generative'][0]
  assert {'limiting.png', 'unit_information.png'} <= {path.name for path in run.figures.iterdir()}
  limiting = run.arrays('limiting', 'test')
  assert limiting['limiting'].shape == (64, 8, 8, 1) and np.abs(limiting['limiting'] - limiting['prior']).max() > 0


@pytest.mark.slow
def test_bits_have_rates_that_are_asked_for(tmp_path, monkeypatch):
  """The word elbo with targets: their betas move as they should, and both splits are told of in mid-training."""
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  fields = {'constraint.names': 'rate', 'constraint.rate.z2': 4, 'constraint.rate.z1': 8, 'eval.also': 'train'}
  run = commands.train(load('elbo', **fields, **{'train.steps': 60, 'train.log_every': 1}), tmp_path / 'run')
  train, asked = run.metrics['train'], {'z2': 4, 'z1': 8}
  for layer, nats in asked.items():
    excess = train[f'rate/{layer}'] - nats
    np.testing.assert_allclose(train[f'constraint/rate/{layer}'], excess, rtol=1e-4, atol=1e-4)
    average, log_beta = excess[0], [0.0]
    for value in excess[:-1]:
      average = average if len(log_beta) == 1 else 0.9 * average + 0.1 * value
      log_beta.append(log_beta[-1] + 0.01 * np.clip(average / nats, -1, 1))
    np.testing.assert_allclose(train[f'beta/{layer}'], np.exp(log_beta), rtol=1e-4)
    row = run.metrics['test']
    assert list(row['step']) == [20, 40, 60]
    np.testing.assert_allclose(row[f'constraint/rate/{layer}'], row[f'rate/{layer}'] - nats, rtol=1e-4, atol=1e-4)
  assert not np.allclose(train['beta/z2'], train['beta/z1'])


def test_running_averages_are_those_of_the_steps():
  """H(mean p) - mean H(p) of the batches seen, by weights 0.99^age; in nats, between 0 and log 2."""
  import tensorflow as tf

  from tfvae.families.bernoulli import DiagonalBernoulli, independent
  from tfvae.objectives.information import Information

  information = Information({'z1': DiagonalBernoulli((2,))}, {'q': ['z1'], 'p': []})
  rng, batches = np.random.default_rng(0), []
  for _ in range(5):
    probs = rng.uniform(0.01, 0.99, [1, 300, 2]).astype(np.float32)
    batches.append(probs[0])
    logits = tf.constant(np.log(probs / (1 - probs)))
    found = information.metrics({'q': {'z1': independent(logits, 1)}}, 300)
    means = tf.reduce_mean(found['statistic/q/z1'], 0)
    information.update({f'statistic/q/z1/{k}': means[k] for k in range(4)}, 0)
  weights = 0.99 ** np.arange(4, -1, -1)
  weights /= weights.sum()
  h = lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p)
  mean = sum(w * b.mean(0) for w, b in zip(weights, batches, strict=True))
  conditional = sum(w * h(b).mean(0) for w, b in zip(weights, batches, strict=True))
  np.testing.assert_allclose(information.value('q', 'z1'), h(mean) - conditional, rtol=1e-3)
  assert np.all((information.value('q', 'z1') > 0) & (information.value('q', 'z1') < np.log(2)))


def test_bits_that_never_change_tell_nothing():
  """Averages of probabilities of 1 leave [0, 1] by rounding."""
  from tfvae.families.bernoulli import DiagonalBernoulli
  from tfvae.objectives.information import Information

  information = Information({'z1': DiagonalBernoulli((2,))}, {'q': ['z1'], 'p': []})
  for _ in range(2000):
    information.update({f'statistic/q/z1/{k}': value for k, value in enumerate((0.0, 1.0, 0.0, 0.0))}, 0)
    np.testing.assert_allclose(information.value('q', 'z1'), [0, 0], atol=1e-4)


def test_samples_files_and_codes(run):
  fields = {'sample.num': 12, 'sample.files': ('png', 'npz'), 'sample.points': 30, 'eval.limiting.steps': 5}
  made = commands.sample(run.workdir, fields)
  assert set(made) == {'prior', 'limiting', 'reconstructions', 'codes'}
  with np.load(run.samples / 'limiting-uint8.npz') as archive:
    images = archive['arr_0']
  assert images.shape == (12, 8, 8, 1) and set(np.unique(images)) == {0, 255}
  np.testing.assert_array_equal(images[..., 0] > 0, made['limiting']['mean'][..., 0] > 0.5)
  files = sorted((run.samples / 'limiting').iterdir())
  assert [path.name for path in files] == [f'{i:05d}.png' for i in range(12)]
  np.testing.assert_array_equal(np.asarray(Image.open(files[3])), images[3, ..., 0])
  codes = made['codes']
  assert codes['z1.mean'].shape == (30, 32) and set(np.unique(codes['z1.mean'])) == {0.0, 1.0}
  assert codes['label'].shape == (30,)
  again = commands.sample(run.workdir, fields | {'sample.what': ('limiting',)})
  np.testing.assert_array_equal(again['limiting']['mean'], made['limiting']['mean'])


def test_posterior_by_enumeration(tmp_path):
  """exact log p(x) >= the ELBO, by KL(q || p(z | x)); beside importance sampling."""
  fields = {'model.z2.dim': 3, 'model.z1.dim': 5, 'eval.evaluators': ('bounds', 'posterior', 'log_evidence')}
  fields |= {
    'eval.during': (),
    'eval.posterior.examples': 20,
    'eval.log_evidence.examples': 20,
    'eval.num_samples': 200,
  }
  found = commands.train(load(**fields), tmp_path / 'run').evaluation
  assert found['posterior_kl'] > 0 and found['posterior_kl_reverse'] > 0 and 0 < found['posterior_distance'] < 1
  assert found['exact_log_likelihood'] - found['posterior_kl'] == pytest.approx(found['elbo_exact'], abs=1e-4)
  error = found['log_evidence_sampling_error']
  assert found['log_evidence'] == pytest.approx(found['exact_log_likelihood'], abs=5 * error + 1e-3)


def test_training_begins_from_another_run(run, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  fields = {'train.init_from': str(run.workdir), 'train.steps': 1, 'train.learning_rate': 1e-12}
  going_on = commands.train(load(**fields), tmp_path / 'more')
  np.testing.assert_allclose(going_on.evaluation['elbo'], run.evaluation['elbo'], atol=1e-4)
  for other, words in (
    ({'model.z1.dim': 31}, ['spec.train.init_from', 'hierarchy/z1_q/head/dense: ', '(64, 32) there, (64, 31) here']),
    ({'train.init_from': str(tmp_path / 'nowhere')}, ['spec.train.init_from', 'there is no such directory']),
  ):
    with pytest.raises(UserError) as error:
      commands.train(load(**fields | other), tmp_path / 'other')
    assert all(word in str(error.value) for word in words), error.value
    assert not (tmp_path / 'other').exists()


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'objective.estimator': 'zgr'}, 'spec.objective.estimator: got zgr'),
    ({'objective.kl': 'sampled'}, 'spec.objective.kl: got sampled, which is for the rates of spec.objective.name=elbo'),
    ({'objective.beta.z1': 2.0}, 'symmetric equilibrium learning has no betas'),
    (
      {'objective.name': 'elbo'},
      'spec.objective.estimator: got reparameterized, but samples of discrete layers have no gradient of their own; '
      'spec.objective.name=elbo, where z2, z1 are of bits, has one of zgr | straight_through | gumbel_sigmoid | '
      'straight_through_gumbel | score_function',
    ),
    ({'objective.name': 'elbo', 'objective.estimator': 'score_function'}, 'spec.objective.num_samples: got 1'),
    ({'objective.name': 'iwae'}, 'spec.objective.estimator: got reparameterized, but samples of discrete layers'),
    ({'prior.name': 'optimal'}, 'bits have standard or learned'),
    (
      {'eval.evaluators': ('posterior',)},
      'enumerates 65,536 states at most, those of 16 bits, but the layers have about 10^14',
    ),
    ({'eval.evaluators': ('latents',)}, 'which is for Gaussian layers, but z2, z1 are of bits'),
    ({'sample.what': ('interpolations',)}, 'interpolations go along units of Gaussian layers, but z2, z1 are of bits'),
    ({'model.z1.groups': 2}, 'spec.model.z1.groups: got 2; only layers of categories have groups'),
    ({'data.jitter': 0.1}, 'spec.data.jitter: got 0.1'),
    ({'decoder.net.kind': 'linear', 'decoder.net.skip': True}, 'spec.decoder.net.skip: got True'),
    ({'model.z2.family': 'gaussian'}, 'spec.objective.information: got True'),
  ],
)
def test_mistakes_are_named(fields, message):
  with pytest.raises(SpecError) as error:
    load(**fields)
  assert message in str(error.value)


def test_the_published_words_have_the_published_rates():
  """The authors sample the rates of the reverse encoder, and have KLs in closed form for the ladder."""
  kl = lambda words: spec_lib.load(f'{ROOT / "specs/symmetric.py"}:{words}').objective.kl
  assert kl('mnist,reverse,elbo') == kl('fashion_mnist,reverse,elbo') == 'sampled'
  for words in ('mnist,ladder,elbo', 'small_mnist,reverse,elbo', 'digits,reverse,elbo', 'mnist,reverse'):
    assert kl(words) == 'exact', words


def test_the_published_networks():
  """Shapes and numbers of parameters of the authors' code, by hand."""
  spec = load('mnist')
  model = build.model(spec, Observation((28, 28, 1)))
  conv = lambda k, i, o: k * k * i * o + o
  down = conv(3, 1, 32) + conv(2, 32, 32) + conv(3, 32, 64) + 2 * conv(3, 64, 64) + conv(3, 64, 128) + conv(4, 128, 600)
  # Between 1 x 1 and 4 x 4 a Dense layer: its bias is 4 x 4 times as large as a transposed convolution's.
  up = 16 * 128 * 101 + conv(3, 128, 64) + 2 * conv(3, 64, 64) + conv(3, 64, 32) + conv(2, 32, 32) + conv(3, 32, 1)
  dense = lambda i, o: i * o + o
  encoder = down + dense(600, 100) + 2 * dense(600, 600) + dense(600, 30) + 100 * 30
  prior = dense(30, 600) + dense(600, 600) + dense(600, 100) + 30 * 100
  assert build.num_parameters(model.players['inference']) == encoder
  assert build.num_parameters(model.players['generative']) == up + prior
  assert json.loads(spec_lib.to_json(spec))['model']['inference'] == 'ladder'
  with pytest.raises(UserError, match='it leads from images of 28 x 28 pixels'):
    build.model(spec, Observation((8, 8, 1)))
