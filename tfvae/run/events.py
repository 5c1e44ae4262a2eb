"""TensorBoard event files of a run: the names of metrics.jsonl, images, histograms, HParams.

Written by TensorBoard's own writer, whose thread does the I/O: with tf.summary a small model spent a tenth of its time
on its scalars.
"""

import contextlib
import pathlib
import struct
import threading
import time

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.image.metadata import create_summary_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from tfvae.errors import RunError
from tfvae.run import metrics

threads_hook = threading.excepthook


def _leave_errors_to_the_writer(args):
  """No traceback of the writer's thread: the error comes up in `Events`, which tells it in a line."""
  if type(args.thread).__module__ != EventFileWriter.__module__:
    threads_hook(args)


threading.excepthook = _leave_errors_to_the_writer


class Events:
  """The event files in one directory, such as train/ or eval/."""

  def __init__(self, directory: pathlib.Path):
    self._directory, self._writer, self._scalars = directory, None, {}

  def _write(self, step, values):
    try:
      if self._writer is None:  # no file before there is something in it
        self._writer = EventFileWriter(str(self._directory))
      self._writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=values)))
    except (OSError, tf.errors.OpError) as error:  # also of its thread, when it wrote what was given before
      raise RunError(
        f'{self._directory}: the event file cannot be written ({_why(error)}). What was saved is as it was; mend '
        'this and run the same command again'
      ) from None

  def numbers(self, step: int, values: dict[str, float]) -> None:
    """One event with all of them: scalars, but for those of single latent units, of which a layer's are a histogram."""
    layers = metrics.by_layer(values)
    single = {name for names in layers.values() for name in names}
    scalars = {name: value for name, value in values.items() if name not in single}
    for name, value in scalars.items():
      if name not in self._scalars:  # making the metadata is what costs
        self._scalars[name] = scalar_pb(name, np.float32(0)).value[0]
      self._scalars[name].tensor.CopyFrom(TensorProto(dtype=DT_FLOAT, float_val=[value]))
    self._write(step, [self._scalars[name] for name in scalars])
    if layers:
      self.histograms(step, {layer: np.array([values[name] for name in names]) for layer, names in layers.items()})

  def trial(self, name: str, fields: dict) -> None:
    """For the HParams plugin: a trial of this name and its fields. Its metrics are the scalars of this directory."""
    plain = {k: v if isinstance(v, (bool, int, float, str)) else ','.join(map(str, v)) for k, v in fields.items()}
    self._write(0, hparams_pb(plain, trial_id=name).value)

  def images(self, step: int, images: dict[str, np.ndarray]) -> None:
    """{name: [H, W, 1 or 3] in [0, 1]}."""
    encode = lambda image: tf.io.encode_png(np.round(255 * image).astype(np.uint8)).numpy()
    self.pictures(step, {name: encode(image) for name, image in images.items()})

  def pictures(self, step: int, pictures: dict[str, bytes]) -> None:
    """{name: a PNG or GIF file}."""
    values = []
    for name, file in pictures.items():
      width, height = struct.unpack('<HH', file[6:10]) if file.startswith(b'GIF') else struct.unpack('>II', file[16:24])
      shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=3)])
      strings = [str(width).encode(), str(height).encode(), file]
      tensor = TensorProto(dtype=DT_STRING, tensor_shape=shape, string_val=strings)
      values.append(Summary.Value(tag=name, metadata=create_summary_metadata(None, None), tensor=tensor))
    self._write(step, values)

  def files(self, step: int, paths: list[pathlib.Path]) -> None:
    """Pictures, of PNG or GIF files, under their names."""
    self.pictures(step, {path.stem: path.read_bytes() for path in paths})

  def histograms(self, step: int, arrays: dict[str, np.ndarray]) -> None:
    """{name: values}."""
    self._write(step, [value for name, array in arrays.items() for value in histogram_pb(name, array).value])

  def close(self) -> None:
    """Writes what is waiting and closes the file."""
    writer, self._writer = self._writer, None
    try:
      if writer is not None:
        writer.close()
    except (OSError, tf.errors.OpError) as error:  # the numbers are in metrics.jsonl, too
      print(f'{self._directory}: the event file is not complete ({_why(error)}).', flush=True)


def show_trial(run, step: int = 0, numbers: dict[str, float] | None = None) -> None:
  """Tells TensorBoard's HParams of a run, and of the main numbers of an evaluation where there is one.

  In a directory of its own, as the plugin takes all scalars in and below that of a trial for the trial's metrics.
  """
  with contextlib.closing(Events(run.workdir / 'hparams')) as events:
    events.trial(*run.trial)
    if numbers:
      events.numbers(step, {name: numbers[name] for name in metrics.main(numbers)})


def _why(error):
  """TensorBoard writes through TensorFlow, whose errors name the file first and the cause last."""
  return error.strerror if isinstance(error, OSError) else str(error).rpartition('; ')[2]
