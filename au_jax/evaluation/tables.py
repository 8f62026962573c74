"""From saved scores to results: every metric per AU with its interval, beside the trivial predictors (paper, IV-B)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from au_jax import files
from au_jax.errors import DataError
from au_jax.evaluation import bootstrap, events, metrics

METRICS: dict[str, str] = {
    "f1_frame": "F1-frame",
    "f1_frame_folds": "F1-frame, mean of folds",
    "f1_micro": "F1-micro",
    "f1_norm": "F1-norm",
    "f1_event": "F1-event",
    "auc": "AUC",
}
"""Metrics whose averages tables show, and their names for readers."""


@dataclass(frozen=True)
class Scored:
    """Scores of a fold's test subjects: video key "<subject>/<video>" -> rows.

    Attributes:
      scores: [T, A] float32 each, > 0 present.
      labels: [T, A] int8 each in {-1, 0, +1}.
      frames: [T] int32 each, frame numbers.

    Example:
      >>> one = Scored({"S1/T1": np.ones((2, 1), np.float32)}, {"S1/T1": np.ones((2, 1), np.int8)}, {"S1/T1": np.arange(2)})
      >>> list(one.scores)
      ['S1/T1']
    """

    scores: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]

    def joined(self) -> tuple[Int[np.ndarray, "N A"], Float[np.ndarray, "N A"]]:
        """Labels and scores of all videos, [N, A] each, video after video.

        Example:
          >>> rows = {"S1/T1": np.ones((2, 1), np.int8)}, {"S1/T1": np.zeros((2, 1), np.float32)}
          >>> [array.shape for array in Scored(rows[1], rows[0], {}).joined()]
          [(2, 1), (2, 1)]
        """
        labels, scores = (np.concatenate([rows[key] for key in self.scores]) for rows in (self.labels, self.scores))
        return labels, scores


def read_scores(path: Path) -> Scored:
    """Reads a score file of a run.

    Args:
      path: such as fold_00/scores/hybrid.npz.

    Raises:
      FileNotFoundError: it is not there.
      DataError: the file is damaged.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "anet.npz"
      >>> files.write_npz(path, {"S1/T1/scores": np.zeros((2, 1)), "S1/T1/labels": np.ones((2, 1)), "thresholds": np.zeros(1)})
      >>> list(read_scores(path).scores)
      ['S1/T1']
    """
    columns: dict[str, dict[str, np.ndarray]] = {"scores": {}, "labels": {}, "frames": {}}
    for name, array in files.read_npz(path).items():
        key, _, column = name.rpartition("/")
        if column in columns:
            columns[column][key] = array
    return Scored(**columns)


def check_scores(scored: Scored, path: Path, subjects: Sequence[str], aus: int) -> None:
    """Makes sure that a score file is of a fold's test subjects and whole: another fold's would be results of training subjects.

    Args:
      scored: its content.
      path: for the message.
      subjects: the fold's test subjects, as split.json has them.
      aus: number of AUs.

    Raises:
      DataError: says what is wrong with it.

    Example:
      >>> scored = Scored({"S1/T1": np.zeros((1, 2), np.float32)}, {"S1/T1": np.zeros((1, 2), np.int8)}, {"S1/T1": np.array([1])})
      >>> check_scores(scored, Path("anet.npz"), ["S1"], aus=2)
      >>> check_scores(scored, Path("anet.npz"), ["S2"], aus=2)
      Traceback (most recent call last):
      au_jax.errors.DataError: anet.npz has scores of S1, whom split.json does not name for this fold; ...
    """
    flaw = _flaw(scored, set(subjects), aus)
    if flaw:
        raise DataError(
            f"{path} {flaw}; put the right file there, or delete it and run au_jax.main on this workdir again"
        )


def _flaw(scored: Scored, subjects: set[str], aus: int) -> str:
    found = {key.rpartition("/")[0] for key in scored.scores}
    if strangers := sorted(found - subjects):
        return f"has scores of {', '.join(strangers)}, whom split.json does not name for this fold"
    if lacking := sorted(subjects - found):
        return f"has no scores of {', '.join(lacking)}, whom split.json names for this fold"
    if not scored.scores.keys() == scored.labels.keys() == scored.frames.keys():
        return "has scores, labels and frame numbers of different videos"
    for key, scores in scored.scores.items():
        labels, frames = scored.labels[key], scored.frames[key]
        shapes = scores.shape, labels.shape, frames.shape
        if not len(scores) or shapes != ((len(scores), aus), (len(scores), aus), (len(scores),)):
            return f"has scores, labels and frame numbers of {key} in shapes {shapes}, with {aus} AUs"
        if scores.dtype.kind != "f" or not np.isfinite(scores).all():
            return f"has scores of {key} that are not finite numbers"
        if labels.dtype.kind != "i" or not np.isin(labels, (-1, 0, 1)).all():
            return f"has labels of {key} other than -1, 0 and 1"
        if frames.dtype.kind != "i" or (np.diff(frames) <= 0).any():
            return f"has frame numbers of {key} that do not increase"
    return ""


def results(
    systems: Mapping[str, Mapping[int, Scored]],
    *,
    aus: Sequence[int],
    replicates: int,
    level: float,
    f1_norm: str,
    seed: int,
) -> dict[str, Any]:
    """All metrics of a run, in percent; an undefined one is NaN.

    Args:
      systems: name -> fold -> scores; the same folds for each.
      aus: AU numbers of the scores' columns.
      replicates: resamplings of subjects behind the intervals.
      level: of the intervals, such as 0.95.
      f1_norm: definition of F1-norm.
      seed: of the resampling.

    Returns:
      {"systems": {name: metrics}, "always_present": metrics, "persistence": metrics, "differences": {"b - a": ..}};
      differences are those of neighbouring systems' averages of F1-frame, with their paired interval: both are
      resampled with the same subjects, so that what makes a subject hard for both falls out. Metrics hold f1_frame, f1_norm,
      f1_event, f1_event_50 and auc, per AU number and "average", f1_event_curve (at coverages of 0, 1, .. 100 %),
      f1_frame_folds (mean over folds instead of pooled frames), f1_micro ("average" alone: all AUs' frames together), counts,
      defined_aus and intervals.

    Raises:
      ConfigError: an unknown definition of F1-norm.

    Example:
      >>> labels = np.array([[1], [1], [-1], [-1]], np.int8)
      >>> scored = Scored({"S1/T1": labels * np.float32(0.5)}, {"S1/T1": labels}, {"S1/T1": np.arange(4)})
      >>> document = results({"anet": {0: scored}}, aus=(12,), replicates=10, level=0.95, f1_norm="jeni", seed=0)
      >>> document["systems"]["anet"]["f1_frame"], document["always_present"]["f1_frame"]["12"]
      ({'12': 100.0, 'average': 100.0}, 66.667)
    """
    first = next(iter(systems.values()))
    trivial = {
        "always_present": {fold: _predicted(scored, metrics.always_present) for fold, scored in first.items()},
        "persistence": {
            fold: _predicted(scored, lambda labels: metrics.persistence(labels, np.zeros(len(labels))))
            for fold, scored in first.items()
        },
    }
    computed = {
        name: _metrics(folds, aus, replicates, level, f1_norm, seed) for name, folds in {**systems, **trivial}.items()
    }
    return {
        "systems": {name: computed[name] for name in systems},
        **{name: computed[name] for name in trivial},
        "differences": _differences(systems, replicates, level, seed),
    }


def _predicted(scored: Scored, predictor: Callable[[np.ndarray], np.ndarray]) -> Scored:
    scores = {key: predictor(labels) for key, labels in scored.labels.items()}
    return Scored(scores, scored.labels, scored.frames)


def subject_counts(folds: Mapping[int, Scored]) -> dict[str, metrics.Counts]:
    """Confusion counts of every subject, in order of fold and video: the same order for every system of a run.

    Args:
      folds: fold -> scores.

    Example:
      >>> labels = np.array([[1], [-1]], np.int8)
      >>> scored = Scored({"S1/T1": np.ones((2, 1))}, {"S1/T1": labels}, {"S1/T1": np.arange(2)})
      >>> subject_counts({0: scored})["S1"].fp.tolist()
      [1]
    """
    by_subject: dict[str, metrics.Counts] = {}
    for scored in folds.values():
        for key, scores in scored.scores.items():
            subject, counts = key.rpartition("/")[0], metrics.counts(scored.labels[key], scores)
            by_subject[subject] = by_subject[subject] + counts if subject in by_subject else counts
    return by_subject


def subject_event_counts(folds: Mapping[int, Scored]) -> dict[str, events.EventCounts]:
    """Counts of events of every subject, in the order of `subject_counts`.

    Args:
      folds: fold -> scores.

    Example:
      >>> labels = np.array([[1], [-1]], np.int8)
      >>> scored = Scored({"S1/T1": np.ones((2, 1))}, {"S1/T1": labels}, {"S1/T1": np.arange(2)})
      >>> subject_event_counts({0: scored})["S1"].true_covered[0, 0].item()
      1
    """
    by_subject: dict[str, events.EventCounts] = {}
    for scored in folds.values():
        for key, scores in scored.scores.items():
            subject, labels = key.rpartition("/")[0], scored.labels[key]
            counts = events.event_counts(labels, scores, np.zeros(len(labels)), frames=scored.frames[key])
            by_subject[subject] = by_subject[subject] + counts if subject in by_subject else counts
    return by_subject


def with_average(function: Callable[[Any], np.ndarray]) -> Callable[[Any], np.ndarray]:
    """A metric with the average over the defined AUs behind its AUs, [.., A] -> [.., A + 1].

    Args:
      function: of counts, such as `metrics.f1`.

    Example:
      >>> with_average(lambda counts: np.array([0.5, np.nan, 1.0]))(None).tolist()
      [0.5, nan, 1.0, 0.75]
    """

    def function_and_average(counts: Any) -> np.ndarray:
        values = function(counts)
        return np.concatenate([values, metrics.average(values)[0][..., None]], -1)

    return function_and_average


def fold_auc(folds: Mapping[int, Scored]) -> Float[np.ndarray, " A"]:
    """Mean over folds of the area under the ROC curve per AU.

    Scores of two folds come from two models and have no common scale: areas are averaged, frames are not pooled.

    Args:
      folds: fold -> scores.

    Returns:
      [A] float64.

    Example:
      >>> labels = np.array([[1], [-1]], np.int8)
      >>> scored = Scored({"S1/T1": labels * 0.5}, {"S1/T1": labels}, {})
      >>> fold_auc({0: scored, 1: scored}).tolist()
      [1.0]
    """
    areas = [
        metrics.auc(np.concatenate(list(scored.labels.values())), np.concatenate(list(scored.scores.values())))
        for scored in folds.values()
    ]
    return metrics.average(np.stack(areas, -1))[0]


def _metrics(
    folds: Mapping[int, Scored], aus: Sequence[int], replicates: int, level: float, f1_norm: str, seed: int
) -> dict[str, Any]:
    of_frames, of_events = list(subject_counts(folds).values()), list(subject_event_counts(folds).values())
    total, total_events = metrics.pooled(of_frames), events.pooled_events(of_events)
    document: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for name, function, subjects, pooled in (
        ("f1_frame", metrics.f1, of_frames, total),
        ("f1_norm", lambda counts: metrics.f1_norm(counts, f1_norm), of_frames, total),
        ("f1_event", events.f1_event, of_events, total_events),
        ("f1_event_50", lambda counts: events.f1_event_at(counts, 50), of_events, total_events),
    ):
        document[name] = _by_au(100 * with_average(function)(pooled), aus)
        bounds = bootstrap.interval(subjects, with_average(function), replicates, level, seed)
        intervals[name] = _by_au(100 * np.stack(bounds, -1), aus)
    document["f1_micro"] = _by_au(100 * _micro(total), ())
    intervals["f1_micro"] = _by_au(
        100 * np.stack(bootstrap.interval(of_frames, _micro, replicates, level, seed), -1), ()
    )
    curve = events.f1_event_curve(total_events)
    document["f1_event_curve"] = _by_au(100 * np.concatenate([curve, metrics.average(curve.T)[0][None]]), aus)
    fold_counts = [metrics.pooled(list(subject_counts({fold: scored}).values())) for fold, scored in folds.items()]
    f1_of_folds = with_average(lambda counts: metrics.per_fold(counts, metrics.f1))(fold_counts)
    document["f1_frame_folds"] = _by_au(100 * f1_of_folds, aus)
    document["auc"] = _by_au(100 * with_average(fold_auc)(folds), aus)
    document["counts"] = {
        str(au): {name: int(getattr(total, name)[index]) for name in ("tp", "fp", "fn", "tn")}
        for index, au in enumerate(aus)
    }
    document["defined_aus"] = int(metrics.average(metrics.f1(total))[1])
    document["intervals"] = intervals
    return document


def _micro(counts: metrics.Counts) -> np.ndarray:
    return metrics.f1_micro(counts)[..., None]


def _by_au(values: np.ndarray, aus: Sequence[int]) -> dict[str, Any]:
    names = [*(str(au) for au in aus), "average"]
    return {name: np.round(row, 3).tolist() for name, row in zip(names, values, strict=True)}


def _differences(
    systems: Mapping[str, Mapping[int, Scored]], replicates: int, level: float, seed: int
) -> dict[str, dict[str, Any]]:
    def average(counts: metrics.Counts) -> np.ndarray:
        return metrics.average(metrics.f1(counts))[0]

    counts = {name: list(subject_counts(folds).values()) for name, folds in systems.items()}
    values = {name: float(average(metrics.pooled(counts[name]))) for name in systems}
    resampled = {name: bootstrap.replicate(counts[name], average, replicates, seed) for name in systems}
    names = list(systems)
    tail = 50 * (1 - level)
    document = {}
    for before, after in zip(names, names[1:], strict=False):
        bounds = np.nanpercentile(resampled[after] - resampled[before], [tail, 100 - tail])
        document[f"{after} - {before}"] = {
            "f1_frame": round(100 * (values[after] - values[before]), 3),
            "interval": np.round(100 * bounds, 3).tolist(),
        }
    return document


def result_aus(document: Mapping[str, Any]) -> tuple[int, ...]:
    """The AU numbers that results are of, in their order.

    Args:
      document: the content of results.json.

    Example:
      >>> result_aus({"always_present": {"f1_frame": {"6": 50.0, "12": 40.0, "average": 45.0}}})
      (6, 12)
    """
    return tuple(int(key) for key in document["always_present"]["f1_frame"] if key != "average")


def lacking_metrics(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Metrics of `METRICS` that results do not hold: those of a run that was made before there were these.

    Args:
      document: the content of results.json.

    Example:
      >>> lacking_metrics({"always_present": {"f1_frame": {}, "f1_frame_folds": {}, "f1_norm": {}, "f1_event": {}, "auc": {}}})
      ('f1_micro',)
    """
    columns = [document["always_present"], *document.get("systems", {}).values()]
    return tuple(name for name in METRICS if not all(name in column for column in columns))


def results_markdown(document: Mapping[str, Any], label: Callable[[str], str] = str) -> str:
    """The table of F1-frame like the paper's Table II, always-present beside the systems, with averages of all metrics.

    Args:
      document: the content of results.json.
      label: name of a system or trivial predictor -> its name for readers (`au_jax.systems.display.label`).

    Example:
      >>> labels = np.array([[1], [1], [-1], [-1]], np.int8)
      >>> scored = Scored({"S1/T1": labels * np.float32(0.5)}, {"S1/T1": labels}, {"S1/T1": np.arange(4)})
      >>> document = results({"anet": {0: scored}}, aus=(12,), replicates=10, level=0.95, f1_norm="jeni", seed=0)
      >>> text = results_markdown({**document, "folds": {"finished": [0], "all": 1}, "seed": 0}, str.upper)
      >>> print(text.splitlines()[4])
      |       12 |           66.7 |      **100.0** |
    """
    columns = {"always_present": document["always_present"], **document["systems"]}
    rows = [["AU", *map(label, columns)]]
    for au in (*result_aus(document), "average"):
        values = [column["f1_frame"][str(au)] for column in columns.values()]
        best = max((value for value in values if value is not None and np.isfinite(value)), default=None)
        rows.append([f"{au}", *(_cell(value, value == best) for value in values)])
    low_high = [column["intervals"]["f1_frame"]["average"] for column in columns.values()]
    rows.append(["interval", *(f"{_cell(low)} to {_cell(high)}" for low, high in low_high)])
    columns["persistence"] = document["persistence"]
    averages = [["average of", *map(label, columns)]]
    for name, title in METRICS.items():
        averages.append([title, *(_cell(column[name]["average"]) for column in columns.values())])
    pairs = [
        f"{' - '.join(map(label, pair.split(' - ')))} {row['f1_frame']:+.1f} "
        f"({row['interval'][0]:+.1f} to {row['interval'][1]:+.1f})"
        for pair, row in document["differences"].items()
    ]
    differences = f"Differences of the averages, with paired intervals: {'; '.join(pairs)}.\n\n" if pairs else ""
    folds = document["folds"]
    finished = f"{len(folds['finished'])} of {folds['all']} folds"
    return (
        f"F1-frame in percent on subjects that were not trained on ({finished}, seed {document['seed']}), "
        "with the interval of the average by bootstrap over subjects.\n\n"
        f"{aligned(rows)}\n\n{differences}{aligned(averages)}\n\n"
        "Persistence repeats the last true label, which no system is shown: it tells how slowly labels change.\n"
    )


def _cell(value: float | None, best: bool = False) -> str:
    if value is None or not np.isfinite(value):
        return "-"
    return f"**{value:.1f}**" if best else f"{value:.1f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns are padded and stand to the right.

    Args:
      rows: cells of every row, the first of which is the head.

    Example:
      >>> print(aligned([["AU", "F1"], ["12", "80.5"]]))
      | AU |   F1 |
      |---:|-----:|
      | 12 | 80.5 |
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.rjust, row, widths)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
