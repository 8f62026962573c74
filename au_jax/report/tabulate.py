"""The tables of the report's page, as rows of text for its template, and F1-frame of every AU and system as a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from au_jax.evaluation.tables import METRICS
from au_jax.labels import AU_NAMES
from au_jax.report import style
from au_jax.run_dir import FinishedRun, defined
from au_jax.systems import display

DESCRIPTIONS: dict[str, str] = {
    "hog_svm": "a linear SVM per AU on HOG descriptors around facial landmarks",
    "cpm": "linear classifiers on HOG that adapt to each test person's frames, without that person's labels",
    "jpml": "linear classifiers on HOG that choose facial patches and heed which AUs go together",
    "anet": "a convolutional network on single frames",
    "anet_filter": "the convolutional network, its scores filtered over time",
    "anet_intensity": "ordinal heads on the convolutional network's features, which say how strong an AU is",
    "hybrid": "the convolutional network, LSTMs on its features over time, and a network that merges both",
}
"""What the systems are, in a few words."""

DASH = "–"


@dataclass(frozen=True)
class Cell:
    """A metric in percent; `text` is a dash where it is undefined, `interval` is empty where there is none.

    Example:
      >>> Cell("41.3", "36.3 to 46.3").best
      False
    """

    text: str
    interval: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A row of metrics with its head, such as "AU 1" and "inner brow raiser".

    Example:
      >>> Row("AU 1", "inner brow raiser", (Cell("41.3"), Cell(DASH))).cells[1].text
      '–'
    """

    title: str
    name: str
    cells: tuple[Cell, ...]


def headline_rows(run: FinishedRun) -> list[Row]:
    """F1-frame with its interval: a row per AU and one of the average; always-present, then every system.

    Args:
      run: a finished one.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> rows = headline_rows(load_run(run_folder))
      >>> rows[0].title, rows[-1].title, len(rows[0].cells)
      ('AU 1', 'Average', 4)
    """
    heads = [(str(au), f"AU {au}", AU_NAMES.get(au, "")) for au in run.aus]
    heads.append(("average", "Average", "of the defined AUs"))
    return [
        Row(title, name, _cells([(column, "f1_frame", key) for column in run.columns.values()]))
        for key, title, name in heads
    ]


def average_rows(run: FinishedRun) -> list[Row]:
    """Averages over AUs of all metrics, with persistence, which sees the truth, in the last column.

    Args:
      run: a finished one.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> [row.title for row in average_rows(load_run(run_folder))][:2]
      ['F1-frame', 'F1-frame, mean of folds']
    """
    columns = [*run.columns.values(), run.results["persistence"]]
    return [
        # Persistence repeats the truth of the frame before: it is no competitor and is never best.
        Row(title, "", _cells([(column, metric, "average") for column in columns], competitors=len(columns) - 1))
        for metric, title in METRICS.items()
        if all(metric in column for column in columns)
    ]


def intensity_rows(run: FinishedRun) -> tuple[list[str], list[Row]]:
    """Columns and rows of the table of intensities: ICC and MAE of each system that estimates any; none without one.

    Args:
      run: a finished one.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> intensity_rows(load_run(run_folder))  # none of its systems does
      ([], [])
    """
    graded = {name: column["intensity"] for name, column in run.results["systems"].items() if "intensity" in column}
    if not graded:
        return [], []
    columns = [f"{display.label(name)}, {title}" for name in graded for title in ("ICC(3,1)", "MAE")]
    first = next(iter(graded.values()))
    heads = [(str(au), f"AU {au}", AU_NAMES.get(au, "")) for au in run.aus]
    rows = []
    for key, title, name in (*heads, ("average", "Average", "of the defined AUs")):
        places = [(column, figure, key) for column in graded.values() for figure in ("icc", "mae")]
        rows.append(Row(title, name, _cells([*places, (first, "mae_of_zero", key)], competitors=0, digits=2)))
    return [*columns, "MAE of always 0"], rows


def confusion_rows(run: FinishedRun) -> list[dict[str, Any]]:
    """Confusion of every AU: its names, and per system four counts with their share of the frames of the same truth.

    Args:
      run: a finished one.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> row = confusion_rows(load_run(run_folder))[0]
      >>> row["title"], [cell["kind"] for cell in row["systems"][0]]
      ('AU 1', ['TP', 'FN', 'FP', 'TN'])
    """
    rows = []
    for au in run.aus:
        systems = []
        for name in run.systems:
            counts = run.results["systems"][name]["counts"][str(au)]
            pairs = (("TP", "FN"), ("FP", "TN"))
            systems.append(
                [
                    {"kind": kind, "frames": counts[kind.lower()], "share": counts[kind.lower()] / max(total, 1)}
                    for pair in pairs
                    for total in [sum(counts[one.lower()] for one in pair)]
                    for kind in pair
                ]
            )
        rows.append({"title": f"AU {au}", "name": AU_NAMES.get(au, ""), "systems": systems})
    return rows


def _cells(
    places: Sequence[tuple[Mapping[str, Any], str, str]], competitors: int | None = None, digits: int = 1
) -> tuple[Cell, ...]:
    values = [defined(column[metric][key]) for column, metric, key in places]
    # What reads the same is equally good.
    shown = [None if value is None else f"{value:.{digits}f}" for value in values]
    best = max((value for value in values[:competitors] if value is not None), default=None)
    cells = []
    for number, (column, metric, key) in enumerate(places):
        text = shown[number]
        if text is None:
            cells.append(Cell(DASH))
            continue
        low, high = column.get("intervals", {}).get(metric, {}).get(key, (None, None))
        low, high = defined(low), defined(high)
        interval = "" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"
        is_best = best is not None and text == f"{best:.{digits}f}" and number < (competitors or len(places))
        cells.append(Cell(text, interval, is_best))
    return tuple(cells)


def verdict(run: FinishedRun) -> str:
    """The result in a sentence, whichever way it came out.

    Args:
      run: a finished one.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> "F1-frame" in verdict(load_run(run_folder))
      True
    """
    best = run.best_system
    value = defined(run.results["systems"][best]["f1_frame"]["average"])
    trivial = defined(run.results["always_present"]["f1_frame"]["average"])
    if value is None or trivial is None:
        return "No AU occurs in the test videos, so that F1-frame is undefined."
    if value <= trivial:
        return (
            f"No system is better on average than saying that every AU is always present: {display.label(best)} has an "
            f"F1-frame of {value:.1f} %, always present {trivial:.1f} %."
        )
    return (
        f"{display.label(best)} has the highest average F1-frame, {value:.1f} %; saying that every AU is always present "
        f"gives {trivial:.1f} %."
    )


def fold_rows(split: Mapping[str, Any], finished: Sequence[int]) -> list[dict[str, Any]]:
    """A row per fold of split.json: its number, whether it is finished, and its three groups of subjects.

    Args:
      split: content of split.json; may be empty.
      finished: numbers of finished folds.

    Example:
      >>> fold_rows({"folds": [{"train": ["S1"], "validation": ["S2"], "test": ["S3"]}]}, [0])
      [{'number': 0, 'finished': True, 'train': ['S1'], 'validation': ['S2'], 'test': ['S3']}]
    """
    return [
        {"number": number, "finished": number in finished, **fold} for number, fold in enumerate(split.get("folds", []))
    ]


def tested_subjects(split: Mapping[str, Any], finished: Sequence[int]) -> int:
    """How many subjects the results are of.

    Args:
      split: content of split.json; may be empty.
      finished: numbers of finished folds.

    Example:
      >>> tested_subjects({"folds": [{"test": ["S1", "S2"]}, {"test": ["S3"]}]}, [0])
      2
    """
    return len({name for number in finished for name in split["folds"][number]["test"]}) if split else 0


def cost_rows(stages: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Costs of each stage over all folds: times run, seconds in total, highest memory.

    Args:
      stages: content of costs.json, "fold_00/anet/cnn" -> {"seconds", "peak_memory_mib"}.

    Example:
      >>> cost_rows({"fold_00/anet/cnn": {"seconds": 2.0, "peak_memory_mib": 9.0}})
      [{'stage': 'anet/cnn', 'folds': 1, 'seconds': 2.0, 'peak': 9.0}]
    """
    merged: dict[str, dict[str, Any]] = {}
    for name, cost in stages.items():
        fold, _, stage = name.partition("/")
        entry = merged.setdefault(stage or fold, {"stage": stage or fold, "folds": 0, "seconds": 0.0, "peak": 0.0})
        entry["folds"] += bool(stage)
        entry["seconds"] += cost["seconds"]
        entry["peak"] = max(entry["peak"], cost["peak_memory_mib"])
    return list(merged.values())


@style.context()
def draw_au_scores(run: FinishedRun) -> style.Drawing:
    """Draws F1-frame: a group of points per AU, and one for the average; a bar across each is always-present.

    Args:
      run: a finished one.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> draw_au_scores(load_run(run_folder)).alt[:46]
      'F1-frame of every AU for HOG+SVM, ANet, Hybrid'
    """
    names = [*(str(au) for au in run.aus), "average"]
    # A gap sets the average apart.
    positions = np.arange(len(names)) + 0.4 * (np.array(names) == "average")
    series = style.system_series(run.systems)
    figure = Figure(figsize=(10.0, 4.6))
    axes = figure.subplots()
    axes.axvspan(positions[-1] - 0.5, positions[-1] + 0.6, color="#F2F2F2", linewidth=0)
    values = [defined(run.results["always_present"]["f1_frame"][name]) for name in names]
    known = [(x, value) for x, value in zip(positions, values, strict=True) if value is not None]
    if known:
        centres, heights = zip(*known, strict=True)
        axes.hlines(heights, np.array(centres) - 0.42, np.array(centres) + 0.42, color=style.GREY, linewidth=2.5)
    axes.plot([], [], color=style.GREY, linewidth=2.5, label=display.label("always_present"))
    step = 0.66 / max(len(run.systems), 1)
    for number, system in enumerate(run.systems):
        shift = (number - (len(run.systems) - 1) / 2) * step
        _points(axes, positions + shift, run.results["systems"][system], names, series[system], display.label(system))
    for x, name in zip(positions, names, strict=True):
        if all(defined(column["f1_frame"][name]) is None for column in run.columns.values()):
            axes.text(x, 2, "undefined", rotation=90, ha="center", va="bottom", color=style.GREY)
    axes.set_xticks(positions, [name if name == "average" else f"AU {name}" for name in names])
    if len(names) > 14:
        axes.tick_params(axis="x", rotation=60)
    axes.set_xlim(positions[0] - 0.6, positions[-1] + 0.6)
    axes.set_ylim(0, 100)
    axes.set_ylabel("F1-frame (%)")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=6)
    return style.Drawing(
        figure,
        alt=f"F1-frame of every AU for {', '.join(display.label(name) for name in run.systems)}, with intervals, "
        "beside always present; the table above has the same figures.",
        caption=f"Whiskers are {100 * run.config.evaluation.level:g} % intervals by bootstrap over subjects. The bar across each "
        "group is what saying “always present” would give.",
    )


def _points(
    axes: Axes,
    positions: np.ndarray,
    metrics: Mapping[str, Any],
    names: Sequence[str],
    series: style.Series,
    label: str,
) -> None:
    rows = []
    for x, name in zip(positions, names, strict=True):
        value = defined(metrics["f1_frame"][name])
        if value is not None:
            low, high = (defined(bound) for bound in metrics["intervals"]["f1_frame"][name])
            # An interval need not hold the estimate when few subjects show the AU; whiskers are never negative.
            rows.append(
                (
                    x,
                    value,
                    max(value - low, 0.0) if low is not None else 0.0,
                    max(high - value, 0.0) if high is not None else 0.0,
                )
            )
    x, value, below, above = np.array(rows).reshape(-1, 4).T
    axes.errorbar(
        x,
        value,
        yerr=[below, above],
        fmt=series.marker,
        color=series.colour,
        markersize=6,
        elinewidth=1.4,
        capsize=2.5,
        label=label,
    )
