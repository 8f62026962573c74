"""Timelines: a row per AU, scores as lines around their threshold, over a test video's labels or over a new video."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from au_jax import files
from au_jax.faces.tracking import RegisteredFace
from au_jax.inference.writers import Detections, concatenate
from au_jax.labels import MISSING, PRESENT
from au_jax.report import style
from au_jax.run_dir import FinishedRun
from au_jax.systems import display

LONGEST_TIMELINE = 1500
"""Frames that a timeline can show readably: of a longer test video the liveliest part is drawn, a longer new video is averaged
over stretches of equal length."""

MOST_PEOPLE = 6
"""People of a new video who have a timeline; of more those who are seen in most frames."""

_HALF = 0.42  # half the height of a row; rows are 1 apart


@style.context()
def draw_timeline(run: FinishedRun) -> style.Drawing:
    """Draws the test video with most AU changes: a row per AU with labels and scores of CNN and hybrid.

    Scores of different systems have different scales: each is divided by the 99th percentile of its magnitude in the
    video, which leaves 0, the threshold, where it is.

    Args:
      run: with score files.

    Raises:
      FileNotFoundError: a score file is gone.
      DataError: a score file is damaged.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> draw_timeline(load_run(run_folder)).alt.split(" in ")[0]
      'Timeline of the 12 AUs'
    """
    systems = shown_systems(run.systems)
    first = run.scores(systems[0])
    key = liveliest(first.labels)
    part = window(first.labels[key], LONGEST_TIMELINE)
    labels, frames = first.labels[key][part], first.frames[key][part]
    series = style.system_series(run.systems)
    figure, axes = _rows(run.aus)
    for row in range(len(run.aus)):
        _bars(axes, labels[:, row] == PRESENT, frames, row, facecolor="#C4C4C4", linewidth=0)
        missing = {"facecolor": "none", "edgecolor": "#A0A0A0", "hatch": "////", "linewidth": 0}
        _bars(axes, labels[:, row] == MISSING, frames, row, **missing)
        axes.axhline(-row, color=style.GREY, linewidth=0.6, zorder=1.5)
    # A line has a gap where frames are left out.
    gaps = np.flatnonzero(np.diff(frames) > 1) + 1
    x = np.insert(frames.astype(float), gaps, np.nan)
    for system in systems:
        heights = np.insert(_HALF * scaled(run.scores(system).scores[key])[part], gaps, np.nan, axis=0)
        look = {"color": series[system].colour, "linestyle": series[system].line}
        for row in range(len(run.aus)):
            axes.plot(x, heights[:, row] - row, linewidth=1.2, **look)
    axes.set_xlim(frames[0] - 0.5, frames[-1] + 0.5)
    axes.set_xlabel("frame")
    axes.set_title(f"test video {key}")
    entries = [
        Patch(facecolor="#C4C4C4", label="truth: present"),
        Patch(facecolor="none", edgecolor="#A0A0A0", hatch="////", linewidth=0, label="truth: missing"),
        *_score_lines(systems, series),
        Line2D([], [], color=style.GREY, linewidth=0.6, label="threshold"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=5)
    shown = "" if len(labels) == len(first.labels[key]) else f", its liveliest {len(labels)} frames"
    present = [f"AU {au}" for row, au in enumerate(run.aus) if (labels[:, row] == PRESENT).any()]
    return style.Drawing(
        figure,
        alt=f"Timeline of {style.the_aus(run.aus)} in test video {key}, frames {frames[0]} to {frames[-1]}: truth beside the "
        f"scores of {' and '.join(map(display.label, systems))}. "
        f"Present at some time: {', '.join(present) or 'none'}.",
        caption=f"Test video {key} has the most AU changes{shown}. A line above the zero line says present; each "
        "system's scores are scaled by themselves.",
    )


def _rows(aus: Sequence[int]) -> tuple[Figure, Axes]:
    """A figure with a row per AU, named at the left."""
    figure = Figure(figsize=(10.0, round(2.0 + 0.45 * len(aus), 3)))
    axes = figure.subplots()
    axes.set_yticks(-np.arange(len(aus)), [style.au_title(au) for au in aus])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-len(aus) + 0.5, 0.5)
    axes.spines["left"].set_visible(False)
    return figure, axes


def _score_lines(systems: Iterable[str], series: Mapping[str, style.Series]) -> list[Line2D]:
    return [
        Line2D([], [], color=series[name].colour, linestyle=series[name].line, label=f"{display.label(name)} score")
        for name in systems
    ]


def _bars(axes: Axes, mask: Bool[np.ndarray, " T"], frames: Int[np.ndarray, " T"], row: int, **look) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    spans = [
        (float(frames[start]) - 0.5, float(frames[stop - 1] - frames[start]) + 1.0)
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
    ]
    if spans:
        axes.broken_barh(spans, (-row - _HALF, 2 * _HALF), zorder=1, **look)


def shown_systems(systems: tuple[str, ...]) -> tuple[str, ...]:
    """CNN and hybrid where they were run, else the first two systems.

    Args:
      systems: names in order of the table.

    Example:
      >>> shown_systems(("hog_svm", "anet", "hybrid")), shown_systems(("hog_svm", "cpm", "jpml"))
      (('anet', 'hybrid'), ('hog_svm', 'cpm'))
    """
    return tuple(name for name in systems if name in ("anet", "hybrid")) or systems[:2]


def liveliest(labels: Mapping[str, Int[np.ndarray, "T A"]]) -> str:
    """The video with most AU changes; of equals the first by name.

    Args:
      labels: video key -> [T, A] in {-1, 0, 1}.

    Example:
      >>> liveliest({"S1/a": np.array([[1], [1]]), "S2/b": np.array([[1], [-1]])})
      'S2/b'
    """
    return max(sorted(labels), key=lambda key: changes(labels[key]).sum())


def changes(labels: Int[np.ndarray, "T A"]) -> Int[np.ndarray, " T"]:
    """How many AUs come or go at each frame; missing labels are passed over.

    Args:
      labels: [T, A] in {-1, 0, 1}.

    Returns:
      [T] int.

    Example:
      >>> changes(np.array([[-1], [1], [0], [1], [-1]])).tolist()
      [0, 1, 0, 0, 1]
    """
    count = np.zeros(len(labels), int)
    for column in labels.T:
        known = np.flatnonzero(column != MISSING)
        count[known[1:]] += column[known[1:]] != column[known[:-1]]
    return count


def window(labels: Int[np.ndarray, "T A"], longest: int) -> slice:
    """The part of a video with most AU changes; the first of equals.

    Args:
      labels: [T, A] in {-1, 0, 1}.
      longest: frames of the part, at most.

    Example:
      >>> window(np.array([[-1], [-1], [1], [1]]), 2)
      slice(1, 3, None)
    """
    if len(labels) <= longest:
        return slice(0, len(labels))
    total = np.concatenate([[0], np.cumsum(changes(labels))])
    start = int(np.argmax(total[longest:] - total[:-longest]))
    return slice(start, start + longest)


def scaled(scores: Float[np.ndarray, "T A"]) -> Float[np.ndarray, "T A"]:
    """Scores on a scale of -1 to 1 with 0 where it was; larger ones are cut.

    Args:
      scores: [T, A] of one video.

    Returns:
      [T, A], divided by the 99th percentile of the magnitudes.

    Example:
      >>> scaled(np.array([[-2.0], [0.0], [2.0]])).ravel().tolist()
      [-1.0, 0.0, 1.0]
    """
    size = np.quantile(np.abs(scores), 0.99)
    return np.clip(scores / size, -1.0, 1.0) if size > 0 else np.zeros_like(scores)


@style.context()
def draw_detections(detections: Detections, title: str) -> style.Drawing:
    """Draws a new video: scores through tanh around the threshold, the last system filled where it says present.

    Args:
      detections: of one face.
      title: what stands above, such as the video's name.

    Example:
      >>> rows = np.full((6, 12), -1, np.float32)
      >>> rows[3:, 5] = 1.0
      >>> table = Detections(
      ...     aus=(1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24), frames=np.arange(6), timestamps=np.arange(6) / 25,
      ...     success=np.ones(6, bool), confidence=np.ones(6), boxes=np.zeros((6, 4)), landmarks=np.zeros((6, 68, 2)),
      ...     scores={"anet": rows},
      ... )
      >>> draw_detections(table, "clip.mp4").alt
      'Timeline of the 12 AUs in clip.mp4. Share of the frames with a face: AU 10 50%.'
    """
    aus = detections.aus
    seconds, has_face, scores = _averaged(detections)
    systems = tuple(scores)
    series = style.system_series(systems)
    last = series[systems[-1]]
    figure, axes = _rows(aus)
    for row in range(len(aus)):
        axes.axhline(-row, color=style.GREY, linewidth=0.6, zorder=1.5)
        heights = _HALF * np.tanh(scores[systems[-1]][:, row])
        axes.fill_between(seconds, -row, heights - row, where=heights > 0, color=last.colour, alpha=0.35, linewidth=0)
        for name in systems:
            look = {"color": series[name].colour, "linestyle": series[name].line}
            axes.plot(seconds, _HALF * np.tanh(scores[name][:, row]) - row, linewidth=1.0, **look)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~has_face, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        end = float(seconds[min(stop, len(seconds) - 1)])
        axes.axvspan(float(seconds[start]), end, facecolor="none", edgecolor="#A0A0A0", hatch="////", linewidth=0)
    axes.set_xlim(seconds[0], max(seconds[-1], seconds[0] + 1e-3))
    axes.set_xlabel("seconds")
    axes.set_title(title)
    entries = [
        *_score_lines(systems, series),
        Patch(facecolor=last.colour, alpha=0.35, linewidth=0, label=f"{display.label(systems[-1])}: present"),
        Patch(facecolor="none", edgecolor="#A0A0A0", hatch="////", linewidth=0, label="no face"),
        Line2D([], [], color=style.GREY, linewidth=0.6, label="threshold"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries))
    share = detections.present[detections.success].mean(0) if detections.success.any() else np.zeros(len(aus))
    often = ", ".join(f"AU {au} {part:.0%}" for au, part in zip(aus, share, strict=True) if part >= 0.005)
    return style.Drawing(
        figure,
        alt=f"Timeline of {style.the_aus(aus)} in {title}. Share of the frames with a face: {often or 'no AU present'}.",
        caption="A line above its zero line says present; hatched: no face was found.",
    )


def _averaged(
    detections: Detections,
) -> tuple[Float[np.ndarray, " P"], Bool[np.ndarray, " P"], dict[str, Shaped[np.ndarray, "P A"]]]:
    """Seconds, whether there was a face, and scores of at most `LONGEST_TIMELINE` stretches; NaN without a face."""
    count = len(detections)
    edges = np.unique(np.linspace(0, count, min(LONGEST_TIMELINE, count) + 1).astype(int))[:-1]
    faces = np.add.reduceat(detections.success.astype(int), edges)
    scores = {}
    for name, rows in detections.scores.items():
        total = np.add.reduceat(np.nan_to_num(rows), edges, axis=0)
        scores[name] = np.where(faces[:, None] > 0, total / np.maximum(faces, 1)[:, None], np.nan)
    return detections.timestamps[edges], faces > 0, scores


class TimelineWriter:
    """Draws the timeline of a video when its last frame has come: `streaming.predict` takes it as one of its writers.

    Keeps the scores of all frames, not the frames.

    Args:
      path: PNG file to write.
      title: of the plot.

    Example:
      >>> from au_jax.inference.streaming import predict
      >>> with TimelineWriter("clip.png", "clip.mp4") as timeline:  # doctest: +SKIP
      ...     predict(detector, "clip.mp4", "clip.csv", writers=[timeline])
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
            whole = concatenate(self._parts)
            people = np.unique(whole.people[whole.success])
            with style.context():
                if len(people) < 2:
                    pictures = [style.to_png(draw_detections(whole, self._title))]
                else:
                    longest = sorted(people, key=lambda person: -int((whole.people[whole.success] == person).sum()))
                    shown = sorted(int(person) for person in longest[:MOST_PEOPLE])
                    titles = {person: f"{self._title}, face {person} of {len(people)}" for person in shown}
                    pictures = [
                        style.to_png(draw_detections(whole.of_person(person), titles[person])) for person in shown
                    ]
            files.write_bytes(self._path, pictures[0] if len(pictures) == 1 else _stacked(pictures))


def _stacked(pictures: Sequence[bytes]) -> bytes:
    """PNG pictures one below the other."""
    images = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    whole = Image.new("RGB", (max(image.width for image in images), sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    stream = io.BytesIO()
    whole.save(stream, "PNG")
    return stream.getvalue()
