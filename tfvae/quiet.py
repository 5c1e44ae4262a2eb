"""Importing TensorFlow without its start-up noise."""

import contextlib
import os
import sys
import tempfile


def _noise():
  """A file for it: in memory, as the disk may be full, where there is that."""
  return open(os.memfd_create('noise'), 'w+b') if hasattr(os, 'memfd_create') else tempfile.TemporaryFile()


def import_tensorflow() -> None:
  """Imports TensorFlow and TFP; what their libraries print is shown only where the import fails."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  if 'tensorflow' in sys.modules:
    return
  with _noise() as noise, contextlib.ExitStack() as stack:
    own = os.dup(2)
    stack.callback(os.close, own)
    stack.callback(os.dup2, own, 2)
    os.dup2(noise.fileno(), 2)
    try:
      import tensorflow
      import tensorflow_probability
    except Exception:
      noise.seek(0)
      os.write(own, noise.read())
      raise
  tensorflow.get_logger().setLevel('ERROR')  # many runs in one process are no reason for warnings about retracing
  del tensorflow_probability
