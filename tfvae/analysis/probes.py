"""Accuracies of classifiers that see codes."""

import math
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.analysis.codes import Codes, codes, require_labels
from tfvae.analysis.evaluator import Evaluator, Found, Split
from tfvae.data.needs import fitted_on

CAPPED = ('rbf_svm', 'knn')  # whose work grows with the square of the examples
ITERATIONS = 1000


class Task(NamedTuple):
  """One accuracy to be found."""

  classifier: str
  of: str  # samples, locations
  fit: str  # split, train
  layers: str  # z1 or z2,z1


class Probes(Evaluator):
  """Accuracies of scikit-learn's classifiers of the label that see codes (Xiao & Bamler 2023).

  probe/<classifier>/<layers>: on samples z ~ q(z | x), of each layer alone and of all together, fitted on a random 80%
  of the split's codes and judged on the others, as published.
  probe_location/...: the same on the locations of q (`Codes.location`), which the authors' program takes.
  probe_train/..., probe_train_location/...: fitted on the training split's codes and judged on all of the split's; left
  out where the split is the training split.
  <each>_standard_error/...: binomial, sqrt(a (1 - a) / n).
  probe_examples/<classifier>, probe_train_examples/<classifier>: n, how many examples were judged.

  The classifiers, with scikit-learn's own settings where nothing else is said: logistic, logistic regression of all
  labels; linear_svm, of each label against the others; rbf_svm; knn, eval.probes.neighbours nearest neighbours. The
  last two are fitted on eval.probes.examples at most, drawn as the 80% are, and judged on as many. Codes are flattened,
  and standardised by what is fitted on. Where that has one label only, this is what the probe says. Nothing is printed
  but which probes did not converge.
  """

  name = 'probes'

  def evaluate(self, model, split):
    section, own = self.section, split.once('codes', lambda: codes(model, split))
    require_labels(own, self.name)
    known, orders = {'split': own}, {'split': _order(split, len(own.label))}
    if 'train' in section.fit:
      if split.name == 'train':
        print(f'{self.name}: fitted on the training split they would be judged on it: left out', flush=True)
      else:
        train = split.other(split.source, 'train')
        known['train'] = train.once('codes', lambda: codes(model, train))
        orders['train'] = _order(train, len(known['train'].label))
    fits = [fit for fit in section.fit if fit in known]
    layers = list(dict.fromkeys([*own.z, ','.join(own.z)]))
    tasks = [Task(*of) for of in _product(section.classifiers, section.of, fits, layers)]
    numbers, unfinished = {}, []
    for task in split.watched(iter(tasks), len(tasks)):
      fitted, judged = self._rows(task, orders)
      accuracy, converged = self._judge(task, split, (known[task.fit], fitted), (own, judged))
      fit = 'probe' if task.fit == 'split' else 'probe_train'
      what, key = fit if task.of == 'samples' else f'{fit}_location', f'{task.classifier}/{task.layers}'
      numbers[f'{what}/{key}'] = accuracy
      numbers[f'{what}_standard_error/{key}'] = math.sqrt(accuracy * (1 - accuracy) / len(judged))
      numbers[f'{fit}_examples/{task.classifier}'] = float(len(judged))
      unfinished += [] if converged else [f'{what}/{key}']
    if unfinished:
      print(f'{self.name}: not converged within {ITERATIONS:,} iterations: {", ".join(unfinished)}', flush=True)
    return Found(numbers, {})

  def _rows(self, task, orders):
    """The numbers of the examples that are fitted on, and of those that are judged."""
    most = self.section.examples if task.classifier in CAPPED else 0
    order = orders['split']
    if task.fit == 'train':
      fitted, judged = orders['train'], order
    else:
      fitted, judged = np.split(order, [fitted_on(len(order))])
    return (rows[: most or len(rows)] for rows in (fitted, judged))

  def _judge(self, task, split, fitted, judged):
    """The accuracy, and whether the classifier has converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler

    (x, label), (x_judged, label_judged) = (_features(task, *of) for of in (fitted, judged))
    if np.all(label == label[0]):
      return float(np.mean(label_judged == label[0])), True
    scaler = StandardScaler(copy=False).fit(x)
    x, x_judged = scaler.transform(x), scaler.transform(x_judged)
    with warnings.catch_warnings(record=True) as caught:
      warnings.simplefilter('ignore')
      warnings.simplefilter('always', ConvergenceWarning)
      found = self._classifier(task.classifier, split).fit(x, label).predict(x_judged)
    return float(np.mean(found == label_judged)), not caught

  def _classifier(self, name, split):
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC, LinearSVC

    if name == 'logistic':
      return LogisticRegression(max_iter=ITERATIONS)
    if name == 'linear_svm':
      seed = int(2**31 * float(_noise(split).uniform('random_state', [])))  # of its order, where that matters
      return LinearSVC(dual='auto', tol=1e-2, max_iter=ITERATIONS, random_state=seed)
    if name == 'rbf_svm':
      return SVC(cache_size=500)  # MB: twice as fast as with the 200 of its own
    return KNeighborsClassifier(self.section.neighbours)


def _product(classifiers, of, fits, layers) -> Iterator[tuple]:
  """Those of the same codes after one another."""
  return ((classifier, each, fit, own) for fit in fits for each in of for own in layers for classifier in classifiers)


def _noise(split: Split):
  return split.noise(tf.constant(0), 'eval/probes')


def _order(split: Split, count: int) -> np.ndarray:
  """The examples of a split in an order that is drawn from the seed."""
  return np.argsort(_noise(split).uniform('order', [count]).numpy(), kind='stable')


def _features(task: Task, of: Codes, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Codes [n, .] of these examples in float32, and their labels."""
  codes_of = of.z if task.of == 'samples' else of.location
  names = list(codes_of) if task.layers not in codes_of else [task.layers]
  parts = [codes_of[name][rows].reshape(len(rows), -1) for name in names]
  return np.concatenate(parts, axis=1, dtype=np.float32), of.label[rows]
