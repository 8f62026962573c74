"""How far apart subjects are in a feature space, by Jensen-Shannon divergence (paper section IV-C, Eq. 5, Fig. 4)."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import expit, rel_entr

MEDIANS: tuple[str, ...] = ("values", "abs")


def distributions(means: Float[np.ndarray, "S D"], median_of: str = "values") -> Float64[np.ndarray, "S D"]:
    """Squeezes subjects' mean vectors into distributions: logistic(mu / m), then unit sum; m is the median of mu.

    The paper leaves open what happens where m is 0 or negative: its magnitude is used, and at least 1e-8.

    Args:
      means: [S, D] float, the mean feature vector of each subject.
      median_of: "values" (the paper), or "abs": of the magnitudes, for features of both signs.

    Returns:
      [S, D] float64, rows that sum to 1.

    Raises:
      ValueError: an unknown `median_of`.

    Example:
      >>> distributions(np.array([[2.0, 2.0]])).tolist()
      [[0.5, 0.5]]
    """
    means = np.asarray(means, np.float64)
    if median_of not in MEDIANS:
        raise ValueError(f"median_of is {median_of!r}; choose one of {', '.join(MEDIANS)}")
    median = np.median(np.abs(means) if median_of == "abs" else means, axis=1, keepdims=True)
    squeezed = expit(means / np.maximum(np.abs(median), 1e-8))
    return squeezed / squeezed.sum(1, keepdims=True)


def js_divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray | np.floating:
    """Jensen-Shannon divergence over the last axis, natural logarithm (Eq. 5). Tested against SciPy's distance.

    Args:
      p, q: [.., D] float, distributions along the last axis; the other axes are broadcast.

    Returns:
      [..] float64, from 0 (equal) to log 2 (disjoint).

    Example:
      >>> round(float(js_divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0]))), 4)
      0.6931
    """
    middle = 0.5 * (p + q)
    return 0.5 * (rel_entr(p, middle) + rel_entr(q, middle)).sum(-1)


def js_matrix(rows: Float[np.ndarray, "S D"]) -> Float64[np.ndarray, "S S"]:
    """Divergence of every pair of distributions, symmetric with zeros on the diagonal.

    Example:
      >>> js_matrix(np.array([[1.0, 0.0], [0.0, 1.0]])).round(4).tolist()
      [[0.0, 0.6931], [0.6931, 0.0]]
    """
    matrix = np.zeros((len(rows), len(rows)))
    for index, row in enumerate(rows):
        matrix[index, index + 1 :] = js_divergence(row, rows[index + 1 :])
    return matrix + matrix.T


def figures(sums: np.ndarray, dimensions: int) -> dict[str, np.ndarray]:
    """The readings of Fig. 4's "d normalized by log(d) x 1e6" for subjects' sums S of divergences.

    Args:
      sums: [..] S of each subject.
      dimensions: of the feature.

    Returns:
      "sum": S; "by_log_dimensions": S / log(dimensions); "log_of_millionths": log10(1e6 S), the reading whose values are
      of the size that the paper prints.

    Example:
      >>> {name: round(float(value), 3) for name, value in figures(np.array(0.01), dimensions=4096).items()}
      {'sum': 0.01, 'by_log_dimensions': 0.001, 'log_of_millionths': 4.0}
    """
    return {
        "sum": sums,
        "by_log_dimensions": sums / np.log(dimensions),
        "log_of_millionths": np.log10(1e6 * sums),
    }


def bootstrap(matrices: Mapping[str, np.ndarray], replicates: int, seed: int) -> dict[str, np.ndarray]:
    """Means over subjects of log10(1e6 S) when subjects are drawn anew, with replacement, the same for every feature.

    Args:
      matrices: feature -> divergences [S, S] of the same subjects in the same order.
      replicates: number of replicates R.
      seed: of the draws.

    Returns:
      feature -> [R] float64. Two draws of the same subject have no divergence; S / (S - 1) makes up for those pairs.

    Raises:
      ValueError: fewer than three subjects.

    Example:
      >>> matrix = js_matrix(distributions(np.random.default_rng(0).normal(size=(5, 8))))
      >>> bootstrap({"fc7": matrix}, replicates=100, seed=0)["fc7"].shape
      (100,)
    """
    number = len(next(iter(matrices.values())))
    if number < 3:
        raise ValueError(f"the order of features cannot be tested on {number} subjects; it needs at least 3")
    generator = np.random.default_rng(seed)
    weights = np.zeros((0, number))
    while len(weights) < replicates:
        counts = generator.multinomial(number, np.full(number, 1.0 / number), size=replicates)
        # One subject drawn every time is no group: nothing diverges.
        weights = np.concatenate([weights, counts[(counts > 0).sum(1) > 1]])[:replicates]
    values = {}
    for name, matrix in matrices.items():
        sums = weights @ matrix * number / (number - 1)
        # A sum of zero belongs to a subject that was not drawn, or to one whose features equal all others'.
        logarithms = np.log10(np.maximum(1e6 * sums, np.finfo(float).tiny))
        values[name] = (weights * logarithms).sum(1) / number
    return values


def order_shares(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How often the replicates have the features in the given order, from low to high divergence.

    Returns:
      "a < b" for neighbours -> share of replicates, then "a < b < .." for the whole order.

    Example:
      >>> order_shares({"fc7": np.array([1.0, 3.0]), "hog": np.array([2.0, 2.0])})
      {'fc7 < hog': 0.5}
    """
    names = list(values)
    below = {
        f"{first} < {second}": values[first] < values[second] for first, second in zip(names, names[1:], strict=False)
    }
    shares = {pair: float(share.mean()) for pair, share in below.items()}
    if len(below) > 1:
        shares[" < ".join(names)] = float(np.logical_and.reduce(list(below.values())).mean())
    return shares
