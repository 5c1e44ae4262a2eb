"""A convolutional classifier, trained by the loop that trains everything else. FID and other evaluators use it frozen.

    python launch.py --spec specs/classifier.py
    python launch.py --spec specs/classifier.py:mnist --spec.data.download=true
    python launch.py --spec specs/classifier.py:turns
    python launch.py --spec specs/classifier.py:dense

Words, the data: digits (default, nothing is downloaded), mnist, fashion_mnist, cifar10, svhn. What is told of an image:
label (default), or turns: by which of 0 to 9 turns of 30 degrees it is turned (grey ones; spec.classifier.turns of runs
on mnist_rotate). The net: conv (default of grey images), residual (default of cifar10 and svhn), dense; how they differ
from the three of the HIT paper's authors is in docs/classifier-and-fid.md.

conv: convolutions of stride 2 with ReLU, a Dense layer of 128 features, and the logits. residual: four stages of one
pre-activation block with group normalisation, whose last feature map is averaged over (128 features), and the logits.
dense: a densely connected net, four stages of 2, 4, 8 and 6 layers that add 8 channels each, averaged likewise (92
features). The images of cifar10 are mirrored at random. The sections of latent layers, prior and decoder are there as
in every spec, and without effect.

What to expect, seed 0, accuracy of the test split: digits 0.923 after its 1,000 steps (8 seconds of one
core; the test split has other writers), mnist 0.989 after 3,000 (90 seconds of one core), cifar10 0.782 after 5,000 of
batches of 128, 12.8 epochs (11 minutes of two cores that others used, too). The others were not trained to their end
here. turns: digits 0.879 after 2,000 steps (10 seconds; what 8 x 8 pixels leave of a turn), mnist 0.979 after 6,000
(3 minutes). digits after 1,000 steps: residual 0.936 (31 seconds of one core that others used, too), dense 0.956 (86
seconds).
"""

from tfvae import spec as spec_lib
from tfvae.errors import SpecError

DATA = ('digits', 'mnist', 'fashion_mnist', 'cifar10', 'svhn')
NETS = ('conv', 'residual', 'dense')


def get_config(variant=''):
  words = spec_lib.words(variant, DATA, ('label', 'turns'), NETS)
  data, turns = next(word for word in DATA if word in words), 'turns' in words
  colour = data in ('cifar10', 'svhn')
  asked = [word for word in NETS if word in map(str.strip, variant.split(','))]
  net = asked[0] if asked else 'residual' if colour else 'conv'
  if colour and turns:
    raise SpecError([f'variant {variant!r}: turns is of grey images: digits, mnist or fashion_mnist'])
  spec = spec_lib.base(('z1',))

  spec.data.name = 'svhn_cropped' if data == 'svhn' else data
  if turns:
    spec.data.name, spec.data.of, spec.data.examples = 'mnist_turns', data, 15_000 if data == 'digits' else 60_000
  spec.data.batch_size = 100 if data == 'digits' else 128
  if data == 'cifar10':
    spec.data.flip = 'horizontal'

  spec.model.name = 'classifier'
  if net == 'residual':
    spec.model.classifier.kind = 'residual'
    spec.model.classifier.hidden = (16, 32, 64, 128)
    spec.model.classifier.blocks = 1
    spec.model.classifier.dense = ()
  elif net == 'dense':
    spec.model.classifier.kind = 'densenet'
    spec.model.classifier.hidden = (32, 48, 88, 92)
    spec.model.classifier.growth = 8
    spec.model.classifier.dense = ()
  else:
    spec.model.classifier.hidden = (32, 64)
    spec.model.classifier.kernel = 3 if data == 'digits' else 5
    spec.model.classifier.dense = (128,)
  spec.objective.name = 'cross_entropy'

  spec.train.steps = (2 if turns else 1) * {'digits': 1000, 'mnist': 3000}.get(data, 5000)
  spec.train.learning_rate = 1e-3 if net == 'conv' else 2e-3
  spec.train.schedule = 'cosine'
  spec.train.warmup = 0.0 if net == 'conv' else 0.05
  spec.train.schedule_final = 0.01
  spec.eval.every = 500 if data == 'digits' else 1000
  spec.eval.evaluators = spec.eval.during = ('accuracy',)
  return spec
