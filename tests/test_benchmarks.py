"""Benchmarks start: what they import is there. They are not timed here."""

import subprocess
import sys

import pytest
from conftest import ROOT

SCRIPTS = sorted(path.name for path in (ROOT / 'benchmarks').glob('*.py') if path.name != 'torch_models.py')


@pytest.mark.parametrize('script', SCRIPTS)
def test_a_benchmark_says_what_it_measures(script):
  done = subprocess.run([sys.executable, ROOT / 'benchmarks' / script, '--help'], capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert f'benchmarks/{script}' in done.stdout
