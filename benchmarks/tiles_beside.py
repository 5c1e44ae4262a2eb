"""The latent planes of several runs beside each other: what a constraint does to the holes of the prior.

    python benchmarks/tiles_beside.py docs/images/holes.png ELBO=runs/none re=runs/re

A column for each run that the evaluator tiles has seen: samples of q(z | x), q(z) against p(z) with holes in red, and
E[x | z] on the plane; its heads have the rate, the error and hole_mass.
"""

import argparse
import io
import pathlib
import sys

from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from tfvae.report import tiles
from tfvae.report.axes import figure
from tfvae.trained import Run


def draw(runs: dict[str, Run], split: str):
  """A figure of three rows, a column for each run."""
  drawn = figure(2.6 * len(runs) + 0.3, 8.2)
  for column, (name, run) in zip(drawn.subplots(3, len(runs), squeeze=False).T, runs.items(), strict=True):
    arrays, found = run.arrays('tiles', split), run.evaluation
    tiles.samples(column[0], arrays)
    tiles.coverage(column[1], arrays)
    tiles.images(column[2], arrays, every=2)
    column[0].set_title(f'{name}\n{found["rate"]:.2f} nats, error {found["mse"] ** 0.5:.3f}', fontsize=10)
    column[1].set_title(f'holes: {100 * found["hole_mass"]:.0f}% of p(z)', fontsize=10)
    for axis in column:
      axis.set(xticks=(), yticks=())
  return drawn


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('picture', help='a PNG file')
  parser.add_argument('runs', nargs='+', metavar='NAME=WORKDIR')
  parser.add_argument('--split', default='test')
  parser.add_argument('--dpi', type=int, default=90)
  args = parser.parse_args()
  runs = {name: Run(path) for name, _, path in (run.partition('=') for run in args.runs)}
  content = io.BytesIO()
  draw(runs, args.split).savefig(content, dpi=args.dpi, format='png')
  Image.open(content).convert('P', palette=Image.Palette.ADAPTIVE, colors=64).save(args.picture, optimize=True)
  print(args.picture)


if __name__ == '__main__':
  main()
