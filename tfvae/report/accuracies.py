"""The figure of probes: how often classifiers of codes are right, beside what none of them exceeds."""

from tfvae.report.axes import figure, plain
from tfvae.run.directory import Directory

FITS = {'probe': 'fitted on 80% of the split, judged on the rest', 'probe_train': 'fitted on the training split'}
BOUNDS = {'information': ('k', '-', 'bound by I(label; z)'), 'rate': ('0.5', '--', 'bound by the rates')}
NAMES = {'logistic': 'logistic regression', 'linear_svm': 'linear SVM', 'rbf_svm': 'RBF SVM', 'knn': 'k nearest'}
LARGEST = 16  # inches


def bound(numbers: dict[str, float], what: str, layers: str) -> tuple[float, float] | None:
  """The lowest bound there is of the accuracy on samples of these layers, and that at one standard error more.

  It is that of the fewest layers that these are among. None: there is none.

  Args:
    numbers: of an evaluation.
    what: information or rate.
  """
  begin, own = f'accuracy_bound_{what}/', set(layers.split(','))
  found = [name.removeprefix(begin) for name in numbers if name.startswith(begin)]
  found = [others for others in found if own <= set(others.split(','))]
  if not found:
    return None
  fewest = min(found, key=lambda others: others.count(','))
  return numbers[f'{begin}{fewest}'], numbers[f'accuracy_bound_{what}_upper/{fewest}']


def accuracies(run: Directory, split: str):
  """Of each layer and of all, the probes on samples (filled) and on locations (open), and the bounds of the former."""
  path = run.evaluation_path(split)
  numbers = run.read_evaluation(path) if path.is_file() else {}
  numbers = {name: value for name, value in numbers.items() if '@' not in name}  # of those without a name of their own
  fits = {fit: _found(numbers, fit) for fit in FITS}
  fits = {fit: found for fit, found in fits.items() if found}
  if not fits:
    return None
  slots = list(dict.fromkeys(layers for found in fits.values() for _, _, layers in found))
  drawn = figure(min(LARGEST, 2.4 + len(fits) * max(2.6, 1.1 * len(slots))), 3.8)
  axes = drawn.subplots(1, len(fits), sharey=True, squeeze=False)[0]
  for axis, (fit, found) in zip(axes, fits.items(), strict=True):
    _draw(axis, numbers, found, slots)
    axis.set_title(FITS[fit], fontsize=9)
  axes[0].set_ylabel('accuracy')
  handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
  drawn.legend(handles.values(), handles, loc='outside right upper', fontsize=8)
  return drawn


def _found(numbers, fit):
  """{(of, classifier, layers): (accuracy, its standard error)}."""
  found = {}
  for of, what in (('samples', fit), ('locations', f'{fit}_location')):
    for name in numbers:
      if name.startswith(f'{what}/'):
        classifier, layers = name.removeprefix(f'{what}/').split('/', 1)
        found[of, classifier, layers] = numbers[name], numbers[f'{what}_standard_error/{classifier}/{layers}']
  return found


def _draw(axis, numbers, found, slots):
  classifiers = list(dict.fromkeys(classifier for _, classifier, _ in found))
  for what, (color, style, label) in BOUNDS.items():
    for place, layers in enumerate(slots):
      if (known := bound(numbers, what, layers)) is not None:
        ends = (place - 0.45, place + 0.45)
        axis.plot(ends, known[:1] * 2, style, color=color, label=label, linewidth=1.5)
        axis.fill_between(ends, *known, color=color, alpha=0.2, linewidth=0)
  for number, classifier in enumerate(classifiers):
    for of, filled in (('samples', True), ('locations', False)):
      own = {layers: value for (o, c, layers), value in found.items() if (o, c) == (of, classifier)}
      shift = 0.8 * ((number + 0.5 + (-0.15 if filled else 0.15)) / len(classifiers) - 0.5)
      axis.errorbar(
        [slots.index(layers) + shift for layers in own],
        [accuracy for accuracy, _ in own.values()],
        [error for _, error in own.values()],
        fmt='osD^v'[number % 5],
        color=f'C{number}',
        markerfacecolor=f'C{number}' if filled else 'w',
        markersize=5,
        linewidth=1,
        label=f'{plain(NAMES.get(classifier, classifier))}, {of}',
      )
  axis.set_xticks(range(len(slots)), [plain(layers.replace(',', ', ')) for layers in slots])
  axis.set_xlim(-0.5, len(slots) - 0.5)
  axis.grid(axis='y', alpha=0.3)
  if len(slots) > 8:
    axis.tick_params('x', rotation=90, labelsize=7)
