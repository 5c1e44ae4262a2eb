"""What codes tell about labels: those of the data, and those that a classifier sees in what is generated from them."""

import math

import numpy as np

from tfvae.analysis.codes import codes, first_layer, first_layers, prefixes
from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.analysis.generated_labels import GeneratedLabels
from tfvae.making import Make
from tfvae.models.sight import Sight
from tfvae.theory.information import count_information, entropy, generated_information, label_information

MOST_DIMENSIONS = 10  # of neighbours


class MutualInformation(Evaluator):
  """What codes tell about labels in nats, each with a `.._standard_error` (Xiao & Bamler 2023, section 3).

  I_q(label; z), of codes z ~ q(z | x) and the labels of the data:

  mutual_information/<layer>: of the layer that is inferred first, the mean of log q(z | label) - log q(z) at a code of
  each of the N examples, both mixtures being of all posteriors (`codes.first_layer`). It is that of the N examples: a
  model that tells all of them apart has H[label], whatever it would make of others.
  mutual_information/<layers>: the same of the first layers together, at eval.mutual_information.examples codes.
  mutual_information_ksg/<layer>: of any real layer alone that has at most ten dimensions, by neighbours
  (`theory.information.mixed_ksg`): an estimate, too low where labels are told apart along a narrow way.
  mutual_information_counts/<layer>: of a layer of bits or categories with fewer states than a tenth of the codes, by
  their counts.
  label_entropy: H[label], which none of these can exceed. labels: how many there are.
  Of the steps of convdraw, here and below, the first 1, 2, 4, ... and all are taken together.

  I_p(label; z), of z ~ p(z) and the label that the classifier of spec.classifier.path sees in E[x | z], where one is
  given:

  mutual_information_p/<layers>: of the first layers from the top, H[p(label)] - E H[p(label | these layers)], at
  eval.mutual_information.prior_samples samples of them, p(label | these layers) from as many samples of the others as
  eval.mutual_information.draws (`theory.information.generated_information`); of all layers the logarithm of an
  inception score. Of a model that is told something it is what the layers and the context tell together.

  Errors are those of the codes, as if these were independent.

  Args:
    spec: the spec.
    sight: what its classifier sees of x alone. None: there is none, and no I_p.
  """

  name = 'mutual_information'

  def __init__(self, spec, sight: Sight | None = None):
    super().__init__(spec)
    self._sight = sight

  @classmethod
  def from_spec(cls, spec, observation, make: Make, run=None, name: str = ''):
    del run, name
    return cls(spec, make.sight(spec, observation, gradient=False, alone=True) if spec.classifier.path else None)

  def settings(self):
    return super().settings() | ({'classifier': self._sight.frozen.identity} if self._sight else {})

  def evaluate(self, model, split):
    found = split.once('codes', lambda: codes(model, split))
    numbers = {'label_entropy': entropy(found.label), 'labels': float(len(set(found.label.tolist())))}

    def keep(name, value, error):
      numbers[name] = float(value)
      what, _, layer = name.partition('/')
      numbers[f'{what}_standard_error/{layer}'] = float(error)

    layers = list(found.z)
    for count in prefixes(layers):
      densities = joint(model, split, found, count, self.section.examples)
      terms = densities.of_label - densities.mixture
      keep(f'mutual_information/{",".join(layers[:count])}', terms.mean(), terms.std(ddof=1) / math.sqrt(len(terms)))
    for layer in layers:
      z = found.z[layer].reshape(len(found.label), -1)
      if model.families[layer].space == 'real':
        if z.shape[1] <= MOST_DIMENSIONS:
          try:
            keep(f'mutual_information_ksg/{layer}', *label_information(z, found.label, self.section.neighbours))
          except ValueError as error:  # of a label that is too rare
            print(f'mutual_information_ksg/{layer}: left out. {error} (spec.eval.{self.name}.neighbours)', flush=True)
      elif len(np.unique(z, axis=0)) < len(z) / 10:
        keep(f'mutual_information_counts/{layer}', *count_information(z, found.label))
    for layers, value, error in self._generated(model, split):
      keep(f'mutual_information_p/{layers}', value, error)
    return Found(numbers, {})

  def _generated(self, model, split):
    """(layers, I_p, its standard error) of each of the first layers together."""
    if self._sight is None:
      return
    generated, section = GeneratedLabels(self.spec, self._sight), self.section
    for count in prefixes(model.layer_names):
      seen = generated.probabilities(model, split, count, section.prior_samples, section.draws)
      yield ','.join(model.layer_names[:count]), *generated_information(seen)


def joint(model, split, found, count: int, examples: int):
  """The densities of the first `count` layers: of the first alone at all codes, else at `examples` of them."""
  if count == 1:
    return split.once('densities', lambda: first_layer(model, split, found))
  return split.once(f'densities of {count} at {examples}', lambda: first_layers(model, split, found, count, examples))
