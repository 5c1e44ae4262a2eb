"""report.html: what became of a run, or of many, as one page that needs nothing else, from files alone."""

import importlib.resources
import json
import pathlib

from tfvae.report.page.document import document
from tfvae.run.collection import Collection
from tfvae.run.files import atomic, writing

NAME = 'report.html'
# In the order in which they build on each other.
SCRIPTS = ('base', 'filter', 'table', 'charts', 'curves')
SCRIPTS += ('rates', 'space', 'fields', 'several', 'run', 'opened', 'page')


def draw(collection: Collection) -> pathlib.Path:
  """Writes report.html into the directory of a collection, whole or not at all; returns its path.

  Raises RunError: it cannot be written.
  """
  path = collection.directory / NAME
  text = html(document(collection))
  with writing(collection.directory), atomic(path, 'wb') as file:
    file.write(text.encode())
  return path


def html(shown: dict) -> str:
  """The page of a document: HTML, styles, the document, the library of charts, and the scripts that draw it."""
  from plotly.offline import get_plotlyjs

  own = importlib.resources.files(__name__)
  read = lambda name: (own / name).read_text(encoding='utf-8')
  parts = {
    'style': read('page.css'),
    'document': embedded(shown),
    'plotly': get_plotlyjs(),
    'script': '\n'.join(read(f'{name}.js') for name in SCRIPTS),
  }
  rest, texts = read('page.html'), []
  for name, part in parts.items():  # in the order in which they stand there; what is put in is not looked through
    before, _, rest = rest.partition(f'{{{{{name}}}}}')
    texts += [before, part]
  return ''.join([*texts, rest])


def embedded(value) -> str:
  """JSON that may stand in an HTML script element: ASCII without what could end it. Raises ValueError: it has a NaN."""
  text = json.dumps(value, allow_nan=False, separators=(',', ':'))
  return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')
