"""Several models that learn side by side, each by an objective of its own."""

from tfvae.objectives.objective import Objective


class Joint(Objective):
  """One player a member, who sees the same batches as the others and nothing of them.

  Metrics are those of the members' objectives and the sum of entropies, each followed by the member's name: `elbo/h2`.

  Args:
    model: has all of them.
    members: member's name -> (member, its objective, which has one player).
  """

  def __init__(self, model, members: dict[str, tuple]):
    super().__init__(model)
    self._members = members

  @property
  def players(self):
    return {name: next(iter(own.players.values())) for name, (_, own) in self._members.items()}

  @property
  def variables(self):
    return {f'{name}/{part}': v for name, (_, own) in self._members.items() for part, v in own.variables.items()}

  def loss(self, player, model, batch, step, noise):
    member, own = self._members[player]
    loss, metrics = own.loss(next(iter(own.players)), member, batch, step, noise)
    return loss, {f'{metric}/{player}': value for metric, value in metrics.items()}

  def fit(self, moments):
    for _, own in self._members.values():
      own.fit(moments)

  def update(self, means, step):
    for name, (_, own) in self._members.items():
      own.update({k.removesuffix(f'/{name}'): v for k, v in means.items() if k.endswith(f'/{name}')}, step)
