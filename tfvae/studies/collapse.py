"""Collapse of latent units as a phase transition, over the decoder's variance."""

import numpy as np

from tfvae.studies.study import Finding, Study
from tfvae.theory import collapse, ppca

INFORMATIVE = 0.05  # nats, from which a unit counts


class Collapse(Study):
  """`theory.collapse`: linear VAEs by gradient descent, and nonlinear ones, beside the theory's lines (Lucas et al.
  2019): unit i carries information where T = beta sigma^2 is below l_i, the i-th eigenvalue of the data's covariance.

  eigenvalue/<i>, zero/<i>: l_i, and where the line through the linear VAEs' |W_i|^2 over sigma^2 ends, times beta.
  linear_rate_gap, nonlinear_rate_gap: the largest difference in nats between a unit's rate and 1/2 log(l_i / T), or 0.
  linear_units_wrong, nonlinear_units_wrong: at how many values of sigma^2 the number of units above 0.05 nats is not
  that of the theory.
  In units of the squared data; nats. Rates of nonlinear VAEs may lie above the lines, which are for linear ones.

  Arrays: `theory.collapse.arrays`.
  """

  name = 'collapse'

  def run(self, x):
    section, eigenvalues = self.section, ppca.spectrum(x)
    units = section.units or len(eigenvalues)
    variances = self._variances(eigenvalues[:units])
    common = {'beta': section.beta, 'seed': self.spec.seed}
    covariance = np.cov(x.T, bias=True).reshape(x.shape[1], -1)
    linear = collapse.fit_linear(
      covariance, variances, units, steps=section.steps, learning_rate=section.learning_rate, **common
    )
    nonlinear = None
    if section.hidden:
      nonlinear = collapse.fit_nonlinear(
        x,
        variances,
        units,
        hidden=section.hidden,
        steps=section.hidden_steps,
        batch_size=section.hidden_batch_size,
        learning_rate=section.hidden_learning_rate,
        **common,
      )
    arrays = collapse.arrays(x, units, section.beta, linear, nonlinear)
    theory = collapse.closed_form(eigenvalues, variances, units, section.beta).rates
    numbers = {f'eigenvalue/{i}': float(value) for i, value in enumerate(eigenvalues[:units], 1)}
    zeros = section.beta * arrays['linear.zeros']
    numbers |= {f'zero/{i}': float(value) for i, value in enumerate(zeros, 1) if np.isfinite(value)}
    for name, fit in (('linear', linear), ('nonlinear', nonlinear)):
      if fit is not None:
        numbers[f'{name}_rate_gap'] = float(np.abs(fit.rates - theory).max())
        wrong = (fit.rates > INFORMATIVE).sum(1) != (theory > INFORMATIVE).sum(1)
        numbers[f'{name}_units_wrong'] = float(wrong.sum())
    return Finding(numbers, arrays)

  def _variances(self, eigenvalues):
    section = self.section
    if section.variances:
      return np.array(section.variances)
    there = eigenvalues[eigenvalues > 1e-9 * eigenvalues[0]]  # of data that vary along fewer dimensions
    return np.geomspace(section.low * there[-1], section.high * there[0], section.count) / section.beta
