"""What goes along with training, whatever the objective."""

from tfvae.objectives.falling_sigma import FallingSigma
from tfvae.objectives.objective import Watcher
from tfvae.objectives.persistent import PersistentChain


def watchers_of(spec, model) -> list[Watcher]:
  """Those of a spec: persistent chains, a sigma that falls."""
  found = []
  if chains := spec.objective.chains:
    found.append(PersistentChain(model, chains, spec.seed))
  if spec.decoder.sigma_until:
    found.append(FallingSigma.of(spec, model))
  return found
