"""spec.eval: what is evaluated, when and on what. Each evaluator has a section of its own."""

from tfvae.spec.entries import NAMES
from tfvae.spec.evaluators import EVALUATORS, NAMED, section
from tfvae.spec.fields.field import Field

CHOSEN = tuple(NAMES['eval.evaluators'])
EVAL = {
  'every': Field(1000, 'Steps between two evaluations during training. 0: at the end only.', low=0, high=10**12),
  'split': Field('test', 'Split that is evaluated.', choices=('train', 'validation', 'test')),
  'also': Field(
    (), 'Further splits that are evaluated when training evaluates.', choices=('train', 'validation', 'test'), item=str
  ),
  'checkpoint': Field(
    'newest',
    '--mode=evaluate: newest, all (those kept, oldest first), or the step of one that is there. --mode=sample and '
    '--mode=export: newest, or a step.',
  ),
  'evaluators': Field(
    ('bounds', 'reconstruction', 'entropies', 'latents', 'samples'),
    f'What is evaluated. {" ".join(f"{name}: {entry.text}." for name, entry in EVALUATORS.items())} Several of a kind '
    'are told apart by names of your own, such as fid and fid-test, each with a section of its own '
    '(spec.eval.fid-test), and the numbers of the second end in @test.',
    choices=CHOSEN,
    item=str,
    named=NAMED,
  ),
  'during': Field(
    ('bounds', 'constraints', 'reconstruction', 'entropies', 'latents', 'samples', 'canvases'),
    'Those of `evaluators` that also run during training, every `every` steps (an `every` in the section of one holds '
    'for it).',
    choices=CHOSEN,
    item=str,
    named=NAMED,
  ),
  'num_samples': Field(
    10, 'Latent samples of each example. 0: none, expectations are exact (a linear VAE).', low=0, high=10**5
  ),
  'batch_size': Field(250, 'Examples of an evaluation step.', low=1, high=10**8),
  'num_images': Field(64, 'Images kept for the figures.', low=1, high=10**6),
  'num_points': Field(2000, 'Points kept for the figures.', low=2, high=10**6),
}


def evaluation(evaluators: tuple[str, ...] = ()) -> dict:
  """All fields of spec.eval, with a section for each evaluator, also for those of `evaluators` with a name of one's
  own.
  """
  names = [*EVALUATORS, *(name for name in named(evaluators))]
  return EVAL | {name: section(name) for name in names}


def named(evaluators) -> list[str]:
  """Those of spec.eval.evaluators that have a name of one's own, as far as they are right."""
  if not isinstance(evaluators, (tuple, list)):
    return []
  names = dict.fromkeys(name for name in evaluators if isinstance(name, str))
  return [name for name in names if NAMED in name and EVAL['evaluators'].is_choice(name)]
