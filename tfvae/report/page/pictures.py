"""Pictures of a run as data: URLs: of what its evaluator `samples` left, and of its figures."""

import base64
import io
import os
import pathlib
from collections.abc import Callable

import numpy as np

from tfvae.report.images import grid, is_stack
from tfvae.run.collection import Entry
from tfvae.run.directory import Directory
from tfvae.run.files import Damaged, read_bytes

TITLES = {
  'prior': 'samples: E[x | z], z of the prior',
  'reconstruction': 'reconstructions: examples above, E[x | z] below each',
  'limiting': 'samples after the chain z, x, z, ...',
}
COUNTS = (64, 36, 16, 9, 4, 1)  # of images in a picture, the most that fit
QUALITIES = (80, 60, 40, 25, 10)
INSTEAD = ('prior_samples', 'reconstructions', 'points', 'latents', 'collapse', 'fixed_points')  # figures, made small
WIDTHS = (480, 360, 240, 160)
MOST_PIXELS = 2**25  # of a figure: none that is drawn here has a tenth of it
KINDS = {'.png': 'image/png', '.gif': 'image/gif'}


def thumbnails(entry: Entry, most: int, first: int = 16) -> list[dict]:
  """[{'title', 'src', 'width', 'height', 'pixels'}] of a run, each of at most `most` bytes; none where there are none.

  Samples of the prior and reconstructions from arrays/, pixel by pixel; of runs that have none two of its figures,
  made small. `pixels`: whether each pixel is one of the data, to be seen as a square.

  Args:
    entry: the run.
    most: bytes of a picture, before it becomes text.
    first: images in a picture, where they fit.
  """
  run, step, found = entry.directory, entry.evaluated.get(entry.split), []  # its spec itself takes longer to read
  arrays, stack = {} if step is None else run.arrays('samples', entry.split, step), is_stack(run)
  if _are_images(arrays.get('prior')):
    found.append(_picture('prior', most, first, _sheet(arrays['prior'], arrays, stack)))
  scored = 'target' if 'target' in arrays else 'x'
  if _are_images(arrays.get(scored)) and _are_images(arrays.get('reconstruction')):
    found.append(_picture('reconstruction', most, first, _pairs(arrays, scored, stack)))
  if not any(found):
    figures = [run.figures / f'{name}.png' for name in INSTEAD]
    found = [_small(path, most) for path in figures if path.is_file()][:2]
  return [picture for picture in found if picture]


def figures(run: Directory, root: pathlib.Path, most: int) -> list[dict]:
  """[{'title', 'href', 'src'}] of the figures of a run and of its samples, `href` relative to `root`.

  src: the picture itself, of the first ones that together have at most `most` bytes; '' of the others.
  """
  paths = [path for place in (run.figures, run.samples) for kind in KINDS for path in sorted(place.glob(f'*{kind}'))]
  found = []
  for path in paths:
    content = b''
    if most and path.stat().st_size <= most:
      try:
        content = read_bytes(path)
        most -= len(content)
      except (OSError, Damaged):
        continue
    src = _url(content, KINDS[path.suffix]) if content else ''
    title = path.stem if path.parent == run.figures else f'{path.parent.name}/{path.stem}'
    found.append({'title': title.replace('_', ' '), 'href': os.path.relpath(path, root), 'src': src})
  return found


def smallest(image, most: int) -> tuple[bytes, str] | None:
  """The bytes of a PIL image, and their kind: the smaller of PNG and lossless WebP, else the best lossy that fits.

  None: there is none so small.
  """
  exact = [(_encoded(image, 'PNG', optimize=True), 'image/png')]
  if image.width * image.height <= 2**16:  # slow, and seldom smaller, of large ones
    exact.append((_encoded(image, 'WEBP', lossless=True, quality=60), 'image/webp'))
  best = min(exact, key=lambda pair: len(pair[0]))
  if len(best[0]) <= most:
    return best
  for quality in QUALITIES:
    lossy = [(_encoded(image, kind, quality=quality), f'image/{kind.lower()}') for kind in ('JPEG', 'WEBP')]
    best = min(lossy, key=lambda pair: len(pair[0]))
    if len(best[0]) <= most:
      return best
  return None


def _are_images(array):
  return array is not None and array.ndim == 4 and len(array) and np.isfinite(array).all()


def _sheet(images, arrays, stack):
  """Of a number of images, their sheet."""
  return lambda count: grid(images[:count], arrays['value_range'], None, stack)


def _pairs(arrays, scored, stack):
  """Of a number of images half as many pairs, one above the other."""

  def sheet(count):
    half = min(max(1, count // 2), len(arrays['reconstruction']))
    columns = max(1, int(np.ceil(np.sqrt(2 * half))))
    rows = []
    for at in range(0, half, columns):
      for name in (scored, 'reconstruction'):
        own = arrays[name][at : min(at + columns, half)]
        rows += [own, np.full((columns - len(own), *own.shape[1:]), arrays['value_range'][1], own.dtype)]
    return grid(np.concatenate(rows), arrays['value_range'], columns, stack)

  return sheet


def _picture(kind: str, most: int, first: int, sheet: Callable[[int], np.ndarray]) -> dict | None:
  from PIL import Image

  for count in (count for count in COUNTS if count <= first):
    values = np.uint8(np.round(sheet(count) * 255))
    image = Image.fromarray(values if values.shape[-1] == 3 else values[..., 0])
    exact = _encoded(image, 'PNG', optimize=True)
    fits = (exact, 'image/png') if len(exact) <= most else smallest(image, most) if count <= 16 else None
    if fits:
      return _described(TITLES[kind], *fits, image, True)
  return None


def _small(path, most):
  """A figure, made so small that it has at most `most` bytes; None where it cannot be read."""
  from PIL import Image

  try:
    with Image.open(path) as opened:
      if opened.width * opened.height > MOST_PIXELS:
        return None
      image = opened.convert('RGB')
  except (OSError, ValueError, SyntaxError):
    return None
  for width in WIDTHS:
    size = (min(width, image.width), max(1, round(image.height * min(width, image.width) / image.width)))
    if fits := smallest(image.resize(size, Image.Resampling.LANCZOS), most):
      return _described(path.stem.replace('_', ' '), *fits, image, False)
  return None


def _described(title, content, kind, image, pixels):
  return {'title': title, 'src': _url(content, kind), 'width': image.width, 'height': image.height, 'pixels': pixels}


def _url(content, kind):
  return f'data:{kind};base64,{base64.b64encode(content).decode()}'


def _encoded(image, kind, **options):
  with io.BytesIO() as file:
    image.save(file, kind, **options)
    return file.getvalue()
