"""What benchmarks that train many runs share: a run by its command, tables in Markdown, the information plane."""

import json
import pathlib
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]


class Cell(NamedTuple):
  """A run: its directory's name, the words of specs/geco.py, fields that differ from theirs, splits evaluated."""

  name: str
  words: str
  fields: dict
  splits: tuple[str, ...] = ('test',)

  def command(self, runs: pathlib.Path) -> list[str]:
    """What trains it."""
    flags = [f'--spec.{field}={value}' for field, value in self.fields.items()]
    return ['python', 'launch.py', '--spec', f'specs/geco.py:{self.words}', '--workdir', str(runs / self.name), *flags]

  def found(self, runs: pathlib.Path, split: str = 'test') -> dict[str, float]:
    """The numbers of its evaluation."""
    suffix = '' if split == 'test' else f'-{split}'
    return json.loads((runs / self.name / f'evaluation{suffix}.json').read_text())

  def is_done(self, runs: pathlib.Path) -> bool:
    """Whether it is trained to its end, and evaluated."""
    try:
      return all(self.found(runs, split)['step'] == self.fields['train.steps'] for split in self.splits)
    except FileNotFoundError:
      return False


def train(cells: Sequence[Cell], runs: pathlib.Path, jobs: int) -> None:
  """Runs what is missing, `jobs` at a time. Raises SystemExit: one failed."""

  def run(cell):
    command = [sys.executable, *cell.command(runs.absolute())[1:]]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f'{cell.name}: {"trained" if done.returncode == 0 else "failed"}', file=sys.stderr, flush=True)
    return done

  with ThreadPoolExecutor(jobs) as pool:
    for done in pool.map(run, [cell for cell in cells if not cell.is_done(runs)]):
      if done.returncode:
        raise SystemExit(f'{shlex.join(done.args)}\n{done.stdout[-2000:]}')


def spread(values: Sequence[float], form: str = '.4f') -> str:
  """The median and, where they differ as they are written, the smallest and the largest."""
  text, low, high = (format(float(of(values)), form) for of in (np.median, min, max))
  return text if low == high else f'{text} ({low} to {high})'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """Markdown."""
  lines = [head, ['---'] * len(head), *rows]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


# The plane of rate and error, by the ELBO and what may take its place.


class Way(NamedTuple):
  """How rate and error are weighed: the word of specs/geco.py, and fields."""

  word: str
  fields: dict


def ways(kappas: Sequence[float], sigma: float) -> dict[str, Way]:
  """The ELBO with a learned sigma, one that falls from 0.7 to `sigma` over half of training, and re at kappas."""
  fields = {'decoder.variance': 'fixed', 'decoder.sigma': sigma}
  fields |= {'decoder.sigma_from': 0.7, 'decoder.sigma_until': 0.5}
  found = {'ELBO': Way('none', {}), 'annealed sigma': Way('none', fields)}
  return found | {f're, kappa = {kappa:g}': Way('re', {'constraint.re.kappa': kappa}) for kappa in kappas}


def slug(way: str) -> str:
  """Of a way or a case, for the name of a directory."""
  return way.lower().replace(', ', '-').replace('kappa = ', '').replace(' ', '-')


def of(own: Sequence[dict], name: str, form: str = '.3f', change=lambda value: value) -> str:
  """The median over seeds of a number, and its range; empty where there is none."""
  return spread([change(found[name]) for found in own], form) if name in own[0] else ''


def plane(groups: dict[tuple[str, str], Sequence[dict]], columns: dict[str, tuple], first: str) -> str:
  """A table: of each (case, way) what its runs came to, in `columns`, {title: what `of` takes after the runs}."""
  rows = [[*key, str(len(own)), *(of(own, *how) for how in columns.values())] for key, own in groups.items()]
  return table([first, 'model', 'seeds', *columns], rows)


def draw_plane(groups: dict[tuple[str, str], Sequence[dict]], path: str, note: str = '') -> None:
  """The information plane of each case: rate and error of each run; `note`: a number written beside the first."""
  from matplotlib.figure import Figure

  cases = list(dict.fromkeys(case for case, _ in groups))
  drawn = Figure((5.2 * len(cases), 3.8), layout='constrained')
  for axis, case in zip(drawn.subplots(1, len(cases), squeeze=False)[0], cases, strict=True):
    own = {way: found for (of_case, way), found in groups.items() if of_case == case}
    for number, (way, found) in enumerate(own.items()):
      rates, errors = [each['rate'] for each in found], [each['mse'] ** 0.5 for each in found]
      axis.scatter(rates, errors, color=f'C{number}', marker='os^Dv'[number % 5], label=way)
      if note in found[0]:
        at = (rates[0], errors[0])
        axis.annotate(f'{found[0][note]:.2f}', at, xytext=(6, 4), textcoords='offset points', fontsize=8)
    axis.set(title=case, xlabel='rate (nats)', ylabel='RMS error per dimension')
    axis.margins(0.12)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
  drawn.savefig(path, dpi=90)
