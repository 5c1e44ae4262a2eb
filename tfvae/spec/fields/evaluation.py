"""spec.eval."""

from tfvae.spec.fields.field import Field
from tfvae.spec.names import NAMES

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
