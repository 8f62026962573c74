"""The intensity head: a cumulative logit per AU on the CNN's PCA-reduced fc7, pure and in JAX or NumPy.

For a frame's features x and an AU's weights w and borders b_1 <= .. <= b_5

    P(intensity >= k) = 1 / (1 + exp(-(w x - b_k))),   k = 1 .. 5 for A to E,

so that one direction of the features holds the intensity, and the borders say where on it a letter begins. The estimate is the
expected intensity, the sum of these probabilities. Not in the paper, which detects presence alone.

Reference: McCullagh, Regression models for ordinal data, Journal of the Royal Statistical Society B 42 (1980).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

LETTER_COUNT = 5
"""Intensities above 0: A to E."""


def expected_intensity(
    features: Float[Array | np.ndarray, "N K"],
    weights: Float[Array | np.ndarray, "K A"],
    borders: Float[Array | np.ndarray, "5 A"],
) -> Float32[Array, "N A"]:
    """The expected intensity, 0 to 5; NaN of an AU whose borders are NaN, as its intensities were never seen.

    Args:
      features: [N, K], the PCA-reduced fc7 of frames.
      weights: [K, A].
      borders: [5, A]; infinite for an intensity that was never seen.

    Example:
      >>> features, weights = jnp.array([[0.0], [-100.0], [100.0]]), jnp.array([[1.0]])
      >>> borders = jnp.array([[0.0], [2.0], [jnp.inf], [jnp.inf], [jnp.inf]])
      >>> np.asarray(expected_intensity(features, weights, borders)[:, 0], np.float64).round(2).tolist()
      [0.62, 0.0, 2.0]
    """
    places = jnp.asarray(features) @ jnp.asarray(weights)
    return jax.nn.sigmoid(places[:, None] - jnp.asarray(borders)[None]).sum(1)
