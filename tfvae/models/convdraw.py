"""Convolutional DRAW: a picture that is drawn in steps on a canvas (Gregor et al. 2016; Taming VAEs, section 4)."""

from typing import NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import LatentFamily, Likelihood
from tfvae.making import Make
from tfvae.models.context import Context
from tfvae.models.decoder import Decoder
from tfvae.models.hierarchy import Hierarchy
from tfvae.models.orders import TopDown
from tfvae.models.standardized import Standardized
from tfvae.models.state import fold, sizes, spread
from tfvae.models.wiring import after, join
from tfvae.nets.conv_lstm import ConvLstm
from tfvae.nets.heads import Head, Join
from tfvae.observation import Observation

tfd = tfp.distributions


class Drawing(NamedTuple):
  """h before a step: what the decoder remembers, and what it has drawn. N is the product of `lead`, 1 of ()."""

  hidden: tf.Tensor  # of the decoder's LSTM, [N, G, G, K]
  cell: tf.Tensor  # [N, G, G, K]
  canvas: tf.Tensor  # the sum of what was written, [N, H, W, C]
  lead: tuple[int, ...] = ()  # (S, B); before the first sample (1, B) where a context is told, () where none is

  def given(self, lead: tuple[int, ...]) -> 'Drawing':
    """The same for each of (S, B); what is one for all stays one."""
    return Drawing(*(_for_each(map_, self.lead, lead) for map_ in self[:3]), lead)


class Reading(NamedTuple):
  """What the encoder remembers before a step. N is the product of `lead`; before the first step 1, one for all."""

  hidden: tf.Tensor  # of its LSTM, [N, G, G, K]
  cell: tf.Tensor  # [N, G, G, K]
  lead: tuple[int, ...]  # (S, B), or (1, B) before the first sample

  def given(self, lead: tuple[int, ...]) -> 'Reading':
    """The same for each of (S, B)."""
    return Reading(*(_for_each(map_, self.lead, lead) for map_ in self[:2]), lead)


def _for_each(tensor, of, lead):
  """[N, ...] -> [N', ...]: what is there for each of `of` for each of `lead`."""
  return spread(tensor, lead[0]) if of and of[0] != lead[0] else tensor


def _count(tensor):
  """N of [N, ...]: a tensor where it is not known while a graph is made."""
  return tensor.shape[0] or tf.shape(tensor)[0]


class Canvas(Decoder):
  """p(x | h) of what has been drawn, and what draws: a net from a hidden map to what is added to the canvas.

  Args:
    net: from the hidden map.
    write: the linear map at its end, to [H, W, C].
    likelihood: of the canvas.
    standardized: as of `Decoder`.
  """

  def __init__(
    self, net: keras.layers.Layer, write: Head, likelihood: Likelihood, standardized: Standardized | None = None
  ):
    super().__init__(None, net, likelihood, standardized)
    self.write = write

  def features(self, h: Drawing):
    return h.canvas

  def stroke(self, hidden: tf.Tensor) -> tf.Tensor:
    """What a step adds: [N, H, W, C]."""
    return self.write(self.net(hidden))

  def error(self, x: tf.Tensor, h: Drawing) -> tf.Tensor:
    """x - E[x | h], [n, ...], of x [n, ...] in the units in which nets work; h of as many, or of one for all."""
    mean = self.likelihood.mean(self.likelihood(h.canvas, batch_shape=h.lead))
    return x - tf.cast(tf.reshape(mean, [-1, *mean.shape[len(h.lead) :]]), x.dtype)


class Generator(keras.layers.Layer):
  """What p(z_t | z_<t) and the drawing are made of, the same in all steps.

  Args:
    shape: of z_t.
    prior: (inputs, batch_shape) -> p(z_t | h).
    join: of z_t, to a map [G, G, .].
    look: a convolution from the canvas to a map [G, G, .].
    lstm: of the decoder.
    side: G.
    start: from the features of a context to hidden and cell before the first step, [G, G, 2 K]. None: they are learned.
  """

  def __init__(
    self,
    shape: tuple[int, ...],
    prior: keras.layers.Layer,
    join: Join,
    look: keras.layers.Layer,
    lstm: ConvLstm,
    side: int,
    start: Head | None,
    name: str,
  ):
    super().__init__(name=name)
    self.shape, self.side = tuple(shape), side
    self.prior, self.join, self.look, self.lstm, self.first = prior, join, look, lstm, start

  def build(self, input_shape=None):
    del input_shape
    if self.first is None:
      shape = (1, self.side, self.side, 2 * self.lstm.channels)
      self.learned = self.add_weight(shape=shape, initializer='zeros', name='start')
    self.built = True

  def begin(self, told: tf.Tensor | None, canvas: tuple[int, ...]) -> Drawing:
    """h before the first step, of the features of a context [B, .]; `canvas`: its shape."""
    if not self.built:
      with keras.name_scope(self.name):  # as calling the layer would do
        self.build()
    both = tf.convert_to_tensor(self.learned) if told is None else self.first(told)
    hidden, cell = tf.split(tf.cast(both, self.compute_dtype), 2, -1)
    lead = () if told is None else (1, *sizes(told, 1))
    return Drawing(hidden, cell, tf.zeros([_count(hidden), *canvas], self.variable_dtype), lead)

  def call(self, z: tf.Tensor, canvas: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The decoder's memory after z_t [N, ...]: hidden and cell."""
    return self.lstm([self.join([z]), self.look(canvas), hidden], cell)


class Recognition(keras.layers.Layer):
  """What q(z_t | z_<t, x) is made of, the same in all steps.

  Args:
    encoder: net from x and x - E[x | h], as one image.
    join: of its features, to a map [G, G, .].
    lstm: of the encoder.
    net, family: from its hidden map to q.
    side: G.
  """

  def __init__(
    self,
    encoder: keras.layers.Layer,
    join: Join,
    lstm: ConvLstm,
    net: keras.layers.Layer,
    family: LatentFamily,
    side: int,
    name: str,
  ):
    super().__init__(name=name)
    self.encoder, self.join, self.lstm, self.net, self.family, self.side = encoder, join, lstm, net, family, side
    self.built = True  # it has no weights of its own

  def begin(self, x: tf.Tensor) -> Reading:
    """The encoder's memory before the first step, of x [B, ...]: zeros, one for all."""
    zeros = tf.zeros([1, self.side, self.side, self.lstm.channels], self.compute_dtype)
    return Reading(zeros, zeros, (1, *sizes(x, 1)))

  def call(self, x: tf.Tensor, error: tf.Tensor, drawn: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor):
    """Its memory in a step, hidden and cell, of x and its error [N, ...], and of the decoder's hidden map `drawn`."""
    return self.lstm([self.join([self.encoder(tf.concat([x, error], -1))]), drawn, hidden], cell)

  def posterior(self, reading: Reading) -> tfd.Distribution:
    """q(z_t | z_<t, x)."""
    return self.family(self.net(reading.hidden), batch_shape=reading.lead)


class Step:
  """The layer of one step: z_t with q(z_t | z_<t, x) and p(z_t | z_<t). Its weights are those of all steps.

  Attributes:
    name: <section>/<t>, t from 1.
    shape: of z_t.
    family, prior: as of a `LatentLayer`.
  """

  def __init__(self, name: str, generator: Generator, recognition: Recognition, canvas: Canvas):
    self.name, self.shape = name, generator.shape
    self.family, self.prior = recognition.family, generator.prior
    self._generator, self._recognition, self._canvas = generator, recognition, canvas

  def conditional(self, h: Drawing) -> tfd.Distribution:
    """p(z_t | h): the batch shape is h's."""
    return self.prior([h.hidden], batch_shape=h.lead)

  def read(self, h: Drawing, reading: Reading | None, x: tf.Tensor) -> Reading:
    """The encoder's memory in this step of x [B, ...]; `reading`: that of the step before, None of the first."""
    reading = reading or self._recognition.begin(x)
    reading = reading.given(h.lead or reading.lead)
    x = spread(x, reading.lead[0])
    state = self._recognition(x, self._canvas.error(x, h), h.hidden, reading.hidden, reading.cell)
    return Reading(*state, reading.lead)

  def posterior(self, reading: Reading) -> tfd.Distribution:
    """q(z_t | h, x): batch shape [S, B], or [1, B] before the first sample."""
    return self._recognition.posterior(reading)

  def advance(self, h: Drawing, z: tf.Tensor) -> Drawing:
    """h after z_t, [S, B, ...]: remembered, and drawn."""
    h = h.given(sizes(z, 2))
    hidden, cell = self._generator(fold(z), h.canvas, h.hidden, h.cell)
    return Drawing(hidden, cell, h.canvas + self._canvas.stroke(hidden), h.lead)


class Recurrent(TopDown):
  """From the first step to the last; what the encoder remembers of x goes from one to the next."""

  def infer(self, layers, start, x, choose):
    h, reading, z, q, p = start, None, {}, {}, {}
    for layer in layers:
      p[layer.name] = layer.conditional(h)
      reading = layer.read(h, reading, x)
      q[layer.name] = layer.posterior(reading)
      z[layer.name] = choose(layer, q[layer.name])
      h = layer.advance(h, z[layer.name])
    return z, q, p, h


class ConvDraw(Hierarchy):
  """p(x, z | c) = p(z_1 | c) ... p(z_T | z_<T, c) p(x | z, c), with q(z | x, c) in the same order.

  With e the encoder's LSTM, d the decoder's, r the canvas, and h what is known before step t:

      e_t = LSTM(x, x - E[x | r_t-1], d_t-1; e_t-1)       q(z_t | z_<t, x) of e_t,  p(z_t | z_<t) of d_t-1
      d_t = LSTM(z_t, r_t-1; d_t-1)                       r_t = r_t-1 + W(d_t)

  and p(x | z) of r_T (Gregor et al. 2016, section 2.2; their two layers of latents in a step are one here). A context
  is in d_0, from which all else follows. The weights are the same in all steps, each of which is a layer, z/1, ...,
  z/T; what is said of the section z is of them together.

  The steps are unrolled, which up to eight is faster than a loop, and at sixteen slower by 5% (docs/benchmarks.md).
  """

  def __init__(
    self,
    section: str,
    num_steps: int,
    generator: Generator,
    recognition: Recognition,
    canvas: Canvas,
    observation: Observation,
    context: Context | None = None,
  ):
    steps = [Step(f'{section}/{t}', generator, recognition, canvas) for t in range(1, num_steps + 1)]
    super().__init__(steps, canvas, observation, Recurrent(), False, context)
    self.generator, self.recognition = generator, recognition

  @property
  def generative(self):
    return [self.decoder, self.generator, *([self.context] if self.context else [])]

  @property
  def _how(self):
    return f'{len(self.latents)} step{"s" * (len(self.latents) > 1)}'

  def start(self, context):
    told = super().start(context).told
    return self.generator.begin(told, self.decoder.write.shape)

  def drawings(self, z: dict[str, tf.Tensor], context: tf.Tensor | None = None) -> list[tf.Tensor]:
    """E[x | z_<=t] of each step, T times [S, B, ...]: what the canvas shows, from {layer: [S, B, ...]} of all."""
    h, found = self.start(context), []
    for layer in self.latents:
      h = layer.advance(h, z[layer.name])
      found.append(self.decoder.likelihood.mean(self.decoder.given(h)))
    return found

  @classmethod
  def from_spec(cls, spec, observation: Observation, make: Make) -> 'ConvDraw':
    """That of a spec for such images. `make` builds nets, families and priors by name."""
    (name,) = spec.model.layers
    section, side = spec.model[name], observation.shape[0]
    grid = section.join_grid or section.grid
    context = Context.from_spec(spec.model.context, observation.context, make)
    canvas = _canvas(spec, section.canvas, observation, make)
    lstm = lambda of: ConvLstm(section.lstm, section.lstm_kernel, name=f'{name}_{of}_lstm')
    generator = Generator(
      make.latent_shape(section),
      _prior(section, name, make),
      Join(grid, section.lstm, f'{name}_join'),
      keras.layers.Conv2D(section.canvas, side // grid, side // grid, padding='valid', name=f'{name}_look'),
      lstm('decoder'),
      grid,
      Head((grid, grid, 2 * section.lstm), name=f'{name}_start') if context else None,
      f'{name}_generator',
    )
    posterior = make.net(section.posterior, section.grid, f'{name}_posterior')
    recognition = Recognition(
      make.net(section.encoder, grid, f'{name}_encoder', head=False),
      Join(grid, section.lstm, f'{name}_x_join'),
      lstm('encoder'),
      posterior,
      after(posterior, make.posterior(section, f'{name}_q', section.posterior.kernel)),
      grid,
      f'{name}_recognition',
    )
    return cls(name, section.steps, generator, recognition, canvas, observation, context)


def _canvas(spec, channels: int, observation: Observation, make: Make) -> Canvas:
  height, width, _ = observation.shape
  net = make.net(spec.decoder.net, height, 'decoder_net')
  write = Head((height, width, channels), spec.decoder.net.kernel, name='decoder_write')
  write.split = net.split
  likelihood = make.likelihood(spec.decoder, observation, 'likelihood')
  return Canvas(net, write, likelihood, Standardized(observation.shape) if spec.model.standardize else None)


def _prior(section, name: str, make: Make):
  net = make.net(section.prior, section.grid, f'{name}_prior_net')
  family = after(net, make.family(section, f'{name}_p', section.prior.kernel))
  return make.conditional_prior(
    join(section.prior, section.join_grid or section.grid, f'{name}_prior_join'), net, family, f'{name}_prior'
  )
