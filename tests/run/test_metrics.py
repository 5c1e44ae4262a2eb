"""What is shown of metrics: at the end of an evaluation, and in TensorBoard."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import metadata

from tfvae import commands
from tfvae.run import metrics

EVIDENCE = {'log_evidence': -24.0, 'log_evidence_standard_error': 0.25, 'log_evidence_samples': 1000.0}


def test_the_main_numbers_have_their_units_and_their_order():
  numbers = {'mse': 0.5, 'rate/z1': 2.0, 'rate/z2': 1.0, 'rate': 3.0, 'elbo': -1.0, 'encoder_entropy/z1/0': 1.0}
  numbers |= {'active_units/z1': 4.0, 'active_units': 4.0, 'fid/classifier/prior': 7.5}
  assert list(metrics.main(numbers)) == [
    'elbo', 'rate', 'rate/z1', 'rate/z2', 'fid/classifier/prior', 'mse', 'active_units/z1',
  ]  # fmt: skip
  assert [line.split()[:3] for line in metrics.summary(numbers)][:2] == [['elbo', '-1', 'nats'], ['rate', '3', 'nats']]
  single = metrics.summary({name: value for name, value in numbers.items() if name != 'rate/z2'})
  assert not any('rate/z1' in line for line in single)  # of one layer it is the rate
  assert metrics.by_layer(numbers) == {'encoder_entropy/z1': ['encoder_entropy/z1/0']}
  of_a_step = 'encoder_entropy/z/1/0'
  assert metrics.by_layer([of_a_step, 'rate/z/1']) == {'encoder_entropy/z/1': [of_a_step]}
  constrained = {'constraint/re': 0.1, 'threshold/re': 1.0, 'constraint/rate/z2': 0.5, 'beta_vae/beta': 2.0}
  assert list(metrics.main(constrained)) == ['constraint/re', 'constraint/rate/z2', 'threshold/re', 'beta_vae/beta']
  assert metrics.main(constrained)['constraint/rate/z2'] == 'nats from its target'
  assert [line.split()[0] for line in metrics.summary(constrained)] == ['beta_vae/beta']  # a table has the others
  many = {f'rate/z{i}': 1.0 for i in range(40)}
  assert len(metrics.summary(many)) == metrics.MOST


def test_numbers_of_layers_share_a_line():
  """With their errors; of several ways to find one the highest, and it says which."""
  numbers = {'mutual_information/z2': 1.25, 'mutual_information/z2,z1': 2.0, 'elbo': 1.0}
  numbers |= {'mutual_information_standard_error/z2': 0.0123, 'mutual_information_standard_error/z2,z1': 0.5}
  numbers |= {'probe/svm/z2': 0.5, 'probe/knn/z2': 0.75, 'probe_standard_error/knn/z2': 0.01, 'probe/knn/z1': 0.25}
  _, information, probes = metrics.summary(numbers)
  assert ' '.join(information.split()) == 'mutual_information z2 1.25 +- 0.012; z2,z1 2 +- 0.5 nats about the label'
  assert ' '.join(probes.split()) == 'probe z2 0.75 +- 0.01 (knn); z1 0.25 (knn) right, on samples'
  assert {'mutual_information/z2', 'probe/svm/z2'} <= set(metrics.main(numbers))
  steps = {f'mutual_information/{",".join(f"z/{t + 1}" for t in range(n))}': float(n) for n in range(1, 20)}
  steps |= {'probe_standard_error/knn/z/1': 0.5}
  (line,) = metrics.summary(steps)
  assert line.startswith('  mutual_information       z/1 1; z/1,z/2 2; z/1,z/2,z/3 3; ') and '; ...; z/1,' in line
  alone = {f'{what}/z/{t + 1}': 0.5 for t in range(9) for what in ('probe/knn', 'mutual_information', 'pca_explained')}
  assert not [name for name in metrics.main(alone) if name in alone]  # not a column each where runs are compared
  assert 'probe/knn/z/1,z/2' in metrics.main(['probe/knn/z/1,z/2']) and len(metrics.summary(alone)) == 3


def test_names_of_standard_errors():
  names = {'elbo': 'elbo_standard_error', 'rate/z2': 'rate_standard_error/z2', 'elbo@me': 'elbo_standard_error@me'}
  names |= {'rate/z2@me': 'rate_standard_error/z2@me', 'relaxed/rate/z1': 'relaxed/rate_standard_error/z1'}
  assert {name: metrics.standard_error(name) for name in names} == names
  assert not metrics.main(names.values()), 'are no main numbers'


@pytest.mark.parametrize(('effective', 'loose'), [(3.6, True), (9.99, True), (10.0, False), (400.0, False)])
def test_evidence_by_few_effective_samples_is_called_a_loose_bound(effective, loose):
  (line,) = metrics.summary(EVIDENCE | {'effective_samples': effective})
  assert ('a loose lower bound' in line) == loose and '-24 +- 0.25 nats' in line and 'of 1000 samples' in line


def test_what_an_evaluation_leaves_for_people(tiny, tmp_path, capsys):
  """At most 20 lines, one histogram for the units of a layer, and a trial of HParams with numbers of the test split."""
  tiny.eval.evaluators = ('bounds', 'reconstruction', 'entropies', 'latents', 'samples', 'log_evidence')
  tiny.eval.during = ('bounds', 'latents')
  tiny.eval.log_evidence.samples, tiny.model.z1.dim, tiny.train.learning_rate = 4, 40, 0.002
  run = commands.train(tiny, tmp_path / 'mine')
  said = capsys.readouterr().out
  assert 2 < len(said.partition('test split, step 40')[2].splitlines()) <= 20 and 'evaluated' not in said
  assert 'test split, step 40' in said and 'nats' in said and 'a loose lower bound' in said
  assert f'more numbers in {run.workdir / "evaluation.json"}' in said and 'log_evidence.png' in said
  assert len([name for name in run.evaluation if name.startswith('encoder_entropy')]) == 40

  events = EventAccumulator(str(run.workdir / 'eval'), size_guidance={'tensors': 0}).Reload()
  tags = {tag: events.SummaryMetadata(tag).plugin_data.plugin_name for tag in events.Tags()['tensors']}
  assert tags['encoder_entropy/z1'] == 'histograms' and tags['elbo'] == 'scalars'
  assert not [tag for tag in tags if tag.startswith('encoder_entropy/z1/')]

  runs = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
  sessions = runs.PluginRunToTagToContent(metadata.PLUGIN_NAME)
  assert list(sessions) == ['mine/hparams']
  start = metadata.parse_session_start_info_plugin_data(sessions['mine/hparams'][metadata.SESSION_START_INFO_TAG])
  assert start.group_name.endswith('mine')
  assert start.hparams['train.learning_rate'].number_value == 0.002 and start.hparams['model.z1.dim'].number_value == 40
  assert not {'train.optimizer', 'eval.log_evidence.samples', 'train.log_every', 'data.path'} & set(start.hparams)
  own = runs.GetAccumulator('mine/hparams')
  shown = {tag for tag in own.Tags()['tensors'] if own.SummaryMetadata(tag).plugin_data.plugin_name == 'scalars'}
  assert shown == set(metrics.main(run.evaluation))
  assert {event.step for event in own.Tensors('elbo')} == {40}


def test_what_is_announced_of_a_split_is_that_split(tiny, tmp_path, capsys):
  """The figures of another split than the spec's have its name, and those that are announced were drawn."""
  tiny.eval.evaluators = ('bounds', 'latents', 'samples')
  run = commands.train(tiny, tmp_path / 'run')
  before = {path.name: path.read_bytes() for path in run.figures.glob('*.png')}
  capsys.readouterr()
  commands.evaluate(run.workdir, {'eval.split': 'train'})
  said = capsys.readouterr().out.splitlines()[-1]
  drawn = sorted(said.partition(': ')[2].split(', '))
  assert drawn == ['latents-train.png', 'reconstructions-train.png', 'units-train.png']
  after = {path.name: path.read_bytes() for path in run.figures.glob('*.png')}
  assert {name: after[name] for name in before} == before and after.keys() - before.keys() == set(drawn)
  assert after['reconstructions-train.png'] != after['reconstructions.png']
  (run.figures / 'latents-train.png').unlink()
  assert run.figures / 'latents-train.png' in commands.report(run.workdir)
