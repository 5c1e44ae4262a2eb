"""Patches of images."""

import tensorflow as tf


def patches(images: tf.Tensor, side: int, stride: int) -> tf.Tensor:
  """All whole patches of side x side pixels, `stride` apart: [N, H, W, C] -> [N, P, side^2, C].

  By slices, whose gradient every device and compiler has.
  """
  height, width = (1 + (size - side) // stride for size in images.shape[1:3])
  shifted = [
    images[:, i : i + stride * (height - 1) + 1 : stride, j : j + stride * (width - 1) + 1 : stride]
    for i in range(side)
    for j in range(side)
  ]
  return tf.reshape(tf.stack(shifted, axis=3), [-1, height * width, side * side, images.shape[-1]])
