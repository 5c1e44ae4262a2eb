"""What FID compares images by: features of networks that are not trained here, or that another run has trained."""

import abc
import hashlib

import numpy as np
import tensorflow as tf

from tfvae.errors import SpecError, cut
from tfvae.making import Make
from tfvae.nets import inception, torch_weights
from tfvae.observation import Observation
from tfvae.spec import paths


class Extractor(abc.ABC):
  """Features of images.

  Attributes:
    name: its name.
    size: F, how many features.
    side: images are resized to so many pixels a side. 0: not.
    levels: to so many values a pixel is rounded first. 0: not.
    batch: the most images at once.
    about: {what: text or number}, where the features come from.
  """

  name: str
  size: int
  side = levels = 0
  batch = 1000

  def __init__(self, about: dict):
    self.about = about
    self._compiled = tf.function(self.features, autograph=False)

  @property
  def identity(self) -> str:
    """What tells these features from all others."""
    return ' '.join([self.name, f'side={self.side}', f'levels={self.levels}', *map(str, self.about.values())])

  @abc.abstractmethod
  def features(self, images: tf.Tensor) -> tf.Tensor:
    """[B, H, W, C] in [0, 1] -> [B, F]."""

  def __call__(self, images: tf.Tensor) -> np.ndarray:
    """The same, compiled, not more than `batch` at once."""
    parts = [self._compiled(images[first : first + self.batch]) for first in range(0, len(images), self.batch)]
    return np.concatenate([part.numpy() for part in parts])

  @classmethod
  @abc.abstractmethod
  def from_spec(cls, spec, section, shape: tuple[int, ...], make: Make) -> 'Extractor':
    """That of a spec, for images of `shape`. Raises SpecError where its weights are not there, or not right."""


class ClassifierFeatures(Extractor):
  """The activations before the last layer of a classifier that another run has trained.

  Of a task whose images are several, or in colour, they are those of all that the classifier sees of an example,
  one after the other: of each of its images, or of a grey one.

  sight: a `Sight` of images in [0, 1] that needs nothing else of an example.
  """

  name = 'classifier'

  def __init__(self, sight):
    super().__init__({name: getattr(sight.frozen, name) for name in ('hash', 'weights', 'accuracy', 'split')})
    self._sight, self.size = sight, sight.num_features

  def features(self, images):
    return self._sight.features(images, {})

  @classmethod
  def from_spec(cls, spec, section, shape, make: Make):
    return cls(make.sight(spec, Observation(shape), gradient=False, alone=True))


class _Resized(Extractor):
  """Means over the last feature map of an Inception network, of images rounded to 8 bits and resized.

  Args:
    model: [B, 299, 299, 3] in [-1, 1] -> [B, 2048].
    checksum: of its file of weights.
  """

  size, side, levels = inception.FEATURES, inception.SIDE, 256
  batch = 50  # the first feature maps of an image are 6 MB

  def __init__(self, model, checksum: str):
    super().__init__({'sha256': checksum})
    self._model = model

  def features(self, images):
    images = tf.round(tf.cast(images, tf.float32) * (self.levels - 1)) / (self.levels - 1)
    return self._model(inception.resized(images), training=False)


class InceptionFeatures(_Resized):
  """The pool3 features of pytorch-fid."""

  name = 'inception'

  @classmethod
  def from_spec(cls, spec, section, shape, make: Make):
    path = _file('fid.inception', section.inception, "give pytorch-fid's pt_inception-2015-12-05-6726825d.pth")
    model = inception.network()
    try:
      inception.load(model, _parameters(path))
    except (ValueError, TypeError) as error:  # TypeError: parameters that are no numbers
      raise SpecError([f'spec.eval.fid.inception: got {path}: {cut(str(error), 300)}']) from None
    return cls(model, _checksum(path))


class KerasInceptionFeatures(_Resized):
  """Those of Keras' InceptionV3, trained on ImageNet: another network with other weights, so other values."""

  name = 'keras_inception'

  @classmethod
  def from_spec(cls, spec, section, shape, make: Make):
    import keras

    path = _file(
      'fid.keras_inception',
      section.keras_inception or _keras_cache(),
      "keras.applications.InceptionV3(include_top=False) puts it into Keras' cache, where there is a network",
    )
    model = keras.applications.InceptionV3(
      include_top=False, weights=None, pooling='avg', input_shape=(inception.SIDE, inception.SIDE, 3)
    )
    try:
      model.load_weights(path)
    except Exception as error:  # of a file made to be broken: all kinds
      reason = cut(str(error) or type(error).__name__, 200)
      raise SpecError(
        [f"spec.eval.fid.keras_inception: got {path}, which has not the weights of Keras' InceptionV3 ({reason})"]
      ) from None
    return cls(model, _checksum(path))


def _keras_cache():
  """Where Keras keeps the weights that it has downloaded."""
  from keras.src.backend.config import keras_home  # as keras.utils.get_file finds it; it has no public name

  return f'{keras_home()}/models/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5'


def _file(field, path, how):
  path = paths.given(f'eval.{field}', str(path))
  if not path.exists():
    raise SpecError([f'spec.eval.{field}: there is no file {paths.shown(path)}; nothing is downloaded for you: {how}'])
  if what := paths.kind(path):
    raise SpecError([f'spec.eval.{field}: got {paths.shown(path)}, which is {what}; {how}'])
  return path


def _parameters(path):
  """name -> array of a file of PyTorch, or of an NPZ file."""
  if path.suffix != '.npz':
    return torch_weights.read(path)
  try:
    with np.load(path) as archive:
      return dict(archive)
  except Exception as error:  # of a file made to be broken: all kinds
    raise ValueError(f'it cannot be read ({cut(str(error) or type(error).__name__, 200)})') from None


def _checksum(path):
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
