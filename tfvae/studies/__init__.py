"""What is computed of data in place of training a model (spec.study): from a spec to `theory/`, and to what is kept."""
