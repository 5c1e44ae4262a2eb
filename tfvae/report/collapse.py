"""The figure of collapse as a phase transition: units fall silent as the decoder's variance grows."""

import numpy as np

from tfvae.report.axes import figure

MOST = 12  # units with a colour of their own


def collapse(arrays: dict[str, np.ndarray]):
  """Rates of the units over sigma^2, of the linear VAE and of the nonlinear one, and |W_i|^2, with the theory's lines.

  From the arrays that `theory.collapse.arrays` names; panels of a fit that is not among them are left out.
  """
  fits = [name for name in ('linear', 'nonlinear') if f'{name}.rates' in arrays]
  panels = [(f'{name}.rates', f'{name} VAE', 'rate of a unit in nats') for name in fits]
  if 'linear.gram' in arrays:
    panels.append(('linear.gram', 'linear VAE', 'eigenvalues of $W^TW$'))
  drawn = figure(4.4 * len(panels), 4.0)
  axes = drawn.subplots(1, len(panels), squeeze=False)[0]
  lines = arrays['theory.variances']
  beta, eigenvalues = float(arrays['beta']), arrays['eigenvalues']
  for axis, (name, title, label) in zip(axes, panels, strict=True):
    theory = arrays['theory.gram' if name.endswith('gram') else 'theory.rates']
    found, variances = arrays[name], arrays[f'{name.split(".")[0]}.variances']
    for unit, colour in enumerate(_colours(found.shape[1])):
      if unit < theory.shape[1]:
        axis.plot(lines, theory[:, unit], color=colour, lw=1.4, alpha=0.75)
      axis.plot(variances, found[:, unit], 'o', color=colour, ms=4.5, mec='white', mew=0.5)
    for value in eigenvalues[: theory.shape[1]] / beta:
      axis.axvline(value, color='0.6', lw=0.6, ls=':')
    axis.axvspan(eigenvalues[0] / beta, 1e3 * lines[-1], color='0.95', lw=0)  # all units are silent
    axis.set(title=title, ylabel=label, xlabel='$\\sigma^2$', xlim=(lines[0], lines[-1]))
    if not name.endswith('gram'):  # whose lines are straight
      axis.set_xscale('log')
    axis.grid(alpha=0.2, lw=0.6)
    axis.spines[['top', 'right']].set_visible(False)
  told = 'lines: 1/2 log($l_i/T$) and $l_i - T$, T = $\\beta\\sigma^2$; dotted: T = $l_i$; grey: all silent'
  drawn.supxlabel(told, fontsize=9, color='0.3')
  return drawn


def _colours(units):
  from matplotlib import colormaps

  return colormaps['viridis'](np.linspace(0.02, 0.9, min(units, MOST)))[np.minimum(np.arange(units), MOST - 1)]
