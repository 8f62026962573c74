"""t-SNE pictures of frames, coloured by an AU and by subject, with neighbours' accuracies below (paper Fig. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from au_jax.labels import ABSENT, MISSING, PRESENT
from au_jax.report import style

COLOURED = 7
"""Subjects that are told apart; the frames of others are pale."""


@dataclass(frozen=True)
class Accuracy:
    """Share of frames whose neighbours tell the class, and the share of the most frequent class."""

    value: float
    chance: float

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % (chance {100 * self.chance:.0f} %)"


@dataclass(frozen=True)
class Panel:
    """A descriptor's picture: its name, points [N, 2], and what the neighbours in the descriptor's space tell."""

    name: str
    points: np.ndarray
    au: Accuracy
    subject: Accuracy


def draw_embeddings(
    panels: Sequence[Panel], au: int, labels: np.ndarray, subject: np.ndarray, names: Sequence[str], source: str
) -> style.Drawing:
    """Draws a column per descriptor: above by AU, below by subject.

    Args:
      panels: descriptors, in order.
      au: its number.
      labels: [N] in {-1, 0, 1}.
      subject: [N] index into `names`.
      source: where the faces and fc7 come from, in a few words.
    """
    columns = max(len(panels), 2)
    figure = Figure(figsize=(10.0, 8.4))
    grid = figure.subplots(2, columns, squeeze=False)
    coloured = np.linspace(0, len(names) - 1, min(COLOURED, len(names))).astype(int)
    people = [names[int(index)] for index in coloured]
    for panel, (top, bottom) in zip(panels, grid.T, strict=False):
        top.set_title(panel.name)
        _by_au(top, panel.points, labels)
        top.set_xlabel(f"AU {au} from neighbours: {panel.au}")
        _by_subject(bottom, panel.points, subject, coloured)
        bottom.set_xlabel(f"subject from neighbours: {panel.subject}")
    for axes in grid.flat:
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_color(style.PALE)
        axes.spines[:].set_visible(True)
    for axes in grid[:, len(panels) :].flat:
        axes.set_axis_off()
    figure.legend(handles=_au_legend(au), loc="outside upper center", ncols=3)
    figure.legend(handles=_legend(people), loc="outside lower center", ncols=8)
    told = "; ".join(f"{panel.name}: AU {au} {panel.au}, subject {panel.subject}" for panel in panels)
    return style.Drawing(
        figure,
        alt=f"t-SNE of {len(labels)} frames of {len(names)} people. Told by the nearest neighbours: {told}.",
        caption=f"{source} Below each picture: how often the majority of a frame's ten nearest neighbours in the "
        f"descriptor's own space is of its class. For AU {au} they are sought among other people's frames, for the subject "
        "outside of the frame's own half of its recording.",
    )


def _by_au(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    # Drawn in one order of chance, so that neither class covers the other.
    order = np.random.default_rng(0).permutation(len(points))
    for code, (colour, marker) in _AU_LOOKS.items():
        part = order[labels[order] == code]
        axes.scatter(*points[part].T, s=7, color=colour, marker=marker, linewidths=0.5, alpha=0.7, rasterized=True)


def _by_subject(axes: Axes, points: np.ndarray, subject: np.ndarray, coloured: np.ndarray) -> None:
    others = points[~np.isin(subject, coloured)]
    axes.scatter(*others.T, s=5, color=style.PALE, linewidths=0, rasterized=True)
    for series, index in zip(style.fold_series(len(coloured)), coloured, strict=True):
        own = points[subject == index]
        axes.scatter(*own.T, s=16, color=series.colour, marker=series.marker, linewidths=0, alpha=0.85, rasterized=True)


_AU_LOOKS = {ABSENT: (style.BLUE, "o"), PRESENT: (style.VERMILLION, "^"), MISSING: (style.PALE, ".")}


def _au_legend(au: int) -> list[Line2D]:
    words = {ABSENT: f"without AU {au}", PRESENT: f"with AU {au}", MISSING: "no label"}
    return [_entry(*look, words[code]) for code, look in _AU_LOOKS.items()]


def _legend(people: Sequence[str]) -> list[Line2D]:
    looks = zip(style.fold_series(len(people)), people, strict=True)
    return [_entry(one.colour, one.marker, _short(name)) for one, name in looks] + [_entry(style.PALE, ".", "others")]


def _entry(colour: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=6, label=label)


def _short(name: str) -> str:
    return name if len(name) <= 10 else f"{name[:4]}…{name[-4:]}"
