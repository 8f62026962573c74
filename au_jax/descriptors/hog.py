"""The 128-D SIFT/HOG descriptor at 49 landmarks: 49 x 128 = 6272 numbers per face (the paper's "HOG", section IV-B).

Per landmark, gradients of a patch (36 px on the 200-px face) are collected in 4 x 4 cells x 8 signed orientations; each
pixel is shared linearly between the two nearest orientations and bilinearly among the four nearest cells. A patch is
normalised, clipped at 0.2 and normalised again (Lowe 2004). As in dense SIFT, the cells' triangular windows reach half
a cell beyond the patch, so the descriptor is continuous in the landmarks.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Shaped

CELLS: int = 4
ORIENTATION_BINS: int = 8
PATCH_SIZE: float = 36.0
"""Side of a patch in pixels of a face of `FACE_SIZE` px; it scales with the face."""
FACE_SIZE: float = 200.0
CLIP: float = 0.2


def hog(
    images: Shaped[Array | np.ndarray, "B H W *channels"],
    landmarks: Float[Array | np.ndarray, "B L 2"],
    patch_size: float | None = None,
    gaussian: bool = False,
) -> Float32[Array, "B D"]:
    """Descriptors of registered faces.

    Args:
      images: [B, H, W, 3] RGB (or [B, H, W] grey), uint8 or float in 0..255. Beyond the border the image goes on with
        its outermost pixels, which have no gradient across it.
      landmarks: [B, L, 2] float, x then y in pixels, the centre of the first pixel at (0, 0); moved into the image
        where they lie outside.
      patch_size: side of a patch in pixels; None is 36 px on a 200-px face, in proportion to the width.
      gaussian: weight the pixels by a Gaussian of the patch's half side, as in Lowe's SIFT.

    Returns:
      [B, L * 128] float32, ordered by landmark, cell row, cell column, orientation (0 is a gradient to the right, 2 one
      downwards); a patch without any gradient is zero.

    Reference: Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004.

    Example:
      >>> ramp = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, None, :], (1, 40, 40))  # brighter to the right
      >>> descriptor = hog(ramp, np.full((1, 1, 2), 20.0, np.float32)).reshape(4, 4, 8)
      >>> sorted(set(np.argmax(descriptor, axis=-1).reshape(-1).tolist()))
      [0]
    """
    images = jnp.asarray(images)
    size = PATCH_SIZE * images.shape[2] / FACE_SIZE if patch_size is None else float(patch_size)
    return _hog(images, jnp.asarray(landmarks, jnp.float32), size, gaussian)


@functools.partial(jax.jit, static_argnames=("patch_size", "gaussian"))
def _hog(images: jax.Array, landmarks: jax.Array, patch_size: float, gaussian: bool) -> jax.Array:
    # One image at a time: the products below are then plain matrix products, which use all cores.
    return jax.lax.map(lambda pair: _describe(pair[0], pair[1], patch_size, gaussian), (images, landmarks))


def _describe(image: jax.Array, landmarks: jax.Array, patch_size: float, gaussian: bool) -> jax.Array:
    """One face: image [H, W, 3] or [H, W], landmarks [L, 2] -> [L * 128]."""
    image = image.astype(jnp.float32)
    if image.ndim == 3:
        image = image @ jnp.asarray([0.299, 0.587, 0.114], jnp.float32)
    height, width = image.shape
    margin = math.ceil(0.5 * patch_size * (1.0 + 1.0 / CELLS)) + 1
    gradients = _orientation_map(jnp.pad(image, margin, mode="edge"))
    x = jnp.clip(landmarks[:, 0], 0.0, width - 1.0) + margin
    y = jnp.clip(landmarks[:, 1], 0.0, height - 1.0) + margin

    # All pixels times each cell's window, rows first. The windows are separable, so a patch is two small products.
    rows = _cell_windows(y, gradients.shape[0], patch_size, gaussian)
    columns = _cell_windows(x, gradients.shape[1], patch_size, gaussian)
    by_row = jnp.einsum("lcy,yxo->lcxo", rows, gradients)
    cells = jnp.einsum("ldx,lcxo->lcdo", columns, by_row).reshape(len(landmarks), -1)
    clipped = jnp.minimum(_unit(cells), CLIP)
    return _unit(clipped).reshape(-1)


def _orientation_map(image: jax.Array) -> jax.Array:
    """Gradient magnitude by orientation, [H, W] -> [H, W, 8]; central differences, shared by two orientations."""
    padded = jnp.pad(image, 1, mode="edge")
    dx = 0.5 * (padded[1:-1, 2:] - padded[1:-1, :-2])
    dy = 0.5 * (padded[2:, 1:-1] - padded[:-2, 1:-1])
    magnitude = jnp.sqrt(dx * dx + dy * dy)
    position = jnp.arctan2(dy, dx) * (ORIENTATION_BINS / (2.0 * jnp.pi))
    bins = jnp.arange(ORIENTATION_BINS, dtype=jnp.float32)[None, None, :]
    offset = jnp.mod(position[..., None] - bins, ORIENTATION_BINS)
    share = jnp.maximum(1.0 - jnp.minimum(offset, ORIENTATION_BINS - offset), 0.0)
    return magnitude[..., None] * share


def _cell_windows(centre: jax.Array, length: int, patch_size: float, gaussian: bool) -> jax.Array:
    """Weight of every pixel along one axis in each cell: centres [L] -> [L, 4, length]."""
    cell = patch_size / CELLS
    distance = jnp.arange(length, dtype=jnp.float32)[None, None, :] - centre[:, None, None]
    offset = (jnp.arange(CELLS, dtype=jnp.float32) - 0.5 * (CELLS - 1)) * cell
    window = jnp.maximum(1.0 - jnp.abs(distance - offset[None, :, None]) / cell, 0.0)
    if gaussian:
        window = window * jnp.exp(-0.5 * jnp.square(distance / (0.5 * patch_size)))
    return window


def _unit(vectors: jax.Array) -> jax.Array:
    """Vectors of length 1 along the last axis; those shorter than 1e-6 stay near zero instead of amplifying noise."""
    return vectors / jnp.maximum(jnp.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
