"""What reading a large CSV file costs.

    python benchmarks/table.py [--rows 5000000] [--columns 19] [--repeats 3]

Writes a file in the form of SUSY.csv (UCI: 5,000,000 rows; the label, then 18 features, as '%.18e'; 2.4 GB) to the
temporary directory, a block of random rows again and again, and loads it in a fresh process: the table, its split and
its scaling, as training does. Prints seconds, rows a second and the largest resident memory (of all the process, Python
and its libraries included), and removes the file.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
BLOCK = 20_000  # rows that differ

LOAD = """
import json, resource, sys, time
from tfvae import spec
from tfvae.data import dataset, table
section = spec.base().data
section.update({'path': sys.argv[1], 'label': '0', 'scaling': 'standard'})
start = time.perf_counter()
data = dataset.make(table.load(section), section, 0)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
assert 'tensorflow' not in sys.modules
print(json.dumps({'seconds': seconds, 'peak': peak, 'sizes': data.summary['sizes'], 'shape': data.summary['shape']}))
"""


def write(path: pathlib.Path, rows: int, columns: int) -> None:
  """A table of random rows, its first column 0 or 1."""
  import numpy as np

  values = np.random.default_rng(0).standard_normal((min(rows, BLOCK), columns))
  values[:, 0] = values[:, 0] > 0
  form = ','.join(['%.18e'] * columns) + '\n'
  lines = [(form % tuple(row)).encode() for row in values.tolist()]
  block = b''.join(lines)
  with path.open('wb') as file:
    for _ in range(rows // len(lines)):
      file.write(block)
    file.writelines(lines[: rows % len(lines)])


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--rows', type=int, default=5_000_000)
  parser.add_argument('--columns', type=int, default=19)
  parser.add_argument('--repeats', type=int, default=3)
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory, 'susy.csv')
    write(path, args.rows, args.columns)
    print(f'{args.rows} rows x {args.columns} columns, {path.stat().st_size / 1e9:.2f} GB')
    for _ in range(args.repeats):
      command = [sys.executable, '-c', LOAD, str(path)]
      result = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
      print(
        f'{result["seconds"]:.1f} s, {args.rows / result["seconds"]:.3g} rows/s, peak {result["peak"]:.2f} GiB; '
        f'splits {result["sizes"]} of {result["shape"]}',
        flush=True,
      )


if __name__ == '__main__':
  main()
