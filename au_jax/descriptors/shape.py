"""The shape descriptor: where the 49 landmarks of a registered face are, 98 numbers (the paper's "Shape")."""

import numpy as np

from au_jax.faces.registration import TEMPLATE_SIZE


def shape(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Coordinates in the picture, not centred: the paper's divergence needs numbers that are not negative.

    Args:
      landmarks: [B, L, 2] pixels of registered faces, x then y.
      size: side of the registered face in pixels.

    Returns:
      [B, 2 * L] float32, pixels of a 200-px face, ordered by landmark, then x and y.
    """
    scaled = np.asarray(landmarks, np.float32) * np.float32(TEMPLATE_SIZE / size)
    return scaled.reshape(len(scaled), -1)
