"""Pictures of the limiting distribution."""

import numpy as np

from tfvae.analysis.evaluator import Evaluator, Found
from tfvae.models.chain import Chain


class Limiting(Evaluator):
  """Arrays, [n, ...] with n = eval.num_images: prior and limiting, E[x | z] at the beginning and after
  eval.limiting.steps steps of the same chains (`models.chain`), and value_range, the ends of the training data.
  """

  name = 'limiting'

  def __init__(self, spec):
    super().__init__(spec)
    self._chains = {}

  def evaluate(self, model, split):
    chain = self._chains.setdefault(id(model), Chain(model, self.spec.seed))  # compiled once
    n, steps = self.spec.eval.num_images, self.section.steps
    context = split.context(model, n)
    start = chain.run(n, 0, context=context)
    arrays = {'prior': start, 'limiting': chain.run(n, steps, z=start, context=context)}
    pictures = {name: model.mean(z, context)[0].numpy() for name, z in arrays.items()}
    return Found({}, pictures | {'value_range': np.array(split.source.value_range)})
