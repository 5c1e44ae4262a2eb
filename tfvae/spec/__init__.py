"""Specs: made by `base`, read from spec files, overridden by flags, validated, written to and read from JSON.

Nothing here imports TensorFlow: a user's mistake is reported at once, with all the others.
"""

from tfvae.spec.loading import (
  Origin,
  at,
  base,
  changed,
  derive,
  differences,
  evaluator,
  fields_from_json,
  freeze,
  from_json,
  load,
  origin,
  pairs,
  read,
  resolve,
  split_flags,
  to_json,
  to_text,
  validate,
  words,
)

__all__ = [
  'Origin',
  'at',
  'base',
  'changed',
  'derive',
  'differences',
  'evaluator',
  'fields_from_json',
  'freeze',
  'from_json',
  'load',
  'origin',
  'pairs',
  'read',
  'resolve',
  'split_flags',
  'to_json',
  'to_text',
  'validate',
  'words',
]
