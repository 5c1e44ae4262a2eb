"""spec.classifier."""

from tfvae.spec.fields.field import Field

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
