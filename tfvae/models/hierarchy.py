"""Hierarchies of latent layers of any depth. A single-layer VAE is a hierarchy of length one."""

from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.families.family import LatentFamily
from tfvae.making import Make
from tfvae.models import wiring
from tfvae.models.decoder import Decoder
from tfvae.models.latent import LatentLayer
from tfvae.models.standardized import Standardized
from tfvae.models.trace import Trace
from tfvae.nets.heads import density_dtype
from tfvae.noise import Noise, cubature
from tfvae.observation import Observation

tfd = tfp.distributions


class Hierarchy(keras.Model):
  """p(x, z) = p(z_L) ... p(z_1 | z_>1) p(x | z), with q(z | x) in one of four orders.

  generic: q(z_L | x) ... q(z_1 | z_>1, x) (Kingma & Welling 2013 for one layer; Xiao & Bamler 2023, section 3).
  ladder: the same order; the natural parameters of q(z_l | z_>l, x) are those of p(z_l | z_>l) plus what features of x
    add, made on the way up from x (Flach et al. 2024, section 4).
  lvae: the ladder of Gaussians (Sonderby et al. 2016), in which q(z_L | x) is what x says alone, not
    merged with p(z_L), and each layer below may have a net of its own beside the way up.
  reverse: q(z_1 | x) q(z_2 | z_1) ... q(z_L | z_L-1) (Burda et al. 2016, eq. 3).

  Args:
    layers: the latent layers, top first.
    decoder: p(x | z).
    observation: what is known of an example.
    markov: whether a layer depends on the next one only, and x on the bottom one; else on all above (of q in the
      reverse order: on all below).
    inference: the order.
  """

  def __init__(
    self,
    layers: list[LatentLayer],
    decoder: Decoder,
    observation: Observation,
    markov: bool = True,
    inference: str = 'generic',
  ):
    super().__init__(name='hierarchy')
    self.latents, self.decoder, self.shape = list(layers), decoder, tuple(observation.shape)
    self.markov, self.inference = markov, inference

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
    """What it is called where a run begins: its layers, and how they are inferred."""
    names = ', '.join(self.layer_names)
    return f'{names} ({self.inference})' if len(self.latents) > 1 else names

  @property
  def decoded_layers(self) -> list[str]:
    """The names of the layers that x depends on, the nearest first."""
    return self.layer_names[::-1][: 1 if self.markov else None]

  def build(self, input_shape=None):
    """Makes all weights."""
    del input_shape
    zeros = lambda request: tf.zeros(request.shape, request.dtype)
    self.infer({'x': tf.zeros([1, *self.shape], density_dtype())}, Noise(zeros), 1)
    self.built = True

  def call(self, x):
    """E[x | z] at the posterior's locations: a reconstruction, [B, ...] -> [B, ...]."""
    z, _ = self.encode(x)
    return self.mean(z)[0]

  @property
  def players(self) -> dict[str, list]:
    """The trainable variables of p(x, z), 'generative', and of q(z | x), 'inference'."""
    generative = [self.decoder, *(layer.prior for layer in self.latents)]
    own = {id(variable) for part in generative for variable in part.trainable_variables}
    return {
      'generative': [v for v in self.trainable_variables if id(v) in own],
      'inference': [v for v in self.trainable_variables if id(v) not in own],
    }

  @property
  def standardized(self) -> Standardized | None:
    """The units in which the nets work, where they are not those of x."""
    return self.decoder.standardized

  @property
  def discrete(self) -> list[str]:
    """The layers whose units have states, top first."""
    return [layer.name for layer in self.latents if layer.family.space != 'real']

  def encode(self, x) -> tuple[dict[str, tf.Tensor], dict[str, tfd.Distribution]]:
    """The posterior at its locations: ({layer: z_l, [1, B, ...]}, {layer: q(z_l | ., x), batch shape [1, B]}).

    z_l is the `location` of q: its mean, the most probable state, or the image of the mean before a flow. Each layer is
    conditioned on those of the ones inferred before it.
    """
    z, q, _ = self._infer(x, lambda layer, q: layer.family.location(q))
    return z, q

  def descend(self, choose: Callable) -> tuple[dict[str, tf.Tensor], dict[str, tfd.Distribution]]:
    """({layer: z_l}, {layer: p(z_l | z_>l)}) from the top down; z_l, [S, B, ...], is chosen by choose(layer, p)."""
    z, p = {}, {}
    for layer in self.latents:
      p[layer.name] = layer.conditional(self._above(layer.name, z))
      z[layer.name] = choose(layer, p[layer.name])
    return z, p

  def decode(self, z: dict[str, tf.Tensor]) -> tfd.Distribution:
    """p(x | z), batch shape [S, B], from {layer: [S, B, ...]} of at least `decoded_layers`."""
    return self.decoder.given([z[name] for name in self.decoded_layers])

  def mean(self, z: dict[str, tf.Tensor]) -> tf.Tensor:
    """E[x | z], [S, B, ...], from what `decode` takes."""
    return self.decoder.likelihood.mean(self.decode(z))

  def infer(self, batch: dict, noise: Noise, num_samples: int = 1, estimator=None, held: bool = False) -> Trace:
    """Trace with z ~ q(z | x), reparameterised from `noise` where a layer has that.

    Args:
      batch: {'x': [B, ...]}; B may be unknown while a graph is made.
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
    """Trace with z ~ p(z), x ~ p(x | z): n examples. This model takes no context.

    Args:
      noise: one draw 'p/<layer>' for each layer and one 'p/x'.
      held: whether z and x let no gradients through to what they were drawn from.
    """
    if context is not None:
      raise ValueError('a hierarchy has no context')
    hold = tf.stop_gradient if held else tf.identity
    z, _ = self.descend(lambda layer, p: hold(layer.family.sample(p, noise, f'p/{layer.name}', (1, n))))
    x = self.decoder.likelihood.sample(self.decode(z), noise, 'p/x', (1, n))[0]
    return self.score({'x': hold(x)}, z)

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

  def _above(self, name, z):
    """Samples that p(z_l | .) depends on, the nearest first."""
    above = [z[n] for n in self.layer_names[: self.layer_names.index(name)]][::-1]
    return above[:1] if self.markov else above

  def _infer(self, x, choose: Callable):
    """({layer: z}, {layer: q}, {layer: p where it was needed}) in the order of inference; choose(layer, q) gives z."""
    if self.standardized:
      x = self.standardized(x)
    if self.inference in ('ladder', 'lvae'):
      return self._climb(x, choose)
    layers = self.latents[::-1] if self.inference == 'reverse' else self.latents
    features = {layer.name: layer.encoder(x) for layer in layers if layer.encoder}
    z, q = {}, {}
    for layer in layers:
      others = list(z.values())[::-1]  # the nearest first
      q[layer.name] = layer.posterior(features.get(layer.name), others[:1] if self.markov else others)
      z[layer.name] = choose(layer, q[layer.name])
    return z, q, {}

  def _climb(self, x, choose: Callable):
    """The same in a ladder: one pass upwards, which takes no sample, and then down from the top."""
    way, below, found = x, None, {}
    for layer in self.latents[::-1]:
      way, features, below = layer.climb(way, below)
      found[layer.name] = features, below
    z, q, p = {}, {}, {}
    for layer in self.latents:
      p[layer.name] = layer.conditional(self._above(layer.name, z))
      merged = z or self.inference == 'ladder'  # the top layer of an LVAE is not
      features, evidence = found[layer.name]
      q[layer.name] = layer.family.combine(evidence, p[layer.name] if merged else None, features)
      z[layer.name] = choose(layer, q[layer.name])
    return z, q, p

  def _trace(self, batch, choose: Callable) -> Trace:
    """choose(layer, q) gives z_l and its log-density under q; None: to be found."""
    densities = {}

    def chosen(layer, q):
      z, densities[layer.name] = choose(layer, q)
      return z

    chosen, q, p = self._infer(batch['x'], chosen)
    z, log_q, log_p, kls = {name: chosen[name] for name in self.layer_names}, {}, {}, {}
    for layer in self.latents:
      name = layer.name
      if name not in p:
        p[name] = layer.conditional(self._above(name, z))
      log_q[name] = q[name].log_prob(z[name]) if densities[name] is None else densities[name]
      log_p[name] = p[name].log_prob(z[name])
      # In the reverse order the layers above are drawn given z_l: KL(q || p) at a sample of theirs is no part of the
      # rate, the expectation of log q - log p is.
      analytic = self.inference != 'reverse' or layer is self.latents[0]
      value = layer.family.kl(q[name], p[name]) if analytic else None
      value = log_q[name] - log_p[name] if value is None else value
      kls[name] = tf.broadcast_to(value, tf.shape(log_q[name]))
    px = self.decode(z)
    mean = self.decoder.likelihood.mean(px)
    return Trace(batch['x'], z, mean, px.log_prob(batch['x']), log_p, log_q, kls, q, p, px)

  @classmethod
  def from_spec(cls, spec, observation: Observation, make: Make) -> 'Hierarchy':
    """The hierarchy of a spec for such examples. `make` builds nets, families and priors by name."""
    layers, model = wiring.latent_layers(spec, make), spec.model
    decoder = wiring.decoder(spec, observation, make)
    return cls(layers, decoder, observation, model.conditioning == 'next', model.inference)


def _mean_over_samples(value):
  """[S, B] -> [B]; of a scalar, [1]."""
  return tf.reduce_mean(tf.reshape(value, [1, 1]) if value.shape.rank == 0 else value, 0)
