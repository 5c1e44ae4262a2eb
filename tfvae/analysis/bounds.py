"""The ELBO and its parts."""

from tfvae.analysis.evaluator import Evaluator


class Bounds(Evaluator):
  """elbo (beta 1), log_likelihood, rate, rate/<layer>, mse, and sigma of a Gaussian decoder."""

  name = 'bounds'

  def per_example(self, model, trace):
    return {**trace.terms(), **model.diagnostics(trace)}

  def finish(self, means, model, source, split):
    return {name: float(value) for name, value in means.items()}, {}
