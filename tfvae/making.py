"""What is built asks for its parts by name. Importing this imports nothing heavy."""

from typing import Protocol

from tfvae.observation import Observation


class Make(Protocol):
  """The module `tfvae.build` to what it builds, which is below it: `make` of every from_spec and from_section.

  A section is a part of a spec. `name` is that of the Keras layer, which its initial weights depend on.
  """

  def model(self, spec, observation: Observation):
    """A model of such examples, its weights drawn from spec.seed."""

  def latent_shape(self, section) -> tuple[int, ...]:
    """Of z, by the section of its layer."""

  def order(self, name: str):
    """An `Order` of inference."""

  def net(self, section, grid: int, name: str, head: bool = True):
    """A net to a `grid` x `grid` variable (0: a vector)."""

  def family(self, section, name: str, kernel: int):
    """A `LatentFamily`, of p(z_l | z_>l)."""

  def posterior(self, section, name: str, kernel: int):
    """A `LatentFamily`, of q(z_l | ., x): that of the layer, or a flow of it."""

  def prior(self, section, family_: str, shape: tuple[int, ...], name: str):
    """The prior of the top layer."""

  def conditional_prior(self, join, net_, family_, name: str):
    """The prior of a layer below it."""

  def likelihood(self, section, observation: Observation, name: str):
    """A `Likelihood`."""

  def variance(self, section, shape: tuple[int, ...], name: str):
    """The variance of a Gaussian decoder."""

  def constraints(self, spec, observation: Observation) -> list:
    """A `Measure` for each constraint."""

  def estimator(self, spec):
    """An `Estimator` of the gradient through samples."""

  def extractor(self, name: str, spec, section, shape: tuple[int, ...]):
    """An `Extractor` of the features of images."""

  def frozen(self, spec, observation: Observation, gradient: bool = True, field: str = 'path'):
    """The classifier of spec.classifier.path, a `Frozen`."""

  def sight(self, spec, observation: Observation, field: str = 'path', gradient: bool = True, alone: bool = False):
    """What the classifier of spec.classifier.path (or another field there) sees of examples, a `Sight`."""
