"""Which betas to choose."""

import json

import grids
import pytest

from tfvae import commands
from tfvae.report.choices import by_data, choices, grouped, lines
from tfvae.run.collection import collect
from tfvae.theory.information import accuracy_bound

BETAS = {'objective.beta.z2': (0.5, 1.0, 2.0)}


def leave(root, metric, means, spread=0.1, seeds=3, **more):
  """Groups with these means of a metric over seeds, each seed `spread` from the next."""
  for i, mean in enumerate(means):
    for seed in range(seeds):
      fields = {'objective.beta.z2': BETAS['objective.beta.z2'][i], 'seed': seed}
      grids.leave_run(
        root / f'{i}-{seed}', numbers={metric: mean + spread * (seed - (seeds - 1) / 2), **more}, **fields
      )


def one(root, purpose):
  return next(choice for choice in choices(collect(root)) if choice.purpose.startswith(purpose))


@pytest.mark.parametrize(
  ('purpose', 'metric', 'best'),
  [
    ('reconstruction', 'psnr', 2),
    ('reconstruction', 'mse', 0),
    ('sampling', 'fid/classifier/prior', 0),
    ('sampling', 'inception_score/prior', 2),
    ('sampling', 'elbo', 2),
    ('classification by z2', 'probe/knn/z2', 2),
    ('classification by z2,z1', 'accuracy_bound_information/z2,z1', 2),
  ],
)
def test_the_best_of_each(tmp_path, purpose, metric, best):
  leave(tmp_path, metric, (1.0, 2.0, 3.0))
  choice = one(tmp_path, purpose)
  assert (choice.name, choice.purpose, choice.split) == (metric, purpose, 'test')
  assert choice.best.fields == {'objective.beta.z2': (0.5, 1.0, 2.0)[best]} and not choice.near and choice.known
  assert choice.value.mean == pytest.approx(best + 1) and choice.value.std == pytest.approx(0.1)
  assert 'further away than the spread' in choice.doubt and f'{metric} {best + 1} +- 0.1' in choice.text


def test_means_over_seeds_decide_not_a_lucky_run(tmp_path):
  leave(tmp_path, 'psnr', (20.0, 21.0, 19.0), spread=0.2)
  path = tmp_path / '0-1/evaluation.json'
  path.write_text(path.read_text().replace('20.0', '22.0'))  # of the mean: 20.67
  choice = one(tmp_path, 'reconstruction')
  assert choice.best.label == 'objective.beta.z2=1' and [g.label for g in choice.near] == ['objective.beta.z2=0.5']
  assert choice.doubt == 'not told apart from objective.beta.z2=0.5, within the spread'


def test_single_runs(tmp_path):
  """Nothing says how far they spread, but for standard errors of their evaluations."""
  leave(tmp_path / 'a', 'psnr', (20.0, 21.0, 21.3), seeds=1)
  assert not one(tmp_path / 'a', 'rec').known and 'repeat with other seeds' in one(tmp_path / 'a', 'rec').doubt
  leave(tmp_path / 'b', 'psnr', (20.0, 21.0, 21.3), seeds=1, psnr_standard_error=0.2)
  choice = one(tmp_path / 'b', 'reconstruction')
  assert choice.doubt.endswith('within two standard errors over the examples; one seed each: repeat with others')
  assert choice.known and [group.fields['objective.beta.z2'] for group in choice.near] == [1.0]  # 0.3 < 2 sqrt(2) 0.2


def test_the_first_number_that_most_have(tmp_path):
  leave(tmp_path, 'mse', (1.0, 2.0, 3.0), psnr=1.0)
  for path in (*tmp_path.glob('0-*'), *tmp_path.glob('1-*')):
    numbers = json.loads((path / 'evaluation.json').read_text())
    del numbers['psnr']
    (path / 'evaluation.json').write_text(json.dumps(numbers))
  assert one(tmp_path, 'reconstruction').name == 'mse'


def test_rates_bound_accuracies(tmp_path):
  """Where no probe and no bound was kept, f^-1 of the mean rate of the top layer; bounds of 1 are not told apart."""
  leave(tmp_path, 'rate/z2', (0.5, 2.5, 3.0), 0.1, 3, label_entropy=2.302, elbo=-1.0)
  choice = one(tmp_path, 'classification')
  assert choice.name == 'accuracy_bound_by_rate/z2' and choice.value.mean == 1 and len(choice.near) == 1


def test_runs_of_other_data_are_not_compared(tmp_path):
  for data in ('digits', 'mnist'):
    for z2 in (1.0, 2.0):
      fields = {'data.name': data, 'objective.beta.z2': z2}
      grids.leave_run(tmp_path / f'{data}{z2}', numbers={'psnr': z2 + 10 * (data == 'mnist')}, **fields)
  found = choices(collect(tmp_path))
  assert [(choice.data, choice.value.mean) for choice in found] == [('digits', 2.0), ('mnist', 12.0)]
  assert lines(found)[1].startswith('  reconstruction of digits: objective.beta.z2=2: psnr 2')
  assert choices(collect(tmp_path / 'digits1.0')) == [] and lines([]) == []


@pytest.mark.parametrize('field', ['data.scaling', 'data.bits'])
def test_numbers_of_other_scales_are_not_compared(tmp_path, field):
  """Each scale of the same data is a data set of its own, told by what differs; seeds and batches make none."""
  for value in {'data.scaling': ('min_max', 'standard'), 'data.bits': (0, 3)}[field]:
    for z2 in (1.0, 2.0):
      fields = {field: value, 'objective.beta.z2': z2, 'data.seed': int(z2), 'data.batch_size': 10 * int(z2)}
      grids.leave_run(tmp_path / f'{value}{z2}', numbers={'mse': z2}, **fields)
  found = by_data(collect(tmp_path).runs)
  assert [len(runs) for runs in found.values()] == [2, 2]
  assert all(name.startswith(f'digits, {field}=') for name in found) and len(choices(collect(tmp_path))) == 2


def test_likelihoods_of_other_kinds_are_not_compared(tmp_path):
  """A density is not better than a probability because it is higher; errors of reconstructions are of one scale."""
  for i, likelihood in enumerate(('gaussian', 'bernoulli')):
    grids.leave_run(
      tmp_path / likelihood, numbers={'elbo': 9.0 * i, 'mse': 1.0 + i}, **{'decoder.likelihood': likelihood}
    )
  assert [choice.purpose for choice in choices(collect(tmp_path))] == ['reconstruction']


def test_rates_that_are_held_in_some_layers(tmp_path):
  """The beta of a layer without a target holds, and tells groups apart."""
  for z1 in (1.0, 2.0):
    for z2 in (1.0, 3.0):
      held = {'constraint.names': ['rate'], 'constraint.rate.z2': 4.0, 'objective.beta.z2': z2}
      grids.leave_run(tmp_path / f'{z1}{z2}', **held, **{'objective.beta.z1': z1})
  labels = [group.label for group in grouped(collect(tmp_path).runs)]
  assert labels == [f'objective.beta.z1={z1}, constraint.rate.z2=4' for z1 in (1, 1, 2, 2)]


def test_which_rates_bound(tmp_path):
  """From the top the first layers' and all; from the bottom all of them alone. Of one label there is no bound."""
  for order, bounding in (('generic', {'z2', 'z2,z1'}), ('reverse', {'z2,z1'})):
    for i, z2 in enumerate((0.2, 0.4)):
      numbers = {'rate/z2': z2, 'rate/z1': 0.5, 'label_entropy': 2.3, 'labels': 10.0}
      grids.leave_run(
        tmp_path / order / f'{i}', numbers=numbers, **{'model.inference': order, 'objective.beta.z2': 1.0 + i}
      )
    own = choices(collect(tmp_path / order))
    assert {choice.name.partition('/')[2] for choice in own} == bounding
    total = next(choice for choice in own if choice.name.endswith('/z2,z1'))
    assert total.value.mean == accuracy_bound(0.9, 2.3, 10)
  for i in (0, 1):
    numbers = {'rate/z2': 1.0 + i, 'rate/z1': 0.5, 'rate': 1.5 + i, 'label_entropy': 0.0, 'labels': 1.0}
    grids.leave_run(tmp_path / 'one' / f'{i}', numbers=numbers, **{'objective.beta.z2': 1.0 + i})
  assert choices(collect(tmp_path / 'one')) == []
  assert commands.report(tmp_path / 'one')[-1].name == 'report.html'


def test_groups(tmp_path):
  grids.leave_grid(tmp_path, seeds=(0, 1))
  found = grouped(collect(tmp_path).runs)
  assert len(found) == 6 and found[0].label == 'objective.beta.z2=0.5, objective.beta.z1=1'
  own = [grids.outcome(0.5, 1.0, seed)['rate/z2'] for seed in (0, 1)]
  spread = found[0].numbers['test']['rate/z2']
  assert (spread.mean, spread.runs) == (pytest.approx(sum(own) / 2), 2)
  assert spread.std == pytest.approx(abs(own[0] - own[1]) / 2**0.5)
