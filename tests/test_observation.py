"""What models know of an example: from the data, and from what a run keeps."""

import pytest

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.observation import Observation
from tfvae.run import formats
from tfvae.run.files import Damaged


@pytest.mark.parametrize(
  ('fields', 'want'),
  [
    ({}, (0.0, 1.0, 17)),
    ({'data.scaling': 'none'}, (0.0, 16.0, 17)),
    ({'data.binarize': 'threshold', 'data.scaling': 'standard'}, (0.0, 1.0, 2)),
    ({'data.name': 'circle'}, (0.0, 1.0, None)),
  ],
)
def test_of_data(tiny, fields, want):
  data = build.dataset(spec_lib.resolve(tiny, fields))
  observation = data.observation
  assert (observation.low, observation.high, observation.levels) == pytest.approx(
    want
  ) and observation.shape == data.shape
  assert Observation.kept(data.summary) == observation
  assert formats.data(data.summary) is data.summary


def test_levels_are_those_of_the_scaled_data(tiny):
  data = build.dataset(spec_lib.resolve(tiny, {'data.scaling': 'standard'}))
  assert data.observation.step == pytest.approx(data.scale) and data.observation.low == pytest.approx(data.offset)


def test_runs_from_before_have_no_levels(tiny):
  summary = dict(build.dataset(tiny).summary)
  del summary['observation']
  assert Observation.kept(summary) == Observation((8, 8, 1), 0.0, 1.0, None)


@pytest.mark.parametrize('wrong', [{'levels': 1}, {'levels': 2.5}, {'low': 2.0}, {'low': 'black'}, {'more': 0}])
def test_what_is_damaged_is_told(tiny, wrong):
  summary = build.dataset(tiny).summary
  with pytest.raises(Damaged):
    formats.data(summary | {'observation': summary['observation'] | wrong})
