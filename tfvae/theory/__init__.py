"""What models are compared with: closed forms, and fixed points found by iterating. On arrays, without models.

NumPy and SciPy; `fixed_points` and `collapse` compile their iterations with TensorFlow and give arrays back.
"""
