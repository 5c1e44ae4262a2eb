"""What a page shows, as one JSON document: made of runs from their files alone."""

import os
import shlex
from typing import Any, NamedTuple

from tfvae import __version__
from tfvae import spec as spec_lib
from tfvae.errors import UserError
from tfvae.report.choices import BETA, holds
from tfvae.report.page.analysis import analysis
from tfvae.report.page.curves import curves, number
from tfvae.report.page.pictures import figures, thumbnails
from tfvae.run import metrics
from tfvae.run.collection import Collection, Entry
from tfvae.run.meanings import meaning
from tfvae.spec.fields.field import Field, flatten
from tfvae.spec.schema import schema


class Size(NamedTuple):
  """How much of a run is held: points of a curve, their digits, bytes of a picture, images in it, bytes of figures."""

  points: int
  digits: int
  picture: int
  images: int
  figures: int


MOST_NAMED = 4
ALONE = Size(1000, 6, 400_000, 64, 12 * 2**20)
ONE_OF_SEVERAL = Size(100, 4, 8192, 16, 0)


def document(collection: Collection) -> dict[str, Any]:
  """All that a page shows of the runs of a collection; what is not finite is None."""
  runs, fields = collection.runs, _Fields()
  alone = collection.alone
  differing = collection.differing
  common = {name: value for name, value in runs[0].changed.items() if _is_common(name, value, runs)} if runs else {}
  columns = [fields.column(name, runs) for name in differing] + _numbers(runs)
  groups = {id(run): i for i, group in enumerate(collection.groups().values()) for run in group} if runs else {}
  problems = list(collection.problems)
  base = dict(runs[0].fields) if runs else {}
  problems += _earlier(runs)
  described = [_run(run, collection, columns, base, alone, problems) for run in runs]
  for run, own in zip(runs, described, strict=True):
    own['group'] = groups.get(id(run), -1)
    own['kind'] = _kind(run)
  curved = dict.fromkeys(name for own in described for split in own['curves'].values() for name in split['series'])
  changed = dict.fromkeys(name for run in runs for name in run.changed)
  return {
    'version': __version__,
    'title': collection.directory.absolute().name,
    'path': os.fspath(collection.directory),
    'alone': alone,
    'columns': columns,
    'differing': differing,
    'common': [[name, fields.text(value)] for name, value in common.items()],
    'fields': {name: fields.described(name, runs) for name in dict.fromkeys([*changed, *differing])},
    'spec': {name: fields.text(value) for name, value in base.items()},
    'metrics': {name: _metric(name) for name in curved},
    'runs': described,
    'analysis': None if alone else analysis(collection, columns),
    'files': _files(collection.directory),
    'absent': [{'name': p.name, 'status': p.status, 'message': p.message} for p in collection.absent],
    'problems': problems,
    'sweeps': [{'name': name, 'command': str(sweep.get('command') or '')} for name, sweep in collection.sweeps.items()],
  }


def _earlier(runs):
  """What to say of runs whose numbers are not of the step that they were trained to."""
  for split in dict.fromkeys(split for run in runs for split in run.evaluated):
    own = [run for run in runs if run.status == 'finished' and run.evaluated.get(split, run.step) != run.step]
    if own:
      named = ', '.join(f'{run.name} (step {run.evaluated[split]} of {run.step})' for run in own[:MOST_NAMED])
      more = f' and {len(own) - MOST_NAMED} more' if len(own) > MOST_NAMED else ''
      yield f'numbers of the {split} split are of another step than the last one: {named}{more}'


def _files(directory):
  """Paths of what the same command wrote beside the page: numbers, and figures of several runs together."""
  places = ('results.csv', 'repeats.json', 'report/*.csv', 'report/figures/*.pdf', 'figures/*.pdf')
  return [path.relative_to(directory).as_posix() for place in places for path in sorted(directory.glob(place))]


def _run(run: Entry, collection, columns, base, alone, problems):
  """What is shown of one run; what cannot be read of it is told of, and left out."""
  size = ALONE if alone else ONE_OF_SEVERAL
  found = {'curves': {}, 'pictures': [], 'figures': []}
  parts = {
    'curves': lambda: curves(run.metrics, size.points, size.digits),
    'pictures': lambda: thumbnails(run, size.picture, size.images),
    'figures': lambda: figures(run.directory, collection.directory, size.figures),
  }
  for name, part in parts.items():
    try:
      found[name] = part()
    except (UserError, OSError) as error:
      problems.append(f'{run.name}: its {name} are left out: {error}')
  values = []
  for column in columns:
    if column['kind'] == 'field':
      value = run.fields.get(column['id']) if holds(column['id'], run.fields) else None
      values.append(number(value) if column['numeric'] and value is not None else _Fields.text(value))
    else:
      value = run.numbers.get(column['split'], {}).get(column['name'])
      values.append(None if value is None else number(value, 7))
  return {
    'name': run.name,
    'status': run.status,
    'message': run.message,
    'step': run.step,
    'evaluated': run.evaluated,
    'steps': run.steps,
    'aside': run.aside,
    'values': values,
    'changed': {name: _Fields.text(value) for name, value in run.changed.items()},
    'spec': {name: _Fields.text(value) for name, value in run.fields.items() if base.get(name, run) != value}
    | {name: None for name in base if name not in run.fields},
    'commands': commands(run, collection),
    'environment': environment(run),
    **found,
  }


def commands(run: Entry, collection: Collection) -> list[list[str]]:
  """[what it is, the command] of each way to make a run again, the shortest first."""
  found, path = [], run.directory.workdir
  if run.command and 'launch.py' in run.command:
    found.append(['as it was started', run.command])
  again = ['python', 'launch.py', '--spec', os.fspath(path / 'spec.json'), '--workdir', f'{path}-again']
  found.append(['from its spec.json, elsewhere', shlex.join(again)])
  return found


def environment(run: Entry) -> dict[str, str]:
  """What the run was made with, by its first start, and how its last one ended; {} where nothing is known."""
  starts = run.directory.starts
  if not starts:
    return {}
  first, last = starts[0], starts[-1]
  git = {name: of for name, of in (first.get('git') or {}).items() if isinstance(of, dict)}
  found = {
    'begun': first.get('begin'),
    'ended': last.get('end'),
    'outcome': last.get('outcome'),
    'starts': len(starts) if len(starts) > 1 else None,
    'host': first.get('host'),
    'processor': first.get('cpu'),
    'devices': ', '.join(map(str, first.get('devices') or ())),
    **{
      f'commit of {"the spec" if name == "spec" else name}': f'{of.get("commit")}'
      f'{"" if of.get("clean") else ", with changes"}'
      for name, of in git.items()
    },
    **first.get('versions', {}),
  }
  return {name: str(value) for name, value in found.items() if value not in (None, '')}


class _Fields:
  """What is known of fields, by the layers and evaluators of a spec."""

  def __init__(self):
    self._schemas = {}

  def column(self, name, runs):
    """Of a field in which runs differ."""
    own = [run.fields[name] for run in runs if name in run.fields]
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in own)
    return {
      'id': name,
      'kind': 'field',
      'name': name,
      'numeric': numeric,
      'unit': '',
      'better': 0,
      **self.described(name, runs),
    }

  def described(self, name, runs):
    """{'text': what it is, 'default': its default}."""
    run = next((run for run in runs if name in run.fields), None)
    field = self._of(run).get(name) if run else None
    return {'text': field.doc, 'default': self.text(field.default)} if field else {'text': '', 'default': ''}

  def _of(self, run: Entry) -> dict[str, Field]:
    key = (tuple(run.fields['model.layers']), tuple(run.fields['eval.evaluators']))
    if key not in self._schemas:
      self._schemas[key] = flatten(schema(*key))
    return self._schemas[key]

  @staticmethod
  def text(value) -> str | None:
    """As it is written on the command line."""
    return None if value is None else spec_lib.to_text(value)


def _numbers(runs):
  """Of each number of the evaluations but those of single units; standard errors are named by what they are of."""
  columns = {}
  for run in runs:
    for split, own in run.numbers.items():
      for name in own:
        if not name.startswith(metrics.SINGLE):
          columns.setdefault(f'{split}/{name}', {'split': split, 'name': name})
  ids = set(columns)
  units = metrics.main(dict.fromkeys(column['name'] for column in columns.values()))
  found = []
  first = runs[0].split if runs else ''
  order = {name: place for place, name in enumerate(units)}  # main ones first
  for key, of in sorted(columns.items(), key=lambda item: (item[1]['split'] != first, order.get(item[1]['name'], 999))):
    error = f'{of["split"]}/{metrics.standard_error(of["name"])}'
    known = meaning(of['name'])
    found.append(
      {'id': key, 'kind': 'number', 'numeric': True, **of}
      | {'unit': units.get(of['name'], ''), 'text': known.text, 'better': known.better}
      | {'main': of['name'] in units, 'error': error if error in ids else ''}
      | {'is_error': '_standard_error' in of['name']}
    )
  return found


def _metric(name):
  return {'unit': metrics.main([name]).get(name, ''), 'text': meaning(name).text, 'better': meaning(name).better}


def _is_common(name, value, runs):
  return all(run.changed.get(name, run) == value for run in runs)


def _kind(run):
  """How a run weighs its layers: by 'targets' of their rates, by 'equal' betas, or by 'betas' of their own."""
  layers = run.fields['model.layers']
  if 'rate' in run.fields.get('constraint.names', ()):
    return 'targets'
  betas = {run.fields.get(f'{BETA}{layer}') for layer in layers}
  return 'equal' if len(layers) > 1 and len(betas) == 1 else 'betas'
