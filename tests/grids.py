"""Directories of finished runs, written by hand and quickly: what tests of grids and of their reports read.

Their numbers follow simple formulas of the betas, so that a test knows what must come out; nothing here needs
TensorFlow.
"""

import functools
import itertools
import json
import math
import pathlib

import numpy as np

from tfvae import spec as spec_lib
from tfvae.spec.fields.field import flatten

STEPS = 1000
BETAS = {'objective.beta.z2': (0.5, 1.0, 2.0), 'objective.beta.z1': (1.0, 3.0)}


def leave_grid(root, axes=BETAS, seeds=(0,), rows=5, images=(0, 28), sweep=True, **fields):
  """Writes a run below `root` for each point of the product of `axes`, {field: values}, and each seed.

  Args:
    rows: lines of metrics.jsonl, and half as many evaluations.
    images: (how many, their side) of each array of samples; 0: none.
    sweep: whether sweep.json is there.
    fields: of all runs, dots as they are (leave_grid(..., **{'train.steps': 10})).

  Returns the names of the runs, in order.
  """
  root, points = pathlib.Path(root), []
  for values in itertools.product(*axes.values()):
    for seed in seeds:
      chosen = dict(zip(axes, values, strict=True)) | ({'seed': seed} if len(seeds) > 1 else {})
      name = ','.join(f'{field}={spec_lib.to_text(value)}' for field, value in chosen.items())
      leave_run(root / name, rows, images, **({'seed': seed} | fields | chosen))
      points.append({'name': name, 'fields': chosen, 'status': 'finished', 'message': ''})
  if sweep:
    text = {'spec': 'specs/hit.py:digits', 'axes': {field: list(values) for field, values in axes.items()}}
    text |= {'zip': [], 'points': points, 'executor': 'local', 'command': 'python launch.py --mode=sweep'}
    (root / 'sweep.json').write_text(json.dumps(text))
  return [point['name'] for point in points]


def leave_run(path, rows=5, images=(0, 28), numbers=None, steps=STEPS, **fields):
  """Writes one finished run with these fields of its spec; numbers: its evaluation, else that of `outcome`."""
  path = pathlib.Path(path)
  (path / 'evaluations').mkdir(parents=True)
  tree = json.loads(_base())
  fields = {'train.steps': steps, 'seed': 0} | fields
  for name, value in fields.items():
    *parents, last = name.split('.')
    functools.reduce(lambda node, part: node[part], parents, tree)[last] = value
  flat = flatten(tree)
  outcome_ = outcome(flat['objective.beta.z2'], flat['objective.beta.z1'], flat['seed']) if numbers is None else numbers
  (path / 'spec.json').write_text(json.dumps(tree, indent=2))
  (path / 'data.json').write_text(json.dumps({'name': tree['data']['name'], 'shape': [images[1], images[1], 1]}))
  (path / 'saved.json').write_text(json.dumps({'step': steps}))
  lines = []
  for row in range(1, rows + 1):
    step, done = steps * row // rows, row / rows
    values = {name: float(value * (2 - done)) for name, value in outcome_.items() if '_standard_error' not in name}
    lines.append({'step': step, 'split': 'train', 'gradient_norm': 1.0, **values})
    if row % 2 == rows % 2:
      lines.append({'step': step, 'split': 'test', 'evaluation': True, **values})
  (path / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
  (path / 'evaluation.json').write_text(json.dumps({'step': steps, 'split': 'test', **outcome_}))
  found = {'bounds': {'settings': {}, 'arrays': {}, 'numbers': outcome_}}
  (path / 'evaluations' / f'test-{steps}.json').write_text(json.dumps(found))
  start = {'begin': '2026-01-01T00:00:00+00:00', 'end': '2026-01-01T00:01:00+00:00', 'outcome': 'finished'}
  start |= {'command': f'python launch.py --spec specs/hit.py:digits --workdir runs/{path.name}', 'versions': {}}
  (path / 'environment.json').write_text(json.dumps({'starts': [start]}))
  if images[0]:
    (path / 'arrays').mkdir()
    shape = (images[0], images[1], images[1], 1)
    rng = np.random.default_rng(flat['seed'])
    pictures = {name: rng.random(shape, np.float32) for name in ('x', 'reconstruction', 'prior')}
    np.savez(path / 'arrays' / f'samples-test-{steps}.npz', **pictures, value_range=np.array([0.0, 1.0]))
  return path


def outcome(z2, z1, seed=0):
  """Numbers of a test split: rates that fall in their betas, of which the rest follows, and a spread over seeds."""
  noise = 0.01 * math.sin(12.9898 * seed + 78.233 * z2 + 37.719 * z1)
  rates = {'rate/z2': 12 / (1 + 2 * z2**1.5) + noise, 'rate/z1': 24 / (1 + z1) + 4 * z2 / (1 + z2) + noise}
  rate = sum(rates.values())
  distortion = 40 * math.exp(-rate / 12) + 1 + noise
  mse = distortion / 1000
  right = 1 - 0.9 * math.exp(-rates['rate/z2'])
  numbers = {'elbo': -distortion - rate, 'log_likelihood': -distortion, 'rate': rate, **rates, 'mse': mse}
  numbers |= {'sigma': math.sqrt(mse), 'psnr': -10 * math.log10(mse), 'ssim': 1 - mse, 'label_entropy': math.log(10)}
  numbers |= {'fid/classifier/prior': 5 + abs(rates['rate/z2'] - 3) + noise, 'probe/logistic/z2': right}
  numbers |= {'accuracy_bound_information/z2': min(1.0, right + 0.05), 'mutual_information/z2': 2.3 * right}
  errors = {'elbo': 0.2, 'rate': 0.05, 'rate/z2': 0.02, 'rate/z1': 0.04, 'mse': mse / 50, 'probe/logistic/z2': 0.01}
  return numbers | {_error(name): value for name, value in errors.items()}


def _error(name):
  what, slash, layer = name.partition('/')
  return f'{what}_standard_error{slash}{layer}'


@functools.cache
def _base():
  return spec_lib.to_json(spec_lib.resolve(spec_lib.base(), {'eval.evaluators': ('bounds', 'samples')}))
