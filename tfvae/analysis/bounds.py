"""The ELBO and its parts."""

from tfvae.analysis.evaluator import Found, TraceEvaluator, with_errors


class Bounds(TraceEvaluator):
  """elbo (beta 1), log_likelihood, rate, rate/<layer>, mse, and what the decoder and the prior tell of themselves.

  sigma of a Gaussian decoder and, where it is fixed, log_likelihood_constant; alpha of a learned prior.

  Of the first five also elbo_standard_error, ..., rate_standard_error/<layer>: of the mean over the split, by the
  spread of its examples (that of the data, and of the latent samples).
  """

  name = 'bounds'
  spread = ('elbo', 'log_likelihood', 'rate', 'mse')

  def per_example(self, model, trace, split, batch):
    return {**trace.terms(), **model.diagnostics(trace)}

  def finish(self, means, model, split):
    return Found(with_errors(means), {})
