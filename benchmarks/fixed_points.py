"""Seconds of a sweep of high-capacity fixed points, beside the same sweep in NumPy.

    python benchmarks/fixed_points.py [--grid 32 32] [--temperatures 64] [--examples 256] [--repeats 3]

Points drawn evenly from a square of side 2, temperatures evenly in log T from 1.2 times the largest eigenvalue of their
covariance down to 1e-4 of it. First the published limits (400 iterations at each temperature, or a step below 1e-3), in
TensorFlow; then 20 iterations at each temperature whatever the step, so that all programs do the same work, beside
NumPy. Each sweep is repeated; the median and the range are printed, and how far NumPy's points are from TensorFlow's in
float64. Without the first call, which compiles (printed by itself). NumPy's program is below: whole arrays at a time,
and the same two normalisations by logarithms.

Run it on an idle machine: times mean little on another.
"""

import argparse
import functools
import os
import pathlib
import statistics
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--grid', type=int, nargs='+', default=[32, 32])
  parser.add_argument('--temperatures', type=int, default=64)
  parser.add_argument('--examples', type=int, default=256)
  parser.add_argument('--repeats', type=int, default=3)
  options = parser.parse_args()
  from tfvae.theory import fixed_points, ppca

  data = np.random.default_rng(0).uniform(-1, 1, (options.examples, 2))
  highest = ppca.spectrum(data)[0]
  temperatures = highest * np.geomspace(1.2, 1e-4, options.temperatures)
  start = fixed_points.start(data, tuple(options.grid))
  told = f'{len(start)} points, {len(data)} examples, {len(temperatures)} temperatures, {os.cpu_count()} cores'
  print(
    f'{told}\n| limits | program | seconds | iterations | to TensorFlow float64 |\n|---|---|---|---|---|', flush=True
  )
  for programs, limits in (
    (('TensorFlow float64', 'TensorFlow float32'), {'iterations': 400, 'tolerance': 1e-3}),
    (
      ('TensorFlow float64', 'TensorFlow float32', 'NumPy float64', 'NumPy float32'),
      {'iterations': 20, 'tolerance': 0.0},
    ),
  ):
    found, medians = {}, {}
    for program in programs:
      library, dtype = program.split()
      sweep = fixed_points.sweep if library == 'TensorFlow' else in_numpy
      call = functools.partial(sweep, data, temperatures, start, dtype=dtype, noise_scale=0.0)
      first = seconds_of(call, iterations=1, tolerance=0.0)[0]
      if library == 'TensorFlow' and limits['tolerance']:
        print(f'<!-- {program}: {first:.1f} s for the first call, of one iteration at each temperature -->', flush=True)
      times = []
      for _ in range(options.repeats):
        seconds, found[program] = seconds_of(call, **limits)
        times.append(seconds)
      medians[program] = statistics.median(times)
      ratio = medians[program] / medians['TensorFlow float64']
      spread = f'{medians[program]:.2f} ({min(times):.2f} to {max(times):.2f})'
      words = ', '.join(f'{name} {value:g}' for name, value in limits.items())
      print(f'| {words} | {program} | {spread} | {found[program].iterations.sum():,} | {ratio:.2f} |', flush=True)
  apart = np.abs(found['NumPy float64'].points - found['TensorFlow float64'].points).max()
  print(f'NumPy and TensorFlow in float64: points differ by {apart:.1e} at most.')


def seconds_of(call, **options):
  begin = time.perf_counter()
  result = call(**options)
  return time.perf_counter() - begin, result


def in_numpy(data, temperatures, points, *, dtype, noise_scale, iterations, tolerance, smoothing=0.9):
  """`fixed_points.sweep` without noise, in NumPy."""
  from tfvae.theory.fixed_points import Sweep

  assert noise_scale == 0
  mean, g = data.mean(0), (points - data.mean(0)).astype(dtype)
  x, kept = (data - mean).astype(dtype), []
  for temperature in temperatures.astype(dtype):
    moved, count = np.inf, 0
    while count < iterations and moved >= tolerance:
      log_m = log_posterior(g, x, temperature)
      weights = np.exp(log_m - log_m.max(1, keepdims=True))
      new = weights @ x / weights.sum(1, keepdims=True)
      new = np.asarray(smoothing, dtype) * g + np.asarray(1 - smoothing, dtype) * new
      moved, g, count = np.sqrt(((new - g) ** 2).sum(-1).max()), new, count + 1
    log_m = log_posterior(g, x, temperature)
    m = np.exp(log_m)
    error = (m * ((g[:, None] - x) ** 2).sum(-1)).sum() / len(x)
    kept.append((temperature, g + mean, error, m.mean(1), (m * log_m).sum() / len(x) + np.log(len(g)), count, moved))
  return Sweep(*(np.array(values) for values in zip(*kept, strict=True)))


def log_posterior(g, x, temperature):
  logits = (g @ x.T - 0.5 * (g**2).sum(-1)[:, None]) / temperature
  top = logits.max(0)
  return logits - top - np.log(np.exp(logits - top).sum(0))


if __name__ == '__main__':
  main()
