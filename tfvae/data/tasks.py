"""Tasks made of images of ten labels, after Taming VAEs (Rezende & Viola 2018): what is told says what is to be drawn.

The text of the paper that these were made after has lost its formulas: the definitions are ours. Made from
spec.data.seed and the name of the split: the training examples of the training split's images alone, the test examples
of the test split's. Labels are drawn uniformly, then an image among those of the label, with replacement.

    color_mnist     x [H, W, 3]: an image, its grey value t blended as (1 - t) background + t foreground, two random
                    colours. label: of the image.
    mnist_triplets  x [H, W, 3]: images of y1, y2 and y3 = (y1 + y2) mod 10 as channels. label: y3; labels: all three.
    mnist_sum       x [H, W, 1]: an image of (y1 + y2) mod 10. context [H, W, 2]: images of y1 and y2. label: the sum.
    mnist_sum_hard  x [H, W, 2]: images of y1 and y2. context [H, W, 1]: an image of (y1 + y2) mod 10. label: the sum.
    mnist_rotate    x [H, W, 1]: an image of y, turned by 30 k degrees. context [H, W, 2]: another image of y, and an
                    image of k. label: y; turns: k.
    mnist_turns     x [H, W, 1]: an image turned by 30 k degrees. label: k, uniform. To train the classifier that names
                    the k of mnist_rotate (spec.classifier.turns).

Images are turned counterclockwise, about their middle, bilinearly (`scipy.ndimage.rotate`), with black outside; images
in colour are made grey first, but for color_mnist, which needs grey ones.
"""

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict
from scipy import ndimage

from tfvae import memory
from tfvae.data import images
from tfvae.data.loaders import loader
from tfvae.data.stored import Part, Reader, Stored
from tfvae.errors import UserError
from tfvae.spec.entries import TASKS

LABELS = 10
DEGREES = 30  # of one turn
MOST_TEST = 10_000  # examples of a split that is not for training
CONTRAST = 0.25  # two colours that can be told apart: the least difference of their luma, as a share of white
CHUNK = 4096  # images turned at once


def shape(section) -> tuple[int, int, int]:
  """Of an example. Raises whatever the images' own loader does where they are not there, or cannot be read so."""
  height, width, _ = loader(_of(section)).shape(_section_of_images(section))
  return height, width, SETS[section.name].channels


def load(section) -> Stored:
  """The set that spec.data.name names.

  Raises:
    UserError: spec.data.of are no images of the labels 0 to 9 in a training and a test split, or not those for this
      task; or as their own loader does.
  """
  of = _of(section)
  base = loader(of).load(_section_of_images(section))
  got = f'spec.data.of: got {of}'
  if base.limits is None or len(_shape(base)) != 3:
    raise UserError(f'{got}, which are no images; {section.name} is made of images of ten labels, such as mnist')
  if 'test' not in base.splits:
    raise UserError(f'{got}, which has no test split of its own; {section.name} makes its test examples of one')
  task, splits = SETS[section.name], {}
  if task.make is color_mnist and _shape(base)[-1] != 1:
    raise UserError(f'{got}, whose images have {_shape(base)[-1]} channels; {section.name} gives grey ones a colour')
  for split, part in base.splits.items():
    n = section.examples if split == 'train' else min(section.examples, MOST_TEST)
    height, width, _ = _shape(base)
    memory.require(
      4 * n * height * width * (task.channels + task.of_context),
      f'the {split} examples of {section.name}',
      f'lower spec.data.examples ({section.examples})',
    )
    rng = np.random.default_rng([section.seed, zlib.crc32(f'{section.name}/{split}'.encode())])
    splits[split] = task.make(rng, Deck(part, f'{got}, whose {split} split', base.limits), n)
  return Stored(section.name, splits, base.limits, stack=task.stack)


def _of(section):
  if section.of in TASKS:
    raise UserError(f'spec.data.of: got {section.of}, which is made of images itself; give them, such as mnist')
  return section.of


def _section_of_images(section):
  return ConfigDict({**section.to_dict(), 'name': section.of})


def _shape(stored):
  part = stored.splits['train']
  return part.shape if isinstance(part, Reader) else part['x'].shape[1:]


class Deck:
  """The grey images of a split, x [N, H, W, 1], which are drawn by their label.

  Raises:
    UserError: they are not of the labels 0 to 9, two at least of each. `what`: begins the message.
  """

  def __init__(self, part, what: str, limits: tuple[float, float]):
    self.black, self.white = limits
    if isinstance(part, Reader):
      from tfvae.data.reading import read

      memory.require(part.size * int(np.prod(part.shape)), 'the images that spec.data.of names', 'take a smaller set')
      part = read(Part(part, np.arange(part.size)))
    if 'label' not in part:
      raise UserError(f'{what} has no labels; a task is made of images of the labels 0 to 9')
    label = part['label']
    is_whole, counts = label.dtype.kind in 'biu', np.zeros(LABELS, int)
    if is_whole and label.min() >= 0 and label.max() < LABELS:
      counts = np.bincount(label, minlength=LABELS)
    if counts.min() < 2:
      raise UserError(
        f'{what} has labels {"" if is_whole else "that are no whole numbers, "}from {label.min():g} to '
        f'{label.max():g}; a task is made of images of ten labels, 0 to 9, at least two of each'
      )
    self._x, self._counts = images.grey(part['x']), counts
    self._places = [np.flatnonzero(label == value) for value in range(LABELS)]

  def draw(self, rng, labels: np.ndarray) -> np.ndarray:
    """An image of each label [n]: [n, H, W, 1]."""
    return self._of(labels, rng.integers(self._counts[labels]))

  def pairs(self, rng, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two different images of each label [n]."""
    first, step = rng.integers(self._counts[labels]), 1 + rng.integers(self._counts[labels] - 1)
    return self._of(labels, first), self._of(labels, (first + step) % self._counts[labels])

  def _of(self, labels, ranks):
    firsts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])
    return self._x[np.concatenate(self._places)[firsts[labels] + ranks]]


def turned(x: np.ndarray, turns: np.ndarray, black: float = 0.0) -> np.ndarray:
  """Images [n, H, W, C] of whole numbers, each turned by 30 turns[n] degrees."""
  found = x.copy()
  for k in range(1, LABELS):
    rows = np.flatnonzero(turns == k)
    for some in (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK)):
      moved = ndimage.rotate(
        x[some].astype(np.float32), DEGREES * k, (2, 1), reshape=False, order=1, mode='grid-constant', cval=black
      )
      found[some] = np.rint(moved).astype(x.dtype)
  return found


def color_mnist(rng, deck: Deck, n: int) -> dict[str, np.ndarray]:
  label = rng.integers(LABELS, size=n)
  grey = (deck.draw(rng, label).astype(np.float32) - deck.black) / (deck.white - deck.black)
  colours = _colours(rng, n)[:, :, None, None]  # [n, 2, 1, 1, 3]
  x = deck.black + (deck.white - deck.black) * ((1 - grey) * colours[:, 0] + grey * colours[:, 1])
  return {'x': np.rint(x).astype(np.uint8), 'label': label.astype(np.int32)}


def _colours(rng, n):
  """Background and foreground [n, 2, 3] in [0, 1], uniform among the pairs whose luma differs by CONTRAST at least."""
  found = np.empty([n, 2, 3], np.float32)
  left = np.arange(n)
  while len(left):
    found[left] = rng.random([len(left), 2, 3], np.float32)
    luma = found[left] @ (np.array(images.LUMA, np.float32) / 2**16)
    left = left[np.abs(luma[:, 0] - luma[:, 1]) < CONTRAST]
  return found


def mnist_triplets(rng, deck: Deck, n: int) -> dict[str, np.ndarray]:
  labels = _addends(rng, n)
  x = np.concatenate([deck.draw(rng, column) for column in labels.T], -1)
  return {'x': x, 'label': labels[:, 2], 'labels': labels}


def mnist_sum(rng, deck: Deck, n: int) -> dict[str, np.ndarray]:
  labels = _addends(rng, n)
  *terms, x = (deck.draw(rng, column) for column in labels.T)
  return {'x': x, 'label': labels[:, 2], 'context': np.concatenate(terms, -1)}


def mnist_sum_hard(rng, deck: Deck, n: int) -> dict[str, np.ndarray]:
  found = mnist_sum(rng, deck, n)
  return found | {'x': found['context'], 'context': found['x']}


def _addends(rng, n):
  """y1, y2 and y3 = (y1 + y2) mod 10, int32 [n, 3]."""
  terms = rng.integers(LABELS, size=(n, 2))
  return np.concatenate([terms, terms.sum(1, keepdims=True) % LABELS], 1).astype(np.int32)


def mnist_rotate(rng, deck: Deck, n: int) -> dict[str, np.ndarray]:
  label, turns = rng.integers(LABELS, size=(2, n)).astype(np.int32)
  shown, other = deck.pairs(rng, label)
  context = np.concatenate([shown, deck.draw(rng, turns)], -1)
  return {'x': turned(other, turns, deck.black), 'label': label, 'context': context, 'turns': turns}


def mnist_turns(rng, deck: Deck, n: int) -> dict[str, np.ndarray]:
  label, turns = rng.integers(LABELS, size=(2, n)).astype(np.int32)
  return {'x': turned(deck.draw(rng, label), turns, deck.black), 'label': turns}


class Task(NamedTuple):
  """How a set is made."""

  make: Callable
  channels: int  # of x
  of_context: int = 0  # channels of the context
  stack: bool = False  # whether channels are images, each of its own, where their number would say colours


SETS = {
  'color_mnist': Task(color_mnist, 3),
  'mnist_triplets': Task(mnist_triplets, 3, stack=True),
  'mnist_sum': Task(mnist_sum, 1, 2),
  'mnist_sum_hard': Task(mnist_sum_hard, 2, 1),
  'mnist_rotate': Task(mnist_rotate, 1, 2),
  'mnist_turns': Task(mnist_turns, 1),
}
