"""The marginal KL of VAE+NVP by the ELBO and by a constraint of the error: table 2 of Taming VAEs.

    for data in color_mnist cifar10; do for way in none re; do for seed in 0 1 2; do
      python launch.py --spec specs/geco.py:$data,nvp,$way --spec.data.context=none --spec.train.steps=2000 \\
        --spec.seed=$seed --workdir runs/nvp/$data/$way-$seed
    done; done; done
    python benchmarks/marginal.py [--runs runs/nvp] [--jobs 2]

Evaluates on the test split what is not evaluated yet of the runs <runs>/<data>/<way>-<seed>, each by a command `python
launch.py --mode=evaluate` of its own, and prints what all of them came to, in Markdown: the median over the seeds and,
in brackets, the range, in nats. Below it, of each data set: of how many seeds the order is that of the paper, the
marginal KL of the ELBO (none) above that of the constraint (re).

--list prints the commands in place of both, --show evaluates nothing. --codes: at how many codes all posteriors are
summed (10,000 times as many pairs, each a pass backwards through the flow; near the floor few do).
"""

import argparse
import json
import math
import pathlib
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]

from grid import of, table  # noqa: E402

WAYS = {'none': 'ELBO', 're': 're'}
COLUMNS = {  # title: number, format, of what
  'rate': ('rate', '.1f'),
  'error': ('mse', '.4f', math.sqrt),
  'I_q(x; z)': ('index_code_information/z1', '.2f'),
  'own share': ('own_share/z1', '.2f'),
  'by all posteriors': ('marginal_kl/z1', '.1f'),
  'its floor': ('marginal_kl_floor/z1', '.1f'),
  'density ratio': ('marginal_kl_ratio/z1', '.1f'),
  'lower bound': ('marginal_kl_ratio_lower/z1', '.1f'),
  'in one step': ('marginal_kl_ratio_plain/z1', '.1f'),
  'trusted': ('marginal_kl_ratio_trusted/z1', '.0f'),
}
ORDERED = {'density ratio': 'marginal_kl_ratio/z1', 'lower bound': 'marginal_kl_ratio_lower/z1'}
Runs = dict[tuple[str, str], dict[int, pathlib.Path]]


def runs_of(root: pathlib.Path) -> Runs:
  """{(data, way): {seed: directory}} of what is trained there."""
  found = {}
  for data in sorted(path for path in root.iterdir() if path.is_dir()):
    for way in WAYS:
      paths = {int(path.name.rpartition('-')[2]): path for path in data.glob(f'{way}-*') if path.is_dir()}
      if done := {seed: paths[seed] for seed in sorted(paths) if (paths[seed] / 'evaluation.json').exists()}:
        found[data.name, way] = done
  return found


def command(path: pathlib.Path, codes: int) -> list[str]:
  """What evaluates a run."""
  flags = ['--spec.eval.evaluators=bounds,reconstruction,marginal_kl', f'--spec.eval.marginal_kl.codes={codes}']
  return ['python', 'launch.py', '--mode=evaluate', '--workdir', str(path.absolute()), *flags]


def evaluate(paths: list[pathlib.Path], codes: int, jobs: int) -> None:
  """Evaluates what is missing, `jobs` at a time. Raises SystemExit: one failed."""

  def run(path):
    argv = [sys.executable, *command(path, codes)[1:]]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f'{path}: {"evaluated" if done.returncode == 0 else "failed"}', file=sys.stderr, flush=True)
    return done

  with ThreadPoolExecutor(jobs) as pool:
    for done in pool.map(run, paths):
      if done.returncode:
        raise SystemExit(f'{shlex.join(done.args)}\n{done.stdout[-2000:]}')


def numbers(path: pathlib.Path) -> dict[str, float]:
  """Those of its evaluation on the test split."""
  return json.loads((path / 'evaluation.json').read_text())


def ordered(groups: dict[tuple[str, str], dict[int, dict]]) -> list[str]:
  """Of each data set, whether the marginal KL of the ELBO is above that of re, seed by seed; and of all at once."""
  lines = []
  for data in dict.fromkeys(data for data, _ in groups):
    none, re = groups.get((data, 'none'), {}), groups.get((data, 're'), {})
    seeds, said = sorted(set(none) & set(re)), []
    for title, name in ORDERED.items():
      above = sum(none[seed][name] > re[seed][name] for seed in seeds)
      apart = seeds and min(none[seed][name] for seed in seeds) > max(re[seed][name] for seed in seeds)
      said.append(f'{title} {above} of {len(seeds)} seeds{" (and all of one above all of the other)" * bool(apart)}')
    lines.append(f'{data}: ELBO above re, by the {"; by the ".join(said)}')
  return lines


def show(groups: dict[tuple[str, str], dict[int, dict]]) -> str:
  """The table, and below it what became of the order."""
  rows = []
  for (data, way), found in groups.items():
    own = list(found.values())
    rows.append([data, WAYS[way], str(len(own)), *(of(own, *how) for how in COLUMNS.values())])
  return '\n'.join([table(['data', 'trained by', 'seeds', *COLUMNS], rows), '', *ordered(groups)])


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--runs', type=pathlib.Path, default=pathlib.Path('runs/nvp'))
  parser.add_argument('--codes', type=int, default=300, help='at which all posteriors are summed')
  parser.add_argument('--jobs', type=int, default=1, help='evaluations at a time')
  parser.add_argument('--list', action='store_true', help='print the commands, and stop')
  parser.add_argument('--show', action='store_true', help='print what is there, and evaluate nothing')
  args = parser.parse_args()
  runs = runs_of(args.runs) if args.runs.is_dir() else {}
  if not runs:
    raise SystemExit(f'{args.runs}: no runs <data>/<way>-<seed> there, way being {" or ".join(WAYS)}')
  paths = [path for own in runs.values() for path in own.values()]
  if args.list:
    print('\n'.join(shlex.join(command(path, args.codes)) for path in paths))
    return
  if not args.show:
    evaluate(paths, args.codes, args.jobs)
  groups = {key: {seed: numbers(path) for seed, path in own.items()} for key, own in runs.items()}
  groups = {key: own for key, own in groups.items() if all('marginal_kl_ratio/z1' in found for found in own.values())}
  print(show(groups))


if __name__ == '__main__':
  main()
