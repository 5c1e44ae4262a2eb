"""The figure of probes, from the numbers of an evaluation."""

import matplotlib.image
import numpy as np
import pytest

from tfvae import spec as spec_lib
from tfvae.report import accuracies
from tfvae.report.figures import draw
from tfvae.trained import Run

BOUNDS = {
  'accuracy_bound_information/z2': 0.5,
  'accuracy_bound_information_upper/z2': 0.52,
  'accuracy_bound_information/z2,z1': 0.9,
  'accuracy_bound_information_upper/z2,z1': 0.91,
  'accuracy_bound_rate/z2,z1': 1.0,
  'accuracy_bound_rate_upper/z2,z1': 1.0,
}


def test_the_bound_of_layers_is_that_of_the_fewest_that_they_are_among():
  assert accuracies.bound(BOUNDS, 'information', 'z2') == (0.5, 0.52)
  assert (
    accuracies.bound(BOUNDS, 'information', 'z1') == accuracies.bound(BOUNDS, 'information', 'z2,z1') == (0.9, 0.91)
  )
  assert accuracies.bound(BOUNDS, 'rate', 'z2') == (1.0, 1.0)  # from the bottom there is none of z2 alone
  assert accuracies.bound(BOUNDS, 'rate', 'z3') is accuracies.bound({}, 'rate', 'z1') is None


@pytest.mark.parametrize('bounds', [BOUNDS, {}], ids=['bounds', 'none'])
def test_probes_are_drawn_with_what_bounds_them(tmp_path, bounds, monkeypatch):
  """A filled marker for samples and an open one for locations, and a line for each bound of each slot."""
  run, drawn = Run(tmp_path / 'run'), []
  run.workdir.mkdir()
  run.begin(spec_lib.resolve(spec_lib.base()), {'shape': [4, 4, 1]}, {'versions': {}})
  numbers = {'probe_examples/knn': 50.0}
  for kind, value in (('probe', 0.4), ('probe_location', 0.6)):
    for layers in ('z2', 'z1', 'z2,z1'):
      for name in ('logistic', 'knn'):
        numbers |= {f'{kind}/{name}/{layers}': value, f'{kind}_standard_error/{name}/{layers}': 0.02}
  run.write_found(1, 'test', 'accuracy_bounds', {}, bounds, {})
  run.write_evaluation(1, 'test')
  assert not accuracies.accuracies(run, 'test') and not accuracies.accuracies(run, 'train')
  run.write_found(1, 'test', 'probes', {}, numbers, {})
  run.write_found(1, 'test', 'probes-k', {}, {f'{name}@k': value for name, value in numbers.items()}, {})
  run.write_evaluation(1, 'test')
  own = accuracies.accuracies
  monkeypatch.setitem(draw.__globals__['OF_A_SPLIT'], 'accuracies', lambda *of: drawn.append(own(*of)) or drawn[-1])
  assert [path.name for path in draw(run)] == ['accuracies.png']
  picture = matplotlib.image.imread(run.figures / 'accuracies.png')
  assert picture[..., :3].std() > 0.01
  (axis,) = drawn[0].axes
  assert [label.get_text() for label in axis.get_xticklabels()] == ['z2', 'z1', 'z2, z1']
  assert len([line for line in axis.lines if len(line.get_xdata()) == 2]) == (6 if bounds else 0)
  for points in axis.containers:
    line = points.lines[0]
    is_open = line.get_markerfacecolor() == 'w'
    assert is_open == points.get_label().endswith('locations')
    np.testing.assert_array_equal(line.get_ydata(), 0.6 if is_open else 0.4)
  assert len(axis.containers) == 4
  legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
  assert len(legend) == len(set(legend)) == (6 if bounds else 4)
