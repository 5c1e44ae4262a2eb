"""tfvae: variational autoencoders from declarative specs.

import tfvae
spec = tfvae.load_spec('specs/hit.py', {'train.steps': 500})
run = tfvae.train(spec, 'runs/hit')
run.evaluation['elbo'], run.metrics['train']['elbo'], run.model
"""

import importlib

__version__ = '0.2.0'

_EXPORTS = {
  'train': ('tfvae.commands', 'train'),
  'evaluate': ('tfvae.commands', 'evaluate'),
  'sample': ('tfvae.commands', 'sample'),
  'export': ('tfvae.commands', 'export'),
  'load': ('tfvae.commands', 'load'),
  'load_runs': ('tfvae.run.results', 'load_runs'),
  'load_spec': ('tfvae.spec', 'load'),
  'Stopped': ('tfvae.training.signals', 'Stopped'),
}
__all__ = [*_EXPORTS]


def __getattr__(name):
  if name not in _EXPORTS:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  module, attribute = _EXPORTS[name]
  return getattr(importlib.import_module(module), attribute)


def __dir__():
  return sorted([*globals(), *_EXPORTS])
