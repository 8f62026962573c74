"""AU co-occurrence, truth against predictions: two matrices side by side."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from au_jax.evaluation.cooccurrence import cooccurrence
from au_jax.evaluation.tables import Scored
from au_jax.labels import AUS, MISSING, PRESENT
from au_jax.report import style
from au_jax.report.finished import display_name
from au_jax.report.precision_recall import joined

MARKED = 0.1
"""Difference from the truth, as a share of frames, from which a cell of the predictions is framed."""

_SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", style.SKY, style.BLUE, "#003B5C"])


def draw_cooccurrence(system: str, scored: Scored) -> style.Drawing:
    """Draws how often the column's AU is there while the row's is, as labelled and as a system finds it."""
    truth, found = matrices(scored)
    figure = Figure(figsize=(10.0, 5.4))
    left, right = figure.subplots(1, 2)
    left.set_ylabel("of the frames with ..")
    _matrix(left, truth, "labels")
    _matrix(right, found, f"predictions of {display_name(system)}")
    apart = np.abs(found - truth)
    for row, column in zip(*np.nonzero(apart >= MARKED), strict=True):
        right.add_patch(
            Rectangle((column - 0.45, row - 0.45), 0.9, 0.9, fill=False, edgecolor=style.VERMILLION, linewidth=1.5)
        )
    pairs = ~np.eye(len(AUS), dtype=bool) & np.isfinite(apart)
    mean = f"{100 * apart[pairs].mean():.1f} points" if pairs.any() else "undefined"
    return style.Drawing(
        figure,
        alt=f"How often AUs come together, by labels and by {display_name(system)}: mean difference {mean}.",
        caption="Percent of the frames with the row's AU that have the column's AU too; on the diagonal, percent of all "
        f"frames. Framed: {100 * MARKED:.0f} points or more from the labels. The mean difference of two AUs is {mean}.",
    )


def matrices(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Co-occurrence of labels and of predictions on the same frames, [12, 12] each."""
    labels, scores = joined(scored)
    known = labels != MISSING
    return cooccurrence(labels == PRESENT, known), cooccurrence(scores > 0, known)


def rows(systems: dict[str, Scored]) -> Iterator[dict[str, object]]:
    """A row per pair of AUs: share by labels, then by every system."""
    found = {name: matrices(scored) for name, scored in systems.items()}
    truth = next(iter(found.values()))[0]
    for i, first in enumerate(AUS):
        for j, second in enumerate(AUS):
            shares = {name: both[1][i, j] for name, both in found.items()}
            yield {"while_au": first, "au": second, "labels": truth[i, j], **shares}


def _matrix(axes: Axes, shares: np.ndarray, title: str) -> None:
    axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
    axes.set_title(title)
    places = range(len(AUS))
    axes.set_xticks(places, [str(au) for au in AUS])
    axes.set_yticks(places, [f"AU {au}" for au in AUS])
    axes.set_xlabel(".. percent that have AU")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for row in places:
        for column in places:
            share = shares[row, column]
            axes.text(
                column,
                row,
                f"{100 * share:.0f}" if np.isfinite(share) else "–",
                ha="center",
                va="center",
                fontsize=8,
                fontweight="bold" if row == column else "normal",
                color="white" if share > 0.55 else style.BLACK,
            )
