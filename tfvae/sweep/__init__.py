"""--mode=sweep: a grid of runs, each an ordinary run directory, by worker processes. See docs/sweep.md.

Only the workers import TensorFlow.
"""
