"""The facial patches that JPML selects per AU, drawn on the face to which all are registered."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from au_jax import files
from au_jax.faces.registration import TEMPLATE
from au_jax.labels import AU_NAMES, AUS
from au_jax.report import style

_ROWS, _COLUMNS = 3, 4
_LARGEST = 130.0  # area of the heaviest patch's dot, in square points
# Lines of the face through the landmarks; a closed one names its first landmark again.
_LINES = (
    range(5),
    range(5, 10),
    range(10, 14),
    range(14, 19),
    (*range(19, 25), 19),
    (*range(25, 31), 25),
    (*range(31, 43), 31),
    (31, 43, 44, 45, 37, 46, 47, 48, 31),
)
_COLOURS = LinearSegmentedColormap.from_list("patches", ["#CFE3F2", style.BLUE, "#001F3D"])


def draw_patches(workdir: Path, folds: tuple[int, ...]) -> style.Drawing:
    """Draws a face per AU with a dot on each of the 49 patches, as large and dark as the patch weighs.

    Args:
      workdir: folder of the run.
      folds: whose models are drawn: the mean of their weights, of which the heaviest is 1 in each.

    Raises:
      FileNotFoundError: a fold's model is gone.
      UserError: a fold's model is damaged.
    """
    models = [files.read_npz(workdir / f"fold_{fold:02d}" / "jpml" / "model.npz") for fold in folds]
    weights = importance(np.stack([model["patch_norms"] for model in models]))
    figure = Figure(figsize=(10.0, 7.2))
    shades = None
    for number, axes in enumerate(figure.subplots(_ROWS, _COLUMNS).flat):
        shades = _face(axes, weights[:, number])
        axes.set_title(f"AU {AUS[number]}  {AU_NAMES[AUS[number]]}")
    assert shades is not None
    figure.colorbar(shades, ax=figure.axes, shrink=0.5, label="weight of the patch (heaviest = 1)")
    kept = (weights > 0).sum(0)
    return style.Drawing(
        figure,
        alt="Twelve drawn faces, one per AU, with a dot on each patch that JPML uses, larger the more it weighs: "
        + ", ".join(f"AU {au} uses {count} of 49" for au, count in zip(AUS, kept, strict=True))
        + ".",
        caption="The patch's weight is the length of its weights, mean of the folds; a small cross is a patch that no "
        "fold uses.",
    )


def importance(norms: np.ndarray) -> np.ndarray:
    """Lengths of patches' weights [folds, 49, 12] -> [49, 12] in 0..1; 0 for an AU without a classifier."""
    heaviest = norms.max(1, keepdims=True)
    return (norms / np.where(heaviest > 0, heaviest, 1.0)).mean(0)


def _face(axes: Axes, weights: np.ndarray):
    for line in _LINES:
        axes.plot(*TEMPLATE[list(line)].T, color="#9A9A9A", linewidth=1.0, zorder=1)
    unused = weights == 0
    axes.plot(*TEMPLATE[unused].T, linestyle="none", marker="x", markersize=3, color=style.GREY, zorder=2)
    # Heavy patches over light ones.
    order = np.flatnonzero(~unused)[np.argsort(weights[~unused])]
    shades = axes.scatter(
        *TEMPLATE[order].T,
        s=_LARGEST * weights[order],
        c=weights[order],
        cmap=_COLOURS,
        vmin=0.0,
        vmax=1.0,
        edgecolors="white",
        linewidths=0.5,
        zorder=3,
    )
    axes.set(xlim=(30, 170), ylim=(158, 26), aspect="equal")
    axes.set_axis_off()
    return shades
