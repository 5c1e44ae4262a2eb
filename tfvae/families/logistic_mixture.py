"""The discretised mixture of logistics: exact probabilities of the levels of grey and colour images."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import Likelihood
from tfvae.making import Make
from tfvae.nets.heads import Head
from tfvae.noise import Noise
from tfvae.observation import Observation

tfd = tfp.distributions
LOG_SCALES = (-7.0, 7.0)  # hard limits: -7 as published; 7, where every bin is flat, so that no width underflows
CHANNELS = (1, 3)


class DiscretizedLogistics(tfd.Distribution):
  """P(x) of images whose pixels are independent, each a mixture of K components that its channels share.

  On y = -1, ..., 1, black to white in L levels 2 / (L - 1) apart, component k of channel c is a logistic distribution
  with the scale s_ck, integrated over the bin of a level, half a level to both sides; the bins of black and white have
  the tails, too. Its location is m_ck, and in colour m_gk + a_k y_r for green and m_bk + b_k y_r + c_k y_g for blue:

    P(y) = sum_k pi_k prod_c [F((y_c + 1 / (L - 1) - loc_ck) / s_ck) - F((y_c - 1 / (L - 1) - loc_ck) / s_ck)],

  F(t) = 1 / (1 + exp(-t)) (Salimans et al. 2017, section 2.1 and 2.2). As there, a_k, b_k, c_k are tanh of what a net
  gives, and log s_ck >= -7; here also <= 7. A bin's log-probability is computed as log F(upper) + log F(-lower) +
  log(1 - exp(lower - upper)), accurate and of finite gradient however improbable it is; neighbouring bins have the same
  numbers for the edge between them, so that the probabilities add up to 1.

  Args:
    raw: what a head gives, [*batch, H, W, `parameters_of_pixel(C, K)`]: for each of them K numbers, logits of pi;
      m of each channel; log s of each channel; in colour a, b, c before tanh.
    components: K.
    observation: L, and the values of black and white: x is low + (y + 1) (high - low) / 2.
  """

  def __init__(self, raw: tf.Tensor, components: int, observation: Observation, name: str = 'DiscretizedLogistics'):
    parameters = dict(locals())
    self._raw, self._observation = raw, observation
    channels = observation.shape[-1]
    # One tensor for each channel: views of one for all of them, and their gradients, cost three times as much.
    parts = tf.split(raw, [components] * (raw.shape[-1] // components), axis=-1)
    self.logits, *parts = parts
    self.locs, parts = parts[:channels], parts[channels:]
    self.log_scales = [tf.clip_by_value(part, *LOG_SCALES) for part in parts[:channels]]
    self.coefficients = [tf.tanh(part) for part in parts[channels:]]
    self._half = (observation.levels - 1) / 2  # levels to a unit of y
    super().__init__(
      dtype=raw.dtype,
      reparameterization_type=tfd.NOT_REPARAMETERIZED,
      validate_args=False,
      allow_nan_stats=True,
      parameters=parameters,
      name=name,
    )

  def _batch_shape(self):
    return self._raw.shape[:-3]

  def _batch_shape_tensor(self):
    return tf.shape(self._raw)[:-3]

  def _event_shape(self):
    return tf.TensorShape(self._observation.shape)

  def _event_shape_tensor(self):
    return tf.constant(self._observation.shape)

  def loc(self, channel: int, before: list[tf.Tensor]) -> tf.Tensor:
    """The locations of a channel's components, [..., K], given y of the channels before it, [..., 1] or [..., K]."""
    first = channel * (channel - 1) // 2
    return self.locs[channel] + sum(self.coefficients[first + i] * y for i, y in enumerate(before))

  def _level_log_prob(self, channel, level, before):
    """log-probability of a level [..., 1] under each component, [..., K]."""
    # In units of levels: edges are whole numbers and a half, the same to the bit for the bins that they part.
    loc = (self.loc(channel, before) + 1) * self._half
    width = tf.exp(-self.log_scales[channel]) / self._half  # of a bin, in scales
    lower, upper = (level - 0.5 - loc) * width, (level + 0.5 - loc) * width
    has_lower, has_upper = (tf.cast(inner, width.dtype) for inner in (level > 0.5, level < 2 * self._half - 0.5))
    inside = has_lower * has_upper * tf.math.log(-tf.math.expm1(-width))
    return inside - has_upper * tf.nn.softplus(-upper) - has_lower * tf.nn.softplus(lower)

  def _log_prob(self, x):
    low, last = self._observation.low, 2 * self._half
    levels = tf.clip_by_value(tf.round((x - low) / self._observation.step), 0.0, last)
    log_probs, before = self.logits, []
    for channel, level in enumerate(tf.split(levels, len(self.locs), axis=-1)):
      log_probs += self._level_log_prob(channel, level, before)
      before.append(self._y(level))
    pixels = tf.reduce_logsumexp(log_probs, axis=-1) - tf.reduce_logsumexp(self.logits, axis=-1)
    return tf.reduce_sum(pixels, axis=[-2, -1])

  def _y(self, level):
    return level / self._half - 1

  def _x(self, channels):
    """The image of its channels y, [..., H, W] each."""
    low, high = self._observation.low, self._observation.high
    return low + (tf.stack(channels, axis=-1) + 1) * ((high - low) / 2)

  def _mean(self):
    """sum_k pi_k E[clip(X_ck)], X_ck before it is rounded, clipped to [-1, 1]; see `LogisticMixture.mean`."""
    weights, means = tf.nn.softmax(self.logits), []
    for channel, log_scale in enumerate(self.log_scales):
      loc, scale = self.loc(channel, means), tf.exp(log_scale)
      black, white = (tf.nn.softplus((loc - end) / scale) for end in (-1, 1))
      means.append(scale * (black - white) - 1)
    return self._x([tf.reduce_sum(weights * mean, axis=-1) for mean in means])

  def _mode(self):
    log_weights, before = self.logits, []
    for channel in range(len(self.locs)):
      level = self._likeliest(channel, tf.nn.softmax(log_weights), before)[..., None]
      log_weights += self._level_log_prob(channel, level, before)
      before.append(self._y(level))
    return self._x([y[..., 0] for y in before])

  def _likeliest(self, channel, weights, before):
    """The most probable level of a channel, [...]: one after the other is looked at, so that memory does not grow."""
    loc, scale = (self.loc(channel, before) + 1) * self._half, tf.exp(self.log_scales[channel]) * self._half
    count = self._observation.levels
    zeros = tf.zeros_like(weights + loc)

    def look(level, below, best, found):
      edge = tf.where(level < count - 1, tf.sigmoid((level + 0.5 - loc) / scale), tf.ones_like(loc))
      prob = tf.reduce_sum(weights * (edge - below), axis=-1)
      return level + 1, edge, tf.maximum(prob, best), tf.where(prob > best, level, found)

    start = (tf.zeros([], zeros.dtype), zeros, zeros[..., 0] - 1, zeros[..., 0])
    *_, found = tf.while_loop(lambda level, *_: level < count, look, start, parallel_iterations=1)
    return found

  def draw(self, which: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """x [..., *shape] of uniform numbers in [0, 1): `which` [..., H, W] of the component, the other [..., *shape]."""
    ends = tf.cumsum(tf.nn.softmax(self.logits), axis=-1)[..., :-1]
    chosen = tf.reduce_sum(tf.cast(which[..., None] >= ends, tf.int32), axis=-1)
    one_hot = tf.one_hot(chosen, self.logits.shape[-1], dtype=self.dtype)
    uniform = tf.maximum(uniform, 2.0**-24)  # 0 would be black for certain
    logistic, channels = tf.math.log(uniform) - tf.math.log1p(-uniform), []
    for channel, log_scale in enumerate(self.log_scales):
      loc, scale = self.loc(channel, [y[..., None] for y in channels]), tf.exp(log_scale)
      loc, scale = (tf.reduce_sum(one_hot * of, axis=-1) for of in (loc, scale))
      level = tf.round((loc + 1 + scale * logistic[..., channel]) * self._half)
      channels.append(self._y(tf.clip_by_value(level, 0.0, 2 * self._half)))
    return self._x(channels)

  def mean_scale(self) -> tf.Tensor:
    """sum_k pi_k s_ck, averaged over pixels and channels, in units of x: [*batch]."""
    scale = tf.add_n([tf.exp(log_scale) for log_scale in self.log_scales]) / len(self.log_scales)
    pixels = tf.reduce_sum(tf.nn.softmax(self.logits) * scale, axis=-1)
    return tf.reduce_mean(pixels, axis=[-2, -1]) * (self._observation.high - self._observation.low) / 2


def parameters_of_pixel(channels: int, components: int) -> int:
  """Numbers that describe a pixel's distribution."""
  return components * (1 + 2 * channels + channels * (channels - 1) // 2)


class LogisticMixture(Likelihood):
  """p(x | z) = prod over pixels of a discretised mixture of logistics (`DiscretizedLogistics`), for discrete images.

  log p(x | z) is the log-probability of the levels of x, at most 0: nothing is dequantised.

  Args:
    observation: of grey or RGB images with levels.
    components: K, of each pixel.
    kernel, head_kernel: as of `Head`.
  """

  mass = True

  def __init__(
    self,
    observation: Observation,
    components: int = 10,
    kernel: int = 3,
    head_kernel: int = 1,
    name: str | None = None,
  ):
    super().__init__(observation, name=name)
    height, width, channels = self.shape
    if channels not in CHANNELS or not observation.levels:
      raise ValueError(f'{observation}: a mixture of logistics is for grey or RGB images with levels')
    self.components = components
    outputs = (height, width, parameters_of_pixel(channels, components))
    self.head = Head(outputs, kernel, head_kernel, name='head')

  def call(self, features, batch_shape):
    return DiscretizedLogistics(self.unfold(self.head(features), batch_shape), self.components, self.observation)

  def sample(self, px, noise: Noise, name: str, lead):
    """Exact: a component by the inverse of its distribution function, then channel by channel a logistic, rounded."""
    which = noise.uniform(f'{name}/component', (*lead, *self.shape[:-1]), batch_axis=1, dtype=px.dtype)
    uniform = noise.uniform(name, (*lead, *self.shape), batch_axis=1, dtype=px.dtype)
    return tf.stop_gradient(px.draw(which, uniform))

  def mean(self, px):
    """E[x | z], [S, B, *shape], in closed form but for two things.

    Each component's logistic counts as clipped to [black, white], not as rounded to levels: E clip(X) = a +
    s (softplus((m - a) / s) - softplus((m - b) / s)), which differs from the mean of the levels by at most half a level
    (by about a hundredth where s is a level or more). And in colour a component's channels are taken in turn, each
    given that component's means of those before: exact for grey images and for red; for green and blue wherever the
    clipping plays no part, as locations are linear in the channels before.
    """
    return super().mean(px)

  def mode(self, px):
    """The most probable level of each channel given the modes of those before it, [S, B, *shape].

    Of a grey image the most probable one; in colour not always the most probable triple.
    """
    return super().mode(px)

  def entropy(self, px):
    """None: it has no closed form."""
    del px

  def parameters(self, px):
    """On the scale of y, from -1 to 1: logits [S, B, H, W, K]; loc and scale [S, B, H, W, C, K]; in colour also
    coefficients [S, B, H, W, 3, K]: of red in green, of red in blue, of green in blue.
    """
    stacked = {'loc': px.locs, 'scale': [tf.exp(value) for value in px.log_scales], 'coefficients': px.coefficients}
    return {'logits': px.logits} | {name: tf.stack(parts, axis=-2) for name, parts in stacked.items() if parts}

  def diagnostics(self, px):
    """scale [S, B]: the components' mean scale, weighted by their probabilities, in units of x."""
    return {'scale': px.mean_scale()}

  @classmethod
  def from_section(cls, section, observation, make: Make, name: str):
    del make
    return cls(observation, section.components, section.net.kernel, section.head_kernel, name=name)
