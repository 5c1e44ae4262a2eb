"""Image files below a directory: pixels, sizes, labels, splits, and what may be wrong with them."""

import os
import pathlib
import random
import socket

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from tfvae import spec as spec_lib
from tfvae.data import folder, reading
from tfvae.data.dataset import Part, make
from tfvae.data.folder import load
from tfvae.errors import UserError


def write(path, shape=(10, 12, 3), seed=0, **kwargs):
  """Random pixels, which it returns."""
  path.parent.mkdir(parents=True, exist_ok=True)
  pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
  Image.fromarray(pixels).save(path, **kwargs)
  return pixels


def section_of(path, **fields):
  section = spec_lib.base().data
  section.update({'name': 'folder', 'path': str(path), **fields})
  return section


def images(path, split='train', **fields):
  reader = load(section_of(path, **fields)).splits[split]
  return reading.read(Part(reader, np.arange(reader.size)))


def error_of(path, **fields):
  section = section_of(path, **fields)
  with pytest.raises(UserError) as error:
    make(load(section), section, 0)
  return str(error.value)


def test_pixels_in_the_order_of_paths(tmp_path):
  names = ['b.png', 'a/z.PNG', 'a/b/c.png', 'c/y.Png', 'a.png', 'ä x.png']
  shuffled = random.Random(0).sample(names, len(names))
  wrote = {name: write(tmp_path / name, seed=seed) for seed, name in enumerate(shuffled)}
  for name in ('.hidden.png', '.cache/x.png', 'words.txt', 'c/.y.png'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('no image')
  found = images(tmp_path)
  np.testing.assert_array_equal(found['x'], [wrote[name] for name in sorted(names)])
  assert found['x'].dtype == np.uint8 and found['label'].dtype == np.int32
  assert found['label'].tolist() == [{'': 0, 'a': 1, 'a/b': 2, 'c': 3}[os.path.dirname(name)] for name in sorted(names)]
  stored = load(section_of(tmp_path))
  assert stored.name == tmp_path.name and stored.limits == (0.0, 255.0) and stored.splits['train'].shape == (10, 12, 3)


def test_links_are_followed_and_circles_are_not(tmp_path):
  write(tmp_path / 'elsewhere' / 'a.png')
  root = tmp_path / 'root'
  write(root / 'b' / 'b.png')
  (root / 'a').symlink_to(tmp_path / 'elsewhere')
  (root / 'b' / 'up').symlink_to(root)
  assert images(root)['label'].tolist() == [0, 1]


def test_splits(tmp_path):
  for seed, name in enumerate(['train/a/1.png', 'train/c/2.png', 'test/b/3.png', 'val/a/4.png', 'other/5.png']):
    write(tmp_path / name, seed=seed)
  stored = load(section_of(tmp_path))
  assert {split: reader.size for split, reader in stored.splits.items()} == {'train': 2, 'test': 1, 'validation': 1}
  labels = {split: images(tmp_path, split)['label'].tolist() for split in stored.splits}
  assert labels == {'train': [0, 2], 'test': [1], 'validation': [0]}


@pytest.mark.parametrize('names', [['a.png', 'b.png'], ['x/a.png', 'x/b.png'], ['train/a.png', 'test/b.png']])
def test_one_directory_is_no_label(tmp_path, names):
  for name in names:
    write(tmp_path / name)
  assert images(tmp_path).keys() == {'x'}


GREY = [('L', 'png'), ('1', 'png'), ('LA', 'png'), ('L', 'bmp'), ('1', 'bmp')]
COLOUR = [('RGB', 'png'), ('RGBA', 'png'), ('P', 'png'), ('RGB', 'bmp'), ('P', 'bmp'), ('P', 'gif'), ('L', 'gif')]


@pytest.mark.parametrize(
  ('kinds', 'wanted', 'channels'),
  [(GREY, 'stored', 1), (COLOUR, 'stored', 3), (GREY + COLOUR, 'grey', 1), (GREY + COLOUR, 'rgb', 3), (GREY, 'rgb', 3)],
)
def test_kinds_of_files(tmp_path, kinds, wanted, channels):
  pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4)).astype(np.uint8)
  for mode, suffix in kinds:
    image = Image.fromarray(pixels).convert('RGB' if mode == 'P' else mode)
    (image.quantize(16) if mode == 'P' else image).save(tmp_path / f'{mode}.{suffix}')
  found = images(tmp_path, channels=wanted)['x']
  for ours, path in zip(found, sorted(tmp_path.iterdir()), strict=True):
    with Image.open(path) as image:
      # Not at once: Pillow turns the colours of a palette to grey in another way than colours.
      pillow = np.asarray(image.convert('RGB').convert('L' if channels == 1 else 'RGB'))
    np.testing.assert_array_equal(ours, pillow.reshape(9, 7, channels), path.name)


def test_sixteen_bits_and_first_frames(tmp_path):
  deep = np.random.default_rng(0).integers(0, 2**16, (6, 6)).astype(np.uint16)
  Image.fromarray(deep).save(tmp_path / 'a.png')
  x = images(tmp_path)['x']
  assert x.shape == (1, 6, 6, 1) and np.abs(x[0, ..., 0] - deep / 257).max() <= 1
  frames = [Image.new('RGB', (6, 6), color) for color in ((255, 0, 0), (0, 255, 0))]
  (tmp_path / 'b').mkdir()
  frames[0].save(tmp_path / 'b/a.gif', save_all=True, append_images=frames[1:])
  np.testing.assert_array_equal(images(tmp_path / 'b')['x'][0], np.asarray(frames[0]))


def test_jpeg(tmp_path):
  y, x = np.mgrid[:24, :32]
  for mode, name in (('RGB', 'a.jpg'), ('L', 'b.JPEG')):
    Image.fromarray((4 * (x + y)).astype(np.uint8)).convert(mode).save(tmp_path / name, quality=95)
  found = images(tmp_path, channels='grey')['x']
  assert found.shape == (2, 24, 32, 1) and np.abs(found[..., 0] - 4.0 * (x + y)).max() < 6


def test_crop_resize_and_pad(tmp_path):
  rng = np.random.default_rng(0)
  wrote = [write(tmp_path / f'{n}.png', (*rng.integers(40, 60, 2), 3), n) for n in range(4)]
  found = images(tmp_path, crop=31, resize=16, pad=19)['x']
  assert found.shape == (4, 19, 19, 3)
  square = images(tmp_path, resize=16)['x']
  for ours, whole, pixels in zip(found, square, wrote, strict=True):
    np.testing.assert_array_equal(ours[1:17, 1:17], triangular(central(pixels, 31), 16))
    assert ours.sum() == ours[1:17, 1:17].sum()
    np.testing.assert_array_equal(whole, triangular(central(pixels, min(pixels.shape[:2])), 16))


def central(pixels, side):
  top, left = ((size - side) // 2 for size in pixels.shape[:2])
  return pixels[top : top + side, left : left + side]


def triangular(pixels, side):
  """Separable triangular filter whose half width is the step, in float64."""
  size = len(pixels)
  step = size / side
  weights = 1 - np.abs((np.arange(side)[:, None] + 0.5) * step - np.arange(size) - 0.5) / step
  weights = np.maximum(weights, 0)
  weights /= weights.sum(1, keepdims=True)
  return np.einsum('ih,hwc,jw->ijc', weights, pixels.astype(float), weights).round()


def test_pad_alone_makes_sizes_alike(tmp_path):
  wrote = [write(tmp_path / f'{n}.png', (n, 8 - n, 3), n) for n in range(1, 8)]
  for ours, pixels in zip(images(tmp_path, pad=7)['x'], wrote, strict=True):
    (top, left), (height, width) = ((7 - size) // 2 for size in pixels.shape[:2]), pixels.shape[:2]
    np.testing.assert_array_equal(ours[top : top + height, left : left + width], pixels)
    assert ours.sum() == pixels.sum()


def test_read_when_needed_is_what_is_read_into_memory(tmp_path):
  for number in range(20):
    suffix = ('png', 'jpg', 'gif')[number % 3]
    write(tmp_path / f'{number % 4}' / f'{number}.{suffix}', (30 + number, 40, 3), number)
  fields = {'resize': 16, 'channels': 'rgb', 'validation': 0.2}
  whole = make(load(section_of(tmp_path, **fields)), section_of(tmp_path, **fields), 0)
  section = section_of(tmp_path, **fields, memory_limit=0.0)
  parts = make(load(section), section, 0)
  assert whole.summary == parts.summary and {split: parts.size(split) for split in parts.splits} == {
    'train': 14,
    'validation': 4,
    'test': 2,
  }
  for split, part in parts.splits.items():
    assert isinstance(part, Part)
    for name, values in reading.read(part).items():
      np.testing.assert_array_equal(values, whole.splits[split][name])


# Mistakes.


def test_paths(tmp_path):
  assert 'spec.data.path: got nothing' in error_of('')
  assert f'spec.data.path: there is no directory {tmp_path}/no' in error_of(tmp_path / 'no')
  assert f'spec.data.path: there are no image files (.png, .jpg, .jpeg, .bmp, .gif) below {tmp_path}' in error_of(
    tmp_path
  )
  write(tmp_path / 'a.png')
  assert f'spec.data.path: got the file {tmp_path}/a.png; give the directory' in error_of(tmp_path / 'a.png')


def test_files_that_are_no_images_are_counted_and_named(tmp_path):
  for number in range(9):
    write(tmp_path / f'{number}.png')
  for number in range(1, 8):
    (tmp_path / f'{number}.png').write_bytes(b'' if number % 2 else b'no image')
  message = error_of(tmp_path)
  assert 'spec.data.path: 7 of 9 files' in message and '1.png, 2.png, 3.png, 4.png, 5.png and 2 more' in message
  assert 'remove them' in message and 'spec.data.resize' not in message


def cut_off(path):
  content = path.read_bytes()
  path.write_bytes(content[: -len(content) // 4])


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'bmp'])
def test_files_that_are_cut_off_are_named(tmp_path, suffix):
  for number in range(9):
    write(tmp_path / f'{number}.{suffix}', (40, 40, 3), number)
  for number in (3, 6):
    path = tmp_path / f'{number}.{suffix}'
    cut_off(path)
  message = error_of(tmp_path)
  assert message.startswith('spec.data.path') and f'3.{suffix} (' in message and f'6.{suffix} (' in message, message
  assert f'2.{suffix}' not in message and 'remove them' in message and '\n' not in message
  for number in range(9):
    path = tmp_path / f'{number}.{suffix}'
    cut_off(path)
  assert 'there may be more' in error_of(tmp_path)


@pytest.mark.parametrize(
  ('fields', 'words'),
  [
    ({}, ['spec.data.resize', 'a.png is 10 x 12', 'b.png is 9 x 20', '--spec.data.resize=8']),
    ({'crop': 10}, ['spec.data.crop: got 10', 'b.png is 9 x 20']),
    ({'pad': 19}, ['spec.data.pad: got 19', 'b.png is 9 x 20']),
    ({'resize': 8, 'pad': 7}, ['spec.data.pad: got 7', '8 x 8']),
  ],
)
def test_sizes_that_do_not_fit(tmp_path, fields, words):
  write(tmp_path / 'a.png', (10, 12, 3))
  write(tmp_path / 'b.png', (9, 20, 3))
  message = error_of(tmp_path, **fields)
  assert all(word in message for word in words) and '\n' not in message, message


def test_grey_and_colour(tmp_path):
  write(tmp_path / 'a.png', (8, 8))
  write(tmp_path / 'b.png', (8, 8, 3))
  message = error_of(tmp_path)
  assert 'spec.data.channels: a.png is grey, b.png is in colour' in message
  grey, colour = images(tmp_path, channels='grey')['x'], images(tmp_path, channels='rgb')['x']
  np.testing.assert_array_equal(grey[0], colour[0][..., :1])
  for number, name in enumerate(('a.png', 'b.png')):
    with Image.open(tmp_path / name) as image:
      np.testing.assert_array_equal(grey[number, ..., 0], np.asarray(image.convert('L')))
      np.testing.assert_array_equal(colour[number], np.asarray(image.convert('RGB')))


def test_splits_that_may_be_labels(tmp_path):
  write(tmp_path / 'train' / 'a.png')
  write(tmp_path / 'bus' / 'b.png')
  message = error_of(tmp_path)
  assert "a directory 'train' and images elsewhere (bus/b.png)" in message and f'{tmp_path}/train' in message
  write(tmp_path / 'val' / 'a.png')
  write(tmp_path / 'validation' / 'a.png')
  assert "both 'val' and 'validation'" in error_of(tmp_path)


# JPEG and EXIF.


@pytest.mark.parametrize('quality', [30, 75, 95, 100])
def test_jpeg_is_decoded_as_by_pillow(tmp_path, quality):
  """In every subsampling, progressive, grey and in four inks: the same pixels, or one level off on other builds."""
  rng, (y, x) = np.random.default_rng(0), np.mgrid[:45, :61]
  colours = np.stack([127 + 100 * np.sin(x / 9 + y / 13), 127 + 100 * np.cos(x / 5 - y / 17), (3 * x + y) % 256], -1)
  noisy = np.clip(colours + rng.normal(0, 25, colours.shape), 0, 255).astype(np.uint8)
  for subsampling in (0, 1, 2):
    Image.fromarray(noisy).save(tmp_path / f'{subsampling}.jpg', quality=quality, subsampling=subsampling)
  Image.fromarray(noisy).save(tmp_path / 'progressive.jpeg', quality=quality, progressive=True)
  Image.fromarray(noisy[..., 0]).save(tmp_path / 'grey.JPG', quality=quality)
  Image.fromarray(noisy).convert('CMYK').save(tmp_path / 'inks.jpg', quality=quality)
  for ours, path in zip(images(tmp_path, channels='rgb')['x'], sorted(tmp_path.iterdir()), strict=True):
    with Image.open(path) as image:
      assert np.abs(ours.astype(int) - np.asarray(image.convert('RGB'))).max() <= 1, path.name


def oriented(orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  return exif.tobytes()


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'gif', 'mpo.jpg', 'late.png', 'xmp.png'])
def test_exif_orientation_is_applied(tmp_path, suffix):
  for orientation in range(10):  # 0 and 9 say nothing
    pixels = np.random.default_rng(orientation).integers(0, 256, (9, 14, 3)).astype(np.uint8)
    image, path = Image.fromarray(pixels), tmp_path / f'{orientation}.{suffix}'
    if suffix == 'mpo.jpg':
      image.save(path, 'MPO', save_all=True, append_images=[image], exif=oriented(orientation))
    elif suffix == 'gif':
      image.quantize(64).save(path)
    elif suffix == 'xmp.png':
      info = PngInfo()
      info.add_itxt('XML:com.adobe.xmp', f'<x:xmpmeta tiff:Orientation="{orientation}"/>')
      image.save(path, pnginfo=info)
    else:
      image.save(path, exif=oriented(orientation))
    if suffix == 'late.png':  # behind the pixels
      content = path.read_bytes()
      at = content.index(b'eXIf') - 4
      size = 12 + int.from_bytes(content[at : at + 4])
      end = content.index(b'IEND') - 4
      path.write_bytes(content[:at] + content[at + size : end] + content[at : at + size] + content[end:])
  x = images(tmp_path, pad=16)['x']
  for ours, path in zip(x, sorted(tmp_path.iterdir()), strict=True):
    with Image.open(path) as image:
      theirs = np.asarray(ImageOps.exif_transpose(image).convert('RGB'))
    height, width = theirs.shape[:2]
    assert (height > width) == (suffix != 'gif' and 5 <= int(path.name[0]) <= 8)
    top, left = (16 - height) // 2, (16 - width) // 2
    np.testing.assert_array_equal(ours[top : top + height, left : left + width], theirs, path.name)
  if suffix != 'gif':
    assert 'differ in size' in error_of(tmp_path)
  assert folder._header(tmp_path / f'6.{suffix}').fast == (suffix != 'gif')


def test_damaged_exif_says_nothing(tmp_path):
  pixels = write(tmp_path / 'a.png', exif=b'Exif\0\0II*\0' + b'\xff' * 40)
  np.testing.assert_array_equal(images(tmp_path)['x'][0], pixels)


# What is no file, and names.


def test_what_is_no_file_is_not_opened(tmp_path):
  write(tmp_path / 'a.png')
  os.mkfifo(tmp_path / 'b.png')
  server = socket.socket(socket.AF_UNIX)
  server.bind(str(tmp_path / 'c.png'))
  (tmp_path / 'd.png').symlink_to('/dev/zero')
  (tmp_path / 'e.png').symlink_to(tmp_path / 'nothing')
  message = error_of(tmp_path)
  assert '4 of 5 files' in message and 'b.png (a named pipe), c.png (a socket), d.png (a device), e.png' in message
  server.close()
  assert 'got a named pipe' in error_of(tmp_path / 'b.png')
  for name in 'bcde':
    (tmp_path / f'{name}.png').unlink()
  write(tmp_path / 'x.png' / 'b.png')  # a directory of that name is one
  assert images(tmp_path)['label'].tolist() == [0, 1]


@pytest.mark.parametrize(
  ('path', 'words'),
  [
    ('~nouser/photos', "there is no user 'nouser'"),
    ('x' * 300, 'File name too long'),
    ('x' * 100_000, 'File name too long'),
    ('a\0b', 'null'),
    ('\ud800', 'cannot be read'),
    ('/no/\udcff' + 'y' * 1000, 'there is no directory /no/?yyy'),
    ('/no/\udcff', 'there is no directory /no/?'),
  ],
)
def test_paths_that_cannot_be(path, words):
  message = error_of(path)
  assert words in message and len(message) < 500 and '\n' not in message and message.isprintable(), message


def test_names_that_are_not_utf8(tmp_path):
  root = pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b'/\xff'))
  pixels = write(root / os.fsdecode(b'\xfe.png'))
  np.testing.assert_array_equal(images(root)['x'][0], pixels)
  assert load(section_of(root)).name == '?'
  (root / os.fsdecode(b'\xfe.png')).write_bytes(b'no image')
  assert 'are no images that can be read: \ufffd.png; remove' in error_of(root)


def fuzz(tmp_path, count, seed=0):
  """Files with bytes changed, removed or repeated: pixels or a UserError."""
  rng, good = np.random.default_rng(seed), 0
  kinds = [('png', {}), ('jpg', {'exif': oriented(6)}), ('gif', {}), ('bmp', {}), ('jpg', {'progressive': True})]
  for number in range(count):
    suffix, options = kinds[number % len(kinds)]
    path = tmp_path / f'a.{suffix}'
    write(path, (9, 11, 3), **options)
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 4)):
      at, size = rng.integers(0, min(len(content), 200)), int(rng.integers(1, 9))
      kind = rng.integers(0, 3)
      content[at : at + size * (kind > 0)] = [rng.bytes(1), b'', bytes(content[at : at + size]) * 2][kind]
    path.write_bytes(content)
    try:
      good += images(tmp_path, channels='rgb', resize=8)['x'].shape == (1, 8, 8, 3)
    except UserError as error:
      assert str(error).startswith('spec.data.') and len(str(error)) < 600
    path.unlink()
  return good


def test_mutations(tmp_path):
  assert fuzz(tmp_path, 20) > 0


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(1, 4))
def test_many_mutations(tmp_path, seed):
  fuzz(tmp_path, 300, seed)
