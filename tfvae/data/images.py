"""What folders and TensorFlow Datasets share: decoding, crop, resize, pad. Importing this imports no TensorFlow."""

import re
from collections.abc import Sequence

import numpy as np

from tfvae.errors import UserError

LIMITS = (0.0, 255.0)
LUMA = (19595, 38470, 7471)  # of red, green and blue, of 2^16 together: ITU-R BT.601 in integers, as Pillow has it


def shape(stored: Sequence[int | None], section, what: str = 'the images') -> tuple[int, int, int]:
  """[H, W, C] of an image of the shape `stored` (H, W: None where they differ) after spec.data's crop, resize and pad.

  Raises:
    UserError: the image is too small for the crop or too large for the pad, or its size remains open.
  """
  height, width, channels = stored
  if section.crop:
    if height is not None and width is not None and min(height, width) < section.crop:
      raise UserError(_too_small(section, f'{what} of {_size(height, width)}'))
    height = width = section.crop
  if section.resize:
    height = width = section.resize
  if section.pad:
    if height is not None and width is not None and max(height, width) > section.pad:
      raise UserError(_too_large(section, f'{what} of {_size(height, width)}'))
    height = width = section.pad
  if height is None or width is None:
    raise UserError(
      f'spec.data.resize: {what} have no common size; give the side that all are to be scaled to, such as '
      '--spec.data.resize=64 (the central square is taken first), or spec.data.crop'
    )
  return height, width, channels


def common_shape(names: Sequence[str], sizes: np.ndarray, channels: int, section) -> tuple[int, int, int]:
  """The same for images of known sizes [N, 2]; messages name those that do not fit."""
  smallest, largest = int(sizes.min(1).argmin()), int(sizes.max(1).argmax())
  if section.crop and sizes[smallest].min() < section.crop:
    raise UserError(_too_small(section, f'{names[smallest]} is {_size(*sizes[smallest])}'))
  differing = np.flatnonzero((sizes != sizes[0]).any(1))
  if not len(differing):
    return shape((*map(int, sizes[0]), channels), section)
  if section.crop or section.resize:
    return shape((None, None, channels), section)
  if section.pad:
    if sizes[largest].max() > section.pad:
      raise UserError(_too_large(section, f'{names[largest]} is {_size(*sizes[largest])}'))
    return shape((None, None, channels), section)
  other = int(differing[0])
  raise UserError(
    f'spec.data.resize: the images differ in size: {names[0]} is {_size(*sizes[0])}, {names[other]} is '
    f'{_size(*sizes[other])}; give the side that all are to be scaled to, such as '
    f'--spec.data.resize={_suggestion(sizes)} (the central square is taken first), or spec.data.crop'
  )


def decode(content, channels: int):
  """The content of a PNG, JPEG, BMP or GIF file -> uint8 [H, W, C]; of a GIF the first frame.

  JPEG is decoded by the accurate of libjpeg's two transforms, as Pillow does: TensorFlow's default is up to 9 levels
  away from it (more in the finest qualities).
  """
  import tensorflow as tf

  others = lambda: tf.io.decode_image(content, channels, expand_animations=False)
  if channels not in (0, 1, 3):  # no JPEG has them
    return others()
  jpeg = lambda: tf.io.decode_jpeg(content, channels, dct_method='INTEGER_ACCURATE')
  return tf.cond(tf.io.is_jpeg(content), jpeg, others)


def oriented(image, orientation):
  """An image as its EXIF orientation (1 to 8) says that it is to be seen."""
  import tensorflow as tf

  among = lambda *values: tf.reduce_any(orientation == tf.constant(values, orientation.dtype))
  image = tf.cond(among(5, 6, 7, 8), lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
  image = tf.cond(among(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image)
  return tf.cond(among(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image)


def prepare(image, section, seed=None):
  """Crop, resize and pad as spec.data says: uint8 [H, W, C], H and W known or not -> uint8 of static shape.

  The crop is where `seed` (int32 [2]) says, all places being alike, or central without one.

  Reductions are by a triangular filter as wide as the step (bilinear with antialias); of the two good ones of
  TensorFlow, `area` leaves more of what aliases, and repeats pixels where it enlarges.
  """
  import tensorflow as tf

  static = shape(image.shape.as_list(), section)
  if section.crop:
    image = _square(image, section.crop, _too_small(section, 'an image is smaller'), seed)
  if section.resize:
    if None in image.shape[:2] or image.shape[0] != image.shape[1]:
      image = _square(image, tf.reduce_min(tf.shape(image)[:2]))
    image = tf.image.resize(image, [section.resize] * 2, tf.image.ResizeMethod.BILINEAR, antialias=True)
    image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
  if section.pad:
    image = _pad(image, section.pad, _too_large(section, 'an image is larger'))
  return tf.ensure_shape(image, static)


def grey(x):
  """Images [..., C] of whole numbers, an array or a tensor, as [..., 1]: the luma of colours; grey ones as they are."""
  if x.shape[-1] != 3:
    return x
  if isinstance(x, np.ndarray):
    return ((x.astype(np.int32) @ np.array(LUMA, np.int32) + 2**15) // 2**16).astype(x.dtype)[..., None]
  import tensorflow as tf

  luma = tf.reduce_sum(tf.cast(x, tf.int32) * LUMA, -1, keepdims=True)
  return tf.cast((luma + 2**15) // 2**16, x.dtype)


def spread(x: np.ndarray, stack: bool, line: float = 0.0) -> np.ndarray:
  """Images [n, H, W, C] as they are shown, [n, H, W', 1 or 3]: channels that are images of their own beside each other.

  stack: whether three channels are such images, not a colour (`Observation.stack`); other numbers than 1 and 3 are.
  line: the value of a line between them.
  """
  n, height, width, channels = x.shape
  if channels == 1 or (channels == 3 and not stack):
    return x
  apart = np.full([n, height, channels, width + 1], line, x.dtype)
  apart[..., :-1] = x.transpose(0, 1, 3, 2)
  return apart.reshape(n, height, -1, 1)[:, :, :-1]


def problem(error: Exception) -> str | None:
  """What `prepare` said of an image of a size that was not known before, where that is the error."""
  found = re.search(r'spec\.data\.(crop|pad): [^\]\n]*', str(error))
  return found and found[0]


def _square(image, side, message=None, seed=None):
  import tensorflow as tf

  size = tf.shape(image)[:2]
  if message:
    with tf.control_dependencies([tf.debugging.assert_greater_equal(tf.reduce_min(size), side, message)]):
      size = tf.identity(size)
  if seed is None:
    top, left = tf.unstack((size - side) // 2)
  else:
    top, left = tf.unstack(tf.random.stateless_uniform([2], seed, 0, tf.int32.max, tf.int32) % (size - side + 1))
  image = image[top : top + side, left : left + side]
  if isinstance(side, int):
    image.set_shape([side, side, image.shape[2]])
  return image


def _pad(image, side, message):
  import tensorflow as tf

  size = tf.shape(image)[:2]
  with tf.control_dependencies([tf.debugging.assert_less_equal(tf.reduce_max(size), side, message)]):
    size = tf.identity(size)
  before = (side - size) // 2
  paddings = tf.stack([before, side - size - before], 1)
  return tf.pad(image, tf.concat([paddings, [[0, 0]]], 0))


def _too_small(section, what):
  return f'spec.data.crop: got {section.crop}, but {what}; crop to no more than that, or leave such images out'


def _too_large(section, what):
  return (
    f'spec.data.pad: got {section.pad}, but {what}; pad to no less than that, or make images smaller first by '
    'spec.data.crop or spec.data.resize'
  )


def _size(height, width):
  return f'{height} x {width} (height x width)'


def _suggestion(sizes):
  """A power of two that needs no enlarging."""
  return 2 ** int(np.log2(max(sizes.min(), 1)))
