"""The evaluators: the object of each, its text, what it needs, and its own section of spec.eval."""

from typing import NamedTuple

from tfvae.spec.fields.field import Field

NAMED = '-'  # between an evaluator and a name of one's own, of several of a kind: fid-train


class Evaluator(NamedTuple):
  """An evaluator.

  What it found is kept under its section, `uses` and its version: found with the same, it is not sought again.
  """

  path: str  # its object
  text: str  # what it is, for spec.eval.evaluators
  fields: dict[str, Field] = {}  # of its section, beside those of all
  uses: tuple[str, ...] = ('batch_size', 'num_samples')  # fields of spec.eval that its numbers depend on, too
  needs: tuple[str, ...] = (
    'latents',
  )  # what a spec and its data must have for it: `rules/needs.py`, `data/misfits.py`
  frame: tuple[str, ...] = ()  # arrays that are kept of each evaluation in training, for figures of its course
  sight: bool = False  # whether it looks through the classifier of spec.classifier.path, where one is given
  version: int = 1  # goes up when its numbers change, so that those of older versions are sought again


def kind(name: str) -> str:
  """The evaluator that a name of spec.eval.evaluators stands for: fid of fid-train."""
  return name.partition(NAMED)[0]


def own(name: str) -> str:
  """The name of one's own in it: train of fid-train, '' of fid."""
  return name.partition(NAMED)[2]


def entry(name: str) -> Evaluator:
  """What is known of an evaluator, by a name of spec.eval.evaluators."""
  return EVALUATORS[kind(name)]


COMMON = {  # fields of the section of each
  'split': Field('', 'Its split. Empty: eval.split and eval.also.', choices=('', 'train', 'validation', 'test')),
  'every': Field(
    0,
    'Steps between two of its evaluations in training. 0: eval.every, of those in eval.during; others are found at the '
    'end.',
    low=0,
    high=10**12,
  ),
}


def section(name: str) -> dict[str, Field]:
  """Its section of spec.eval."""
  return COMMON | entry(name).fields


def _examples(default: int, low: int = 0, what: str = 'how many of the first examples of the split') -> Field:
  return Field(default, f'{what[0].upper()}{what[1:]}.{"" if low else " 0: all."}', low=low, high=10**8)


DECODED = (
  'prior: E[x | z], z of the prior. limiting: the same, z of the chain x -> z -> x after eval.limiting.steps steps '
  'from the prior. reconstruction: E[x | z], z of q, of the first examples of the split.'
)
EVALUATORS = {
  'constraints': Evaluator(
    'tfvae.analysis.constraints:Constraints',
    'what they come to; there by itself where constraint.names has any',
  ),
  'bounds': Evaluator('tfvae.analysis.bounds:Bounds', 'the ELBO and its parts'),
  'reconstruction': Evaluator('tfvae.analysis.reconstruction:Reconstruction', 'mse, psnr, ssim'),
  'entropies': Evaluator('tfvae.analysis.entropies:Entropies', 'those that the ELBO converges to'),
  'latents': Evaluator(
    'tfvae.analysis.latents:Latents',
    'active units, aggregate posterior',
    needs=('latents', 'no discrete layers', 'two samples'),
  ),
  'bits_per_dim': Evaluator(
    'tfvae.analysis.bits_per_dim:BitsPerDim', 'of images and binary data', needs=('latents', 'discrete values')
  ),
  'nll_per_dimension': Evaluator(
    'tfvae.analysis.nll_per_dimension:NllPerDimension',
    'of grey and RGB images, at the sigma of the training errors',
    needs=('latents', 'samples', 'levels'),
  ),
  'log_evidence': Evaluator(
    'tfvae.analysis.log_evidence:LogEvidence',
    'log p(x) by importance sampling',
    {'samples': Field(1000, 'Importance samples of each example.', low=2, high=10**8), 'examples': _examples(0)},
    uses=('batch_size',),
  ),
  'ppca': Evaluator(
    'tfvae.analysis.ppca:Ppca',
    'the exact likelihood of a linear VAE beside that of probabilistic PCA',
    needs=('latents', 'linear', 'no context', 'no target', 'fewer units'),
  ),
  'selection': Evaluator(
    'tfvae.analysis.selection:Selection',
    'of members, on the segments of a stream',
    uses=(),
    needs=('several models', 'no context'),
  ),
  'samples': Evaluator('tfvae.analysis.samples:Samples', 'pictures', uses=('num_images',)),
  'canvases': Evaluator(
    'tfvae.analysis.canvases:Canvases',
    'of a model that draws in steps, pictures after each step',
    uses=('num_images',),
    needs=('latents', 'steps'),
  ),
  'points': Evaluator(
    'tfvae.analysis.points:Points',
    'of data that are vectors',
    uses=('num_points',),
    frame=('z', 'label', 'entropy'),
  ),
  'tiles': Evaluator(
    'tfvae.analysis.tiles:Tiles',
    'of one layer of two real units, where posteriors lie in the plane',
    {
      'examples': _examples(1000, what='the first examples of the split, whose posteriors are put together'),
      'samples': Field(500, 'Samples of q of each example that is kept for the figure.', low=1, high=10**5),
      'grid': Field(15, 'Images E[x | z] on each side of the plane.', low=2, high=100),
    },
    uses=('num_images', 'batch_size'),
    needs=('latents', 'plane', 'no context'),
  ),
  'estimates': Evaluator(
    'tfvae.analysis.estimates:Estimates',
    'the spread of the ELBO and of the entropies by few samples',
    {
      'samples': Field(
        (10, 100, 1000, 10_000), 'Numbers of latent samples of each example.', item=int, low=1, high=10**7
      ),
      'runs': Field(10, 'Estimates of each.', low=2, high=10**4),
      'examples': _examples(100, low=1),
    },
    uses=(),
  ),
  'players': Evaluator(
    'tfvae.analysis.players:Players', 'the losses of symmetric learning', needs=('latents', 'no target')
  ),
  'posterior': Evaluator(
    'tfvae.analysis.posterior:Posterior',
    'of few bits or categories, by enumeration',
    {'examples': _examples(100)},
    uses=(),
    needs=('latents', 'few states'),
  ),
  'unit_information': Evaluator(
    'tfvae.analysis.information:UnitInformation', 'discrete layers', needs=('latents', 'discrete layers')
  ),
  'mutual_information': Evaluator(
    'tfvae.analysis.mutual_information:MutualInformation',
    'what codes tell about labels',
    {
      'examples': Field(300, 'Codes at which several layers together are taken.', low=2, high=10**6),
      'neighbours': Field(5, 'Of a code, by which a layer of few dimensions is taken alone.', low=1, high=1000),
      'prior_samples': Field(
        2000,
        'With classifier.path: samples of the first layers, from which examples are generated and classified.',
        low=2,
        high=10**8,
      ),
      'draws': Field(10, 'With classifier.path: samples of the other layers given each of these.', low=2, high=10**4),
    },
    uses=('batch_size',),
    needs=('latents', 'labels', 'neighbours'),
    sight=True,
  ),
  'accuracy_bounds': Evaluator(
    'tfvae.analysis.accuracy_bounds:AccuracyBounds',
    'the highest accuracies that classifiers of codes can have',
    {'examples': Field(300, 'Codes at which several layers together are taken.', low=2, high=10**6)},
    uses=('batch_size',),
    needs=('latents', 'labels', 'no context'),
  ),
  'probes': Evaluator(
    'tfvae.analysis.probes:Probes',
    'accuracies of classifiers of codes',
    {
      'classifiers': Field(
        ('logistic', 'linear_svm', 'rbf_svm', 'knn'),
        'The classifiers: logistic regression, a linear SVM, an SVM with Gaussian kernels, nearest neighbours.',
        choices=('logistic', 'linear_svm', 'rbf_svm', 'knn'),
        item=str,
      ),
      'of': Field(
        ('samples', 'locations'),
        'What they see. samples: one z ~ q(z | x) for each example. locations: of q.',
        choices=('samples', 'locations'),
        item=str,
      ),
      'fit': Field(
        ('split', 'train'),
        'What they are fitted on. split: 80% of the codes of the split, and judged on the others. train: those of the '
        'training split, and judged on all of the split.',
        choices=('split', 'train'),
        item=str,
      ),
      'neighbours': Field(5, 'Of knn.', low=1, high=1000),
      'examples': _examples(10_000, what='how many examples rbf_svm and knn are fitted on, and judged on, at most'),
    },
    uses=('batch_size',),
    needs=('latents', 'labels', 'probed'),
  ),
  'pca': Evaluator(
    'tfvae.analysis.pca:Pca',
    'the two directions in which the codes of each layer vary most',
    uses=('batch_size', 'num_points'),
  ),
  'marginal_kl': Evaluator(
    'tfvae.analysis.marginal_kl:MarginalKl',
    'how far the codes of all examples together are from the prior, and what they tell of which example they are of',
    {
      'examples': Field(300, 'Codes at which several layers together are taken.', low=2, high=10**6),
      'codes': Field(
        0,
        'Codes at which the layer that is inferred first is taken alone. 0: all; fewer where a flow makes each pair of '
        'a code and a posterior costly.',
        low=0,
        high=10**8,
      ),
      'hidden': Field((128,), 'Widths of the hidden layers of the classifier.', item=int, low=1, high=10**5),
      'passes': Field(
        100, 'Of the classifier over what it is fitted to, at most. 0: a logistic regression alone.', low=0, high=10**5
      ),
    },
    uses=('batch_size',),
    needs=('latents', 'no context', 'halves'),
  ),
  'limiting': Evaluator(
    'tfvae.analysis.limiting:Limiting',
    'pictures of the chain z, x, z',
    {
      'steps': Field(
        300, 'Steps of the chain z -> x -> z; also of that of fid and of --mode=sample.', low=1, high=10**6
      )
    },
    uses=('num_images',),
    needs=('latents', 'chains'),
  ),
  'accuracy': Evaluator(
    'tfvae.analysis.accuracy:Accuracy', 'of a classifier', uses=('batch_size',), needs=('classes',)
  ),
  'task': Evaluator(
    'tfvae.analysis.task:Task',
    'whether what is drawn for the contexts of data made of images of ten labels (data.of) is right, by the '
    'classifiers of classifier.path and classifier.turns, where given',
    {'samples': Field(4, 'Samples for each context of the figure.', low=1, high=100)},
    uses=('batch_size', 'num_images'),
    needs=('latents', 'task'),
    sight=True,
  ),
  'reconstruction_accuracy': Evaluator(
    'tfvae.analysis.reconstruction_accuracy:ReconstructionAccuracy',
    'whether the classifier of classifier.path sees the label in reconstructions',
    uses=('batch_size',),
    needs=('latents', 'a classifier', 'labels', 'two examples'),
    sight=True,
  ),
  'inception_score': Evaluator(
    'tfvae.analysis.inception_score:InceptionScore',
    'of images by the classifier of classifier.path',
    {
      'of': Field(
        ('prior',),
        f'What is classified. {DECODED} data: the first examples of the split.',
        choices=('prior', 'limiting', 'reconstruction', 'data'),
        item=str,
      ),
      'samples': Field(
        5000, 'How many of each kind; of reconstruction and data at most those of the split.', low=2, high=10**8
      ),
    },
    uses=('batch_size',),
    needs=('latents', 'a classifier', 'two examples'),
    sight=True,
  ),
  'fid': Evaluator(
    'tfvae.analysis.fid:Fid',
    'Frechet distances of images',
    {
      'extractors': Field(
        ('classifier',),
        'The features that images are compared by. classifier: of the run spec.classifier.path. inception: of '
        "pytorch-fid's network, of the file `inception`. keras_inception: of Keras' ImageNet network.",
        choices=('classifier', 'inception', 'keras_inception'),
        item=str,
      ),
      'inception': Field(
        '',
        "The file of inception's weights: pt_inception-2015-12-05-6726825d.pth of pytorch-fid, or an NPZ file with the "
        'same names.',
      ),
      'keras_inception': Field(
        '', "The file of keras_inception's weights (notop, .h5). Empty: that in Keras' cache. Never downloaded."
      ),
      'of': Field(
        ('prior',),
        f'The images. {DECODED}',
        choices=('prior', 'limiting', 'reconstruction'),
        item=str,
      ),
      'samples': Field(0, 'How many images are made. 0: as many as the reference has.', low=0, high=10**8),
      'reference': Field(
        'train', 'The data that the images are compared with.', choices=('train', 'test', 'train+test')
      ),
    },
    uses=('batch_size',),
    needs=('latents', 'images', 'reference'),
  ),
}
