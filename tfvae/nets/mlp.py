"""Dense nets on flattened inputs."""

import keras


class Mlp(keras.layers.Layer):
  """Dense layers, each with the activation: [N, ...] -> [N, hidden[-1]].

  skip: the input (or what is given as `past`) is led past them, and follows their features: [N, hidden[-1] + F]. The
  head that comes next then has a linear map from there, too.
  """

  def __init__(self, hidden: tuple[int, ...], activation: str = 'relu', skip: bool = False, name: str | None = None):
    super().__init__(name=name)
    self.skip = skip
    self.flatten = keras.layers.Flatten(name='flatten')
    self.dense = [keras.layers.Dense(units, activation=activation, name=f'dense_{i}') for i, units in enumerate(hidden)]

  @property
  def first(self) -> keras.layers.Dense | None:
    """The layer that sees the input; None where there is none but the head that follows."""
    return self.dense[0] if self.dense else None

  @property
  def split(self) -> int:
    """How many features come before those that are led past the layers; 0 where none are."""
    return self.dense[-1].units if self.skip and self.dense else 0

  def call(self, x, past=None):
    features = self.flatten(x)
    for dense in self.dense:
      features = dense(features)
    if not self.skip:
      return features
    return keras.ops.concatenate([features, self.flatten(x if past is None else past)], axis=-1)

  @classmethod
  def from_section(cls, section, grid: int, head: bool, name: str):
    """The net of a spec's section; `grid` is left to the head or join that follows, which reshapes."""
    del grid, head
    return cls(section.hidden, section.activation, section.skip, name=name)


class Linear(Mlp):
  """No hidden layer: the flattened input, [N, ...] -> [N, F]. The head that follows is then a linear map."""

  def __init__(self, name: str | None = None):
    super().__init__((), name=name)

  @classmethod
  def from_section(cls, section, grid: int, head: bool, name: str):
    del section, grid, head
    return cls(name=name)
