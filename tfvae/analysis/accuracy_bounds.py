"""The highest accuracies that classifiers of codes can have."""

import math

from tfvae.analysis.codes import codes, prefixes, require_labels
from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.analysis.mutual_information import joint
from tfvae.theory.information import accuracy_bound, entropy


class AccuracyBounds(Evaluator):
  """How often any classifier of samples z ~ q(z | x) can be right about the label (Xiao & Bamler 2023, equation 7).

  accuracy_bound_information/<layers>: f^-1(I_q(label; z)) (`theory.information.accuracy_bound`), of the layer that is
  inferred first, and of the first ones together: I_q as in the evaluator `mutual_information`, by the mixtures of all
  posteriors, of several layers at eval.accuracy_bounds.examples codes.
  accuracy_bound_rate/<layers>: f^-1(R(z_L) + ... + R(z_l | z_>l)), of the mean rates of all N codes in nats. Where
  layers are inferred from the top, their prior is p(z_L) ... p(z_l | z_>l), so that rates bound I_q(x; z_L, ..., z_l)
  and what these layers tell about labels. From the bottom, the prior of the first layers is no product of what a trace
  has: there is then the sum of all rates alone, which bounds what all layers together tell, and so what any of them
  does.
  <each>_upper/<layers>: the same at the value and one standard error of it, that of the mean over the codes.

  A layer alone tells no more than layers that it is among: a number is a bound for each of its layers, too, and of the
  bounds of a layer that of the fewest layers is the lowest. What is bounded is the mean accuracy over all that
  z ~ q(z | x) may be; that of a finite number of examples may be higher by its binomial error. On locations of q, in
  place of samples, accuracies may be anything.
  """

  name = 'accuracy_bounds'

  def evaluate(self, model, split):
    found = split.once('codes', lambda: codes(model, split))
    require_labels(found, self.name)
    label_entropy, classes = entropy(found.label), len(set(found.label.tolist()))
    numbers = {}

    def keep(what, layers, terms):
      value, error = float(terms.mean()), float(terms.std(ddof=1)) / math.sqrt(len(terms))
      for suffix, nats in (('', value), ('_upper', value + error)):
        numbers[f'accuracy_bound_{what}{suffix}/{",".join(layers)}'] = accuracy_bound(nats, label_entropy, classes)

    layers = list(found.z)
    for count in prefixes(layers):
      densities = joint(model, split, found, count, self.section.examples)
      keep('information', layers[:count], densities.of_label - densities.mixture)
    of_prefixes = layers == model.layer_names  # else inferred in another order than the prior's
    for count in prefixes(layers) if of_prefixes else [len(layers)]:
      keep('rate', layers[:count], sum(found.rate[layer].astype(float) for layer in layers[:count]))
    return Found(numbers, {})
