"""What TensorBoard shows of an evaluation: its numbers, images as grids, and histograms."""

import numpy as np

from tfvae.report import canvases, contexts
from tfvae.report.images import grid
from tfvae.run.events import Events
from tfvae.spec.evaluators import kind, own


def show(events: Events, step: int, numbers: dict[str, float], arrays: dict[str, dict], stack: bool) -> None:
  """Writes what evaluators found: {name: number} of all, and the arrays of each, {evaluator: {name: array}}.

  stack: whether the three channels of an image are images of their own (`Observation.stack`).
  """
  events.numbers(step, numbers)
  for name, found in arrays.items():
    suffix = f'@{own(name)}' if own(name) else ''
    if found and (images := IMAGES.get(kind(name), _none)(found, stack)):
      events.images(step, {title + suffix: image for title, image in images.items()})
    if found and (values := HISTOGRAMS.get(kind(name), _none)(found, stack)):
      events.histograms(step, {title + suffix: value for title, value in values.items()})


def _none(arrays, stack):
  del arrays, stack
  return {}


def _samples(arrays, stack):
  if arrays['x'].ndim != 4:
    return {}
  limits = arrays['value_range']
  shown = {'reconstruction': 'reconstructions', 'prior': 'prior_samples', 'x': 'data', 'target': 'targets'}
  found = {title: grid(arrays[name], limits, stack=stack) for name, title in shown.items() if name in arrays}
  if (told := arrays.get('context')) is not None and told.ndim > 1:
    found['contexts'] = grid(contexts.pictures(told, arrays['x'].shape[1], limits), limits)
  return found


def _limiting(arrays, stack):
  chains = arrays['limiting']
  return {'limiting': grid(chains, arrays['value_range'], stack=stack)} if chains.ndim == 4 else {}


def _latents(arrays, stack) -> dict[str, np.ndarray]:
  del stack
  return {f'z/{name[:-2]}': value for name, value in arrays.items() if name.endswith('.z')}


# Of evaluators: {title: [H, W, 1 or 3] in [0, 1]} and {title: values} of what they left.
IMAGES = {'samples': _samples, 'limiting': _limiting, 'canvases': canvases.grids}
HISTOGRAMS = {'latents': _latents}
