"""Runs beside each other: one configuration over several seeds, and two runs on the same people."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Float, Int, Shaped

from au_jax.errors import DataError
from au_jax.evaluation import bootstrap, events, metrics
from au_jax.evaluation.tables import (
    Scored,
    aligned,
    fold_auc,
    subject_counts,
    subject_event_counts,
    with_average,
)

INTERVAL_LEVEL = 0.95
"""Of the intervals of the mean over seeds."""

PAIRED_METRICS: dict[str, str] = {
    "f1_frame": "F1-frame",
    "f1_micro": "F1-micro",
    "f1_norm": "F1-norm",
    "f1_event": "F1-event",
    "auc": "AUC",
}
"""Metrics that two runs are compared in, and their names for readers; F1-micro has no AUs."""

Label = Callable[[str], str]
"""The name of a system -> its name for readers (`au_jax.systems.display.label`)."""


def over_seeds(
    runs: Mapping[int, Mapping[str, float]], beside: Mapping[int, Mapping[str, float]] | None = None
) -> dict[str, Any]:
    """Means over seeds, and differences that are paired by seed.

    Args:
      runs: seed -> system -> a metric in percent; the same systems for every seed, in the order of the table. A metric that
        is undefined is NaN, and what is computed from it as well.
      beside: of the same seeds, the same work done elsewhere, such as on another machine; its systems may be fewer.

    Returns:
      {"seeds": [..], "systems": {name: spread}, "differences": {"b - a": spread of neighbours}, "elsewhere": {name: spread of
      elsewhere - here}}. A spread holds values (by seed), mean, sd (of one run, n - 1) and interval (of the mean, Student's t
      at `INTERVAL_LEVEL`); sd and interval are None for a single seed.

    Raises:
      ValueError: no seed, or others in `beside`.

    Example:
      >>> document = over_seeds({0: {"anet": 50.0, "hybrid": 53.0}, 1: {"anet": 52.0, "hybrid": 57.0}})
      >>> document["systems"]["anet"]["mean"], document["differences"]["hybrid - anet"]["values"]
      (51.0, [3.0, 5.0])
    """
    seeds = sorted(runs)
    if not seeds or (beside is not None and sorted(beside) != seeds):
        raise ValueError(f"seeds {seeds}, and elsewhere {sorted(beside or {})}; both need the same ones")
    names = list(runs[seeds[0]])
    elsewhere = beside or {}
    shared = [name for name in names if all(name in values for values in elsewhere.values())] if beside else []
    return {
        "seeds": seeds,
        "systems": {name: _spread([runs[seed][name] for seed in seeds]) for name in names},
        "differences": {
            f"{after} - {before}": _spread([runs[seed][after] - runs[seed][before] for seed in seeds])
            for before, after in zip(names, names[1:], strict=False)
        },
        "elsewhere": {name: _spread([elsewhere[seed][name] - runs[seed][name] for seed in seeds]) for name in shared},
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    array = np.asarray(values, np.float64)
    mean, count = float(array.mean()), len(array)
    if count == 1:
        return {"values": array.tolist(), "mean": mean, "sd": None, "interval": None}
    # Only here: importing it takes half a second.
    from scipy import stats

    sd = float(array.std(ddof=1))
    reach = float(stats.t.ppf((1 + INTERVAL_LEVEL) / 2, count - 1)) * sd / count**0.5
    return {"values": array.tolist(), "mean": mean, "sd": sd, "interval": [mean - reach, mean + reach]}


def average_in_results(by_au: Mapping[str, Any]) -> float:
    """The average over AUs of a metric in results.json; NaN where it is undefined.

    Args:
      by_au: AU number and "average" -> percent or None.

    Example:
      >>> average_in_results({"12": 40.0, "average": 40.0}), average_in_results({"12": None, "average": None})
      (40.0, nan)
    """
    value = by_au["average"]
    return float("nan") if value is None else float(value)


def seeds_markdown(document: Mapping[str, Any], title: str, label: Label = str) -> str:
    """The table of `over_seeds`, a row per seed, with mean, standard deviation and interval, and the paired differences.

    Args:
      document: what `over_seeds` returns.
      title: name of the metric, such as "F1-frame".
      label: name of a system -> its name for readers.

    Example:
      >>> print(seeds_markdown(over_seeds({0: {"anet": 50.0}}), "F1-frame", str.upper).splitlines()[4])
      |    0 | 50.0 |
    """
    systems, count = document["systems"], len(document["seeds"])
    rows = [["seed", *map(label, systems)]]
    for number, seed in enumerate(document["seeds"]):
        rows.append([str(seed), *(_number(spread["values"][number]) for spread in systems.values())])
    rows.append(["mean", *(_number(spread["mean"]) for spread in systems.values())])
    if count > 1:
        rows.append(["SD of a run", *(_number(spread["sd"], ".2f") for spread in systems.values())])
        rows.append(
            [f"{INTERVAL_LEVEL:.0%} interval", *(_interval(spread["interval"], ".1f") for spread in systems.values())]
        )
    parts = [f"{title} in percent over {count} seed{'s' if count > 1 else ''}.", aligned(rows)]
    for heading, differences in (
        ("Differences, paired by seed", document["differences"]),
        ("Elsewhere minus here, paired by seed", document["elsewhere"]),
    ):
        if differences:
            rows = [["", "mean", *([f"{INTERVAL_LEVEL:.0%} interval", "SD"] if count > 1 else []), "largest"]]
            for name, spread in differences.items():
                several = [_interval(spread["interval"], "+.2f"), _number(spread["sd"], ".2f")] if count > 1 else []
                largest = spread["values"][int(np.argmax(np.abs(spread["values"])))]
                pair = " - ".join(map(label, name.split(" - ")))
                rows.append([pair, _number(spread["mean"], "+.2f"), *several, _number(largest, "+.2f")])
            parts += [f"{heading}:", aligned(rows)]
    return "\n\n".join(parts) + "\n"


def check_same_frames(first: Scored, second: Scored, names: tuple[str, str]) -> None:
    """Refuses scores of other subjects, frames or labels: a paired difference would then mean nothing.

    Args:
      first: scores of one run.
      second: those of the other.
      names: what to call the two in the error.

    Raises:
      DataError: says what differs first.

    Example:
      >>> labels = {"S1/T1": np.array([[1], [-1]])}
      >>> one = Scored({"S1/T1": np.zeros((2, 1))}, labels, {"S1/T1": np.arange(2)})
      >>> check_same_frames(one, one, ("runs/a", "runs/b"))
    """
    subjects, others = ({key.rpartition("/")[0] for key in scored.scores} for scored in (first, second))
    what = " and ".join(names)
    only_same = "compare runs of the same dataset and AUs whose finished folds test the same people"
    if subjects != others:
        odd = sorted(subjects ^ others)
        raise DataError(f"{what} test different subjects ({', '.join(odd[:3])}: in one of them only); {only_same}")
    if odd := sorted(set(first.scores) ^ set(second.scores)):
        raise DataError(f"{what} test different videos ({', '.join(odd[:3])}: in one of them only); {only_same}")
    for key, frames in first.frames.items():
        if not np.array_equal(frames, second.frames[key]):
            raise DataError(f"{what} have different frames of {key}; {only_same}")
        if not np.array_equal(first.labels[key], second.labels[key]):
            raise DataError(f"{what} have different labels of {key}; {only_same}")


def paired_differences(
    first: Mapping[int, Scored],
    second: Mapping[int, Scored],
    *,
    aus: Sequence[int],
    replicates: int,
    level: float,
    f1_norm: str,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """What two runs reach on the same people, and the difference, with intervals by bootstrap over subjects.

    Both are resampled with the same subjects, so that what makes a subject hard for both falls out of the difference. The AUC
    of a replicate is the mean over folds of the areas under the ROC curves of the sampled subjects' frames.

    Args:
      first: fold -> scores of run a; folds need not be those of run b.
      second: those of run b, on the same frames (`check_same_frames`).
      aus: AU numbers of the columns.
      replicates: resamplings of subjects.
      level: of the intervals, such as 0.95.
      f1_norm: definition of F1-norm.
      seed: of the resampling.

    Returns:
      Metric (`PAIRED_METRICS`) -> AU number or "average" -> {"a", "b", "difference" (b - a), "interval"}, in percent; of
      f1_micro "average" alone.

    Example:
      >>> labels = np.array([[1], [1], [-1], [-1]], np.int8)
      >>> frames = {"S1/T1": np.arange(4)}
      >>> good = Scored({"S1/T1": labels * np.float32(0.5)}, {"S1/T1": labels}, frames)
      >>> poor = Scored({"S1/T1": np.ones((4, 1), np.float32)}, {"S1/T1": labels}, frames)
      >>> pair = paired_differences({0: poor}, {0: good}, aus=(12,), replicates=9, level=0.95, f1_norm="jeni", seed=0)
      >>> pair["f1_frame"]["12"]
      {'a': 66.667, 'b': 100.0, 'difference': 33.333, 'interval': [33.333, 33.333]}
    """
    counts = [subject_counts(folds) for folds in (first, second)]
    event_counts = [subject_event_counts(folds) for folds in (first, second)]
    subjects = sorted(counts[0])
    document = {}
    for name, metric, by_run, columns in (
        ("f1_frame", with_average(metrics.f1), counts, aus),
        ("f1_micro", lambda count: metrics.f1_micro(count)[..., None], counts, ()),
        ("f1_norm", with_average(lambda count: metrics.f1_norm(count, f1_norm)), counts, aus),
        ("f1_event", with_average(events.f1_event), event_counts, aus),
    ):
        pool: Any = metrics.pooled if by_run is counts else events.pooled_events
        values, resampled = [], []
        for by_subject in by_run:
            in_order = [by_subject[subject] for subject in subjects]
            values.append(metric(pool(in_order)))
            resampled.append(bootstrap.replicate(in_order, metric, replicates, seed))
        document[name] = _pairs(values, resampled, columns, level)
    values = [with_average(fold_auc)(folds) for folds in (first, second)]
    resampled = [_resampled_auc(folds, subjects, replicates, seed) for folds in (first, second)]
    document["auc"] = _pairs(values, resampled, aus, level)
    return document


def average_differences(
    systems: Mapping[str, Mapping[int, Scored]],
    references: Sequence[str],
    *,
    replicates: int,
    level: float,
    seed: int,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Averages over AUs of many systems on the same people, and their differences to some of them, with paired intervals.

    Each system is resampled once, all with the same subjects. A subject that was tested in several runs, such as with several
    seeds, counts with all of its frames in these.

    Args:
      systems: name -> fold -> scores, on the same frames (`check_same_frames`); folds of several runs are numbered on.
      references: systems that each is compared with.
      replicates: resamplings of subjects.
      level: of the intervals, such as 0.95.
      seed: of the resampling.

    Returns:
      Name -> metric (f1_frame, f1_micro, f1_event) -> {"value", and for each reference {"difference", "interval"}}, in percent.

    Example:
      >>> labels = np.array([[1], [1], [-1], [-1]], np.int8)
      >>> good = Scored({"S1/T1": labels * np.float32(0.5)}, {"S1/T1": labels}, {"S1/T1": np.arange(4)})
      >>> poor = Scored({"S1/T1": np.ones((4, 1), np.float32)}, {"S1/T1": labels}, {"S1/T1": np.arange(4)})
      >>> found = average_differences({"a": {0: poor}, "b": {0: good}}, ["a"], replicates=9, level=0.95, seed=0)
      >>> found["b"]["f1_frame"]
      {'value': 100.0, 'a': {'difference': 33.333, 'interval': [33.333, 33.333]}}
    """
    values: dict[str, dict[str, tuple[float, np.ndarray]]] = {}
    for name, folds in systems.items():
        counts, of_events = subject_counts(folds), subject_event_counts(folds)
        subjects = sorted(counts)
        values[name] = {}
        for metric, function, by_subject, pool in (
            ("f1_frame", lambda count: metrics.average(metrics.f1(count))[0], counts, metrics.pooled),
            ("f1_micro", metrics.f1_micro, counts, metrics.pooled),
            ("f1_event", lambda count: metrics.average(events.f1_event(count))[0], of_events, events.pooled_events),
        ):
            in_order = [by_subject[subject] for subject in subjects]
            # Of counts of frames, or of events.
            compute = cast(Callable[[Any], np.ndarray], function)
            resampled = bootstrap.replicate(in_order, compute, replicates, seed)
            values[name][metric] = 100 * float(compute(cast(Any, pool)(in_order))), 100 * resampled
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    document: dict[str, dict[str, dict[str, Any]]] = {}
    for name, by_metric in values.items():
        document[name] = {}
        for metric, (value, resampled) in by_metric.items():
            document[name][metric] = {"value": round(value, 3)}
            for reference in references:
                other, others = values[reference][metric]
                document[name][metric][reference] = {
                    "difference": round(value - other, 3),
                    "interval": np.round(np.nanquantile(resampled - others, tails), 3).tolist(),
                }
    return document


def _resampled_auc(
    folds: Mapping[int, Scored], subjects: Sequence[str], replicates: int, seed: int
) -> Float[np.ndarray, "R A1"]:
    """The mean of the folds' areas per AU and their average in every replicate, [R, A + 1]."""
    count = len(subjects)
    # The draws of `bootstrap.replicate`: how often each subject is in a replicate, [R, S].
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=replicates)
    areas = []
    for scored in folds.values():
        labels, scores = scored.joined()
        owners = [np.full(len(rows), subjects.index(key.rpartition("/")[0])) for key, rows in scored.scores.items()]
        owner = np.concatenate(owners)
        of_fold = np.full((replicates, labels.shape[1]), np.nan)
        for au in range(labels.shape[1]):
            outscored, positives, negatives = _outscored(labels[:, au], scores[:, au], owner, count)
            pairs = (weights @ positives) * (weights @ negatives)
            won = ((weights @ outscored) * weights).sum(1)
            of_fold[:, au] = np.divide(won, pairs, out=of_fold[:, au], where=pairs > 0)
        areas.append(of_fold)
    mean = metrics.average(np.stack(areas, -1))[0]
    return np.concatenate([mean, metrics.average(mean)[0][:, None]], 1)


def _outscored(
    labels: Int[np.ndarray, " N"], scores: Shaped[np.ndarray, " N"], owner: Int[np.ndarray, " N"], count: int
) -> tuple[Float[np.ndarray, "S S"], Float[np.ndarray, " S"], Float[np.ndarray, " S"]]:
    """Pairs of a subject's positive (row) and a subject's negative frame (column) that the positive wins, ties half.

    The area under the ROC curve is the sum of these over the number of pairs, also where subjects count several times.
    Returned with the number of positives and of negatives of every subject.
    """
    positive, negative = labels > 0, labels < 0
    outscored = np.zeros((count, count))
    for other in range(count):
        rivals = np.sort(scores[negative & (owner == other)])
        wins = np.searchsorted(rivals, scores[positive], "left") + np.searchsorted(rivals, scores[positive], "right")
        outscored[:, other] = np.bincount(owner[positive], wins / 2, count)
    return (
        outscored,
        np.bincount(owner[positive], minlength=count).astype(float),
        np.bincount(owner[negative], minlength=count).astype(float),
    )


def _pairs(
    values: Sequence[np.ndarray], resampled: Sequence[np.ndarray], aus: Sequence[int], level: float
) -> dict[str, dict[str, Any]]:
    a, b = (100 * one for one in values)
    apart = 100 * (resampled[1] - resampled[0])
    defined = np.isfinite(apart).any(axis=0)
    tail = (1.0 - level) / 2.0
    bounds = np.nanquantile(np.where(defined, apart, 0.0), [tail, 1.0 - tail], axis=0)
    low_high = np.where(defined, bounds, np.nan).T
    return {
        name: {
            "a": round(float(a[index]), 3),
            "b": round(float(b[index]), 3),
            "difference": round(float(b[index] - a[index]), 3),
            "interval": np.round(low_high[index], 3).tolist(),
        }
        for index, name in enumerate([*(str(au) for au in aus), "average"])
    }


def comparison_markdown(document: Mapping[str, Any], label: Label = str) -> str:
    """The comparison of two runs as text: averages with differences, every AU's F1-frame, and what each run cost.

    Args:
      document: as compare.json: runs [{"name", "system", "seconds", "peak_memory_mib"}] of a and b, subjects, level,
        f1_norm, and metrics (`paired_differences`).
      label: name of a system -> its name for readers.

    Example:
      >>> one = {"a": 40.0, "b": 45.0, "difference": 5.0, "interval": [1.0, 9.0]}
      >>> run = {"name": "runs/a", "system": "anet", "seconds": 61.0, "peak_memory_mib": 800.0}
      >>> metrics = {name: {"12": one, "average": one} for name in PAIRED_METRICS}
      >>> document = {"runs": [run, run], "subjects": 9, "level": 0.95, "f1_norm": "jeni", "metrics": metrics}
      >>> print(comparison_markdown(document).splitlines()[9])
      |   F1-frame | 40.0 | 45.0 |  +5.0 | +1.0 to +9.0 |
    """
    sides = [f"{side}: {run['name']}, {label(run['system'])}" for side, run in zip("ab", document["runs"], strict=True)]
    head = ["a", "b", "b - a", f"{document['level']:.0%} interval"]
    parts = [
        f"# {' and '.join(label(run['system']) for run in document['runs'])} on the same people",
        "\n".join(f"- {side}" for side in sides),
        f"In percent, on {document['subjects']} test subjects; F1-norm as defined by {document['f1_norm']}. Intervals of the "
        "difference by bootstrap over subjects, both sides resampled with the same subjects; where one does not hold 0, the "
        "systems differ by more than the choice of these people.",
        aligned([["average of", *head], *(
            [title, *_pair_cells(document["metrics"][name]["average"])] for name, title in PAIRED_METRICS.items()
        )]),
    ]  # fmt: skip
    for name, title in per_au(document["metrics"]).items():
        by_au = document["metrics"][name]
        parts += [
            f"## {title} per AU",
            aligned([["AU", *head], *([au, *_pair_cells(one)] for au, one in by_au.items())]),
        ]
    costs = [["cost", "a", "b"]]
    for key, title, form in (("seconds", "seconds", ".1f"), ("peak_memory_mib", "peak memory (MiB)", ".0f")):
        costs.append(
            [title, *(_number(float("nan") if run[key] is None else run[key], form) for run in document["runs"])]
        )
    parts += ["## Cost", "Of the system's own stages, over all folds; what it shares with others counts once, where it was made.",
              aligned(costs)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def per_au(pairs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The metrics of a comparison that have values per AU, and their names for readers.

    Args:
      pairs: as `paired_differences` returns them.

    Example:
      >>> per_au({"f1_frame": {"12": {}, "average": {}}, "f1_micro": {"average": {}}})
      {'f1_frame': 'F1-frame'}
    """
    return {name: PAIRED_METRICS[name] for name, by_au in pairs.items() if by_au.keys() != {"average"}}


def _pair_cells(pair: Mapping[str, Any]) -> list[str]:
    return [
        _number(pair["a"]),
        _number(pair["b"]),
        _number(pair["difference"], "+.1f"),
        _interval(pair["interval"], "+.1f"),
    ]


def _interval(bounds: Sequence[float], form: str) -> str:
    low, high = bounds
    return f"{_number(low, form)} to {_number(high, form)}"


def _number(value: float, form: str = ".1f") -> str:
    return format(value, form) if np.isfinite(value) else "-"
