"""Magnitudes of a 5 x 8 Gabor bank at 49 landmarks: 49 x 40 = 1960 numbers per face (the paper's "Gabor", section IV-C).

A wavelet of wave vector k, |k| = 2 pi / wavelength, is that of Lades et al. (1993):

    psi(x) = (k^2 / s^2) exp(-k^2 x^2 / (2 s^2)) (exp(i k.x) - exp(-s^2 / 2)),

whose last term makes the answer to a flat image zero. The paper does not give the bank: s = pi (one octave wide) and eight
orientations are usual for AUs; the wavelengths, half an octave apart, are ours: the shortest is still seen on a 72-px face.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Shaped

from au_jax.descriptors.hog import FACE_SIZE

WAVELENGTHS: tuple[float, ...] = tuple(8.0 * 2.0 ** (step / 2) for step in range(5))
"""In pixels of a face of `FACE_SIZE` px; they scale with the face."""
ORIENTATIONS: int = 8
"""Directions of the wave vector over half a turn: number o points o / 8 of it away from x, towards y."""
ENVELOPE_WIDTH: float = math.pi
"""s above: the standard deviation of the envelope times |k|."""

_REACH = 4.5
"""Standard deviations of the envelope that count; beyond them it is below 4e-5."""


def gabor(
    images: Shaped[Array | np.ndarray, "B H W *channels"], landmarks: Float[Array | np.ndarray, "B L 2"]
) -> Float32[Array, "B D"]:
    """Descriptors of registered faces.

    Args:
      images: [B, H, W, 3] RGB (or [B, H, W] grey), uint8 or float in 0..255. Beyond the border the image goes on with
        its outermost pixels.
      landmarks: [B, L, 2] float, x then y in pixels, the centre of the first pixel at (0, 0); moved into the image
        where they lie outside.

    Returns:
      [B, L * 40] float32, ordered by landmark, wavelength (short to long), orientation.

    Reference: Lades et al., "Distortion invariant object recognition in the dynamic link architecture", 1993.

    Example:
      >>> gabor(np.full((1, 40, 40, 3), 90, np.uint8), np.full((1, 2, 2), 20.0, np.float32)).shape
      (1, 80)
    """
    return _gabor(jnp.asarray(images), jnp.asarray(landmarks, jnp.float32))


@jax.jit
def _gabor(images: jax.Array, landmarks: jax.Array) -> jax.Array:
    # One image at a time: the products below are then plain matrix products, which use all cores.
    return jax.lax.map(lambda pair: _describe(*pair), (images, landmarks))


def _describe(image: jax.Array, landmarks: jax.Array) -> jax.Array:
    """One face: image [H, W, 3] or [H, W], landmarks [L, 2] -> [L * 40]."""
    image = image.astype(jnp.float32)
    if image.ndim == 3:
        image = image @ jnp.asarray([0.299, 0.587, 0.114], jnp.float32)
    height, width = image.shape
    wavelengths = [wavelength * width / FACE_SIZE for wavelength in WAVELENGTHS]
    margin = _reach(wavelengths[-1]) + 1
    image = jnp.pad(image, margin, mode="edge")
    inside = jnp.clip(landmarks, 0.0, jnp.asarray([width - 1.0, height - 1.0], jnp.float32)[None]) + margin
    return jnp.stack([_magnitudes(image, inside, wavelength) for wavelength in wavelengths], 1).reshape(-1)


def _reach(wavelength: float) -> int:
    return math.ceil(_REACH * ENVELOPE_WIDTH * wavelength / (2.0 * math.pi))


def _magnitudes(image: jax.Array, landmarks: jax.Array, wavelength: float) -> jax.Array:
    """Answers of one wavelength: image [H, W] that goes on around landmarks [L, 2] -> [L, 8]."""
    number, reach = 2.0 * np.pi / wavelength, _reach(wavelength)
    length = 2 * reach + 2
    pixel = jnp.floor(landmarks).astype(jnp.int32) - reach
    patches = jax.vmap(lambda place: jax.lax.dynamic_slice(image, (place[1], place[0]), (length, length)))(pixel)
    # Envelope and wave are products of a function of x and one of y: an answer is two small products.
    distance = jnp.arange(length, dtype=jnp.float32)[None, None] + (pixel.astype(jnp.float32) - landmarks)[..., None]
    bell_x, bell_y = jnp.moveaxis(jnp.exp(-0.5 * jnp.square(distance * (number / ENVELOPE_WIDTH))), 1, 0)
    angle = np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    wave = number * np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    phase_x, phase_y = jnp.moveaxis(distance[:, :, None] * wave[None, :, :, None], 1, 0)
    columns = bell_x[:, None, None] * jnp.stack([jnp.cos(phase_x), jnp.sin(phase_x)], 1)
    rows = bell_y[:, None, None] * jnp.stack([jnp.cos(phase_y), jnp.sin(phase_y)], 1)
    # [L, cosine or sine along y, orientation, x], then along x too.
    by_row = jnp.einsum("lpoy,lyx->lpox", rows, patches)
    parts = jnp.einsum("lpox,lqox->lopq", by_row, columns)
    flat = jnp.einsum("ly,lyx,lx->l", bell_y, patches, bell_x)
    real = parts[..., 0, 0] - parts[..., 1, 1] - math.exp(-0.5 * ENVELOPE_WIDTH**2) * flat[:, None]
    imaginary = parts[..., 0, 1] + parts[..., 1, 0]
    return (number / ENVELOPE_WIDTH) ** 2 * jnp.hypot(real, imaginary)
