"""The entropies whose sum the ELBO converges to."""

from tfvae.analysis.evaluator import Found, TraceEvaluator


class Entropies(TraceEvaluator):
  """entropy/encoder, entropy/prior, entropy/decoder, entropy_sum and, on the training split, elbo_minus_entropies.

  (Damm et al., AISTATS 2023, theorem 1.) The identity ELBO = entropy_sum is a statement about stationary points on the
  training split, so the difference is reported there only.
  """

  name = 'entropies'

  def per_example(self, model, trace, split):
    return {**trace.entropies(), 'elbo': trace.terms()['elbo']}

  def finish(self, means, model, split):
    numbers = {name: float(value) for name, value in means.items()}
    elbo = numbers.pop('elbo')
    if split.name == 'train':
      numbers['elbo_minus_entropies'] = elbo - numbers['entropy_sum']
    return Found(numbers, {})
