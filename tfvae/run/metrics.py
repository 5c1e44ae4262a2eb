"""What is known of metrics by their names: units, which ones come first, which are of single latent units."""

from collections.abc import Iterable

MOST = 14  # lines of a summary
TABLED = ('constraint/', 'threshold/')  # begin names of what a table of its own shows (report/constraints.py)
HOLE = 0.01  # q(z) / p(z) of a latent plane, below which a point is in a hole
DECODED = 3.0  # standard deviations of the prior to each side, of the plane whose E[x | z] is decoded
OF_EXAMPLES = 0.1  # share of its own posterior in q(z) at a code, from which on marginal_kl says N
LOOSE = 10  # effective samples, below which log_evidence says little about log p(x)

# The main numbers of an evaluation, in the order in which they are shown, and their units. A * stands for one part of a
# name, a layer, say.
MAIN = {
  'accuracy': '',
  'cross_entropy': 'nats',
  'task/accuracy': 'of what is drawn for the contexts',
  'task/accuracy_turns': 'of how far that is turned',
  'task/accuracy_reconstruction': '',
  'task/accuracy_real': "of the classifier, on the data's own",
  'task/chance': '',
  'elbo': 'nats',
  'log_likelihood': 'nats',
  'log_likelihood_constant': 'nats, of a fixed sigma',
  'rate': 'nats',
  'rate/*': 'nats',
  'log_evidence': 'nats',
  'exact_log_likelihood': 'nats',
  'posterior_kl': 'nats',
  'elbo_minus_ppca': 'nats',
  'entropy_sum': 'nats',
  'entropy_sum_sampled': 'nats, from samples',
  'elbo_minus_entropies': 'nats',
  'elbo_minus_entropies_sampled': 'nats, from samples',
  'bits_per_dim': 'bits per dimension',
  'bits_per_dim/*': 'bits per dimension',
  'nll_per_dimension': 'nats per dimension',
  'nll_per_dimension_sigma': 'units of x',
  'fid/*/*': '(Frechet distance)',
  'loss/*': 'nats',
  'mse': 'squared units of x, per dimension',
  'psnr': 'dB',
  'ssim': '',
  'sigma': 'units of x',
  'scale': 'units of x',
  'hole_mass': 'of the prior, where q(z) < 0.01 p(z)',
  'hole_kl': 'nats, KL(p(z) || q(z))',
  'active_units/*': 'units',
  'unit_information/*/*': 'nats per unit',
  'selected_elbo/*': 'units, by the ELBO',
  'selected_entropies/*': 'units, by the entropies',
  'constraint/*': 'from its threshold; 0 or less: it holds',
  'constraint/rate/*': 'nats from its target',
  'threshold/*': '',
  'threshold/rate/*': 'nats',
  'multiplier/*': '',
  'multiplier/rate/*': '(the beta of the layer)',
  'beta_vae/beta': '',
  'largest_eigenvalue': "squared units of x, of the data's covariance",
  'spectral_radius': 'of the map at the mean, at this T',
  'equipartition': 'of the mass is on tiles with too much of it, at the lowest T',
  'error_lowest': 'squared units of x, at the lowest T',
  'rate_lowest': 'nats, at the lowest T',
  'hysteresis': 'of E, the largest difference between both ways',
  'unfinished': 'temperatures at which points still moved',
  'linear_rate_gap': 'nats, of linear VAEs from the theory',
  'linear_units_wrong': 'values of sigma^2 with another number of units',
  'nonlinear_rate_gap': 'nats, of nonlinear VAEs from the theory',
  'nonlinear_units_wrong': 'values of sigma^2 with another number of units',
  'beta_vae/sigma': 'units of x',
}
LISTED = {  # main numbers, too, of which one line shows all that begin so, each with its `<what>_standard_error/...`
  'mutual_information': 'nats about the label',
  'mutual_information_ksg': 'nats, by neighbours',
  'mutual_information_counts': 'nats, by counts',
  'mutual_information_p': 'nats about the label that the classifier sees in what is generated',
  'marginal_kl': 'nats, by the mixture of all posteriors',
  'marginal_kl_ratio': 'nats, by a density ratio',
  'index_code_information': 'nats, I_q(x; z)',
  'pca_explained': "of the codes' variance, by two components",
  'accuracy_bound_information': 'the most on samples, by I(label; z)',
  'probe': 'right, on samples',
  'probe_train': 'right, fitted on the training split',
  'critical_temperature': 'squared units of x, T falling',
  'critical_temperature_rising': 'the same, T rising',
  'eigenvalue': "squared units of x, of the data's covariance",
  'zero': 'where units of linear VAEs fall silent',
  'inception_score': '(at most the number of labels)',
  'reconstruction_accuracy': 'of the classifier',
}
BY = ('probe', 'probe_train')  # of these <what>/<by>/<layers>, of which the highest is shown; of others <what>/<layers>
MOST_LISTED = 6  # in a line
RELAXED = 'relaxed/'  # begins names of what follows from softened samples
SINGLE = ('encoder_entropy/', 'second_moment/')  # begin names of single latent units: <layer>/<unit>


def main(names: Iterable[str]) -> dict[str, str]:
  """The main ones among the names, in their order, with their units; of single steps of a section there are none."""
  names = list(names)
  listed = {name: LISTED[what] for what in LISTED for name in names if name.startswith(f'{what}/')}
  listed = {name: unit for name, unit in listed.items() if not _is_of_a_step(name)}
  return {name: unit for pattern, unit in MAIN.items() for name in names if fits(name, pattern)} | listed


def by_layer(names: Iterable[str]) -> dict[str, list[str]]:
  """The names of single latent units, by what they are the numbers of: {'encoder_entropy/z1': [...]}."""
  found = {}
  for name in names:
    if name.startswith(SINGLE) and name.count('/') > 1:
      found.setdefault(name.rpartition('/')[0], []).append(name)
  return found


def what(name: str) -> str:
  """What a number is, whatever layer and samples it is of: rate of rate/z2, elbo of relaxed/elbo."""
  return name.removeprefix(RELAXED).partition('/')[0]


def standard_error(name: str) -> str:
  """The name of a number's standard error: rate_standard_error/z2 of rate/z2, elbo_standard_error@me of elbo@me."""
  relaxed = RELAXED if name.startswith(RELAXED) else ''
  kind, slash, of = name.removeprefix(RELAXED).partition('/')
  kind, at, own = kind.partition('@')
  return f'{relaxed}{kind}_standard_error{at}{own}{slash}{of}'


def summary(numbers: dict[str, float]) -> list[str]:
  """Lines for a person: at most `MOST` main numbers with their units, and what they say of themselves; and a line for
  each of `LISTED` that is there.
  """
  listed = [line for what, unit in LISTED.items() if (line := _list(numbers, what, unit))]
  shown = {name: unit for name, unit in main(numbers).items() if not _is_apart(name)}
  if len([name for name in shown if name.startswith('rate/')]) == 1:  # one layer: it is the rate
    shown = {name: unit for name, unit in shown.items() if not name.startswith('rate/')}
  lines = []
  for name, unit in list(shown.items())[:MOST]:
    text = f'{numbers[name]:.6g}'
    if name == 'log_evidence':
      unit = f'+- {numbers["log_evidence_standard_error"]:.2g} {unit}{_trust(numbers)}'
    lines.append(f'  {name:<24}{text:>12} {unit}'.rstrip())
  return lines + listed


def _is_apart(name):
  """Whether a main number has no line of its own."""
  return name.startswith((*TABLED, *(f'{what}/' for what in LISTED)))


def _is_of_a_step(name):
  """Whether a listed number is of one step of a section that repeats, <section>/<step>, alone."""
  what, _, layers = name.partition('/')
  return '/' in (layers.partition('/')[2] if what in BY else layers) and ',' not in layers


def _list(numbers, what, unit):
  of = {}  # by layers: (value, by what)
  for name, value in numbers.items():
    begin, _, layers = name.partition('/')
    if begin == what:
      by, _, layers = layers.partition('/') if what in BY else ('', '', layers)
      of[layers] = max(of.get(layers, (value, by)), (value, by))
  parts = []
  for layers, (value, by) in of.items():
    error = numbers.get(standard_error(f'{what}/{by}/{layers}' if by else f'{what}/{layers}'))
    error = '' if error is None else f' +- {error:.2g}'
    parts.append(f'{layers} {value:.4g}{error}' + (f' ({by})' if by else '') + _doubt(numbers, what, layers))
  if len(parts) > MOST_LISTED:  # steps of a section that repeats
    parts[MOST_LISTED - 1 : -1] = ['...']
  return f'  {what:<24} {"; ".join(parts)} {unit}'.rstrip() if parts else ''


def _doubt(numbers, what, layers):
  """What speaks against a listed number."""
  if what == 'marginal_kl' and is_of_examples(numbers[f'own_share/{layers}']):
    floor, examples = numbers[f'marginal_kl_floor/{layers}'], numbers['marginal_kl_examples' + _own(layers)]
    return f' (says N = {examples:,.0f} as well as the model: its floor is {floor:.4g})'
  if what == 'marginal_kl_ratio' and not numbers[f'marginal_kl_ratio_trusted/{layers}']:
    return f' (not to be trusted: {numbers[f"marginal_kl_ratio_lower/{layers}"]:.4g} or more)'
  return ''


def _own(name):
  """The end of a name that is of one of several evaluators of a kind: @train."""
  return ''.join(name.partition('@')[1:])


def is_loose(effective_samples: float) -> bool:
  """Whether log_evidence by so many effective samples, on average, is a loose lower bound of log p(x)."""
  return effective_samples < LOOSE


def is_of_examples(own_share: float) -> bool:
  """Whether marginal_kl says the number of examples more than the model, at such a share of own posteriors in q(z)."""
  return own_share >= OF_EXAMPLES


def _trust(numbers):
  effective, samples = numbers['effective_samples'], numbers['log_evidence_samples']
  how = f' ({effective:.3g} effective of {samples:g} samples'
  if is_loose(effective):
    return f'{how}: a loose lower bound; take more, spec.eval.log_evidence.samples)'
  return f'{how})'


def fits(name: str, pattern: str) -> bool:
  """Whether a name is of a pattern, in which each * stands for one part: rate/z2 of rate/*."""
  own, wanted = name.split('/'), pattern.split('/')
  return len(own) == len(wanted) and all(b in ('*', a) for a, b in zip(own, wanted, strict=True))
