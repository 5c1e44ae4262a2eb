"""How near reconstructions are to the data."""

import math

import tensorflow as tf

from tfvae.analysis.evaluator import Found, TraceEvaluator, with_errors


class Reconstruction(TraceEvaluator):
  """mse, and of images psnr and ssim, of E[x | z] at z ~ q(z | x), averaged over the samples and the split.

  mse: mean over the dimensions of (x - E[x | z])^2, in the units of the scaled data.
  psnr: 10 log10(range^2 / mse) of each image, in dB; range is that of the training data.
  ssim: structural similarity (Wang et al. 2004) by TensorFlow, Gaussian windows of 11 x 11 pixels (of the image's side
  where it is smaller) with a standard deviation of 1.5.
  Each with its standard error by the spread of the examples: mse_standard_error, ...
  """

  name = 'reconstruction'
  spread = ('mse', 'psnr', 'ssim')

  def per_example(self, model, trace, split, batch):
    low, high = split.source.value_range
    loc = trace.mean
    x = tf.broadcast_to(trace.target, loc.shape)
    mse = tf.reduce_mean(tf.square(x - loc), list(range(2, loc.shape.rank)))
    found = {'mse': mse}
    if len(model.shape) == 3:
      found['psnr'] = -10 / math.log(10) * tf.math.log(tf.maximum(mse, 1e-20) / (high - low) ** 2)
      found['ssim'] = tf.image.ssim(x, loc, high - low, filter_size=min(11, *model.shape[:2]))
    return {name: tf.reduce_mean(value, 0) for name, value in found.items()}

  def finish(self, means, model, split):
    return Found(with_errors(means), {})
