"""What codes tell about labels."""

import math

import numpy as np

from tfvae.analysis.codes import codes, first_layer, first_layers
from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.theory.information import count_information, entropy, label_information

MOST_DIMENSIONS = 10  # of neighbours


class MutualInformation(Evaluator):
  """I_q(label; z) in nats, of codes z ~ q(z | x), each with a `.._standard_error` (Xiao & Bamler 2023, section 3).

  mutual_information/<layer>: of the layer that is inferred first, the mean of log q(z | label) - log q(z) at a code of
  each of the N examples, both mixtures being of all posteriors (`codes.first_layer`). It is that of the N examples: a
  model that tells all of them apart has H[label], whatever it would make of others.
  mutual_information/<layers>: the same of the first layers together, at eval.mutual_information.examples codes.
  mutual_information_ksg/<layer>: of any real layer alone that has at most ten dimensions, by neighbours
  (`theory.information.mixed_ksg`): an estimate, too low where labels are told apart along a narrow way.
  mutual_information_counts/<layer>: of a layer of bits or categories with fewer states than a tenth of the codes, by
  their counts.
  label_entropy: H[label], which none can exceed. Errors are those of the codes, as if these were independent.
  """

  name = 'mutual_information'

  def evaluate(self, model, split):
    found = split.once('codes', lambda: codes(model, split))
    numbers = {'label_entropy': entropy(found.label)}

    def keep(name, value, error):
      numbers[name] = float(value)
      what, _, layer = name.partition('/')
      numbers[f'{what}_standard_error/{layer}'] = float(error)

    layers = list(found.z)
    for count in range(1, len(layers) + 1):
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
    return Found(numbers, {})


def joint(model, split, found, count: int, examples: int):
  """The densities of the first `count` layers: of the first alone at all codes, else at `examples` of them."""
  if count == 1:
    return split.once('densities', lambda: first_layer(model, split, found))
  return split.once(f'densities of {count} at {examples}', lambda: first_layers(model, split, found, count, examples))
