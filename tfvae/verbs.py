"""What a trained model is used for, on arrays and as a SavedModel: encode, decode, reconstruct, sample, elbo, scale."""

import json
import operator
import os
import pathlib
import warnings

import numpy as np
import tensorflow as tf

from tfvae import memory
from tfvae.data.scaling import reduced
from tfvae.errors import UserError
from tfvae.models.trace import section, sections, together
from tfvae.noise import stateless

MOST = 2**31 - 1  # the largest int32


class Verbs:
  """Compiled functions of a trained hierarchy from named tensors to named tensors, for any number of examples B.

  A layer z that repeats has one more axis, of its T steps: z, z_loc, ... [B, T, ...].

  All are float32 but `values` (float64), `seed`, `n` and labels (int32). <layer> is z1, z2, ... All but `scale` take,
  beside, the `context` [B, ...] of a model that is told something (spec.data.context): labels [B], or what
  `scale_context` gives; `sample` then has one sample for each, and takes no n.

  encode: x [B, ...] -> the parameters of each q(z_l | ., x), <layer>_loc and <layer>_scale [B, ...] of a Gaussian,
    <layer>_logits of bits and categories. A layer is conditioned on the means (of these, the most probable states) of
    those inferred before it. Of a flow <layer>_location, the image of the base's
    mean, which stands for it here and below, and <layer>_base_loc and <layer>_base_scale of the Gaussian before it.
  decode: <layer> [B, ...], for each layer that x depends on -> mean, E[x | z], and the decoder's scale or logits,
    [B, ...].
  drawings: of a model that draws in steps, z [B, T, ...] -> mean [B, T, ...], E[x | z_<=t] after each.
  reconstruct: x [B, ...] -> mean [B, ...], E[x | z] at the posterior's means.
  sample: n [], seed [2] -> <layer>, z ~ p(z); x ~ p(x | z); mean, E[x | z]: [n, ...].
  elbo: x [B, ...], seed [2] -> elbo (beta 1), log_likelihood, rate and rate_<layer>, [B] nats, from
    spec.eval.num_samples samples of q. With data.target=own it also takes the target [B, ...], in the units of x, which
    is what is scored.
  scale: values [B, ...] as they are stored (pixels, columns of a table) -> x [B, ...] as the model takes it, in as many
    bits as data.bits says, binary with data.binarize=threshold. With static or dynamic, x are the probabilities that
    binary values are drawn with.
  scale_context: values [B, ...] as they are stored -> context [B, ...] as the model takes it, where that is no label.

  The noise is that of `noise.stateless(seed[0], seed[1])`.

  Args:
    model: a `Hierarchy` with its weights.
    spec: for data.bits, data.binarize, data.threshold, eval.num_samples, eval.batch_size and train.precision.
    scaling: of the data, as a run keeps it: {'center', 'width'}, two numbers or two lists, of a number for each column.
    range_: the smallest and the largest scaled value of the training split. None: not known.
  """

  def __init__(self, model, spec, scaling: dict, range_: tuple[float, float] | None = None):
    self._model, self._spec, self._scaling = model, spec, scaling
    self._range = (0.0, 1.0) if spec.data.binarize != 'none' else range_
    self._grey = range_  # of contexts that are scaled as x, which are never binary
    self._dtype = tf.float64 if spec.train.precision == 'float64' else tf.float32
    examples = lambda shape, dtype=tf.float32: tf.TensorSpec([None, *shape], dtype)
    x, seed, n = examples(model.shape), tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.int32)
    self._sections = sections(model.layer_names)
    decoded = {section(name): examples(self._shape(section(name))) for name in model.decoded_layers}
    scored = {'target': x} if spec.data.target == 'own' else {}
    told = {} if model.told is None else {'context': examples(model.told, tf.float32 if model.told else tf.int32)}
    self._verbs = {
      'encode': (self._encode, {'x': x, **told}),
      'decode': (self._decode, {**decoded, **told}),
      'reconstruct': (self._reconstruct, {'x': x, **told}),
      'sample': (self._sample, {**(told or {'n': n}), 'seed': seed}),
      'elbo': (self._elbo, {'x': x, **scored, **told, 'seed': seed}),
      'scale': (self._scale, {'values': examples(model.shape, tf.float64)}),
    }
    if hasattr(model, 'drawings'):
      self._verbs['drawings'] = (self._drawings, {**decoded, **told})
    if model.told:
      self._verbs['scale_context'] = (self._scale_context, {'values': examples(model.told, tf.float64)})
    self._compiled = {}

  # The verbs, in the precision of densities, which may be float64.

  def _encode(self, **batch):
    _, q = self._model.encode(batch)
    found = {}
    for name, layers in self._sections.items():
      parameters = {layer: self._model.families[layer].parameters(q[layer]) for layer in layers}
      for of in parameters[layers[0]]:
        found[f'{name}_{of}'] = together({layer: value[of][0] for layer, value in parameters.items()})[name]
    return found

  def _shape(self, name):
    """That of z of a section, for one example."""
    layers = self._sections[name]
    return (*([] if layers == [name] else [len(layers)]), *self._model.families[layers[0]].shape)

  def _apart(self, z):
    """{layer: [1, B, ...]} of what `together` makes of {layer: [B, ...]}."""
    found = {}
    for name, value in z.items():
      layers = self._sections[name]
      parts = [value] if layers == [name] else tf.unstack(value, len(layers), 1)
      found |= {layer: part[None] for layer, part in zip(layers, parts, strict=True)}
    return found

  def _decode(self, context=None, **z):
    px = self._model.decode(self._apart(z), context)
    likelihood = self._model.decoder.likelihood
    parameters = likelihood.parameters(px)
    return {'mean': likelihood.mean(px)[0], **{name: value[0] for name, value in parameters.items()}}

  def _drawings(self, context=None, **z):
    return {'mean': tf.stack([mean[0] for mean in self._model.drawings(self._apart(z), context)], 1)}

  def _reconstruct(self, **batch):
    return {'mean': self._model.call(batch)}

  def _sample(self, seed, n=None, context=None):
    trace = self._model.generate(tf.shape(context)[0] if n is None else n, stateless(seed[0], seed[1]), context)
    z = together({name: value[0] for name, value in trace.z.items()})
    return {**z, 'x': trace.x, 'mean': trace.mean[0]}

  def _elbo(self, seed, **batch):
    trace = self._model.infer(batch, stateless(seed[0], seed[1]), self._spec.eval.num_samples)
    return {name.replace('/', '_'): value for name, value in trace.terms().items() if name != 'mse'}

  def _scale(self, values):
    x = self._scaled(values, self._scaling)
    return {'x': x > self._spec.data.threshold if self._spec.data.binarize == 'threshold' else x}

  def _scale_context(self, values):
    return {'context': self._scaled(values, self._scaling.get('context', self._scaling))}

  def _scaled(self, values, scaling):
    center, width = scaling['center'], scaling['width']
    if isinstance(center, list):  # a table as `dataset.make` scales it, images as `Source` does: to the same bits
      return tf.cast((values - tf.constant(center, tf.float64)) / tf.constant(width, tf.float64), tf.float32)
    return self._reduced(tf.cast(values, self._dtype)) * (1 / width) - center / width

  def _reduced(self, values):
    """Stored values in as many bits as spec.data.bits says."""
    if not self._spec.data.bits:
      return values
    stored = [round(end * self._scaling['width'] + self._scaling['center']) for end in self._range]
    return reduced(values, stored, self._spec.data.bits)

  def function(self, verb: str):
    """The compiled function of a verb, made when it is first asked for."""
    if verb not in self._compiled:
      function, inputs = self._verbs[verb]

      def compute(**given):
        given = {name: tf.cast(v, self._dtype) if v.dtype == tf.float32 else v for name, v in given.items()}
        return {name: tf.cast(value, tf.float32) for name, value in function(**given).items()}

      self._compiled[verb] = tf.function(compute, autograph=False).get_concrete_function(**inputs)
    return self._compiled[verb]

  # On arrays.

  def run(self, verb: str, n: int = 0, seed: int = 0, **arrays) -> dict[str, np.ndarray]:
    """A verb on arrays, spec.eval.batch_size examples at once. Batch k = 0, 1, ... has the seed [seed, k].

    Values of x that are far from those of the training split are refused where they are images or binary, with a
    warning elsewhere: as a rule they were not scaled.

    A `context` or `target` of None is none.

    Raises UserError: what is wrong with a name, a shape, what is no finite number, unscaled values, a label, a seed or
    an `n`; a context is missing, or given to a model that is told nothing.
    """
    arrays = {name: value for name, value in arrays.items() if value is not None or name not in ('context', 'target')}
    self._check_told(verb, 'context' in arrays)
    inputs = self._verbs[verb][1]
    if verb == 'sample' and 'context' in inputs:
      arrays = self._one_for_each(n, **arrays)
    arrays = self._checked(verb, {name: spec for name, spec in inputs.items() if name not in ('n', 'seed')}, arrays)
    total = _integer(verb, 'n', n, 1) if 'n' in inputs else len(next(iter(arrays.values())))
    seed, function, size, parts = _integer(verb, 'seed', seed, 0), self.function(verb), self._spec.eval.batch_size, []
    for number, first in enumerate(range(0, total, size)):
      last = min(first + size, total)
      given = {name: array[first:last] for name, array in arrays.items()} | {'n': last - first, 'seed': [seed, number]}
      with memory.short('lower spec.eval.batch_size, or for elbo spec.eval.num_samples'):
        found = function(**{name: tf.constant(given[name], spec.dtype) for name, spec in inputs.items()})
      parts.append({name: value.numpy() for name, value in found.items()})
    if not parts:
      return {name: np.zeros([0, *value.shape[1:]], np.float32) for name, value in function.structured_outputs.items()}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

  def _check_told(self, verb, given):
    """Raises UserError where a verb needs a context that is not given, or the other way round."""
    told, of = self._model.told, self._spec.data.context
    if verb not in self._verbs and verb == 'drawings':
      raise UserError(f'{verb}: this model does not draw in steps (spec.model.name={self._spec.model.name})')
    if verb not in self._verbs:
      why = 'is told nothing' if told is None else 'is told labels, which go in as they are'
      raise UserError(f'{verb}: this model {why} (spec.data.context={of})')
    takes = 'context' in self._verbs[verb][1]
    if given and not takes:
      why = f'{verb} takes none' if told is not None else 'this model is told nothing (spec.data.context=none)'
      raise UserError(f'{verb}: got a context, but {why}; leave it out')
    if takes and not given:
      what = f'a label from 0 to {self._model.context.classes - 1}' if not told else f'numbers of shape {_words(told)}'
      how = {
        'sample': 'one for all samples, run.sample(16, context=c), or one for each, run.sample(context=[c, ...])',
        'decode': f'one for each z, run.{verb}(context=[c, ...], {section(self._model.decoded_layers[0])}=...)',
      }.get('decode' if verb == 'drawings' else verb, f'one for each x, run.{verb}(x, context=[c, ...])')
      raise UserError(
        f'{verb}: this model is told something of each example (spec.data.context={of}), {what}; give {how}'
      )

  def _one_for_each(self, n, context, **others):
    """The contexts of n samples, of which one may be given for all, or as many without n."""
    context = _array('sample', 'context', context)
    if context.shape == self._model.told:
      if not n:
        raise UserError('sample: n: is missing beside one context for all samples; run.sample(16, context=c)')
      context = np.repeat(context[None], _integer('sample', 'n', n, 1), 0)
    if n and context.ndim and len(context) != n:
      raise UserError(f'sample: n: got {n}, but {len(context)} contexts; leave n out, or give one context for all')
    return {'context': context, **others}

  def _checked(self, verb, specs, given):
    if given.keys() != specs.keys():
      raise UserError(f'{verb}: got {", ".join(given) or "nothing"}; it takes {", ".join(specs)}')
    arrays = {}
    for name, spec in specs.items():
      arrays[name] = array = _array(verb, name, given[name])
      wanted = tuple(spec.shape[1:])
      if array.ndim == 0 or array.shape[1:] != wanted:
        single = 'context' if name == 'context' else 'example'
        one = f'; a single {single} goes in as {name}[None]' if array.shape == wanted else ''
        raise UserError(f'{verb}: {name}: got the shape {_words(array.shape)}; allowed: {_words(("B", *wanted))}{one}')
      if not np.isfinite(array).all():
        number = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0]
        raise UserError(
          f'{verb}: {name}: example {number} (from 0) has NaN or infinite values; allowed: finite numbers'
        )
      if spec.dtype == tf.int32:
        self._check_labels(verb, name, array)
      if array.size and (name in ('x', 'target') or (name == 'context' and self._like_x)):
        self._check_range(verb, name, float(array.min()), float(array.max()))
      arrays[name] = array
    if len(sizes := {len(array) for array in arrays.values()}) > 1:
      raise UserError(f'{verb}: got {" and ".join(map(str, sorted(sizes)))} examples; all must be of one number')
    return arrays

  def _check_labels(self, verb, name, array):
    most = self._model.context.classes - 1
    wrong = array[(array != np.round(array)) | (array < 0) | (array > most)]
    if wrong.size:
      raise UserError(f'{verb}: {name}: got {wrong[0]}; allowed: labels, whole numbers from 0 to {most}')

  @property
  def _like_x(self):
    """Whether contexts are scaled as x is."""
    return bool(self._model.told) and 'context' not in self._scaling

  def _check_range(self, verb, name, low, high):
    """Of x: values beyond the training split's by more than all of its range were hardly scaled as it was."""
    ends = self._grey if name == 'context' else self._range
    is_table = isinstance(self._scaling['center'], list) and self._spec.data.binarize == 'none'
    if ends is None or (is_table and name == 'target'):  # whose columns have ranges of their own, which are not kept
      return
    smallest, largest = ends
    margin = largest - smallest
    if smallest - margin <= low and high <= largest + margin:
      return
    how = {
      'x': f"run.{verb}(run.scale(values)['x'])",
      'target': "target=run.scale(values)['x']",
      'context': "context=run.scale_context(values)['context']",
    }[name]
    what = (
      f'{verb}: {name}: got values from {low:.6g} to {high:.6g}, but the model was trained on values from '
      f'{smallest:.6g} to {largest:.6g}. Stored values go in as {how}'
    )
    if is_table:  # rows may be rare ones
      warnings.warn(what, stacklevel=5)
    else:
      raise UserError(what)

  # As files.

  def write(self, directory: pathlib.Path, step: int) -> None:
    """Writes saved_model/, with a signature for each verb; model.weights.h5, Keras' weights; and signatures.json."""
    module = tf.Module()
    # The model itself is left out: what is saved must not need tfvae to be read.
    module.weights = [variable.value for variable in self._model.variables]
    signatures = {verb: self.function(verb) for verb in self._verbs}
    tf.saved_model.save(module, str(directory / 'saved_model'), signatures)
    self._write_weights(directory / 'model.weights.h5')
    about = {
      'step': step,
      'layers': list(self._sections),
      'num_samples': self._spec.eval.num_samples,
      'scaling': {**self._scaling, **{name: self._spec.data[name] for name in ('bits', 'binarize', 'threshold')}},
      'context': self._about_context(),
      'signatures': {
        verb: {'inputs': _described(self._verbs[verb][1]), 'outputs': _described(function.structured_outputs)}
        for verb, function in signatures.items()
      },
    }
    (directory / 'signatures.json').write_text(json.dumps(about, indent=2) + '\n')

  def _about_context(self):
    if self._model.told is None:
      return None
    labels = {} if self._model.told else {'classes': self._model.context.classes}
    return {'of': self._spec.data.context, 'shape': list(self._model.told), **labels}

  def _write_weights(self, path):
    # HDF5 may take the process down with it where it meets a full disk: first it is tried whether there is room.
    size = sum(v.value.dtype.size * v.value.shape.num_elements() for v in self._model.variables)
    with open(path, 'wb') as file:
      os.posix_fallocate(file.fileno(), 0, size + 2**16 + 2**13 * len(self._model.variables))
    self._model.save_weights(path)


def _integer(verb, name, value, least):
  try:
    if least <= operator.index(value) <= MOST:
      return operator.index(value)
  except TypeError:
    pass
  raise UserError(f'{verb}: {name}: got {value!r}; allowed: an integer from {least} to {MOST}')


def _array(verb, name, value) -> np.ndarray:
  try:
    array = np.asarray(value)
  except (TypeError, ValueError):  # rows of different lengths
    array = np.array(None)
  if array.dtype.kind not in 'biuf':
    raise UserError(f'{verb}: {name}: got {type(value).__name__}, not an array of numbers')
  return array


def _described(tensors):
  return {name: {'shape': list(t.shape), 'dtype': t.dtype.name} for name, t in tensors.items()}


def _words(shape):
  return f'[{", ".join(map(str, shape))}]'
