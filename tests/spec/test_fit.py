"""Nets that do not fit the data: told before data are read, with a value of a field that fits."""

import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from variants import lines

from tfvae import build, commands
from tfvae import spec as spec_lib
from tfvae.data import stored as stored_lib
from tfvae.errors import SpecError, UserError
from tfvae.nets import conv28
from tfvae.nets.conv import Conv
from tfvae.nets.conv28 import Conv28
from tfvae.nets.residual import Residual
from tfvae.observation import Observation
from tfvae.spec import fit
from tfvae.spec.entries import SYNTHETIC
from tfvae.spec.fields.field import flatten

FOLDER = {'data.name': 'folder', 'data.path': 'photos'}


def mend(path, shape, fields, found, which):
  """The spec with what the lines advise (the first or the second advice of each), and the shape of its images."""
  for line in found:
    advice = re.findall(r'(?:; use| or) spec\.([\w.]+)=(\S+)', line)
    field, value = advice[min(which, len(advice) - 1)]
    fields = {**fields, field: value}
    if field in ('data.resize', 'data.pad'):
      shape = (int(value), int(value), shape[-1])
  return spec_lib.load(f'{ROOT}/specs/{path}', fields), shape


OLD = {'model.z1.encoder.repeat': False, 'decoder.net.repeat': False}
ALL_CONV = {f'model.z1.{part}.kind': 'conv' for part in ('encoder', 'above', 'posterior', 'prior')}
CASES = {  # path, shape, fields, and of each line its field, what it got and why, and what it advises
  'too few': (
    ('hit.py', (32, 32, 3), OLD),
    (
      'z1.encoder.hidden',
      '(32,); from 32 x 32 to 4 x 4 with kernel 3 at least 3 layers are',
      'z1.encoder.hidden=32,32,32 or',
    ),
  ),
  'too few, up': (
    ('hit.py', (64, 64, 1), OLD | {'model.z1.encoder.hidden': '8,8,8,8'}),
    ('decoder.net.hidden', '(32, 32); from 4 x 4 to 64 x 64', '.net.hidden=32,32,32 or spec.decoder.net.repeat=true'),
  ),
  'too many': (
    ('hit.py:vector', (8, 8, 1), {'decoder.net.hidden': '9,8,7,6,5'}),
    (
      'decoder.net.hidden',
      '(9, 8, 7, 6, 5); from a vector to 8 x 8 with kernel 3 at most 3',
      'decoder.net.hidden=9,8,7',
    ),
  ),
  'no way': (
    ('hit.py', (30, 30, 3), FOLDER),
    ('z1.grid', '4; no way leads from 30 x 30 to 4 x 4', 'spec.model.z1.grid=5 or spec.data.resize=32'),
  ),
  'no way, padded': (
    ('hit.py', (30, 30, 3), FOLDER | {'data.resize': 30, 'data.pad': 30}),
    ('z1.grid', '4; no way leads from 30 x 30 to 4 x 4', 'spec.model.z1.grid=5 or spec.data.pad=32'),
  ),
  'a very long way': (
    ('hit.py', (255, 255, 3), FOLDER | {'model.z1.grid': 5}),
    ('z1.grid', '5; from 255 x 255 to 5 x 5 with kernel 3 at least 125 layers are', 'spec.data.resize='),
  ),
  'meeting point': (
    ('hit.py:mnist', (28, 28, 1), {'model.z1.join_grid': 6}),
    ('z1.join_grid', '6; no way leads from 28 x 28 to 6 x 6', 'spec.model.z1.join_grid=7'),
    ('z1.grid', '4; no way leads from 6 x 6 to 4 x 4', ''),
  ),
  'not square': (
    ('hit.py', (28, 20, 1), FOLDER),
    (
      'z2.encoder.kind',
      'conv, which needs square images, but these are 28 x 20',
      'spec.data.resize=32',
    ),
    ('z1.encoder.kind', 'conv, which needs square images', 'spec.data.resize=32'),
    ('z1.grid', '4; no way leads from 4 x 4 to 28 x 28', 'spec.data.resize=32'),
  ),
  'rows': (
    ('hit.py', (30,), {'data.name': 'table'}),
    ('z2.encoder.kind', 'conv, which is for images and feature maps', 'z2.encoder.kind=mlp'),
    ('decoder.net.kind', 'conv, which is for images and feature maps', 'decoder.net.kind=mlp'),
  ),
  'vector to vector': (
    ('hit.py:vector', (8, 8, 1), {'model.z1.prior.kind': 'conv'}),
    (
      'z1.prior.kind',
      'conv, which is for images and feature maps, but this net leads from a vector',
      'z1.prior.kind=mlp',
    ),
  ),
  'classifier': (
    ('classifier.py', (30,), {'data.name': 'table'}),
    ('model.classifier.kind', 'conv, which is for images', 'spec.model.classifier.kind=mlp'),
  ),
  'classifier, not square': (
    ('classifier.py', (8, 6, 1), {}),
    ('model.classifier.kind', 'conv, which needs square images', 'spec.model.classifier.kind=mlp'),
  ),
  'conv28': (
    ('symmetric.py:mnist', (32, 32, 3), {'data.name': 'cifar10', 'decoder.net.hidden': '8,8,8,8,8,8'}),
    (
      'z1.encoder.kind',
      'conv28, which needs images of 28 x 28, but these are 32 x 32',
      'spec.data.resize=28',
    ),
    ('decoder.net.kind', 'conv28, which needs images of 28 x 28, but these are 32 x 32', 'spec.data.resize=28'),
  ),
  'conv28 of rows': (
    ('symmetric.py:mnist', (30,), {'data.name': 'table'}),
    ('z1.encoder.kind', 'conv28, which needs images of 28 x 28, but these are vectors', 'z1.encoder.kind=mlp'),
    ('decoder.net.kind', 'conv28, which needs images of 28 x 28, but these are vectors', 'decoder.net.kind=mlp'),
  ),
  'conv28, layers': (
    ('symmetric.py:mnist', (28, 28, 1), {'model.z1.encoder.hidden': '3,4', 'decoder.net.hidden': '5'}),
    ('z1.encoder.hidden', '(3, 4); conv28 has 7 layers down to a vector', 'hidden=32,32,64,64,64,128,600'),
    ('decoder.net.hidden', '(5,); conv28 has 6 layers up to 28 x 28', 'hidden=128,64,64,64,32,32'),
  ),
  'residual': (
    ('hit.py', (16, 16, 1), {'model.z1.encoder.kind': 'residual', 'model.z1.encoder.hidden': '8,8'}),
    ('z1.encoder.hidden', '(8, 8); by 2 stages 16 x 16 does not become 4 x 4', 'spec.model.z1.encoder.hidden=8,8,8'),
  ),
  'residual, too many': (
    ('hit.py', (8, 8, 1), {'model.z1.encoder.kind': 'residual', 'model.z1.encoder.hidden': '8,7,6'}),
    ('z1.encoder.hidden', '(8, 7, 6); by 3 stages 8 x 8 does not become 4 x 4', 'spec.model.z1.encoder.hidden=8,7'),
  ),
  'residual, no way': (
    ('hit.py', (30, 30, 3), FOLDER | {'model.z1.encoder.kind': 'residual', 'model.z1.grid': 5}),
    ('z1.grid', '5; by 1 stages 30 x 30 does not become 5 x 5', 'spec.data.resize='),
  ),
  'residual, up': (
    ('hit.py', (8, 8, 1), {'decoder.net.kind': 'residual'}),
    (
      'decoder.net.kind',
      'residual, which leads down from images and feature maps, but this net leads up from 4 x 4 to 8 x 8',
      'spec.decoder.net.kind=conv',
    ),
  ),
  'residual, from a vector': (
    ('hit.py:vector', (8, 8, 1), {'model.z1.prior.kind': 'residual'}),
    (
      'z1.prior.kind',
      'residual, which leads down from images and feature maps, but this net gets a vector',
      'spec.model.z1.prior.kind=mlp',
    ),
  ),
  'residual of rows': (
    ('classifier.py', (30,), {'data.name': 'table', 'model.classifier.kind': 'residual'}),
    ('model.classifier.kind', 'residual, which leads down from images', 'spec.model.classifier.kind=mlp'),
  ),
  'reverse': (
    ('hit.py', (8, 8, 1), {'model.inference': 'reverse', 'model.z2.grid': 3, 'model.z1.prior.kind': 'conv'}),
    ('z2.grid', '3; no way leads from 4 x 4 to 3 x 3', 'spec.model.z2.grid='),
    ('z1.grid', '4; no way leads from 3 x 3 to 4 x 4', ''),
  ),
  'ladder': (
    ('hit.py', (8, 8, 1), {'model.inference': 'ladder', 'model.z2.grid': 3}),
    ('z2.grid', '3; no way leads from 4 x 4 to 3 x 3', 'spec.model.z2.grid='),
  ),
  'above': (
    ('hit.py', (8, 8, 1), ALL_CONV | {'model.z2.grid': 3}),
    ('z2.grid', '3; no way leads from 8 x 8 to 3 x 3', 'spec.model.z2.grid='),
    ('z1.grid', '4; no way leads from 3 x 3 to 4 x 4', ''),
  ),
  'canvas': (
    ('geco.py:mnist,convdraw', (28, 28, 1), {'model.z.grid': 3}),
    (
      'z.grid',
      '3; the canvas is looked at in 3 x 3 squares of one size, but images are 28 x 28 (height x width), and 28 is no '
      'multiple of 3',
      'spec.model.z.grid=7 or spec.data.resize=27',
    ),
  ),
  'canvas, memories of their own': (
    ('geco.py:cifar10,convdraw', (32, 32, 3), {'model.z.grid': 4, 'model.z.join_grid': 12}),
    ('z.join_grid', '12; no way leads from 32 x 32 to 12 x 12', 'spec.model.z.join_grid=16'),
    ('z.grid', '4; no way leads from 12 x 12 to 4 x 4', ''),
  ),
  'canvas, smaller than its grid': (
    ('geco.py:convdraw', (8, 8, 1), {'model.z.grid': 16}),
    ('z.grid', '16; the canvas is looked at in 16 x 16 squares', 'spec.model.z.grid=8'),
  ),
  'canvas, not square': (
    ('geco.py:convdraw', (28, 20, 1), FOLDER | {'model.z.encoder.kind': 'mlp', 'decoder.net.kind': 'mlp'}),
    (
      'z.grid',
      '4; the canvas is looked at in 4 x 4 squares of one size, but images are 28 x 20 (height x width), which are not',
      'spec.data.resize=28',
    ),
  ),
  'canvas, conv28': (
    (
      'geco.py:mnist,convdraw',
      (28, 28, 1),
      {
        f'{net}.{field}': value
        for net in ('decoder.net', 'model.z.posterior')
        for field, value in (('kind', 'conv28'), ('hidden', '8'))
      },
    ),
    ('z.posterior.kind', 'conv28, which needs maps of 28 x 28, but maps are 7 x 7', 'spec.model.z.posterior.kind=conv'),
    ('decoder.net.kind', 'conv28, which needs maps of 28 x 28, but maps are 7 x 7', 'spec.decoder.net.kind=conv'),
  ),
}


@pytest.mark.parametrize('case', CASES)
def test_what_does_not_fit_and_what_does(case):
  """Every line names field, value and why; with what it advises, all nets fit."""
  (path, shape, fields), *texts = CASES[case]
  _, found = lines(path, shape, fields)
  assert len(found) == len(texts), found
  for line, (field, why, advice) in zip(found, texts, strict=True):
    assert f'{field}: got {why}' in line and advice in line.partition('; use ')[2], line
  for which in (0, 1):
    spec, mended = mend(path, shape, fields, found, which)
    assert fit.problems(flatten(spec.to_dict()), mended) == []


BUILT = ['residual', 'residual, too many', 'residual, up', 'residual, from a vector', 'residual of rows']
BUILT += ['too few', 'too few, up', 'too many', 'no way', 'conv28, layers', 'conv28', 'reverse', 'above', 'classifier']


@pytest.mark.parametrize('case', BUILT)
def test_what_is_said_is_so(case):
  """A net that is said not to fit cannot be built; with the advice it can."""
  (path, shape, fields), *_ = CASES[case]
  spec, found = lines(path, shape, fields)
  with pytest.raises((UserError, ValueError)):
    build.model(spec, Observation(shape))
  spec, shape = mend(path, shape, fields, found, 0)
  if case == 'no way':
    spec, shape = mend(path, shape, fields, found, 1)
  build.model(spec, Observation(shape))


@pytest.fixture
def built(monkeypatch):
  """name of a net -> the sides of what it gets, as nets are built."""
  noted = {}

  def noting(own):
    def build(net, input_shape):
      noted[net.name] = tuple(input_shape[1:-1])
      own(net, input_shape)

    return build

  for kind in (Conv, Conv28, Residual):
    monkeypatch.setattr(kind, 'build', noting(kind.build))
  return noted


NAMES = [
  (r'^decoder\.net$', 'decoder_net'),
  (r'^model\.context$', 'context_net'),
  (r'^model\.classifier$', 'net'),
  (r'^model\.(\w+)\.prior$', r'\1_prior_net'),
]
NAMES += [(r'^model\.(\w+)\.(\w+)$', r'\1_\2')]
ORDERS = {
  'published': ('hit.py:mnist', (28, 28, 1), {}),
  'three layers': (
    'hit.py:three_layers',
    (16, 16, 3),
    ALL_CONV | {'model.z2.grid': 2, 'model.z2.posterior.kind': 'conv', 'model.z3.grid': 1, 'model.z1.join_grid': 8},
  ),
  'ladder': (
    'hit.py:three_layers',
    (16, 16, 3),
    {'model.inference': 'ladder', 'model.z2.grid': 8, 'model.z1.prior.kind': 'conv', 'model.z2.prior.kind': 'conv'},
  ),
  'lvae': ('hit.py:three_layers,lvae', (8, 8, 1), {}),
  'lvae of maps': ('hit.py:binary_mnist,three_layers,conv_z,lvae', (28, 28, 1), {}),
  'reverse': ('hit.py:three_layers', (8, 8, 1), {'model.inference': 'reverse', 'model.z2.grid': 2} | ALL_CONV),
  'told': (
    'hit.py:three_layers',
    (16, 16, 3),
    ALL_CONV
    | {'data.context': 'label', 'model.z2.grid': 2, 'model.z3.grid': 1}
    | {f'model.z3.{net}.kind': 'conv' for net in ('prior', 'posterior')},
  ),
  'told images': ('hit.py', (8, 8, 1), {'data.context': 'own'}),
  'lvae, told': ('hit.py:lvae', (8, 8, 1), {'data.context': 'label'}),
  'reverse, told': (
    'hit.py:three_layers',
    (8, 8, 1),
    {'model.inference': 'reverse', 'model.z2.grid': 2, 'data.context': 'label', 'model.z1.posterior.kind': 'conv'}
    | ALL_CONV,
  ),
  'conv28': ('symmetric.py:mnist,reverse', (28, 28, 1), {}),
  'classifier': ('classifier.py', (9, 9, 3), {}),
  'classifier, residual': ('classifier.py:cifar10', (9, 8, 3), {}),
  'residual': (
    'hit.py:three_layers',
    (16, 16, 3),
    {f'model.{layer}.encoder.kind': 'residual' for layer in ('z1', 'z2', 'z3')}
    | {'model.inference': 'ladder', 'model.z1.encoder.hidden': '4,4', 'model.z1.grid': 8, 'model.z2.grid': 4}
    | {'model.z2.encoder.hidden': '4,4', 'model.z1.prior.kind': 'conv'},
  ),
}


@pytest.mark.parametrize('order', ORDERS)
def test_nets_are_where_the_model_has_them(order, built):
  path, shape, fields = ORDERS[order]
  spec, found = lines(path, shape, fields)
  assert found == []
  context = {'none': None, 'label': (), 'own': (12, 12, 2)}[spec.data.context]
  build.model(spec, Observation(shape, context=context))
  f, told = flatten(spec.to_dict()), {}
  for net in fit.nets(f, shape, context):
    if f[f'{net.field}.kind'] in ('conv', 'conv28', 'residual'):
      name = next(re.sub(pattern, name, net.field) for pattern, name in NAMES if re.match(pattern, net.field))
      told[name] = net.sides
  assert told == built and told


def random_case(rng):
  """A spec of random nets and grids, small."""
  layers = ('z3', 'z2', 'z1')[rng.integers(3) :]
  spec = spec_lib.base(layers)
  spec.model.inference = str(rng.choice(['generic', 'ladder', 'lvae', 'reverse']))
  spec.model.conditioning = str(rng.choice(['next', 'all']))
  nets = [spec.decoder.net]
  for name in layers:
    layer = spec.model[name]
    layer.dim, layer.grid = 2, int(rng.choice([0, 0, 1, 2, 3, 4, 7, 8]))
    nets.append(layer.encoder)
    if name != layers[0]:
      layer.join_grid = int(rng.choice([0, 0, 2, 4, 8]))
      nets += [layer.above, layer.posterior, layer.prior]
  for net in nets:
    net.kind = str(rng.choice(['mlp', 'conv', 'conv', 'residual', 'linear']))
    net.hidden = tuple(int(width) for width in rng.integers(2, 5, rng.integers(1, 4)))
    net.kernel, net.repeat = int(rng.choice([1, 2, 3, 3, 4])), bool(rng.random() < 0.7)
  side = int(rng.choice([4, 7, 8, 12, 16, 28]))
  return spec_lib.resolve(spec), (9,) if rng.random() < 0.15 else (side, side, 1)


@pytest.mark.parametrize('seed', [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))])
def test_random_models_are_judged_rightly(seed):
  """The rule says yes exactly where the model can be built, and its advice leads there."""
  rng, judged = np.random.default_rng(seed), []
  while len(judged) < 6:
    spec, shape = random_case(rng)
    f = flatten(spec.to_dict())
    found = fit.problems(f, shape)
    if judged and bool(found) == judged[-1]:
      continue  # as many of both
    judged.append(bool(found))
    if found:
      with pytest.raises(UserError, match=r'kind=(conv|residual)'):
        build.model(spec, Observation(shape))
    for _ in range(6):  # what the advice made possible may show what else is wrong
      if not found:
        break
      changes = [re.search(r'; use spec\.([\w.]+)=(\S+)', line).groups() for line in found]
      spec = spec_lib.resolve(spec, changes[:1])
      f = flatten(spec.to_dict())
      found = fit.problems(f, shape)
    assert found == []
    build.model(spec, Observation(shape))


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(6))
def test_random_drawings_are_judged_rightly(seed):
  """Of convdraw: what the rule allows can be built, and its advice leads there."""
  rng, refused = np.random.default_rng(seed), 0
  for _ in range(6):
    spec = spec_lib.base(('z',))
    spec.model.name, z = 'convdraw', spec.model.z
    z.steps, z.lstm, z.canvas, z.dim = 2, 2, 2, 2
    z.grid, z.join_grid = (int(rng.choice(sides)) for sides in ((0, 1, 2, 3, 4, 7, 8, 16), (0, 2, 4, 7, 8)))
    z.grid = z.grid or (0 if z.join_grid else 2)
    for net in (z.encoder, z.posterior, z.prior, spec.decoder.net):
      net.kind = str(rng.choice(['mlp', 'conv', 'conv', 'residual', 'linear', 'conv28']))
      net.hidden = tuple(int(width) for width in rng.integers(2, 5, rng.integers(1, 4)))
      net.kernel, net.repeat = int(rng.choice([1, 2, 3, 3, 4])), bool(rng.random() < 0.7)
    side, context = int(rng.choice([4, 7, 8, 12, 16, 28])), () if rng.random() < 0.3 else None
    spec.data.context = 'none' if context is None else 'label'
    spec = spec_lib.resolve(spec)
    for _ in range(10):
      if not (found := fit.problems(flatten(spec.to_dict()), (side, side, 1))):
        break
      refused += 1
      changes = [re.search(r'; use spec\.([\w.]+)=(\S+)', line).groups() for line in found]
      spec = spec_lib.resolve(spec, changes[:1])
    assert found == []
    build.model(spec, Observation((side, side, 1), context=context))
  assert refused


def test_the_layers_of_conv28():
  assert len(fit.CHANNELS28['down']) == len(conv28.DOWN) + 1 and len(fit.CHANNELS28['up']) == len(conv28.UP) + 1


def test_widths_are_repeated_where_the_way_needs_it():
  """specs/hit.py on larger images: the net of 8 x 8 pixels is what it was."""
  spec = spec_lib.load(f'{ROOT}/specs/hit.py')
  channels = lambda shape, field: [
    layer.filters
    for layer in next(
      layer for layer in build.model(spec, Observation(shape))._flatten_layers() if layer.name == field
    ).convolutions
  ]
  assert channels((8, 8, 1), 'z1_encoder') == [32] and channels((8, 8, 1), 'decoder_net') == [32, 32]
  assert channels((64, 64, 3), 'z1_encoder') == [32] * 4 and channels((64, 64, 3), 'decoder_net') == [32] * 3
  for side in (16, 32, 128, 256):
    assert lines('hit.py', (side, side, 3))[1] == []


# Before data are read.


def shape_of(**fields):
  section = spec_lib.base().data
  section.update({'name': 'digits', **fields})
  return build.loader(section.name).shape(section)


@pytest.mark.parametrize('name', ['digits', *SYNTHETIC])
def test_shapes_of_made_data(name):
  section = spec_lib.base().data
  section.update({'name': name, 'examples': 20, 'dims': 7})
  section.segments = (2,)
  stored = build.loader(name).load(section)
  assert build.loader(name).shape(section) == stored_lib.shape(stored.splits['train'])


def test_shapes_of_files(tmp_path, tfds_dir):
  (tmp_path / 'photos/below').mkdir(parents=True)
  Image.new('RGB', (12, 10)).save(tmp_path / 'photos/below/one.png')
  folder = {'name': 'folder', 'path': str(tmp_path / 'photos')}
  assert shape_of(**folder) == (10, 12, 3)
  assert shape_of(**folder, channels='grey') == (10, 12, 1)
  assert shape_of(**folder, crop=8, pad=9) == (9, 9, 3)
  np.savez(tmp_path / 'images.npz', x=np.zeros((3, 4, 5, 1), np.uint8), label=np.zeros(3))
  np.savez(tmp_path / 'rows.npz', other=np.zeros((3, 4)))
  assert shape_of(name='table', path=str(tmp_path / 'images.npz')) == (4, 5, 1)
  for rows in ('', str(tmp_path / 'rows.npz'), str(tmp_path / 'mine.csv')):
    assert shape_of(name='table', path=rows) == (None,)
  assert shape_of(name='mnist', data_dir=tfds_dir) == (28, 28, 1)
  assert shape_of(name='cifar10', data_dir=tfds_dir, crop=20, resize=16) == (16, 16, 3)


def test_what_is_not_there_is_left_to_loading(tmp_path):
  (tmp_path / 'text.npz').write_text('no archive')
  for fields in (
    {'data.name': 'folder', 'data.path': str(tmp_path)},
    {'data.name': 'folder', 'data.path': str(tmp_path / 'absent')},
    {'data.name': 'table', 'data.path': str(tmp_path / 'text.npz')},
    {'data.name': 'table', 'data.path': str(tmp_path / 'absent.npz')},
    {'data.name': 'mnist', 'data.data_dir': str(tmp_path)},
  ):
    build.check(spec_lib.load(f'{ROOT}/specs/hit.py', fields))


def test_told_before_data_are_read(tmp_path, monkeypatch):
  monkeypatch.setattr(build, 'dataset', lambda *_: pytest.fail('data are read'))
  np.savez(tmp_path / 'images.npz', x=np.zeros((200, 30, 30, 1), np.uint8))
  fields = {'data.name': 'table', 'data.path': str(tmp_path / 'images.npz')}
  spec = spec_lib.load(f'{ROOT}/specs/hit.py', fields)
  with pytest.raises(SpecError, match=r'spec\.model\.z1\.grid: got 4; .* use spec\.model\.z1\.grid=5$'):
    commands.train(spec, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
  with pytest.raises(SpecError, match=r'spec\.model\.z1\.grid: got 4'):
    commands.show(spec)


def test_told_after_reading_where_it_is_not_known_before(tmp_path, monkeypatch):
  monkeypatch.setattr(build, 'check', lambda spec: None)
  spec = spec_lib.load(f'{ROOT}/specs/hit.py', {'model.z1.grid': 2, 'model.z1.encoder.repeat': False})
  with pytest.raises(SpecError, match=r'spec\.model\.z1\.encoder\.hidden: got \(32,\)'):
    commands.train(spec, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_nothing_heavy_is_imported(tmp_path):
  np.savez(tmp_path / 'images.npz', x=np.zeros((200, 30, 30, 1), np.uint8))
  code = (
    'import sys\nfrom tfvae import build, spec\n'
    f's = spec.load({str(ROOT / "specs/hit.py")!r}, {{"data.name": "table", "data.path": "images.npz"}})\n'
    'try:\n  build.check(s)\nexcept Exception as e:\n  print(e)\n'
    'print([m for m in ("tensorflow", "keras", "sklearn") if m in sys.modules])'
  )
  said = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
  assert 'spec.model.z1.grid: got 4' in said and said.endswith('[]\n')
