"""What --mode=sample draws from a model, as arrays.

A hierarchy turns standardised noise into x: z_l = E p(z_l | z_>l) + sd p(z_l | z_>l) eps_l from the top down, and then
E[x | z], where eps_l ~ N(0, I). All that is moved here is moved in eps, one layer's while the others' are kept: a layer
below one that moves goes where its conditional prior goes, and keeps what of it the layers above do not explain. An
example has the eps of its posterior means, so that where nothing is moved x is its reconstruction. A layer that has
states keeps its state instead (`LatentFamily.standardize`).

What a model is told, the context, is that of the example, whatever moves; samples have the contexts of the split's
examples in turn, or the labels that spec.sample.labels names.

A section whose layer repeats is shown as one: its z are [n, T, ...], and T steps have one picture of each kind.
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tfvae.data.images import spread
from tfvae.models.chain import Chain
from tfvae.models.trace import sections, together
from tfvae.noise import Noise, Share, record, replay, stateless
from tfvae.run.projector import files


class Sampler:
  """Arrays of samples, reconstructions, traversals, ... The noise depends on (spec.sample.seed, purpose) alone.

  Arrays have the rows and columns of their picture first, and E[x | z] is called `mean`.

  Args:
    model, source: of which, and of whose examples.
    spec: for `sample`, and eval.batch_size: how many examples are computed at once.
  """

  def __init__(self, model, source, spec):
    self._model, self._source, self._section, self._size = model, source, spec.sample, spec.eval.batch_size
    self._limiting_steps = spec.eval.limiting.steps
    self._sections = sections(model.layer_names)
    self._encode = tf.function(self._posterior_means, autograph=False)
    self._decode = tf.function(self._mean, autograph=False)
    self._draw = tf.function(self._mean_of_noise, autograph=False)

  def run(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """('prior', arrays), ('traversals-z2', arrays), ...: all of spec.sample.what but the projector's.

    Each has, too: split, seed, and value_range, the ends of the training data.
    """
    about = {'value_range': np.array(self._source.value_range)} | {
      key: np.array(self._section[key]) for key in ('split', 'seed')
    }
    names, told = list(self._sections), self._model.told is not None
    for what in self._section.what:
      if what == 'traversals' or (what == 'layers' and (len(self._model.layer_names) > 1 or told)):
        for part in (*names, *(['context'] if what == 'layers' and told else [])):
          yield f'{what}-{part}', getattr(self, what)(part) | about
      elif what == 'contexts' and told:
        yield what, self.contexts() | about
      elif what in ('prior', 'limiting', 'reconstructions', 'interpolations', 'codes'):
        yield what, getattr(self, what)() | about

  def prior(self) -> dict[str, np.ndarray]:
    """n = spec.sample.num ancestral samples, [n, ...] each: mean, draw ~ p(x | z), <section>.z, and the context if any.

    Where the data are no images also x, as many examples of the split (of its targets where those are what is
    modelled), to compare distributions.
    """
    n = self._section.num
    told = self._told(n)

    def draw(rows):
      noise = self._noise('prior', rows['row'], n)
      trace = self._model.generate(rows['row'].shape[0], noise, rows.get('context'))
      return {'mean': trace.mean[0], 'draw': trace.x, **_codes(trace.z, 'z')}

    arrays = self._rows(tf.function(draw, autograph=False), n, lambda row: {'row': row, **_taken(told, row)}) | told
    if len(self._source.dataset.shape) == 3:
      return arrays
    batch = self._first(n)
    return arrays | {'x': batch.get('target', batch['x']).numpy()}

  def contexts(self) -> dict[str, np.ndarray]:
    """Of n contexts [n, ...]: mean [n, draws, ...] and draw ~ p(x | z) at spec.sample.draws samples z ~ p(z | context).

    And, where they are those of the split's examples, what these are: x [n, ...].
    """
    shape = self._section.examples, self._section.draws
    told = self._told(shape[0])
    total = shape[0] * shape[1]

    def draw(rows):
      trace = self._model.generate(rows['row'].shape[0], self._noise('contexts', rows['row'], total), rows['context'])
      return {'mean': trace.mean[0], 'draw': trace.x}

    inputs = lambda row: {'row': row, **_taken(told, row // shape[1])}
    found = self._rows(tf.function(draw, autograph=False), total, inputs)
    arrays = {name: value.reshape(*shape, *value.shape[1:]) for name, value in found.items()} | told
    if self._section.labels:
      return arrays
    batch = self._turn(shape[0])
    return arrays | {'x': batch.get('target', batch['x']).numpy()}

  def limiting(self) -> dict[str, np.ndarray]:
    """n = spec.sample.num chains z, x, z, ... after eval.limiting.steps steps from the prior (`models.chain`).

    mean, E[x | z], draw ~ p(x | z), and <section>.z: [n, ...] each.
    """
    n, section = self._section.num, self._section
    told = self._told(n)
    context = tf.constant(told['context'], self._model.context.input_type) if told else None
    z = Chain(self._model, section.seed).run(n, self._limiting_steps, context=context)
    px, likelihood = self._model.decode(z, context), self._model.decoder.likelihood
    draw = likelihood.sample(px, self._noise('limiting'), 'x', (1, n))
    found = {'mean': likelihood.mean(px)[0], 'draw': draw[0], **_codes(z, 'z')}
    arrays = {name: value.numpy() for name, value in found.items()} | {'steps': np.array(self._limiting_steps)} | told
    return arrays if len(self._source.dataset.shape) == 3 else arrays | {'x': self._first(n)['x'].numpy()}

  def codes(self) -> dict[str, np.ndarray]:
    """Of the first spec.sample.points examples of the split: <section>.mean [n, ...], label and index.

    mean: of q; of a discrete layer, the most probable state; of a flow, the image of the base's mean.
    """
    batch = self._first(self._section.points)
    columns = {name: batch[name].numpy() for name in ('label', 'index') if name in batch}
    return {f'{name}.mean': value for name, value in self._points_means.items()} | columns

  def reconstructions(self) -> dict[str, np.ndarray]:
    """Of n examples x [n, ...]: mean [n, ...] at the posterior means, samples [n, draws, ...] at z ~ q(z | x).

    And their mean squared errors: mse [n], samples_mse [n, draws]. Where it is another one than the mean also mode
    [n, ...], the most probable x at the posterior means. Where another target than x is scored, also that.
    """
    examples, x = self._examples, self._examples['x']
    target = examples.get('target', x)
    n, likelihood = len(x), self._model.decoder.likelihood

    def reconstruct(rows):
      trace = self._model.infer(rows, self._noise('reconstructions', rows['row'], n), self._section.draws)
      px = self._model.decode(self._model.encode(rows)[0], rows.get('context'))
      at_mean = {'mean': likelihood.mean(px)[0], 'mode': likelihood.mode(px)[0]}
      return at_mean | {'samples': tf.einsum('sb...->bs...', trace.mean)}

    arrays = self._rows(tf.function(reconstruct, autograph=False), n, lambda row: {'row': row, **_taken(examples, row)})
    if np.array_equal(arrays['mode'], arrays['mean']):
      del arrays['mode']
    mse = lambda error: np.square(error, dtype=np.float64).mean(tuple(range(1 - x.ndim, 0)))
    return {
      **examples,
      **arrays,
      'mse': mse(arrays['mean'] - target),
      'samples_mse': mse(arrays['samples'] - target[:, None]),
    }

  def traversals(self, section: str) -> dict[str, np.ndarray]:
    """mean [n, U, steps, ...] around n examples x [n, ...]: units[u] of z_l moved by offsets[t] of its prior's sd.

    Of a layer that has states, offsets are all states of a unit, in turn. A unit of a feature map is a channel, moved
    everywhere; one of a layer of categories is a group. rate [H]: of every unit KL(q || p) in nats at the posterior
    means of the other layers, summed over the map, averaged over spec.sample.points examples. Where that has no closed
    form (of a flow), spread [H] instead: the variance of every unit's location over those examples, in units of the
    prior's. units [U] are those of the largest rates (or spreads), the largest first. Of a section that repeats they
    are those of all steps, [T, H], and of_steps [U] says of which step, from 1, a unit is: later steps then go where
    their conditional priors go.
    """
    eps, examples, layers = self._eps, self._examples, self._sections[section]
    if f'{layers[0]}.rate' in self._points:
      of, used = 'rate', [self._points[f'{layer}.rate'].mean(0, dtype=np.float64) for layer in layers]
    else:
      of, used = 'spread', [self._points[f'{layer}.eps'].var(0, dtype=np.float64) for layer in layers]
    largest = np.argsort(-np.ravel(used), kind='stable')[: self._section.units or None]
    steps, units = np.divmod(largest, len(used[0]))
    family = self._model.families[layers[0]]  # that of all steps
    offsets = family.offsets(self._section.range, self._section.steps)
    shape = (len(examples['x']), len(units), len(offsets))

    def moved(row):
      n, u, t = np.unravel_index(row, shape)
      rows = _taken(eps, n) | _taken(self._told(shape[0], of_examples=True), n)
      for step in np.unique(steps[u]):
        own, layer = steps[u] == step, layers[step]
        rows[layer][own] = family.moved(rows[layer][own], units[u[own]], offsets[t[own]])
      return rows

    found = {**_scored(examples), 'mean': self._means(shape, moved), 'units': units, 'offsets': offsets}
    return found | ({of: used[0]} if layers == [section] else {of: np.stack(used), 'of_steps': 1 + steps})

  def interpolations(self) -> dict[str, np.ndarray]:
    """mean [P, K, steps, ...] between P pairs of examples x [P, 2, ...]; moved [K] names the layers that move.

    First the top layer (the first step) alone, those below at the means of their conditional priors. Then, in a
    hierarchy, all layers at once, from one reconstruction to the other. Spherical: each layer along a great circle. The
    context is that of a pair's first example all the way.
    """
    x = self._examples['x']
    (top, *below), pairs = self._model.layer_names, len(x) // 2
    shape = (pairs, 2 if below else 1, self._section.steps)
    weights, spherical = np.linspace(0, 1, self._section.steps), self._section.interpolation == 'spherical'
    paths = {
      name: np.stack([_path(*eps[2 * pair : 2 * pair + 2], weights, spherical) for pair in range(pairs)])
      for name, eps in self._eps.items()
    }

    def moved(row):
      pair, kind, step = np.unravel_index(row, shape)
      rows = {name: path[pair, step] for name, path in paths.items()}
      rows |= {name: rows[name] * _column(kind, rows[name].ndim) for name in below}
      return rows | _taken(self._told(len(x), of_examples=True), 2 * pair)

    return {
      **{name: of[: 2 * pairs].reshape(pairs, 2, *x.shape[1:]) for name, of in _scored(self._examples).items()},
      'mean': self._means(shape, moved),
      'moved': np.array([top, '+'.join(self._sections)][: shape[1]]),
    }

  def layers(self, part: str) -> dict[str, np.ndarray]:
    """mean [n, 1 + draws, ...]: n prior samples, and each with the noise eps of one layer drawn afresh; the context.

    Of a section that repeats mean [n, 1 + T, ...], the samples, and each with the noise of one step drawn afresh, and
    variance [T], from as many draws of each step.

    The other layers keep their eps, not their z: p(z_l | z_>l) of those below follows. Were z1 itself kept, no layer
    above could show in an x that depends on z1 alone. Every draw has the context of its sample.
    variance: of E[x | z] over the fresh draws, averaged over n and the dimensions of x. total_variance: over the n
    samples. The ratios of the layers add up to 1 where their effects are additive, to more where they interact.

    Of a model that is told something, `part` may be context, too: then all layers are drawn afresh, and `variance` is
    what the context explains, total_variance less the variance of these draws: Var E[. | c] = Var - E Var[. | c]. By it
    the ratios of the context and of the layers add up to 1 (layers that interact: to more), whatever the two have to do
    with each other. It is an estimate, which may fall below 0 where the context explains nothing.
    """
    told = self._told(self._section.num)
    if part == 'context':
      mean, within, total = self._fresh(self._model.layer_names, told)
      return {'mean': mean, 'variance': total - within, 'total_variance': total, **told}
    if self._sections[part] == [part]:
      mean, within, total = self._fresh([part], told)
      return {'mean': mean, 'variance': within, 'total_variance': total, **told}
    columns, within = [], []
    for layer in self._sections[part]:
      mean, variance, total = self._fresh([layer], told)
      columns += [mean[:, 0], mean[:, 1]] if not columns else [mean[:, 1]]
      within.append(variance)
    return {'mean': np.stack(columns, 1), 'variance': np.array(within), 'total_variance': total, **told}

  def _fresh(self, layers, told):
    """(mean [n, 1 + draws, ...], the variance of E[x | z] within a row, and over the n): `layers` drawn afresh."""
    shape, kept = (self._section.num, 1 + self._section.draws), self._kept
    noise = {name: self._layer_noise(name, (shape[0], shape[1] - 1), 'fresh/') for name in layers}
    fresh = {name: np.concatenate([kept[name][:, None], of], axis=1) for name, of in noise.items()}

    def drawn(row):
      n, draw = np.unravel_index(row, shape)
      return _taken(kept, n) | {name: of[n, draw] for name, of in fresh.items()} | _taken(told, n)

    mean = self._means(shape, drawn, self._draw)
    variance = lambda values, axis: np.var(values, axis, dtype=np.float64, ddof=1).mean()
    return mean, variance(mean, 1), variance(mean[:, 0], 0)

  @functools.cached_property
  def _kept(self):
    """{layer: [n, ...]}: the noise of the samples of `layers`."""
    return {name: self._layer_noise(name, (self._section.num,)) for name in self._model.layer_names}

  @functools.cached_property
  def _requests(self):
    """{layer: what it asks of the noise for one sample}."""
    zeros = None if self._model.told is None else self._model.context.zeros(1)
    draw = lambda noise: lambda one, p: one.family.sample(p, noise, one.name, (1, 1))
    return {request.name: request for request in record(lambda noise: self._model.descend(draw(noise), zeros))}

  def _layer_noise(self, layer, lead, kind=''):
    request = self._requests[layer]
    noise, shape = getattr(self._noise('layers'), request.kind), (*lead, *request.shape[2:])
    return noise(kind + layer, shape, dtype=request.dtype).numpy()

  def projector(self) -> dict[str, bytes]:
    """The files of TensorBoard's projector: the posterior means of the first spec.sample.points examples, by section.

    Named by their label, where there is one, and their number in the split; with images, where the data are.
    """
    batch = self._first(self._section.points)
    latents = {name: value.reshape(len(value), -1) for name, value in self._points_means.items()}
    columns = {name: batch[name].numpy() for name in ('label', 'index') if name in batch}
    pictures, stack = batch['x'].numpy(), self._source.dataset.observation.stack
    pictures = spread(pictures, stack) if pictures.ndim == 4 else None
    return files(latents, columns, pictures, self._source.value_range)

  # What these are made of.

  def _noise(self, purpose, row=None, total=None) -> Noise:
    """The noise of a purpose; of the examples `row` of `total`, which are numbers in a row."""
    share = None if row is None else Share(row[0], row.shape[0], total)
    return stateless(self._section.seed, 0, share).scope(f'sample/{purpose}')

  def _first(self, n):
    split = self._section.split
    return self._source.first(split, min(n, self._source.dataset.size(split)))

  @functools.cached_property
  def _examples(self) -> dict[str, np.ndarray]:
    return self._seen(self._first(self._section.examples))

  def _seen(self, batch) -> dict[str, np.ndarray]:
    """What models see of a batch: x, and where they are there context and target."""
    names = ['x', *(['context'] if self._model.told is not None else []), 'target']
    return {name: batch[name].numpy() for name in names if name in batch}

  def _turn(self, n):
    """The batch of n examples of the split in turn, the first again after the last."""
    return self._source.at(self._section.split, np.arange(n) % self._source.dataset.size(self._section.split))

  def _told(self, n, of_examples: bool = False) -> dict[str, np.ndarray]:
    """{'context': [n, ...]} of n samples or, `of_examples`, of the examples; nothing where a model is told nothing."""
    if self._model.told is None:
      return {}
    if of_examples:
      return {'context': self._examples['context']}
    if self._section.labels:
      return {'context': np.resize(np.array(self._section.labels, np.int32), n)}
    return {'context': self._turn(n)['context'].numpy()}

  @functools.cached_property
  def _points(self) -> dict[str, np.ndarray]:
    """Of the first spec.sample.points examples what `_posterior_means` gives."""
    seen = self._seen(self._first(self._section.points))
    return self._rows(self._encode, len(seen['x']), lambda row: _taken(seen, row))

  @property
  def _points_means(self):
    """Of these, the posterior means, {section: [n, ...]}."""
    return together({name: self._points[f'{name}.mean'] for name in self._model.layer_names}, np.stack)

  @functools.cached_property
  def _eps(self) -> dict[str, np.ndarray]:
    """{layer: [n, ...]}: the noise of the posterior means of the examples."""
    examples = self._examples
    found = self._rows(self._encode, len(examples['x']), lambda row: _taken(examples, row))
    return {name: found[f'{name}.eps'] for name in self._model.layer_names}

  def _posterior_means(self, rows):
    """Of a batch, each layer at its posterior's location: <layer>.mean and <layer>.eps [B, ...].

    And <layer>.rate [B, H], where it has a closed form.
    """
    z, q = self._model.encode(rows)
    _, p = self._model.descend(lambda layer, p: z[layer.name], rows.get('context'))
    found = {}
    for name, mean in z.items():
      family = self._model.families[name]
      found[f'{name}.mean'] = mean[0]
      found[f'{name}.eps'] = family.standardize(p[name], mean)[0]
      if (rate := family.unit_kl(q[name], p[name])) is not None:
        found[f'{name}.rate'] = tf.reduce_sum(rate[0], axis=list(range(1, rate.shape.rank - 2)))
    return found

  def _mean(self, eps):
    """E[x | z] [B, ...] of {layer: eps_l [B, ...]}, and the context if any."""
    context = eps.get('context')
    z, _ = self._model.descend(lambda layer, p: layer.family.at(p, eps[layer.name][None]), context)
    return {'mean': self._model.mean(z, context)[0]}

  def _mean_of_noise(self, noise):
    """E[x | z] [B, ...] of z drawn by {layer: noise [B, ...]}, and the context if any."""
    given, context = replay({name: noise[name][None] for name in self._model.layer_names}), noise.get('context')
    lead = (1, noise[self._model.layer_names[0]].shape[0])
    z, _ = self._model.descend(lambda layer, p: layer.family.sample(p, given, layer.name, lead), context)
    return {'mean': self._model.mean(z, context)[0]}

  def _means(self, shape: tuple[int, ...], eps: Callable, function: Callable | None = None) -> np.ndarray:
    """E[x | z] [*shape, ...], eps(row) being what `function` takes of some of the rows: of None, {layer: eps_l}."""
    mean = self._rows(function or self._decode, int(np.prod(shape)), eps)['mean']
    return mean.reshape(*shape, *mean.shape[1:])

  def _rows(self, function: Callable, total: int, inputs: Callable) -> dict[str, np.ndarray]:
    """function(inputs(row)) for row = 0, ..., total - 1, in parts of one size, which a compiled function is traced for.

    The last part is filled up with the last row, and cut.
    """
    size, parts = min(total, self._size), []
    for begin in range(0, total, size):
      row = np.minimum(np.arange(begin, begin + size, dtype=np.int32), total - 1)
      given = {name: tf.constant(value, _dtype(value, self._source.dtype)) for name, value in inputs(row).items()}
      parts.append({name: value.numpy() for name, value in function(given).items()})
    return {name: np.concatenate([part[name] for part in parts])[:total] for name in parts[0]}


def in_8_bits(images: np.ndarray, limits) -> np.ndarray:
  """Images [n, H, W, C] as uint8, `limits` becoming 0 and 255; values beyond are clipped."""
  low, high = limits
  return np.round(255 * np.clip((images - low) / (high - low), 0, 1)).astype(np.uint8)


def _codes(z, of):
  """{section.of: [n, ...]} of {layer: [1, n, ...]}."""
  return {f'{name}.{of}': value for name, value in together({name: value[0] for name, value in z.items()}).items()}


def _taken(arrays, rows):
  """Rows of arrays."""
  return {name: value[rows] for name, value in arrays.items()}


def _scored(examples):
  """x, and beside it the target where that is scored."""
  return {name: value for name, value in examples.items() if name in ('x', 'target')}


def _dtype(array, floating):
  return floating if array.dtype.kind == 'f' else array.dtype


def _column(values, rank):
  """[R] -> [R, 1, ...] of this rank."""
  return values.reshape(-1, *[1] * (rank - 1))


def _path(a, b, weights, spherical):
  """[steps, ...] from a to b: on the straight line or, spherical, by Shoemake's slerp (1985)."""
  a, b, weights = a.astype(np.float64), b.astype(np.float64), _column(weights, a.ndim + 1)
  lengths = np.linalg.norm(a) * np.linalg.norm(b)
  angle = np.arccos(np.clip(np.sum(a * b) / max(lengths, 1e-300), -1, 1))
  if not spherical or np.sin(angle) < 1e-3:  # one direction, or none between opposite ones
    return (1 - weights) * a + weights * b
  return (np.sin((1 - weights) * angle) * a + np.sin(weights * angle) * b) / np.sin(angle)
