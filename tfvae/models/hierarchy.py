"""Hierarchies of latent layers of any depth. A single-layer VAE is a hierarchy of length one."""

from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import LatentFamily
from tfvae.making import Make
from tfvae.models import wiring
from tfvae.models.context import Context
from tfvae.models.decoder import Decoder
from tfvae.models.latent import LatentLayer
from tfvae.models.orders import Order
from tfvae.models.standardized import Standardized
from tfvae.models.state import State
from tfvae.models.trace import Trace, section
from tfvae.nets.heads import density_dtype
from tfvae.noise import Noise, cubature
from tfvae.observation import Observation

tfd = tfp.distributions


class Hierarchy(keras.Model):
  """p(x, z | c) = p(z_L | c) ... p(z_1 | z_>1, c) p(x | z, c), with q(z | x, c) in one of the orders of `orders`.

  c, the context, is what a model is told of an example; most are told nothing. Layers and decoder see it in the state h
  that starts with it (`models.state`), whatever else they are conditioned on.

  A batch has 'x' [B, ...], where there is one the 'context' [B, ...], and where it is another than x the 'target'
  [B, ...], which p(x | z) then scores: x is what is encoded.

  Args:
    layers: the latent layers, top first.
    decoder: p(x | z).
    observation: what is known of an example.
    order: of inference.
    markov: whether a layer depends on the next one only, and x on the bottom one; else on all above (of q from the
      bottom up: on all below).
    context: what becomes of the context. None: there is none.
  """

  def __init__(
    self,
    layers: list[LatentLayer],
    decoder: Decoder,
    observation: Observation,
    order: Order,
    markov: bool = True,
    context: Context | None = None,
  ):
    super().__init__(name='hierarchy')
    self.latents, self.decoder, self.shape = list(layers), decoder, tuple(observation.shape)
    self.order, self.markov, self.context = order, markov, context

  @property
  def layer_names(self) -> list[str]:
    """The names of the latent layers, top first."""
    return [layer.name for layer in self.latents]

  @property
  def families(self) -> dict[str, LatentFamily]:
    """layer: what answers for its q and its p."""
    return {layer.name: layer.family for layer in self.latents}

  @property
  def title(self) -> str:
    """What it is called where a run begins: its layers, how they are inferred, and what it is told."""
    told = 'given ' + ('a label' if not self.told else ' x '.join(map(str, self.told))) if self.context else ''
    notes = ', '.join(note for note in (self._how, told) if note)
    return ', '.join(dict.fromkeys(map(section, self.layer_names))) + (f' ({notes})' if notes else '')

  @property
  def _how(self):
    """Of the title: how layers are inferred."""
    return self.order.name if len(self.latents) > 1 else ''

  @property
  def told(self) -> tuple[int, ...] | None:
    """The shape of a context, () of a label; None where the model is told nothing."""
    return self.context.shape if self.context else None

  @property
  def decoded_layers(self) -> list[str]:
    """The names of the layers that x depends on, the nearest first."""
    return self.layer_names[::-1][: 1 if self.markov else None]

  def build(self, input_shape=None):
    """Makes all weights."""
    del input_shape
    zeros = lambda request: tf.zeros(request.shape, request.dtype)
    context = {'context': self.context.zeros(1)} if self.context else {}
    self.infer({'x': tf.zeros([1, *self.shape], density_dtype()), **context}, Noise(zeros), 1)
    self.built = True

  def call(self, batch):
    """E[x | z] at the posterior's locations: a reconstruction, [B, ...], of a batch, or of x [B, ...] alone."""
    batch = batch if isinstance(batch, dict) else {'x': batch}
    z, _ = self.encode(batch)
    return self.mean(z, batch.get('context'))[0]

  @property
  def players(self) -> dict[str, list]:
    """The trainable variables of p(x, z), 'generative', and of q(z | x), 'inference'."""
    own = {id(variable) for part in self.generative for variable in part.trainable_variables}
    return {
      'generative': [v for v in self.trainable_variables if id(v) in own],
      'inference': [v for v in self.trainable_variables if id(v) not in own],
    }

  @property
  def generative(self) -> list[keras.layers.Layer]:
    """The parts of p(x, z | c)."""
    # What leads from the context to where both sides see it is one of them: it would be there without q.
    return [self.decoder, *(layer.prior for layer in self.latents), *([self.context] if self.context else [])]

  @property
  def standardized(self) -> Standardized | None:
    """The units in which the nets work, where they are not those of x."""
    return self.decoder.standardized

  @property
  def discrete(self) -> list[str]:
    """The layers whose units have states, top first."""
    return [layer.name for layer in self.latents if layer.family.space != 'real']

  def start(self, context: tf.Tensor | None) -> State:
    """The state before the first layer, from the context [B, ...].

    Raises ValueError: there is none, but the model is told something, or the other way round.
    """
    if (context is None) != (self.context is None):
      what = 'takes a context: samples and examples are of given ones' if self.context else 'takes no context'
      raise ValueError(f'this model {what}')
    return State(None if context is None else self.context(context), (), self.markov)

  def encode(self, batch: dict) -> tuple[dict[str, tf.Tensor], dict[str, tfd.Distribution]]:
    """The posterior at its locations: ({layer: z_l, [1, B, ...]}, {layer: q(z_l | h, x), batch shape [1, B]}).

    z_l is the `location` of q: its mean, the most probable state, or the image of the mean before a flow. Each layer is
    conditioned on those of the ones inferred before it.
    """
    z, q, _, _ = self._infer(batch, lambda layer, q: layer.family.location(q))
    return z, q

  def posterior_log_prob(self, batch: dict, choose: Callable) -> dict[str, tf.Tensor]:
    """{layer: log q(z_l | h, x), [S, B] nats}, in the order of inference, at choose(layer, q) [S, B, ...]."""
    found = {}

    def chosen(layer, q):
      z = choose(layer, q)
      found[layer.name] = q.log_prob(z)
      return z

    self._infer(batch, chosen)
    return found

  def descend(
    self, choose: Callable, context: tf.Tensor | None = None
  ) -> tuple[dict[str, tf.Tensor], dict[str, tfd.Distribution]]:
    """({layer: z_l}, {layer: p(z_l | h)}) from the top down; z_l, [S, B, ...], is chosen by choose(layer, p)."""
    z, p, _ = self._descend(choose, context)
    return z, p

  def _descend(self, choose, context):
    h, z, p = self.start(context), {}, {}
    for layer in self.latents:
      p[layer.name] = layer.conditional(h)
      z[layer.name] = choose(layer, p[layer.name])
      h = layer.advance(h, z[layer.name])
    return z, p, h

  def decode(self, z: dict[str, tf.Tensor], context: tf.Tensor | None = None) -> tfd.Distribution:
    """p(x | z), batch shape [S, B], from {layer: [S, B, ...]} of at least `decoded_layers`."""
    h = self.start(context)
    for layer in self.latents:
      if layer.name in self.decoded_layers:
        h = layer.advance(h, z[layer.name])
    return self.decoder.given(h)

  def mean(self, z: dict[str, tf.Tensor], context: tf.Tensor | None = None) -> tf.Tensor:
    """E[x | z], [S, B, ...], from what `decode` takes."""
    return self.decoder.likelihood.mean(self.decode(z, context))

  def infer(self, batch: dict, noise: Noise, num_samples: int = 1, estimator=None, held: bool = False) -> Trace:
    """Trace with z ~ q(z | x), reparameterised from `noise` where a layer has that.

    Args:
      batch: B may be unknown while a graph is made.
      noise: one draw 'z/<layer>' for each layer.
      num_samples: S. 0: the 2 H points of a cubature in place of samples of the one layer, a vector of H Gaussian
        units: means over them are exact for polynomials in z up to the third degree, so for log p(x | z) of a linear
        decoder whose variance does not depend on z.
      estimator: an `Estimator` of the gradient through samples of discrete layers. None: they let none through.
      held: whether no layer's samples let gradients through to what they were drawn from.
    """
    if not num_samples:
      (layer,) = self.latents
      noise, num_samples = cubature(layer.name, layer.shape[0]), 2 * layer.shape[0]
    lead = (num_samples, batch['x'].shape[0] or tf.shape(batch['x'])[0])

    def choose(layer, q):
      if held:
        return tf.stop_gradient(layer.family.sample(q, noise, f'z/{layer.name}', lead, estimator)), None
      return layer.family.sample_and_log_prob(q, noise, f'z/{layer.name}', lead, estimator)

    relaxed = self.discrete if estimator is not None and estimator.relaxed else ()
    return self._trace(batch, choose)._replace(relaxed=tuple(relaxed))

  def score(self, batch: dict, z: dict[str, tf.Tensor]) -> Trace:
    """Trace at given z, {layer: [S, B, ...]}."""
    return self._trace(batch, lambda layer, q: (z[layer.name], None))

  def generate(
    self, n: int, noise: Noise, context: tf.Tensor | None = None, num_samples: int = 1, held: bool = False
  ) -> Trace:
    """Trace with z ~ p(z), x ~ p(x | z): n examples, of a model that is told something one for each context [n, ...].

    Args:
      noise: one draw 'p/<layer>' for each layer and one 'p/x'.
      held: whether z and x let no gradients through to what they were drawn from.

    Raises ValueError as `start`.
    """
    hold = tf.stop_gradient if held else tf.identity
    z, _, h = self._descend(lambda layer, p: hold(layer.family.sample(p, noise, f'p/{layer.name}', (1, n))), context)
    x = self.decoder.likelihood.sample(self.decoder.given(h), noise, 'p/x', (1, n))[0]
    return self.score({'x': hold(x)} | ({} if context is None else {'context': context}), z)

  def diagnostics(self, trace: Trace) -> dict[str, tf.Tensor]:
    """Numbers of this model beside `trace.terms()`, averaged over the samples: [B].

    sigma of a Gaussian decoder; alpha, the root of the mean variance of the prior's units, where it is not fixed;
    second_moment/<layer>/<unit> where the prior's variances follow from them.
    """
    found = {k: tf.reduce_mean(v, 0) for k, v in self.decoder.likelihood.diagnostics(trace.px).items()}
    found |= {k: tf.broadcast_to(v, tf.shape(trace.x)[:1]) for k, v in self._prior.diagnostics().items()}
    return found | self._second_moments(trace)

  def statistics(self, trace: Trace) -> dict[str, tf.Tensor]:
    """What `update` needs, [B] each: `mse`, and second_moment/<layer>/<unit> of a closed-form prior."""
    return {'mse': trace.squared_error()} | self._second_moments(trace)

  def entropies(self, trace: Trace) -> dict[str, tf.Tensor]:
    """The entropies of ELBO = H[q(z|x)] - H[p(z)] - H[p(x|z)] (Damm et al. 2023, theorem 1), each [B] nats.

    In a hierarchy those of encoder and prior are summed over the layers, E_q H[q(z_l | z_>l, x)] and
    E_q H[p(z_l | z_>l)]. The identity holds at stationary points only; `entropy_sum` is defined everywhere. What has no
    closed form is left out, and then the sum is, too. In place of the encoder's there is then
    `entropy/encoder_sampled`, with -log q at the samples for the layers that have no closed form, and
    `entropy_sum_sampled`.
    """
    batch = trace.x.shape[0] or tf.shape(trace.x)[0]

    def of_layers(distributions):
      return {layer: self.families[layer].entropy(distribution) for layer, distribution in distributions.items()}

    encoder, encoder_name = of_layers(trace.q), 'encoder'
    if sampled := {layer: -trace.log_q[layer] for layer, value in encoder.items() if value is None}:
      encoder, encoder_name = encoder | sampled, 'encoder_sampled'
    sides = {
      encoder_name: encoder.values(),
      'prior': of_layers(trace.p).values(),
      'decoder': [self.decoder.likelihood.entropy(trace.px)],
    }
    found = {
      f'entropy/{side}': tf.add_n([tf.broadcast_to(_mean_over_samples(value), [batch]) for value in values])
      for side, values in sides.items()
      if all(value is not None for value in values)
    }
    if len(found) == len(sides):
      total = found[f'entropy/{encoder_name}'] - found['entropy/prior'] - found['entropy/decoder']
      found['entropy_sum' + encoder_name.removeprefix('encoder')] = total
    return found

  @property
  def _prior(self):
    return self.latents[0].prior

  def _moment_names(self):
    """Of the units of the top layer where its prior is closed form."""
    top = self.latents[0]
    return [f'second_moment/{top.name}/{unit}' for unit in range(top.shape[0])] if self._prior.closed_form else []

  def _second_moments(self, trace):
    """{name: E_q z_h^2, [B]} of the units of the top layer, where its prior is closed form; else from the samples."""
    names = self._moment_names()
    if not names:
      return {}
    top = self.latents[0]
    if (moments := top.family.moments(trace.q[top.name])) is None:
      squares = tf.square(trace.z[top.name])
    else:
      squares = tf.square(moments[0]) + moments[1]
    return dict(zip(names, tf.unstack(tf.reduce_mean(squares, 0), axis=-1), strict=True))

  @property
  def variance_variables(self) -> list:
    """The learned variances of the decoder and the top prior, which an optimizer of their own may move."""
    return [*self.decoder.likelihood.variance_variables, *self._prior.variance_variables]

  @property
  def closed_form(self) -> bool:
    """Whether `update` moves anything."""
    return self.decoder.likelihood.closed_form or self._prior.closed_form

  def update(self, means: dict[str, tf.Tensor]) -> None:
    """Sets closed-form variances from the global means of a step (or of the training split)."""
    if self.decoder.likelihood.closed_form:
      self.decoder.update(means)
    if names := self._moment_names():
      self._prior.update(tf.stack([tf.convert_to_tensor(means[name]) for name in names]))

  def _infer(self, batch, choose: Callable):
    """({layer: z}, {layer: q}, {layer: p}, the state after the last layer); choose(layer, q) gives z."""
    x = self.standardized(batch['x']) if self.standardized else batch['x']
    return self.order.infer(self.latents, self.start(batch.get('context')), x, choose)

  def _trace(self, batch, choose: Callable) -> Trace:
    """choose(layer, q) gives z_l and its log-density under q; None: to be found."""
    densities = {}

    def chosen(layer, q):
      z, densities[layer.name] = choose(layer, q)
      return z

    found, q, p, h = self._infer(batch, chosen)
    z, log_q, log_p, kls = {name: found[name] for name in self.layer_names}, {}, {}, {}
    for layer in self.latents:
      name = layer.name
      log_q[name] = q[name].log_prob(z[name]) if densities[name] is None else densities[name]
      log_p[name] = p[name].log_prob(z[name])
      value = layer.family.kl(q[name], p[name]) if self.order.analytic(layer, self.latents) else None
      value = log_q[name] - log_p[name] if value is None else value
      kls[name] = tf.broadcast_to(value, tf.shape(log_q[name]))
    px, target = self.decoder.given(h), batch.get('target', batch['x'])
    mean = self.decoder.likelihood.mean(px)
    return Trace(batch['x'], target, z, mean, px.log_prob(target), log_p, log_q, kls, q, p, px)

  @classmethod
  def from_spec(cls, spec, observation: Observation, make: Make) -> 'Hierarchy':
    """The hierarchy of a spec for such examples. `make` builds nets, families and priors by name."""
    order, model = make.order(spec.model.inference), spec.model
    layers = wiring.latent_layers(spec, observation, order, make)
    decoder = wiring.decoder(spec, observation, make)
    context = Context.from_spec(model.context, observation.context, make)
    return cls(layers, decoder, observation, order, model.conditioning == 'next', context)


def _mean_over_samples(value):
  """[S, B] -> [B]; of a scalar, [1]."""
  return tf.reduce_mean(tf.reshape(value, [1, 1]) if value.shape.rank == 0 else value, 0)
