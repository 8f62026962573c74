"""Faces on the page: the viewer of test videos, and the contact sheet of test frames.

The viewer shows frames, labels and every system's scores over time. A page must stay small: a few videos, of a long one its
liveliest part, and of that every n-th frame's face. Each face is read from where it lies: one at the end of a long video costs
no more.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int8, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.input_pipeline import read_frames
from au_jax.data.recordings import encode_jpeg
from au_jax.errors import DataError
from au_jax.evaluation.tables import Scored
from au_jax.report import style
from au_jax.report.timeline import liveliest, window
from au_jax.run_dir import FinishedRun
from au_jax.systems import display


@dataclass(frozen=True)
class Place:
    """A test frame: video key "<subject>/<video>", row within the video, frame number.

    Example:
      >>> Place("S001/T1", row=3, frame=4).subject
      'S001'
    """

    key: str
    row: int
    frame: int

    @property
    def subject(self) -> str:
        """Whose frame it is."""
        return self.key.rpartition("/")[0]


def decode(dataset: FaceDataset, places: Sequence[Place]) -> list[UInt8[np.ndarray, "S S 3"]]:
    """The registered faces of frames.

    Args:
      dataset: of the run.
      places: which frames.

    Returns:
      [S, S, 3] uint8 RGB each.

    Raises:
      DataError: the scores are of other frames than the dataset's.
      UserError: a record is damaged.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> run = load_run(run_folder)
      >>> (face,) = decode(load_dataset(run.config.data), choose_frames(run.scores("hybrid"), 1, seed=0))
      >>> face.shape
      (40, 40, 3)
    """
    subjects = tuple(dict.fromkeys(place.subject for place in places))
    strangers = [subject for subject in subjects if subject not in dataset.subjects]
    if strangers:
        raise DataError(
            f"subject {strangers[0]} of the score files is not in the dataset; score again in a new --workdir"
        )
    faces = FaceSet(dataset, subjects, has_labels=False)
    starts = np.cumsum([0, *(len(video) for video in faces.videos)])
    videos = {video.key: slice(*bounds) for video, *bounds in zip(faces.videos, starts, starts[1:], strict=False)}
    indices = []
    for place in places:
        part = videos.get(place.key, slice(0, 0))
        index = int(part.start + place.row)
        if index >= part.stop or faces.frame_numbers[index] != place.frame:
            raise DataError(
                f"frame {place.frame} of {place.key} has scores but no picture; the dataset is not that of the run"
            )
        indices.append(index)
    return list(read_frames(faces, indices))


VIDEOS = 6
"""Videos in the viewer, at most."""
FRAMES = 360
"""Frames of a video whose scores are shown, at most."""
STOPS = 60
"""Frames of a video whose faces are shown, at most: the slider stops there."""
SIDE = 112
"""Pixels of a face's side, at most."""
QUALITY = 75
"""JPEG quality of the faces: 2 to 4 kB each."""

_CODES = {1: "+", -1: "-", 0: "?"}
_DASHES = {"-": "none", "--": "6 3", ":": "1.5 3", "-.": "6 3 1.5 3"}


def explorer_data(run: FinishedRun) -> dict[str, Any]:
    """Everything that the viewer shows, as JSON values.

    Args:
      run: with score files and its dataset.

    Returns:
      {"systems": [{"name", "colour", "dash"}], "videos": [{"key", "frames": frame numbers [T], "truth": an AU's "+", "-" and
      "?" as a string, A of them, "scores": [systems][A][T], "scale": what a system's scores are divided by for the plot,
      "stops": rows with a face, "pictures": these in base64}]}.

    Raises:
      ValueError: the run has no dataset.
      UserError: damaged score files, or scores of other frames than the dataset's.

    Example:
      >>> import dataclasses
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> run = load_run(run_folder)
      >>> data = explorer_data(dataclasses.replace(run, dataset=load_dataset(run.config.data)))
      >>> [system["name"] for system in data["systems"]], len(data["videos"][0]["truth"])
      (['HOG+SVM', 'ANet', 'Hybrid'], 12)
    """
    if run.dataset is None:
        raise ValueError("the viewer shows faces and needs the run's dataset")
    scored = {name: run.scores(name) for name in run.systems}
    first = scored[run.systems[0]]
    series = style.system_series(run.systems)
    videos = []
    for key in choose_videos(first, VIDEOS, run.results["seed"]):
        part = window(first.labels[key], FRAMES)
        stops = range(part.start, part.stop, math.ceil((part.stop - part.start) / STOPS))
        faces = decode(run.dataset, [Place(key, row, int(first.frames[key][row])) for row in stops])
        # As the timeline: the 99th percentile of all magnitudes of the video.
        scales = [float(np.quantile(np.abs(one.scores[key]), 0.99)) for one in scored.values()]
        videos.append(
            {
                "key": key,
                "frames": first.frames[key][part].tolist(),
                "truth": ["".join(_CODES[int(label)] for label in column) for column in first.labels[key][part].T],
                # Three significant digits: a score near the threshold keeps its side.
                "scores": [
                    [[float(f"{score:.3g}") for score in column] for column in one.scores[key][part].T]
                    for one in scored.values()
                ],
                "scale": [float(f"{scale:.3g}") or 1.0 for scale in scales],
                "stops": [row - part.start for row in stops],
                "pictures": [_base64(face) for face in faces],
            }
        )
    return {
        "systems": [
            {
                "name": display.label(name),
                "colour": style.page_colour(series[name].colour),
                "dash": _DASHES[str(series[name].line)],
            }
            for name in run.systems
        ],
        "videos": videos,
    }


def choose_videos(scored: Scored, count: int, seed: int) -> list[str]:
    """The video with most AU changes, then videos of other subjects at random.

    Args:
      scored: scores of all test subjects.
      count: videos, at most.
      seed: of the choice.

    Returns:
      Keys of videos, each of another subject.

    Example:
      >>> labels = {"S1/a": np.array([[1], [1]]), "S1/b": np.array([[1], [-1]]), "S2/a": np.array([[1], [1]])}
      >>> choose_videos(Scored({}, labels, {}), 6, seed=0)
      ['S1/b', 'S2/a']
    """
    first = liveliest(scored.labels)
    by_subject: dict[str, list[str]] = {}
    for key in sorted(scored.labels):
        by_subject.setdefault(key.rpartition("/")[0], []).append(key)
    del by_subject[first.rpartition("/")[0]]
    generator = np.random.default_rng([seed, 11])
    others = generator.permutation(list(by_subject)).tolist()[: count - 1]
    return [first, *(str(generator.choice(by_subject[subject])) for subject in sorted(others))]


def _base64(face: UInt8[np.ndarray, "S S 3"]) -> str:
    side = min(SIDE, len(face))
    small = np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS))
    return base64.b64encode(encode_jpeg(small, QUALITY)).decode()


SHEET_FRAMES = 12
"""Frames of the contact sheet, at most."""

_COLUMNS = 4
_BOXES = 6  # AUs in a line below a frame
# Lengths in sixths of a face's side, so that six boxes fit below: width of a cell, its height without boxes, height of a line
# of boxes, left margin, height of the legend.
_WIDTH, _HEIGHT, _LINE, _MARGIN, _LEGEND = 6.3, 7.1, 1.0, 0.3, 1.3


@dataclass(frozen=True)
class ScoredFrame(Place):
    """A frame of the sheet, with labels [A] int8 and scores [A] float32.

    Example:
      >>> labels, scores = np.ones(12, np.int8), np.zeros(12, np.float32)
      >>> ScoredFrame("S001/T1", 3, 4, labels=labels, scores=scores).subject
      'S001'
    """

    labels: Int8[np.ndarray, " A"]
    scores: Float[np.ndarray, " A"]


@style.look()
def draw_contact_sheet(run: FinishedRun) -> style.Drawing:
    """Draws frames of as many test subjects as fit, chosen at random, each with its AUs below.

    Args:
      run: with score files and its dataset.

    Raises:
      ValueError: the run has no dataset.
      UserError: as `decode`, or a damaged score file.

    Example:
      >>> import dataclasses
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> run = load_run(run_folder)
      >>> draw_contact_sheet(dataclasses.replace(run, dataset=load_dataset(run.config.data))).alt.split(",")[0]
      '12 test frames of 6 people'
    """
    system = run.best_system
    shown = choose_frames(run.scores(system), SHEET_FRAMES, run.results["seed"])
    if run.dataset is None:
        raise ValueError("the contact sheet shows faces and needs the run's dataset")
    faces = decode(run.dataset, shown)
    lines = math.ceil(len(run.aus) / _BOXES)
    height = _HEIGHT + _LINE * lines
    size = (_COLUMNS * _WIDTH + _MARGIN, math.ceil(len(shown) / _COLUMNS) * height + _LEGEND)
    inch = 10.0 / size[0]
    # One pair of axes for all cells is laid out in a fraction of the time of one pair per cell.
    figure = Figure(figsize=(10.0, inch * size[1]))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    total = dict.fromkeys(_LOOKS, 0)
    for number, (frame, face) in enumerate(zip(shown, faces, strict=True)):
        left, bottom = _MARGIN + _WIDTH * (number % _COLUMNS), -height * (number // _COLUMNS + 1)
        below = bottom + _LINE * lines + 0.1
        axes.imshow(face, extent=(left, left + 6, below, below + 6), interpolation="bicubic")
        title = f"{_shortened(frame.key)}, frame {frame.frame}"
        axes.text(left + 3, below + 6.15, title, ha="center", va="bottom", fontsize=10)
        for place, (au, name) in enumerate(zip(run.aus, outcome(frame.labels, frame.scores), strict=True)):
            total[name] += 1
            _box(axes, left + place % _BOXES, below - 1.05 - place // _BOXES, str(au), name)
    # After the faces, which set limits of their own.
    axes.set(xlim=(0, size[0]), ylim=(-size[1], 0), aspect="auto")
    # The look that is no box comes last and explains itself.
    names = [name for name in _LOOKS if name != "rightly absent"]
    handles = [Rectangle((0, 0), 1, 1, **_LOOKS[name]) for name in (*names, "rightly absent")]
    words = [*names, "number alone: rightly absent"]
    axes.legend(handles, words, loc="lower center", ncols=5, handleheight=1.4, handlelength=1.6, columnspacing=1.6)
    people = len({frame.subject for frame in shown})
    return style.Drawing(
        figure,
        alt=f"{len(shown)} test frames of {people} people, each with {style.the_aus(run.aus)} below it: "
        f"{display.label(system)} has {total['hit']} hits, {total['missed']} misses and {total['false alarm']} false alarms "
        "on them.",
        caption=f"AUs found by {display.label(system)} on frames drawn at random among those with all labels and "
        "at least one AU. Nobody here was trained on.",
    )


def choose_frames(scored: Scored, count: int, seed: int) -> list[ScoredFrame]:
    """Frames of subjects spread evenly over all, in order of subject.

    Frames with all labels and an AU are preferred, then frames with any label, then any.

    Args:
      scored: scores of all test subjects.
      count: frames, at most.
      seed: of the choice.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> len(choose_frames(load_run(run_folder).scores("anet"), 12, seed=0))
      12
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
        preference = 2 * (known.all(-1) & active) + known.any(-1)
        # A stable sort of a random order: the preferred first, at random among equals.
        order = generator.permutation(len(labels))
        for index in sorted(order[np.argsort(-preference[order], kind="stable")][:number]):
            key, row = origin[index]
            frame = int(scored.frames[key][row])
            chosen.append(ScoredFrame(key, row, frame, scored.labels[key][row], scored.scores[key][row]))
    return chosen


_LOOKS = {
    "hit": {"facecolor": style.BLUE, "edgecolor": style.BLUE, "linewidth": 1.0},
    "missed": {"facecolor": "white", "edgecolor": style.VERMILLION, "linewidth": 2.0, "linestyle": (0, (2, 1.2))},
    "false alarm": {"facecolor": "#FFE3B0", "edgecolor": style.ORANGE, "linewidth": 1.0, "hatch": "////"},
    "rightly absent": {"facecolor": "none", "edgecolor": "none"},
    "no label": {"facecolor": "none", "edgecolor": "#B0B0B0", "linewidth": 0.8, "linestyle": ":"},
}
"""A box per AU; fill, outline and hatch tell the outcomes apart without colour."""


def outcome(labels: Int8[np.ndarray, " A"], scores: Float[np.ndarray, " A"]) -> list[str]:
    """How each of a frame's AUs came out.

    Args:
      labels: [A] in {-1, 0, 1}.
      scores: [A], > 0 present.

    Returns:
      A of the words of the sheet's legend.

    Example:
      >>> outcome(np.array([1, -1, 0], np.int8), np.array([0.5, 0.5, 0.5]))
      ['hit', 'false alarm', 'no label']
    """
    names = {(1, True): "hit", (1, False): "missed", (-1, True): "false alarm", (-1, False): "rightly absent"}
    return [names.get((int(label), bool(score > 0)), "no label") for label, score in zip(labels, scores, strict=True)]


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


def _shortened(key: str) -> str:
    return key if len(key) <= 18 else f"{key[:8]}…{key[-8:]}"
