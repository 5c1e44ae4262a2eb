"""What a label that a model is told is worth: samples of each label as a classifier sees them, and the rate.

    python benchmarks/conditional.py [--runs runs/conditional]

Trains what is not there yet below --runs: a classifier (specs/classifier.py) and specs/aevb.py with and without the
word `conditional`, three seeds of each decoder, each by a command `python launch.py` of its own (about 20 seconds).
Prints a table of the test split in Markdown: medians, and in brackets the smallest and the largest.

accuracy: how many of 200 samples for each of the ten labels the classifier takes for that label, of E[x | z] and of
x ~ p(x | z), z ~ p(z | label).
"""

import argparse
import pathlib
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tfvae.trained import Run  # noqa: E402

DECODERS, SEEDS, LABELS, SAMPLES = ('bernoulli', 'gaussian'), (0, 1, 2), 10, 200
NUMBERS = ('rate', 'elbo', 'log_evidence')


def train(spec: str, workdir: pathlib.Path, seed: int = 0) -> Run:
  """The run of a spec, trained where it is not there. Raises SystemExit: it failed."""
  if not (workdir / 'evaluation.json').is_file():
    command = [sys.executable, 'launch.py', '--spec', spec, '--workdir', str(workdir), f'--spec.seed={seed}']
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f'{workdir.name}: {"trained" if done.returncode == 0 else "failed"}', file=sys.stderr, flush=True)
    if done.returncode:
      raise SystemExit(done.stdout[-2000:])
  return Run(workdir)


def accuracies(run: Run, classifier: pathlib.Path) -> dict[str, float]:
  """{'mean': ..., 'x': ...}: how many samples are of the label that they were to be of."""
  from tfvae import build, classifiers
  from tfvae.models.frozen import Frozen
  from tfvae.observation import Observation

  observation = Observation.kept(run.summary)
  frozen = Frozen(classifiers.load(str(classifier), build, observation.shape), observation)
  labels = np.repeat(np.arange(LABELS), SAMPLES)
  drawn = run.sample(context=labels)
  seen = lambda images: np.asarray(frozen.probabilities(images)).argmax(-1)
  return {name: float(np.mean(seen(drawn[name]) == labels)) for name in ('mean', 'x')}


def spread(values: list[float], digits: int) -> str:
  """The median, and the smallest and the largest."""
  return f'{np.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})'


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--runs', type=pathlib.Path, default=pathlib.Path('runs/conditional'))
  runs = parser.parse_args().runs.absolute()
  classifier = train('specs/classifier.py', runs / 'classifier')
  print(f'the classifier on the test split: {classifier.evaluation["accuracy"]:.3f}\n')
  head = ['decoder', 'told', *NUMBERS, 'accuracy of E[x given z]', 'accuracy of x']
  print(f'| {" | ".join(head)} |\n| {" | ".join("---" for _ in head)} |')
  for decoder in DECODERS:
    for told, words in (('nothing', decoder), ('the label', f'{decoder},conditional')):
      own = [train(f'specs/aevb.py:{words}', runs / f'{words}-{seed}', seed) for seed in SEEDS]
      cells = [spread([run.evaluation[name] for run in own], 2) for name in NUMBERS]
      if words != decoder:
        found = [accuracies(run, classifier.workdir) for run in own]
        cells += [spread([each[name] for each in found], 3) for name in ('mean', 'x')]
      print(f'| {" | ".join([decoder, told, *cells, *[""] * (len(head) - 2 - len(cells))])} |', flush=True)


if __name__ == '__main__':
  main()
