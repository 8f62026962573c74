"""The filters of conv1 as small pictures, network beside network (paper Fig. 2d and 2e)."""

import math
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from au_jax.explain.filters import UNTRAINED_SHARE, chromatic_share, chromatic_shares, filter_pictures
from au_jax.report import style

Network = tuple[str, np.ndarray]
"""A title and kernels [K, K, 3, C]."""


def draw_filters(networks: Sequence[Network]) -> style.Drawing:
    """Draws each network's filters, from grey to colour, with the share of their energy that is chromatic below."""
    mosaics = [_mosaic(kernels, 2.0 / len(networks)) for _, kernels in networks]
    height = max(mosaic.shape[0] / mosaic.shape[1] for mosaic in mosaics) * 9.6 / len(networks)
    figure = Figure(figsize=(10.0, height + 1.0))
    cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(wspace=0.1)
    told = []
    panels = figure.subplots(1, len(networks), squeeze=False)[0]
    for axes, mosaic, (title, kernels) in zip(panels, mosaics, networks, strict=True):
        axes.imshow(mosaic, interpolation="nearest")
        axes.set_title(title)
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)
        share = f"{100 * chromatic_share(kernels):.0f} %"
        blobs = int((chromatic_shares(kernels) > 0.5).sum())
        axes.set_xlabel(f"chromatic: {share} of the energy\n{blobs} of {kernels.shape[-1]} filters are mostly colour")
        told.append(f"{title} {share}")
    return style.Drawing(
        figure,
        alt=f"Filters of conv1. Chromatic share of their energy: {', '.join(told)}.",
        caption="Filters of conv1 from the least to the most colourful, each scaled by itself; grey is zero. Chromatic is "
        "what is left of a filter without the mean of its three channels: "
        f"{100 * UNTRAINED_SHARE:.0f} % before training.",
    )


def rows(networks: Sequence[Network]) -> Iterator[dict[str, object]]:
    """A row for each network's filters together, then one per filter: energy and chromatic share."""
    for title, kernels in networks:
        energy = np.square(kernels.astype(np.float64)).sum((0, 1, 2))
        shares = chromatic_shares(kernels)
        both = {"energy": float(energy.sum()), "chromatic_share": chromatic_share(kernels)}
        yield {"network": title, "filter": "all", **both}
        for index, (own, share) in enumerate(zip(energy, shares, strict=True)):
            yield {"network": title, "filter": index, "energy": own, "chromatic_share": share}


def _mosaic(kernels: np.ndarray, aspect: float) -> np.ndarray:
    """Filters in rows, [H, W, 3] of about `aspect` = W / H, with a white line of a tenth of a filter between."""
    shares = np.nan_to_num(chromatic_shares(kernels))
    pictures = filter_pictures(kernels)[np.argsort(shares, kind="stable")]
    enlarged = pictures.repeat(8, axis=1).repeat(8, axis=2)
    ideal = math.ceil(math.sqrt(aspect * len(pictures)))
    # Full rows look better where there are some.
    columns = next((number for number in range(ideal, 2 * ideal) if len(pictures) % number == 0), ideal)
    gap = enlarged.shape[1] // 10
    cell = enlarged.shape[1] + gap
    mosaic = np.ones((math.ceil(len(pictures) / columns) * cell - gap, columns * cell - gap, 3))
    for index, picture in enumerate(enlarged):
        y, x = cell * (index // columns), cell * (index % columns)
        mosaic[y : y + len(picture), x : x + len(picture)] = picture
    return mosaic
