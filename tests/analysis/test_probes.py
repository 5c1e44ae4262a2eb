"""Probes of codes, and the bounds of their accuracies, on Gaussian mixtures whose Bayes classifier is known."""

import math
import warnings

import numpy as np
import pytest
from scipy import stats
from test_codes import FAMILIES, of
from test_mutual_information import made

from tfvae import build
from tfvae import spec as spec_lib
from tfvae.analysis import probes
from tfvae.analysis.codes import Densities, codes
from tfvae.analysis.evaluation import Abandoned, Evaluation
from tfvae.analysis.probes import Probes
from tfvae.data import needs
from tfvae.data.dataset import Stored, make
from tfvae.errors import SpecError, UserError

BOTH = 'accuracy_bounds,probes'


def evaluators(split, names):
  spec = spec_lib.resolve(split.spec, {'eval.evaluators': names})
  split.spec = spec
  return build.evaluators(spec, split.source.dataset.observation)


def mixture(separation, count=1500):
  """Two labels; q(z | x) = N(x, 1) in two dimensions, whose first has the label at 0 or `separation`."""
  label = np.arange(count) % 2
  x = np.zeros((count, 2))
  x[:, 0] = separation * label
  model, split, _ = made(x, label)
  return model, split, stats.norm.cdf(separation / 2)  # the accuracy of Bayes' classifier, a linear one


def test_gaussian_mixture():
  """Linear probes are as good as Bayes' classifier, no probe is better than the bounds, and locations tell all."""
  separation = 1.5
  model, split, bayes = mixture(separation)
  bounds, own = (evaluator.evaluate(model, split).numbers for evaluator in evaluators(split, BOTH))
  for fit, judged in (('probe', 300), ('probe_train', 1500)):
    for classifier in ('logistic', 'linear_svm', 'rbf_svm', 'knn'):
      accuracy, error = own[f'{fit}/{classifier}/z1'], own[f'{fit}_standard_error/{classifier}/z1']
      assert own[f'{fit}_examples/{classifier}'] == judged
      assert error == pytest.approx(math.sqrt(accuracy * (1 - accuracy) / judged))
      assert bayes - (0.08 if classifier == 'knn' else 0.015) - 3 * error < accuracy < bayes + 3 * error
      assert accuracy - 3 * error < bounds['accuracy_bound_information/z1'] <= bounds['accuracy_bound_rate/z1']
      assert own[f'{fit}_location/{classifier}/z1'] == 1.0
  assert bayes < bounds['accuracy_bound_information/z1'] < bounds['accuracy_bound_information_upper/z1']
  assert bounds['accuracy_bound_information_upper/z1'] < bounds['accuracy_bound_information/z1'] + 0.03
  # Its equation, at the rate: x^2 / 2 on average.
  a, rate = bounds['accuracy_bound_rate/z1'], separation**2 / 4
  assert math.log(2) + a * math.log(a) + (1 - a) * math.log(1 - a) == pytest.approx(rate, abs=1e-5)


def test_probes_of_each_layer_and_of_all():
  """A label in both layers, one in the lower: samples, locations; the same to the bit again."""
  model, split = of(**{'eval.probes.neighbours': 2, 'eval.probes.examples': 20})
  (evaluator,) = evaluators(split, 'probes')
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    found = evaluator.evaluate(model, split).numbers
  kinds = ('probe', 'probe_location', 'probe_train', 'probe_train_location')
  own = {
    f'{kind}/{name}/{of}' for kind in kinds for name in evaluator.section.classifiers for of in ('z2', 'z1', 'z2,z1')
  }
  assert own <= set(found) and len(found) == 2 * len(own) + 8
  assert found['probe_examples/knn'] == 7 and found['probe_train_examples/knn'] == 20
  assert found['probe_train_examples/logistic'] == 37
  assert evaluator.evaluate(model, split).numbers == found


def test_what_each_probe_sees(monkeypatch):
  """Codes that say the label in one layer alone."""
  model, split = of(**{'eval.probes.neighbours': 1, 'eval.probes.fit': 'split'})
  (evaluator,) = evaluators(split, 'probes')
  own, rng = codes(model, split), np.random.default_rng(0)
  told = 5 * np.eye(3)[own.label]
  blind = np.zeros((len(told), 2, 2))  # constant columns are no trouble
  known = own._replace(z={'z2': told, 'z1': blind}, location={'z2': rng.normal(size=told.shape), 'z1': told})
  monkeypatch.setattr(probes, 'codes', lambda *of: known)
  found = evaluator.evaluate(model, split).numbers
  for name in evaluator.section.classifiers:
    assert found[f'probe/{name}/z2'] == found[f'probe/{name}/z2,z1'] == found[f'probe_location/{name}/z1'] == 1
    assert found[f'probe/{name}/z1'] < 0.9 and found[f'probe_location/{name}/z2'] < 0.9
  split.once = lambda what, make_: make_()
  # 80% that have one label only
  monkeypatch.setattr(probes, 'codes', lambda *of: known._replace(label=np.arange(37) == probes._order(split, 37)[-1]))
  found = evaluator.evaluate(model, split).numbers
  assert set(value for name, value in found.items() if name.startswith('probe/')) == {6 / 7}


def test_the_training_split_is_not_judged_by_itself(capsys):
  model, split, _ = mixture(1.0, 60)
  train = split.other(split.source, 'train')
  found = Probes(train.spec).evaluate(model, train).numbers
  assert found and not [name for name in found if name.startswith('probe_train')]
  assert 'they would be judged on it: left out' in capsys.readouterr().out


def test_what_does_not_converge_is_told_in_one_line(monkeypatch, capsys):
  monkeypatch.setattr(probes, 'ITERATIONS', 1)
  model, split, _ = mixture(1.0, 200)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    Probes(split.spec).evaluate(model, split)
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith('probes: not converged within 1 iterations: ') and 'probe/logistic/z1, ' in line


def test_probes_are_interrupted_between_two_of_them():
  model, split, _ = mixture(1.0, 60)
  asked = []
  evaluation = Evaluation(model, split.source, split.spec)
  with pytest.raises(Abandoned):
    list(evaluation.run('test', [Probes(split.spec)], lambda: asked.append(0) or len(asked) > 6))
  assert len(asked) == 7  # of two passes, and 16 probes


@pytest.mark.parametrize(
  'fields',
  [FAMILIES['bits'], FAMILIES['from the bottom'], {'model.z2.flow': 'real_nvp', 'model.z2.flow_steps': 1}],
  ids=['bits', 'reverse', 'flow'],
)
def test_rates_bound_the_layers_that_come_first_in_the_prior(fields, monkeypatch):
  """From the bottom the sum of all alone is a bound; else R(z2), and R(z2) + R(z1 | z2), by the rates of a trace."""
  model, split = of(**fields)
  for variable in model.trainable_variables:  # rates small enough for a bound below 1
    variable.assign(0.3 * variable)
  known = Densities(np.arange(37), np.zeros(37), np.full(37, -2.0), np.full(37, -1.5))
  monkeypatch.setattr('tfvae.analysis.accuracy_bounds.joint', lambda *of: known)
  (evaluator,) = evaluators(split, 'accuracy_bounds')
  found, own = evaluator.evaluate(model, split).numbers, codes(model, split)
  batch = split.source.first('test', 37)
  rates = {name: value.numpy() for name, value in model.score(batch, _one(own.z)).rates().items()}
  for name, value in own.rate.items():
    np.testing.assert_allclose(value, rates[name], rtol=1e-3, atol=1e-4)
  layers = ['z1', 'z2'] if 'reverse' in fields.values() else ['z2', 'z1']
  prefixes = {name.partition('/')[2] for name in found if name.startswith('accuracy_bound_rate/')}
  both = ','.join(layers)
  assert prefixes == ({both} if layers[0] == 'z1' else {'z2', both})
  assert {f'accuracy_bound_information/{of}' for of in (layers[0], both)} <= set(found)
  for of_layers in prefixes:
    a, total = found[f'accuracy_bound_rate/{of_layers}'], sum(rates[name] for name in of_layers.split(','))
    label_entropy, sampled = stats.entropy(np.bincount(own.label)), total.mean()
    least = label_entropy + a * math.log(a) + (1 - a) * math.log(max(1 - a, 1e-300) / 2)
    assert least == pytest.approx(min(max(sampled, label_entropy - math.log(3)), label_entropy), abs=1e-4)
    assert a <= found[f'accuracy_bound_rate_upper/{of_layers}'] <= 1


def _one(z):
  return {name: value[None] for name, value in z.items()}


def test_codes_are_made_once_for_both(monkeypatch):
  """And densities for mutual_information and accuracy_bounds."""
  model, split = of(**{'eval.evaluators': f'mutual_information,{BOTH}'})
  known, counts = codes(model, split), {}
  places = np.arange(37)

  def count(what, value):
    counts[what] = counts.get(what, 0) + 1
    return value

  densities = Densities(places, np.zeros(37), np.full(37, -2.0), np.full(37, -1.0))
  for where in ('mutual_information', 'accuracy_bounds', 'probes'):
    monkeypatch.setattr(f'tfvae.analysis.{where}.codes', lambda model, split: count('codes', known))
  for what in ('first_layer', 'first_layers'):
    fake = lambda *of, what=what: count(what, densities)
    monkeypatch.setattr(f'tfvae.analysis.mutual_information.{what}', fake)
  all_ = build.evaluators(split.spec, split.source.dataset.observation)
  found = dict(Evaluation(model, split.source, split.spec).run('test', all_))
  assert counts == {'codes': 2, 'first_layer': 1, 'first_layers': 1}  # of the split, and of the training split
  assert len(found) == 3


def problems(label, fields, count=20, evaluator='probes'):
  spec = spec_lib.resolve(spec_lib.base(('z1',)), {'eval.evaluators': evaluator, **fields})
  part = {'x': np.zeros((count, 2), np.float32)} | ({} if label is None else {'label': label})
  data = make(Stored('gaussians', {'train': part, 'test': dict(part)}, (0.0, 1.0)), spec.data, 0)
  return needs.problems(spec, data)


LABEL = np.arange(20) % 2


@pytest.mark.parametrize(
  ('label', 'fields', 'said'),
  [
    (None, {}, 'got probes, which needs labels, but the test split of gaussians has none; leave it out'),
    (None, {'eval.probes.fit': 'train'}, 'but the train split of gaussians has none'),
    (3 + 0 * LABEL, {}, 'which needs labels that differ, but all of the test split of gaussians are 3; leave it out'),
    (
      LABEL,
      {'eval.probes.neighbours': 16},
      'neighbours: got 16; allowed: less than the 16 examples of 80% of the test split of gaussians that it is fitted',
    ),
    (LABEL, {'eval.probes.neighbours': 20, 'eval.probes.fit': 'train'}, 'less than the 20 examples of the train split'),
    (LABEL, {'eval.probes.neighbours': 9, 'eval.probes.examples': 8}, 'less than the 8 examples of the train split'),
    (LABEL, {'eval.probes.split': 'train', 'eval.probes.fit': 'train'}, 'got train, but they would be judged on the'),
  ],
)
def test_mistakes(label, fields, said):
  assert any(said in problem for problem in problems(label, fields)), problems(label, fields)


def test_what_is_no_mistake():
  assert not problems(LABEL, {'eval.probes.neighbours': 15})
  assert not problems(LABEL, {'eval.probes.neighbours': 99, 'eval.probes.classifiers': 'logistic'})
  assert not problems(LABEL, {'eval.probes.neighbours': 17, 'eval.probes.fit': 'train'})


def test_mistakes_of_fields():
  for fields, said in (
    ({'eval.evaluators': 'probes', 'eval.probes.neighbours': 0}, 'spec.eval.probes.neighbours: got 0'),
    ({'eval.evaluators': 'probes', 'eval.probes.classifiers': 'forest'}, "spec.eval.probes.classifiers: got 'forest'"),
    (
      {'eval.evaluators': 'probes', 'eval.probes.classifiers': ()},
      'spec.eval.probes.classifiers: got (); give one or more different ones',
    ),
    (
      {'eval.evaluators': 'probes', 'eval.probes.fit': ('train', 'train')},
      'spec.eval.probes.fit: got train,train; give',
    ),
    (
      {'eval.evaluators': 'accuracy_bounds', 'data.context': 'label'},
      'got accuracy_bounds, which bounds what codes tell by their rates, in which what a context tells has no part, '
      'but spec.data.context is label, and the model is p(x | context); leave it out',
    ),
  ):
    with pytest.raises(SpecError) as error:
      spec_lib.resolve(spec_lib.base(), fields)
    assert said in str(error.value)


def test_one_label_that_is_seen_late():
  """Of examples that are read when they are needed."""
  model, split, _ = mixture(1.0, 40)
  split.once('codes', lambda: codes(model, split)._replace(label=np.zeros(40, int)))
  for evaluator in evaluators(split, BOTH):
    with pytest.raises(UserError, match=f'got {evaluator.name}, which needs labels that differ, but all .* are 0'):
      evaluator.evaluate(model, split)
