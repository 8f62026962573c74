"""The filters of conv1, and how much of them is colour (paper Fig. 2d and 2e: "less color blob detectors")."""

import numpy as np

UNTRAINED_SHARE = 2.0 / 3.0
"""Chromatic share of filters whose three channels are drawn independently, as before training."""


def chromatic_shares(kernels: np.ndarray) -> np.ndarray:
    """Share of each filter's energy that is chromatic: what is left of it without the mean of red, green and blue.

    A filter that looks at brightness alone has 0; one that compares colours and is blind to grey has 1.

    Args:
      kernels: [K, K, 3, C] float, of a first convolution.

    Returns:
      [C] float64 in 0..1; NaN for a filter that is zero.
    """
    total, chromatic = _energies(kernels)
    return np.divide(chromatic, total, out=np.full(len(total), np.nan), where=total > 0)


def chromatic_share(kernels: np.ndarray) -> float:
    """Share of the energy of all filters together that is chromatic; large filters count for more.

    Raises:
      ValueError: all filters are zero.
    """
    total, chromatic = _energies(kernels)
    if not total.sum() > 0:
        raise ValueError("the filters are all zero and have no colour")
    return float(chromatic.sum() / total.sum())


def _energies(kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy of every filter, all of it and its chromatic part, [C] each."""
    kernels = np.asarray(kernels, np.float64)
    if kernels.ndim != 4 or kernels.shape[2] != 3:
        raise ValueError(f"filters of colour pictures are [K, K, 3, C], found {kernels.shape}")
    grey = kernels.mean(2, keepdims=True)
    return np.square(kernels).sum((0, 1, 2)), np.square(kernels - grey).sum((0, 1, 2))


def filter_pictures(kernels: np.ndarray) -> np.ndarray:
    """Filters as pictures, [K, K, 3, C] -> [C, K, K, 3] in 0..1: mid-grey is zero, each fills the range by itself."""
    pictures = np.moveaxis(np.asarray(kernels, np.float64), 3, 0)
    peak = np.abs(pictures).max((1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * pictures / np.maximum(peak, np.finfo(float).tiny)
