"""The commands and the Python that README, docs and the docstrings of specs show."""

import ast
import pathlib
import re
import shutil
import subprocess
import tempfile
import textwrap
from typing import NamedTuple

from conftest import ROOT

SHELL = ('python', 'pip', 'pytest', 'tensorboard', 'tfds', 'git', 'ruff', 'for', 'export', 'srun', 'ray', '#!/bin/bash')
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
TEXTS = {  # blocks that are neither: the beginning of each
  'CONTRIBUTING.md': ('launch.py            flags (no logic)',),
  'docs/conditional.md': ('p(x, z | c) = ',),
  'docs/constraints.md': ('C_avg <- alpha C_avg', 'constraints:'),
  'docs/convdraw.md': ('e_t = LSTM',),
  'docs/evaluation.md': ('constraints:', 'mutual_information_p '),
  'docs/getting-started.md': ('step  100/3000  elbo',),
  'docs/sweep.md': ('runs/hit-sweep/sweep.json',),
  'docs/theory.md': ('m_ni = exp',),
  'docs/entropies.md': ('ELBO = E_x H[q(z | x)]',),
}


class Block(NamedTuple):
  """What is shown together."""

  page: str  # docs/data.md
  line: int
  kind: str  # shell, python, text
  text: str


class Command(NamedTuple):
  """What one line of a shell block runs."""

  page: str
  line: int
  argv: tuple[str, ...]
  config: str  # TF_CONFIG

  def __str__(self):
    return f'{self.page}:{self.line} {" ".join(self.argv)}'


def blocks() -> list[Block]:
  """All that is indented in the pages; what is in backticks and begins like a command; the commands of docstrings."""
  found = []
  for path in PAGES:
    page, text = str(path.relative_to(ROOT)), path.read_text()
    assert '```' not in text, f'{page}: blocks are indented here'
    for match in re.finditer(r'(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+', text):
      found.append(_block(page, text[: match.start()].count('\n') + 1, textwrap.dedent(match[0])))
    for match in re.finditer(r'`((?:python|pip|tensorboard|tfds|pytest|ruff) [^`]+)`', text):
      line = text[: match.start()].count('\n') + 1
      if not any(block.page == page and match[1] in block.text for block in found):  # a comment in a block
        found.append(Block(page, line, 'shell', ' '.join(match[1].split())))
  for path in sorted((ROOT / 'specs').glob('*.py')):
    doc = ast.get_docstring(ast.parse(path.read_text()), clean=False)
    for match in re.finditer(r'^ {4}(python .*(?:\\\n.*)*)', doc, re.MULTILINE):
      found.append(Block(f'specs/{path.name}', doc[: match.start()].count('\n') + 1, 'shell', match[1]))
  return found


def _block(page, line, text):
  if text.split()[0] in SHELL:
    return Block(page, line, 'shell', text)
  if text.startswith(TEXTS.get(page, ())):
    return Block(page, line, 'text', text)
  ast.parse(text)  # else it is Python, or something new: give it a place in SHELL or TEXTS
  return Block(page, line, 'python', text)


RECORD = """
exec 3>&1
record() { printf '%s\\0' "$TF_CONFIG" "$@" >&3; printf '\\n\\0' >&3; }
command_not_found_handle() { record "$@"; }
HOME=home
PATH=/nowhere
"""


def commands() -> list[Command]:
  """What the shell would run, by the shell itself: comments, quotes, continuations, variables and loops resolved."""
  found = []
  for block in blocks():
    if block.kind == 'shell':
      assert '...' not in re.sub(r'#.*', '', block.text), f'{block.page}:{block.line}: an abbreviation'
      bash = [shutil.which('bash'), '--norc', '-c', RECORD + block.text.replace('.ci/run', 'ci')]  # a path is no name
      with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, 'docs').mkdir()  # a redirection of CONTRIBUTING.md goes there
        done = subprocess.run(bash, capture_output=True, text=True, env={'TF_CONFIG': ''}, cwd=folder)
      assert done.returncode == 0 and not done.stderr, f'{block.page}:{block.line}: {done.stderr}'
      for record in done.stdout.split('\n\0')[:-1]:
        config, *argv, _ = record.split('\0')
        found.append(Command(block.page, block.line, tuple(argv), config))
  return found


def flags_of(path: pathlib.Path) -> set[str]:
  """The flags that a script's source names."""
  return set(re.findall(r"'(--\w+)'", path.read_text()))
