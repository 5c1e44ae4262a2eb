"""What is shown where there is no terminal."""

import threading

from tfvae.training import progress
from tfvae.training.progress import Progress, watch


def test_a_slow_evaluation_is_told_of(monkeypatch, capsys):
  """A line however long one batch takes; the second batch waits until it was said."""
  monkeypatch.setattr(progress, 'EVERY', 0.01)
  said, lines = threading.Event(), []

  def hear(message, **_):
    lines.append(message)
    said.set()

  monkeypatch.setattr(progress, 'print', hear, raising=False)

  def batches():
    for number in range(3):
      said.clear()
      assert said.wait(60)
      yield number

  assert list(watch('log_evidence', batches(), 297)) == [0, 1, 2]
  assert lines[0].startswith('evaluating log_evidence: 0 of 297 batches, ')
  assert any(
    line.startswith('evaluating log_evidence: 2 of 297 batches, ') and line.endswith('s left') for line in lines
  )
  assert lines[-1].startswith('evaluated log_evidence: 297 batches in ')
  during = Progress(0, 10).watch('bounds', batches(), 3)
  assert list(during) == [0, 1, 2] and any(line.startswith('evaluating bounds: 2 of 3 batches') for line in lines)
  assert capsys.readouterr().out == ''


def test_a_quick_one_is_not(monkeypatch, capsys):
  monkeypatch.setattr(progress, 'EVERY', 600)
  monkeypatch.setattr(progress, 'SLOW', 600)
  assert list(Progress(0, 10).watch('bounds', iter([1, 2]), 2)) == [1, 2]
  with Progress(0, 10).compiling('compiling the step (XLA) ...'):
    pass
  assert capsys.readouterr().out == ''


def test_slow_compiling_is_told_of_once(monkeypatch):
  monkeypatch.setattr(progress, 'SLOW', 0.01)
  said, lines, shown = threading.Event(), [], Progress(0, 10)
  monkeypatch.setattr(shown, 'say', lambda message: (lines.append(message), said.set()))
  with shown.compiling('compiling the step (XLA) ...'):
    assert said.wait(60)
  assert lines == ['compiling the step (XLA) ...']
  quiet = Progress(0, 10, quiet=True)  # a worker that is not the chief
  monkeypatch.setattr(quiet, 'say', lines.append)
  with quiet.compiling('no'):
    assert not said.clear()
  assert len(lines) == 1 and list(quiet.watch('no', iter([1]), 1)) == [1]


def test_what_a_line_of_training_shows(capsys):
  speed = {'steps_per_second': 10.0}
  show = lambda metrics: (Progress(0, 100).show(5, metrics | speed), capsys.readouterr().out.strip())[1]
  assert (
    show({'loss': 9.0, 'elbo': -9.0, 'rate': 2.0, 'rate/z1': 2.0}) == 'step   5/100  elbo -9  rate/z1 2  10 steps/s'
  )
  two = show({'elbo': -9.0, 'rate': 3.0, 'rate/z2': 1.0, 'rate/z1': 2.0})
  assert two == 'step   5/100  elbo -9  rate 3  rate/z2 1  rate/z1 2  10 steps/s'
  members = {f'{name}/h{n}': -float(n) for n in (2, 4, 6) for name in ('elbo', 'log_likelihood')}
  members |= {'loss': 12.0, 'rate': 1.0, 'rate/h2': 1.0}
  assert show(members) == 'step   5/100  elbo/h2 -2  elbo/h4 -4  elbo/h6 -6  10 steps/s'
  many = show({f'elbo/h{n}': -abs(n - 11.5) for n in range(20)})
  assert many.count('elbo/') == 6 and 'elbo/h11 ' in many and 'elbo/h12 ' in many and 'elbo/h0 ' not in many
  assert show({'loss/generative': 1.0, 'loss/inference': 2.0}).count('loss/') == 2
  asked = {'elbo': -9.0, 'rate': 2.0, 'rate/z1': 2.0, 'constraint_average/re': 0.1, 'multiplier/re': 7.0}
  assert show(asked).endswith('  rate/z1 2  constraint_average/re 0.1  multiplier/re 7  10 steps/s')
  asked = {'rate': 2.0, 'rate/z1': 2.0, 'constraint_average/rate/z1': 0.1, 'multiplier/rate/z1': 7.0}
  assert show(asked) == 'step   5/100  rate/z1 2  multiplier/rate/z1 7  10 steps/s'  # the rate says how far it is
