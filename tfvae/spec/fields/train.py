"""spec.train."""

from tfvae.spec.entries import NAMES
from tfvae.spec.fields.field import FRACTION, Field

TRAIN = {
  'steps': Field(2000, 'Length of training in steps.', low=1, high=10**12),
  'optimizer': Field('adam', "Keras' optimizer.", choices=tuple(NAMES['train.optimizer'])),
  'learning_rate': Field(1e-3, 'Learning rate (before the schedule).', above=0, runtime=True),
  'variance_learning_rate': Field(
    0.0,
    "Learning rate of the learned variances (decoder's and prior's), by an optimizer of their own. 0: as the other "
    'weights.',
    low=0,
    runtime=True,
  ),
  'beta_1': Field(0.9, 'Decay of the first moment (adam, adamax, nadam).', low=0, below=1),
  'beta_2': Field(0.999, 'Decay of the second moment (adam, adamax, nadam); rho of rmsprop.', low=0, below=1),
  'epsilon': Field(1e-7, 'Added to the denominator (all but sgd).', above=0),
  'momentum': Field(0.0, 'Momentum (sgd, rmsprop).', low=0, below=1),
  'weight_decay': Field(0.0, 'Decoupled weight decay, never on variances. 0: none.', low=0),
  'schedule': Field(
    'constant',
    "Of the learning rate, by Keras' schedules: constant | cosine | exponential | polynomial | inverse_time "
    '(all from 1 to schedule_final over training) | piecewise (times schedule_final at each boundary).',
    choices=('constant', 'cosine', 'exponential', 'polynomial', 'inverse_time', 'piecewise'),
  ),
  'schedule_final': Field(0.1, 'Factor on the learning rate at the end of the schedule.', low=0, high=1),
  'schedule_power': Field(1.0, 'Power of schedule=polynomial (1: linear).', above=0),
  'schedule_boundaries': Field(
    (0.5, 0.75), 'Boundaries of schedule=piecewise, fractions of training.', item=float, above=0, below=1
  ),
  'warmup': Field(
    0.0,
    'Fraction of training over which the learning rate of schedule=cosine first rises from 0.',
    low=0,
    below=1,
    unit=FRACTION,
  ),
  'clip_norm': Field(0.0, "Upper limit of the global norm of a player's gradient. 0: none.", low=0),
  'ema': Field(0.0, 'Decay of the moving average of the weights that evaluation uses. 0: none.', low=0, below=1),
  'strategy': Field(
    'one',
    'one: a GPU, or the CPU. mirrored: all GPUs of the machine. multi_worker: all GPUs of several machines, each '
    'running the same command on a shared workdir (TF_CONFIG or Slurm say who they are).',
    choices=('one', 'mirrored', 'multi_worker'),
  ),
  'logical_devices': Field(
    0, 'strategy=mirrored on so many logical devices of the CPU, to rehearse without GPUs. 0: all GPUs.', low=0, high=64
  ),
  'startup_timeout': Field(600.0, 'Seconds that a worker waits for the others at the start.', above=0),
  'precision': Field(
    'float32',
    'mixed_bfloat16: nets in bfloat16; weights, heads and densities in float32.',
    choices=('float32', 'mixed_bfloat16', 'float64'),
  ),
  'compile': Field(
    'auto',
    'xla: the step is compiled by XLA. graph: a TensorFlow graph. eager: for debugging. auto: xla, but on a CPU '
    'graph for convolutions and for small steps, which XLA makes slower.',
    choices=('auto', 'xla', 'graph', 'eager'),
  ),
  'log_every': Field(100, 'Steps between two lines of metrics.jsonl (the first: steps 1 and 10).', low=1, high=10**12),
  'checkpoint_every': Field(2000, 'Steps between two checkpoints (one more at the end).', low=1, high=10**12),
  'keep': Field(3, 'Checkpoints kept.', low=1, high=10**6),
  'init_from': Field(
    '',
    'The directory of a run of the same model, from whose newest weights training begins (its optimizers begin anew). '
    'Empty: from random weights.',
  ),
}
