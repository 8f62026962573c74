"""The AU timeline of one test video: the truth as bars, the systems' scores as lines around their threshold.

The AU timeline of a new video: every system's scores over time, filled where the AU is found present.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from au_jax import files
from au_jax.faces.tracking import RegisteredFace
from au_jax.inference.writers import Detections, concatenate
from au_jax.labels import AU_NAMES, AUS, MISSING, PRESENT
from au_jax.report import style
from au_jax.run_dir import FinishedRun, display_name

LONGEST = 1500
"""Frames that a timeline can show readably; of a longer video the liveliest part is drawn."""

_HALF = 0.42  # half the height of a row; rows are 1 apart


def draw_timeline(run: FinishedRun) -> style.Drawing:
    """Draws the test video with most AU changes: a row per AU with truth and scores of CNN and hybrid.

    Scores of different systems have different scales: each is divided by the 99th percentile of its magnitude in the
    video, which leaves 0, the threshold, where it is.
    """
    systems = shown_systems(run.systems)
    first = run.scores(systems[0])
    key = liveliest(first.labels)
    part = window(first.labels[key], LONGEST)
    labels, frames = first.labels[key][part], first.frames[key][part]
    series = style.system_series(run.systems)
    figure = Figure(figsize=(10.0, 7.4))
    axes = figure.subplots()
    for row in range(len(AUS)):
        _bars(axes, labels[:, row] == PRESENT, frames, row, facecolor="#C4C4C4", linewidth=0)
        _bars(
            axes,
            labels[:, row] == MISSING,
            frames,
            row,
            facecolor="none",
            edgecolor="#A0A0A0",
            hatch="////",
            linewidth=0,
        )
        axes.axhline(-row, color=style.GREY, linewidth=0.6, zorder=1.5)
    for system in systems:
        scores = run.scores(system).scores[key]
        heights = scaled(scores)[part]
        for row in range(len(AUS)):
            axes.plot(
                *_broken(frames, _HALF * heights[:, row] - row),
                color=series[system].colour,
                linestyle=series[system].line,
                linewidth=1.2,
            )
    axes.set_yticks(-np.arange(len(AUS)), [f"AU {au}  {AU_NAMES[au]}" for au in AUS])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-len(AUS) + 0.5, 0.5)
    axes.set_xlim(frames[0] - 0.5, frames[-1] + 0.5)
    axes.set_xlabel("frame")
    axes.spines["left"].set_visible(False)
    axes.set_title(f"test video {key}")
    _legend(figure, systems, series)
    shown = "" if len(labels) == len(first.labels[key]) else f", its liveliest {len(labels)} frames"
    present = [f"AU {au}" for row, au in enumerate(AUS) if (labels[:, row] == PRESENT).any()]
    return style.Drawing(
        figure,
        alt=f"Timeline of the 12 AUs in test video {key}, frames {frames[0]} to {frames[-1]}: truth beside the scores "
        f"of {' and '.join(display_name(system) for system in systems)}. "
        f"Present at some time: {', '.join(present) or 'none'}.",
        caption=f"Test video {key} has the most AU changes{shown}. A line above the zero line says present; each "
        "system's scores are scaled by themselves.",
    )


def shown_systems(systems: tuple[str, ...]) -> tuple[str, ...]:
    """CNN and hybrid where they were run, else the first two systems."""
    return tuple(name for name in systems if name in ("anet", "hybrid")) or systems[:2]


def liveliest(labels: dict[str, np.ndarray]) -> str:
    """The video with most AU changes; of equals the first by name.

    Args:
      labels: video key -> [T, 12] int8 in {-1, 0, 1}.
    """
    return max(sorted(labels), key=lambda key: changes(labels[key]).sum())


def changes(labels: np.ndarray) -> np.ndarray:
    """How many AUs come or go at each frame, [T] int of labels [T, 12] int8; missing labels are passed over."""
    count = np.zeros(len(labels), int)
    for column in labels.T:
        known = np.flatnonzero(column != MISSING)
        count[known[1:]] += column[known[1:]] != column[known[:-1]]
    return count


def window(labels: np.ndarray, longest: int) -> slice:
    """The part of at most `longest` frames with most AU changes; the first of equals."""
    if len(labels) <= longest:
        return slice(0, len(labels))
    total = np.concatenate([[0], np.cumsum(changes(labels))])
    start = int(np.argmax(total[longest:] - total[:-longest]))
    return slice(start, start + longest)


def scaled(scores: np.ndarray) -> np.ndarray:
    """Scores [T, 12] on a scale of -1 to 1 with 0 where it was; larger ones are cut."""
    size = np.quantile(np.abs(scores), 0.99)
    return np.clip(scores / size, -1.0, 1.0) if size > 0 else np.zeros_like(scores)


def _bars(axes: Axes, mask: np.ndarray, frames: np.ndarray, row: int, **look) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    spans = [
        (float(frames[start]) - 0.5, float(frames[stop - 1] - frames[start]) + 1.0)
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
    ]
    if spans:
        axes.broken_barh(spans, (-row - _HALF, 2 * _HALF), zorder=1, **look)


def _broken(frames: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A line that has a gap where frames are left out."""
    gaps = np.flatnonzero(np.diff(frames) > 1) + 1
    return np.insert(frames.astype(float), gaps, np.nan), np.insert(heights, gaps, np.nan)


def _legend(figure: Figure, systems: tuple[str, ...], series: dict[str, style.Series]) -> None:
    entries = [
        Patch(facecolor="#C4C4C4", label="truth: present"),
        Patch(facecolor="none", edgecolor="#A0A0A0", hatch="////", linewidth=0, label="truth: missing"),
        *(
            Line2D([], [], color=series[name].colour, linestyle=series[name].line, label=f"{display_name(name)} score")
            for name in systems
        ),
        Line2D([], [], color=style.GREY, linewidth=0.6, label="threshold"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=5)


COLUMNS = 1500
"""Points that a line can show readably; a longer video is averaged over stretches of equal length."""

_HALF_ROW = 0.42  # half the height of a row; rows are 1 apart


def draw_detections(detections: Detections, title: str) -> style.Drawing:
    """Draws a row per AU: scores through tanh around the threshold, the last system filled where it is above."""
    seconds, found, scores = _reduced(detections)
    systems = tuple(scores)
    series = style.system_series(systems)
    figure = Figure(figsize=(10.0, 7.4))
    axes = figure.subplots()
    for row in range(len(AUS)):
        axes.axhline(-row, color=style.GREY, linewidth=0.6, zorder=1.5)
        heights = _HALF_ROW * np.tanh(scores[systems[-1]][:, row])
        axes.fill_between(
            seconds, -row, heights - row, where=heights > 0, color=series[systems[-1]].colour, alpha=0.35, linewidth=0
        )
        for name in systems:
            axes.plot(
                seconds,
                _HALF_ROW * np.tanh(scores[name][:, row]) - row,
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


class TimelineWriter:
    """Draws the timeline of a video when its last frame has come: `streaming.predict` takes it as one of its writers.

    Keeps the scores of all frames, not the frames.

    Args:
      path: PNG file to write.
      title: of the plot.
    """

    def __init__(self, path: str | Path, title: str):
        self._path, self._title = Path(path), title
        self._parts: list[Detections] = []

    def write(self, detections: Detections, faces: list[RegisteredFace]) -> None:
        """Keeps the scores of the next frames."""
        del faces
        self._parts.append(replace(detections, landmarks=detections.landmarks[:, :0]))

    def __enter__(self) -> "TimelineWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if kind is None and self._parts:
            with style.look():
                drawing = draw_detections(concatenate(self._parts), self._title)
                files.write_bytes(self._path, style.to_png(drawing))
