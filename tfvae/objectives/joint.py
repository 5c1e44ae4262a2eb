"""Several models that learn side by side, each by an objective of its own."""

from tfvae.objectives.objective import Objective


class Joint(Objective):
  """One player a member, who sees the same batches as the others and nothing of them.

  Metrics are those of the members' objectives and the sum of entropies, each followed by the member's name: `elbo/h2`.

  Args:
    parts: member's name -> (member, its objective, which has one player).
  """

  def __init__(self, parts: dict[str, tuple]):
    self._parts = parts

  @property
  def players(self):
    return {name: next(iter(part.players.values())) for name, (_, part) in self._parts.items()}

  @property
  def variables(self):
    return {f'{name}/{own}': v for name, (_, part) in self._parts.items() for own, v in part.variables.items()}

  def loss(self, player, model, batch, step, noise):
    member, part = self._parts[player]
    loss, metrics = part.loss(next(iter(part.players)), member, batch, step, noise)
    return loss, {f'{metric}/{player}': value for metric, value in metrics.items()}

  def update(self, means, step):
    for name, (_, part) in self._parts.items():
      part.update(
        {metric.removesuffix(f'/{name}'): v for metric, v in means.items() if metric.endswith(f'/{name}')}, step
      )
