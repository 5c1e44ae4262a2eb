"""The house's rules, of the syntax trees of tfvae/: imports go down, and nobody reaches inside a distribution."""

import ast
import inspect
import pathlib
import re

import pytest
from conftest import ROOT

from tfvae import build
from tfvae.making import Make
from tfvae.spec.entries import NAMES

PACKAGE = ROOT / 'tfvae'
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(), str(path)) for path in PACKAGE.rglob('*.py')}

# Imports: from rows further down in the table of CONTRIBUTING.md, or in the same row further right.


def rows():
  """The modules and packages of the table, a list for each of its lines."""
  text = (ROOT / 'CONTRIBUTING.md').read_text()
  lines = re.search(r'A module imports only from .*?\n\n((?:    .*\n)+)', text)[1].splitlines()
  return [re.findall(r'(?:tfvae/)?(\w+)(?:\.py|/)(?=[\s,]|$)', line) for line in lines]


def room(file):
  """Of a file of tfvae/: 'build', or 'families' for all files of a package."""
  return pathlib.PurePath(file).parts[0].removesuffix('.py')


def imported(tree):
  """The rooms that a module imports from, wherever in it."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      names = [f'tfvae.{alias.name}' for alias in node.names] if node.module == 'tfvae' else [node.module]
    else:
      continue
    yield from (name.split('.')[1] for name in names if name.startswith('tfvae.') and not name.endswith('__version__'))


def test_imports_go_down():
  places = {name: (row, column) for row, names in enumerate(rows()) for column, name in enumerate(names)}
  rooms = {room(file) for file in TREES} - {'__init__'}
  assert not rooms - set(places), 'are in tfvae/, but not in the table of CONTRIBUTING.md'
  assert set(places) - rooms == {'launch'}, 'are in the table of CONTRIBUTING.md, but not in tfvae/'
  found = {(room(file), other) for file, tree in TREES.items() for other in imported(tree) if room(file) in places}
  assert not {(name, other) for name, other in found if other != name and places[other] <= places[name]}


def test_build_is_what_make_says():
  """And each `make` is declared as one, and asked for nothing else."""
  parts = {name: of for name, of in vars(Make).items() if inspect.isfunction(of) and not name.startswith('_')}
  for name, of in parts.items():
    own = list(inspect.signature(of).parameters.values())[1:]
    theirs = list(inspect.signature(getattr(build, name)).parameters.values())
    assert [(p.name, p.default) for p in own] == [(p.name, p.default) for p in theirs], name
  for file, tree in TREES.items():
    for node in ast.walk(tree):
      if isinstance(node, ast.arg) and node.arg == 'make':
        assert node.annotation is not None and ast.unparse(node.annotation) == 'Make', f'{file}:{node.lineno}'
      if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == 'make':
        assert node.attr in parts, f'{file}:{node.lineno}'


# Distributions: what they are made of is known to families alone.

INSIDE = {'distribution', 'mean', 'stddev', 'variance', 'entropy', 'mode', 'log_cdf', 'cdf', 'covariance'}
HELD = {'q', 'p', 'px', 'pz', 'qz', 'distribution', 'distributions', 'posterior', 'prior'}  # by such names
MAKERS = {'decode', 'conditional', 'combine', 'distribution'}  # methods that return one
ELSEWHERE = ('families', 'theory', 'data', 'report')  # of families, and of arrays


class Reaching(ast.NodeVisitor):
  """Lines on which something inside a distribution is asked for.

  `x.distribution`, where it is no method, and `.stddev()`, `.variance()`, `.entropy()` without arguments (families
  and likelihoods are given one) are found on whatever they are asked of: arrays have none of them. `.mean()` and the
  others only where the value is a distribution by its name (q, p, px, x.q[layer], trace.px), is made of one such
  (the values of q, px[0]), or comes from what makes one (model.decode(z)).
  """

  def __init__(self):
    self.found, self._names = [], [set(HELD)]

  def _is_one(self, node):
    if isinstance(node, ast.Name):
      return node.id in self._names[-1]
    if isinstance(node, ast.Attribute):
      return node.attr in ('q', 'p', 'px')
    if isinstance(node, ast.Subscript):
      return self._is_one(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
      of_dict = node.func.attr in ('values', 'items', 'get', 'pop') and self._is_one(node.func.value)
      return of_dict or node.func.attr in MAKERS
    if isinstance(node, ast.IfExp):
      return self._is_one(node.body) or self._is_one(node.orelse)
    return isinstance(node, ast.NamedExpr) and self._is_one(node.value)

  def _bind(self, target, value):
    """Names that are given a distribution, or each of several; a key of `items()` is none."""
    if not self._is_one(value):
      return
    if isinstance(target, (ast.Tuple, ast.List)):
      target = target.elts[-1]
    if isinstance(target, ast.Name):
      self._names[-1].add(target.id)

  def _scope(self, node):
    self._names.append(set(self._names[-1]))
    self.generic_visit(node)
    self._names.pop()

  visit_FunctionDef = visit_Lambda = visit_ClassDef = _scope

  def _comprehension(self, node):
    self._names.append(set(self._names[-1]))
    for each in node.generators:
      self._bind(each.target, each.iter)
    self.generic_visit(node)
    self._names.pop()

  visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

  def visit_For(self, node):
    self._bind(node.target, node.iter)
    self.generic_visit(node)

  def visit_Assign(self, node):
    for target in node.targets:
      self._bind(target, node.value)
    self.generic_visit(node)

  def visit_NamedExpr(self, node):
    self._bind(node.target, node.value)
    self.generic_visit(node)

  def visit_Call(self, node):
    func = node.func
    if isinstance(func, ast.Attribute) and func.attr in INSIDE:
      bare = not (node.args or node.keywords)
      alone = bare and func.attr in ('stddev', 'variance', 'entropy')
      if alone or (func.attr != 'distribution' and self._is_one(func.value)):
        self.found.append(node.lineno)
      self.visit(func.value)
      for part in (*node.args, *node.keywords):
        self.visit(part)
      return
    match node:
      case ast.Call(func=ast.Name('getattr'), args=[of, ast.Constant(name), *_]) if name in INSIDE and self._is_one(of):
        self.found.append(node.lineno)
    self.generic_visit(node)

  def visit_Attribute(self, node):
    if node.attr == 'distribution' or (node.attr in INSIDE and self._is_one(node.value)):
      self.found.append(node.lineno)
    self.generic_visit(node)


def reaching(tree):
  visitor = Reaching()
  visitor.visit(tree)
  return visitor.found


@pytest.mark.parametrize(
  'line',
  [
    'q.mean()',
    'mean = trace.q[name].mean()[0]',
    'trace.px.entropy()',
    'x = self.trace.px.mean()',
    'model.decode(z).mean()[0]',
    'px = model.decode(z)\ny = px.stddev()',
    'one = trace.p\ny = one["z1"].mean()',
    '[d.mean() for name, d in q.items()]',
    '{name: d.mean() for name, d in trace.q.items()}',
    'for name, d in q.items():\n  d.mean()',
    'sum(d.mean() for d in p.values())',
    'lambda layer, q: q.mean()',
    'def f(x, distribution):\n  return distribution.variance()',
    'q.distribution',
    'anything.distribution.logits',
    'anything.stddev()',
    'anything[0].entropy()',
    'f = px.mean',
    'getattr(q, "mean")()',
    'if (py := model.decode(z)):\n  py.mean()',
  ],
)
def test_reaching_inside_is_found(line):
  assert reaching(ast.parse(line))


@pytest.mark.parametrize(
  'line',
  [
    'values.mean()',
    'x.mean(0)',
    'np.mean(q_values)',
    'trace.mean[0]',
    'self.families[layer].entropy(distribution)',
    'likelihood.mean(px)',
    'model.mean(z)',
    'self.decoder.distribution([z])',
    'layer.family.moments(q)',
    'q.log_prob(z)',
    'tf.reduce_mean(q)',
    '[name.mean() for name, value in parts.items()]',
    'def f():\n  d = q["z1"]\ndef g(d):\n  return d.mean()',
    'spec.decoder.variance',
  ],
)
def test_what_is_no_reaching_inside(line):
  assert not reaching(ast.parse(line))


def test_nobody_reaches_inside_a_distribution():
  found = {file: lines for file, tree in TREES.items() if room(file) not in ELSEWHERE and (lines := reaching(tree))}
  assert not found, 'ask the family instead: its kl, moments, location, entropy, parameters, ...'


# What a layer can is asked of its family (`pathwise`, `space`, what it answers), not guessed from a name.

KINDS = {'bernoulli', 'bits', 'categorical', 'one-hot'}
BRANCHES = {  # (file, function): what is asked there
  ('spec/rules/discrete.py', 'log_states'): 'how many states a layer has',
  ('spec/rules/discrete.py', 'layer_rule'): 'which fields of a layer are for categories, or for bits',
  ('spec/rules/data.py', 'levels_rule'): 'the word of a message',
  ('data/misfits.py', 'problems'): 'the data that a likelihood is for',
  ('data/needs.py', '_discrete_values'): 'the same',
}


def compares(tree, kinds):
  """The functions in which something is compared with one of `kinds`."""
  found = set()

  def visit(node, function):
    if isinstance(node, ast.FunctionDef):
      function = node.name
    if isinstance(node, ast.Compare):
      values = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
      found.update({function} if values & kinds else ())
    for child in ast.iter_child_nodes(node):
      visit(child, function)

  visit(tree, '')
  return found


def test_nobody_asks_for_bits_who_means_something_else():
  assert compares(ast.parse("def f(x):\n  return x.space in ('bits', 'one-hot')"), KINDS) == {'f'}
  assert not compares(ast.parse("def f(x):\n  return 'bits' if x.pathwise else x['bits']"), KINDS)
  found = {(file, name) for file, tree in TREES.items() if room(file) != 'families' for name in compares(tree, KINDS)}
  assert found == set(BRANCHES)


def test_models_are_not_told_by_their_names():
  """They say what they can; only what builds them looks them up."""
  kinds = set(NAMES['model.name'])
  assert {file for file, tree in TREES.items() if compares(tree, kinds)} <= {'build.py'}


def test_the_bottom_layer_is_told_by_its_place():
  """Only the fields, and the rules of names, know what it is called."""
  found = set()
  for file, tree in TREES.items():
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
      named = isinstance(node, ast.Attribute) and node.attr == 'z1'
      spelt = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts
      if named or (spelt and re.search(r'\bz1\b', node.value)):
        found.add(file)
  assert found <= {'spec/fields/model.py', 'spec/fields/nets.py', 'spec/schema.py', 'spec/loading.py'}
