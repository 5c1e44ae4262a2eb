"""All specs and their variants, and what makes each so small that it takes seconds and stays what it is.

The list is that of tests/test_conformance.py, which takes each variant through what a user does with a spec. A word of
a spec file that is in none of them fails there; which words are combined is a choice.
"""

import io
import pathlib

import numpy as np
from conftest import ROOT
from PIL import Image

from tfvae import spec as spec_lib
from tfvae.spec import catalogue, fit
from tfvae.spec.entries import SYNTHETIC, TASKS
from tfvae.spec.fields.field import flatten
from tfvae.spec.rules.constraint import needs_classifier

# <spec>:<words>, in CI: the digits and tables, one variant for each kind of model, inference, family and objective.
# The defaults of aevb and hit are what many other tests train.
CHEAP = [
  'aevb:nvp,conditional',
  'classifier',
  'collapse',
  'entropies:vae2',
  'fixed_points:line,local',
  'geco',
  'hit:lvae,no_warmup,mixture,rates',
  'hit:gumbel',
  'linear:csv',
  'streaming',
  'symmetric',
]
SLOW = [
  'aevb',
  'iwae:two_layers,dreg',
  'aevb:conditional',
  'aevb:nvp',
  'aevb:gaussian',
  'aevb:gaussian,conditional',
  'aevb:unit',
  'aevb:falling',
  'aevb:mnist',
  'aevb:mnist,nvp',
  'aevb:mnist,nvp,conditional',
  'classifier:mnist',
  'classifier:fashion_mnist',
  'classifier:cifar10',
  'classifier:svhn',
  'classifier:cifar10,conv',
  'classifier:residual',
  'classifier:dense',
  'classifier:mnist,dense',
  'collapse:table',
  'fixed_points',
  'fixed_points:circle,global',
  'fixed_points:helix,published',
  'fixed_points:table',
  'entropies',
  'entropies:1d_gauss,vae0',
  'entropies:line,vae3',
  'entropies:8gauss,vae2,rescale',
  'entropies:cosine',
  'entropies:eight,vae1,published',
  'entropies:swiss_roll,vae3_latent',
  'entropies:spiral_3d',
  'entropies:manifold,vae0',
  'entropies:pca',
  'entropies:pca_ring,vae3_latent',
  'entropies:susy,vae2,regularize',
  'entropies:mnist,vae3',
  'entropies:celeba',
  'classifier:turns',
  'classifier:mnist,turns',
  'geco:mnist_sum,digits,cla',
  'geco:mnist_sum,digits,conv',
  'geco:mnist_sum,digits,hit,none',
  'geco:mnist_sum_hard,digits,hit,cla',
  'geco:mnist_rotate,digits,nvp,fre',
  'geco:mnist_triplets,digits,conv,cla',
  'geco:mnist_triplets,digits,hit,rate',
  'geco:color_mnist,digits,pncc',
  'geco:color_mnist,nvp,cla',
  'geco:mnist_rotate,hit',
  'geco:convdraw',
  'geco:convdraw,cla',
  'geco:convdraw,none',
  'geco:convdraw,rate',
  'geco:mnist,convdraw',
  'geco:cifar10,convdraw',
  'geco:celeb_a,convdraw,pncc',
  'geco:micro_mnist,convdraw',
  'geco:convdraw,large',
  'geco:mnist,convdraw,large,none',
  'geco:cifar10,convdraw,large',
  'geco:mnist_sum,digits,convdraw',
  'geco:mnist_rotate,convdraw',
  'geco:color_mnist,digits,convdraw',
  'geco:conv,fre',
  'geco:hit,rate',
  'geco:nvp,cla',
  'geco:pncc,published',
  'geco:none',
  'geco:mnist',
  'geco:mnist,hit',
  'geco:mnist,nvp,cla',
  'geco:mnist,conv,rate',
  'geco:micro_mnist,nvp',
  'geco:micro_mnist,hit,none',
  'geco:cifar10',
  'geco:cifar10,conv,fre',
  'geco:cifar10,hit,pncc',
  'geco:cifar10,nvp',
  'geco:celeb_a,conv',
  'geco:celeb_a,hit,rate',
  'hit',
  'hit:vector',
  'hit:conditional',
  'hit:conditional,conv_z,lvae',
  'hit:conditional,three_layers,gumbel',
  'hit:conditional,rates',
  'hit:conditional,mnist,three_layers,conv_z',
  'hit:three_layers',
  'hit:three_layers,vector',
  'hit:conv_z',
  'hit:lvae,conv_z,no_warmup',
  'hit:lvae,three_layers',
  'hit:lvae,no_warmup,rates',
  'hit:three_layers,rates',
  'hit:mixture',
  'hit:mixture,rates',
  'hit:lvae',
  'hit:rates',
  'hit:three_layers,gumbel',
  'hit:mnist',
  'hit:mnist,three_layers',
  'hit:binary_mnist',
  'hit:binary_mnist,gumbel',
  'hit:cifar10',
  'hit:cifar10,lvae',
  'hit:cifar10,mixture',
  'hit:cifar10,conv_z',
  'hit:cifar10,gumbel',
  'hit:cifar10,rates',
  'hit:svhn',
  'hit:svhn,gumbel',
  'hit:svhn,three_layers,conv_z,lvae,no_warmup',
  'hit:celeb_a',
  'hit:celeb_a,gumbel',
  'hit:celeb_a,conv_z',
  'hit:folder256',
  'iwae',
  'iwae:k50',
  'iwae:mnist,k1',
  'iwae:mnist,two_layers',
  'linear',
  'linear:csv,sampled',
  'streaming:sampled,averaged',
  'symmetric:elbo',
  'symmetric:small_mnist,reverse,elbo',
  'symmetric:mnist',
  'symmetric:mnist,reverse,elbo',
  'symmetric:fashion_mnist',
  'symmetric:fashion_mnist,paper,elbo',
  'table',
]
VARIANTS = [*CHEAP, *SLOW]
REAL = ('mnist', 'cifar10')
STAND_INS = {'fashion_mnist': (28, 28, 1), 'svhn_cropped': (32, 32, 3), 'celeb_a': (218, 178, 3)}


def path_of(variant: str) -> str:
  """'.../specs/hit.py:vector' of 'hit:vector'."""
  name, colon, words = variant.partition(':')
  return f'{ROOT}/specs/{name}.py{colon}{words}'


def load(variant: str):
  """The spec of a variant as its file has it; a classifier that it needs is named, and not there."""
  own = spec_lib.read(path_of(variant))
  return spec_lib.resolve(own, {'classifier.path': 'runs/classifier'} if classifier_of(own) else {})


def classifier_of(own) -> str | None:
  """The variant of the classifier that constraints of a spec need, or None."""
  needed = needs_classifier(own.constraint.names, own.constraint.fre.features)
  return f'classifier:{catalogue.read(own.data.name, own.data.of)}' if needed else None


def small(own) -> dict:
  """The fields with which a variant takes two steps, of a few examples, and evaluates few.

  Real data are read when they are needed, and 0.5% of them, set aside, are evaluated in place of the test split.
  """
  fields = {'train.steps': 2, 'train.log_every': 1, 'train.checkpoint_every': 1, 'train.keep': 2, 'eval.every': 0}
  fields |= {
    'eval.log_evidence.samples': 4,
    'eval.log_evidence.examples': 20,
    'eval.limiting.steps': 2,
    'eval.also': (),
  }
  most = {'eval.num_samples': 2, 'eval.batch_size': 100, 'data.batch_size': 6}  # 0 stays 0
  fields |= {name: min(flatten(own.to_dict())[name], value) for name, value in most.items()}
  if own.study.name != 'none':
    fields |= {'study.fixed_points.grid': (3, 2), 'study.fixed_points.count': 5, 'study.fixed_points.iterations': 20}
    fields |= {'study.collapse.count': 3, 'study.collapse.steps': 20, 'study.collapse.hidden_steps': 5}
  if own.model.classifier.kind == 'residual':
    fields |= {'model.classifier.hidden': (8, 16)}
  if own.model.classifier.kind == 'densenet':
    fields |= {'model.classifier.hidden': (12, 10), 'model.classifier.growth': 4}
  if 'z' in own.model.layers:  # its steps are compiled one by one
    fields |= {'model.z.steps': 2, 'model.z.lstm': 4}
  if own.data.name in (*SYNTHETIC, *TASKS):
    fields |= {'data.examples': 60} | ({'data.changes': (20, 40)} if own.data.changes else {})
  if own.data.name in REAL:
    fields |= {'data.validation': 0.005, 'eval.split': 'validation', 'sample.split': 'validation'}
    fields |= {'data.memory_limit': 0.0} if own.data.pool == 'train' else {}  # two splits are joined in memory alone
  return fields


def prepare(name: str, directory: pathlib.Path) -> None:
  """Makes a set of STAND_INS in TFDS' form: 24 and 12 images of noise, faces as JPEG, and labels but for faces."""
  import tensorflow_datasets as tfds

  shape, faces = STAND_INS[name], name == 'celeb_a'
  features = {'image': tfds.features.Image(shape=shape, encoding_format='jpeg' if faces else 'png')}
  features |= {} if faces else {'label': tfds.features.ClassLabel(num_classes=10)}

  class StandIn(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')
    pkg_dir_path = pathlib.Path(__file__).parent

    def _info(self):
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
      return {split: self._generate_examples(size) for split, size in {'train': 24, 'test': 12}.items()}

    def _generate_examples(self, size):
      rng = np.random.default_rng(size)
      for number in range(size):
        image = rng.integers(0, 256, shape).astype(np.uint8)
        yield number, {'image': io.BytesIO(jpeg(image)) if faces else image} | ({} if faces else {'label': number % 10})

  StandIn.name = name
  StandIn(data_dir=str(directory)).download_and_prepare()


def pictures(directory: pathlib.Path) -> None:
  """Makes a folder of 8 and 4 JPEG files of noise, larger than what is cropped from them."""
  rng = np.random.default_rng(0)
  for split, size in (('train', 8), ('test', 4)):
    (directory / split).mkdir()
    for number in range(size):
      (directory / split / f'{number}.jpg').write_bytes(jpeg(rng.integers(0, 256, (260, 300, 3)).astype(np.uint8)))


def jpeg(image: np.ndarray) -> bytes:
  """An image as a file."""
  file = io.BytesIO()
  Image.fromarray(image).save(file, 'JPEG')
  return file.getvalue()


def lines(path, shape, fields=()):
  """(the spec, what does not fit)."""
  spec = spec_lib.load(f'{ROOT}/specs/{path}', dict(fields))
  return spec, fit.problems(flatten(spec.to_dict()), shape)
