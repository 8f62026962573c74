"""Intervals for any metric of summed counts, by resampling subjects (ours: the paper gives none).

Frames of a subject are not independent, subjects are: a replicate draws as many subjects as there are, with
replacement, adds up their counts and computes the metric.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

_CHUNK_VALUES = 50_000_000  # values of one field in memory at once: 400 MB


def replicate(
    subjects: Sequence[Any], metric: Callable[[Any], np.ndarray], replicates: int, seed: int
) -> Float[np.ndarray, "R ..."]:
    """Values of a metric over bootstrap replicates.

    Args:
      subjects: one `Counts` or `EventCounts` (any dataclass of equally shaped count arrays) per subject.
      metric: function of such counts with a leading axis of replicates, [R, ..] -> [R, ..], such as `f1`.
      replicates: number of replicates R.
      seed: of the draws; the same seed draws the same subjects for every metric, so that differences of two systems'
        replicates are paired.

    Returns:
      [R, ..] float64.

    Raises:
      ValueError: no subjects, or fewer than one replicate.

    Example:
      >>> from au_jax.evaluation.metrics import counts, f1
      >>> subject = counts(np.array([[1], [-1]]), np.array([[1.0], [1.0]]))
      >>> replicate([subject, subject], f1, 3, seed=0).round(2).ravel().tolist()
      [0.67, 0.67, 0.67]
    """
    if not subjects or replicates < 1:
        raise ValueError(f"cannot resample {len(subjects)} subjects {replicates} times; both must be at least 1")
    names = [field.name for field in dataclasses.fields(subjects[0])]
    stacked = {name: np.stack([getattr(subject, name) for subject in subjects]) for name in names}
    weights = np.random.default_rng(seed).multinomial(
        len(subjects), np.full(len(subjects), 1.0 / len(subjects)), size=replicates
    )
    size = max(int(np.prod(stacked[names[0]].shape[1:])), 1)
    step = max(_CHUNK_VALUES // size, 1)
    values = []
    for start in range(0, replicates, step):
        chosen = weights[start : start + step].astype(np.float64)  # exact below 2^53, and NumPy's product is fast
        summed = {
            name: np.rint(np.tensordot(chosen, stacked[name].astype(np.float64), axes=1)).astype(np.int64)
            for name in names
        }
        values.append(np.asarray(metric(type(subjects[0])(**summed)), np.float64))
    return np.concatenate(values)


def interval(
    subjects: Sequence[Any],
    metric: Callable[[Any], np.ndarray],
    replicates: int,
    level: float,
    seed: int,
) -> tuple[Float[np.ndarray, "*M"], Float[np.ndarray, "*M"]]:
    """Percentile interval of a metric.

    Args:
      subjects, metric, replicates, seed: as in `replicate`.
      level: coverage, such as 0.95.

    Returns:
      lower and upper bound, each of the metric's shape; replicates where the metric is undefined (an AU that no sampled
      subject shows) are left out, NaN where all are.

    Raises:
      ValueError: a level outside of 0..1, or as `replicate`.

    Example:
      >>> from au_jax.evaluation.metrics import counts, f1
      >>> good = counts(np.array([[1], [-1]]), np.array([[1.0], [-1.0]]))
      >>> poor = counts(np.array([[1], [-1]]), np.array([[1.0], [1.0]]))
      >>> low, high = interval([good, poor], f1, 100, 0.95, seed=0)
      >>> low.round(2).tolist(), high.tolist()
      ([0.67], [1.0])
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"the interval's level is {level}; give a coverage between 0 and 1, such as 0.95")
    values = replicate(subjects, metric, replicates, seed)
    defined = np.isfinite(values).any(axis=0)
    tail = (1.0 - level) / 2.0
    lower, upper = np.nanquantile(np.where(defined, values, 0.0), [tail, 1.0 - tail], axis=0)
    return np.where(defined, lower, np.nan), np.where(defined, upper, np.nan)
