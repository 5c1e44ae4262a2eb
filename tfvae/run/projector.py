"""The files of TensorBoard's embedding projector, as one run of TensorBoard's: a directory with an event file.

It is a run of its own because a TensorBoard that is open looks for projectors again only when there is a new run.
"""

import io
import math
import time

import numpy as np
from google.protobuf import text_format
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.summary.writer.record_writer import RecordWriter

SPRITE = 8192  # pixels a side that the projector takes at most


def files(
  latents: dict[str, np.ndarray], columns: dict[str, np.ndarray], images: np.ndarray | None = None, limits=(0.0, 1.0)
) -> dict[str, bytes]:
  """{name: content} of the directory.

  Args:
    latents: {name of an embedding: points [N, H]}.
    columns: {name: values [N]} that points are named and coloured by, the first of them at the start.
    images: of the points, [N, H, W, 1 or 3]. None: there are none.
    limits: the values of the images that become black and white.
  """
  found, config = {'metadata.tsv': _metadata(columns), 'events.out.tfevents.projector': _events()}, ProjectorConfig()
  if images is not None:
    pixels = _thumbnails(images, limits)
    found['sprite.png'] = _sprite(pixels)
  for name, points in latents.items():
    found[f'{name}.tsv'] = _tsv(points)
    embedding = config.embeddings.add(tensor_name=name, tensor_path=f'{name}.tsv', metadata_path='metadata.tsv')
    embedding.tensor_shape.extend(points.shape)
    if images is not None:
      embedding.sprite.image_path = 'sprite.png'
      embedding.sprite.single_image_dim.extend([pixels.shape[2], pixels.shape[1]])
  return found | {PROJECTOR_FILENAME: text_format.MessageToString(config).encode()}


def _tsv(points):
  # Text, as the projector takes bytes for numbers only where they cannot be read as text.
  return '\n'.join('\t'.join(f'{value:.6g}' for value in point) for point in points.tolist()).encode() + b'\n'


def _metadata(columns):
  """One column has no header, as the projector wants it."""
  lines = ['\t'.join(columns)] if len(columns) > 1 else []
  return '\n'.join(lines + ['\t'.join(map(str, row)) for row in zip(*columns.values(), strict=True)]).encode() + b'\n'


def _thumbnails(images, limits):
  """uint8 [N, h, w, 1 or 3], small enough for all of them to fit into a sprite."""
  n, height, width = images.shape[:3]
  factor = math.ceil(math.ceil(math.sqrt(n)) * max(height, width) / SPRITE)
  down, right = min(factor, height), min(factor, width)
  height, width = height // down, width // right
  blocks = images[:, : height * down, : width * right].reshape(n, height, down, width, right, -1)
  low, high = limits
  return np.round(255 * np.clip((blocks.mean((2, 4)) - low) / max(high - low, 1e-12), 0, 1)).astype(np.uint8)


def _sprite(pixels):
  """A PNG of the thumbnails in rows, about as many rows as columns."""
  n, height, width, channels = pixels.shape
  side = math.ceil(math.sqrt(n))
  cells = np.zeros((side * side, height, width, channels), np.uint8)
  cells[:n] = pixels
  sheet = cells.reshape(side, side, height, width, channels).swapaxes(1, 2).reshape(side * height, side * width, -1)
  file = io.BytesIO()
  Image.fromarray(sheet if channels == 3 else sheet[..., 0]).save(file, 'png')
  return file.getvalue()


def _events():
  """An event file without events: what makes a directory a run."""
  file = io.BytesIO()
  RecordWriter(file).write(Event(wall_time=time.time(), file_version='brain.Event:2').SerializeToString())
  return file.getvalue()
