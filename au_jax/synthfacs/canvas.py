"""The canonical face plane: the 200-px template's coordinates, a little beyond its borders, on grids of several steps.

Everything that belongs to a face (skin, relief, furrows, movements) is given in this plane. The mean person's landmarks
at rest lie on the registration template. x grows to the right of the picture, y downwards, z towards the camera; one
unit is one pixel of the 200-px template, about a millimetre.
"""

import dataclasses

import numpy as np

LEFT, TOP, RIGHT, BOTTOM = -30.0, -80.0, 230.0, 215.0
"""Borders of the canonical plane."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid over the canonical plane: `texel` units between neighbours, row 0 at `TOP`, column 0 at `LEFT`."""

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


def mirror_blobs(blobs: np.ndarray) -> np.ndarray:
    """Mirrors rows (cx, ...) about the midline x = 100; only the first column changes."""
    out = np.array(blobs, np.float64)
    out[..., 0] = 200.0 - out[..., 0]
    return out
