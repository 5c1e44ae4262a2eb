"""The names that a spec may use, and the object that each stands for: one line a name.

`fields/` offer these names as choices without importing what they name; `build.py` imports it when it is used.
"""

from typing import NamedTuple

from tfvae.spec.evaluators import EVALUATORS


class Model(NamedTuple):
  """A kind of model."""

  path: str  # its object
  verbs: bool = True  # whether it is used as one: encodes, decodes, samples
  members: bool = False  # whether it is several, of spec.model.members
  labels: bool = False  # whether it learns labels, and has no latent layers
  steps: bool = False  # whether it has one layer, z, which repeats


class Layer(NamedTuple):
  """A family of latent layers."""

  path: str  # its object
  space: str  # what its samples are: 'real', 'bits' or 'one-hot'


class Net(NamedTuple):
  """A kind of net."""

  path: str  # its object
  maps: bool = False  # whether it takes what is joined on a grid as a feature map, not as a vector


class Gradient(NamedTuple):
  """An estimator of the gradient through samples."""

  path: str  # its object
  spaces: tuple[str, ...]  # of layers that it is for
  objectives: tuple[str, ...] = ('elbo',)
  temperature: bool = False  # whether it has one
  relaxed: bool = False  # whether what stands for a sample is none
  samples: int = 1  # of an example at least


class Constraint(NamedTuple):
  """What a constraint is put on."""

  path: str  # its object
  of_images: bool = True  # whether on what is decoded: it then takes the place of -log p(x | z)


SYNTHETIC = (
  '1d_gauss', 'line', 'circle', '8gauss', 'cosine', 'eight', 'swiss_roll', 'spiral_3d', 'manifold', 'pca', 'pca_ring',
  'stream',
)  # fmt: skip
# Made of the images that spec.data.of names.
TASKS = ('color_mnist', 'mnist_triplets', 'mnist_sum', 'mnist_sum_hard', 'mnist_rotate', 'mnist_turns')
MOST_STATES = 2**16  # of all layers together, that are enumerated
ESTIMATORS, STATES, BOUNDS = 'tfvae.families.estimators', ('bits', 'one-hot'), ('elbo', 'iwae')
OBJECTIVES = {
  'elbo': 'tfvae.objectives.elbo:Elbo',
  'iwae': 'tfvae.objectives.iwae:Iwae',
  'symmetric': 'tfvae.objectives.symmetric:Symmetric',
  'cross_entropy': 'tfvae.objectives.cross_entropy:CrossEntropy',
}
NAMES = {
  'data.name': {  # modules; any other name is one of TensorFlow Datasets
    'digits': 'tfvae.data.digits',
    'table': 'tfvae.data.table',
    'folder': 'tfvae.data.folder',
    'micro_mnist': 'tfvae.data.micro_mnist',
    **{name: 'tfvae.data.tasks' for name in TASKS},
    **{name: 'tfvae.data.synthetic' for name in SYNTHETIC},
  },
  'model.name': {
    'hierarchy': Model('tfvae.models.hierarchy:Hierarchy'),
    'convdraw': Model('tfvae.models.convdraw:ConvDraw', steps=True),
    'members': Model('tfvae.models.members:Members', verbs=False, members=True),
    'classifier': Model('tfvae.models.classifier:Classifier', verbs=False, labels=True),
  },
  'model.initializer': {
    'keras': 'tfvae.nets.initial:as_keras',
    'torch': 'tfvae.nets.initial:as_torch',
  },
  'model.inference': {
    'generic': 'tfvae.models.orders:TopDown',
    'ladder': 'tfvae.models.orders:Ladder',
    'lvae': 'tfvae.models.orders:Lvae',
    'reverse': 'tfvae.models.orders:BottomUp',
  },
  'family': {  # of a latent layer
    'gaussian': Layer('tfvae.families.gaussian:DiagonalGaussian', 'real'),
    'bernoulli': Layer('tfvae.families.bernoulli:DiagonalBernoulli', 'bits'),
    'categorical': Layer('tfvae.families.categorical:OneHot', 'one-hot'),
  },
  'flow': {  # of a Gaussian layer's posterior
    'real_nvp': 'tfvae.families.flow:RealNvpPosterior',
  },
  'prior.name': {  # of the top layer; the priors of the layers below are conditional
    'standard': 'tfvae.models.priors:StandardPrior',
    'learned': 'tfvae.models.priors:LearnedPrior',
    'optimal': 'tfvae.models.priors:OptimalPrior',
  },
  'prior.bernoulli': {  # of bits
    'standard': 'tfvae.models.priors:StandardBits',
    'learned': 'tfvae.models.priors:LearnedBits',
  },
  'prior.categorical': {  # of one-hot vectors
    'standard': 'tfvae.models.priors:StandardCategories',
    'learned': 'tfvae.models.priors:LearnedCategories',
  },
  'decoder.likelihood': {
    'gaussian': 'tfvae.families.gaussian:GaussianLikelihood',
    'bernoulli': 'tfvae.families.bernoulli:BernoulliLikelihood',
    'logistic_mixture': 'tfvae.families.logistic_mixture:LogisticMixture',
  },
  'decoder.variance': {
    'fixed': 'tfvae.families.variance:Fixed',
    'learned': 'tfvae.families.variance:Learned',
    'per_dimension': 'tfvae.families.variance:PerDimension',
    'latent': 'tfvae.families.variance:Latent',
    'optimal': 'tfvae.families.variance:Optimal',
  },
  'objective.name': OBJECTIVES,
  'objective.estimator': {
    'reparameterized': Gradient(f'{ESTIMATORS}:Reparameterized', ('real',), tuple(OBJECTIVES)),
    'doubly_reparameterized': Gradient(f'{ESTIMATORS}:DoublyReparameterized', ('real',), ('iwae',)),
    'zgr': Gradient(f'{ESTIMATORS}:Zgr', ('bits',), BOUNDS),
    'straight_through': Gradient(f'{ESTIMATORS}:StraightThrough', STATES, BOUNDS),
    'gumbel_sigmoid': Gradient(f'{ESTIMATORS}:StraightThroughGumbel', ('bits',), BOUNDS, temperature=True),
    'straight_through_gumbel': Gradient(f'{ESTIMATORS}:StraightThroughGumbel', STATES, BOUNDS, temperature=True),
    'gumbel_softmax': Gradient(f'{ESTIMATORS}:GumbelSoftmax', ('one-hot',), temperature=True, relaxed=True),
    'score_function': Gradient(f'{ESTIMATORS}:ScoreFunction', STATES, BOUNDS, samples=2),
  },
  'constraint.names': {
    're': Constraint('tfvae.objectives.measures:ReconstructionError'),
    'fre': Constraint('tfvae.objectives.measures:FeatureError'),
    'cla': Constraint('tfvae.objectives.measures:LabelProbability'),
    'pncc': Constraint('tfvae.objectives.measures:PatchCorrelation'),
    'rate': Constraint('tfvae.objectives.measures:Rate', of_images=False),
  },
  'sight': {  # what a classifier sees of an example, and when that is right; of other sets: the example, its label
    'color_mnist': 'tfvae.models.sight:OfColours',
    'mnist_triplets': 'tfvae.models.sight:OfTriplets',
    'mnist_sum_hard': 'tfvae.models.sight:OfPairs',
    'mnist_rotate': 'tfvae.models.sight:OfTurned',
  },
  'eval.evaluators': EVALUATORS,
  'study.name': {  # of data, without a model
    'fixed_points': 'tfvae.studies.fixed_points:FixedPoints',
    'collapse': 'tfvae.studies.collapse:Collapse',
  },
  'eval.fid.extractors': {
    'classifier': 'tfvae.analysis.extractors:ClassifierFeatures',
    'inception': 'tfvae.analysis.extractors:InceptionFeatures',
    'keras_inception': 'tfvae.analysis.extractors:KerasInceptionFeatures',
  },
  'net': {
    'mlp': Net('tfvae.nets.mlp:Mlp'),
    'conv': Net('tfvae.nets.conv:Conv', maps=True),
    'linear': Net('tfvae.nets.mlp:Linear'),
    'conv28': Net('tfvae.nets.conv28:Conv28'),
    'residual': Net('tfvae.nets.residual:Residual', maps=True),
    'densenet': Net('tfvae.nets.densenet:Densenet'),
  },
  'train.optimizer': {
    'adam': 'keras.optimizers:Adam',
    'adamax': 'keras.optimizers:Adamax',
    'nadam': 'keras.optimizers:Nadam',
    'rmsprop': 'keras.optimizers:RMSprop',
    'adagrad': 'keras.optimizers:Adagrad',
    'sgd': 'keras.optimizers:SGD',
  },
}
TFDS, SIGHT = 'tfvae.data.tfds', 'tfvae.models.sight:Sight'  # of the names that are not there
SUBSETS = {'micro_mnist': 'mnist'}  # of sets of TensorFlow Datasets
