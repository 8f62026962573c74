"""The filters of conv1, and how much of them is colour (paper section III-A, Fig. 2d and 2e: "less color blob detectors")."""

import numpy as np
from jaxtyping import Float, Float64

UNTRAINED_SHARE = 2.0 / 3.0
"""Chromatic share of filters whose three channels are drawn independently, as before training."""


def chromatic_shares(kernels: np.ndarray) -> Float64[np.ndarray, " C"]:
    """Share of each filter's energy that is chromatic: what is left of it without the mean of red, green and blue.

    A filter that looks at brightness alone has 0; one that compares colours and is blind to grey has 1.

    Args:
      kernels: [K, K, 3, C] float, of a first convolution.

    Returns:
      [C] float64 in 0..1; NaN for a filter that is zero.

    Raises:
      ValueError: the kernels are not [K, K, 3, C].

    Example:
      >>> grey, colour = np.ones((5, 5, 3)), np.ones((5, 5, 3)) * [1.0, -1.0, 0.0]
      >>> chromatic_shares(np.stack([grey, colour], axis=-1)).tolist()
      [0.0, 1.0]
    """
    total, chromatic = _energies(kernels)
    return np.divide(chromatic, total, out=np.full(len(total), np.nan), where=total > 0)


def chromatic_share(kernels: np.ndarray) -> float:
    """Share of the energy of all filters together that is chromatic; large filters count for more.

    Args:
      kernels: [K, K, 3, C] float.

    Raises:
      ValueError: all filters are zero, or the kernels are not [K, K, 3, C].

    Example:
      >>> grey, colour = np.ones((5, 5, 3)), np.ones((5, 5, 3)) * [1.0, -1.0, 0.0]
      >>> chromatic_share(np.stack([grey, colour], axis=-1))  # 2 of 5 parts of the energy
      0.4
    """
    total, chromatic = _energies(kernels)
    if not total.sum() > 0:
        raise ValueError("the filters are all zero and have no colour")
    return float(chromatic.sum() / total.sum())


def _energies(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy of every filter, all of it and its chromatic part, [C] each."""
    kernels = np.asarray(kernels, np.float64)
    if kernels.ndim != 4 or kernels.shape[2] != 3:
        raise ValueError(f"filters of colour images are [K, K, 3, C], found {kernels.shape}")
    grey = kernels.mean(2, keepdims=True)
    return np.square(kernels).sum((0, 1, 2)), np.square(kernels - grey).sum((0, 1, 2))


def filter_pictures(kernels: Float[np.ndarray, "K K 3 C"]) -> Float64[np.ndarray, "C K K 3"]:
    """Filters as images in 0..1: mid-grey is zero, each fills the range by itself.

    Example:
      >>> filter_pictures(np.full((3, 3, 3, 8), -0.01)).max()
      np.float64(0.0)
    """
    images = np.moveaxis(np.asarray(kernels, np.float64), 3, 0)
    peak = np.abs(images).max((1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * images / np.maximum(peak, np.finfo(float).tiny)
