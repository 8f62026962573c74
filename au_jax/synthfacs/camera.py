"""The plane that faces are drawn in, and the camera that looks at it: tone, colour, blur and the noise of its sensor.

The canonical face plane has the 200-px template's coordinates, a little beyond its borders, on grids of several steps.
Everything that belongs to a face (skin, relief, furrows, movements) is given in this plane. The mean person's landmarks
at rest lie on the registration template. x grows to the right of the picture, y downwards, z towards the camera; one
unit is one pixel of the 200-px template, about a millimetre.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

LEFT, TOP, RIGHT, BOTTOM = -30.0, -80.0, 230.0, 215.0
"""Borders of the canonical plane."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid over the canonical plane: `texel` units between neighbours, row 0 at `TOP`, column 0 at `LEFT`.

    Example:
      >>> grid = Grid(2.0)
      >>> grid.points().shape == (grid.width * grid.height, 2)
      True
    """

    texel: float

    @property
    def width(self) -> int:
        return int(round((RIGHT - LEFT) / self.texel)) + 1

    @property
    def height(self) -> int:
        return int(round((BOTTOM - TOP) / self.texel)) + 1

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns x as [1, width] and y as [height, 1], float64 canonical units."""
        x = LEFT + self.texel * np.arange(self.width)
        y = TOP + self.texel * np.arange(self.height)
        return x[None, :], y[:, None]

    def points(self) -> np.ndarray:
        """Returns [height * width, 2] float64, x then y."""
        x, y = np.broadcast_arrays(*self.axes())
        return np.stack([x.ravel(), y.ravel()], axis=1)


COARSE = Grid(5.0)
"""The grid of depth and movement, which are smooth."""


CAMERAS: dict[str, dict[str, float]] = {
    # gains of red, green, blue; black lift; contrast about mid grey; saturation
    "lab": {"red": 1.0, "green": 1.0, "blue": 1.0, "lift": 0.0, "contrast": 1.0, "saturation": 1.0},
    "group": {"red": 1.10, "green": 0.98, "blue": 0.82, "lift": 0.07, "contrast": 0.78, "saturation": 0.72},
}
"""The cameras of the presets, as factors."""

CAMERA_FIELDS = ("red", "green", "blue", "lift", "contrast", "saturation")


def camera_vector(name: str) -> np.ndarray:
    """Returns the [6] float32 numbers of a camera, in the order of `CAMERA_FIELDS`.

    Raises:
      ValueError: no such camera; the message lists the names.

    Example:
      >>> camera_vector("lab").tolist()
      [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    """
    if name not in CAMERAS:
        raise ValueError(f"synthfacs has no camera {name!r}; choose one of {', '.join(CAMERAS)}")
    return np.array([CAMERAS[name][field] for field in CAMERA_FIELDS], np.float32)


def tone(channel, gain):
    """Turns linear light [S, S] of one channel into display values, about 0..1 (a shoulder keeps the highlights).

    Example:
      >>> [round(float(value), 2) for value in tone(jnp.array([0.0, 1.0]), jnp.float32(1.0))]
      [0.0, 0.92]
    """
    value = jnp.maximum(channel * gain, 0.0)
    value = value / (1.0 + 0.18 * value * value)
    return jnp.sqrt(value + 1e-5) * 0.93 + 0.07 * value  # close to the sRGB curve, and cheap


def color(rgb, camera):
    """Applies a camera's saturation, contrast and black level to three [S, S] arrays of display values: [S, S, 3].

    Example:
      >>> rgb = [jnp.full((1, 1), value) for value in (0.2, 0.4, 0.6)]
      >>> [round(float(value), 3) for value in color(rgb, camera_vector("lab"))[0, 0]]  # changes nothing
      [0.2, 0.4, 0.6]
      >>> grey = color(rgb, jnp.array([1.0, 1.0, 1.0, 0.0, 1.0, 0.0]))  # saturation 0
      >>> [round(float(value), 3) for value in grey[0, 0]]  # 0.3 * 0.2 + 0.59 * 0.4 + 0.11 * 0.6
      [0.362, 0.362, 0.362]
    """
    image = jnp.stack(rgb, axis=-1)
    grey = (image * jnp.array([[[0.3, 0.59, 0.11]]], jnp.float32)).sum(axis=-1, keepdims=True)
    image = grey + (image - grey) * camera[5]
    return (image - 0.5) * camera[4] + 0.5 + camera[3] * 0.5


def blur(image, sigma):
    """Blurs one [S, S, 3] frame by a Gaussian of `sigma` pixels (scalar, 0 allowed), as two matrix products.

    Example:
      >>> dot = jnp.zeros((9, 9, 3)).at[4, 4].set(1.0)
      >>> blurred = blur(dot, jnp.float32(1.0))
      >>> bool(blurred[4, 4, 0] < 0.2), round(float(blurred[..., 0].sum()), 2)
      (True, 1.0)
    """
    size = image.shape[0]
    place = jnp.arange(size, dtype=jnp.float32)
    apart = place[:, None] - place[None, :]
    kernel = jnp.exp(-0.5 * (apart / jnp.maximum(sigma, 0.05)) ** 2)
    kernel = kernel / kernel.sum(axis=1, keepdims=True)
    rows = jnp.einsum("ij,jkc->ikc", kernel, image)
    return jnp.einsum("lk,ikc->ilc", kernel, rows)


def add_noise(image, key, sigma):
    """Adds sensor noise to one [S, S, 3] frame: more in the light (shot noise), a quarter of it common to the
    channels.

    Example:
      >>> noisy = add_noise(jnp.full((64, 64, 3), 0.5), jax.random.key(0), 0.02)
      >>> bool(0.015 < noisy.std() < 0.025)
      True
    """
    bits = jax.random.bits(key, image.shape[:2] + (4,), jnp.uint32)
    # The sum of four random bytes is near enough to normal, and far cheaper than its inverse error function.
    total = (bits & 255) + ((bits >> 8) & 255) + ((bits >> 16) & 255) + (bits >> 24)
    normal = (total.astype(jnp.float32) - 510.0) / 147.8
    mixed = 0.87 * normal[..., :3] + 0.5 * normal[..., 3:]
    return image + sigma * (0.65 + 0.7 * jnp.clip(image, 0.0, 1.0)) * mixed
