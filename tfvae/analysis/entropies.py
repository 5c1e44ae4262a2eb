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

  What has no closed form is left out. Where the encoder's entropy has none (that of a flow), it is estimated from the
  samples, and called so: entropy/encoder_sampled, entropy_sum_sampled, elbo_minus_entropies_sampled and its halves.
  """

  name = 'entropies'

  def per_example(self, model, trace, split, batch):
    terms = trace.terms()
    return {**model.entropies(trace), **{name: terms[name] for name in ('elbo', 'log_likelihood', 'rate')}}

  def finish(self, means, model, split):
    numbers = {name: float(value) for name, value in means.items()}
    elbo, log_likelihood, rate = (numbers.pop(name) for name in ('elbo', 'log_likelihood', 'rate'))
    for suffix in ('', '_sampled') if split.name == 'train' else ():
      if f'entropy_sum{suffix}' in numbers:
        name, encoder = f'elbo_minus_entropies{suffix}', numbers[f'entropy/encoder{suffix}']
        numbers[name] = elbo - numbers[f'entropy_sum{suffix}']
        numbers[f'{name}/decoder'] = log_likelihood + numbers['entropy/decoder']
        numbers[f'{name}/rate'] = numbers['entropy/prior'] - encoder - rate
    return Found(numbers, {})
