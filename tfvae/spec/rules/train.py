"""Rules of spec.train."""

from tfvae.spec.rules.asked import shown


def schedule_rule(f):
  schedule, final = f['train.schedule'], f['train.schedule_final']
  if schedule in ('exponential', 'inverse_time') and final == 0:
    yield f'spec.train.schedule_final: got 0; spec.train.schedule={schedule} never reaches 0: give a number > 0'
  if schedule == 'piecewise' and list(f['train.schedule_boundaries']) != sorted(set(f['train.schedule_boundaries'])):
    yield f'spec.train.schedule_boundaries: got {shown(f["train.schedule_boundaries"])}; allowed: increasing fractions'
  if f['train.warmup'] and schedule != 'cosine':
    yield f'spec.train.warmup: got {f["train.warmup"]:g}; only spec.train.schedule=cosine has a warm-up, not {schedule}'


def strategy_rule(f):
  if f['train.logical_devices'] and f['train.strategy'] != 'mirrored':
    yield (
      f'spec.train.logical_devices: got {f["train.logical_devices"]}; only spec.train.strategy=mirrored has logical '
      f'devices, not {f["train.strategy"]}'
    )
