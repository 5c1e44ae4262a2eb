"""A grid by one command beside one command a run: wall time, and whether the numbers are the same to the bit.

    python benchmarks/sweep.py --workdir /tmp/sweep [--spec specs/hit.py] [--fields train.steps=3000]
        [--ways local separate ray pinned]

Ways, in the order given, each in a directory of its own below --workdir:

    local      python launch.py --mode=sweep --spec SPEC: the grid of its get_sweep()
    separate   python launch.py --spec SPEC --spec.FIELD=VALUE ... for each point, one after the other, as a user would
    ray        --sweep.executor=ray
    pinned     separate commands with as many threads as a worker of the grid has, --jobs of them at a time

What is there already is not timed again: seconds.json has what was measured. Prints, in Markdown, the wall time of each
way and what share of `separate` it is, then how many of the points' evaluation.json are the same to the bit as those of
the first way; `separate` has other threads, so that its numbers may differ in the last bits.

On an idle machine.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

WAYS = ('local', 'separate', 'ray', 'pinned')


def launch(*flags: str, **variables: str) -> None:
  """Runs launch.py. Raises SystemExit with what it said where it failed."""
  done = subprocess.run(
    [sys.executable, 'launch.py', *flags],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    env=os.environ | variables,
  )
  if done.returncode:
    sys.exit(f'launch.py {" ".join(flags)}:\n{done.stdout[-2000:]}')


def points(workdir: pathlib.Path) -> dict[str, list[str]]:
  """{name: the flags of its fields} of a grid that is there."""
  from tfvae import spec as spec_lib

  found = json.loads((workdir / 'sweep.json').read_text())['points']
  flag = lambda name, value: f'--spec.{name}={spec_lib.to_text(tuple(value) if isinstance(value, list) else value)}'
  return {point['name']: [flag(*pair) for pair in point['fields'].items()] for point in found}


def run(way: str, args, fields: list[str]) -> float:
  """Trains the grid in a way; the seconds that it took."""
  spec, workdir = ['--spec', args.spec, *fields], args.workdir.absolute()
  begun = time.monotonic()
  if way in ('local', 'ray'):
    threads = [f'--sweep.threads={args.threads}', *([f'--sweep.jobs={args.jobs}'] if way == 'local' else [])]
    launch('--mode=sweep', *spec, '--workdir', str(workdir / way), f'--sweep.executor={way}', *threads)
    return time.monotonic() - begun
  from tfvae.sweep.jobs import thread_variables

  variables = thread_variables(args.threads) if way == 'pinned' else {}
  with concurrent.futures.ThreadPoolExecutor(args.jobs if way == 'pinned' else 1) as pool:
    commands = [
      pool.submit(launch, *spec, *flags, '--workdir', str(workdir / way / name), **variables)
      for name, flags in points(workdir / 'local').items()
    ]
    for command in commands:
      command.result()
  return time.monotonic() - begun


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--spec', default='specs/hit.py')
  parser.add_argument('--fields', nargs='*', default=[], help='of the spec, FIELD=VALUE')
  parser.add_argument('--ways', nargs='+', choices=WAYS, default=['local', 'separate'])
  parser.add_argument('--jobs', type=int, default=2)
  parser.add_argument('--threads', type=int, default=1, help='of a worker')
  args = parser.parse_args()
  if args.ways[0] != 'local' and not (args.workdir / 'local/sweep.json').is_file():
    sys.exit('--ways: local comes first, as it says what the points are')
  args.workdir.mkdir(parents=True, exist_ok=True)
  path = args.workdir / 'seconds.json'
  seconds = json.loads(path.read_text()) if path.is_file() else {}
  for way in args.ways:
    if way not in seconds:
      seconds[way] = run(way, args, [f'--spec.{field}' for field in args.fields])
      path.write_text(json.dumps(seconds))
  names = list(points(args.workdir / 'local'))
  read = lambda way, name: (args.workdir / way / name / 'evaluation.json').read_bytes()
  print(f'\n{len(names)} runs of {" ".join([args.spec, *args.fields])}\n')
  print('| way | seconds | of separate | evaluations as those of local |\n|---|---|---|---|')
  for way, took in seconds.items():
    share = f'{took / seconds["separate"]:.2f}' if 'separate' in seconds else ''
    same = sum(read(way, name) == read('local', name) for name in names)
    print(f'| {way} | {took:.0f} | {share} | {same} of {len(names)} |')


if __name__ == '__main__':
  main()
