"""Image files below a directory. Importing this, and mistakes, import no TensorFlow."""

import itertools
import os
import pathlib
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from tfvae.data import images
from tfvae.data.stored import Reader, Stored, words
from tfvae.errors import UserError, cut
from tfvae.quiet import import_tensorflow
from tfvae.spec import paths

EXTENSIONS = ('.png', '.jpg', '.jpeg', '.bmp', '.gif')
FORMATS = ('PNG', 'JPEG', 'BMP', 'GIF')
FAST = ('PNG', 'JPEG', 'MPO')  # decoded by TensorFlow; Pillow knows more kinds of the others (palettes, bits, frames)
ORIENTATION = 0x0112  # EXIF's tag
GREY = ('1', 'L', 'LA', 'La', 'I', 'F')  # Pillow's modes, and all I;16
SPLITS = {'train': 'train', 'test': 'test', 'validation': 'validation', 'val': 'validation'}
SHOWN = 5


class Header(NamedTuple):
  """What the first bytes of an image file say."""

  height: int  # as the image is seen: after the rotation that EXIF asks for
  width: int
  channels: int  # 1: grey, 3: colour (also of a palette, and with alpha)
  fast: bool
  orientation: int  # of EXIF, 1 to 8


def load(section) -> Stored:
  """The image files below spec.data.path, in the order of their paths.

  Raises:
    UserError: no such directory, no images, files that are none, or images that differ in size or in channels.
  """
  root = _root(section)
  files = _files(root)
  splits = _splits(root, files)
  files = list(itertools.chain(*splits.values()))
  headers = _headers(root, files)
  channels, stored = _channels(section, files, headers)
  sizes = np.array([header[:2] for header in headers])
  shape = images.common_shape([_shown(name) for name in files], sizes, channels, section)
  labels = _labels(splits)
  import_tensorflow()
  readers, first = {}, 0
  for split, names in splits.items():
    own = headers[first : first + len(names)]
    readers[split] = FileReader(root, names, labels.get(split), own, shape, stored, section)
    first += len(names)
  return Stored(paths.shown(root.resolve().name) or 'folder', readers, images.LIMITS)


def shape(section) -> tuple[int, int, int]:
  """Of an example, from the header of the first file that is found.

  Raises:
    UserError, OSError, ValueError: there is no such file, or it cannot be read so; `load` says why.
  """
  root = _root(section)
  header = _header(next(root / name for name in _walk(root) if (root / name).is_file()))
  channels = {'grey': 1, 'rgb': 3}.get(section.channels, header.channels)
  return images.shape((header.height, header.width, channels), section)


class FileReader(Reader):
  """Images that are files."""

  def __init__(self, root, names, label, headers, shape, channels, section):
    import tensorflow as tf

    fast, orientation = (np.array([getattr(of, field) for of in headers]) for field in ('fast', 'orientation'))
    self.size, self.shape, self.dtype = len(names), shape, np.dtype(np.uint8)
    self._root, self._names, self._fast, self._section = root, names, fast, section
    self._decoded, self.labels = channels, label
    with tf.device('CPU'):
      self._stored = {'path': tf.constant(np.array([os.fsencode(root / name) for name in names], object))}
      if label is not None:
        self._stored['label'] = tf.constant(label)
      if not fast.all():
        self._stored['fast'] = tf.constant(fast)
      if (orientation != 1).any():
        self._stored['orientation'] = tf.constant(orientation)

  def fetch(self, positions):
    import tensorflow as tf

    return {name: tf.gather(values, positions) for name, values in self._stored.items()}

  def decode(self, stored, seed=None):
    import tensorflow as tf

    if 'fast' in stored:
      image = tf.cond(
        stored['fast'], lambda: self._by_tensorflow(stored['path']), lambda: self._by_pillow(stored['path'])
      )
    else:
      image = self._by_tensorflow(stored['path'])
    image.set_shape([None, None, self._decoded])
    if 'orientation' in stored:
      image = images.oriented(image, stored['orientation'])
    if self._decoded > self.shape[2]:
      image = images.grey(image)
    x = images.prepare(image, self._section, seed) if self._changes() else tf.ensure_shape(image, self.shape)
    return {'x': x} | {name: value for name, value in stored.items() if name == 'label'}

  def explain(self, error):
    """All files once more, in parallel, until some are found that cannot be decoded."""
    if known := images.problem(error):
      return known
    broken = []
    with ThreadPoolExecutor() as pool:
      for first in range(0, self.size, 512):
        numbers = range(first, min(first + 512, self.size))
        found = zip(numbers, pool.map(self._failure, numbers), strict=True)
        broken += [f'{_shown(self._names[number])} ({what})' for number, what in found if what]
        if len(broken) >= SHOWN:
          break
    if not broken:
      return super().explain(error)
    more = ', and there may be more' if len(broken) >= SHOWN else ''
    return (
      f'spec.data.path: files below {self._root} cannot be decoded: {", ".join(broken[:SHOWN])}{more}; remove them, or '
      'put whole ones in their place'
    )

  def _failure(self, number):
    path = self._stored['path'][number]
    try:
      self._by_tensorflow(path) if self._fast[number] else self._read(path.numpy())
    except Exception as error:  # Pillow's decoders raise all kinds
      return words(error)
    return None

  def _changes(self):
    return self._section.crop or self._section.resize or self._section.pad

  def _by_tensorflow(self, path):
    import tensorflow as tf

    return images.decode(tf.io.read_file(path), self._decoded)

  def _by_pillow(self, path):
    import tensorflow as tf

    return tf.numpy_function(self._read, [path], tf.uint8)

  def _read(self, path):
    from PIL import Image

    with Image.open(os.fsdecode(path)) as image:
      pixels = np.asarray(image.convert('L' if self._decoded == 1 else 'RGB'))
    return pixels.reshape(*pixels.shape[:2], self._decoded)


# What is there.


def _root(section):
  if not section.path:
    raise UserError(
      'spec.data.path: got nothing; spec.data.name=folder needs a directory of image files, such as '
      '--spec.data.path=photos'
    )
  root = paths.given('data.path', section.path)
  if not root.exists():
    raise UserError(f'spec.data.path: there is no directory {paths.shown(root)}')
  if (what := paths.kind(root)) != 'a directory':
    raise UserError(f'spec.data.path: got {what or "the file"} {root}; give the directory that holds the image files')
  return root


def _files(root):
  """Paths of all image files relative to `root`, in the same order on every file system."""
  if not (names := sorted(_walk(root))):
    raise UserError(f'spec.data.path: there are no image files ({", ".join(EXTENSIONS)}) below {root}')
  return names


def _walk(root):
  """The same, as they are found."""

  def refuse(error):
    raise UserError(f'spec.data.path: {paths.shown(error.filename)} cannot be listed: {error.strerror}')

  seen = set()
  for here, below, files in os.walk(root, onerror=refuse, followlinks=True):
    below[:] = [name for name in below if not name.startswith('.')]
    if (real := os.path.realpath(here)) in seen:  # a link to a directory above
      below.clear()
      continue
    seen.add(real)
    found = [name for name in files if not name.startswith('.') and name.lower().endswith(EXTENSIONS)]
    yield from (pathlib.PurePath(os.path.relpath(here, root), name).as_posix() for name in found)


def _splits(root, files):
  """split: the files of that split."""
  found = {}
  for name in files:
    first, _, rest = name.partition('/')
    found.setdefault(first if rest and first in SPLITS else '', []).append(name)
  if 'train' not in found:
    return {'train': files}
  if len(found) == 2 and '' in found:
    raise UserError(
      f"spec.data.path: {root} has a directory 'train' and images elsewhere ({_shown(found[''][0])}), but neither "
      f"'test' nor 'validation'; move the others away or give {root / 'train'}, or, where 'train' is a label, rename it"
    )
  if 'val' in found and 'validation' in found:
    raise UserError(f"spec.data.path: {root} has both 'val' and 'validation'; leave one of them")
  return {split: found[name] for name, split in SPLITS.items() if name in found}


def _labels(splits):
  """split: int32 [N], the number of each file's directory among all of them; nothing where there is but one."""
  held = {}
  for split, names in splits.items():
    depth = 1 if len(splits) > 1 or all(name.startswith('train/') for name in names) else 0
    held[split] = ['/'.join(name.split('/')[depth:-1]) for name in names]
  codes = {name: code for code, name in enumerate(sorted(set(itertools.chain(*held.values()))))}
  if all(len(set(names)) == 1 for names in held.values()):
    return {}
  return {split: np.array([codes[name] for name in names], np.int32) for split, names in held.items()}


def _headers(root, files):
  """A Header for each file; all that have none are counted, and the first of them named."""

  def header(name):
    try:
      return _header(root / name)
    except Exception as error:
      return error

  with ThreadPoolExecutor() as pool:
    headers = list(pool.map(header, files, chunksize=256))
  found = zip(files, headers, strict=True)
  broken = [
    f'{_shown(name)} ({what})' if type(what) is OSError else _shown(name)  # OSError itself: what is no file
    for name, what in found
    if not isinstance(what, Header)
  ]
  if broken:
    more = f' and {len(broken) - SHOWN} more' if len(broken) > SHOWN else ''
    raise UserError(
      f'spec.data.path: {len(broken)} of {len(files)} files below {root} are no images that can be read: '
      f'{", ".join(broken[:SHOWN])}{more}; remove them, or put whole ones in their place'
    )
  return headers


def _header(path):
  from PIL import Image

  if what := paths.kind(path):
    raise OSError(what)
  Image.preinit()
  with open(path, 'rb') as file, Image.open(file, formats=FORMATS) as image:
    grey = image.format != 'GIF' and (image.mode in GREY or image.mode.startswith('I;16'))
    fast = image.format in FAST and image.mode != 'CMYK'
    channels, format_, size = 1 if grey else 3, image.format, image.size
    if format_ == 'PNG' and not image.info.get('exif') and _ends_with_exif(file):
      image.load()
    orientation = _orientation(image)
  width, height = size if orientation < 5 else size[::-1]
  return Header(height, width, channels, fast, orientation)


def _orientation(image):
  from PIL import Image

  try:
    found = Image.Image.getexif(image).get(ORIENTATION)
  except Exception:  # EXIF data that are damaged say nothing
    return 1
  return found if found in range(1, 9) else 1


def _ends_with_exif(file):
  """Whether there may be EXIF data behind the pixels of a PNG file, which Pillow sees when it has decoded them."""
  place, pixels = file.tell(), False
  file.seek(8)
  while len(head := file.read(8)) == 8:
    length, name = struct.unpack('>I4s', head)
    if pixels and name in (b'eXIf', b'tEXt', b'zTXt', b'iTXt'):
      break
    pixels = pixels or name == b'IDAT'
    file.seek(length + 4, os.SEEK_CUR)
  file.seek(place)
  return len(head) == 8


def _channels(section, files, headers):
  """(channels of an example, channels that files are decoded to)."""
  stored = [header.channels for header in headers]
  kinds = sorted(set(stored))
  if section.channels == 'stored':
    if len(kinds) > 1:
      grey, colour = (_shown(files[stored.index(kind)]) for kind in kinds)
      raise UserError(
        f'spec.data.channels: {grey} is grey, {colour} is in colour; give --spec.data.channels=rgb or grey, which all '
        'are then read as'
      )
    return kinds[0], kinds[0]
  wanted = 1 if section.channels == 'grey' else 3
  return wanted, max(wanted, *kinds)


def _shown(name):
  return cut(os.fsencode(name).decode(errors='replace'))
