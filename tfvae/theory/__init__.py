"""Closed forms that models are compared with. NumPy, no models."""
