"""The ELBO and its parts."""

from tfvae.analysis.evaluator import Found, TraceEvaluator


class Bounds(TraceEvaluator):
  """elbo (beta 1), log_likelihood, rate, rate/<layer>, mse, and what the decoder and the prior tell of themselves.

  sigma of a Gaussian decoder and, where it is fixed, log_likelihood_constant; alpha of a learned prior.
  """

  name = 'bounds'

  def per_example(self, model, trace, split, batch):
    return {**trace.terms(), **model.diagnostics(trace)}

  def finish(self, means, model, split):
    return Found({name: float(value) for name, value in means.items()}, {})
