"""A run directory that tfvae 0.2 made before evaluators had sections and arrays a checkpoint each is read still."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.run.directory import Directory

OLD = pathlib.Path(__file__).parent / 'old_run'


@pytest.fixture
def workdir(tmp_path):
  return shutil.copytree(OLD, tmp_path / 'run')


def test_it_is_read(workdir):
  run = Directory(workdir)
  section = run.spec.eval.log_evidence
  assert (section.samples, section.examples, section.split, section.every) == (3, 5, '', 0)
  assert 'evidence_samples' in json.loads((OLD / 'spec.json').read_text())['eval']  # as it was called
  assert run.evaluation['step'] == 4 and len(run.metrics['train']['elbo']) == 3
  assert list(run.found(4, 'test')) == ['bounds', 'latents', 'log_evidence', 'samples']
  assert run.arrays('samples', 'test')['prior'].shape == (2, 8, 8, 1)


def test_it_is_evaluated_again_with_the_same_numbers_and_trained_further(workdir, monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  before = Directory(workdir).evaluation
  again = commands.evaluate(workdir)
  found = {name: value for name, value in again.items() if name in before}
  assert found.keys() == before.keys() - {'step', 'split'}
  assert all('_standard_error' in name for name in again.keys() - found.keys())  # which it had not yet
  np.testing.assert_allclose([found[name] for name in found], [before[name] for name in found], rtol=1e-4, atol=1e-5)
  kept = {path.name for path in (workdir / 'arrays').glob('*.npz')}
  assert {'samples-test-4.npz', 'log_evidence-test-4.npz', 'latents-test-4.npz'} <= kept
  run = commands.train(spec_lib.load(workdir / 'spec.json', {'train.steps': 6}), workdir)
  assert run.evaluation['step'] == 6 and run.arrays('samples', 'test', 4) and run.arrays('samples', 'test', 6)
