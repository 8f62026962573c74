"""Things that pass in front of a face for some frames: a hand, a cup, a lock of hair, each made of six rounded
cones."""

import jax.numpy as jnp
import numpy as np

CAPSULES = 6
KINDS = ("hand", "cup", "lock")

# kind: rows of (x0, y0, r0, x1, y1, r1) about the object's own origin, camera units.
_FORMS = {
    "hand": [
        (0, 30, 30, 2, 62, 27), (-21, 18, 10, -33, -38, 7.5), (-6, 10, 10, -11, -54, 8), (11, 10, 10, 12, -52, 8),
        (26, 16, 9, 34, -36, 7), (26, 40, 11, 56, 6, 8.5),
    ],
    "cup": [
        (0, -22, 30, 0, 36, 25), (38, -12, 6, 46, 6, 6), (46, 6, 6, 36, 24, 6), (-10, 44, 20, 6, 70, 22),
        (-30, 4, 9, 22, 6, 9), (-28, 22, 9, 20, 25, 9),
    ],
    "lock": [
        (-4, -70, 9, 2, -45, 10), (2, -45, 10, 8, -20, 11), (8, -20, 11, 9, 5, 10), (9, 5, 10, 4, 30, 8),
        (4, 30, 8, -5, 52, 5), (-5, 52, 5, -16, 66, 2),
    ],
}  # fmt: skip


def form(kind: str, angle: float, scale: float) -> np.ndarray:
    """Returns [CAPSULES, 6] float64 rows (x0, y0, r0, x1, y1, r1) of an object turned by `angle` (radians) and
    scaled."""
    rows = np.array(_FORMS[kind], np.float64) * scale
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    for first in (0, 3):
        rows[:, first : first + 2] = rows[:, first : first + 2] @ turn
    return rows


def covered(points: np.ndarray, capsules: np.ndarray) -> np.ndarray:
    """Returns which points an object hides: [..., N] bool from [..., N, 2] points and [..., CAPSULES, 6] cones."""
    start, end = capsules[..., None, :, 0:2], capsules[..., None, :, 3:5]
    axis = end - start
    along = ((points[..., None, :] - start) * axis).sum(-1) / np.maximum((axis**2).sum(-1), 1e-6)
    along = np.clip(along, 0, 1)
    radius = capsules[..., None, :, 2] * (1 - along) + capsules[..., None, :, 5] * along
    distance = np.linalg.norm(points[..., None, :] - start - along[..., None] * axis, axis=-1)
    return (distance < radius).any(-1)


def draw(x, y, capsules, edge):
    """Draws one object.

    Args:
      x, y: [S, S] camera coordinates; capsules: [CAPSULES, 6], radii 0 for none; edge: softness of its border.

    Returns:
      cover: [S, S] 0..1; slope_x, slope_y: [S, S] gradient of its surface; crease: [S, S] 1, lower between its parts.
    """
    x0, y0, r0, x1, y1, r1 = (capsules[:, j][:, None, None] for j in range(6))
    x, y = x[None], y[None]
    ax, ay = x1 - x0, y1 - y0
    along = jnp.clip(((x - x0) * ax + (y - y0) * ay) / jnp.maximum(ax * ax + ay * ay, 1e-3), 0.0, 1.0)
    dx, dy = x - x0 - along * ax, y - y0 - along * ay
    # A radius of zero must not divide: the object is simply not there.
    radius = jnp.maximum(r0 + (r1 - r0) * along, 1e-3)
    squared = dx * dx + dy * dy + 1e-6
    ratio = jnp.minimum(squared / (radius * radius), 1.0)
    there = jnp.where(r0 > 0.01, jnp.clip(0.5 + 0.5 * (radius - jnp.sqrt(squared)) / edge, 0.0, 1.0), 0.0)
    rise = jnp.where(there > 0.0, jnp.sqrt(1.02 - ratio) * radius, -100.0)
    top = rise.max(axis=0, keepdims=True)
    front = rise >= top
    second = jnp.where(front, -100.0, rise).max(axis=0)
    tilt = jnp.where(front, jnp.sqrt(ratio / ((1.05 - ratio) * squared)), 0.0)
    crease = 1.0 - 0.35 * jnp.exp(-(top[0] - second) / 2.5)
    return (
        there.max(axis=0),
        -(tilt * dx).max(axis=0) - (tilt * dx).min(axis=0),
        -(tilt * dy).max(axis=0) - (tilt * dy).min(axis=0),
        crease,
    )
