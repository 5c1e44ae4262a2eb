"""High-capacity fixed points of a table, over temperatures."""

import math

import numpy as np

from tfvae.studies.study import Finding, Study
from tfvae.theory import fixed_points, ppca

MOST_ROWS = 1000  # of a Jacobian, each by a pass backwards
LAPLACIANS = {'local': fixed_points.local_laplacian, 'global': fixed_points.global_laplacian}


class FixedPoints(Study):
  """`theory.fixed_points`, as T falls and rises again (Rezende & Viola 2018, section 3.2, appendices A and B).

  critical_temperature/<n>, critical_temperature_rising/<n>: of the three largest bends of E(T), from the highest.
  largest_eigenvalue, of the data's covariance: above it all points are at the mean. spectral_radius: of the map's
  Jacobian at the mean there, 1 but for a Lipschitz constraint (of which it is left out where the grid is large).
  equipartition, equipartition_largest, equipartition_divergence: at the lowest temperature, how far the tiles' shares
  of the data are from equal (`theory.fixed_points.Equipartition`), the last in nats.
  error_lowest, rate_lowest: E(T) in the squared units of the data, and KL(q || prior) in nats, there.
  hysteresis: the largest |E(T) falling - E(T) rising|, as a share of E at the highest temperature.
  unfinished: at how many temperatures, of both ways, the iterations ended before the points stood still.

  Arrays: `theory.fixed_points.arrays`.
  """

  name = 'fixed_points'

  def run(self, x):
    section, eigenvalues = self.section, ppca.spectrum(x)
    largest, grid = float(eigenvalues[0]), tuple(section.grid)
    unit = math.sqrt(largest)
    laplacian = section.gamma * LAPLACIANS[section.lipschitz](grid) if section.lipschitz != 'none' else None
    down, up = fixed_points.down_and_up(
      x,
      self._temperatures(largest),
      grid,
      seed=self.spec.seed,
      noise_scale=section.noise * unit,
      smoothing=section.smoothing,
      iterations=section.iterations,
      tolerance=section.tolerance * unit,
      laplacian=laplacian,
      warm=section.warm,
    )
    arrays = fixed_points.arrays(x, grid, down, up)
    numbers = {'largest_eigenvalue': largest}
    for way, name in (('', 'critical_temperature'), ('up.', 'critical_temperature_rising')):
      numbers |= {f'{name}/{n}': float(value) for n, value in enumerate(arrays[f'{way}critical'], 1)}
    if laplacian is None:  # the same for any grid
      numbers['spectral_radius'] = fixed_points.spectral_radius_at_mean(x, largest, (2,))
    elif len(laplacian) * x.shape[1] <= MOST_ROWS:
      numbers['spectral_radius'] = fixed_points.spectral_radius_at_mean(x, largest, grid, laplacian)
    names = ('equipartition', 'equipartition_largest', 'equipartition_divergence')
    numbers |= {name: float(value) for name, value in zip(names, arrays['equipartition'][-1], strict=True)}
    numbers |= {'error_lowest': float(arrays['error'][-1]), 'rate_lowest': float(arrays['rate'][-1])}
    apart = np.abs(arrays['error'] - arrays['up.error']).max() / arrays['error'][0]
    running = sum(int(np.sum(way.step >= section.tolerance * unit)) for way in (down, up))
    return Finding(numbers | {'hysteresis': float(apart), 'unfinished': float(running)}, arrays)

  def _temperatures(self, largest):
    section = self.section
    if section.temperatures:
      return np.array(section.temperatures)
    space = np.linspace if section.spacing == 'linear' else np.geomspace
    return largest * space(section.low, section.high, section.count)
