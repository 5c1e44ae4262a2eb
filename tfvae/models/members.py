"""Several models of one kind side by side, on the same data."""

import keras

from tfvae.making import Make
from tfvae.models.hierarchy import Hierarchy
from tfvae.observation import Observation


class Members(keras.Model):
  """Hierarchies of one latent layer that differ in its number of units; they share nothing but the data.

  Attributes:
    members: name (h2: of two units) -> Hierarchy.
  """

  closed_form = False
  title = 'members'

  def __init__(self, members: dict[str, Hierarchy]):
    super().__init__(name='members')
    for name, member in members.items():
      setattr(self, name, member)  # Keras finds the layers of attributes
    self._names, self.shape = list(members), next(iter(members.values())).shape

  @property
  def members(self) -> dict[str, Hierarchy]:
    return {name: getattr(self, name) for name in self._names}

  @property
  def layer_names(self) -> list[str]:
    """Of each member."""
    return next(iter(self.members.values())).layer_names

  def build(self, input_shape=None):
    """Makes all weights."""
    del input_shape
    for name, member in self.members.items():
      with keras.name_scope(name):  # so that no two weights have one path
        member.build()
    self.built = True

  def call(self, x):
    """The reconstruction of each member: {name: E[x | z] at the posterior's means}."""
    return {name: member(x) for name, member in self.members.items()}

  @property
  def variance_variables(self) -> list:
    """The learned variances of all members."""
    return [variable for member in self.members.values() for variable in member.variance_variables]

  @classmethod
  def from_spec(cls, spec, observation: Observation, make: Make) -> 'Members':
    """One hierarchy for each of spec.model.members, like spec's but for the number of units of its one layer."""
    from ml_collections import ConfigDict

    members = {}
    for units in spec.model.members:
      own = ConfigDict(spec.to_dict())
      own.model[own.model.layers[-1]].dim = units
      members[f'h{units}'] = Hierarchy.from_spec(own, observation, make)
    return cls(members)
