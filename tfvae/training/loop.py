"""The only training loop, for every model and objective."""

import contextlib
import time
import zlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfvae import build
from tfvae.analysis.evaluation import Abandoned, by_split, complete
from tfvae.analysis.evaluator import Split, moments
from tfvae.data.dataset import Dataset
from tfvae.data.stored import Part
from tfvae.errors import NonFiniteError, RunError, UserError
from tfvae.objectives.objective import STATISTIC
from tfvae.plan import model_line
from tfvae.report import tensorboard
from tfvae.report.images import grid
from tfvae.run import environment
from tfvae.run.checkpoint_files import newest
from tfvae.run.checkpoints import Checkpoints, named
from tfvae.run.directory import Directory
from tfvae.run.events import Events, show_trial
from tfvae.spec.evaluators import entry, kind
from tfvae.training.course import Call, Course, alone
from tfvae.training.machinery import Kept, Machinery
from tfvae.training.progress import Progress, watch
from tfvae.training.signals import StopSignal, stopped
from tfvae.training.step import Steps
from tfvae.training.workers import Workers, one_device

# A call of the compiled loop takes about this long at most, so that a stop signal is heard.
SECONDS_PER_CALL = 1.5
EARLY_LOGS = (1, 10)
COMPILING = {  # what is said where the first call takes long
  'xla': 'compiling the step (XLA) ...',
  'graph': 'compiling the step (a graph) ...',
  'eager': 'taking the first step, which is not compiled ...',
}


class Trainer:
  """Trains what a spec says, in a Directory whose lock is held (by the chief, where there are several workers).

  Building it may raise UserError (nets that do not fit the data, say), before anything is written.

  Args:
    spec, run, data: what is trained, where, and on what.
    strategy: None: one device.
    workers: who trains together. None: this process alone.
    spec_file: where the spec is from.
    kept: what the process keeps from run to run, on one device. None: nothing.
  """

  def __init__(
    self,
    spec,
    run: Directory,
    data: Dataset,
    strategy=None,
    workers: Workers | None = None,
    spec_file=None,
    kept: Kept | None = None,
  ):
    self.spec, self.run, self.spec_file = spec, run, spec_file
    self.strategy = strategy or one_device()
    self.workers = workers or Workers(None, self.strategy)
    self.workers.require_same('the data (their checksum)', data.summary['fingerprint'])
    if kept and strategy is None:
      made = kept.machinery(spec, data, self.strategy)
    else:
      made = Machinery(spec, data, self.strategy, self.workers.index)
    self.machinery = made
    self.source, self.model, self.objective, self.ema = made.source, made.model, made.objective, made.ema
    self.stepper, self.evaluation, self._mode, self.strategy = made.stepper, made.evaluation, made.mode, made.strategy
    if self.workers.is_chief:
      print(model_line(spec, self.model, self.strategy), flush=True)
    self._require_same_frozen()
    with self.strategy.scope():
      self._zeros = tf.constant(self.stepper.zeros())
      self._sums = tf.Variable(self._zeros, trainable=False, name='sums')
      self._state = tf.Variable([0, 0], dtype=tf.int64, trainable=False, name='state')  # step, step of the last log
    self.evaluators = build.evaluators(spec, data.observation, run)
    objects = {f'optimizer_{o.name}': named(o.variables) for pairs in made.groups.values() for o, _ in pairs}
    objects |= {'ema': self.ema.variables} if self.ema else {}
    self.checkpoints = Checkpoints(
      run.checkpoints,
      spec.train.keep,
      model=named(self.model.variables),
      objective=self.objective.variables,
      sums=self._sums,
      state=self._state,
      **objects,
    )
    self._of_splits = by_split(self.evaluators, dict.fromkeys((spec.eval.split, *spec.eval.also)))
    # split: its event files; evaluations of the training split are apart from its log.
    name = lambda split: 'eval' if split == spec.eval.split else f'eval-{split}'
    self._eval_events = {split: Events(run.workdir / name(split)) for split in self._of_splits}
    self._train_events = Events(run.workdir / 'train')
    self.step = self._logged = self._saved = 0
    self.present: Callable[[], None] = lambda: None  # before the model is looked at: gives it the values of this run

  def _require_same_frozen(self):
    """Raises RunError where the workers have different frozen networks, which are at paths of their own."""
    for name, identity in self.objective.frozen.items():
      self.workers.require_same(f'the {name} at spec.{name}.path (its checksum)', zlib.crc32(identity.encode()))

  # The host's loop.

  def train(self, stop: StopSignal, overwrite: bool = False, evaluated: Callable[[int], None] | None = None) -> None:
    """Trains to the last step, resuming where a checkpoint is. Raises Stopped where a signal ends it: it is saved.

    evaluated: called, by the chief, with the step of each evaluation in mid-training when metrics.jsonl has it.
    """
    alone(self.course(stop, overwrite, evaluated))

  def course(self, stop: StopSignal, overwrite: bool = False, evaluated: Callable[[int], None] | None = None) -> Course:
    """The same as a course: steps are taken by who goes through it."""
    stop.at_once, self._evaluated = None, evaluated or (lambda step: None)
    try:
      yield from self._train(stop, overwrite)
    except tf.errors.InvalidArgumentError as error:
      if isinstance(self._part, Part):
        raise UserError(self._part.reader.explain(error)) from None
      raise

  @property
  def _part(self):
    return self.source.dataset.splits['train']

  def _train(self, stop, overwrite):
    steps, workers = self.spec.train.steps, self.workers
    told = self._begin(overwrite)
    progress = self._progress = Progress(self.step, steps, quiet=not workers.is_chief)
    if told:
      progress.say(told)
    told = None
    if workers.is_chief:
      show_trial(self.run)
    sums, most, seconds = tf.constant(self._sums.numpy()), 1, 0.0  # most: steps in a call
    try:
      # What was given up when the run was stopped. Later ones are new, and metrics.jsonl need not be read for them.
      if missing := {split: own for split, own in self._due_evaluators().items() if not self._has_evaluation(split)}:
        self._evaluate(stop, missing, progress)
      while self.step < steps:
        told, most = self._agree(stop, most)
        if told:
          break
        first_call, count = self._is_first_call, min(most, self._next_stop() - self.step)
        done, took = yield Call(self, count, sums)
        sums, taken = done.sums, int(done.taken)
        if not bool(done.finite):
          self._stop_non_finite(self.step + taken, done.last.numpy())
        self.step, seconds = self.step + taken, seconds + took
        progress.advance(self.step)
        if self._is_log_step():
          sums = self._log(sums, seconds, progress)
          seconds = 0.0
        if due := self._due_evaluators():
          self._evaluate(stop, due, progress)
        if self._due(self.spec.train.checkpoint_every) or self.step == steps:
          self._save(sums)
        # As many steps as fit the time of a call; the first call traced and compiled, which says nothing.
        most = 10 if first_call else max(1, min(2 * most, int(count * SECONDS_PER_CALL / max(took, 1e-6))))
      if self._saved != self.step:
        self._save(sums)
      stop.at_once = (
        f'stopped; {self.run.workdir} is saved at step {self.step}, and the same command goes on from there'
      )
    finally:
      progress.close()
      self._train_events.close()
      if self.step < steps:  # else `finish` writes to them, too: files of one second are not read in their order
        self._close_eval_events()
    if told:
      workers.gather()  # who leaves early looks like one that was lost
      done = f'saved step {self.step} in' if self.step else 'stopped before the first step of'
      raise stopped(told[0], f'{done} {self.run.workdir}; the same command resumes', told[1])

  @property
  def _is_first_call(self):
    return self.step == self._started

  def take(self, call: Call) -> tuple[Steps, float]:
    """Takes the steps of a call: where it ended, and the seconds that it took."""
    begun, first, count = time.perf_counter(), tf.constant(self.step, tf.int64), tf.constant(call.count, tf.int64)
    feed = self.source.feed(self.step, call.count, self.stepper.rows)
    with self._progress.compiling(COMPILING[self._mode]) if self._is_first_call else contextlib.nullcontext():
      done = self.stepper.run(feed, first, count, call.sums)
      int(done.taken)  # when they are taken
    return done, time.perf_counter() - begun

  def _agree(self, stop, most):
    """(the signal that stops all workers now and who heard it, or None; the steps of the next call): alike for all."""
    table = self.workers.gather(stop.number, most)
    heard = np.flatnonzero(table[:, 0])
    if len(heard):  # by the table alone, which is the same for all: a signal of this moment counts the next time
      own = int(table[self.workers.index, 0])
      return (own, '') if own else (int(table[heard[0], 0]), f'Worker {heard[0]} was told to stop'), most
    return None, int(table[0, 1])

  def _begin(self, overwrite):
    """Restores, and only then writes. Returns what to tell."""
    frozen = self.objective.frozen
    if not overwrite:
      self.run.require_frozen(frozen, self.spec)
    step = None if overwrite else self.checkpoints.restore(saved=self.run.saved)
    if step is not None and step > self.spec.train.steps:
      raise RunError(
        f'spec.train.steps: got {self.spec.train.steps}, but the run {self.run.workdir} has taken {step} steps already'
      )
    self.workers.require_same(
      f'--workdir {self.run.workdir} is not the same directory for all workers: its newest checkpoint', step or 0
    )
    if step is None and self.spec.model.standardize:
      with self.strategy.scope():
        self.model.standardized.fit(*moments(self._train_split))
    if step is None and self.spec.train.init_from:  # the units too
      Directory(self.spec.train.init_from).initialize(self.model)
      if self.ema:
        self.ema.reset()
    if step is None:
      with self.strategy.scope():
        self.objective.fit(lambda features: moments(self._train_split, features))
    further = ''
    if self.workers.is_chief:
      further = '' if overwrite else self.run.behind(step or 0)
      start = environment.start(self.spec_file, self.strategy.num_replicas_in_sync)
      kept = self.source.dataset.summary | ({'frozen': frozen} if frozen else {})
      for told in self.run.begin(self.spec, kept, start, overwrite):
        print(told, flush=True)
      self.run.continue_from(step or 0)
    self.step, self._logged = (int(value) for value in self._state.numpy())
    self._saved = self._started = self.step
    if step is None:
      return f'{self.run.workdir}: {further}; training begins again at step 1.' if further else ''
    again = f': {further}; what it has after step {step} is made again' if further else ''
    return f'Resumed {self.run.workdir} at step {step}{again}.'

  @property
  def _train_split(self):
    return Split(self.source, 'train', self.spec)

  def _next_stop(self):
    """The next step at which the host has something to do."""
    train, steps = self.spec.train, self.spec.train.steps
    ends = [step for step in EARLY_LOGS if step > self.step]
    for every in {train.log_every, train.checkpoint_every, *map(self._every, self.evaluators)}:
      ends += [(self.step // every + 1) * every] if every else []
    return min(*ends, steps)

  def _due(self, every):
    return every and self.step and self.step % every == 0 and self.step < self.spec.train.steps

  def _every(self, evaluator):
    """Steps between two of its evaluations in training; 0: it is for the end."""
    section, of = self.spec.eval, evaluator.name
    return evaluator.section.every or (section.every if {of, kind(of)} & set(section.during) else 0)

  def _due_evaluators(self):
    """{split: the evaluators that are due at this step}; empty where none is."""
    found = {split: [e for e in own if self._due(self._every(e))] for split, own in self._of_splits.items()}
    return {split: own for split, own in found.items() if own}

  def _is_log_step(self):
    return self.step in EARLY_LOGS or self.step % self.spec.train.log_every == 0 or self.step == self.spec.train.steps

  def _log(self, sums, seconds, progress):
    """Writes the means since the last log; the sums begin again at zero."""
    count = self.step - self._logged
    means = zip(self.stepper.metric_names, (sums.numpy() / count).tolist(), strict=True)
    values = {name: mean for name, mean in means if not name.startswith(STATISTIC)}
    values['steps_per_second'] = count / max(seconds, 1e-9)
    values['examples_per_second'] = values['steps_per_second'] * self.source.batch_size
    if self.workers.is_chief:
      self.run.append_metrics(self.step, 'train', values)
      self._train_events.numbers(self.step, values)
    progress.show(self.step, values)
    self._logged = self.step
    return self._zeros

  def _save(self, sums):
    self.present()
    if not bool(self.machinery.all_finite()):
      bad = [v.path for v in self.model.variables if not np.all(np.isfinite(v.numpy()))]
      raise NonFiniteError(self._non_finite_message(self.step, f'the weights {", ".join(bad[:3])}'))
    self._sums.assign(sums)
    self._state.assign([self.step, self._logged])
    if self.workers.is_chief:
      self.checkpoints.save(self.step)
      self.run.record_saved(self.step)
    self._saved = self.step

  def _stop_non_finite(self, step, last):
    self.present()
    names = [name for name, value in zip(self.stepper.metric_names, last, strict=True) if not np.isfinite(value)]
    raise NonFiniteError(self._non_finite_message(step, ', '.join(names) + self._bad_examples(step)))

  def _bad_examples(self, step):
    """Which examples of a step's batch, or what of them, are not finite themselves, for a message; '' where all are."""
    if isinstance(self._part, Part):
      return ''
    rows, found = self.source.order(step - 1, 1)[0], ''
    for name, what in (('x', ''), ('context', 'the context of '), ('target', 'the target of ')):
      if name in self._part:
        finite = np.isfinite(np.asarray(self._part[name])[rows]).reshape(len(rows), -1).all(axis=1)
        if bad := [str(row) for row in rows[~finite][:3]]:
          found += f' (of the data, {what}training example {", ".join(bad)}, counted from 0, is not finite)'
    return found

  def _non_finite_message(self, step, what):
    return (
      f'Stopped at step {step}: not finite: {what}. {self._good_checkpoint()}. Try a lower '
      'spec.train.learning_rate, spec.train.clip_norm, or a larger spec.decoder.sigma_floor'
    )

  def _good_checkpoint(self):
    found = newest(self.run.checkpoints)
    return f'Last good checkpoint: {self.run.checkpoints / f"ckpt-{found}" if found else "none yet"}'

  # Evaluation, during training and at the end.

  def _averaged(self):
    """Inside, the model has the averaged weights where there are any."""
    return self.ema.swapped() if self.ema else contextlib.nullcontext()

  def _evaluate(self, stop, due, progress):
    """An evaluation in mid-training, by the chief; a stop signal gives it up, and resuming begins with it."""
    if not self.workers.is_chief:
      return
    self.present()
    with contextlib.suppress(Abandoned), self._averaged():
      for split, own in due.items():
        numbers, arrays = {}, {}
        for evaluator, found in self.evaluation.run(split, own, lambda: stop.number, progress.watch):
          numbers |= found.numbers
          arrays[evaluator.name] = found.arrays
        self._keep_frames(split, arrays)
        self.run.append_metrics(self.step, split, numbers, evaluation=True)
        self._write_events(self._eval_events[split], numbers, arrays)
      self._show_pictures()
      self._evaluated(self.step)

  def _show_pictures(self):
    limits, stack = self.source.value_range, self.source.dataset.observation.stack
    pictures = {name: images.numpy() for name, images in self.objective.pictures().items()}
    if images := {name: grid(value, limits, stack=stack) for name, value in pictures.items() if value.ndim == 4}:
      self._eval_events[self.spec.eval.split].images(self.step, images)

  def _keep_frames(self, split, arrays):
    """Keeps, of each evaluator, the arrays by which figures show the course of training."""
    for name, own in arrays.items():
      if kept := {key: own[key] for key in entry(name).frame if key in own}:
        self.run.write_frame(name, split, self.step, kept)

  def _write_events(self, events, numbers, arrays):
    tensorboard.show(events, self.step, numbers, arrays, self.source.dataset.observation.stack)

  def _close_eval_events(self):
    for events in self._eval_events.values():
      events.close()

  def _has_evaluation(self, split):
    """Whether metrics.jsonl has the evaluation of this step."""
    wanted = (self.step, split, True)
    return any((row['step'], row['split'], row.get('evaluation')) == wanted for row in self.run.read_metrics())

  def finish(self) -> dict[str, float] | None:
    """The last evaluation, by the chief: in metrics.jsonl, evaluation.json, arrays/ and the event files.

    Returns the numbers of spec.eval.split.
    """
    if not self.workers.is_chief:
      return None
    self.present()
    found = {}
    for split, own in self._of_splits.items():
      events = self._eval_events[split]
      with self._averaged():
        found[split] = complete(self.evaluation, own, self.run, self.step, split, watch)
      if not self._has_evaluation(split):
        arrays = {evaluator.name: self.run.arrays(evaluator.name, split) for evaluator in own}
        self._keep_frames(split, arrays)
        self.run.append_metrics(self.step, split, found[split], evaluation=True)
        self._write_events(events, found[split], arrays)
        if split == self.spec.eval.split:
          with self._averaged():
            self._show_pictures()
    self._close_eval_events()
    return found[self.spec.eval.split]
