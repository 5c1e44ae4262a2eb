"""The entropies whose sum the ELBO converges to."""

from tfvae.analysis.evaluator import Found, TraceEvaluator


class Entropies(TraceEvaluator):
  """entropy/encoder, entropy/prior, entropy/decoder, entropy_sum and, on the training split, elbo_minus_entropies.

  (Damm et al., AISTATS 2023, theorem 1.) The identity ELBO = entropy_sum is a statement about stationary points on the
  training split, so the difference is reported there only, with its two halves, whose sum it is:

  elbo_minus_entropies/decoder: E_q log p(x | z) + H[p(x | z)], 0 where the mean of (x - loc)^2 / sigma^2 is 1;
  elbo_minus_entropies/rate: H[p(z)] - H[q(z | x)] - KL, 0 where the aggregate posterior has the prior's second moments.

  Each is 0 at a stationary point of a Gaussian model with a learned decoder variance: with a fixed one, or a Bernoulli
  decoder, the decoder's half is not.
  """

  name = 'entropies'

  def per_example(self, model, trace, split):
    terms = trace.terms()
    return {**model.entropies(trace), **{name: terms[name] for name in ('elbo', 'log_likelihood', 'rate')}}

  def finish(self, means, model, split):
    numbers = {name: float(value) for name, value in means.items()}
    elbo, log_likelihood, rate = (numbers.pop(name) for name in ('elbo', 'log_likelihood', 'rate'))
    if split.name == 'train':
      numbers['elbo_minus_entropies'] = elbo - numbers['entropy_sum']
      numbers['elbo_minus_entropies/decoder'] = log_likelihood + numbers['entropy/decoder']
      numbers['elbo_minus_entropies/rate'] = numbers['entropy/prior'] - numbers['entropy/encoder'] - rate
    return Found(numbers, {})
