"""The shape descriptor: where the 49 landmarks of a registered face are, 98 numbers (the paper's "Shape", section IV-C)."""

import numpy as np
from jaxtyping import Float, Float32

from au_jax.faces.registration import TEMPLATE_SIZE


def shape(landmarks: Float[np.ndarray, "B L 2"], size: int) -> Float32[np.ndarray, "B D"]:
    """Coordinates in the face, not centred: the paper's divergence needs numbers that are not negative.

    Args:
      landmarks: [B, L, 2] pixels of registered faces, x then y.
      size: side of the registered face in pixels.

    Returns:
      [B, 2 * L] float32, pixels of a 200-px face, ordered by landmark, then x and y.

    Example:
      >>> shape(np.array([[[10.0, 20.0], [30.0, 40.0]]]), size=100).tolist()
      [[20.0, 40.0, 60.0, 80.0]]
    """
    scaled = np.asarray(landmarks, np.float32) * np.float32(TEMPLATE_SIZE / size)
    return scaled.reshape(len(scaled), -1)
