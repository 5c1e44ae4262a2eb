"""`python -m tfvae.spec` prints docs/spec.md."""

from tfvae.spec.schema import markdown

print(markdown(), end='')
