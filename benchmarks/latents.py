"""Seconds and memory of the evaluators of latents, on the 10,000 test images of MNIST and 32 latent units.

    python benchmarks/latents.py DIR [--evaluators mutual_information pca] [--repeats 3] [--data_dir DIR]

Trains once, into DIR/model and DIR/classifier, what is evaluated: specs/aevb.py:mnist with 32 units for 1,000 steps,
and specs/classifier.py:mnist for 300, of which times do not depend. Then each evaluator works alone, in a process of
its own, --repeats times: the wall time of the evaluation itself (codes included, which evaluators that work together
share; reading the data, building the model and restoring it are not), the median and the range, and the largest
resident memory of the process, TensorFlow and the data included. Nothing is downloaded. Linux.

Run it on an idle machine: times mean little on another.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

NAMES = (
  'bounds',
  'mutual_information',
  'accuracy_bounds',
  'probes',
  'marginal_kl',
  'pca',
  'reconstruction_accuracy',
  'inception_score',
)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('directory', type=pathlib.Path)
  parser.add_argument('--evaluators', nargs='+', default=NAMES, choices=NAMES)
  parser.add_argument('--repeats', type=int, default=3)
  parser.add_argument('--data_dir', default='')
  parser.add_argument('--one', help=argparse.SUPPRESS)  # what a process of its own does
  options = parser.parse_args()
  if options.one:
    return measure(options.directory, options.one)
  train(options)
  print('| evaluator | seconds | MiB |\n|---|---|---|', flush=True)
  for name in options.evaluators:
    found = [again(options.directory, name) for _ in range(options.repeats)]
    seconds = [one['seconds'] for one in found]
    spread = f'{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})'
    print(f'| `{name}` | {spread} | {max(one["mib"] for one in found):,.0f} |', flush=True)


def train(options):
  data = [f'--spec.data.data_dir={options.data_dir}'] if options.data_dir else []
  few = ['--spec.eval.every=0', *data]
  model = ['--spec=specs/aevb.py:mnist', '--spec.model.z1.dim=32', '--spec.train.steps=1000', *few]
  model += ['--spec.eval.evaluators=bounds', f'--workdir={options.directory / "model"}']
  classifier = ['--spec=specs/classifier.py:mnist', '--spec.train.steps=300', *few]
  classifier += [f'--workdir={options.directory / "classifier"}']
  for command in (classifier, model):  # one that was trained to its end has nothing to do
    subprocess.run([sys.executable, 'launch.py', *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def again(directory, name):
  command = [sys.executable, __file__, str(directory), '--one', name]
  return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def measure(directory, name):
  """One evaluator, by itself: nothing is kept."""
  from tfvae import build
  from tfvae import spec as spec_lib
  from tfvae.analysis.evaluation import Evaluation
  from tfvae.trained import Run

  run = Run(directory / 'model')
  classifier = {'classifier.path': str(directory / 'classifier')}
  spec = spec_lib.resolve(run.spec, {'eval.evaluators': name, **classifier})
  data = build.dataset(spec, run.data)
  model = build.model(spec, data.observation)
  run.restore(model)
  evaluation = Evaluation(model, build.source(spec, data), spec)
  evaluators = build.evaluators(spec, data.observation, is_trained=True)
  begin = time.perf_counter()
  for _ in evaluation.run('test', evaluators):
    pass
  seconds = time.perf_counter() - begin
  mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(json.dumps({'seconds': seconds, 'mib': mib}))


if __name__ == '__main__':
  main()
