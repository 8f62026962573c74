"""The AU timeline of a new video: every system's scores over time, filled where the AU is found present."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from au_jax.detections import Detections
from au_jax.labels import AU_NAMES, AUS
from au_jax.report import style
from au_jax.report.finished import display_name

COLUMNS = 1500
"""Points that a line can show readably; a longer video is averaged over stretches of equal length."""

_HALF = 0.42  # half the height of a row; rows are 1 apart


def draw_detections(detections: Detections, title: str) -> style.Drawing:
    """Draws a row per AU: scores through tanh around the threshold, the last system filled where it is above."""
    seconds, found, scores = _reduced(detections)
    systems = tuple(scores)
    series = style.system_series(systems)
    figure = Figure(figsize=(10.0, 7.4))
    axes = figure.subplots()
    for row in range(len(AUS)):
        axes.axhline(-row, color=style.GREY, linewidth=0.6, zorder=1.5)
        heights = _HALF * np.tanh(scores[systems[-1]][:, row])
        axes.fill_between(
            seconds, -row, heights - row, where=heights > 0, color=series[systems[-1]].colour, alpha=0.35, linewidth=0
        )
        for name in systems:
            axes.plot(
                seconds,
                _HALF * np.tanh(scores[name][:, row]) - row,
                color=series[name].colour,
                linestyle=series[name].line,
                linewidth=1.0,
            )
    _lost(axes, seconds, found)
    axes.set_yticks(-np.arange(len(AUS)), [f"AU {au}  {AU_NAMES[au]}" for au in AUS])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-len(AUS) + 0.5, 0.5)
    axes.set_xlim(seconds[0], max(seconds[-1], seconds[0] + 1e-3))
    axes.set_xlabel("seconds")
    axes.spines["left"].set_visible(False)
    axes.set_title(title)
    entries = [
        *(
            Line2D([], [], color=series[name].colour, linestyle=series[name].line, label=f"{display_name(name)} score")
            for name in systems
        ),
        Patch(
            facecolor=series[systems[-1]].colour, alpha=0.35, linewidth=0, label=f"{display_name(systems[-1])}: present"
        ),
        Patch(facecolor="none", edgecolor="#A0A0A0", hatch="////", linewidth=0, label="no face"),
        Line2D([], [], color=style.GREY, linewidth=0.6, label="threshold"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries))
    share = detections.present[detections.success].mean(0) if detections.success.any() else np.zeros(len(AUS))
    told = ", ".join(f"AU {au} {part:.0%}" for au, part in zip(AUS, share, strict=True) if part >= 0.005)
    return style.Drawing(
        figure,
        alt=f"Timeline of the 12 AUs in {title}. Share of the frames with a face: {told or 'no AU present'}.",
        caption="A line above its zero line says present; hatched: no face was found.",
    )


def _reduced(detections: Detections) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Seconds [P], whether a face was found [P] and scores [P, 12] of at most `COLUMNS` stretches; NaN without a face."""
    count = len(detections)
    edges = np.unique(np.linspace(0, count, min(COLUMNS, count) + 1).astype(int))[:-1]
    faces = np.add.reduceat(detections.success.astype(int), edges)

    def mean(rows: np.ndarray) -> np.ndarray:
        total = np.add.reduceat(np.nan_to_num(rows), edges, axis=0)
        return np.where(faces[:, None] > 0, total / np.maximum(faces, 1)[:, None], np.nan)

    return detections.timestamps[edges], faces > 0, {name: mean(rows) for name, rows in detections.scores.items()}


def _lost(axes: Axes, seconds: np.ndarray, found: np.ndarray) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~found, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        last = float(seconds[min(stop, len(seconds) - 1)])
        axes.axvspan(float(seconds[start]), last, facecolor="none", edgecolor="#A0A0A0", hatch="////", linewidth=0)
