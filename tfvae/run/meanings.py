"""What each number is, in a line, and whether more of it is better, by its name. Units: metrics.py."""

from typing import NamedTuple


class Meaning(NamedTuple):
  """What is known of a number.

  Attributes:
    text: what it is.
    better: 1 where more is better, -1 where less is, 0 where neither is.
  """

  text: str
  better: int = 0


# By names of which a * stands for one part, and at the end for all that follow. The first that fits holds.
MEANINGS = {
  'elbo': Meaning('E_q log p(x|z) minus the rates, with beta 1 whatever the betas: a lower bound of log p(x)', 1),
  'elbo@*': Meaning('the same as elbo, of another evaluator of that name', 1),
  'elbo_exact': Meaning('the ELBO by enumeration of all states', 1),
  'elbo_minus_entropies': Meaning('the ELBO minus entropy_sum: 0 at stationary points, on the training split'),
  'elbo_minus_entropies/*': Meaning('a half of elbo_minus_entropies'),
  'elbo_minus_entropies_sampled': Meaning('the same with entropies from samples'),
  'elbo_minus_exact': Meaning('the ELBO minus the exact log p(x): the gap of the posterior', 1),
  'elbo_minus_ppca': Meaning('the ELBO minus the highest likelihood that a linear VAE can have', 1),
  'elbo/*': Meaning('the ELBO of a member on a segment', 1),
  'log_likelihood': Meaning('E_q log p(x|z): the negative distortion', 1),
  'log_likelihood_constant': Meaning('the part of log_likelihood that a fixed sigma alone decides'),
  'distortion': Meaning('-E_q log p(x|z): what reconstructions lose', -1),
  'rate': Meaning('KL(q(z|x) || p(z)) of all layers: what the codes hold of x'),
  'rate/*': Meaning('KL(q(z_l|z_>l, x) || p(z_l|z_>l)), averaged over the layers above: what this layer adds'),
  'loss': Meaning('what is minimised: distortion plus beta-weighted rates and constraints', -1),
  'loss/*': Meaning('what this player minimises', -1),
  'iwae': Meaning('the importance-weighted bound of log p(x)', 1),
  'log_evidence': Meaning('log p(x) by importance sampling, a lower bound in expectation', 1),
  'log_evidence_samples': Meaning('importance samples of each example'),
  'log_evidence_sampling_error': Meaning('the part of the standard error that is due to the samples', -1),
  'effective_samples': Meaning('how many importance samples the estimate of log p(x) rests on, on average', 1),
  'exact_log_likelihood': Meaning('log p(x), exactly', 1),
  'ppca_log_likelihood': Meaning('log p(x) of probabilistic PCA with as many units, the best linear model'),
  'true_log_likelihood': Meaning('log p(x) of what made the data'),
  'posterior_kl': Meaning('KL(q(z|x) || p(z|x)) by enumeration', -1),
  'posterior_kl_reverse': Meaning('KL(p(z|x) || q(z|x)) by enumeration', -1),
  'posterior_distance': Meaning('total variation distance of q(z|x) and p(z|x), by enumeration', -1),
  'mse': Meaning('mean over dimensions and samples of (x - E[x|z])^2', -1),
  'psnr': Meaning('peak signal-to-noise ratio of reconstructions', 1),
  'ssim': Meaning('structural similarity of reconstructions, 1: equal', 1),
  'sigma': Meaning("root of the mean variance of the decoder's Gaussian"),
  'scale': Meaning("mean scale of the decoder's distribution"),
  'bits_per_dim': Meaning('minus the ELBO in bits per dimension: an upper bound', -1),
  'bits_per_dim/*': Meaning('minus the ELBO in bits per dimension, of whole numbers', -1),
  'nll_per_dimension': Meaning('NLL per dimension of a Gaussian at the sigma of the training errors', -1),
  'nll_per_dimension_sigma': Meaning('the sigma of nll_per_dimension'),
  'entropy/encoder': Meaning('sum over layers of E H[q(z_l|z_>l, x)]'),
  'entropy/prior': Meaning('sum over layers of E H[p(z_l|z_>l)]'),
  'entropy/decoder': Meaning('E H[p(x|z)]'),
  'entropy_sum': Meaning('encoder minus prior minus decoder entropy: what the ELBO equals at stationary points'),
  'entropy_sum_sampled': Meaning('the same with entropies from samples'),
  'active_units': Meaning('units whose posterior means vary: above 0.01 of the variance of the prior'),
  'active_units/*': Meaning('those of this layer whose posterior means vary: above 0.01 of the variance of the prior'),
  'active_units_entropy': Meaning("units whose mean encoder entropy is more than 0.4189 nats below the prior's"),
  'active_units_entropy/*': Meaning("those of this layer whose encoder entropy is 0.4189 nats below the prior's"),
  'aggregate_kl/*': Meaning('KL of a Gaussian with the moments of all codes from the prior', -1),
  'correlation/*': Meaning('mean absolute correlation of two units of the codes', -1),
  'correlation_max/*': Meaning('largest absolute correlation of two units of the codes', -1),
  'unit_information/*': Meaning('mutual information of x and a unit, on average over the units', 1),
  'hole_mass': Meaning("mass of the prior in holes, where hardly any example's code lies", -1),
  'hole_kl': Meaning('KL(p(z) || q(z)): how far q(z) is from filling the prior', -1),
  'mutual_information/*': Meaning('I_q(label; z): what samples of the codes tell about the label', 1),
  'mutual_information_ksg/*': Meaning('I_q(label; z) by nearest neighbours', 1),
  'mutual_information_counts/*': Meaning('I_q(label; z) by counting states', 1),
  'mutual_information_p/*': Meaning('I_p(label; z): what z decides of the label that the classifier sees', 1),
  'label_entropy': Meaning('entropy of the labels: the most that codes can tell about them'),
  'labels': Meaning('how many labels there are'),
  'index_code_information/*': Meaning('I_q(x; z): what codes tell about which example they are of'),
  'marginal_kl/*': Meaning('KL(q(z) || p(z)) by the mixture of all posteriors: how far codes are from the prior', -1),
  'marginal_kl_ratio/*': Meaning('KL(q(z) || p(z)) by a density ratio: how far codes are from the prior', -1),
  'pca_explained/*': Meaning('share of the variance of codes that two principal components explain'),
  'pca_components/*': Meaning('principal components that explain nine tenths of the variance of codes'),
  'accuracy_bound_information/*': Meaning('no classifier of samples of q is right more often, by I(label; z)', 1),
  'accuracy_bound_rate/*': Meaning('no classifier of samples of q is right more often, by the rates', 1),
  'probe/*': Meaning('accuracy of a classifier of codes (samples of q), fitted on 80% of the split', 1),
  'probe_location/*': Meaning('accuracy of a classifier of the means of q, fitted on 80% of the split', 1),
  'probe_train/*': Meaning('accuracy of a classifier of codes (samples of q), fitted on the training split', 1),
  'probe_train_location/*': Meaning('accuracy of a classifier of the means of q, fitted on the training split', 1),
  'accuracy': Meaning('how often the classifier is right', 1),
  'cross_entropy': Meaning('-log of the probability that the classifier gives to the right label', -1),
  'task/accuracy': Meaning('how often what is drawn for a context is right', 1),
  'task/accuracy_turns': Meaning('how often what is drawn for a context is turned as it should be', 1),
  'task/accuracy_reconstruction': Meaning('how often reconstructions are right', 1),
  'task/accuracy_real': Meaning("how often the classifier finds the data's own right: what can be reached"),
  'task/chance': Meaning('how often a guess is right'),
  'reconstruction_accuracy/*': Meaning('how often the classifier sees the label in reconstructions', 1),
  'inception_score/*': Meaning('how distinct and how diverse what is generated looks to the classifier', 1),
  'fid/*': Meaning('Frechet distance of features of generated images from those of the data', -1),
  'constraint/*': Meaning('what was reached minus what was asked (cla, pncc: the other way round)'),
  'constraint_average/*': Meaning('moving average of the constraint, which its multiplier follows'),
  'threshold/*': Meaning('what was asked'),
  'multiplier/*': Meaning('the Lagrange multiplier of the constraint'),
  'beta/*': Meaning('the beta of the layer in effect: annealing included, or the one found for a target'),
  'beta_vae/*': Meaning('the beta-VAE that the constraint amounts to'),
  'gradient_norm': Meaning('global norm of the gradient before clipping'),
  'gradient_norm/*': Meaning("global norm of this player's gradient before clipping"),
  'relaxed/*': Meaning('the same at softened samples, which is no bound'),
  'selected_elbo/*': Meaning('units of the member with the highest ELBO on the segment'),
  'selected_entropies/*': Meaning('units of the member with the highest sum of entropies on the segment'),
  'largest_eigenvalue': Meaning("largest eigenvalue of the data's covariance"),
  'eigenvalue/*': Meaning("an eigenvalue of the data's covariance"),
  'spectral_radius': Meaning('of the linear map at the mean: above 1 it is no attractor'),
  'equipartition': Meaning('how far tiles are from equal masses, at the lowest temperature', -1),
  'error_lowest': Meaning('mean squared error at the lowest temperature', -1),
  'rate_lowest': Meaning('rate at the lowest temperature'),
  'critical_temperature/*': Meaning('temperature at which a point splits, T falling'),
  'critical_temperature_rising/*': Meaning('temperature at which points meet, T rising'),
  'hysteresis': Meaning('how far the ways down and up are apart in E', -1),
  'unfinished': Meaning('temperatures at which points still moved when their steps were over', -1),
  'zero/*': Meaning('where units of linear VAEs fall silent'),
  'linear_rate_gap': Meaning('largest distance of rates of linear VAEs from the theory', -1),
  'linear_units_wrong': Meaning('values of sigma^2 at which a linear VAE has another number of units', -1),
  'nonlinear_rate_gap': Meaning('largest distance of rates of nonlinear VAEs from the theory', -1),
  'nonlinear_units_wrong': Meaning('values of sigma^2 at which a nonlinear VAE has another number of units', -1),
}


def meaning(name: str) -> Meaning:
  """What a number of this name is; of one that is not known an empty text."""
  own = name.split('/')
  return next((found for pattern, found in MEANINGS.items() if _fits(own, pattern.split('/'))), Meaning(''))


def _fits(own, wanted):
  if len(own) < len(wanted) or (len(own) > len(wanted) and wanted[-1] != '*'):
    return False
  pairs = zip(own, wanted, strict=False)
  return all(b in ('*', a) or (b.endswith('*') and a.startswith(b[:-1])) for a, b in pairs)
