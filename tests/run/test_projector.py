"""TensorBoard itself finds the projector and reads its files."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client

from tfvae.run.projector import SPRITE, files
from tfvae.trained import Run


@pytest.fixture
def ask(tmp_path):
  """ask(route, **parameters): what the plugin answers where TensorBoard was started above the runs."""

  def ask(route, **parameters):
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    context = TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(tmp_path)), logdir=str(tmp_path))
    return Client(ProjectorPlugin(context).get_plugin_apps()[f'/{route}']).get(query_string=parameters).get_data()

  return ask


def test_tensorboard_finds_the_points(tmp_path, ask):
  rng = np.random.default_rng(0)
  latents = {'z2': np.zeros((5, 2), np.float32), 'z1': 1e3 * rng.standard_normal((5, 7)).astype(np.float32)}
  columns, images = {'label': np.array([3, 1, 4, 1, 5]), 'index': np.arange(5)}, rng.random((5, 4, 6, 3))
  run = Run(tmp_path / 'sub/run')
  run.workdir.mkdir(parents=True)
  run.write_projector(files(latents, columns, images, (0.0, 1.0)))

  assert json.loads(ask('runs')) == ['sub/run/projector']
  where = {'run': 'sub/run/projector'}
  embeddings = json.loads(ask('info', **where))['embeddings']
  assert {e['tensorName']: e['tensorShape'] for e in embeddings} == {'z2': [5, 2], 'z1': [5, 7]}
  for name, points in latents.items():
    tensor = np.frombuffer(ask('tensor', name=name, **where), np.float32)
    np.testing.assert_allclose(tensor.reshape(points.shape), points, rtol=1e-5)
  assert ask('metadata', name='z1', **where).decode().splitlines()[:3] == ['label\tindex', '3\t0', '1\t1']
  (tmp_path / 'sprite.png').write_bytes(ask('sprite_image', name='z1', **where))
  sprite = np.asarray(Image.open(tmp_path / 'sprite.png'))
  assert sprite.shape == (12, 18, 3) and embeddings[0]['sprite']['singleImageDim'] == [6, 4]
  np.testing.assert_array_equal(sprite[4:8, 6:12], np.round(255 * images[4]))  # the fifth of three in a row


def test_without_images_and_with_large_ones():
  points = {'z1': np.zeros((4, 1))}
  found = files(points, {'index': np.arange(4)})
  assert 'sprite.png' not in found and found['metadata.tsv'] == b'0\n1\n2\n3\n'  # one column: no header
  images = np.zeros((4, SPRITE // 2 + 2, 2, 1), np.float32)  # two rows of two are too high
  images[:, ::2] = 4
  found = files(points, {'index': np.arange(4)}, images, (0, 8))
  sprite = np.asarray(Image.open(io.BytesIO(found['sprite.png'])))
  assert sprite.shape == (SPRITE // 2 + 2, 2) and np.all(sprite == 64)  # the means of 4 and 0
  assert b'single_image_dim: 1\n' in found['projector_config.pbtxt']
