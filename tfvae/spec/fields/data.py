"""spec.data."""

from tfvae.spec.entries import SYNTHETIC, TASKS
from tfvae.spec.fields.field import Field

SEPARATORS = {'comma': ',', 'semicolon': ';', 'tab': '\t', 'space': ' '}


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
