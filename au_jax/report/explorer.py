"""What the page's viewer of test videos shows: pictures of frames, the truth, and every system's scores over time.

A page must stay small: a few videos, of a long one its liveliest part, and of that every n-th picture.

Pictures of chosen test frames, each read from where it lies: a frame at the end of a long video costs no more.

A sheet of test frames with the AUs that are there and the AUs that the best system found.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.input_pipeline import read_frames
from au_jax.data.recordings import encode_jpeg
from au_jax.errors import UserError
from au_jax.evaluation.tables import Scored
from au_jax.labels import AUS
from au_jax.report import style
from au_jax.report.timeline import liveliest, window
from au_jax.run_dir import FinishedRun, display_name


@dataclass(frozen=True)
class Place:
    """A test frame: video key "<subject>/<video>", row within the video, frame number."""

    key: str
    row: int
    frame: int

    @property
    def subject(self) -> str:
        """Whose frame it is."""
        return self.key.rpartition("/")[0]


def decode(dataset: FaceDataset, places: Sequence[Place]) -> list[np.ndarray]:
    """The frames' pictures, [S, S, 3] uint8 each.

    Raises:
      UserError: the scores are of other frames than the dataset's; a record is damaged.
    """
    subjects = tuple(dict.fromkeys(place.subject for place in places))
    strangers = [subject for subject in subjects if subject not in dataset.subjects]
    if strangers:
        raise UserError(
            f"subject {strangers[0]} of the score files is not in the dataset; score again in a new --workdir"
        )
    faces = FaceSet(dataset, subjects, has_labels=False)
    starts = np.cumsum([0, *(len(video) for video in faces.videos)])
    videos = {video.key: slice(*bounds) for video, *bounds in zip(faces.videos, starts, starts[1:], strict=False)}
    return list(read_frames(faces, [_index(faces, videos, place) for place in places]))


def _index(faces: FaceSet, videos: dict[str, slice], place: Place) -> int:
    part = videos.get(place.key, slice(0, 0))
    index = part.start + place.row
    if index >= part.stop or faces.frame_numbers[index] != place.frame:
        raise UserError(
            f"frame {place.frame} of {place.key} has scores but no picture; the dataset is not that of the run"
        )
    return index


VIDEOS = 6
"""Videos on the page at most."""
FRAMES = 360
"""Frames of a video whose scores are shown, at most."""
PICTURES = 60
"""Pictures of a video, at most: the slider stops there."""
SIDE = 112
"""Pixels of a picture's side, at most."""
QUALITY = 75
"""JPEG quality of the pictures: 2 to 4 kB each."""

_TRUTH = {1: "+", -1: "-", 0: "?"}
_DASHES = {"-": "none", "--": "6 3", ":": "1.5 3", "-.": "6 3 1.5 3"}


def explorer_data(run: FinishedRun) -> dict[str, Any]:
    """Everything that the viewer shows, as JSON values.

    Returns:
      {"systems": [{"name", "colour", "dash"}], "videos": [{"key", "frames": frame numbers [T], "truth": an AU's "+", "-" and
      "?" as a string, 12 of them, "scores": [systems][12][T], "scale": what a system's scores are divided by for the plot,
      "stops": rows with a picture, "pictures": these in base64}]}.

    Raises:
      UserError: damaged score files, or scores of other frames than the dataset's.
    """
    if run.dataset is None:
        raise ValueError("the viewer shows faces and needs the run's dataset")
    scored = {name: run.scores(name) for name in run.systems}
    first = scored[run.systems[0]]
    parts = {key: window(first.labels[key], FRAMES) for key in choose_videos(first, VIDEOS, run.results["seed"])}
    stops = {key: _stops(part) for key, part in parts.items()}
    places = [Place(key, row, int(first.frames[key][row])) for key in parts for row in stops[key]]
    pictures = iter(_encode(decode(run.dataset, places)))
    series = style.system_series(run.systems)
    return {
        "systems": [
            {
                "name": display_name(name),
                "colour": style.page_colour(series[name].colour),
                "dash": _DASHES[str(series[name].line)],
            }
            for name in run.systems
        ],
        "videos": [
            {
                "key": key,
                "frames": first.frames[key][part].tolist(),
                "truth": ["".join(_TRUTH[int(label)] for label in column) for column in first.labels[key][part].T],
                "scores": [[_figures(column) for column in one.scores[key][part].T] for one in scored.values()],
                "scale": [_scale(one.scores[key]) for one in scored.values()],
                "stops": [row - part.start for row in stops[key]],
                "pictures": [next(pictures) for _ in stops[key]],
            }
            for key, part in parts.items()
        ],
    }


def choose_videos(scored: Scored, count: int, seed: int) -> list[str]:
    """The video with most AU changes, then videos of other subjects at random."""
    first = liveliest(scored.labels)
    by_subject: dict[str, list[str]] = {}
    for key in sorted(scored.labels):
        by_subject.setdefault(key.rpartition("/")[0], []).append(key)
    del by_subject[first.rpartition("/")[0]]
    generator = np.random.default_rng([seed, 11])
    others = generator.permutation(list(by_subject)).tolist()[: count - 1]
    return [first, *(str(generator.choice(by_subject[subject])) for subject in sorted(others))]


def _stops(part: slice) -> range:
    return range(part.start, part.stop, math.ceil((part.stop - part.start) / PICTURES))


def _encode(pictures: Sequence[np.ndarray]) -> list[str]:
    encoded = []
    for picture in pictures:
        side = min(SIDE, len(picture))
        small = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))
        encoded.append(base64.b64encode(encode_jpeg(small, QUALITY)).decode())
    return encoded


def _figures(scores: np.ndarray) -> list[float]:
    """Three significant digits: a score near the threshold keeps its side."""
    return [float(f"{score:.3g}") for score in scores]


def _scale(scores: np.ndarray) -> float:
    # As the timeline's picture: the 99th percentile of all magnitudes of the video.
    return float(f"{np.quantile(np.abs(scores), 0.99):.3g}") or 1.0


SHEET_FRAMES = 12
_COLUMNS = 4
# Width and height of a cell, left margin, height of the legend, in sixths of a picture's side: six boxes fit below.
_CELL, _MARGIN, _LEGEND = (6.3, 9.1), 0.3, 1.3


@dataclass(frozen=True)
class Shown(Place):
    """A frame of the sheet, with labels [12] int8 and scores [12] float32."""

    labels: np.ndarray
    scores: np.ndarray


def draw_contact_sheet(run: FinishedRun) -> style.Drawing:
    """Draws frames of as many test subjects as fit, drawn at random, each with its 12 AUs below."""
    system = run.best_system
    shown = choose_frames(run.scores(system), SHEET_FRAMES, run.results["seed"])
    if run.dataset is None:
        raise ValueError("the contact sheet shows faces and needs the run's dataset")
    pictures = decode(run.dataset, shown)
    rows = math.ceil(len(shown) / _COLUMNS)
    size = (_COLUMNS * _CELL[0] + _MARGIN, rows * _CELL[1] + _LEGEND)
    inch = 10.0 / size[0]
    # One pair of axes for all cells is laid out in a fraction of the time of one pair per cell.
    figure = Figure(figsize=(10.0, inch * size[1]))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for number, (frame, picture) in enumerate(zip(shown, pictures, strict=True)):
        _cell(axes, _MARGIN + _CELL[0] * (number % _COLUMNS), -_CELL[1] * (number // _COLUMNS + 1), frame, picture)
    # After the pictures, which set limits of their own.
    axes.set(xlim=(0, size[0]), ylim=(-size[1], 0), aspect="auto")
    _legend(axes)
    outcomes = [outcome(frame.labels, frame.scores) for frame in shown]
    total = {name: sum(list(each).count(name) for each in outcomes) for name in _LOOKS}
    people = len({frame.subject for frame in shown})
    return style.Drawing(
        figure,
        alt=f"{len(shown)} test frames of {people} people, each with the 12 AUs below it: {display_name(system)} has "
        f"{total['hit']} hits, {total['missed']} misses and {total['false alarm']} false alarms on them.",
        caption=f"AUs found by {display_name(system)} on frames drawn at random among those with all labels and "
        "at least one AU. Nobody here was trained on.",
    )


def choose_frames(scored: Scored, count: int, seed: int) -> list[Shown]:
    """Draws frames of subjects spread evenly over all, in order of subject.

    Frames with all labels and an AU are preferred, then frames with any label, then any.
    """
    keys: dict[str, list[str]] = {}
    for key in sorted(scored.scores):
        keys.setdefault(key.rpartition("/")[0], []).append(key)
    subjects = list(keys)
    places = (
        np.linspace(0, len(subjects) - 1, count).astype(int)
        if len(subjects) >= count
        else np.arange(count) % len(subjects)
    )
    generator = np.random.default_rng([seed, 10])
    chosen = []
    for place, number in zip(*np.unique(places, return_counts=True), strict=True):
        own = keys[subjects[place]]
        labels = np.concatenate([scored.labels[key] for key in own])
        origin = [(key, row) for key in own for row in range(len(scored.labels[key]))]
        known, active = labels != 0, (labels > 0).any(-1)
        liked = 2 * (known.all(-1) & active) + known.any(-1)
        # A stable sort of a random order: the best liked first, at random among equals.
        order = generator.permutation(len(labels))
        for index in sorted(order[np.argsort(-liked[order], kind="stable")][:number]):
            key, row = origin[index]
            frame = int(scored.frames[key][row])
            chosen.append(Shown(key, row, frame, scored.labels[key][row], scored.scores[key][row]))
    return chosen


_LOOKS = {
    "hit": {"facecolor": style.BLUE, "edgecolor": style.BLUE, "linewidth": 1.0},
    "missed": {"facecolor": "white", "edgecolor": style.VERMILLION, "linewidth": 2.0, "linestyle": (0, (2, 1.2))},
    "false alarm": {"facecolor": "#FFE3B0", "edgecolor": style.ORANGE, "linewidth": 1.0, "hatch": "////"},
    "rightly absent": {"facecolor": "none", "edgecolor": "none"},
    "no label": {"facecolor": "none", "edgecolor": "#B0B0B0", "linewidth": 0.8, "linestyle": ":"},
}
"""A box per AU; fill, outline and hatch tell the outcomes apart without colour."""


def outcome(labels: np.ndarray, scores: np.ndarray) -> list[str]:
    """How each of a frame's AUs came out: a key of the legend. Labels and scores are [12]."""
    names = {(1, True): "hit", (1, False): "missed", (-1, True): "false alarm", (-1, False): "rightly absent"}
    return [names.get((int(label), bool(score > 0)), "no label") for label, score in zip(labels, scores, strict=True)]


def _cell(axes: Axes, left: float, bottom: float, frame: Shown, picture: np.ndarray) -> None:
    """Draws a frame, its name above and its AUs below, from its lower left corner on."""
    axes.imshow(picture, extent=(left, left + 6, bottom + 2.1, bottom + 8.1), interpolation="bicubic")
    title = f"{_short(frame.key)}, frame {frame.frame}"
    axes.text(left + 3, bottom + 8.25, title, ha="center", va="bottom", fontsize=10)
    for number, (au, name) in enumerate(zip(AUS, outcome(frame.labels, frame.scores), strict=True)):
        _box(axes, left + number % 6, bottom + 1.05 - number // 6, str(au), name)


def _box(axes: Axes, x: float, y: float, text: str, name: str) -> None:
    axes.add_patch(Rectangle((x + 0.06, y + 0.06), 0.88, 0.84, **_LOOKS[name]))
    plain = name in ("rightly absent", "no label")
    axes.text(
        x + 0.5,
        y + 0.47,
        text,
        ha="center",
        va="center",
        fontsize=10,
        color="white" if name == "hit" else style.GREY if plain else style.BLACK,
        fontweight="normal" if plain else "bold",
        # The hatch runs behind the number, not through it.
        bbox={"facecolor": "#FFE3B0", "edgecolor": "none", "pad": 0.8} if name == "false alarm" else None,
    )


def _legend(axes: Axes) -> None:
    # The look that is no box comes last and explains itself.
    looks = {name: look for name, look in _LOOKS.items() if name != "rightly absent"}
    handles = [Rectangle((0, 0), 1, 1, **look) for look in [*looks.values(), _LOOKS["rightly absent"]]]
    labels = [*looks, "number alone: rightly absent"]
    axes.legend(handles, labels, loc="lower center", ncols=5, handleheight=1.4, handlelength=1.6, columnspacing=1.6)


def _short(key: str) -> str:
    return key if len(key) <= 18 else f"{key[:8]}…{key[-8:]}"
