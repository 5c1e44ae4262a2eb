"""A grid of betas of two layers as a surface over their rates, and rates that were asked for as points on it.

    python benchmarks/surface.py runs/hit-grid runs/hit-rates [--picture docs/images/hit-surface.png]

Takes directories of runs of a hierarchy of two layers (docs/hit.md has the commands): grids of betas, and runs with
`spec.constraint.names=rate`. Of each data set, from the test split's numbers alone:

- how many steps of beta z2 at the same beta z1 lower rate/z2, and how many raise rate/z1; and the table of both rates.
- of each run with targets, its rates, its distortion -log_likelihood, and that of the surface of the grid there: linear
  between the three runs of the grid around (Delaunay); outside of all of them there is none.

--picture: both rates over the betas, and the distortion over the rates.
"""

import argparse
import itertools
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'benchmarks')]

from tfvae.run.collection import collect  # noqa: E402

ABOVE, BELOW = 'z2', 'z1'


class Runs:
  """Those of one data set: a grid, and such with targets."""

  def __init__(self, runs):
    self.grid = [run for run in runs if 'rate' not in run.fields['constraint.names']]
    self.targets = [run for run in runs if 'rate' in run.fields['constraint.names']]

  def betas(self, layer):
    return np.array([run.fields[f'objective.beta.{layer}'] for run in self.grid])

  def plane(self, layer):
    """(betas of z2 [I], of z1 [J], rate of a layer [I, J])."""
    above, below = (np.unique(self.betas(name)) for name in (ABOVE, BELOW))
    found = np.full((len(above), len(below)), np.nan)
    found[np.searchsorted(above, self.betas(ABOVE)), np.searchsorted(below, self.betas(BELOW))] = [
      run.numbers['test'][f'rate/{layer}'] for run in self.grid
    ]
    return above, below, found


def rates(runs):
  """[N, 2]: rate/z1 and rate/z2."""
  return np.array([[run.numbers['test'][f'rate/{layer}'] for layer in (BELOW, ABOVE)] for run in runs])


def distortion(runs):
  """[N]."""
  return np.array([-run.numbers['test']['log_likelihood'] for run in runs])


def by_data(paths) -> dict[str, Runs]:
  """{data set: its runs}."""
  runs = [run for path in paths for run in collect(path).runs if 'test' in run.numbers]
  name = lambda run: f'{"binary " if run.fields["data.binarize"] != "none" else ""}{run.fields["data.name"]}'
  found = {data: Runs(list(own)) for data, own in itertools.groupby(sorted(runs, key=name), name)}
  return dict(sorted(found.items(), key=lambda pair: -len(pair[1].grid)))


def tell(data: str, runs: Runs) -> None:
  """Prints what the grid shows, in Markdown."""
  from scipy.interpolate import LinearNDInterpolator

  above, below, upper = runs.plane(ABOVE)
  lower = runs.plane(BELOW)[2]
  falls, rises = np.diff(upper, axis=0) < 0, np.diff(lower, axis=0) > 0
  print(f'\n## {data}: {len(runs.grid)} runs of the grid, {len(runs.targets)} with targets\n')
  print(
    f'From one beta z2 to the next rate/z2 falls in {falls.sum()} of {falls.size}, rate/z1 rises in {rises.sum()}.\n'
  )
  print(f'| rate/z2, rate/z1 | {" | ".join(f"beta z1 {beta:.3g}" for beta in below)} |')
  print(f'|{"---|" * (len(below) + 1)}')
  for i, beta in enumerate(above):
    print(
      f'| beta z2 {beta:.3g} | {" | ".join(f"{a:.2f}, {b:.2f}" for a, b in zip(upper[i], lower[i], strict=True))} |'
    )
  if not runs.targets:
    return
  surface = LinearNDInterpolator(rates(runs.grid), distortion(runs.grid), rescale=True)
  print('\n| asked for (z2, z1) | rate/z2, rate/z1 | distortion | of the surface there | difference |')
  print('|---|---|---|---|---|')
  for run, (z1, z2), own in zip(runs.targets, rates(runs.targets), distortion(runs.targets), strict=True):
    asked = ', '.join(f'{run.fields[f"constraint.rate.{layer}"]:g}' for layer in (ABOVE, BELOW))
    there = float(surface(z1, z2))
    cells = f'{there:.2f} | {own - there:+.2f}' if np.isfinite(there) else 'outside | '
    print(f'| {asked} | {z2:.2f}, {z1:.2f} | {own:.2f} | {cells} |')


def draw(found: dict[str, Runs], path: pathlib.Path) -> None:
  """Both rates over the betas, and the distortion over the rates; a row for each data set."""
  from matplotlib.figure import Figure

  figure = Figure((11.5, 3.5 * len(found)), layout='constrained')
  for row, (data, runs) in zip(figure.subplots(len(found), 3, squeeze=False), found.items(), strict=True):
    for axis, layer in zip(row, (ABOVE, BELOW), strict=False):
      above, below, values = runs.plane(layer)
      figure.colorbar(axis.imshow(values, origin='lower', cmap='viridis'), ax=axis)
      middle = (np.nanmin(values) + np.nanmax(values)) / 2
      for (i, j), value in np.ndenumerate(values):
        axis.text(j, i, f'{value:.1f}', ha='center', va='center', fontsize=8, color='w' if value < middle else 'k')
      axis.set_xticks(range(len(below)), [f'{beta:.3g}' for beta in below])
      axis.set_yticks(range(len(above)), [f'{beta:.3g}' for beta in above])
      axis.set(title=f'{data}: rate/{layer} [nats]', xlabel='beta z1', ylabel='beta z2')
    axis, (x, y), z = row[2], rates(runs.grid).T, distortion(runs.grid)
    shown = axis.tricontourf(x, y, z, 16, cmap='viridis', alpha=0.5)
    figure.colorbar(shown, ax=axis)
    axis.use_sticky_edges = False
    axis.margins(0.06)
    common = {'cmap': 'viridis', 'vmin': z.min(), 'vmax': z.max(), 'edgecolors': 'k', 'zorder': 3}
    axis.scatter(x, y, c=z, s=26, linewidths=0.5, label='betas', **common)
    if runs.targets:
      own = rates(runs.targets).T
      axis.scatter(
        *own, c=distortion(runs.targets), s=60, marker='^', linewidths=1.2, label='rates asked for', **common
      )
    axis.set(title=f'{data}: distortion [nats]', xlabel='rate/z1 [nats]', ylabel='rate/z2 [nats]')
    axis.legend(fontsize=8)
  figure.savefig(path, dpi=110)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('runs', nargs='+', type=pathlib.Path)
  parser.add_argument('--picture', type=pathlib.Path)
  args = parser.parse_args()
  found = by_data(args.runs)
  for data, runs in found.items():
    tell(data, runs)
  if args.picture:
    draw(found, args.picture)


if __name__ == '__main__':
  main()
