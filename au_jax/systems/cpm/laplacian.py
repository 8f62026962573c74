"""CPM's spatio-temporal Laplacian: a person's neighbouring frames should be scored alike.

W is the graph Laplacian of a video's frames, each joined to those up to N frames away by Gaussian weights; edges to frames
that look too different are cut. CPM penalises f'Lf = |W f|^2, that is L = W'W = W W.
"""

import jax
import jax.numpy as jnp

ALPHA: float = 2.5
"""Standard deviations of the Gaussian in its half width (MATLAB's gausswin)."""
FARTHEST: float = 1.5
"""Edges longer than this share of the mean squared distance between confident positives are cut."""


def window_weights(half_width: int) -> jax.Array:
    """Weights of neighbours 1 to N frames away, [N] float32; those of one side sum to 1/2."""
    offsets = jnp.arange(1, half_width + 1, dtype=jnp.float32)
    weights = jnp.exp(-0.5 * jnp.square(ALPHA * offsets / half_width))
    return 0.5 * weights / weights.sum()


def edges(rows: jax.Array, video: jax.Array, positive: jax.Array, half_width: int) -> jax.Array:
    """Weights of the edges forward in time.

    Args:
      rows: [m, D] float32, frames in order.
      video: [m] int32; frames of different videos are not joined, and those with -1 to none.
      positive: [m] bool, the confident positives; fewer than two of them cut no edge.
      half_width: N.

    Returns:
      [N, m]: [j - 1, i] is the weight between frames i and i + j, 0 where there is no edge.
    """
    farthest = FARTHEST * mean_squared_distance(rows, positive)
    weights = window_weights(half_width)
    return jnp.stack(
        [
            jnp.where(
                (video >= 0)
                & (video == _ahead(video, offset, -1))
                & (jnp.sum(jnp.square(rows - _ahead(rows, offset, 0.0)), 1) <= farthest),
                weights[offset - 1],
                0.0,
            )
            for offset in range(1, half_width + 1)
        ]
    )


def differences(weights: jax.Array, rows: jax.Array) -> jax.Array:
    """W X: every row less its neighbours, weighted; `edges`' weights [N, m], rows [m, D] -> [m, D]."""
    total = jnp.zeros_like(rows)
    for offset, weight in enumerate(weights, 1):
        flow = weight[:, None] * (rows - _ahead(rows, offset, 0.0))
        # The last rows have no neighbour ahead: nothing flows around the end.
        total = total + flow - jnp.roll(flow, offset, 0)
    return total


def mean_squared_distance(rows: jax.Array, chosen: jax.Array) -> jax.Array:
    """Mean squared distance between different chosen rows; infinite for fewer than two."""
    weight = chosen.astype(rows.dtype)
    count = weight.sum()
    mean = weight @ rows / jnp.maximum(count, 1.0)
    scatter = jnp.sum(weight * jnp.sum(jnp.square(rows - mean[None]), 1))
    # The mean over ordered pairs of different rows: 2 n scatter of n (n - 1).
    return jnp.where(count > 1, 2.0 * scatter / jnp.maximum(count - 1.0, 1.0), jnp.inf)


def _ahead(rows: jax.Array, offset: int, fill: float) -> jax.Array:
    """Row i + offset in the place of row i."""
    padding = [(0, offset)] + [(0, 0)] * (rows.ndim - 1)
    return jnp.pad(rows, padding, constant_values=fill)[offset:]
