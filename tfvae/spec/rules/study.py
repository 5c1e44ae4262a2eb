"""What is studied of data in place of training a model."""

import math


def study_rule(f: dict):
  """Sweeps that go nowhere, and grids of one point."""
  if (name := f['study.name']) == 'none':
    return
  section = f'study.{name}'
  swept, fewest = {'fixed_points': ('temperatures', 3), 'collapse': ('variances', 2)}[name]
  values, low, high = f[f'{section}.{swept}'], f[f'{section}.low'], f[f'{section}.high']
  if values and len(set(values)) < fewest:
    yield f'spec.{section}.{swept}: got {",".join(map(str, values))}; allowed: {fewest} different ones or more'
  elif not values and name == 'fixed_points' and low >= high:
    yield f'spec.{section}.low: got {low}; allowed: less than spec.{section}.high ({high})'
  if name == 'fixed_points' and math.prod(f[f'{section}.grid']) < 2:
    got = ','.join(map(str, f[f'{section}.grid']))
    yield f'spec.{section}.grid: got {got or "()"}; allowed: two tiles or more, such as 8,8'
