"""From saved scores to results: every metric per AU with its interval, beside the trivial predictors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from au_jax import files
from au_jax.evaluation import bootstrap, events, metrics
from au_jax.labels import AUS

DISPLAY_NAMES: dict[str, str] = {
    "always_present": "always present",
    "persistence": "persistence",
    "hog_svm": "HOG+SVM",
    "cpm": "CPM",
    "jpml": "JPML",
    "anet_transfer": "ANet-T",
    "anet": "ANet",
    "hybrid": "Hybrid",
}
"""Names of table columns; other systems are shown by their own."""


@dataclass(frozen=True)
class Scored:
    """Scores of a fold's test subjects: video key "<subject>/<video>" -> rows.

    Attributes:
      scores: [T, 12] float32 each, > 0 present.
      labels: [T, 12] int8 each in {-1, 0, +1}.
      frames: [T] int32 each.
    """

    scores: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]


def read_scores(path: Path) -> Scored:
    """Reads a score file of a run.

    Raises:
      UserError: the file is damaged.
    """
    columns: dict[str, dict[str, np.ndarray]] = {"scores": {}, "labels": {}, "frames": {}}
    for name, array in files.read_npz(path).items():
        key, _, column = name.rpartition("/")
        if column in columns:
            columns[column][key] = array
    return Scored(**columns)


def results(
    systems: Mapping[str, Mapping[int, Scored]], *, replicates: int, level: float, f1_norm: str, seed: int
) -> dict[str, Any]:
    """All figures of a run, in percent; an undefined one is NaN.

    Args:
      systems: name -> fold -> scores; the same folds for each.
      replicates: resamplings of subjects behind the intervals.
      level: of the intervals, such as 0.95.
      f1_norm: definition of F1-norm.
      seed: of the resampling.

    Returns:
      {"systems": {name: figures}, "always_present": figures, "persistence": figures, "differences": {"a - b": ..}};
      differences are those of neighbouring systems' averages of F1-frame, with their paired interval: both are
      resampled with the same subjects, so that what makes a subject hard for both falls out. Figures hold f1_frame, f1_norm,
      f1_event, f1_event_50 and auc, per AU number and "average", f1_event_curve (at coverages of 0, 1, .. 100 %),
      f1_frame_folds (mean over folds instead of pooled frames), counts, defined_aus and intervals.
    """
    first = next(iter(systems.values()))
    trivial = {
        "always_present": {fold: _replaced(scored, metrics.always_present) for fold, scored in first.items()},
        "persistence": {fold: _replaced(scored, _persistence) for fold, scored in first.items()},
    }
    figures = {
        name: _figures(folds, replicates, level, f1_norm, seed) for name, folds in {**systems, **trivial}.items()
    }
    return {
        "systems": {name: figures[name] for name in systems},
        **{name: figures[name] for name in trivial},
        "differences": _differences(systems, replicates, level, seed),
    }


def _differences(
    systems: Mapping[str, Mapping[int, Scored]], replicates: int, level: float, seed: int
) -> dict[str, dict[str, Any]]:
    def average(counts: metrics.Counts) -> np.ndarray:
        return metrics.average(metrics.f1(counts))[0]

    counts = {name: list(_frame_counts(folds).values()) for name, folds in systems.items()}
    values = {name: float(average(metrics.pooled(counts[name]))) for name in systems}
    drawn = {name: bootstrap.replicate(counts[name], average, replicates, seed) for name in systems}
    names = list(systems)
    tail = 50 * (1 - level)
    document = {}
    for before, after in zip(names, names[1:], strict=False):
        bounds = np.nanpercentile(drawn[after] - drawn[before], [tail, 100 - tail])
        document[f"{after} - {before}"] = {
            "f1_frame": round(100 * (values[after] - values[before]), 3),
            "interval": np.round(100 * bounds, 3).tolist(),
        }
    return document


def _frame_counts(folds: Mapping[int, Scored]) -> dict[str, metrics.Counts]:
    """Counts of every subject, in order of fold and video: the same order for every system."""
    found: dict[str, metrics.Counts] = {}
    for scored in folds.values():
        for key, scores in scored.scores.items():
            subject, counts = key.rpartition("/")[0], metrics.counts(scored.labels[key], scores)
            found[subject] = found[subject] + counts if subject in found else counts
    return found


def _figures(folds: Mapping[int, Scored], replicates: int, level: float, f1_norm: str, seed: int) -> dict[str, Any]:
    frame_counts: dict[str, metrics.Counts] = {}
    event_counts: dict[str, events.EventCounts] = {}
    fold_counts = []
    for scored in folds.values():
        of_fold = []
        for key, scores in scored.scores.items():
            labels, subject = scored.labels[key], key.rpartition("/")[0]
            counts = metrics.counts(labels, scores)
            found = events.event_counts(labels, scores, np.zeros(len(labels)), frames=scored.frames[key])
            frame_counts[subject] = frame_counts[subject] + counts if subject in frame_counts else counts
            event_counts[subject] = event_counts[subject] + found if subject in event_counts else found
            of_fold.append(counts)
        fold_counts.append(metrics.pooled(of_fold))
    of_frames: dict[str, Callable[[metrics.Counts], np.ndarray]] = {
        "f1_frame": metrics.f1,
        "f1_norm": lambda counts: metrics.f1_norm(counts, f1_norm),
    }
    of_events = {"f1_event": events.f1_event, "f1_event_50": lambda found: events.f1_event_at(found, 50)}
    total = metrics.pooled(list(frame_counts.values()))
    document: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    total_events = events.pooled_events(list(event_counts.values()))
    for functions, subjects, pooled in (
        (of_frames, list(frame_counts.values()), total),
        (of_events, list(event_counts.values()), total_events),
    ):
        for name, function in functions.items():
            with_average = _append_average(function)
            document[name] = _by_au(100 * with_average(pooled))
            low, high = bootstrap.interval(subjects, with_average, replicates, level, seed)
            intervals[name] = _by_au(100 * np.stack([low, high], -1))
    curve = events.f1_event_curve(total_events)
    document["f1_event_curve"] = _by_au(100 * np.concatenate([curve, metrics.average(curve.T)[0][None]]))
    document["f1_frame_folds"] = _by_au(
        100 * _append_average(lambda part: metrics.per_fold(part, metrics.f1))(fold_counts)
    )
    document["auc"] = _by_au(100 * _append_average(_fold_auc)(folds))
    document["counts"] = {
        str(au): {name: int(getattr(total, name)[index]) for name in ("tp", "fp", "fn", "tn")}
        for index, au in enumerate(AUS)
    }
    document["defined_aus"] = int(metrics.average(metrics.f1(total))[1])
    document["intervals"] = intervals
    return document


def _fold_auc(folds: Mapping[int, Scored]) -> np.ndarray:
    # Scores of two folds come from two models and have no common scale: the mean of the folds' areas, not the area of all.
    areas = [
        metrics.auc(np.concatenate(list(scored.labels.values())), np.concatenate(list(scored.scores.values())))
        for scored in folds.values()
    ]
    return metrics.average(np.stack(areas, -1))[0]


def _append_average(function: Callable[[Any], np.ndarray]) -> Callable[[Any], np.ndarray]:
    def with_average(counts: Any) -> np.ndarray:
        values = function(counts)
        return np.concatenate([values, metrics.average(values)[0][..., None]], -1)

    return with_average


def _by_au(values: np.ndarray) -> dict[str, Any]:
    names = [*(str(au) for au in AUS), "average"]
    return {name: np.round(row, 3).tolist() for name, row in zip(names, values, strict=True)}


def _replaced(scored: Scored, predictor: Callable[[np.ndarray], np.ndarray]) -> Scored:
    scores = {key: predictor(labels) for key, labels in scored.labels.items()}
    return Scored(scores, scored.labels, scored.frames)


def _persistence(labels: np.ndarray) -> np.ndarray:
    return metrics.persistence(labels, np.zeros(len(labels)))


def markdown(document: Mapping[str, Any]) -> str:
    """The table of F1-frame like the paper's Table II, always-present beside the systems, with averages of all metrics.

    Args:
      document: the content of results.json.
    """
    columns = {"always_present": document["always_present"], **document["systems"]}
    rows = [["AU", *(DISPLAY_NAMES.get(name, name) for name in columns)]]
    for au in (*AUS, "average"):
        values = [figures["f1_frame"][str(au)] for figures in columns.values()]
        best = max((value for value in values if _defined(value)), default=None)
        rows.append([f"{au}", *(_cell(value, value == best) for value in values)])
    low_high = [figures["intervals"]["f1_frame"]["average"] for figures in columns.values()]
    rows.append(["interval", *(f"{_cell(low)} to {_cell(high)}" for low, high in low_high)])
    beside = {**columns, "persistence": document["persistence"]}
    others = [["average of", *(DISPLAY_NAMES.get(name, name) for name in beside)]]
    for name, title in (
        ("f1_frame", "F1-frame"),
        ("f1_frame_folds", "F1-frame, mean of folds"),
        ("f1_norm", "F1-norm"),
        ("f1_event", "F1-event"),
        ("auc", "AUC"),
    ):
        others.append([title, *(_cell(figures[name]["average"]) for figures in beside.values())])
    pairs = [
        f"{' - '.join(_display(name) for name in str(pair).split(' - '))} {row['f1_frame']:+.1f} "
        f"({row['interval'][0]:+.1f} to {row['interval'][1]:+.1f})"
        for pair, row in document["differences"].items()
    ]
    differences = f"Differences of the averages, with paired intervals: {'; '.join(pairs)}.\n\n" if pairs else ""
    folds = document["folds"]
    finished = f"{len(folds['finished'])} of {folds['all']} folds"
    return (
        f"F1-frame in percent on subjects that were not trained on ({finished}, seed {document['seed']}), "
        "with the interval of the average by bootstrap over subjects.\n\n"
        f"{aligned(rows)}\n\n{differences}{aligned(others)}\n\n"
        "Persistence repeats the last true label, which no system is shown: it tells how slowly labels change.\n"
    )


def _display(name: str) -> str:
    return DISPLAY_NAMES.get(name) or name


def _defined(value: float | None) -> bool:
    return value is not None and np.isfinite(value)


def _cell(value: float | None, best: bool = False) -> str:
    if value is None or not np.isfinite(value):
        return "-"
    return f"**{value:.1f}**" if best else f"{value:.1f}"


def aligned(rows: list[list[str]]) -> str:
    """A Markdown table of these rows, the first of which is the head; columns are padded and stand to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.rjust, row, widths)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
