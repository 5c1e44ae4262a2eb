"""What an installation gives."""

import os
import subprocess
import sys


def test_a_folder_called_tfvae_does_not_hide_the_package(tmp_path):
  """As that of a clone does not, from the directory that it is in: in a script, and in a notebook."""
  (tmp_path / 'tfvae/tfvae').mkdir(parents=True)
  code = 'import tfvae; print(tfvae.__version__, "Stopped" in tfvae.__all__)'
  (tmp_path / 'script.py').write_text(code)
  environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
  for arguments in (['script.py'], ['-c', code]):
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(' True\n')
