"""The exact likelihood of a linear VAE, and the largest that there is."""

import numpy as np
import tensorflow as tf

from tfvae.analysis.evaluator import Found, TraceEvaluator, masked_sum
from tfvae.data import synthetic
from tfvae.theory import ppca


class Ppca(TraceEvaluator):
  """The likelihood of a linear VAE beside probabilistic PCA's, in nats per example.

  exact_log_likelihood: log N(x; b, W diag(alpha^2) W^T + diag(sigma^2)) of the split, by the model's weights.
  ppca_log_likelihood: the largest that a linear model with one sigma has on this split (`theory.ppca`).
  elbo_minus_exact: what the encoder lacks, <= 0. elbo_minus_ppca: the distance to the optimum; on the training split
  <= 0 but for models with a sigma for each dimension (they may explain more).
  true_log_likelihood: of the split under what made it, where that is known: `pca`, by W, mu and the noise.
  """

  name = 'ppca'

  def sums(self, model, trace, split, batch):
    # Around the decoder's offset, so that no digits are lost where the data are far from 0.
    offset = self._at(model, tf.zeros_like)[0][0]
    x = tf.reshape(trace.x, [trace.x.shape[0], -1]) - offset
    mask = batch['mask']
    weighted = x * tf.cast(mask, x.dtype)[:, None]
    return {
      'elbo': masked_sum(trace.terms()['elbo'], mask),
      'x': tf.reduce_sum(weighted, 0),
      'outer': tf.matmul(weighted, x, transpose_a=True),
    }

  @staticmethod
  def _at(model, points):
    """E[x | z] [H, D] and the decoder's standard deviation [D] at points(I) of z, I the unit matrix."""
    (layer,) = model.layer_names
    units = model.latents[0].shape[0]
    identity = tf.eye(units, dtype=model.latents[0].prior.dtype)
    px = model.decode({layer: points(identity)[None]})
    likelihood = model.decoder.likelihood
    return tf.reshape(likelihood.mean(px), [units, -1]), tf.reshape(likelihood.parameters(px)['scale'], [units, -1])[0]

  def finish(self, means, model, split):
    ends, sigma = (value.numpy().astype(np.float64) for value in self._at(model, tf.identity))
    offset = self._at(model, tf.zeros_like)[0][0].numpy().astype(np.float64)
    weights = (ends - offset).T  # [D, H]
    alpha = model.latents[0].prior.alpha().numpy().astype(np.float64)
    covariance = means['outer'] - np.outer(means['x'], means['x'])
    model_covariance = (weights * alpha**2) @ weights.T + np.diag(sigma**2)
    exact = ppca.gaussian_log_likelihood(means['x'], covariance, model_covariance)
    largest = ppca.log_likelihood(covariance, len(alpha))
    elbo = float(means['elbo'])
    numbers = {
      'exact_log_likelihood': exact,
      'ppca_log_likelihood': largest,
      'elbo_minus_exact': elbo - exact,
      'elbo_minus_ppca': elbo - largest,
      **self._truth(split, means['x'] + offset, covariance),
    }
    return Found(numbers, {'weights': weights, 'sigma': sigma, 'alpha': alpha})

  @staticmethod
  def _truth(split, mean, covariance):
    """true_log_likelihood, given the split's mean [D] and covariance [D, D]."""
    section, scaling = split.spec.data, split.source.dataset.summary['scaling']
    if section.name != 'pca':
      return {}
    weights, offset = synthetic.linear_model(section)
    width = np.broadcast_to(np.asarray(scaling['width'], np.float64), offset.shape)
    weights, offset = weights / width[:, None], (offset - scaling['center']) / width
    true_covariance = weights @ weights.T + np.diag((section.noise / width) ** 2)
    return {'true_log_likelihood': ppca.gaussian_log_likelihood(mean - offset, covariance, true_covariance)}
