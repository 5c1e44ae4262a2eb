"""The cross-entropy of a classifier."""

from tfvae.making import Make
from tfvae.objectives.objective import Objective


class CrossEntropy(Objective):
  """Minimise E[-log p(label | x)] of a classifier. Metrics: cross_entropy (nats), accuracy.

  Args:
    model: a `Classifier`; its variables are the only player's.
  """

  def loss(self, player, model, batch, step, noise):
    found = model.scores(batch)
    return found['cross_entropy'], found

  @classmethod
  def from_spec(cls, spec, model, make: Make) -> 'CrossEntropy':
    """The objective of a spec."""
    del spec, make
    return cls(model)
