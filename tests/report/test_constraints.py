"""What is said of constraints: verdicts on fabricated series, and the table and figures of a fabricated run."""

import importlib

import numpy as np
import pytest

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.report import course as figures_of
from tfvae.report import figures, verdicts
from tfvae.report.constraints import judge, table
from tfvae.report.verdicts import BEYOND, END, KINDS, MOVING, SWINGS, WARM_UP, Series, at_end, is_met, mean, settled
from tfvae.spec.entries import NAMES
from tfvae.trained import Run

RANGE = (1e-6, 1e12)
STEPS = np.arange(100, 10_001, 100)


def course(c, log_multiplier=0.0, steps=STEPS, total=10_000):
  """A series of c and log multipliers, arrays or functions of the share of training that is done."""
  done = (np.concatenate([[0], steps[:-1]]) + steps) / 2 / total  # lines are means over their steps
  values = [np.broadcast_to(of(done) if callable(of) else of, steps.shape) for of in (c, log_multiplier)]
  return Series.of(steps, values[0], np.exp(values[1]), total)


def noise(scale, seed=0):
  return np.random.default_rng(seed).normal(0, scale, len(STEPS))


def why(kind, asked, series, **more):
  return verdicts.why_not(KINDS[kind], asked, series, RANGE, **more)


def test_all_that_can_be_asked_for_has_its_words():
  for name, constraint in NAMES['constraint.names'].items():
    module, _, measure = constraint.path.partition(':')
    assert KINDS[name].sign == getattr(importlib.import_module(module), measure).sign


def test_the_last_tenth_is_weighted_by_steps():
  """Lines that lie in it; where lines are longer than it is, the last line."""
  steps = np.array([1, 10, 100, 850, 925, 950, 1000])
  series = course(np.arange(7.0), steps=steps, total=1000)
  assert mean(series).c == pytest.approx((25 * 5 + 50 * 6) / 75)  # that of 850 to 925 begins before
  assert mean(course(np.arange(3.0), steps=np.array([1, 500, 1000]), total=1000)) == (
    2.0,
    pytest.approx(np.nan, nan_ok=True),
  )
  known = np.array([1.0, np.nan, 3.0])
  assert list(course(known, steps=np.array([1, 500, 1000]), total=1000).begin) == [0, 500]


def test_the_error_of_the_mean_is_that_of_many_means():
  """Of lines that stand for different numbers of steps."""
  steps, random = np.concatenate([np.arange(100, 9001, 100), np.arange(9010, 9301, 10), [9500, 10_000]]), 300
  found = []
  for seed in range(random):
    values = np.random.default_rng(seed).normal(0, 1, len(steps))
    found.append(mean(course(values, steps=steps)))
  spread, claimed = np.std([m.c for m in found]), np.sqrt(np.mean([m.standard_error**2 for m in found]))
  weights = np.diff(np.concatenate([[9000], steps[90:]])) / 1000
  assert spread == pytest.approx(np.sqrt(np.square(weights).sum()), rel=4 / np.sqrt(2 * random))
  assert 0.3 < claimed / spread < 1.5  # two lines have most of the weight


@pytest.mark.parametrize(
  ('kind', 'c', 'end', 'error', 'met'),
  [
    ('re', 0.019, 0, 0.0, True),
    ('re', 0.021, 0, 0.0, False),
    ('re', -0.019, 0, 0.0, True),
    ('re', -0.3, 0, 0.0, False),  # active, and better than was asked
    ('re', -0.3, -1, 0.0, True),  # slack
    ('re', 0.03, -1, 0.0, False),
    ('re', 0.03, 0, 0.1, False),  # errors count for cla and pncc alone
    ('cla', 0.03, 0, 0.016, True),
    ('cla', 0.03, 0, 0.014, False),
    ('pncc', 0.03, 0, 0.016, True),
    ('cla', 0.03, 0, np.nan, False),
    ('rate', 0.019, -1, 0.0, True),
    ('rate', -0.3, -1, 0.0, False),  # an equality is never slack
    ('rate', np.nan, 0, 0.0, False),
  ],
)
def test_when_a_constraint_counts_as_met(kind, c, end, error, met):
  assert is_met(KINDS[kind], c, end, error) == met


def test_noise_around_the_threshold_is_met():
  for seed in range(20):
    series = course(noise(0.025, seed))
    assert is_met(KINDS['re'], mean(series).c, at_end(series.multiplier[-1], RANGE))


def test_ends_of_the_range():
  assert [at_end(m, RANGE) for m in (1e-6, 1.04e-6, 1.1e-6, 1.0, 0.9e12, 0.96e12, 1e12)] == [-1, -1, 0, 0, 0, 1, 1]


def test_at_the_end_of_its_range():
  up = lambda done: np.minimum(20 + 20 * done, np.log(1e12))
  reason = why('re', 0.1, course(0.44 + noise(0.002), up))
  assert reason.why == END and reason.pushes == 1 and reason.best == pytest.approx(0.12, abs=5e-4)
  down = lambda done: np.maximum(-40 * done, np.log(1e-6))
  assert why('rate', 8, course(-0.5 + noise(0.01), down)).why == END
  # The lower end is no reason where the multiplier is to grow.
  assert why('re', 0.1, course(lambda done: 1.2 - done, down)).why == MOVING


def test_still_moving_and_how_far_it_has_to_go():
  """c falls by 0.1 per 1,000 steps and is 0.1 at the end: the error, by half as much of what is asked, at first."""
  reason = why('rate', 8, course(lambda done: 1.1 - done + noise(0.002), lambda done: done))
  assert reason.why == MOVING and reason.speed == pytest.approx(-0.8, rel=0.02)
  assert reason.missing == pytest.approx(1000, rel=0.1)  # of the last line, a mean over its steps
  assert reason.growth == pytest.approx(np.exp(0.1))
  reason = why('re', 0.1, course(lambda done: 1.1 - done, 0.0))
  assert reason.why == MOVING and reason.growth == 1
  # sqrt(1 + c) is a little bent: the line through the last fifth, from 0.1140 to 0.1049.
  assert reason.speed == pytest.approx(0.1 * (np.sqrt(1.1) - np.sqrt(1.3)) / 2, rel=0.01)
  assert reason.missing == pytest.approx(1000, rel=0.15)


def test_a_curve_is_on_its_way_though_a_line_through_it_ends_beyond():
  """A short training that lacks little: four lines, the first of which are from its beginning."""
  error = np.array([0.25, 0.15, 0.09, 0.068, 0.058, 0.0527])
  series = course((error / 0.05) ** 2 - 1, lambda done: 10 + 3 * done, steps=np.arange(100, 601, 100), total=600)
  reason = why('re', 0.05, series)
  slope = np.polyfit([250, 350, 450, 550], error[2:], 1)[0]
  assert reason.why == MOVING and reason.missing == np.ceil(-0.0027 / slope) and reason.pushes == 1


def test_moving_away_has_nothing_missing():
  reason = why('rate', 8, course(lambda done: 0.1 + 0.2 * done, 0.0))
  assert reason.why == MOVING and reason.missing is None and reason.speed > 0


def test_below_what_the_model_reaches():
  growing = lambda done: 10 + 8 * done
  reason = why('re', 0.1, course(0.44 + noise(0.01), growing))
  assert reason.why == BEYOND and reason.growth == pytest.approx(np.exp(0.8)) and reason.speed == 0
  assert 0.119 < reason.best < 0.12 < reason.worst < 0.121
  # It still falls, so slowly that what is missing would take many times the steps so far.
  reason = why('re', 0.1, course(lambda done: 0.6 - 0.1 * done + noise(1e-4), growing))
  assert reason.why == BEYOND and reason.speed < 0 and reason.missing > 10_000
  assert why('cla', 0.9, course(0.2 + noise(0.001), growing)).best == pytest.approx(0.72, abs=3e-3)
  assert why('rate', 8, course(0.3 + noise(0.001), growing)).why == BEYOND
  assert why('rate', 8, course(-0.3 + noise(0.001), lambda done: -8 * done)).why == BEYOND


def test_a_multiplier_that_follows_a_model_is_no_sign_of_the_end():
  """3% too much while beta grows slowly, as the model still learns: nothing that cannot be held."""
  reason = why('rate', 8, course(0.03 + noise(0.002), lambda done: done))
  assert reason.why == MOVING and reason.speed == 0


def test_a_slack_inequality_that_still_loosens():
  """Its multiplier falls from too high a value: neither met nor out of reach."""
  falling = lambda done: 20 - 8 * done
  for c in (-0.4 + noise(0.005), lambda done: -0.6 + 0.2 * done):
    series = course(c, falling)
    assert not is_met(KINDS['re'], mean(series).c, at_end(series.multiplier[-1], RANGE))
    reason = why('re', 0.1, series)
    assert reason.why == MOVING and reason.pushes == -1 and reason.growth == pytest.approx(np.exp(-0.8))


def test_swinging_and_the_warm_up():
  swings = lambda done: 0.5 + 0.5 * np.sin(80 * np.pi * done)
  reason = why('re', 0.1, course(swings))
  assert reason.why == SWINGS and reason.best < 0.11 and reason.worst > 0.135
  half = course(lambda done: 1 - done, steps=STEPS[:30])
  assert why('re', 0.1, half, warm_up=3000).why == WARM_UP
  assert why('re', 0.1, half, warm_up=2900).why == MOVING


def test_few_lines_show_no_trend():
  reason = why('re', 0.1, course(np.array([0.5, 0.3]), steps=np.array([1, 10]), total=10))
  assert reason.why == SWINGS


def test_steps_until_it_settles():
  steps = np.array([1, 10, 100, 200, 300, 400])
  assert settled(steps, np.array([9.0, 1.0, 0.04, 0.06, -0.05, 0.01])) == 300
  assert settled(steps, np.array([0.01] * 6)) == 1
  assert settled(steps, np.array([9.0, 1.0, 0.04, 0.06, -0.05, 0.06])) is None
  assert settled(steps, np.array([9.0, 1.0, 0.0, 0.0, np.nan, 0.0])) == 400


# Of a run.

THRESHOLDS = {'re': 0.01, 'fre': 0.04, 'cla': 0.9, 'rate/z2': 8.0, 'rate/z1': 16.0}
COURSES = {  # name: (c, log multiplier) of the share of training that is done, c on the test split
  're': (lambda done: np.exp(-20 * done), lambda done: 8 + done, 0.05),
  'fre': (lambda done: 0.44, lambda done: 8 * done, 0.44),
  'rate/z2': (lambda done: -0.5, lambda done: max(-30 * done, np.log(1e-6)), -0.5),
}


def fabricate(path, courses, last=1000, every=500, likelihood='auto', **rates):
  """The directory of a run of 1,000 steps, with lines of training and evaluations of the test split."""
  spec = spec_lib.base(('z2', 'z1'))
  spec.train.steps, spec.decoder.variance = 1000, 'optimal'
  spec.constraint.names = tuple(dict.fromkeys(name.partition('/')[0] for name in courses))
  spec.constraint.fre.update({'features': 'patches', 'relative': True, 'kappa': 0.5})
  spec.constraint.rate.update({name[5:]: THRESHOLDS[name] for name in courses if name.startswith('rate/')})
  run = Run(path)
  run.workdir.mkdir()
  run.begin(spec_lib.resolve(spec), {'shape': [4, 4, 1]}, {'versions': {}})
  for step in (1, 10, *range(50, last + 1, 50)):
    row = {'elbo': -1.0, 'rate': 24 * step / 1000, 'mse': 0.1 / step, 'beta/z2': 2.5, 'beta/z1': 1 / step}
    row |= {'rate/z2': step / 100, 'rate/z1': step / 50}
    numbers = {'rate': row['rate']}
    for name, (c, log_multiplier, on_test) in courses.items():
      threshold = THRESHOLDS[name]
      found = float(c(step / 1000)) * threshold
      row |= {f'constraint/{name}': found, f'constraint_average/{name}': found, f'threshold/{name}': threshold}
      row[f'multiplier/{name}'] = float(np.exp(log_multiplier(step / 1000)))
      numbers |= {f'constraint/{name}': on_test * threshold, f'threshold/{name}': threshold}
      numbers[f'constraint_standard_error/{name}'] = 0.01 * threshold
    run.append_metrics(step, 'train', row)
    if step % every == 0:
      run.append_metrics(step, 'test', numbers, evaluation=True)
      run.write_found(step, 'test', 'constraints', {}, numbers, {})
      run.write_evaluation(step, 'test')
  return run


def cells_of(line):
  return [cell.strip() for cell in line.split('  ') if cell.strip()]


def test_each_constraint_is_told_of_in_the_words_of_who_asked(tmp_path):
  title, head, re, re_why, fre, fre_why, rate, rate_why = table(fabricate(tmp_path / 'run', COURSES))
  assert title == 'constraints:'
  assert cells_of(head) == ['asked', 'training, 901-1,000', 'test split', 'multiplier']
  assert cells_of(re) == [
    're', 'RMS error per dimension <= 0.1 units of x', '0.1 +- 9e-11', '0.1025 +- 0.0005', '8103',
    'training: met, test: not met',
  ]  # fmt: skip
  assert re_why.strip() == (
    're: met over the last tenth of training, but not on the test split: C is +5% of the threshold'
  )
  assert cells_of(fre)[1] == 'RMS feature error <= 0.5 standard deviations (0.2 units of the features)'
  assert cells_of(fre)[2:4] == ['0.6 +- 0', '0.6 +- 0.002'] and cells_of(fre)[-1] == 'not met'
  assert fre_why.strip() == (
    f'fre: {BEYOND}: the multiplier grows by a factor of 2.98e+03 per 1,000 steps, while what is reached moves no '
    'more; the smallest in the last fifth of training is 0.6'
  )
  assert cells_of(rate) == ['rate/z2', 'rate 8 nats', '4 +- 0', '4 +- 0.08', '1e-06', 'not met']
  assert rate_why.strip() == (
    f'rate/z2: {END}: the multiplier is at the lower one (spec.constraint.range); the largest in the last fifth of '
    'training is 4'
  )


def test_the_table_of_a_run_that_goes_on(tmp_path):
  """Steps that are missing, and what is not yet evaluated."""
  courses = {'rate/z2': (lambda done: 0.3 - 0.2 * done, lambda done: 0.0, 0.0)}
  assert ' test split, step 500 ' in table(fabricate(tmp_path / 'before', courses, last=800))[1]
  head, rate, why = table(fabricate(tmp_path / 'run', courses, last=450))[1:]
  assert cells_of(head) == ['asked', 'training, 351-450', 'multiplier'] and cells_of(rate)[-1] == 'not met'
  assert why.strip().startswith(f'rate/z2: {MOVING}: what is reached falls by 1.6 per 1,000 steps; about 1,')
  assert table(fabricate(tmp_path / 'none', {})) == []


def test_a_slack_constraint_is_met_with_room_to_spare(tmp_path):
  courses = {'re': (lambda done: -0.3, lambda done: np.log(1e-6), -0.3)}
  *_, re = table(fabricate(tmp_path / 'slack', courses))
  assert cells_of(re)[-1] == 'met, with room to spare'
  courses = {'re': (lambda done: -0.3, lambda done: 5 - 5 * done, -0.3)}
  *_, why = table(fabricate(tmp_path / 'loosens', courses))
  assert why.strip().startswith(f're: holds with room to spare; {MOVING}: the multiplier falls by a factor of 148 per')


def test_what_scripts_ask_for(tmp_path):
  judged = {each.name: each for each in judge(fabricate(tmp_path / 'run', COURSES))}
  assert judged['re'].training.met and not judged['re'].splits['test'].met and judged['re'].reason is None
  assert judged['re'].settled == 150 and judged['fre'].settled is None  # exp(-3) is below 5%, exp(-2) is not
  assert judged['rate/z2'].asked == 8 and judged['rate/z2'].end == -1 and judged['fre'].reason.why == BEYOND


def test_figures_of_the_course(tmp_path):
  """Thresholds, ends of the range that are near, all betas; the beta that was found, not the spec's."""
  run = fabricate(tmp_path / 'run', COURSES)
  drawn = figures_of.constraints(run)
  axes = {axis.get_title(): axis for axis in drawn.axes}
  assert len(axes) == 7
  texts = lambda title: [text.get_text() for text in axes[title].get_legend().get_texts()]
  assert texts('re: RMS error per dimension <= 0.1 units of x')[-1] == 'test'
  assert texts('multiplier of rate/z2') == ['lower end of its range, 1e-06']
  assert axes['multiplier of re'].get_legend() is None and axes['multiplier of re'].get_yscale() == 'log'
  assert texts('betas in effect') == ['beta/z2', 'beta/z1']
  _, bars = figures.rates(run).axes
  assert [label.get_text().rpartition('= ')[2] for label in bars.get_xticklabels()] == ['2.5', '0.001']
  plane = figures_of.information_plane(run)
  assert plane.axes[0].get_ylabel().startswith('1/2 log(2 pi e mse)')
  np.testing.assert_allclose(plane.axes[0].lines[0].get_ydata()[-1], 0.5 * np.log(2 * np.pi * np.e * 1e-4))
  assert [text.get_text() for text in plane.axes[0].texts] == ['start (1)', 'end (1,000)']
  assert figures_of.constraints(fabricate(tmp_path / 'none', {})) is None


def test_the_plane_has_the_nll_of_evaluations_where_there_are_some(tmp_path):
  run = fabricate(tmp_path / 'run', {})
  for step in (100, 200, 300, 400):
    run.append_metrics(step, 'test', {'rate': 3.0, 'nll_per_dimension': step / 1000}, evaluation=True)
  axis = figures_of.information_plane(Run(run.workdir)).axes[0]
  assert axis.get_ylabel().startswith('nll_per_dimension') and list(axis.lines[0].get_ydata()) == [0.1, 0.2, 0.3, 0.4]


def test_in_mid_training_nothing_that_goes_wrong_stops_it(tmp_path, capsys, monkeypatch):
  """Figures are drawn and shown, a limited number of times; a figure, a disk or an event file that fails is told of."""
  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

  run = fabricate(tmp_path / 'run', {'re': COURSES['re']}, every=10**9)
  with commands._course(run, 1000) as evaluated:
    for step in (10, 20, 30, 45):
      evaluated(step)
  shown = EventAccumulator(str(run.figures), size_guidance={'tensors': 0}).Reload()
  assert sorted(shown.Tags()['tensors']) == ['constraints', 'information_plane']
  assert [event.step for event in shown.Tensors('constraints')] == [20, 45]
  assert sorted(path.name for path in run.figures.glob('*.png')) == ['constraints.png', 'information_plane.png']
  capsys.readouterr()

  def fails(error):
    def draw(run):
      raise error

    return draw

  for error, said in ((ValueError('no'), 'ValueError: no'), (OSError(28, 'No space left'), 'No space left')):
    monkeypatch.setattr(figures, 'DURING', ('constraints',))
    monkeypatch.setitem(figures.OF_THE_RUN, 'constraints', fails(error))
    with commands._course(run, 1000) as evaluated:
      evaluated(500)
    assert said in capsys.readouterr().out
