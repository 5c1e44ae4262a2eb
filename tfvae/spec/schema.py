"""Every field that a spec has: its default, what it may be, and what it does.

This is the only place where defaults are written. `docs/spec.md` is generated from it.
"""

import re
from typing import Any, NamedTuple

from tfvae.errors import cut, nearest, short
from tfvae.spec.names import NAMES, SYNTHETIC, TASKS
from tfvae.spec.sides import MOST_REPEATED

SEPARATORS = {'comma': ',', 'semicolon': ';', 'tab': '\t', 'space': ' '}
MOST_LAYERS = 32
REPEATED = 'z'  # the layer that repeats
LARGEST = 3e38  # a float32's
LONGEST = 4096  # characters of a text: a path may have no more
FRACTION = 'a fraction of train.steps'
ACTIVATIONS = ('relu', 'tanh', 'elu', 'gelu', 'silu', 'leaky_relu', 'softplus', 'sigmoid', 'linear')


class Field(NamedTuple):
  """One field. Bounds and choices hold for each element of a tuple."""

  default: Any
  doc: str
  choices: tuple[str, ...] = ()
  low: float | None = None  # inclusive
  high: float | None = None  # inclusive
  above: float | None = None  # exclusive
  below: float | None = None  # exclusive
  item: type | None = None  # of a tuple's elements
  most: int = 100  # elements of a tuple
  unit: str = ''  # what its numbers are, where the bounds alone do not tell what to write

  @property
  def type(self) -> type:
    return type(self.default)

  def allowed(self) -> str:
    """What the field may be, for messages and documentation."""
    words = {int: 'an integer', float: 'a number', bool: 'true or false', str: 'text'}
    if self.choices:
      what = ' | '.join(self.choices)
    else:
      what = words[self.item or self.type]
      limits = [(self.low, '>='), (self.above, '>'), (self.high, '<='), (self.below, '<')]
      limits = [f'{sign} {limit}' for limit, sign in limits if limit is not None]
      what += f' {" and ".join(limits)}' if limits else ''
      what += f' ({self.unit})' if self.unit else ''
    return f'a tuple, each element {what}' if self.type is tuple else what

  def problem(self, value: Any) -> str | None:
    """What is wrong with `value`, or None."""
    if self.type is not tuple:
      return self._problem(value, self.type)
    if not isinstance(value, (tuple, list)):
      example = (value,) if self._problem(value, self.item) is None else self.default
      return f'got {short(value)}; allowed: {self.allowed()}' + (f', such as {short(example)}' if example else '')
    if len(value) > self.most:
      return f'got {len(value)} elements; allowed: at most {self.most}'
    return next((p for p in (self._problem(v, self.item) for v in value) if p), None)

  def _problem(self, value, kind):
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is float:
      right = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
      if right and abs(value) > LARGEST:
        return f'got {short(value)}; allowed: {self.allowed()}, and not beyond {LARGEST:g} (float32)'
    if right and self.choices:
      right = value in self.choices
    elif right and kind is str and (len(value) > LONGEST or '\0' in value):
      return f'got {short(value)}; allowed: text of at most {LONGEST} characters, none of them null'
    elif right and kind in (int, float):
      right = (
        (self.low is None or value >= self.low)
        and (self.high is None or value <= self.high)
        and (self.above is None or value > self.above)
        and (self.below is None or value < self.below)
      )
    if right:
      return None
    hint = nearest(value, self.choices) if isinstance(value, str) else ''
    return f'got {short(value)}; allowed: {self.allowed()}.{hint}'

  def parse(self, text: str) -> Any:
    """The value that a flag's text stands for; the text itself where it cannot be read."""
    if self.type is not tuple:
      return _parse(text, self.type)
    text = text.strip()
    if text[:1] + text[-1:] in ('()', '[]'):
      text = text[1:-1]
    return tuple(_parse(t.strip().strip('\'"'), self.item) for t in text.split(',') if t.strip())


def _parse(text, kind):
  if kind is bool:
    return {'true': True, 't': True, '1': True, 'false': False, 'f': False, '0': False}.get(text.lower(), text)
  try:
    return kind(text)
  except ValueError:
    return text


def _net(kind: str = 'mlp', hidden: tuple[int, ...] = (128,)) -> dict:
  return {
    'kind': Field(
      kind,
      'mlp: Dense layers on the flattened input. conv: convolutions, of stride 2 until a smaller grid is reached '
      '(of an odd side: without padding), transposed up to a larger one; from a vector, the first layer is Dense. '
      'linear: no hidden layer. conv28: seven convolutions from 28 x 28 pixels to a vector, or six from a vector to '
      "28 x 28 features, with the kernels of symmetric learning's authors. residual: stages of pre-activation residual "
      'blocks with group normalisation (He et al. 2016), from images or maps down to a vector, the mean over the map, '
      'or to a smaller grid; each stage but the first halves the side (an odd one is rounded up).',
      choices=tuple(NAMES['net']),
    ),
    'hidden': Field(
      hidden,
      'Units of each hidden Dense layer, or channels of each convolution; residual: of each stage.',
      item=int,
      low=1,
      high=10**5,
    ),
    'activation': Field('relu', 'Activation after each hidden layer.', choices=ACTIVATIONS),
    'kernel': Field(3, 'Side of the convolution kernels.', low=1, high=31),
    'blocks': Field(2, 'residual: blocks of each stage, of two convolutions.', low=1, high=100),
    'repeat': Field(
      True,
      'conv: where the way from one side to the other needs more layers than `hidden` has, there are as many as it '
      f'needs (up to {MOST_REPEATED}), with its last channels: 32 stands for 32,32,32 from 32 x 32 to 4 x 4. false: '
      'such a net is refused.',
    ),
    'skip': Field(
      False,
      'mlp: a linear map past the hidden layers, from what enters the net to the head that follows; of the encoders of '
      'a ladder above z1, from what the head of the layer below gives.',
    ),
  }


def _layer(is_top: bool, repeats: bool = False) -> dict:
  fields = _steps() if repeats else {}
  fields |= {
    'family': Field(
      'gaussian',
      'Distribution of the layer, in q and in p. bernoulli: bits. categorical: one-hot vectors.',
      choices=tuple(NAMES['family']),
    ),
    'dim': Field(
      8, 'Units of the vector, or channels of the feature map; of family=categorical, categories.', low=1, high=10**5
    ),
    'groups': Field(
      1,
      'family=categorical: z is a vector of so many groups of `dim` categories, one-hot in each group.',
      low=1,
      high=10**4,
    ),
    'grid': Field(
      0, '0: the layer is a vector of `dim` units. n: an n x n feature map of `dim` channels.', low=0, high=1024
    ),
    'flow': Field(
      'none',
      "An invertible map of the layer's posterior, conditioned on its features. none: the family itself. real_nvp: "
      'affine couplings (Dinh et al. 2017), of Gaussian vectors of at least 2 units; in a ladder, of the merged '
      'Gaussian. KLs and entropies of q are then from samples.',
      choices=('none', *NAMES['flow']),
    ),
    'flow_steps': Field(
      4, 'Couplings of the flow, each of which moves one half of the units by the other, in turn.', low=1, high=1000
    ),
    'flow_hidden': Field(
      (64,),
      'Units of each hidden layer of the net of each coupling (ReLU).',
      item=int,
      low=1,
      high=10**5,
    ),
    'scale_head': Field(
      'log',
      "How q's and p's scales leave their heads: log: exp(output), free to rescale. softplus: softplus(output). "
      'shared: no head, one learned scale for each unit, whatever x (or the layer above) is.',
      choices=('log', 'softplus', 'shared'),
    ),
    'head_kernel': Field(
      1, "Side of the kernel of a feature map's head (of one that does not double the side).", low=1, high=31
    ),
  }
  if not is_top or repeats:
    fields['join_grid'] = Field(
      0,
      'Side of the feature map on which the features of x and the layers above meet; `posterior` leads from there to '
      "the layer's grid. 0: the layer's grid. Not for the top layer. convdraw: the side of its memories, "
      'which divides that of the images.',
      low=0,
      high=1024,
    )
  if repeats:
    return fields | {'encoder': _net('conv', (32,)), 'posterior': _net('conv', ()), 'prior': _net('conv', ())}
  fields['encoder'] = _net()
  if not is_top:
    fields['above'] = _net('linear')
  return fields | {'posterior': _net(), 'prior': _net()}


def _steps() -> dict:
  """Of the layer z, which repeats."""
  return {
    'steps': Field(8, 'convdraw: steps in which the picture is drawn, T.', low=1, high=1000),
    'lstm': Field(32, "convdraw: channels of the encoder's and of the decoder's LSTM.", low=1, high=10**5),
    'lstm_kernel': Field(3, 'convdraw: side of the kernels of both.', low=1, high=31),
    'canvas': Field(
      8,
      'convdraw: channels of the canvas, to which each step adds. The likelihood has a linear map of them.',
      low=1,
      high=10**5,
    ),
  }


SECTIONS = {
  'model.z': 'The layer z of name=convdraw, which repeats, has all fields of a top layer, `join_grid`, and these. '
  '`encoder` leads from x and its error to the map on which both LSTMs work, `posterior` and `prior` from their hidden '
  'maps to q and p of z_t, and `decoder.net` to what is added to the canvas.',
  'model.<layer>.encoder': 'Net from x to the features of q(z_l | z_>l, x). With inference=reverse: of z1 alone; from '
  'the layer below for the others.',
  'model.<layer>.above': 'Net from the layers above to where they meet the features of x; linear: as they are, or by a '
  'linear map where `posterior` needs a feature map. Not for the top layer.',
  'model.<layer>.posterior': 'Net after those features, the layers above and the context are joined. Of the top layer '
  'where there is a context (data.context).',
  'model.<layer>.prior': 'Net from the layers above and the context to p(z_l | z_>l). Of the top layer where there is '
  'a context (data.context).',
  'model.context': 'What a model is told (data.context), on its way to priors, posteriors and decoder: labels are '
  'one-hot, or embedded; numbers go in as they are; images go through this net, and a linear map to a vector.',
  'classifier': 'A trained classifier that this run uses, frozen. What a classifier is made of: spec.model.classifier.',
  'decoder.net': 'Net from the latent layers to the features of p(x | z).',
  'model.classifier': 'Net of name=classifier from x to what `dense` takes. The sections of latent layers, prior and '
  'decoder are then without effect.',
}


DATA = {
  'name': Field(
    'digits',
    "digits: scikit-learn's 1,797 handwritten digits, 8 x 8 (1,500 for training, the last 297 for the test). "
    "micro_mnist: of MNIST's training split the first image of each of the labels 0 to 6, as both splits "
    '(batch_size=0). '
    'table: the CSV or NPZ file `path`. folder: the image files below `path`. Made from data.seed, points on curves '
    f'and manifolds: {", ".join(SYNTHETIC)}. Made of the images of `of`: {", ".join(TASKS)}. Any other name is that '
    'of an image set of TensorFlow Datasets: mnist, fashion_mnist, cifar10, svhn_cropped, celeb_a, ... '
    '(name/configuration, too).',
  ),
  'of': Field(
    'mnist',
    f'{", ".join(TASKS)}: the set whose images they are made of, of ten labels: what `name` may be, such as digits, '
    'which need no files.',
  ),
  'path': Field(
    '',
    'table: a CSV file (also .gz) or an NPZ file with an array x (and x_test, label, label_test; context, target and '
    'those of the test where `context` and `target` are own); empty: '
    "scikit-learn's breast cancer table. folder: a directory; its subdirectories train, test and validation are the "
    'splits where there are such, the directory of a file is its label.',
  ),
  'data_dir': Field(
    '', 'Where TensorFlow Datasets are. Empty: the environment variable TFDS_DATA_DIR, or ~/tensorflow_datasets.'
  ),
  'download': Field(False, 'Download and prepare a TensorFlow Dataset that is not there.'),
  'context': Field(
    'none',
    'What a model is told of each example, beside it: p(x | context) is then modelled, and evaluated. none. label: its '
    'label, 0 to classes - 1. own: what the data set provides, such as images that x follows from. Contexts that are '
    'images are scaled as x is and are never binary; others are scaled as a table of their own.',
    choices=('none', 'label', 'own'),
  ),
  'target': Field(
    'x',
    'What the likelihood is of. x: of what is encoded. own: of another thing of the same shape, the target that the '
    'data set provides for each x; it is scaled and binarised as x is, while the noise of training is on x alone.',
    choices=('x', 'own'),
  ),
  'label': Field('', 'The label of a table, not a part of x: a column by its name or number (from 0). Empty: none.'),
  'header': Field(
    'auto',
    'Whether the first line of a CSV file names its columns. auto: it does where none of its fields is a number.',
    choices=('auto', 'yes', 'no'),
  ),
  'separator': Field('comma', 'What separates the fields of a CSV file.', choices=tuple(SEPARATORS)),
  'crop': Field(0, 'Images: a square of so many pixels a side. 0: all.', low=0, high=2**14),
  'crop_at': Field(
    'center',
    'Where the square of `crop` is. center: in the middle. random: anywhere in a training image, afresh in each epoch '
    '(drawn from the seed, the epoch and the number of the example), and in the middle in evaluation; training images '
    'are then read through tf.data when they are needed, whatever `memory_limit`.',
    choices=('center', 'random'),
  ),
  'resize': Field(
    0,
    'Images: scaled to so many pixels a side, after `crop` (the central square where not square). 0: not.',
    low=0,
    high=2**14,
  ),
  'pad': Field(0, 'Images: with a black border to so many pixels a side, after `resize`. 0: not.', low=0, high=2**14),
  'channels': Field(
    'stored', 'Images of a folder: as stored (all alike), grey or rgb.', choices=('stored', 'grey', 'rgb')
  ),
  'seed': Field(
    0, 'Seed of made data, apart from spec.seed, so that repeated runs have the same.', low=0, high=2**31 - 1
  ),
  'examples': Field(
    25_000,
    'Made data: training examples; there are as many test examples (of what is made of the images of `of`: at most '
    '10,000, and of their test split alone).',
    low=2,
    high=10**8,
  ),
  'noise': Field(0.05, 'Made data: standard deviation of the noise (manifold has none).', low=0),
  'latents': Field(2, 'manifold, pca, pca_ring: dimensions of what the examples are functions of.', low=1, high=10**4),
  'dims': Field(10, 'manifold, pca, pca_ring, stream: dimensions of an example.', low=1, high=10**5),
  'segments': Field(
    (6, 2, 4),
    'stream: dimensions of the latent variable in each segment.',
    item=int,
    low=1,
    high=10**4,
    most=10**4,
  ),
  'changes': Field(
    (),
    'Numbers of the training examples (from 0) at which a segment of the stream begins, but the first.',
    item=int,
    low=1,
    high=10**8,
    most=10**4,
  ),
  'order': Field(
    'shuffled',
    'Of the training examples. shuffled: afresh in each epoch. stream: as they are stored, and again from the first.',
    choices=('shuffled', 'stream'),
  ),
  'batch_size': Field(
    100,
    'Examples of a training step, over all devices together. 0: all training examples in each, so that nothing but the '
    'samples of z is random.',
    low=0,
    high=10**8,
  ),
  'validation': Field(
    0.0,
    'Fraction of the training split set aside as the validation split, drawn from the seed, in place of a stored one. '
    '0: the stored one, if any.',
    low=0,
    below=1,
  ),
  'test': Field(
    0.1,
    'Fraction set aside as the test split, drawn from the seed, where none is stored (tables, folders).',
    low=0,
    below=1,
  ),
  'scaling': Field(
    'min_max',
    'none: values as stored. min_max: to [0, 1], images from black to white, tables by the range of each column. '
    'standard: mean 0 and variance 1, over all values of images, in each column of tables. Fitted on the training '
    'split, and kept in the run.',
    choices=('none', 'min_max', 'standard'),
  ),
  'bits': Field(
    0,
    'Bit depth of images: n reduces their values to 2^n levels, evenly spaced on the same range, from black to white. '
    '0: as stored.',
    low=0,
    high=32,
  ),
  'binarize': Field(
    'none',
    'none. threshold: 1 where the scaled value exceeds `threshold`. static: drawn once, dynamic: drawn '
    'afresh each step, with the scaled value as probability (needs values in [0, 1]); in evaluation, dynamic has the '
    'one version of each example that static has.',
    choices=('none', 'threshold', 'static', 'dynamic'),
  ),
  'threshold': Field(0.5, 'Threshold of binarize=threshold.'),
  'flip': Field(
    'none',
    'horizontal: each training image is mirrored with probability 1/2, afresh each step.',
    choices=('none', 'horizontal'),
  ),
  'pixel_flip': Field(
    0.0,
    'Probability with which each binary value of a training example is inverted, afresh each step (needs binarize).',
    low=0,
    high=0.5,
  ),
  'jitter': Field(
    0.0,
    'Standard deviation of the noise added to the scaled values of a training example, afresh each step (not with '
    'binarize).',
    low=0,
  ),
  'dequantize': Field(
    False,
    'Images: uniform noise of one level, (u - 1/2) levels, is added to each value of a training example, afresh each '
    'step; never in evaluation.',
  ),
  'pool': Field(
    'train',
    'What is trained on. train+test: both splits together; the test split is then evaluated as part of them (as some '
    'papers do it).',
    choices=('train', 'train+test'),
  ),
  'memory_limit': Field(
    2048.0,
    'MiB of all splits together as stored, beyond which examples are read through tf.data when they are needed, '
    'rather than held in the memory of the device. The batches are the same.',
    low=0,
  ),
}

PRIOR = {
  'name': Field(
    'standard',
    'Prior of the top layer. standard: N(0, I); fair bits; uniform categories. learned: N(0, alpha^2), one alpha for '
    'each unit; logits. optimal: N(0, alpha^2) in closed form, alpha^2 = the mean of E_q z^2 (a Gaussian layer that is '
    'a vector).',
    choices=tuple(NAMES['prior.name']),
  ),
  'weight_constraint': Field(
    'none',
    "On the weights that leave each latent unit, in the decoder's first Dense layer, so that alpha has a meaning of "
    'its own (one latent layer, a vector; decoder.net of kind mlp or linear). rescale: to norm 1 after each step. '
    'regularize: a penalty on the loss, prior.penalty times the sum over the units of (norm^2 - 1)^2.',
    choices=('none', 'rescale', 'regularize'),
  ),
  'penalty': Field(1.0, 'Factor of weight_constraint=regularize.', above=0),
}

DECODER = {
  'likelihood': Field(
    'gaussian',
    'gaussian. bernoulli: for data in [0, 1]. logistic_mixture: discretised mixtures of logistics (PixelCNN++), exact '
    'probabilities of the levels of grey and RGB images, whose channels are autoregressive. The variance fields are of '
    'gaussian alone.',
    choices=tuple(NAMES['decoder.likelihood']),
  ),
  'components': Field(
    10, 'logistic_mixture: components of the mixture of each pixel, which its channels share.', low=1, high=1000
  ),
  'variance': Field(
    'learned',
    'fixed: sigma as given. learned: one sigma. per_dimension: one for each dimension of x. latent: '
    'sigma(z), a head of the net. optimal: closed form from the mean squared error.',
    choices=tuple(NAMES['decoder.variance']),
  ),
  'sigma': Field(1.0, "The decoder's standard deviation where fixed, its initial value otherwise.", above=0),
  'sigma_from': Field(2.0, 'Where sigma begins, if it falls (`sigma_until`): more than `sigma`.', above=0),
  'sigma_until': Field(
    0.0,
    'variance=fixed: the fraction of training over which sigma falls linearly from `sigma_from` to `sigma`, where it '
    'stays, as generative query networks are trained (2 to 0.7). The step before which k were taken has sigma_from + '
    '(sigma - sigma_from) min(1, k / (sigma_until train.steps)), and so has the checkpoint after k steps, which '
    'evaluation and export use. Where the loss has no log p(x | z) (constraint.likelihood) it moves only the numbers. '
    '0: `sigma` throughout.',
    low=0,
    high=1,
  ),
  'sigma_floor': Field(
    0.0025,
    'Soft lower limit of sigma: log sigma <- m + softplus(log sigma - m), m = log sigma_floor; a hard one '
    'for variance=optimal. 0: none. Without effect on variance=fixed.',
    low=0,
  ),
  'head_kernel': Field(
    1, "Side of the kernel of an image's head (where the net's features have the side of the image).", low=1, high=31
  ),
  'net': _net(),
}

CLASSIFIER = {
  'path': Field(
    '',
    'Workdir of a run of specs/classifier.py, trained on examples of the same shape (whatever their scaling): the '
    'classifier that constraints and evaluators use, frozen. fid: with the extractor classifier. Of data made of the '
    'images of data.of it sees single grey images, [H, W, 1].',
  ),
  'turns': Field(
    '',
    'mnist_rotate: workdir of a run of specs/classifier.py:turns, of images of the same size: the classifier by which '
    'the evaluator task finds how far samples are turned.',
  ),
}

TRAIN = {
  'steps': Field(2000, 'Length of training in steps.', low=1, high=10**12),
  'optimizer': Field('adam', "Keras' optimizer.", choices=tuple(NAMES['train.optimizer'])),
  'learning_rate': Field(1e-3, 'Learning rate (before the schedule).', above=0),
  'variance_learning_rate': Field(
    0.0,
    "Learning rate of the learned variances (decoder's and prior's), by an optimizer of their own. 0: as the other "
    'weights.',
    low=0,
  ),
  'beta_1': Field(0.9, 'Decay of the first moment (adam, adamax, nadam).', low=0, below=1),
  'beta_2': Field(0.999, 'Decay of the second moment (adam, adamax, nadam); rho of rmsprop.', low=0, below=1),
  'epsilon': Field(1e-7, 'Added to the denominator (all but sgd).', above=0),
  'momentum': Field(0.0, 'Momentum (sgd, rmsprop).', low=0, below=1),
  'weight_decay': Field(0.0, 'Decoupled weight decay, never on variances. 0: none.', low=0),
  'schedule': Field(
    'constant',
    "Of the learning rate, by Keras' schedules: constant | cosine | exponential | polynomial | inverse_time "
    '(all from 1 to schedule_final over training) | piecewise (times schedule_final at each boundary).',
    choices=('constant', 'cosine', 'exponential', 'polynomial', 'inverse_time', 'piecewise'),
  ),
  'schedule_final': Field(0.1, 'Factor on the learning rate at the end of the schedule.', low=0, high=1),
  'schedule_power': Field(1.0, 'Power of schedule=polynomial (1: linear).', above=0),
  'schedule_boundaries': Field(
    (0.5, 0.75), 'Boundaries of schedule=piecewise, fractions of training.', item=float, above=0, below=1
  ),
  'warmup': Field(
    0.0,
    'Fraction of training over which the learning rate of schedule=cosine first rises from 0.',
    low=0,
    below=1,
    unit=FRACTION,
  ),
  'clip_norm': Field(0.0, "Upper limit of the global norm of a player's gradient. 0: none.", low=0),
  'ema': Field(0.0, 'Decay of the moving average of the weights that evaluation uses. 0: none.', low=0, below=1),
  'strategy': Field(
    'one',
    'one: a GPU, or the CPU. mirrored: all GPUs of the machine. multi_worker: all GPUs of several machines, each '
    'running the same command on a shared workdir (TF_CONFIG or Slurm say who they are).',
    choices=('one', 'mirrored', 'multi_worker'),
  ),
  'logical_devices': Field(
    0, 'strategy=mirrored on so many logical devices of the CPU, to rehearse without GPUs. 0: all GPUs.', low=0, high=64
  ),
  'startup_timeout': Field(600.0, 'Seconds that a worker waits for the others at the start.', above=0),
  'precision': Field(
    'float32',
    'mixed_bfloat16: nets in bfloat16; weights, heads and densities in float32.',
    choices=('float32', 'mixed_bfloat16', 'float64'),
  ),
  'compile': Field(
    'auto',
    'xla: the step is compiled by XLA. graph: a TensorFlow graph. eager: for debugging. auto: xla, but on a CPU '
    'graph for convolutions and for small steps, which XLA makes slower.',
    choices=('auto', 'xla', 'graph', 'eager'),
  ),
  'log_every': Field(100, 'Steps between two lines of metrics.jsonl (the first: steps 1 and 10).', low=1, high=10**12),
  'checkpoint_every': Field(2000, 'Steps between two checkpoints (one more at the end).', low=1, high=10**12),
  'keep': Field(3, 'Checkpoints kept.', low=1, high=10**6),
  'init_from': Field(
    '',
    'The directory of a run of the same model, from whose newest weights training begins (its optimizers begin anew). '
    'Empty: from random weights.',
  ),
}

EVAL = {
  'every': Field(1000, 'Steps between two evaluations during training. 0: at the end only.', low=0, high=10**12),
  'split': Field('test', 'Split that is evaluated.', choices=('train', 'validation', 'test')),
  'also': Field(
    (), 'Further splits that are evaluated when training evaluates.', choices=('train', 'validation', 'test'), item=str
  ),
  'checkpoint': Field(
    'newest',
    '--mode=evaluate: newest, all (those kept, oldest first), or the step of one that is there. --mode=sample and '
    '--mode=export: newest, or a step.',
  ),
  'evaluators': Field(
    ('bounds', 'reconstruction', 'entropies', 'latents', 'samples'),
    'What is evaluated. bounds: the ELBO and its parts. reconstruction: mse, psnr, ssim. entropies: those that the '
    'ELBO converges to. latents: active units, aggregate posterior. bits_per_dim: of images and binary data. '
    'nll_per_dimension: of grey and RGB images, at the sigma of the training errors. log_evidence: log p(x) by '
    'importance sampling. ppca: the exact likelihood of a linear VAE beside that of probabilistic PCA. selection: of '
    'members, on the segments of a stream. samples: pictures. canvases: of a model that draws in steps, pictures after '
    'each step. points: of data that are vectors. tiles: of one layer of two real units, where posteriors lie in the '
    'plane. estimates: the spread of the ELBO and of the entropies by few samples. players: the losses of symmetric '
    'learning. posterior: of few bits or categories, by enumeration. unit_information: discrete layers. limiting: '
    'pictures of the chain z, x, z. '
    'accuracy: of a classifier. task: whether what is drawn for the contexts of data made of images of ten labels '
    '(data.of) is right, by the classifiers of classifier.path and classifier.turns, where given. fid: Frechet '
    'distances of images, as the fields fid_* say. constraints: what they come to; there by itself where '
    'constraint.names has any.',
    choices=tuple(NAMES['eval.evaluators']),
    item=str,
  ),
  'during': Field(
    ('bounds', 'constraints', 'reconstruction', 'entropies', 'latents', 'samples', 'canvases'),
    'Those of `evaluators` that also run during training, every `every` steps.',
    choices=tuple(NAMES['eval.evaluators']),
    item=str,
  ),
  'num_samples': Field(
    10, 'Latent samples of each example. 0: none, expectations are exact (a linear VAE).', low=0, high=10**5
  ),
  'evidence_samples': Field(1000, 'log_evidence: importance samples of each example.', low=2, high=10**8),
  'evidence_examples': Field(
    0, 'log_evidence: how many of the first examples of the split. 0: all.', low=0, high=10**8
  ),
  'estimate_samples': Field(
    (10, 100, 1000, 10_000), 'estimates: numbers of latent samples of each example.', item=int, low=1, high=10**7
  ),
  'estimate_runs': Field(10, 'estimates: estimates of each.', low=2, high=10**4),
  'estimate_examples': Field(100, 'estimates: how many of the first examples of the split.', low=1, high=10**8),
  'fid_extractors': Field(
    ('classifier',),
    'fid: the features that images are compared by. classifier: of the run spec.classifier.path. inception: of '
    "pytorch-fid's network, of the file fid_inception. keras_inception: of Keras' ImageNet network.",
    choices=tuple(NAMES['eval.fid_extractors']),
    item=str,
  ),
  'fid_inception': Field(
    '',
    "fid: the file of inception's weights: pt_inception-2015-12-05-6726825d.pth of pytorch-fid, or an NPZ file with "
    'the same names.',
  ),
  'fid_keras_inception': Field(
    '', "fid: the file of keras_inception's weights (notop, .h5). Empty: that in Keras' cache. Never downloaded."
  ),
  'fid_of': Field(
    ('prior',),
    'fid: the images. prior: E[x | z], z of the prior. limiting: the same, z of the chain x -> z -> x after '
    'limiting_steps steps from the prior. reconstruction: E[x | z], z of q, of the first examples of the split.',
    choices=('prior', 'limiting', 'reconstruction'),
    item=str,
  ),
  'fid_samples': Field(0, 'fid: how many images are made. 0: as many as the reference has.', low=0, high=10**8),
  'fid_reference': Field(
    'train',
    'fid: the data that the images are compared with.',
    choices=('train', 'test', 'train+test'),
  ),
  'limiting_steps': Field(300, 'fid, limiting: steps of the chain z -> x -> z.', low=1, high=10**6),
  'posterior_examples': Field(
    100, 'posterior: how many of the first examples of the split. 0: all.', low=0, high=10**8
  ),
  'task_samples': Field(4, 'task: samples for each context of the figure.', low=1, high=100),
  'tiles_examples': Field(
    1000, 'tiles: the first examples of the split, whose posteriors are put together. 0: all.', low=0, high=10**8
  ),
  'tiles_samples': Field(500, 'tiles: samples of q of each example that is kept for the figure.', low=1, high=10**5),
  'tiles_grid': Field(15, 'tiles: images E[x | z] on each side of the plane.', low=2, high=100),
  'batch_size': Field(250, 'Examples of an evaluation step.', low=1, high=10**8),
  'num_images': Field(64, 'Images kept for the figures.', low=1, high=10**6),
  'num_points': Field(2000, 'Points kept for the figures.', low=2, high=10**6),
}

SAMPLES = (
  'prior', 'reconstructions', 'traversals', 'interpolations', 'layers', 'projector', 'contexts', 'limiting', 'codes',
)  # fmt: skip
SAMPLE = {
  'what': Field(
    SAMPLES[:7],
    'What --mode=sample makes. prior: samples of the model. reconstructions: of examples. traversals: one unit moved '
    'at a time. interpolations: between examples. layers: one layer of a hierarchy drawn afresh, the others kept; '
    'of a model that is told something, all layers, the context kept, too. '
    "projector: posterior means for TensorBoard's projector. contexts: samples for each of some contexts, "
    'of a model that is told one. limiting: samples of the chain z, x, z, ... after '
    'eval.limiting_steps. codes: posterior means (of discrete layers, the most probable state; of a flow, the image of '
    'the mean before it) as arrays.',
    choices=SAMPLES,
    item=str,
  ),
  'files': Field(
    (),
    'prior, limiting: also E[x | z] in 8 bits (of binary data: black or white, whichever is more probable), for '
    'programs that score images. png: a file each, '
    'samples/<name>/00000.png. npz: samples/<name>-uint8.npz, an array arr_0 [n, height, width, channels].',
    choices=('png', 'npz'),
    item=str,
  ),
  'split': Field('test', 'Split of the examples.', choices=('train', 'validation', 'test')),
  'seed': Field(0, 'Seed of the samples: another one draws others of the same model.', low=0, high=2**31 - 1),
  'num': Field(64, 'prior: samples. layers: samples of which each has its layers drawn afresh.', low=2, high=10**6),
  'examples': Field(8, 'First examples of the split that the pictures show; contexts.', low=2, high=10**4),
  'labels': Field(
    (),
    'Of a model that is told labels (data.context=label): those that samples are of, in turn. (): those of the '
    "split's examples, in turn.",
    item=int,
    low=0,
    high=10**5,
  ),
  'draws': Field(
    8,
    'reconstructions: samples of q for each example. contexts: samples for each. layers: fresh draws of a layer.',
    low=1,
    high=10**4,
  ),
  'steps': Field(9, 'traversals, interpolations: images in a row.', low=2, high=100),
  'range': Field(
    3.0,
    'traversals: a unit moves by up to so many standard deviations of its prior, either way from its mean under q; one '
    'of a discrete layer goes through its states instead.',
    above=0,
  ),
  'units': Field(10, 'traversals: the units of a layer with the largest rates, so many. 0: all.', low=0, high=10**5),
  'interpolation': Field(
    'linear',
    'linear, or spherical: along the great circle.',
    choices=('linear', 'spherical'),
  ),
  'points': Field(
    2000,
    'projector: first examples of the split. traversals: those that the rates of the units are averaged over.',
    low=2,
    high=10**8,
  ),
}


def _model(layers) -> dict:
  return {
    'name': Field(
      'hierarchy',
      'Kind of model. members: several linear VAEs side by side on the same data, one of each size in model.members. '
      'classifier: of the labels, with objective.name=cross_entropy. convdraw: convolutional DRAW, which draws an '
      'image in model.z.steps steps.',
      choices=tuple(NAMES['model.name']),
    ),
    'members': Field((), 'name=members: latent units of each.', item=int, low=1, high=10**4),
    'layers': Field(
      tuple(layers),
      "Latent layers, top first: ('z2', 'z1'). The bottom one is z1. convdraw: z, the layer that repeats.",
      item=str,
    ),
    'inference': Field(
      'generic',
      'Order of inference. generic: from the top, q(zL | x) ... q(z_l | z_>l, x). reverse: from the bottom, q(z1 | x) '
      'q(z2 | z1) ...; `encoder` of z2 and above then leads from the layer below. ladder: from the top, by the natural '
      'parameters of p(z_l | z_>l) plus what features of x add; `encoder` of z2 and above then leads on from the '
      'features of the one below. In these two, `above`, `posterior` and `join_grid` are without effect. lvae: the '
      'ladder of Gaussian layers (Sonderby et al. 2016), whose top, q(zL | x), is what x adds alone; below the top '
      '`encoder` is the way up, to `join_grid`, and `posterior` leads aside from there to what x adds; `above` is '
      'without effect. Its authors let the rates in slowly: objective.anneal.',
      choices=tuple(NAMES['model.inference']),
    ),
    'conditioning': Field(
      'next',
      'next: p(z_l | z_l+1), q(z_l | z_l+1, x) and p(x | z1). all: p(z_l | z_>l), q(z_l | z_>l, x) and '
      'p(x | z1, ..., zL). Two layers differ in p(x | z) only. With inference=reverse, q(z_l | z_l-1) and '
      'q(z_l | z_<l, x).',
      choices=('next', 'all'),
    ),
    'initializer': Field(
      'keras',
      'Initial weights of all nets and heads, drawn from the seed and their names. keras: kernels Glorot uniform, '
      "biases 0. torch: PyTorch's, kernels and biases uniform in +-1/sqrt(fan in), the fan in being the inputs of a "
      "unit, but the outputs times the kernel's size of a transposed convolution (also of one from 1 x 1, Dense here); "
      'a map past hidden layers (skip) has a fan in of its own. Variances, learned priors and shared scales '
      'start where their own fields say.',
      choices=tuple(NAMES['model.initializer']),
    ),
    **{name: _layer(is_top=i == 0, repeats=name == REPEATED) for i, name in enumerate(layers)},
    'standardize': Field(
      False,
      'Nets work on (x - mean) / sd, by the mean and standard deviation of each dimension in the training split, and '
      'their output is turned back: optimizers move weights by absolute steps, so that data far from mean 0 and '
      'variance 1 (scaling=none) ask for it. Densities remain those of the data; decoder.sigma and decoder.sigma_floor '
      'are then in units of the root of the mean variance (with variance=per_dimension and latent, of each sd). '
      'Gaussian decoders, data that are not binary.',
    ),
    'context': _context(),
    'classifier': _classifier(),
  }


def _context() -> dict:
  return {
    **_net('conv'),
    'dim': Field(32, 'Units of the vector that an image becomes.', low=1, high=10**5),
    'classes': Field(10, 'context=label: labels are 0, ..., classes - 1.', low=2, high=10**5),
    'embed': Field(
      0, 'context=label: units of the learned vector of each label. 0: labels are one-hot.', low=0, high=10**5
    ),
  }


def _classifier() -> dict:
  return {
    **_net('conv'),
    'dense': Field(
      (128,),
      'Units of each Dense layer after the net; the activations of the last are the features.',
      item=int,
      low=1,
      high=10**5,
    ),
    'classes': Field(10, 'Labels are 0, ..., classes - 1.', low=2, high=10**5),
  }


TEMPERED = ', '.join(name for name, gradient in NAMES['objective.estimator'].items() if gradient.temperature)


def _objective(layers) -> dict:
  return {
    'name': Field(
      'elbo',
      'elbo: minimise distortion + sum_l beta_l R_l. iwae: maximise the importance-weighted bound of S samples '
      '(betas 1, no annealing). cross_entropy: minimise that of a classifier.',
      choices=tuple(NAMES['objective.name']),
    ),
    'num_samples': Field(
      1,
      'Latent samples S of each example in training (the k of IWAE). 0: none, expectations are exact, which a linear '
      'VAE has (one latent vector; decoder.net of kind linear, Gaussian, its variance independent of z).',
      low=0,
      high=10**5,
    ),
    'estimator': Field(
      'reparameterized',
      "Of the gradient. doubly_reparameterized: of the encoder's part of iwae, with less variance at about twice the "
      'cost (Tucker et al. 2019). Through samples of discrete layers, by elbo and iwae: zgr (or DARN(1/2); bits), '
      'straight_through, gumbel_sigmoid (bits) or straight_through_gumbel, which are biased; score_function, unbiased, '
      'with a leave-one-out baseline (num_samples of at least 2); gumbel_softmax (elbo with one-hot layers): softened '
      'samples take the place of one-hot ones in training, whose ELBO is then no bound (metrics relaxed/...).',
      choices=tuple(NAMES['objective.estimator']),
    ),
    'temperature': Field(
      0.5,
      f'{TEMPERED}: the temperature T at the beginning of training. At a fraction t of training it is '
      'max(temperature exp(-temperature_decay t), temperature_floor).',
      above=0,
    ),
    'temperature_decay': Field(0.0, f'{TEMPERED}: how fast the temperature falls. 0: it does not.', low=0, high=50),
    'temperature_floor': Field(0.0, f'{TEMPERED}: what the temperature falls to at most.', low=0),
    'kl': Field(
      'exact',
      'Of the rates that elbo minimises. exact: in closed form where there is one (all but flows and the lower layers '
      'of inference=reverse). sampled: log q - log p at the samples in every layer, which has the same mean and more '
      'noise (num_samples of at least 1). The metrics rate/<layer> are in closed form where there is one, in training '
      'as in evaluation.',
      choices=('exact', 'sampled'),
    ),
    'chains': Field(
      0,
      'Chains z, x, z, ... that take one step after each step of training, and are shown in TensorBoard (elbo and '
      'symmetric).',
      low=0,
      high=10**4,
    ),
    'information': Field(
      False,
      'Running averages of the mutual information of each unit (bit, group of categories) with its parents, under p '
      'and under q, in the checkpoint and, averaged over the units, in the metrics (discrete layers; elbo and '
      'symmetric).',
    ),
    'beta': {name: Field(1.0, f'Weight of the rate of {name}.', low=0) for name in layers},
    'anneal': Field(
      'none',
      'Factor on all betas. none: 1. linear: from anneal_from to 1 between anneal_begin and anneal_end. '
      'cyclical: the same ramp, anneal_cycles times in that span, each over the first half of its cycle.',
      choices=('none', 'linear', 'cyclical'),
    ),
    'anneal_from': Field(0.0, 'The factor at the beginning of a ramp.', low=0, high=1),
    'anneal_begin': Field(0.0, 'Beginning of the annealing, a fraction of training.', low=0, high=1, unit=FRACTION),
    'anneal_end': Field(0.3, 'End of the annealing, a fraction of training.', low=0, high=1, unit=FRACTION),
    'anneal_cycles': Field(4, 'Cycles of anneal=cyclical.', low=1, high=10**6),
  }


START = 'Where its multiplier starts. 0: at {auto}; with update=published at 1.'


def _patches() -> dict:
  return {
    'patch': Field(4, 'Side of the patches.', low=2, high=1024),
    'stride': Field(2, 'From one patch to the next.', low=1, high=1024),
  }


def _error(kappa: float, relative: bool, what: str, units: str, sd: str) -> dict:
  return {
    'kappa': Field(kappa, f'The root mean squared error per {what} that is asked for, in {units}.', low=1e-6),
    'relative': Field(relative, f'Whether kappa is a share of {sd}, which is what a constant output reaches.'),
    'reduce': Field(
      'mean',
      f'How squared errors are put together. mean: over the {what}s. sum: added up, and so is the threshold (kappa '
      f'remains the error per {what}); the multiplier is then so many times smaller.',
      choices=('mean', 'sum'),
    ),
    'multiplier': Field(
      0.0,
      START.format(auto=f'n / (2 kappa^2), n the number of {what}s (reduce=sum: 1 / (2 kappa^2))'),
      low=0,
    ),
  }


def _constraint(layers) -> dict:
  least = lambda what: {
    'kappa': Field(0.9, f'The least mean {what} that is asked for.', above=0, high=1),
    'multiplier': Field(0.0, START.format(auto='1'), low=0),
  }
  return {
    'names': Field(
      (),
      'What is asked of the result (objective.name=elbo): sum_l beta_l R_l is minimised subject to it, by a Lagrange '
      'multiplier for each (GECO: Rezende & Viola 2018). re: an error of the reconstruction. fre: an error of features '
      'of it. cla: that a classifier still sees the label. pncc: the correlation of patches. rate: the rates of '
      'layers, in nats, whose betas are then found.',
      choices=tuple(NAMES['constraint.names']),
      item=str,
    ),
    'update': Field(
      'relative',
      'Of the multipliers, after each step. relative: log multiplier += multiplier_rate c, c being the average of the '
      'constraint in units of its threshold, clipped to [-1, 1]. published: log multiplier += multiplier_rate times '
      'the average itself, Algorithm 1 as printed (there alpha = 0.99 and multiplier_rate = 1).',
      choices=('relative', 'published'),
    ),
    'alpha': Field(0.9, 'Decay of the average of each constraint over the batches of past steps.', low=0, below=1),
    'multiplier_rate': Field(0.01, 'How fast multipliers move.', above=0),
    'range': Field((1e-6, 1e12), 'The smallest and the largest multiplier.', item=float, above=0, most=2),
    'warmup': Field(
      0.0,
      'Fraction of training during which multipliers stay where they start. A run that is given more train.steps holds '
      'them again as far as the fraction of these reaches.',
      low=0,
      below=1,
      unit=FRACTION,
    ),
    'likelihood': Field(
      'auto',
      'Whether -log p(x | z) is part of the loss. drop: the constraints take its place; no gradient then reaches the '
      "decoder's variance (fixed, or optimal: that of the errors), at which the ELBO is reported. auto: drop with re, "
      'fre, cla or pncc (as published), keep with rate alone.',
      choices=('auto', 'keep', 'drop'),
    ),
    're': _error(0.1, False, 'dimension', 'the units of x (data.scaling)', "the data's standard deviation"),
    'fre': {
      'features': Field(
        'classifier',
        'Of what. classifier: the activations before the last layer of the classifier of classifier.path. patches: the '
        'mean and the standard deviation of each channel in patches of the image.',
        choices=('classifier', 'patches'),
      ),
      **_patches(),
      **_error(0.5, True, 'feature', 'the units of the features', "the features' standard deviation over the data"),
    },
    'cla': least('probability of the true label, of the classifier of classifier.path at E[x | z],'),
    'pncc': {**least('normalised cross-correlation of the patches of x and of E[x | z]'), **_patches()},
    'rate': {
      name: Field(0.0, f'The rate of {name} that is asked for, in nats. 0: none; its beta holds.', low=0)
      for name in layers
    },
  }


def schema(layers: tuple[str, ...]) -> dict:
  """All fields of a spec with these latent layers (top first), as nested dicts of Field."""
  return {
    'seed': Field(0, 'Seed of all randomness: weights, batches, noise.', low=0, high=2**31 - 1),
    'data': DATA,
    'model': _model(layers),
    'prior': PRIOR,
    'decoder': DECODER,
    'objective': _objective(layers),
    'constraint': _constraint(layers),
    'classifier': CLASSIFIER,
    'train': TRAIN,
    'eval': EVAL,
    'sample': SAMPLE,
  }


def flatten(tree: dict, prefix: str = '') -> dict:
  """{'train.steps': leaf, ...} of nested dicts."""
  flat = {}
  for name, node in tree.items():
    flat.update(flatten(node, f'{prefix}{name}.') if isinstance(node, dict) else {prefix + name: node})
  return flat


def layers_problem(layers) -> str | None:
  """What is wrong with the names in spec.model.layers, or None: they are zL, ..., z2, z1, or z alone, which repeats."""
  if layers == (REPEATED,):
    return None
  if not isinstance(layers, tuple) or not layers or not all(isinstance(name, str) for name in layers):
    return f'got {short(layers)}; allowed: the latent layers, top first, such as z2,z1'
  if len(layers) > MOST_LAYERS:
    return f'got {len(layers)} layers; allowed: at most {MOST_LAYERS}'
  right = tuple(f'z{i}' for i in range(len(layers), 0, -1))
  if layers != right:
    number = re.fullmatch(r'z([1-9])', layers[0])
    if number and sorted(layers) != sorted(right):
      right = tuple(f'z{i}' for i in range(int(number[1]), 0, -1))
    known = ','.join(right)
    return f'got {cut(",".join(layers))}; layers are named from the top, the bottom one z1: {known}'
  return None


RENAMED = {'eval.fid_classifier': 'classifier.path'}  # what a field was called once: in old runs it still is
ELSEWHERE = {  # what other programs call them
  'epochs': 'train.steps (its length is in steps)',
  'lr': 'train.learning_rate',
  'bs': 'data.batch_size',
  'dataset': 'data.name',
}


def unknown(name: str, fields: dict, layers: tuple[str, ...]) -> str:
  """What to say of a name that is none of `fields`, in a spec of these layers: the nearest one, or those there are."""
  sections = {full.rpartition('.')[0] for full in fields} - {''}
  if name in sections or any(s.startswith(f'{name}.') for s in sections):
    inside = sorted({f[len(name) + 1 :].partition('.')[0] for f in fields if f.startswith(f'{name}.')})
    return f'is a section; its fields: {", ".join(inside)}'
  for part in name.split('.'):
    if part[:1] == 'z' and (part[1:].isdigit() or part == REPEATED) and part not in layers:
      more = ' (z, which repeats, is that of spec.model.name=convdraw)' if part == REPEATED else ''
      return f'there is no layer {part}; the layers of this spec: {", ".join(layers)}{more}'
  if name in RENAMED:
    return f'unknown field. Did you mean spec.{RENAMED[name]}?'
  parent, _, last = name.rpartition('.')
  inside = sorted({f[len(parent) + 1 :].partition('.')[0] for f in fields if f.startswith(f'{parent}.')})
  if not parent:
    inside = sorted({f.partition('.')[0] for f in fields})
  if name.startswith('spec.') and name[len('spec.') :] in fields:
    return f'unknown field; without spec. in front: {name[len("spec.") :]}'
  below = [f'spec.{f}' for f in fields if parent and f.startswith(f'{parent}.') and f.endswith(f'.{last}')]
  if 0 < len(below) <= 4:  # in a section of the section
    return f'unknown field. Did you mean {" or ".join(below)}?'
  if hint := nearest(last, inside):
    return f'unknown field.{hint.replace(" mean ", f" mean spec.{parent}." if parent else " mean spec.")}'
  if last in ELSEWHERE:
    return f'unknown field. Did you mean spec.{ELSEWHERE[last]}?'
  close = nearest(name, [field for field in fields if nearest(last, [field.rpartition('.')[2]])])
  if close and parent and parent not in sections:  # whose name is misspelt
    return f'unknown field.{close.replace(" mean ", " mean spec.")}'
  for end in (name, last):  # in another section
    same = [f'spec.{field}' for field in fields if f'.{end}.' in f'.{field}.']
    if 0 < len(same) <= 4:
      return f'unknown field. Did you mean {" or ".join(same)}?'
  if close:
    return f'unknown field.{close.replace(" mean ", " mean spec.")}'
  while parent and not inside:  # the section is unknown, too
    parent = parent.rpartition('.')[0]
    inside = sorted({f[len(parent) + 1 :].partition('.')[0] for f in fields if f.startswith(f'{parent}.')})
  inside = inside or sorted({f.partition('.')[0] for f in fields})
  return f'unknown field; the fields of spec{"." + parent if parent else ""}: {", ".join(inside)}'


def not_understood(arg: str, flags, modes) -> str:
  """What to say of an argument that is none of the `flags`: what was meant where that can be told."""
  name = arg.lstrip('-').partition('=')[0]
  fields = flatten(schema(('z3', 'z2', 'z1')))
  same = [field for field in fields if field == name or field.endswith(f'.{name}')]
  meant = ''
  if not arg.startswith('-') and name.partition(':')[0].endswith('.py'):
    meant = f' Did you mean --spec {cut(arg)}?'
  elif arg in modes:
    meant = f' Did you mean --mode={arg}?'
  elif name.startswith('spec.'):
    meant = f' Did you mean --{cut(name)}?'
  elif same:
    meant = f' Did you mean --spec.{same[0]}?'
  else:
    meant = nearest(f'--{name}', [f'--{flag}' for flag in flags])
  return f'{cut(arg)}: not understood; flags are written --name=value, fields --spec.FIELD=VALUE.{meant}'


def markdown() -> str:
  """docs/spec.md: every field of a two-layer spec."""
  lines = [
    '# The spec',
    '',
    'Every field, its default, what it may be and what it does. Generated from `tfvae/spec/schema.py` by',
    '`python -m tfvae.spec > docs/spec.md`; a test keeps it current. `<layer>` stands for z1, z2, ... (a top layer has',
    'no `join_grid` and no sections `above`, `posterior` and `prior`). A field is set in a spec file '
    '(`spec.train.steps = 500`)',
    'or on the command line (`--spec.train.steps=500`; tuples as `--spec.decoder.net.hidden=64,32`). Spec files may '
    'have other',
    'defaults: `--mode=show` prints what holds.',
  ]
  fields, repeats = {}, {f'model.{REPEATED}.{name}': field for name, field in _steps().items()}
  for name, field in flatten(schema(('z2', 'z1'))).items():
    if name.startswith('model.z1.') and not any(name in fields for name in repeats):
      fields |= repeats
    if '.z2' not in name:
      fields[re.sub(r'\bz1\b', '<layer>', name)] = field
  section = None
  for name, field in fields.items():
    parent = name.rpartition('.')[0]
    if parent != section:
      section = parent
      if section:
        lines += ['', f'## spec.{section}', '']
        lines += [SECTIONS[section], ''] if section in SECTIONS else []
      else:
        lines += ['']
      lines += ['| field | default | allowed | what it does |', '|---|---|---|---|']
    default = ','.join(map(str, field.default)) if field.type is tuple else field.default
    doc = field.doc.replace('rate of z1', 'rate of the layer')
    cells = (f'spec.{name}', f'`{default}`' if default != '' else '', field.allowed(), doc)
    lines.append('| ' + ' | '.join(str(c).replace('|', '\\|') for c in cells) + ' |')
  return '\n'.join(lines) + '\n'
