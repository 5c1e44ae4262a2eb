"""Collapse as a phase transition: the units of a VAE fall silent, one by one, as the decoder's variance grows.

The loss of an example is E_q |x - g(z)|^2 / (2 sigma^2) + D/2 log(2 pi sigma^2) + beta KL(q || N(0, I)), where sigma^2
is held fixed. Times sigma^2, and but for a constant, it is 1/2 E_q |x - g(z)|^2 + T KL with T = beta sigma^2: the
optimum, with its rates and its error, depends on sigma^2 and beta through T alone.

Linear VAE: p(x | z) = N(W z + mean, sigma^2 I), q(z | x) = N(V (x - mean), diag(tau^2)). With l_i the eigenvalues of
the data's covariance, from the largest, unit i of the optimum carries information iff T < l_i; then |W_i|^2 = l_i - T,
its rate is 1/2 log(l_i / T) and tau_i^2 = T / l_i (Lucas et al. 2019 for beta = 1, where T is sigma^2).
With any decoder, T above the largest eigenvalue leaves the silent solution stable (arXiv 2510.01621).
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfvae import noise
from tfvae.theory import ppca


class Spectrum(NamedTuple):
  """The optimum of a linear VAE of H units at S variances."""

  gram: np.ndarray  # eigenvalues of W^T W from the largest, max(l_i - T, 0), [S, H]
  rates: np.ndarray  # max(1/2 log(l_i / T), 0) in nats, [S, H]
  error: np.ndarray  # E |x - W z|^2 = sum_{i <= H} min(l_i, T) + sum_{i > H} l_i, [S]


class Fit(NamedTuple):
  """A VAE of H units trained at each of S variances. Units are in the order of their rates, from the largest."""

  variances: np.ndarray  # sigma^2, [S]
  rates: np.ndarray  # KL(q || prior) of each unit, the mean over the data, in nats, [S, H]
  error: np.ndarray  # the mean of E_q |x - g(z)|^2, [S]
  gram: np.ndarray | None  # eigenvalues of W^T W from the largest, [S, H]; None of a decoder that is not linear


def closed_form(eigenvalues: np.ndarray, variances: np.ndarray, latents: int, beta: float = 1.0) -> Spectrum:
  """What a linear VAE attains at its optimum.

  Args:
    eigenvalues: l of the data's covariance, from the largest, [D]: `ppca.spectrum`.
    variances: sigma^2, [S].
    latents: H, at most D.

  Raises ValueError: no variances, one that is not above 0, a beta that is not, or more units than dimensions.
  """
  variances, beta = _swept(variances, beta)
  values = np.asarray(eigenvalues, np.float64)
  _check_units(latents, len(values))
  t = beta * variances[:, None]
  kept = np.maximum(values[:latents], t)  # l_i, or T where the unit is silent
  return Spectrum(kept - t, 0.5 * np.log(kept / t), np.minimum(values[:latents], t).sum(-1) + values[latents:].sum())


def fit_linear(
  covariance: np.ndarray,
  variances: np.ndarray,
  latents: int,
  *,
  beta: float = 1.0,
  seed: int = 0,
  steps: int = 20_000,
  learning_rate: float = 0.03,
) -> Fit:
  """Linear VAEs by gradient descent, all variances in one compiled program, in float64.

  The expectations over the data and over q are in closed form, by a root of the covariance alone, C = R R^T:
  E |x - W z|^2 = |R - W V R|^2 + sum_i tau_i^2 |W_i|^2 and KL_i = 1/2 (tau_i^2 + |V_i R|^2 - 1 - log tau_i^2). What
  descends last is a turn of units among themselves, that of eigenvalues which are close.

  Args:
    covariance: C of the data, [D, D].
    variances: sigma^2, [S].
    latents: H.
    seed: of the weights at the start, alike for all variances.
    steps, learning_rate: of Adam, whose rate falls to 0 as a cosine.

  Raises as `closed_form`, and ValueError where the covariance is 0.
  """
  variances, beta = _swept(variances, beta)
  _check_units(latents, len(covariance))
  values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
  if not values[-1] > 0:
    raise ValueError('the data do not vary: their covariance is 0')
  root = tf.constant(vectors * np.sqrt(np.maximum(values, 0)))
  dims, count = len(covariance), len(variances)
  sigma2 = tf.constant(variances)
  spread = float(np.sqrt(np.trace(covariance) / dims))
  draws = noise.stateless(seed, 0)
  start = [
    0.1 * spread * draws.normal('collapse/W', [dims, latents], dtype='float64'),
    0.1 / spread * draws.normal('collapse/V', [latents, dims], dtype='float64'),
    tf.zeros([latents], tf.float64),
  ]

  def parts(w, v, log_tau):
    """Errors [S] and rates [S, H]."""
    tau2 = tf.exp(2 * log_tau)
    mean = v @ root
    error = tf.reduce_sum((root - w @ mean) ** 2, (1, 2)) + tf.reduce_sum(tau2 * tf.reduce_sum(w**2, 1), -1)
    return error, 0.5 * (tau2 + tf.reduce_sum(mean**2, -1) - 1 - 2 * log_tau)

  def loss(variables, _):
    error, rates = parts(*variables)
    return error / (2 * sigma2) + beta * tf.reduce_sum(rates, -1)

  found = _descend(loss, [tf.repeat(value[None], count, 0) for value in start], steps, learning_rate)
  error, rates = (value.numpy() for value in parts(*found))
  gram = np.linalg.svd(found[0].numpy(), compute_uv=False)[:, :latents] ** 2
  return Fit(variances, -np.sort(-rates), error, gram)


def fit_nonlinear(
  data: np.ndarray,
  variances: np.ndarray,
  latents: int,
  *,
  hidden: int = 32,
  beta: float = 1.0,
  seed: int = 0,
  steps: int = 3000,
  batch_size: int = 200,
  learning_rate: float = 0.01,
) -> Fit:
  """VAEs with one hidden layer of tanh in encoder and decoder, all variances in one compiled program, in float32.

  q(z | x) = N(m(x), diag(tau(x)^2)). A stack of nets of one shape, a member for each variance, that begin with the same
  weights and see the same batches and the same samples of q, one for each example: what differs between members is
  sigma^2 alone. Rates and error at the end are means over all the data, the error of 16 samples each.

  Args:
    data: [N, D]; centred here, and best of columns that spread by about 1.
    variances: sigma^2, [S].
    latents: H.
    hidden: units of the hidden layers.
    seed: of the weights, batches and samples.
    steps, learning_rate: of Adam, whose rate falls to 0 as a cosine.
    batch_size: examples in a step, drawn with replacement.

  Raises as `closed_form`, but for the number of units.
  """
  variances, beta = _swept(variances, beta)
  x = tf.constant(np.asarray(data) - np.mean(data, 0), tf.float32)
  rows, dims = x.shape
  sigma2, count = tf.constant(variances, tf.float32), len(variances)
  sizes = [(dims, hidden), (hidden, 2 * latents), (latents, hidden), (hidden, dims)]
  start = []
  for number, (fan_in, fan_out) in enumerate(sizes):
    kernel = noise.stateless(seed, 0).normal(f'collapse/kernel {number}', [fan_in, fan_out])
    start += [kernel / np.sqrt(fan_in, dtype=np.float32), tf.zeros([1, fan_out])]

  def parts(variables, x, draws):
    """Errors [S, B] and rates [S, B, H]."""
    w1, b1, w2, b2, w3, b3, w4, b4 = variables
    mean, log_tau = tf.split(tf.tanh(x @ w1 + b1) @ w2 + b2, 2, -1)
    tau = tf.exp(log_tau)
    z = mean + tau * draws.normal('collapse/z', [x.shape[0], latents])
    error = tf.reduce_sum((x - tf.tanh(z @ w3 + b3) @ w4 - b4) ** 2, -1)
    return error, 0.5 * (tau**2 + mean**2 - 1 - 2 * log_tau)

  def loss(variables, step):
    draws = noise.stateless(seed, step)
    picked = tf.cast(draws.uniform('collapse/batch', [batch_size]) * rows, tf.int32)
    error, rates = parts(variables, tf.gather(x, picked), draws)
    return tf.reduce_mean(error / (2 * sigma2[:, None]) + beta * tf.reduce_sum(rates, -1), -1)

  found = _descend(loss, [tf.repeat(value[None], count, 0) for value in start], steps, learning_rate)
  error, rates = parts(found, tf.repeat(x, 16, 0), noise.stateless(seed, steps))
  rates = tf.reduce_mean(rates, 1).numpy().astype(np.float64)
  return Fit(variances, -np.sort(-rates), tf.reduce_mean(error, 1).numpy().astype(np.float64), None)


def zeros(variances: np.ndarray, gram: np.ndarray, least: float = 0.05) -> np.ndarray:
  """Where the lines through each unit's |W_i|^2 over sigma^2 reach 0: [H], nan with less than two values to go by.

  Lines are fitted (least squares) to the values of at least `least` times the largest one of the unit, as below that
  what is left of a unit falls silent slower than any training lasts. By the theory they end at l_i / beta.
  """
  ends = []
  for values in np.asarray(gram).T:
    used = values >= least * values.max()
    line = np.polyfit(np.asarray(variances)[used], values[used], 1) if used.sum() > 1 else (np.nan, np.nan)
    ends.append(-line[1] / line[0])
  return np.array(ends)


def arrays(
  data: np.ndarray, latents: int, beta: float = 1.0, linear: Fit | None = None, nonlinear: Fit | None = None
) -> dict[str, np.ndarray]:
  """What there is to keep and to draw of fits, by names.

  eigenvalues [D], beta, and of each fit '<fit>.variances' [S], '<fit>.rates' [S, H], '<fit>.error' [S], of the linear
  one 'linear.gram' [S, H] and 'linear.zeros' [H]; the theory at 400 variances between the ends of all those:
  'theory.variances', 'theory.rates', 'theory.gram', 'theory.error'.
  """
  fits = {name: fit for name, fit in (('linear', linear), ('nonlinear', nonlinear)) if fit is not None}
  found = {'eigenvalues': ppca.spectrum(np.asarray(data)), 'beta': np.array(beta)}
  for name, fit in fits.items():
    found |= {f'{name}.{part}': value for part, value in fit._asdict().items() if value is not None}
  if linear is not None:
    found['linear.zeros'] = zeros(linear.variances, linear.gram)
  swept = np.concatenate([fit.variances for fit in fits.values()])
  lines = np.geomspace(swept.min(), swept.max(), 400)
  theory = closed_form(found['eigenvalues'], lines, min(latents, len(found['eigenvalues'])), beta)
  return found | {'theory.variances': lines} | {f'theory.{part}': value for part, value in theory._asdict().items()}


def _descend(loss, start, steps, learning_rate):
  """The variables [S, ...] after Adam's steps down loss(variables, step) -> [S], each member along its own gradient."""
  variables = [keras.Variable(value, dtype=value.dtype.name) for value in start]
  optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps))
  optimizer.build(variables)

  @tf.function(autograph=False)
  def run():
    def step(number):
      with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss([tf.convert_to_tensor(variable) for variable in variables], number))
      values = [variable.value for variable in variables]
      optimizer.apply(tape.gradient(total, values), variables)
      return (number + 1,)

    tf.while_loop(lambda number: number < steps, step, (tf.constant(0),))

  run()
  return [tf.convert_to_tensor(variable) for variable in variables]


def _check_units(latents, dims):
  if not 0 < latents <= dims:
    raise ValueError(f'a linear VAE of data of {dims} dimensions has 1 to {dims} units, got {latents}')


def _swept(variances, beta):
  variances = np.asarray(variances, np.float64).reshape(-1)
  if not variances.size:
    raise ValueError('the sweep is empty: give one variance or more')
  for name, values in (('variances', variances), ('beta', np.array([beta], np.float64))):
    wrong = values[~((values > 0) & np.isfinite(values))]
    if wrong.size:
      raise ValueError(f'{name} must be finite and above 0, got {wrong[0]:g}')
  return variances, float(beta)
