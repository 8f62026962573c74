"""A sheet of test frames with the AUs that are there and the AUs that the best system found."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from au_jax.evaluation.tables import Scored
from au_jax.labels import AUS
from au_jax.report import style
from au_jax.report.finished import FinishedRun, display_name
from au_jax.report.frame_pictures import Place, decode

FRAMES = 12
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
    shown = choose_frames(run.scores(system), FRAMES, run.results["seed"])
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
