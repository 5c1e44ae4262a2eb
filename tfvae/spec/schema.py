"""All fields of a spec together. `docs/spec.md` is generated from it.

This and `fields/` are the only places where defaults are written.
"""

import re

from tfvae.errors import cut, nearest
from tfvae.spec.evaluators import COMMON, EVALUATORS
from tfvae.spec.fields.classifier import CLASSIFIER
from tfvae.spec.fields.constraint import constraint
from tfvae.spec.fields.data import DATA
from tfvae.spec.fields.decoder import DECODER
from tfvae.spec.fields.evaluation import evaluation, named
from tfvae.spec.fields.field import Field, flatten
from tfvae.spec.fields.model import REPEATED, model, steps
from tfvae.spec.fields.objective import objective
from tfvae.spec.fields.prior import PRIOR
from tfvae.spec.fields.sample import SAMPLE
from tfvae.spec.fields.study import STUDY
from tfvae.spec.fields.train import TRAIN

SECTIONS = {
  'model.z': 'The layer z of name=convdraw, which repeats, has all fields of a top layer, `join_grid`, and these. '
  '`encoder` leads from x and its error to the map on which both LSTMs work, `posterior` and `prior` from their hidden '
  'maps to q and p of z_t, and `decoder.net` to what is added to the canvas.',
  'model.<layer>.encoder': 'Net from x to the features of q(z_l | z_>l, x). With inference=reverse: of z1 alone; from '
  'the layer below for the others.',
  'model.<layer>.above': 'Net from the layers above to where they meet the features of x; linear: as they are, or by a '
  'linear map where `posterior` needs a feature map. Not for the top layer.',
  'model.<layer>.posterior': 'Net after those features, the layers above and the context are joined. Of the top layer '
  'where there is a context (data.context).',
  'model.<layer>.prior': 'Net from the layers above and the context to p(z_l | z_>l). Of the top layer where there is '
  'a context (data.context).',
  'model.context': 'What a model is told (data.context), on its way to priors, posteriors and decoder: labels are '
  'one-hot, or embedded; numbers go in as they are; images go through this net, and a linear map to a vector.',
  'classifier': 'A trained classifier that this run uses, frozen. What a classifier is made of: spec.model.classifier.',
  'eval.<evaluator>': 'Each of spec.eval.evaluators has these, and some have fields of their own below.',
  'decoder.net': 'Net from the latent layers to the features of p(x | z).',
  'study': 'What is computed of data in place of training a model (docs/theory.md).',
  'model.classifier': 'Net of name=classifier from x to what `dense` takes. The sections of latent layers, prior and '
  'decoder are then without effect.',
}


def schema(layers: tuple[str, ...], evaluators: tuple[str, ...] = ()) -> dict:
  """All fields of a spec with these latent layers (top first) and evaluators, as nested dicts of Field."""
  return {
    'seed': Field(0, 'Seed of all randomness: weights, batches, noise.', low=0, high=2**31 - 1, runtime=True),
    'data': DATA,
    'model': model(layers),
    'prior': PRIOR,
    'decoder': DECODER,
    'objective': objective(layers),
    'constraint': constraint(layers),
    'classifier': CLASSIFIER,
    'train': TRAIN,
    'eval': evaluation(evaluators),
    'sample': SAMPLE,
    'study': STUDY,
  }


RENAMED = {  # what a field was called once: in old runs it still is
  'eval.fid_classifier': 'classifier.path',
  **{f'eval.fid_{name}': f'eval.fid.{name}' for name in EVALUATORS['fid'].fields},
  **{f'eval.tiles_{name}': f'eval.tiles.{name}' for name in EVALUATORS['tiles'].fields},
  **{f'eval.evidence_{name}': f'eval.log_evidence.{name}' for name in ('samples', 'examples')},
  **{f'eval.estimate_{name}': f'eval.estimates.{name}' for name in ('samples', 'runs', 'examples')},
  'eval.limiting_steps': 'eval.limiting.steps',
  'eval.posterior_examples': 'eval.posterior.examples',
  'eval.task_samples': 'eval.task.samples',
}
ELSEWHERE = {  # what other programs call them
  'epochs': 'train.steps (its length is in steps)',
  'lr': 'train.learning_rate',
  'bs': 'data.batch_size',
  'dataset': 'data.name',
}


def unknown(name: str, fields: dict, layers: tuple[str, ...]) -> str:
  """What to say of a name that is none of `fields`, in a spec of these layers: the nearest one, or those there are."""
  sections = {full.rpartition('.')[0] for full in fields} - {''}
  if name in sections or any(s.startswith(f'{name}.') for s in sections):
    inside = sorted({f[len(name) + 1 :].partition('.')[0] for f in fields if f.startswith(f'{name}.')})
    return f'is a section; its fields: {", ".join(inside)}'
  for part in name.split('.'):
    if part[:1] == 'z' and (part[1:].isdigit() or part == REPEATED) and part not in layers:
      more = ' (z, which repeats, is that of spec.model.name=convdraw)' if part == REPEATED else ''
      return f'there is no layer {part}; the layers of this spec: {", ".join(layers)}{more}'
  if name.startswith('eval.') and named((name.split('.')[1],)) and '.'.join(name.split('.')[:2]) not in sections:
    return f'there is no evaluator {name.split(".")[1]}; name it in spec.eval.evaluators'
  if name in RENAMED:
    return f'unknown field. Did you mean spec.{RENAMED[name]}?'
  parent, _, last = name.rpartition('.')
  inside = sorted({f[len(parent) + 1 :].partition('.')[0] for f in fields if f.startswith(f'{parent}.')})
  if not parent:
    inside = sorted({f.partition('.')[0] for f in fields})
  if name.startswith('spec.') and name[len('spec.') :] in fields:
    return f'unknown field; without spec. in front: {name[len("spec.") :]}'
  if not name.startswith('study'):  # fields of studies are meant by those who say so
    fields = {field: of for field, of in fields.items() if not field.startswith('study.')}
  below = [f'spec.{f}' for f in fields if parent and f.startswith(f'{parent}.') and f.endswith(f'.{last}')]
  if 0 < len(below) <= 4:  # in a section of the section
    return f'unknown field. Did you mean {" or ".join(below)}?'
  if hint := nearest(last, inside):
    return f'unknown field.{hint.replace(" mean ", f" mean spec.{parent}." if parent else " mean spec.")}'
  if last in ELSEWHERE:
    return f'unknown field. Did you mean spec.{ELSEWHERE[last]}?'
  close = nearest(name, [field for field in fields if nearest(last, [field.rpartition('.')[2]])])
  if close and parent and parent not in sections:  # whose name is misspelt
    return f'unknown field.{close.replace(" mean ", " mean spec.")}'
  for end in (name, last):  # in another section
    same = [f'spec.{field}' for field in fields if f'.{end}.' in f'.{field}.']
    if 0 < len(same) <= 4:
      return f'unknown field. Did you mean {" or ".join(same)}?'
  if close:
    return f'unknown field.{close.replace(" mean ", " mean spec.")}'
  while parent and not inside:  # the section is unknown, too
    parent = parent.rpartition('.')[0]
    inside = sorted({f[len(parent) + 1 :].partition('.')[0] for f in fields if f.startswith(f'{parent}.')})
  inside = inside or sorted({f.partition('.')[0] for f in fields})
  return f'unknown field; the fields of spec{"." + parent if parent else ""}: {", ".join(inside)}'


def not_understood(arg: str, flags, modes) -> str:
  """What to say of an argument that is none of the `flags`: what was meant where that can be told."""
  name = arg.lstrip('-').partition('=')[0]
  fields = flatten(schema(('z3', 'z2', 'z1')))
  same = [field for field in fields if field == name or field.endswith(f'.{name}')]
  meant = ''
  if not arg.startswith('-') and name.partition(':')[0].endswith('.py'):
    meant = f' Did you mean --spec {cut(arg)}?'
  elif arg in modes:
    meant = f' Did you mean --mode={arg}?'
  elif name.startswith('spec.'):
    meant = f' Did you mean --{cut(name)}?'
  elif same:
    meant = f' Did you mean --spec.{same[0]}?'
  else:
    meant = nearest(f'--{name}', [f'--{flag}' for flag in flags])
  return f'{cut(arg)}: not understood; flags are written --name=value, fields --spec.FIELD=VALUE.{meant}'


def markdown() -> str:
  """docs/spec.md: every field of a two-layer spec."""
  lines = [
    '# The spec',
    '',
    'Every field, its default, what it may be and what it does. Generated from `tfvae/spec/fields/` by',
    '`python -m tfvae.spec > docs/spec.md`; a test keeps it current. `<layer>` stands for z1, z2, ... (a top layer has',
    'no `join_grid` and no sections `above`, `posterior` and `prior`). A field is set in a spec file '
    '(`spec.train.steps = 500`)',
    'or on the command line (`--spec.train.steps=500`; tuples as `--spec.decoder.net.hidden=64,32`). Spec files may '
    'have other',
    'defaults: `--mode=show` prints what holds.',
  ]
  fields, repeats = {}, {f'model.{REPEATED}.{name}': field for name, field in steps().items()}
  for name, field in flatten(schema(('z2', 'z1'))).items():
    if name.startswith('model.z1.') and not any(name in fields for name in repeats):
      fields |= repeats
    if '.z2' not in name:
      name = re.sub(rf'^eval\.({"|".join(EVALUATORS)})\.({"|".join(COMMON)})$', r'eval.<evaluator>.\2', name)
      fields[re.sub(r'\bz1\b', '<layer>', name)] = field
  section = None
  for name, field in fields.items():
    parent = name.rpartition('.')[0]
    if parent != section:
      section = parent
      if section:
        lines += ['', f'## spec.{section}', '']
        lines += [SECTIONS[section], ''] if section in SECTIONS else []
      else:
        lines += ['']
      lines += ['| field | default | allowed | what it does |', '|---|---|---|---|']
    default = ','.join(map(str, field.default)) if field.type is tuple else field.default
    doc = field.doc.replace('rate of z1', 'rate of the layer')
    cells = (f'spec.{name}', f'`{default}`' if default != '' else '', field.allowed(), doc)
    lines.append('| ' + ' | '.join(str(c).replace('|', '\\|') for c in cells) + ' |')
  return '\n'.join(lines) + '\n'
