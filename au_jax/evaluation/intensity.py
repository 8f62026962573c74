"""How well estimated intensities agree with the coded ones: ICC(3,1) and the mean absolute error, per AU.

Intensities are 0 (absent) to 5 (E). Frames in which the AU is absent count: a detector that sees a smile of A in every neutral
face is wrong there. ICC(3,1) is that of `evaluation.agreement` (Shrout & Fleiss 1979): two fixed raters, single ratings,
consistency.

Counts are whole numbers, as the bootstrap wants them: estimates are rounded to hundredths.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int8, Shaped

from au_jax.evaluation import bootstrap, metrics
from au_jax.evaluation.agreement import icc_of_sums

INTENSITY_STEPS = 100
"""Steps of an intensity."""


@dataclass(frozen=True)
class IntensityCounts:
    """Sums over frames whose intensity is known and estimated, per AU, each [.., A] int64 in steps; those of videos add up.

    Attributes:
      frames: how many; truth, estimate: sums; squares: of both; products: of truth and estimate; errors: absolute differences.

    Example:
      >>> counts = intensity_counts(np.array([[0], [4]], np.int8), np.array([[1.0], [4.0]], np.float32))
      >>> counts.frames.tolist(), counts.errors.tolist(), (counts + counts).frames.tolist()
      ([2], [100], [4])
    """

    frames: Shaped[np.ndarray, "*R A"]
    truth: Shaped[np.ndarray, "*R A"]
    estimate: Shaped[np.ndarray, "*R A"]
    squares: Shaped[np.ndarray, "*R A"]
    products: Shaped[np.ndarray, "*R A"]
    errors: Shaped[np.ndarray, "*R A"]

    def __add__(self, other: "IntensityCounts") -> "IntensityCounts":
        return IntensityCounts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def intensity_counts(grades: Int8[np.ndarray, "T A"], estimates: Float[np.ndarray, "T A"]) -> IntensityCounts:
    """Counts of one video.

    Args:
      grades: [T, A] 0 to 5, -1 where the intensity is not known.
      estimates: [T, A], NaN where there is none.

    Example:
      >>> grades = np.array([[0, -1], [2, 3]], np.int8)
      >>> intensity_counts(grades, np.array([[0.5, 1.0], [2.0, np.nan]])).frames.tolist()
      [2, 0]
    """
    known = (grades >= 0) & ~np.isnan(estimates)
    truth = np.where(known, INTENSITY_STEPS * grades.astype(np.int64), 0)
    estimate = np.where(known, np.rint(INTENSITY_STEPS * np.nan_to_num(estimates.astype(np.float64))), 0).astype(
        np.int64
    )
    tables = (known, truth, estimate, truth**2 + estimate**2, truth * estimate, np.abs(truth - estimate))
    return IntensityCounts(*(table.sum(0).astype(np.int64) for table in tables))


def intensity_icc(counts: IntensityCounts) -> Float64[np.ndarray, "*R A"]:
    """ICC(3,1) of truth and estimate; NaN with fewer than two frames, or where both are constant.

    Example:
      >>> grades = np.array([[0], [2], [4]], np.int8)
      >>> intensity_icc(intensity_counts(grades, grades + 0.5)).tolist()  # a constant shift is no inconsistency
      [1.0]
    """
    return icc_of_sums(counts.frames, counts.truth, counts.estimate, counts.squares, counts.products)


def intensity_mae(counts: IntensityCounts) -> Float64[np.ndarray, "*R A"]:
    """Mean absolute error, 0 to 5; NaN without frames.

    Example:
      >>> intensity_mae(intensity_counts(np.array([[0], [4]], np.int8), np.array([[1.0], [4.0]]))).tolist()
      [0.5]
    """
    return _mean(counts.errors, counts.frames)


def mean_intensity(counts: IntensityCounts) -> Float64[np.ndarray, "*R A"]:
    """Mean coded intensity, which is the mean absolute error of who always says 0; NaN without frames.

    Example:
      >>> mean_intensity(intensity_counts(np.array([[0], [4]], np.int8), np.zeros((2, 1)))).tolist()
      [2.0]
    """
    return _mean(counts.truth, counts.frames)


def intensity_results(
    subjects: Sequence[IntensityCounts], aus: Sequence[int], replicates: int, level: float, seed: int
) -> dict[str, Any]:
    """What results.json tells of a system's intensities.

    Args:
      subjects: counts of each test subject.
      aus: AU numbers of the columns.
      replicates, level, seed: of the bootstrap over subjects.

    Returns:
      {"icc", "mae", "mae_of_zero", "frames", "intervals": {"icc", "mae"}}, each per AU number and, but for frames, "average" over
      the AUs for which it is defined; NaN where it is not.

    Example:
      >>> counts = intensity_counts(np.array([[0], [2], [4]], np.int8), np.array([[0.0], [2.0], [4.0]]))
      >>> results = intensity_results([counts, counts], aus=(12,), replicates=10, level=0.95, seed=0)
      >>> results["icc"], results["mae"]["12"], results["frames"], results["intervals"]["icc"]["12"]
      ({'12': 1.0, 'average': 1.0}, 0.0, {'12': 6}, [1.0, 1.0])
    """
    total = subjects[0]
    for counts in subjects[1:]:
        total = total + counts
    names = [*map(str, aus), "average"]

    def by_au(values: np.ndarray) -> dict[str, Any]:
        return {name: np.round(row, 3).tolist() for name, row in zip(names, values, strict=True)}

    document: dict[str, Any] = {"intervals": {}}
    for name, function in (("icc", intensity_icc), ("mae", intensity_mae), ("mae_of_zero", mean_intensity)):

        def with_average(counts: IntensityCounts, function: Any = function) -> np.ndarray:
            values = function(counts)
            return np.concatenate([values, metrics.average(values)[0][..., None]], -1)

        document[name] = by_au(with_average(total))
        if name != "mae_of_zero":
            bounds = bootstrap.interval(subjects, with_average, replicates, level, seed)
            document["intervals"][name] = by_au(np.stack(bounds, -1))
    document["frames"] = {str(au): int(count) for au, count in zip(aus, total.frames, strict=True)}
    return document


def subject_intensity_counts(
    grades: Mapping[str, Int8[np.ndarray, "_ A"]], estimates: Mapping[str, Float[np.ndarray, "_ A"]]
) -> dict[str, IntensityCounts]:
    """Counts of every subject.

    Args:
      grades, estimates: of each video, "<subject>/<video>" -> [T, A], as in `intensity_counts`.

    Example:
      >>> grades = {"S1/T1": np.array([[1]], np.int8), "S1/T2": np.array([[2]], np.int8)}
      >>> subject_intensity_counts(grades, {name: np.zeros((1, 1)) for name in grades})["S1"].frames.tolist()
      [2]
    """
    by_subject: dict[str, IntensityCounts] = {}
    for key, rows in estimates.items():
        subject, counts = key.rpartition("/")[0], intensity_counts(grades[key], rows)
        by_subject[subject] = by_subject[subject] + counts if subject in by_subject else counts
    return by_subject


def _mean(sums: np.ndarray, frames: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / INTENSITY_STEPS / np.where(frames, frames, np.nan), np.float64)
