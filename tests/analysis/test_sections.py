"""Sections of evaluators: several of a kind under names of one's own, with a split and an interval of their own."""

import json

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import SpecError
from tfvae.spec.evaluators import EVALUATORS
from tfvae.spec.rules.needs import NEEDS

BOTH = {'eval.evaluators': 'bounds,bounds-train,samples-few', 'eval.bounds-train.split': 'train'}
BOTH |= {'eval.bounds-train.every': '30', 'eval.samples-few.every': '10'}


def test_each_need_is_known():
  from tfvae.data import needs

  own = {'latents', 'several models', 'classes'}  # the kind of model
  assert {need for entry in EVALUATORS.values() for need in entry.needs} == own | set(NEEDS) | set(needs.NEEDS)


def test_sections_come_and_go_with_their_names():
  spec = spec_lib.resolve(spec_lib.base(), BOTH)
  assert spec.eval['bounds-train'].split == 'train' and spec.eval.bounds.split == ''
  again = spec_lib.from_json(spec_lib.to_json(spec))
  assert again == spec and spec_lib.changed(again)['eval.bounds-train.every'] == 30
  assert 'bounds-train' not in spec_lib.resolve(spec, {'eval.evaluators': 'bounds'}).eval
  made = spec_lib.base()
  made.eval.log_evidence.samples = 7
  spec_lib.evaluator(made, 'log_evidence-train').split = 'train'
  assert made.eval.evaluators[-1] == 'log_evidence-train' and spec_lib.validate(made) == []
  assert spec_lib.resolve(made).eval['log_evidence-train'].samples == 7  # as that of its kind
  flags = {'eval.evaluators': 'fid,fid-test', 'classifier.path': 'runs/classifier', 'eval.fid.samples': '100'}
  assert spec_lib.resolve(spec_lib.base(), flags).eval['fid-test'].samples == 0  # a flag is of one section


def test_what_is_no_evaluator_is_told():
  spec = spec_lib.base()
  with pytest.raises(SpecError, match=r'spec\.eval\.evaluators: got .*Did you mean bounds-train'):
    spec_lib.evaluator(spec, 'bound-train')
  assert spec.eval.evaluators == spec_lib.base().eval.evaluators
  text = json.dumps(json.loads(spec_lib.to_json(spec)) | {'eval': {'evaluators': [['bounds'], {}, 3]}})
  with pytest.raises(SpecError, match=r'spec\.eval\.evaluators: got'):
    spec_lib.from_json(text)


@pytest.mark.parametrize(
  ('fields', 'said'),
  [
    (
      {'eval.evaluators': 'bounds,bounds-Train'},
      'The name after bounds- may have small letters, digits and _.',
    ),
    ({'eval.evaluators': 'bounds,bound-train'}, 'Did you mean bounds-train?'),
    ({'eval.bounds-train.split': 'train'}, 'there is no evaluator bounds-train; name it in spec.eval.evaluators'),
    ({**BOTH, 'eval.bounds-train.splits': 'train'}, 'Did you mean spec.eval.bounds-train.split?'),
    ({**BOTH, 'eval.bounds-train.split': 'tst'}, "spec.eval.bounds-train.split: got 'tst'; allowed: '' | train"),
    ({'eval.fid_samples': 3}, 'spec.eval.fid_samples: unknown field. Did you mean spec.eval.fid.samples?'),
    ({'eval.evaluators': 'fid-a', 'eval.fid-a.of': ''}, 'spec.eval.fid-a.of: got (); give one or more'),
    ({'eval.evaluators': 'tiles-a'}, 'got tiles-a, which is for one latent layer of 2 real units'),
    ({'eval.evaluators': 'bounds,bounds'}, 'got bounds twice'),
  ],
)
def test_mistakes(fields, said):
  with pytest.raises(SpecError) as error:
    spec_lib.resolve(spec_lib.base(), fields)
  assert said in str(error.value)


def test_an_absent_split_is_told_of(tiny, tmp_path):
  tiny.eval.bounds.split = 'validation'
  with pytest.raises(SpecError, match=r'spec.eval.bounds.split: got validation; the splits of digits: train, test'):
    commands.train(spec_lib.resolve(tiny), tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_splits_and_intervals_of_their_own(tiny, tmp_path, monkeypatch):
  monkeypatch.setattr(commands, '_draw', lambda *of: [])
  run = commands.train(spec_lib.resolve(tiny, BOTH | {'eval.num_images': 4}), tmp_path / 'run')
  rows = [row for row in run.read_metrics() if row.get('evaluation')]
  # bounds every 20 steps, samples every 10 (which are no numbers), and all at the end.
  assert [(row['step'], row['split']) for row in rows] == [
    (10, 'test'), (20, 'test'), (30, 'test'), (30, 'train'), (40, 'test'), (40, 'train'),
  ]  # fmt: skip
  assert [row['step'] for row in rows if 'elbo' in row] == [20, 40]
  assert [row['step'] for row in rows if 'elbo@train' in row] == [30, 40]
  found = json.loads((run.workdir / 'evaluation-train.json').read_text())
  assert 'elbo' in run.evaluation and 'elbo@train' not in run.evaluation and 'elbo' not in found
  assert run.arrays('samples-few', 'test')['prior'].shape[0] == 4
  shown = EventAccumulator(str(run.workdir / 'eval'), size_guidance={'tensors': 0}).Reload()
  assert [event.step for event in shown.Tensors('prior_samples@few')] == [10, 20, 30, 40]
  # The numbers are those of a run that evaluates the split as others do; another name is another evaluation.
  same = commands.evaluate(run.workdir, {'eval.split': 'train', 'eval.evaluators': 'bounds,bounds-again'})
  assert same['elbo'] == same['elbo@again'] == found['elbo@train']
  np.testing.assert_array_equal(list(commands.evaluate(run.workdir, {'eval.split': 'train'})), list(same))
